"""The demo: an echo whose frames are told, and two rooms."""

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import wsocket
from wsocket import demo

ID = "0123456789abcdef"


@pytest.fixture
def watched(serve):
    """An echo, and the socket that tells of its frames."""
    site = serve()
    with site.ws("/frames?id=" + ID) as frames:
        with site.ws("/?frames=" + ID, compression="deflate") as echo:
            yield echo, frames


def told(frames, count):
    rows = [json.loads(frames.recv(20)) for _ in range(count)]
    return [(row["way"], row["opcode"], row["length"]) for row in rows]


def test_it_tells_the_frames_of_a_message(watched):
    echo, frames = watched
    echo.send(b"\0" * 70000)
    assert echo.recv() == b"\0" * 70000
    rows = [json.loads(frames.recv(20)) for _ in range(2)]
    assert [row["way"] for row in rows] == ["in", "out"]
    for row in rows:
        assert row["opcode"] == 2 and row["fin"] and row["compressed"]
        assert row["length"] < 1000


def test_it_tells_pieces_pings_and_the_close(watched):
    echo, frames = watched
    echo.send(["a", "b"])
    assert echo.recv() == "ab"
    assert [row[:2] for row in told(frames, 4)] == [
        ("in", 1), ("in", 0), ("in", 0), ("out", 1)]
    frames.send("ping")
    assert told(frames, 2) == [("out", 9, 14), ("in", 10, 14)]
    echo.close(4001, "enough")
    assert told(frames, 2) == [("in", 8, 8), ("out", 8, 2)]


def test_it_is_forgotten_at_the_end(watched, eventually):
    echo, frames = watched
    assert ID in demo.watched
    echo.close()
    eventually(lambda: ID not in demo.watched)


def test_without_a_good_id_it_is_a_plain_echo(serve):
    site = serve()
    for path in ("/", "/any", "/?frames=X", "/frames", "/frames?id=" + "0" * 33):
        with site.ws(path) as client:
            client.send("hello")
            assert client.recv() == "hello"
    assert demo.watched == {}


def test_a_stop_closes_with_1001(serve):
    site = serve()
    with site.ws("/?frames=" + ID) as echo:
        echo.send("x")
        assert echo.recv() == "x"
        site.server.stop()
        with pytest.raises(Exception, match="1001"):
            echo.recv(20)


def test_a_room_hears_itself_and_not_the_other(serve):
    site = serve()
    with site.ws("/room/lobby") as ann, site.ws("/room/lobby") as bob, \
            site.ws("/room/garden") as eve:
        ann.send(b"binary is nothing to say")
        ann.send("x" * 1001)
        ann.send("hello")
        assert ann.recv(20) == bob.recv(20) == "hello"
        eve.send("here")
        assert eve.recv(20) == "here"


def test_without_topics_a_room_says_so(monkeypatch, serve):
    def no_topics(self, topic):
        raise RuntimeError

    class Bare(wsocket.WebSocket):
        subscribe = no_topics

    app = wsocket.WSocketApp()
    app.websocket_class = Bare
    with serve(app).ws("/room/lobby") as client:
        with pytest.raises(Exception, match="1013.*topics need"):
            client.recv(20)


def test_the_page_names_the_version(serve):
    page = serve().get()[2]
    assert b"Version " + wsocket.__version__.encode() in page
    assert b"{version}" not in page and b"http://" not in page


def frame(first, payload, mask):
    length = len(payload)
    short = length if length < 126 else 126 if length < 65536 else 127
    wide = {126: "!H", 127: "!Q"}.get(short)
    return (bytes([first, short | (0x80 if mask else 0)])
            + (struct.pack(wide, length) if wide else b"")
            + (b"mask" if mask else b"") + payload)


@settings(max_examples=40, deadline=None)
@given(some.lists(some.tuples(
    some.sampled_from([0x81, 0x82, 0x00, 0xC1, 0x88, 0x89, 0x8A]),
    some.sampled_from([0, 1, 125, 126, 300, 65535, 65536]), some.booleans()),
    max_size=4), some.integers(1, 70000), some.booleans())
def test_heads_are_read_however_the_octets_come(frames, step, answered):
    data = b"HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n" if answered else b""
    data += b"".join(frame(first, b"\x81" * n, mask) for first, n, mask in frames)
    heads = demo._Heads(answered)
    seen = []
    for at in range(0, len(data), max(step, len(data) // 2000)):
        seen += heads.feed(data[at:at + max(step, len(data) // 2000)])
    assert [(one["opcode"] | one["fin"] << 7 | one["compressed"] << 6, one["length"])
            for one in seen] == [(first, n) for first, n, _ in frames]
