"""Libraries made for other servers, unchanged: they find the connection as
environ["werkzeug.socket"] or environ["gunicorn.socket"] and speak on it by
themselves."""

import contextlib
import gc
import os
import select
import selectors
import socket
import threading
import time

import pytest
from patience import PATIENCE
from websockets.exceptions import ConnectionClosed, InvalidStatus

from wsocket import _detached

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
ATTEMPT = (
    "GET %s HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n%s\r\n\r\n"
)


def attempt(path="/"):
    return (ATTEMPT % (path, KEY)).encode()


# ------------------------------------------------------------ the socket ---


@pytest.mark.parametrize("name", ["werkzeug.socket", "gunicorn.socket"])
def test_what_came_behind_the_head_comes_first(serve, name):
    def app(environ, start_response):
        sock = environ[name]
        sock.sendall(b"hello ")
        got = sock.recv(3)
        buffer = bytearray(2)
        sock.recv_into(buffer)
        while len(got) < 10:
            got += sock.recv(10)
        sock.sendall(got + buffer)
        return []

    with serve(app).raw() as client:
        client.send(attempt(), b"earlyAB")
        assert client.file.read(6) == b"hello "
        client.send(b"CDEFG")
        assert client.file.read(12) == b"earABCDEFGly"
        assert client.file.read() == b""


def test_a_default_timeout_does_not_end_a_connection_that_is_silent():
    near, far = socket.socketpair()
    socket.setdefaulttimeout(0.05)
    try:
        sock = _detached.make(near.detach(), b"early")
    finally:
        socket.setdefaulttimeout(None)
    with sock, far:
        sock.settimeout(PATIENCE)
        far.settimeout(PATIENCE)
        assert sock.recv(5) == b"early"
        time.sleep(0.2)
        far.sendall(b"late")
        assert sock.recv(4) == b"late"
        sock.sendall(b"answer")
        assert far.recv(6) == b"answer"


@pytest.mark.parametrize("can_start", [0, 1])
def test_without_a_thread_the_descriptor_stays_the_callers(
    monkeypatch, can_start
):
    near, far = socket.socketpair()
    start, started = threading.Thread.start, []

    def start_some(thread):
        if len(started) == can_start:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    with monkeypatch.context() as patched, near, far:
        patched.setattr(threading.Thread, "start", start_some)
        with pytest.raises(RuntimeError):
            _detached.make(near.fileno(), b"early")
        assert os.fstat(near.fileno())  # or the extension would close it twice
        for thread in started:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_it_is_a_socket_in_every_way(serve):
    seen = {}

    def app(environ, start_response):
        with environ["werkzeug.socket"] as sock:
            seen["same"] = sock is environ["gunicorn.socket"]
            seen["peer"] = sock.getpeername()
            seen["name"] = sock.getsockname()
            seen["type"] = sock.getsockopt(
                socket.SOL_SOCKET, socket.SO_TYPE
            )
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            seen["family"] = sock.family
            seen["timeout"] = sock.gettimeout()
            seen["inherited"] = os.get_inheritable(sock.fileno())
            sock.settimeout(0.01)
            with contextlib.suppress(TimeoutError, socket.timeout):
                sock.recv(1)
                seen["timeout"] = "none came"
            sock.setblocking(False)
            with selectors.DefaultSelector() as selector:
                selector.register(sock, selectors.EVENT_READ)
                sock.send(b"?")
                assert selector.select(20)
            sock.setblocking(True)
            copy = sock.dup()
            copy.sendall(sock.recv(10))
            copy.close()
            sock.shutdown(socket.SHUT_WR)
        return []

    site = serve(app)
    with site.raw() as client:
        client.send(attempt())
        assert client.file.read(1) == b"?"
        client.send(b"answer")
        assert client.file.read() == b"answer"
        assert seen == {
            "same": True,
            "peer": client.socket.getsockname(),
            "name": ("127.0.0.1", site.port),
            "type": socket.SOCK_STREAM,
            "family": socket.AF_INET,
            "timeout": None,
            "inherited": False,
        }


