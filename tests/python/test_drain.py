"""A server that leaves loses no request that was accepted, or that waits to
be."""

import os
import signal
import socket
import struct
import threading
import time

import pytest
from conftest import Raw
from patience import PATIENCE
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import wsocket

APP = """
import os, time, wsocket

def hello(environ, start_response):
    time.sleep(float(environ["QUERY_STRING"] or 0))
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]

app = wsocket.WSocketApp(hello)

def onmessage(message, client):
    client.send(message)

def ondraining(client):
    client.send("draining %s" % client.draining)

app.onmessage += onmessage
app.ondraining += ondraining
"""
REQUEST = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def hello(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


@pytest.fixture
def served(program, tmp_path):
    """served(*args): the program that serves the application above."""
    (tmp_path / "site_app.py").write_text(APP)

    def start(*args, bind="127.0.0.1:0"):
        started = program(
            "site_app:app", "--bind", bind, "--access-logfile", "none", *args
        )
        return started if "unix:" in bind else started.wait_started()

    return start


def dial(address):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    if family == socket.AF_INET and ":" in address[0]:
        family = socket.AF_INET6
    client = socket.socket(family)
    client.settimeout(PATIENCE)
    client.connect(address)
    return client


def answer(client):
    """The answer as (status line, fields, body); None if none came whole."""
    data = b""
    try:
        while b"\r\n\r\n" not in data or not data.endswith(b"hello"):
            got = client.recv(4096)
            if not got:
                return None
            data += got
    except ConnectionError:
        return None
    head, _, body = data.partition(b"\r\n\r\n")
    line, _, fields = head.partition(b"\r\n")
    return line, fields, body


def is_last(client):
    """True if the answer comes, says that it is the last, and is."""
    got = answer(client)
    return (
        got is not None
        and got[0] == b"HTTP/1.1 200 OK"
        and b"Connection: close" in got[1]
        and client.recv(1) == b""
    )


def queue_at(address):
    """Connections, of which some have sent a request, some a part of it."""
    clients = [dial(address) for _ in range(100)]
    for i, client in enumerate(clients):
        if i % 3 == 0:
            client.sendall(REQUEST)
        elif i % 3 == 1:
            client.sendall(REQUEST[:5])
    return clients


def speak(clients):
    for i, client in enumerate(clients):
        if i % 3 != 0:
            client.sendall(REQUEST[5:] if i % 3 == 1 else REQUEST)


@pytest.mark.parametrize("kind", ["tcp", "ipv6", "unix", "poll"])
def test_term_answers_all_that_wait_in_the_accept_queue(
    served, kind, tmp_path, monkeypatch, eventually
):
    path = str(tmp_path / "here.sock")
    bind = {"ipv6": "[::1]:0", "unix": "unix:" + path}.get(kind, "127.0.0.1:0")
    if kind == "poll":
        monkeypatch.setenv("WSK_TEST_POLLER", "poll")
    started = served(bind=bind)
    if kind == "unix":
        eventually(lambda: "Ctrl-C" in started.said)
    address = {"unix": path, "ipv6": ("::1", started.port)}.get(
        kind, ("127.0.0.1", started.port)
    )
    started.signal(signal.SIGSTOP)
    clients = queue_at(address)
    started.signal(signal.SIGTERM)
    started.signal(signal.SIGCONT)
    time.sleep(0.003)
    speak(clients)
    # The first may be accepted before Python has run the signal's handler.
    assert sum(answer(client) is not None for client in clients) == 100
    assert started.wait() == 0
    if kind == "unix":
        assert not os.path.exists(path)
    for client in clients:
        client.close()


class Asker(threading.Thread):
    """A client that asks again and again, until the server refuses it: over a
    new connection each time, or over one as long as the server keeps it."""

    def __init__(self, address, pause=0.0, keeps=False):
        super().__init__(daemon=True)
        self.address = address
        self.pause = pause
        self.keeps = keeps
        self.answered = self.lost = 0
        self.failure = None

    def run(self):
        try:
            for _ in range(100000):
                if not self.ask():
                    return
        except Exception as exc:
            self.failure = exc

    def ask(self):
        try:
            client = dial(self.address)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        with client:
            while True:
                time.sleep(self.pause)
                client.sendall(REQUEST)
                got = answer(client)
                if got is None:
                    self.lost += 1
                    return True
                self.answered += 1
                if not self.keeps or b"Connection: close" in got[1]:
                    return True


def askers_of(address):
    kinds = [(0, False), (0.003, False), (0, True), (0.01, True)]
    askers = [Asker(address, *kind) for kind in kinds * 2]
    for asker in askers:
        asker.start()
    return askers


def check(askers):
    for asker in askers:
        asker.join(PATIENCE)
        assert not asker.is_alive()
        assert asker.failure is None
    assert sum(asker.lost for asker in askers) == 0


def stop_under_load(started, address, eventually, number=signal.SIGTERM):
    askers = askers_of(address)
    eventually(lambda: all(asker.answered >= 5 for asker in askers))
    started.signal(number)
    check(askers)
    assert started.wait() == 0


def test_a_stop_under_load_loses_nothing(served, eventually):
    started = served()
    stop_under_load(started, ("127.0.0.1", started.port), eventually)


@pytest.mark.heavy
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("kind", ["tcp", "ipv6", "unix", "poll"])
def test_many_stops_under_load_lose_nothing(
    served, kind, number, tmp_path, monkeypatch, eventually
):
    if kind == "poll":
        monkeypatch.setenv("WSK_TEST_POLLER", "poll")
    for i in range(3):
        path = str(tmp_path / ("%d.sock" % i))
        started = served(
            bind={"ipv6": "[::1]:0", "unix": "unix:" + path}.get(
                kind, "127.0.0.1:0"
            )
        )
        if kind == "unix":
            eventually(lambda s=started: "Ctrl-C" in s.said)
        address = {"unix": path, "ipv6": ("::1", started.port)}.get(
            kind, ("127.0.0.1", started.port)
        )
        stop_under_load(started, address, eventually, number)


def test_with_a_successor_clients_notice_nothing(eventually):
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    address = listener.getsockname()

    def server():
        return wsocket.Server(
            hello,
            bind="fd:%d" % os.dup(listener.fileno()),
            access_logfile="none",
        ).start()

    old = server()
    askers = askers_of(address)
    for _ in range(3):
        counts = [asker.answered for asker in askers]
        eventually(
            lambda c=counts: all(a.answered > n for a, n in zip(askers, c))
        )
        new = server()
        old.drain(successor=True)
        assert old.join(PATIENCE)
        old = new
    listener.close()
    old.stop()
    assert old.join(PATIENCE)
    for asker in askers:  # the last stop cannot hold clients off: fd:N
        asker.join(PATIENCE)
        assert asker.failure is None
    assert sum(asker.lost for asker in askers) <= len(askers)


def test_with_a_successor_the_queue_is_left_alone():
    listener = socket.create_server(("127.0.0.1", 0))
    clients = [dial(listener.getsockname()) for _ in range(20)]
    server = wsocket.Server(
        hello, bind="fd:%d" % os.dup(listener.fileno()), access_logfile="none"
    )
    server.drain(successor=True)
    server.start()
    assert server.join(PATIENCE)
    for client in clients:
        listener.accept()[0].close()
        client.close()
    listener.close()


# ------------------------------------------------------------- WebSockets ---


def test_an_event_application_is_told_before_the_close(serve):
    app = wsocket.WSocketApp()
    heard = []

    def ondraining(client):
        heard.append(("draining", client.draining, client.closed))
        client.send("farewell")

    def onclose(message, client):
        heard.append(("close", client.sent_code, client.sent_reason))

    app.onmessage += lambda message, client: client.send(message)
    app.ondraining += ondraining
    app.onclose += onclose
    site = serve(app)
    with site.ws() as client:
        client.send("x")
        assert client.recv() == "x"
        site.server.drain(code=4000)
        assert client.recv() == "farewell"
        with pytest.raises(ConnectionClosed):
            client.recv()
        assert (client.close_code, client.close_reason) == (4000, "stop")
    assert site.server.join(PATIENCE)
    assert heard == [("draining", True, False), ("close", 4000, "stop")]


def test_a_class_may_have_ondraining_as_a_method(serve):
    class Chat(wsocket.WSocketApp):
        def onmessage(self, message, client):
            client.send(message)

        def ondraining(self, client):
            client.send("bye")

    site = serve(Chat())
    with site.ws() as client:
        client.send("x")
        assert client.recv() == "x"
        site.server.stop()
        assert client.recv() == "bye"


def test_an_object_may_lack_ondraining(serve):
    class Events:
        onconnect = onclose = staticmethod(lambda *args: None)

        @staticmethod
        def onmessage(message, client):
            client.send(message)

    def app(environ, start_response):
        environ["wsgi.websocket"].attach(Events)
        return []

    site = serve(app)
    with site.ws() as client:
        client.send("x")
        assert client.recv() == "x"
        site.server.stop()
        with pytest.raises(ConnectionClosed):
            client.recv()


def test_a_blocking_handler_sees_that_the_server_leaves(serve, eventually):
    seen = []
    go_on = threading.Event()

    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        seen.append(ws.draining)
        ws.send("x")
        seen.append(ws.draining)
        go_on.wait(PATIENCE)
        seen.append(ws.draining)
        ws.send("last words")
        assert ws.receive() is None
        return []

    site = serve(app, ws_drain=5)
    with site.ws() as client:
        assert client.recv() == "x"
        eventually(lambda: len(seen) == 2)
        # In the last of many parts: it has time.
        site.server.drain(part=9, parts=10)
        time.sleep(0.2)
        go_on.set()
        assert client.recv() == "last words"
        site.server.drain(spread=0)
        with pytest.raises(ConnectionClosed):
            client.recv()
        assert client.close_code == 1001
    assert site.server.join(PATIENCE)
    assert seen == [False, False, True]


def stop_before_an_upgrade(serve):
    """Stop a server while a handler runs, send an upgrade behind the request,
    and return both answers; only one, if that says that it is the last."""
    go_on = threading.Event()
    inside = threading.Event()

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/":
            inside.set()
            go_on.wait(PATIENCE)
        return hello(environ, start_response)

    site = serve(app)
    with site.raw() as client, site.raw() as idle:
        idle.send(b"GET /idle HTTP/1.1\r\nHost: t\r\n\r\n")
        assert idle.response()[2] == b"hello"
        client.send(REQUEST)
        assert inside.wait(PATIENCE)
        site.server.stop()
        assert idle.rest() == b""  # it has begun
        client.send(UPGRADE)  # in a pipeline
        go_on.set()
        answers = [client.response()]
        if "connection" not in answers[0][1]:
            answers.append(client.response())
    return answers


def test_an_upgrade_is_refused_and_may_come_again(serve):
    # A pipeline is spared for a second, and a busy machine may take longer.
    for _ in range(10):
        first, *second = stop_before_an_upgrade(serve)
        assert first[2] == b"hello"
        if second:
            break
    [(status, headers, body)] = second
    assert status == 503
    assert headers["retry-after"] in "12345"
    assert headers["connection"] == "close"
    assert body == b"the server stops"


def open_ws(port):
    try:
        return connect("ws://127.0.0.1:%d/" % port, proxy=None).__enter__()
    except TypeError:  # before version 15 there was no proxy
        return connect("ws://127.0.0.1:%d/" % port).__enter__()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_each_websocket_with_a_reason(served, number):
    started = served("--ws-drain", "0.5")
    clients = [open_ws(started.port) for _ in range(10)]
    started.signal(number)
    for client in clients:
        assert client.recv() == "draining True"
        with pytest.raises(ConnectionClosed):
            client.recv()
        assert (client.close_code, client.close_reason) == (1001, "stop")
    assert started.wait() == 0


def test_int_does_not_spread_the_closes(served):
    started = served("--ws-drain", "600", "--graceful-timeout", "600")
    clients = [open_ws(started.port) for _ in range(10)]
    started.signal(signal.SIGINT)
    for client in clients:
        assert client.recv(PATIENCE) == "draining True"
        with pytest.raises(ConnectionClosed):
            client.recv(PATIENCE)
    assert started.wait() == 0


# ------------------------------------------------------------- the delay ----


def test_stop_delay_serves_on_with_connection_close(served, eventually):
    started = served("--stop-delay", "600")
    with started.raw() as kept:
        kept.send(REQUEST)
        assert "connection" not in kept.response()[1]
        started.signal(signal.SIGTERM)
        eventually(lambda: "serving on for 600 s" in started.said)

        def last():
            kept.send(REQUEST)
            return kept.response()[1].get("connection") == "close"

        # A thread may read a request before the loop reads the order.
        eventually(last)
    for _ in range(3):
        client = dial(("127.0.0.1", started.port))
        client.sendall(REQUEST)
        assert is_last(client)
        client.close()
    with open_ws(started.port) as client:
        client.send("x")
        assert client.recv() == "x"
        started.signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed):
            client.recv()
    assert started.wait() == 0


