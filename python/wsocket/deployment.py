"""What the workers of each generation get: options, and listening sockets."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

from . import worker
from .actions import Start
from .addresses import Addresses, insecure
from .fleet import Settings
from .lines import Lines
from .processes import Processes, value

FIXED = "pid_file", "control"  # a reload cannot change them

Read = Callable[[], tuple[Optional[str], dict[str, Any], Processes]]


@dataclass
class Deployed:
    """One configuration."""

    app: Optional[str]  # None: the demo
    options: dict[str, Any]  # of the server
    processes: Processes
    keys: list[str]  # of its addresses
    lines: Lines  # the log of the supervisor

    def insecure(self) -> list[str]:
        """Return the keys of the addresses that are without TLS all the same."""
        without = insecure(self.options)
        return [key for key in self.keys if key in without]

    def secure(self) -> list[str]:
        without = self.insecure()
        return [key for key in self.keys if key not in without]


class Deployment:
    """The configuration that holds, and during a reload the next one.

    ``read()`` returns the application's name, the options of the server and
    those of the processes: at the start, and again at each reload.
    """

    def __init__(self, read: Read, addresses: Addresses) -> None:
        self._read = read
        self.addresses = addresses
        self.now = self._open()
        self._at_start = self.now.processes
        self._next: Optional[Deployed] = None

    def _open(self) -> Deployed:
        app, options, processes = self._read()
        lines = Lines(options)
        keys = self.addresses.open(options)
        return Deployed(app, options, processes, keys, lines)

    def prepare(self) -> None:
        """Read the next configuration and bind its addresses. UsageError or
        OSError: nothing has changed."""
        self._next = self._open()

    def commit(self) -> None:
        """Let the next configuration hold; addresses that it does not have stay
        until settle()."""
        if self._next is not None:
            self._next.lines.follow(self.now.lines)
            self.now, self._next = self._next, None

    def discard(self) -> None:
        if self._next is not None:
            self._next.lines.close()
            self._next = None
        self.settle()

    def kept(self) -> list[str]:
        """Return the options that stay as they were at the start, though the
        configuration has others now."""
        before, now = self._at_start, self.now.processes
        return [n for n in FIXED if getattr(before, n) != getattr(now, n)]

    def settle(self) -> None:
        """Close the addresses that are in no configuration."""
        self.addresses.keep(self.now.keys)

    def are_ours(self) -> bool:
        """Return True if no other program has the listening sockets."""
        return self.addresses.are_ours(self.now.keys)

    def urls(self) -> list[str]:
        """Return the URLs of all addresses: the sockets know of no TLS."""
        urls = self.addresses.urls(self.now.secure())
        if self.now.options.get("certfile"):
            urls = [re.sub("^http:", "https:", url) for url in urls]
        return urls + self.addresses.urls(self.now.insecure())

    def metrics_url(self) -> Optional[str]:
        return self.addresses.metrics_url(self.now.keys)

    def settings(self, is_next: bool = False) -> Settings:
        at = self._at(is_next)
        options, processes = at.options, at.processes
        return Settings(
            workers=processes.workers,
            boot_timeout=processes.boot_timeout,
            worker_timeout=processes.worker_timeout,
            # Who develops does not wait for WebSockets of the old code.
            graceful_timeout=(
                1.0 if processes.reload else value("graceful_timeout", options)
            ),
            retire_timeout=processes.retire_timeout,
            stop_delay=value("stop_delay", options),
            patient=processes.reload,
        )

    def _at(self, is_next: bool) -> Deployed:
        return self._next if is_next and self._next is not None else self.now

    def task(self, start: Start, is_next: bool) -> worker.Task:
        """Return what a worker has to do, but for its place on the board."""
        at = self._at(is_next)
        options = {
            k: v for k, v in at.options.items() if k not in ("host", "port")
        }
        options["bind"] = self.addresses.fds(at.secure())
        options["insecure_bind"] = self.addresses.fds(at.insecure())
        metrics = self.addresses.metrics_fd(at.keys)
        if metrics is not None:
            options["metrics_bind"] = "fd:%d" % metrics
        of = at.processes
        watch = {"dirs": of.reload_dirs, "patterns": of.reload_patterns}
        return worker.Task(
            app=at.app,
            options=options,
            slot=start.slot,
            generation=start.generation,
            reason=start.reason,
            hooks=of.hooks,
            max_requests=of.max_requests,
            max_memory=of.max_memory,
            max_age=of.max_age,
            max_jitter=of.max_jitter,
            watch=watch if of.reload else None,
        )
