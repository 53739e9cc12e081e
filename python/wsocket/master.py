"""The supervisor: starts worker processes, watches and replaces them.

It has one thread, never imports the application, and decides nothing: it tells
``plan.py`` what happened, and carries out the actions that it gets.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Optional

from . import actions, bus, plan, spawn, worker
from .addresses import Addresses
from .children import Children, wait_for_strangers
from .config import UsageError
from .control import Control, clear
from .deployment import Deployment, Read
from .loader import import_module
from .notify import Notifier
from .pidfile import PidFile, give_back
from .reasons import brief
from .report import OutOfMemory, announce, status
from .signals import Signals
from .upgrade import Upgrade, inherited, taken_over

# Commands of the control socket, and the signals that do the same.
ORDERS = {
    "stop": "SIGTERM",
    "upgrade": "SIGUSR2",
    "reopen": "SIGUSR1",
    "workers +1": "SIGTTIN",
    "workers -1": "SIGTTOU",
}


class Master:
    """Serve ``app`` with several processes.

        status = Master(read, notifier).run()  # see Deployment for read()
    """

    def __init__(
        self,
        read: Read,
        notifier: Notifier,
        upgrade: Optional[Upgrade] = None,
        stored: Optional[dict[str, list[int]]] = None,
    ) -> None:
        self._notifier = notifier
        self._upgrade = upgrade
        self._state = inherited()
        addresses = Addresses()
        known = self._state["addresses"] if self._state else stored
        addresses.adopt(known or {})
        self._deployment = Deployment(read, addresses)
        if self._state is None:
            self._deployment.settle()
        notifier.store(addresses.to_store())
        bus.begin(self._deployment.now.options.get("bus"))
        processes = self._deployment.now.processes
        self._hook: Optional[Callable[[worker.Info, int], None]] = None
        if processes.master_hooks is not None:
            hooks = import_module(processes.master_hooks)
            self._hook = getattr(hooks, "child_exit", None)
        self._children = Children(processes.workers, self._state)
        self._status: Optional[int] = None
        self._control: Optional[Control] = None
        self._pid_file: Optional[PidFile] = None
        self._memory = OutOfMemory()
        self._queue: deque[actions.Action] = deque()
        self._is_busy = False
        self._told_threads = False
        self._is_up = False
        # Until an upgrade has, what it took over is not to be closed: again.py
        # would have nothing left to keep.
        self._has_begun = self._state is None
        self.plan = plan.Plan(
            self._deployment.settings(), most=self._children.most
        )

    # ------------------------------------------------------------------ loop

    def run(self) -> int:
        """Serve until a signal ends it. Return the exit status."""
        processes = self._deployment.now.processes
        self._signals = Signals()
        try:
            self._lock(processes.pid_file)
            self._listen(processes.control)
            self._begin(time.monotonic())
            while self._status is None:
                self._turn()
            return self._status
        finally:
            self._signals.close()
            if self._has_begun:
                self._end()

    def _end(self) -> None:
        """Close what workers and clients use."""
        bus.end()
        self._deployment.addresses.keep([])
        if self._upgrade is not None:
            self._upgrade.cancel()
        if self._control is not None:
            self._control.close()
        if self._pid_file is not None:
            self._pid_file.close()

    def _lock(self, path: Optional[str]) -> None:
        """Hold the PID file, from before an upgrade if it is the same one."""
        known = (self._state or {}).get("pid_file", {})
        if path is not None:
            self._pid_file = PidFile(path, known.get(path))

    def _listen(self, path: Optional[str]) -> None:
        """Open the control socket, or that from before an upgrade."""
        known = (self._state or {}).get("control", {})
        if path is not None:
            self._control = Control(path, known.get(path))

    def _leave_others(self, state: dict[str, Any]) -> None:
        """Give up what was there before an upgrade and has moved since."""
        processes = self._deployment.now.processes
        for path, fd in state.get("pid_file", {}).items():
            if path != processes.pid_file:
                give_back(fd, path)
        for path, fd in state.get("control", {}).items():
            if path != processes.control:
                os.close(fd)
                clear(path)

    def _begin(self, now: float) -> None:
        if self._state is None:
            self._do(self.plan.begin(now))
        else:
            taken_over()
            self._leave_others(self._state)
            self._has_begun = True
            # The old version has blocked them before it executed this one.
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            self._do(self.plan.restore(self._state["plan"], now))
            self._reap()
        self._children.show("generation", self.plan.generation)

    def _turn(self) -> None:
        """Wait for the next event, and handle all that have come."""
        poll = select.poll()
        poll.register(self._signals, select.POLLIN)
        fds = self._children.channels()
        if self._control is not None:
            fds += self._control.filenos()
        for fd in fds:
            poll.register(fd, select.POLLIN)
        poll.poll(self._patience())
        # Messages come first, then ends of processes, and the clock last: who
        # has answered in time is never taken for late.
        for id, message in self._children.messages():
            self._on_message(id, message)
        numbers = self._signals.read()
        self._reap()
        for number in numbers:
            self._on_signal(number)
        for command in self._control.commands() if self._control else ():
            self._on_command(command)
        self._upgrade_on()
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
        if self._upgrade is not None:
            times.append(self._upgrade.next_time(now))
        due = min((at for at in times if at is not None), default=None)
        return None if due is None else max(0, int((due - now) * 1000) + 1)

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
        """Handle the ends of children."""
        for id, pid, status, messages in self._children.ended():
            for message in messages:
                self._on_message(id, message)
            how = spawn.ended(status)
            if how == "by SIGKILL" and self._memory.has_struck():
                how += ": out of memory"
            self._call_hook(id, pid, status)
            self._children.count(
                "worker_exits",
                "oom" if "memory" in how else self.plan.why_ended(id),
            )
            self._do(self.plan.exited(id, how, time.monotonic()))
        if os.getpid() == 1:
            ours = self._children.pids()
            if self._upgrade is not None:
                ours.add(self._upgrade.pid)
            wait_for_strangers(ours)

    def _on_command(self, command: str) -> None:
        """Do what a client of the control socket asks for. What takes time is
        answered when it is done."""
        if command == "status":
            self._answer(command, json.dumps(self._report()))
            return
        why_not = self.plan.why_not(command)
        if why_not is not None:
            self._answer(command, "failed: " + why_not)
        elif command == "reload":
            self._do(self.plan.reload(time.monotonic(), "wsocket reload"))
        elif command != "stop" or not self.plan.stopping:  # else it joins
            self._on_signal(getattr(signal, ORDERS[command]))
            if command not in ("stop", "upgrade"):
                self._answer(command, "ok: " + self.plan.state_text())

    def _answer(self, command: str, text: str) -> None:
        if self._control is not None:
            self._control.answer(command, text)

    def _report(self) -> dict[str, Any]:
        app, urls = self._deployment.now.app, self._deployment.urls()
        counts, lost = self._children.connections, self._deployment.now.lines.lost
        return status(app, urls, self.plan, counts, lost, time.monotonic())

    def _call_hook(self, id: int, pid: int, status: int) -> None:
        gone = self.plan.workers.get(id)
        if self._hook is None or gone is None:
            return
        info = worker.Info(gone.slot, gone.generation, pid, gone.reason)
        try:
            self._hook(info, status)
        except Exception as exc:
            self._say("error", "the hook child_exit has failed: %r" % exc)

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
            self._deployment.now.lines.reopen()
            self._children.order_all("reopen")
        elif number == signal.SIGUSR2:
            self._begin_upgrade(now)

    def _begin_upgrade(self, now: float) -> None:
        if self._upgrade is None:
            self._fail_upgrade("only the command wsocket can be upgraded")
        elif not self.plan.stopping:
            self._say("info", "upgrade: trying the new version")
            try:
                self._upgrade.begin(now + self.plan.settings.boot_timeout)
            except OSError as exc:
                self._fail_upgrade(str(exc))

    def _fail_upgrade(self, why: str) -> None:
        self._say("error", "upgrade: FAILED; nothing has changed: %s" % why)
        self._answer("upgrade", "failed: " + brief(why))

    def _upgrade_on(self) -> None:
        """Execute the new version once it is known to work, and no worker boots
        or is being killed."""
        if self._upgrade is None:
            return
        why_not = self._upgrade.result(time.monotonic())
        if why_not is not None:
            self._fail_upgrade(why_not)
        if not self._upgrade.is_good or not self.plan.is_quiet():
            return
        self._answer("upgrade", "ok: the new version takes over")
        if self._control is not None and not self._control.is_quiet():
            return
        addresses = self._deployment.addresses.all_fds()
        state = {
            "addresses": addresses,
            "plan": self.plan.state(),
            **self._children.state(),
        }
        fds = self._children.fds()
        fds += [fd for found in addresses.values() for fd in found]
        if self._control is not None:
            state["control"] = {self._control.path: self._control.fileno()}
            fds.append(self._control.fileno())
        if self._pid_file is not None:
            state["pid_file"] = {self._pid_file.path: self._pid_file.fileno()}
            fds.append(self._pid_file.fileno())
        self._say("info", "upgrade: the new version works; it takes over")
        try:
            self._upgrade.execute(state, fds)
        except OSError as exc:
            self._fail_upgrade(str(exc))

    def _say(self, level: str, text: str) -> None:
        self._deployment.now.lines.write(level, text)

    # --------------------------------------------------------------- actions

    def _do(self, wanted: list[actions.Action]) -> None:
        """Carry out actions, and those that follow from them, in order."""
        self._queue.extend(wanted)
        if self._is_busy:
            return
        self._is_busy = True
        while self._queue:
            action = self._queue.popleft()
            name = "_do_" + type(action).__name__.lower()
            getattr(self, name)(action)
        self._is_busy = False

    def _do_start(self, action: actions.Start) -> None:
        is_next = action.generation > self.plan.generation
        task = self._deployment.task(action, is_next)
        others = spawn.threads_besides()
        if others and not self._told_threads:
            self._told_threads = True
            self._say(
                "warning",
                "a thread runs in the supervisor (%s), so workers are started "
                "as programs, which takes longer than a fork"
                % ", ".join(others),
            )
        programs = os.environ.get("WSK_TEST_WORKERS") == "exec"
        try:
            pid = self._children.start(
                action.id,
                task,
                bool(others) or programs,
                lambda: self._close_ours(task),
            )
        except OSError as exc:
            why = exc.strerror or str(exc)
            self._do(self.plan.not_forked(action.id, why, time.monotonic()))
        else:
            self._do(self.plan.forked(action.id, pid, time.monotonic()))

    def _do_order(self, action: actions.Order) -> None:
        alone = self._deployment.are_ours()
        details = {**action.details, "alone": alone}
        self._children.order(action.id, action.what, **details)

    def _do_kill(self, action: actions.Kill) -> None:
        self._children.kill(action.id, action.signal)

    def _do_prepare(self, action: actions.Prepare) -> None:
        try:
            self._deployment.prepare()
        except (UsageError, OSError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else None
            self._do(self.plan.not_prepared(why or str(exc), time.monotonic()))
            return
        settings = self._deployment.settings(is_next=True)
        if settings.workers > self.plan.most:
            why = "workers: %d are the most here; an upgrade allows more"
            why %= self.plan.most
            self._do(self.plan.not_prepared(why, time.monotonic()))
            return
        self._do(self.plan.prepared(settings, time.monotonic()))

    def _do_commit(self, action: actions.Commit) -> None:
        self._deployment.commit()
        self._children.show("generation", self.plan.generation)
        for name in self._deployment.kept():
            self._say("warning", "a reload cannot change %s" % name)

    def _do_settle(self, action: actions.Settle) -> None:
        self._deployment.settle()
        self._notifier.store(self._deployment.addresses.to_store())
        self._children.count_reload()
        if not self.plan.again:
            self._answer("reload", "ok: " + self.plan.state_text())

    def _do_discard(self, action: actions.Discard) -> None:
        if action.why:
            self._children.count("reloads", "failed")
            self._answer("reload", "failed: " + action.why)
            if self._deployment.now.processes.reload:
                self._children.order_all("accept")  # it waits for the new code
        self._deployment.discard()

    def _do_notify(self, action: actions.Notify) -> None:
        if action.seconds:
            self._notifier.extend(action.seconds)
        if action.what == "ready" and not self._is_up:
            self._is_up = True
            announce(
                self._deployment.now.app,
                self._deployment.urls(),
                action.text,
                self._deployment.metrics_url(),
                self._deployment.now.lines,
            )
        self._notifier.tell(action.what, action.text)

    def _do_refuse(self, action: actions.Refuse) -> None:
        self._notifier.store({})  # nobody is to accept at them any more
        self._deployment.addresses.refuse()

    def _do_log(self, action: actions.Log) -> None:
        self._say(action.level, action.text)

    def _do_end(self, action: actions.End) -> None:
        self._answer("stop", "ok: stopped")
        self._status = action.status

    def _close_ours(self, task: worker.Task) -> None:
        """In a worker, close what is the supervisor's alone, and the sockets
        at which this worker does not listen. A copy that stayed open would
        take in connections that nobody accepts."""
        options = task.options
        self._deployment.addresses.close_except(
            [
                *options["bind"],
                *options["insecure_bind"],
                options.get("metrics_bind"),
            ]
        )
        self._signals.close_in_child()
        if self._control is not None:
            self._control.close(unlink=False)
        if self._pid_file is not None:
            self._pid_file.close(unlink=False)
        self._notifier.close()
