"""wsocket.plan: what the supervisor decides, case by case."""

import json

import pytest
from plan_world import World

from wsocket import plan


def up(**settings):
    settings.setdefault("workers", 4)
    world = World(**settings)
    return world.boot_all()


# ------------------------------------------------------------------- start


def test_all_workers_start_at_once_and_readiness_is_told_once_all_are_ready():
    world = World(workers=3)
    assert [start.slot for _, start in world.started] == [1, 2, 3]
    world.boot(1)
    world.boot(2)
    assert world.noted("ready") == []
    world.boot(3)
    assert world.noted("ready") == ["3 workers, generation 1"]


def test_a_start_is_announced_with_what_is_ready_after_boot_timeout():
    world = World(workers=2, boot_timeout=5)
    world.boot(1)
    world.living[2].is_deaf = True
    world.advance(5)
    assert world.noted("ready") == ["1 of 2 workers, generation 1"]


def test_the_first_start_that_fails_ends_with_status_3_and_one_traceback():
    world = World(workers=3)
    world.fail(2, "Traceback\nImportError: no module")
    assert world.status == 3
    said = [text for level, text in world.logs if level == "critical"]
    assert len(said) == 1 and "ImportError" in said[0]


def test_a_first_start_that_hangs_ends_with_status_3_after_boot_timeout():
    world = World(workers=1, boot_timeout=5)
    world.living[1].is_deaf = True
    world.advance(20)
    assert world.status == 3
    assert world.said("boot_timeout")


def test_a_process_that_cannot_be_made_at_the_first_start_ends_it():
    world = World(workers=2, no_forks=True)
    assert world.status == 3 and world.said("no room")


def test_a_patient_first_start_goes_on_trying():
    world = World(workers=1, patient=True)
    world.fail(1)
    assert world.status is None
    world.advance(1)
    assert len(world.started) == 2


def test_a_worker_that_fails_once_another_is_ready_is_started_again():
    world = World(workers=2)
    world.boot(1)
    world.fail(2)
    assert world.status is None
    world.advance(0)
    assert [start.slot for _, start in world.started] == [1, 2, 2]


# ------------------------------------------------------------------- crash


def test_a_crashed_worker_is_replaced_at_once_and_then_ever_later():
    world = up(workers=1)
    delays = []
    for _ in range(12):
        at, n = world.now, len(world.started)
        world.crash(world.ids()[0])
        while len(world.started) == n:
            world.advance(0.05)
        delays.append(world.started[-1][0] - at)
        world.boot_all()
    assert delays[0] == 0
    assert delays[1] == pytest.approx(0.1)
    assert delays[2] >= 0.2 and max(delays) <= plan.LONGEST_DELAY + 0.01
    assert delays[-1] == pytest.approx(plan.LONGEST_DELAY)


@pytest.mark.parametrize("rand", [0.0, 0.25, 1.0])
def test_a_delay_varies_by_a_quarter_and_never_passes_the_longest(rand):
    world = World(lambda: rand, workers=1).boot_all()
    for n in range(14):
        world.crash(world.ids()[0])
        slot = world.plan.slots[1]
        if slot.retry_at is not None:
            delay = slot.retry_at - world.now
            exact = 0.1 * 2 ** min(n - 1, 9)
            assert delay <= plan.LONGEST_DELAY
            assert delay == pytest.approx(
                min(exact * (0.75 + rand / 2), plan.LONGEST_DELAY)
            )
        world.advance(40)
        world.boot_all()
        world.plan.slots[1].holder.served = world.now  # it has just begun


def test_the_end_of_a_worker_and_its_restart_are_one_line_of_the_log():
    world = up(workers=2)
    world.crash(1)
    assert world.logs[-1] == (
        "error",
        "worker 1 (PID 1001) ended by SIGSEGV; worker 1 starts again at once",
    )


def test_when_a_worker_starts_again_is_said_before_its_traceback():
    world = up(workers=2)
    world.crash(1)
    world.advance(0)
    world.fail(3, "Traceback\nImportError: no module\n")
    first, _, rest = world.logs[-1][1].partition("\n")
    assert first == (
        "worker 1 (PID 1003) ended with status 3; "
        "worker 1 starts again in 0.1 s"
    )
    assert rest == "Traceback\nImportError: no module"


