"""The server for a WSGI application, to be used inside a program.

    from wsocket import Server

    with Server(app, port=8000) as server:
        print("listening on port", server.port)
        server.join()
"""

from __future__ import annotations

import contextlib
import inspect
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import IO, TYPE_CHECKING, Any, Optional, Union

from . import (
    _detached,  # noqa: F401  by the extension, once the files may be gone
    _werkzeug,  # noqa: F401  likewise
    _wsocket,
    config,
    log,
    processes,
)
from .app import WSocketApp
from .handshake import gated

if TYPE_CHECKING:  # typing_extensions need not be installed
    from typing_extensions import Unpack

    from ._options import ServerOptions

Application = Callable[..., Iterable[bytes]]

AT_ONCE = 0.2  # seconds; a longer stop logs what it waits for


class Server:
    """Serve a WSGI application; every option is a keyword.

        server = Server(app, host="", port=8080, threads=16)
        server.start()
        ...
        server.stop()
        server.join()

    ``wsocket --help-all`` lists the options. An unknown one is a ``TypeError``
    that names the nearest. ``ws_origins`` and ``ws_subprotocols`` may be
    callables, and ``on_handshake`` is called for each WebSocket: see ``Gate``.
    """

    def __init__(
        self,
        app: Optional[Application] = None,
        host: str = "127.0.0.1",
        port: Union[int, str] = 8080,
        **options: Unpack[ServerOptions],
    ) -> None:
        why = why_not_wsgi(app)
        if why is not None:
            raise TypeError("the application " + why)
        self.app: Application = WSocketApp() if app is None else app
        if isinstance(self.app, WSocketApp) and (
            set(self.app.SUPPORTED_VERSIONS) - {"13"}
        ):
            options.setdefault("ws_allow_drafts", True)
        given = config.keywords(options)
        served = gated(self.app, given)
        of_processes = sorted(processes.NAMES & set(given))
        if of_processes:
            raise TypeError(
                "a Server serves in this process; %s is for wsocket.run() and "
                "the command wsocket" % of_processes[0]
            )
        config.refuse_foreign(given)
        self.host = host
        self._port = port
        self._server = _wsocket.Server(
            served, host=host, port=port, **given
        )
        self._has_tls = bool(given.get("certfile"))
        self._threads = given.get("threads") or config.DEFAULTS["threads"]
        self._graceful = given.get("graceful_timeout")
        self._stop_delay: Any = given.get("stop_delay")
        self._serves_on = False  # for stop_delay
        self._error_log = given.get("error_logfile")
        kind = type(served)
        self._server._events_only = (
            issubclass(kind, WSocketApp)
            and kind.__call__ is WSocketApp.__call__
            and kind.serve is WSocketApp.serve
        )

    @property
    def port(self) -> int:
        """The TCP port; the real one once the server listens."""
        return self._server.port or int(self._port)

    @property
    def url(self) -> str:
        """The URL at which a browser on this machine finds the server."""
        urls = self.urls
        if urls:
            return urls[0]
        host = self.host
        if host in ("", "0.0.0.0", "::"):
            host = "127.0.0.1"
        if ":" in host:
            host = "[%s]" % host
        scheme = "https" if self._has_tls else "http"
        return "%s://%s:%d/" % (scheme, host, self.port)

    @property
    def urls(self) -> list[str]:
        """The URLs of all addresses it listens on; empty until it listens.

        A Unix socket is shown as ``unix:/run/app.sock``.
        """
        return self._server.urls

    @property
    def metrics_url(self) -> Optional[str]:
        """The URL to which ``metrics``, ``ready`` and ``live`` are added; None
        without ``metrics_bind``, and until the server listens."""
        return self._server.metrics_url

    def listen(self) -> None:
        """Bind the port now, instead of in ``start()``."""
        self._server.listen()

    def start(self) -> Server:
        """Start to serve and return at once."""
        self._server.start()
        return self

    def stop(self, timeout: Optional[float] = None) -> None:
        """Ask the server to stop, and return at once.

        What was accepted is finished, as by ``drain()``: running handlers have
        ``timeout`` seconds, by default ``graceful_timeout``. Zero, or a second
        call, is immediate.
        """
        self._server.stop(timeout)

    def drain(
        self,
        timeout: Optional[float] = None,
        *,
        idle: Optional[float] = None,
        spread: Optional[float] = None,
        delay: Optional[float] = 0,
        part: int = 0,
        parts: int = 1,
        code: Optional[int] = None,
        successor: bool = False,
        alone: bool = False,
    ) -> None:
        """Ask the server to leave, and return at once.

            server.drain(successor=True)  # another process accepts

        Times are seconds; None takes an option: ``graceful_timeout`` for
        handlers and WebSockets, ``drain_idle`` (with a successor, else 0.1) for
        a request on an idle connection, ``ws_drain`` for the time over which
        WebSockets are closed, ``stop_delay`` for the time to serve on before
        all that. Of ``parts`` servers that leave together each has its
        ``part`` of ``spread``. ``code`` closes the WebSockets instead of
        ``ws_stop_code``, or ``ws_restart_code`` with a successor. With a
        ``successor`` connections that wait to be accepted are left to it;
        ``alone`` says that no process will accept at inherited sockets.

        A later call changes what is left of the way.
        """
        self._server.drain(
            _ms(timeout),
            idle_ms=_ms(idle),
            spread_ms=_ms(spread),
            delay_ms=_ms(delay),
            part=part,
            parts=parts,
            code=code,
            successor=successor,
            alone=alone,
        )

    def _stop_by_signal(self, number: int, again: bool) -> None:
        """Stop as a signal asks: SIGTERM after ``stop_delay``; SIGINT, of a
        person who waits, without a pause between WebSockets. ``again``: it is
        not the first."""
        if again:
            self.stop(0)
        elif number == signal.SIGINT:
            self.drain(spread=0)
        else:
            self._serves_on = float(self._stop_delay or 0) > 0
            self.drain(delay=None)

    def _tell_wait(self, again: str) -> None:
        """Print what a stop waits for, if it does not end at once."""
        if self._serves_on:
            _tell(
                "wsocket: serving on for %s s before the stop; %s ends it now"
                % (self._stop_delay, again)
            )
            return
        until = time.monotonic() + AT_ONCE
        while any(self._server.pending()) and time.monotonic() < until:
            time.sleep(AT_ONCE / 10)
        waits = _pending_text(*self._server.pending())
        if waits:
            limit = self._graceful
            if limit is None:
                limit = config.DEFAULTS["graceful_timeout"]
            _tell(
                "wsocket: waiting for %s, at most %s s; %s ends it now"
                % (waits, limit, again)
            )

    def _tell_log(self, text: str) -> None:
        """Log what is printed on standard error, if the log is another file."""
        if log.is_apart(self._error_log):
            self._server._environ["wsgi.errors"].info(text)

    def reload_tls(self) -> None:
        """Use the certificates that the files of ``certfile``, ``keyfile``,
        ``ca_certs`` and ``crl`` have now, for new connections.

        The server does this by itself within some seconds after a file has
        changed. ``OSError``: one of them is wrong, and all stays as it was.
        """
        self._server.reload_tls()

    def reopen_logs(
        self,
        access: Union[int, IO[Any], None] = None,
        error: Union[int, IO[Any], None] = None,
    ) -> None:
        """Reopen the log files after they have been moved, or let a log go on
        in another file or descriptor, which stays yours.

            server.reopen_logs()  # run() and the command do this on SIGUSR1
            server.reopen_logs(access=open("/var/log/new.log", "ab"))

        A log that is turned off stays off.
        """
        self._server.reopen_logs(access, error)
        if error is not None:
            log.move(error)

    def join(self, timeout: Optional[float] = None) -> bool:
        """Wait until the server has stopped.

        Return True when it has, False if ``timeout`` seconds pass first.
        Raise ``TimeoutError`` if handlers still ran after the graceful time:
        they are abandoned. Signal handlers run while this waits. While the
        interpreter ends, it waits for at most a second.
        """
        main = threading.current_thread() is threading.main_thread()
        if timeout is None and main and not sys.is_finalizing():
            return _join_in_main_thread(self._server)
        return self._server.join(timeout)

    def serve_forever(self) -> bool:
        """Serve until ``stop()`` is called or Ctrl-C pressed."""
        self.start()
        interrupts = 0
        while True:
            try:
                if interrupts == 1:
                    self._tell_wait("another Ctrl-C")
                return self.join()
            except KeyboardInterrupt:
                interrupts += 1
                self._stop_by_signal(signal.SIGINT, interrupts > 1)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
        with contextlib.suppress(TimeoutError):
            self.join()


