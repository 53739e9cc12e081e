#!/usr/bin/env python3
"""Subscribers of a topic, a fifth of which stop reading.

    tests/soak/stalled.py [SECONDS]

1,000 WebSockets subscribe to a topic with 100 messages of 1 KiB a second, and
200 of them read nothing for SECONDS (60). Fails when a reader misses a
number, when one that stopped is not closed with 1013, and when memory grows by
more than 64 MiB. Says how late numbers came. The last line is the count.
"""

import json
import os
import select
import sys
import time

from parked import PATIENCE, get, opened, read_exactly
from soak import MIB, Server, allow_many_files
from stalled_app import EVERY, LENGTH

READERS, STALLED = 800, 200
MEMORY = 64 * MIB
WHOLE = 4 + LENGTH  # octets of a frame


class Reader:
    def __init__(self, client):
        self.client = client
        self.data = bytearray()
        self.n = 0
        self.wrong = 0
        self.late = []

    def read(self):
        more = self.client.recv(65536)
        assert more, "the server closed a reader"
        self.data += more
        while len(self.data) >= WHOLE:
            number, sent, _ = self.data[4:WHOLE].split(None, 2)
            self.wrong += int(number) != self.n
            self.late.append(time.monotonic() - float(sent))
            self.n += 1
            del self.data[:WHOLE]


def subscribed(port):
    client = opened(port)
    assert read_exactly(client, 12) == b"\x81\x0asubscribed"
    return client


def read_all(readers, total, server):
    """Read until every reader has as many numbers. Return the most memory."""
    poller, of, most = select.poll(), {}, 0
    for reader in readers:
        of[reader.client.fileno()] = reader
        poller.register(reader.client, select.POLLIN)
    deadline = time.monotonic() + total * EVERY + PATIENCE
    left = len(readers)
    while left > 0 and time.monotonic() < deadline:
        most = max(most, server.resident())
        for fd, _ in poller.poll(100):
            before = of[fd].n
            of[fd].read()
            left -= before < total <= of[fd].n
    return most


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    allow_many_files()
    server = Server("stalled_app:app", "--ws-ping-interval", "0",
                    "--graceful-timeout", "5")
    total, failed = int(seconds / EVERY), 0
    try:
        readers = [Reader(subscribed(server.port)) for _ in range(READERS)]
        stalled = [subscribed(server.port) for _ in range(STALLED)]
        before = server.resident()
        get(server.port, b"/start/%g" % seconds)
        grown = read_all(readers, total, server) - before
        late = sorted(moment for reader in readers for moment in reader.late)
        assert late, "no number came"
        codes = json.loads(get(server.port, b"/closed").rpartition(b"\n")[2])
        print("    %d numbers to %d readers, %d stopped reading; late by %.1f ms"
              " (p99), %.1f (most); %.1f MiB more memory"
              % (total, READERS, STALLED, 1000 * late[len(late) * 99 // 100],
                 1000 * late[-1], grown / MIB))
        print("    of them, by the code of their Close: %s" % codes)
        failed += any(r.wrong or r.n != total for r in readers)
        failed += codes != {"1013": len(stalled)}
        failed += grown > MEMORY
    finally:
        failed += server.stop() != 0
    print("1 passed, 0 failed" if not failed else "0 passed, 1 failed")
    return failed > 0


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    sys.exit(main())
