"""WebSocket peers of every kind: handshakes, frames, closes and compressed
messages as no library sends them, and however they are cut."""

import pathlib
import re
import socket
import struct
import zlib

import pytest

import wsocket

ROOT = pathlib.Path(__file__).parents[2]
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MIB = 1048576
TAIL = b"\0\0\xff\xff"  # RFC 7692 7.2.2
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
FIELDS = {
    "Host": "test",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}
DEFLATE = {"Sec-WebSocket-Extensions": "permessage-deflate"}


def test_every_line_of_the_table_names_tests_that_exist():
    table = (ROOT / "docs" / "internals" / "websocket.md").read_text()
    vectors = (ROOT / "tests" / "vectors" / "ws.md").read_text()
    rows = re.findall(r"^\| [-–0-9].*\|$", table, re.MULTILINE)
    assert len(rows) > 40
    for row in rows:
        named = re.findall(r"`(test_\w+)\.(\w+)`", row)
        titles = re.findall(r"\*([a-z][^*]+)\*", row)
        assert named or titles, row
        for module, test in named:
            python = test.startswith("test_")
            folder = ROOT / "tests" / ("python" if python else "c")
            text = (folder / (module + (".py" if python else ".c"))).read_text()
            assert ("def %s(" if python else "TEST(%s)") % test in text, test
        for title in titles:
            assert re.search(r"^### %s\b" % title, vectors, re.MULTILINE), title


def event_echo():
    app = wsocket.WSocketApp()
    app.onmessage += lambda message, client: client.send(message)
    return app


def blocking_echo(environ, start_response):
    if "wsgi.websocket" not in environ:
        start_response("200 OK", [("Content-Length", "5")])
        return [b"plain"]
    websocket = environ["wsgi.websocket"]
    for message in websocket:
        websocket.send(message)
    return []


BOTH = pytest.mark.parametrize(
    "echo", [event_echo, lambda: blocking_echo], ids=["events", "blocking"]
)


def request(fields=(), line="GET / HTTP/1.1"):
    """A handshake; a value may be None (none), or a list (several)."""
    lines = [line]
    for name, values in {**FIELDS, **dict(fields)}.items():
        if not isinstance(values, list):
            values = [] if values is None else [values]
        lines += ["%s: %s" % (name, value) for value in values]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def frame(opcode, data=b"", fin=1, rsv=0, length=None, form=None, mask=True):
    """`length` and `form` (125, 126, 127) may be lies."""
    length = len(data) if length is None else length
    if form is None:
        form = 125 if length < 126 else 126 if length < 65536 else 127
    bit = 128 if mask else 0
    head = bytes([fin << 7 | rsv << 4 | opcode, bit | min(length, form)])
    if form == 126:
        head = head[:1] + struct.pack("!BH", bit | 126, length)
    elif form == 127:
        head = head[:1] + struct.pack("!BQ", bit | 127, length)
    return head + (b"\0\0\0\0" if mask else b"") + data


def deflated(data, final=False, level=6):
    squeeze = zlib.compressobj(level, zlib.DEFLATED, -15)
    if final:
        return squeeze.compress(data) + squeeze.flush()
    return (squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]


def packed(data, **how):
    return frame(BINARY, deflated(data, **how), rsv=4)


def read_octets(client):
    """The first octet of a frame, and its payload; (0, b"") at the end."""
    head = client.file.read(2)
    if len(head) < 2:
        return 0, b""
    size = head[1]
    if size >= 126:
        more = 2 if size == 126 else 8
        size = int.from_bytes(client.file.read(more), "big")
    return head[0], client.file.read(size)


def read_frame(client):
    """(opcode, payload), inflated."""
    first, payload = read_octets(client)
    if first & 64:
        payload = zlib.decompressobj(-15).decompress(payload + TAIL)
    return first & 15, payload


def opened(site, *frames, fields=()):
    client = site.raw()
    client.send(request(fields), *frames)
    assert client.head()[0] == 101
    return client


