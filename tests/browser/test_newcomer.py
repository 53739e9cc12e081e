"""What a newcomer does first: the Flask chat of README.md, in two windows."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

import pytest
from page import ROOT, Page

sys.path.append(os.path.join(ROOT, "tests", "python"))
from redis_server import Redis, until  # noqa: E402


def save_chat(folder, more=""):
    """The sample of README.md, and what a test adds to it."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        section = file.read().split("## Flask")[1]
    code = re.search(r"^```python\n(.*?)^```$", section, re.S | re.M)[1]
    (folder / "app.py").write_text(code + more, encoding="utf-8")


def test_the_flask_chat_of_the_readme(browser, serve, tmp_path):
    save_chat(tmp_path)
    site = "http://127.0.0.1:%d/" % serve("app:app", folder=str(tmp_path))
    one = Page(browser, site)
    two = Page(browser, site, tab=True)
    for page, text in ((one, "good morning"), (two, "gr\u00fc\u00df dich <b>")):
        page.type("text", text + "\n")
        one.wait_for("log", re.escape(text))
        two.wait_for("log", re.escape(text))
    one.screenshot("readme-flask.png")
    assert one.complaints() == []


# Each window shows its worker.
SAY_WORKER = """
import os

@app.before_request
def say_worker():
    ws = request.environ.get("wsgi.websocket")
    if ws is not None:
        ws.send("worker %d." % os.getpid())
"""


def open_at_two_workers(browser, site):
    """Two windows of the chat, each at a worker of its own."""
    one, two = Page(browser, site), Page(browser, site, tab=True)
    pattern = r"worker \d+\."
    first = re.search(pattern, one.wait_for("log", pattern))[0]
    while first in two.wait_for("log", pattern):
        browser.refresh()
    return one, two


def say(page, text, *heard_by):
    page.type("text", text + "\n")
    for other in heard_by:
        other.wait_for("log", re.escape(text))


def write(text, *options):
    """Say something in the chat, from a shell."""
    command = [sys.executable, "-m", "wsocket", "publish", *options]
    subprocess.run([*command, "chat", text], check=True)


@pytest.fixture
def bus():
    path = tempfile.mkdtemp()  # short
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_the_chat_with_two_workers_and_a_shell(
    browser, serve, tmp_path, monkeypatch, bus
):
    monkeypatch.setenv("WSOCKET_BUS", bus)  # the user may have other servers
    save_chat(tmp_path, SAY_WORKER)
    port = serve("--workers", "2", "app:app", folder=str(tmp_path))
    one, two = open_at_two_workers(browser, "http://127.0.0.1:%d/" % port)
    say(one, "good morning", one, two)
    say(two, "good evening", one, two)
    write("hello")
    for page in one, two:
        page.wait_for("log", "hello")
    assert one.complaints() == []


@pytest.fixture
def redis(tmp_path):
    server = Redis(tmp_path)
    yield server
    server.kill()


def test_redis_is_killed_and_started_while_a_chat_goes_on(
    browser, serve, tmp_path, redis
):
    save_chat(tmp_path, SAY_WORKER)
    port = serve("--workers", "2", "--broker", redis.url, "app:app",
                 folder=str(tmp_path))
    one, two = open_at_two_workers(browser, "http://127.0.0.1:%d/" % port)
    until(lambda: redis.listeners("chat") == 2)
    say(one, "good morning", one, two)
    say(two, "good evening", one, two)
    write("hello", "--broker", redis.url)
    for page in one, two:
        page.wait_for("log", "hello")

    def log():
        return (tmp_path / "server.log").read_text()

    one.type("text", "is anybody ")
    redis.kill()
    one.element("text").send_keys("there?\n")
    until(lambda: log().count("is down") == 2)
    say(one, "one alone", one)  # broker_down=local: who is at the same worker
    say(two, "two alone", two)
    redis.start()
    until(lambda: log().count("up again") == 2)
    say(one, "back again", one, two)
    say(two, "so am I", one, two)
    assert "two alone" not in one.text("log")  # nothing is sent again
    assert "one alone" not in two.text("log")
    one.screenshot("readme-redis.png")
    assert one.complaints() == []


def save(folder, *pages):
    """The files that pages of the tutorial tell to save, the later ones last."""
    for page in pages:
        with open(os.path.join(ROOT, "docs", "tutorial", page), encoding="utf-8") as file:
            text = file.read()
        for name, code in re.findall(
                r'^```\w+ title="([^/].*?)"\n(.*?)^```$', text, re.S | re.M):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(code, encoding="utf-8")


def test_the_first_page_of_the_tutorial(browser, serve, tmp_path):
    save(tmp_path, "first-chat.md")
    site = "http://127.0.0.1:%d/" % serve("--reload", "app:app", folder=str(tmp_path))
    one = Page(browser, site)
    two = Page(browser, site, tab=True)
    for page, text in ((one, "good morning"), (two, "<b>hello</b>")):
        page.type("text", text)
        page.click("send")
        one.wait_for("log", re.escape(text))
        two.wait_for("log", re.escape(text))
    one.screenshot("tutorial-1.png")
    assert one.complaints() == []


def test_the_second_page_of_the_tutorial(browser, serve, tmp_path):
    save(tmp_path, "first-chat.md", "rooms.md")
    site = "http://127.0.0.1:%d" % serve("app:app", folder=str(tmp_path))
    lobby = [(Page(browser, site + "/", tab=i > 0), name)
             for i, name in enumerate(("Ann", "Bob"))]
    garden = Page(browser, site + "/room/garden", tab=True)
    for page, name in [*lobby, (garden, "Eve")]:
        page.type("name", name)
        page.click("enter")
        page.wait_for("status", "^here$")
    (ann, _), (bob, _) = lobby
    ann.wait_for("log", "Bob: is here")
    bob.type("text", "good morning")
    bob.click("send")
    ann.wait_for("log", "Bob: good morning")
    assert "morning" not in garden.text("log")
    ann.show()
    browser.execute_script("socket.close()")
    bob.wait_for("log", "(?s)Ann: has left.*Ann: is here")
    ann.wait_for("status", "^here$")
    ann.screenshot("tutorial-2.png")
    assert ann.complaints() == []
