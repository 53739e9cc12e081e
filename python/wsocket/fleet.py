"""What the plan of a supervisor knows: workers, their slots, and a reload that is
under way. Times are seconds of a monotonic clock."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NamedTuple, Optional


@dataclass
class Settings:
    """The options that the plan depends on; times are seconds."""

    workers: int = 1
    boot_timeout: float = 60.0
    worker_timeout: float = 30.0  # 0: workers are not asked for signs of life
    graceful_timeout: float = 30.0
    retire_timeout: float = 300.0
    stop_delay: float = 0.0
    patient: bool = False  # serve on although the first start has failed


class Phase(enum.Enum):
    BOOT = "booting"
    SERVING = "serving"
    DRAINING = "draining"
    ENDING = "ending"  # a signal or the order to quit has been sent


@dataclass
class Worker:
    id: int
    slot: int
    generation: int
    reason: str  # start, reload, crash, hung, requests, memory, age, more
    started: float
    phase: Phase = Phase.BOOT
    pid: int = 0
    deadline: Optional[float] = None  # of the phase, or of the step
    steps: list[tuple[str, Optional[float]]] = field(default_factory=list)
    served: float = 0.0  # since when it is ready
    left: float = 0.0  # since when it drains or ends
    failure: str = ""  # the traceback with which it says that it failed
    boot_timeout: float = 0.0  # of the configuration with which it started
    probe_at: Optional[float] = None  # when to ask it the next time
    signs: dict[str, float] = field(default_factory=dict)
    hung: bool = False  # it is to be killed, once a successor is there
    worn: str = ""  # the limit for which it retires: "requests"
    killed: bool = False

    @property
    def name(self) -> str:
        return "worker %d (PID %d)" % (self.slot, self.pid)


@dataclass
class Slot:
    """One of the N places of workers, from 1 on."""

    number: int
    holder: Optional[Worker] = None  # it serves, or hangs
    coming: Optional[Worker] = None  # it boots, and will be the holder
    retry_at: Optional[float] = None
    fails: int = 0  # restarts in a row


@dataclass
class Roll:
    """A reload that is under way."""

    cause: str
    began: float
    phase: str = "prepare"  # then clear, canary, roll, drain
    settings: Optional[Settings] = None  # of the next configuration
    canary: Optional[Worker] = None
    todo: list[int] = field(default_factory=list)
    active: set[int] = field(default_factory=set)  # slots under replacement
    parts: int = 1  # workers that leave
    part: int = 0  # orders to drain that were given
    leaving: set[int] = field(default_factory=set)  # ids of the old workers
    killed: int = 0


class Failure(NamedTuple):
    """Why the last reload has failed."""

    what: str  # options; application: it says so itself; worker
    why: str  # in a line
    at: float


def count(workers: int) -> str:
    """count(1)  # "1 worker" """
    return "%d worker%s" % (workers, "s" if workers != 1 else "")
