"""wsocket.gunicorn.Worker under the real gunicorn."""

import os
import re
import signal
import socket
import sys
import sysconfig
import threading

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

pytestmark = pytest.mark.programs

pytest.importorskip("gunicorn")

from wsocket.gunicorn import Worker  # noqa: E402

APP = """
import os, time, wsocket

def app(environ, start_response):
    ws = environ.get("wsgi.websocket")
    if ws is not None and environ["PATH_INFO"] == "/topic":
        ws.subscribe("t")
        for message in ws:
            wsocket.publish("t", message)
        return []
    if ws is not None:
        ws.send(str(os.getpid()))
        for message in ws:
            ws.send(message)
        return []
    if environ["PATH_INFO"] == "/slow":
        open("begun", "w").close()
        time.sleep(float(environ["QUERY_STRING"]))
    if environ["PATH_INFO"] == "/crash":
        raise ValueError("broken on purpose")
    if environ["PATH_INFO"] == "/scheme":
        environ["wsgi.multiprocess"] = environ["wsgi.url_scheme"]
    if environ["PATH_INFO"] == "/where":
        environ["wsgi.multiprocess"] = environ["SCRIPT_NAME"]
    body = "WORD %d %s" % (os.getpid(), environ["wsgi.multiprocess"])
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body.encode()]
"""


@pytest.fixture
def gunicorn(program, tmp_path):
    """gunicorn(*args): its master, which serves the application above."""

    def start(*args, bind="127.0.0.1:0", command=("-m", "gunicorn")):
        (tmp_path / "app.py").write_text(APP)
        (tmp_path / "gunicorn.conf.py").write_text(
            "control_socket_disable = True"  # older ones do not know it
        )
        return program(
            *("-b", bind, *args, "app:app"),
            command=(*command, "-k", "wsocket.gunicorn.Worker"),
        )

    return start


def get(client, target="/", close=False):
    client.send(
        b"GET %s HTTP/1.1\r\nHost: t\r\n%s\r\n"
        % (target.encode(), b"Connection: close\r\n" if close else b"")
    )
    status, headers, body = client.response()
    return status, body.decode()


def ws(master):
    return connect("ws://127.0.0.1:%d/" % master.port, close_timeout=20)


def worker_of(master):
    with master.raw() as client:
        return int(get(client, close=True)[1].split()[1])


def test_pages_and_websockets(gunicorn):
    master = gunicorn("--threads", "2").wait_started()
    with master.raw() as client:
        for _ in range(3):
            assert get(client)[0] == 200
        assert get(client, "/crash")[0] == 500
    with ws(master) as one, ws(master) as two, ws(master) as three:
        for client in (one, two, three):
            assert int(client.recv()) != master.process.pid
            client.send("hello")
            assert client.recv() == "hello"
    master.signal(signal.SIGTERM)
    assert master.wait() == 0
    assert "ValueError: broken on purpose" in master.said


@pytest.mark.parametrize("args", [(), ("--preload",)])
def test_topics_in_a_worker(gunicorn, args):
    master = gunicorn("--threads", "2", *args).wait_started()
    url = "ws://127.0.0.1:%d/topic" % master.port
    with connect(url) as one, connect(url) as two:
        one.send("from one")
        assert one.recv() == "from one"
        two.send("from two")
        while two.recv(20) != "from two":
            pass
        assert one.recv(20) == "from two"


def test_several_workers_share_the_listener(gunicorn, eventually):
    master = gunicorn("--workers", "3").wait_started()
    seen = set()
    eventually(lambda: seen.add(worker_of(master)) or len(seen) == 3)
    with master.raw() as client:
        assert get(client)[1].endswith("True")  # wsgi.multiprocess


def test_a_unix_socket(gunicorn, tmp_path, eventually):
    path = str(tmp_path / "here.sock")
    gunicorn(bind="unix:" + path)
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(20)
    # The file is there once it is bound, and refuses until it listens.
    eventually(lambda: client.connect_ex(path) == 0)
    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert client.recv(12) == b"HTTP/1.1 200"
    client.close()


def test_term_ends_sockets_and_lets_requests_end(gunicorn, tmp_path, eventually):
    master = gunicorn("--threads", "4").wait_started()
    with ws(master) as client, master.raw() as slow:
        client.recv()
        slow.send(b"GET /slow?1 HTTP/1.1\r\nHost: t\r\n\r\n")
        eventually((tmp_path / "begun").exists)
        master.signal(signal.SIGTERM)
        assert slow.response()[0] == 200
        with pytest.raises(ConnectionClosed):
            client.recv()
        assert client.close_code == 1001
    assert master.wait() == 0