def test_crashes_are_forgotten_after_a_minute_of_life():
    world = up(workers=1)
    world.crash(1)
    world.boot_all()
    world.crash(2)
    world.advance(1)
    world.boot_all()
    world.advance(61)
    n = len(world.started)
    world.crash(world.ids()[0])
    world.advance(0)
    assert len(world.started) == n + 1


def test_no_more_than_2n_crashed_workers_are_restarted_in_ten_seconds():
    world = up(workers=4)
    for _ in range(300):
        for id in world.ids(is_serving=True):
            world.crash(id)
        world.advance(0.05)
        world.boot_all()
    times = [at for at, start in world.started if start.reason == "crash"]
    for i in range(len(times) - 8):
        assert times[i + 8] - times[i] > plan.WINDOW - 0.001


def test_an_exit_with_status_0_that_was_not_asked_for_is_a_crash():
    world = up(workers=2)
    world.end(1)
    world.advance(0)
    assert [start.slot for _, start in world.started] == [1, 2, 1]


def test_later_on_no_crash_ends_the_supervisor_and_degraded_is_said():
    world = up(workers=1)
    for _ in range(30):
        world.crash(world.ids()[0]) if world.ids() else None
        world.advance(10)
    assert world.status is None
    assert "0 of 1 worker, generation 1" in world.noted("status")
    assert world.said("no worker is ready")


# -------------------------------------------------------------------- hung


def test_a_hung_worker_gets_a_successor_first_and_is_killed_then():
    world = up(workers=2, worker_timeout=9)
    world.living[1].is_silent = world.living[1].is_deaf = True
    world.advance(14)
    assert world.living[1].signals == []
    (successor,) = world.ids(slot=1, is_serving=False)
    world.boot(successor)
    assert world.living[1].signals == ["ABRT"]
    world.advance(3)
    assert 1 not in world.living
    assert world.said("hangs")


def test_only_one_of_loop_and_interpreter_silent_is_a_hang_too():
    world = up(workers=1, worker_timeout=9)
    for _ in range(14):
        world.living[1].is_silent = True
        world.advance(1)
        world.ask("alive", 1, "loop")
    assert world.said("no sign of life of its interpreter")


def test_a_hung_worker_that_lives_again_is_drained_by_its_successor():
    world = up(workers=1, worker_timeout=9)
    world.living[1].is_silent = True
    world.advance(14)
    world.living[1].is_silent = False
    world.advance(4)
    world.boot(world.ids(is_serving=False)[0])
    assert world.living[1].drains and not world.living[1].signals


def test_a_supervisor_that_was_stopped_kills_nobody_for_it():
    world = up(workers=2, worker_timeout=9)
    world.plan.next_time()
    world.now += 3600
    world.do(world.plan.tick(world.now))
    world.advance(5)
    assert not world.said("hangs") and len(world.started) == 2


def test_without_worker_timeout_nobody_is_asked():
    world = up(workers=1, worker_timeout=0)
    world.advance(1000)
    assert world.living[1].orders == []


# ------------------------------------------------------------------ reload


def test_a_reload_begins_with_one_worker_and_goes_on_only_once_it_is_ready():
    world = up()
    world.reload()
    (canary,) = world.ids(generation=2)
    assert not any(process.drains for process in world.living.values())
    world.boot(canary)
    assert [p.slot for p in world.living.values() if p.drains] == [1]
    world.boot_all()
    assert sorted(p.slot for p in world.living.values() if p.drains) == [
        1, 2, 3, 4,
    ]
    assert world.noted("ready")[1:] == []
    world.finish()
    assert len(world.ids(generation=2, is_serving=True)) == 4
    assert world.noted("ready")[1:] == ["4 workers, generation 2"]
    assert world.said("reload: done")


def test_each_leaving_worker_knows_its_part_of_the_window():
    world = up()
    world.reload()
    world.boot_all()
    orders = [p.orders[-1].details for p in world.living.values() if p.drains]
    assert sorted(order["part"] for order in orders) == [0, 1, 2, 3]
    assert {order["parts"] for order in orders} == {4}
    assert all(order["successor"] for order in orders)


