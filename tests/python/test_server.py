"""Server and run(): options, life and death, threads."""

import contextlib
import functools
import gc
import os
import signal
import socket
import sys
import threading
import time
import unittest.mock
import weakref

import pytest
from conftest import Site

import wsocket
from wsocket import Server, _wsocket
from wsocket.run import serve


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def quiet(app=hello, **options):
    return Server(app, port=0, access_logfile="none", **options)


# --------------------------------------------------------------- options ---


@pytest.mark.parametrize(
    "options",
    [
        {"threads": 4, "keep_alive": 1.5, "max_body": "64k"},
        {"server_header": False, "date_header": True},
        {"server_header": "off", "log_level": "error"},
        {"threads": None, "host": "localhost"},
    ],
)
def test_options_are_keywords(options):
    with quiet(**options) as server:
        assert Site(server).get()[2] == b"hello"


def test_booleans_are_on_and_off():
    with quiet(server_header=False) as server:
        assert "server" not in Site(server).get()[1]
    with quiet(server_header=True) as server:
        assert "server" in Site(server).get()[1]


def test_an_unknown_option_names_the_nearest():
    with pytest.raises(TypeError, match="threads"):
        quiet(thread=5)
    with pytest.raises(TypeError, match="unknown option 'xyzzy'$"):
        quiet(xyzzy=5)
    with pytest.raises(TypeError, match="unknown option 'processes': .*--workers"):
        quiet(processes=5)


@pytest.mark.parametrize(
    "options",
    [
        {"threads": "many"},
        {"threads": 0},
        {"threads": -1},
        {"keep_alive": "soon"},
        {"server_header": "yes"},
        {"log_level": "loud"},
        {"host": "a\0b"},
    ],
)
def test_a_wrong_value_is_a_value_error(options):
    with pytest.raises(ValueError):
        quiet(**options)


def test_an_application_must_be_callable():
    with pytest.raises(TypeError, match="callable"):
        Server("app")
    with pytest.raises(TypeError):
        _wsocket.Server()
    with pytest.raises(TypeError):
        _wsocket.Server(hello, hello)


async def asgi(scope, receive, send):
    pass


async def generator(environ, start_response):
    yield b""


class Star:
    async def __call__(self, scope, receive, send):
        pass

    def double(self, scope):
        pass

    def single(self, scope, receive, send):
        pass


def create_app(name="x"):
    return hello


class Factory:
    def __call__(self, environ, start_response):
        return hello(environ, start_response)


@pytest.mark.parametrize(
    "app, said",
    [
        (asgi, "ASGI"),
        (generator, "ASGI"),
        (functools.partial(asgi), "ASGI"),
        (Star(), "ASGI"),
        (Star().double, "ASGI"),
        (Star().single, "ASGI"),
        (lambda: hello, "takes no arguments.*factory"),
        (create_app, "takes no arguments.*factory"),
        (Factory, "takes no arguments.*factory"),
        (lambda environ, start_response, *, db: [], "takes other arguments"),
    ],
)
def test_what_can_never_answer_is_refused_with_a_hint(app, said):
    with pytest.raises(TypeError, match=said):
        Server(app, port=0)


class OldStyle:
    def __init__(self, environ, start_response):
        self.start = start_response

    def __iter__(self):
        self.start("200 OK", [])
        yield b""


def wrapped():
    @functools.wraps(asgi)
    def inner(environ, start_response):
        return hello(environ, start_response)

    return inner


@pytest.mark.parametrize(
    "app",
    [
        OldStyle,
        wrapped(),
        Factory(),
        Factory().__call__,
        functools.partial(lambda x, environ, start_response: [], 1),
        lambda *args: hello(*args),
        lambda environ, start_response, extra=None: [],
        print,
        unittest.mock.Mock(),
    ],
)
def test_what_may_answer_is_served(app):
    Server(app, port=0, access_logfile="none")


def test_the_list_of_options():
    options = _wsocket.options()
    names = [name for name, _, _, _ in options]
    assert len(names) == len(set(names)) > 15
    assert {"host", "port", "threads", "ws_max_size"} <= set(names)
    for name, kind, default, help in options:
        assert kind in ("text", "count", "bytes", "time", "flag", "list")
        assert default is None or isinstance(default, str)
        assert {"bytes": "byte", "time": "seconds"}.get(kind, "") in help
        assert help and "\n" not in help and not help.endswith(".")
    # Every default is itself a legal value.
    given = {name: default for name, _, default, _ in options if default}
    _wsocket.Server(hello, **given)


