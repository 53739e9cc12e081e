"""What peers and the system do to a server that faces the internet."""

import os
import random
import re
import resource
import socket
import struct
import subprocess
import sys
import time

import pytest

from conftest import Raw
from patience import PATIENCE

pytestmark = pytest.mark.heavy

APP = """
from wsocket import WSocketApp

def plain(environ, start_response):
    ws = environ.get("wsgi.websocket")
    if ws is not None and environ["PATH_INFO"] == "/refuse":
        start_response("403 Forbidden", [("Content-Length", "2")])
        return [b"no"]
    if ws is not None:
        for message in ws:
            ws.send(message)
        return []
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

app = WSocketApp(plain)
"""

UPGRADE = (
    b"GET %s HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


def frame(opcode, data=b"", fin=True):
    n = len(data)
    size = bytes([0x80 | n]) if n < 126 else b"\xfe" + struct.pack("!H", n)
    return bytes([fin << 7 | opcode]) + size + bytes(4) + data


class Server:
    """The command in a process of its own, perhaps with few descriptors."""

    def __init__(self, where, *options, files=None):
        (where / "site_app.py").write_text(APP)

        def confine():
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        self.process = subprocess.Popen(
            [sys.executable, "-m", "wsocket", "site_app:app", "--port", "0",
             "--access-logfile", "none", *options],
            cwd=where, stderr=subprocess.PIPE,
            preexec_fn=confine if files else None,
        )
        line = self.process.stderr.readline().decode()
        self.port = int(re.search(r":(\d+)/", line)[1])

    def cpu(self):
        """Seconds of processor time so far."""
        with open("/proc/%d/stat" % self.process.pid) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def files(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def answers(self):
        with Raw(self.port) as client:
            client.send(GET)
            return client.response()[0] == 200

    def settle(self, files):
        """Wait, with an end, until no more descriptors are open than before."""
        for _ in range(PATIENCE * 10):
            if self.files() <= files:
                return True
            time.sleep(0.1)
        return False

    def stop(self):
        self.process.terminate()
        status = self.process.wait(PATIENCE)
        self.process.stderr.close()
        return status


needs_proc = pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="needs /proc"
)


@pytest.fixture
def program(tmp_path):
    servers = []

    def start(*options, **more):
        servers.append(Server(tmp_path, *options, **more))
        return servers[-1]

    yield start
    for server in servers:
        assert server.stop() == 0


def dial(port):
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def reset(sock):
    """Close with a reset instead of a goodbye."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    sock.close()


# --------------------------------------------------------- silent peers ---


def test_connections_that_say_nothing_disturb_nobody_and_end_in_silence(serve):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [b"ok"]

    site = serve(app, first_octet_timeout=1)
    silent = [dial(site.port) for _ in range(500)]
    for _ in range(50):
        assert site.get()[0] == 200
    # Browsers open some ahead of time: a 408 would be taken for an answer.
    for sock in silent:
        assert sock.recv(100) == b""
        sock.close()


def test_a_head_that_never_ends_is_answered_408(serve):
    site = serve(lambda environ, start_response: [], head_timeout=0.3)
    with site.raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: test\r\n")
        assert client.response()[0] == 408
        assert client.rest() == b""


# ------------------------------------------- refusals reach those who talk ---


def talk_on(client, piece, limit=400):
    """Keep sending, as a client does that has not looked yet."""
    try:
        for _ in range(limit):
            client.send(piece)
    except OSError:
        pass


@pytest.mark.parametrize("status, head, piece", [
    (400, b"GET / HTTP/1.1\r\nHost: test\r\nbad line\r\n\r\n", b"x" * 10000),
    (413, b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4000000\r\n\r\n",
     b"x" * 10000),
    (431, b"GET / HTTP/1.1\r\nHost: test\r\n", b"X-Filler: %s\r\n" % (b"x" * 1000)),
])
def test_a_refusal_reaches_a_client_that_keeps_sending(
    serve, status, head, piece
):
    site = serve(lambda environ, start_response: [], max_body=1000000)
    with site.raw() as client:
        client.send(head)
        talk_on(client, piece)
        assert client.response()[0] == status


def test_a_client_that_never_stops_sending_is_cut_off(serve):
    site = serve(lambda environ, start_response: [])
    with site.raw() as client:
        client.send(b"BAD\r\n")
        assert client.response()[0] == 400
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(1000):
                client.send(b"x" * 100000)


@pytest.mark.parametrize("code, bad", [
    (1002, frame(3)),
    (1009, b"\x82\xff" + struct.pack("!Q", 1 << 40) + bytes(4)),
])
def test_a_close_code_reaches_a_client_that_keeps_sending(serve, code, bad):
    def app(environ, start_response):
        for _ in environ["wsgi.websocket"]:
            pass
        return []

    site = serve(app)
    with site.raw() as client:
        client.send(UPGRADE % b"/")
        assert client.head()[0] == 101
        client.send(bad)
        talk_on(client, b"x" * 10000)
        head = client.file.read(2)
        assert head[0] == 0x88
        assert struct.unpack("!H", client.file.read(head[1])[:2])[0] == code


def test_frames_behind_a_refused_upgrade_are_no_second_request(serve):
    def app(environ, start_response):
        start_response("403 Forbidden", [("Content-Length", "2")])
        return [b"no"]

    site = serve(app)
    with site.raw() as client:
        client.send(UPGRADE % b"/", frame(1, b"early"), GET)
        assert client.response()[::2] == (403, b"no")
        assert client.rest() == b""


# ------------------------------------------------------------ bad weather ---


@needs_proc
def test_a_thousand_resets_at_random_points_leave_nothing_behind(program):
    server = program("--threads", "8")
    assert server.answers()
    files = server.files()
    dice = random.Random(1)
    script = (UPGRADE % b"/") + b"".join(
        frame(1, b"x" * dice.randrange(200)) for _ in range(20)
    )
    for i in range(1000):
        sock = dial(server.port)
        words = (GET * 5, script)[i % 2]
        sock.sendall(words[: dice.randrange(len(words) + 1)])
        if i % 3 == 0:
            sock.settimeout(0.01)
            try:
                sock.recv(dice.randrange(1, 500))
            except OSError:
                pass
        reset(sock)
    assert server.answers()
    assert server.settle(files + 2)


@needs_proc
def test_a_thousand_half_closed_connections_leave_nothing_behind(program):
    server = program()
    assert server.answers()
    files = server.files()
    for part in range(4):
        socks = [dial(server.port) for _ in range(250)]
        for i, sock in enumerate(socks):
            sock.sendall((GET, UPGRADE % b"/", GET[:20], b"")[i % 4])
            sock.shutdown(socket.SHUT_WR)
        for i, sock in enumerate(socks):
            answer = sock.makefile("rb").read()
            assert answer[9:12] == (b"200", b"101", b"400", b"")[i % 4]
            sock.close()
    assert server.answers()
    assert server.settle(files + 2)


@needs_proc
def test_running_out_of_descriptors_pauses_and_does_not_spin(program):
    server = program(files=64)
    assert server.answers()
    files = server.files()
    crowd = []
    for _ in range(150):
        crowd.append(dial(server.port))
        crowd[-1].sendall(GET[:5])  # an idle one would be let go
    for sock in crowd[:10]:  # those that got in are served
        sock.sendall(GET[5:])
        assert sock.recv(100).startswith(b"HTTP/1.1 200")
    before = server.cpu()
    time.sleep(1)
    assert server.cpu() - before < 0.3  # of a processor second in a second
    for sock in crowd:
        sock.close()
    assert server.settle(files + 2)
    assert server.answers()


@needs_proc
def test_an_idle_server_uses_no_processor(program):
    server = program()
    assert server.answers()
    socks = [dial(server.port) for _ in range(50)]
    for sock in socks[:25]:
        sock.sendall(UPGRADE % b"/")
        assert sock.recv(100).startswith(b"HTTP/1.1 101")
    time.sleep(0.5)
    before = server.cpu()
    time.sleep(2)
    assert server.cpu() - before <= 0.02
    for sock in socks:
        sock.close()
