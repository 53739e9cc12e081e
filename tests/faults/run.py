#!/usr/bin/env python3
"""System calls that fail, one kind after the other, by strace's injection.

    tests/faults/run.py

A call that is told to fail was not made: what it would have done is still to be
done. So an error that means "again" must cost nobody anything, and one that says
something of a connection only that connection: it is gone, or has nothing for us
now, which is a lie here and leaves an edge-triggered server waiting. And where
the process is out of descriptors, the server waits instead of asking on and on.
The last line is the count.
"""

import http.client
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

HERE = os.path.dirname(os.path.abspath(__file__))
SOAK = os.path.join(HERE, "..", "soak")
ROUNDS = 40
PATIENCE = 3

# system calls, error, and whether a connection may be lost by it
FAULTS = [
    *(("accept4", error, False) for error in (
        "EINTR", "ECONNABORTED", "EMFILE", "ENFILE", "ENOBUFS")),
    ("recvfrom", "EINTR", False),
    ("recvfrom", "EAGAIN", True),
    ("recvfrom", "ECONNRESET", True),
    ("sendto,sendmsg", "EINTR", False),
    ("sendto,sendmsg", "EAGAIN", True),
    ("sendto,sendmsg", "ENOBUFS", True),
    ("sendto,sendmsg", "EPIPE", True),
    ("epoll_wait,epoll_pwait", "EINTR", False),
]


class Server:
    """The server of the soak test, under strace; `inject` as strace has it."""

    def __init__(self, inject):
        folder = tempfile.mkdtemp()
        self.said = os.path.join(folder, "stderr")
        self.trace = os.path.join(folder, "trace")
        calls = inject.partition(":")[0]
        with open(self.said, "w", encoding="utf-8") as file:
            self.process = subprocess.Popen(
                ["strace", "-f", "-qq", "-o", self.trace, "-e",
                 "trace=" + calls, "-e", "inject=" + inject,
                 sys.executable, "-m", "wsocket", "--port", "0",
                 "--access-logfile", "none", "--graceful-timeout", "5",
                 "app:app"],
                cwd=SOAK, stdout=file, stderr=file)
        self.port = self.wait_for_port()

    def wait_for_port(self):
        for _ in range(400):
            with open(self.said, encoding="utf-8") as file:
                said = re.search(r"http://[\w.]+:(\d+)", file.read())
            if said:
                return int(said[1])
            time.sleep(0.05)
        raise RuntimeError("the server did not start; see " + self.said)

    def injected(self):
        with open(self.trace, encoding="utf-8") as file:
            return file.read().count("(INJECTED)")

    def stop(self):
        """The status of the server, which strace hands on."""
        pid = self.process.pid
        with open("/proc/%d/task/%d/children" % (pid, pid),
                  encoding="utf-8") as file:
            os.kill(int(file.read().split()[0]), signal.SIGTERM)
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()


# ----------------------------------------------------------------- load ---

def requests(port):
    """Five on one connection, and one with a body."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        for _ in range(5):
            client.request("GET", "/")
            assert client.getresponse().read() == b"hello"
        client.request("POST", "/body", b"x" * 300000)
        assert client.getresponse().read() == b"x" * 300000
    finally:
        client.close()


def websocket(port):
    with connect("ws://127.0.0.1:%d/" % port, open_timeout=PATIENCE) as ws:
        for message in ("a", b"b" * 1000, "c" * 100000):
            ws.send(message)
            assert ws.recv(PATIENCE) == message


def lost(port):
    """How many of the connections failed, and the first reason."""
    reasons = []
    for turn in range(ROUNDS):
        try:
            websocket(port) if turn % 2 else requests(port)
        except (OSError, AssertionError, http.client.HTTPException,
                WebSocketException) as error:
            reasons.append(repr(error))
    return len(reasons), (reasons or ["none"])[0]


# ------------------------------------------------------------- verdicts ---

def play(calls, error, may_lose):
    server = Server("%s:error=%s:when=3+7" % (calls, error))
    failed, first = lost(server.port)
    status = server.stop()
    injected = server.injected()
    good = injected > 0 and status == 0 and failed <= (
        injected if may_lose else 0)
    return good, ("%s %s: injected %d times, %d of %d connections lost (%s), "
                  "exit status %d" % (calls, error, injected, failed, ROUNDS,
                                      first, status))


def play_exhausted():
    """Every accept4() fails for lack of descriptors: it waits."""
    server = Server("accept4:error=EMFILE:when=1+")
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=3)
    try:
        client.request("GET", "/")
        client.getresponse()
        answered = True
    except OSError:
        answered = False
    client.close()
    injected = server.injected()
    status = server.stop()
    return (not answered and status == 0 and 0 < injected < 200,
            "no descriptor for 3 s: asked %d times" % injected)


def main():
    passed = failed = 0
    for play_one in [lambda fault=fault: play(*fault) for fault in FAULTS] + [
            play_exhausted]:
        good, line = play_one()
        passed += good
        failed += not good
        print("%-6s %s" % ("ok" if good else "FAILED", line), flush=True)
    print("%d passed, %d failed" % (passed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
