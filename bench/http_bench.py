"""HTTP requests by wrk: keep-alive but in one row, one small app in all."""

import http.client
import operator
import os
import re
import statistics
import time

import http_app
import rig

FLOOR, OURS = "null", "wsocket"
WARM_UP = 1  # wrk knows only whole seconds

# name: path, connections, arguments of wrk
CLOSE = ["-H", "Connection: close"]
ROWS = {
    "hello": ("/", 64, []),
    "hello, 512 connections": ("/", 512, []),
    "10 KB body": ("/10k", 64, []),
    "generator of 10 items": ("/items", 64, []),
    "POST 1 KB": ("/post", 64, ["-s", "post.lua"]),
    "static 10 KB": ("/static/10k.txt", 64, []),
    "Connection: close": ("/", 64, CLOSE),
}
# The C servers answer all with hello, and one knows no Connection: close. What
# workers and metrics cost shows where a request does least.
ONLY_HELLO = {
    "null": ["hello", "hello, 512 connections"],
    "wsocket-c": ["hello", "hello, 512 connections", "Connection: close"],
    "wsocket-worker": ["hello"],
    "wsocket-metrics": ["hello"],
}

BIN = rig.VENV + "/bin/"
WSOCKET = [rig.PYTHON, "-m", "wsocket", "--port", "{port}",
           "--access-logfile", "none", "--static",
           "/static=" + http_app.FILES, "http_app:app"]
SERVERS = {
    "null": [os.path.join(rig.FOLDER, "null"), "{port}"],
    "wsocket-c": [os.path.join(rig.FOLDER, "hello"), "{port}"],
    "wsocket": WSOCKET,
    "wsocket-worker": [*WSOCKET, "--workers", "1"],
    "wsocket-metrics": [*WSOCKET, "--metrics-bind", "127.0.0.1:0"],
    "fastwsgi": [rig.PYTHON, "http_fastwsgi.py", "{port}"],
    "bjoern": [rig.PYTHON, "http_bjoern.py", "{port}"],
    "granian": [BIN + "granian", "--interface", "wsgi", "--host", "127.0.0.1",
                "--port", "{port}", "--no-ws", "--static-path-route", "/static",
                "--static-path-mount", http_app.FILES, "http_app:app"],
    "uwsgi": [BIN + "uwsgi", "--http11-socket", "127.0.0.1:{port}",
              "--module", "http_app:app", "--master", "--disable-logging",
              "--threads", "64", "--static-map", "/static=" + http_app.FILES],
    "gunicorn-gthread": [BIN + "gunicorn", "-k", "gthread", "--threads", "4",
                         "-b", "127.0.0.1:{port}", "http_app:app"],
    "socketify": [rig.PYTHON, "-m", "socketify", "http_app:app", "--interface",
                  "wsgi", "--host", "127.0.0.1", "--port", "{port}",
                  "--disable-listen-log", "true"],
}
FROM_PYPI = {"fastwsgi": "fastwsgi", "bjoern": "bjoern", "granian": "granian",
             "uwsgi": "uwsgi", "gunicorn-gthread": "gunicorn",
             "socketify": "socketify"}
MODULES = {"uwsgi": "os", "gunicorn-gthread": "gunicorn"}


def prepare(wanted):
    """Build and install what is needed; the servers that can be run."""
    rig.build_library()
    if not rig.build_program("null"):
        raise SystemExit("bench/null.c does not compile")
    os.makedirs(http_app.FILES, exist_ok=True)
    with open(os.path.join(http_app.FILES, "10k.txt"), "wb") as file:
        file.write(http_app.BODY)
    able = []
    for name in wanted:
        package = FROM_PYPI.get(name)
        if name.startswith("wsocket") and name != "wsocket-c":
            rig.install_package()
        elif package and not rig.have(MODULES.get(name, package), package) or (
                name == "uwsgi" and not os.path.exists(BIN + "uwsgi") and
                not rig.quietly(rig.pip("uwsgi"))):
            print("left out: %s cannot be installed here" % name)
            continue
        able.append(name)
    return able


# ------------------------------------------------------------- checking ---

def fetch(port, path):
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    if path == "/post":
        conn.request("POST", path, b"x" * 1024)
    else:
        conn.request("GET", path)
    body = conn.getresponse().read()
    conn.close()
    return body


def late_items(port):
    """How many items had not come when the next was asked for. A connection
    that has seen some requests, as those of a load have: by then its client
    delays each ACK, for which a server with Nagle's algorithm on waits."""
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    for _ in range(30):
        conn.request("GET", "/")
        conn.getresponse().read()
    conn.request("GET", "/paced")
    answer = conn.getresponse()
    came, asked = [], []
    for line in iter(answer.readline, b""):
        came.append(time.monotonic())
        asked.append(float(line))
    conn.close()
    return sum(map(operator.gt, came, asked[1:]))


def faults(port, rows):
    """What this server does not do as PEP 3333 has it, by row."""
    for row in rows:
        path = ROWS[row][0]
        try:
            body = fetch(port, path)
        except (OSError, http.client.HTTPException) as exc:
            yield row, "fails: %s" % type(exc).__name__
            continue
        if body != http_app.ANSWERS[path]:
            yield row, "answers wrongly"
        elif path == "/items":
            # A busy machine may delay some by chance.
            late = statistics.median(late_items(port) for _ in range(3))
            if late > 2:
                yield row, ("late: %d of %d items were not there when the "
                            "next was asked for" % (late, http_app.PACED - 1))


def check(servers):
    notes = {}
    for server in servers:
        if server in ONLY_HELLO:
            continue
        with rig.serving(SERVERS[server]) as (port, _):
            for row, fault in faults(port, ROWS):
                notes[server, row] = fault
    return notes


# ------------------------------------------------------------ measuring ---

def number(pattern, text):
    found = re.search(pattern, text)
    return float(found[1]) if found else 0.0


def command(server, row):
    """How to start it; None where there is nothing to measure."""
    return SERVERS[server] if row in ONLY_HELLO.get(server, ROWS) else None


def burst(server, port, row, seconds, meter):
    """Requests, seconds, errors."""
    path, connections, more = ROWS[row]
    return wrk("http://127.0.0.1:%d%s" % (port, path), connections, more,
               seconds, meter)


def wrk(url, connections, more, seconds, meter):
    began = time.monotonic()
    with meter:
        text = rig.load(["wrk", "-t1", "-c%d" % connections,
                         "-d%ds" % max(1, round(seconds)), *more, url])
    bad = number(r"Non-2xx or 3xx responses: (\d+)", text)
    found = re.search(r"Socket errors: connect (\d+), read (\d+), "
                      r"write (\d+), timeout (\d+)", text)
    errors = int(bad) + sum(map(int, found.groups() if found else ()))
    return (number(r"(\d+) requests in", text), time.monotonic() - began,
            errors)
