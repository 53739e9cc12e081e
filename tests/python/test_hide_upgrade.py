"""What ws_hide_upgrade leaves of Connection, and that no list is too long."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.programs

HANDSHAKE = (
    "GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nConnection: %s\r\n\r\n"
)

# A block that is written past its end ends the process there and then.
GUARDED = """
import socket, threading
from wsocket import Server
from wsocket.middleware import Middleware
from wsgiref.simple_server import WSGIRequestHandler, make_server

def app(environ, start_response):
    body = environ["HTTP_CONNECTION"].encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass

def ask(port, elements):
    with socket.create_connection(("127.0.0.1", port), 20) as peer:
        peer.sendall((%r %% ",".join(elements + ["upgrade"])).encode())
        answer = b""
        while not answer.endswith(b"a"):
            more = peer.recv(65536)
            assert more, answer
            answer += more
        assert answer.endswith(b"\\r\\n\\r\\n" + ", ".join(elements).encode())

foreign = make_server(
    "127.0.0.1", 0, Middleware(app, ws_hide_upgrade="always"), handler_class=Quiet
)
threading.Thread(target=foreign.serve_forever, daemon=True).start()
with Server(app, port=0, access_logfile="none", ws_hide_upgrade="always") as own:
    for port in own.port, foreign.server_port:
        for n in 1, 12, 13, 14, 200, 3000, 20000:
            ask(port, ["a"] * n)
print("good", flush=True)
foreign.shutdown()
"""


def test_a_list_of_any_length_loses_upgrade_and_nothing_else():
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", GUARDED % HANDSHAKE],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "good\n"), done.stderr


@pytest.mark.parametrize(
    "sent, left",
    [
        ("Upgrade", None),
        ("keep-alive, Upgrade", "keep-alive"),
        (",, UPGRADE\t,, a ,b,", "a, b"),
        ("upgrades, upgrade", "upgrades"),
        ("a, upgrade, b, Upgrade", "a, b"),
        ("b\xe9, upgrade", "b\xe9"),
    ],
)
def test_only_the_element_upgrade_is_hidden(serve, sent, left):
    seen = []

    def app(environ, start_response):
        seen.append(environ.get("HTTP_CONNECTION"))
        assert "HTTP_UPGRADE" not in environ
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with serve(app, ws_hide_upgrade="always").raw() as client:
        client.send((HANDSHAKE % sent).encode("latin-1"))
        assert client.head()[0] == 200
    assert seen == [left]
