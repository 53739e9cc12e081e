"""What version 2.1.1 got wrong about WebSockets, number by number.

Each test shows the right behaviour, and cites the section that demands it.
"""

import base64
import logging
import os
import threading
import time
import zlib

import pytest
from test_websocket import Handler, closing_code, echo
from test_websocket_object import frame, next_frame
from websockets.exceptions import InvalidStatus

from wsocket import ProtocolError, WebSocketError, WSocketApp

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
TAIL = b"\0\0\xff\xff"


def handshake(*more, method="GET", version="HTTP/1.1", **fields):
    """The octets of an attempt; a field may be replaced, None leaves it out."""
    values = {
        "Host": "test",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
    }
    values.update({k.replace("_", "-"): v for k, v in fields.items()})
    lines = ["%s / %s" % (method, version)]
    lines += ["%s: %s" % (k, v) for k, v in values.items() if v is not None]
    return ("\r\n".join([*lines, *more]) + "\r\n\r\n").encode("latin-1")


def attempt(site, *more, **fields):
    """The answer to an attempt: status and header fields."""
    with site.raw() as client:
        client.send(handshake(*more, **fields))
        return client.head()


def opened(site, *more):
    client = site.raw()
    client.send(handshake(*more))
    assert client.head()[0] == 101
    return client


DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"


def deflated(text, bits=-15):
    packer = zlib.compressobj(wbits=bits)
    packed = packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH)
    assert packed.endswith(TAIL)
    return packed[:-4]


def close_code(client):
    """The code of the Close that must come next, and the connection's end."""
    first, payload = next_frame(client)
    assert first == 0x88
    return int.from_bytes(payload[:2], "big")


# -------------------------------------------------------------- handshake ---


@pytest.mark.parametrize(
    "offered, chosen",
    [
        (None, None),
        ("b", "b"),
        ("b, a", "a"),
        ("x", None),
        ("x, b", "b"),
    ],
)
def test_fault_01_one_subprotocol_that_both_sides_list_or_none(
    serve, offered, chosen
):
    """RFC 6455 4.2.2: it named all of the server's, unasked."""
    app = WSocketApp(protocols=["a", "b"])
    app.onmessage += lambda message, client: client.send(str(client.protocol))
    more = [] if offered is None else ["Sec-WebSocket-Protocol: " + offered]
    site = serve(app)
    _, headers = attempt(site, *more)
    assert headers.get("sec-websocket-protocol") == chosen
    with opened(site, *more) as client:
        client.send(frame(1, b"which?"))
        assert next_frame(client) == (0x81, str(chosen).encode())


def test_fault_02_the_application_decides_before_101(serve):
    """RFC 6455 4.2.2: 101 left before the application was asked."""

    def app(environ, start_response):
        start_response("401 Unauthorized", [("WWW-Authenticate", "Basic")])
        return [b"who are you?"]

    with pytest.raises(InvalidStatus) as caught:
        serve(app).ws()
    assert caught.value.response.status_code == 401
    assert caught.value.response.headers["WWW-Authenticate"] == "Basic"
    assert caught.value.response.body == b"who are you?"


def test_fault_02_101_leaves_when_the_result_is_closed(serve):
    """Until then close() may still answer."""
    order = []

    class Result:
        def __init__(self, start_response):
            self.start_response = start_response

        def __iter__(self):
            return iter(())

        def close(self):
            order.append("closed")
            self.start_response("403 Forbidden", [])

    def app(environ, start_response):
        return Result(start_response)

    assert attempt(serve(app))[0] == 403
    assert order == ["closed"]


def test_fault_03_a_stranger_s_page_is_refused(serve):
    """RFC 6455 10.2: Origin was never looked at."""
    site = serve(echo)
    assert attempt(site)[0] == 101  # no browser
    assert attempt(site, Origin="http://test")[0] == 101
    assert attempt(site, Origin="http://evil.example")[0] == 403
    assert attempt(site, Origin="null")[0] == 403


def test_fault_03_version_and_host_of_http_are_looked_at(serve):
    """RFC 6455 4.2.1, RFC 9110 7.8: HTTP/1.0 cannot upgrade."""
    site = serve(lambda environ, start: [start("200 OK", []), b"plain"][1:])
    assert attempt(site, version="HTTP/1.0")[0] == 200
    assert attempt(site, Host=None)[0] == 400


