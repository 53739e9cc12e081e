"""examples/compose: its nginx in front of its server, and what a machine can say
of the rest without Docker."""

import os
import re
import socket
import subprocess
import sys
import time

import pytest
import wsocket
from conftest import NGINX, ROOT, program, replaced
from wsocket import config

FOLDER = ROOT / "examples" / "compose"
DOCKERFILES = sorted((ROOT / "examples").glob("**/Dockerfile"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def text(name):
    return (FOLDER / name).read_text(encoding="utf-8")


@pytest.fixture
def service(tmp_path):
    """The port of nginx, which leads to the server with its file of options."""
    behind, front = free_port(), free_port()
    options = replaced(
        text("wsocket.toml"), (":8000", "127.0.0.1:%d" % behind),
        ("172.16.0.0/12", "127.0.0.1"), ("/srv/shop/static", str(ROOT / "examples/static")),
        ("stop_delay = 2", "stop_delay = 0"))
    (tmp_path / "wsocket.toml").write_text(options)
    sample = replaced(text("nginx.conf"), ("shop:8000", "127.0.0.1:%d" % behind),
                      ("listen 80;", "listen 127.0.0.1:%d;" % front))
    (tmp_path / "nginx.conf").write_text(
        NGINX % {"user": "root", "folder": tmp_path, "sample": sample})
    with open(tmp_path / "said", "w") as said:
        running = [
            subprocess.Popen([sys.executable, "-m", "wsocket", "--config",
                              str(tmp_path / "wsocket.toml")],
                             cwd=ROOT / "examples/flask", stdout=said, stderr=said),
            subprocess.Popen([program("nginx"), "-c", str(tmp_path / "nginx.conf"),
                              "-e", "stderr"], stdout=said, stderr=said)]
    try:
        for port in behind, front:
            wait_for(port)
        yield front
    finally:
        for process in reversed(running):
            process.terminate()
        codes = [process.wait(30) for process in running]
    assert codes == [0, 0], (tmp_path / "said").read_text()


def wait_for(port):
    for _ in range(400):
        with socket.socket() as probe:
            probe.settimeout(0.05)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("nothing listens on %d" % port)


def get(port, path):
    done = subprocess.run([program("curl"), "-s", "-i", "http://localhost:%d%s" % (port, path)],
                          capture_output=True, text=True, check=True, timeout=30)
    return done.stdout


def hear(ws, text):
    """Wait for a message with a text."""
    while text not in ws.receive(20):
        pass


def test_the_chat_works_through_nginx(service):
    assert "200" in get(service, "/room/lobby").split("\n")[0]
    assert "body {" in get(service, "/static/chat.css")
    url = "ws://localhost:%d/chat/lobby?name=" % service
    with wsocket.connect(url + "Ann") as ann:
        hear(ann, "has come")
        with wsocket.connect(url + "Bob") as bob:
            bob.send("hello")
            hear(ann, "says: hello")


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_a_dockerfile_is_clean(path):
    hadolint = os.path.join(os.path.dirname(sys.executable), "hadolint")
    if not os.path.exists(hadolint):
        pytest.skip("hadolint is not installed")
    done = subprocess.run([hadolint, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_what_a_dockerfile_copies_is_there(path):
    for source in re.findall(r"^COPY (?!--from)(\S+)", path.read_text(), re.MULTILINE):
        assert (ROOT / source).exists()


def test_the_services_fit_together():
    yaml = pytest.importorskip("yaml")
    toml = pytest.importorskip("tomllib")
    services = yaml.safe_load(text("compose.yaml"))["services"]
    options = toml.loads(text("wsocket.toml"))["wsocket"]
    shop = services["shop"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        for volume in service.get("volumes", []):
            assert (FOLDER / volume.split(":")[0]).exists()
    assert (FOLDER / shop["build"]["context"] / shop["build"]["dockerfile"]).exists()
    for name in shop["environment"]:
        option = name[len("WSOCKET_"):].lower()
        assert option in config.NAMES
    grace = int(shop["stop_grace_period"].rstrip("s"))
    assert grace > options["stop_delay"] + options["graceful_timeout"]
    assert options["ready_path"] in text("Dockerfile")
    assert "shop:8000" in text("nginx.conf") and options["bind"] == [":8000"]
