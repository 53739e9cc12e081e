"""One message to many WebSockets: CPU of each delivery."""

import os
import resource

import rig

FLOOR, OURS = "null", "topics"
WARM_UP = 0.5

# name: connections, size, messages in flight, compressed
ROWS = {
    "1 to 32, 64 B": (32, 64, 1, False),
    "1 to 1,000, 64 B": (1000, 64, 1, False),
    "1 to 1,000, 1 KiB": (1000, 1024, 1, False),
    "1 to 1,000, 64 B, bursts of ten": (1000, 64, 10, False),
    "1 to 1,000, 1 KiB JSON, compressed": (1000, 1024, 1, True),
    "1 to 10,000, 64 B": (10000, 64, 1, False),
}

WSOCKET = [rig.PYTHON, "-m", "wsocket", "--port", "{port}",
           "--access-logfile", "none", "--ws-ping-interval", "0"]
SERVERS = {
    "null": [os.path.join(rig.FOLDER, "fan_null"), "{port}"],
    "topics": [*WSOCKET, "fan_topics:app"],
    "loop": [*WSOCKET, "fan_loop:app"],
    "plain": [*WSOCKET, "fan_topics:app"],
    "uwebsockets": [rig.PYTHON, "fan_uws.py", "{port}"],
    "picows": [rig.PYTHON, "fan_picows.py", "{port}"],
}
UNCOMPRESSED = {"null", "picows"}  # they know no permessage-deflate


def prepare(wanted):
    """Build and install what is needed; the servers that can be run."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rig.build_library()
    for name in "ws_load", "fan_null":
        if not rig.build_program(name, "-lz"):
            raise SystemExit("bench/%s.c does not compile" % name)
    rig.install_package()
    able = {"uwebsockets": lambda: rig.have("socketify", "socketify"),
            "picows": lambda: rig.have("picows, uvloop", "picows", "uvloop")}
    there = [name for name in wanted if name not in able or able[name]()]
    for name in set(wanted) - set(there):
        print("left out: %s cannot be built here" % name)
    return there


def check(servers):
    """The load compares the first answer on each connection itself."""
    return {(server, row): "knows no compression"
            for server in servers for row in ROWS
            if server in UNCOMPRESSED and ROWS[row][3]}


def command(server, row):
    """How to start it; None where there is nothing to measure. `plain` stands
    beside compressed messages: the same application, and they are not."""
    compressed = ROWS[row][3]
    if server in UNCOMPRESSED if compressed else server == "plain":
        return None
    more = ["deflate"] if server == "uwebsockets" and compressed else []
    return SERVERS[server] + more


def burst(server, port, row, seconds, meter):
    """Messages, seconds, errors."""
    connections, size, in_flight, compressed = ROWS[row]
    more = ["deflate"] if compressed and server != "plain" else []
    return rig.messages("ws_load", meter, port, connections, size, in_flight,
                        seconds, *more, "fan")
