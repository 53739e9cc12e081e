"""permessage-deflate (RFC 7692) between real clients and the server."""

import json
import zlib

import pytest

import wsocket

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ALONE = "; server_no_context_takeover; client_no_context_takeover"
TEXT = json.dumps([{"id": i, "name": "item %d" % i} for i in range(100)])


def echo(environ, start_response):
    websocket = environ["wsgi.websocket"]
    for message in websocket:
        websocket.send(message)
    return []


def offer(site, *offers):
    """The status and the answer to raw Sec-WebSocket-Extensions fields."""
    with site.raw() as client:
        client.send(handshake(*offers))
        status, headers = client.head()
        return status, headers.get("sec-websocket-extensions")


def handshake(*offers):
    lines = [
        "GET / HTTP/1.1",
        "Host: test",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: " + KEY,
    ]
    lines += ["Sec-WebSocket-Extensions: " + value for value in offers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def frame(first, data):
    assert len(data) <= 125
    return bytes([first, 0x80 | len(data), 0, 0, 0, 0]) + data


def read_frame(client):
    first, length = client.file.read(2)
    if length == 126:
        length = int.from_bytes(client.file.read(2), "big")
    return first, client.file.read(length)


def opened(site, value="permessage-deflate"):
    client = site.raw()
    client.send(handshake(value))
    assert client.head()[0] == 101
    return client


def deflated(data):
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]


# ----------------------------------------------------------- negotiation ---


@pytest.mark.parametrize(
    "offered, answer",
    [
        ("permessage-deflate", ALONE),
        ("permessage-deflate; client_max_window_bits", ALONE),
        (
            "permessage-deflate; client_max_window_bits=10",
            ALONE + "; client_max_window_bits=10",
        ),
        (
            'permessage-deflate; server_max_window_bits="9"',
            ALONE + "; server_max_window_bits=9",
        ),
        ("foo, permessage-deflate; x, permessage-deflate", ALONE),
        ("permessage-deflate; server_max_window_bits=7", None),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_no_context_takeover=1", None),
        ("x-webkit-deflate-frame", None),
        ("", None),
    ],
)
def test_an_offer_is_answered(serve, offered, answer):
    wanted = None if answer is None else "permessage-deflate" + answer
    assert offer(serve(echo), offered) == (101, wanted)


def test_offers_in_several_fields_are_one_list(serve):
    site = serve(echo)
    status, answer = offer(site, "permessage-deflate; x", "permessage-deflate")
    assert (status, answer) == (101, "permessage-deflate" + ALONE)


@pytest.mark.parametrize(
    "offered", ["permessage-deflate;", "a b", 'a; b="', "permessage-deflate; ="]
)
def test_a_malformed_list_is_refused(serve, offered):
    assert offer(serve(echo), offered)[0] == 400


def test_without_an_offer_there_is_no_answer(serve):
    assert offer(serve(echo)) == (101, None)


def test_compression_can_be_off(serve):
    site = serve(echo, ws_compression="off")
    assert offer(site, "permessage-deflate") == (101, None)


def test_takeover_is_answered_as_offered(serve):
    site = serve(echo, ws_compression="takeover")
    for value in (
        "permessage-deflate",
        "permessage-deflate; server_no_context_takeover",
    ):
        assert offer(site, value) == (101, value)


def test_past_the_memory_for_it_there_is_no_takeover(serve, eventually):
    site = serve(
        echo, ws_compression="takeover", ws_compression_memory="200k"
    )
    takes = (101, "permessage-deflate")
    with opened(site), opened(site):
        assert offer(site, "permessage-deflate") == (
            101,
            "permessage-deflate" + ALONE,
        )
    eventually(lambda: offer(site, "permessage-deflate") == takes)


@pytest.mark.parametrize("level", ["0", "10", "small", ""])
def test_levels_are_fast_or_a_digit(serve, level):
    with pytest.raises(ValueError, match="ws_compression_level takes one of"):
        serve(echo, ws_compression_level=level)


# -------------------------------------------------------------- messages ---


@pytest.mark.parametrize("mode", ["no-takeover", "takeover"])
@pytest.mark.parametrize("level", ["fast", 1, 9])
def test_messages_come_back_as_they_went(serve, mode, level):
    messages = ["", "a", TEXT, TEXT, b"\0" * 70000, "\u20ac" * 5000, TEXT]
    site = serve(echo, ws_compression=mode, ws_compression_level=level)
    with site.ws(compression="deflate", max_size=None) as client:
        assert client.protocol.extensions
        for message in messages:
            client.send(message)
        assert [client.recv() for _ in messages] == messages
        client.send([TEXT[:100], TEXT[100:]])
        assert client.recv() == TEXT


def test_long_messages_leave_compressed_and_short_ones_do_not(serve):
    with opened(serve(echo)) as client:
        client.send(frame(0xC1, deflated(b"a" * 1000)))
        first, data = read_frame(client)
        assert first == 0xC1 and len(data) < 50
        again = zlib.decompressobj(-15)
        assert again.decompress(data + b"\0\0\xff\xff") == b"a" * 1000
        client.send(frame(0xC1, deflated(b"a" * 100)))
        assert read_frame(client) == (0x81, b"a" * 100)


