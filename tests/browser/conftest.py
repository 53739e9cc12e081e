"""Fixtures: Chromium, and wsocket as a program."""

import re
import shutil
import signal
import socket
import subprocess
import sys

import pytest
from page import ROOT
from selenium import webdriver

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
    --disable-background-networking --disable-component-update --disable-sync
    --disable-dev-shm-usage --window-size=1000,900""".split()


def program(*names):
    return next(filter(None, map(shutil.which, names)), None)


BROWSER = program("chromium", "chromium-browser", "google-chrome")
DRIVER = program("chromedriver")


@pytest.fixture
def browser(tmp_path):
    if not (BROWSER and DRIVER):
        pytest.skip("no chromium with chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in [*FLAGS, "--user-data-dir=%s" % (tmp_path / "profile")]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(30)
    yield driver
    driver.quit()


@pytest.fixture
def running():
    """The servers of a test that were not told to end: (process, file of what
    it says)."""
    return []


@pytest.fixture
def stop(running):
    """stop(): end them as Ctrl-C does. A second one would kill them."""
    told = []

    def send():
        while running:
            told.append(running.pop())
            told[-1][0].send_signal(signal.SIGINT)

    yield send
    for process, log in told:
        end(process, log)


def end(process, log):
    try:
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        log.close()


@pytest.fixture
def serve(tmp_path, running):
    """serve(arguments, folder): `python -m wsocket` on a free port, or another
    `command`; its port."""

    def start(*args, folder=ROOT, command=("-m", "wsocket", "--port", "0")):
        log = open(tmp_path / "server.log", "w+", encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, *command, *args],
            cwd=folder, stdout=log, stderr=log)
        running.append((process, log))
        for _ in range(1200):
            said = re.search(r"https?://[\w.]+:(\d+)",
                             (tmp_path / "server.log").read_text())
            if said:
                return int(said[1])
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            break
        raise AssertionError((tmp_path / "server.log").read_text())

    yield start
    for process, log in running:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # as Ctrl-C
        end(process, log)


@pytest.fixture
def idle_sockets():
    """idle_sockets(port, octets): as browsers do, a connection opened early."""
    opened = []

    def open_one(port, octets=b""):
        peer = socket.create_connection(("127.0.0.1", port), 10)
        opened.append(peer)
        peer.sendall(octets)

    yield open_one
    for peer in opened:
        peer.close()
