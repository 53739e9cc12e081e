"""Topics over a Redis that fails in all ways: no process stays deaf, nothing comes
twice, and each outage is told once."""

import contextlib
import os
import shutil
import signal
import statistics
import tempfile
import time

import pytest
from broker_servers import OPTIONS, Flow, process, redis
from namespaces import Net
from patience import until
from redis_server import Cutter, Redis, Sentinel

pytestmark = [pytest.mark.heavy, pytest.mark.programs]


def test_redis_is_killed_under_load_and_each_outage_is_told_once(
    redis, process
):
    """WSK_KILLS=200 does so as often, and tells how fast messages are back."""
    flow = Flow(*[process(redis.url, *OPTIONS).ready() for _ in range(2)])
    back = []
    for number in range(1, int(os.environ.get("WSK_KILLS", "3")) + 1):
        redis.kill()
        time.sleep(number % 3)  # the longer, the seldomer they try
        redis.start()
        accepts = time.monotonic()
        flow.is_well()
        assert flow.gaps() == [number, number]
        back += [report["first"] - accepts for report in flow.reports()]
    assert flow.reports()[0]["gaps"][0] == ["n"]
    print("delivering again, s after Redis accepts: median %.3f, worst %.3f"
          % (statistics.median(back), max(back)))


def test_connections_that_redis_ends_are_made_again(redis, process):
    flow = Flow(*[process(redis.url, *OPTIONS).ready() for _ in range(2)])
    for number, kind in enumerate(("pubsub", "normal", "pubsub"), 1):
        redis.ask("CLIENT", "KILL", "TYPE", kind)
        until(lambda: min(flow.gaps()) >= number)
        flow.is_well()
        until(lambda: redis.listeners("n") == 2)
        # An outage of moments may be told once more, by the other process.
        assert max(flow.gaps()) <= 2 * number


def test_a_redis_that_stands_still_for_long_is_told_and_for_short_is_not(
    redis, process
):
    flow = Flow(*[process(redis.url, *OPTIONS).ready() for _ in range(2)])
    redis.signal(signal.SIGSTOP)
    time.sleep(0.2)
    redis.signal(signal.SIGCONT)
    flow.is_well()
    assert flow.gaps() == [0, 0]
    redis.signal(signal.SIGSTOP)
    time.sleep(3)
    redis.signal(signal.SIGCONT)
    until(lambda: min(flow.gaps()) >= 1)
    flow.is_well()


def test_a_password_that_changes_is_said_and_what_was_open_stays(
    redis, process
):
    server = process("redis://:a@127.0.0.1:%d" % redis.port)
    assert server.process.wait(60) != 0  # no password is set yet
    redis.ask("CONFIG", "SET", "requirepass", "a")
    server = process("redis://:a@127.0.0.1:%d" % redis.port, *OPTIONS).ready()
    flow = Flow(server)
    redis.ask("CONFIG", "SET", "requirepass", "b", auth=("a",))
    flow.is_well()
    redis.ask("CLIENT", "KILL", "TYPE", "pubsub", auth=("b",))
    until(lambda: "WRONGPASS" in server.log or "is down" in server.log)
    redis.ask("CONFIG", "SET", "requirepass", "a", auth=("b",))
    until(lambda: "up again" in server.log)
    flow.is_well()


@contextlib.contextmanager
def disturbed(redis, process):
    """A cutter between Redis and the first of two processes. At the end that one
    is told of a gap, and all is well."""
    cutter = Cutter(redis.port)
    flow = Flow(process(cutter.url, *OPTIONS).ready(),
                process(redis.url, *OPTIONS).ready())
    yield cutter
    until(lambda: flow.gaps()[0] >= 1)
    flow.is_well()
    cutter.close()


@pytest.mark.parametrize("after", [1, 40, 333, 2000])
def test_a_connection_that_is_cut_behind_any_octet_is_made_again(
    redis, process, after
):
    with disturbed(redis, process) as cutter:
        cutter.after = after
        cutter.cut()
        time.sleep(0.7)
        cutter.after = None
        cutter.cut()


@pytest.mark.parametrize("ways", [{"up"}, {"down"}, {"up", "down"}])
def test_octets_that_vanish_one_way_or_both_are_found_by_probes(
    redis, process, ways
):
    with disturbed(redis, process) as cutter:
        cutter.holes = ways
        time.sleep(1.5)
        cutter.holes = set()


def ports_of(pid):
    """The local ports of a process' TCP connections."""
    folder = "/proc/%d/fd" % pid
    links = {os.readlink(os.path.join(folder, fd)) for fd in os.listdir(folder)}
    with open("/proc/%d/net/tcp" % pid, encoding="ascii") as file:
        rows = [line.split() for line in list(file)[1:]]
    return {int(row[1].split(":")[1], 16) for row in rows
            if "socket:[%s]" % row[9] in links}


