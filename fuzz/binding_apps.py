"""The applications that fuzz/binding.py attacks, each on a server of its own.

An application looks at everything a request has, and does what the request's
octets tell: Plan is a random.Random that grows from them, so the same octets
have the same effects. What must never happen is told to `findings`.
"""

import contextlib
import io
import itertools
import logging
import os
import socket
import socketserver
import sys
import tempfile
import threading
import traceback
import zlib
from random import Random

import flask
import wsocket
from wsocket import FixedHandler, Framework, WebSocketError, WSocketApp
from wsocket.handlers import ThreadingWSGIServer
from wsocket.middleware import Middleware

FOLDER = os.path.dirname(wsocket.__file__)

#: What an odd argument may bring about; all else is a mistake of ours.
REFUSALS = (WebSocketError, TypeError, ValueError, OSError, RuntimeError,
            AssertionError, OverflowError, StopIteration)
#: A mistake of ours, whatever the application did.
INTERNAL = (SystemError, KeyError, AttributeError, IndexError, NameError,
            ZeroDivisionError, MemoryError, RecursionError, BufferError)

findings = []  # pairs: what it is, and the cases that may have done it
recent = {}  # the latest cases, by the thread that sent them
signals = set()  # names of what happened, since they were last taken
now = threading.local()


class Deliberate(Exception):
    """What an application raises by itself."""


def finding(kind, text):
    """Keep it, with the cases that may have done it: a line of a log is read up
    to a second later, everything else is seen at once."""
    first = 0 if kind == "log" else -6
    cases = [case for some in list(recent.values()) for case in some[first:]]
    findings.append(("%s: %s" % (kind, text), cases))


def judge(error, traceback_):
    """Tell an exception that was logged, and is not of the application's own
    making."""
    signals.add("logged " + type(error).__name__)
    if isinstance(error, (Deliberate, GeneratorExit)):
        return
    frames = traceback.extract_tb(traceback_)
    ours = bool(frames) and frames[-1].filename.startswith(FOLDER)
    polite = not getattr(now, "odd", True)
    if isinstance(error, SystemError) or (isinstance(error, INTERNAL) and ours) or (
            polite and not isinstance(error, (OSError, WebSocketError))):
        text = traceback.format_exception(type(error), error, traceback_)
        finding("traceback", "".join(text))


class Watch(logging.Handler):
    """Reads along what the package logs."""

    def emit(self, record):
        if record.exc_info and record.exc_info[1] is not None:
            judge(record.exc_info[1], record.exc_info[2])
        elif "Traceback" in record.getMessage():
            error = sys.exc_info()[1]
            if error is not None:
                judge(error, error.__traceback__)


def watch():
    """Let nothing that goes wrong stay unseen."""
    for name in "wsocket", "fuzz":
        logger = logging.getLogger(name)
        logger.addHandler(Watch())
        logger.propagate = False
    sys.unraisablehook = lambda told: (
        judge(told.exc_value, told.exc_traceback) if isinstance(
            told.exc_value, Deliberate) else
        finding("unraisable", "%r in %r" % (told.exc_value, told.object)))
    threading.excepthook = lambda told: finding(
        "thread", "".join(traceback.format_exception(*told[:3])))


# ----------------------------------------------------------------- plans ---

class Plan(Random):
    """What an application does with one request."""

    def __init__(self, environ):
        told = "%s %s %s" % (environ.get("PATH_INFO"), environ.get("QUERY_STRING"),
                             environ.get("HTTP_X_A"))
        super().__init__(zlib.crc32(told.encode("latin-1", "replace")))
        self.environ = environ
        self.is_odd = now.odd = self.random() < 0.5

    def field(self):
        """A value of the request."""
        return self.choice(list(self.environ.values()))

    def odd(self):
        return self.choice([
            None, 0, -1, 1 << 70, 1.5, b"\xff", "\xe9", "\ud800", "\u20ac", "a\r\nb: c",
            "\0", "", [], {}, (), object(), "x" * 70000, b"x" * 70000, True, "a b",
            memoryview(b"abc"), bytearray(b"abc"), Stranger(), self.field()])

    def text(self):
        return self.choice(["", "x", "\xe9" * 100, "y" * 70000])


