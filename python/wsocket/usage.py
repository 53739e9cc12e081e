"""What the command line takes, and what --help says of it.

``--help`` fits a screen; ``--help-all`` has every option, as the completion of
shells and the man page do.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, Union

from . import _wsocket, config, control, processes, shell
from .parser import Parser
from .terminal import BOLD, styled

USAGE = """\
wsocket [options] [module:app]
       wsocket connect [options] URL
       wsocket {publish,listen} [options] TOPIC...
       wsocket {status,reload,stop,upgrade,reopen,workers} [options]"""
WHAT = (
    "Serve a WSGI application: HTTP and WebSockets on one port. Without one, "
    "serve a demo."
)
METAVARS = {
    "text": "TEXT",
    "count": "N",
    "bytes": "SIZE",
    "time": "SECONDS",
    "flag": "[on|off]",
    "list": "ITEM",
}

# Short options, and names that gunicorn and uvicorn have for the same.
ALIASES = {
    "bind": ["-b"],
    "workers": ["-w"],
    "threads": ["-t"],
    "pid_file": ["--pid"],
    "reload_dirs": ["--reload-dir"],
    **{
        ours: ["--" + theirs.replace("_", "-")]
        for theirs, ours in config.SPELLINGS.items()
    },
}

# The groups of --help-all: an option stands in the first whose pattern it
# matches.
GROUPS = [
    ("where to listen", r"host|port|bind|backlog"),
    ("worker processes", "|".join(["accept_", *sorted(processes.NAMES)])),
    (
        "TLS",
        r"certfile|keyfile|ca_certs|crl|cert_reqs|tls_|ciphers|insecure_bind"
        r"|redirect_https|hsts",
    ),
    ("logs", r"access_|error_|log_"),
    ("topics", r"topic|bus|broker"),
    ("WebSocket", r"ws_"),
    ("behind a proxy", r"trusted_|forwarded_|proxy_|script_"),
    ("limits", r"max_|.*_limit|.*_memory|threads"),
    ("stops and restarts", r"stop_|drain_|graceful_"),
    ("timeouts and rates", r".*_timeout|keep_alive|.*_rate"),
    ("metrics and health", r"metrics_|ready_|live_"),
    ("requests and answers", r""),
]

# What --help says, most used first: groups of (option, metavar, help).
QUICK: list[tuple[str, list[tuple[str, str, str]]]] = [
    (
        "Where, and with what",
        [
            ("bind", "ADDRESS", "host:port, unix:path or fd:N; repeatable"),
            ("host", "HOST", "instead of --bind (default: 127.0.0.1)"),
            ("port", "N", "TCP port (default: 8080; 0 picks a free one)"),
            ("certfile", "FILE", "PEM file, for https and wss; dev makes one"),
            ("keyfile", "FILE", "its key, if certfile does not hold it"),
            ("workers", "N", "worker processes; auto is one for each core"),
            ("threads", "N", "handlers that run at once (default: 64)"),
            ("reload", "", "for development: follow changes of the code"),
        ],
    ),
    (
        "Behind a proxy, and for browsers",
        [
            ("trusted_proxies", "LIST", "whose X-Forwarded-* fields count"),
            ("allowed_hosts", "LIST", "host names that a request may name"),
            ("ws_origins", "LIST", "sites whose pages may open WebSockets"),
            ("static", "/URL=FOLDER", "files without the application"),
        ],
    ),
    (
        "Logs and limits",
        [
            ("access_logfile", "FILE", "of the access log (default: -), or none"),
            ("log_level", "LEVEL", "least severe messages (default: info)"),
            ("max_body", "SIZE", "of a request (default: 1g)"),
            ("request_timeout", "SECONDS", "until a slow handler is a 503"),
            ("graceful_timeout", "SECONDS", "that a stop waits (default: 30)"),
        ],
    ),
    (
        "The command",
        [
            ("-c, --config", "FILE", "TOML file with a table [wsocket]"),
            ("--app-dir", "FOLDER", "where to import the application from"),
            ("--factory", "", "module:app names a function that returns it"),
            ("--check-config", "", "say whether a start would succeed"),
            ("--print-config", "", "print the options as a file for --config"),
            ("-V, --version", "", "versions of wsocket and what it runs on"),
            ("-h, --help", "", "this"),
            ("--help-all", "", "all %d options, their defaults and variables"),
        ],
    ),
]


def make_parser(for_shells: bool = False) -> argparse.ArgumentParser:
    """Return the parser of the command line. ``for_shells`` gives it the
    choices of each option: else the list in C has the last word on values."""
    parser = Parser(
        prog="wsocket",
        usage=USAGE,
        description=WHAT,
        allow_abbrev=False,
        add_help=False,
    )
    app = parser.add_argument(
        "app",
        nargs="?",
        metavar="module:app",
        help="the application, or a factory: 'module:create_app()'",
    )
    parser.add_argument("-h", "--help", action=Help, help="the most used ones")
    parser.add_argument(
        "--help-all", action=HelpAll, help="print this, and exit"
    )
    parser.add_argument(
        "-V", "--version", action=Version, help="print versions, and exit"
    )
    add_source(parser)
    add_actions(parser)
    groups = {title: parser.add_argument_group(title) for title, _ in GROUPS}
    for row in _wsocket.options():
        add_option(groups, *row)
    if for_shells:
        app.choices = ["connect", *shell.COMMANDS, *control.COMMANDS]
        for action in parser._actions:
            words = _wsocket.choices(action.dest)
            if config.KINDS.get(action.dest) == "flag":
                words = ["on", "off"]
            action.choices = words or action.choices
    return parser


def add_option(
    groups: dict[str, Any], name: str, kind: str, default: Any, help: str
) -> None:
    variable = config.PREFIX + name.upper()
    if default is not None:
        text = in_units(default) if kind == "bytes" else default
        help = "%s (default: %s)" % (help, text or "empty")
    title = next(t for t, p in GROUPS if re.match(p, name))
    groups[title].add_argument(
        "--" + name.replace("_", "-"),
        *ALIASES.get(name, []),
        metavar=metavar(name, kind),
        action="append" if kind == "list" else "store",
        help="%s [%s]" % (help.replace("%", "%%"), variable),
    )


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add where the options and the application come from."""
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        help="TOML file with a table [wsocket]; the environment "
        "(WSOCKET_PORT=80) and this command line override it "
        "[WSOCKET_CONFIG]",
    )
    parser.add_argument(
        "--app-dir",
        metavar="FOLDER",
        help="folder to import the application from, before the working "
        "folder [WSOCKET_APP_DIR]",
    )
    parser.add_argument(
        "--factory",
        action="store_const",
        const="on",
        help="module:app names a function without arguments that returns the "
        "application [WSOCKET_FACTORY]",
    )


