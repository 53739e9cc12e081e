"""WebSockets on the sockets of other servers, wsgiref's and werkzeug's."""

import contextlib
import logging
import socket
import socketserver
import sys
import threading
import types
import wsgiref.simple_server

import pytest
import werkzeug.serving
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from wsocket import WebSocketError, WSocketApp
from wsocket.middleware import Middleware, head_of, is_attempt, reach

HANDSHAKE = (
    b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class QuietHandler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *args):
        pass


class ThreadingServer(
    socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer
):
    daemon_threads = True


def make_wsgiref(app):
    return wsgiref.simple_server.make_server(
        "127.0.0.1", 0, app, ThreadingServer, QuietHandler
    )


def make_werkzeug(app):
    return werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True)


@pytest.fixture(params=[make_wsgiref, make_werkzeug])
def serve(request):
    """Serve an application on a thread; returns host:port."""
    with contextlib.ExitStack() as stack:

        def start(app):
            server = request.param(app)
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            stack.callback(server.server_close)
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return "127.0.0.1:%d" % server.server_port

        yield start


def echo(environ, start_response):
    ws = environ.get("wsgi.websocket")
    if ws is None:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"plain"]
    for message in ws:
        ws.send(message)
    return []


MESSAGES = ["hi", "", "é" * 300, b"\0\xff", b"", b"x" * 1048576, "y" * 65536]


@pytest.mark.parametrize("compression", ["deflate", None])
def test_messages_of_every_kind_come_back(serve, compression):
    site = serve(Middleware(echo))
    with connect("ws://" + site, compression=compression, max_size=None) as ws:
        for message in MESSAGES:
            ws.send(message)
            assert ws.recv(timeout=30) == message
        ws.send(["in ", "three ", "pieces"])
        assert ws.recv(timeout=30) == "in three pieces"
        assert ws.ping().wait(30)
    assert ws.close_code == 1000


def test_octets_behind_the_handshake_are_frames(serve):
    host, port = serve(Middleware(echo)).split(":")
    frame = b"\x81\x82\0\0\0\0hi"
    with socket.create_connection((host, int(port)), timeout=30) as client:
        client.sendall(HANDSHAKE + frame)
        head, rest = b"", b""
        while len(rest) < 4:
            head += client.recv(4096) or pytest.fail("closed: %r" % head)
            rest = head.partition(b"\r\n\r\n")[2]
    assert head.startswith(b"HTTP/1.1 101 ")
    assert rest == b"\x81\x02hi"


def test_nothing_follows_the_frames(serve):
    def app(environ, start_response):
        environ["wsgi.websocket"].send("bye")
        return [b"never seen"]

    host, port = serve(Middleware(app)).split(":")
    with socket.create_connection((host, int(port)), timeout=30) as client:
        client.sendall(HANDSHAKE + b"\x88\x80\0\0\0\0")
        octets = b""
        while True:
            piece = client.recv(4096)
            if not piece:
                break
            octets += piece
    frames = octets.partition(b"\r\n\r\n")[2]
    assert frames in (
        b"\x81\x03bye\x88\x02\x03\xe8",  # ours first
        b"\x81\x03bye\x88\x00",
    )


def test_a_closed_websocket_says_who_closed_it_and_how(serve):
    seen = []
    over = threading.Event()

    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        while ws.receive() is not None:
            pass
        seen.append((ws.close_code, ws.close_reason, ws.close_clean))
        with pytest.raises(WebSocketError):
            ws.receive()
        over.set()
        return []

    with connect("ws://" + serve(Middleware(app))) as ws:
        ws.close(4321, "so long")
    assert over.wait(30)
    assert seen == [(4321, "so long", True)]


def test_a_reset_ends_the_handler_with_1006(serve):
    seen = []
    over = threading.Event()

    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        ws.send("here")
        list(ws)
        seen.append(ws.close_code)
        over.set()
        return []

    host, port = serve(Middleware(app)).split(":")
    client = socket.create_connection((host, int(port)), timeout=30)
    client.sendall(HANDSHAKE)
    octets = b""
    while not octets.endswith(b"here"):
        octets += client.recv(4096) or pytest.fail("closed: %r" % octets)
    client.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
    )
    client.close()
    assert over.wait(30)
    assert seen == [1006]


def test_the_application_may_close(serve):
    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        ws.receive()
        ws.close(4000, "bye")
        return []

    with connect("ws://" + serve(Middleware(app))) as ws:
        ws.send("x")
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv(timeout=30)
    assert closed.value.rcvd.code == 4000
    assert closed.value.rcvd.reason == "bye"


