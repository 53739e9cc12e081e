"""Topics over Redis: several processes, and a Redis that is there or is not."""

import subprocess
import sys
import tempfile
import time

import pytest
from authority import Authority
from broker_servers import ask, process, redis
from patience import until
from redis_server import Redis, free_port

pytestmark = pytest.mark.programs

def publish_until_true(ws, topic, text):
    until(lambda: ask(ws, "! %s %s" % (topic, text)) == "True")


def hear(ws, text):
    """Wait for a message."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if ws.receive(timeout=5) == text:
            return
    raise AssertionError("%r has not come" % text)


def test_two_processes_reach_each_other_by_redis(redis, process):
    servers = process(redis.url).ready(), process(redis.url).ready()
    ears = [server.client("room") for server in servers]
    mouths = [server.client() for server in servers]
    until(lambda: redis.listeners("room") == 2)
    for number, mouth in enumerate(mouths):
        assert ask(mouth, "! room from %d" % number) == "True"
    for ear in ears:
        assert {ear.receive(timeout=30), ear.receive(timeout=30)} == {
            "from 0", "from 1"}


def test_several_topics_one_copy_and_the_excluded_gets_none(redis, process):
    servers = process(redis.url).ready(), process(redis.url).ready()
    a, b = [server.client("x", "y") for server in servers]
    mouth = servers[0].client()
    until(lambda: redis.listeners("y") == 2)
    assert ask(mouth, "! x,y once") == "True"
    assert a.receive(timeout=30) == "once"
    a.send("~ x not to a")
    assert a.receive(timeout=30) == "= True"
    assert ask(mouth, "! x end") == "True"
    assert a.receive(timeout=30) == "end"
    assert [b.receive(timeout=30) for _ in range(3)] == [
        "once", "not to a", "end"]


def test_redis_cli_can_publish(redis, process):
    ws = process(redis.url).ready().client("orders")
    until(lambda: redis.listeners("orders") == 1)
    redis.ask("PUBLISH", "wsocket:t:orders", "hello")
    assert ws.receive(timeout=30) == "hello"
    redis.ask("PUBLISH", "wsocket:t:orders", b"\xff\x00")
    assert ws.receive(timeout=30) == b"\xff\x00"


def test_disconnect_reaches_the_sockets_of_all_processes(redis, process):
    first, second = process(redis.url).ready(), process(redis.url).ready()
    a, b = first.client("user:1"), second.client("user:1")
    until(lambda: redis.listeners("user:1") == 2)
    assert ask(first.client(), "x user:1") == ""
    for ws in a, b:
        assert ws.receive(timeout=30) is None
        assert ws.close_code == 4001


def test_without_redis_the_server_starts_and_publishing_says_false(
    redis, process
):
    redis.kill()
    server = process(redis.url).ready()
    ear, mouth = server.client("room"), server.client()
    ask(ear, "?")  # it has subscribed
    until(lambda: ask(mouth, "! room alone") == "False")
    assert ear.receive(timeout=30) == "alone"
    redis.start()
    publish_until_true(mouth, "room", "together")
    hear(ear, "together")
    until(lambda: "up again" in server.log)
    assert "is down" in server.log


def test_with_broker_down_fail_nobody_gets_what_is_published(redis, process):
    redis.kill()
    server = process(redis.url, "--broker-down", "fail").ready()
    ear, mouth = server.client("room"), server.client()
    assert ask(mouth, "! room alone") == "False"
    redis.start()
    publish_until_true(mouth, "room", "together")
    assert ear.receive(timeout=30) == "together"


@pytest.mark.parametrize(
    "setting, url, says",
    [
        (("requirepass", "secret"), "redis://127.0.0.1:%d", "NOAUTH"),
        (("requirepass", "secret"), "redis://:guess@127.0.0.1:%d", "WRONGPASS"),
        (None, "redis://joe:pw@127.0.0.1:%d", "&wsocket:* +@pubsub"),
    ],
)
def test_a_redis_that_refuses_us_ends_the_start_with_what_is_needed(
    redis, process, setting, url, says
):
    if setting:
        redis.ask("CONFIG", "SET", *setting)
    else:
        redis.ask("ACL", "SETUSER", "joe", "on", ">pw", "+@all", "resetchannels")
    server = process(url % redis.port)
    assert server.process.wait(60) != 0
    until(lambda: says in server.log)


def test_the_acl_line_that_the_error_names_is_enough(redis, process):
    redis.ask("ACL", "SETUSER", "joe", "on", ">pw", "&wsocket:*", "+@pubsub",
              "+role", "+multi", "+exec")
    server = process("redis://joe:pw@127.0.0.1:%d" % redis.port).ready()
    ear, mouth = server.client("a", "b"), server.client()
    until(lambda: redis.listeners("b") == 1)
    publish_until_true(mouth, "a,b", "hello")
    publish_until_true(mouth, "a", "again")
    assert [ear.receive(timeout=20) for _ in range(2)] == ["hello", "again"]


def test_programs_without_a_server_publish_and_listen(redis, process):
    ear = process(redis.url).ready().client("room")
    until(lambda: redis.listeners("room") == 1)
    program = (
        "import sys, wsocket\n"
        "with wsocket.Publisher(sys.argv[1]) as out:\n"
        "    assert out.publish('room', 'from a program')\n"
        "out = wsocket.Publisher(sys.argv[1])\n"
        "assert wsocket.publish('room', 'at its end')\n"
    )
    subprocess.run([sys.executable, "-c", program, redis.url], check=True)
    shell = [sys.executable, "-m", "wsocket", "publish", "--broker"]
    subprocess.run(shell + [redis.url, "room", "from a shell"], check=True)
    assert [ear.receive(timeout=30) for _ in range(3)] == [
        "from a program", "at its end", "from a shell"]
    redis.kill()
    done = subprocess.run(
        shell + [redis.url, "room", "to nobody"], stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"cannot be reached" in done.stderr


TASK = """
import sys, wsocket