class Stranger(str):
    """A str whose methods fail."""

    def __str__(self):
        raise Deliberate("__str__")

    __iter__ = encode = __len__ = __str__


def attempt(what, function, *args, **more):
    """Call; a refusal is fine, anything else is told."""
    try:
        return function(*args, **more)
    except Deliberate:
        signals.add(what + " Deliberate")
    except INTERNAL as error:
        finding("internal", "%s: %s" % (what, traceback.format_exc()))
        signals.add("%s %r" % (what, type(error)))
    except REFUSALS as error:
        signals.add("%s %s" % (what, type(error).__name__))
    return None


def look(thing, skip=()):
    """Every attribute that is no method."""
    for name in dir(type(thing)):
        if name.startswith("__") or name in skip:
            continue
        value = attempt(type(thing).__name__ + "." + name, getattr, thing, name, None)
        if not callable(value):
            repr(value)
    attempt("repr", repr, thing)


def read_body(plan, stream):
    """wsgi.input, in every way."""
    sizes = [0, 1, 2, 10, 100, 5000, -1, None]
    for _ in range(plan.choice([1, 1, 2, 5])):
        way = plan.randrange(7)
        if way == 0:
            attempt("read", stream.read)
        elif way == 1:
            attempt("read(n)", stream.read, plan.choice(sizes))
        elif way == 2:
            attempt("readline", stream.readline)
        elif way == 3:
            attempt("readline(n)", stream.readline, plan.choice(sizes))
        elif way == 4:
            attempt("readlines", stream.readlines, plan.choice([0, 1, 100, -1]))
        elif way == 5:
            attempt("iteration", lambda: list(itertools.islice(stream, 1000)))
        elif plan.is_odd:
            attempt("odd read", plan.choice([stream.read, stream.readline,
                                             stream.readlines]), plan.odd())
    look(stream, ("raw",))


def look_at(environ, plan):
    """All that is in environ, and more than once."""
    for key, value in list(environ.items()):
        if type(key) is not str:
            finding("environ", "the key %r" % (key,))
        if key.startswith(("HTTP_", "REQUEST", "PATH", "QUERY", "REMOTE")):
            if type(value) is not str:
                finding("environ", "%s is %r" % (key, value))
            attempt(key, value.encode, "latin-1")
    if plan.random() < 0.3:
        write = environ["wsgi.errors"].write
        attempt("errors", write, plan.choice(["a\nb", "\0\x1b\u2028", "x" * 9000, ""]))
        if plan.is_odd:
            attempt("errors", write, plan.odd())
        environ["wsgi.errors"].flush()
    hints = environ.get("wsgi.early_hints")
    if hints is not None and plan.random() < 0.2:
        fields = [("Link", str(plan.field())[:200])]
        attempt("hints", hints, plan.odd() if plan.is_odd else fields)


# --------------------------------------------------------------- answers ---

def headers_of(plan):
    fields = [("Content-Type", "text/plain")]
    if plan.is_odd:
        for _ in range(plan.choice([0, 1, 2, 100])):
            value = plan.odd() if plan.random() < 0.3 else plan.field()
            name = plan.odd() if plan.random() < 0.1 else plan.choice(
                ["X-A", "Content-Length", "Connection", "Transfer-Encoding", "Link",
                 "Set-Cookie", "Location", "Date", "Server", "Trailer", "X_\xe9", ""])
            fields.append((name, value))
        if plan.random() < 0.1:
            return plan.odd()
    return fields


def status_of(plan):
    if plan.is_odd and plan.random() < 0.3:
        return plan.choice([plan.odd(), "200", "99 X", "200 " + "x" * 9000, "1000 X",
                            "200 \xe9", "304 Not Modified", "101 X", "100 Continue"])
    return plan.choice(["200 OK", "200 OK", "404 Not Found", "204 No Content",
                        "500 Broken", "304 Not Modified", "206 Partial Content"])


def pieces(plan):
    for _ in range(plan.choice([0, 1, 3, 30])):
        if plan.is_odd and plan.random() < 0.1:
            yield plan.odd()
        yield plan.choice([b"", b"x", b"y" * 5000, b"z" * 100])
    if plan.random() < 0.1:
        raise Deliberate("an item")


