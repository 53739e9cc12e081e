"""The worker processes of a supervisor: their PIDs, channels, and places on the
board."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Optional

from . import _wsocket, spawn, worker
from .channel import Channel


# Workers for whom a board has room at least, so that a reload may want more of
# them. What nobody uses takes no memory.
ROOM = 32


@dataclass
class Child:
    pid: int
    place: int  # on the board; -1: on that of a version before an upgrade
    channel: Optional[Channel]


class Children:
    """The processes by the ids that the plan has given them."""

    def __init__(self, workers: int, state: Optional[dict[str, Any]]) -> None:
        """Make a board, or take over what state() was before an upgrade."""
        self._known: dict[int, Child] = {}
        if state is None:
            self._board = _wsocket.Board(max(workers, ROOM))
            return
        is_same = True
        try:
            self._board = _wsocket.Board(fd=state["board"])
            is_same = self._board.workers >= workers
        except (OSError, ValueError):  # its layout is another one
            os.close(state["board"])
            is_same = False
        if not is_same:
            self._board = _wsocket.Board(max(workers, ROOM))
        for known in state["children"]:
            channel = None
            if known["channel"] is not None:
                channel = Channel.of(known["channel"])
                channel.set_blocking(False)
            place = known["place"] if is_same else -1
            self._known[known["id"]] = Child(known["pid"], place, channel)

    @property
    def most(self) -> int:
        """Workers for whom there is room, each with its replacement."""
        return self._board.workers

    def state(self) -> dict[str, Any]:
        """Return what a successor of this process needs, for JSON."""
        return {
            "board": self._board.fileno(),
            "children": [
                {
                    "id": id,
                    "pid": child.pid,
                    "place": child.place,
                    "channel": child.channel and child.channel.fileno(),
                }
                for id, child in self._known.items()
            ],
        }

    def fds(self) -> list[int]:
        """The descriptors that state() names."""
        return [self._board.fileno(), *self.channels()]

    def channels(self) -> list[int]:
        channels = [child.channel for child in self._known.values()]
        return [c.fileno() for c in channels if c is not None]

    # ----------------------------------------------------------------- start

    def start(
        self,
        id: int,
        task: worker.Task,
        as_program: bool,
        close_ours: Callable[[], None],
    ) -> int:
        """Make a process and return its PID. OSError: there is none."""
        task.board, task.place = self._board.fileno(), self._free_place()

        def close() -> None:  # in the child
            for child in self._known.values():
                if child.channel is not None:
                    child.channel.close()
            close_ours()

        if as_program:
            pid, channel = spawn.as_program(task)
        else:
            pid, channel = spawn.by_fork(task, close)
        channel.set_blocking(False)
        self._known[id] = Child(pid, task.place, channel)
        self.count("worker_starts", task.reason)
        return pid

    def count(self, what: str, why: str) -> None:
        """Count for the metrics: count("reloads", "done")."""
        with contextlib.suppress(ValueError):  # a reason that is not shown
            self._board.count(what, why)

    def count_reload(self) -> None:
        """Count a reload that is done, and show when."""
        self.count("reloads", "done")
        self.show("last_reload_success_timestamp_seconds", int(time.time()))

    def show(self, what: str, value: int) -> None:
        """Set a value for the metrics: show("generation", 2)."""
        self._board.set(what, value)

    def _free_place(self) -> int:
        taken = {child.place for child in self._known.values()}
        for place in range(len(self._board)):
            if place not in taken:
                return place
        raise OSError(errno.EAGAIN, "all places of the board are taken")

    # ---------------------------------------------------------------- orders

    def order(self, id: int, what: str, **details: Any) -> None:
        """Send an order. One that reads nothing is found by its deadline."""
        child = self._known.get(id)
        if child is not None and child.channel is not None:
            child.channel.send({"order": what, **details})

    def order_all(self, what: str) -> None:
        for id in self._known:
            self.order(id, what)

    def kill(self, id: int, name: str) -> None:
        """Send a signal, unless the process has been waited for: its PID may be
        another's by now."""
        child = self._known.get(id)
        if child is not None:
            os.kill(child.pid, getattr(signal, "SIG" + name))

    # ---------------------------------------------------------------- events

    def messages(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for id in list(self._known):
            yield from self._messages_of(id)

    def _messages_of(self, id: int) -> Iterator[tuple[int, dict[str, Any]]]:
        child = self._known[id]
        while child.channel is not None:
            try:
                received = child.channel.receive()
            except BlockingIOError:
                return
            if received is None:
                child.channel.close()
                child.channel = None
                return
            yield id, received

    def ended(self) -> Iterator[tuple[int, int, int, list[dict[str, Any]]]]:
        """Wait for those that have ended. Yield id, PID, status and the last
        messages of each."""
        for id, child in list(self._known.items()):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid == 0:
                continue
            last = [message for _, message in self._messages_of(id)]
            del self._known[id]
            if child.place >= 0:
                self._board.clear(child.place)
            if child.channel is not None:
                child.channel.close()
            if status != 0:
                # It may have been woken for a connection that it did not take.
                self.order_all("accept")
            yield id, pid, status, last

    def connections(self, id: int) -> int:
        child = self._known.get(id)
        if child is None or child.place < 0:
            return 0
        return int(self._board.slot(child.place)["connections"])

    def pids(self) -> set[int]:
        return {child.pid for child in self._known.values()}


def wait_for_strangers(ours: set[int]) -> None:
    """Wait for ended children of others: process 1 gets those whose parents have
    ended. Ours are left to those who know them."""
    while True:
        try:
            found = os.waitid(
                os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT
            )
        except ChildProcessError:
            return
        if found is None or found.si_pid in ours:
            return
        os.waitpid(found.si_pid, os.WNOHANG)
