"""The command ``wsocket``: serve an application.

    wsocket module:app
    wsocket --port 8000 --threads 16 'module:create_app()'
    wsocket --config wsocket.toml
    wsocket                       (a demo)
    wsocket connect ws://...      (a client, see ``wsocket connect --help``)
"""

from __future__ import annotations

import argparse
import ast
import atexit
import difflib
import faulthandler
import importlib
import os
import re
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Optional

from . import _wsocket, config, log
from ._hints import hint_for
from .config import UsageError
from .run import serve
from .server import Server, why_not_wsgi

# Seconds that functions of atexit may take while handlers are stuck.
LAST_SECONDS = 5

METAVARS = {
    "text": "TEXT",
    "count": "N",
    "bytes": "SIZE",
    "time": "SECONDS",
    "flag": "{on,off}",
    "list": "ITEM",
}

# The groups of --help: an option stands in the first whose pattern it matches.
GROUPS = [
    ("where to listen", r"host|port|bind|backlog"),
    ("limits", r"(?!ws_)(max_|.*_limit|.*_memory|threads)"),
    ("timeouts and rates", r"(?!ws_)(.*_timeout|keep_alive|.*_rate)"),
    ("behind a proxy", r"trusted_|forwarded_|proxy_|script_"),
    ("logs", r"access_|error_|log_"),
    ("WebSocket", r"ws_"),
    ("requests and answers", r""),
]


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the command line; ``argv`` is ``sys.argv[1:]``."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] == ["connect"]:
        from . import chat

        sys.exit(chat.main(words[1:]))
    parser = make_parser()
    try:
        given = parse(parser, argv)
        action = given.pop("action")
        options, warnings = config.gather(given, os.environ)
        spec = options.pop("app", None)
        warnings += config.add_inherited(options, os.environ)
        for text in warnings:
            print("wsocket: warning: %s" % text, file=sys.stderr)
        if action == "print":
            show_config(spec, options)
            return
        app = load(spec) if spec is not None else None
        server = make_server(app, options)
    except UsageError as exc:
        parser.error(str(exc))
    try:
        if action == "check":
            server._server.can_start()
            print("wsocket: the options are good")
            return
        server.listen()
    except OSError as exc:
        sys.exit("wsocket: error: %s" % (exc.strerror or exc))
    log.show(options.get("log_level"), options.get("error_logfile"))
    try:
        serve(server, spec or "a demo")
    except TimeoutError as exc:
        leave_stuck_handlers(exc)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wsocket",
        usage="wsocket [options] [module:app]\n"
        "       wsocket connect [options] URL",
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
        "-V",
        "--version",
        action="version",
        version="wsocket %s" % _wsocket.__version__,
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="TOML file with a table [wsocket]; the environment "
        "(WSOCKET_PORT=80) and this command line override it",
    )
    parser.add_argument(
        "--check-config",
        dest="action",
        action="store_const",
        const="check",
        help="check the options, addresses, logs, folders and the "
        "application, say whether a start would succeed, and exit",
    )
    parser.add_argument(
        "--print-config",
        dest="action",
        action="store_const",
        const="print",
        help="print the options that are set, as a file for --config, and exit",
    )
    groups = {title: parser.add_argument_group(title) for title, _ in GROUPS}
    for name, kind, default, help in _wsocket.options():
        if default is not None:
            text = in_units(default) if kind == "bytes" else default
            help = "%s (default: %s)" % (help, text or "empty")
        title = next(t for t, p in GROUPS if re.match(p, name))
        groups[title].add_argument(
            "--" + name.replace("_", "-"),
            metavar=metavar(name, kind),
            action="append" if kind == "list" else "store",
            help=help.replace("%", "%%"),
        )
    return parser


def in_units(size: str) -> str:
    """in_units("16384")  # "16k" """
    unit = ""
    for larger in "kmg":
        if not size.isdecimal() or size == "0" or int(size) % 1024:
            break
        size, unit = str(int(size) // 1024), larger
    return size + unit


def metavar(name: str, kind: str) -> str:
    words = _wsocket.choices(name)
    return "{%s}" % ",".join(words) if words else METAVARS[kind]


def parse(
    parser: argparse.ArgumentParser, argv: Optional[Sequence[str]]
) -> dict[str, Any]:
    """Parse the arguments. Among unknown ones, report an option first: its
    value is unknown as well, or was taken for the application."""
    known, unknown = parser.parse_known_args(argv)
    for text in unknown:
        if re.match("--?[^-0-9]", text):
            raise UsageError(unknown_option(parser, text))
    if unknown:
        raise UsageError("unrecognized arguments: %s" % " ".join(unknown))
    given = vars(known)
    for name, value in given.items():
        if isinstance(value, list):  # each of them may hold several items
            given[name] = config.items(",".join(value))
    return given


def unknown_option(parser: argparse.ArgumentParser, text: str) -> str:
    """Describe an unknown option, as in --name, --name=value and -nvalue."""
    long = text.startswith("--")
    flag = text.partition("=")[0] if long else text[:2]
    said = "unknown option %s" % config.shown(flag)
    hint = hint_for(flag[2:].replace("-", "_") if long else flag)
    names = [f[2:] for f in parser._option_string_actions if f[:2] == "--"]
    near = config.nearest(flag[2:], names) if long else None
    if hint:
        return "%s: %s" % (said, hint)
    return "%s; did you mean --%s?" % (said, near) if near else said


def show_config(spec: Optional[str], options: dict[str, Any]) -> None:
    shown = {"app": spec} if spec is not None else {}
    print(config.as_toml({**shown, **options}))


def make_server(app: Any, options: dict[str, Any]) -> Server:
    try:
        return Server(app, **options)
    except (TypeError, ValueError) as exc:
        raise UsageError(str(exc)) from None
    except OSError as exc:
        sys.exit("wsocket: error: %s" % (exc.strerror or exc))


def leave_stuck_handlers(exc: BaseException) -> None:
    """End the process although handlers still run. Such a thread cannot be
    joined, and may crash when the interpreter ends. So print where each thread
    is, run the functions of atexit, and exit, in bounded time even if a thread
    never releases the GIL."""
    faulthandler.dump_traceback_later(LAST_SECONDS, exit=True)
    print("wsocket: %s; this is where they are:" % exc, file=sys.stderr)
    sys.stderr.flush()
    faulthandler.dump_traceback(sys.stderr)
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(1)


def load(spec: str) -> Any:
    """Return the application that ``module:app`` names.

        load("flaskr:create_app('test')")
    """
    module_name, _, expression = spec.partition(":")
    if not module_name:
        raise UsageError(
            "%r names no module: it takes the form module:app" % spec
        )
    module = import_module(module_name)
    if not expression:
        expression = "app" if hasattr(module, "app") else "application"
    app = evaluate(module, expression)
    if not callable(app):
        raise UsageError(
            "%s in module %s is no application: %s objects cannot be called"
            % (expression, module_name, type(app).__name__)
        )
    why = why_not_wsgi(app)
    if why is not None:
        why = why.replace(
            "module:create_app()", "%s:%s()" % (module_name, expression)
        )
        raise UsageError("%s in module %s %s" % (expression, module_name, why))
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
        # A missing module that the application imports is its own error.
        if exc.name is None or not (name + ".").startswith(exc.name + "."):
            raise
        raise UsageError(
            "no module named %s (looked in %s and on sys.path)"
            % (exc.name, os.getcwd())
        ) from None


def evaluate(module: ModuleType, expression: str) -> Any:
    """Evaluate a name, dotted or not, or a call of one with literals."""
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
