#!/usr/bin/env python3
"""As many slow peers as threads, and plain requests beside them.

    tests/soak/peers.py SECONDS

64 peers of one kind move 300 octets a second each, just above body_rate and
write_rate: uploads that wait for 100 (Continue), readers of a generator, of
write(), of a blocking ws.send(), bodies that stop half-way, and bodies that their
handler reads as they come. Beside them 100 plain requests a second are asked,
with `threads` 64 and 8. Every one is answered, and memory is bounded. The last
line is the count.
"""

import asyncio
import socket
import subprocess
import sys
import threading
import time

from slow import get
from soak import MIB, Server

PEERS = 64
PER_SECOND = 100
PIECE = 75  # octets, four times a second
GROWTH = 96 * MIB  # what 64 answers of 256 KiB and as many threads need

UPLOAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n%b\r\n"
READER = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
KINDS = {
    "uploads with Expect": (UPLOAD % b"Expect: 100-continue\r\n", ()),
    "readers of a generator": (READER % b"generator", ()),
    "readers of write()": (READER % b"write", ()),
    "readers of ws.send()": (UPGRADE, ("--ws-send-limit", "64k")),
    "half bodies": (UPLOAD % b"" + bytes(500000), ()),
    "bodies read as they come": (UPLOAD % b"", ("--buffer-body", "never")),
}


async def be_slow(port, octets):
    """Until the process ends: send or take a little, four times a second. A
    small buffer, so that the kernel does not take whole answers."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.connect(("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=peer, limit=1)
    writer.write(octets)
    while not reader.at_eof():
        await asyncio.sleep(0.25)
        if octets.startswith(b"POST"):
            writer.write(b"x" * PIECE)
        else:
            await reader.read(PIECE)


async def be_all(port, octets):
    await asyncio.gather(*(be_slow(port, octets) for _ in range(PEERS)),
                         return_exceptions=True)


def ask(server, seconds):
    """100 plain requests a second, each by a thread of its own: how long each
    took, and what went wrong."""
    waits, errors, threads = [], [], []

    def one():
        began = time.monotonic()
        try:
            if get(server.port, "/") != b"hello":
                errors.append("another answer")
        except OSError as error:
            errors.append(repr(error))
        waits.append(time.monotonic() - began)

    begin = time.monotonic()
    for n in range(seconds * PER_SECOND):
        time.sleep(max(0, begin + n / PER_SECOND - time.monotonic()))
        threads.append(threading.Thread(target=one))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return sorted(waits), errors


def play(kind, threads, seconds):
    """What went wrong, and a line about how it went."""
    octets, options = KINDS[kind]
    server = Server("peers_app:app", "--threads", str(threads), *options)
    before = server.resident()
    peers = subprocess.Popen([sys.executable, __file__, "be", kind,
                              str(server.port)])
    time.sleep(1)  # until all of them hold what they can
    waits, errors = ask(server, seconds)
    grown = server.resident() - before
    peers.kill()
    peers.wait()
    wrong = errors and "%d were not answered: %s" % (len(errors), errors[0])
    if server.stop() != 0:
        wrong = wrong or "no clean end"
    if grown > GROWTH:
        wrong = wrong or "memory grew by %.1f MiB" % (grown / MIB)
    return wrong, "%d requests, p50 %.1f ms, p99 %.1f ms, at most %.0f ms; " \
        "%.1f MiB more" % (len(waits), waits[len(waits) // 2] * 1e3,
                           waits[len(waits) * 99 // 100] * 1e3,
                           waits[-1] * 1e3, grown / MIB)


def main():
    if sys.argv[1] == "be":
        asyncio.run(be_all(int(sys.argv[3]), KINDS[sys.argv[2]][0]))
        return 0
    failed = passed = 0
    for kind in KINDS:
        for threads in 64, 8:
            wrong, line = play(kind, threads, int(sys.argv[1]))
            failed += bool(wrong)
            passed += not wrong
            print("%-6s %s, threads %d: %s" %
                  ("FAILED" if wrong else "ok", kind, threads, line),
                  flush=True)
            if wrong:
                print("       " + wrong)
    print("%d passed, %d failed" % (passed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
