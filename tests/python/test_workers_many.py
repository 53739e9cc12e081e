"""Workers with many WebSockets, with many workers, and workers that are killed
again and again."""

import collections
import json
import os
import queue
import resource
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import Raw
from patience import PATIENCE
from supervised import APP, command, is_there, site, state_of

pytestmark = [pytest.mark.slow, pytest.mark.workers]

EVENTS = "import wsocket\napp = wsocket.WSocketApp()\n"
CROWD = os.path.join(os.path.dirname(__file__), "crowd.py")


class Crowd:
    """n WebSockets of another process."""

    def __init__(self, port, n):
        self.process = subprocess.Popen(
            [sys.executable, CROWD, str(port), str(n)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )

    def wait_open(self):
        assert self.process.stdout.readline() == "open\n"
        return self

    def result(self):
        """How they have ended; call it last."""
        with self.process as process:
            return json.loads(process.stdout.readline())

    def leave(self):
        self.process.stdin.write("\n")
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


@pytest.fixture
def crowd():
    """crowd(port, n): a Crowd, whose process ends with the test."""
    crowds = []

    def start(port, n):
        crowds.append(Crowd(port, n))
        return crowds[-1]

    yield start
    for one in crowds:
        one.process.kill()
        one.process.wait()


def descriptors():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def controlled(site, *args, **more):
    """Start it with a control socket. Return what asks for its status."""
    path = str(site.folder / "control")
    os.chmod(site.folder, 0o700)
    site.up("--control", path, "--ws-ping-interval", "0", *args, **more)

    def status():
        return json.loads(command("status", "--control", path).stdout)

    return status


def shares(status):
    """The connections of each worker by its number."""
    return {p["slot"]: p["connections"] for p in status()["processes"]}


# ------------------------------------------------------------------- crowds


@pytest.mark.skipif(descriptors() < 12000, reason="takes ulimit -n 12000")
def test_20000_websockets_of_a_reload_are_closed_one_after_the_other(site, crowd):
    site.write(EVENTS)
    status = controlled(site, "--ws-drain", "20", workers="2")
    halves = [crowd(site.program.port, 10000) for _ in range(2)]
    for half in halves:
        half.wait_open()
    assert sum(shares(status).values()) == 20000
    site.signal("SIGHUP")
    results = [half.result() for half in halves]
    codes = [result["codes"] for result in results]
    assert codes == [{"1012": 10000}] * 2
    times = sorted(t for result in results for t in result["times"])
    first, last = times[0], times[-1]
    tenths = collections.Counter(
        min(9, int(10 * (t - first) / (last - first))) for t in times
    )
    print("closed within %.1f s, of each tenth: %s" % (
        last - first, [tenths[i] for i in range(10)]
    ))
    assert min(tenths[i] for i in range(10)) >= 1000
    assert max(tenths.values()) <= 4000
    site.wait_said("reload: done")
    assert "0 killed" in site.said


def test_5000_websockets_of_one_address_are_spread_and_go_to_who_has_least(
    site, crowd
):
    site.write(EVENTS)
    status = controlled(site, workers="4")
    port = site.program.port
    crowd(port, 5000).wait_open()
    first = shares(status)
    print("of 5,000 WebSockets: %s" % first)
    assert sum(first.values()) == 5000
    assert 1250 * 0.8 <= min(first.values())
    assert max(first.values()) <= 1250 * 1.25
    # One is killed, and one is added: new ones go there.
    (victim,) = [p["pid"] for p in status()["processes"] if p["slot"] == 2]
    os.kill(victim, signal.SIGKILL)
    site.eventually(lambda: status()["serving"] == 4 and not is_there(victim))
    site.signal("SIGTTIN")
    site.eventually(lambda: status()["serving"] == 5)
    more = crowd(port, 2000).wait_open()
    second = shares(status)
    print("and 2,000 more, of which two workers had none: %s" % second)
    # Others get some while the two are busy with the one before.
    others = [second[slot] - first[slot] for slot in (1, 3, 4)]
    assert max(others) < min(second[2], second[5])
    more.leave()  # and all of two workers leave
    site.eventually(lambda: max(shares(status)[n] for n in (2, 5)) <= 10)
    crowd(port, 400).wait_open()
    third = shares(status)
    print("and 400 after these have left: %s" % third)
    others = [third[slot] - second[slot] for slot in (1, 3, 4)]
    assert max(others) < min(third[2], third[5])


# ------------------------------------------------------------- seven workers


def test_seven_workers_are_all_replaced_without_a_lost_request(site):
    site.up(workers="7")
    pids = site.wait_workers(7)
    lost, over = queue.Queue(), threading.Event()

    def ask():
        while not over.is_set():
            try:
                site.get()
            except Exception as exc:
                lost.put(exc)

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    site.write(APP.replace("VERSION = 1", "VERSION = 2"))
    site.signal("SIGHUP")
    site.wait_said("reload: done")
    over.set()
    for client in clients:
        client.join(PATIENCE)
    assert lost.empty(), lost.get()
    assert not set(pids) & set(site.wait_workers(7))
    found = [site.get()[1:] for _ in range(100)]
    assert {version for version, _ in found} == {2}
    assert {slot for _, slot in found} == set(range(1, 8))
    site.signal("SIGTERM")
    assert site.program.wait() == 0


# --------------------------------------------------------- killed, or stopped


class Client(threading.Thread):
    """Asks over a new connection each time, and counts how that ends."""

    def __init__(self, port, over):
        super().__init__()
        self.port, self.over = port, over
        self.ends = collections.Counter()

    def run(self):
        while not self.over.is_set():
            self.ends[self.ask()] += 1

    def ask(self):
        try:
            client = Raw(self.port)
        except OSError:
            return "refused"
        with client:
            try:
                client.send(b"GET / HTTP/1.0\r\n\r\n")
                return client.response()[0]
            except TimeoutError:
                return "timeout"
            except (OSError, IndexError):
                return "lost"  # the worker that had accepted it was killed


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_workers_that_are_killed_or_stopped_in_turn_strand_nobody(site, number):
    site.up("--worker-timeout", "3", workers="4")
    site.wait_workers(4)
    over = threading.Event()
    clients = [Client(site.program.port, over) for _ in range(4)]
    for client in clients:
        client.start()
    times = 12 if number == signal.SIGKILL else 4
    for i in range(times):
        victim = site.workers()[i % 2]
        os.kill(victim, number)
        site.eventually(lambda: not is_there(victim))
        site.wait_workers(4)
        time.sleep(0.5)  # seconds of ordinary life
    over.set()
    for client in clients:
        client.join(2 * PATIENCE)
    ends = sum((client.ends for client in clients), collections.Counter())
    print("%d times %s: %s" % (times, number.name, dict(ends)))
    assert ends["refused"] == ends["timeout"] == 0
    assert ends["lost"] <= times * len(clients)
    assert set(ends) <= {200, "refused", "timeout", "lost"}
    site.eventually(lambda: len({site.get()[2] for _ in range(40)}) == 4)
    site.signal("SIGTERM")
    assert site.program.wait() == 0


def test_a_worker_that_goes_on_before_its_time_is_not_replaced(site):
    """With its WebSocket."""
    site.write(EVENTS + "def echo(message, client):\n    client.send(message)\n"
               "app.onmessage += echo\n")
    site.up("--worker-timeout", "20", workers="1")
    (pid,) = site.wait_workers(1)
    with Raw(site.program.port) as client:
        client.send(
            b"GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: "
            b"websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
            b"dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert client.head()[0] == 101
        os.kill(pid, signal.SIGSTOP)
        site.eventually(lambda: state_of(pid) == "T")
        client.send(b"\x81\x82mask" + bytes(a ^ b for a, b in zip(b"hi", b"ma")))
        time.sleep(4)
        os.kill(pid, signal.SIGCONT)
        assert client.file.read(4) == b"\x81\x02hi"
    assert site.workers() == [pid] and "hangs" not in site.said


# ------------------------------------------------------ close codes of clients

# Each prints "open", then the code and the reason with which it was closed.
WEBSOCKETS = """
from websockets.sync.client import connect
from websockets.exceptions import ConnectionClosed
with connect(url) as ws:
    print("open", flush=True)
    try:
        ws.recv()
    except ConnectionClosed as exc:
        print(exc.rcvd.code, exc.rcvd.reason)
"""
WEBSOCKET_CLIENT = """
import websocket
app = websocket.WebSocketApp(
    url, on_open=lambda ws: print("open", flush=True),
    on_close=lambda ws, code, reason: print(code, reason),
)
app.run_forever()
"""
AIOHTTP = """
import asyncio, aiohttp
async def main():
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url) as ws:
            print("open", flush=True)
            message = await ws.receive()
            print(ws.close_code, message.extra)
asyncio.run(main())
"""
NODE = """
const ws = new WebSocket(url);
ws.onopen = () => console.log("open");
ws.onclose = (event) => console.log(event.code, event.reason);
"""


def has_node():
    try:
        return subprocess.run(
            ["node", "--experimental-websocket", "-e",
             "process.exit(typeof WebSocket == 'function' ? 0 : 1)"],
            stderr=subprocess.DEVNULL, timeout=PATIENCE,
        ).returncode == 0
    except OSError:
        return False


LIBRARIES = {
    "websockets": WEBSOCKETS,
    "websocket": WEBSOCKET_CLIENT,
    "aiohttp": AIOHTTP,
    "node": NODE,
}


@pytest.mark.parametrize("how", ["reload", "stop"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_clients_see_why_they_are_closed(site, library, how):
    url = 'url = "ws://127.0.0.1:%d/"\n'
    start = [sys.executable, "-c"]
    if library == "node":
        if not has_node():
            pytest.skip("takes node with a WebSocket")
        start = ["node", "--experimental-websocket", "-e"]
    else:
        pytest.importorskip(library)
    site.write(EVENTS)
    site.up(workers="1")
    text = url % site.program.port + LIBRARIES[library]
    with subprocess.Popen(
        [*start, text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as client:
        try:
            assert client.stdout.readline() == "open\n", client.stderr.read()
            site.signal("SIGHUP" if how == "reload" else "SIGTERM")
            said = client.communicate(timeout=2 * PATIENCE)[0]
        finally:
            client.kill()
    assert said == {"reload": "1012 restart\n", "stop": "1001 stop\n"}[how]
