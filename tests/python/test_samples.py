"""Programs as the documentation of version 2.1.1 has them run unchanged.

Each runs as a program of its own, on the server in C and on wsgiref's classes.
Only the port is another: 0, and the program says which one that is.
"""

import pytest
from conftest import Site

pytestmark = pytest.mark.programs

SERVE = {
    "c": "run(app, port=0)",
    "wsgiref": "run(app, port=0, server_class=ThreadingWSGIServer, "
    "handler_class=FixedHandler)",
    "old names": "run(app, 'localhost', 0, server_cls=ThreadingWSGIServer, "
    "handler_cls=WSocketHandler)",
    "host first": "run('', 0, app)",
    "make_server": "start(make_server('localhost', 0, app))",
    "keywords": "start(make_server(handler_class=WebSocketHandler, port=0, "
    "app=app, server_class=ThreadingWSGIServer, host=''))",
    "WSocketServer": "server = WSocketServer(('localhost', 0), WebSocketHandler)"
    "\nserver.set_app(app)\nstart(server)",
    "ThreadingWSGIServer": "server = ThreadingWSGIServer(('', 0), FixedHandler)"
    "\nserver.set_app(app)\nassert server.get_app() is app\nstart(server)",
    "stdlib": "import wsgiref.simple_server\n"
    "start(wsgiref.simple_server.make_server('localhost', 0, app, "
    "ThreadingWSGIServer, FixedHandler))",
}

HEAD = """
from time import sleep
from wsocket import *

def start(server):
    import sys
    print("on http://localhost:%d/" % server.server_port, file=sys.stderr)
    server.serve_forever()

"""

ROUTE = """
logger.setLevel(10)  # for debugging

app = WSocketApp(protocol="WAMP")

@app.route("/")
def handle_websocket(environ, start_response):
    wsock = environ.get("wsgi.websocket")
    if not wsock:
        start_response()
        return "<h1>Hello World!</h1>"

    while True:
        try:
            message = wsock.receive()
            if message is not None:
                print("participator : " + message)
                wsock.send("you : " + message)
        except WebSocketError as e:
            logger.debug(e)
            break
    return []
"""

FUNCTION = """
def application(environ, start_response):
    wsock = environ.get("wsgi.websocket")
    if not wsock:
        start_response("200 OK", [("Content-Type", "text/html")])
        return [b"<h1>Hello World!</h1>"]
    while True:
        try:
            message = wsock.receive()
            if message is not None:
                wsock.send("you : " + message)
        except WebSocketError:
            break
    return []

app = WSocketApp(application, "WAMP")
"""

BOTTLE = """
from bottle import Bottle, request

bottle = Bottle()
app = WSocketApp(bottle, protocols=["WAMP"])

@bottle.route("/")
def handle_websocket():
    wsock = request.environ.get("wsgi.websocket")
    if not wsock:
        return "<h1>Hello World!</h1>"
    while True:
        try:
            message = wsock.receive()
            if message is not None:
                wsock.send("you : " + message)
        except WebSocketError:
            break
    return ""
"""

FLASK = """
from flask import Flask, request

flask = Flask(__name__)
app = WSocketApp(flask, protocol="WAMP")

@flask.route("/")
def handle_websocket():
    wsock = request.environ.get("wsgi.websocket")
    if not wsock:
        return "<h1>Hello World!</h1>"
    for message in wsock:
        wsock.send("you : " + message)
    return ""
"""

EVENTS = """
app = WSocketApp(protocol="WAMP")

@app.route("/")
def page(environ, start_response):
    return "<h1>Hello World!</h1>"

def on_close(self, message, client):
    print(repr(client) + " : " + message)

def on_connect(client):
    print(repr(client) + " connected")

def on_message(message, client):
    client.send("you : " + message)

app.onclose += on_close
app.onconnect + on_connect
app.onmessage = on_message
"""

