"""SIGUSR2: a new version of the supervisor, in the same process.

First the new version is tried, in a process of its own: it imports package and
application and reads the options. Only if that goes well the supervisor executes
it in its own place: the PID stays, and so do the workers, which accept
meanwhile, and the listening sockets. Then it replaces the workers.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

from . import interpreter

MARK = "WSOCKET_AGAIN"  # names the descriptor of the state; as in again.py
FLAG = "--check-upgrade"
WAIT = 0.5  # seconds until the next look whether workers boot or end


class Upgrade:
    """Tries what an upgrade would run, in a process of its own."""

    def __init__(self, args: Sequence[str], environ: Mapping[str, str]) -> None:
        self._args = args
        self._environ = environ  # what was taken out of it at the start
        self._home = home()
        self.pid = 0
        self._deadline = 0.0
        self._path = ""  # of the new version's again.py
        self.is_good = False

    def begin(self, deadline: float) -> None:
        """Start the trial, if none is under way."""
        if self.pid or self.is_good:
            return
        self._said, self._found = (tempfile.TemporaryFile() for _ in range(2))
        self._deadline = deadline
        self._go_home()
        self.pid = os.posix_spawn(
            sys.executable,
            [*interpreter.command(), "-m", "wsocket", FLAG, *self._args],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, self._found.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, self._said.fileno(), 2),
            ],
            setsigmask=[],
        )

    def _go_home(self) -> None:
        with contextlib.suppress(OSError):
            os.chdir(self._home)

    def next_time(self, now: float) -> Optional[float]:
        """When result() is due, besides the end of a child."""
        if self.is_good:
            return now + WAIT
        return self._deadline if self.pid else None

    def result(self, now: float) -> Optional[str]:
        """Return why the new version does not work, once that is known. If it
        works ``is_good`` becomes true."""
        if not self.pid:
            return None
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            if now >= self._deadline:
                os.kill(self.pid, signal.SIGKILL)
                self._deadline = now + WAIT
            return None
        self.pid = 0
        with self._said as said, self._found as found:
            said.seek(0)
            found.seek(0)
            text = said.read().decode("utf-8", "replace").strip()
            self._path = os.fsdecode(found.read()).strip()
        self.is_good = status == 0 and os.path.isfile(self._path)
        if self.is_good:
            return None
        return text or "the new version has ended with status %d" % status

    def cancel(self) -> None:
        """End a trial, since the supervisor ends."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0

    def execute(self, state: Mapping[str, Any], fds: Iterable[int]) -> None:
        """Replace this process by the new version. OSError: it goes on."""
        self.is_good = False
        self._go_home()
        fd = os.memfd_create("wsocket", 0)
        known = {**state, "interpreter": interpreter.command()}
        os.write(fd, json.dumps(known).encode("ascii"))
        kept = [fd, *fds]
        # A signal that comes now waits until the new version heeds it.
        before = signal.pthread_sigmask(
            signal.SIG_BLOCK, signal.valid_signals()
        )
        try:
            for number in kept:
                os.set_inheritable(number, True)
            os.execve(
                sys.executable,
                [*interpreter.command(), self._path, str(fd), *self._args],
                {**os.environ, **self._environ},
            )
        finally:  # it has failed
            for number in kept:
                os.set_inheritable(number, False)
            os.close(fd)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def again_path() -> str:
    """Return the file that begins this version after an upgrade."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "again.py")


def home() -> str:
    """Return the working folder by the name that the shell knows: below a link
    such as `current` another folder has that name after a deploy."""
    name = os.environ.get("PWD", "")
    with contextlib.suppress(OSError):
        if os.path.isabs(name) and os.path.samefile(name, "."):
            return name
    return os.getcwd()


def inherited() -> Optional[dict[str, Any]]:
    """Return the state that the old version has left, if this process is its
    successor."""
    mark = os.environ.get(MARK)
    if mark is None:
        return None
    state_fd = int(mark.split()[0])
    with os.fdopen(os.dup(state_fd), encoding="ascii") as file:
        file.seek(0)
        state: dict[str, Any] = json.load(file)
    return state


def taken_over() -> None:
    """From now on again.py need not help: the state is in use."""
    for fd in os.environ.pop(MARK).split():
        os.close(int(fd))
