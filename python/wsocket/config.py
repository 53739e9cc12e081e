"""Options from a file, the environment and the command line.

    [wsocket]
    app = "site:app"
    bind = ["127.0.0.1:8000", "unix:/run/site.sock"]
    keep_alive = 30

An option of the command line wins over ``WSOCKET_KEEP_ALIVE=30`` in the
environment, that over the file, and the file over the default.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from . import _wsocket

PREFIX = "WSOCKET_"
NAMES = [name for name, *_ in _wsocket.options()]
OTHERS = ["app", "config"]  # of the environment, beside the options
KINDS = {name: kind for name, kind, *_ in _wsocket.options()}


class UsageError(Exception):
    """What the user asked for cannot be done; the text says why."""


def gather(
    command_line: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """All options that are set, and warnings.

    gather({"port": "80"}, {"WSOCKET_THREADS": "4"})[0]
    """
    given = {k: v for k, v in command_line.items() if v is not None}
    outer, warnings = from_environment(environ)
    path = given.pop("config", None) or outer.pop("config", None)
    outer.pop("config", None)
    options: dict[str, Any] = {}
    if path:
        layer(options, from_file(path), path)
    layer(options, outer, "the environment")
    layer(options, given, "the command line")
    return options, warnings


def layer(options: dict[str, Any], more: Mapping[str, Any], who: str) -> None:
    """Let ``more`` win; what it says of where to listen replaces all that was
    said of it."""
    place = {"host", "port"} & set(more)
    if place and "bind" in more:
        raise UsageError(
            "%s gives bind and %s: bind takes the place of host and port"
            % (who, " and ".join(sorted(place)))
        )
    if place:
        options.pop("bind", None)
    if "bind" in more:
        options.pop("host", None)
        options.pop("port", None)
    options.update(more)


def from_environment(
    environ: Mapping[str, str],
) -> tuple[dict[str, Any], list[str]]:
    """``WSOCKET_PORT=80`` as {"port": "80"}. A name nobody knows is a warning
    only: others may have reasons for it."""
    options: dict[str, Any] = {}
    warnings = []
    for variable in sorted(environ):
        if not variable.startswith(PREFIX):
            continue
        name = variable[len(PREFIX) :].lower()
        if name in NAMES:
            check(name, environ[variable], variable)
        elif name not in OTHERS:
            warnings.append(
                "%s in the environment is no option; did you mean %s%s?"
                % (variable, PREFIX, nearest(name, NAMES + OTHERS).upper())
            )
            continue
        options[name] = environ[variable]
    return options, warnings


def from_file(path: str) -> dict[str, Any]:
    """The table ``[wsocket]`` of a TOML file."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise UsageError("cannot read %s: %s" % (path, why)) from None
    tables = parse(text, path)
    options = tables.get("wsocket")
    if not isinstance(options, dict):
        raise UsageError("%s has no table [wsocket]" % path)
    for name, value in options.items():
        where = path + line_of(text, name)
        if name != "app":
            check(name, value, where)
        elif not isinstance(value, str):
            raise UsageError("%s: app takes 'module:app'" % where)
    return options


def parse(text: str, path: str) -> dict[str, Any]:
    try:
        import tomllib as toml
    except ImportError:  # Python 3.9 and 3.10
        try:
            import tomli as toml  # type: ignore[no-redef, import-not-found]
        except ImportError:
            raise UsageError(
                "reading %s takes Python 3.11 or the package tomli: "
                "pip install tomli" % path
            ) from None
    try:
        return toml.loads(text)
    except toml.TOMLDecodeError as exc:
        raise UsageError("%s: %s" % (path, exc)) from None


def line_of(text: str, name: str) -> str:
    """", line 3", where that can be told."""
    key = re.compile(
        r"\s*[\"']?%s[\"']?\s*[=.\]]" % re.escape(name)
    )
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([^\]]*)", line)
        if header:
            table = header[1].strip()
            line = re.sub(r"^\s*\[+\s*wsocket\s*\.", "", line)
        elif table != "wsocket":
            line = re.sub(r"^\s*wsocket\s*\.", "", line) if not table else ""
        if key.match(line):
            return ", line %d" % number
    return ""


def check(name: str, value: object, where: str) -> None:
    if isinstance(value, (list, dict)) and KINDS.get(name, "list") != "list":
        raise UsageError("%s: %s takes one value" % (where, name))
    try:
        _wsocket.Server.check(name, value)
    except (TypeError, ValueError) as exc:
        raise UsageError("%s: %s" % (where, exc)) from None


def items(text: str) -> list[str]:
    """items("a, b,")  # ["a", "b"]"""
    return [item.strip() for item in text.split(",") if item.strip()]


def nearest(name: str, names: Iterable[str]) -> str:
    return difflib.get_close_matches(name, list(names), 1, 0)[0]


def inherited(environ: Any, pid: Optional[int] = None) -> list[str]:
    """What systemd has opened for this process (sd_listen_fds(3)); taken out
    of the environment, so that no child takes it for its own.

        inherited({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
        # ["fd:3"]
    """
    if environ.get("LISTEN_PID") != str(pid or os.getpid()):
        return []
    count = environ.get("LISTEN_FDS", "0")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(name, None)
    if not re.fullmatch("[0-9]{1,6}", count):
        raise UsageError("LISTEN_FDS takes a number, not %r" % count)
    return ["fd:%d" % (3 + i) for i in range(int(count))]


def as_toml(options: Mapping[str, Any]) -> str:
    """Options as a file would have them.

    print(as_toml({"port": "80", "bind": ["[::1]:80"]}))
    """
    lines = ["[wsocket]"]
    for name, value in options.items():
        if isinstance(value, dict):
            value = ["%s=%s" % item for item in value.items()]
        if isinstance(value, bool):
            value = str(value).lower()
        elif isinstance(value, (list, tuple)):
            value = "[%s]" % ", ".join(quote(str(item)) for item in value)
        elif isinstance(value, str) and not re.fullmatch(
            r"0|[1-9][0-9]*", value
        ):
            value = quote(value)
        lines.append("%s = %s" % (name, value))
    return "\n".join(lines)


def quote(text: str) -> str:
    """A basic string of TOML."""
    escaped = re.sub(
        r'["\\\x00-\x1f\x7f]', lambda m: "\\u%04x" % ord(m[0]), text
    )
    return '"%s"' % escaped
