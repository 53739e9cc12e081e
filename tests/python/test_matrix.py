"""Each part with each feature, on our server and on others. Where all of this
passes, docs/reference/features.md tells the truth."""

import contextlib
import os
import re
import select
import subprocess
import sys
import threading
import wsgiref.simple_server

import matrix_app
import pytest
import secure
from conftest import Raw, Site
from patience import PATIENCE
from websockets.exceptions import ConnectionClosed

import wsocket

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(HERE, "..", "..", "docs", "reference", "features.md")

ROWS = [
    ("server", "wsocket"),
    ("middleware", "wsocket"),
    ("framework", "wsocket"),
    ("app", "wsocket"),
    ("server", "wsocket, TLS"),
    ("app", "wsocket, TLS"),
    ("handler", "wsgiref"),
    ("framework", "wsgiref"),
    ("app", "wsgiref"),
    ("framework", "werkzeug"),
    ("app", "werkzeug"),
    ("framework", "gunicorn gthread"),
    ("app", "gunicorn gthread"),
]

# ------------------------------------------------------------ the servers ---


@contextlib.contextmanager
def on_wsocket(part, options):
    app = matrix_app.make(part)
    if part == "server":
        options = dict(options, ws_subprotocols="chat,other")
    server = wsocket.Server(app, port=0, access_logfile="none", **options)
    with server:
        yield server.port


def on_wsocket_with_tls(part, options):
    return on_wsocket(part, {**options, **secure.options()})


@contextlib.contextmanager
def in_a_thread(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join(PATIENCE)


@contextlib.contextmanager
def on_wsgiref(part, options):
    app = matrix_app.make(part, **options)
    if part == "handler":  # which has no options of its own
        app = wsocket.WSocketApp(app, protocol="chat", **options)
    with in_a_thread(
        wsgiref.simple_server.make_server(
            "127.0.0.1",
            0,
            app,
            wsocket.ThreadingWSGIServer,
            wsocket.FixedHandler,
        )
    ) as port:
        yield port


@contextlib.contextmanager
def on_werkzeug(part, options):
    serving = pytest.importorskip("werkzeug.serving")
    app = matrix_app.make(part, **options)
    with in_a_thread(
        serving.make_server("127.0.0.1", 0, app, threaded=True)
    ) as port:
        yield port


@contextlib.contextmanager
def on_gunicorn(part, options):
    pytest.importorskip("gunicorn")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:0"),
            *("-k", "gthread", "--threads", "8"),
            "matrix_app:make(%r%s)"
            % (part, "".join(", %s=%r" % item for item in options.items())),
        ],
        cwd=HERE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ, HOME="/nonexistent"),
    )
    said = ""
    try:
        for line in process.stderr:
            said += line
            found = re.search(r"Listening at: http://[^ ]+:(\d+)", line)
            if found:
                threading.Thread(
                    target=process.stderr.read, daemon=True
                ).start()
                yield int(found[1])
                break
        else:
            raise AssertionError(said)
    finally:
        process.terminate()
        process.wait(PATIENCE)


SERVERS = {
    "wsocket": on_wsocket,
    "wsocket, TLS": on_wsocket_with_tls,
    "wsgiref": on_wsgiref,
    "werkzeug": on_werkzeug,
    "gunicorn gthread": on_gunicorn,
}


class Started(Site):
    """A server of somebody's, and the ways to reach it."""

    def __init__(self, port, tls):
        self.port, self.tls = port, tls


@pytest.fixture(scope="module")
def reach():
    """reach(row, **options): a Started, the same for all who ask the same."""
    started = {}
    with contextlib.ExitStack() as stack:

        def start(row, **options):
            key = (row, *sorted(options))
            if key not in started:
                part, where = row
                port = stack.enter_context(SERVERS[where](part, options))
                started[key] = Started(port, where.endswith("TLS"))
            return started[key]

        yield start


# ----------------------------------------------------------- the features ---


