#!/usr/bin/env python3
"""Requests and CPU time of wsocket beside other servers, on this machine.

    bench/run.py [--rounds N] [--seconds S] [--connections C] [SERVER...]

Each server runs on core 0, wrk on core 1, access logs off, the same answer from
all. Rounds are interleaved, so that a machine that slows down slows all of them.
The figure to trust is CPU per request beside `null`, which does only what no
server can avoid; requests per second depend on how fast wrk is.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
VENV = os.path.join(ROOT, ".venv-bench")
PYTHON = os.path.join(VENV, "bin", "python")
FOLDER = os.path.join(ROOT, "build", "bench")
TICKS = os.sysconf("SC_CLK_TCK")

# name: command; {port} is filled in. Run in bench/.
SERVERS = {
    "null": [FOLDER + "/null", "{port}"],
    "wsocket-c": [FOLDER + "/hello", "{port}"],
    "wsocket": [PYTHON, "-m", "wsocket", "--port", "{port}",
                "--access-logfile", "none", "app:app"],
    "fastwsgi": [PYTHON, "serve_fastwsgi.py", "{port}"],
    "bjoern": [PYTHON, "serve_bjoern.py", "{port}"],
    "granian": [VENV + "/bin/granian", "--interface", "wsgi", "--host",
                "127.0.0.1", "--port", "{port}", "--no-ws", "app:app"],
}
FROM_PYPI = ["fastwsgi", "bjoern", "granian"]


# ------------------------------------------------------------- building ---

def quietly(args, **more):
    return subprocess.run(args, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, **more).returncode == 0


def prepare(wanted):
    """Build and install what is needed; the servers that can be run."""
    if not os.path.exists(PYTHON):
        subprocess.check_call([sys.executable, "-m", "venv", VENV])
    pip = [PYTHON, "-m", "pip", "-q", "install", "--retries", "8"]
    meson = os.path.join(VENV, "bin", "meson")
    subprocess.check_call(pip + ["meson>=1.0", "meson-python>=0.15"])
    subprocess.check_call(
        [meson, "setup", "--reconfigure", FOLDER, "--buildtype=release",
         "-Dexamples=enabled", "-Dpython=disabled", "-Dtests=disabled"],
        cwd=ROOT, stdout=subprocess.DEVNULL)
    subprocess.check_call(["ninja", "--quiet", "-C", FOLDER])
    subprocess.check_call(["cc", "-O2", "-D_GNU_SOURCE", "-o",
                           FOLDER + "/null", HERE + "/null.c"])
    able = []
    for name in wanted:
        if name == "wsocket":
            subprocess.check_call(pip + ["--force-reinstall", ROOT])
        elif name in FROM_PYPI and not quietly(
                [PYTHON, "-c", "import " + name]) and not quietly(pip + [name]):
            print("left out: %s cannot be installed here" % name)
            continue
        able.append(name)
    return able


# ------------------------------------------------------------ measuring ---

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None:
                raise RuntimeError("ended at once: %s" % process.args)
            time.sleep(0.05)
    raise RuntimeError("does not answer: %s" % process.args)


def cpu_seconds(session):
    """User and system time of all processes of a session, threads and children
    included, those already waited for as well."""
    total = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid, encoding="utf-8") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session:  # proc(5): session is the 6th field
            total += sum(map(int, fields[11:15]))
    return total / TICKS


def wrk(port, seconds, connections):
    return subprocess.check_output(
        ["taskset", "-c", "1", "wrk", "-t1", "-c%d" % connections,
         "-d%ds" % seconds, "http://127.0.0.1:%d/" % port], text=True)


def number(pattern, text):
    found = re.search(pattern, text)
    return float(found[1]) if found else 0.0


def errors(text):
    bad = number(r"Non-2xx or 3xx responses: (\d+)", text)
    found = re.search(r"Socket errors: connect (\d+), read (\d+), "
                      r"write (\d+), timeout (\d+)", text)
    return int(bad) + sum(map(int, found.groups() if found else ()))


def measure(name, args):
    port = free_port()
    command = [part.format(port=port) for part in SERVERS[name]]
    process = subprocess.Popen(
        ["taskset", "-c", "0", *command], cwd=HERE, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        wrk(port, 1, args.connections)
        before = cpu_seconds(process.pid)
        text = wrk(port, args.seconds, args.connections)
        used = cpu_seconds(process.pid) - before
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    requests = number(r"(\d+) requests in", text)
    return {"rate": number(r"Requests/sec:\s+([\d.]+)", text),
            "cpu_us": used / requests * 1e6 if requests else float("inf"),
            "errors": errors(text)}


# ------------------------------------------------------------ reporting ---

def report(results):
    def median(name, key):
        return statistics.median(row[key] for row in results[name])

    floor = results.get("null") and median("null", "cpu_us")
    print("%-12s %10s %14s %9s %7s" % (
        "server", "requests/s", "CPU us/request", "x null", "errors"))
    for name in results:
        cost = median(name, "cpu_us")
        print("%-12s %10.0f %14.2f %9s %7d" % (
            name, median(name, "rate"), cost,
            "%.2f" % (cost / floor) if floor else "-",
            sum(row["errors"] for row in results[name])))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("servers", nargs="*", metavar="SERVER",
                        help="default: " + " ".join(SERVERS))
    args = parser.parse_args()
    for name in args.servers:
        if name not in SERVERS:
            parser.error("no server %s; there are %s" %
                         (name, " ".join(SERVERS)))
    if not shutil.which("wrk") or (os.cpu_count() or 1) < 2:
        sys.exit("the bench needs wrk and two cores")
    results = {name: [] for name in prepare(args.servers or list(SERVERS))}
    for turn in range(args.rounds):
        for name in results:
            results[name].append(measure(name, args))
            print("round %d %-10s %s" % (turn + 1, name, json.dumps(
                results[name][-1])), file=sys.stderr)
    report(results)


if __name__ == "__main__":
    main()
