"""The options of a server with several processes.

    server_options, processes = split({"workers": "auto", "port": 80})
    processes.workers  # the number of cores
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from . import _wsocket, config

NAMES = frozenset(_wsocket.PROCESS_OPTIONS.split())
LEAST_TIMEOUT = 3.0  # seconds; a busy machine is silent for less
UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True)
class Processes:
    """The values of the options of PROCESS_OPTIONS; times are seconds."""

    workers: int
    boot_timeout: float
    worker_timeout: float
    max_requests: int
    max_memory: int
    max_age: float
    max_jitter: int
    retire_timeout: float
    pid_file: Optional[str]
    control: Optional[str]
    hooks: Optional[str]
    master_hooks: Optional[str]
    reload: bool
    reload_dirs: list[str]
    reload_patterns: list[str]


def split(
    options: Mapping[str, Any],
) -> tuple[dict[str, Any], Optional[Processes]]:
    """Return the options of the server, and those of its processes, or None if
    one process is to serve without a supervisor. ValueError: a value is out of
    range, or two contradict each other."""
    server = {k: v for k, v in options.items() if k not in NAMES}
    given = {k: v for k, v in options.items() if k in NAMES and v is not None}
    for name, item in given.items():
        _wsocket.Server.check(name, item)
    values = {name: value(name, given) for name in NAMES}
    values["reload_dirs"] = values["reload_dirs"] or [os.getcwd()]
    if values["workers"] is None and not values["reload"]:
        idle = sorted(set(given) - {"reload"})
        if idle and idle[0].startswith("reload_"):
            raise ValueError("%s takes reload" % idle[0])
        if idle:
            raise ValueError(
                "%s takes workers: without it one process serves, and nothing "
                "replaces it" % idle[0]
            )
        return server, None
    check_together(values)
    words = values["workers"]
    values["workers"] = _wsocket.cpus() if words == "auto" else int(words or 1)
    return server, Processes(**values)


def check_together(values: Mapping[str, Any]) -> None:
    """Refuse what contradicts itself."""
    if values["reload"] and values["workers"] not in (None, "1"):
        raise ValueError(
            "reload is for one worker; on a running server with several, "
            "SIGHUP or `wsocket reload` loads new code without a lost request"
        )
    if 0 < values["worker_timeout"] < LEAST_TIMEOUT:
        raise ValueError(
            "worker_timeout takes 0 or at least %g seconds: on a busy machine "
            "a healthy worker may be silent for less" % LEAST_TIMEOUT
        )


def value(name: str, options: Mapping[str, Any]) -> Any:
    """Return the value of a checked option, or of its default.

        value("max_memory", {"max_memory": "1k"})  # 1024
    """
    given = options.get(name)
    if given is None:
        given = config.DEFAULTS[name]
    kind = config.KINDS[name]
    if kind == "list":
        if given is None or isinstance(given, str):
            return config.items((given or "").replace("\n", ","))
        return [str(item) for item in given]
    if given is None:
        return None
    if kind == "flag":
        return given is True or given == "on"
    text = str(given)
    if kind == "time":
        return float(text)
    if kind == "bytes":
        number, unit = re.fullmatch("([0-9]+)([kmg]?)", text.lower()).groups()  # type: ignore[union-attr]
        return int(number) * UNITS.get(unit, 1)
    return int(text) if kind == "count" else text
