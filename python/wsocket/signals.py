"""The signals of a supervisor, as events of its loop.

    signals = Signals()
    poll.register(signals.fileno(), select.POLLIN)
    for number in signals.read(): ...
    signals.close()
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any

NAMES = "TERM INT QUIT HUP USR1 USR2 TTIN TTOU CHLD"


class Signals:
    """Let signals write their number to a descriptor, and do nothing else.
    A shell's background job ignores SIGINT, because Ctrl-C is meant for
    another, and goes on so. That nohup ignores SIGHUP does not count."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._woken, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        for name in NAMES.split():
            number = getattr(signal, "SIG" + name)
            ignored = signal.getsignal(number) is signal.SIG_IGN
            if name != "INT" or not ignored:
                self._before[number] = signal.signal(number, _do_nothing)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)

    def fileno(self) -> int:
        return self._woken

    def read(self) -> bytes:
        """Return the numbers of those that have come."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self._woken, 4096)
        return b""

    def close(self) -> None:
        """Handle signals as before."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._woken)
        os.close(self._wake)

    def close_in_child(self) -> None:
        """Close the copies of a forked worker, which handles signals itself."""
        signal.set_wakeup_fd(-1)
        os.close(self._woken)
        os.close(self._wake)


def _do_nothing(number: int, frame: object) -> None:
    pass
