"""The classes of wsgiref, made fit for HTTP/1.1 and WebSockets.

    from wsgiref.simple_server import make_server
    from wsocket import FixedHandler

    with make_server("", 8000, app, handler_class=FixedHandler) as server:
        server.serve_forever()

They are real subclasses, so they fit wherever wsgiref's do. ``wsocket.Server``
is faster by far, and fit for the open internet; these are not.
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

from .app import WSocketApp
from .log import logger
from .middleware import is_attempt

Application = Callable[..., Any]

LINE_LONGEST = 65536
LOGGED_MOST = 200  # of a line that was refused
DISCARD_MOST = 65536  # octets of a body that nobody has read
LINGER = 1.0  # seconds
BAD_BODY = (400, "Bad body")
TOO_LARGE = (413, "Content Too Large")

CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
TOKEN = r"[-!#$%&'*+.^_`|~0-9A-Za-z]+"

# RFC 9112 3; to CPython's own tests LF alone ends a line, too. The authority
# ends where the rest begins: parts that match the same take quadratic time.
REQUEST_LINE = re.compile(
    TOKEN + r" (?:/[!-\"$-~]*|https?://[^/?#\s]+(?:[/?][!-\"$-~]*)?|\*)"
    r" HTTP/\d\.\d\r?\n",
    re.ASCII | re.IGNORECASE,
)
ABSOLUTE = re.compile("https?://([^/?]+)((?:[/?].*)?)", re.IGNORECASE)

# RFC 3986 3.2.2; a comma is how two fields are joined.
HOST = re.compile(
    r"(?:\[[0-9A-Fa-f:.]{2,}\]|(?!:)(?:[-.\w~!$&'()*+;=]|%[0-9A-Fa-f]{2})*)"
    r"(?::\d{0,5})?",
    re.ASCII,
)

# RFC 9112 7.1.1
EXTENSION = r'[ \t]*;[ \t]*%s(?:[ \t]*=[ \t]*(?:%s|"%s"))?' % (
    TOKEN,
    TOKEN,
    r'(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*',
)
CHUNK_SIZE = re.compile(
    ("0*([0-9A-Fa-f]{1,15})(?:%s)*\r\n" % EXTENSION).encode("latin-1")
)
TRAILER = re.compile(
    (TOKEN + r":[\t -~\x80-\xff]*\r\n").encode("latin-1")
)


class FixedServerHandler(ServerHandler):
    """One answer: ``wsgiref.simple_server.ServerHandler`` for HTTP/1.1.

    The body is framed by its length, by chunks, or by the end of the
    connection. ``Connection`` and ``Upgrade`` may be set; names and values of
    headers must be ``str`` and hold no line breaks, also under ``-O``.
    """

    http_version = "1.1"

    #: The answer was sent whole, so that another may follow.
    completed = False
    _bodiless = False
    _chunked = False
    _left: Optional[int] = None  # octets of the announced length
    _sated = False  # there was more than the answer may hold

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
        made = self.headers_class(headers)
        for name, value in headers:
            self._checked(name, "Header name")
            self._checked(value, "Header value")
            if name.lower() == "transfer-encoding":
                raise AssertionError("Transfer-Encoding is the server's to set")
        self.status, self.headers = status, made
        return self.write

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
        """PEP 3333: the application is asked no more once there is enough. Only
        what exceeds that says so, for code may stand behind the last item."""
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
        """RFC 9112 9.3: what each side may take for granted."""
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
            # RFC 9110 15.5.22; PEP 3333 keeps a middleware from saying it.
            self.headers["Upgrade"] = "websocket"
            self.headers["Connection"] = "Upgrade, close"

    def write(self, data: bytes) -> None:
        if type(data) is not bytes:
            raise AssertionError("write() argument must be a bytes instance")
        if not self.status:
            raise AssertionError("write() before start_response()")
        if not self.headers_sent:
            self.bytes_sent = len(data)  # a length may be made of it
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
        """The answer has left: the result's close() that fails is logged, and
        no error page may follow."""
        try:
            if self.status is not None and hasattr(self, "request_handler"):
                super().close()
            else:
                super(ServerHandler, self).close()
        except Exception:
            self.log_exception(sys.exc_info())


class _Body(io.RawIOBase):
    """The body of one request, and not an octet more."""

    def __init__(self, request: FixedHandler, length: Optional[int]) -> None:
        self.request = request
        self.chunked = length is None
        self.left = length or 0  # in this chunk, or at all
        self.room = request.max_body or sys.maxsize  # for chunks to come
        self.ended = length == 0
        # The status and its text that say why it will never be complete.
        self.broken: Optional[tuple[int, str]] = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.ended:
            return 0
        self.request.send_continue()
        if self.chunked and self.left == 0 and not self._next_chunk():
            return 0
        view = memoryview(buffer)[: self.left]
        got: int = self.request.rfile.readinto1(view)
        if got == 0:
            raise self._cut("the body is incomplete")
        self.left -= got
        if self.left == 0:
            if not self.chunked:
                self.ended = True
            elif self.request.rfile.readline(3) != b"\r\n":
                raise self._cut("a chunk is longer than it says")
        return got

    def _next_chunk(self) -> bool:
        """RFC 9112 7.1; extensions and trailers are skipped."""
        size = CHUNK_SIZE.fullmatch(self.request.rfile.readline(1024))
        if size is None:
            raise self._cut("a chunk has no size")
        self.left = int(size[1], 16)
        if self.left > self.room:
            raise self._cut("the body is longer than max_body", TOO_LARGE)
        self.room -= self.left
        if self.left > 0:
            return True
        for _ in range(100):
            line = self.request.rfile.readline(8192)
            if line == b"\r\n":
                self.ended = True
                return False
            if not TRAILER.fullmatch(line):
                break
        raise self._cut("the trailers are none, or do not end")

    def _cut(
        self, why: str, status: tuple[int, str] = BAD_BODY
    ) -> Exception:
        self.ended = True
        self.broken = status
        self.request.close_connection = True
        return ConnectionAbortedError(why)

    def skip(self) -> bool:
        """Read what nobody has read, if it is not too much: whether it ended."""
        with contextlib.suppress(OSError):
            for _ in range(DISCARD_MOST // 4096):
                if not self.read(4096):
                    break
        return self.ended


class _Lines:
    """A stream of lines that remembers the last one."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.last = b"\n"

    def readline(self, size: int = -1) -> bytes:
        self.last = self.stream.readline(size)
        return self.last