def asked(server: Server) -> socket.socket:
    """Ask the event loop for a sign of life: it closes a connection that its
    client has closed. That is no request, so it is not counted or logged."""
    ours, theirs = socket.socketpair()
    try:
        server._server.adopt(theirs.fileno())
        theirs.detach()
        ours.shutdown(socket.SHUT_WR)
    except BaseException:
        ours.close()
        theirs.close()
        raise
    return ours


def _ms(seconds: Optional[float]) -> Optional[int]:
    return None if seconds is None else max(0, math.ceil(seconds * 1000))


def _pending_text(requests: int, websockets: int, others: int) -> str:
    """_pending_text(1, 2, 0)  # "1 request and 2 WebSockets" """
    counts = ((requests, "request"), (websockets, "WebSocket"))
    texts = ["%d %s%s" % (n, what, "s" * (n > 1)) for n, what in counts if n]
    if others:
        texts.append("%d more connection%s" % (others, "s" * (others > 1)))
        if len(texts) == 1:
            texts = [texts[0].replace("more ", "")]
    return " and ".join(texts)


def _tell(text: str) -> None:
    """Print to standard error, which a signal handler may find in use."""
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        print(text, file=sys.stderr, flush=True)


def why_not_wsgi(app: object) -> Optional[str]:
    """Return why a call with environ and start_response cannot work, as the end
    of a sentence; None if it may work.

        why_not_wsgi(lambda: app)  # "takes no arguments environ and start_response..."
    """
    if app is None or not callable(app):
        return None  # None is the demo; the server refuses the others
    try:
        return _why_not(app)
    except Exception:  # such as a proxy for an object that is not there yet
        return None


