#!/usr/bin/env python3
"""WSocketApp on other people's servers, each started as a process.

    tests/servers/matrix.py [--write] [--here] [SERVER...]

The servers are installed into build/servers, as far as they can be; with --here
they are those of this interpreter, which has the package. With --write the
table goes to docs/reference/servers.md. Ends with a count.
"""

import contextlib
import importlib.metadata
import os
import platform
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(ROOT, "tests", "servers")
HOME = os.path.join(ROOT, "build", "servers")
PAGE = os.path.join(ROOT, "docs", "reference", "servers.md")
PACKAGES = ["werkzeug", "cryptography", "packaging", "gunicorn", "gevent",
            "eventlet", "cheroot", "uwsgi", "waitress", "bjoern", "granian",
            "fastwsgi"]
PATIENCE = 60
HANDSHAKE = (b"GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
             b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")


def command(*words):
    return lambda port: [word.replace("PORT", str(port)) for word in words]


def serve(name, *more):
    return command(sys.executable, "serve.py", name, "PORT", *more)


def gunicorn(kind, *more):
    return command(sys.executable, "-m", "gunicorn", "app:app", "-k", kind,
                   "-b", "127.0.0.1:PORT", "--graceful-timeout", "2",
                   "--log-level", "warning", *more)


def program(name):
    return os.path.join(os.path.dirname(sys.executable), name)


def uwsgi(*more):
    return command(program("uwsgi"), "--wsgi", "app:app", "--master", "--threads", "60",
                   "--venv", sys.prefix, "--die-on-term", "--need-app",
                   "--worker-reload-mercy", "2", *more)


CERT = os.path.join(HOME, "dev.crt"), os.path.join(HOME, "dev.key")
TLS = "--certfile", CERT[0], "--keyfile", CERT[1]

# name: (package or program, how to start it, WebSockets at once, TLS)
SERVERS = {
    "werkzeug": ("werkzeug", serve("werkzeug"), 50, False),
    "werkzeug, TLS": ("werkzeug", serve("werkzeug", *CERT), 50, True),
    "wsgiref, threads": ("", serve("wsgiref"), 50, False),
    "gunicorn sync": ("gunicorn", gunicorn("sync", "-w", "3"), 3, False),
    "gunicorn gthread": (
        "gunicorn", gunicorn("gthread", "--threads", "60"), 50, False),
    "gunicorn gthread, TLS": (
        "gunicorn", gunicorn("gthread", "--threads", "60", *TLS), 50, True),
    "gunicorn gevent": ("gunicorn", gunicorn("gevent"), 50, False),
    "gunicorn gevent_pywsgi": (
        "gunicorn", gunicorn("gevent_pywsgi"), 50, False),
    "gunicorn gevent, TLS": ("gunicorn", gunicorn("gevent", *TLS), 50, True),
    "gevent.pywsgi": ("gevent", serve("gevent"), 50, False),
    "gevent.pywsgi, TLS": ("gevent", serve("gevent", *CERT), 50, True),
    "eventlet": ("eventlet", serve("eventlet"), 50, False),
    "eventlet, TLS": ("eventlet", serve("eventlet", *CERT), 50, True),
    "cheroot": ("cheroot", serve("cheroot"), 50, False),
    "uWSGI --http11-socket": (
        "uwsgi", uwsgi("--http11-socket", "127.0.0.1:PORT"), 50, False),
    "uWSGI --http": (
        "uwsgi", uwsgi("--http", "127.0.0.1:PORT", "--http-websockets"), 50,
        False),
    "uWSGI --https": (
        "uwsgi", uwsgi("--https", "127.0.0.1:PORT,%s,%s" % CERT,
                       "--http-websockets"), 50, True),
    "uWSGI --https-socket": (
        "uwsgi", uwsgi("--https-socket", "127.0.0.1:PORT,%s,%s" % CERT), 0,
        True),
    "waitress": ("waitress", serve("waitress"), 0, False),
    "bjoern": ("bjoern", serve("bjoern"), 0, False),
    "granian": (
        "granian", command(program("granian"), "--interface", "wsgi",
                           "--port", "PORT", "app:app"), 0, False),
    "fastwsgi": ("fastwsgi", serve("fastwsgi"), 0, False),
    "Apache with mod_wsgi": (
        "/usr/sbin/apache2", serve("mod_wsgi", HOME), 0, False),
}


class Site:
    """A running server."""

    def __init__(self, name, port):
        _, start, self.at_once, self.tls = SERVERS[name]
        self.name = name
        self.port = port
        self.log = open(os.path.join(HOME, "server.log"), "w+")
        self.process = subprocess.Popen(start(port), cwd=HERE, stdout=self.log,
                                        stderr=self.log, start_new_session=True)

    def context(self):
        if not self.tls:
            return None
        context = ssl.create_default_context(cafile=CERT[0])
        context.check_hostname = False
        return context

    def connect(self, path="/echo", **options):
        from wsocket import connect

        scheme = "wss" if self.tls else "ws"
        url = "%s://127.0.0.1:%d%s" % (scheme, self.port, path)
        return connect(url, ssl=self.context(), timeout=PATIENCE,
                       ws_ping_interval=0, max_size="64m", **options)

    def raw(self):
        sock = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        return self.context().wrap_socket(sock) if self.tls else sock

    def await_start(self):
        for _ in range(600):
            with contextlib.suppress(OSError), self.raw() as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                if sock.recv(10):
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        self.log.seek(0)
        raise RuntimeError("%s did not start: %s" % (self.name, self.log.read()))

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()


def echoes(ws, *messages):
    for message in messages:
        ws.send(message)
        got = ws.receive(timeout=PATIENCE)
        assert got == message, "an echo differs"


def text(site):
    with site.connect(compression=False) as ws:
        echoes(ws, "hi", "", "\u00e9\u20ac" * 1000, "x" * 70000)


def binary(site):
    with site.connect(compression=False) as ws:
        echoes(ws, b"\0\xff", b"", bytes(range(256)) * 300)


def fragmented(site):
    with site.connect(compression=False) as ws:
        for _ in range(20):
            ws.send_stream(iter(["one ", "two ", "three"]))
            assert ws.receive(timeout=PATIENCE) == "one two three"


def one_mebibyte(site):
    with site.connect(compression=False) as ws:
        echoes(ws, os.urandom(1 << 20), "y" * (1 << 20))


def compressed(site):
    with site.connect() as ws:
        assert ws.do_compress, "compression was not agreed"
        echoes(ws, *["a longer and longer text " * n for n in range(1, 100)])


def closed_by_client(site):
    ws = site.connect()
    echoes(ws, "x")
    ws.close(4001, "done")
    assert (ws.close_code, ws.close_clean) == (4001, True), ws


def closed_by_application(site):
    with site.connect("/close") as ws:
        ws.send("x")
        assert ws.receive(timeout=PATIENCE) is None
        assert (ws.close_code, ws.close_reason) == (4000, "bye"), ws


def frames_alone(site):
    """Frames in one piece with the handshake are read, and behind the 101 comes
    nothing but frames until the end. uWSGI keeps what it has read behind a
    head, so there the client does as it must (RFC 6455 4.1): it waits."""
    sent = b"\x81\x82\0\0\0\0hi" + b"\x88\x82\0\0\0\0\x03\xe8"
    with site.raw() as sock:
        data = b""
        if site.name.startswith("uWSGI"):
            sock.sendall(HANDSHAKE % b"/echo")
            data = sock.recv(4096)
            sock.sendall(sent)
        else:
            sock.sendall(HANDSHAKE % b"/echo" + sent)
        data += b"".join(iter(lambda: sock.recv(4096), b""))
    head, _, frames = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101"), head
    assert frames == b"\x81\x02hi\x88\x02\x03\xe8", frames


def reset(site):
    """Resets by clients leave the server well."""
    for _ in range(site.at_once + 1):
        sock = site.raw()
        sock.sendall(HANDSHAKE % b"/echo")
        assert sock.recv(12) == b"HTTP/1.1 101"
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        b"\1\0\0\0\0\0\0\0")
        sock.close()
    text(site)