class _AttemptBody(io.BufferedReader):
    """The body of a handshake that is none: the middleware finds the socket
    behind it, and refuses."""

    def __init__(self, body: _Body) -> None:
        super().__init__(body)
        self.rfile = body.request.rfile

    def peek(self, size: int = 0) -> bytes:
        return b""  # nothing of it is a frame


class FixedHandler(WSGIRequestHandler):
    """``wsgiref.simple_server.WSGIRequestHandler`` with WebSockets and
    HTTP/1.1.

    The application is wrapped in ``WSocketApp``, once. Connections are kept
    alive where the server has a thread for each. No address is looked up, and
    what the logger cannot write is lost without an error.
    """

    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # what cannot be read gets a head
    wbufsize = -1  # a head and what follows it leave together
    disable_nagle_algorithm = True
    server_handler_class = FixedServerHandler

    #: Seconds that a client may take for the next request, or a part of it.
    keepalive_timeout = 30.0

    #: Octets that the body of a request may have; a longer one is answered
    #: 413, unread. 0 is no limit.
    max_body = 1 << 30

    _owes_continue = False

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
        except OSError:  # too late, or gone
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
            # Behind a refusal early frames must not be read as requests.
            self.close_connection = True
            # A WebSocket takes the stream over, with what is buffered in it.
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
            self._refuse(*body.broken)
            self._linger()
        if not handler.completed:
            self.close_connection = True
        if attempt and handler.completed:
            self._linger()
        else:
            self._end_body(body)

    def get_environ(self) -> dict[str, Any]:
        """PEP 3333: what was not sent is not there; RFC 6265 5.4: cookies are
        joined their own way."""
        environ: dict[str, Any] = super().get_environ()
        if "content-type" not in self.headers:
            environ.pop("CONTENT_TYPE", None)
        cookies = self.headers.get_all("cookie", [])
        if len(cookies) > 1:
            environ["HTTP_COOKIE"] = "; ".join(map(str.strip, cookies))
        return environ

    def _has_threads(self) -> bool:
        return isinstance(self.server, socketserver.ThreadingMixIn)

    def get_app(self) -> Application:
        """The server's application with WebSockets; wrapped once."""
        app = self.server.get_app()
        if isinstance(app, WSocketApp):
            return app
        wrapped = getattr(self.server, "_wsocket_app", None)
        if wrapped is None or wrapped.app is not app:
            wrapped = self.server._wsocket_app = WSocketApp(app)
        return wrapped

    def _read_request(self) -> Optional[_Body]:
        """The next head; None when there is none, or it was refused."""
        self._set_timeout(self.keepalive_timeout)
        self.raw_requestline = self.rfile.readline(LINE_LONGEST + 1)
        if self.raw_requestline in (b"\r\n", b"\n"):  # RFC 9112 2.2
            self.raw_requestline = self.rfile.readline(LINE_LONGEST + 1)
        if not self.raw_requestline:
            return None
        line = self.raw_requestline.decode("latin-1")
        if len(line) > LINE_LONGEST or not REQUEST_LINE.fullmatch(line):
            self.requestline = line.rstrip("\r\n")[:LOGGED_MOST]
            self.request_version = self.command = ""
            self.protocol_version = "HTTP/1.0"  # it has said no other
            self.send_error(414 if len(line) > LINE_LONGEST else 400)
            return None
        self._owes_continue = False
        stream, lines = self.rfile, _Lines(self.rfile)
        self.rfile = lines
        try:
            if not self.parse_request():
                return None
        finally:
            self.rfile = stream
        if lines.last == b"":  # the client ended before its head did
            return self._refuse(400, "Bad header")
        body = self._open_body()
        if body is None:
            return None
        if self.command == "CONNECT":  # RFC 9110 9.3.6: nobody's tunnel
            return self._refuse(501, "Not Implemented")
        if not self._read_target():
            return self._refuse(400, "Bad target")
        if not self._read_expect():
            return self._refuse(417, "Expectation Failed")
        self._set_timeout(self.timeout)
        self.close_connection = not self._may_stay()
        return body

    def _read_target(self) -> bool:
        """RFC 9112 3.2; what an application gets is a path."""
        found = ABSOLUTE.fullmatch(self.path)
        if found:
            if not HOST.fullmatch(found[1]):
                return False
            del self.headers["Host"]
            self.headers["Host"] = found[1]
            self.path = found[2] if found[2][:1] == "/" else "/" + found[2]
        if self.path != "*":
            return "%00" not in self.path.partition("?")[0]
        self.path = "/"
        return self.command == "OPTIONS"

    def _read_expect(self) -> bool:
        """RFC 9110 10.1.1; the client is told to go on when the application
        reads."""
        if self.request_version < "HTTP/1.1":
            return True
        expected = self._list_of("expect") - {""}
        self._owes_continue = "100-continue" in expected
        return expected <= {"100-continue"}

    def _set_timeout(self, seconds: Optional[float]) -> None:
        if isinstance(self.connection, socket.socket):
            self.connection.settimeout(seconds)

    def _list_of(self, name: str) -> set[str]:
        fields = ",".join(self.headers.get_all(name, []))
        return {element.strip().lower() for element in fields.split(",")}

    def _may_stay(self) -> bool:
        """RFC 9112 9.3. Without threads a client that stays would keep all
        others waiting."""
        if not self._has_threads():
            return False
        options = self._list_of("connection")
        if self.request_version >= "HTTP/1.1":
            return "close" not in options
        return "keep-alive" in options and "close" not in options

    def _open_body(self) -> Optional[_Body]:
        """RFC 9112 6.3, and what would let two readers find two requests."""
        modern = self.request_version >= "HTTP/1.1"
        codings = self.headers.get_all("transfer-encoding", [])
        lengths = self.headers.get_all("content-length", [])
        hosts = self.headers.get_all("host", [])
        for name in [name for name in self.headers if "_" in name]:
            del self.headers[name]  # would be another one's in the environ
        if self.headers.defects or self.headers.get_payload():
            return self._refuse(400, "Bad header")
        for name, value in self.headers.items():
            if not re.fullmatch(TOKEN, name) or CONTROL.search(value):
                return self._refuse(400, "Bad header")
        if len(hosts) > 1 or (modern and not hosts):
            return self._refuse(400, "One Host is needed")
        if hosts and not HOST.fullmatch(hosts[0].strip(" \t")):
            return self._refuse(400, "Bad Host")
        if codings and (lengths or not modern):
            return self._refuse(400, "Bad Transfer-Encoding")
        if codings:
            if [coding.strip(" \t").lower() for coding in codings] != ["chunked"]:
                return self._refuse(501, "Unknown Transfer-Encoding")
            return _Body(self, None)
        length = lengths[0].strip(" \t") if lengths else "0"
        if len(lengths) > 1 or not re.fullmatch("0*[0-9]{1,18}", length):
            return self._refuse(400, "Bad Content-Length")
        if self.max_body and int(length) > self.max_body:
            self._refuse(*TOO_LARGE)
            return self._linger()
        return _Body(self, int(length))

    def _refuse(self, code: int, message: str) -> None:
        self.send_error(code, message)

    def handle_expect_100(self) -> bool:
        """Not yet: see _read_expect()."""
        return True

    def send_continue(self) -> None:
        """Say 100 (Continue) once, if the client waits for it."""
        if self._owes_continue:
            self._owes_continue = False
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()

    def _end_body(self, body: _Body) -> None:
        """Nothing of this request may be taken for the next one, and closing
        with unread input would destroy the answer (RFC 9112 9.6)."""
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
    """The same under its other names."""


WSocketHandler = WebSocketHandler


class ThreadingWSGIServer(socketserver.ThreadingMixIn, WSGIServer):
    """``wsgiref.simple_server.WSGIServer`` with a thread for each connection,
    so that one that is idle, as browsers open them, keeps nobody waiting.

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
        """Without asking for the name of the address, as its ancestor does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            logger.error("error in a connection", exc_info=error)