# ---------------------------------------------------------------- living ---


def test_port_0_picks_one():
    server = quiet()
    assert server.port == 0
    server.listen()
    assert server.port > 0
    assert server.url == "http://127.0.0.1:%d/" % server.port
    with server:
        assert Site(server).get()[0] == 200


def test_a_port_in_use_is_an_error_that_says_so():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="127.0.0.1:%d.*in use" % port):
            Server(hello, port=port).start()


def test_it_starts_once():
    with quiet() as server:
        with pytest.raises(RuntimeError, match="once"):
            server.start()
    with pytest.raises(RuntimeError):
        server.start()


def test_what_was_never_started_stops_at_once():
    server = quiet()
    server.stop()
    assert server.join()
    server.listen()
    server.stop()
    assert server.join(0)


def no_threads(monkeypatch, name):
    """Threads whose name begins so cannot be started."""
    start = threading.Thread.start
    tried = []

    def fail(thread):
        if thread.name.startswith(name):
            tried.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fail)
    return tried


def test_a_server_that_could_not_start_is_over(monkeypatch):
    server = quiet()
    interval = sys.getswitchinterval()
    no_threads(monkeypatch, "wsocket-keeper")
    with pytest.raises(RuntimeError, match="new thread"):
        server.start()
    assert sys.getswitchinterval() == interval
    server.stop()
    assert server._server.join() is True
    with pytest.raises(RuntimeError, match="starts once"):
        server.start()


def test_where_no_thread_can_be_had_the_server_waits_and_can_be_stopped(
    monkeypatch, caplog
):
    tried = no_threads(monkeypatch, "wsocket-1")
    server = quiet().start()
    time.sleep(0.5)
    assert 1 <= len(tried) < 40
    server.stop(0)
    assert server.join(20)
    assert caplog.text.count("no new thread for the server") == 1


def test_a_request_that_no_thread_could_ever_answer_is_503(
    monkeypatch, tmp_path
):
    """RFC 9110 15.6.4, instead of waiting for ever; and it passes."""
    log = tmp_path / "log"
    start = threading.Thread.start

    def only_the_first(thread):
        name = thread.name
        if name.startswith("wsocket-") and name not in (
            "wsocket-keeper",
            "wsocket-1",
        ):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", only_the_first)
    with quiet(error_logfile=str(log)) as server:
        status, headers, _ = Site(server).get()
        assert status == 503
        assert headers["retry-after"] == "1"
        monkeypatch.undo()
        until = time.monotonic() + 20
        while Site(server).get()[0] == 503:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert Site(server).get()[0] == 200
    said = log.read_text()
    assert "requests answered 503, for no thread can be made: 1 since" in said
    assert "queue_limit" not in said


def test_a_server_that_was_stopped_says_that_it_starts_once():
    with quiet() as server:
        with pytest.raises(RuntimeError, match="starts once; this one is"):
            server.start()
    for again in server.start, server.listen:
        with pytest.raises(RuntimeError, match="starts once; make another"):
            again()


def test_stopping_frees_the_port():
    server = quiet()
    with server:
        port = server.port
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 5)
    with quiet() as server:
        assert Site(server).get()[0] == 200


def test_join_waits_for_its_time_only():
    with quiet() as server:
        assert server.join(0.01) is False
        assert server._server.join(0) is False


def test_several_servers_in_one_process():
    servers = [
        quiet(lambda e, s, i=i: (s("200 OK", []), [b"%d" % i])[1])
        for i in range(3)
    ]
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.enter_context(server)
        for i, server in enumerate(servers):
            assert Site(server).get()[2] == b"%d" % i


def test_serve_forever_ends_when_it_is_stopped():
    server = quiet()
    result = []
    thread = threading.Thread(
        target=lambda: result.append(server.serve_forever())
    )
    thread.start()
    while not server._server.port:
        time.sleep(0.001)
    assert Site(server).get()[0] == 200
    server.stop()
    thread.join(20)
    assert result == [True]


def test_a_signal_that_comes_before_the_start_is_obeyed(monkeypatch):
    server = quiet()
    start = Server.start

    def late(self):
        os.kill(os.getpid(), signal.SIGTERM)
        return start(self)

    monkeypatch.setattr(Server, "start", late)
    watch = threading.Timer(10, server.stop)
    watch.start()
    began = time.monotonic()
    serve(server, "hello")
    watch.cancel()
    assert time.monotonic() - began < 5


