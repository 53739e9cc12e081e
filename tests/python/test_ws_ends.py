"""Why a WebSocket ended is known on both sides: what we tell a peer that we give
up (RFC 6455 7.1.7) is told to the application, and logged."""

import json
import threading
import wsgiref.simple_server
import zlib

import pytest
from test_ws_limits import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    event_app,
    frame,
    open_raw,
    read_frame,
)

import wsocket
from wsocket.middleware import Middleware

BIG = (1009, "message too big", " (ws_max_size)")
CASES = {
    "too long": (frame(BINARY, bytes(2000)), BIG),
    "too long in fragments": (
        b"\x02\x80\0\0\0\0" + frame(0, bytes(2000)),
        BIG,
    ),
    "no UTF-8": (frame(TEXT, b"\xff"), (1007, "text is not UTF-8", "")),
    "not masked": (frame(TEXT, b"x", None), (1002, None, "")),
    "an unknown opcode": (frame(3), (1002, None, "")),
    "half a code": (frame(CLOSE, b"x"), (1002, "Close with half a code", "")),
}


def told(ws):
    return (
        *(ws.close_code, ws.close_reason, ws.close_clean),
        *(ws.sent_code, ws.sent_reason),
    )


def blocking(seen):
    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        assert ws.receive() is None
        errors = []
        for again in (ws.receive, lambda: ws.send("x")):
            with pytest.raises(wsocket.WebSocketError) as caught:
                again()
            errors.append(str(caught.value))
        seen.append((*told(ws), errors))
        return []

    return app


def events(seen):
    def onclose(message, client):
        assert message == client.close_reason
        seen.append(told(client))

    return event_app(
        onmessage=lambda message, client: None, onclose=onclose
    )


@pytest.mark.parametrize("what", CASES)
@pytest.mark.parametrize("kind", [blocking, events])
def test_a_peer_that_is_given_up_is_named_on_our_side(
    serve, tmp_path, eventually, kind, what
):
    octets, (code, reason, option) = CASES[what]
    path, seen = tmp_path / "access.log", []
    site = serve(
        kind(seen),
        ws_max_size=1000,
        access_logfile=str(path),
        access_log_format="%m %s %{close_code}w %{close_reason}w "
        "%{sent_code}w %{sent_reason}w",
    )
    with open_raw(site, octets) as client:
        opcode, payload = read_frame(client)
        assert (opcode, int.from_bytes(payload[:2], "big")) == (CLOSE, code)
        said = payload[2:].decode()
        assert said == (reason or said) != ""
    eventually(lambda: seen)
    words = "sent %d: %s%s" % (code, said, option)
    assert seen[0][:5] == (1006, words, False, code, said)
    if kind is blocking:
        for error in seen[0][5]:
            assert error.endswith(
                ": the WebSocket is closed (1006; %s)" % words
            )
    eventually(lambda: path.read_text().count("\n") == 2)
    line = path.read_text().splitlines()[1]
    assert line == "WEBSOCKET %d 1006 - %d %s" % (code, code, said)


def test_the_limit_of_a_compressed_message_is_named(serve, eventually):
    seen = []
    pack = zlib.compressobj(wbits=-15)
    small = pack.compress(bytes(100000)) + pack.flush(zlib.Z_SYNC_FLUSH)
    octets = frame(BINARY, small[:-4])
    octets = bytes([octets[0] | 0x40]) + octets[1:]
    site = serve(events(seen), ws_max_size=1000)
    with site.raw() as client:
        client.send(
            b"GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            octets,
        )
        assert client.head()[0] == 101
        assert read_frame(client)[1][:2] == b"\x03\xf1"
    eventually(lambda: seen)
    assert seen[0][1] == "sent 1009: message too big (ws_max_size)"


def test_messages_that_are_too_big_are_counted_in_the_error_log(
    serve, server_log
):
    site = serve(events([]), ws_max_size=1000)
    with open_raw(site, frame(BINARY, bytes(1001))) as client:
        assert read_frame(client)[0] == CLOSE
    said = server_log("the limit is ws_max_size (1000)")
    assert "WebSockets closed with 1009: 1 since the start;" in said
    assert said.count("ws_max_size") == 1