def many(site):
    """All open together, each echoes thrice."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(site.connect())
                   for _ in range(site.at_once)]
        for turn in range(3):
            for n, ws in enumerate(sockets):
                ws.send("%d %d" % (n, turn))
            for n, ws in enumerate(sockets):
                assert ws.receive(timeout=PATIENCE) == "%d %d" % (n, turn)
    return str(site.at_once)


def after_keep_alive(site):
    sock = site.raw()
    sock.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % site.port)
    data = b""
    while not data.endswith(b"plain"):
        piece = sock.recv(4096)
        assert piece, "no plain answer"
        data += piece
    head = data.lower()
    sock.settimeout(1)
    with contextlib.suppress(socket.timeout):
        if not sock.recv(1):  # closed without a word
            head += b"connection: close"
    if head.startswith(b"http/1.0") or b"connection: close" in head:
        sock.close()
        return "–"
    from wsocket import connect

    if site.tls:  # connect() would put TLS on it once more
        sock.close()
        return "–"
    with connect("ws://127.0.0.1:%d/echo" % site.port, sock=sock) as ws:
        echoes(ws, "after HTTP")


def crash(site):
    with site.connect("/crash") as ws:
        ws.send("x")
        assert ws.receive(timeout=PATIENCE) is None
        assert ws.close_code == 1011, ws


def refusal(site):
    sock = site.raw()
    with sock:
        sock.sendall(HANDSHAKE % b"/refuse")
        assert b" 401 " in sock.recv(4096), "not refused"


def stop(site):
    """SIGTERM beside an open WebSocket; it may take five seconds more than the
    server's own patience."""
    ws = site.connect()
    echoes(ws, "x")
    reader = threading.Thread(target=lambda: ws.receive(timeout=PATIENCE))
    reader.start()
    site.process.terminate()
    try:
        site.process.wait(20)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(site.process.pid, signal.SIGKILL)
        reader.join()
        ws.close()


