"""A real browser on the other side: the demo page, and Flask with a socket."""

import os
import re
import shutil
import socket
import subprocess
import sys

import pytest
from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
ARTIFACTS = os.path.join(ROOT, "artifacts")
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
    --disable-background-networking --disable-component-update --disable-sync
    --disable-dev-shm-usage --window-size=1000,900""".split()


def program(*names):
    return next(filter(None, map(shutil.which, names)), None)


BROWSER = program("chromium", "chromium-browser", "google-chrome")
DRIVER = program("chromedriver")

pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER),
                                reason="no chromium with chromedriver here")


@pytest.fixture
def browser(tmp_path):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in [*FLAGS, "--user-data-dir=%s" % (tmp_path / "profile")]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(30)
    yield driver
    driver.quit()


@pytest.fixture
def serve(tmp_path):
    """serve(arguments, folder): `python -m wsocket` on a free port; its port."""
    running = []

    def start(*args, folder=ROOT):
        log = open(tmp_path / "server.log", "w+", encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-m", "wsocket", "--port", "0", *args],
            cwd=folder, stdout=log, stderr=log)
        running.append((process, log))
        for _ in range(200):
            said = re.search(r"http://[\w.]+:(\d+)",
                             (tmp_path / "server.log").read_text())
            if said:
                return int(said[1])
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            break
        raise AssertionError((tmp_path / "server.log").read_text())

    yield start
    for process, log in running:
        process.terminate()
        try:
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.wait()
            log.close()


@pytest.fixture
def idle_sockets():
    """idle_sockets(port, octets): as browsers do, a connection opened early."""
    opened = []

    def open_one(port, octets=b""):
        peer = socket.create_connection(("127.0.0.1", port), 10)
        opened.append(peer)
        peer.sendall(octets)

    yield open_one
    for peer in opened:
        peer.close()


class Page:
    """What a person does on a page, by the ids of its elements."""

    def __init__(self, browser, url):
        self.browser = browser
        browser.get(url)

    def element(self, name):
        return self.browser.find_element(By.ID, name)

    def text(self, name):
        return self.element(name).text

    def wait_for(self, name, pattern):
        """Until the element's text matches; the text."""
        try:
            WebDriverWait(self.browser, 15).until(
                lambda _: re.search(pattern, self.text(name)))
        except TimeoutException:
            pytest.fail("#%s says %r, not %r" % (name, self.text(name),
                                                 pattern))
        return self.text(name)

    def click(self, name):
        self.element(name).click()

    def type(self, name, text):
        self.element(name).clear()
        self.element(name).send_keys(text)

    def screenshot(self, name):
        os.makedirs(ARTIFACTS, exist_ok=True)
        assert self.browser.save_screenshot(os.path.join(ARTIFACTS, name))

    def complaints(self):
        """Errors on the console, but that there is no favicon."""
        return [entry["message"] for entry in self.browser.get_log("browser")
                if entry["level"] == "SEVERE"
                and "favicon" not in entry["message"]]


def test_the_demo_page_echoes_and_closes(browser, serve):
    page = Page(browser, "http://127.0.0.1:%d/" % serve())
    page.wait_for("state", "^open$")
    page.type("text", "grüße, browser")
    page.click("send")
    page.wait_for("log", "(?s)←\\s*grüße, browser.*→\\s*grüße, browser")
    page.type("text", "abc")
    page.click("binary")
    page.wait_for("log", "←\\s*3 octets: 61 62 63")
    page.wait_for("latency", r"\d ms")
    page.screenshot("demo-open.png")
    page.type("code", "4001")
    page.type("reason", "enough")
    page.click("close")
    page.wait_for("state", r"closed \(4001\)")
    said = page.wait_for("log", "closed: 4001")
    assert "not clean" not in said
    page.screenshot("demo-closed.png")
    assert page.complaints() == []


def test_a_flask_view_talks_with_its_page(browser, serve):
    folder = os.path.join(ROOT, "examples", "flask_echo")
    page = Page(browser, "http://127.0.0.1:%d/" %
                serve("app:app", folder=folder))
    page.wait_for("status", "open")
    page.wait_for("log", "welcome")
    page.click("send")
    page.wait_for("log", "you said: hello")
    page.click("close")
    assert page.wait_for("status", "closed") == "closed (1000 goodbye)"
    page.screenshot("flask-echo.png")
    assert page.complaints() == []


def test_idle_connections_disturb_nobody(browser, serve, idle_sockets):
    port = serve("--threads", "2")
    for _ in range(50):
        idle_sockets(port)
    for _ in range(10):
        idle_sockets(port, b"GET / HTTP/1.1\r\nHost: loc")
    page = Page(browser, "http://127.0.0.1:%d/" % port)
    page.wait_for("state", "^open$")
    page.type("text", "still here")
    page.click("send")
    page.wait_for("log", "←\\s*still here")


def test_a_page_that_is_left_closes_its_socket(browser, serve):
    folder = os.path.join(ROOT, "examples", "flask_echo")
    port = serve("--threads", "1", "app:app", folder=folder)
    for _ in range(3):
        page = Page(browser, "http://127.0.0.1:%d/" % port)
        page.wait_for("log", "welcome")
    browser.get("about:blank")
