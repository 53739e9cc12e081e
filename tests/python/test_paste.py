"""`use = egg:wsocket#main` in a file of PasteDeploy, and Pyramid's pserve."""

import itertools
import os
import signal
import sys
from importlib.metadata import entry_points

import pytest

from wsocket import paste
from wsocket.config import UsageError

pytestmark = pytest.mark.programs

SITE = """\
from pyramid.config import Configurator
from pyramid.response import Response


def page(request):
    ws = request.environ.get("wsgi.websocket")
    if ws is not None:
        ws.send("hello")
    return Response("page one")


def main(global_config, **settings):
    with Configurator() as config:
        config.add_route("page", "/")
        config.add_view(page, route_name="page")
        return config.make_wsgi_app()
"""

INI = """\
[app:main]
use = call:site_of_a_test:main

[server:main]
use = egg:wsocket#main
host = 127.0.0.1
port = 0
threads = 4
%s
"""


def found(group):
    """The entry points named main of a group."""
    if sys.version_info < (3, 10):
        return [e for e in entry_points()[group] if e.name == "main"]
    return list(entry_points(group=group, name="main"))


def test_both_entry_points_are_named_main():
    for group, function in (
        ("paste.server_runner", paste.server_runner),
        ("paste.server_factory", paste.server_factory),
    ):
        loaded = [e.load() for e in found(group) if "wsocket" in e.value]
        assert loaded == [function]


def test_settings_are_the_options_as_texts(monkeypatch):
    seen = []
    monkeypatch.setattr(paste, "run", lambda app, **more: seen.append(more))
    settings = {
        "port": "8080",
        "keep_alive": "2.5",
        "bind": "\n127.0.0.1:0\n[::1]:0, unix:/x",
    }
    paste.server_runner(None, {"here": "."}, **settings)
    paste.server_factory({"here": "."}, **settings)(None)
    settings["bind"] = ["127.0.0.1:0", "[::1]:0", "unix:/x"]
    assert seen == [settings, settings]


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("prot", "80", "'prot'; did you mean 'port'"),
        ("port", "http", "port"),
        ("app", "site", "'app'"),
        ("global_config", "x", "'global_config'"),
    ],
)
def test_a_bad_setting_is_named(name, value, said):
    with pytest.raises(UsageError) as caught:
        paste.server_runner(None, {}, **{name: value})
    assert said in str(caught.value)
    assert "egg:wsocket#main" in str(caught.value)


@pytest.fixture
def pserve(program, tmp_path):
    """pserve(*args, more=""): start it, with more settings."""
    pytest.importorskip("plaster_pastedeploy")
    pytest.importorskip("pyramid.scripts.pserve")

    def start(*args, more=""):
        (tmp_path / "site_of_a_test.py").write_text(SITE)
        (tmp_path / "site.ini").write_text(INI % more)
        command = ("-m", "pyramid.scripts.pserve", *args, "site.ini")
        return program(command=command)

    return start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_pserve_serves_until_a_signal(pserve, number):
    started = pserve().wait_started()
    with started.raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        status, _, body = client.response()
    assert (status, body) == (200, b"page one")
    with started.raw() as client:
        client.send(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert client.head()[0] == 101
        assert client.file.read(7) == b"\x81\x05hello"
    started.signal(number)
    assert started.wait() == 0
    assert "Traceback" not in started.said


def test_pserve_ends_with_a_bad_setting(pserve):
    started = pserve(more="no_such_option = 1")
    assert started.wait() != 0
    assert "no_such_option" in started.said


@pytest.mark.slow  # the watcher looks once a second
def test_pserve_reloads_what_has_changed(pserve, tmp_path, eventually):
    pytest.importorskip("hupper")
    started = pserve("--reload").wait_started()
    site = tmp_path / "site_of_a_test.py"
    site.write_text(SITE.replace("page one", "the second page"))
    looks = itertools.count()

    def has_reloaded():
        # The watcher may have looked for the first time after the change.
        if "changed" not in started.said and next(looks) % 200 == 199:
            os.utime(site, times=(next(times),) * 2)
        return started.said.count("serves") >= 2

    times = itertools.count(int(site.stat().st_mtime) + 1)
    eventually(has_reloaded)
    port = started.said.rpartition("127.0.0.1:")[2].partition("/")[0]
    started.port = int(port)
    with started.raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert client.response()[2] == b"the second page"
    started.signal(signal.SIGTERM)
    started.wait()