def test_a_handler_that_returns_closes_with_1000(serve):
    with connect("ws://" + serve(Middleware(lambda e, s: []))) as ws:
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv(timeout=30)
    assert closed.value.rcvd.code == 1000


def test_a_crash_closes_with_1011_and_is_logged(serve, caplog):
    def app(environ, start_response):
        environ["wsgi.websocket"].receive()
        raise KeyError("crashed on purpose")

    with connect("ws://" + serve(Middleware(app))) as ws:
        ws.send("x")
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv(timeout=30)
    assert closed.value.rcvd.code == 1011
    assert "crashed on purpose" in caplog.text


def test_a_framework_reports_a_crash_through_start_response(serve):
    def app(environ, start_response):
        environ["wsgi.websocket"].receive()
        start_response("500 Internal Server Error", [])
        return [b"never seen"]

    with connect("ws://" + serve(Middleware(app))) as ws:
        ws.send("x")
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv(timeout=30)
    assert closed.value.rcvd.code == 1011


def raw_answer(site, request=HANDSHAKE):
    host, port = site.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as client:
        client.sendall(request)
        octets = b""
        while b"\r\n\r\n" not in octets:
            octets += client.recv(4096) or pytest.fail("closed")
    return octets


def test_an_answer_before_the_first_use_refuses(serve):
    used = []

    def app(environ, start_response):
        start_response("401 Unauthorized", [("X-Why", "no cookie")])
        yield b""
        yield b"who are you?"
        try:
            environ["wsgi.websocket"].send("x")
        except WebSocketError:
            used.append("refused")

    octets = raw_answer(serve(Middleware(app)))
    assert b" 401 " in octets.partition(b"\r\n")[0]
    assert b"X-Why: no cookie" in octets


def test_a_use_after_start_response_still_accepts(serve):
    """As on our own server."""

    def app(environ, start_response):
        start_response("404 Not Found", [("X-Why", "not sent")])
        environ["wsgi.websocket"].send("all the same")
        return [b"not sent either"]

    with connect("ws://" + serve(Middleware(app))) as ws:
        assert ws.recv(timeout=30) == "all the same"
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv(timeout=30)
    assert closed.value.rcvd.code == 1000


@pytest.mark.parametrize(
    "request_head, status",
    [
        (HANDSHAKE.replace(b"Version: 13", b"Version: 99"), b"426"),
        (HANDSHAKE.replace(b"dGhl", b""), b"400"),
        (HANDSHAKE.replace(b"GET", b"POST"), b"405"),
        (
            HANDSHAKE.replace(b"\r\n\r\n", b"\r\nOrigin: http://evil\r\n\r\n"),
            b"403",
        ),
    ],
)
def test_a_bad_handshake_never_reaches_the_application(
    serve, request_head, status
):
    octets = raw_answer(serve(Middleware(echo)), request_head)
    assert octets.split(b" ")[1] == status


@pytest.mark.parametrize(
    "scheme, origin, right",
    [
        ("http", "http://127.0.0.1", b"101"),
        ("http", "https://127.0.0.1", b"101"),
        ("https", "https://127.0.0.1", b"101"),
        ("https", "http://127.0.0.1", b"403"),
        ("https", "evil://127.0.0.1", b"403"),
    ],
)
def test_the_scheme_of_the_environ_is_the_sites(
    serve, caplog, scheme, origin, right
):
    """A server with TLS, or a ProxyFix, says so; the log shows the origin."""
    app = Middleware(echo)

    def around(environ, start_response):
        environ["wsgi.url_scheme"] = scheme
        return app(environ, start_response)

    field = b"\r\nOrigin: %s\r\n\r\n" % origin.encode()
    asked = HANDSHAKE.replace(b"\r\n\r\n", field)
    site = serve(around)
    if right == b"101":
        with socket.create_connection(site.split(":")) as peer:
            peer.sendall(asked)
            assert peer.recv(12).split(b" ")[1] == right
        return
    for _ in range(20):
        assert raw_answer(site, asked).split(b" ")[1] == right
    said = [r.getMessage() for r in caplog.records if origin in r.getMessage()]
    assert 1 <= len(said) < 20
    assert "ws_origins" in said[0]
    assert "1 since the start" in said[0]


def test_options_and_hooks_are_those_of_the_server(serve):
    def hook(environ):
        if environ["PATH_INFO"] == "/no":
            return 403, [], b"no"
        return {"X-Room": "7"}

    app = Middleware(
        echo, ws_max_size=10, ws_subprotocols=["b", "a"], on_handshake=hook
    )
    site = serve(app)
    with connect("ws://" + site, subprotocols=["a", "b"]) as ws:
        assert ws.subprotocol == "b"
        assert ws.response.headers["X-Room"] == "7"
        ws.send("x" * 11)
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv(timeout=30)
    assert closed.value.sent.code == closed.value.rcvd.code == 1009
    refused = raw_answer(site, HANDSHAKE.replace(b"/echo", b"/no"))
    assert b" 403 " in refused.partition(b"\r\n")[0]