@pytest.mark.parametrize(
    "key",
    [
        "not base64!",
        "dGhlIHNhbXBsZSBub25jZQ",
        base64.b64encode(b"x" * 15).decode(),
        base64.b64encode(b"x" * 17).decode(),
        "",
        None,
    ],
)
def test_fault_04_a_bad_key_is_400(serve, key):
    """RFC 6455 4.2.1: it raised, or returned a method object."""
    assert attempt(serve(echo), Sec_WebSocket_Key=key)[0] == 400


@pytest.mark.parametrize("version", ["7", "8", "12", "14", "130", "x"])
def test_fault_05_another_version_is_426_and_told_13(serve, version):
    """RFC 6455 4.4: it was a 400, and the drafts were taken."""
    status, headers = attempt(serve(echo), Sec_WebSocket_Version=version)
    assert status == 426
    assert headers["sec-websocket-version"] == "13"
    assert headers["upgrade"] == "websocket"


@pytest.mark.parametrize(
    "offer, agreed",
    [
        ("permessage-deflate", True),
        ("permessage-deflate; client_max_window_bits", True),
        ("permessage-deflate; server_max_window_bits=9", True),
        ("permessage-deflate; server_max_window_bits=7", False),
        ("permessage-deflate; server_max_window_bits", False),
        ("permessage-deflate; server_no_context_takeover=1", False),
        ("permessage-deflate; unknown", False),
        ("x-webkit-deflate-frame", False),
        ("permessage-deflate; unknown, permessage-deflate", True),
    ],
)
def test_fault_06_an_offer_is_kept_or_declined(serve, offer, agreed):
    """RFC 7692 7.1: any offer got a bare acceptance."""
    site = serve(echo)
    answer = attempt(site, "Sec-WebSocket-Extensions: " + offer)[1]
    assert ("sec-websocket-extensions" in answer) is agreed
    if agreed and "server_max_window_bits=9" in offer:
        assert "server_max_window_bits=9" in answer["sec-websocket-extensions"]
        text = os.urandom(1000).hex().encode() * 4
        with opened(site, "Sec-WebSocket-Extensions: " + offer) as client:
            client.send(frame(1, text))
            _, payload = next_frame(client)
        assert zlib.decompressobj(-9).decompress(payload + TAIL) == text


# -------------------------------------------------------------- receiving ---


def test_fault_07_an_unmasked_frame_fails_the_connection(serve):
    """RFC 6455 5.1: it was accepted, documented even."""
    with opened(serve(echo)) as client:
        client.send(b"\x81\x02hi")
        assert close_code(client) == 1002


@pytest.mark.parametrize("begun", [b"", frame(1, b"half", fin=False)])
def test_fault_08_the_end_of_the_stream_is_1006(serve, begun):
    """RFC 6455 7.1.5: it was read as a header of zeros, for ever."""
    handler = Handler(
        lambda websocket: [
            websocket.receive(),
            websocket.close_code,
            websocket.close_clean,
        ]
    )
    used = time.process_time()
    with opened(serve(handler)) as client:
        client.send(begun)
    assert handler.wait() == [None, 1006, False]
    assert time.process_time() - used < 10


@pytest.mark.parametrize("events", [False, True])
def test_fault_09_a_ping_gets_its_pong(serve, events):
    """RFC 6455 5.5.2 and 5.5.3: it raised, and the page of the error went into
    the stream of frames."""
    app = WSocketApp()
    app.onmessage += lambda message, client: client.send(message)
    with opened(serve(app if events else echo)) as client:
        for payload in (b"", b"hello", bytes(125)):
            client.send(frame(9, payload))
            assert next_frame(client) == (0x8A, payload)
        client.send(frame(1, b"after"))
        assert next_frame(client) == (0x81, b"after")


def test_fault_10_a_code_point_may_be_split_between_fragments(serve):
    """RFC 6455 5.6 and 8.1: each fragment was decoded alone."""
    with opened(serve(echo)) as client:
        pieces = [bytes([b]) for b in "\u20ac\U0001f600".encode()]
        client.send(frame(1, pieces[0], fin=False))
        for piece in pieces[1:-1]:
            client.send(frame(0, piece, fin=False))
        client.send(frame(0, pieces[-1]))
        assert next_frame(client) == (0x81, "\u20ac\U0001f600".encode())
        client.send(frame(1, b"\xe2\x82", fin=False), frame(0, b"x"))
        assert close_code(client) == 1007


