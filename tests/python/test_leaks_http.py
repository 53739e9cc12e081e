"""Ten thousand requests of each ending leave nothing behind."""

import gc
import os
import socket
import struct
import sys

import pytest
from conftest import Site

from wsocket import Server

pytestmark = pytest.mark.heavy

GET = b"GET %s HTTP/1.1\r\nHost: t\r\n\r\n"
LARGE = 1 << 20


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/404":
        start_response("404 Not Found", [])
        return [b"no"]
    if path == "/500":
        raise ValueError("broken")
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/generator":
        return (bytes(100000) for _ in range(100))
    if path == "/large":
        return [bytes(4 * LARGE)]
    if path == "/file":
        return environ["wsgi.file_wrapper"](open(__file__, "rb"))
    if path == "/hole":
        return environ["wsgi.file_wrapper"](open(app.hole, "rb"))
    return [b"ok"]


def ask(*parts, status=None):
    def one(site):
        with site.raw() as client:
            client.send(*parts)
            if status is not None:
                assert client.response()[0] == status

    return one


def leave(target):
    """Ask, see the answer begin, and reset the connection."""

    def one(site):
        with site.raw() as client:
            client.socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            client.send(GET % target)
            client.socket.recv(1)

    return one


def descriptors():
    return len(os.listdir("/proc/self/fd"))


KINDS = {
    "ok": ask(GET % b"/", status=200),
    "400": ask(b"GET / HTTP/1.1\r\nHost : t\r\n\r\n", status=400),
    "404": ask(GET % b"/404", status=404),
    "413": ask(
        b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9999999\r\n\r\n",
        status=413,
    ),
    "431": ask(
        b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"x" * 70000 + b"\r\n\r\n",
        status=431,
    ),
    "500": ask(GET % b"/500", status=500),
    "generator": leave(b"/generator"),
    "large": leave(b"/large"),
    "file": ask(GET % b"/file", status=200),
    "file left": leave(b"/hole"),
    "disconnect": ask(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "count", [200, pytest.param(10000, marks=pytest.mark.slow)]
)
def test_requests_of_each_ending_leave_nothing_behind(
    caplog, tmp_path, eventually, kind, count
):
    caplog.set_level(100, logger="wsocket")  # the log itself would grow
    app.hole = str(tmp_path / "hole")
    with open(app.hole, "wb") as file:
        file.truncate(8 * LARGE)
    server = Server(
        app,
        port=0,
        access_logfile="none",
        log_level="critical",
        max_body="1m",
    )
    site = Site(server.start())
    try:
        for _ in range(100):
            KINDS[kind](site)
        gains = []
        while len(gains) < 4 and (not gains or gains[-1] >= count / 4):
            files = descriptors()
            gc.collect()
            blocks = sys.getallocatedblocks()
            for _ in range(count):
                KINDS[kind](site)
            # Those of the last requests are closed by other threads.
            eventually(lambda: descriptors() <= files + 2)
            gc.collect()
            gains.append(sys.getallocatedblocks() - blocks)
        assert gains[-1] < count / 4, gains
    finally:
        assert site.stop()
    assert os.path.exists(app.hole)
