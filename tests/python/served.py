"""A server with several processes, as a program, and its WebSockets."""

import os
import re
import subprocess
import sys
import threading
import time

from patience import PATIENCE, until

import wsocket

ENVIRON = {k: v for k, v in os.environ.items() if not k.startswith("WSOCKET")}


class Served:
    """A server with workers, and its URL. The module shop.py has its app."""

    def __init__(self, folder, command, app, environ=ENVIRON):
        (folder / "shop.py").write_text(app)
        self.lines = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()
        found = self.until(r"http://127\.0\.0\.1:(\d+)")
        self.url = "ws://127.0.0.1:" + found[1]

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    @property
    def log(self):
        return "".join(self.lines)

    def until(self, pattern):
        return until(
            lambda: re.search(pattern, self.log), why=lambda: self.log
        )

    def connect(self, topic="room"):
        """Return a WebSocket and the PID of its worker."""
        ws = wsocket.connect("%s/%s" % (self.url, topic), timeout=PATIENCE)
        return ws, int(ws.receive(timeout=PATIENCE))

    def connect_to_all(self, n, topic="room"):
        """Return one WebSocket at each of ``n`` workers, by its PID."""
        found = {}
        deadline = time.monotonic() + PATIENCE
        while len(found) < n:
            assert time.monotonic() < deadline
            ws, pid = self.connect(topic)
            if pid in found:
                ws.close()
            else:
                found[pid] = ws
        return found

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()


def workers(n, *options):
    """The command of a supervisor with ``n`` workers that serve shop.py."""
    return ["wsocket", "--workers", str(n), "--port", "0", *options, "shop:app"]


def workers_of_gunicorn(n, *options):
    return [
        *("gunicorn", "-k", "wsocket.gunicorn.Worker", "-w", str(n)),
        *("-b", "127.0.0.1:0", "--threads", "8", *options, "shop:app"),
    ]