def test_a_signal_that_is_handled_outside_python_stays_so(monkeypatch):
    server = quiet()
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        monkeypatch.setattr(signal, "getsignal", lambda number: None)
        threading.Timer(0.3, server.stop).start()
        serve(server, "hello")
        monkeypatch.undo()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_timer_of_the_main_thread_runs_while_it_serves():
    """serve_forever() in the main thread leaves it to signal handlers."""
    import signal

    server = quiet().start()
    before = signal.signal(signal.SIGALRM, lambda number, frame: server.stop())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert server.join()
    finally:
        signal.signal(signal.SIGALRM, before)


def test_who_keeps_no_connection_says_so():
    """RFC 9112 9.6; otherwise a client could send its next request into it."""
    with quiet(keep_alive=0) as server:
        peer = socket.create_connection(("127.0.0.1", server.port), 10)
        with peer, peer.makefile("rb") as answer:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            head, _, body = answer.read().partition(b"\r\n\r\n")
    assert b"\r\nConnection: close" in head
    assert body == b"hello"


def test_running_answers_are_finished():
    inside, go_on = threading.Event(), threading.Event()

    def app(environ, start_response):
        inside.set()
        assert go_on.wait(20)
        return hello(environ, start_response)

    with quiet(app) as server, Site(server).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert inside.wait(20)
        server.stop()
        assert server.join(0.01) is False
        go_on.set()
        assert client.response()[2] == b"hello"


def test_a_stuck_handler_is_abandoned():
    inside, go_on, left = [threading.Event() for _ in range(3)]

    def app(environ, start_response):
        inside.set()
        go_on.wait(20)
        left.set()
        return hello(environ, start_response)

    server = quiet(app, graceful_timeout=0.05).start()
    with Site(server).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert inside.wait(20)
        server.stop()
        with pytest.raises(TimeoutError, match="still running"):
            server.join()
        assert client.rest() == b""
    go_on.set()
    assert left.wait(20)


def test_a_second_stop_is_immediate():
    inside, go_on = threading.Event(), threading.Event()

    def app(environ, start_response):
        inside.set()
        go_on.wait(20)
        return hello(environ, start_response)

    server = quiet(app).start()  # graceful_timeout is 30 seconds
    with Site(server).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert inside.wait(20)
        server.stop()
        server.stop()
        with pytest.raises(TimeoutError):
            server.join()
    go_on.set()


def test_a_handler_may_stop_its_own_server():
    def app(environ, start_response):
        server.stop()
        return hello(environ, start_response)

    server = quiet(app).start()
    assert Site(server).get()[2] == b"hello"
    assert server.join(20)


def test_it_is_forgotten_when_it_has_stopped():
    def app(environ, start_response):
        return hello(environ, start_response)

    server = quiet(app).start()
    Site(server).get()
    server.stop()
    assert server.join()
    gone = weakref.ref(server._server), weakref.ref(app)
    del server, app
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_a_server_that_nobody_joins_tidies_up(eventually):
    server = quiet().start()
    server.stop()
    gone = weakref.ref(server._server)
    del server

    def collected():
        gc.collect()
        return gone() is None

    eventually(collected)


# --------------------------------------------------------------- threads ---


def test_handlers_run_in_daemon_threads_with_names_and_locals():
    local = threading.local()
    seen = []

    def app(environ, start_response):
        thread = threading.current_thread()
        local.calls = getattr(local, "calls", 0) + 1
        seen.append((thread.name, thread.daemon, local.calls))
        return hello(environ, start_response)

    with quiet(app) as server:
        for _ in range(50):
            assert Site(server).get()[0] == 200
    assert all(name.startswith("wsocket-") for name, _, _ in seen)
    assert all(daemon for _, daemon, _ in seen)
    # Thread-local data lasts from request to request.
    assert max(calls for _, _, calls in seen) > 1


def test_threads_end_with_the_server():
    with quiet() as server:
        Site(server).get()
    names = [thread.name for thread in threading.enumerate()]
    for _ in range(2000):  # the last lines of a thread run on their own time
        names = [thread.name for thread in threading.enumerate()]
        if not any("wsocket" in name for name in names):
            break
        time.sleep(0.005)
    assert not any("wsocket" in name for name in names)