@pytest.mark.parametrize("workers, at_once", [(1, 1), (4, 1), (8, 2), (9, 2)])
def test_a_quarter_of_the_workers_is_replaced_at_once(workers, at_once):
    world = up(workers=workers)
    world.reload()
    world.boot(world.ids(generation=2)[0])
    assert len(world.ids(generation=2, is_serving=False)) == min(
        at_once, workers - 1
    )


def test_a_failed_reload_changes_nothing():
    world = up()
    world.reload()
    world.fail(world.ids(generation=2)[0], "Traceback\nSyntaxError: bad")
    assert len(world.ids(generation=1, is_serving=True)) == 4
    assert not any(process.drains for process in world.living.values())
    assert world.plan.generation == 1
    assert world.plan.failure[:2] == ("application", "SyntaxError: bad")
    assert world.noted("ready")[-1] == "reload failed: SyntaxError: bad"
    assert plan.Discard("SyntaxError: bad") in world.actions
    assert len(world.started) == 5


def test_a_reload_that_never_gets_ready_is_no_fault_of_a_traceback():
    world = up(boot_timeout=5.0)
    world.reload()
    world.advance(20)
    assert world.plan.failure.what == "worker"
    assert "was not ready after boot_timeout" in world.plan.failure.why


def test_a_reload_whose_configuration_is_bad_starts_nobody():
    world = up()
    world.bad_config = True
    world.reload()
    assert len(world.started) == 4 and world.said("no such file")
    assert world.plan.failure[:2] == ("options", "no such file")
    world.bad_config = False
    world.reload()
    world.boot_all()
    world.finish()
    assert world.plan.generation == 2


def test_a_reload_that_hangs_fails_after_boot_timeout():
    world = up(boot_timeout=5)
    world.reload()
    (canary,) = world.ids(generation=2)
    world.living[canary].is_deaf = True
    world.advance(20)
    assert world.ids(generation=2) == []
    assert len(world.ids(generation=1, is_serving=True)) == 4
    assert world.said("FAILED")


@pytest.mark.parametrize("before, after", [(5, 60), (60, 5)])
def test_the_boot_timeout_of_a_reload_is_the_one_that_it_brings(before, after):
    world = up(boot_timeout=before)
    world.following = {"boot_timeout": after}
    world.reload()
    (canary,) = world.ids(generation=2)
    world.living[canary].is_deaf = True
    world.advance(after - 0.1)
    assert world.living[canary].signals == []
    world.advance(0.2)
    assert world.living[canary].signals == ["ABRT"]
    assert world.said("boot_timeout, %d s" % after)
    # The reload has failed, so the settings are those of before.
    world.advance(20)
    world.crash(1)
    world.advance(0)
    (id,) = world.ids(is_serving=False)
    world.living[id].is_deaf = True
    world.advance(before - 0.1)
    assert world.living[id].signals == []
    world.advance(0.2)
    assert world.living[id].signals == ["ABRT"]
    assert world.said("boot_timeout, %d s" % before)


@pytest.mark.parametrize("before, after", [(5, 60), (60, 5)])
def test_those_that_follow_the_first_of_a_reload_have_its_boot_timeout(
    before, after
):
    world = up(boot_timeout=before)
    world.following = {"boot_timeout": after}
    world.reload()
    world.boot(world.ids(generation=2)[0])
    (second,) = world.ids(generation=2, is_serving=False)
    world.living[second].is_deaf = True
    world.advance(after - 0.1)
    assert world.living[second].signals == []
    world.advance(0.2)
    assert world.living[second].signals == ["ABRT"]


def test_a_worker_that_boots_has_the_boot_timeout_of_its_start():
    world = up(boot_timeout=60)
    world.following = {"boot_timeout": 5}
    world.reload()
    canary = world.ids(generation=2)[0]
    world.crash(2)
    world.advance(0)  # a successor with the old settings boots
    (id,) = [n for n in world.ids(generation=1, is_serving=False)]
    world.living[id].is_deaf = True
    world.advance(4)
    world.boot(canary)
    assert not world.said("boot_timeout")


