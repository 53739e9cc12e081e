"""Objects that two threads use at once, or that code of the application changes
while they are in use: there is an exception at worst, and never a crash. What
may crash runs in a child process, where freed memory is overwritten."""

import os
import subprocess
import sys
import textwrap

import pytest
from patience import PATIENCE

pytestmark = pytest.mark.heavy


BEGIN = '''
import atexit, gc, resource, socket, sys, threading
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
sys.setswitchinterval(1e-6)
from wsocket import _wsocket
from wsocket import Server as Site
QUIET = dict(port=0, access_logfile="none", error_logfile="none",
             ws_close_timeout=0.1)

def ask(server, *parts):
    peer = socket.create_connection(("127.0.0.1", server.port), 20)
    peer.sendall(b"".join(parts))
    return peer

def together(*targets):
    threads = [threading.Thread(target=target) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
        assert not thread.is_alive()

def quiet(call, *args):
    try:
        return call(*args)
    except Exception as error:
        return error

GET = b"GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n"
UPGRADE = (b"GET / HTTP/1.1\\r\\nHost: x\\r\\nUpgrade: websocket\\r\\n"
           b"Connection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n")

def frame(first, data=b""):
    return bytes([first, 0x80 | len(data)]) + bytes(4) + data
'''


def run(source, *args):
    """What a child process prints; it must end well."""
    env = dict(os.environ)
    env.setdefault("PYTHONMALLOC", "debug")  # under ASan it is malloc
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + textwrap.dedent(source), *args],
        capture_output=True, text=True, timeout=PATIENCE, env=env,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


# ------------------------------------------------------------------ streams ---


def test_threads_in_one_receive_stream_do_not_crash():
    run(
        """
        def app(environ, start_response):
            ws = environ["wsgi.websocket"]
            while True:
                stream = quiet(ws.receive_stream, 20)
                if stream is None:
                    return []
                if isinstance(stream, Exception):
                    continue
                together(*[lambda: quiet(list, stream)] * 4)

        server = Site(app, **QUIET).start()
        peer = ask(server, UPGRADE)
        peer.recv(4096)
        for _ in range(150):
            peer.sendall(frame(2, b"abc"))
            peer.sendall(frame(0, b"def"))
            peer.sendall(frame(0x80, b"ghi") + frame(2, b"abc") + frame(0x80))
        peer.sendall(frame(0x88))
        while peer.recv(4096):
            pass
        peer.close()
        server.stop()
        server.join(20)
        """
    )


def test_the_second_thread_in_a_stream_gets_an_exception_and_the_first_all():
    said = run(
        """
        def app(environ, start_response):
            ws = environ["wsgi.websocket"]
            stream = ws.receive_stream(0.1)
            got, turn = [next(stream)], threading.Event()
            def take():
                while True:
                    turn.set()
                    piece = quiet(next, stream)
                    if isinstance(piece, StopIteration):
                        return
                    if isinstance(piece, bytes):
                        got.append(piece)
            first = threading.Thread(target=take)
            first.start()
            turn.wait(20)
            error = None
            while type(error).__name__ != "WebSocketError":
                error = quiet(next, stream)
            print(type(error).__name__, error)
            peer.sendall(frame(0x80, b"def"))
            first.join(20)
            print(b"".join(got), list(stream))
            return []

        server = Site(app, **QUIET).start()
        peer = ask(server, UPGRADE)
        peer.sendall(frame(2, b"abc"))
        while peer.recv(4096):
            pass
        peer.close()
        server.stop()
        server.join(20)
        """
    )
    assert said == (
        "WebSocketError receive_stream: another thread waits for the next "
        "piece; one at a time can\nb'abcdef' []\n"
    )


