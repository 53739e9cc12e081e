"""Fixtures: a server in this process, one as a program, and raw clients."""

import os
import re
import signal
import subprocess
import sys
import threading

import pytest
import secure
from patience import PATIENCE, until
from websockets.sync.client import connect

import wsocket

# Programs inherit what is ignored: by nohup, or in the background of a script.
for ignored in signal.SIGINT, signal.SIGHUP, signal.SIGQUIT:
    if signal.getsignal(ignored) == signal.SIG_IGN:
        signal.signal(
            ignored,
            signal.default_int_handler
            if ignored == signal.SIGINT
            else signal.SIG_DFL,
        )


def pytest_collection_modifyitems(config, items):
    """Over TLS only those run that can."""
    if not secure.IS_ON:
        return
    kept = [i for i in items if i.path.stem in secure.SUITES]
    left = [i for i in items if i.path.stem not in secure.SUITES]
    config.hook.pytest_deselected(items=left)
    items[:] = kept
    for item in items:
        if item.get_closest_marker("plain"):
            item.add_marker(pytest.mark.skip(reason="it needs plain TCP"))


class Raw:
    """A client that sends exactly what it is told; over TLS if that is on."""

    def __init__(self, port, tls=False, **settings):
        self.socket = secure.connected(port, tls, PATIENCE, **settings)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.file.close()
        self.socket.close()

    def send(self, *parts):
        self.socket.sendall(b"".join(parts))

    def head(self):
        """The next status code and header fields; names in lower case."""
        status = int(self.file.readline().split(b" ")[1])
        headers = {}
        while True:
            line = self.file.readline().rstrip(b"\r\n")
            if not line:
                return status, headers
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()

    def chunk(self):
        """The next chunk; b"" is the last."""
        data = self.file.read(int(self.file.readline(), 16))
        self.file.readline()
        return data

    def response(self, bodiless=False):
        """The next response as (status, headers, body)."""
        status, headers = self.head()
        if bodiless or status in (204, 304):
            return status, headers, b""
        if "content-length" in headers:
            length = int(headers["content-length"])
            return status, headers, self.file.read(length)
        if headers.get("transfer-encoding") == "chunked":
            return status, headers, b"".join(iter(self.chunk, b""))
        return status, headers, self.file.read()

    def rest(self):
        """Everything until the server closes."""
        return self.file.read()


class Site:
    """A server in this process and the ways to reach it."""

    tls, scheme = False, "http"  # of sites that others make

    def __init__(self, server, tls=False):
        self.server = server
        self.port = server.port
        if tls:
            self.tls, self.scheme = True, "https"

    def raw(self):
        return Raw(self.port, self.tls)

    def get(self, target="/", *headers, method="GET", body=b""):
        """One request on its own connection: (status, headers, body)."""
        lines = ["%s %s HTTP/1.1" % (method, target), "Host: test", *headers]
        lines.append("Connection: close")
        if body:
            lines.append("Content-Length: %d" % len(body))
        with self.raw() as client:
            head = "\r\n".join(lines) + "\r\n\r\n"
            client.send(head.encode("latin-1"), body)
            return client.response(bodiless=method == "HEAD")

    def ws(self, target="/", **options):
        options.setdefault("proxy", None)
        options.setdefault("compression", None)
        url = "ws://127.0.0.1:%d%s" % (self.port, target)
        if self.tls:
            # websockets lets one thread read from ssl.SSLSocket while another
            # writes, which OpenSSL does not bear, and Python not before 3.14.
            options["sock"] = secure.connected(
                self.port, made=options.pop("ssl", None)
            )
        try:
            return connect(url, **options)
        except TypeError:  # before version 15 there was no proxy
            del options["proxy"]
            return connect(url, **options)

    def stop(self):
        self.server.stop()
        return self.server.join(PATIENCE)


@pytest.fixture
def serve():
    """serve(app, **options): a Site; at the end it must stop cleanly."""
    sites = []

    def start(app=None, tls=secure.IS_ON, **options):
        options.setdefault("access_logfile", "none")
        options.setdefault("graceful_timeout", 5)
        if tls:
            options = {**secure.options(), **options}
        server = wsocket.Server(app, port=0, **options).start()
        sites.append(Site(server, tls))
        return sites[-1]

    yield start
    for site in sites:
        assert site.stop()


class Program:
    """``python -m wsocket``, and what it says: on standard error as it comes,
    on standard output all of it at once. Both are read, so that it may say
    more than a pipe holds."""

    def __init__(
        self, *args, cwd, command=("-m", "wsocket"), executable=sys.executable,
        **more
    ):
        self.process = subprocess.Popen(
            [executable, *command, *args],
            cwd=cwd,
            **more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = self.printed = ""
        self.started = threading.Event()
        self.port = None
        self.readers = [
            threading.Thread(target=read, daemon=True)
            for read in (self.read, self.read_output)
        ]
        for reader in self.readers:
            reader.start()

    def read(self):
        for line in self.process.stderr:
            self.said += line
            found = re.search(r"https?://[^ ]+:(\d+)", line)
            if found and self.port is None:
                self.port = int(found[1])
                self.started.set()
        self.started.set()

    def read_output(self):
        self.printed = self.process.stdout.read()

    def wait_started(self):
        assert self.started.wait(PATIENCE)
        assert self.port, self.said
        return self

    def says(self, pattern):
        """Wait until it says so: what it wrote has to be read."""
        return until(
            lambda: re.search(pattern, self.said), why=lambda: self.said
        )

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        """The exit code; then `said` and `printed` are complete."""
        code = self.process.wait(PATIENCE)
        for reader in self.readers:
            reader.join(PATIENCE)
        return code

    def raw(self):
        return Raw(self.port)


@pytest.fixture
def program(tmp_path):
    """program(*args): start it, with the test's own folder as its own."""
    programs = []

    def start(*args, **options):
        options.setdefault("cwd", tmp_path)
        programs.append(Program(*args, **options))
        return programs[-1]

    yield start
    for started in programs:
        started.process.kill()
        started.process.wait()
        for reader in started.readers:
            reader.join(PATIENCE)
        started.process.stdout.close()
        started.process.stderr.close()


@pytest.fixture
def eventually():
    """eventually(condition): wait for what another thread brings about."""
    return until


@pytest.fixture
def server_log(capfd, eventually):
    """server_log(text): what the server's own log has got since the last call,
    once it says that. capfd makes a file of it; its readouterr() would lose
    what is written meanwhile."""
    seen = 0

    def new():
        return os.pread(2, 1 << 24, seen)

    def wait(text):
        nonlocal seen
        eventually(lambda: text.encode() in new())
        said = new()
        seen += len(said)
        return said.decode()

    return wait