class Closing:
    """A result with a close() that may fail."""

    def __init__(self, plan):
        self.plan, self.items = plan, pieces(plan)

    def __iter__(self):
        return self.items

    def close(self):
        if self.plan.random() < 0.2:
            raise Deliberate("close()")


def result_of(plan):
    way = plan.randrange(8)
    if way == 0:
        return []
    if way == 1:
        return pieces(plan)
    if way == 2:
        return Closing(plan)
    if way == 3 and "wsgi.file_wrapper" in plan.environ:
        file = tempfile.TemporaryFile() if plan.random() < 0.5 else io.BytesIO()
        file.write(b"f" * plan.choice([0, 1, 70000]))
        file.seek(0)
        return plan.environ["wsgi.file_wrapper"](file, plan.choice([1000, 8192]))
    if way == 4 and plan.is_odd:
        return plan.odd()
    return [b"a", b"", b"bc" * plan.choice([0, 10, 9000])]


def answer(plan, start_response):
    """One answer, or something like it."""
    if plan.is_odd and plan.random() < 0.3:
        attempt("start_response", start_response, status_of(plan), headers_of(plan))
        if plan.random() < 0.3:
            attempt("start_response", start_response, plan.odd())
        try:
            raise Deliberate("in exc_info")
        except Deliberate:
            attempt("start_response", start_response, "500 X", headers_of(plan),
                    plan.choice([sys.exc_info(), plan.odd()]))
    elif not (plan.is_odd and plan.random() < 0.05):
        write = start_response(status_of(plan), headers_of(plan))
        if plan.random() < 0.2:
            attempt("write", write, plan.odd() if plan.is_odd else b"written")
    if plan.random() < 0.05:
        raise Deliberate("instead of a result")
    return result_of(plan)


# ------------------------------------------------------------ WebSockets ---

def configure(plan, ws):
    """Everything that may be said before it begins."""
    if plan.random() < 0.3:
        attempt("protocols", setattr, ws, "protocols",
                plan.odd() if plan.is_odd else ["chat", "other"])
    if plan.random() < 0.3:
        attempt("accept_headers", setattr, ws, "accept_headers",
                headers_of(plan) if plan.is_odd else {"X-A": "b"})
    for name in "on_ping", "on_pong":
        if plan.random() < 0.3:
            attempt(name, setattr, ws, name, lambda data: len(data))
    if plan.random() < 0.3:
        attempt("send_policy", setattr, ws, "send_policy",
                plan.odd() if plan.is_odd else plan.choice(["wait", "drop", "close"]))
    if plan.random() < 0.3:
        attempt("accept", ws.accept, headers_of(plan) if plan.is_odd else None,
                plan.odd() if plan.is_odd else None)


def say(plan, ws, message=b""):
    """One of the ways to send."""
    what = plan.odd() if plan.is_odd and plan.random() < 0.4 else plan.choice(
        [message, plan.text(), b"", b"\0" * 300])
    way = plan.randrange(7)
    if way == 0:
        attempt("send_frame", ws.send_frame, what, plan.randrange(-1, 17),
                plan.random() < 0.5, plan.random() < 0.8)
    elif way == 1:
        attempt("send_stream", ws.send_stream, plan.choice(
            [["a", "b\xe9"], [b"a", b""], [], iter([what]), what, pieces(plan)]))
    elif way == 2:
        attempt("ping", ws.ping, what)
    elif way == 3:
        attempt("pong", ws.pong, what)
    else:
        attempt("send", ws.send, what, plan.choice([None, True, False]),
                plan.random() < 0.5)


def heed(plan, ws, message):
    """Do as a message says; True ends the handler."""
    if message in ("close", b"close"):
        attempt("close", ws.close, plan.odd() if plan.is_odd else 4000,
                plan.odd() if plan.is_odd else "enough")
    elif message in ("raise", b"raise"):
        raise Deliberate("a message")
    elif message in ("stream", b"stream"):
        stream = attempt("receive_stream", ws.receive_stream, 5)
        if stream is not None:
            attempt("stream", lambda: list(itertools.islice(stream, plan.choice([1, 999]))))
            look(stream)
    else:
        say(plan, ws, message)
    return message in ("end", b"end")


