"""Certificates by ACME, as docs/guide/tls.md has it: certbot, and Pebble as the
authority, which asks at a port of this machine."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest
from conftest import PATIENCE, program

pytestmark = pytest.mark.skipif(
    not (shutil.which("certbot") and shutil.which("pebble")),
    reason="certbot and Pebble are needed")

NAME = "shop.test"
APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
"""


def free_ports(n):
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [sock.getsockname()[1] for sock in socks]
    for sock in socks:
        sock.close()
    return ports


def accepts(port):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            time.sleep(0.05)
    return False


@pytest.fixture
def run():
    """Start a program that ends with the test."""
    running = []

    def start(command, **more):
        running.append(subprocess.Popen(command, **more))
        return running[-1]

    yield start
    for process in running:
        process.send_signal(signal.SIGTERM)
    for process in running:
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()


@pytest.fixture
def authority(run, tmp_path, certificate):
    """Pebble, and names that all lead here: certbot's words for it, and the port
    at which it asks for http-01."""
    api, management, http, dns, control = free_ports(5)
    key, crt, _ = certificate
    config = tmp_path / "pebble.json"
    config.write_text(
        json.dumps(
            {
                "pebble": {
                    "listenAddress": "127.0.0.1:%d" % api,
                    "managementListenAddress": "127.0.0.1:%d" % management,
                    "certificate": crt,
                    "privateKey": key,
                    "httpPort": http,
                    "tlsPort": 1,
                }
            }
        )
    )
    run(
        [program("pebble-challtestsrv"), "-defaultIPv4", "127.0.0.1"]
        + ["-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", ""]
        + ["-dns01", "127.0.0.1:%d" % dns]
        + ["-management", "127.0.0.1:%d" % control]
    )
    run(
        [program("pebble"), "-config", str(config)]
        + ["-dnsserver", "127.0.0.1:%d" % dns],
        env=dict(os.environ, PEBBLE_VA_NOSLEEP="1", PEBBLE_WFE_NONCEREJECT="0"),
    )
    assert accepts(api) and accepts(control)
    words = ["--server", "https://127.0.0.1:%d/dir" % api, "--no-verify-ssl"]
    return words, http


def certbot(words, folder, *more):
    done = subprocess.run(
        [program("certbot"), "certonly", "-n", "--agree-tos", "-d", NAME]
        + ["--register-unsafely-without-email", *words, *more]
        + [
            "--%s-dir=%s" % (kind, folder / kind)
            for kind in ("config", "work", "logs")
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def port_of(log, pattern):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = re.search(pattern, log.read_text())
        if found:
            return int(found[1])
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def dial(port):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
    return context.wrap_socket(sock, server_hostname=NAME)


def is_served(sock):
    sock.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % NAME.encode())
    data = b""
    while not data.endswith(b"hello"):
        more = sock.recv(4096)
        if not more:
            return False
        data += more
    return data.startswith(b"HTTP/1.1 200 ")


def test_a_certificate_is_renewed_while_the_server_serves(
    run, authority, tmp_path
):
    words, http = authority
    webroot = tmp_path / "acme" / ".well-known" / "acme-challenge"
    webroot.mkdir(parents=True)
    live = tmp_path / "config" / "live" / NAME
    (tmp_path / "shop.py").write_text(APP)
    certbot(words, tmp_path, "--standalone", "--http-01-port", str(http))
    log = tmp_path / "log"
    with log.open("w") as file:
        run(
            [sys.executable, "-m", "wsocket", "--bind", "127.0.0.1:0"]
            + ["--insecure-bind", "127.0.0.1:%d" % http]
            + ["--redirect-https", "on"]
            + ["--certfile", str(live / "fullchain.pem")]
            + ["--keyfile", str(live / "privkey.pem")]
            + ["--static", "/.well-known/acme-challenge=%s" % webroot]
            + ["shop:app"],
            cwd=tmp_path,
            stdout=file,
            stderr=file,
        )
    port = port_of(log, r"https://127.0.0.1:(\d+)")
    with dial(port) as kept:
        old = kept.getpeercert(True)
        assert is_served(kept)
        certbot(
            words,
            tmp_path,
            "--force-renewal",
            *("--webroot", "-w", str(tmp_path / "acme")),
        )
        until, new = time.monotonic() + PATIENCE, old
        while new == old and time.monotonic() < until:
            time.sleep(0.2)
            with dial(port) as sock:
                new = sock.getpeercert(True)
        assert new != old, log.read_text()
        assert is_served(kept)