@pytest.mark.parametrize("before, after", [(30, 0), (30, 3), (0, 30), (3, 30)])
def test_a_reload_that_changes_worker_timeout_takes_no_worker_for_hung(
    before, after
):
    world = up(worker_timeout=before)
    world.advance(8)
    world.following = {"worker_timeout": after}
    world.reload()
    world.boot(world.ids(generation=2)[0])
    world.advance(50)  # the others wait for their successors
    assert not world.said("hangs")
    world.boot_all()
    world.finish()
    world.advance(100)
    assert not world.said("hangs")
    for process in world.living.values():
        process.is_silent = True
    world.advance(100)
    assert world.said("hangs") == bool(after)


def test_hup_while_the_first_worker_boots_begins_anew():
    world = up()
    world.reload()
    (first,) = world.ids(generation=2)
    world.living[first].is_deaf = True
    world.reload()
    assert world.ids(generation=2) == [first]  # never two of them
    world.advance(10)
    (second,) = world.ids(generation=2)
    assert second != first
    world.boot_all()
    world.finish()
    assert world.plan.generation == 2 and world.plan.failure is None


def test_hup_while_workers_are_replaced_is_remembered():
    world = up()
    world.reload()
    world.boot(world.ids(generation=2)[0])
    world.reload()
    world.reload()
    world.boot_all()
    world.finish()
    assert world.ids(generation=3)
    world.boot_all()
    world.finish()
    assert {p.generation for p in world.living.values()} == {3}
    assert world.plan.roll is None


def test_hup_during_the_first_start_is_remembered():
    world = World(workers=2)
    world.reload()
    world.boot_all()
    world.finish()
    assert {p.generation for p in world.living.values()} == {2}


def test_a_worker_that_fails_after_the_first_is_tried_again_and_the_old_serves():
    world = up(workers=2)
    world.reload()
    world.boot(world.ids(generation=2)[0])
    world.fail(world.ids(generation=2, slot=2)[0])
    assert not world.living[2].drains
    world.advance(0)
    world.boot_all()
    assert world.living[2].drains
    world.finish()
    assert world.said("reload: done")


def test_hup_ends_the_waiting_of_a_reload_whose_later_workers_fail():
    world = up(workers=2)
    world.reload()
    world.boot(world.ids(generation=2)[0])
    for _ in range(8):
        for id in world.ids(generation=2, slot=2):
            world.fail(id)
        world.advance(0.1)
    n = len(world.started)
    world.advance(10)
    for id in world.ids(generation=2, slot=2):
        world.fail(id)
    world.reload()
    world.advance(0)
    assert len(world.started) > n


def test_an_old_worker_that_crashes_before_its_turn_is_replaced_by_a_new_one():
    world = up()
    world.reload()
    world.boot(world.ids(generation=2)[0])
    world.crash(4)
    world.advance(0)
    assert world.ids(slot=4, generation=2)
    world.boot_all()
    world.finish()
    assert [p.slot for p in world.living.values()].count(4) == 1
    assert len(world.living) == 4


def test_a_draining_worker_that_does_not_end_is_killed_after_its_time():
    world = up(workers=1, graceful_timeout=10)
    world.living[1].is_deaf = True
    world.reload()
    world.boot_all()
    world.advance(14)
    assert 1 in world.living
    world.advance(4)
    assert 1 not in world.living
    assert world.said("1 killed")


def test_a_third_generation_cuts_the_oldest_short():
    world = up(workers=1, retire_timeout=300)
    world.ask("worn", 1, "requests")
    world.boot_all()  # 1 retires, for 300 s
    world.reload()
    world.boot_all()
    for id in world.ids(generation=1):
        if id != 1:
            world.end(id)
    world.reload()
    assert 1 not in world.living
    world.boot_all()
    assert {p.generation for p in world.living.values()} <= {2, 3}


# ---------------------------------------------------------- stop, more, fewer


def test_term_drains_all_and_ends_with_status_0():
    world = up(workers=2)
    world.ask("stop")
    assert all(process.drains for process in world.living.values())
    order = world.living[1].orders[-1].details
    assert not order["successor"]
    world.finish()
    assert world.status == 0
    assert world.noted("stopping")


