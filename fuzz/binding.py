#!/usr/bin/env python3
"""Attack the Python package: binding, server and classes, under ASan and UBSan.

    fuzz/binding.py walk SECONDS [SEED]   as long as that, from another seed each time
    fuzz/binding.py brief CASES           always the same cases
    fuzz/binding.py replay FILE...        the cases of a finding, and nothing else

To be run by the Python of an environment whose package was built with the
sanitizers: `tools/run.py fuzz`, `tools/run.py replay FILE` see to that. Cases grow
from binding_cases.py, applications stand in binding_apps.py. Cases that brought
about something new are kept, and are what others are made from.

A finding is what a sanitizer reports, a process that ends or hangs, a line of a
JSON log that is not JSON, a traceback from inside the package, a SystemError. It
is saved beside its cases in build/found/binding.
"""

import faulthandler
import glob
import hashlib
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import binding_cases

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOUND = os.path.join(ROOT, "build", "found", "binding")
THREADS = 4
RECENT = 6  # cases of each thread that are at hand when the process ends
LOGGED = 100  # the same, when a line of a log is wrong
PATIENCE = 30  # seconds until what must happen counts as lost
MOST_KEPT = 2000
# C0, C1 in UTF-8, U+2028 and U+2029.
CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]")


# ---------------------------------------------------------------- client ---

class Client:
    """One connection, by a case; reads while it writes, unless it is deaf."""

    def __init__(self, port, deaf):
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if deaf:  # its kernel takes little for it
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.got = bytearray()
        self.ended = self.deaf = False

    def read(self):
        try:
            piece = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        self.ended = piece == b""
        if len(self.got) < 1 << 20:
            self.got += piece

    def send_deaf(self, data):
        """As much as is taken from who reads nothing."""
        while data and select.select([], [self.socket], [], 0.02)[1]:
            try:
                data = data[self.socket.send(data[:1 << 16]):]
            except OSError:
                return

    def send(self, data):
        if self.deaf:
            self.send_deaf(data)
            return
        data, until = memoryview(data), time.monotonic() + PATIENCE
        while data and not self.ended:
            readable, writable, _ = select.select([self.socket], [self.socket], [], 1)
            if readable:
                self.read()
            if writable and not self.ended:
                try:
                    data = data[self.socket.send(data[:1 << 16]):]
                except OSError:
                    return
            elif time.monotonic() > until:
                raise TimeoutError("the server does not read")

    def step(self, kind, data):
        if kind == "send":
            self.send(data)
        elif kind in ("deaf", "hear"):
            self.deaf = kind == "deaf"
        elif kind == "pause":
            time.sleep(data / 1000)
        elif kind == "half":
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                return
            until = time.monotonic() + PATIENCE
            while not self.ended:
                if not select.select([self.socket], [], [], 1)[0] and (
                        time.monotonic() > until):
                    raise TimeoutError("the server does not end")
                self.read()
        elif kind == "reset":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack("ii", 1, 0))


def converse(case, ports):
    """What came back; TimeoutError when it does not end."""
    client = Client(ports[case["site"]], ("deaf", b"") in case["steps"])
    try:
        for kind, data in case["steps"]:
            client.step(kind, data)
        return bytes(client.got)
    finally:
        client.socket.close()


# ---------------------------------------------------------------- worker ---

