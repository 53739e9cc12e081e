#!/usr/bin/env python3
"""Mixed load on one server for a while; it must not grow.

    tests/soak/soak.py SECONDS

Requests quick and slow, uploads, crashes, WebSockets that close well or vanish,
clients that send garbage. Memory is compared between the end of the first third
and the end; open files between before and after. The last line is the count.
"""

import collections
import http.client
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

from websockets.sync.client import connect

HERE = os.path.dirname(os.path.abspath(__file__))
MIB = 1 << 20


class Server:
    """`python -m wsocket` over an app of this folder."""

    def __init__(self, app="app:app", *options):
        self.log = open(os.path.join(HERE, "..", "..", "build", "soak.log"),
                        "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "wsocket", "--port", "0", "--access-logfile",
             "none", "--log-level", "critical", *options, app], cwd=HERE,
            stdout=self.log, stderr=self.log)
        self.port = self.wait_for_port()

    def wait_for_port(self):
        for _ in range(200):
            with open(self.log.name, encoding="utf-8") as file:
                said = re.search(r"https?://[\w.]+:(\d+)", file.read())
            if said:
                return int(said[1])
            time.sleep(0.05)
        raise RuntimeError("the server did not start; see build/soak.log")

    def resident(self):
        with open("/proc/%d/statm" % self.process.pid,
                  encoding="utf-8") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def files(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()


def allow_many_files():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# ----------------------------------------------------------------- load ---

def requests(port, rng):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(50):
        path = rng.choice(["/", "/", "/", "/slow"])
        client.request("GET", path)
        answer = client.getresponse()
        assert answer.status == 200 and answer.read() == b"hello"
    client.close()


def uploads(port, rng):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(5):
        body = rng.randbytes(rng.randrange(3 * MIB))
        chunked = rng.random() < 0.5
        client.request("POST", "/body", iter([body]) if chunked else body,
                       {"Transfer-Encoding": "chunked"} if chunked else {},
                       encode_chunked=chunked)
        answer = client.getresponse()
        echo = answer.read()
        assert echo == body, "%d: %d of %d octets, chunked: %s" % (
            answer.status, len(echo), len(body), chunked)
    client.close()


def crashes(port, rng):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    client.request("GET", "/crash")
    assert client.getresponse().status == 500
    client.close()
    time.sleep(rng.random() / 20)


def websockets(port, rng):
    with connect("ws://127.0.0.1:%d/" % port, compression=None,
                 max_size=None) as ws:
        for _ in range(20):
            message = rng.randbytes(rng.randrange(100000))
            ws.send(message)
            assert ws.recv(30) == message
        if rng.random() < 0.3:  # gone without a word
            ws.socket.shutdown(socket.SHUT_RDWR)


def garbage(port, rng):
    with socket.create_connection(("127.0.0.1", port), 30) as peer:
        start = rng.choice([b"", b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\n"
                            b"Host: a\r\nContent-Length: 100\r\n\r\n"])
        try:
            peer.sendall(start + rng.randbytes(rng.randrange(2000)))
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(65536):
                continue
        except ConnectionError:
            pass


LOADS = [requests, requests, uploads, crashes, websockets, websockets, garbage]


class Load:
    """One thread per entry of LOADS, over and over until told to stop."""

    def __init__(self, port):
        self.port = port
        self.over = threading.Event()
        self.done = collections.Counter()
        self.errors = []
        self.threads = [threading.Thread(target=self.work, args=(i, load))
                        for i, load in enumerate(LOADS)]
        for thread in self.threads:
            thread.start()

    def work(self, seed, load):
        rng = random.Random(seed)
        while not self.over.is_set():
            try:
                load(self.port, rng)
                self.done[load.__name__] += 1
            except Exception as error:  # every kind is a finding
                self.errors.append("%s: %r" % (load.__name__, error))
                time.sleep(0.1)

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


def tell(verdicts):
    """Print each, and their count; true if one is false."""
    for what, good in verdicts.items():
        print("%-6s %s" % ("ok" if good else "FAILED", what))
    failed = list(verdicts.values()).count(False)
    print("%d passed, %d failed" % (len(verdicts) - failed, failed))
    return failed > 0


def main():
    seconds = float(sys.argv[1])
    server = Server()
    files = server.files()
    load = Load(server.port)
    time.sleep(seconds / 3)
    early = server.resident()
    time.sleep(seconds * 2 / 3)
    late = server.resident()
    load.stop()
    time.sleep(2)
    verdicts = {
        "%d errors in %d rounds; first: %s" % (
            len(load.errors), sum(load.done.values()), load.errors[:5]):
            not load.errors,
        "memory: %.1f MiB, then %.1f MiB" % (early / MIB, late / MIB):
            late < early * 1.1 + 8 * MIB,
        "files: %d, then %d" % (files, server.files()):
            server.files() <= files + 2,
        "a clean end": server.stop() == 0,
    }
    return tell(verdicts)


if __name__ == "__main__":
    sys.exit(main())