def end(client):
    """The code of the next frame, a Close, behind which there is nothing."""
    opcode, payload = read_frame(client)
    assert opcode == CLOSE
    assert client.rest() == b""  # and no reset
    return int.from_bytes(payload[:2], "big") or 1005


def close(code, reason=b""):
    return frame(CLOSE, struct.pack("!H", code) + reason)


# ------------------------------------------------------------- handshake ---


def status(site, fields=(), line="GET / HTTP/1.1", more=b""):
    """Of an attempt, whose refusal is the last thing that is said."""
    with site.raw() as client:
        client.send(request(fields, line), more)
        code, headers, _ = client.response(bodiless=True)
        if code == 101:
            return code
        assert headers["connection"].lower().endswith("close")
        assert b"HTTP/1.1" not in client.rest()
        return code


@pytest.mark.parametrize(
    "values, code",
    [
        ("13, 8", 400),
        ("13,", 400),
        (["13", "13"], 400),
        (["8", "13"], 400),
        ("", 400),
        (None, 400),
        ("013", 426),
        ("13.0", 426),
        ("0", 426),
        ("255", 426),
    ],
)
def test_whoever_says_another_version_is_told_ours(serve, values, code):
    """RFC 6455 4.2.2, 4.4: also where nobody can tell which he meant."""
    with serve(event_echo()).raw() as client:
        client.send(request({"Sec-WebSocket-Version": values}))
        said, headers = client.head()
        assert (said, headers["sec-websocket-version"]) == (code, "13")


@pytest.mark.parametrize(
    "value",
    [
        KEY[:-2],
        KEY[:-1],
        KEY + "=",
        KEY + ", " + KEY,
        "-_" + KEY[2:],
        KEY[:-3] + "=Q=",
        "A" * 23 + "=",
        "A" * 32,
        "=" * 24,
        [KEY, KEY],
        "",
        None,
    ],
)
def test_a_key_that_is_not_sixteen_octets_is_400(serve, value):
    assert status(serve(event_echo()), {"Sec-WebSocket-Key": value}) == 400


@pytest.mark.parametrize(
    "fields",
    [
        {"Upgrade": "h2c, WebSocket"},
        {"Upgrade": ["h2c", "websocket"]},
        {"Upgrade": ", websocket ,"},
        {"Connection": "keep-alive, upGRADE"},
        {"Connection": ["keep-alive", "Upgrade"]},
        {"Connection": "close, Upgrade"},
        {"Sec-WebSocket-Key": " \t%s " % KEY},
        {"Sec-WebSocket-Protocol": ""},
        {"Sec-WebSocket-Protocol": " , a ,"},
        {"Sec-WebSocket-Extensions": ", ,"},
        {"Content-Length": "0"},
        {"Expect": "100-continue"},
    ],
)
def test_oddities_that_break_no_rule_pass(serve, fields):
    """RFC 6455 4.2.1, RFC 9110 5.6.1.2"""
    with opened(serve(event_echo()), fields=fields) as client:
        client.send(frame(TEXT, b"x"))
        assert read_frame(client) == (TEXT, b"x")


@pytest.mark.parametrize(
    "fields, code",
    [
        ({"Connection": "upgradee"}, 400),
        ({"Connection": "Upgrade;x"}, 400),
        ({"Connection": None}, 400),
        ({"Host": None}, 400),
        ({"Host": ["a", "a"]}, 400),
        ({"Content-Length": "7"}, 400),
        ({"Content-Length": "7", "Expect": "100-continue"}, 400),
        ({"Transfer-Encoding": "chunked"}, 400),
        ({"Sec-WebSocket-Protocol": "a, a"}, 400),
        ({"Sec-WebSocket-Protocol": ["a", "a"]}, 400),
        ({"Sec-WebSocket-Protocol": "a b"}, 400),
        ({"Sec-WebSocket-Extensions": "permessage-deflate;;"}, 400),
        ({"Sec-WebSocket-Extensions": ";permessage-deflate"}, 400),
        ({"Sec-WebSocket-Extensions": "a; b=c=d"}, 400),
        ({"Sec-WebSocket-Extensions": 'a; b="c d"'}, 400),
        ({"Sec-WebSocket-Extensions": "\xe9"}, 400),
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Origin": ""}, 403),
    ],
)
def test_what_follows_a_refusal_is_no_request(serve, fields, code):
    """RFC 9112 9.6: early frames could look like one."""
    more = b"GET /hidden HTTP/1.1\r\nHost: test\r\n\r\n" * 3
    assert status(serve(event_echo()), fields, more=more) == code


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "OPTIONS", "get"])
def test_another_method_is_405_and_told_get(serve, method):
    site = serve(event_echo())
    assert status(site, line=method + " / HTTP/1.1") == 405
    with site.raw() as client:
        client.send(request(line=method + " / HTTP/1.1"))
        assert client.head()[1]["allow"] == "GET"


