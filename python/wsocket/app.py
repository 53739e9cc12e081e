"""WebSocket applications made of events, and a middleware.

    from wsocket import WSocketApp, run

    app = WSocketApp()

    def on_connect(client):
        print(client, "is here")

    def on_message(message, client):
        client.send(message)

    def on_close(message, client):
        print(client, "left:", client.close_code)

    app.onconnect += on_connect
    app.onmessage += on_message
    app.onclose += on_close
    run(app)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Optional, Union

from . import demo
from ._wsocket import Event, WebSocket
from .framework import Framework
from .handshake import OnHandshake, judge
from .middleware import Middleware, is_attempt

EVENTS = ("onconnect", "onmessage", "ondrain", "onclose")


class WSocketApp(Framework):
    """Event handlers for WebSockets, routes, and a middleware: all at once.

    ``WSocketApp(app)``
        gives plain requests to ``app``, and WebSockets too, as
        ``environ["wsgi.websocket"]``.
    ``WSocketApp()`` with handlers in ``onconnect``, ``onmessage``, ``onclose``
        serves WebSockets by events; no thread waits for a connection. Those in
        ``ondrain`` are called when a slow client has room again, see
        ``client.is_full``.
    ``WSocketApp()`` with routes
        is a ``Framework``; a WebSocket goes to the events, if there are any,
        else to the route of its path.
    ``WSocketApp()`` alone
        is a demo that echoes.

    ``protocol`` (or ``protocols``) are the subprotocols to choose from, the
    preferred first. ``on_handshake(environ)`` may refuse a WebSocket, see
    ``Gate``. ``options`` are those of a server that begin with ``ws_``, for
    the WebSockets on other servers than ours. A subclass may define this and
    the handlers as methods:

        class Chat(WSocketApp):
            def onmessage(self, message, client):
                client.send(message)
    """

    #: What the key of a handshake is hashed with (RFC 6455 1.3).
    GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    #: RFC 6455 is 13; with "8" and "7" its drafts are taken, too.
    SUPPORTED_VERSIONS = ("13",)
    #: The class of the client objects, a subclass of WebSocket.
    websocket_class: type[WebSocket] = WebSocket
    #: Asked about each WebSocket before it begins; or None.
    on_handshake: Optional[OnHandshake] = None
    onconnect: Any
    onmessage: Any
    ondrain: Any
    onclose: Any

    def __init__(
        self,
        app: Optional[Callable[..., Iterable[bytes]]] = None,
        protocol: Union[str, Iterable[str], None] = None,
        protocols: Union[str, Iterable[str], None] = None,
        debug: Optional[bool] = None,
        on_handshake: Optional[OnHandshake] = None,
        **options: Any,
    ) -> None:
        super().__init__(debug)
        if app is not None and not callable(app):
            raise TypeError(
                "the application must be callable, not %r" % (app,)
            )
        self.app = app
        if set(self.SUPPORTED_VERSIONS) - {"13"}:
            options.setdefault("ws_allow_drafts", True)
        self._middleware = Middleware(self.serve, **options)
        self.protocols = _list_of(protocol) + _list_of(protocols)
        if on_handshake is not None:
            self.on_handshake = on_handshake
        for name in EVENTS:
            setattr(self, name, getattr(self, name, None))

    def __setattr__(self, name: str, value: Any) -> None:
        """``app.onmessage = handler`` replaces all handlers, ``None`` removes
        them. A handler takes as many of (message, client) as it likes."""
        if name in EVENTS:
            if value is None:
                value = Event()
            elif not isinstance(value, Event):
                value = Event(value)
            value.owner = self
        super().__setattr__(name, value)

    def serve(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """What is neither a plain request nor for a route of its own."""
        client = environ.get("wsgi.websocket")
        if client is None and is_attempt(environ):
            return self._middleware(environ, start_response)
        if client is not None:
            if self.protocols:
                client.protocols = self.protocols
            if type(client) is not self.websocket_class:
                client.__class__ = self.websocket_class
            if self.on_handshake is not None:
                # As the client's, so that it keeps what is put into it.
                environ = client.environ
                answer = judge(
                    self.on_handshake, client, environ, start_response
                )
                if answer is not None:
                    return answer
            if self._has_handlers():
                client.attach(self)
                return []
        handler = self.find_route(environ)
        if handler is None and self.app is not None:
            return self.app(environ, start_response)
        if handler is None and self._is_demo():
            if client is None:
                return demo.page(environ, start_response)
            client.attach(_echo)
            return []
        return self.respond(
            handler or self.not_found, environ, start_response
        )

    def _has_handlers(self) -> bool:
        return bool(self.onconnect or self.onmessage or self.onclose)

    def _is_demo(self) -> bool:
        return not self.routes and not self._has_handlers()


def _list_of(protocols: Union[str, Iterable[str], None]) -> list[str]:
    if protocols is None:
        return []
    return [protocols] if isinstance(protocols, str) else list(protocols)


_echo = WSocketApp()
_echo.onmessage += lambda message, client: client.send(message)
