#!/usr/bin/env python3
"""Slow clients by the hundred, and plain requests beside them.

    tests/soak/slow.py SECONDS

slowhttptest with 1,000 connections sends heads slowly, bodies slowly, and reads
a response of 10 MB slowly; 200 clients upload 10 MB each at 0.5 MB/s. Meanwhile
wrk and a probe ask for a small page. Nobody else may notice, no handler may be
held, memory is bounded. The last line is the count.

The uploads end within the same second, and the application reads 2 GB then: what
is asked for behind them waits for its turn, so one probe takes that long.
"""

import asyncio
import http.client
import os
import subprocess
import sys
import threading
import time

from soak import MIB, Server

CLIENTS = 1000
UPLOADS = 200
UPLOAD = 10 * MIB
PIECE = 32768
PER_SECOND = MIB // 2


class Watch:
    """A probe every 100 ms, and the most memory and threads ever seen."""

    def __init__(self, server):
        self.server = server
        self.waits = []
        self.errors = []
        self.memory = server.resident()
        self.threads = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        while not self.over.wait(0.1):
            began = time.monotonic()
            try:
                get(self.server.port, "/")
            except OSError as error:
                self.errors.append(repr(error))
            self.waits.append(time.monotonic() - began)
            self.memory = max(self.memory, self.server.resident())
            self.threads = max(self.threads, self.server.threads())

    def stop(self):
        self.over.set()
        self.thread.join()


class SlowServer(Server):
    def __init__(self):
        super().__init__("slow_app:app", "--spill-limit", str(UPLOADS * UPLOAD))

    def threads(self):
        return len(os.listdir("/proc/%d/task" % self.process.pid))


def get(port, path):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    client.request("GET", path)
    body = client.getresponse().read()
    client.close()
    return body


# ----------------------------------------------------------------- load ---

def slowhttptest(mode, path, *more):
    def attack(port, seconds):
        subprocess.run(
            ["slowhttptest", mode, "-c", str(CLIENTS), "-r", "250", "-l",
             "%d" % seconds, "-v", "0", "-u",
             "http://127.0.0.1:%d%s" % (port, path), *more],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return None
    return attack


async def upload(port):
    """True when all of it arrived."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" %
                 UPLOAD)
    begin = time.monotonic()
    for sent in range(0, UPLOAD, PIECE):
        writer.write(b"x" * PIECE)
        await writer.drain()
        ahead = (sent + PIECE) / PER_SECOND - (time.monotonic() - begin)
        await asyncio.sleep(max(0, ahead))
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(8)
    writer.close()
    return head.startswith(b"HTTP/1.1 200") and body == b"%d" % UPLOAD


async def upload_all(port):
    return await asyncio.gather(*(upload(port) for _ in range(UPLOADS)))


def uploads(port, seconds):
    """In a process of their own: the probe has this one's interpreter."""
    bad = subprocess.run([sys.executable, __file__, "upload", str(port)],
                         check=False).returncode
    return "%d uploads failed" % bad if bad else None


ATTACKS = {
    "slow heads": (slowhttptest("-H", "/", "-i", "5"), 64),
    "slow bodies": (slowhttptest("-B", "/", "-i", "5", "-s", "8192"), 64),
    "slow readers": (slowhttptest("-X", "/large", "-w", "512", "-y", "1024",
                                  "-n", "2", "-z", "32"), 64),
    "slow uploads": (uploads, UPLOADS * 1.2),
}


def play(attack, mib, seconds):
    """What went wrong, and a line about how it went."""
    server = SlowServer()
    before = server.resident()
    wrk = subprocess.Popen(
        ["wrk", "-t1", "-c8", "--latency", "-d%ds" % seconds,
         "http://127.0.0.1:%d/" % server.port],
        stdout=subprocess.PIPE, text=True)
    watch = Watch(server)
    wrong = attack(server.port, seconds)
    text = wrk.communicate()[0]
    watch.stop()
    most = int(get(server.port, "/running"))
    grown = (watch.memory - before) / MIB
    waits = sorted(watch.waits)
    if server.stop() != 0:
        wrong = wrong or "no clean end"
    if watch.errors or "Socket errors" in text or "Non-2xx" in text:
        wrong = wrong or "others suffered: %s %s" % (watch.errors[:3], text)
    if grown > mib:
        wrong = wrong or "memory grew by %.1f MiB" % grown
    if most > 10:
        wrong = wrong or "%d handlers at once" % most
    return wrong, ("%.1f MiB more, at most %d handlers at once, %d threads; "
                   "a probe took %.1f ms, p99 %.1f ms, at most %.0f ms; "
                   "wrk: %s a second, p99 %s" % (
                       grown, most, watch.threads,
                       waits[len(waits) // 2] * 1e3,
                       waits[len(waits) * 99 // 100] * 1e3, waits[-1] * 1e3,
                       text.partition("Requests/sec:")[2].split()[0],
                       text.partition("99%")[2].split()[0]))


def main():
    if sys.argv[1] == "upload":
        return asyncio.run(upload_all(int(sys.argv[2]))).count(False)
    seconds = int(sys.argv[1])
    failed = 0
    for name, (attack, mib) in ATTACKS.items():
        wrong, line = play(attack, mib, seconds)
        failed += wrong is not None
        print("%-6s %s: %s" % ("FAILED" if wrong else "ok", name, line),
              flush=True)
        if wrong:
            print("       " + wrong)
    print("%d passed, %d failed" % (len(ATTACKS) - failed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