def test_who_only_looks_at_it_does_not_take_the_connection(serve):
    def app(environ, start_response):
        sock = environ["werkzeug.socket"]
        repr(environ)
        hasattr(sock, "__deepcopy__")
        isinstance(sock, socket.socket)
        environ["wsgi.websocket"].send("still yours")
        return []

    with serve(app).ws() as client:
        assert client.recv() == "still yours"


def test_plain_requests_have_none(serve):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [str("werkzeug.socket" in environ).encode()]

    assert serve(app).get()[2] == b"False"


def test_an_answer_after_it_was_detached_goes_nowhere(serve, caplog):
    def app(environ, start_response):
        environ["gunicorn.socket"].sendall(b"mine")
        if environ["PATH_INFO"] == "/stop":
            raise StopIteration
        if environ["PATH_INFO"] == "/answer":
            start_response("200 OK", [("Content-Length", "4")])
            return [b"lost"]
        with pytest.raises(OSError):
            environ["wsgi.websocket"].send("lost")
        return []

    site = serve(app)
    for path in ("/stop", "/answer", "/nothing"):
        with site.raw() as client:
            client.send(attempt(path), b"unread")
            assert client.file.read() == b"mine"
    assert "error" not in caplog.text


def test_a_crash_after_it_was_detached_is_logged_and_ends_the_connection(
    serve, caplog
):
    def app(environ, start_response):
        environ["werkzeug.socket"].sendall(b"mine")
        raise ValueError("broken")

    with serve(app).raw() as client:
        client.send(attempt())
        assert client.file.read() == b"mine"
    assert "ValueError: broken" in caplog.text


def test_it_is_detached_in_time_or_not_at_all(serve):
    seen = []

    def tries(environ):
        try:
            environ["werkzeug.socket"].fileno()
        except OSError as exc:
            seen.append(str(exc))

    def app(environ, start_response):
        thread = threading.Thread(target=tries, args=(environ,))
        thread.start()
        thread.join()
        environ["wsgi.websocket"].send("open")
        tries(environ)
        kept.append(environ)
        return []

    kept = []
    with serve(app).ws() as client:
        assert client.recv() == "open"
        with pytest.raises(ConnectionClosed):
            client.recv()
    tries(kept[0])
    assert "in the handler's own thread" in seen[0]
    assert "environ['wsgi.websocket']" in seen[1]
    assert "in the handler's own thread" in seen[2]


def count_descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc")
def test_no_descriptor_is_left_behind(serve, eventually):
    def app(environ, start_response):
        sock = environ["werkzeug.socket"]
        sock.sendall(b"x")
        if environ["PATH_INFO"] == "/close":
            sock.close()
        return []

    site = serve(app)
    site.get("/")
    before = count_descriptors()
    for path in ("/close", "/drop") * 20:
        with site.raw() as client:
            client.send(attempt(path))
            assert client.file.read() == b"x"
    eventually(lambda: count_descriptors() <= before)


# -------------------------------------------- simple-websocket, flask-sock ---


def make_flask_sock():
    """flask-sock's own echo example, and a plain view of wsocket's."""
    flask = pytest.importorskip("flask")
    flask_sock = pytest.importorskip("flask_sock")
    app = flask.Flask("site")
    sock = flask_sock.Sock(app)

    @app.route("/")
    def index():
        return "a page"

    @sock.route("/echo")
    def echo(ws):
        while True:
            data = ws.receive()
            if data == "close":
                break
            if data == "crash":
                raise ValueError("broken")
            ws.send(data)

    @app.route("/plain")
    def plain():
        ws = flask.request.environ["wsgi.websocket"]
        for message in ws:
            ws.send(message)
        return ""

    return app