RESPONSE = """
def page(environ, start_response):
    wsock = environ.get("wsgi.websocket")
    if wsock:
        for message in wsock:
            wsock.send("you : " + message)
        return
    start_response("200", {"Content-Type": "text/html"})
    yield "<h1>"
    yield b"Hello World!"
    yield "</h1>"

class Site(WSocketApp):
    def __call__(self, environ, start_response):
        return Response(environ, start_response, page).process_response()

app = WSocketApp(Site(), "WAMP")
"""

SAMPLES = {
    "route": ROUTE,
    "function": FUNCTION,
    "bottle": BOTTLE,
    "flask": FLASK,
    "events": EVENTS,
    "response": RESPONSE,
}


class Running(Site):
    """A program under way, as a site."""

    def __init__(self, program):
        self.port = program.port


@pytest.fixture
def running(program, tmp_path):
    """running(text): a Site that the program of that text serves."""

    def start(text):
        (tmp_path / "sample.py").write_text(HEAD + text)
        return Running(program("sample.py", command=()).wait_started())

    return start


def check(site):
    """A page, and an echo that speaks WAMP; both, and then the page again."""
    status, headers, body = site.get("/")
    assert (status, body) == (200, b"<h1>Hello World!</h1>")
    assert headers["content-type"].startswith("text/html")
    with site.ws("/", subprotocols=["other", "WAMP"]) as client:
        assert client.subprotocol == "WAMP"
        for message in ("hello", "", "h\xe9", "x" * 1000):
            client.send(message)
            assert client.recv() == "you : " + message
    assert site.get("/")[0] == 200


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("serve", ["c", "wsgiref"])
def test_a_sample_runs_unchanged(running, sample, serve):
    check(running(SAMPLES[sample] + "\n" + SERVE[serve]))


@pytest.mark.parametrize("serve", SERVE)
def test_every_way_to_serve_that_was_documented(running, serve):
    check(running(ROUTE + "\n" + SERVE[serve]))


@pytest.mark.parametrize(
    "serve",
    [
        "run(port=0)",
        "run(host='localhost', port=0)",
        "start(make_server('localhost', 0))",
        "run(port=0, handler_cls=FixedHandler)",
    ],
)
def test_without_an_application_it_is_the_demo(running, serve):
    site = running(serve)
    assert b"<title>wsocket" in site.get("/")[2]
    with site.ws("/") as client:
        for message in ("hello", b"\x00\xff"):
            client.send(message)
            assert client.recv() == message


RETURNS = """
import io
app = WSocketApp()

@app.route("/text")
def text(environ, start_response):
    return "text"

@app.route("/bytes")
def octets(environ, start_response):
    return b"bytes"

@app.route("/list")
def several(environ, start_response):
    start_response(201)
    return ["a", b"b", 3]

@app.route("/dict")
def keys(environ, start_response):
    return {"key": "value"}

@app.route("/file")
def file(environ, start_response):
    start_response("200", [("Content-Type", "text/x-python")])
    return open(__file__, "rb")

@app.route("/memory")
def memory(environ, start_response):
    return io.StringIO("memory")

@app.route("/numbers/*")
def numbers(environ, start_response):
    start_response()
    for number in range(5):
        yield number

@app.route("/error")
def error(environ, start_response):
    raise ValueError("<b>wrong</b>")
"""


@pytest.mark.parametrize("serve", ["c", "wsgiref"])
def test_what_handlers_return_arrives(running, serve):
    site = running(RETURNS + "\n" + SERVE[serve])
    assert site.get("/text")[2] == b"text"
    assert site.get("/bytes")[2] == b"bytes"
    assert site.get("/list")[::2] == (201, b"ab3")
    assert site.get("/dict")[2] == b"key"
    assert site.get("/file")[2] == (HEAD + RETURNS + "\n" + SERVE[serve]).encode()
    assert site.get("/memory")[2] == b"memory"
    assert site.get("/numbers/all")[2] == b"01234"
    assert site.get("/error")[0] == 500
    assert site.get("/none")[0] == 404
