"""The files that docs/tutorial and docs/guide/testing.md tell to save: they are
saved, and do what the pages say. tests/browser does the same with their pages."""

import json
import re
import subprocess
import sys

import documents
import pytest
import secure

import wsocket

FIRST, ROOMS, DEPLOY, TESTING = (
    "docs/tutorial/first-chat.md", "docs/tutorial/rooms.md",
    "docs/tutorial/deploy.md", "docs/guide/testing.md")

pytestmark = [pytest.mark.plain, pytest.mark.heavy]


@pytest.fixture
def saved(tmp_path):
    """saved(page...): a folder with the files of these pages, the later count."""
    pytest.importorskip("flask")

    def save(*pages):
        for page in pages:
            for name, text in documents.files(page).items():
                (tmp_path / name).parent.mkdir(exist_ok=True)
                (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path

    return save


def connect(port, path, **more):
    return wsocket.connect("ws://127.0.0.1:%d%s" % (port, path), **more)


def test_a_first_chat(saved, program):
    saved(FIRST)
    port = program("--port", "0", "app:app").wait_started().port
    with connect(port, "/chat") as one, connect(port, "/chat") as two:
        one.send("early")
        assert one.receive(20) == "early"
        two.send("hello")  # who speaks has subscribed
        assert one.receive(20) == "hello"
        assert two.receive(20) == "hello" or two.receive(20) == "hello"  # early, too
    with pytest.raises(wsocket.HandshakeError):
        connect(port, "/nowhere")


def test_rooms(saved, program):
    saved(FIRST, ROOMS)
    site = program("--port", "0", "app:app").wait_started()
    with connect(site.port, "/chat/lobby?name=Ann") as ann:
        assert json.loads(ann.receive(20)) == {"who": "Ann", "text": "is here"}
        with site.raw() as curl:
            curl.send(b"POST /notice/lobby HTTP/1.1\r\nHost: localhost\r\n"
                      b"Content-Length: 13\r\n\r\nTea is ready.")
            assert curl.response()[0] == 204
        assert json.loads(ann.receive(20)) == {
            "who": "The server", "text": "Tea is ready."}
        with connect(site.port, "/chat/lobby?name=Bob"):
            assert json.loads(ann.receive(20))["text"] == "is here"
        assert json.loads(ann.receive(20)) == {"who": "Bob", "text": "has left"}
    with pytest.raises(wsocket.HandshakeError):
        connect(site.port, "/chat/" + "x" * 41)


@pytest.mark.parametrize("pages, name", [
    ((FIRST, ROOMS), "test_app"), *(((TESTING,), name[:-3]) for name in
                                    documents.files(TESTING) if "test_" in name)])
def test_the_tests_pass(saved, pages, name):
    folder = saved(*pages)
    if "django" in name:
        pytest.importorskip("django")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p",
         "no:xdist", name + ".py"], cwd=folder, capture_output=True, text=True,
        timeout=120)
    assert re.search(r"\d passed", done.stdout) and done.returncode == 0, done.stdout


def test_two_workers_with_tls(saved, program, monkeypatch, tmp_path):
    folder = saved(FIRST, ROOMS, DEPLOY)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("CAROOT", str(tmp_path / "no-mkcert"))
    config = folder / "wsocket.toml"
    config.write_text(config.read_text().replace(":8443", ":0"))
    site = program("--config", "wsocket.toml").wait_started()
    authority = tmp_path / "state" / "wsocket" / "tls" / "ca.pem"
    with wsocket.connect("wss://localhost:%d/chat/lobby?name=Ann" % site.port,
                         ca_certs=authority, timeout=20) as ann:
        assert json.loads(ann.receive(20))["who"] == "Ann"
    for order, said in ("status", "2"), ("reload", ""):
        done = subprocess.run(
            [sys.executable, "-m", "wsocket", order, "--control",
             "wsocket.control"], cwd=folder, capture_output=True, text=True,
            timeout=60)
        assert done.returncode == 0 and said in done.stdout, done.stderr
    site.signal(15)
    assert site.wait() == 0


def test_the_file_for_a_server_is_good(program, tmp_path, monkeypatch):
    text = re.search(r'title="/etc/chat/wsocket.toml"\n(.*?)```',
                     documents.read(DEPLOY), re.DOTALL)[1]
    _, pair = secure.authority()
    text = re.sub(r'"/etc/letsencrypt.*fullchain.pem"', '"%s"' % pair.certfile, text)
    text = re.sub(r'"/etc/letsencrypt.*privkey.pem"', '"%s"' % pair.keyfile, text)
    text = text.replace(":443", "127.0.0.1:0").replace(":80", "127.0.0.1:0")
    (tmp_path / "chat.toml").write_text(text)
    (tmp_path / "app.py").write_text(documents.files(FIRST)["app.py"])
    check = program("--config", "chat.toml", "--check-config")
    assert check.wait() == 0, check.said