@pytest.mark.parametrize("value", ["websocketx", "websocket/13", "h2c", ""])
def test_what_lists_no_websocket_is_plain_http(serve, value):
    with serve(blocking_echo).raw() as client:
        for _ in range(2):  # the connection goes on
            client.send(request({"Upgrade": value}))
            assert client.response()[2] == b"plain"


def test_an_upgrade_in_http_1_0_is_plain_http(serve):
    """RFC 9110 7.8: it is ignored."""
    with serve(blocking_echo).raw() as client:
        client.send(request(line="GET / HTTP/1.0"))
        code, _, body = client.response()
        assert (code, body, client.rest()) == (200, b"plain", b"")


@BOTH
def test_handshake_and_frames_may_be_cut_anywhere(serve, echo):
    site = serve(echo())
    octets = request() + frame(TEXT, b"early") + close(1001)
    for cut in range(1, len(octets)):
        with site.raw() as client:
            client.send(octets[:cut])
            client.send(octets[cut:])
            assert client.head()[0] == 101
            assert read_frame(client) == (TEXT, b"early")
            assert end(client) == 1001


# ---------------------------------------------------------------- frames ---

ACCEPTED = {
    "126 in 16 bits": frame(BINARY, b"x" * 126, form=126),
    "65535 in 16 bits": frame(BINARY, b"x" * 65535),
    "65536 in 64 bits": frame(BINARY, b"x" * 65536),
    "just the cap": frame(BINARY, b"x" * MIB),
    "just the cap in two": frame(BINARY, b"x" * 6, fin=0)
    + frame(0, b"x" * (MIB - 6)),
    "a pong of nobody's": frame(PONG, b"x") + frame(BINARY, b"x"),
}


@BOTH
@pytest.mark.parametrize("octets", ACCEPTED.values(), ids=ACCEPTED)
def test_lawful_frames_come_back(serve, echo, octets):
    with opened(serve(echo()), octets) as client:
        opcode, payload = read_frame(client)
        assert opcode == BINARY and set(payload) == {ord("x")}


REFUSED = {
    "0 in 16 bits": (1002, frame(BINARY, length=0, form=126)),
    "125 in 16 bits": (1002, frame(BINARY, length=125, form=126)),
    "65535 in 64 bits": (1002, frame(BINARY, length=65535, form=127)),
    "2^63": (1002, frame(BINARY, length=1 << 63, form=127)),
    "2^64 - 1": (1002, frame(BINARY, length=(1 << 64) - 1, form=127)),
    "2^63 - 1": (1009, frame(BINARY, length=(1 << 63) - 1)),
    "one above the cap": (1009, frame(BINARY, length=MIB + 1)),
    "one above the cap in two": (
        1009,
        frame(BINARY, b"x", fin=0) + frame(0, length=MIB),
    ),
    "a long ping": (1002, frame(PING, length=126)),
    "a long Close": (1002, frame(CLOSE, length=126)),
    "a short ping in 16 bits": (1002, frame(PING, b"x", form=126)),
    "a ping in pieces": (1002, frame(PING, fin=0)),
    "a pong in pieces": (1002, frame(PONG, fin=0)),
    "a Close in pieces": (1002, frame(CLOSE, fin=0)),
    "no mask": (1002, frame(TEXT, b"x", mask=False)),
    "an empty frame without a mask": (1002, frame(TEXT, mask=False)),
    "a Close without a mask": (1002, frame(CLOSE, mask=False)),
    "a continuation of nothing": (1002, frame(0, length=9)),
    "a text in a text": (1002, frame(TEXT, fin=0) + frame(TEXT, length=9)),
    "a binary in a text": (1002, frame(TEXT, fin=0) + frame(BINARY, length=9)),
    "an octet that is never UTF-8": (1007, frame(TEXT, b"\xff", length=9)),
    "an overlong slash": (1007, frame(TEXT, b"\xc0", length=9)),
    "a surrogate": (1007, frame(TEXT, b"\xed\xa0", length=9)),
    "past the last code point": (1007, frame(TEXT, b"\xf4\x90", length=9)),
    "half a code point": (1007, frame(TEXT, b"\xe2\x82")),
    "a code point cut by another fragment": (
        1007,
        frame(TEXT, b"\xe2", fin=0) + frame(0, b"\x28", length=9),
    ),
}
for _opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
    REFUSED["opcode %d" % _opcode] = (1002, frame(_opcode, length=9))
