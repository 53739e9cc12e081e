"""Debian's redis-server for tests, and what comes between: a cutter."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from patience import until


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def encode(*words):
    out = b"*%d\r\n" % len(words)
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        out += b"$%d\r\n%s\r\n" % (len(word), word)
    return out


class Redis:
    """A redis-server of our own, on a free port; or within a network namespace,
    whose words `within` are, at a host of it, and here at a Unix socket."""

    program = "redis-server"

    def __init__(
        self, folder, *options, port=None, host="127.0.0.1", within=(), path=None
    ):
        found = shutil.which(self.program)
        if found is None:
            pytest.skip("no %s here" % self.program)
        self.port = port or free_port()
        self.host, self.within, self.path = host, within, path
        if path:
            options += "--unixsocket", path, "--protected-mode", "no"
        self.folder, self.options = str(folder), options
        self.process = None
        self.start()

    @property
    def url(self):
        return "redis://%s:%d" % (self.host, self.port)

    def command(self):
        return [
            *self.within, shutil.which("redis-server"), "--port",
            str(self.port), "--bind", self.host, "--dir", self.folder, "--save", "",
            "--daemonize", "no", *self.options,
        ]

    def start(self):
        self.launch()
        until(self.answers)

    def launch(self):
        with open(os.path.join(self.folder, "redis.log"), "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log,
            )

    def says(self, *words):
        """What it answers; "" while it does not."""
        try:
            return self.ask(*words)
        except (OSError, EOFError):
            return ""

    def answers(self):
        return self.says("PING").startswith("+PONG")

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()

    def restart(self):
        self.kill()
        self.start()

    def connected(self):
        if self.path is None:
            return socket.create_connection((self.host, self.port), 10)
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10)
        try:
            sock.connect(self.path)
        except OSError:
            sock.close()
            raise
        return sock

    def ask(self, *words, auth=()):
        """The first line of an answer, and what has come with it."""
        with self.connected() as sock:
            for command in ([("AUTH",) + tuple(auth)] if auth else []) + [words]:
                sock.sendall(encode(*command))
                time.sleep(0.002)
                data = sock.recv(65536)
                if not data:
                    raise EOFError
            return data.decode("latin-1")

    def listeners(self, topic):
        """How many processes have subscribed to a topic."""
        said = self.ask("PUBSUB", "NUMSUB", "wsocket:t:" + topic)
        return int(said.strip().rpartition(":")[2])


class Sentinel(Redis):
    program = "redis-sentinel"

    def __init__(self, folder, name, master_port, quorum):
        self.text = (
            "sentinel monitor {0} 127.0.0.1 {1} {2}\n"
            "sentinel down-after-milliseconds {0} 500\n"
            "sentinel failover-timeout {0} 2000\n"
        ).format(name, master_port, quorum)
        super().__init__(folder)

    def command(self):
        path = os.path.join(self.folder, "sentinel-%d.conf" % self.port)
        if not os.path.exists(path):
            with open(path, "w", encoding="ascii") as file:
                file.write(
                    "port %d\nbind 127.0.0.1\ndir %s\n%s"
                    % (self.port, self.folder, self.text)
                )
        return [shutil.which("redis-sentinel"), path]


class Cutter:
    """Stands between clients and a server: passes octets on, or ends, swallows
    or holds them. `after` cuts each connection behind so many octets of the
    server's."""

    def __init__(self, port):
        self.target = port
        self.after = None
        self.holes = set()  # "up", "down": swallowed
        self.refuses = False
        self.pairs = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = "redis://127.0.0.1:%d" % self.port
        self.open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while self.open:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                if self.refuses:
                    raise OSError
                server = socket.create_connection(("127.0.0.1", self.target), 5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self.lock:
                self.pairs.append((client, server))
            for way in ((client, server, "up"), (server, client, "down")):
                threading.Thread(target=self._pass, args=way, daemon=True).start()

    def _pass(self, source, target, way):
        left = self.after if way == "down" else None
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if way in self.holes:
                    continue
                if left is not None:
                    data, left = data[:left], left - len(data[:left])
                target.sendall(data)
                if left == 0:
                    break
        except OSError:
            pass
        for sock in (source, target):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """End all connections."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for sock in pair:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.open = False
        self.listener.close()
        self.cut()
