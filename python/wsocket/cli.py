"""The command ``wsocket``: serve an application.

    wsocket module:app
    wsocket --port 8000 --threads 16 'module:create_app()'
    wsocket                       (a demo)
"""

from __future__ import annotations

import argparse
import ast
import difflib
import faulthandler
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Optional

from . import _wsocket, log
from .server import Server, serve

METAVARS = {
    "text": "TEXT",
    "count": "N",
    "bytes": "SIZE",
    "time": "SECONDS",
    "flag": "on|off",
}


class UsageError(Exception):
    """What the user asked for cannot be done; the text says why."""


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the command line; ``argv`` is ``sys.argv[1:]``."""
    parser = make_parser()
    options = vars(parser.parse_args(argv))
    spec = options.pop("app")
    try:
        app = load(spec) if spec is not None else None
        server = make_server(app, options)
    except UsageError as exc:
        parser.error(str(exc))
    try:
        server.listen()
    except OSError as exc:
        sys.exit("wsocket: error: %s" % (exc.strerror or exc))
    log.show(options["log_level"] or "info")
    try:
        serve(server, spec or "a demo")
    except TimeoutError as exc:
        leave_stuck_handlers(exc)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wsocket",
        usage="wsocket [options] [module:app]",
        description="Serve a WSGI application: HTTP and WebSockets on one "
        "port. Without one, serve a demo.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "app",
        nargs="?",
        metavar="module:app",
        help="the application, or a factory: 'module:create_app()'",
    )
    parser.add_argument(
        "--version",
        action="version",
        version="wsocket %s" % _wsocket.__version__,
    )
    for name, kind, default, help in _wsocket.options():
        if default is not None:
            help = "%s (default: %s)" % (help, default or "empty")
        parser.add_argument(
            "--" + name.replace("_", "-"),
            metavar=METAVARS[kind],
            help=help.replace("%", "%%"),
        )
    return parser


def make_server(app: Any, options: dict[str, Any]) -> Server:
    given = {k: v for k, v in options.items() if v is not None}
    given.setdefault("host", "127.0.0.1")
    given.setdefault("port", "8080")
    try:
        return Server(app, **given)
    except (TypeError, ValueError) as exc:
        raise UsageError(str(exc)) from None
    except OSError as exc:
        sys.exit("wsocket: error: %s" % (exc.strerror or exc))


def leave_stuck_handlers(exc: BaseException) -> None:
    """A thread that does not return cannot be joined; it would only hold up
    the end. Say where each is, and go."""
    print("wsocket: %s; this is where they are:" % exc, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    faulthandler.dump_traceback(sys.stderr)
    os._exit(1)


def load(spec: str) -> Any:
    """The application that ``module:app`` names.

        load("flaskr:create_app('test')")
    """
    module_name, _, expression = spec.partition(":")
    module = import_module(module_name)
    if not expression:
        expression = "app" if hasattr(module, "app") else "application"
    app = evaluate(module, expression)
    if not callable(app):
        raise UsageError(
            "%s in module %s is no application: %s objects cannot be called"
            % (expression, module_name, type(app).__name__)
        )
    return app


def import_module(name: str) -> ModuleType:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    if name.endswith(".py") or os.sep in name:
        hint = os.path.splitext(name)[0].replace(os.sep, ".").strip(".")
        raise UsageError("%s is a file; name the module: %s" % (name, hint))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        # A module that the application itself misses is its own error.
        if exc.name is None or not (name + ".").startswith(exc.name + "."):
            raise
        raise UsageError(
            "no module named %s (looked in %s and on sys.path)"
            % (exc.name, os.getcwd())
        ) from None


def evaluate(module: ModuleType, expression: str) -> Any:
    """An attribute, dotted or not, or a call of one with literals."""
    try:
        node: Any = ast.parse(expression, mode="eval").body
        args: list[Any] = []
        kwargs: dict[Any, Any] = {}
        called = isinstance(node, ast.Call)
        if called:
            args = [ast.literal_eval(arg) for arg in node.args]
            kwargs = {k.arg: ast.literal_eval(k.value) for k in node.keywords}
            node = node.func
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.insert(0, node.attr)
            node = node.value
        names.insert(0, node.id)
    except (SyntaxError, ValueError, AttributeError):
        raise UsageError(
            "%r is neither a name nor a call of one with plain values"
            % expression
        ) from None
    found: Any = module
    for name in names:
        found = attribute_of(found, name, module.__name__)
    return found(*args, **kwargs) if called else found


def attribute_of(owner: object, name: str, where: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError:
        near = difflib.get_close_matches(name, dir(owner), 3)
        raise UsageError(
            "module %s has no %s%s"
            % (where, name, "; near: " + ", ".join(near) if near else "")
        ) from None
