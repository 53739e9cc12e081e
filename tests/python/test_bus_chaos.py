"""Workers publish numbers to subscribers of all workers, while workers are
killed and replaced. WSK_CHAOS=30 does so for 30 seconds."""

import collections
import contextlib
import os
import random
import signal
import threading
import time

import pytest
from patience import PATIENCE
from served import ENVIRON, Served, workers, workers_of_gunicorn
from supervised import is_there

import wsocket

SECONDS = float(os.environ.get("WSK_CHAOS", "7"))
WORKERS, EARS = 4, 8
KILL_EVERY, RELOAD_EVERY = 1.0, 5.0

# Each worker publishes from two threads, from its import on.
APP = """
import os, threading, time
import wsocket

def speak(name):
    began, number = time.monotonic(), 0
    while True:
        number += 1
        wsocket.publish("numbers", "%s %.6f %d" % (name, began, number))
        time.sleep(0.01)

for i in range(2):
    name = "%d-%d" % (os.getpid(), i)
    threading.Thread(target=speak, args=(name,), daemon=True).start()

def app(environ, start_response):
    ws = environ["wsgi.websocket"]
    ws.subscribe("numbers")
    ws.send("subscribed")
    for message in ws:
        pass
    return []
"""


class Ear(threading.Thread):
    """A subscriber that connects again whenever its socket is closed, and looks
    at the number that follows each number of a publisher."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url = url
        self.ends = False
        self.closes = collections.Counter()  # sockets by their close code
        self.n = 0  # messages
        self.fresh = {}  # of each publisher, how many since the last look
        self.wrong = []

    def run(self):
        while not self.ends:
            try:
                ws = wsocket.connect(self.url, timeout=PATIENCE)
            except OSError:  # its worker was killed
                self.closes["refused"] += 1
                continue
            with contextlib.suppress(wsocket.WebSocketError):
                self.listen(ws)
            self.closes[ws.close_code] += 1

    def listen(self, ws):
        last, since = {}, float("inf")  # of this socket
        for message in ws:
            if message == "subscribed":
                since = time.monotonic()
                continue
            name, began, number = message.split()
            number = int(number)
            # A socket of another worker may hear again what was on its way.
            expected = number
            if name in last:
                expected = last[name] + 1
            elif float(began) > since:
                expected = 1
            if number != expected:
                self.wrong.append((name, last.get(name), number, began, since))
            last[name] = number
            self.fresh[name] = self.fresh.get(name, 0) + 1
            self.n += 1


def pids(names):
    return {int(name.partition("-")[0]) for name in names}


def heard(ears):
    """The publishers that each ear hears for some moments from now on."""
    deadline = time.monotonic() + PATIENCE
    for ear in ears:
        ear.fresh = {}
    while not all(max(ear.fresh.copy().values(), default=0) > 20 for ear in ears):
        assert time.monotonic() < deadline, [ear.fresh for ear in ears]
        time.sleep(0.02)
    return [set(ear.fresh.copy()) for ear in ears]


def children(process):
    path = "/proc/%d/task/%d/children" % (process.pid, process.pid)
    with open(path, encoding="ascii") as file:
        return {int(pid) for pid in file.read().split() if is_there(int(pid))}


def disturb(site, ears, dice):
    """Kill a worker that publishes every second, while another is left, and
    have all replaced every five. Return how often either was done."""
    began = time.monotonic()
    kills, reloads = 0, 0
    while time.monotonic() < began + SECONDS:
        for ear in ears:
            ear.fresh = {}
        time.sleep(KILL_EVERY)
        if time.monotonic() > began + (reloads + 1) * RELOAD_EVERY:
            site.process.send_signal(signal.SIGHUP)
            reloads += 1
        names = set().union(*[ear.fresh.copy() for ear in ears])
        speaking = sorted(pids(names) & children(site.process))
        if len(speaking) > 1:
            os.kill(dice.choice(speaking), signal.SIGKILL)
            kills += 1
    return kills, reloads


def are_well(ears):
    """Every ear hears the same publishers, those of as many workers as there
    are."""
    found = heard(ears)
    return all(names == found[0] for names in found) and (
        len(pids(found[0])) == WORKERS and len(found[0]) == 2 * WORKERS
    )


def command_of(server):
    if server == "wsocket":
        return workers(WORKERS, "--graceful-timeout", "10")
    pytest.importorskip("gunicorn")
    return workers_of_gunicorn(WORKERS, "--graceful-timeout", "10")


@pytest.mark.workers
@pytest.mark.heavy
@pytest.mark.parametrize("server", ["wsocket", "gunicorn"])
def test_while_workers_are_killed_and_reloaded_open_sockets_miss_nothing(
    tmp_path, server
):
    environ = {**ENVIRON, "WSOCKET_WS_DRAIN": "1"}
    seed = random.randrange(1 << 32)
    with Served(tmp_path, command_of(server), APP, environ) as site:
        ears = [Ear(site.url + "/") for _ in range(EARS)]
        for ear in ears:
            ear.start()
        heard(ears)
        kills, reloads = disturb(site, ears, random.Random(seed))
        deadline = time.monotonic() + PATIENCE
        while not are_well(ears):
            assert time.monotonic() < deadline, (seed, site.log)
        for ear in ears:
            ear.ends = True
    for ear in ears:
        ear.join(PATIENCE)
    closes = sum((ear.closes for ear in ears), collections.Counter())
    print(
        "%s: %d workers killed, %d reloads; %d messages in %d sockets, closed: %s"
        % (server, kills, reloads, sum(ear.n for ear in ears),
           sum(closes.values()), dict(closes))
    )
    assert [ear.wrong for ear in ears] == [[]] * EARS, (seed, site.log)
    assert kills > 0 and reloads > 0
    assert set(closes) <= {1001, 1006, 1012, "refused"}, closes
