"""An installed wsocket, by what a first hour with it uses.

    python smoke.py [PROGRAM...]

Run it with the Python that has the package; nothing else needs to be installed.
PROGRAM starts that Python if it cannot start by itself (qemu-aarch64-static ...).
The last line is the count.
"""

import contextlib
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

PROGRAM = [*sys.argv[1:], sys.executable]
PATIENCE = 60  # seconds; an emulated processor is slow
APP = '''
import wsocket

def app(environ, start_response):
    ws = environ.get("wsgi.websocket")
    if ws is not None and environ["PATH_INFO"] == "/room":
        ws.subscribe("room")
        for message in ws:
            wsocket.publish("room", message)
        return []
    if ws is not None:
        for message in ws:
            ws.send(message)
        return []
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello by " + environ["wsgi.url_scheme"].encode()]
'''


class Server:
    """The command, with a free port, for the length of a `with`."""

    def __init__(self, folder, *args):
        self.said = ""
        self.process = subprocess.Popen(
            [*PROGRAM, "-m", "wsocket", "--port", "0", *args, "site_app:app"],
            cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
            text=True)

    def __enter__(self):
        for line in self.process.stderr:
            self.said += line
            found = re.search(r"https?://[^/]*:(\d+)/", line)
            if found:
                self.port = int(found[1])
                return self
        self.process.wait()
        raise AssertionError("it does not serve: " + self.said)

    def __exit__(self, *reason):
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.stderr.close()
        if reason[0] is None:
            assert status == 0, "exit status %s after SIGTERM" % status


def body(port, tls=None):
    kind = http.client.HTTPConnection
    more = {}
    if tls is not None:
        kind, more = http.client.HTTPSConnection, {"context": tls}
    with contextlib.closing(kind("localhost", port, timeout=PATIENCE,
                                 **more)) as client:
        client.request("GET", "/")
        answer = client.getresponse()
        assert answer.status == 200, answer.status
        return answer.read()


def echoes(url, **more):
    from wsocket import connect
    with connect(url, timeout=PATIENCE, **more) as ws:
        for message in "Hello", "gr\u00fc\u00dfe" * 1000, b"\0" * 100000:
            ws.send(message)
            assert ws.receive(timeout=PATIENCE) == message


def output(*args):
    done = subprocess.run([*PROGRAM, "-m", "wsocket", *args], timeout=PATIENCE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    return done.returncode, done.stdout


def plain_http(folder):
    with Server(folder) as server:
        assert body(server.port) == b"hello by http"


def websockets(folder):
    with Server(folder) as server:
        for compression in True, False:
            echoes("ws://localhost:%d/" % server.port, compression=compression)


def workers(folder):
    with Server(folder, "--workers", "2") as server:
        assert body(server.port) == b"hello by http"


def tls(folder):
    """With the system's OpenSSL; or a sentence, where it has none."""
    try:
        server = Server(folder, "--certfile", "dev").__enter__()
    except AssertionError as said:
        assert "TLS needs OpenSSL 3" in str(said), said
        print("     no OpenSSL 3 here, and it says so")
        return
    import ssl
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        assert body(server.port, context) == b"hello by https"
        echoes("wss://localhost:%d/" % server.port, ssl=context)
    finally:
        server.__exit__(None, None, None)


@contextlib.contextmanager
def redis(folder):
    """The URL of a Redis: REDIS, or one of our own; None where there is none."""
    program = shutil.which("redis-server")
    if "REDIS" in os.environ or program is None:
        yield os.environ.get("REDIS")
        return
    path = os.path.join(folder, "redis.sock")
    server = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", path, "--save", "", "--dir",
         folder], stdout=subprocess.DEVNULL)
    try:
        yield "unix:" + path
    finally:
        server.terminate()
        server.wait()


def broker(folder):
    """What one server publishes arrives at another; or, without a Redis, a
    server serves and tries again."""
    with redis(folder) as url:
        if url is None:
            print("     no Redis here: a server waits for one")
            with Server(folder, "--broker", "unix:/nonexistent") as server:
                assert body(server.port) == b"hello by http"
            return
        args = ["--broker", url, "--broker-prefix", "smoke%d" % os.getpid()]
        with Server(folder, *args) as one, Server(folder, *args) as two:
            meets(*("ws://localhost:%d/room" % server.port
                    for server in (one, two)))


def meets(one, two):
    """A client of each server; the second may subscribe after the first has
    spoken."""
    from wsocket import connect
    with connect(one, timeout=PATIENCE) as speaker, \
            connect(two, timeout=PATIENCE) as listener:
        deadline = time.monotonic() + PATIENCE
        while True:
            speaker.send("hello")
            try:
                assert listener.receive(timeout=1) == "hello"
                return
            except TimeoutError:
                assert time.monotonic() < deadline, "nothing arrives by Redis"


def command_line(folder):
    import wsocket
    status, said = output("--version")
    assert status == 0 and wsocket.__version__ in said, said
    status, said = output("--help")
    assert status == 0 and "--bind" in said, said
    status, said = output("--prot", "80")
    assert status == 2 and "did you mean --port" in said, said


def types(folder):
    import wsocket
    here = os.path.dirname(wsocket.__file__)
    assert os.path.exists(os.path.join(here, "py.typed"))
    assert os.path.exists(os.path.join(here, "_wsocket.pyi"))


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = folder  # certfile dev keeps its files there
        with open(os.path.join(folder, "site_app.py"), "w") as file:
            file.write(APP)
        for attempt in (plain_http, websockets, workers, tls, broker,
                        command_line, types):
            began = time.monotonic()
            try:
                attempt(folder)
                passed += 1
                print("ok   %s, %.1f s" % (attempt.__name__,
                                           time.monotonic() - began))
            except Exception:
                failed += 1
                print("FAILED " + attempt.__name__)
                traceback.print_exc(file=sys.stdout)
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
