"""Let plain rules of Werkzeug's maps match WebSockets; used by the extension.

Werkzeug matches an upgrade only against rules with ``websocket=True``. Only the
map knows which rule a request matches, behind any middleware, so the change is
made there: if no WebSocket rule matches, the plain rules are tried.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib
import sys
import threading
from typing import Any

from ._wsocket import WebSocket
from .log import logger, warn

# Set by the extension: True if plain rules may match, else False.
MARK = "wsocket.plain_rules"
_ON_ADAPTER = "_wsocket_plain_rules"
_ON_RULE = "_wsocket_told"

NAME = "werkzeug.routing"

_lock = threading.Lock()
_observed: Any = None  # the module with the wrapped classes
_watched = False  # a _Finder waits for the import


def observe() -> None:
    """Wrap werkzeug.routing once, now or when the application imports it."""
    global _watched
    module = sys.modules.get(NAME)
    if module is not None and module is _observed:
        return
    with _lock:
        if module is None and not _watched:
            _watched = True
            sys.meta_path.insert(0, _Finder())
    if module is not None:
        with contextlib.suppress(Exception):  # another thread's import failed
            # Wait for a thread that is still importing it.
            _wrap_once(importlib.import_module(NAME))


class _Finder:
    """Wrap the module at its import, and leave no trace of that in it."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != NAME:
            return None
        for finder in list(sys.meta_path):
            if not isinstance(finder, _Finder) and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    if hasattr(spec.loader, "exec_module"):
                        spec.loader = _Loader(spec.loader)
                    return spec
        return None


class _Loader:
    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: Any) -> Any:
        return self.loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        _wrap_once(module)


def _wrap_once(module: Any) -> None:
    global _observed
    with _lock:
        if module is _observed:
            return
        _observed = module
        try:
            _wrap(module)
        except Exception as error:  # an unknown version of Werkzeug
            logger.debug("werkzeug.routing is left as it is: %r", error)


def _wrap(routing: Any) -> None:
    adapter_class, map_class = routing.MapAdapter, routing.Map
    exceptions = importlib.import_module("werkzeug.exceptions")
    # A rule for other methods, or with or without a slash, hides the mismatch.
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
    """Return True if the caller of match() asks for one kind of rule."""
    return websocket is not None


def _may(environ: Any) -> bool:
    """Return True if plain rules may match. A middleware that makes its own
    environ loses the mark, but passes on the WebSocket that a view needs."""
    environ = getattr(environ, "environ", environ)
    mark = environ.get(MARK)
    if mark is None:
        return isinstance(environ.get("wsgi.websocket"), WebSocket)
    return bool(mark)


def _as_plain(adapter: Any) -> Any:
    """Return the adapter as for a plain request: redirects lead to http, not to
    ws."""
    plain = copy.copy(adapter)
    plain.websocket = False
    secure = adapter.url_scheme in ("wss", "https")
    plain.url_scheme = "https" if secure else "http"
    return plain


def _tell(
    match: Any, path_info: Any = None, method: Any = None, *_: Any, **__: Any
) -> None:
    """Log once which rule refuses a WebSocket, and the remedy."""
    try:
        rule = match(path_info, method, return_rule=True, websocket=False)[0]
    except Exception:  # a redirect, or an error of a converter
        return
    if not getattr(rule, _ON_RULE, False):
        setattr(rule, _ON_RULE, True)
        warn(
            "Werkzeug refuses a WebSocket on the plain rule %r: its map was "
            "not bound by bind_to_environ(); ws_hide_upgrade=always lets "
            "plain rules take WebSockets" % rule.rule
        )
