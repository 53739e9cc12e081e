"""Fixtures: nginx and HAProxy as docs/guide/deploy.md configures them, in front
of a server in this process. What is missing fails: `make test` installs it."""

import json
import os
import pathlib
import pwd
import re
import shutil
import socket
import ssl
import subprocess
import time

import pytest
import wsocket

ROOT = pathlib.Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guide" / "deploy.md").read_text(encoding="utf-8")
PATIENCE = 20  # seconds until something that must happen counts as lost
SOCKET = "/run/shop/shop.sock"
CLIENT = "127.0.0.2"  # not trusted, as 127.0.0.1 is in the guide

UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)

NGINX = """
daemon off;
user %(user)s;
worker_processes 1;
pid %(folder)s/pid;
error_log stderr;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path %(folder)s/body;
    proxy_temp_path %(folder)s/proxy;
    fastcgi_temp_path %(folder)s/fastcgi;
    uwsgi_temp_path %(folder)s/uwsgi;
    scgi_temp_path %(folder)s/scgi;
%(sample)s
}
"""


def sample(language, holding):
    """The block of the guide in that language that holds a text."""
    blocks = re.findall(r"^```%s\n(.*?)^```$" % language, GUIDE, re.M | re.S)
    (found,) = (block for block in blocks if holding in block)
    return found


def replaced(text, *pairs):
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def program(name):
    path = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin"
    found = shutil.which(name, path=path)
    assert found, "%s is not installed (tools/bootstrap test)" % name
    return found


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A key and a certificate, in files of their own and in one."""
    folder = tmp_path_factory.mktemp("tls")
    key, crt, pem = (str(folder / name) for name in ("key", "crt", "pem"))
    subprocess.run(
        [program("openssl"), "req", "-x509", "-newkey", "ec", "-nodes"]
        + ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"]
        + ["-subj", "/CN=shop.example", "-keyout", key, "-out", crt],
        check=True,
        capture_output=True,
    )
    with open(pem, "w", encoding="ascii") as file:
        file.write(pathlib.Path(crt).read_text() + pathlib.Path(key).read_text())
    return key, crt, pem


def nginx(folder, port, path, certificate):
    key, crt, _ = certificate
    text = replaced(
        sample("nginx", "proxy_pass"),
        ("listen 443 ssl", "listen 127.0.0.1:%d ssl" % port),
        ("/etc/ssl/shop.pem", crt),
        ("/etc/ssl/shop.key", key),
        (SOCKET, path),
    )
    user = pwd.getpwuid(os.getuid()).pw_name
    file = folder / "nginx.conf"
    file.write_text(
        NGINX % {"user": user, "folder": folder, "sample": text},
        encoding="ascii",
    )
    return [program("nginx"), "-e", "stderr", "-c", str(file)]


def haproxy(folder, port, path, certificate):
    text = replaced(
        sample("haproxy", "backend shop"),
        ("bind :443 ssl", "bind 127.0.0.1:%d ssl" % port),
        ("/etc/ssl/shop.pem", certificate[2]),
        (SOCKET, path),
    )
    file = folder / "haproxy.cfg"
    file.write_text(text, encoding="ascii")
    return [program("haproxy"), "-db", "-f", str(file)]


def told():
    """What the guide's wsocket.toml says of proxies."""
    text = sample("toml", "allowed_hosts = ").partition("\n")[2]
    pairs = re.findall(r"^(\w+) = (\[.*?\])", text, re.M)
    return {name: json.loads(value) for name, value in pairs}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(process, port, log):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.02)
    pytest.fail("the proxy does not start: " + log.read_text())


class Front:
    """The proxy, as a client sees it."""

    def __init__(self, port):
        self.port = port
        self.host = "shop.example:%d" % port
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE

    def plain(self):
        return socket.create_connection(
            ("127.0.0.1", self.port), PATIENCE, (CLIENT, 0)
        )

    def ask(self, *fields, host=None):
        """An answer's status, and a file for what comes behind its head. By one
        thread: those of a client library may not share a TLS connection."""
        client = self.context.wrap_socket(
            self.plain(), server_hostname="shop.example"
        )
        with client:
            lines = ["GET /x HTTP/1.1", "Host: " + (host or self.host), *fields]
            client.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
            file = client.makefile("rb")
        status = int(file.readline().split(b" ")[1])
        while file.readline() not in (b"\r\n", b""):
            pass
        return status, file

    def get(self, *fields, host=None):
        """Status, and what the application has seen."""
        if not any(field.startswith("Connection:") for field in fields):
            fields += ("Connection: close",)
        status, file = self.ask(*fields, host=host)
        with file:
            return status, json.loads(file.read()) if status == 200 else None

    def websocket(self, *fields):
        """The same of a WebSocket, whose first message it is."""
        status, file = self.ask(*UPGRADE, *fields)
        with file:
            if status != 101:
                return status, None
            assert file.read(2) == b"\x81\x7e"  # a text of 126 to 65535 octets
            return status, json.loads(file.read(int.from_bytes(file.read(2), "big")))


@pytest.fixture(params=[nginx, haproxy])
def front(request, tmp_path, certificate):
    """front(app): the guide's proxy before the guide's server."""
    path, port, log = str(tmp_path / "sock"), free_port(), tmp_path / "log"
    servers, processes = [], []

    def start(app):
        servers.append(
            wsocket.Server(
                app, bind="unix:" + path, access_logfile="none", **told()
            ).start()
        )
        command = request.param(tmp_path, port, path, certificate)
        with log.open("wb") as file:
            processes.append(
                subprocess.Popen(command, stdout=file, stderr=file)
            )
        wait_for(processes[0], port, log)
        return Front(port)

    yield start
    for process in processes:
        process.terminate()
        process.wait(PATIENCE)
    for server in servers:
        server.stop()
        assert server.join(PATIENCE)
