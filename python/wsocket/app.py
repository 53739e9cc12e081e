"""WebSocket applications based on events, and a middleware.

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
from .gaps import ongap
from .handshake import OnHandshake, judge
from .middleware import Middleware, is_attempt

EVENTS = (
    "onconnect",
    "onmessage",
    "ondrain",
    "ondraining",
    "onclose",
    "ongap",
)


class WSocketApp(Framework):
    """Event handlers for WebSockets, routes, and a middleware in one class.

    ``WSocketApp(app)``
        passes plain requests to ``app``, and WebSockets as well, as
        ``environ["wsgi.websocket"]``.
    ``WSocketApp()`` with handlers in ``onconnect``, ``onmessage``, ``onclose``
        serves WebSockets by events; no thread waits for a connection. Handlers
        in ``ondrain`` are called when a slow client has room again, see
        ``client.is_full``, and those in ``ondraining`` when the server leaves,
        before the client is closed. Those in ``ongap`` are called with a tuple
        of topics when publications to them may have been missed.
    ``WSocketApp()`` with routes
        is a ``Framework``; a WebSocket goes to the events, if there are any,
        else to the route of its path.
    ``WSocketApp()`` alone
        is a demo that echoes.

    ``protocol`` (or ``protocols``) are the subprotocols to choose from,
    preferred first. ``on_handshake(environ)`` may refuse a WebSocket, see
    ``Gate``.
    ``options`` are the options of a server that begin with ``ws_``, for
    WebSockets on other servers than wsocket. A subclass may define
    ``on_handshake`` and the handlers as methods:

        class Chat(WSocketApp):
            def onmessage(self, message, client):
                client.send(message)
    """

    #: The GUID that is hashed with the key of a handshake (RFC 6455 1.3).
    GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    #: RFC 6455 is 13; "8" and "7" accept its drafts.
    SUPPORTED_VERSIONS = ("13",)
    #: The class of the clients, a subclass of WebSocket.
    websocket_class: type[WebSocket] = WebSocket
    #: Called for each WebSocket before it opens; or None.
    on_handshake: Optional[OnHandshake] = None
    onconnect: Any
    onmessage: Any
    ondrain: Any
    ondraining: Any
    onclose: Any
    ongap: Any

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
        """Replace all handlers of an event by ``app.onmessage = handler``, or
        remove them by ``None``. A handler may take fewer arguments than
        (message, client)."""
        if name in EVENTS:
            if value is None:
                value = Event()
            elif not isinstance(value, Event):
                value = Event(value)
            value.owner = self
            if name == "ongap" and len(value) > 0:
                ongap.watch(self)
        super().__setattr__(name, value)

    def serve(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Serve a WebSocket, or a plain request that has no route."""
        client = environ.get("wsgi.websocket")
        if client is None and is_attempt(environ):
            return self._middleware(environ, start_response)
        if client is not None:
            if self.protocols:
                client.protocols = self.protocols
            if type(client) is not self.websocket_class:
                client.__class__ = self.websocket_class
            if self.on_handshake is not None:
                # In the client's environ, what on_handshake() stores is kept.
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
            return demo.websocket(client, environ, start_response)
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
