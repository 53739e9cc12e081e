"""The supervisor's own log: whole lines, in the format of the error log."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import sys
from collections.abc import Mapping
from typing import Any, Optional

from .config import UsageError
from .log import _Formatter, is_apart

LEVELS = ("debug", "info", "warning", "error", "critical")


class Lines:
    """Write entries by plain write(), without a thread. A log that takes
    nothing now never stops the supervisor: the entry is dropped, and counted."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        path = options.get("error_logfile")
        self._path = "stderr" if path in (None, "") else str(path)
        self._is_ours = False  # to be closed
        level = options.get("log_level")
        self._least = LEVELS.index("info" if level is None else str(level))
        self._format = _Formatter()
        self._fd: Optional[int] = None
        self._dropped = 0  # since the last entry
        self.lost = 0  # in all
        self.reopen()

    def follow(self, before: Lines) -> None:
        """Go on instead of the lines of an earlier configuration."""
        self.lost = before.lost
        if self._path == before._path:
            self._dropped = before._dropped
        before.close()

    @property
    def is_apart(self) -> bool:
        """Whether it is another file than standard error."""
        return is_apart(self._path)

    def reopen(self) -> None:
        """Open the file anew, after it has been moved."""
        known = {"stderr": 2, "-": 1, "none": None}
        if self._path in known:
            self._fd = known[self._path]
            return
        try:
            fd = self._open()
        except OSError as exc:
            if self._fd is None:
                raise UsageError(
                    "error_logfile: %s: %s" % (self._path, exc.strerror)
                ) from None
            return  # go on in the old file
        self.close()
        self._fd = fd

    def _open(self) -> int:
        """Open the file, or take an inherited descriptor, as the server does."""
        self._is_ours = not self._path.startswith("fd:")
        if self._is_ours:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            return os.open(self._path, flags | os.O_NOCTTY, 0o640)
        fd = int(self._path[3:])
        os.fstat(fd)
        return fd

    def close(self) -> None:
        if self._fd is not None and self._is_ours:
            os.close(self._fd)
            self._fd = None

    def write(self, level: str, text: str) -> None:
        if self._fd is None or LEVELS.index(level) < self._least:
            return
        if self._dropped:
            text += "\n(%d entries before this were dropped)" % self._dropped
        record = logging.LogRecord(
            "wsocket", getattr(logging, level.upper()), "", 0, text, None, None
        )
        data = (self._format.format(record) + "\n").encode("utf-8", "replace")
        try:
            # A pipe that has room for PIPE_BUF takes so much without waiting.
            for start in range(0, len(data), select.PIPE_BUF):
                poll = select.poll()
                poll.register(self._fd, select.POLLOUT)
                if not poll.poll(0):
                    raise BlockingIOError
                os.write(self._fd, data[start : start + select.PIPE_BUF])
        except OSError as exc:
            if not self._dropped and self.is_apart:
                self._tell(exc.strerror or "nobody reads it")
            self._dropped += 1
            self.lost += 1
        else:
            self._dropped = 0

    def _tell(self, why: str) -> None:
        """Say on standard error that the log cannot be written."""
        text = "wsocket: the log %s cannot be written: %s" % (self._path, why)
        with contextlib.suppress(OSError, ValueError, AttributeError):
            print(text, file=sys.stderr, flush=True)