def test_int_does_not_wait(gunicorn, tmp_path, eventually):
    master = gunicorn("--graceful-timeout", "600").wait_started()
    with master.raw() as slow:
        slow.send(b"GET /slow?600 HTTP/1.1\r\nHost: t\r\n\r\n")
        eventually((tmp_path / "begun").exists)
        master.signal(signal.SIGINT)
        assert master.wait() == 0


def test_hup_brings_new_code_and_drops_no_connection(
    gunicorn, tmp_path, eventually
):
    master = gunicorn("--workers", "2").wait_started()
    with ws(master) as client:
        client.recv()
        # Of another length: a .pyc file of the same second would do for it.
        (tmp_path / "app.py").write_text(APP.replace("WORD", "NEWS") + "# new\n")
        master.signal(signal.SIGHUP)

        def is_new():
            with master.raw() as plain:
                status, body = get(plain, close=True)
            assert status == 200
            return body.startswith("NEWS")

        eventually(is_new)
        with pytest.raises(ConnectionClosed):
            client.recv()
        assert (client.close_code, client.close_reason) == (1012, "restart")


class Asker(threading.Thread):
    """A client that asks over a new connection each time, or over one as long
    as the server keeps it, until it is refused or told to end."""

    def __init__(self, master, keeps):
        super().__init__(daemon=True)
        self.master = master
        self.keeps = keeps
        self.answered = 0
        self.lost = []
        self.ends = False

    def run(self):
        while not self.ends:
            try:
                client = self.master.raw()
            except ConnectionRefusedError:
                return
            with client:
                self.ask(client)

    def ask(self, client):
        stays = True
        while stays and not self.ends:
            try:
                client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
                status, headers, _ = client.response()
            except (OSError, IndexError) as exc:  # reset, or an end
                self.lost.append(repr(exc))
                return
            assert status == 200
            self.answered += 1
            stays = self.keeps and "connection" not in headers


@pytest.fixture
def askers(eventually):
    """askers(master): clients that ask without a pause."""
    running = []

    def start(master):
        running.extend(Asker(master, keeps) for keeps in [False, True] * 2)
        for asker in running:
            asker.start()
        eventually(lambda: all(asker.answered >= 5 for asker in running))
        return running

    yield start
    for asker in running:
        asker.ends = True
        asker.join(20)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_hup_under_load_loses_no_request(gunicorn, askers, eventually, workers):
    master = gunicorn("--workers", workers).wait_started()
    running = askers(master)
    for _ in range(3):
        old = worker_of(master)
        master.signal(signal.SIGHUP)
        eventually(lambda o=old: "Worker exiting (pid: %d)" % o in master.said)
    for asker in running:
        asker.ends = True
        asker.join(20)
        assert asker.lost == []


def test_max_requests_under_load_loses_no_request(gunicorn, askers, eventually):
    master = gunicorn("--max-requests", "300").wait_started()
    running = askers(master)
    eventually(lambda: master.said.count("Autorestarting") >= 3)
    for asker in running:
        asker.ends = True
        asker.join(20)
        assert asker.lost == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs a socket filter")
@pytest.mark.parametrize("workers", ["1", "3"])
def test_term_under_load_loses_no_request(gunicorn, askers, workers):
    master = gunicorn("--workers", workers).wait_started()
    running = askers(master)
    master.signal(signal.SIGTERM)
    for asker in running:
        asker.join(20)
        assert asker.lost == []
    assert master.wait() == 0


def test_a_new_master_takes_the_listeners_over(gunicorn, eventually):
    # With -m the new master would import gunicorn.http for http.
    script = os.path.join(sysconfig.get_path("scripts"), "gunicorn")
    master = gunicorn(command=(script,)).wait_started()
    first = worker_of(master)
    master.signal(signal.SIGUSR2)
    eventually(lambda: master.said.count("Booting worker") == 2)
    new = int(re.findall(r"\[(\d+)\] \[INFO\] Starting", master.said)[1])
    try:
        master.signal(signal.SIGTERM)
        eventually(lambda: "(pid: %d)" % first in master.said)
        for _ in range(20):
            assert worker_of(master) != first
    finally:
        os.kill(new, signal.SIGTERM)


