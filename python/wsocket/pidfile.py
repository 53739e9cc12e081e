"""A file with the PID of the supervisor, which holds a lock on it.

The PID alone proves nothing: a supervisor that was killed leaves the file, and
its PID may be another process' by now. The lock goes with the process, and the
kernel says who holds it.

It is a record lock, fcntl(2): it belongs to this process and not to those that
it forks, and stays through an execve(2). It is lost as soon as this process
closes *any* descriptor of the file, so nothing else here may open the file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from typing import Optional

from .config import UsageError

FLOCK = "hhqqi"  # struct flock with 64 bits: type, whence, start, length, PID


class PidFile:
    """The file of the supervisor that runs."""

    def __init__(self, path: str, fd: Optional[int] = None) -> None:
        """Lock the file and write it, or take ``fd`` over from before an
        upgrade. UsageError: another process holds the lock."""
        self.path = path
        if fd is not None and not is_at(fd, path):
            os.close(fd)  # somebody has removed the file
            fd = None
        if fd is None:
            try:
                fd = locked(path)
            except OSError as exc:
                raise UsageError(
                    "pid_file: %s: %s" % (path, exc.strerror)
                ) from None
        os.set_inheritable(fd, False)
        # An execve(2) of a process with threads may have lost the lock.
        with contextlib.suppress(OSError):
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._fd = fd

    def fileno(self) -> int:
        """Of the lock, for an upgrade."""
        return self._fd

    def close(self, unlink: bool = True) -> None:
        """Free the lock and remove the file. A worker that was forked only
        closes its copy."""
        if unlink:
            give_back(self._fd, self.path)
        else:
            os.close(self._fd)


def give_back(fd: int, path: str) -> None:
    """Remove the file, if it is still ours, and then free the lock: who gets
    it then finds that the file has gone."""
    if is_at(fd, path):
        with contextlib.suppress(OSError):
            os.unlink(path)
    os.close(fd)


def locked(path: str) -> int:
    """Return a descriptor of the file, locked and with our PID in it."""
    while True:
        # A link that another user put there must not lead to a third file.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = os.open(path, flags, 0o644)
        try:
            if take(fd, path) and is_at(fd, path):
                os.ftruncate(fd, 0)
                os.write(fd, b"%d\n" % os.getpid())
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # its owner has ended meanwhile


def take(fd: int, path: str) -> bool:
    """Lock a file. False: it was another's until now. UsageError: it is."""
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        other = owner(fd, fcntl.F_WRLCK)
        if other is None:
            return False
        raise UsageError(
            "%s says that a server runs already, with PID %d" % (path, other)
        ) from None
    return True


def is_at(fd: int, path: str) -> bool:
    """Return True if a path still names an open file."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(fd), os.stat(path))
    return False


def running(path: str) -> Optional[int]:
    """Return the PID of the supervisor that holds a file, or None. OSError: the
    file cannot be read, or the process is not to be seen from here."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        # Who may read the file can hold it for reading, and is no server.
        pid = owner(fd, fcntl.F_RDLCK)
    finally:
        os.close(fd)
    if pid is not None and pid <= 0:
        # In a container, or on another machine that shares the file.
        raise ProcessLookupError(
            errno.ESRCH, "the server that holds it runs elsewhere"
        )
    return pid


def owner(fd: int, kind: int) -> Optional[int]:
    """Return the PID of the process that keeps others from locking a file, or
    None. The kernel gives it as we see it: 0 or less if not at all."""
    asked = struct.pack(FLOCK, kind, os.SEEK_SET, 0, 0, 0)
    found = fcntl.fcntl(fd, fcntl.F_GETLK, asked)
    lock, _, _, _, pid = struct.unpack(FLOCK, found)
    return None if lock == fcntl.F_UNLCK else int(pid)
