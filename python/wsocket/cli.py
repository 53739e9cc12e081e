"""The command ``wsocket``: serve an application.

    wsocket module:app
    wsocket --port 8000 --threads 16 'module:create_app()'
    wsocket --config wsocket.toml
    wsocket                       (a demo)
    wsocket connect ws://...      (a client, see ``wsocket connect --help``)
    wsocket --workers 4 --pid-file shop.pid module:app
    wsocket reload --pid-file shop.pid
    wsocket publish TOPIC TEXT    (see shell.py)
"""

from __future__ import annotations

import argparse
import atexit
import faulthandler
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from . import bus, config, control, log, processes, shell
from ._hints import hint_for
from .config import UsageError
from .loader import load, look_in, why_not_loaded
from .master import Master
from .notify import Notifier
from .parser import mistaken
from .processes import Processes
from .run import serve
from .server import Server
from .terminal import YELLOW, styled
from .upgrade import Upgrade, again_path
from .usage import make_parser

# Seconds that functions of atexit may take while handlers are stuck.
LAST_SECONDS = 5

# Variables of systemd about sockets that it has opened.
LISTEN = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the command line; ``argv`` is ``sys.argv[1:]``."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] == ["connect"]:
        from . import chat

        sys.exit(chat.main(words[1:]))
    if words and words[0] in shell.COMMANDS:
        sys.exit(shell.main(words))
    if words and words[0] in control.COMMANDS:
        sys.exit(control.main(words))
    parser = make_parser()
    try:
        refuse_mistaken(words[:1])
        given = parse(parser, argv)
        refuse_mistaken([given["app"] or ""])
        action = given.pop("action")
        if action is None:
            status = supervise(given, words)
            if status is not None:
                sys.exit(status)
        options, warnings = config.gather(given, os.environ)
        warnings += config.add_inherited(options, os.environ)
        warn(warnings)
        if action == "print":
            print(config.as_toml(options))
            return
        spec = application(options)
        options, _ = split(options)
        if action is None:
            bus.begin(options.get("bus"))
            atexit.register(bus.end)
        app = load_or_exit(spec) if spec is not None else None
        server = make_server(app, options)
        if action == "upgrade":
            print(again_path())
            return
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
    except OSError as exc:  # the broker refuses us
        sys.exit("wsocket: error: %s" % (exc.strerror or exc))


def refuse_mistaken(words: Sequence[str]) -> None:
    for word in words:
        why = mistaken(word, control.COMMANDS)
        if why is not None:
            raise UsageError(why)


def load_or_exit(spec: str) -> Any:
    try:
        return load(spec)
    except UsageError:
        raise
    except Exception as exc:
        sys.exit(why_not_loaded(exc).rstrip("\n"))


def supervise(
    given: Mapping[str, Any], words: Sequence[str]
) -> Optional[int]:
    """Serve with several processes, if that is asked for. Return the exit
    status; None if it is not."""
    source = Source(given)
    if not source.is_supervised():
        return None
    listening = {k: v for k, v in os.environ.items() if k in LISTEN}
    notifier = Notifier.from_environment(os.environ)
    upgrade = Upgrade(words, {**listening, **notifier.environ})
    stored = config.stored(os.environ)
    try:
        return Master(source.read, notifier, upgrade, stored).run()
    except OSError as exc:
        sys.exit("wsocket: error: %s" % (exc.strerror or exc))


class Source:
    """The command line, the environment and the file, read at the start and
    again at each reload."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self._inherited: Optional[list[str]] = None

    def is_supervised(self) -> bool:
        options, _ = config.gather(self._given, os.environ)
        return split(options)[1] is not None

    def read(self) -> tuple[Optional[str], dict[str, Any], Processes]:
        options, warnings = config.gather(self._given, os.environ)
        spec = application(options)
        if self._inherited is None:
            warnings += config.add_inherited(options, os.environ)
            self._inherited = options.get("bind", [])
        elif not {"bind", "host", "port"} & set(options) and self._inherited:
            options["bind"] = self._inherited  # of systemd, as at the start
        warn(warnings)
        server, of_processes = split(options)
        if of_processes is None:
            raise UsageError("workers is gone from the options")
        try:
            Server(None, **server)
        except (TypeError, ValueError) as exc:
            raise UsageError(str(exc)) from None
        return spec, server, of_processes


def application(options: dict[str, Any]) -> Optional[str]:
    """Take out of ``options`` what names the application, as one text; None:
    nothing does, so the demo is served."""
    spec, folder, factory = config.application(options)
    look_in(folder)
    if spec is not None and factory:
        return spec if spec.endswith(")") else spec + "()"
    return spec


def split(
    options: Mapping[str, Any],
) -> tuple[dict[str, Any], Optional[Processes]]:
    try:
        return processes.split(options)
    except ValueError as exc:
        raise UsageError(str(exc)) from None


def warn(warnings: Sequence[str]) -> None:
    for text in warnings:
        print(
            "wsocket: %s %s" % (styled("warning:", YELLOW, sys.stderr), text),
            file=sys.stderr,
        )


def parse(
    parser: argparse.ArgumentParser, argv: Optional[Sequence[str]]
) -> dict[str, Any]:
    """Parse the arguments. Among unknown ones, report an option first: its
    value is unknown as well, or was taken for the application."""
    words = sys.argv[1:] if argv is None else list(argv)
    known, unknown = parser.parse_known_args(switched(words))
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


def switched(words: Sequence[str]) -> list[str]:
    """Give each switch that stands alone its value.

    switched(["--reload", "app:app"])  # ["--reload=on", "app:app"]
    """
    flags = {
        "--" + name.replace("_", "-")
        for name, kind in config.KINDS.items()
        if kind == "flag"
    }
    end = words.index("--") if "--" in words else len(words)
    found: list[str] = []
    for i, word in enumerate(words):
        if i < end and word in flags:
            value = words[i + 1] if i + 1 < end else ""
            # Another word, as in `--reload app:app`, is not its value.
            alone = value.lower() not in config.SWITCHES
            found.append(word + "=on" if alone else word)
        else:
            found.append(word)
    return found


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