def refused_clearly(site):
    from wsocket import HandshakeError

    try:
        site.connect()
    except HandshakeError as exc:
        assert exc.status == 501, exc
    with site.raw() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in sock.recv(4096), "plain requests do not go on"
    site.log.seek(0)
    said = site.log.read().count("lends an application no socket")
    assert said == 1, "%d lines in the log" % said


CHECKS = [text, binary, fragmented, one_mebibyte, compressed, closed_by_client,
          closed_by_application, frames_alone, reset, many, after_keep_alive,
          crash, refusal, stop]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def run(name):
    """The cells of a row."""
    site = Site(name, free_port())
    cells = []
    try:
        site.await_start()
        for check in CHECKS if site.at_once else [refused_clearly]:
            try:
                cells.append(check(site) or "yes")
            except Exception as exc:
                print("%s: %s: %r" % (name, check.__name__, exc))
                cells.append("**no**")
    finally:
        site.end()
    print("%-24s %s" % (name, " ".join(cells)), flush=True)
    return cells


def version(package):
    if package.startswith("/"):
        said = subprocess.check_output([package, "-v"], text=True)
        return re.search(r"/([\d.]+)", said)[1]
    return importlib.metadata.version(package) if package else (
        platform.python_version())


def write(rows):
    heads = [check.__name__.replace("_", " ") for check in CHECKS]
    lines = [
        "# Servers",
        "",
        "Written by `tests/servers/matrix.py --write`, which starts each of "
        "these servers as",
        "a process with `WSocketApp` and plays a client against it. `many` is "
        "how many",
        "WebSockets were open at once, each with its thread, process or "
        "greenlet; – means",
        "that the server does not have it or, over TLS, that it was not tried.",
        "",
        "| server | version | " + " | ".join(heads) + " |",
        "|---" * (len(heads) + 2) + "|",
    ]
    for name, cells in rows.items():
        if not SERVERS[name][2]:
            cells = ["501"] + [""] * (len(heads) - 1)
        lines.append("| %s | %s | %s |" % (
            name, version(SERVERS[name][0]), " | ".join(cells)))
    lines += ["", "The servers of the last rows answer a WebSocket with 501 and "
              "log it; plain", "requests work.", ""]
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))


def installed(package):
    if package.startswith("/"):
        return os.path.exists(package)
    try:
        return not package or bool(version(package))
    except importlib.metadata.PackageNotFoundError:
        return False


def in_environment():
    """This script again, with the servers' own interpreter. A server that
    cannot be installed here does not keep the others from it."""
    python = os.path.join(HOME, "bin", "python")
    pip = [python, "-m", "pip", "install", "-q"]
    if not os.path.exists(python):
        subprocess.check_call([sys.executable, "-m", "venv", HOME])
    for package in PACKAGES:
        if subprocess.call([python, "-c", "import importlib.metadata as m; "
                            "m.version(%r)" % package],
                           stderr=subprocess.DEVNULL) != 0:
            print("installing " + package, flush=True)
            subprocess.call([*pip, package])
    subprocess.check_call([*pip, ROOT])
    os.execv(python, [python, *sys.argv, "--here"])


def main(words):
    if "--here" not in words:
        in_environment()
    os.makedirs(HOME, exist_ok=True)
    names = [word for word in words if not word.startswith("-")] or SERVERS
    if any(SERVERS[name][3] for name in names):
        from werkzeug.serving import make_ssl_devcert

        make_ssl_devcert(os.path.join(HOME, "dev"), host="localhost")
    rows = {}
    for name in names:
        if installed(SERVERS[name][0]):
            rows[name] = run(name)
        else:
            print("left out: %s is not installed" % name)
    if "--write" in words:
        write(rows)
    failed = sum(cells.count("**no**") for cells in rows.values())
    total = sum(len(cells) for cells in rows.values())
    print("%d passed, %d failed" % (total - failed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
