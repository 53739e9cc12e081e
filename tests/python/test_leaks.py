"""Nothing is left behind: memory blocks, descriptors, objects."""

import contextlib
import gc
import os
import sys

import pytest
from conftest import Site
from websockets.exceptions import ConnectionClosed

from wsocket import Framework, Server, WSocketApp

pytestmark = pytest.mark.heavy

ROUNDS = 100


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def growth(work, measure, rounds):
    """What `measure` gains over `rounds`, at the least: caches fill up now and
    then (that of the ports' texts takes some 600 connections), but a leak is in
    every repetition."""
    for _ in range(rounds):
        work()
    gains = []
    for _ in range(12):
        gc.collect()
        before = measure()
        for _ in range(rounds):
            work()
        gc.collect()
        gains.append(measure() - before)
        if gains[-1] <= rounds // 20:
            break
    return min(gains)


def requests(app, ask):
    """A function that has one request answered, on one running server."""
    server = Server(app, port=0, access_logfile="none", log_level="critical")
    site = Site(server.start())
    return site, lambda: ask(site)


def everything(environ, start_response):
    body = environ["wsgi.input"].read()
    environ["wsgi.errors"].write("")
    websocket = environ.get("wsgi.websocket")
    if websocket is not None:
        if environ["PATH_INFO"] == "/no":
            start_response("403 Forbidden", [])
            return [b"no"]
        websocket.protocols = ["a", "b"]
        for message in websocket:
            websocket.send(message)
        return []
    if environ["PATH_INFO"] == "/raise":
        raise ValueError("broken")
    if environ["PATH_INFO"] == "/wrong":
        return None
    write = start_response("200 OK", [("X-A", "b")] * 20)
    if environ["PATH_INFO"] == "/write":
        write(b"written")
    if environ["PATH_INFO"] == "/iterate":
        return iter([b"a", b"b"])
    return [body or b"nothing"]


def talk(site):
    with site.ws(subprotocols=["b"]) as client:
        client.send("hello")
        client.recv()


def be_refused(site):
    with pytest.raises(Exception):
        with site.ws("/no"):
            pass


@pytest.mark.parametrize(
    "ask",
    [
        lambda site: site.get("/?a=b", "X-B: c", "X-B: d"),
        lambda site: site.get("/%20", method="POST", body=b"x" * 1000),
        lambda site: site.get("/write"),
        lambda site: site.get("/iterate"),
        lambda site: site.get("/raise"),
        lambda site: site.get("/wrong"),
        lambda site: site.get("/%00"),
        talk,
        be_refused,
    ],
    ids="get post write iterate raise wrong nul websocket refused".split(),
)
def test_requests_leave_no_memory_behind(caplog, ask):
    # The log of the test run itself would grow.
    caplog.set_level(100, logger="wsocket")
    site, work = requests(everything, ask)
    try:
        gained = growth(work, sys.getallocatedblocks, ROUNDS)
    finally:
        assert site.stop()
    assert gained < ROUNDS / 3


def streams(environ, start_response):
    ws = environ["wsgi.websocket"]
    ws.on_ping = lambda payload: ws.send(payload)
    ws.on_pong = lambda payload: None
    abandoned = ws.receive_stream()
    if abandoned.text:
        list(abandoned)
    ws.send_stream(str(n) for n in range(3))
    ws.send_stream([b"x", "y"])  # raises, in the middle
    return []


@pytest.mark.parametrize("message", ["text", [b"a", b"b", b"c"]])
def test_streams_and_hooks_leave_no_memory_behind(caplog, message):
    def ask(site):
        with site.ws() as client, contextlib.suppress(ConnectionClosed):
            client.ping(b"y")
            client.send(message)
            client.recv()
            client.recv()

    caplog.set_level(100, logger="wsocket")
    site, work = requests(streams, ask)
    try:
        gained = growth(work, sys.getallocatedblocks, 2 * ROUNDS)
    finally:
        assert site.stop()
    assert gained < 2 * ROUNDS  # threads come and go


def test_events_leave_no_memory_behind():
    app = WSocketApp()

    def on_message(message, client):
        client.environ["kept"] = client
        client.send(message)

    app.onmessage += on_message
    site, work = requests(app, talk)
    try:
        gained = growth(work, sys.getallocatedblocks, ROUNDS)
    finally:
        assert site.stop()
    assert gained < ROUNDS / 3


def framework():
    app = Framework()

    @app.route("/items")
    def items(environ, start_response):
        start_response(201, {"X-A": "b"})
        yield "a"
        yield 2

    @app.route("/wrong")
    def wrong(environ, start_response):
        start_response(200, {"X-A": 5})

    @app.route("/late")
    def late(environ, start_response):
        raise ValueError("broken")
        yield

    app.route("/text")(lambda environ, start_response: "text")
    app.route("/several/*")(lambda environ, start_response: ["a", 1, b"b"])
    app.route("/file")(lambda environ, start_response: open(__file__, "rb"))
    return app


@pytest.mark.parametrize(
    "path", ["/text", "/items", "/several/x", "/file", "/wrong", "/late", "/no"]
)
def test_handlers_leave_no_memory_behind(caplog, path):
    caplog.set_level(100, logger="wsocket")
    site, work = requests(framework(), lambda site: site.get(path))
    try:
        gained = growth(work, sys.getallocatedblocks, ROUNDS)
    finally:
        assert site.stop()
    assert gained < ROUNDS / 3


def test_servers_leave_no_memory_and_no_descriptors_behind():
    def work():
        server = Server(everything, port=0, access_logfile="none").start()
        Site(server).get()
        server.stop()
        assert server.join()

    assert growth(work, sys.getallocatedblocks, 60) < 60
    assert growth(work, descriptors, 20) <= 1


def test_servers_that_cannot_start_leave_nothing_behind():
    taken = Server(everything, port=0, access_logfile="none").start()

    def work():
        with pytest.raises(OSError):
            Server(everything, port=taken.port, access_logfile="none").start()
        with pytest.raises(TypeError):
            Server(everything, no_such_option=1)
        with pytest.raises(ValueError):
            Server(everything, threads="x")

    try:
        assert growth(work, sys.getallocatedblocks, 60) < 60
        assert growth(work, descriptors, 10) <= 0
    finally:
        taken.stop()
        assert taken.join()


def test_sockets_leave_no_descriptors_behind(eventually):
    site, work = requests(everything, talk)
    try:
        talk(site)
        before = descriptors()
        for _ in range(30):
            talk(site)
        eventually(lambda: descriptors() <= before)
    finally:
        assert site.stop()