def talk(plan, ws):
    """A blocking handler."""
    look(ws)
    configure(plan, ws)
    for _ in range(50):
        way = plan.random()
        if way < 0.1:
            message = attempt("receive(timeout)", ws.receive, plan.choice([0, 0.001, 5]))
        elif way < 0.15 and plan.is_odd:
            message = attempt("receive(odd)", ws.receive, plan.choice([-1, "a", 1e300]))
        else:
            message = attempt("next", next, ws, None)
            if message is None:
                break
        if heed(plan, ws, message):
            break
    look(ws)


# ---------------------------------------------------------- applications ---

def plain(environ, start_response):
    """WSGI, with nothing between it and the server."""
    plan = Plan(environ)
    look_at(environ, plan)
    ws = environ.get("wsgi.websocket")
    if ws is not None and plan.random() < 0.8:
        talk(plan, ws)
        return []
    read_body(plan, environ["wsgi.input"])
    return answer(plan, start_response)


def make_flask():
    app = flask.Flask("fuzz")

    @app.route("/ws", websocket=True)
    def ws():
        environ = flask.request.environ
        talk(Plan(environ), environ["wsgi.websocket"])
        return ""

    @app.route("/plain")
    def sneaky():
        environ = flask.request.environ
        plan = Plan(environ)
        look_at(environ, plan)
        if "wsgi.websocket" in environ:
            talk(plan, environ["wsgi.websocket"])
        return "plain"

    @app.route("/form", methods=["GET", "POST", "PUT"])
    def form():
        request = flask.request
        return {"form": len(request.form), "files": len(request.files),
                "data": len(request.get_data()), "args": len(request.args),
                "cookies": len(request.cookies), "url": request.url}

    @app.route("/error")
    def error():
        now.odd = True
        raise Deliberate("a view")

    @app.route("/generator")
    def generator():
        now.odd = True
        return flask.Response(pieces(Plan(flask.request.environ)))

    @app.route("/", defaults={"path": ""})
    @app.route("/<path:path>")
    def page(path):
        look_at(flask.request.environ, Plan(flask.request.environ))
        return path

    return app


def make_events(**options):
    app = WSocketApp(protocols=["chat"], **options)
    plans = {}

    def connect(client):
        plan = client.plan = Plan(client.environ)
        look(client)
        configure(plan, client)
        look(app.onmessage)
        if plan.random() < 0.1:
            raise Deliberate("onconnect")

    def receive(message, client):
        now.odd = client.plan.is_odd
        heed(client.plan, client, message)

    def close(message, client):
        now.odd = client.plan.is_odd
        look(client)
        say(client.plan, client)

    class Client(wsocket.WebSocket):
        plan = Plan({"PATH_INFO": "/"})

    app.websocket_class = Client
    app.onconnect += connect
    app.onmessage += receive
    app.ondrain += lambda client: plans.clear()
    app.onclose += close
    app.route("/plain")(plain)
    return app


def make_framework():
    app = Framework()
    app.route("/str")(lambda environ, start: "text \u20ac")
    app.route("/bytes")(lambda environ, start: b"octets")
    app.route("/number")(lambda environ, start: 42)
    app.route("/file")(lambda environ, start: open(__file__, "rb"))
    app.route("/text")(lambda environ, start: open(__file__, encoding="utf-8"))
    app.route("/items")(lambda environ, start: ["a", 1, b"c", 2.5, None])
    app.route("/nothing")(lambda environ, start: None)

    @app.route("/dict", methods=["GET", "POST"])
    def dictionary(environ, start_response):
        plan = Plan(environ)
        attempt("start_response", start_response, plan.choice([200, "200", 404, None]),
                {"X-A": plan.field()} if plan.is_odd else {"X-A": "b"})
        return plan.odd() if plan.is_odd else "x"

    @app.route("/generator")
    def generator(environ, start_response):
        yield from pieces(Plan(environ))

    @app.route("/raise")
    def fail(environ, start_response):
        raise Deliberate("a route")

    @app.route("/raise-late")
    def late(environ, start_response):
        yield "x"
        raise Deliberate("later")

    app.route("/users/*")(plain)
    app.route("/")(plain)
    return app


