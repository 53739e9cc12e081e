#!/usr/bin/env python3
"""What a second worker gives an application that computes.

    python bench/cores.py [--rounds 11]

Run it with a Python that has wsocket. A server with one worker and one with two
take turns under the load of 16 connections, forward and backward; each request
is some milliseconds of Python. Prints the median and the quartiles of how many
times the requests of one worker two answer in a round.
"""
import argparse
import contextlib
import os
import subprocess
import sys

import http_bench
import rig

CONNECTIONS = 16
SECONDS = 2
LOOPS = 60000


def app(environ, start_response):
    total = sum(number * number for number in range(LOOPS))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % total]


@contextlib.contextmanager
def serving(workers):
    port = rig.free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "wsocket", "--port", str(port), "--workers",
         str(workers), "--access-logfile", "none", "cores:app"],
        cwd=rig.HERE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        rig.wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=11, metavar="N")
    rounds = parser.parse_args().rounds
    if (os.cpu_count() or 1) < 2:
        sys.exit("this needs two cores")
    with serving(1) as one, serving(2) as two:
        def play(port):
            done, seconds, errors = http_bench.wrk(
                "http://127.0.0.1:%d/" % port, CONNECTIONS, [], SECONDS,
                contextlib.nullcontext())
            return {"rate": done / seconds, "errors": errors}

        for port in one, two:
            play(port)
        measured = rig.in_turn(rounds, [one, two], play)
    for name, port in ("one worker", one), ("two workers", two):
        print("%-12s %8.0f requests a second, %d errors" % (
            name, rig.median(measured[port], "rate"),
            sum(m["errors"] for m in measured[port])))
    print("two: %s x one" % rig.ratio(measured[two], measured[one],
                                      "rate"))


if __name__ == "__main__":
    main()
