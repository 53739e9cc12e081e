"""The classes of wsgiref, made fit for HTTP/1.1 and WebSockets.

    from wsgiref.simple_server import make_server
    from wsocket import FixedHandler

    with make_server("", 8000, app, handler_class=FixedHandler) as server:
        server.serve_forever()

They are subclasses of wsgiref's classes, so they can replace them anywhere, and
they parse HTTP with the engine of the server in C. ``wsocket.Server`` is much
faster and is made for the public internet; these classes are not.
"""

from __future__ import annotations

import contextlib
import io
import re
import socket
import socketserver
import sys
import time
from collections.abc import Callable
from typing import Any, Optional
from wsgiref.simple_server import (
    ServerHandler,
    WSGIRequestHandler,
    WSGIServer,
)

from . import _wsocket
from .app import WSocketApp
from .log import Repeated, report, warn
from .middleware import is_attempt

Application = Callable[..., Any]

LOGGED_MOST = 200  # characters of a refused request line
DISCARD_MOST = 65536  # bytes of a body that the application has not read
LINGER = 1.0  # seconds to read on before closing
LF_LONGEST = 65536  # bytes of a line that ends with LF alone

CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
# RFC 9110 7.6.1. Connection and Upgrade are not among them: with these a
# middleware accepts a WebSocket.
HOP_BY_HOP = {
    name: Repeated()
    for name in (
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
    )
}

# A request of HTTP/1.0 whose lines end with LF alone, as typed by hand and as
# sent by CPython's own tests. RFC 9112 2.2 allows it. The connection is closed
# after the answer, so that no further request can be smuggled in.
LF_LINE = re.compile(rb"[!-~]+ [!-~]+ HTTP/1\.0\n")


