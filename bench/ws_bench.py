"""WebSocket echoes: 64 connections, by size, depth and compression."""

import os

import rig

FLOOR, OURS = "wsocket-c", "wsocket-events"
WARM_UP = 0.5
CONNECTIONS = 64

# name: size, messages in flight on each connection, compressed
ROWS = {
    "125 B": (125, 1, False),
    "16 KiB": (16384, 1, False),
    "125 B, 16 in flight": (125, 16, False),
    "1 MiB": (1048576, 1, False),
    "1 KiB JSON, compressed": (1024, 1, True),
}

WSOCKET = [rig.PYTHON, "-m", "wsocket", "--port", "{port}",
           "--access-logfile", "none"]
SERVERS = {
    "wsocket-c": [os.path.join(rig.FOLDER, "echo"),
                  "port={port}"],
    "wsocket-events": [*WSOCKET, "ws_events:app"],
    "wsocket-blocking": [*WSOCKET, "ws_blocking:app"],
    "libwebsockets": [os.path.join(rig.FOLDER, "ws_lws"), "{port}"],
    "picows": [rig.PYTHON, "ws_picows.py", "{port}"],
    "flask-sock": [rig.VENV + "/bin/gunicorn", "-k", "gthread", "--threads",
                   "100", "-b", "127.0.0.1:{port}", "ws_flask_sock:app"],
}
UNCOMPRESSED = {"picows", "flask-sock"}  # they know no permessage-deflate


def prepare(wanted):
    """Build and install what is needed; the servers that can be run."""
    rig.build_library()
    if not rig.build_program("ws_load", "-lz"):
        raise SystemExit("bench/ws_load.c does not compile")
    able = {
        "wsocket-c": lambda: True,
        "wsocket-events": rig.install_package,
        "wsocket-blocking": rig.install_package,
        "libwebsockets": lambda: rig.build_program("ws_lws", "-lwebsockets"),
        "picows": lambda: rig.have("picows, uvloop", "picows", "uvloop"),
        "flask-sock": lambda: rig.have("flask_sock, gunicorn", "flask-sock",
                                       "gunicorn"),
    }
    there = [name for name in wanted if able[name]() is not False]
    for name in set(wanted) - set(there):
        print("left out: %s cannot be built here" % name)
    return there


def check(servers):
    """The load compares the first answer on each connection itself."""
    return {(server, row): "knows no compression"
            for server in servers for row in ROWS
            if server in UNCOMPRESSED and ROWS[row][2]}


def command(server, row):
    """How to start it; None where there is nothing to measure. libwebsockets
    negotiates compression whenever it may, and so is told when."""
    compressed = ROWS[row][2]
    if compressed and server in UNCOMPRESSED:
        return None
    more = ["deflate"] if server == "libwebsockets" and compressed else []
    return SERVERS[server] + more


def burst(server, port, row, seconds, meter):
    """Messages, seconds, errors."""
    size, in_flight, compressed = ROWS[row]
    return rig.messages("ws_load", meter, port, CONNECTIONS, size, in_flight,
                        seconds, *(["deflate"] if compressed else []))
