#!/usr/bin/env python3
"""What an idle WebSocket costs the event app: memory and wake-ups.

    python bench/idle.py [--connections 10000] [--seconds 40]

Run it with a Python that has wsocket. Every connection has sent a handshake of
300 octets, and in a second stage one compressed message. Prints how much the
server's PSS grew for each, then its CPU share and how often it woke up while
all are silent: without automatic pings, and with those of the default rate.
"""
import argparse
import os
import resource
import socket
import subprocess
import sys
import time

import rig

HERE = os.path.dirname(os.path.abspath(__file__))
HEAD = (b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
        b"Cookie: session=")
HEAD += b"x" * (300 - len(HEAD) - 4) + b"\r\n\r\n"
# "hello" 20 times, compressed (a stored block, an empty one cut off), key 0.
TEXT = b"hello" * 20
PACKED = b"\x00\x64\x00\x9b\xff" + TEXT + b"\x00"
MESSAGE = b"\xc1" + bytes([0x80 | len(PACKED)]) + b"\0\0\0\0" + PACKED
PONG = b"\x8a\x80\0\0\0\0"


# --------------------------------------------------------------- client ---

def answer(sock, want):
    got = b""
    while not got.endswith(want):
        more = sock.recv(4096)
        if not more:
            raise EOFError("the server has closed")
        got += more


def hold(port, count):
    """The other process: obeys one line of standard input after the other."""
    socks = []
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.sendall(HEAD)
        answer(sock, b"\r\n\r\n")
        socks.append(sock)
    print("held", flush=True)
    sys.stdin.readline()
    for sock in socks:
        sock.sendall(MESSAGE)
        sock.recv(4096)
    print("sent", flush=True)
    for line in sys.stdin:
        until = time.monotonic() + float(line)
        for sock in socks:
            sock.setblocking(False)
        while time.monotonic() < until:  # pings are answered
            time.sleep(0.05)
            for sock in socks:
                try:
                    if sock.recv(64):
                        sock.send(PONG)
                except BlockingIOError:
                    pass
        print("waited", flush=True)


# --------------------------------------------------------------- server ---

def proportional_set(pid):
    """Of its own memory: how much of a library's counts depends on who else
    uses it, and moves by megabytes when other programs come and go."""
    with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss_Anon:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("no PSS")


def wakeups(pid):
    """How often each of its threads has woken up."""
    counts = {}
    for tid in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, tid),
                  encoding="ascii") as file:
            for line in file:
                if line.startswith("voluntary_ctxt_switches"):
                    counts[tid] = int(line.split()[1])
    return counts


def woken_since(before, after):
    """Of a thread that has ended meanwhile nothing is known but that it did."""
    return sum(after[tid] - before.get(tid, 0) if tid in after else 1
               for tid in {*before, *after})


def ask(client, line):
    client.stdin.write(line + "\n")
    client.stdin.flush()
    return client.stdout.readline().strip()


def play(count, seconds, interval):
    command = [sys.executable, "-m", "wsocket", "idle_app:app", "--port",
               "{port}", "--access-logfile", "none", "--max-connections",
               str(count + 64), "--ws-ping-interval", str(interval)]
    with rig.serving(command) as (port, pid):
        warm = subprocess.Popen(
            [sys.executable, __file__, "--hold", str(port), "64"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        warm.stdout.readline()
        ask(warm, "")
        before = proportional_set(pid)
        client = subprocess.Popen(
            [sys.executable, __file__, "--hold", str(port), str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert client.stdout.readline().strip() == "held"
        time.sleep(1)
        held = proportional_set(pid)
        assert ask(client, "") == "sent"
        time.sleep(1)
        sent = proportional_set(pid)
        cpu, woken = rig.cpu_seconds(pid), wakeups(pid)
        assert ask(client, str(seconds)) == "waited"
        cpu, woken = (rig.cpu_seconds(pid) - cpu,
                      woken_since(woken, wakeups(pid)))
        warm.kill()
        client.kill()
    print("pings %s: %.0f octets each, %.0f after a compressed message; "
          "%.2f %% CPU, %.1f wake-ups/s" %
          ("every %d s" % interval if interval else "off",
           (held - before) / count, (sent - before) / count,
           100 * cpu / seconds, woken / seconds), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=10000)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--hold", nargs=2, type=int, metavar=("PORT", "N"))
    args = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if args.hold:
        hold(*args.hold)
        return
    for interval in (0, 20):
        play(args.connections, args.seconds, interval)


if __name__ == "__main__":
    main()