for line in sys.stdin:
    print(wsocket.publish("room", line.rstrip()), flush=True)
wsocket.disconnect("room", 4001)
try:
    wsocket.listen("room")
except ConnectionError as exc:
    print(exc, flush=True)
"""


def test_who_has_only_the_bus_of_a_server_publishes_by_its_broker(
    redis, process, monkeypatch
):
    shell = [sys.executable, "-m", "wsocket", "publish", "room"]
    with tempfile.TemporaryDirectory() as folder:  # a short path
        elsewhere = process(redis.url, "--bus", "off").ready().client("room")
        monkeypatch.setenv("WSOCKET_BUS", folder)
        with subprocess.Popen(
            [sys.executable, "-c", TASK], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        ) as task:
            def says(text):
                print(text, file=task.stdin, flush=True)
                return task.stdout.readline().strip()

            assert says("before there is a server") == "True"
            here = process(redis.url).ready(), process(redis.url).ready()
            ears = [elsewhere, *(server.client("room") for server in here)]
            until(lambda: redis.listeners("room") == 3)
            until(lambda: says("from a task") == "True")
            for ear in ears:
                hear(ear, "from a task")
            subprocess.run([*shell, "from a shell"], check=True)
            for ear in ears:
                assert ear.receive(timeout=30) == "from a shell"
            redis.kill()
            until(lambda: says("nobody hears this") == "False")
            done = subprocess.run([*shell, "x"], stderr=subprocess.PIPE)
            assert done.returncode == 1 and b"cannot be reached" in done.stderr
            redis.start()
            until(lambda: redis.listeners("room") == 3)
            until(lambda: says("again") == "True")
            for ear in ears:
                hear(ear, "again")
            task.stdin.close()
            assert "WSOCKET_BROKER" in task.stdout.readline()
            for ear in ears:
                while ear.receive(timeout=30) is not None:
                    pass
                assert ear.close_code == 4001


AGAIN = """
import sys, wsocket

def refused(url):
    try:
        wsocket.Publisher(url)
    except ConnectionError as exc:
        return str(exc)

assert "WRONGPASS" in refused("redis://:guess@127.0.0.1:" + sys.argv[1])
with wsocket.Publisher("redis://:secret@127.0.0.1:" + sys.argv[1]) as out:
    assert out.publish("room", "hello") is True
    assert "another one" in refused("redis://127.0.0.1:1")
    assert out.publish("room", "hello") is True
with wsocket.Publisher("redis://127.0.0.1:1") as out:
    assert out.publish("room", "hello") is False
"""


def test_a_program_has_one_broker_and_after_a_refusal_may_try_again(redis):
    redis.ask("CONFIG", "SET", "requirepass", "secret")
    subprocess.run([sys.executable, "-c", AGAIN, str(redis.port)], check=True)


def test_by_a_unix_socket(tmp_path, process):
    path = str(tmp_path / "redis.sock")
    redis = Redis(tmp_path, "--unixsocket", path)
    try:
        server = process("unix:" + path).ready()
        ear, mouth = server.client("room"), server.client()
        until(lambda: redis.listeners("room") == 1)
        assert ask(mouth, "! room hello") == "True"
        assert ear.receive(timeout=30) == "hello"
    finally:
        redis.kill()


def test_by_tls_with_certificates_on_both_sides(tmp_path, process):
    ca, other = Authority(tmp_path), Authority(tmp_path, "others")
    site, us = ca.issue("127.0.0.1"), ca.issue("us.example")
    port = free_port()
    redis = Redis(
        tmp_path, "--tls-port", str(port), "--tls-cert-file", site.certfile,
        "--tls-key-file", site.keyfile, "--tls-ca-cert-file", ca.certfile,
    )
    url = "rediss://127.0.0.1:%d?ca=%s&cert=%s&key=%s"
    try:
        server = process(
            url % (port, ca.certfile, us.certfile, us.keyfile)
        ).ready()
        ear, mouth = server.client("room"), server.client()
        until(lambda: redis.listeners("room") == 1)
        for text in "hello", "x" * 100000:
            assert ask(mouth, "! room " + text) == "True"
            assert ear.receive(timeout=30) == text
        stranger = process(
            url % (port, other.certfile, us.certfile, us.keyfile)
        ).ready()
        until(lambda: "certificate" in stranger.log)
        bad = process("rediss://127.0.0.1:%d?ca=/nowhere" % port)
        assert bad.process.wait(60) != 0
        until(lambda: "/nowhere" in bad.log)
    finally:
        redis.kill()
