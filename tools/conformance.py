#!/usr/bin/env python3
"""Judges from outside, against servers started here.

    tools/conformance.py [DIR]

All Autobahn cases against each of our echoes, and clients of others with ten
thousand messages each. DIR may hold further probers:
h1probe.py with the app conf_app.py it needs, and wsprobe.py.
"""

import os
import subprocess
import sys

import autobahn

INTEROP = os.path.join(autobahn.ROOT, "tests", "interop", "run.py")


def probe(folder, script, app, *options):
    print("--- " + script, flush=True)
    command = [sys.executable, "-m", "wsocket", "--port", "0",
               "--access-logfile", "none", *options, *app]
    with autobahn.Server(command, folder) as port:
        return subprocess.call([sys.executable, os.path.join(folder, script),
                                "--port", port])


def main():
    bad = 0
    if len(sys.argv) > 1:
        folder = os.path.abspath(sys.argv[1])
        bad += probe(folder, "h1probe.py", ["conf_app:app"], "--log-level",
                     "critical") != 0
        bad += probe(folder, "wsprobe.py", []) != 0
    print("--- Autobahn", flush=True)
    sys.argv[1:] = ["--all"]
    bad += autobahn.main()
    print("--- interop", flush=True)
    bad += subprocess.call([sys.executable, INTEROP]) != 0
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
