#!/usr/bin/env python3
"""Whether a scrape of the metrics delays requests.

    python bench/scrapes.py [--rounds 20] [--seconds 3] [--every 0.1]

Run it with a Python that has wsocket. The server has core 0, the clients share
core 1. One request at a time goes out on kept connections; in every second
stretch of time a program of its own scrapes the metrics all the while. Prints
the latencies of both kinds of stretches; asserts nothing.
"""
import argparse
import os
import statistics
import sys
import time

import rig
from handshakes import KEPT, REQUEST, answer, plain, running, time_turns

METRICS = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


def scrape(port, every):
    """In a process of its own, until it is ended: on one connection, with as
    little work as can be, since it shares a core with the clients."""
    due, sock = time.monotonic(), plain(port)
    while True:
        sock.sendall(METRICS)
        if b"wsocket_requests_total" not in answer(sock):
            raise ValueError("no metrics")
        print("scraped", flush=True)
        due += every
        time.sleep(max(0, due - time.monotonic()))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--every", type=float, default=0.1)
    parser.add_argument("--scrape", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.scrape:
        scrape(args.scrape, args.every)
    os.sched_setaffinity(0, {int(rig.LOAD_CORE)})
    metrics = rig.free_port()
    command = [sys.executable, "-m", "wsocket", "--port", "{port}",
               "--access-logfile", "none", "--metrics-bind",
               "127.0.0.1:%d" % metrics, "http_app:app"]
    scraper = [sys.executable, __file__, "--scrape", str(metrics), "--every",
               str(args.every)]
    took = {"alone": [], "scraped": []}
    with rig.serving(command) as (port, _):
        kinds = {"request": ([plain(port) for _ in range(KEPT)], REQUEST, answer)}
        for _ in range(args.rounds):
            took["alone"].append(time_turns(args.seconds, kinds)["request"])
            with running(scraper) as process:
                process.stdout.readline()
                took["scraped"].append(time_turns(args.seconds, kinds)["request"])
    line = "%-8s %8s  %-26s %s"
    print(line % ("", "requests", "median [quartiles], ms", "p99 [quartiles], ms"))
    for kind, rounds in took.items():
        print(line % (kind, sum(map(len, rounds)),
                      rig.spread([statistics.median(ms) for ms in rounds], 3),
                      rig.spread([statistics.quantiles(ms, n=100)[98]
                                  for ms in rounds], 3)))


if __name__ == "__main__":
    main()
