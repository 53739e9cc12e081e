"""The supervisor: starts worker processes, watches and replaces them.

It has one thread, never imports the application, and decides nothing: it tells
``plan.py`` what happened, and carries out the actions that it gets.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

from . import _wsocket, pidfile, plan, spawn, worker
from .addresses import Addresses
from .channel import Channel
from .config import UsageError
from .control import Control
from .lines import Lines
from .notify import Notifier
from .processes import Processes, value

# Commands of the control socket, and the signals that do the same.
ORDERS = {
    "reload": "SIGHUP",
    "stop": "SIGTERM",
    "reopen": "SIGUSR1",
    "workers +1": "SIGTTIN",
    "workers -1": "SIGTTOU",
}

SIGNALS = (
    "SIGTERM SIGINT SIGQUIT SIGHUP SIGUSR1 SIGUSR2 SIGTTIN SIGTTOU SIGCHLD"
).split()


@dataclass
class Deployed:
    """A configuration: what workers of one generation get."""

    app: Optional[str]  # None: the demo
    options: dict[str, Any]  # of the server
    processes: Processes
    keys: list[str]  # of the addresses


@dataclass
class Child:
    pid: int
    place: int  # on the board
    channel: Optional[Channel]


class Master:
    """Serve ``app`` with several processes.

        status = Master(read, os.environ).run()

    ``read()`` returns the application's name, the options of the server and
    those of the processes. It is called at the start and at each reload.
    """

    def __init__(
        self,
        read: Callable[[], tuple[Optional[str], dict[str, Any], Processes]],
        notifier: Notifier,
    ) -> None:
        self._read = read
        self._notifier = notifier
        self._addresses = Addresses()
        app, options, processes = read()
        self._now = Deployed(
            app, options, processes, self._addresses.open(options)
        )
        self._next: Optional[Deployed] = None
        self._lines = Lines(options)
        self._children: dict[int, Child] = {}
        self._status: Optional[int] = None
        self._control: Optional[Control] = None
        self._board = _wsocket.Board(processes.workers)
        self._queue: deque[plan.Action] = deque()
        self._is_busy = False
        self._told_threads = False
        self._is_up = False
        self.plan = plan.Plan(self._settings())

    def _settings(self) -> plan.Settings:
        options, processes = self._now.options, self._now.processes
        return plan.Settings(
            workers=processes.workers,
            boot_timeout=processes.boot_timeout,
            worker_timeout=processes.worker_timeout,
            graceful_timeout=(
                1.0 if processes.reload else value("graceful_timeout", options)
            ),
            retire_timeout=processes.retire_timeout,
            stop_delay=value("stop_delay", options),
            patient=processes.reload,
        )

    # ------------------------------------------------------------------ loop

    def run(self) -> int:
        """Serve until a signal ends it. Return the exit status."""
        processes = self._now.processes
        if processes.pid_file is not None:
            pidfile.write(processes.pid_file)
        if processes.control is not None:
            self._control = Control(processes.control)
        self._woken, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        before = self._heed_signals(wake)
        try:
            self._do(self.plan.begin(time.monotonic()))
            while self._status is None:
                self._turn()
            return self._status
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(self._woken)
            os.close(wake)
            self._addresses.keep([])
            if self._control is not None:
                self._control.close()
            if processes.pid_file is not None:
                pidfile.remove(processes.pid_file)

    def _heed_signals(self, wake: int) -> dict[int, Any]:
        """Let signals write their number to a descriptor, and do nothing else.
        One that is ignored, as in a background job of a shell, is left alone."""
        before: dict[int, Any] = {}
        for name in SIGNALS:
            number = getattr(signal, name)
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, lambda n, frame: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        return before

    def _turn(self) -> None:
        """Wait for the next event, and handle all that have come."""
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        for child in self._children.values():
            if child.channel is not None:
                poll.register(child.channel.fileno(), select.POLLIN)
        for fd in self._control.filenos() if self._control else ():
            poll.register(fd, select.POLLIN)
        poll.poll(self._patience())
        # Messages come first, then ends of processes, and the clock last: who
        # has answered in time is never taken for late.
        for id in list(self._children):
            self._hear(id)
        numbers = b""
        with contextlib.suppress(BlockingIOError):
            numbers = os.read(self._woken, 4096)
        self._reap()
        for number in numbers:
            self._on_signal(number)
        for command in self._commands():
            self._on_command(command)
        if self._notifier.watchdog and (self.plan.serving() or not self._is_up):
            self._notifier.alive()
        if self._status is None:
            self._do(self.plan.tick(time.monotonic()))

    def _patience(self) -> Optional[int]:
        """Return for how many milliseconds nothing is due; None: for ever."""
        now = time.monotonic()
        times = [self.plan.next_time()]
        if self._notifier.watchdog:
            times.append(now + self._notifier.watchdog)
        if self._control is not None:
            times.append(self._control.next_time())
        due = min((at for at in times if at is not None), default=None)
        return None if due is None else max(0, int((due - now) * 1000) + 1)

    def _hear(self, id: int) -> None:
        """Take the messages of a worker."""
        child = self._children[id]
        while child.channel is not None:
            try:
                received = child.channel.receive()
            except BlockingIOError:
                return
            if received is None:
                child.channel.close()
                child.channel = None
                return
            self._on_message(id, received[0])

    def _on_message(self, id: int, message: dict[str, Any]) -> None:
        now, what = time.monotonic(), message.get("is")
        if what == "ready":
            self._do(self.plan.ready(id, now))
        elif what == "failed":
            self._do(self.plan.failed(id, message["text"], now))
        elif what == "alive":
            self._do(self.plan.alive(id, message["what"], now))
        elif what == "worn":
            self._do(self.plan.worn(id, message["why"], now))
        elif what == "changed":
            self._do(self.plan.reload(now, message["text"]))

    def _reap(self) -> None:
        """Wait for the children that have ended. Process 1 also gets those whose
        parents have ended: nobody else waits for them."""
        for id, child in list(self._children.items()):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid == 0:
                continue
            self._hear(id)
            del self._children[id]
            self._board.clear(child.place)
            if status != 0:
                # It may have been woken for a connection that it did not take.
                self._order_all("accept")
            if child.channel is not None:
                child.channel.close()
            self._do(self.plan.exited(id, spawn.ended(status), time.monotonic()))
        while os.getpid() == 1:
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    return
            except ChildProcessError:
                return

    def _commands(self) -> list[str]:
        if self._control is None:
            return []
        return self._control.commands(time.monotonic())

    def _on_command(self, command: str) -> None:
        """Do what a client of the control socket asks for. What takes time is
        answered when it is done."""
        assert self._control is not None
        if command == "status":
            self._control.answer(command, json.dumps(self._report()))
        elif command in ORDERS:
            self._on_signal(getattr(signal, ORDERS[command]))
            if command not in ("reload", "stop"):
                self._control.answer(command, "ok: " + self.plan.state_text())

    def _answer(self, command: str, text: str) -> None:
        if self._control is not None:
            self._control.answer(command, text)

    def _report(self) -> dict[str, Any]:
        now = time.monotonic()
        return {
            "version": _wsocket.__version__,
            "pid": os.getpid(),
            "application": self._now.app,
            "addresses": self._addresses.urls(self._now.keys),
            "generation": self.plan.generation,
            "workers": len(self.plan.slots),
            "serving": self.plan.serving(),
            "processes": [
                {
                    "slot": w.slot,
                    "pid": w.pid,
                    "generation": w.generation,
                    "state": "hung" if w.hung else w.phase.value,
                    "reason": w.reason,
                    "seconds": round(now - w.started, 1),
                    "connections": self._connections(w.id),
                }
                for w in self.plan.workers.values()
            ],
        }

    def _connections(self, id: int) -> int:
        child = self._children.get(id)
        if child is None:
            return 0
        return int(self._board.slot(child.place)["connections"])

    def _on_signal(self, number: int) -> None:
        now = time.monotonic()
        if number == signal.SIGTERM:
            self._do(self.plan.stop(now))
        elif number == signal.SIGINT:
            self._do(self.plan.stop(now, spread=False))
        elif number == signal.SIGQUIT:
            self._do(self.plan.quit(now))
        elif number == signal.SIGHUP:
            self._do(self.plan.reload(now, "SIGHUP"))
        elif number == signal.SIGTTIN:
            self._do(self.plan.more(now))
        elif number == signal.SIGTTOU:
            self._do(self.plan.fewer(now))
        elif number == signal.SIGUSR1:
            self._lines.reopen()
            self._order_all("reopen")

    def _order_all(self, what: str) -> None:
        for child in self._children.values():
            if child.channel is not None:
                child.channel.send({"order": what})

    # --------------------------------------------------------------- actions

    def _do(self, actions: list[plan.Action]) -> None:
        """Carry out actions, and those that follow from them, in order."""
        self._queue.extend(actions)
        if self._is_busy:
            return
        self._is_busy = True
        while self._queue:
            action = self._queue.popleft()
            name = "_do_" + type(action).__name__.lower()
            getattr(self, name)(action)
        self._is_busy = False

    def _do_start(self, action: plan.Start) -> None:
        now = self._now
        if action.generation > self.plan.generation and self._next is not None:
            now = self._next
        try:
            place = self._free_place()
            pid, channel = self._make_process(self._task(action, now, place))
        except OSError as exc:
            why = exc.strerror or str(exc)
            self._do(self.plan.not_forked(action.id, why, time.monotonic()))
            return
        channel.set_blocking(False)
        self._children[action.id] = Child(pid, place, channel)
        self._do(self.plan.forked(action.id, pid, time.monotonic()))

    def _do_order(self, action: plan.Order) -> None:
        child = self._children.get(action.id)
        if child is not None and child.channel is not None:
            # One that reads nothing is found by its deadline.
            child.channel.send({"order": action.what, **action.details})

    def _do_kill(self, action: plan.Kill) -> None:
        child = self._children.get(action.id)
        if child is not None:  # it has not been waited for
            os.kill(child.pid, getattr(signal, "SIG" + action.signal))

    def _do_prepare(self, action: plan.Prepare) -> None:
        try:
            app, options, processes = self._read()
            keys = self._addresses.open(options)
        except (UsageError, OSError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else None
            self._do(self.plan.not_prepared(why or str(exc), time.monotonic()))
            return
        self._next = Deployed(app, options, processes, keys)
        self._do(self.plan.prepared(time.monotonic()))

    def _do_commit(self, action: plan.Commit) -> None:
        if self._next is not None:
            self._now, self._next = self._next, None
            self.plan.settings = self._settings()
            self._lines.close()
            self._lines = Lines(self._now.options)

    def _do_settle(self, action: plan.Settle) -> None:
        self._addresses.keep(self._now.keys)
        if not self.plan.again:
            self._answer("reload", "ok: " + self.plan.state_text())

    def _do_discard(self, action: plan.Discard) -> None:
        self._next = None
        if action.why:
            self._answer("reload", "failed: " + action.why)
            if self._now.processes.reload:
                self._order_all("accept")  # it waits for the new code
        self._addresses.keep(self._now.keys)

    def _do_notify(self, action: plan.Notify) -> None:
        notifier = self._notifier
        if action.seconds:
            notifier.extend(action.seconds)
        if action.what == "ready":
            if not self._is_up:
                self._is_up = True
                self._tell_start()
            notifier.ready(action.text)
        elif action.what == "reloading":
            notifier.reloading(action.text)
        elif action.what == "stopping":
            notifier.stopping(action.text)
        else:
            notifier.status(action.text)

    def _do_refuse(self, action: plan.Refuse) -> None:
        self._addresses.refuse()

    def _do_log(self, action: plan.Log) -> None:
        self._lines.write(action.level, action.text)

    def _do_end(self, action: plan.End) -> None:
        self._answer("stop", "ok: stopped")
        self._status = action.status

    # ------------------------------------------------------------- processes

    def _free_place(self) -> int:
        taken = {child.place for child in self._children.values()}
        for place in range(len(self._board)):
            if place not in taken:
                return place
        raise OSError(errno.EAGAIN, "all places of the board are taken")

    def _task(
        self, action: plan.Start, now: Deployed, place: int
    ) -> worker.Task:
        options = {
            k: v for k, v in now.options.items() if k not in ("host", "port")
        }
        options["bind"] = ["fd:%d" % fd for fd in self._addresses.fds(now.keys)]
        processes = now.processes
        return worker.Task(
            app=now.app,
            options=options,
            slot=action.slot,
            generation=action.generation,
            reason=action.reason,
            workers=len(self.plan.slots),
            board=self._board.fileno(),
            place=place,
            hooks=processes.hooks,
            max_requests=processes.max_requests,
            max_memory=processes.max_memory,
            max_age=processes.max_age,
            max_jitter=processes.max_jitter,
            watch=(
                {
                    "dirs": processes.reload_dirs,
                    "patterns": processes.reload_patterns,
                }
                if processes.reload
                else None
            ),
        )

    def _make_process(self, task: worker.Task) -> tuple[int, Channel]:
        others = spawn.threads_besides()
        if others and not self._told_threads:
            self._told_threads = True
            self._lines.write(
                "warning",
                "a thread runs in the supervisor (%s), so workers are started "
                "as programs, which takes longer than a fork"
                % ", ".join(others),
            )
        if others or os.environ.get("WSK_TEST_WORKERS") == "exec":
            return spawn.as_program(task)
        return spawn.by_fork(task, self._close_ours)

    def _close_ours(self) -> None:
        """In a worker, close what is the supervisor's alone."""
        os.close(self._woken)
        os.close(signal.set_wakeup_fd(-1))
        for child in self._children.values():
            if child.channel is not None:
                child.channel.close()
        if self._control is not None:
            self._control.close(unlink=False)
        self._notifier.close()

    # ------------------------------------------------------------ what it says

    def _tell_start(self) -> None:
        print(
            "wsocket %s serves %s on %s with %s, PID %d (kill -HUP %d reloads, "
            "Ctrl-C stops it)"
            % (
                _wsocket.__version__,
                self._now.app or "a demo",
                " and ".join(self._addresses.urls(self._now.keys)),
                self.plan.state_text().partition(",")[0],
                os.getpid(),
                os.getpid(),
            ),
            file=sys.stderr,
            flush=True,
        )

    def _tell_places(self) -> None:
        pass
