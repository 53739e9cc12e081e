"""What the plan of a supervisor wants to be done; ``master.py`` does it.

    for action in plan.ready(1, now):  # Order(id=2, what="drain", details={...})
        ...
"""

from __future__ import annotations

from typing import NamedTuple, Union

Details = dict[str, Union[float, bool]]


class Start(NamedTuple):
    """Make a process; then call forked() or not_forked()."""

    id: int
    slot: int
    generation: int
    reason: str


class Order(NamedTuple):
    """Send an order through the worker's channel: drain, quit or probe."""

    id: int
    what: str
    details: Details


class Kill(NamedTuple):
    """Send a signal to a process that has not been waited for."""

    id: int
    signal: str


class Prepare(NamedTuple):
    """Read the configuration anew and bind new addresses; then call prepared()
    or not_prepared()."""


class Commit(NamedTuple):
    """The new configuration holds; the old one serves until Settle."""


class Settle(NamedTuple):
    """No worker of the old configuration is left: close its addresses."""


class Discard(NamedTuple):
    """The new configuration has failed: close the addresses that it added.
    Without ``why``, the reload begins anew."""

    why: str = ""


class Refuse(NamedTuple):
    """Let no new client connect: the workers accept the rest and drain."""


class Notify(NamedTuple):
    """Tell the service manager: ready, reloading, stopping, status or extend
    (what is under way may take ``seconds`` more)."""

    what: str
    text: str
    seconds: float = 0.0


class Log(NamedTuple):
    level: str
    text: str


class End(NamedTuple):
    """No process is left: exit with this status."""

    status: int


Action = Union[
    Start, Order, Kill, Prepare, Commit, Settle, Discard, Refuse, Notify, Log, End
]