for _bits in range(1, 8):
    REFUSED["reserved bits %d" % _bits] = (
        1002,
        frame(TEXT, rsv=_bits, length=9),
    )


@BOTH
@pytest.mark.parametrize("code, octets", REFUSED.values(), ids=REFUSED)
def test_a_violation_is_seen_before_the_rest_has_come(
    serve, echo, code, octets
):
    """RFC 6455 5.2, 8.1; behind a good message, which is answered."""
    with opened(serve(echo()), frame(TEXT, b"good"), octets) as client:
        assert read_frame(client) == (TEXT, b"good")
        assert end(client) == code


@BOTH
def test_the_close_is_seen_by_who_goes_on_sending(serve, echo):
    """RFC 6455 7.1.1: no reset overtakes it."""
    more = frame(BINARY, b"y" * 100000) * 30
    with opened(serve(echo()), frame(3) + more) as client:
        assert end(client) == 1002


@BOTH
def test_frames_may_be_cut_anywhere(serve, echo):
    octets = frame(TEXT, "\u20ac".encode()[:2], fin=0) + frame(PING, b"?")
    octets += frame(0, "\u20ac".encode()[2:]) + frame(BINARY, b"x" * 130)
    with opened(serve(echo())) as client:
        for cut in range(len(octets) + 1):
            client.send(octets[:cut])
            client.send(octets[cut:])
            assert read_frame(client) == (PONG, b"?")
            assert read_frame(client) == (TEXT, "\u20ac".encode())
            assert read_frame(client) == (BINARY, b"x" * 130)
        for i in range(len(octets)):
            client.send(octets[i : i + 1])
        opcodes = [read_frame(client)[0] for _ in range(3)]
        assert opcodes == [PONG, TEXT, BINARY]


@BOTH
def test_five_thousand_messages_in_one_go_keep_their_order(serve, echo):
    texts = [b"%d" % i for i in range(5000)]
    with opened(serve(echo())) as client:
        client.send(b"".join(frame(TEXT, text) for text in texts))
        assert [read_frame(client)[1] for _ in texts] == texts


@BOTH
def test_each_ping_between_fragments_is_answered_at_once(serve, echo):
    with opened(serve(echo())) as client:
        client.send(frame(TEXT, b"a", fin=0))
        for i in range(100):
            client.send(frame(PING, b"%d" % i), frame(0, b"b", fin=0))
            assert read_frame(client) == (PONG, b"%d" % i)
        client.send(frame(0))
        assert read_frame(client) == (TEXT, b"a" + b"b" * 100)


@BOTH
def test_a_message_of_very_many_fragments_passes_and_endless_ones_do_not(
    serve, echo
):
    with opened(serve(echo())) as client:
        client.send(frame(TEXT, b"x", fin=0), frame(0, b"x", fin=0) * 65534)
        client.send(frame(0, b"x"))
        assert read_frame(client) == (TEXT, b"x" * 65536)
        client.send(frame(TEXT, fin=0), frame(0, fin=0) * 150000)
        assert end(client) == 1009