def test_a_silent_peer_is_named_with_its_option(serve, eventually):
    seen = []
    site = serve(events(seen), ws_ping_interval=0.1, ws_ping_timeout=0.2)
    with open_raw(site) as client:
        assert read_frame(client)[0] == PING
        assert read_frame(client)[1][:2] == b"\x03\xf3"
    eventually(lambda: seen)
    words = "sent 1011: no answer to a ping (ws_ping_timeout)"
    assert seen[0] == (1006, words, False, 1011, "no answer to a ping")


@pytest.mark.parametrize(
    "answer, right",
    [
        (frame(CLOSE, b"\x0f\xa1bye"), (4001, "bye", True, 4000, "go \xe9")),
        (frame(CLOSE), (1005, "", True, 4000, "go \xe9")),
        (None, (1006, "", False, 4000, "go \xe9")),
    ],
)
def test_what_the_application_sends_is_told_beside_what_the_peer_does(
    serve, tmp_path, eventually, answer, right
):
    path, seen = tmp_path / "access.log", []
    app = event_app(
        onconnect=lambda client: client.close(4000, "go \xe9"),
        onclose=lambda message, client: seen.append(told(client)),
    )
    site = serve(app, access_logfile=str(path), access_log_format="json")
    with open_raw(site) as client:
        assert read_frame(client) == (CLOSE, b"\x0f\xa0go \xc3\xa9")
        if answer:
            client.send(answer)
            assert read_frame(client) == (None, b"")
    eventually(lambda: seen)
    assert seen[0] == right
    eventually(lambda: path.read_bytes().count(b"\n") == 2)
    line = json.loads(path.read_text("utf-8").splitlines()[1])
    assert line["code"] == line["close_code"] == right[0]
    assert line["close_reason"] == (right[1] or None)
    assert (line["sent_code"], line["sent_reason"]) == right[3:]


def test_an_answer_to_a_close_is_what_we_have_sent(serve, eventually):
    seen = []
    with open_raw(serve(events(seen)), frame(CLOSE, b"\x03\xe8x")) as client:
        assert read_frame(client) == (CLOSE, b"\x03\xe8")
    eventually(lambda: seen)
    assert seen == [(1000, "x", True, 1000, "")]


def test_without_a_close_of_ours_there_is_no_code(serve, eventually):
    seen = []
    with open_raw(serve(events(seen))):
        pass
    eventually(lambda: seen)
    assert seen == [(1006, "", False, None, None)]


def test_while_it_is_open_nothing_was_sent(serve):
    seen = []

    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        seen.append((ws.sent_code, ws.sent_reason))
        ws.accept()
        seen.append((ws.sent_code, ws.sent_reason))
        return []

    with serve(app).ws() as client:
        with pytest.raises(Exception):
            client.recv()
    assert seen == [(None, None)] * 2


@pytest.mark.plain
def test_a_client_is_told_why_it_gave_a_server_up(serve):
    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        ws.send(bytes(11))
        ws.receive()
        return []

    site = serve(app)
    with wsocket.connect(
        "ws://127.0.0.1:%d/" % site.port, max_size=10
    ) as ws:
        assert ws.receive(30) is None
        words = "sent 1009: message too big (ws_max_size)"
        assert told(ws) == (1006, words, False, 1009, "message too big")
        with pytest.raises(wsocket.WebSocketError, match="1006; sent 1009"):
            ws.send("x")
        with pytest.raises(wsocket.WebSocketError, match="1006; sent 1009"):
            ws.receive()


def test_on_another_server_it_is_told_as_well():
    class Quiet(wsgiref.simple_server.WSGIRequestHandler):
        def log_message(self, *args):
            pass

    seen = []
    server = wsgiref.simple_server.make_server(
        *("127.0.0.1", 0),
        Middleware(blocking(seen), ws_max_size=1000),
        handler_class=Quiet,
    )
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    with wsocket.connect("ws://127.0.0.1:%d/" % server.server_port) as ws:
        ws.send(bytes(1001))
        assert ws.receive(30) is None
        assert (ws.close_code, ws.close_reason) == (1009, "message too big")
    thread.join()
    server.server_close()
    words = "sent 1009: message too big (ws_max_size)"
    assert seen[0][:5] == (1006, words, False, 1009, "message too big")
