#!/usr/bin/env python3
"""wsocket beside other servers, on this machine: CPU per request or message.

    bench/run.py http [--rounds N] [--seconds S] [--row ROW]... [SERVER...]
    bench/run.py framework [--rounds N] [--seconds S] [SERVER...]
    bench/run.py ws   [--rounds N] [--seconds S] [--row ROW]... [SERVER...]

Each server runs on core 0, the load on core 1, access logs off, the same octets
from all. Rounds are interleaved. The figure to trust is CPU beside the floor
(`null`, which does only what no server can avoid; a bare WSGI application for
frameworks; for WebSockets our own echo in C); how many there are per second depends on how fast the load is.
"""

import argparse
import os
import shutil
import sys

import framework_bench
import http_bench
import rig
import ws_bench

BENCHES = {"http": http_bench, "framework": framework_bench, "ws": ws_bench}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bench", choices=BENCHES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--row", action="append", dest="rows", metavar="ROW")
    parser.add_argument("servers", nargs="*", metavar="SERVER")
    args = parser.parse_intermixed_args()
    bench = BENCHES[args.bench]
    for given, known in ((args.servers, bench.SERVERS),
                         (args.rows or [], bench.ROWS)):
        for name in given:
            if name not in known:
                parser.error("no %s; there are %s" % (name, " ".join(known)))
    if not shutil.which("taskset") or (os.cpu_count() or 1) < 2:
        sys.exit("the bench needs taskset and two cores")
    servers = bench.prepare(args.servers or list(bench.SERVERS))
    notes = bench.check(servers)
    results = rig.interleaved(
        args.rounds, servers, args.rows or list(bench.ROWS),
        lambda server, rows: bench.play(server, rows, args.seconds, notes))
    rig.report(results, bench.FLOOR, notes)


if __name__ == "__main__":
    main()
