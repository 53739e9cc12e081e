"""Tells the service manager how a server does that has no supervisor.

    with Manager(server) as manager:
        server.start()
        manager.ready("shop:app on http://127.0.0.1:8000/")
        ...
        manager.stopping()
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Optional

from . import config, log
from .notify import Notifier
from .server import Server, asked

SPARE = 10  # seconds that a stop may take longer than its options say


def has_terminal() -> bool:
    """Return whether a terminal controls this process."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


class Manager:
    """What has set NOTIFY_SOCKET; without that, nothing is told. The variables
    stay in the environment: the application may tell more."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._notifier = Notifier.from_environment(dict(os.environ))
        self._status = ""
        self._stops = False
        self._over = threading.Event()
        self._thread: Optional[threading.Thread] = None
        # Without any of these SIGHUP means that the terminal has gone.
        self.listens = (
            server._has_tls
            or self._notifier.fileno() >= 0
            or not has_terminal()
        )

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(1)
        self.stopping()
        self._notifier.close()

    def ready(self, status: str) -> None:
        self._status = status
        self._notifier.tell("ready", status)
        if self._notifier.watchdog:
            self._thread = threading.Thread(
                target=self._live, name="wsocket-watchdog", daemon=True
            )
            self._thread.start()

    def stopping(self) -> None:
        """Tell that the server stops, the first time."""
        if self._stops:
            return
        self._stops = True
        graceful = self._server._graceful
        if graceful is None:
            graceful = config.DEFAULTS["graceful_timeout"]
        seconds = float(self._server._stop_delay or 0) + float(str(graceful))
        self._notifier.tell("stopping", "stopping")
        self._notifier.extend(seconds + SPARE)

    def reload(self) -> None:
        """Answer an order to reload, which would end the process otherwise."""
        self._notifier.tell("reloading", self._status)
        if self._server._has_tls:
            with contextlib.suppress(OSError, RuntimeError):  # it is logged
                self._server.reload_tls()
        else:
            log.warn("SIGHUP: a reload takes workers, such as --workers 1")
        self._notifier.tell("ready", self._status)

    def _live(self) -> None:
        """Tell that the process lives, as long as the loop answers: to be here
        takes the interpreter. Handlers that sleep are no hang."""
        while not self._over.is_set():
            if self._loop_turns():
                self._notifier.alive()
            self._over.wait(self._notifier.watchdog)

    def _loop_turns(self) -> bool:
        try:
            answer = asked(self._server)
        except (OSError, RuntimeError):
            return True  # out of descriptors, for example: nothing is known
        with answer, contextlib.suppress(TimeoutError, OSError):
            answer.settimeout(self._notifier.watchdog)
            answer.recv(1)
            return True
        return False
