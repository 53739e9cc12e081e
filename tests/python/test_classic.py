"""make_server, WSocketServer and run: wsgiref's interface over the server in C."""

import signal
import socket
import threading
import wsgiref.simple_server

import pytest
from conftest import Raw, Site
from patience import PATIENCE

import wsocket
from wsocket import (
    FixedHandler,
    ThreadingWSGIServer,
    WebSocketHandler,
    WSocketApp,
    WSocketServer,
    make_server,
)


def hello(environ, start_response):
    start_response("200 OK", [("X-Software", environ["SERVER_SOFTWARE"])])
    return [b"hello"]


class Own(FixedHandler):
    def log_message(self, format, *args):
        pass


@pytest.fixture
def forever():
    """forever(server): a Site; at the end shutdown() must stop it."""
    running = []

    def start(server):
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        running.append((server, thread))
        server.port = server.server_port
        return Site(server)

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        server.server_close()


def in_c(site):
    status, headers, body = site.get()
    assert (status, body) == (200, b"hello")
    return headers["x-software"].startswith("wsocket")


QUIET = {"access_logfile": "none"}


def test_by_default_it_is_the_server_in_c(forever):
    server = make_server("127.0.0.1", 0, hello, **QUIET)
    assert isinstance(server, WSocketServer)
    assert isinstance(server, ThreadingWSGIServer)
    assert isinstance(server, wsgiref.simple_server.WSGIServer)
    assert server.get_app() is hello
    assert server.server_port == server.server_address[1] != 0
    assert in_c(forever(server))


@pytest.mark.parametrize(
    "classes, kind, fast",
    [
        ({"handler_class": Own}, ThreadingWSGIServer, False),
        ({"handler_cls": Own}, ThreadingWSGIServer, False),
        ({"server_class": WSocketServer}, WSocketServer, True),
        ({"server_cls": WSocketServer}, WSocketServer, True),
        (
            {"server_class": WSocketServer, "handler_class": WebSocketHandler},
            WSocketServer,
            True,
        ),
        (
            {"server_class": WSocketServer, "handler_class": Own},
            WSocketServer,
            False,
        ),
        (
            {
                "server_class": wsgiref.simple_server.WSGIServer,
                "handler_class": Own,
            },
            wsgiref.simple_server.WSGIServer,
            False,
        ),
    ],
)
def test_classes_that_are_given_are_used(forever, classes, kind, fast):
    server = make_server(app=hello, port=0, host="127.0.0.1", **classes)
    assert type(server) is kind
    assert in_c(forever(server)) is fast


def test_five_positions_as_wsgiref_has_them(forever):
    server = make_server("", 0, hello, ThreadingWSGIServer, Own)
    assert not in_c(forever(server))


def test_options_are_for_the_server_in_c():
    server = make_server("", 0, hello, threads=3)
    server.server_close()
    with pytest.raises(TypeError, match="threads"):
        WSocketServer(("", 0), Own, threads=3)
    with make_server("", 0, hello, thread=3) as server:
        with pytest.raises(TypeError, match="threads"):
            server.serve_forever()


def test_websockets_are_served(forever):
    app = WSocketApp()
    app.onmessage += lambda message, client: client.send(message)
    with forever(make_server("127.0.0.1", 0, app, **QUIET)).ws() as client:
        client.send("x")
        assert client.recv() == "x"


def test_it_may_serve_again_after_shutdown():
    server = make_server("127.0.0.1", 0, hello, **QUIET)
    for _ in range(2):
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with Raw(server.server_port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.response()[2] == b"hello"
        server.shutdown()
        thread.join(PATIENCE)
        assert not thread.is_alive()
    server.server_close()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", server.server_port), 1)


def test_a_shutdown_that_comes_first_is_obeyed():
    with make_server("127.0.0.1", 0, hello, **QUIET) as server:
        server.shutdown()
        server.serve_forever()


def test_the_application_is_set_before_it_serves(forever):
    server = WSocketServer(("127.0.0.1", 0), **QUIET)
    assert server.get_app() is None
    server.set_app(hello)
    site = forever(server)
    site.get()
    with pytest.raises(RuntimeError, match="before serve_forever"):
        server.set_app(hello)


def test_a_single_request_may_be_handled():
    with make_server("127.0.0.1", 0, hello) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with Raw(server.server_port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert client.response()[2] == b"hello"
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "classes", ["", ", handler_class=FixedHandler", ", server_cls=WSocketServer"]
)
def test_a_signal_ends_run_cleanly(program, tmp_path, number, classes):
    text = "from wsocket import *\nrun(None, '127.0.0.1', 0%s)\n" % classes
    (tmp_path / "served.py").write_text(text)
    served = program("served.py", command=()).wait_started()
    with served.raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.response()[0] == 200
    served.signal(number)
    assert served.wait() == 0
    assert "Traceback" not in served.said


def test_ctrl_c_leaves_serve_forever_as_it_does_in_wsgiref(program, tmp_path):
    (tmp_path / "served.py").write_text(
        "import sys\n"
        "from wsocket import make_server\n"
        "server = make_server('127.0.0.1', 0)\n"
        "print('http://x:%d/' % server.server_port, file=sys.stderr)\n"
        "try:\n"
        "    server.serve_forever()\n"
        "except KeyboardInterrupt:\n"
        "    server.server_close()\n"
        "    sys.exit(5)\n"
    )
    served = program("served.py", command=()).wait_started()
    with served.raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.response()[0] == 200
    served.signal(signal.SIGINT)
    assert served.wait() == 5


@pytest.mark.parametrize("where", ["c", "wsgiref"])
def test_drafts_are_served_where_the_application_says_so(serve, forever, where):
    class Old(WSocketApp):
        SUPPORTED_VERSIONS = ("13", "8", "7")

    for app, status in ((WSocketApp(), 426), (Old(), 101)):
        if where == "c":
            site = serve(app)
        else:
            site = forever(make_server("127.0.0.1", 0, app, handler_class=Own))
        with site.raw() as client:
            client.send(
                b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            assert client.head()[0] == status


def test_every_documented_name_is_there():
    names = """WSocketApp WebSocket Event Response WebSocketError ProtocolError
    FrameTooLargeException ThreadingWSGIServer FixedHandler FixedServerHandler
    WebSocketHandler WSocketHandler WSocketServer make_server run logger
    log_traceback __version__""".split()
    for name in names:
        assert getattr(wsocket, name) is not None
        assert name in wsocket.__all__
    assert issubclass(wsocket.WebSocketError, OSError)
    assert issubclass(wsocket.ProtocolError, wsocket.WebSocketError)
    assert issubclass(wsocket.FrameTooLargeException, wsocket.ProtocolError)
    for name in ("websocket_class", "routes"):
        assert hasattr(WSocketApp, name)
    assert WSocketApp.GUID == "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    assert WSocketApp.SUPPORTED_VERSIONS == ("13",)


def test_a_shutdown_before_serve_forever_is_remembered():
    server = make_server("127.0.0.1", 0, hello)
    server.shutdown()
    server.server_close()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_an_application_of_another_kind_is_refused_when_it_is_set():
    async def asgi(scope, receive, send):
        pass

    server = make_server("127.0.0.1", 0, hello)
    with server, pytest.raises(TypeError, match="ASGI"):
        server.set_app(asgi)