class Worker:
    """The process that the sanitizers watch: servers, and the clients that
    attack them."""

    def __init__(self, folder):
        import binding_apps

        self.apps = binding_apps
        self.folder = folder
        binding_apps.watch()
        for name in "a.txt", "index.html":
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write("static" * 1000)
        self.sites = binding_apps.Sites(folder)
        self.lock = threading.Lock()
        self.kept, self.known = [], set()
        self.reported = set()
        self.done = 0
        self.rests = {}

    def attack(self, case, slot):
        """Run one case; True when it brought about something new."""
        journal = os.path.join(self.folder, "case-%d-%d" % (slot, self.done % RECENT))
        text = binding_cases.dump(case)
        with open(journal, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        recent = self.apps.recent.setdefault(slot, [])
        recent.append(text)
        del recent[:-LOGGED]
        try:
            got = converse(case, self.sites.ports)
        except TimeoutError as error:
            faulthandler.dump_traceback(all_threads=True)
            self.apps.finding("hang", "%s: %s" % (case["site"], error))
            return False
        statuses = re.findall(rb"HTTP/1\.[01] (\d\d\d) ", got)[:3]
        with self.lock:
            seen = {(case["site"], name) for name in list(self.apps.signals)}
            seen.add((case["site"], tuple(statuses)))
            self.apps.signals.clear()
            new = not seen <= self.known
            self.known |= seen
        return new

    def report(self):
        """Save what was found, each once, with the cases that may have done it."""
        findings = self.apps.findings
        while findings:
            text, cases = findings.pop(0)
            kind = text[:20] if text.startswith("log") else text[-300:]
            bare = re.sub(r"0x[0-9a-f]+|\d+|'.*'", "", kind)
            name = hashlib.sha1(bare.encode("utf-8", "replace")).hexdigest()[:10]
            if name in self.reported:
                continue
            self.reported.add(name)
            if len(text) > 4000:
                text = text[:2000] + "\n...\n" + text[-2000:]
            print("found %s\n%s" % (save(name, text, cases), text), flush=True)

    def read_logs(self):
        """Every line of an access log is whole, and one line."""
        for path in glob.glob(os.path.join(self.folder, "access-*.log")):
            with open(path, "r+b") as file:
                lines = (self.rests.pop(path, b"") + file.read()).split(b"\n")
                if file.tell() > 1 << 24:
                    os.truncate(path, 0)  # the server appends
                elif file.tell():
                    self.rests[path] = b""
            del lines[-1]
            self.check_log(path, lines)

    def check_log(self, path, lines):
        for line in lines:
            if CONTROL.search(line):
                self.apps.finding("log", "a control octet: %r" % line)
            elif line.startswith(b"{"):
                try:
                    json.loads(line.decode("utf-8"))
                except ValueError as error:
                    self.apps.finding("log", "this is no JSON: %r: %s" % (line, error))

    def next_case(self, seed, number):
        rng = random.Random("%s:%d" % (seed, number))
        with self.lock:
            if self.kept and rng.random() < 0.4:
                one, other = rng.choice(self.kept), rng.choice(self.kept)
                return binding_cases.descendant(rng, one, other)
        return binding_cases.fresh(rng)

    def run(self, slot, seed, numbers, until):
        """Cases, until the numbers or the time is over."""
        for number in numbers:
            if time.monotonic() > until:
                return
            case = self.next_case(seed, number)
            try:
                new = self.attack(case, slot)
            except OSError as error:
                self.apps.finding("client", repr(error))
                continue
            with self.lock:
                self.done += 1
                if new:
                    self.kept.append(case)
                    del self.kept[:-MOST_KEPT]

    def walk(self, seed, runs, seconds):
        numbers, until = iter(range(runs)), time.monotonic() + seconds
        lock = threading.Lock()

        def one_by_one():
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                yield number

        threads = [threading.Thread(target=self.run, args=(
            slot, seed, one_by_one(), until)) for slot in range(THREADS)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            threads[0].join(0.5)
            time.sleep(0.5)
            self.read_logs()
            self.report()
            print("%d cases, %d of them new" % (self.done, len(self.known)), flush=True)
        self.end()

    def end(self):
        self.sites.stop()
        self.read_logs()
        self.report()
        print("%d cases, %d of them new" % (self.done, len(self.known)), flush=True)
        sys.stdout.flush()
        os._exit(len(self.reported) > 0)


def save(name, text, cases):
    """A finding and its cases; the path of these."""
    os.makedirs(FOUND, exist_ok=True)
    path = os.path.join(FOUND, name)
    with open(path + ".txt", "w", encoding="utf-8", errors="replace") as file:
        file.write(text)
    with open(path + ".cases", "w", encoding="utf-8") as file:
        file.writelines(case.rstrip("\n") + "\n" for case in cases)
    return os.path.relpath(path, ROOT) + ".cases"


def work(folder, how, *args):
    """Be the worker."""
    faulthandler.register(signal.SIGUSR2, all_threads=True)
    worker = Worker(folder)
    if how == "walk":
        seed, runs, seconds = args
        worker.walk(seed, int(runs), float(seconds))
    for path in args:
        with open(path, encoding="utf-8") as file:
            for line in file:
                worker.attack(binding_cases.load(line), 0)
                worker.done += 1
                worker.report()
    time.sleep(0.2)  # what a client has left behind ends meanwhile
    worker.end()


# ------------------------------------------------------------ supervisor ---

def start(folder, *args):
    """A worker, under the sanitizers."""
    sys.path.insert(0, os.path.join(ROOT, "tools"))
    import run

    return subprocess.Popen(
        [sys.executable, os.path.abspath(__file__), "worker", folder, *args],
        stdout=subprocess.PIPE, stderr=open(os.path.join(folder, "stderr"), "wb"),
        env=dict(os.environ, **run.sanitizer_settings()))


def follow(process):
    """Read along until it ends: its last line. One that says nothing for too
    long tells where its threads are, and is ended."""
    last, said = "", b""
    while True:
        if not select.select([process.stdout], [], [], 4 * PATIENCE)[0]:
            process.send_signal(signal.SIGUSR2)
            time.sleep(2)
            process.kill()
        piece = os.read(process.stdout.fileno(), 65536)
        if not piece:
            process.wait()
            return last
        *lines, said = (said + piece).split(b"\n")
        for line in lines:
            last = line.decode("utf-8", "replace")
            if " cases, " not in last:
                print(last, flush=True)


def cases_in(folder):
    """Those that were under way, the latest first."""
    paths = sorted(glob.glob(os.path.join(folder, "case-*")),
                   key=os.path.getmtime, reverse=True)
    cases = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            cases.append(file.read())
    return cases


def supervise(how, *args, narrow=True):
    """Run a worker to its end; whether it found nothing."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        process = start(folder, how, *args)
        try:
            last = follow(process)
        finally:
            process.kill()
        seconds = time.monotonic() - began
        if process.returncode in (0, 1):
            print("%s in %d s" % (last, seconds), flush=True)
            return process.returncode == 0
        with open(os.path.join(folder, "stderr"), encoding="utf-8",
                  errors="replace") as file:
            said = file.read()
        cases = cases_in(folder)
    print("%s\nthe process ended with %s after %d s" % (
        said[-6000:], process.returncode, seconds), flush=True)
    if narrow:
        print("replay " + narrowed(said, cases), flush=True)
    return False


def narrowed(said, cases):
    """The path of the case that did it; of all, when none does alone."""
    name = "crash-" + hashlib.sha1(said.encode("utf-8", "replace")).hexdigest()[:10]
    for case in cases:
        path = save(name, said, [case])
        with open(os.devnull, "w", encoding="utf-8") as nothing:
            alone = subprocess.run([sys.executable, __file__, "replay",
                                    os.path.join(ROOT, path)], stdout=nothing,
                                   stderr=nothing)
        if alone.returncode == 2:
            return path
    return save(name, said, cases)


def replay(*paths):
    """2 when the process ends, 1 when something else is found."""
    with tempfile.TemporaryDirectory() as folder:
        process = start(folder, "replay", *paths)
        print(follow(process))
        if process.returncode not in (0, 1):
            with open(os.path.join(folder, "stderr"), "rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
    return process.returncode if process.returncode in (0, 1) else 2


def main():
    how, *args = sys.argv[1:] or [""]
    if how == "worker":
        work(*args)
    elif how == "walk":
        seed = args[1] if len(args) > 1 else str(time.time_ns())
        print("seed " + seed, flush=True)
        return not supervise("walk", seed, str(1 << 40), args[0])
    elif how == "brief":
        return not supervise("walk", "1", args[0], "300")
    elif how == "replay":
        return replay(*args)
    else:
        sys.exit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
