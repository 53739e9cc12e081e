#!/usr/bin/env python3
"""wsocket beside other servers, on this machine: CPU per request or message.

    bench/run.py http [--rounds N] [--seconds S] [--row ROW]... [SERVER...]
    bench/run.py framework [--rounds N] [--seconds S] [SERVER...]
    bench/run.py ws   [--rounds N] [--seconds S] [--row ROW]... [SERVER...]
    bench/run.py tls  [--rounds N] [--seconds S] [--row ROW]... [SERVER...]
    bench/run.py fan  [--rounds N] [--seconds S] [--row ROW]... [SERVER...]

The servers run on core 0, the load on core 1, access logs off, the same octets
from all. Row by row: all its servers run, one burst of S seconds follows the
other, N for each server, in alternating order; then the row's table is printed.
The figures to trust are CPU beside the floor (`null`, which does only what no
server can avoid; a bare WSGI application for frameworks; for WebSockets our own
echo in C; nginx for TLS) and beside ours: less than 1 is cheaper than wsocket. Both are medians
of the ratios within a round, with their quartiles in brackets. How many there are
per second depends on how fast the load is. `--record FILE` keeps them as JSON, from
which the site's page of figures is drawn: docs/performance.
"""

import argparse
import os
import shutil
import sys

import fan_bench
import framework_bench
import http_bench
import rig
import tls_bench
import ws_bench

BENCHES = {"http": http_bench, "framework": framework_bench, "ws": ws_bench,
           "tls": tls_bench, "fan": fan_bench}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bench", choices=BENCHES)
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--seconds", type=float, default=1, metavar="S")
    parser.add_argument("--row", action="append", dest="rows", metavar="ROW")
    parser.add_argument("--record", metavar="FILE")
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
    faults = bench.check(servers)
    for row in args.rows or bench.ROWS:
        print("measuring: " + row, file=sys.stderr)
        results, restless = rig.compare(bench, row, servers, args.rounds,
                                        args.seconds)
        notes = {server: [text for text in (faults.get((server, row)),
                                            restless.get(server)) if text]
                 for server in servers}
        rig.report(row, results, notes, bench.FLOOR, bench.OURS)
        if args.record:
            rig.record(args.record, args.bench, row, results, bench.FLOOR,
                       bench.OURS)


if __name__ == "__main__":
    main()