def test_fault_11_a_compressed_message_may_be_fragmented(serve):
    """RFC 7692 6: only the first fragment was inflated."""
    text = b"compress me " * 100
    packed = deflated(text)
    with opened(serve(echo), DEFLATE) as client:
        client.send(
            frame(0x41, packed[:5], fin=False),
            frame(0, packed[5:7], fin=False),
            frame(0, packed[7:]),
        )
        first, payload = next_frame(client)
        assert first == 0xC1
        assert zlib.decompressobj(-15).decompress(payload + TAIL) == text
        client.send(frame(0x41, packed[:5], fin=False), frame(0x40, b"x"))
        assert close_code(client) == 1002  # RSV1 only on the first


@pytest.mark.parametrize("opcode", [8, 9, 10])
def test_fault_12_control_frames_have_no_rsv1(serve, opcode):
    """RFC 7692 6: it was tolerated."""
    with opened(serve(echo), DEFLATE) as client:
        client.send(frame(0x40 | opcode))
        assert close_code(client) == 1002


def test_fault_13_everything_has_a_limit(serve):
    """RFC 6455 5.2, 10.4: nothing had."""
    site = serve(echo, ws_max_size=1000)
    with opened(site) as client:
        client.send(frame(1, b"x" * 1000))
        assert next_frame(client) == (0x81, b"x" * 1000)
        client.send(frame(1, b"x" * 1001)[:8])  # decided on the header
        assert close_code(client) == 1009
    with opened(site) as client:
        client.send(frame(1, b"x" * 600, fin=False), frame(0, b"x" * 401))
        assert close_code(client) == 1009
    with opened(site, DEFLATE) as client:
        client.send(frame(0x41, deflated(b"x" * 1001)))
        assert close_code(client) == 1009
    with opened(site) as client:
        client.send(b"\x82\xff\x80" + bytes(11))  # the top bit of the length
        assert close_code(client) == 1002


def test_fault_14_binary_arrives_as_bytes(serve):
    """It was a bytearray, unmasked octet by octet in Python."""
    handler = Handler(lambda websocket: websocket.receive())
    with opened(serve(handler)) as client:
        key = b"\x01\x02\x03\x04"
        data = bytes(range(256)) * 300
        masked = bytes(b ^ key[i % 4] for i, b in enumerate(data))
        client.send(
            b"\x82\xff" + len(data).to_bytes(8, "big") + key + masked
        )
        message = handler.wait()
    assert type(message) is bytes and message == data


# ---------------------------------------------------------------- sending ---


def test_fault_15_what_is_empty_is_sent(serve):
    """RFC 6455 5.2 permits a length of zero: it was dropped."""

    def use(websocket):
        websocket.send("")
        websocket.send(b"")
        websocket.ping()
        websocket.pong()

    with opened(serve(Handler(use))) as client:
        frames = [next_frame(client) for _ in range(4)]
    assert frames == [(0x81, b""), (0x82, b""), (0x89, b""), (0x8A, b"")]


def test_fault_16_payloads_are_what_they_are(serve):
    """A ping sent its repr, send(5) five NULs, and binary=True raised."""

    def use(websocket):
        websocket.ping(b"bytes")
        websocket.send(5)
        websocket.send("text", binary=True)

    with opened(serve(Handler(use))) as client:
        frames = [next_frame(client) for _ in range(3)]
    assert frames == [(0x89, b"bytes"), (0x81, b"5"), (0x82, b"text")]


def test_fault_17_many_threads_may_send_and_one_may_close(serve):
    """RFC 6455 5.4: frames were mixed, and a racing close raised TypeError."""
    errors = []

    def use(websocket):
        def work(letter):
            try:
                for _ in range(50):
                    websocket.send(letter * 5000)
            except Exception as exc:
                errors.append(exc)

        websocket.accept()
        threads = [threading.Thread(target=work, args=(c,)) for c in "abcd"]
        for thread in threads:
            thread.start()
        websocket.receive()
        websocket.close()
        for thread in threads:
            thread.join()

    handler = Handler(use)
    with opened(serve(handler), DEFLATE) as client:
        count = 0
        while True:
            first, payload = next_frame(client)
            if first == 0x88:
                break
            assert first == 0xC1
            text = zlib.decompressobj(-15).decompress(payload + TAIL)
            assert text in [c * 5000 for c in (b"a", b"b", b"c", b"d")]
            count += 1
            if count == 20:
                client.send(frame(1, b"enough"))
        client.send(frame(8))
        handler.wait()
    assert handler.error is None
    assert count >= 20
    assert all(isinstance(error, WebSocketError) for error in errors)


