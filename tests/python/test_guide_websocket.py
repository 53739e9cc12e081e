"""The samples of docs/guide/websocket.md do what the page says."""

import hashlib
import os
import re

import pytest
from websockets.exceptions import InvalidStatus

import wsocket

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
PAGE = os.path.join(ROOT, "docs", "guide", "websocket.md")

with open(PAGE, encoding="utf-8") as file:
    SAMPLES = re.findall(r"^```python\n(.*?)^```$", file.read(), re.S | re.M)


@pytest.fixture
def sample(serve, monkeypatch):
    """sample(n): a Site of what the nth sample runs."""

    def start(n):
        ran = []
        monkeypatch.setattr(wsocket, "run", lambda *a, **k: ran.append((a, k)))
        exec(compile(SAMPLES[n], PAGE, "exec"), {"__name__": "sample"})
        (args, options), = ran
        return serve(*args, **options)

    return start


def test_there_are_as_many_as_are_tested():
    assert len(SAMPLES) == 6


def test_the_echo(sample):
    site = sample(0)
    assert site.get()[0] == 200
    with site.ws() as client:
        client.send("hello")
        assert client.recv() == "hello"


def test_the_handshake(sample):
    site = sample(1)
    with pytest.raises(InvalidStatus) as caught:
        site.ws()
    assert caught.value.response.status_code == 401
    with site.ws(
        additional_headers={"Cookie": "session=1"},
        subprotocols=["chat.v1", "chat.v2"],
        origin="https://example.com",
    ) as client:
        assert client.response.headers["X-Greeting"] == "hello"
        assert client.recv() == "you speak chat.v2"
    with pytest.raises(InvalidStatus) as caught:
        site.ws(origin="https://evil.example")
    assert caught.value.response.status_code == 403


def test_the_chat_room(sample):
    site = sample(2)
    with site.ws() as one, site.ws() as two:
        one.send("me")
        assert one.recv() == "me"
        two.send("hello")
        while two.recv() != "hello":
            pass
        assert one.recv() == "hello"


def test_the_second_thread(sample):
    with sample(3).ws() as client:
        assert client.recv() == "0"
        client.send("stop")
        while client.recv() != "you said stop":
            pass


def test_the_pings(sample, capfd, eventually):
    said = []

    def heard():
        said.append(capfd.readouterr().out)
        return "they answer: b'1'" in "".join(said)

    with sample(4).ws() as client:
        client.ping(b"2").wait(20)
        client.send("how far?")
        assert client.recv().endswith(" ms")
    eventually(heard)
    assert "they ask: b'2'" in "".join(said)


def test_the_streams(sample):
    with sample(5).ws() as client:
        for data in ("h\xe9" * 1000000, b"\xff" * 3000000):
            client.send(data)
            octets = data.encode() if isinstance(data, str) else data
            assert client.recv() == hashlib.sha256(octets).hexdigest()
            assert client.recv() == "line 0\nline 1\nline 2\n"
