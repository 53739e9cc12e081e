"""The server in C with the interface of wsgiref's servers.

    from wsocket import make_server

    server = make_server("", 8000, app)
    print("listening on port", server.server_port)
    server.serve_forever()
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any, Optional

from .app import WSocketApp
from .handlers import (
    Application,
    FixedHandler,
    ThreadingWSGIServer,
    WebSocketHandler,
)
from .server import Server, why_not_wsgi

if TYPE_CHECKING:  # typing_extensions need not be installed
    from typing_extensions import Unpack

    from ._options import ServerOptions


class WSocketServer(ThreadingWSGIServer):
    """A server for any WSGI application, with WebSockets.

    ``serve_forever()`` runs the server in C, which takes ``options``. If
    another handler class is given, it handles each connection, in a thread.
    ``handle_request()`` always handles one connection with the handler class.

        server = WSocketServer(("", 8000))
        server.set_app(app)
        server.serve_forever()
    """

    def __init__(
        self,
        server_address: tuple[str, int],
        RequestHandlerClass: Any = WebSocketHandler,
        bind_and_activate: bool = True,
        **options: Unpack[ServerOptions],
    ) -> None:
        self._in_c = RequestHandlerClass in (FixedHandler, WebSocketHandler)
        if options and not self._in_c:
            raise TypeError(
                "%s takes no options; they are for the server in C: %s"
                % (RequestHandlerClass.__name__, ", ".join(options))
            )
        self._options: dict[str, Any] = dict(options)
        self._server: Optional[Server] = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._asked = False  # shutdown() was called
        super().__init__(server_address, RequestHandlerClass, bind_and_activate)

    def set_app(self, application: Optional[Application]) -> None:
        """Set the application to serve; ``None`` is the demo."""
        if self._server is not None:
            raise RuntimeError("set the application before serve_forever()")
        why = why_not_wsgi(application)
        if why is not None:
            raise TypeError("the application " + why)
        super().set_app(application)

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Serve until ``shutdown()`` is called from another thread."""
        if not self._in_c:
            super().serve_forever(poll_interval)
            return
        if self._asked:  # the socket may be closed already
            self._asked = False
            self._over.set()
            return
        app = self.get_app() or WSocketApp()
        # The server closes its descriptor, so it gets a duplicate.
        bind = ["fd:%d" % os.dup(self.fileno())]
        server = Server(app, bind=bind, **self._options)
        with self._lock:
            self._server = server
            self._over.clear()
        try:
            if not self._asked:
                self._serve(server)
        finally:
            with self._lock:
                self._server, self._asked = None, False
                self._over.set()

    def _serve(self, server: Server) -> None:
        server.start()
        if self._asked:
            server.stop()
        try:
            with contextlib.suppress(TimeoutError):  # handlers are abandoned
                server.join()
        except BaseException:  # such as KeyboardInterrupt
            server.stop()
            with contextlib.suppress(TimeoutError):
                server.join()
            raise

    def shutdown(self) -> None:
        """Stop ``serve_forever()`` and wait for its end."""
        if not self._in_c:
            super().shutdown()
            return
        with self._lock:
            self._asked = True
            server = self._server
        if server is not None:
            server.stop()
            self._over.wait()


def make_server(
    host: str = "127.0.0.1",
    port: int = 8080,
    app: Optional[Application] = None,
    server_class: Any = None,
    handler_class: Any = None,
    *,
    server_cls: Any = None,
    handler_cls: Any = None,
    **options: Unpack[ServerOptions],
) -> Any:
    """Return a server that is bound and ready for ``serve_forever()``.

        make_server("", 8080, app)
        make_server("", 8080, app, ThreadingWSGIServer, FixedHandler)

    Without classes this is a ``WSocketServer``: the server in C, which takes
    ``options``. Classes that are given are used unchanged.
    """
    handler = handler_class or handler_cls
    kind = server_class or server_cls
    if kind is None and handler is None:
        kind = WSocketServer
    elif kind is None:
        kind = ThreadingWSGIServer
    server = kind((host, int(port)), handler or WebSocketHandler, **options)
    server.set_app(app)
    return server
