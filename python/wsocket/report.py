"""What a supervisor says about itself: its first line, and its status."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import sys
from collections.abc import Callable
from typing import Any, Optional

from . import _wsocket, plan
from .lines import Lines
from .terminal import paint

EVENTS = "/sys/fs/cgroup/memory.events"


def announce(
    app: Optional[str],
    urls: list[str],
    state: str,
    metrics: Optional[str],
    lines: Lines,
) -> None:
    """Print what serves, and where; log it, if the log is another file."""
    told = [
        "wsocket %s serves %s on %s with %s, PID %d (kill -HUP %d reloads, "
        "Ctrl-C stops it)"
        % (
            _wsocket.__version__,
            app or "a demo",
            " and ".join(urls),
            state.partition(",")[0],
            os.getpid(),
            os.getpid(),
        ),
        *also(urls, metrics),
    ]
    for line in told:
        print(paint(line, sys.stderr), file=sys.stderr, flush=True)
        if lines.is_apart:
            lines.write("info", line)


def details(threads: object) -> str:
    """What a person at a terminal may ask next, behind the first line."""
    return "  %s %s, up to %s handlers at once, PID %d; wsocket --help" % (
        platform.python_implementation(),
        platform.python_version(),
        threads,
        os.getpid(),
    )


def also(urls: list[str], metrics: Optional[str]) -> list[str]:
    """Say where else something is to be found, behind the first line."""
    told = []
    wss = [re.sub("^https:", "wss:", u) for u in urls if u.startswith("https:")]
    if wss:
        told.append("wsocket takes WebSockets at " + " and ".join(wss))
    if metrics is not None:
        told.append("wsocket answers /metrics at " + metrics)
    return told


def status(
    app: Optional[str],
    urls: list[str],
    what: plan.Plan,
    connections: Callable[[int], int],
    lost: int,
    now: float,
) -> dict[str, Any]:
    """What `wsocket status` prints; connections() takes the id of a worker, and
    ``lost`` entries of the supervisor are not in its log."""
    return {
        "version": _wsocket.__version__,
        "pid": os.getpid(),
        "application": app,
        "addresses": urls,
        "generation": what.generation,
        "workers": len(what.slots),
        "serving": what.serving(),
        "failed_reload": what.failure
        and {
            "what": what.failure.what,
            "why": what.failure.why,
            "seconds": round(now - what.failure.at, 1),
        },
        "log_entries_dropped": lost,
        "processes": [
            {
                "slot": w.slot,
                "pid": w.pid,
                "generation": w.generation,
                "state": "hung" if w.hung else w.phase.value,
                "reason": w.reason,
                "seconds": round(now - w.started, 1),
                "connections": connections(w.id),
            }
            for w in what.workers.values()
        ],
    }


class OutOfMemory:
    """Tell whether the kernel has killed a process of this control group."""

    def __init__(self, path: str = EVENTS) -> None:
        self._path = path
        self._before = self._read()

    def has_struck(self) -> bool:
        """Return True if there are more such kills than at the last call."""
        now, before = self._read(), self._before
        self._before = now
        return now > before

    def _read(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            with open(self._path, encoding="ascii") as file:
                for line in file:
                    name, _, number = line.partition(" ")
                    if name == "oom_kill":
                        return int(number)
        return 0