def test_a_hook_that_asks_for_the_next_piece_gets_an_exception():
    said = run(
        """
        def app(environ, start_response):
            ws = environ["wsgi.websocket"]
            stream = ws.receive_stream()
            ws.on_ping = lambda data: print(type(quiet(next, stream)).__name__)
            print(b"".join(stream))
            return []

        server = Site(app, **QUIET).start()
        peer = ask(server, UPGRADE, frame(2, b"abc"), frame(0x89, b"ping"),
                   frame(0x80, b"def"), frame(0x88))
        while peer.recv(4096):
            pass
        peer.close()
        server.stop()
        server.join(20)
        """
    )
    assert said == "WebSocketError\nb'abcdef'\n"


# ------------------------------------------------------------------ objects ---


def test_an_owner_that_a_handler_replaces_lives_until_the_handler_returns():
    run(
        """
        from wsocket import Event

        class Owner:
            alive = 0
            def __init__(self): Owner.alive += 1
            def __del__(self): Owner.alive -= 1

        class Handler:
            def __init__(self, event): self.event = event
            def __call__(self, owner, message):
                self.event.owner = None
                gc.collect()
                assert Owner.alive == 1, "freed while it is an argument"

        event = Event()
        event += Handler(event)
        # C code between the event and the handler holds no reference itself.
        event.owner = Owner()
        event("message")
        assert Owner.alive == 0
        """
    )


def test_a_comparison_that_changes_an_event_loses_no_handler():
    from wsocket import Event

    event = Event()

    class Sly:
        def __call__(self):
            pass

        def __eq__(self, other):
            if isinstance(other, Sly) and len(list(event)) == 1:
                event.__iadd__(added)
            return isinstance(other, Sly)

        __hash__ = object.__hash__

    def added():
        pass

    event += Sly()
    event -= Sly()  # an equal one: the same would be found without a question
    assert list(event) == [added]


def test_events_survive_threads_that_change_and_call_them():
    run(
        """
        from wsocket import Event

        event = Event()

        def change():
            for _ in range(2000):
                handler = lambda *args: None
                event.__iadd__(handler)
                event.__isub__(handler)

        def call():
            for _ in range(4000):
                event.owner = object()
                event(1, 2)
                list(event), len(event)

        together(change, change, call, call)
        assert len(event) == 0
        """
    )


def test_start_response_called_by_what_shows_its_mistake():
    """The repr() of a wrong header runs while the fields are being read."""
    said = run(
        """
        class Evil:
            def __repr__(self):
                fields.clear()
                for _ in range(20):
                    quiet(start, "204 No Content", [("X", "y")] * 20)
                return "evil"

        def app(environ, start_response):
            global start, fields
            start = start_response
            fields = [("A", "b")] * 20 + [Evil()]
            print(quiet(start_response, "200 OK", fields))
            return [b""]

        server = Site(app, **QUIET).start()
        peer = ask(server, GET)
        print(peer.recv(4096)[:12])
        server.stop()
        server.join(20)
        """
    )
    assert said == (
        "a header must be a tuple (name, value), not evil\nb'HTTP/1.1 204'\n"
    )


def test_start_response_in_two_threads_ends_in_one_head():
    run(
        """
        class Slow:
            def __repr__(self):
                for _ in range(100):
                    len(str(_))
                return "slow"

        def app(environ, start_response):
            def good():
                quiet(start_response, "200 OK", [("X-Good", "yes" * 9)] * 20)
            def bad():
                quiet(start_response, "200 OK", [("X-Bad", "no")] * 20
                      + [Slow()])
            for _ in range(5):
                together(good, bad, bad, good)
            return [b"body"]

        server = Site(app, **QUIET).start()
        for _ in range(20):
            peer = ask(server, GET)
            head = peer.recv(65536)
            assert head[9:12] in (b"200", b"500"), head
        server.stop()
        server.join(20)
        """
    )


def test_an_answer_that_is_called_again_by_the_server_keeps_its_head():
    run(
        """
        from wsocket.framework import Response

        def start_response(status, headers, exc_info=None):
            try:
                raise KeyError
            except KeyError:
                answer(500, [("X-Other", "value")], sys.exc_info())
            gc.collect()
            assert status[:3] == "200" and dict(headers)["X-Mine"] == "value"
            return lambda data: None

        def handler(environ, start):
            start(200, [("X-Mine", "val" + "ue")])
            return "text"

        answer = Response({"REQUEST_METHOD": "GET"}, start_response, handler)
        list(answer.process_response())
        """
    )