def test_flask_sock_and_plain_views_in_one_application(serve, caplog):
    site = serve(make_flask_sock())
    assert site.get()[2] == b"a page"
    for path in ("/echo", "/plain"):
        with site.ws(path) as client:
            for message in ("h\xe9", b"\0\xff", "x" * 300000):
                client.send(message)
                assert client.recv() == message
            client.ping().wait(20)
    for path in ("/echo", "/plain"):
        with pytest.raises(InvalidStatus) as caught:
            site.ws(path + "/nowhere")
        assert caught.value.response.status_code == 404
    assert "error" not in caplog.text


def test_flask_sock_closes_from_its_side(serve):
    with serve(make_flask_sock()).ws("/echo") as client:
        client.send("close")
        with pytest.raises(ConnectionClosed):
            client.recv()
        assert client.close_code == 1000


def test_flask_sock_options_pings_and_compression(serve):
    app = make_flask_sock()
    app.config["SOCK_SERVER_OPTIONS"] = {
        "ping_interval": 0.05,
        "subprotocols": ["chat"],
    }
    site = serve(app)
    with site.ws(
        "/echo", compression="deflate", subprotocols=["other", "chat"]
    ) as client:
        assert client.subprotocol == "chat"
        for size in (0, 1, 1000):
            client.send("x" * size)
            assert client.recv() == "x" * size


def test_many_flask_sock_clients_hold_no_place_of_threads(serve):
    site = serve(make_flask_sock(), threads=2)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(site.ws("/echo")) for _ in range(20)]
        assert site.get()[2] == b"a page"
        for number, client in enumerate(clients):
            client.send(str(number))
        for number, client in enumerate(clients):
            assert client.recv() == str(number)


def test_a_stop_ends_flask_sock_handlers_at_once(serve):
    site = serve(make_flask_sock(), graceful_timeout=60)
    with site.ws("/echo") as client:
        client.send("x")
        assert client.recv() == "x"
        assert site.stop()
        with pytest.raises(ConnectionClosed):
            client.recv()


def test_a_flask_sock_client_that_vanishes_leaves_nothing(serve, eventually):
    site = serve(make_flask_sock())
    for _ in range(10):
        with site.ws("/echo") as client:
            client.send("x")
            assert client.recv() == "x"
            client.socket.shutdown(socket.SHUT_RDWR)
    eventually(
        lambda: not [
            thread
            for thread in threading.enumerate()
            if "simple_websocket" in thread.name
        ]
    )


@pytest.mark.plain
def test_the_example_of_simple_websocket(serve):
    simple_websocket = pytest.importorskip("simple_websocket")

    flask = pytest.importorskip("flask")
    app = flask.Flask("site")

    @app.route("/echo", websocket=True)
    def echo():
        ws = simple_websocket.Server.accept(flask.request.environ)
        try:
            while True:
                data = ws.receive()
                ws.send(data)
        except simple_websocket.ConnectionClosed:
            pass
        return ""

    url = "ws://127.0.0.1:%d/echo" % serve(app).port
    client = simple_websocket.Client.connect(url)
    client.send("hello")
    assert client.receive(timeout=20) == "hello"
    client.close()


# --------------------------------------------------------- Flask-SocketIO ---


def make_rooms():
    flask = pytest.importorskip("flask")
    socketio = pytest.importorskip("flask_socketio")
    app = flask.Flask("rooms")
    io = socketio.SocketIO(app, async_mode="threading")

    @app.route("/")
    def index():
        return "a page"

    @io.on("join")
    def join(room):
        socketio.join_room(room)
        return "joined " + room

    @io.on("say")
    def say(room, text):
        io.emit("said", text, to=room)

    @io.on("disconnect")
    def disconnect(*reason):
        app.left.set()

    app.left = threading.Event()
    return app


class Member:
    """python-socketio's client, and what it was told."""

    def __init__(self, port, transports):
        socketio = pytest.importorskip("socketio")
        self.said = []
        self.heard = threading.Event()
        self.client = socketio.Client(reconnection=False)
        self.client.on("said", self.hear)
        self.client.connect(
            "http://127.0.0.1:%d" % port,
            transports=transports,
            wait_timeout=20,
        )

    def hear(self, text):
        self.said.append(text)
        self.heard.set()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.client.disconnect()