def test_a_second_term_ends_at_once():
    world = up(workers=2)
    world.living[1].is_deaf = True
    world.ask("stop")
    world.ask("stop")
    assert 2 not in world.living
    world.advance(1)
    assert world.status == 0


def test_term_while_workers_boot_and_a_reload_is_under_way():
    world = up(workers=2)
    world.reload()
    world.ask("stop")
    assert world.ids(is_serving=False) == []
    world.finish()
    assert world.status == 0


def test_term_waits_for_stop_delay_besides_graceful_timeout():
    world = up(workers=1, stop_delay=5, graceful_timeout=10)
    world.living[1].is_deaf = True
    world.ask("stop")
    world.advance(19)
    assert world.living
    world.advance(10)
    assert world.status == 1  # it had to be killed


def test_clients_are_refused_before_workers_drain_and_after_stop_delay():
    world = up(workers=1)
    world.ask("stop")
    kinds = [type(action) for action in world.actions]
    assert kinds.index(plan.Refuse) < kinds.index(plan.Order)
    world = up(workers=1, stop_delay=5)
    world.ask("stop")
    assert world.living[1].orders[-1].details["delay"] == 5
    world.advance(4)
    assert not any(isinstance(a, plan.Refuse) for a in world.actions)
    world.advance(2)
    assert any(isinstance(a, plan.Refuse) for a in world.actions)


def test_ttin_and_ttou_change_the_number_of_workers():
    world = up(workers=1)
    world.ask("more")
    world.boot_all()
    assert [p.slot for p in world.living.values()] == [1, 2]
    world.ask("fewer")
    assert world.living[2].drains
    world.ask("fewer")
    assert world.said("one worker is the least")
    world.finish()
    assert world.ids() == [1]


def test_a_worker_that_is_taken_away_during_a_reload_is_not_replaced():
    world = up(workers=3)
    world.reload()
    world.boot(world.ids(generation=2)[0])
    world.ask("fewer")
    world.boot_all()
    world.finish()
    assert sorted(p.slot for p in world.living.values()) == [1, 2]
    assert world.said("reload: done")


@pytest.mark.parametrize("before, after", [(4, 2), (2, 4), (1, 3), (3, 1)])
def test_a_reload_changes_the_number_of_workers(before, after):
    world = up(workers=before)
    world.following = {"workers": after}
    world.reload()
    assert len(world.plan.slots) == before  # the canary may fail
    world.boot(world.ids(generation=2)[0])
    assert len(world.plan.slots) == after
    while not world.said("reload: done"):
        assert world.plan.serving() >= min(before, after)
        world.boot_all()
        world.finish()
    assert sorted(p.slot for p in world.living.values()) == [*range(1, after + 1)]
    orders = [o for a in world.actions if isinstance(a, plan.Order)
              for o in [a.details] if a.what == "drain"]
    assert sorted(o["part"] for o in orders) == [*range(before)]
    assert all(o["part"] < o["parts"] for o in orders)


def test_a_reload_that_fails_leaves_the_number_of_workers():
    world = up(workers=2)
    world.following = {"workers": 5}
    world.reload()
    world.fail(world.ids(generation=2)[0])
    assert len(world.plan.slots) == 2


def test_a_reload_keeps_what_ttin_has_added():
    world = up(workers=2)
    world.ask("more")
    world.boot_all()
    world.reload()
    world.boot_all()
    world.finish()
    assert len(world.plan.slots) == 3
    world.following = {"workers": 4}
    world.reload()
    world.boot_all()
    world.finish()
    assert len(world.plan.slots) == 4


def test_no_more_workers_are_added_than_there_is_room_for():
    world = up(workers=2)
    world.plan.most = 3
    world.ask("more")
    assert world.plan.why_not("workers +1") == "3 workers are the most here"
    world.ask("more")
    assert len(world.plan.slots) == 3
    assert world.said("3 workers are the most here")


# ------------------------------------------------------------------ upgrade