@BOTH
def test_who_half_closes_is_still_answered(serve, echo):
    with opened(serve(echo())) as client:
        client.send(frame(TEXT, b"last"))
        client.socket.shutdown(socket.SHUT_WR)
        assert read_frame(client) == (TEXT, b"last")
        assert client.rest() == b""
    with serve(echo()).raw() as client:
        client.send(request(), frame(TEXT, b"first and last"))
        client.socket.shutdown(socket.SHUT_WR)
        assert client.head()[0] == 101
        assert read_frame(client) == (TEXT, b"first and last")
        assert client.rest() == b""


# --------------------------------------------------------------- closing ---

FINE = [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999]
WRONG = [0, 1, 999, 1004, 1005, 1006, *range(1015, 1018), 1099, 1100, 1999]
WRONG += [2000, 2999, 5000, 65535]


@BOTH
def test_every_code_is_echoed_or_refused(serve, echo):
    """RFC 6455 7.4, 5.5.1"""
    site = serve(echo())
    for code in FINE + WRONG:
        with opened(site, close(code, b"bye")) as client:
            assert end(client) == (code if code in FINE else 1002)


@BOTH
@pytest.mark.parametrize(
    "octets, code",
    [
        (frame(CLOSE), 1005),
        (frame(CLOSE, b"\x03"), 1002),
        (close(1000, b"x" * 123), 1000),
        (close(1000, b"x" * 124), 1002),
        (close(1000, b"\xff"), 1007),
        (close(1000, "\u20ac".encode()[:2]), 1007),
        (frame(TEXT, b"x", fin=0) + close(1000), 1000),
        (close(1001) + frame(TEXT, b"late") + frame(PING), 1001),
        (close(1001) + close(1002), 1001),
        (close(1001) + frame(3), 1001),
        (frame(3) + close(1001), 1002),
    ],
)
def test_one_close_answers_and_ends_it(serve, echo, octets, code):
    with opened(serve(echo()), octets) as client:
        assert end(client) == code


@BOTH
def test_what_came_before_a_close_is_answered_before_it(serve, echo):
    with opened(serve(echo())) as client:
        client.send(frame(BINARY, b"z" * MIB), close(1001))
        assert read_frame(client) == (BINARY, b"z" * MIB)
        assert end(client) == 1001


# ------------------------------------------------------------ compressed ---

HELLO = deflated(b"hello")
# 100 MiB of zeros; a block that does not look back comes 100 times.
BOMB = TAIL.join([deflated(bytes(MIB))] * 100)
UNPACKED = {
    "a block of each kind": (b"hello", frame(BINARY, HELLO, rsv=4)),
    "stored": (b"hello", packed(b"hello", level=0)),
    "a last block": (b"hello", packed(b"hello", final=True)),
    "a last block and an empty one": (
        b"hello",
        frame(BINARY, deflated(b"hello", final=True) + b"\0", rsv=4),
    ),
    "an empty stored block": (b"", frame(BINARY, b"\0", rsv=4)),
    "an empty block of fixed codes": (b"", frame(BINARY, b"\2\0", rsv=4)),
    "an empty last block": (b"", frame(BINARY, b"\3\0", rsv=4)),
    "no octet at all": (b"", frame(BINARY, rsv=4)),
    "not compressed": (b"hello", frame(BINARY, b"hello")),
    "a fragment for each octet": (
        b"hello",
        frame(BINARY, rsv=4, fin=0)
        + b"".join(frame(0, bytes([octet]), fin=0) for octet in HELLO)
        + frame(0),
    ),
    "a ping between its fragments": (
        b"hello",
        frame(BINARY, HELLO[:2], rsv=4, fin=0)
        + frame(PONG)
        + frame(0, HELLO[2:]),
    ),
    "just the cap": (b"x" * MIB, packed(b"x" * MIB)),
}
BROKEN = {
    "one above the cap": (1009, packed(b"x" * (MIB + 1))),
    "a bomb": (1009, frame(BINARY, BOMB, rsv=4)),
    "a bomb in fragments": (
        1009,
        frame(BINARY, BOMB[:9000], rsv=4, fin=0),
    ),
    "a block of no kind": (1007, frame(BINARY, b"\6", rsv=4)),
    "an open block": (1007, frame(BINARY, HELLO[:-2], rsv=4)),
    "octets behind the last block": (
        1007,
        frame(BINARY, deflated(b"x", final=True) + b"what?", rsv=4),
    ),
    "bad text": (1007, frame(TEXT, deflated(b"\xff"), rsv=4)),
    "half a code point": (1007, frame(TEXT, deflated(b"\xe2\x82"), rsv=4)),
    "RSV1 on a ping": (1002, frame(PING, rsv=4)),
    "RSV1 on a Close": (1002, frame(CLOSE, rsv=4)),
    "RSV1 on a continuation": (
        1002,
        frame(BINARY, rsv=4, fin=0) + frame(0, rsv=4),
    ),
    "RSV2": (1002, frame(BINARY, HELLO, rsv=6)),
    "RSV3": (1002, frame(BINARY, HELLO, rsv=5)),
}