class FixedServerHandler(ServerHandler):
    """One answer: ``wsgiref.simple_server.ServerHandler`` for HTTP/1.1.

    The body is framed by its length, by chunks, or by the end of the
    connection. ``Connection`` and ``Upgrade`` may be set; names and values of
    headers must be ``str`` and hold no line breaks, also under ``-O``.
    """

    http_version = "1.1"

    #: True once the whole answer was sent, so that another may follow.
    completed = False
    _bodiless = False
    _chunked = False
    _left: Optional[int] = None  # bytes of Content-Length still to send
    _sated = False  # the application gave more than the answer may hold

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], Any]:
        if exc_info:
            try:
                if self.headers_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # it refers to this frame
        elif self.headers is not None:
            raise AssertionError("Headers already set!")
        self._validate_status(self._checked(status, "Status"))
        if type(headers) is list:  # otherwise headers_class raises
            for name, value in headers:  # headers_class may be less strict
                self._checked(name, "Header name")
                self._checked(value, "Header value")
            headers = [field for field in headers if not self._drops(field[0])]
        self.status, self.headers = status, self.headers_class(headers)
        return self.write

    def _drops(self, name: str) -> bool:
        """Return True for a field that an application must not set (PEP 3333),
        and warn. A program that copies another server's answer sets some."""
        dropped = HOP_BY_HOP.get(name.lower())
        if dropped is None:
            return False
        if dropped.add() is not None:
            warn(
                "the application has set %r, a hop-by-hop header, which only "
                "the server sets (PEP 3333): it was left out of the answer"
                % (name,)
            )
        return True

    def _checked(self, text: Any, what: str) -> str:
        if type(text) is not str:
            raise AssertionError(
                "%s must be of type str (got %r)" % (what, text)
            )
        if CONTROL.search(text):
            raise AssertionError(
                "%s holds a control character: %r" % (what, text)
            )
        return text

    def _validate_status(self, status: str) -> None:
        if len(status) < 4:
            raise AssertionError("Status must be at least 4 characters")
        if not status[:3].isdigit():
            raise AssertionError("Status message must begin w/3-digit code")
        if status[3] != " ":
            raise AssertionError(
                "Status message must have a space after code"
            )

    def finish_response(self) -> None:
        """Stop iterating once the application gives more than Content-Length
        (PEP 3333), but not at that length: code may follow the last item."""
        try:
            if not self.result_is_file() or not self.sendfile():
                for data in self.result:
                    self.write(data)
                    if self._sated:
                        break
                self.finish_content()
        except BaseException:
            if hasattr(self.result, "close"):
                self.result.close()
            raise
        self.close()

    # ------------------------------------------------------------ framing ---

    def cleanup_headers(self) -> None:
        code = self.status[:3]
        none = code in ("204", "304") or code < "200"
        if code == "205":  # RFC 9110 15.3.6
            self.headers["Content-Length"] = "0"
        self._bodiless = none or self.environ["REQUEST_METHOD"] == "HEAD"
        modern = self.environ["SERVER_PROTOCOL"] >= "HTTP/1.1"
        if none:
            if code != "304":
                del self.headers["Content-Length"]
        else:
            super().cleanup_headers()
        length = self.headers["Content-Length"]
        if length is not None:
            if not re.fullmatch("[0-9]{1,18}", length):
                raise AssertionError("Content-Length is no number: " + length)
            self._left = int(length)
        elif not none and modern:
            self.headers["Transfer-Encoding"] = "chunked"
            self._chunked = not self._bodiless
        self._set_connection(modern, none or modern or length is not None)

    def _set_connection(self, modern: bool, ends: bool) -> None:
        """Set Connection where HTTP/1.x does not imply it (RFC 9112 9.3)."""
        request = getattr(self, "request_handler", None)
        own = (self.headers["Connection"] or "").lower()
        if "upgrade" in own:
            return
        if request is None or not ends or "close" in own:
            if request is not None:
                request.close_connection = True
        if request is None or request.close_connection:
            self.headers["Connection"] = "close"
        elif not modern:
            self.headers["Connection"] = "keep-alive"
        if self.status[:3] == "426" and "Sec-WebSocket-Version" in self.headers:
            # RFC 9110 15.5.22; PEP 3333 forbids a middleware to set it.
            self.headers["Upgrade"] = "websocket"
            self.headers["Connection"] = "Upgrade, close"

    def write(self, data: bytes) -> None:
        if type(data) is not bytes:
            raise AssertionError("write() argument must be a bytes instance")
        if not self.status:
            raise AssertionError("write() before start_response()")
        if not self.headers_sent:
            self.bytes_sent = len(data)  # Content-Length may be set from it
            self.send_headers()
        else:
            self.bytes_sent += len(data)
        self._write_body(data)
        self._flush()

    def _write_body(self, data: bytes) -> None:
        if self._bodiless or not data:
            self._sated = data != b""
            return
        if self._left is not None:
            self._sated = len(data) > self._left
            data = data[: self._left]
            self._left -= len(data)
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._write(data)

    def finish_content(self) -> None:
        if not self.headers_sent:
            if self.environ["REQUEST_METHOD"] != "HEAD":
                self.headers.setdefault("Content-Length", "0")
            self.send_headers()
        if self._chunked:
            self._write(b"0\r\n\r\n")
        self._flush()
        self.completed = (self._bodiless or not self._left) and (
            not self.status.startswith("1")
        )

    def close(self) -> None:
        """End the answer. If close() of the result fails, log that: no error
        page may follow the answer."""
        try:
            if self.status is not None and hasattr(self, "request_handler"):
                super().close()
            else:
                super(ServerHandler, self).close()
        except Exception:
            self.log_exception(sys.exc_info())


