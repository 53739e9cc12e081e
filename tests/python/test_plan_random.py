"""wsocket.plan under random events: what holds whatever happens."""

import os

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from plan_world import World

from wsocket import plan

pytestmark = pytest.mark.heavy

PICK = st.integers(0, 1000)  # which of several workers


class Supervised(RuleBasedStateMachine):
    world = None

    @initialize(workers=st.integers(1, 6), rand=st.floats(0, 1))
    def begin(self, workers, rand):
        self.world = World(
            lambda: rand,
            workers=workers,
            boot_timeout=5,
            worker_timeout=9,
            graceful_timeout=10,
            retire_timeout=30,
            stop_delay=1,
        )
        self.crashed = set()  # slots that wait for another worker
        self.was_up = False

    # ---------------------------------------------------------------- events

    def pick(self, ids, pick):
        return ids[pick % len(ids)] if ids else None

    def booting(self):
        return [id for id, p in self.world.living.items()
                if not p.is_serving and not p.signals]

    @rule(pick=PICK)
    def boots(self, pick):
        id = self.pick(self.booting(), pick)
        if id is not None:
            self.boot(id)

    def boot(self, id):
        process = self.world.living[id]
        self.world.boot(id)
        if process.is_silent:  # it holds the slot, and will be found to hang
            self.crashed.add(process.slot)
        else:
            self.crashed.discard(process.slot)

    @rule()
    def all_boot(self):
        for id in self.booting():
            if id in self.world.living:
                self.boot(id)

    @rule(pick=PICK)
    def fails_to_boot(self, pick):
        id = self.pick(self.booting(), pick)
        if id is not None:
            self.world.fail(id)

    @rule(pick=PICK)
    def dies(self, pick):
        id = self.pick(list(self.world.living), pick)
        if id is not None:
            if self.world.living[id].is_serving:
                self.crashed.add(self.world.living[id].slot)
            self.world.crash(id)

    @rule(pick=PICK, deaf=st.booleans())
    def hangs(self, pick, deaf):
        process = self.world.living.get(self.pick(list(self.world.living), pick))
        if process is not None:
            process.is_silent, process.is_deaf = True, deaf
            self.crashed.add(process.slot)

    @rule(pick=PICK)
    def drained(self, pick):
        ids = [id for id, p in self.world.living.items() if p.drains]
        id = self.pick(ids, pick)
        if id is not None:
            self.world.end(id)

    @rule(pick=PICK, why=st.sampled_from(["requests", "memory", "age"]))
    def is_worn(self, pick, why):
        id = self.pick(self.world.ids(is_serving=True), pick)
        if id is not None and not self.is_over():
            self.world.ask("worn", id, why)

    @rule(seconds=st.sampled_from([0.01, 0.1, 1, 3, 7, 20]))
    def time_passes(self, seconds):
        self.world.advance(seconds)

    @precondition(lambda self: self.world and self.world.status is None)
    @rule(bad=st.booleans())
    def hup(self, bad):
        self.world.bad_config = bad
        self.world.reload()

    @precondition(lambda self: self.world and self.world.status is None)
    @rule(name=st.sampled_from(["more", "fewer"]))
    def ttin_or_ttou(self, name):
        if name == "fewer" or len(self.world.plan.slots) < 9:
            before = set(self.world.plan.slots)
            self.world.ask(name)
            self.crashed |= set(self.world.plan.slots) - before

    @precondition(lambda self: self.world and self.world.status is None)
    @rule(name=st.sampled_from(["stop", "quit"]), dice=st.integers(0, 9))
    def term(self, name, dice):
        if dice == 0:  # seldom: nothing happens after it
            self.world.ask(name)

    # ------------------------------------------------------------ invariants

    def is_over(self):
        return self.world.status is not None

    @invariant()
    def capacity_is_n_less_the_crashed(self):
        if self.world is None or self.world.plan.stopping:
            return
        now = self.world.plan
        self.was_up = self.was_up or now.serving() == len(now.slots)
        self.crashed &= set(now.slots)
        if self.was_up:
            serving = {
                p.slot for p in self.world.living.values()
                if p.is_serving and not p.signals
                and not any(o.what in ("drain", "quit") for o in p.orders)
            }
            assert serving >= set(now.slots) - self.crashed

    @invariant()
    def there_are_never_two_canaries(self):
        if self.world is not None:
            now = self.world.plan
            canaries = [p for p in self.world.living.values()
                        if p.generation > now.generation]
            assert len(canaries) <= 1

    @invariant()
    def there_are_two_generations_at_most(self):
        if self.world is not None:
            assert len({p.generation for p in self.world.living.values()}) <= 2

    @invariant()
    def every_worker_serves_or_has_a_deadline_or_was_killed(self):
        if self.world is None:
            return
        for id, worker in self.world.plan.workers.items():
            assert id in self.world.living
            if worker.phase is plan.Phase.SERVING:
                slot = self.world.plan.slots[worker.slot]
                assert slot.holder is worker
            elif worker.deadline is None:
                assert self.world.living[id].signals[-1] == "KILL"

    @invariant()
    def only_a_worker_that_serves_is_worn(self):
        if self.world is not None:
            now = self.world.plan
            assert all(now.workers[id].phase is plan.Phase.SERVING
                       for id in now._worn)

    @invariant()
    def no_slot_is_forgotten(self):
        if self.world is None or self.world.plan.stopping:
            return
        for slot in self.world.plan.slots.values():
            assert slot.holder or slot.coming or slot.retry_at is not None

    @invariant()
    def crashed_workers_are_restarted_2n_times_in_ten_seconds_at_most(self):
        if self.world is None:
            return
        times = [at for at, start in self.world.started
                 if start.reason in ("crash", "hung")]
        most = 2 * 9  # of the most workers that there may be here
        for first, last in zip(times, times[most:]):
            assert last - first > plan.WINDOW - 0.001

    @invariant()
    def a_failed_reload_keeps_the_generation(self):
        if self.world is not None and self.world.plan.failure:
            committed = sum(
                isinstance(action, plan.Commit) for action in self.world.actions
            )
            assert self.world.plan.generation == 1 + committed

    def teardown(self):
        """Whatever happened, a stop ends it, in bounded time."""
        if self.world is None or self.is_over():
            return
        if not self.world.plan.stopping:
            self.world.ask("stop")
        self.world.advance(60)
        assert self.world.status in (0, 1, 3)


# Each is up to 50 events long. More of them find what is rare:
# PLAN_EXAMPLES=100000 pytest tests/python/test_plan_random.py
Supervised.TestCase.settings = settings(
    max_examples=int(os.environ.get("PLAN_EXAMPLES", "60")),
    stateful_step_count=50,
    deadline=None,
)
TestRandomEvents = Supervised.TestCase
