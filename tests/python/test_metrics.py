"""Metrics and health: what Prometheus and an orchestrator ask for."""

import http.client
import json
import os
import re
import socket
import threading
import time
import urllib.parse

import pytest
from patience import PATIENCE
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

import wsocket
from wsocket import Server, WSocketApp

OPEN = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if "wsgi.websocket" in environ:
        ws = environ["wsgi.websocket"]
        for message in ws:
            if message == "bye":
                ws.close(4001, "bye")
                break
            ws.send(message)
        return []
    if path == "/broken":
        raise ValueError("broken")
    if path == "/slow":
        time.sleep(0.05)
    body = environ["wsgi.input"].read() or path.encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


class Probe:
    """What is answered at metrics_bind."""

    def __init__(self, server):
        where = urllib.parse.urlsplit(server.metrics_url)
        self.address = where.hostname, where.port

    def ask(self, path="/metrics", method="GET", **headers):
        client = http.client.HTTPConnection(*self.address, timeout=PATIENCE)
        try:
            client.request(method, path, headers=headers)
            answer = client.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            client.close()

    def page(self):
        """{(name, labels as a sorted tuple): value}, which is the same in both
        formats, as Prometheus' own parsers read them."""
        status, headers, body = self.ask()
        assert status == 200
        assert headers["Content-Type"] == (
            "text/plain; version=0.0.4; charset=utf-8"
        )
        plain = list(text_string_to_metric_families(body.decode()))
        status, headers, body = self.ask(Accept=OPEN)
        assert headers["Content-Type"] == (
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        )
        families = list(
            openmetrics.text_string_to_metric_families(body.decode())
        )
        assert [f.name for f in plain] == [f.name for f in families]
        assert [f.type for f in plain] == [f.type for f in families]
        assert all(f.documentation for f in plain)
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }

    def get(self, name, **labels):
        key = "wsocket_" + name, tuple(sorted(labels.items()))
        return self.page().get(key, 0)

    def all(self, name):
        return {
            dict(labels).popitem()[1]: value
            for (found, labels), value in self.page().items()
            if found == "wsocket_" + name
        }


@pytest.fixture
def metered(serve):
    def start(app=app, **options):
        options.setdefault("metrics_bind", "127.0.0.1:0")
        site = serve(app, **options)
        return site, Probe(site.server)

    return start


def test_there_is_none_unless_it_is_asked_for(serve):
    site = serve(app)
    assert site.server.metrics_url is None
    for path in "/metrics", "/ready", "/live":
        assert site.get(path)[2] == path.encode()


def test_a_page_says_what_the_server_is(metered):
    site, probe = metered()
    page = probe.page()
    [labels] = [dict(l) for n, l in page if n == "wsocket_build_info"]
    assert labels["version"] == wsocket.__version__
    assert labels["python"].count(".") == 2
    assert labels["gil"] in ("on", "off")
    assert probe.get("workers", state="ready") == 1
    assert probe.get("handlers_limit") == 64
    assert 0 <= time.time() - probe.get("worker_start_time_seconds") < 600
    assert probe.get("worker_resident_memory_bytes") > 1 << 20
    assert probe.get("worker_cpu_seconds_total") > 0
    listener = "127.0.0.1:%d" % site.port
    assert probe.get("listen_queue_limit", listener=listener) > 0


