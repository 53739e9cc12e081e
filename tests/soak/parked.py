#!/usr/bin/env python3
"""Thousands of handlers that block in receive(), all at once.

    tests/soak/parked.py [COUNT]

Opens COUNT (2,000) WebSockets to a blocking echo and keeps them; then each gets
an answer, twice, and plain requests do meanwhile. Says what a parked handler costs in
memory, and fails when one is not answered. The last line is the count.
"""

import os
import re
import socket
import sys

from endings import frame, handshake
from soak import Server, allow_many_files

PATIENCE = 60
KIB = 1024


def status_of(pid):
    """Proportional memory in octets, and threads."""
    with open("/proc/%d/smaps_rollup" % pid, encoding="utf-8") as file:
        pss = int(re.search(r"^Pss: +(\d+) kB", file.read(), re.M)[1]) * KIB
    with open("/proc/%d/status" % pid, encoding="utf-8") as file:
        threads = int(re.search(r"^Threads:\s+(\d+)", file.read(), re.M)[1])
    return pss, threads


def read_exactly(client, n):
    data = b""
    while len(data) < n:
        more = client.recv(n - len(data))
        assert more, "the server closed"
        data += more
    return data


def opened(port):
    client = socket.create_connection(("127.0.0.1", port), PATIENCE)
    client.sendall(handshake(b"/").replace(
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n", b""))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += read_exactly(client, 1)
    assert head.startswith(b"HTTP/1.1 101"), head
    return client


def echo_all(clients):
    """How many were answered as they asked; all ask before one is heard."""
    for i, client in enumerate(clients):
        client.sendall(frame(1, b"%d" % i))
    good = 0
    for i, client in enumerate(clients):
        text = b"%d" % i
        good += read_exactly(client, 2 + len(text)) == bytes(
            [0x81, len(text)]) + text
    return good


def get(port, path):
    """The whole answer to a plain request."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                       b"\r\n" % path)
        return b"".join(iter(lambda: client.recv(KIB), b""))


def plain(port):
    return get(port, b"/").startswith(b"HTTP/1.1 404")


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    allow_many_files()
    server = Server("endings_app:app", "--threads", "16")
    failed = 0
    try:
        assert plain(server.port)
        before, _ = status_of(server.process.pid)
        clients = [opened(server.port) for _ in range(count)]
        good = [echo_all(clients) for _ in range(2)]
        after, threads = status_of(server.process.pid)
        print("    %d handlers blocked in receive(), %d threads, %.1f KiB each"
              % (count, threads, (after - before) / count / KIB))
        failed += good != [count, count] or not plain(server.port)
        failed += threads < count
        for client in clients:
            client.close()
    finally:
        failed += server.stop() != 0
    print("1 passed, 0 failed" if not failed else "0 passed, 1 failed")
    return failed > 0


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    sys.exit(main())
