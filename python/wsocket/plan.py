"""Decides which worker processes are started, drained and killed.

    plan = Plan(Settings(workers=2))
    plan.begin(0.0)    # [Start(id=1, slot=1, ...), Start(id=2, slot=2, ...)]
    plan.forked(1, 4711, 0.0)
    plan.ready(1, 0.3)

This is a state machine without input, output, clock or process: the supervisor
(``master.py``) tells it what happened and when, and carries out the actions that
it returns. Times are seconds of a monotonic clock. A worker has an ``id`` of its
own; several workers may have the same slot, one after the other.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Optional

from .actions import (
    Action,
    Commit,
    Details,
    Discard,
    End,
    Kill,
    Log,
    Notify,
    Order,
    Prepare,
    Refuse,
    Settle,
    Start,
)
from .fleet import Failure, Phase, Roll, Settings, Slot, Worker, count
from .reasons import brief

STEP = 2.0  # seconds from TERM to ABRT, and from ABRT to KILL
QUIT = 1.0  # seconds that an order to end at once may take
LATE = 5.0  # seconds beyond its time before a draining worker is killed
FIRST_DELAY = 0.1  # seconds before the second restart of a slot
LONGEST_DELAY = 30.0  # seconds before any restart
GOOD_LIFE = 60.0  # seconds alive after which earlier crashes are forgotten
WINDOW = 10.0  # seconds in which at most 2 N crashed workers are restarted
APART = 10.0  # seconds between the starts of two successors of worn workers
STALL = 1.0  # seconds of delay that are taken for a stop of this process

# Signals and the seconds after each, for a worker that must end.
FROM_TERM = [("TERM", STEP), ("ABRT", STEP), ("KILL", None)]
FROM_ABRT = FROM_TERM[1:]
AT_ONCE = FROM_TERM[2:]


class Plan:
    """The state machine; every public method but next_time() returns the
    actions to carry out, in order."""

    def __init__(
        self,
        settings: Settings,
        rand: Callable[[], float] = random.random,
        most: int = 1000,
    ) -> None:
        self.settings = settings
        self.most = most  # workers for whom there is room
        self.generation = 1
        self.workers: dict[int, Worker] = {}
        self.slots = {n: Slot(n) for n in range(1, settings.workers + 1)}
        self.roll: Optional[Roll] = None
        self.again = ""  # the cause of a reload that waits for this one
        self.stopping = ""  # "stop", "quit" or "failed"
        self.status = 0
        self.failure: Optional[Failure] = None  # of the last reload
        self.served = False  # at least one worker has been ready
        self.up = False  # readiness has been announced
        self._rand = rand
        self._began = 0.0
        self._last_id = 0
        self._now = 0.0
        self._wake: Optional[float] = None  # what next_time() returned
        self._restarts: deque[float] = deque()
        self._worn: dict[int, str] = {}  # ids that ask to retire, and why
        self._retiring: Optional[int] = None
        self._next_grant = 0.0
        self._refuse_at: Optional[float] = None
        self._told = 0  # workers that were last said to be ready
        self._actions: list[Action] = []

    # --------------------------------------------------------------- events

    def begin(self, now: float) -> list[Action]:
        """Start the first workers."""
        self._began = self._now = now
        self._notify("extend", "starting %s" % count(len(self.slots)),
                     self.settings.boot_timeout + LATE)
        return self._result(now)

    def forked(self, id: int, pid: int, now: float) -> list[Action]:
        """The process of a Start exists."""
        worker = self.workers[id]
        worker.pid = pid
        if worker.phase is Phase.ENDING:  # decided while it was being made
            worker.phase = Phase.BOOT
            self._end(worker, FROM_TERM, now)
        return self._result(now)

    def not_forked(self, id: int, why: str, now: float) -> list[Action]:
        """The process of a Start could not be made."""
        worker = self.workers[id]
        worker.failure = worker.failure or "no process: %s" % why
        return self.exited(id, why, now)

    def ready(self, id: int, now: float) -> list[Action]:
        """A worker has booted and accepts connections."""
        worker = self.workers.get(id)
        if worker is None or worker.phase is not Phase.BOOT:
            return self._result(now)
        worker.phase, worker.served, worker.deadline = Phase.SERVING, now, None
        self._watch(worker, now)
        self.served = True
        self._take_over(worker, now)
        return self._result(now)

    def failed(self, id: int, text: str, now: float) -> list[Action]:
        """A worker says why it will not become ready; it exits by itself."""
        if id in self.workers:
            self.workers[id].failure = text
        return self._result(now)

    def why_ended(self, id: int) -> str:
        """Return the reason for which a worker that has ended was to end."""
        worker = self.workers[id]
        if worker.hung:
            return "hung"
        if worker.phase in (Phase.BOOT, Phase.SERVING):
            return "crash"
        if self.stopping:
            return "stop"
        if worker.generation < self.generation:
            return "reload"
        return worker.worn or "stop"

    def exited(self, id: int, how: str, now: float) -> list[Action]:
        """A process has ended and was waited for. ``how`` says "with status 1"
        or "by SIGKILL"."""
        worker = self.workers.pop(id)
        self._worn.pop(id, None)
        if id == self._retiring:
            self._retiring = None
        if worker.phase in (Phase.BOOT, Phase.SERVING):
            self._lost(worker, "ended %s" % how, now)
        else:
            self._gone(worker, how, now)
        return self._result(now)

    def alive(self, id: int, what: str, now: float) -> list[Action]:
        """A worker's "loop" or "interpreter" has answered a probe."""
        if id in self.workers:
            self.workers[id].signs[what] = now
        return self._result(now)

    def worn(self, id: int, why: str, now: float) -> list[Action]:
        """A worker has reached max_requests, max_memory or max_age."""
        worker = self.workers.get(id)
        if worker is not None and worker.phase is Phase.SERVING:
            self._worn.setdefault(id, why)
        return self._result(now)

    def reload(self, now: float, cause: str) -> list[Action]:
        """Replace all workers by ones with the code that is there now."""
        if self.stopping:
            return self._result(now)
        roll = self.roll
        if not self.served or (roll and roll.phase in ("roll", "drain")):
            if not self.again:
                self._log("info", "reload: waits for what is under way")
            self.again = cause
            for number in roll.active if roll else ():
                slot = self.slots[number]
                if slot.retry_at is not None:
                    slot.fails, slot.retry_at = 0, now
            return self._result(now)
        if roll is not None:
            self._log("info", "reload: asked anew, which ends the one before")
            if roll.canary is not None:
                self._end(roll.canary, FROM_TERM, now)
            self._do(Discard())
        self._begin_reload(cause, now)
        return self._result(now)

    def prepared(self, settings: Settings, now: float) -> list[Action]:
        """The configuration of a reload has been read, its addresses bound.
        From the first worker of the next generation on its settings count."""
        if self.roll is not None and self.roll.phase == "prepare":
            self.roll.phase, self.roll.settings = "clear", settings
            self._notify(
                "extend", "reloading", settings.boot_timeout + LATE
            )
            for worker in list(self.workers.values()):
                if worker.generation < self.generation:
                    self._log("warning", "%s still drains; it is ended, as two "
                              "generations are the most" % worker.name)
                    self._quit(worker, now)
        return self._result(now)

    def not_prepared(self, why: str, now: float) -> list[Action]:
        if self.roll is not None:
            self._roll_failed("options", why, now)
        return self._result(now)

    def stop(self, now: float, spread: bool = True) -> list[Action]:
        """Drain all workers, then end. A second call is quit()."""
        if self.stopping:
            return self.quit(now)
        self._leave("stop", now)
        left = self.settings.stop_delay + self.settings.graceful_timeout
        self._log(
            "info",
            "stop: %s, with %g s to end" % (count(len(self.slots)), left),
        )
        for number, worker in enumerate(list(self.workers.values())):
            if worker.hung and worker.phase is Phase.SERVING:
                self._end(worker, FROM_ABRT, now)
            elif worker.phase is Phase.SERVING:
                self._drain(worker, now, {
                    "seconds": self.settings.graceful_timeout,
                    "part": number,
                    "parts": len(self.workers),
                    "spread": spread,
                    "delay": self.settings.stop_delay,
                    "successor": False,
                })
                assert worker.deadline is not None
                worker.deadline += self.settings.stop_delay
            elif worker.phase is Phase.BOOT:
                self._end(worker, FROM_TERM, now)
        return self._result(now)

    def quit(self, now: float) -> list[Action]:
        """End all workers at once; those that do not are killed."""
        if self.stopping != "quit":
            self._leave("quit", now)
            for worker in list(self.workers.values()):
                self._quit(worker, now)
        return self._result(now)

    def more(self, now: float) -> list[Action]:
        """One worker more."""
        why_not = self.why_not("workers +1")
        if why_not is None:
            self._resize(len(self.slots) + 1, now)
        elif not self.stopping:
            self._log("warning", why_not)
        return self._result(now)

    def fewer(self, now: float) -> list[Action]:
        """One worker less, but at least one."""
        why_not = self.why_not("workers -1")
        if why_not is None:
            self._resize(len(self.slots) - 1, now)
        elif not self.stopping:
            self._log("warning", why_not)
        return self._result(now)

    def tick(self, now: float) -> list[Action]:
        """Time has passed: call it at next_time(), after all other events."""
        if self._wake is not None and now - self._wake > STALL:
            self._forgive(now - self._wake)
        for worker in list(self.workers.values()):
            if worker.deadline is not None and worker.deadline <= now:
                self._overdue(worker, now)
            elif worker.probe_at is not None and worker.probe_at <= now:
                self._probe(worker, now)
        return self._result(now)

    def next_time(self) -> Optional[float]:
        """When tick() is due; None: not before another event."""
        times = [w.deadline for w in self.workers.values()]
        times += [w.probe_at for w in self.workers.values()]
        times.append(self._refuse_at)
        if not self.stopping:
            times += [slot.retry_at for slot in self.slots.values()]
            late = self._began + self.settings.boot_timeout
            if not self.up and late > self._now:
                times.append(late)
            if self._may_retire() and self._next_grant > self._now:
                times.append(self._next_grant)
        self._wake = min((t for t in times if t is not None), default=None)
        return self._wake

    def why_not(self, command: str) -> Optional[str]:
        """Return why a command would change nothing; None if it would."""
        if self.stopping and command not in ("stop", "reopen"):
            return "the server stops"
        if command == "workers -1" and len(self.slots) == 1:
            return "one worker is the least"
        if command == "workers +1" and len(self.slots) >= self.most:
            return "%s are the most here" % count(self.most)
        return None

    # --------------------------------------------------------------- upgrade

    def is_quiet(self) -> bool:
        """Return True if all workers serve or drain: then another process image
        can go on with state()."""
        calm = (Phase.SERVING, Phase.DRAINING)
        return (
            self.roll is None
            and not self.stopping
            and all(w.phase in calm for w in self.workers.values())
        )

    def state(self) -> dict[str, Any]:
        """Return what restore() needs, to be written as JSON."""
        return {
            "generation": self.generation,
            "slots": len(self.slots),
            "wanted": self.settings.workers,  # by the options
            "last_id": self._last_id,
            "workers": [
                {
                    "id": w.id,
                    "slot": w.slot,
                    "generation": w.generation,
                    "reason": w.reason,
                    "pid": w.pid,
                    "started": w.started,
                    "served": w.served,
                    "left": w.left,
                    "deadline": w.deadline,
                    "drains": w.phase is Phase.DRAINING,
                }
                for w in self.workers.values()
            ],
        }

    def restore(self, state: dict[str, Any], now: float) -> list[Action]:
        """Go on with the workers of another process image, instead of begin(),
        and replace them."""
        self._began = self._now = now
        self.generation = state["generation"]
        self.slots = {n: Slot(n) for n in range(1, state["slots"] + 1)}
        self._last_id = state["last_id"]
        # What the options want now is compared with what they wanted then.
        wanted = state.get("wanted", self.settings.workers)
        self.settings = replace(self.settings, workers=wanted)
        self.served = self.up = True
        for known in state["workers"]:
            drains = known.pop("drains")
            worker = Worker(**known)
            self.workers[worker.id] = worker
            worker.phase = Phase.DRAINING if drains else Phase.SERVING
            if not drains:
                self.slots[worker.slot].holder = worker
                self._watch(worker, now)
        self._told = self.serving()
        return self.reload(now, "upgrade")

    # ------------------------------------------------------ what serves now

    def serving(self) -> int:
        """How many slots have a worker that serves and does not hang."""
        holders = [slot.holder for slot in self.slots.values()]
        return sum(1 for w in holders if w is not None and not w.hung)

    def state_text(self) -> str:
        """state_text()  # "3 of 4 workers, generation 7" """
        serving, wanted = self.serving(), len(self.slots)
        some = "" if serving == wanted else "%d of " % serving
        return "%s%s, generation %d" % (some, count(wanted), self.generation)

    # ------------------------------------------------------- one worker's way

    def _start(self, slot: Slot, reason: str, now: float) -> Worker:
        slot.retry_at = None
        slot.coming = self._make(slot.number, self.generation, reason, now)
        return slot.coming

    def _make(
        self, slot: int, generation: int, reason: str, now: float
    ) -> Worker:
        self._last_id += 1
        worker = Worker(self._last_id, slot, generation, reason, now)
        settings, roll = self.settings, self.roll
        if generation > self.generation and roll is not None:
            settings = roll.settings or settings
        worker.boot_timeout = settings.boot_timeout
        worker.deadline = now + worker.boot_timeout
        self.workers[worker.id] = worker
        self._do(Start(worker.id, slot, generation, reason))
        return worker

    def _take_over(self, worker: Worker, now: float) -> None:
        """Make a worker that is ready the holder of its slot."""
        slot, roll = self.slots[worker.slot], self.roll
        if roll is not None and worker is roll.canary:
            self._canary_is_ready(roll, now)
            if slot.coming is not None:
                self._end(slot.coming, FROM_TERM, now)
        slot.coming = None
        slot.retry_at = None
        old, slot.holder = slot.holder, worker
        if roll is not None and slot.number in roll.active:
            roll.active.discard(slot.number)
            self._log(
                "info",
                "reload: %s is ready: %d of %d" % (
                    worker.name,
                    len(self.slots) - len(roll.active) - len(roll.todo),
                    len(self.slots),
                ),
            )
        elif worker.reason != "start":
            self._log("info", "%s is ready (%s)" % (worker.name, worker.reason))
        if old is not None:
            self._leave_to_others(old, now)

    def _leave_to_others(self, worker: Worker, now: float) -> None:
        """Drain a worker that has a successor, or kill it if it hangs."""
        if worker.hung and min(worker.signs.values()) < worker.left:
            self._end(worker, FROM_ABRT, now)
            return
        seconds, part, parts = self.settings.graceful_timeout, 0, 1
        if worker.id == self._retiring:
            seconds = self.settings.retire_timeout
        elif self.roll is not None and worker.generation < self.generation:
            part, parts = self.roll.part, self.roll.parts
            self.roll.part += 1
            self.roll.leaving.add(worker.id)
        self._drain(worker, now, {
            "seconds": seconds,
            "part": part,
            "parts": parts,
            "spread": True,
            "successor": True,
        })

    def _leaves(self, worker: Worker, phase: Phase, now: float) -> None:
        """A worker serves no more: it is not watched, nor replaced as worn."""
        worker.phase, worker.left = phase, now
        worker.probe_at = None
        self._worn.pop(worker.id, None)

    def _drain(
        self, worker: Worker, now: float, details: Details
    ) -> None:
        self._leaves(worker, Phase.DRAINING, now)
        worker.deadline = now + details["seconds"] + LATE
        self._do(Order(worker.id, "drain", dict(details)))

    def _resize(self, wanted: int, now: float) -> None:
        """Add slots, which _fill_slots() fills, or take the last ones away."""
        if wanted != len(self.slots):
            self._log("info", "%s from now on" % count(wanted))
        for number in range(len(self.slots) + 1, wanted + 1):
            self.slots[number] = Slot(number)
        while len(self.slots) > wanted:
            slot = self.slots.pop(len(self.slots))
            if self.roll is not None:
                if slot.number in self.roll.todo:
                    self.roll.todo.remove(slot.number)
                self.roll.active.discard(slot.number)
            if slot.coming is not None:
                self._end(slot.coming, FROM_TERM, now)
            if slot.holder is not None:
                self._leave_to_others(slot.holder, now)

    def _quit(self, worker: Worker, now: float) -> None:
        """End a worker at once; it may still send Close frames."""
        if worker.phase is Phase.BOOT:
            self._end(worker, FROM_TERM, now)
        elif worker.phase is not Phase.ENDING:
            self._leaves(worker, Phase.ENDING, now)
            worker.steps = list(AT_ONCE)
            worker.deadline = now + QUIT
            self._do(Order(worker.id, "quit", {}))

    def _end(
        self,
        worker: Worker,
        steps: list[tuple[str, Optional[float]]],
        now: float,
    ) -> None:
        """Send a worker one signal after the other until it has ended."""
        if worker.phase is Phase.ENDING:
            return
        self._leaves(worker, Phase.ENDING, now)
        worker.steps = list(steps)
        self._step(worker, now)

    def _step(self, worker: Worker, now: float) -> None:
        worker.deadline = None
        if worker.steps:
            signal, seconds = worker.steps.pop(0)
            worker.killed = worker.killed or signal != "TERM"
            if seconds is not None:
                worker.deadline = now + seconds
            self._do(Kill(worker.id, signal))

    def _overdue(self, worker: Worker, now: float) -> None:
        if worker.phase is Phase.BOOT:
            why = "was not ready after boot_timeout, %g s" % worker.boot_timeout
            self._end(worker, FROM_ABRT, now)  # it shows where it hangs
            self._lost(worker, why, now)
        elif worker.phase is Phase.DRAINING:
            self._log(
                "error",
                "%s still drains after %g s: killed"
                % (worker.name, now - worker.left),
            )
            self._end(worker, FROM_ABRT, now)
        else:
            self._step(worker, now)

    def _watch(self, worker: Worker, now: float) -> None:
        """Take a worker for alive now, and ask it for signs of life later."""
        worker.signs = {"loop": now, "interpreter": now}
        worker.probe_at = None
        if self.settings.worker_timeout:
            worker.probe_at = now + self.settings.worker_timeout / 3

    def _probe(self, worker: Worker, now: float) -> None:
        """Ask a worker for signs of life; find out if it hangs."""
        late = now - self.settings.worker_timeout
        silent = [what for what, at in worker.signs.items() if at <= late]
        worker.probe_at = now + self.settings.worker_timeout / 3
        if silent and not worker.hung:
            worker.hung, worker.left = True, now
            self._log(
                "error",
                "%s hangs: no sign of life of its %s for %g s; a successor "
                "starts" % (
                    worker.name,
                    " and ".join(silent),
                    self.settings.worker_timeout,
                ),
            )
            slot = self.slots[worker.slot]
            if slot.coming is None:
                slot.retry_at = now
        self._do(Order(worker.id, "probe", {}))

    def _forgive(self, gap: float) -> None:
        """This process has been stopped, perhaps with its workers: what they
        did not do meanwhile is not their fault."""
        for worker in self.workers.values():
            worker.signs = {what: t + gap for what, t in worker.signs.items()}
            if worker.deadline is not None:
                worker.deadline += gap

    # ---------------------------------------------------------- when it ends

    def _gone(self, worker: Worker, how: str, now: float) -> None:
        """A worker that was to end has ended."""
        roll = self.roll
        if roll is not None and worker.id in roll.leaving:
            roll.leaving.discard(worker.id)
            roll.killed += worker.killed
        if worker.killed and self.stopping == "stop":
            self.status = 1
        level = "warning" if worker.killed else "debug"
        self._log(
            level, "%s has ended %s, %.1f s after it was told to"
            % (worker.name, how, now - worker.left),
        )

    def _lost(self, worker: Worker, why: str, now: float) -> None:
        """A worker that was to serve has ended, or will be killed."""
        slot = self.slots.get(worker.slot)
        if self.stopping or slot is None:
            return
        text = "%s %s" % (worker.name if worker.pid else "worker %d" %
                          worker.slot, why)
        if worker.failure:
            text = "%s\n%s" % (text, worker.failure.rstrip("\n"))
        if self.roll is not None and worker is self.roll.canary:
            self.roll.canary = None
            what = "application" if worker.pid and worker.failure else "worker"
            self._roll_failed(what, text, now)
            return
        booted = worker.served > 0
        if not booted and not self.served and not self.settings.patient:
            self._log("critical", "the first start has failed: %s" % text)
            self._fail(now)
            return
        if booted and now - worker.served >= GOOD_LIFE:
            slot.fails = 0
        if slot.holder is worker:
            slot.holder = None
            if slot.coming is None:
                self._back_off(slot, text, now)
            else:
                self._log("error", text)
        elif slot.coming is worker:
            slot.coming = None
            self._successor_failed(slot, text, now)

    def _successor_failed(self, slot: Slot, text: str, now: float) -> None:
        old = slot.holder
        if old is not None and old.id == self._retiring:
            self._retiring = None
            self._next_grant = now + LONGEST_DELAY
            self._log("error", "%s serves on: its successor failed: %s"
                      % (old.name, text))
            return
        if old is not None and old.hung:
            slot.holder = None
            self._end(old, FROM_ABRT, now)
        self._back_off(slot, text, now)

    def _back_off(self, slot: Slot, text: str, now: float) -> None:
        delay = 0.0
        if slot.fails > 0:
            # 2 ** 9 is beyond the longest delay; the exponent stays small.
            delay = FIRST_DELAY * 2 ** min(slot.fails - 1, 9)
            delay *= 0.75 + 0.5 * self._rand()
            delay = min(delay, LONGEST_DELAY)
        slot.fails += 1
        slot.retry_at = now + delay
        when = "at once" if delay == 0 else "in %.1f s" % delay
        # The first line of the record is the one with the time.
        first, line_end, rest = text.partition("\n")
        self._log("error", "%s; worker %d starts again %s%s%s"
                  % (first, slot.number, when, line_end, rest))

    def _fail(self, now: float) -> None:
        """End, since no worker has ever been ready."""
        self._leave("failed", now)
        self.status = 3
        for worker in list(self.workers.values()):
            self._end(worker, FROM_TERM, now)

    def _leave(self, how: str, now: float) -> None:
        if how == "stop" and self.settings.stop_delay:
            self._refuse_at = now + self.settings.stop_delay
        elif self.stopping != "failed":
            self._refuse_at = None
            self._do(Refuse())
        self.stopping = how
        self.again = ""
        if self.roll is not None:
            self.roll = None
            self._do(Discard("stopped"))
        self._worn.clear()
        for slot in self.slots.values():
            slot.retry_at = None
        self._notify(
            "stopping",
            "stopping",
            self.settings.stop_delay
            + self.settings.graceful_timeout
            + LATE
            + 2 * STEP,
        )

    # --------------------------------------------------------------- reload

    def _begin_reload(self, cause: str, now: float) -> None:
        self.roll = Roll(cause, now)
        self._log(
            "info",
            "reload (%s): from generation %d to %d"
            % (cause, self.generation, self.generation + 1),
        )
        self._notify(
            "reloading", "reloading", self.settings.boot_timeout + LATE
        )
        self._do(Prepare())

    def _roll_on(self, now: float) -> None:
        """Take the next steps of a reload."""
        roll = self.roll
        if roll is None:
            if self.again and self.served and not self.stopping:
                cause, self.again = self.again, ""
                self._begin_reload(cause, now)
            return
        if roll.phase == "clear":
            if all(w.generation == self.generation
                   for w in self.workers.values()):
                roll.phase = "canary"
                roll.canary = self._make(1, self.generation + 1, "reload", now)
        elif roll.phase == "roll":
            while roll.todo and len(roll.active) < max(1, len(self.slots) // 4):
                self._roll_slot(roll, self.slots[roll.todo.pop(0)], now)
            if not roll.todo and not roll.active:
                roll.phase = "drain"
        if roll.phase == "drain" and not roll.leaving:
            self.roll = None
            self._do(Settle())
            self._log(
                "info",
                "reload: done in %.1f s: %s, %d killed"
                % (now - roll.began, self.state_text(), roll.killed),
            )
            self._notify("ready", self.state_text())
            self._roll_on(now)

    def _roll_slot(self, roll: Roll, slot: Slot, now: float) -> None:
        """Start a worker of the new generation, unless a crash already has."""
        holder, coming = slot.holder, slot.coming
        if holder is not None and holder.generation == self.generation:
            return
        roll.active.add(slot.number)
        if coming is not None and coming.generation == self.generation:
            return
        if coming is not None:
            self._end(coming, FROM_TERM, now)
        slot.fails = 0
        self._start(slot, "reload", now)

    def _canary_is_ready(self, roll: Roll, now: float) -> None:
        self.generation += 1
        self.failure = None
        roll.phase, roll.canary = "roll", None
        before, settings = self.settings, roll.settings or self.settings
        self._settle_on(settings, now)
        roll.parts = len(self.slots)
        if settings.workers != before.workers:  # else TTIN and TTOU decide
            self._resize(settings.workers, now)
        roll.todo = [n for n in self.slots if n != 1]
        roll.active = {1}
        retiring = self.workers.get(self._retiring or 0)
        if retiring is not None and retiring.phase is Phase.SERVING:
            self._retiring = None  # its successor comes with the reload
        self._do(Commit())
        self._log(
            "info",
            "reload: the first worker of generation %d is ready after %.1f s"
            % (self.generation, now - roll.began),
        )

    def _settle_on(self, settings: Settings, now: float) -> None:
        """Go by the settings of another configuration. Signs of life that were
        asked for by the old ones may be too old for the new."""
        self.settings = settings
        for worker in self.workers.values():
            if worker.phase is Phase.SERVING and not worker.hung:
                self._watch(worker, now)

    def _roll_failed(self, what: str, why: str, now: float) -> None:
        self.roll = None
        self.failure = Failure(what, brief(why), now)
        self._do(Discard(self.failure.why))
        self._log(
            "error",
            "reload: FAILED; generation %d serves on until a reload succeeds: %s"
            % (self.generation, why),
        )
        self._notify("ready", "reload failed: %s" % self.failure.why)

    # -------------------------------------------------------------- worn ones

    def _may_retire(self) -> bool:
        return bool(
            self._worn
            and self._retiring is None
            and self.roll is None
            and not self.stopping
            and self.failure is None
            and self.serving() == len(self.slots)
        )

    def _retire_one(self, now: float) -> None:
        if not self._may_retire() or now < self._next_grant:
            return
        id, why = next(iter(self._worn.items()))
        worker = self.workers[id]
        slot = self.slots[worker.slot]
        if slot.coming is not None:
            return
        self._retiring, self._next_grant = id, now + APART
        worker.worn = why
        self._log("info", "%s is replaced: max_%s" % (worker.name, why))
        self._start(slot, why, now)

    # ---------------------------------------------------------------- always

    def _do(self, action: Action) -> None:
        self._actions.append(action)

    def _log(self, level: str, text: str) -> None:
        self._do(Log(level, text))

    def _notify(self, what: str, text: str, seconds: float = 0.0) -> None:
        self._do(Notify(what, text, seconds))

    def _fill_slots(self, now: float) -> None:
        """Start what is missing; restarts only as often as they may."""
        while self._restarts and self._restarts[0] + WINDOW <= now:
            self._restarts.popleft()
        for slot in self.slots.values():
            if slot.coming is not None:
                continue
            if slot.retry_at is None:
                if slot.holder is None:
                    first = slot.number <= self.settings.workers
                    self._start(slot, "start" if first else "more", now)
            elif slot.retry_at <= now:
                if len(self._restarts) >= 2 * len(self.slots):
                    slot.retry_at = self._restarts[0] + WINDOW
                    continue
                self._restarts.append(now)
                hung = slot.holder is not None
                self._start(slot, "hung" if hung else "crash", now)

    def _announce(self, now: float) -> None:
        """Tell when the server is up, and each change of how much of it."""
        serving = self.serving()
        if not self.up:
            late = now >= self._began + self.settings.boot_timeout
            if serving == len(self.slots) or (serving and late):
                self.up = True
                self._notify("ready", self.state_text())
        elif self.roll is None and serving != self._told:
            self._notify("status", self.state_text())
            if serving == 0:
                self._log("critical", "no worker is ready")
        self._told = serving

    def _result(self, now: float) -> list[Action]:
        """Do what follows from the new state, and hand out the actions."""
        self._now = now
        if self.stopping:
            if self._refuse_at is not None and self._refuse_at <= now:
                self._refuse_at = None
                self._do(Refuse())
            if not self.workers:
                self._do(End(self.status))
        else:
            self._roll_on(now)
            self._fill_slots(now)
            self._retire_one(now)
            self._announce(now)
        actions, self._actions = self._actions, []
        return actions
