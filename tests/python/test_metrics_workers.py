"""The metrics and logs of several workers, real processes."""

import functools
import os
import signal
import socket
import sys
import time

import pytest
from patience import PATIENCE
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics
from supervised import either, site
from websockets.sync.client import connect

pytestmark = pytest.mark.programs


def asked(path, target="/metrics", accept="text/plain"):
    """What is answered at a metrics_bind that is a Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(path)
        client.sendall(
            b"GET %b HTTP/1.1\r\nHost: m\r\nConnection: close\r\n"
            b"Accept: %b\r\n\r\n" % (target.encode(), accept.encode())
        )
        head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


def numbers(path):
    families = parser.text_string_to_metric_families(asked(path)[1])
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_one_page_has_the_numbers_of_all_workers_dead_ones_too(either, tmp_path):
    path = str(tmp_path / "metrics")
    site = either.up("--metrics-bind", "unix:" + path, "--ws-drain", "0")
    served = "wsocket_http_requests_total", "200"
    opened = ("wsocket_websocket_opens_total",)
    seen = []

    def count(key, n):
        seen.append(numbers(path))
        return seen[-1].get(key) == n

    def ask(n):
        for _ in range(n):
            site.get()

    def talk(n):
        for _ in range(n):
            with connect("ws://127.0.0.1:%d/" % site.program.port) as client:
                client.send("x")
                assert client.recv() == "x"

    ask(50)
    talk(10)
    site.eventually(lambda: count(served, 50) and count(opened, 10))
    page = seen[-1]
    assert page["wsocket_workers", "ready"] == 2
    assert page["wsocket_http_requests_total", "101"] == 10
    # Not those by which the supervisor looks for signs of life.
    assert page["wsocket_connections_accepted_total",] == 60
    assert page["wsocket_handlers_limit",] == 128
    for worker in "1", "2":
        assert page["wsocket_worker_start_time_seconds", worker] > 1e9
        assert page["wsocket_worker_resident_memory_bytes", worker] > 1 << 20
    before = site.workers()
    site.signal("SIGHUP")
    while not set(before).isdisjoint(site.workers()):
        seen.append(numbers(path))
        assert asked(path, "/ready")[0] in (200, 503)
    ask(50)
    talk(10)
    site.eventually(lambda: count(served, 100) and count(opened, 20))
    for former, page in zip(seen, seen[1:]):
        for key, value in former.items():
            if key[0].endswith(("_total", "_bucket", "_count")):
                if "worker_cpu" not in key[0]:
                    assert page[key] >= value, key
    status, text = asked(path, accept="application/openmetrics-text")
    assert text.endswith("# EOF\n")
    assert list(openmetrics.text_string_to_metric_families(text))
    site.signal("SIGTERM")
    assert site.program.wait() == 0
    assert not os.path.exists(path)


def test_starts_and_ends_of_workers_are_counted_by_their_reason(site, tmp_path):
    path = str(tmp_path / "metrics")
    site.up("--metrics-bind", "unix:" + path, "--ws-drain", "0")
    site.wait_said("wsocket answers /metrics at unix:" + path)
    site.wait_workers(2)

    def count(key, n):
        return numbers(path).get(key) == n

    page = numbers(path)
    assert page["wsocket_generation",] == 1
    assert ("wsocket_last_reload_success_timestamp_seconds",) not in page
    began = int(time.time())
    site.signal("SIGHUP")
    site.wait_said("reload: done")
    page = numbers(path)
    assert page["wsocket_reloads_total", "done"] == 1
    assert page["wsocket_generation",] == 2
    reloaded = page["wsocket_last_reload_success_timestamp_seconds",]
    assert began <= reloaded <= time.time()
    assert page["wsocket_worker_starts_total", "start"] == 2
    assert page["wsocket_worker_starts_total", "reload"] == 2
    assert page["wsocket_worker_exits_total", "reload"] == 2
    os.kill(site.workers()[0], signal.SIGKILL)
    site.eventually(lambda: count(("wsocket_worker_exits_total", "crash"), 1))
    site.eventually(lambda: count(("wsocket_worker_starts_total", "crash"), 1))
    site.wait_workers(2)
    site.eventually(lambda: count(("wsocket_workers", "ready"), 2))
    site.write("def app(:\n")
    site.signal("SIGHUP")
    site.eventually(lambda: count(("wsocket_reloads_total", "failed"), 1))
    page = numbers(path)
    assert page["wsocket_generation",] == 2
    assert page["wsocket_last_reload_success_timestamp_seconds",] == reloaded


def test_a_line_of_the_access_log_has_the_number_of_its_worker(site, tmp_path):
    log = tmp_path / "access.log"
    site.up(
        "--access-log-format=%{worker} %s", "--access-logfile", str(log)
    )
    slots = [site.get()[2] for _ in range(30)]
    site.signal("SIGTERM")
    assert site.program.wait() == 0
    lines = log.read_text().splitlines()
    assert sorted(lines) == sorted("%d 200" % slot for slot in slots)


SHELL = 'exec 9>>"$LOG"; exec "$PYTHON" -m wsocket "$@"'


def test_workers_write_to_a_descriptor_that_a_shell_has_opened(
    either, tmp_path, monkeypatch
):
    log = tmp_path / "access.log"
    monkeypatch.setenv("LOG", str(log))
    monkeypatch.setenv("PYTHON", sys.executable)
    either._program = functools.partial(
        either._program, executable="/bin/sh", command=("-c", SHELL, "sh")
    )
    either.up("--access-log-format=%{worker} %s", "--access-logfile=fd:9")
    slots = [either.get()[2] for _ in range(30)]
    either.signal("SIGTERM")
    assert either.program.wait() == 0
    lines = log.read_text().splitlines()
    assert sorted(lines) == sorted("%d 200" % slot for slot in slots)
