"""A file with the PID of the supervisor."""

from __future__ import annotations

import contextlib
import os
from typing import Optional

from .config import UsageError


def write(path: str) -> None:
    """Write the file at once, so that nobody reads half of it. UsageError: the
    process that it names still runs."""
    other = read(path)
    if other is not None and other != os.getpid() and is_alive(other):
        raise UsageError(
            "%s says that a server runs already, with PID %d" % (path, other)
        )
    temporary = "%s.%d" % (path, os.getpid())
    try:
        with open(temporary, "w", encoding="ascii") as file:
            file.write("%d\n" % os.getpid())
        os.replace(temporary, path)
    except OSError as exc:
        raise UsageError("pid_file: %s: %s" % (path, exc.strerror)) from None


def remove(path: str) -> None:
    """Remove the file, if it is still ours."""
    if read(path) == os.getpid():
        with contextlib.suppress(OSError):
            os.unlink(path)


def read(path: str) -> Optional[int]:
    """Return the PID that a file names, or None."""
    with contextlib.suppress(OSError, ValueError):
        with open(path, encoding="ascii") as file:
            pid = int(file.read())
            return pid if pid > 0 else None
    return None


def is_alive(pid: int) -> bool:
    """Return True if a process exists, of whatever user."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    return True
