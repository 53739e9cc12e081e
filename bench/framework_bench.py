"""What a framework adds to a request: the same server and hello for all."""

import http_app
import http_bench
import rig

FLOOR, OURS = "bare", "framework"
WARM_UP = http_bench.WARM_UP
ROWS = ["hello"]
burst = http_bench.burst  # its row of that name
APPS = {"bare": "bare", "framework": "framework", "bottle": "make_bottle()",
        "flask": "make_flask()"}
SERVERS = {name: [rig.PYTHON, "-m", "wsocket", "--port", "{port}",
                  "--access-logfile", "none", "framework_app:" + app]
           for name, app in APPS.items()}


def prepare(wanted):
    """Install what is needed; the applications that can be served."""
    rig.build_library()
    rig.install_package()
    able = []
    for name in wanted:
        if name in ("bottle", "flask") and not rig.have(name, name):
            print("left out: %s cannot be installed here" % name)
            continue
        able.append(name)
    return able


def check(servers):
    notes = {}
    for server in servers:
        with rig.serving(SERVERS[server]) as (port, _):
            if http_bench.fetch(port, "/") != http_app.HELLO:
                notes[server, "hello"] = "answers wrongly"
    return notes


def command(server, row):
    return SERVERS[server]
