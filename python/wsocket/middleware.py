"""WebSockets for a WSGI application on other servers than wsocket.

    app = Middleware(app)

The application finds a WebSocket in ``environ["wsgi.websocket"]``. On wsocket's
own server it does so without a middleware. On others ``reach()`` finds the
socket of the connection. If the server gives no access to it, a WebSocket is
answered 501, and plain requests work as before.
"""

from __future__ import annotations

import http
import socket
import ssl
import sys
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Optional

from . import _wsocket
from .handshake import gated
from .log import Repeated, report, warn

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

GOOD = (
    "wsocket itself, gunicorn, werkzeug (flask run), gevent, eventlet, uWSGI, "
    "cheroot or wsgiref"
)


class Door(NamedTuple):
    """The socket of a connection of another server, and how to use it."""

    socket: Any
    kind: str  #: ``plain``, ``tls`` or ``green``
    early: bytes  #: bytes that the server has received after the request
    done: Callable[[], None]  #: called when the socket is no longer used
    silent: bool = False  #: start_response must not be called any more


class Middleware:
    """Give an application ``environ["wsgi.websocket"]`` on any server.

        app = Middleware(app, ws_max_size="4m", ws_origins="*")

    The options are those of a server that begin with ``ws_``, and
    ``on_handshake``, see ``wsocket.handshake.Gate``.
    """

    def __init__(self, app: Application, **options: Any) -> None:
        self.app = gated(app, options)
        self._foreign = _wsocket.Foreign(**options)
        self._refused = Repeated()

    def __call__(
        self, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        if "wsgi.websocket" in environ:
            return self.app(environ, start_response)
        if not is_attempt(environ):
            return self._run_plain(environ, start_response)
        door = reach(environ)
        if door is None:
            return _refuse_server(environ, start_response)
        ws = self._foreign.admit(
            getattr(self.app, "__self__", self.app),
            environ,
            head_of(environ),
            door.socket,
            door.kind,
            door.early,
            str(environ.get("REMOTE_ADDR") or ""),
            _port_of(environ),
        )
        if isinstance(ws, tuple):
            if ws[0] == http.HTTPStatus.FORBIDDEN:
                self._tell_refused(environ)
            return refuse(ws[0], ws[1], start_response)
        return self._run(door, ws, environ, start_response)

    def _tell_refused(self, environ: Environ) -> None:
        """Count a refused origin, and log the count at most once a second."""
        count = self._refused.add()
        if count is None:
            return
        warn(
            "WebSocket refused: ws_origins does not allow pages of %a on "
            "%s://%a: %d since the start"
            % (
                environ.get("HTTP_ORIGIN", ""),
                environ.get("wsgi.url_scheme", "http"),
                environ.get("HTTP_HOST", ""),
                count,
            )
        )

    def _run_plain(
        self, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Serve a plain request; answer 426 if the view needs a WebSocket."""
        try:
            return self.app(environ, start_response)
        except KeyError as exc:
            if type(exc) is not KeyError or exc.args != ("wsgi.websocket",):
                raise
            warn(
                "a view has asked for environ['wsgi.websocket'], but the "
                "request was no WebSocket: %s %s"
                % (environ.get("REQUEST_METHOD"), environ.get("PATH_INFO"))
            )
            info = sys.exc_info()
            return refuse(
                426,
                "A WebSocket is expected here",
                lambda status, headers: start_response(status, headers, info),
            )

    def _run(
        self,
        door: Door,
        ws: Any,
        environ: Environ,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        """Run the application until it answers or is done with the socket."""
        foreign = self._foreign
        answer = _Answer(foreign, ws, start_response)
        result: Any = ()
        open_still = True
        try:
            result = self.app(environ, answer)
            items = iter(result)
            for item in items:
                if item and answer.refuses():
                    plain, result = _Plain(item, items, result), ()
                    return plain
            _close(result)
            result = ()
            open_still = False
            if foreign.finish(ws, not answer.called):
                return _leave(door, answer)
            return []
        except Exception as exc:
            if not foreign.accepted(ws):
                raise
            if not _has_left(ws, exc):
                report(
                    "error in the application: %s %a"
                    % (
                        environ.get("REQUEST_METHOD"),
                        environ.get("PATH_INFO"),
                    ),
                    exc,
                    environ.get("wsgi.errors"),
                )
                foreign.crash(ws)
            if open_still:
                open_still = False
                foreign.finish(ws)
            return _leave(door, answer)
        finally:
            if open_still:
                foreign.finish(ws, False, True)
            _close(result)


class _Answer:
    """start_response for an application that may use the WebSocket instead."""

    def __init__(
        self, foreign: Any, ws: Any, start_response: StartResponse
    ) -> None:
        self.foreign = foreign
        self.ws = ws
        self.start_response = start_response
        self.called = False

    def refuses(self) -> bool:
        """Return True if the application has answered, without the socket."""
        return self.called and not self.foreign.accepted(self.ws)

    def __call__(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        if not self.foreign.accepted(self.ws):
            write = (
                self.start_response(status, headers, exc_info)
                if exc_info
                else self.start_response(status, headers)
            )
            self.called = True
            return write
        # After a 101, a framework reports a crash of the handler this way.
        if exc_info is not None or status >= "500":
            self.foreign.crash(self.ws)
        return lambda data: None


class _Plain:
    """The items of a plain answer, the first of which has been read already."""

    def __init__(
        self, first: bytes, items: Iterator[bytes], result: Any
    ) -> None:
        self._first: Optional[bytes] = first
        self._items = items
        self._result = result

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        first, self._first = self._first, None
        return next(self._items) if first is None else first

    def close(self) -> None:
        _close(self._result)


def _close(result: Any) -> None:
    close = getattr(result, "close", None)
    if close is not None:
        close()


def _has_left(ws: Any, exc: Exception) -> bool:
    """Return True if the exception only says that the peer has left."""
    return (
        isinstance(exc, _wsocket.WebSocketError)
        and not isinstance(exc, _wsocket.ProtocolError)
        and ws.closed
    )


def _leave(door: Door, answer: _Answer) -> list[bytes]:
    """Return the connection to the server. It is shut down, so what the server
    writes fails as if the client had left; the 101 is only for its log."""
    door.done()
    if not door.silent and not answer.called:
        answer.start_response("101 Switching Protocols", [])
    return []


# ----------------------------------------------------------------- requests


def is_attempt(environ: Environ) -> bool:
    """Return True if the request asks for a WebSocket, valid or not."""
    upgrade = environ.get("HTTP_UPGRADE")
    if not upgrade:
        return False
    # RFC 9110 7.8: not in HTTP/1.0, which eventlet sets for every request.
    if environ.get("SERVER_PROTOCOL") != "HTTP/1.1" and (
        "eventlet.input" not in environ
    ):
        return False
    names = (name.strip().lower() for name in upgrade.split(","))
    return "websocket" in names


def head_of(environ: Environ) -> bytes:
    """Build the head of the request from an environ."""
    path = urllib.parse.quote(
        environ.get("PATH_INFO", "").encode("latin-1"), safe="/:@!$&'()*+,;=~"
    )
    query = environ.get("QUERY_STRING")
    lines = [
        "%s %s%s HTTP/1.1"
        % (
            environ["REQUEST_METHOD"],
            "/" + path.lstrip("/"),
            "?" + query if query else "",
        )
    ]
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            name = key[5:].replace("_", "-").title()
            lines.append("%s: %s" % (name, value))
    if environ.get("CONTENT_LENGTH"):
        lines.append("Content-Length: " + environ["CONTENT_LENGTH"])
    lines += ["", ""]
    return "\r\n".join(lines).encode("latin-1", "replace")


def _port_of(environ: Environ) -> int:
    try:
        return int(environ.get("REMOTE_PORT") or 0) & 0xFFFF
    except ValueError:
        return 0


def refuse(
    status: int, reason: str, start_response: StartResponse
) -> list[bytes]:
    """Answer an attempt with a plain response."""
    headers = [("Content-Type", "text/plain; charset=utf-8")]
    if status == http.HTTPStatus.UPGRADE_REQUIRED:
        headers.append(("Sec-WebSocket-Version", "13"))
    elif status == http.HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append(("Allow", "GET"))
    body = (reason + "\n").encode()
    headers.append(("Content-Length", str(len(body))))
    start_response("%d %s" % (status, http.HTTPStatus(status).phrase), headers)
    return [body]


_told: set[str] = set()


def _refuse_server(
    environ: Environ, start_response: StartResponse
) -> list[bytes]:
    name = str(environ.get("SERVER_SOFTWARE") or "this server")
    if "uwsgi.version" in environ:
        name = "uWSGI with --https-socket"
    reason = (
        "%s lends an application no socket, so WebSockets cannot work on it; "
        "serve the application with %s" % (name, GOOD)
    )
    if name not in _told:
        _told.add(name)
        report(reason, None, environ.get("wsgi.errors"))
    return refuse(501, reason, start_response)


# ------------------------------------------------------------------ sockets


def reach(environ: Environ) -> Optional[Door]:
    """Find the socket of the server that made this environ, or None."""
    for find in (_named, _eventlet, _uwsgi, _behind_input):
        door = find(environ)
        if door is not None:
            return door
    return None


def _nothing() -> None:
    pass


def kind_of(sock: Any) -> Optional[str]:
    """Return the kind of a socket, see Door; None for an unknown one."""
    library = type(sock).__module__.partition(".")[0]
    if library in ("gevent", "eventlet"):
        return "green"
    if isinstance(sock, ssl.SSLSocket):
        return "tls"
    return "plain" if isinstance(sock, socket.socket) else None


def _door(
    environ: Environ, sock: Any, done: Callable[[], None] = _nothing
) -> Optional[Door]:
    kind = kind_of(sock)
    if kind is None:
        return None
    return Door(sock, kind, _received(environ, sock), done)


def _named(environ: Environ) -> Optional[Door]:
    """Werkzeug, gunicorn, and servers with the same key in environ."""
    for name in ("werkzeug.socket", "gunicorn.socket", "gunicorn.sock"):
        if name in environ:
            return _door(environ, environ[name])
    return None


def _eventlet(environ: Environ) -> Optional[Door]:
    stream = environ.get("eventlet.input")
    if stream is None:
        return None
    from eventlet import wsgi

    def done() -> None:
        wsgi.WSGI_LOCAL.already_handled = True

    environ.get("eventlet.set_idle", _nothing)()
    return _door(environ, stream.get_socket(), done)


def _uwsgi(environ: Environ) -> Optional[Door]:
    if "uwsgi.version" not in environ:
        return None
    import uwsgi

    if _keeps_tls(environ, uwsgi):
        return None
    return Door(uwsgi.connection_fd(), "plain", b"", uwsgi.disconnect, True)


def _keeps_tls(environ: Environ, uwsgi: Any) -> bool:
    """Return True for --https-socket: the worker keeps the TLS of its
    descriptor to itself. With --https another process does the TLS."""
    return environ.get("wsgi.url_scheme") == "https" and any(
        name in uwsgi.opt for name in ("https-socket", b"https-socket")
    )


def _behind_input(environ: Environ) -> Optional[Door]:
    """wsgiref, gevent and cheroot: wsgi.input is a file over the socket."""
    for stream in _streams(environ):
        sock = getattr(getattr(stream, "raw", None), "_sock", None)
        if sock is not None:
            return _door(environ, sock)
    return None


def _streams(environ: Environ) -> Iterator[Any]:
    """Yield wsgi.input and the files that it reads from."""
    stream = environ.get("wsgi.input")
    for _ in range(4):
        if stream is None:
            return
        yield stream
        stream = getattr(stream, "rfile", None)


def _received(environ: Environ, sock: Any) -> bytes:
    """Return the bytes that the server has read after the head."""
    unreader = getattr(
        getattr(environ.get("wsgi.input"), "reader", None), "unreader", None
    )
    if unreader is not None:  # gunicorn
        return bytes(unreader.buf.getvalue())
    for stream in _streams(environ):
        if hasattr(stream, "peek"):
            return _peek(stream, sock)
    return b""


def _peek(stream: Any, sock: Any) -> bytes:
    """Return the bytes in the buffer of a stream. If it is empty, peek() reads
    from the socket, and must not wait."""
    timeout = sock.gettimeout()
    sock.settimeout(0)
    try:
        return bytes(stream.peek())
    except OSError:
        return b""
    finally:
        sock.settimeout(timeout)
