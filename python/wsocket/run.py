"""``run()``: serve an application in the foreground, until a signal.

    from wsocket import run

    run(app, port=8000)
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Optional, Union, overload

from . import _wsocket, config, log, processes
from .alone import Manager
from .app import WSocketApp
from .classic import make_server
from .loader import load
from .notify import Notifier
from .report import also, details
from .server import Application, Server
from .terminal import is_terminal, paint

if TYPE_CHECKING:  # typing_extensions need not be installed
    from typing_extensions import Unpack

    from ._options import RunOptions

# Hosts that stand for every address of their family.
EVERY = {"0.0.0.0": "every IPv4 address", "[::]": "every IPv6 address"}

# An application as a text. No address looks like it: those with two colons have
# more, and behind the only colon of others is a number.
NAMED = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(\(.*\))?", re.DOTALL)

# Keywords of run() for classes that serve instead of the server in C.
CLASSES = ("server_class", "server_cls", "handler_class", "handler_cls")


@overload
def run(
    app: Union[Application, str, None] = None,
    host: str = "127.0.0.1",
    port: Union[int, str] = 8080,
    **options: Unpack[RunOptions],
) -> None: ...


@overload
def run(
    host: str,
    port: Union[int, str] = 8080,
    app: Optional[Application] = None,
    **options: Unpack[RunOptions],
) -> None: ...


def run(*args: Any, **options: Any) -> None:
    """Serve an application until Ctrl-C or SIGTERM.

        run(app)
        run(app, "", 8000)
        run("", 8000, app)  # the other order works as well
        run("module:app", workers=4)  # several processes

    Without an application it serves a demo. ``server_class`` and
    ``handler_class`` (or ``..._cls``) replace the server in C.
    """
    order = ("app", "host", "port")
    if args and isinstance(args[0], str) and not NAMED.fullmatch(args[0]):
        order = ("host", "port", "app")
    if len(args) > len(order):
        raise TypeError("run() takes an application, a host and a port")
    for name, value in zip(order, args):
        if name in options:
            raise TypeError("run() got %s twice" % name)
        options[name] = value
    options = config.keywords(options)
    app = options.pop("app", None)
    host = options.pop("host", "127.0.0.1")
    port = options.pop("port", 8080)
    if any(options.get(name) is not None for name in CLASSES):
        _run_classes(app, host, port, options)
        return
    for name in CLASSES:
        options.pop(name, None)
    if any(options.get(name) is not None for name in processes.NAMES):
        _run_processes(app, {"host": host, "port": port, **options})
        return
    if isinstance(app, str):
        app = load(app)
    server = Server(app, host, port, **options)
    log.show(options.get("log_level"), options.get("error_logfile"))
    try:
        serve(server, _name_of(server.app))
    except TimeoutError as exc:
        log.warn("%s; they are abandoned" % exc)


def _run_processes(app: object, given: dict[str, Any]) -> None:
    from .master import Master

    server, of_processes = processes.split(given)
    if of_processes is None:  # only `reload=False` was given, for example
        run(app, **server)  # type: ignore[call-overload]
        return
    if app is not None and not isinstance(app, str):
        raise TypeError(
            "workers and reload take the application as a text, such as "
            "run('module:app', workers=4): each worker imports it anew"
        )
    for name, item in server.items():
        if callable(item):
            raise TypeError(
                "%s is no function with workers, which import the application "
                "themselves; wrap it there in wsocket.Gate" % name
            )
    Server(None, **server)  # refuses wrong options
    source = (app, server, of_processes)
    notifier = Notifier.from_environment(os.environ)
    status = Master(lambda: source, notifier).run()
    if status:
        sys.exit(status)


def _run_classes(
    app: Optional[Application],
    host: str,
    port: Union[int, str],
    options: dict[str, Any],
) -> None:
    app = WSocketApp() if app is None else app
    server = make_server(host, int(port), app, **options)
    log.show(options.get("log_level"), options.get("error_logfile"))
    every = host in ("", "0.0.0.0")
    # Serve in a thread, so that this one is free to handle a signal.
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with server, _stop_on_signals(lambda *_: server.shutdown(), None):
        print(
            "wsocket %s serves %s on http%s://%s:%d/%s (Ctrl-C stops it)"
            % (
                _wsocket.__version__,
                _name_of(app),
                "s" if options.get("certfile") else "",
                "127.0.0.1" if every else host,
                server.server_address[1],
                " (every IPv4 address)" if every else "",
            ),
            file=sys.stderr,
            flush=True,
        )
        while thread.is_alive():
            thread.join(1)


def serve(server: Server, name: str) -> None:
    """Serve until SIGINT or SIGTERM; a second signal stops at once.

    Raise ``TimeoutError`` if handlers still run at the end.
    """
    manager = Manager(server)

    def tell(line: str) -> None:
        print(paint(line, sys.stderr), file=sys.stderr, flush=True)
        server._tell_log(line)

    def stop(number: int, again: bool) -> None:
        server._tell_log("stop: %s" % signal.Signals(number).name)
        manager.stopping()
        server._stop_by_signal(number, again)

    with manager, _stop_on_signals(
        stop,
        server.reopen_logs,
        server._tell_wait,
        manager.reload if manager.listens else None,
    ):
        server.start()
        what = "%s on %s" % (name, " and ".join(_places(server)))
        tell(
            "wsocket %s serves %s (Ctrl-C stops it)"
            % (_wsocket.__version__, what)
        )
        if is_terminal(sys.stderr):
            print(details(server._threads), file=sys.stderr, flush=True)
        manager.ready(what)
        for line in also(list(dict.fromkeys(server.urls)), server.metrics_url):
            tell(line)
        server.join()


def _places(server: Server) -> list[str]:
    """Every URL, with the address that it is bound to if that differs."""
    bound: dict[str, list[str]] = {}
    for url, address in zip(server.urls, server._server.addresses):
        inherited, _, place = address.rpartition(" ")
        host = place.rpartition(":")[0]
        if host == "[::]" and "[" not in url:
            host = "every address"
        words = [inherited, EVERY.get(host, host.strip("[]"))]
        bound.setdefault(url, []).extend(w for w in words if w not in url)
    return [
        "%s (%s)" % (url, ", ".join(words)) if words else url
        for url, words in bound.items()
    ]


def _name_of(app: Application) -> str:
    module = getattr(app, "__module__", None) or type(app).__module__
    name = getattr(app, "__qualname__", None) or type(app).__qualname__
    return "%s:%s" % (module, name)


@contextlib.contextmanager
def _stop_on_signals(
    stop_it: Callable[[int, bool], None],
    reopen_logs: Optional[Callable[[], None]],
    tell_wait: Optional[Callable[[str], None]] = None,
    reload_it: Optional[Callable[[], None]] = None,
) -> Iterator[None]:
    """Stop a server on SIGINT and SIGTERM, and reopen its logs on SIGUSR1; a
    service manager may reload it by SIGHUP. The first signal prints what the
    stop waits for. ``stop_it`` gets the number of the signal, and whether it
    came after another. Only the main thread can set handlers. SIGINT and SIGTERM
    that are ignored, as in a background job of a shell, or handled outside
    Python, are left alone."""
    before: dict[signal.Signals, Any] = {}
    asked: list[int] = []

    def stop(number: int, frame: object) -> None:
        asked.append(number)
        stop_it(number, len(asked) > 1)
        if tell_wait is not None and len(asked) == 1:
            again = "Ctrl-C" if number == signal.SIGINT else "signal"
            tell_wait("another " + again)

    def reopen(number: int, frame: object) -> None:
        with contextlib.suppress(OSError):  # the server has logged it
            if reopen_logs is not None:
                reopen_logs()

    def reload(number: int, frame: object) -> None:
        if reload_it is not None:
            reload_it()

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, stop)
        for name, action, handler in (
            ("SIGUSR1", reopen_logs, reopen),
            ("SIGHUP", reload_it, reload),
        ):
            known: Optional[signal.Signals] = getattr(signal, name, None)
            free = (signal.SIG_DFL, signal.SIG_IGN)
            if action and known and signal.getsignal(known) in free:
                before[known] = signal.signal(known, handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
