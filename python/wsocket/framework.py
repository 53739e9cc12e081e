"""A small web framework: routes to handlers that return almost anything.

    from wsocket import Framework, run

    app = Framework()

    @app.route("/")
    def hello(environ, start_response):
        return "<h1>Hello</h1>"

    @app.route("/users/*")
    def user(environ, start_response):
        start_response(404, {"Content-Type": "text/plain"})
        return "nobody here"

    run(app)

``WSocketApp`` has all of this as well.
"""

from __future__ import annotations

import html
import io
import mimetypes
import os
import stat
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Optional, TypeVar

from ._wsocket import Response, Router

Handler = Callable[..., Any]
H = TypeVar("H", bound=Handler)

CHUNK = 65536


class Framework(Router):
    """A WSGI application made of routes.

    A handler is called with ``environ`` and ``start_response``, and returns the
    body: ``str``, ``bytes``, a number, an open file, or an iterable of these;
    the items of a generator are sent one by one. It need not call
    ``start_response``; if it does, the status may be ``200``, ``"200"`` or
    ``"200 OK"``, and the headers a dict or a list of tuples.

    On a WebSocket request the same handler finds the socket in
    ``environ["wsgi.websocket"]``.

        app = Framework()

        @app.route("/count")
        def count(environ, start_response):
            start_response(headers={"Content-Type": "text/plain"})
            for i in range(3):
                yield i
    """

    def __init__(self, debug: Optional[bool] = None) -> None:
        self.debug = debug
        for base in reversed(type(self).__mro__):
            self.routes.update(base.__dict__.get("_class_routes", {}))

    def __init_subclass__(cls, **options: Any) -> None:
        """``routes = {...}`` in a class gives each instance its own copy."""
        super().__init_subclass__(**options)
        if "routes" in cls.__dict__:
            cls._class_routes = dict(cls.__dict__["routes"])
            del cls.routes

    def route(
        self, path: str, methods: Optional[Iterable[str]] = None
    ) -> Callable[[H], H]:
        """Decorate the handler of a path. A ``*`` at its end stands for any
        rest. An exact path wins, then the longest one with a ``*``. With
        ``methods``, requests of other methods are answered 405.

            app = Framework()

            @app.route("/static/*", methods=["GET"])
            def static(environ, start_response):
                return open("logo.png", "rb")
        """
        if not isinstance(path, str) or path[:1] not in ("/", "*"):
            raise ValueError("a route begins with '/', not %r" % (path,))

        def decorate(handler: H) -> H:
            if not callable(handler):
                raise TypeError("a handler must be callable, not %r" % handler)
            if methods is None:
                self.routes[path] = handler
                return handler
            routes = self.routes.get(path)
            if not isinstance(routes, _Methods):
                routes = self.routes[path] = _Methods(self)
            for method in methods:
                routes.handlers[method.upper()] = handler
            return handler

        return decorate

    def serve(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Serve paths without a route and WebSockets; ``__call__`` does the rest."""
        handler = self.find_route(environ) or self.not_found
        return self.respond(handler, environ, start_response)

    def respond(
        self,
        handler: Handler,
        environ: dict[str, Any],
        start_response: Callable[..., Any],
    ) -> Iterable[bytes]:
        """Answer a request with a handler."""
        return Response(
            environ, start_response, handler, self.debug
        ).process_response()

    def not_found(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Any:
        """Handle a path without a route. Override it, or assign another
        handler."""
        start_response(404, {"Content-Type": "text/plain; charset=utf-8"})
        return "Not Found\n"

    def method_not_allowed(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Any:
        """Handle a method that a route does not have; those that it has are in
        ``environ["wsocket.methods"]``. Override it like ``not_found``."""
        allow = ", ".join(environ["wsocket.methods"])
        headers = {"Content-Type": "text/plain; charset=utf-8", "Allow": allow}
        start_response(405, headers)
        return "Method Not Allowed\n"


class _Methods:
    """The handlers of one path by method."""

    def __init__(self, app: Framework) -> None:
        self.app = app
        self.handlers: dict[str, Handler] = {}

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Any:
        method = environ["REQUEST_METHOD"]
        handler = self.handlers.get(method)
        if handler is None and method == "HEAD":
            handler = self.handlers.get("GET")
        if handler is None:
            methods = set(self.handlers)
            if "GET" in methods:
                methods.add("HEAD")
            environ["wsocket.methods"] = sorted(methods)
            handler = self.app.method_not_allowed
        return handler(environ, start_response)


def _error_page(error: BaseException) -> bytes:
    """Return the page for developers: the traceback, escaped."""
    text = traceback.format_exception(type(error), error, error.__traceback__)
    page = (
        "<!doctype html><title>Internal Server Error</title>"
        "<h1>Internal Server Error</h1><pre>%s</pre>\n"
    )
    return (page % html.escape("".join(text))).encode(errors="replace")


def _open_file(
    file: Any, environ: dict[str, Any]
) -> tuple[Iterable[Any], str, int, bool]:
    """Return how to send a file: the iterable, its type, its length or -1, and
    True if the server sends it itself."""
    text = isinstance(file, io.TextIOBase) or hasattr(file, "encoding")
    type = _type_of(file, text)
    if text:
        return _chunks(file), type, -1, False
    length = _length_of(file)
    wrapper = environ.get("wsgi.file_wrapper")
    if wrapper is not None and environ.get("wsgi.websocket") is None:
        return wrapper(file, CHUNK), type, length, True
    return _chunks(file), type, length, False


def _type_of(file: Any, text: bool) -> str:
    name = getattr(file, "name", None)
    if isinstance(file, (io.StringIO, io.BytesIO)) and name is None:
        return "text/html; charset=utf-8"
    guessed, coding = mimetypes.guess_type(name) if _is_path(name) else (0, 0)
    if coding or not guessed:
        guessed = "text/plain" if text else "application/octet-stream"
    if guessed.startswith("text/"):
        guessed += "; charset=utf-8"
    return guessed


def _is_path(name: object) -> bool:
    return isinstance(name, (str, os.PathLike))


def _length_of(file: Any) -> int:
    """Return the bytes from here to the end of a binary file; -1 if unknown."""
    try:
        if isinstance(file, io.BytesIO):
            return max(0, file.getbuffer().nbytes - file.tell())
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode):
            return max(0, status.st_size - file.tell())
    except (OSError, ValueError, AttributeError):  # not a file on disk
        pass
    return -1


def _chunks(file: Any) -> Iterator[Any]:
    try:
        while chunk := file.read(CHUNK):
            yield chunk
    finally:
        if hasattr(file, "close"):
            file.close()