def test_routes_that_change_while_they_are_compared():
    run(
        """
        class Path(str):
            def __hash__(self): return str.__hash__(self)
            def __eq__(self, other):
                app.routes = {}
                gc.collect()
                return str.__eq__(self, other)

        app = _wsocket.Router()
        for _ in range(100):
            path = "/" + "p" * 20
            app.routes = {Path(path): print, Path(path + "q"): print}
            app.find_route({"PATH_INFO": path[:1] + path[1:]})
        """
    )


def test_a_list_of_options_whose_text_empties_it():
    said = run(
        """
        class Url(str):
            def __str__(self):
                folders.clear()
                gc.collect()
                return "/x"

        folders = {Url("/x"): "fol" + str(len(sys.argv)) + "der" * 99}
        print(quiet(Site, print, 0, 0) is not None)
        print(quiet(lambda: Site(lambda e, s: [], port=0,
                                 static_folders=folders)) is not None)
        """
    )
    assert said == "True\nTrue\n"


# -------------------------------------------------------------------- input ---


def test_a_body_is_read_by_one_thread_while_others_try():
    """Others get what is there or an exception, and the first one all that the
    others have not taken."""
    said = run(
        """
        import time

        def app(environ, start_response):
            body, taken, over = environ["wsgi.input"], [], []
            def visit():
                while not over:
                    got = quiet(body.read, 10)
                    if isinstance(got, bytes):
                        taken.append(got)
            visitors = [threading.Thread(target=visit) for _ in range(3)]
            for visitor in visitors:
                visitor.start()
            while True:
                got = body.read(1000)
                taken.append(got)
                if not got:
                    break
            over.append(1)
            for visitor in visitors:
                visitor.join(20)
            kept.append(body)
            start_response("200 OK", [])
            return [str(sum(map(len, taken))).encode()]

        kept = []
        for options in ({}, {"buffer_body": "never"},
                        {"buffer_body": "always"}):
            server = Site(app, **QUIET, **options).start()
            for size in (100, 100000):
                peer = ask(server, b"POST / HTTP/1.1\\r\\nHost: x\\r\\n"
                           b"Connection: close\\r\\nContent-Length: %d\\r\\n\\r\\n"
                           % size)
                for _ in range(10):
                    peer.sendall(b"x" * (size // 10))
                    time.sleep(0.002)
                got = b""
                while (more := peer.recv(4096)):
                    got += more
                print(got.rpartition(b"\\r\\n\\r\\n")[2].decode())
            server.stop()
            server.join(20)
        for body in kept:
            assert isinstance(quiet(body.read), ValueError)
        """
    )
    assert said.split() == ["100", "100000"] * 3


def test_objects_of_a_request_are_kept_and_used_after_its_end():
    run(
        """
        kept, over = [], []

        def app(environ, start_response):
            write = start_response("200 OK", [("X", "y")] * 20)
            kept.append((environ["wsgi.input"], environ["wsgi.early_hints"],
                         start_response, write, environ["wsgi.errors"]))
            del kept[:-20]
            return [b"body"]

        def use():
            while not over:
                for body, hints, start, write, errors in list(kept):
                    quiet(body.read)
                    quiet(body.readline)
                    quiet(hints, [("Link", "</x>")])
                    quiet(write, b"late")
                    quiet(start, "200 OK", [("X", "y")] * 20)
                    quiet(errors.write, "half a line")

        server = Site(app, **QUIET).start()
        users = [threading.Thread(target=use) for _ in range(3)]
        for user in users:
            user.start()
        for _ in range(300):
            peer = ask(server, GET)
            answer = b""
            while (more := peer.recv(4096)):
                answer += more
            peer.close()
            assert answer[9:12] in (b"200", b"500"), answer
        over.append(1)
        for user in users:
            user.join(20)
        server.stop()
        server.join(20)
        users = server = None
        for body, hints, start, write, errors in kept:
            quiet(errors.write, "after the server\\n")
        """
    )