def attempt(site):
    """A raw client whose handshake is through."""
    client = Raw(site.port, site.tls)
    client.send(
        b"GET / HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert client.head()[0] == 101
    return client


def frame(opcode, payload=b"", mask=True):
    """One short frame; the mask is zero, which is one, too."""
    head = bytes([0x80 | opcode, (0x80 if mask else 0) | len(payload)])
    return head + (b"\0\0\0\0" if mask else b"") + payload


def hear(client):
    """The next short frame, (opcode, payload)."""
    opcode, length = client.file.read(2)
    return opcode & 15, client.file.read(length)


def close_code(client):
    with pytest.raises(ConnectionClosed) as caught:
        client.recv(PATIENCE)
    return caught.value.rcvd.code, caught.value.rcvd.reason


def plain_pages(reach, row):
    assert reach(row).get("/page")[2] == b"a page"


def text(reach, row):
    with reach(row).ws() as client:
        for message in ("", "gr\xfc\xdfe \U0001f600", "x" * 70000):
            client.send(message)
            assert client.recv(PATIENCE) == message


def binary(reach, row):
    with reach(row).ws() as client:
        for message in (b"", bytes(range(256)), b"\0" * 70000):
            client.send(message)
            assert client.recv(PATIENCE) == message


def fragments(reach, row):
    with reach(row).ws() as client:
        client.send(["in ", "three ", "pieces"])
        assert client.recv(PATIENCE) == "in three pieces"


def masked_only(reach, row):
    with attempt(reach(row)) as client:
        client.send(frame(1, b"bare", mask=False))
        opcode, payload = hear(client)
        assert (opcode, payload[:2]) == (8, b"\x03\xea")  # 1002


def unmasked_with_the_option(reach, row):
    with attempt(reach(row, ws_allow_unmasked=True)) as client:
        for mask in (True, False):
            client.send(frame(1, b"text", mask))
            assert hear(client) == (1, b"text")


def subprotocol(reach, row):
    with reach(row).ws(subprotocols=["strange", "chat"]) as client:
        assert client.subprotocol == "chat"
    with reach(row).ws(subprotocols=["strange"]) as client:
        assert client.subprotocol is None
        client.send("still")
        assert client.recv(PATIENCE) == "still"


def compression(reach, row):
    with reach(row).ws(compression="deflate") as client:
        assert [e.name for e in client.protocol.extensions] == [
            "permessage-deflate"
        ]
        for message in ("x" * 70000, b"short"):
            client.send(message)
            assert client.recv(PATIENCE) == message


def ping_from_the_client(reach, row):
    with reach(row).ws() as client:
        assert client.ping("alive").wait(PATIENCE)


def ping_from_the_server(reach, row):
    with attempt(reach(row)) as client:
        client.send(frame(1, b"ping"))
        assert hear(client) == (9, b"sign")
        client.send(frame(10, b"sign"), frame(1, b"on"))
        assert hear(client) == (1, b"on")


def automatic_ping(reach, row):
    with attempt(reach(row, ws_ping_interval=0.2)) as client:
        assert select.select([client.socket], [], [], PATIENCE)[0]
        opcode, payload = hear(client)
        assert opcode == 9
        client.send(frame(10, payload), frame(1, b"on"))
        while opcode == 9:  # there may be one more
            opcode, payload = hear(client)
        assert (opcode, payload) == (1, b"on")


def close_by_the_client(reach, row):
    with attempt(reach(row)) as client:
        client.send(frame(8, b"\x0f\xa1bye"))  # 4001
        assert hear(client)[1][:2] == b"\x0f\xa1"
        assert client.rest() == b""


def close_by_the_server(reach, row):
    with reach(row).ws() as client:
        client.send("close")
        assert close_code(client) == (4002, "enough")


def automatic_close(reach, row):
    with reach(row).ws() as client:
        client.send("end")
        code, _ = close_code(client)
        assert code == (1011 if row[0] == "app" else 1000)


FEATURES = [
    plain_pages,
    text,
    binary,
    fragments,
    masked_only,
    unmasked_with_the_option,
    subprotocol,
    compression,
    ping_from_the_client,
    ping_from_the_server,
    automatic_ping,
    close_by_the_client,
    close_by_the_server,
    automatic_close,
]


@pytest.mark.parametrize("feature", FEATURES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("row", ROWS, ids="-".join)
def test_part_and_feature(reach, row, feature):
    feature(reach, row)


# --------------------------------------------------------------- the page ---

INTRODUCTION = """\
# Features, by part and server

Each cell is a test in `tests/python/test_matrix.py`; `wsocket` is the server in C,
*TLS* the same with `certfile`.

- **Server**: a plain WSGI function. **Middleware**: `WSocketApp(function)`.
  **Framework**: a route. **App**: events. **Handler**: `FixedHandler`.
- *unmasked with the option* is `ws_allow_unmasked`; without it an unmasked frame
  closes with 1002 (*masked only*).
- *automatic close*: 1000 when a handler returns; with events, 1011 when one fails.
- *topics* (`subscribe()`, `publish()`) need wsocket's own server or its gunicorn worker;
  elsewhere `subscribe()` raises `RuntimeError` (`tests/python/test_topics.py`).

"""


def make_page():
    titles = [f.__name__.replace("_", " ") for f in FEATURES]
    rows = ["| | " + " | ".join("%s, %s" % row for row in ROWS) + " |"]
    rows.append("|---" * (len(ROWS) + 1) + "|")
    rows += ["| %s %s|" % (title, "| yes " * len(ROWS)) for title in titles]
    return INTRODUCTION + "\n".join(rows) + "\n"


def test_the_page_names_what_is_tested():
    with open(PAGE, encoding="utf-8") as file:
        assert file.read() == make_page()
