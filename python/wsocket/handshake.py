"""Callables that decide about a WebSocket before it opens.

    def on_handshake(environ):
        if "session" not in environ.get("HTTP_COOKIE", ""):
            return 401, [("Content-Type", "text/plain")], b"Who are you?"

    run(app, on_handshake=on_handshake)
"""

from __future__ import annotations

import http
from collections.abc import Callable, Iterable
from typing import Any, Optional, Union

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

#: ``None`` or ``True``: continue. A dict or list: headers for the 101.
#: ``False``: answer 403. A status, or ``(status, headers, body)``: the answer.
Verdict = Union[
    None,
    bool,
    int,
    str,
    dict[str, str],
    list[tuple[str, str]],
    tuple[
        Union[int, str],
        Union[dict[str, str], list[tuple[str, str]]],
        Union[str, bytes],
    ],
]
OnHandshake = Callable[[Environ], Verdict]
Origins = Callable[[Optional[str], Environ], bool]
Subprotocols = Callable[[list[str], Environ], Optional[str]]

TEXT = [("Content-Type", "text/plain; charset=utf-8")]


class Gate:
    """Call functions for each WebSocket attempt; plain requests pass.

        app = Gate(app, on_handshake=lambda environ: {"X-Room": "1"})

    ``origins(origin, environ)``
        returns True if this page may connect; ``origin`` is ``None`` if the
        client sends none.
    ``subprotocols(offered, environ)``
        returns one of the subprotocols that the client offers, or ``None``.
    ``on_handshake(environ)``
        returns ``None`` to continue, a dict of headers to continue and send
        them with the 101, or an answer: ``False`` (403), a status, or
        ``(status, headers, body)``.

    An exception in one of them is answered 500.
    """

    def __init__(
        self,
        app: Application,
        origins: Optional[Origins] = None,
        subprotocols: Optional[Subprotocols] = None,
        on_handshake: Optional[OnHandshake] = None,
    ) -> None:
        self.app = app
        self.origins = origins
        self.subprotocols = subprotocols
        self.on_handshake = on_handshake

    def __call__(
        self, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        ws = environ.get("wsgi.websocket")
        if ws is not None:
            answer = self._judge(ws, environ, start_response)
            if answer is not None:
                return answer
        return self.app(environ, start_response)

    def _judge(
        self, ws: Any, environ: Environ, start_response: StartResponse
    ) -> Optional[list[bytes]]:
        if self.origins is not None and not self.origins(ws.origin, environ):
            return refuse(False, start_response)
        if self.on_handshake is not None:
            answer = judge(self.on_handshake, ws, environ, start_response)
            if answer is not None:
                return answer
        if self.subprotocols is not None:
            offered = environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "")
            names = [name.strip() for name in offered.split(",")]
            choice = self.subprotocols([n for n in names if n], environ)
            ws.protocols = [] if choice is None else [choice]
        return None


def judge(
    on_handshake: OnHandshake,
    ws: Any,
    environ: Environ,
    start_response: StartResponse,
) -> Optional[list[bytes]]:
    """Call on_handshake(). Return the answer that refuses, or ``None``."""
    verdict = on_handshake(environ)
    if isinstance(verdict, (dict, list)):
        ws.accept_headers = verdict
    elif verdict is not None and verdict is not True:
        return refuse(verdict, start_response)
    return None


def gated(app: Application, options: dict[str, Any]) -> Application:
    """Remove the callables from ``options``. Return the application behind a
    Gate that calls them, or the application if there are none."""
    asked: dict[str, Any] = {"on_handshake": options.pop("on_handshake", None)}
    if callable(options.get("ws_origins")):
        asked["origins"] = options["ws_origins"]
        options["ws_origins"] = "*"
    if callable(options.get("ws_subprotocols")):
        asked["subprotocols"] = options.pop("ws_subprotocols")
    if any(asked.values()):
        return Gate(app, **asked)
    return app


def refuse(verdict: Any, start_response: StartResponse) -> list[bytes]:
    """Send the answer of a verdict that refuses an attempt."""
    headers, body = TEXT, None
    if isinstance(verdict, tuple):
        verdict, headers, body = verdict
    if verdict is False:
        verdict = http.HTTPStatus.FORBIDDEN
    if isinstance(verdict, int):
        status = http.HTTPStatus(verdict)
        verdict = "%d %s" % (status.value, status.phrase)
    if not isinstance(verdict, str):
        raise TypeError(
            "on_handshake() returns None, headers, False, a status or "
            "(status, headers, body), not %r" % (verdict,)
        )
    if body is None:
        body = verdict + "\n"
    if isinstance(headers, dict):
        headers = headers.items()
    start_response(verdict, list(headers))
    return [body.encode() if isinstance(body, str) else body]
