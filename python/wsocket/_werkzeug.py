"""Let plain rules of Werkzeug's maps take WebSockets; called by the extension.

Werkzeug matches an upgrade against the rules with ``websocket=True`` alone. Only
its map knows which rule a request meets, behind any middleware, so the decision
is changed there: where no WebSocket rule matches, the plain rules are tried.
"""

from __future__ import annotations

import copy
import functools
import importlib
import sys
import threading
from typing import Any

from ._wsocket import WebSocket
from .log import logger

# Set by the extension: True where plain rules may match, False where not.
MARK = "wsocket.plain_rules"
_ON_ADAPTER = "_wsocket_plain_rules"
_ON_RULE = "_wsocket_told"

_lock = threading.Lock()
_observed: Any = None  # the module whose classes are wrapped


def observe() -> None:
    """Wrap Werkzeug's routing once; without it there is nothing to do."""
    global _observed
    module = sys.modules.get("werkzeug.routing")
    if module is None or module is _observed:
        return
    try:
        # Wait for a thread that is still importing it.
        module = importlib.import_module("werkzeug.routing")
        with _lock:
            if module is not _observed:
                _wrap(module)
                _observed = module
    except Exception as error:  # another Werkzeug than the ones known
        logger.debug("werkzeug.routing is left as it is: %r", error)
        _observed = module


def _wrap(routing: Any) -> None:
    adapter_class, map_class = routing.MapAdapter, routing.Map
    exceptions = importlib.import_module("werkzeug.exceptions")
    # A rule for other methods, or with another slash, hides the mismatch.
    refusals = (
        routing.WebsocketMismatch,
        exceptions.MethodNotAllowed,
        exceptions.NotFound,
    )
    match, bind = adapter_class.match, map_class.bind_to_environ

    @functools.wraps(match)
    def match_plain_rules(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return match(self, *args, **kwargs)
        except refusals as error:
            if not self.websocket or _is_explicit(*args, **kwargs):
                raise
            may = getattr(self, _ON_ADAPTER, "unknown")
            if may == "unknown" and isinstance(error, refusals[0]):
                _tell(functools.partial(match, self), *args, **kwargs)
            if may is not True:
                raise
        return match(_as_plain(self), *args, **kwargs)

    @functools.wraps(bind)
    def bind_with_mark(self: Any, *args: Any, **kwargs: Any) -> Any:
        adapter = bind(self, *args, **kwargs)
        if getattr(adapter, "websocket", False):
            environ = args[0] if args else kwargs["environ"]
            setattr(adapter, _ON_ADAPTER, _may(environ))
        return adapter

    adapter_class.match = match_plain_rules
    map_class.bind_to_environ = bind_with_mark


def _is_explicit(
    path_info: Any = None,
    method: Any = None,
    return_rule: Any = False,
    query_args: Any = None,
    websocket: Any = None,
) -> bool:
    """Whether the caller of match() says which kind of rule it wants."""
    return websocket is not None


def _may(environ: Any) -> bool:
    """Whether plain rules may match. A middleware that makes an environ of its
    own loses the mark, but hands on the WebSocket that a view needs."""
    environ = getattr(environ, "environ", environ)
    mark = environ.get(MARK)
    if mark is None:
        return isinstance(environ.get("wsgi.websocket"), WebSocket)
    return bool(mark)


def _as_plain(adapter: Any) -> Any:
    """The adapter as it had been made for a plain request: redirects say
    http, not ws."""
    plain = copy.copy(adapter)
    plain.websocket = False
    secure = adapter.url_scheme in ("wss", "https")
    plain.url_scheme = "https" if secure else "http"
    return plain


def _tell(
    match: Any, path_info: Any = None, method: Any = None, *_: Any, **__: Any
) -> None:
    """Name the rule that refuses a WebSocket, and the remedy, once."""
    try:
        rule = match(path_info, method, return_rule=True, websocket=False)[0]
    except Exception:  # a redirect, or what a converter raises
        return
    if not getattr(rule, _ON_RULE, False):
        setattr(rule, _ON_RULE, True)
        logger.warning(
            "Werkzeug refuses a WebSocket on the plain rule %r: its map was "
            "not bound by bind_to_environ(); ws_hide_upgrade=always lets "
            "plain rules take WebSockets",
            rule.rule,
        )