def test_an_upgrade_changes_the_number_of_workers_if_the_options_do():
    before = up(workers=2)
    before.ask("more")
    before.boot_all()
    state = json.loads(json.dumps(before.plan.state()))
    for wanted, found in (2, 3), (5, 5):
        world = World(workers=wanted)
        world.plan = plan.Plan(world.settings)
        world.now, world.living = before.now, dict(before.living)
        world.do(world.plan.restore(json.loads(json.dumps(state)), world.now))
        world.boot_all()
        world.finish()
        assert len(world.living) == len(world.plan.slots) == found


def test_another_process_image_goes_on_with_the_workers_and_replaces_them():
    before = up(workers=3)
    before.ask("fewer")  # one drains
    assert before.plan.is_quiet()
    state = json.loads(json.dumps(before.plan.state()))
    world = World(workers=3)  # its own workers are forgotten
    world.plan = plan.Plan(world.settings)
    world.now, world.living = before.now, before.living
    world.do(world.plan.restore(state, world.now))
    assert world.plan.state_text() == "2 workers, generation 1"
    world.boot_all()
    world.finish()
    assert {p.generation for p in world.living.values()} == {2}
    assert len(world.living) == 2 and world.said("reload (upgrade)")


def test_there_is_no_upgrade_while_workers_boot_or_are_replaced():
    world = World(workers=1)
    assert not world.plan.is_quiet()
    world.boot_all()
    assert world.plan.is_quiet()
    world.reload()
    assert not world.plan.is_quiet()


# --------------------------------------------------------------- recycling


def test_worn_workers_are_replaced_one_at_a_time():
    world = up()
    for id in 1, 2, 3, 4:
        world.ask("worn", id, "requests")
    assert len(world.ids(is_serving=False)) == 1
    world.boot_all()
    assert [id for id, p in world.living.items() if p.drains] == [1]
    world.advance(100)
    assert len(world.started) == 5  # the first has not ended
    world.finish()
    world.boot_all()
    assert [id for id, p in world.living.items() if p.drains] == [2]
    assert world.living[2].orders[-1].details["seconds"] == 300


def test_two_worn_workers_are_replaced_ten_seconds_apart_at_least():
    world = up()
    world.ask("worn", 1, "memory")
    world.ask("worn", 2, "memory")
    world.boot_all()
    world.finish()
    world.advance(9)
    assert len(world.started) == 5
    world.advance(2)
    assert len(world.started) == 6


def test_no_worn_worker_is_replaced_during_a_reload_or_by_bad_code():
    world = up()
    world.reload()
    world.ask("worn", 2, "age")
    assert len(world.started) == 5
    world.fail(world.ids(generation=2)[0])
    world.advance(1000)
    assert len(world.started) == 5
    world.reload()
    world.boot_all()
    world.finish()
    assert world.plan.generation == 2 and world.plan.failure is None


def test_a_worn_worker_serves_on_if_its_successor_fails():
    world = up(workers=1)
    world.ask("worn", 1, "requests")
    world.fail(2)
    assert not world.living[1].drains
    world.advance(29)
    assert len(world.started) == 2
    world.advance(2)
    world.boot_all()
    assert world.living[1].drains


def test_a_worn_worker_that_crashes_leaves_its_turn_to_the_next():
    world = up(workers=2)
    world.ask("worn", 1, "requests")
    world.crash(1)
    world.boot_all()
    world.ask("worn", 2, "requests")
    world.advance(11)
    world.boot_all()
    assert world.living[2].drains


def test_a_worn_worker_that_hangs_is_replaced_once():
    world = up(workers=1, worker_timeout=9)
    world.living[1].is_silent = world.living[1].is_deaf = True
    world.advance(14)
    world.ask("worn", 1, "requests")
    (successor,) = world.ids(is_serving=False)
    world.boot(successor)
    assert world.living[1].signals == ["ABRT"]
    world.advance(1)
    assert world.ids(is_serving=False) == [] and len(world.started) == 2


def test_the_slot_of_a_worn_worker_that_hangs_can_be_taken_away():
    world = up(workers=2, worker_timeout=9)
    world.living[2].is_silent = world.living[2].is_deaf = True
    world.advance(14)
    world.ask("worn", 2, "requests")
    world.ask("fewer")
    world.boot_all()
    assert world.living[2].signals == ["ABRT"]
    world.advance(3)
    assert list(world.living) == [1]