def test_a_websocket_is_used_by_many_threads_while_it_ends():
    run(
        """
        import random

        def app(environ, start_response):
            ws = environ["wsgi.websocket"]
            ws.accept()
            def get():
                for _ in range(20):
                    quiet(ws.receive, 0.01)
                    quiet(list, quiet(ws.receive_stream, 0.01))
            def put():
                for _ in range(50):
                    quiet(ws.send, "text" * random.randrange(200))
                    quiet(ws.ping)
                    repr(ws), ws.environ, ws.path, ws.origin, ws.protocol
            def end():
                quiet(ws.close, 1000, "enough")
            def attributes():
                for _ in range(50):
                    ws.protocols = ["a", "b" * random.randrange(50)]
                    quiet(setattr, ws, "on_ping", lambda data: None)
                    quiet(setattr, ws, "on_pong", None)
                    ws.accept_headers = [("X", "y")]
                    ws.protocols, ws.accept_headers
            late = threading.Thread(target=put)
            late.start()
            together(get, get, put, attributes, end)
            kept.append(late)
            return []

        kept = []
        server = Site(app, **QUIET).start()
        for _ in range(15):
            peer = ask(server, UPGRADE, frame(0x81, b"text"), frame(2, b"ab"),
                       frame(0x89, b"p"), frame(0x80, b"c"))
            peer.settimeout(20)
            while isinstance(more := quiet(peer.recv, 65536), bytes) and more:
                pass
            peer.close()
        for late in kept:
            late.join(20)
        server.stop()
        server.join(20)
        """
    )


# ------------------------------------------------------------------- server ---


def test_a_stop_while_start_runs_stops_the_server():
    """As of a signal handler, which runs where start() waits for a thread."""
    said = run(
        """
        server = Site(lambda environ, start: [], **QUIET)
        register = atexit.register

        def early(what):
            server.stop(0)
            print(type(quiet(server._server.join, 1)).__name__)
            return register(what)

        atexit.register = early
        server.start()
        atexit.register = register
        print(server.join(20))
        """
    )
    assert said == "RuntimeError\nTrue\n"


def test_a_join_while_start_runs_waits_for_the_server():
    said = run(
        """
        for _ in range(20):
            server = Site(lambda environ, start: [], **QUIET)
            begun, answers = threading.Event(), []

            def join():
                begun.set()
                while server._server.join(0.01) is False:
                    answers.append(False)
                answers.append(True)

            register = atexit.register
            def early(what):
                thread.start()
                begun.wait(20)
                while not answers:
                    pass
                return register(what)

            thread = threading.Thread(target=join)
            atexit.register = early
            server.start()
            atexit.register = register
            assert not server._server.join(0)
            peer = ask(server, GET)
            assert peer.recv(100), "nobody serves"
            peer.close()
            server.stop(0)
            assert server.join(20)
            thread.join(20)
            assert answers[-1] is True and answers[0] is False
        print("done")
        """
    )
    assert said == "done\n"


@pytest.mark.parametrize("place", ["cycle", "builtins", "global", "explicit"])
@pytest.mark.parametrize("timeout", ["", "20"])
def test_a_join_in_a_destructor_returns_while_the_interpreter_ends(
    place, timeout
):
    run(
        """
        import builtins

        class Holder:
            def __init__(self):
                self.server = Site(lambda environ, start: [], **QUIET).start()
                self.timeout = [float(x) for x in sys.argv[2:] if x]
            def end(self):
                self.server.stop(0)
                self.server.join(*self.timeout)
            def __del__(self):
                self.end()

        holder = Holder()
        ask(holder.server, GET).recv(100)
        if sys.argv[1] == "builtins":
            builtins.holder = holder
        if sys.argv[1] == "cycle":
            holder.me = holder
        if sys.argv[1] == "explicit":
            holder.end()
        if sys.argv[1] != "global":
            del holder
        """,
        place,
        timeout,
    )