@BOTH
@pytest.mark.parametrize("mode", ["no-takeover", "takeover"])
@pytest.mark.parametrize("data, octets", UNPACKED.values(), ids=UNPACKED)
def test_lawful_compressed_messages_come_back(
    serve, echo, mode, data, octets
):
    """RFC 7692 7.2.2, 7.2.3"""
    site = serve(echo(), ws_compression=mode)
    with opened(site, octets, fields=DEFLATE) as client:
        assert read_frame(client) == (BINARY, data)


@BOTH
@pytest.mark.parametrize("mode", ["no-takeover", "takeover"])
@pytest.mark.parametrize("code, octets", BROKEN.values(), ids=BROKEN)
def test_broken_compressed_messages_end_it(serve, echo, mode, code, octets):
    site = serve(echo(), ws_compression=mode)
    good = frame(BINARY, HELLO, rsv=4)
    with opened(site, good, octets, fields=DEFLATE) as client:
        assert read_frame(client) == (BINARY, b"hello")
        assert end(client) == code


@BOTH
def test_a_window_goes_on_only_where_that_was_agreed(serve, echo):
    """RFC 7692 7.1.1.2, 7.2.3.2"""
    squeeze = zlib.compressobj(6, zlib.DEFLATED, -15)
    messages = []
    for _ in range(2):
        data = squeeze.compress(b"hello") + squeeze.flush(zlib.Z_SYNC_FLUSH)
        messages.append(frame(BINARY, data[:-4], rsv=4))
    site = serve(echo(), ws_compression="takeover")
    with opened(site, *messages, fields=DEFLATE) as client:
        assert [read_frame(client) for _ in messages] == [
            (BINARY, b"hello")
        ] * 2
    with opened(serve(echo()), *messages, fields=DEFLATE) as client:
        assert read_frame(client) == (BINARY, b"hello")
        assert end(client) == 1007


@BOTH
@pytest.mark.parametrize("bits", range(8, 16))
def test_windows_of_every_size_are_honoured(serve, echo, bits):
    """RFC 7692 7.1.2.1; zlib's smallest window is one of 9 bits."""
    field = "permessage-deflate; server_max_window_bits=%d" % bits
    noise = zlib.compress(bytes(range(256)) * 16, 0)
    data = noise + bytes(range(255, -1, -1)) * 8 + noise
    site = serve(echo(), ws_compression="takeover")
    fields = {"Sec-WebSocket-Extensions": field}
    with opened(site, fields=fields) as client:
        again = zlib.decompressobj(-max(bits, 9))
        for _ in range(3):
            client.send(frame(BINARY, data))
            first, octets = read_octets(client)
            assert first == 0xC2
            octets += TAIL
            steps = [octets[i : i + 1] for i in range(len(octets))]
            assert b"".join(map(again.decompress, steps)) == data
