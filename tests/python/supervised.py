"""A supervisor as a program, for the tests of it."""

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import Raw
from patience import PATIENCE

APP = """\
import os, sys, threading, time
VERSION = 1

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/slow":
        time.sleep(1)
    if path == "/exit":
        os._exit(0)
    ws = environ.get("wsgi.websocket")
    if ws is not None:
        for message in ws:
            ws.send(message)
        return []
    text = "%d %d %s %s %d" % (
        os.getpid(), VERSION, environ["wsocket.worker"],
        os.environ["WSOCKET_WORKER"], environ["wsgi.multiprocess"],
    )
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(text)))])
    return [text.encode()]
"""


def state_of(pid):
    """The letter of ps(1) for a process; Z also if there is none."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def is_there(pid):
    """Whether a process runs; one that only waits for its parent does not."""
    return state_of(pid) != "Z"


class Supervised:
    """A supervisor, started as a program, and its site."""

    is_reloader = False  # with --reload one process serves at a time

    def __init__(self, program, folder, eventually):
        self.edits = 0
        self.folder, self.eventually = folder, eventually
        self._program = program
        self.write(APP)

    def write(self, text, name="site_app.py"):
        path = self.folder / name
        path.write_text(text)
        # Bytecode of the same second and size would be taken for this.
        at = time.time() + self.edits
        self.edits += 2
        os.utime(path, (at, at))

    def start(self, *args, app="site_app:app", workers="2"):
        self.program = self._program(
            "--port", "0", "--access-logfile", "none",
            *(["--workers", workers] if workers else []), *args, app,
        )
        return self

    def up(self, *args, **more):
        self.start(*args, **more)
        self.program.wait_started()
        return self

    @property
    def said(self):
        return self.program.said

    @property
    def pid(self):
        return self.program.process.pid

    def workers(self):
        """PIDs of the worker processes that run."""
        path = "/proc/%d/task/%d/children" % (self.pid, self.pid)
        with open(path, encoding="ascii") as file:
            return [int(pid) for pid in file.read().split() if is_there(int(pid))]

    def get(self, path="/"):
        """(pid, version, slot) of whoever answers."""
        with Raw(self.program.port) as client:
            client.send(
                b"GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
                % path.encode()
            )
            status, _, body = client.response()
        assert status == 200, body
        pid, version, slot, variable, several = body.decode().split()
        assert slot == variable
        assert several == str(int(not self.is_reloader))
        return int(pid), int(version), int(slot)

    def wait_said(self, text, times=1):
        self.eventually(lambda: self.said.count(text) >= times)

    def wait_workers(self, n):
        self.eventually(lambda: len(self.workers()) == n)
        return self.workers()

    def signal(self, name):
        self.program.signal(getattr(signal, name))


@pytest.fixture
def site(program, tmp_path, eventually):
    return Supervised(program, tmp_path, eventually)


@pytest.fixture(params=["fork", "exec"])
def either(request, site, monkeypatch):
    """Workers that are forked, and workers that are programs."""
    monkeypatch.setenv("WSK_TEST_WORKERS", request.param)
    return site


def command(*args):
    return subprocess.run(
        [sys.executable, "-m", "wsocket", *args],
        capture_output=True, text=True, timeout=3 * PATIENCE,
    )