def test_events_work_without_a_loop(serve):
    log = []
    over = threading.Event()
    app = WSocketApp()
    app.onconnect = lambda client: log.append(client.path)
    app.onmessage = lambda message, client: client.send(message * 2)

    def on_close(message, client):
        log.append((message, client.close_code))
        over.set()

    app.onclose = on_close
    with connect("ws://" + serve(app) + "/room") as ws:
        ws.send("ab")
        assert ws.recv(timeout=30) == "abab"
        ws.close(1001, "away")
    assert over.wait(30)
    assert log == ["/room", ("away", 1001)]


def test_messages_that_go_to_events_cannot_be_received(serve):
    """As on our own server."""
    told = []

    class App(WSocketApp):
        def onconnect(self, client):
            for receive in (client.receive, client.receive_stream):
                try:
                    told.append(receive(timeout=0))
                except WebSocketError as error:
                    told.append("onmessage" in str(error))

        def onmessage(self, message, client):
            client.send(message)

    with connect("ws://" + serve(App())) as ws:
        ws.send("to the event")
        assert ws.recv(timeout=30) == "to the event"
    assert told == [True, True]


def test_receive_gives_up_in_time_and_goes_on(serve):
    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        try:
            ws.receive(timeout=0.05)
        except TimeoutError:
            ws.send("nothing came")
        ws.send(ws.receive())
        return []

    with connect("ws://" + serve(Middleware(app))) as ws:
        assert ws.recv(timeout=30) == "nothing came"
        ws.send("now")
        assert ws.recv(timeout=30) == "now"


def test_a_silent_peer_is_pinged_and_given_up(serve):
    seen = []
    over = threading.Event()

    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        list(ws)
        seen.append(ws.close_code)
        over.set()
        return []

    site = serve(
        Middleware(app, ws_ping_interval=0.1, ws_ping_timeout=0.1)
    )
    host, port = site.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as client:
        client.sendall(HANDSHAKE)
        octets = b""
        while b"\x89\x00\x88" not in octets:  # a ping, then a Close
            octets += client.recv(4096) or pytest.fail("closed: %r" % octets)
        assert over.wait(30)
    assert seen == [1006]


def test_plain_requests_and_old_upgrades_pass(serve):
    site = serve(Middleware(echo))
    plain = raw_answer(site, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    old = raw_answer(site, HANDSHAKE.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert b" 200 " in plain.partition(b"\r\n")[0]
    assert b" 200 " in old.partition(b"\r\n")[0]


ATTEMPT = {
    "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "SERVER_SOFTWARE": "waitress",
    "PATH_INFO": "/a b",
    "QUERY_STRING": "c=d",
    "HTTP_HOST": "localhost",
    "HTTP_UPGRADE": "WebSocket",
    "HTTP_CONNECTION": "Upgrade",
}


def test_a_server_without_a_socket_gets_501_and_one_line(caplog):
    app = Middleware(echo)
    answers = []
    environ = dict(ATTEMPT, SERVER_SOFTWARE="nosocket/1.0")
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            body = b"".join(app(dict(environ), lambda *a: answers.append(a)))
    assert [status[:3] for status, _ in answers] == ["501", "501"]
    assert b"nosocket/1.0" in body
    assert b"gunicorn" in body
    assert caplog.text.count("nosocket/1.0 lends") == 1


@pytest.mark.parametrize("option", ["https-socket", b"https-socket"])
def test_uwsgi_with_tls_of_its_own_gets_501(monkeypatch, caplog, option):
    """Its descriptor is below the TLS that the worker keeps to itself."""
    fake = types.ModuleType("uwsgi")
    fake.opt = {option: b"0.0.0.0:443,crt,key"}
    monkeypatch.setitem(sys.modules, "uwsgi", fake)
    environ = dict(ATTEMPT, **{"uwsgi.version": b"2", "wsgi.url_scheme": "https"})
    with caplog.at_level(logging.ERROR):
        assert reach(environ) is None
        answers = []
        Middleware(echo)(environ, lambda *a: answers.append(a))
    assert answers[0][0].startswith("501")


def test_the_head_is_written_anew_from_the_environ():
    assert is_attempt(ATTEMPT)
    assert reach(ATTEMPT) is None
    assert head_of(ATTEMPT) == (
        b"GET /a%20b?c=d HTTP/1.1\r\nHost: localhost\r\n"
        b"Upgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n"
    )