def _why_not(app: Any) -> Optional[str]:
    calls = [app, getattr(type(app), "__call__", None)]
    if isinstance(app, type):
        calls = [app]
    for test in (inspect.iscoroutinefunction, inspect.isasyncgenfunction):
        if any(map(test, calls)):
            return "is an async function, as of ASGI; WSGI is served here"
    if hasattr(app, "__signature__"):
        return None  # it may be there for documentation only
    signature = inspect.signature(app, follow_wrapped=False)
    if _takes(signature, 2):
        return None
    if _takes(signature, 0):
        return (
            "takes no arguments environ and start_response: a factory? Serve "
            "what it returns, as in 'module:create_app()'"
        )
    if _takes(signature, 3) or _takes(signature, 1):
        return (
            "takes other arguments than WSGI's environ and start_response: is "
            "it for ASGI?"
        )
    return "takes other arguments than WSGI's environ and start_response"


def _takes(signature: inspect.Signature, n: int) -> bool:
    try:
        signature.bind(*range(n))
    except TypeError:
        return False
    return True


def _join_in_main_thread(server: _wsocket.Server) -> bool:
    """Wait so that signal handlers can run: Python runs them between two
    instructions of this thread, which a signal wakes by the descriptor."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    result: list[Union[bool, BaseException]] = []

    def join() -> None:
        try:
            result.append(server.join())
        except BaseException as exc:
            result.append(exc)
        with contextlib.suppress(OSError):  # full, or closed by the reader
            os.write(wake, b"\0")

    before = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    try:
        threading.Thread(target=join, name="wsocket-join", daemon=True).start()
        while not result:
            os.read(woken, 4096)
    finally:
        signal.set_wakeup_fd(before)
        os.close(woken)
        os.close(wake)
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]
