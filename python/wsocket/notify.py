"""Tells systemd, or what else has set NOTIFY_SOCKET, how the server does.

    notifier = Notifier.from_environment(os.environ)
    notifier.tell("ready", "4 workers, generation 1")

This is the protocol of sd_notify(3). Without NOTIFY_SOCKET nothing is sent.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Optional


class Notifier:
    def __init__(self, address: Optional[str], watchdog: float = 0.0) -> None:
        self.watchdog = watchdog  # seconds between two signs of life, or 0
        self._keeps_sockets = False  # whether FDSTORE is offered
        self._stored: set[str] = set()  # names of what the manager keeps
        self.environ: dict[str, str] = {}  # what was taken out, for an upgrade
        self._address = address
        self._socket: Optional[socket.socket] = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Notifier:
        """Take the variables out of the environment: workers are not to use
        them."""
        taken = {
            name: environ[name]
            for name in (
                "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "FDSTORE"
            )
            if name in environ
        }
        address = environ.pop("NOTIFY_SOCKET", "")
        usec = environ.pop("WATCHDOG_USEC", "")
        pid = environ.pop("WATCHDOG_PID", "")
        store = environ.pop("FDSTORE", "")
        watchdog = 0.0
        if re.fullmatch("[0-9]{1,15}", usec) and pid in ("", str(os.getpid())):
            # Half of the time, so that one late turn of the loop is no failure.
            watchdog = int(usec) / 2e6
        if address[:1] == "@":
            address = "\0" + address[1:]
        elif address[:1] != "/":
            address = ""
        notifier = cls(address or None, watchdog if address else 0.0)
        notifier.environ = taken
        notifier._keeps_sockets = bool(re.fullmatch("[1-9][0-9]*", store))
        return notifier

    def fileno(self) -> int:
        return -1 if self._socket is None else self._socket.fileno()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def send(self, *lines: str, fds: Sequence[int] = ()) -> None:
        """Send lines such as "READY=1". A manager that does not listen is no
        reason to stop serving."""
        if self._socket is None or self._address is None:
            return
        text = "\n".join(line.replace("\n", " ") for line in lines).encode()
        with contextlib.suppress(OSError):
            if fds:
                self._socket.connect(self._address)
                socket.send_fds(self._socket, [text], list(fds))
            else:
                self._socket.sendto(text, self._address)

    def tell(self, what: str, status: str) -> None:
        """Tell that the server is ready, reloading or stopping, or only its
        status."""
        lines = ["STATUS=" + status]
        if what == "reloading":
            # systemd 253 takes a reload for begun only with the time.
            usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            lines.insert(0, "MONOTONIC_USEC=%d" % usec)
        if what in ("ready", "reloading", "stopping"):
            lines.insert(0, what.upper() + "=1")
        self.send(*lines)

    def extend(self, seconds: float) -> None:
        """A start or a stop takes this much longer from now on."""
        self.send("EXTEND_TIMEOUT_USEC=%d" % (seconds * 1e6))

    def alive(self) -> None:
        self.send("WATCHDOG=1")

    def store(self, known: Mapping[str, Sequence[int]]) -> None:
        """Let the manager keep listening sockets, if it offers to: it hands them
        to the next supervisor if this one is killed, so that not even the
        connections that wait are lost. Those of another name are forgotten."""
        if not self._keeps_sockets:
            return
        wanted = {name: fds for name, fds in known.items() if fds}
        for name in set(self._stored) - set(wanted):
            self.send("FDSTOREREMOVE=1", "FDNAME=" + name)
        for name in set(wanted) - set(self._stored):
            self.send("FDSTORE=1", "FDNAME=" + name, fds=wanted[name])
        self._stored = set(wanted)