class Handler(FixedHandler):
    keepalive_timeout = timeout = 20.0
    max_body = 100000

    def log_message(self, format, *args):
        attempt("log", lambda: format % args)

    def get_stderr(self):
        return io.StringIO()


class Naive(socketserver.StreamRequestHandler):
    """A foreign server that believes everything; only for Middleware."""

    def handle(self):
        self.connection.settimeout(20)
        lines = []
        while len(lines) < 500:
            line = self.rfile.readline(65536).decode("latin-1").strip("\r\n")
            if not line:
                break
            lines.append(line)
        words = (lines[0] if lines else "").split(" ") + ["", "", ""]
        path, _, query = words[1].partition("?")
        environ = {
            "REQUEST_METHOD": words[0], "PATH_INFO": path, "QUERY_STRING": query,
            "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.input": self.rfile,
            "wsgi.errors": io.StringIO(), "wsgi.url_scheme": "http",
            "SERVER_NAME": "x", "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1"}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            environ["HTTP_" + name.upper().replace("-", "_")] = value.strip(" \t")
        environ["REMOTE_PORT"] = environ.get("HTTP_X_FORWARDED_PORT", "1")
        self.call(environ)

    def call(self, environ):
        try:
            result = self.server.app(environ, lambda *args: lambda data: None)
            with contextlib.closing(result) if hasattr(
                    result, "close") else contextlib.nullcontext():
                for _ in zip(range(1000), result):
                    pass
        except Deliberate:
            pass
        except Exception as error:
            judge(error, error.__traceback__)


class NaiveServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            judge(error, error.__traceback__)


ATOMS = ('%h %l %u %t "%r" %s %b %B %f %a %D %T %M %L %p %U %q %m %H '
         "%{User-Agent}i %{X-A}o %{REMOTE_ADDR}e %{HTTP_COOKIE}e %{messages_in}w %%")


class Sites:
    """All servers, by the names of binding_cases.SITES, and their logs."""

    def __init__(self, folder):
        self.folder = folder
        self.stops = []
        self.ports = {
            "flask": self.own("json", make_flask()),
            "plain": self.own("json", plain, small=True, buffer_body="always", body_memory="1k",
                              static=["/static=" + folder], max_body="100k"),
            "proxied": self.own(ATOMS, plain, proxy_protocol=True, buffer_body="never",
                                trusted_proxies=["*"], forwarded_fields="forwarded"),
            "events": self.own("json", make_events(), ws_compression="takeover",
                               ws_allow_drafts=True, trusted_proxies=["127.0.0.0/8"],
                               forwarded_fields=["x-forwarded-" + name for name in (
                                   "for", "proto", "host", "port", "prefix")]),
            "framework": self.own(ATOMS, make_framework(), small=True, ws_origins="*"),
            "hidden": self.own("json", plain, ws_hide_upgrade="always", ws_max_size="4k",
                               max_header_bytes="1m", max_headers=5000),
            "middleware": self.naive(Middleware(plain, ws_hide_upgrade="always")),
            "fixed": self.classic(plain),
            "classic": self.classic(make_events()),
        }

    def own(self, format, app, small=False, **options):
        log = os.path.join(self.folder, "access-%d.log" % len(self.stops))
        listener = socket.socket()
        if small:  # connections inherit it: answers soon wait for their reader
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        server = wsocket.Server(
            app, bind="fd:%d" % listener.detach(), access_logfile=log,
            access_log_format=format, graceful_timeout=20,
            error_logfile=os.path.join(self.folder, "error.log"), **options).start()

        def stop():
            server.stop()
            try:
                if not server.join(60):
                    finding("hang", "a server does not stop")
            except TimeoutError as error:
                finding("hang", "a handler does not end: %s" % error)

        self.stops.append(stop)
        return server.port

    def run(self, server):
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        self.stops.append(server.shutdown)
        return server.server_address[1]

    def naive(self, app):
        server = NaiveServer(("127.0.0.1", 0), Naive)
        server.app = app
        return self.run(server)

    def classic(self, app):
        server = ThreadingWSGIServer(("127.0.0.1", 0), Handler)
        server.set_app(app)
        return self.run(server)

    def stop(self):
        for stop in self.stops:
            stop()
