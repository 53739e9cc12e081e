#!/usr/bin/env python3
"""How long echoes take beside a publication to many WebSockets each second.

    python bench/fan_echo.py [--subscribers 19900] [--rounds 9] [--cores 0]

Run it with a Python that has wsocket. One client sends 500 echoes a second,
each counted from the moment at which it was due. Rounds with publications and
rounds without take turns. The subscribers read what they got after each round,
so that the load's own work is no part of the figures; each has to have all.
Prints the median and the quartiles of the rounds.
"""
import argparse
import os
import resource
import socket
import subprocess
import sys
import time

import rig
from handshakes import plain, websocket

SECONDS = 5
PACE = 500  # echoes a second
PAYLOAD = "!" + "x" * 63
FRAME = 2 + len(PAYLOAD)


def masked(text):
    """A short frame, by the key 0."""
    return bytes([0x81, 0x80 | len(text)]) + b"\0\0\0\0" + text.encode()


def hold(port, count):
    """The other process: subscribers. For each line of standard input, so many
    octets are read from each."""
    socks = [websocket(plain(port), b"/all") for _ in range(count)]
    print("held", flush=True)
    for line in sys.stdin:
        for sock in socks:
            sock.recv(int(line), socket.MSG_WAITALL)
        print("read", flush=True)


def play(echo, mouth, publishes):
    """Milliseconds of each echo of a round."""
    began, times = time.perf_counter(), []
    for i in range(SECONDS * PACE):
        due = began + i / PACE
        time.sleep(max(0, due - time.perf_counter()))
        if publishes and i % PACE == 0:
            mouth.sendall(masked(PAYLOAD))
        echo.sendall(masked("x" * 64))
        assert len(echo.recv(66, socket.MSG_WAITALL)) == 66
        times.append((time.perf_counter() - due) * 1000)
    return sorted(times)


def show(name, rounds):
    print(name)
    for what, share in ("median", 0.5), ("p99", 0.99), ("worst", 1):
        figures = [times[min(int(len(times) * share), len(times) - 1)]
                   for times in rounds]
        print("  %-8s %s ms" % (what, rig.spread(figures, 3)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--subscribers", type=int, default=19900)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--cores", default=rig.SERVER_CORE,
                        help="of the server, as for taskset")
    parser.add_argument("--hold", type=int, metavar="PORT")
    args = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if args.hold:
        hold(args.hold, args.subscribers)
        return
    rig.SERVER_CORE = args.cores
    os.sched_setaffinity(0, {int(rig.LOAD_CORE)})
    command = [sys.executable, "-m", "wsocket", "fan_echo_app:app", "--port",
               "{port}", "--access-logfile", "none", "--ws-ping-interval", "0",
               "--max-connections", str(args.subscribers + 64)]
    with rig.serving(command) as (port, _), subprocess.Popen(
            ["taskset", "-c", rig.LOAD_CORE, sys.executable, __file__,
             "--subscribers", str(args.subscribers), "--hold", str(port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout.readline() == "held\n"
        measure(args, port, held)
        held.stdin.close()


def measure(args, port, held):
    echo, mouth = websocket(plain(port)), websocket(plain(port))
    rounds = {False: [], True: []}
    for turn in range(args.rounds):
        for publishes in (False, True) if turn % 2 else (True, False):
            rounds[publishes].append(play(echo, mouth, publishes))
            if publishes:
                time.sleep(1)
                print(SECONDS * FRAME, file=held.stdin, flush=True)
                assert held.stdout.readline() == "read\n"
    show("echoes alone", rounds[False])
    show("echoes beside a publication to %d" % args.subscribers, rounds[True])


if __name__ == "__main__":
    main()