def test_what_waits_at_a_stop_of_gunicorn_is_answered(gunicorn):
    master = gunicorn("--workers", "1").wait_started()
    worker = worker_of(master)
    os.kill(worker, signal.SIGSTOP)
    clients = [master.raw() for _ in range(50)]
    master.signal(signal.SIGTERM)
    os.kill(worker, signal.SIGCONT)
    for client in clients:
        assert get(client)[0] == 200
        client.__exit__()
    assert master.wait() == 0


def test_max_requests_replaces_the_worker(gunicorn, eventually):
    master = gunicorn("--max-requests", "5").wait_started()
    first = worker_of(master)
    eventually(lambda: worker_of(master) != first)
    assert master.says("Autorestarting")


def test_settings_are_the_servers(gunicorn):
    master = gunicorn(
        *("--limit-request-line", "100", "--limit-request-fields", "10"),
        *("--access-logfile", "-", "--keep-alive", "0"),
    ).wait_started()
    with master.raw() as client:
        assert get(client, "/" + "x" * 200, close=True)[0] == 414
    with master.raw() as client:
        client.send(
            b"GET / HTTP/1.1\r\nHost: t\r\n", b"X: y\r\n" * 20, b"\r\n"
        )
        assert client.head()[0] == 431
    with master.raw() as client:
        assert get(client, "/logged", close=True)[0] == 200
    master.signal(signal.SIGTERM)
    assert master.wait() == 0
    said = master.printed
    assert re.search(r'"GET /logged HTTP/1.1" 200', said)


@pytest.mark.parametrize(
    "allowed, scheme", [("127.0.0.1", "https"), ("10.0.0.1", "http")]
)
def test_who_may_say_that_the_client_spoke_tls(gunicorn, allowed, scheme):
    master = gunicorn("--forwarded-allow-ips", allowed).wait_started()
    with master.raw() as client:
        client.send(
            b"GET /scheme HTTP/1.1\r\nHost: t\r\n"
            b"X-Forwarded-Proto: https\r\n\r\n"
        )
        assert client.response()[2].decode().split()[2] == scheme


@pytest.mark.parametrize("level", ["INFO", "loud"])
def test_levels_are_written_as_in_gunicorn(gunicorn, level):
    master = gunicorn("--log-level", level).wait_started()
    with master.raw() as client:
        assert get(client)[0] == 200


def test_options_of_the_environment(gunicorn, monkeypatch):
    monkeypatch.setenv("WSOCKET_WS_MAX_SIZE", "10")
    with ws(gunicorn().wait_started()) as client:
        client.recv()
        client.send("x" * 11)
        with pytest.raises(ConnectionClosed):
            client.recv()
        assert client.close_code == 1009


def test_a_context_of_python_is_refused_by_name(gunicorn, tmp_path):
    (tmp_path / "tls.py").write_text(
        "def ssl_context(config, default):\n    return default()\n"
    )
    (tmp_path / "x.pem").write_text("")
    files = ("--certfile", "x.pem", "--keyfile", "x.pem")
    master = gunicorn("-c", "tls.py", *files)
    assert master.wait() != 0
    assert "ssl_context: TLS is not Python's in wsocket's" in master.said


class Settings:
    """gunicorn's, as far as a worker needs them for TLS."""

    def __init__(self, **settings):
        from gunicorn.config import Config

        self.cfg = Config()
        for name, value in settings.items():
            self.cfg.set(name, value)

    def of_tls(self):
        return Worker._of_tls(self)


def test_settings_of_tls_become_options():
    assert Settings(ca_certs="ca.pem").of_tls() == {}
    given = {"certfile": "a.pem", "keyfile": "a.key", "ca_certs": "ca.pem"}
    more = {"cert_reqs": 2, "ciphers": "ECDHE+AESGCM"}
    assert Settings(**given, **more).of_tls() == {**given, **more}
    assert Settings(certfile="a.pem").of_tls() == {
        "certfile": "a.pem",
        "cert_reqs": 0,
    }


def test_what_has_no_effect_on_tls_is_warned_of():
    import ssl

    said = []

    class Log:
        def warning(self, text, *args):
            said.append(text % args)

    settings = Settings(
        certfile="a.pem",
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
        do_handshake_on_connect=True,
        suppress_ragged_eofs=False,
    )
    Worker.check_config(settings.cfg, Log())
    for name in ("ssl_version", "do_handshake", "suppress_ragged_eofs"):
        assert [text for text in said if name in text], name


