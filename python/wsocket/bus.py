"""The bus of a host: the private folder in which processes meet, and a way to
publish for programs that have no server.

    with Publisher() as out:
        out.publish("orders", "hello")

A program that starts workers makes the folder, and names it in WSOCKET_BUS, so
that they, and all that they start, find it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import socket
import stat
import sys
import threading
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any, Optional, Union

from . import _wsocket

VARIABLE = "WSOCKET_BUS"
PREFIX = "wsocket-"
BROKER = "WSOCKET_BROKER"
BROKERS = ("redis:", "rediss:", "redis+", "rediss+", "unix:")
ABOUT = "about"  # the file that tells who has made a folder

_held: dict[str, int] = {}  # folders, and the descriptors that hold them

atexit.register(_wsocket.leave_bus)


def begin(
    option: Optional[str],
    environ: MutableMapping[str, str] = os.environ,
    owner: Optional[tuple[int, int]] = None,
) -> None:
    """Have workers that are started from now on share the bus of an option. A
    folder that is made may be for another ``owner``, a user and a group."""
    option = option or "auto"
    if option != "auto":
        environ[VARIABLE] = option
    elif environ.get(VARIABLE, "auto") in ("", "auto"):
        with contextlib.suppress(OSError):  # each worker says why
            environ[VARIABLE] = make(owner)
    elif environ[VARIABLE] not in _held and about(environ[VARIABLE])[0]:
        with contextlib.suppress(OSError):  # it was made before an upgrade
            hold(environ[VARIABLE])


def end(environ: MutableMapping[str, str] = os.environ) -> None:
    """Remove the folder that begin() has made, once none uses it."""
    path = environ.get(VARIABLE, "")
    if path in _held:
        os.close(_held.pop(path))
    if os.path.exists(os.path.join(path, ABOUT)) and not any(members(path)):
        shutil.rmtree(path, ignore_errors=True)


def make(owner: Optional[tuple[int, int]] = None) -> str:
    """Make a private folder, and return its path."""
    path = hold("")
    with open(os.path.join(path, ABOUT), "w", encoding="utf-8") as file:
        file.write("%d\n%s\n" % (os.getpid(), " ".join(sys.argv)))
    if owner is not None and owner[0] != os.geteuid():
        os.chown(path, *owner)
    return path


def hold(path: str) -> str:
    """Keep a folder, or one that is made, from being removed by others as one
    that was left behind, and return its path."""
    held, fd = _wsocket.hold_folder(path)
    _held[held] = fd
    return held


def places() -> Iterator[str]:
    """The folders in which those of buses lie, the preferred first."""
    for path in (
        os.environ.get("XDG_RUNTIME_DIR"),
        os.environ.get("TMPDIR"),
        "/tmp",
    ):
        if path and os.path.isabs(path) and len(path) <= 50:
            yield path


def folders() -> Iterator[str]:
    """The private folders of this user's buses, in use or not."""
    for place in dict.fromkeys(places()):
        with contextlib.suppress(OSError):
            for entry in os.scandir(place):
                with contextlib.suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    if (
                        entry.name.startswith(PREFIX)
                        and stat.S_ISDIR(found.st_mode)
                        and found.st_uid == os.geteuid()
                        and not found.st_mode & 0o077
                    ):
                        yield entry.path


def members(path: str) -> Iterator[str]:
    """The sockets in a folder at which a process listens."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(path):
            if stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode):
                with socket.socket(socket.AF_UNIX) as trial:
                    trial.setblocking(False)
                    try:
                        trial.connect(entry.path)
                    except BlockingIOError:  # it is busy
                        pass
                    except OSError:
                        continue
                    yield entry.path


def about(path: str) -> tuple[int, str]:
    """Return the PID and the command of the process that has made a folder; 0
    and "" if it has not said so."""
    try:
        with open(os.path.join(path, ABOUT), encoding="utf-8") as file:
            pid, command = file.read().split("\n", 2)[:2]
            return int(pid), command
    except (OSError, ValueError):
        return 0, ""


def find() -> str:
    """Return the folder of the only bus that this user has. ConnectionError:
    there is none, or there are several."""
    live = [path for path in folders() if any(members(path))]
    if len(live) == 1:
        return live[0]
    if not live:
        raise ConnectionError(
            "no server of this user has a bus: looked for %s* in %s. A server "
            "has one once a WebSocket has subscribed to a topic; %s, or the "
            "option bus, names a folder"
            % (PREFIX, ", ".join(dict.fromkeys(places())), VARIABLE)
        )
    rows = [
        "  %s  %s" % (path, about(path)[1] or "(it does not say its command)")
        for path in sorted(live)
    ]
    raise ConnectionError(
        "several servers of this user have a bus; name the folder of one by "
        "--bus or %s:\n%s" % (VARIABLE, "\n".join(rows))
    )


class _Publishers:
    """Those of this process that are open, and a lock around their changes."""

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self.open: set[int] = set()
        self._lock = threading.Lock()

    def leave_if_none(self) -> None:
        if not self.open:
            _wsocket.leave()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()


_publishers = _Publishers()


class Publisher:
    """Publishing for a program that has no server.

    where
        the folder of the bus or the URL of the broker: the option ``bus`` or
        ``broker`` of the server. Without it WSOCKET_BROKER counts, then
        WSOCKET_BUS, else the only bus that this user has.

    A process has one bus: all publishers, and ``wsocket.publish()``, use it. It
    is left once the last publisher is closed, unless there is a server, and the
    last listener has ended.

    >>> with wsocket.Publisher() as out:
    ...     out.publish("orders", "hello")
    """

    def __init__(self, where: Optional[str] = None) -> None:
        where = where or os.environ.get(BROKER) or os.environ.get(VARIABLE)
        if where in (None, "", "auto"):
            where = find()
        if where == "off":
            raise ConnectionError("%s is off" % VARIABLE)
        assert where is not None
        self.where = where
        self.closed = False
        with _publishers:
            try:
                self._open()
                _publishers.open.add(id(self))
            finally:
                _publishers.leave_if_none()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """End, once what was published is sent."""
        self.closed = True
        with _publishers:
            if id(self) in _publishers.open:
                _publishers.open.remove(id(self))
                _publishers.leave_if_none()

    def _open(self) -> None:
        if self.where.startswith(BROKERS):
            prefix = os.environ.get(BROKER + "_PREFIX") or "wsocket"
            _wsocket.open_broker(self.where, prefix)
        else:
            _wsocket.join(self.where)

    def _check(self) -> None:
        if self.closed:
            raise ConnectionError("this Publisher is closed")

    def publish(
        self,
        topic: Union[str, Iterable[str]],
        message: Any,
        binary: Optional[bool] = None,
        do_compress: bool = True,
    ) -> bool:
        """As ``wsocket.publish()``."""
        self._check()
        return _wsocket.publish(topic, message, None, binary, do_compress)

    def disconnect(
        self, topic: str, code: int = 1000, reason: str = ""
    ) -> None:
        """As ``wsocket.disconnect()``."""
        self._check()
        _wsocket.disconnect(topic, code, reason)

    def listen(
        self, *topics: str, timeout: Optional[float] = None
    ) -> _wsocket.Listener:
        """As ``wsocket.listen()``."""
        self._check()
        return _wsocket.listen(*topics, timeout=timeout)
