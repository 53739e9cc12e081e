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

EVENTS = ("onconnect", "onmessage", "onclose")


class WSocketApp:
    """Event handlers for WebSockets, around a WSGI application.

    ``WSocketApp(app)``
        gives plain requests to ``app``, and WebSockets too, as
        ``environ["wsgi.websocket"]``.
    ``WSocketApp()`` with handlers in ``onconnect``, ``onmessage``, ``onclose``
        serves WebSockets by events; no thread waits for a connection.
    ``WSocketApp()`` alone
        is a demo that echoes.

    ``protocol`` (or ``protocols``) are the subprotocols to choose from, the
    preferred first. A subclass may define the handlers as methods:

        class Chat(WSocketApp):
            def onmessage(self, message, client):
                client.send(message)
    """

    websocket_class: type[WebSocket] = WebSocket
    onconnect: Any
    onmessage: Any
    onclose: Any

    def __init__(
        self,
        app: Optional[Callable[..., Iterable[bytes]]] = None,
        protocol: Union[str, Iterable[str], None] = None,
        protocols: Union[str, Iterable[str], None] = None,
    ) -> None:
        self.app = app
        self.protocols = _list_of(protocol) + _list_of(protocols)
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

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        client = environ.get("wsgi.websocket")
        if client is None:
            return self._serve_page(environ, start_response)
        if self.protocols:
            client.protocols = self.protocols
        if self.websocket_class is not WebSocket:
            client.__class__ = self.websocket_class
        if self._has_handlers():
            client.attach(self)
        elif self.app is not None:
            return self.app(environ, start_response)
        else:
            client.attach(_echo)
        return []

    def _has_handlers(self) -> bool:
        return bool(self.onconnect or self.onmessage or self.onclose)

    def _serve_page(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if self.app is not None:
            return self.app(environ, start_response)
        if not self._has_handlers():
            return demo.page(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"Only WebSockets are served here.\n"]


def _list_of(protocols: Union[str, Iterable[str], None]) -> list[str]:
    if protocols is None:
        return []
    return [protocols] if isinstance(protocols, str) else list(protocols)


_echo = WSocketApp()
_echo.onmessage += lambda message, client: client.send(message)