def test_a_process_that_redis_drops_because_it_is_slow_is_told(redis, process):
    slow = process(redis.url, *OPTIONS).ready()
    flow = Flow(slow, process(redis.url, *OPTIONS).ready())
    redis.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 4mb 0 0")
    slow.process.send_signal(signal.SIGSTOP)
    ends = [" addr=127.0.0.1:%d " % port for port in ports_of(slow.process.pid)]

    def is_dropped():
        redis.ask("PUBLISH", "wsocket:t:n", b"x" * 100000)
        clients = redis.ask("CLIENT", "LIST", "TYPE", "pubsub")
        return not any(end in clients for end in ends)

    until(is_dropped)
    slow.process.send_signal(signal.SIGCONT)
    until(lambda: flow.gaps()[0] >= 1)
    flow.is_well()
    assert flow.gaps()[0] == 1
    assert redis.listeners("n") == 2


def test_a_redis_that_loads_its_data_takes_us_as_soon_as_it_can(
    tmp_path, process
):
    redis = Redis(tmp_path)
    try:
        servers = [process(redis.url, *OPTIONS).ready() for _ in range(2)]
        flow = Flow(*servers)
        for number in range(300):
            redis.ask("SET", "key %d" % number, b"x" * 2000)
        assert "OK" in redis.ask("SAVE")
        redis.kill()
        # 10 ms for each key, and a look at its clients behind every kilobyte.
        redis.options = ("--key-load-delay", "10000",
                         "--loading-process-events-interval-bytes", "1024",
                         "--rdbcompression", "no")
        redis.launch()
        until(lambda: "-LOADING" in redis.says("GET", "key 1"))
        flow.is_well()
        until(redis.answers)
        flow.is_well()
        # A probe may be late as well where it loads slowly.
        outages = sum(server.log.count("up again") for server in servers)
        assert 1 <= min(flow.gaps()) <= max(flow.gaps()) <= outages
    finally:
        redis.kill()


@pytest.fixture
def net():
    made = Net("a", "b", "c")
    yield made
    made.close()


def test_hosts_that_are_cut_off_come_back_and_each_outage_is_told_once(
    net, tmp_path, process
):
    path = os.path.join(tempfile.mkdtemp(), "redis")
    redis = Redis(tmp_path, host=net.HUB, within=net.within("hub"), path=path)
    try:
        servers = [
            process(redis.url, *OPTIONS, within=net.within(host)).ready()
            for host in "abc"
        ]
        flow = Flow(*servers)
        net.cut("a")
        until(lambda: "is down" in servers[0].log)
        flow.flows(1, 2)  # the others do not care
        net.join("a")
        until(lambda: flow.gaps()[0] >= 1)
        flow.is_well()
        # What the first had published as it was cut off is told to the others.
        before = flow.gaps()
        assert before[0] == 1 and max(before) == 1
        for host in "abc":
            net.cut(host)
        until(lambda: [one.log.count("is down") for one in servers] == [2, 1, 1])
        for host in "abc":
            net.join(host)
        until(lambda: all(now > old for now, old in zip(flow.gaps(), before)))
        flow.is_well()
        assert flow.gaps() == [old + 1 for old in before]
        assert redis.listeners("n") == 3
    finally:
        redis.kill()
        shutil.rmtree(os.path.dirname(path))


def test_sentinel_leads_to_the_new_master_after_a_failover(tmp_path, process):
    folders = []
    for name in ("m", "r", "s1", "s2", "s3"):
        folders.append(tmp_path / name)
        folders[-1].mkdir()
    master, made = Redis(folders[0]), []
    try:
        replica = Redis(folders[1], "--replicaof", "127.0.0.1 %d" % master.port)
        made.append(replica)
        for folder in folders[2:]:
            made.append(Sentinel(folder, "shop", master.port, 2))
        sentinels = made[1:]
        until(lambda: "slave0" in master.ask("INFO", "replication")
              and "state=online" in master.ask("INFO", "replication"))
        until(lambda: all(
            "num-other-sentinels\r\n$1\r\n2" in one.ask(
                "SENTINEL", "MASTER", "shop") for one in sentinels))
        url = "redis+sentinel://%s/shop" % ",".join(
            "127.0.0.1:%d" % one.port for one in sentinels)
        flow = Flow(*[process(url, *OPTIONS).ready() for _ in range(2)])
        master.kill()
        until(lambda: "role:master" in replica.ask("INFO", "replication"), 60)
        until(lambda: min(flow.gaps()) >= 1, 60)
        flow.is_well()
        assert replica.listeners("n") == 2
    finally:
        for one in made + [master]:
            one.kill()