def test_slow_handlers_run_side_by_side():
    barrier = threading.Barrier(8, timeout=20)

    def app(environ, start_response):
        barrier.wait()
        return hello(environ, start_response)

    with quiet(app) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Site(server).raw()) for _ in range(8)]
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        for client in clients:
            assert client.response()[2] == b"hello"


def test_a_handler_that_computes_delays_others_but_does_not_stop_them():
    go_on = threading.Event()

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            while not go_on.is_set():
                sum(range(1000))
        return hello(environ, start_response)

    with quiet(app) as server, Site(server).raw() as slow:
        slow.send(b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n")
        for _ in range(20):
            assert Site(server).get()[2] == b"hello"
        go_on.set()
        assert slow.response()[2] == b"hello"


def test_one_thread_runs_one_handler_at_a_time():
    inside, most, lock = [0], [0], threading.Lock()

    def app(environ, start_response):
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.005)
        with lock:
            inside[0] -= 1
        return hello(environ, start_response)

    with quiet(app, threads=1) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Site(server).raw()) for _ in range(8)]
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        for client in clients:
            assert client.response()[0] == 200
    assert most[0] == 1


def test_a_request_stays_in_one_thread():
    idents = set()

    def app(environ, start_response):
        def body():
            for _ in range(3):
                idents.add(threading.get_ident())
                time.sleep(0.003)
                yield b"x"

        idents.add(threading.get_ident())
        start_response("200 OK", [])
        return body()

    with quiet(app) as server:
        assert Site(server).get()[2] == b"xxx"
    assert len(idents) == 1


def test_the_switch_interval_is_short_while_a_server_runs():
    before = sys.getswitchinterval()
    with quiet():
        with quiet():
            assert sys.getswitchinterval() == pytest.approx(0.0005)
        assert sys.getswitchinterval() == pytest.approx(0.0005)
    assert sys.getswitchinterval() == pytest.approx(before)


def test_a_switch_interval_that_somebody_sets_meanwhile_stays():
    before = sys.getswitchinterval()
    try:
        with quiet():
            sys.setswitchinterval(0.002)
        assert sys.getswitchinterval() == pytest.approx(0.002)
    finally:
        sys.setswitchinterval(before)


def test_a_switch_interval_that_is_shorter_stays():
    before = sys.getswitchinterval()
    try:
        sys.setswitchinterval(0.0001)
        with quiet():
            assert sys.getswitchinterval() == pytest.approx(0.0001)
        assert sys.getswitchinterval() == pytest.approx(0.0001)
    finally:
        sys.setswitchinterval(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_of_a_handler_leaves_the_server_alone():
    def app(environ, start_response):
        pid = os.fork()
        if pid == 0:
            server.stop(0)
            os._exit(7 if server.join(1) else 1)
        _, status = os.waitpid(pid, 0)
        start_response("200 OK", [])
        return [b"%d" % (status >> 8)]

    with quiet(app) as server:
        for _ in range(3):
            assert Site(server).get()[2] == b"7"


def test_log_traceback_logs_and_returns(caplog):
    try:
        raise ValueError("broken")
    except ValueError as exc:
        text = wsocket.log_traceback(exc)
    assert "ValueError: broken" in text and "Traceback" in text
    assert text in caplog.text


def test_the_exceptions_are_os_errors():
    assert issubclass(wsocket.WebSocketError, OSError)
    assert issubclass(wsocket.ProtocolError, wsocket.WebSocketError)
    assert issubclass(wsocket.FrameTooLargeException, wsocket.ProtocolError)
    assert wsocket.WebSocketError.__module__ == "wsocket"


def test_every_promised_name_is_there():
    for name in wsocket.__all__:
        assert getattr(wsocket, name)


@pytest.mark.parametrize("listens", [True, False])
@pytest.mark.parametrize("timeout", [None, 0])
def test_a_stop_before_the_start_is_remembered(listens, timeout):
    server = quiet()
    if listens:
        server.listen()
    server.stop(timeout)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_pending_counts_what_a_stop_waits_for(serve, eventually):
    go = threading.Event()

    def app(environ, start_response):
        ws = environ.get("wsgi.websocket")
        if ws is not None:
            ws.receive()
            return []
        go.wait(20)
        return hello(environ, start_response)

    site = serve(app)
    pending = site.server._server.pending
    assert pending() == (0, 0, 0)
    with site.ws(), site.raw(), site.raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        eventually(lambda: pending() == (1, 1, 1))
        go.set()
        client.response()
        eventually(lambda: pending() == (0, 1, 2))
    eventually(lambda: pending() == (0, 0, 0))
