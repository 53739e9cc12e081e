"""wsocket.django: Django's own runserver, with WebSockets."""

import os
import signal

import pytest
from websockets.sync.client import connect

pytestmark = pytest.mark.programs

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


COUNTING = MANAGE.replace(
    "from django.core",
    """
import sys, time, types
from django.http import HttpResponse
from django.urls import path
def view(request):
    sys.running = getattr(sys, "running", 0) + 1
    time.sleep(0.05)
    text = "%s %d" % (request.META["wsgi.multithread"], sys.running)
    sys.running -= 1
    return HttpResponse(text)
urls = types.ModuleType("counting_urls")
urls.urlpatterns = [path("", view)]
sys.modules["counting_urls"] = urls
from django.conf import settings
settings.ROOT_URLCONF = "counting_urls"
from django.core""",
)


def test_runserver_with_nothreading_runs_one_view_at_a_time(program):
    one = program(
        *("runserver", "--noreload", "--nothreading", "127.0.0.1:0"),
        cwd=EXAMPLE,
        command=("-u", "-c", COUNTING),
    ).wait_started()
    clients = [one.raw() for _ in range(5)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for client in clients:
        with client:
            assert client.response()[2] == b"False 1"


LIVE = """
import os, sys, wsocket
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
import django
django.setup()
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.test.testcases import LiveServerThread

class Thread(LiveServerThread):
    def _create_server(self, *args, **kwargs):
        server = wsocket.make_server("127.0.0.1", 0, lambda *args: [])
        server.shutdown()
        return server

thread = Thread("127.0.0.1", StaticFilesHandler)
thread.start()
thread.join(20)
print(thread.is_alive(), thread.error)
os._exit(0)
"""


def test_a_live_server_that_is_shut_down_early_ends(program):
    """Django's LiveServerTestCase shuts down what may not serve yet."""
    live = program(cwd=EXAMPLE, command=("-u", "-c", LIVE))
    live.wait()
    assert live.printed == "False None\n", live.said