def test_a_request_may_outlast_the_timeout_and_the_worker_lives(gunicorn):
    master = gunicorn("--timeout", "2", "--threads", "2").wait_started()
    with master.raw() as client:
        first = worker_of(master)
        assert get(client, "/slow?5")[0] == 200
        assert worker_of(master) == first
    assert "TIMEOUT" not in master.said


def test_limits_of_0_are_named_and_long_fields_allowed(gunicorn):
    master = gunicorn(
        *("--limit-request-line", "0", "--limit-request-field_size", "90000")
    ).wait_started()
    with master.raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n")
        client.send(b"X-Long: " + b"x" * 89000 + b"\r\n\r\n")
        assert client.response()[0] == 200
    with master.raw() as client:
        assert get(client, "/?" + "x" * 20000)[0] == 414
    assert master.says("limit_request_line = 0")
    assert master.says("WSOCKET_MAX_REQUEST_LINE")


def test_script_name_of_the_environment_counts(gunicorn, monkeypatch):
    monkeypatch.setenv("SCRIPT_NAME", "/shop/")
    master = gunicorn().wait_started()
    with master.raw() as client:
        assert get(client, "/shop/where")[1].endswith(" /shop")
        assert get(client, "/where")[0] == 404


def test_a_bad_script_name_ends_the_start(gunicorn, monkeypatch):
    monkeypatch.setenv("SCRIPT_NAME", "shop")
    master = gunicorn()
    assert master.wait() != 0
    assert "SCRIPT_NAME: script_name takes a path" in master.said


def test_the_format_of_the_access_log_counts(gunicorn):
    form = '%(m)s %(U)s|%({host}i)s|%({content-length}o)s|%%|%(s)s'
    master = gunicorn(
        *("--access-logfile", "-", "--access-logformat", form)
    ).wait_started()
    with master.raw() as client:
        assert get(client, "/logged", close=True)[0] == 200
    master.signal(signal.SIGTERM)
    assert master.wait() == 0
    assert re.search(r"(?m)^GET /logged\|t\|\d+\|%\|200$", master.printed)


def test_settings_without_effect_are_named(
    gunicorn, monkeypatch, tmp_path
):
    monkeypatch.setenv("WSOCKET_PORT", "80")
    monkeypatch.setenv("WSOCKET_SERVICE_HOST", "10.0.0.1")
    (tmp_path / "more.conf.py").write_text(
        "control_socket_disable = True\n"
        "def pre_request(worker, request): pass\n"
        "def post_request(worker, request, environ, response): pass\n"
        "secure_scheme_headers = {'X-SSL': 'on'}\n"
    )
    master = gunicorn(
        *("--header-map", "dangerous", "--access-logformat", "%(x)s"),
        *("-c", "more.conf.py"),
    ).wait_started()
    with master.raw() as client:  # a worker comes after the warnings
        assert get(client, close=True)[0] == 200
    for name in (
        *("header_map", "access_log_format", "pre_request", "post_request"),
        *("secure_scheme_headers", "port of the environment"),
        "WSOCKET_SERVICE_HOST",
    ):
        assert master.says(r"\[WARNING\].*" + name), name
    for name in ("forwarder_headers", "logger_class", "sendfile", "protocol"):
        assert not re.search(r"\[WARNING\] %s" % name, master.said), name


def test_no_warning_where_all_settings_have_effect(gunicorn, tmp_path):
    (tmp_path / "more.conf.py").write_text(
        "control_socket_disable = True\n"
        "secure_scheme_headers = {'X-FORWARDED-PROTO': 'https'}\n"
    )
    master = gunicorn("-c", "more.conf.py").wait_started()
    with master.raw() as client:  # a worker comes after the warnings
        assert get(client, close=True)[0] == 200
    assert "[WARNING]" not in master.said


def test_an_application_of_another_kind_ends_the_start(gunicorn, monkeypatch):
    monkeypatch.setitem(globals(), "APP", "async def app(a, b, c): pass\n")
    master = gunicorn()
    assert master.wait() != 0
    assert "ASGI" in master.said


def test_a_scheme_field_that_is_not_in_the_setting_does_not_count(
    gunicorn, tmp_path
):
    (tmp_path / "more.conf.py").write_text(
        "control_socket_disable = True\n"
        "secure_scheme_headers = {'X-SSL': 'on'}\n"
    )
    master = gunicorn("-c", "more.conf.py").wait_started()
    with master.raw() as client:
        client.send(
            b"GET /scheme HTTP/1.1\r\nHost: t\r\n"
            b"X-Forwarded-Proto: https\r\n\r\n"
        )
        assert client.response()[2].decode().split()[2] == "http"