def test_the_threshold_is_an_option(serve):
    with opened(serve(echo, ws_compression_threshold=1)) as client:
        client.send(frame(0x82, b"aaaaaaaaaaaa"))
        assert read_frame(client)[0] == 0xC2


def test_the_application_sees_it_and_may_say_no(serve):
    seen = []

    def app(environ, start_response):
        websocket = environ["wsgi.websocket"]
        websocket.accept()
        seen.append(websocket.do_compress)
        websocket.send("a" * 200)
        websocket.send("a" * 200, do_compress=False)
        websocket.send_frame("a" * 200, 1)
        websocket.receive()
        return []

    site = serve(app)
    with opened(site) as client:
        assert [read_frame(client)[0] for _ in range(3)] == [0xC1, 0x81, 0x81]
    with site.ws() as client:
        assert client.recv() == "a" * 200
    assert seen == [True, False]


# --------------------------------------------------------------- streams ---

STREAMS = [
    [TEXT, TEXT[:50], "", TEXT, "\u20ac" * 5000],
    [b"\0" * 128, b""],
    [bytes(range(256)) * 400, b"x", bytes(range(256)) * 400],
]


def streaming(*streams, **how):
    """An app that sends each as a message, and `after` behind them."""

    def app(environ, start_response):
        websocket = environ["wsgi.websocket"]
        for pieces in streams:
            websocket.send_stream(iter(pieces), **how)
        websocket.send("after")
        websocket.receive()
        return []

    return app


@pytest.mark.parametrize("mode", ["no-takeover", "takeover"])
@pytest.mark.parametrize("level", ["fast", 1, 9])
def test_a_stream_is_one_compressed_message(serve, mode, level):
    app = streaming(*STREAMS, STREAMS[0])
    site = serve(app, ws_compression=mode, ws_compression_level=level)
    with site.ws(compression="deflate", max_size=None) as client:
        for pieces in [*STREAMS, STREAMS[0]]:
            assert client.recv() == type(pieces[0])().join(pieces)
        assert client.recv() == "after"


def test_a_compressed_stream_can_be_read_piece_by_piece(serve):  # 7692 6.1
    site = serve(streaming(STREAMS[0]))
    with opened(site) as client:
        again = zlib.decompressobj(-15)
        for i, piece in enumerate(STREAMS[0]):
            first, data = read_frame(client)
            assert first == (0x41 if i == 0 else 0x00)
            assert len(data) <= len(piece.encode())
            assert again.decompress(data) == piece.encode()
        first, data = read_frame(client)
        assert first == 0x80
        assert again.decompress(data + b"\0\0\xff\xff") == b""
        assert read_frame(client) == (0x81, b"after")


@pytest.mark.plain
def test_a_client_streams_compressed_messages_too(serve):
    site = serve(echo)
    with wsocket.connect("ws://127.0.0.1:%d/" % site.port) as client:
        assert client.do_compress
        for pieces in STREAMS:
            client.send_stream(iter(pieces))
            assert client.receive() == type(pieces[0])().join(pieces)


def test_a_stream_that_begins_short_or_shall_not_is_sent_as_it_is(serve):
    with opened(serve(streaming(["short", TEXT]))) as client:
        assert read_frame(client) == (0x01, b"short")
        assert read_frame(client) == (0x00, TEXT.encode())
    with opened(serve(streaming([TEXT], do_compress=False))) as client:
        assert read_frame(client) == (0x01, TEXT.encode())


def test_a_compressed_stream_that_breaks_closes_visibly(serve):
    def app(environ, start_response):
        def pieces():
            yield TEXT
            raise ZeroDivisionError

        environ["wsgi.websocket"].send_stream(pieces())

    with opened(serve(app)) as client:
        assert read_frame(client)[0] == 0x41
        assert read_frame(client) == (0x88, b"\x03\xf3")


# ---------------------------------------------------------------- faults ---


@pytest.mark.parametrize(
    "octets, code",
    [
        (frame(0xC1, b"\xff"), 1007),
        (frame(0xC1, deflated(b"a\xff")), 1007),
        (frame(0xC1, deflated(b"a" * 2000000)[:40]), 1009),
        (frame(0xC9, b""), 1002),
        (frame(0x41, b"\xf2\x48\xcd") + frame(0xC0, b"\xc9"), 1002),
        (frame(0xA1, b"a"), 1002),
    ],
)
def test_a_peer_that_breaks_a_rule_is_told_so(serve, octets, code):
    site = serve(echo, ws_max_size=20000)
    with opened(site) as client:
        client.send(octets)
        first, data = read_frame(client)
        assert first == 0x88 and int.from_bytes(data[:2], "big") == code
    with site.ws(compression="deflate") as client:
        client.send("alive")
        assert client.recv() == "alive"
