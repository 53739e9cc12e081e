#!/usr/bin/env python3
"""Clients of others, against the applications of echoes.py.

    tests/interop/run.py [--count N] [CLIENT...]

Each of websockets, websocket-client, aiohttp, picows, npm's ws and Chromium
sends 10,000 messages (plan.py says which), and gets each back as it went. What
that needs is installed into build/interop; what cannot be had is named and
skipped. Run it with a Python that has wsocket. Ends with a count.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
HOME = os.path.join(ROOT, "build", "interop")
INSIDE = os.path.join(HOME, "venv", "bin", "python")
PYTHONS = ["websockets", "websocket-client", "aiohttp", "picows"]
PATIENCE = 900  # seconds for all messages of one client
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", "--disable-dev-shm-usage"]

sys.path.insert(0, HERE)
from plan import plan  # noqa: E402


class Missing(Exception):
    """What a client needs is not to be had here."""


class Server:
    """wsocket with app.py, for the length of a `with`."""

    def __init__(self, path):
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "wsocket", "--port", "0",
             "--access-logfile", "none", "echoes:app"],
            cwd=HERE, stdout=self.log, stderr=self.log,
            env={**os.environ, "INTEROP_PLAN": path})

    def __enter__(self):
        for _ in range(400):
            with open(self.log.name, encoding="utf-8") as file:
                said = re.search(r"http://[\w.]+:(\d+)", file.read())
            if said:
                return said[1]
            time.sleep(0.05)
        raise RuntimeError("the server did not start")

    def __exit__(self, *exc_info):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


def quietly(*command, cwd=HOME):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Missing("%s: %s" % (" ".join(command[:4]), done.stdout[-300:]))


def need(name):
    found = shutil.which(name)
    if not found:
        raise Missing("no " + name + " here")
    return found


def wanted_packages():
    if not os.path.exists(INSIDE):
        os.makedirs(HOME, exist_ok=True)
        quietly(sys.executable, "-m", "venv", os.path.dirname(
            os.path.dirname(INSIDE)))
    quietly(INSIDE, "-m", "pip", "install", "-q", *PYTHONS, "selenium")


def answer(command, cwd=HOME):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, text=True,
                          timeout=PATIENCE)
    return int(done.stdout.strip() or 0)


def python(name):
    def run(port, path):
        wanted_packages()
        return answer([INSIDE, os.path.join(HERE, "clients.py"), name, port,
                       path])
    return run


def node(port, path):
    program = need("node")
    if not os.path.exists(os.path.join(HOME, "node_modules", "ws")):
        quietly(need("npm"), "install", "--no-audit", "--no-fund",
                "--prefix", HOME, "ws")
    return answer([program, os.path.join(HERE, "play.js"), port, path])


def chromium(port, path):
    need("chromium")
    need("chromedriver")
    wanted_packages()
    return answer([INSIDE, os.path.abspath(__file__), "--browse", port])


def browse(port):
    """Inside the environment that has selenium: what the page's title says."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = need("chromium")
    with tempfile.TemporaryDirectory() as profile:
        for flag in [*FLAGS, "--user-data-dir=" + profile]:
            options.add_argument(flag)
        driver = webdriver.Chrome(
            options=options,
            service=webdriver.ChromeService(need("chromedriver")))
        try:
            driver.get("http://127.0.0.1:%s/" % port)
            for _ in range(PATIENCE):
                if driver.title.startswith(("done", "failed")):
                    break
                time.sleep(1)
            print(re.sub(r"\D", "", driver.title) or 0)
        finally:
            driver.quit()


CLIENTS = {**{name: python(name) for name in PYTHONS},
           "ws": node, "chromium": chromium}


def one(name, port, path, count):
    """Whether it passed; None: it could not be tried."""
    begun = time.monotonic()
    try:
        good = CLIENTS[name](port, path)
    except Missing as reason:
        print("    %s: skipped: %s" % (name, reason))
        return None
    except (subprocess.TimeoutExpired, ValueError) as reason:
        print("    %s: %s" % (name, reason))
        good = 0
    print("    %s: %d of %d messages in %.0f s" %
          (name, good, count, time.monotonic() - begun), flush=True)
    return good == count


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--browse", metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("clients", nargs="*", metavar="CLIENT",
                        default=list(CLIENTS))
    chosen = parser.parse_args()
    if chosen.browse:
        browse(chosen.browse)
        return 0
    os.makedirs(HOME, exist_ok=True)
    path = os.path.join(HOME, "plan.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(plan(chosen.count), file)
    with Server(path) as port:
        results = [one(name, port, path, chosen.count)
                   for name in chosen.clients]
    failed = results.count(False)
    print("%d passed, %d failed" % (results.count(True), failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