@pytest.mark.plain
@pytest.mark.parametrize(
    "transports", [["polling"], ["websocket"], ["polling", "websocket"]]
)
def test_a_room_of_flask_socketio(serve, transports, eventually):
    app = make_rooms()
    site = serve(app)
    assert site.get()[2] == b"a page"
    with Member(site.port, transports) as ann, Member(
        site.port, transports
    ) as bob, Member(site.port, transports) as eve:
        assert ann.client.call("join", "r", timeout=20) == "joined r"
        assert bob.client.call("join", "r", timeout=20) == "joined r"
        assert eve.client.call("join", "other", timeout=20) == "joined other"
        assert ann.client.transport() == transports[-1]
        ann.client.emit("say", ("r", "h\xe9llo"))
        assert ann.heard.wait(20) and bob.heard.wait(20)
        assert ann.said == bob.said == ["h\xe9llo"]
        assert eve.said == []
    assert app.left.wait(20)


def leaving(error):
    """An application that takes the socket, waits for its end, and raises."""

    def app(environ, start_response):
        sock = environ["werkzeug.socket"]
        sock.sendall(b"taken")
        if environ["QUERY_STRING"] != "alive":
            while sock.recv(100):
                pass
        raise error

    return app


@pytest.mark.parametrize("query", ["alive", "gone"])
@pytest.mark.parametrize(
    "error, quiet",
    [
        (StopIteration, {"alive", "gone"}),
        (ConnectionError, {"alive", "gone"}),
        (BrokenPipeError, {"gone"}),
        (ConnectionResetError, {"gone"}),
        (ConnectionAbortedError, {"gone"}),
        (ConnectionRefusedError, set()),
        (ValueError, set()),
        (OSError, set()),
    ],
)
def test_how_a_handler_leaves_a_detached_socket_is_no_error(
    serve, caplog, eventually, error, quiet, query
):
    with serve(leaving(error)).raw() as client:
        client.send(attempt("/?" + query))
        assert client.file.read(5) == b"taken"
        if query == "gone":
            client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == b""
        if query not in quiet:
            eventually(lambda: "Traceback" in caplog.text)
    assert ("Traceback" in caplog.text) == (query not in quiet)


def asks_select(sock):
    return select.select([sock], [], [], PATIENCE)[0] and sock.recv(5)


def asks_a_selector(sock):
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        assert selector.select(PATIENCE)
        return sock.recv(5)


def reads_the_descriptor(sock):
    return os.read(sock.fileno(), 5)


def reads_a_file(sock):
    return sock.makefile("rb", 0).read(5)


@pytest.mark.parametrize(
    "read", [asks_select, asks_a_selector, reads_the_descriptor, reads_a_file]
)
def test_octets_behind_the_handshake_are_seen_at_the_descriptor(serve, read):
    def app(environ, start_response):
        sock = environ["werkzeug.socket"]
        assert sock.getpeername()[0] == "127.0.0.1"
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert select.select([], [sock], [], PATIENCE)[1]
        early = read(sock)
        sock.sendall(early + asks_select(sock) + b"x" * 300000)
        raise StopIteration

    with serve(app).raw() as client:
        client.send(attempt(), b"early")
        client.send(b"later")
        assert client.rest() == b"earlylater" + b"x" * 300000


def test_flask_sock_with_pings_hears_a_frame_behind_the_handshake(serve):
    flask = pytest.importorskip("flask")
    flask_sock = pytest.importorskip("flask_sock")
    app = flask.Flask(__name__)
    app.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": PATIENCE}

    @flask_sock.Sock(app).route("/")
    def echo(ws):
        while True:
            ws.send(ws.receive() + "!")

    with serve(app).raw() as client:
        client.send(attempt(), b"\x81\x82\0\0\0\0hi")
        assert client.head()[0] == 101
        assert client.file.read(5) == b"\x81\x03hi!"
        client.send(b"\x81\x82\0\0\0\0yo")
        assert client.file.read(5) == b"\x81\x03yo!"
