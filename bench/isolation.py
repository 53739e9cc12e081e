#!/usr/bin/env python3
"""How well the server keeps connections apart: plain requests and pings beside
many blocked WebSockets, a handler that sleeps and one that computes.

    python bench/isolation.py [--clients 200] [--requests 500] [--threads N]

Needs Flask and websockets; starts `python -m wsocket` on a free port. Prints
the latencies of the plain requests and of the pings; asserts nothing.
"""
import argparse
import http.client
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from websockets.sync.client import connect

APP = '''
import time
from flask import Flask, request

app = Flask(__name__)

@app.route("/")
def hello():
    return "hello"

@app.route("/sleep")
def sleep():
    time.sleep(5)
    return "slept"

@app.route("/compute")
def compute():
    until = time.monotonic() + 5
    n = 0
    while time.monotonic() < until:
        n += 1
    return str(n)

@app.route("/ws")
def ws():
    ws = request.environ["wsgi.websocket"]
    for message in ws:
        ws.send(message)
    return ""
'''


def get(port, path):
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    conn.request("GET", path)
    answer = conn.getresponse()
    body = answer.read()
    conn.close()
    assert answer.status == 200, answer.status
    return body


def show(what, seconds):
    ms = sorted(s * 1000 for s in seconds)
    at = lambda q: ms[min(len(ms) - 1, int(len(ms) * q))]
    print("%-34s n=%4d  median %7.2f  p99 %7.2f  max %7.2f ms"
          % (what, len(ms), statistics.median(ms), at(.99), ms[-1]))


def measure(port, n, sockets, path="/"):
    requests, pings = [], []
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for i in range(n):
        began = time.perf_counter()
        conn.request("GET", path)
        conn.getresponse().read()
        requests.append(time.perf_counter() - began)
        if sockets and i % 10 == 0:
            began = time.perf_counter()
            sockets[i % len(sockets)].ping().wait(30)
            pings.append(time.perf_counter() - began)
    conn.close()
    return requests, pings


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--clients", type=int, default=200)
    p.add_argument("--requests", type=int, default=500)
    p.add_argument("--threads", type=int)
    p.add_argument("--no-load", action="store_true")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as where:
        with open(where + "/app.py", "w") as f:
            f.write(APP)
        args = [sys.executable, "-m", "wsocket", "app:app", "--port", "0",
                "--access-logfile", "none"]
        if a.threads:
            args += ["--threads", str(a.threads)]
        server = subprocess.Popen(args, cwd=where, stderr=subprocess.PIPE,
                                  text=True)
        try:
            port = int(re.search(r":(\d+)/", server.stderr.readline())[1])
            run(a, port)
        finally:
            server.terminate()
            server.wait(40)


def run(a, port):
    sockets = [connect("ws://127.0.0.1:%d/ws" % port, compression=None,
                       ping_interval=None) for _ in range(a.clients)]
    for ws in sockets:
        ws.send("x")
        assert ws.recv() == "x"
    quiet, pings = measure(port, a.requests, sockets)
    show("requests, sockets blocked", quiet)
    show("pings, sockets blocked", pings)
    if not a.no_load:
        slow = [threading.Thread(target=get, args=(port, path))
                for path in ("/sleep", "/compute")]
        for t in slow:
            t.start()
        time.sleep(.1)
        began = time.perf_counter()
        loaded, pings = measure(port, a.requests, sockets)
        print("(measured %.1f s beside a sleeping and a computing handler; "
              "both still running: %s)"
              % (time.perf_counter() - began, all(t.is_alive() for t in slow)))
        show("requests beside sleep and compute", loaded)
        show("pings beside sleep and compute", pings)
        for t in slow:
            t.join()
    for ws in sockets:
        ws.close()


if __name__ == "__main__":
    main()