def test_int_does_not_wait_for_stop_delay(served):
    started = served("--stop-delay", "600")
    started.signal(signal.SIGINT)
    assert started.wait() == 0


# -------------------------------------------------------------- arguments ---


@pytest.mark.parametrize(
    "options, error",
    [
        ({"code": 1005}, "no Close may have the code 1005"),
        ({"code": 70000}, "no Close may have the code 70000"),
        ({"part": 2, "parts": 2}, "part must be below parts"),
        ({"part": -1}, "part must be from 0"),
        ({"timeout": 1e9}, "ms must be from 0"),
    ],
)
def test_bad_arguments_are_refused_and_change_nothing(serve, options, error):
    site = serve(hello)
    with pytest.raises(ValueError, match=error):
        site.server.drain(**options)
    assert site.get()[2] == b"hello"


def test_arguments_of_other_types_are_refused(serve):
    site = serve(hello)
    for options in ({"code": "x"}, {"parts": 1.5}, {"part": "1"}):
        with pytest.raises(TypeError):
            site.server.drain(**options)
    with pytest.raises(TypeError):
        site.server.drain(1, 2)
    with pytest.raises(TypeError, match="positional"):
        site.server._server.drain(1, 2)
    assert site.get()[2] == b"hello"


def test_a_contradiction_of_options_is_refused_at_the_start(program):
    with pytest.raises(ValueError, match="ws_drain .40 s. is above graceful_t"):
        wsocket.Server(hello, port=0, ws_drain=40)
    wsocket.Server(hello, port=0, ws_drain=40, graceful_timeout=40)
    started = program("--port", "0", "--ws-drain", "31")
    assert started.wait() == 2
    assert "ws_drain (31 s) is above graceful_timeout (30 s)" in started.said


def test_a_later_call_never_moves_the_end_back(serve):
    inside, go_on = threading.Event(), threading.Event()

    def app(environ, start_response):
        inside.set()
        go_on.wait(PATIENCE)
        return hello(environ, start_response)

    server = wsocket.Server(app, port=0, access_logfile="none").start()
    with Raw(server.port) as client:
        client.send(REQUEST)
        assert inside.wait(PATIENCE)
        server.drain(0.2)
        server.drain(600)
        with pytest.raises(TimeoutError):
            server.join(PATIENCE)
    go_on.set()


def test_a_reset_under_way_does_no_harm(serve):
    site = serve(hello)
    for i in range(20):
        client = dial(("127.0.0.1", site.port))
        client.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        if i % 2:
            client.sendall(REQUEST)
        client.close()
    assert site.stop()
