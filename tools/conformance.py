#!/usr/bin/env python3
"""Judges from outside, against servers started here.

    tools/conformance.py [DIR]

All Autobahn cases against each of our echoes, over TCP and over TLS, and
clients of others with ten thousand messages each. DIR may hold further probers:
h1probe.py with the app conf_app.py it needs, and wsprobe.py. They are played
over both, too.
"""

import os
import subprocess
import sys

import autobahn

INTEROP = os.path.join(autobahn.ROOT, "tests", "interop", "run.py")


def probe(folder, script, tls, app, *options):
    print("--- " + script + (" over TLS" if tls else ""), flush=True)
    command = [sys.executable, "-m", "wsocket", "--port", "0",
               "--access-logfile", "none", *options, *app]
    command += autobahn.secure(command) if tls else []
    with autobahn.reached(command, folder, tls) as port:
        return subprocess.call([sys.executable, os.path.join(folder, script),
                                "--port", port])


def main():
    bad = 0
    for tls in False, True:
        if len(sys.argv) > 1:
            folder = os.path.abspath(sys.argv[1])
            bad += probe(folder, "h1probe.py", tls, ["conf_app:app"],
                         "--log-level", "critical") != 0
            bad += probe(folder, "wsprobe.py", tls, []) != 0
        print("--- Autobahn" + (" over TLS" if tls else ""), flush=True)
        bad += autobahn.main("--all", *(["--tls"] if tls else []))
    print("--- interop", flush=True)
    bad += subprocess.call([sys.executable, INTEROP]) != 0
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