class _Body(io.RawIOBase):
    """The body of one request, which never reads past its end."""

    def __init__(self, request: FixedHandler, engine: _wsocket.Reader) -> None:
        self.request = request
        self.engine = engine
        self.data = b""  # decoded; data[at:] is still unread
        self.at = 0
        self.ended = False
        # The status to answer if the body can never be complete.
        self.broken: Optional[int] = None

    def take(self, events: list[tuple[str, Any]]) -> None:
        for kind, what in events:
            if kind == "data":
                self.data = self.data[self.at :] + what
                self.at = 0
            elif kind == "end":
                self.ended = True
            elif kind == "failed":
                self.broken = what

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        while self.at == len(self.data) and not self.ended:
            if self.broken:
                raise ConnectionAbortedError("the body is not complete")
            self._receive()
        got = min(len(view), len(self.data) - self.at)
        view[:got] = self.data[self.at : self.at + got]
        self.at += got
        return got

    def _receive(self) -> None:
        """Receive some of the body (RFC 9112 6.3, 7.1; 8 for a cut one)."""
        self.request.send_continue()
        stream = self.request.rfile
        ahead = stream.peek(1)
        if ahead:
            used, events = self.engine.feed(ahead)
            stream.read(used)
        else:
            events = self.engine.feed_eof()
        self.take(events)
        if self.broken:
            self.request.close_connection = True

    def skip(self) -> bool:
        """Read the rest of the body if it is not too long. Return True at its
        end."""
        with contextlib.suppress(OSError):
            for _ in range(DISCARD_MOST // 4096):
                if not self.read(4096):
                    break
        return self.ended and self.at == len(self.data)


class _AttemptBody(io.BufferedReader):
    """The body of a handshake, which must have none: the middleware finds the
    socket behind it, and refuses."""

    def __init__(self, body: _Body) -> None:
        super().__init__(body)
        self.rfile = body.request.rfile

    def peek(self, size: int = 0) -> bytes:
        return b""  # no byte of a body is a frame


class FixedHandler(WSGIRequestHandler):
    """``wsgiref.simple_server.WSGIRequestHandler`` with WebSockets and
    HTTP/1.1.

    The application is wrapped in ``WSocketApp``, once. Connections are kept
    alive if the server has a thread for each. Addresses are not resolved to
    names, and a line that the log cannot write is dropped without an error.
    """

    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # a refused request gets a head
    wbufsize = -1  # buffered: head and body leave together
    disable_nagle_algorithm = True
    server_handler_class = FixedServerHandler

    #: Seconds that a client may take for the next part of a request.
    keepalive_timeout = 30.0

    #: Maximum size of a request body in bytes; a larger one is answered 413
    #: without being read. 0 means no limit.
    max_body = 1 << 30

    #: Maximum bytes of a request line (beyond it 414) and of all header fields,
    #: and maximum number of header fields (beyond them 431).
    max_request_line = 16384
    max_header_bytes = 65536
    max_headers = 100

    _owes_continue = False
    _ends_with_lf = False
    _body: Optional[_Body] = None

    # ------------------------------------------------------------- logging ---

    def address_string(self) -> str:
        return str(self.client_address[0]) if self.client_address else ""

    def log_message(self, format: str, *args: Any) -> None:
        with contextlib.suppress(Exception):
            line = CONTROL.sub(
                lambda found: "\\x%02x" % ord(found[0]), format % args
            )
            sys.stderr.write(
                "%s - - [%s] %s\n"
                % (self.address_string(), self.log_date_time_string(), line)
            )

    # ------------------------------------------------------------ requests ---

    def handle(self) -> None:
        self.close_connection = True
        self.handle_one_request()
        while not self.close_connection:
            self.handle_one_request()

    def handle_one_request(self) -> None:
        try:
            body = self._read_request()
        except OSError:  # timed out, or the client has left
            self.close_connection = True
            return
        if body is None:
            self.close_connection = True
            return
        environ = self.get_environ()
        environ["wsgi.input_terminated"] = True
        attempt = is_attempt(environ)
        stream: Any = io.BufferedReader(body)
        if attempt:
            # After a refusal, early frames must not be parsed as requests.
            self.close_connection = True
            # The WebSocket gets the stream, with the bytes it has buffered.
            stream = self.rfile if body.ended else _AttemptBody(body)
        handler = self.server_handler_class(
            stream,
            self.wfile,
            self.get_stderr(),
            environ,
            multithread=self._has_threads(),
        )
        handler.request_handler = self
        handler.run(self.get_app())
        if body.broken and not handler.headers_sent:
            self.send_error(body.broken)
            self._linger()
        if not handler.completed:
            self.close_connection = True
        if attempt and handler.completed:
            self._linger()
        else:
            self._end_body(body)

    def get_environ(self) -> dict[str, Any]:
        """Omit keys of fields that were not sent (PEP 3333), and join Cookie
        fields with semicolons (RFC 6265 5.4)."""
        environ: dict[str, Any] = super().get_environ()
        if "content-type" not in self.headers:
            environ.pop("CONTENT_TYPE", None)
        if "content-length" not in self.headers:
            environ.pop("CONTENT_LENGTH", None)
        cookies = self.headers.get_all("cookie", [])
        if len(cookies) > 1:
            environ["HTTP_COOKIE"] = "; ".join(map(str.strip, cookies))
        return environ

    def _has_threads(self) -> bool:
        return isinstance(self.server, socketserver.ThreadingMixIn)

    def get_app(self) -> Application:
        """Return the server's application, wrapped once for WebSockets."""
        app = self.server.get_app()
        if isinstance(app, WSocketApp):
            return app
        wrapped = getattr(self.server, "_wsocket_app", None)
        if wrapped is None or wrapped.app is not app:
            wrapped = self.server._wsocket_app = WSocketApp(app)
        return wrapped

    def _read_request(self) -> Optional[_Body]:
        """Read the next head and return its body; None if there is no head, or
        it was refused."""
        self._set_timeout(self.keepalive_timeout)
        self.raw_requestline = b""
        if not self.parse_request():
            return None
        self._set_timeout(self.timeout)
        return self._body

    def parse_request(self) -> bool:
        """Read a head whose beginning may be in ``raw_requestline``. Return
        False if there is none, or it was refused."""
        self.close_connection = True
        self.requestline = self.request_version = self.command = ""
        if not hasattr(self.rfile, "peek"):
            self.rfile = io.BufferedReader(self.rfile)
        engine = _wsocket.Reader(
            max_body=self.max_body,
            max_request_line=self.max_request_line,
            max_header_bytes=self.max_header_bytes,
            max_headers=self.max_headers,
        )
        events = self._read_head(engine)
        if not events:
            return False
        kind, head = events[0]
        if kind == "failed":
            self._refuse_head(head)
            return False
        self._body = _Body(self, engine)
        self._body.take(events[1:])
        self._take_head(head)
        return True

    def _read_head(self, engine: _wsocket.Reader) -> list[tuple[str, Any]]:
        """Feed the engine until it has the next head, and return its events.
        Read no byte past the head. Return none if the client has left."""
        line = self.raw_requestline
        events: list[tuple[str, Any]] = []
        if line:
            events = engine.feed(line)[1]
        while not events:
            ahead = self.rfile.peek(1)
            if not ahead:
                return engine.feed_eof()
            first = b"\n" in ahead and b"\n" not in line
            if first and LF_LINE.match(line + ahead):
                return self._read_lf_head(engine, line)
            used, events = engine.feed(ahead)
            self.rfile.read(used)
            if b"\n" not in line[2:] and len(line) <= self.max_request_line:
                line += ahead[:used]
                self.raw_requestline = line
        return events

    def _read_lf_head(
        self, engine: _wsocket.Reader, begun: bytes
    ) -> list[tuple[str, Any]]:
        """Read a head of LF_LINE: feed the engine each line with a CR added."""
        self._ends_with_lf = True
        events: list[tuple[str, Any]] = []
        self.raw_requestline = begun
        while not events:
            line = self.rfile.readline(LF_LONGEST)
            if not line:
                return engine.feed_eof()
            if not events and b"\n" not in self.raw_requestline:
                self.raw_requestline += line
            if line[-1:] == b"\n" and b"\r" not in line:
                line = line[:-1] + b"\r\n"
            events = engine.feed(line)[1]
        return events

    def _take_head(self, head: dict[str, Any]) -> None:
        """Set what wsgiref reads of a head. The application gets the path of
        any form of target (RFC 9112 3.2)."""
        self.command = head["method"]
        self.request_version = head["version"]
        self.requestline = "%s %s %s" % (
            head["method"],
            head["target"],
            head["version"],
        )
        self.headers = self.MessageClass()
        fields = head["fields"]
        absolute = head["target"][0] not in "/*"
        if absolute:
            fields = [("Host", head["host"])] + [
                field for field in fields if field[0].lower() != "host"
            ]
        for name, value in fields:
            self.headers[name] = value
        self.path = head["path"]
        if self.path == "*":
            self.path = "/"
        elif self.path[:2] == "//":  # as wsgiref: else it looks like a host
            self.path = "/" + self.path.lstrip("/")
        if head["query"]:
            self.path += "?" + head["query"]
        self._owes_continue = head["expect_continue"]
        self.close_connection = not (head["keep_alive"] and self._may_stay())

    def _refuse_head(self, status: int) -> None:
        line = self.raw_requestline.lstrip(b"\r\n").partition(b"\n")[0]
        self.requestline = line.decode("latin-1").rstrip("\r")[:LOGGED_MOST]
        if line.startswith(b"HEAD "):
            self.command = "HEAD"  # so that the answer has no body
        if not line.rstrip().endswith(b"HTTP/1.1"):
            self.protocol_version = "HTTP/1.0"  # the client names no other
        self.send_error(status)
        self._linger()

    def _set_timeout(self, seconds: Optional[float]) -> None:
        if isinstance(self.connection, socket.socket):
            self.connection.settimeout(seconds)

    def _may_stay(self) -> bool:
        """Return True if the connection may be kept alive: on a server without
        threads it would block all others."""
        return self._has_threads() and not self._ends_with_lf

    def handle_expect_100(self) -> bool:
        """Send nothing yet: see send_continue()."""
        return True

    def send_continue(self) -> None:
        """Send 100 (Continue) once, if the client waits for it."""
        if self._owes_continue:
            self._owes_continue = False
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()

    def _end_body(self, body: _Body) -> None:
        """Read the rest of the body, so that it is not parsed as the next
        request; or close, but not with unread input, because that may destroy
        the answer (RFC 9112 9.6)."""
        if body.ended:
            return
        if self._owes_continue or not body.skip():
            self.close_connection = True
            self._linger()

    def _linger(self) -> None:
        if not isinstance(self.connection, socket.socket):
            return
        until = time.monotonic() + LINGER
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER)
            while time.monotonic() < until:
                if not self.connection.recv(65536):
                    break


class WebSocketHandler(FixedHandler):
    """The same class under its other name."""


WSocketHandler = WebSocketHandler


class ThreadingWSGIServer(socketserver.ThreadingMixIn, WSGIServer):
    """``wsgiref.simple_server.WSGIServer`` with a thread for each connection,
    so that an idle connection, as browsers open them, does not block others.

        server = ThreadingWSGIServer(("", 8000), FixedHandler)
        server.set_app(app)
        server.serve_forever()
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        server_address: tuple[str, int],
        RequestHandlerClass: Any = WebSocketHandler,
        bind_and_activate: bool = True,
    ) -> None:
        if ":" in server_address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(server_address, RequestHandlerClass, bind_and_activate)

    def server_bind(self) -> None:
        """Bind without resolving the address to a name, as wsgiref does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            report("error in a connection", error)
