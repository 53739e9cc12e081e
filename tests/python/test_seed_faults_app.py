"""What version 2.1.1 got wrong in App, Framework and server stays right.

The numbers are those of the list of its 29 faults; 1 to 21, which are the
protocol's, are in test_seed_faults.py.
"""

import subprocess
import sys
import threading

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from wsocket import Framework, WebSocketHandler, WSocketApp, handlers


def returning(value):
    return lambda environ, start_response: value


def test_22_onclose_is_fired_once_with_message_and_client(serve):
    """It was never fired; and its handlers were called without the client."""
    app, heard, closed = WSocketApp(), [], threading.Event()

    def on_close(self, message, client):  # the sample's slip
        heard.append((self, message, client.close_code))
        closed.set()

    app.onclose += lambda message, client: heard.append((message, client.path))
    app.onclose += on_close
    site = serve(app)
    with site.ws("/x") as client:
        client.close(4000, "bye")
    assert closed.wait(20)
    assert site.stop()
    assert heard == [("bye", "/x"), (app, "bye", 4000)]


def test_23_events_keep_their_order_and_need_no_thread_each(serve):
    """Each event had a thread of its own, so on_message could come first."""
    app, heard, closed = WSocketApp(), {}, threading.Event()
    app.onconnect += lambda client: heard.setdefault(client.path, ["connect"])
    app.onmessage += lambda message, client: heard[client.path].append(message)
    app.onclose += lambda message, client: closed.set()
    site = serve(app, threads=4)
    before = threading.active_count()
    with site.ws("/a") as one, site.ws("/b") as two:
        for i in range(200):
            one.send(str(i))
            two.send(str(i))
        one.ping().wait(20)
        two.ping().wait(20)
        # Four, spares, the clients' own: not one for each of 400 events.
        assert threading.active_count() <= before + 16
    assert closed.wait(20)
    assert site.stop()
    assert heard["/a"] == heard["/b"] == ["connect", *map(str, range(200))]


def test_24_routes_are_not_shared_and_exact_paths_win(serve):
    """One dict served all instances, and a star could hide an exact path."""
    one, two = WSocketApp(), WSocketApp()
    one.route("/*")(returning("star"))
    one.route("/x")(returning("exact"))
    two.route("/")(returning("two"))
    assert serve(one).get("/x")[2] == b"exact"
    assert serve(two).get("/x")[0] == 404


@pytest.mark.parametrize(
    "make",
    [
        lambda: ["a", b"b"],
        lambda: (c for c in "ab"),
        lambda: ("a", "b"),
        lambda: {"a": 1, "b": 2},
    ],
)
def test_25_nothing_waits_for_headers_that_never_come(serve, make):
    """A list or generator without start_response made it spin for ever."""
    app = WSocketApp()
    app.route("/")(lambda environ, start_response: make())
    site = serve(app)
    assert site.get()[::2] == (200, b"ab")
    with site.ws() as client, pytest.raises(ConnectionClosed) as caught:
        client.recv()
    assert caught.value.rcvd.code == 1000


def test_26_what_was_documented_is_there(serve):
    """An automatic 200, "200" as a status, protocol=; run()'s forms are in
    test_classic.py."""
    app = WSocketApp(protocol="chat")
    app.route("/auto")(returning("x"))

    @app.route("/text")
    def text(environ, start_response):
        start_response("200")
        return "x"

    @app.route("/ws")
    def ws(environ, start_response):
        environ["wsgi.websocket"].send(environ["wsgi.websocket"].protocol)

    site = serve(app)
    assert site.get("/auto")[0] == site.get("/text")[0] == 200
    with site.ws("/ws", subprotocols=["chat"]) as client:
        assert client.recv() == "chat"


def test_27_errors_are_a_500_and_nothing_is_reflected(serve):
    """They were sent as 200 with a traceback, and a 404 repeated the path."""
    app = WSocketApp()

    @app.route("/error")
    def error(environ, start_response):
        raise ValueError("<script>")

    site = serve(app)
    status, headers, body = site.get("/error")
    assert status == 500
    assert b"script" not in body and b"Traceback" not in body
    status, headers, body = site.get("/%3Cscript%3E")
    assert status == 404
    assert b"script" not in body
    app.debug = True
    assert b"&lt;script&gt;" in site.get("/error")[2]


def test_28_pep_3333_is_kept(serve):
    """exc_info was refused, close() never called, headers sent too early."""
    closed = threading.Event()

    class Result:
        def __iter__(self):
            yield "x"

        def close(self):
            closed.set()

    app = Framework()

    @app.route("/")
    def handler(environ, start_response):
        start_response(200, {"X-Early": "yes"})
        try:
            raise ValueError("too late for the first head? no")
        except ValueError:
            start_response(503, [], sys.exc_info())
        return Result()

    status, headers, body = serve(app).get()
    assert (status, body) == (503, b"x")
    assert "x-early" not in headers
    assert closed.wait(20)


def test_29_an_application_is_wrapped_once():
    """A WSocketApp was made for each request."""

    class Server:
        application = staticmethod(returning([]))

        def get_app(self):
            return self.application

    request = object.__new__(WebSocketHandler)
    request.server = Server()
    assert request.get_app() is request.get_app()
    assert isinstance(request.get_app(), WSocketApp)
    assert handlers.WSocketHandler is WebSocketHandler


def test_29_importing_it_prints_and_configures_nothing():
    """It called print() and logging.basicConfig()."""
    program = (
        "import logging, wsocket; "
        "assert not logging.getLogger().handlers; "
        "assert wsocket.logger.level == 0 and not wsocket.logger.handlers"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_29_a_connection_is_kept_and_has_no_thread(serve):
    """Each connection had a thread, and was closed after its request."""
    app = Framework()
    app.route("/")(returning("x"))
    site = serve(app, threads=4)
    before = threading.active_count()
    clients = [site.raw() for _ in range(50)]
    for client in clients:
        for _ in range(2):
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.response()[0] == 200
    assert threading.active_count() <= before + 8
    for client in clients:
        client.__exit__()


def test_a_refusal_reaches_the_client_as_its_status(serve):
    """Part of 2, seen from the Framework: the application decides first."""
    app = WSocketApp()

    @app.route("/")
    def handler(environ, start_response):
        start_response("403")
        return "members only"

    with pytest.raises(InvalidStatus) as caught:
        serve(app).ws()
    assert caught.value.response.status_code == 403
