#!/usr/bin/env python3
"""Judges from outside, against a server started here.

    tools/conformance.py [DIR]

kosoku (PyPI) plays all Autobahn cases against the demo. DIR may hold further
probers: h1probe.py with the app conf_app.py it needs, and wsprobe.py.
"""

import os
import re
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Server:
    """`python -m wsocket ARGS...` on a free port, for the length of a `with`."""

    def __init__(self, *args, folder=ROOT):
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "wsocket", "--port", "0", "--access-logfile",
             "none", *args], cwd=folder, stdout=self.log, stderr=self.log)

    def __enter__(self):
        for _ in range(200):
            with open(self.log.name, encoding="utf-8") as file:
                text = file.read()
            said = re.search(r"http://[\w.]+:(\d+)", text)
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


def autobahn():
    subprocess.check_call([sys.executable, "-m", "pip", "-q", "install",
                           "kosoku"])
    kosoku = os.path.join(os.path.dirname(sys.executable), "kosoku")
    # It expects every message compressed where that was agreed.
    with Server("--ws-max-size", "64m", "--ws-ping-interval", "0",
                "--ws-compression-threshold", "0") as port:
        return subprocess.call([
            kosoku, "127.0.0.1:" + port, "-p", "2",
            "-o", os.path.join(ROOT, "artifacts", "autobahn")])


def probe(folder, script, *args, cwd=ROOT):
    print("--- " + script, flush=True)
    with Server(*args, folder=cwd) as port:
        return subprocess.call([sys.executable, os.path.join(folder, script),
                                "--port", port])


def main():
    bad = 0
    if len(sys.argv) > 1:
        folder = os.path.abspath(sys.argv[1])
        bad += probe(folder, "h1probe.py", "--log-level", "critical",
                     "conf_app:app", cwd=folder) != 0
        bad += probe(folder, "wsprobe.py") != 0
    print("--- kosoku", flush=True)
    bad += autobahn() != 0
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