def add_actions(parser: argparse.ArgumentParser) -> None:
    """Add what the command does instead of serving."""
    parser.add_argument(
        "--check-config",
        dest="action",
        action="store_const",
        const="check",
        help="check the options, addresses, logs, folders and the "
        "application, say whether a start would succeed, and exit",
    )
    parser.add_argument(
        "--check-upgrade",
        dest="action",
        action="store_const",
        const="upgrade",
        help=argparse.SUPPRESS,  # for the supervisor, before it takes over
    )
    parser.add_argument(
        "--print-config",
        dest="action",
        action="store_const",
        const="print",
        help="print the options that are set, as a file for --config, and exit",
    )
    parser.add_argument(
        "--print-completion",
        action=Completion,
        metavar="{bash,zsh,tcsh}",
        help="print a completion script for that shell, and exit; needs "
        "wsocket[shell]",
    )
    parser.add_argument(
        "--print-man",
        action=Manual,
        help="print a man page, and exit; needs wsocket[shell]",
    )


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


# ------------------------------------------------------- what is printed ---


class Printing(argparse.Action):
    """An option that prints something, and ends the command."""

    takes: Union[int, None] = 0  # values

    def __init__(self, **more: Any) -> None:
        super().__init__(**more, nargs=self.takes, default=argparse.SUPPRESS)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: Any = None,
    ) -> None:
        print(self.text(parser, values).rstrip("\n"))
        parser.exit()

    def text(self, parser: argparse.ArgumentParser, value: Any) -> str:
        raise NotImplementedError


class Help(Printing):
    def text(self, parser: argparse.ArgumentParser, value: Any) -> str:
        return quick_help()


class HelpAll(Printing):
    def text(self, parser: argparse.ArgumentParser, value: Any) -> str:
        return parser.format_help()


class Version(Printing):
    def text(self, parser: argparse.ArgumentParser, value: Any) -> str:
        return "wsocket %s\n%s %s on %s\n%s" % (
            _wsocket.__version__,
            platform.python_implementation(),
            platform.python_version(),
            platform.platform(),
            _wsocket.libraries(),
        )


class Completion(Printing):
    takes = None

    def text(self, parser: argparse.ArgumentParser, value: Any) -> str:
        try:
            import shtab
        except ImportError:
            parser.error("--print-completion needs pip install wsocket[shell]")
        if value not in shtab.SUPPORTED_SHELLS:
            parser.error("--print-completion takes bash, zsh or tcsh")
        return str(shtab.complete(make_parser(for_shells=True), value))


class Manual(Printing):
    def text(self, parser: argparse.ArgumentParser, value: Any) -> str:
        try:
            from argparse_manpage.manpage import Manpage
        except ImportError:
            parser.error("--print-man needs pip install wsocket[shell]")
        full = make_parser(for_shells=True)
        full._manpage = []  # type: ignore[attr-defined]
        return str(Manpage(full))


def quick_help() -> str:
    """What fits a screen."""
    lines = ["usage: " + USAGE, "", *textwrap.wrap(WHAT, 79)]
    for title, rows in QUICK:
        lines += ["", styled(title, BOLD, sys.stdout)]
        for name, value, text in rows:
            if name in config.KINDS:
                flag = "--" + name.replace("_", "-")
                name = ", ".join([*short(name), flag])
            text = text.replace("%d", str(len(config.KINDS)))
            lines.append("  %-26s  %s" % ("%s %s" % (name, value), text))
    return "\n".join(lines)


def short(name: str) -> Sequence[str]:
    return [word for word in ALIASES.get(name, []) if word[1] != "-"]