# ---------------------------------------------------------------- closing ---


@pytest.mark.parametrize("reason", ["why", b"why", "\u20ac" * 100])
def test_fault_18_a_reason_is_text_of_at_most_123_octets(serve, reason):
    """RFC 6455 5.5: it was a repr, of any length."""

    def use(websocket):
        websocket.close(4000, reason)

    with opened(serve(Handler(use))) as client:
        first, payload = next_frame(client)
    assert first == 0x88 and payload[:2] == b"\x0f\xa0"
    text = reason.encode() if isinstance(reason, str) else reason
    assert payload[2:] == text[:123]
    assert len(payload[2:].decode()) <= 123


def test_fault_18_codes_that_may_not_be_sent_are_not(serve):
    """RFC 6455 7.4: they were not looked at."""

    def use(websocket):
        for code in (0, 999, 1004, 1006, 1015, 2999, 5000, 65536):
            with pytest.raises(ValueError, match="%d cannot" % code):
                websocket.close(code)
        with pytest.raises(ProtocolError):
            websocket.send_frame(b"\x03\xe8", 8)
        websocket.close(3000)

    handler = Handler(use)
    with serve(handler).ws() as client:
        assert closing_code(client)[0] == 3000
    handler.wait()
    assert handler.error is None


@pytest.mark.parametrize(
    "code, answer",
    [
        *[(code, code) for code in (1000, 1001, 1003, 1007, 1011, 1012)],
        *[(code, code) for code in (1013, 1014, 3000, 3999, 4000, 4999)],
        *[(code, 1002) for code in (0, 999, 1004, 1005, 1006, 1015, 1016)],
        *[(code, 1002) for code in (1017, 1100, 1999, 2000, 2999, 5000)],
    ],
)
def test_fault_19_which_codes_a_peer_may_send(serve, code, answer):
    """RFC 6455 7.4 and the registry: some were refused, others let through."""
    with opened(serve(echo)) as client:
        client.send(frame(8, code.to_bytes(2, "big")))
        assert close_code(client) == answer


def test_fault_20_the_server_waits_for_the_peers_close_and_ends_tcp(serve):
    """RFC 6455 7.1.1: it did neither."""

    def use(websocket):
        websocket.close(1000)

    with opened(serve(Handler(use))) as client:
        assert close_code(client) == 1000
        client.send(frame(8, b"\x03\xe8"))
        assert client.rest() == b""


def test_fault_20_a_peer_that_does_not_answer_is_not_waited_for(serve):
    """RFC 6455 7.1.1: at most ws_close_timeout."""
    handler = Handler(lambda websocket: websocket.close(1000))
    with opened(serve(handler, ws_close_timeout=0.3)) as client:
        assert close_code(client) == 1000
        assert client.rest() == b""


def test_fault_20_at_shutdown_everybody_hears_1001(serve):
    """RFC 6455 7.4.1: nothing was sent."""
    site = serve(echo)
    with site.ws() as client:
        client.ping().wait(20)
        site.server.stop()
        assert closing_code(client)[0] == 1001


def test_fault_21_a_silent_peer_is_asked_and_then_given_up(serve):
    """There was neither keepalive nor timeout."""
    handler = Handler(
        lambda websocket: [websocket.receive(), websocket.close_code]
    )
    site = serve(handler, ws_ping_interval=0.2, ws_ping_timeout=0.3)
    with opened(site) as client:
        assert next_frame(client) == (0x89, b"")
        assert close_code(client) == 1011
        assert handler.wait() == [None, 1006]


def test_fault_21_a_handshake_has_a_deadline(serve):
    """A head that never ends holds nothing for ever."""
    with serve(echo, head_timeout=0.3).raw() as client:
        client.send(handshake()[:-2])
        assert client.response()[0] == 408


def test_an_event_that_raises_is_logged_and_closes_with_1011(caplog, serve):
    """RFC 6455 7.4.1: its page of HTML went into the stream of frames."""
    app = WSocketApp()

    def on_message(message, client):
        raise ValueError("broken")

    app.onmessage += on_message
    caplog.set_level(logging.ERROR, "wsocket")
    with opened(serve(app)) as client:
        client.send(frame(1, b"x"))
        assert close_code(client) == 1011
    assert "ValueError: broken" in caplog.text
