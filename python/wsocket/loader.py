"""Finds the application that a text names.

    load("flaskr:create_app('test')")
"""

from __future__ import annotations

import ast
import difflib
import importlib
import os
import sys
import traceback
from types import ModuleType, TracebackType
from typing import Any, Optional

from .config import UsageError
from .server import why_not_wsgi

FOLDER = "WSOCKET_FOLDER"  # of --app-dir

# Folders of what calls an application while it is imported.
OURS = tuple(
    os.path.join(os.path.dirname(path), "")
    for path in (__file__, importlib.__file__)
)


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


def look_in(folder: Optional[str]) -> None:
    """Import applications from this folder first; None: from the working folder
    alone. Worker processes learn of it by their environment."""
    if folder is None:
        os.environ.pop(FOLDER, None)
    elif os.path.isdir(folder):
        os.environ[FOLDER] = os.path.abspath(folder)
    else:
        raise UsageError("app_dir: there is no folder %s" % folder)


def import_module(name: str) -> ModuleType:
    for folder in (os.getcwd(), os.environ.get(FOLDER)):
        if folder and folder not in sys.path:
            sys.path.insert(0, folder)
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
            % (exc.name, os.environ.get(FOLDER) or os.getcwd())
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


def why_not_loaded(exc: BaseException) -> str:
    """Return the traceback of what an application has raised while it was
    imported, from its own first frame on. An error without such a frame keeps
    all, unless it is a SyntaxError, which has a place of its own."""
    if isinstance(exc, UsageError):
        return str(exc)  # the text says it all
    own = _of_application(exc.__traceback__)
    if own is None and not isinstance(exc, SyntaxError):
        own = exc.__traceback__
    lines = traceback.format_exception(type(exc), exc, own)
    if own is None:
        lines.insert(0, "Traceback (most recent call last):\n")
    return "".join(lines)


def _of_application(tb: Optional[TracebackType]) -> Optional[TracebackType]:
    while tb is not None:
        path = tb.tb_frame.f_code.co_filename
        if not path.startswith(("<frozen importlib", *OURS)):
            break
        tb = tb.tb_next
    return tb
