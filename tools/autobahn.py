#!/usr/bin/env python3
"""The Autobahn cases, played by kosoku (PyPI) against each of our echoes.

    tools/autobahn.py [--all] [--tls]

Without --all, those of the protocol (1 to 7, 10): the others are about limits
and compression and take minutes. With --tls the echoes speak TLS, and kosoku,
which speaks none, reaches them through a tunnel. The echoes: the event app, a blocking handler,
and examples/c/echo under ASan, in build/asan. Reports go to artifacts/autobahn.
Ends with a count.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import tls_tunnel

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REPORTS = os.path.join(ROOT, "artifacts", "autobahn")
PROTOCOL = ["-i", "1.*", "-i", "2.*", "-i", "3.*", "-i", "4.*", "-i", "5.*",
            "-i", "6.*", "-i", "7.*", "-i", "10.*"]

# Where an answer may come later than it could, or with less before it.
LENIENT = ("6.4.",)

# kosoku wants 16 MiB messages, and every message compressed where that was
# agreed; a case may be silent for longer than our pings.
OPTIONS = {"port": "0", "access_logfile": "none", "ws_max_size": "64m",
           "ws_ping_interval": "0", "ws_compression_threshold": "0"}
PYTHON = [sys.executable, "-m", "wsocket"] + [
    word for name, value in OPTIONS.items()
    for word in ("--" + name.replace("_", "-"), value)]
ECHOES = {
    "events": [*PYTHON, "ws_events:app"],
    "blocking": [*PYTHON, "ws_blocking:app"],
    "c": [os.path.join(ROOT, "build", "asan", "echo"),
          *("%s=%s" % option for option in OPTIONS.items())],
}


def secure(command):
    """The words that make one of the commands speak TLS."""
    return (["--certfile", "dev"] if command[0] == sys.executable
            else ["certfile=dev"])


class Server:
    """A command that prints its port, for the length of a `with`. The
    certificate that `certfile dev` makes lies in a folder of its own."""

    def __init__(self, command, folder):
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        self.home = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            command, cwd=folder, stdout=self.log, stderr=self.log,
            env=dict(os.environ, XDG_STATE_HOME=self.home.name))

    def __enter__(self):
        for _ in range(400):
            with open(self.log.name, encoding="utf-8") as file:
                text = file.read()
            said = re.search(r"(?:https?|ws)://[\w.]+:(\d+)", text)
            if said:
                return said[1]
            time.sleep(0.05)
        raise RuntimeError("the server did not start: " + text)

    def __exit__(self, *reason):
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            self.home.cleanup()


@contextlib.contextmanager
def reached(command, folder, tls):
    """The port of a server of plain TCP; with `tls` that of a tunnel to it."""
    with Server(command, folder) as port:
        if not tls:
            yield port
            return
        with tls_tunnel.Tunnel(port) as tunnel:
            yield tunnel


def play(name, port, cases):
    """Passed and failed cases against one echo."""
    out = os.path.join(REPORTS, name)
    kosoku = os.path.join(os.path.dirname(sys.executable), "kosoku")
    status = subprocess.call([kosoku, "127.0.0.1:" + port, "-p", "2", "-o", out,
                              *cases], stdout=subprocess.DEVNULL)
    with open(os.path.join(out, "index.json"), encoding="utf-8") as file:
        (results,) = json.load(file).values()
    passed = failed = 0
    for case, result in sorted(results.items()):
        said = result["behavior"], result["behaviorClose"]
        fine = {"OK", "INFORMATIONAL"} | (
            {"NON-STRICT"} if case.startswith(LENIENT) else set())
        passed += set(said) <= fine
        failed += not set(said) <= fine
        if not set(said) <= {"OK", "INFORMATIONAL"}:
            print("%s: case %s: %s, %s" % (name, case, *said))
    return passed, failed + (status != 0 and failed == 0)


def main(*args):
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--tls", action="store_true")
    chosen = parser.parse_args(args)
    cases = [] if chosen.all else PROTOCOL
    total = [0, 0]
    for name, command in ECHOES.items():
        if chosen.tls:
            name, command = name + "-tls", command + secure(command)
        with reached(command, os.path.join(ROOT, "bench"),
                     chosen.tls) as port:
            result = play(name, port, cases)
        print("%s: %d of %d cases" % (name, result[0], sum(result)),
              flush=True)
        total = [total[0] + result[0], total[1] + result[1]]
    print("%d passed, %d failed" % tuple(total))
    return total[1] > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
