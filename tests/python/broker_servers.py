"""Servers of their own processes over one Redis, that publish numbers to each
other and count what comes, for tests of the broker."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

import pytest
from patience import until
from redis_server import Redis

from wsocket import connect

APP = """\
import json, os, threading, time, wsocket

gaps, told = [], threading.Lock()
last, holes, wrong = {}, {}, []
moment = first = 0  # of the last gap, and of the first message behind it

def heard(topics):
    global moment
    with told:
        gaps.append(topics)
        moment = time.monotonic()
        holes.clear()

wsocket.ongap += heard

def stream(topic):
    number, before = 1, 0.0
    while True:
        now = time.monotonic()
        if wsocket.publish(
            topic, "#%d %d %f" % (os.getpid(), number, before)
        ):
            number, before = number + 1, now
        time.sleep(0.003)

def take(message):
    global first
    sender, number, published = message[1:].split()
    number = int(number)
    with told:
        if first <= moment:
            first = time.monotonic()
        before = last.get(sender)
        if before is not None and number <= before:
            wrong.append((sender, before, number))
        if before is not None and number > before + 1:
            # A reader that was told asks for all that was published before.
            if float(published) > moment:
                holes[sender] = number
        last[sender] = number

def watch(topic):
    global moment
    heard = wsocket.listen(topic)
    while True:
        try:
            message = next(heard)
            if message.startswith("#"):
                take(message)
        except OverflowError:  # a hole of its own, which it is told
            with told:
                moment = time.monotonic()
                holes.clear()

def obey(ws, message):
    word, _, rest = message.partition(" ")
    if word == "+":
        ws.subscribe(rest)
        return
    topic, _, text = rest.partition(" ")
    answer = ""
    if word == "!":
        answer = wsocket.publish(topic.split(","), text)
    elif word == "~":
        answer = wsocket.publish(topic, text, exclude=ws)
    elif word == "x":
        wsocket.disconnect(rest, 4001, "gone")
    elif word in ("stream", "watch"):
        target = stream if word == "stream" else watch
        threading.Thread(target=target, args=(rest,), daemon=True).start()
    elif word == "report":
        with told:
            answer = json.dumps(dict(
                pid=os.getpid(), last=last, first=first, holes=list(holes), wrong=wrong,
                gaps=[sorted(topics) for topics in gaps]))
    ws.send("= %s" % answer)

def app(environ, start_response):
    ws = environ["wsgi.websocket"]
    for message in ws:
        obey(ws, message)
    return []
"""


class Process:
    """A server of its own process, at a Unix socket. `within` begins its
    command: words that run the rest elsewhere."""

    def __init__(self, folder, url, *options, within=()):
        path = os.path.join(str(folder), "broker_app.py")
        with open(path, "w", encoding="ascii") as file:
            file.write(APP)
        self.path = os.path.join(tempfile.mkdtemp(), "ws")
        self.process = subprocess.Popen(
            [*within, sys.executable, "-m", "wsocket", "--bind",
             "unix:" + self.path, "--access-logfile", "none",
             "--graceful-timeout", "1", "--broker", url, *options,
             "broker_app:app"],
            cwd=str(folder), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        )
        self.lines = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.decode())

    @property
    def log(self):
        return "".join(self.lines)

    def ready(self):
        def answers():
            assert self.process.poll() is None, self.log
            try:
                return self.client()
            except OSError:
                return None

        until(answers)
        return self

    def client(self, *topics):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(self.path)
        ws = connect("ws://127.0.0.1/", sock=sock)
        for topic in topics:
            ws.send("+ " + topic)
        return ws

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(os.path.dirname(self.path), ignore_errors=True)


@pytest.fixture
def redis(tmp_path):
    server = Redis(tmp_path)
    yield server
    server.kill()


@pytest.fixture
def process(tmp_path):
    made = []

    def make(url, *options, within=()):
        made.append(Process(tmp_path, url, *options, within=within))
        return made[-1]

    yield make
    for one in made:
        one.end()


def ask(ws, text):
    """What the process answers to a socket without topics."""
    ws.send(text)
    message = ws.receive(timeout=20)
    assert message is not None and message.startswith("= "), message
    return message[2:]


class Flow:
    """Processes that publish numbers to one topic for ever, and count what each
    gets of each."""

    def __init__(self, *servers):
        self.mouths = [server.client() for server in servers]
        for word in "watch n", "stream n":
            for mouth in self.mouths:
                ask(mouth, word)
        self.flows()

    def reports(self, *some):
        mouths = [self.mouths[i] for i in some] or self.mouths
        return [json.loads(ask(mouth, "report")) for mouth in mouths]

    def flows(self, *some):
        """Wait until each process, or each of some, gets something new of
        each."""
        start = self.reports(*some)
        pids = [str(report["pid"]) for report in start]

        def flows():
            return all(
                now["last"].get(pid, 0) > max(
                    [old["last"].get(pid, 0) for old in start]) + 3
                for now in self.reports(*some) for pid in pids
            )

        until(flows)

    def gaps(self):
        return [len(report["gaps"]) for report in self.reports()]

    def is_well(self):
        """Nobody is deaf, nothing came twice or out of order, and every hole
        lies in a gap."""
        self.flows()
        until(lambda: not any(report["holes"] for report in self.reports()))
        for report in self.reports():
            assert report["wrong"] == []


OPTIONS = ("--broker-down", "fail", "--broker-probe", "0.5",
           "--broker-timeout", "1")