def test_only_get_and_head_of_three_paths_are_answered(metered):
    site, probe = metered(access_logfile="none")
    assert probe.ask("/ready")[::2] == (200, b"ready\n")
    assert probe.ask("/live")[::2] == (200, b"live\n")
    assert probe.ask("/live?probe=1")[::2] == (200, b"live\n")
    status, headers, body = probe.ask("/metrics", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 1000
    assert headers["Cache-Control"] == "no-store"
    for method in "POST", "PUT", "DELETE", "OPTIONS", "NONSENSE":
        status, headers, _ = probe.ask("/metrics", method)
        assert status == 405
        assert headers["Allow"] == "GET, HEAD"
    for path in "/", "/metrics/", "/Metrics", "//metrics", "/ready/x":
        assert probe.ask(path)[0] == 404
    assert site.get("/metrics")[2] == b"/metrics"  # the application's


def test_no_rule_of_the_public_address_holds_there(metered, tmp_path):
    """Not its hosts, its prefix, its proxies, nor its log."""
    log = tmp_path / "access.log"
    site, probe = metered(
        allowed_hosts="shop.example",
        script_name="/shop",
        proxy_protocol=True,
        access_logfile=str(log),
    )
    assert probe.ask("/live", Host="elsewhere")[0] == 200
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for _ in range(70):  # no place is taken for a WebSocket, or given back
        assert probe.ask("/ready", **upgrade)[0] == 200
    assert probe.get("connections_accepted_total") == 0
    assert probe.all("http_requests_total") == {}
    assert site.stop()
    assert log.read_text() == ""


def test_a_body_is_not_waited_for(metered):
    _, probe = metered()
    with socket.create_connection(probe.address, PATIENCE) as client:
        client.sendall(
            b"POST /metrics HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: 1000000000\r\n\r\nx"
        )
        assert client.recv(4096).startswith(b"HTTP/1.1 405 ")


def test_a_bad_request_is_refused_and_not_counted(metered, tmp_path):
    log = tmp_path / "access.log"
    site, probe = metered(access_logfile=str(log))
    with socket.create_connection(probe.address, PATIENCE) as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 400 ")
    assert probe.all("http_requests_total") == {}
    assert site.stop()
    assert log.read_text() == ""


def test_requests_are_counted_as_their_clients_count_them(metered, tmp_path):
    log = tmp_path / "access.log"
    site, probe = metered(access_logfile=str(log), threads=4)
    sent = {"200": 0, "500": 0, "400": 0, "404": 0}
    octets = [0, 0]
    lock = threading.Lock()

    def ask(thread):
        for i in range(300):
            path = "/broken" if i % 50 == 7 else "/%d/%d" % (thread, i)
            if i % 100 == 50:
                path = "/slow"
            body = b"x" * (i % 3 * 1000)
            status, _, answer = site.get(path, method="POST", body=body)
            with lock:
                sent[str(status)] += 1
                octets[0] += len(body)
                octets[1] += len(answer)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(5):
        with site.raw() as client:
            client.send(b"nonsense\r\n\r\n")
            assert client.response()[0] == 400
            sent["400"] += 1
    total = sum(sent.values())
    assert total == 1805
    page = probe.all("http_requests_total")
    assert page == {code: n for code, n in sent.items() if n}
    handled = total - 5
    assert probe.get("http_request_duration_seconds_count") == handled
    assert probe.get("http_queue_seconds_count") == handled
    assert probe.get("http_request_duration_seconds_sum") > 18 * 0.05
    slow = probe.get("http_request_duration_seconds_bucket", le="0.05")
    assert handled - slow >= 18
    assert probe.get("connections_accepted_total") == total
    assert probe.get("http_request_bytes_total") == octets[0]
    assert probe.get("http_response_bytes_total") == octets[1]
    assert probe.get("gil_wait_seconds_count") > 0
    assert site.stop()
    assert log.read_text().count("\n") == total


def test_every_line_of_the_access_log_is_counted(metered, tmp_path):
    """Refusals, bad bodies, and clients that leave: whatever has a line."""
    log = tmp_path / "access.log"
    site, probe = metered(
        access_logfile=str(log),
        access_log_format="%s %m",
        max_body=1000,
        static="/files=" + str(tmp_path),
        ready_path="/ready",
        ws_origins="same",
    )
    (tmp_path / "a.txt").write_text("text")
    for request in [
        b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n" * 3,
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nz",
        b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcdeXX",
        b"GET /files/a.txt HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /files/none HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        b"Connection: upgrade\r\nOrigin: http://evil\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        b"Connection: upgrade\r\nSec-WebSocket-Version: 99\r\n\r\n",
        b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n",
        b"HEAD /a HTTP/1.0\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
    ]:
        with site.raw() as client:
            client.send(request)
            client.socket.shutdown(socket.SHUT_WR)
            while client.socket.recv(4096):
                pass
    page = probe.all("http_requests_total")
    refused = probe.get("refused_total", reason="ws_origins")
    assert site.stop()
    lines = [line.split()[0] for line in log.read_text().splitlines()]
    assert page == {code: lines.count(code) for code in set(lines)}
    assert {"200", "400", "403", "404", "413", "500"} <= set(lines)
    assert refused == 1


def test_websockets_are_counted_as_their_clients_count_them(
    metered, eventually
):
    site, probe = metered(ws_ping_interval=0)
    n, echoes = 40, 5

    def talk():
        for i in range(n):
            with site.ws("/") as client:
                for k in range(echoes):
                    client.send("x" * k)
                    assert client.recv() == "x" * k
                if i % 4 == 0:
                    client.send("bye")
                    with pytest.raises(Exception):
                        client.recv()

    threads = [threading.Thread(target=talk) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened = 5 * n
    byes = opened // 4
    eventually(lambda: probe.get("websocket_duration_seconds_count") == opened)
    assert probe.get("websocket_opens_total") == opened
    assert probe.all("http_requests_total") == {"101": opened}
    closes = probe.all("websocket_closes_total")
    assert sum(closes.values()) == opened
    assert set(closes) <= {"1000", "4xxx"}
    messages = probe.all("websocket_messages_total")
    assert messages == {
        "in": opened * echoes + byes,
        "out": opened * echoes,
    }
    sizes = opened * sum(range(echoes))
    assert probe.all("websocket_bytes_total") == {
        "in": sizes + 3 * byes,
        "out": sizes,
    }
    eventually(lambda: probe.get("websockets") == 0)


def test_topics_are_counted(metered, eventually):
    def rooms(environ, start_response):
        ws = environ["wsgi.websocket"]
        ws.subscribe("all")
        ws.subscribe(environ["PATH_INFO"])
        ws.send("ready")
        for _ in ws:
            pass
        return []

    def numbers():
        """Those of topics since the beginning of this test."""
        return {
            (name[len("wsocket_"):], *dict(labels).values()):
                value - before.get((name, labels), 0)
            for (name, labels), value in probe.page().items()
            if re.match("wsocket_(topic|broker)", name)
        }

    site, probe = metered(rooms)
    before = probe.page()
    with site.ws("/a") as a, site.ws("/b") as b:
        for ws in a, b:
            assert ws.recv() == "ready"
        now = numbers()
        assert now["topics",] == 3
        assert now["topic_subscriptions",] == 4
        wsocket.publish("all", "1")
        wsocket.publish(["all", "/a"], "2")
        wsocket.publish("nobody", "3")
        assert [a.recv(), a.recv(), b.recv(), b.recv()] == ["1", "2"] * 2
    eventually(lambda: numbers()["topics",] == 0)
    assert {key: n for key, n in numbers().items() if n} == {
        ("topic_publications_total", "out"): 3,
        ("topic_copies_owed_total",): 5,
        ("topic_copies_total", "passed"): 5,
        ("topic_copies_sent_total",): 4,
    }


class Echo(WSocketApp):
    def onmessage(self, message, client):
        client.send(message)


def test_events_and_pings_are_observed(metered, eventually):
    site, probe = metered(Echo(), ws_ping_interval=0.05)
    with site.ws("/") as client:
        for _ in range(10):
            client.send("x")
            assert client.recv() == "x"
        eventually(lambda: probe.get("websocket_ping_rtt_seconds_count") > 0)
        assert probe.get("websockets") == 1
        assert probe.get("connections", kind="websocket") == 1
    assert probe.get("websocket_event_seconds_count") >= 10
    assert 0 < probe.get("websocket_event_seconds_sum") < PATIENCE


def test_connections_are_told_apart(metered, eventually):
    go, begun = threading.Event(), threading.Event()

    def app(environ, start_response):
        begun.set()
        go.wait(PATIENCE)
        start_response("200 OK", [])
        return [b""]

    site, probe = metered(app, threads=3)
    with site.raw(), site.raw(), site.raw() as client:
        eventually(lambda: probe.all("connections")["new"] == 3)
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        begun.wait(PATIENCE)
        kinds = probe.all("connections")
        assert kinds == {"new": 2, "http": 1, "idle": 0, "websocket": 0}
        assert probe.all("handlers") == {"running": 1, "parked": 0}
        go.set()
        client.response()
        eventually(
            lambda: probe.all("connections")
            == {"new": 2, "http": 0, "idle": 1, "websocket": 0}
        )
    eventually(lambda: not any(probe.all("connections").values()))


def test_no_label_has_a_text_of_a_client(metered):
    """However many texts clients make up, the page does not grow."""
    site, probe = metered(allowed_hosts="127.0.0.1,localhost,test")
    site.get("/")
    before = set(probe.page())
    for i in range(50):
        mark = "mark%d" % i
        site.get("/" + mark, "Host: " + mark)
        site.get("/" + mark, "User-Agent: " + mark, method=mark.upper())
        with site.ws("/" + mark, user_agent_header=mark) as client:
            client.close(3000 + i, mark)
    after = set(probe.page())
    assert b"mark" not in probe.ask()[2].lower()
    assert len(after) - len(before) <= 6


def test_ready_and_live_are_answered_at_the_main_addresses(metered):
    site, _ = metered(ready_path="/-/ready", live_path="/-/live")
    assert site.get("/-/ready")[::2] == (200, b"ready\n")
    assert site.get("/-/live")[::2] == (200, b"live\n")
    assert site.get("/-/live", method="HEAD")[::2] == (200, b"")
    assert site.get("/-/live", method="POST")[0] == 405
    assert site.get("/-/lively")[2] == b"/-/lively"


def test_ready_says_when_the_server_stops(metered):
    go, begun = threading.Event(), threading.Event()

    def app(environ, start_response):
        begun.set()
        go.wait(PATIENCE)
        start_response("200 OK", [])
        return [b""]

    site, probe = metered(app)
    with site.raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        begun.wait(PATIENCE)
        ready = http.client.HTTPConnection(*probe.address, timeout=PATIENCE)
        ready.connect()
        ready.request("GET", "/ready")
        assert ready.getresponse().read() == b"ready\n"
        site.server.stop()
        answer = None
        while answer is None:  # one that the stop closed is asked again
            try:
                answer = probe.ask("/ready")
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)
        assert answer[0] == 503
        assert probe.ask("/live")[0] == 200
        go.set()
        assert client.response()[0] == 200
    assert site.stop()


@pytest.mark.parametrize(
    "option, value",
    [
        ("metrics_bind", "9464"),
        ("metrics_bind", ""),
        ("ready_path", "ready"),
        ("ready_path", "/a b"),
        ("live_path", "/a?b"),
    ],
)
def test_bad_options_are_refused(option, value):
    with pytest.raises(ValueError, match=option):
        Server(app, port=0, **{option: value})


def test_an_address_that_is_taken_is_named(metered):
    site, _ = metered()
    taken = urllib.parse.urlsplit(site.server.metrics_url).netloc
    server = Server(app, port=0, metrics_bind=taken, access_logfile="none")
    with pytest.raises(OSError, match=re.escape(taken.split(":")[1])):
        server.start()


def test_metrics_on_a_unix_socket(serve, tmp_path):
    path = str(tmp_path / "metrics")
    site = serve(app, metrics_bind="unix:%s:600" % path)
    assert site.server.metrics_url == "unix:" + path
    assert os.stat(path).st_mode & 0o777 == 0o600
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.sendall(b"GET /live HTTP/1.0\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")
    assert site.stop()
    assert not os.path.exists(path)


DASHBOARD = os.path.join(
    os.path.dirname(__file__), "../../examples/deploy/grafana.json"
)


def test_the_dashboard_shows_every_metric_and_no_other(metered):
    site, probe = metered()
    families = list(
        text_string_to_metric_families(probe.ask()[2].decode())
    )
    names = {f.name for f in families}
    with open(DASHBOARD, encoding="utf-8") as file:
        board = json.load(file)
    shown = set()
    ids, places = [], set()
    for panel in board["panels"]:
        ids.append(panel["id"])
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in places, panel["title"]
                places.add((x, y))
        for target in panel.get("targets", []):
            for name in re.findall(r"wsocket_\w+", target["expr"]):
                found = re.sub(r"_(total|bucket|sum|count)$", "", name)
                assert found in names, name
                shown.add(found)
            labels = re.findall(r"{{(\w+)}}", target["legendFormat"])
            assert set(labels) <= LABELS
    assert len(ids) == len(set(ids))
    assert names == shown


def test_the_alerts_are_of_metrics_and_labels_that_there_are(metered):
    site, probe = metered()
    text = probe.ask()[2].decode()
    with open(os.path.join(os.path.dirname(DASHBOARD), "alerts.yml"),
              encoding="utf-8") as file:
        rules = file.read()
    used = set(re.findall(r"wsocket_\w+", rules))
    assert len(used) >= 8
    for name in used - {"wsocket_tls_certificate_end_seconds"}:  # no TLS here
        family = re.sub(r"_(total|bucket)$", "", name)
        assert re.search(r"^# TYPE %s(_total)? " % family, text, re.M), name
    assert set(re.findall(r"labels\.(\w+)", rules)) <= {*LABELS, "name", "file"}
    assert set(re.findall(r'reason=~"([^"]+)"', rules)) == {"crash|hung|oom"}


LABELS = {
    *("code", "direction", "gil", "instance", "kind", "listener", "log"),
    *("python", "reason", "result", "state", "version", "worker"),
}
