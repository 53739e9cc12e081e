#!/usr/bin/env python3
"""How well handshakes are kept apart from connections that have done theirs.

    python bench/handshakes.py [--seconds 10]

Run it with a Python that has wsocket. The server has core 0, all clients share
core 1. For each kind of key: as many full handshakes as four `openssl s_time`
can, beside 1,000 silent connections and 1,000 that have sent half of a hello,
which come again when they are closed. Meanwhile one message at a time over wss
and one request at a time on kept connections. Prints their latencies, and those
of a bare echo that shares core 0; asserts nothing. `none` is without the crowd.
"""
import argparse
import contextlib
import os
import re
import select
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

import rig

KEYS = {"P-256": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "RSA-2048": ["rsa:2048"], "RSA-4096": ["rsa:4096"]}
CROWD, HALF = 1000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
FLOODERS, KEPT, PAUSE = 4, 20, 0.002
UPGRADE = (b"GET %s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
           b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")
MESSAGE = b"\x82\x8a\0\0\0\0" + b"0123456789"
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BARE = """
import socket, sys
one, _ = socket.create_server(("127.0.0.1", int(sys.argv[1]))).accept()
one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
while True:
    data = one.recv(4096)
    if not data:
        one = None
        break
    one.sendall(data)
"""


def make_pair(folder, key):
    names = [os.path.join(folder, key + end) for end in (".pem", ".key")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", *KEYS[key], "-nodes",
                    "-days", "30", "-subj", "/CN=localhost", "-out", names[0],
                    "-keyout", names[1]], check=True, capture_output=True)
    return names


def plain(port):
    sock = socket.create_connection(("127.0.0.1", port), 60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def secure(port):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain(port))


def until(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(65536)
        if not more:
            raise EOFError("an established connection was lost")
        data += more
    return data


def answer(sock):
    data = b""
    while b"\r\n\r\n" not in data:
        data += until(sock, 1)
    length = re.search(rb"Content-Length: (\d+)", data)
    return until(sock, int(length[1]) - len(data.partition(b"\r\n\r\n")[2])
                 ) if length else data


def websocket(sock, path=b"/"):
    """Make a connection one."""
    sock.sendall(UPGRADE % path)
    if not answer(sock).startswith(b"HTTP/1.1 101"):
        raise EOFError("no WebSocket")
    return sock


def crowd(port):
    """In a process of its own: connections whose hello does not come."""
    poller, open_ones = select.poll(), {}

    def come(octets):
        sock = plain(port)
        sock.sendall(octets)
        open_ones[sock.fileno()] = sock, octets
        poller.register(sock, select.POLLIN)

    for _ in range(CROWD):
        come(b"")
        come(HALF)
    print("there", flush=True)
    while True:
        for fd, _ in poller.poll():
            sock, octets = open_ones.pop(fd)
            poller.unregister(fd)
            sock.close()
            come(octets)


@contextlib.contextmanager
def running(command, **more):
    process = subprocess.Popen(
        ["taskset", "-c", rig.LOAD_CORE, "nice", "-n", "10", *command],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True, **more)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def time_turns(seconds, kinds):
    """Latencies by kind, in ms; kinds: (sockets, octets, read) by name."""
    took = {name: [] for name in kinds}
    end, turn = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        for name, (sockets, octets, read) in kinds.items():
            sock = sockets[turn % len(sockets)]
            began = time.monotonic()
            sock.sendall(octets)
            read(sock)
            took[name].append((time.monotonic() - began) * 1e3)
            time.sleep(PAUSE)
        turn += 1
    return took


def flooded(port, seconds):
    """Processes that shake hands all the time."""
    stack = contextlib.ExitStack()
    flood = ["openssl", "s_time", "-connect", "127.0.0.1:%d" % port, "-new",
             "-time", str(int(seconds) + 2)]
    return stack, [stack.enter_context(running(flood))
                   for _ in range(FLOODERS)]


def handshakes_of(process):
    said = re.search(r"(\d+) connections in ([\d.]+) real",
                     process.communicate(timeout=60)[0])
    return int(said[1]) / float(said[2]) if said else 0


def measure(pair, seconds, alone):
    """Latencies by kind; the handshakes a second."""
    command = [sys.executable, "-m", "wsocket", "--port", "{port}",
               "--access-logfile", "none", "--certfile", pair[0], "--keyfile",
               pair[1], "handshake_app:app"]
    bare = [sys.executable, "-c", BARE, "{port}"]
    with contextlib.ExitStack() as stack:
        port, _ = stack.enter_context(rig.serving(command))
        kinds = {"wss echo": ([websocket(secure(port)) for _ in range(KEPT)], MESSAGE,
                              lambda sock: until(sock, 12)),
                 "https request": ([secure(port) for _ in range(KEPT)], REQUEST,
                                   answer),
                 "bare echo": ([stack.enter_context(bare_echo(bare))], MESSAGE,
                               lambda sock: until(sock, len(MESSAGE)))}
        if alone:
            return time_turns(seconds, kinds), 0
        there = stack.enter_context(
            running([sys.executable, __file__, "--crowd", str(port)]))
        there.stdout.readline()
        flood, flooders = flooded(port, seconds)
        stack.enter_context(flood)
        time.sleep(1)
        return (time_turns(seconds, kinds),
                sum(map(handshakes_of, flooders)))


@contextlib.contextmanager
def bare_echo(command):
    """A connection to an echo that does nothing else."""
    port = rig.free_port()
    process = subprocess.Popen(
        ["taskset", "-c", rig.SERVER_CORE,
         *(part.format(port=port) for part in command)])
    try:
        for _ in range(200):
            with contextlib.suppress(ConnectionRefusedError):
                with plain(port) as sock:
                    yield sock
                    return
            time.sleep(0.05)
        raise RuntimeError("no echo")
    finally:
        process.kill()
        process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--crowd", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.crowd:
        crowd(args.crowd)
    os.sched_setaffinity(0, {int(rig.LOAD_CORE)})
    line = "%-10s %12s  %-14s %8s %8s %8s %8s"
    print(line % ("key", "handshakes/s", "", "median", "p99", "p99.9", "most"))
    with tempfile.TemporaryDirectory() as folder:
        for key in ["none", *KEYS]:
            pair = make_pair(folder, "P-256" if key == "none" else key)
            took, rate = measure(pair, args.seconds, key == "none")
            for name, ms in took.items():
                cuts = statistics.quantiles(ms, n=1000)
                print(line % (key, "%.0f" % rate, name, *(
                    "%.2f" % n for n in (statistics.median(ms), cuts[989],
                                         cuts[998], max(ms)))), flush=True)


if __name__ == "__main__":
    main()
