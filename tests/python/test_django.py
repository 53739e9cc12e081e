"""wsocket.django: Django's own runserver, with WebSockets."""

import os
import signal

import pytest
from websockets.sync.client import connect

pytest.importorskip("django")

EXAMPLE = os.path.join(
    os.path.dirname(os.path.abspath(__file__)),
    "..",
    "..",
    "examples",
    "django",
)
# Where it listens is said on standard output; `program` reads the other.
MANAGE = """
import os, sys
sys.stdout = sys.stderr
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""


@pytest.fixture
def runserver(program):
    return program(
        "runserver",
        "--noreload",
        "127.0.0.1:0",
        cwd=EXAMPLE,
        command=("-u", "-c", MANAGE),
    ).wait_started()


def test_runserver_has_pages_static_files_and_websockets(runserver):
    with runserver.raw() as client:
        client.send(b"GET /room/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b'<span id="room">x</span>' in client.response()[2]
        client.send(b"GET /static/chat.js HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status, headers, body = client.response()
        assert status == 200 and b"WebSocket" in body
        assert headers["server"] == "wsocket"
    url = "ws://127.0.0.1:%d/chat/x?name=Ann" % runserver.port
    with connect(url, close_timeout=20) as ann:
        assert '"Ann"' in ann.recv()
        ann.send("hello")
        assert "says: hello" in ann.recv()


def test_runserver_ends_by_ctrl_c(runserver):
    runserver.signal(signal.SIGINT)
    assert runserver.wait() == 0
    assert "Traceback" not in runserver.said


def test_runserver_says_that_its_port_is_taken(program, runserver):
    second = program(
        "runserver",
        "--noreload",
        "127.0.0.1:%d" % runserver.port,
        cwd=EXAMPLE,
        command=("-u", "-c", MANAGE),
    )
    assert second.wait() == 1
    assert "That port is already in use" in second.said
