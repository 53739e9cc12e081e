#!/usr/bin/env python3
"""A certificate that is replaced over and over, under load.

    tests/soak/swaps.py [COUNT]

Each replacement writes both files, sends SIGHUP, and waits until a new client
gets the new certificate. Meanwhile 200 WebSockets echo in turn, and clients send
requests on kept connections, with a full handshake and with a ticket. None may
fail. Memory is compared between the first tenth and the end; open files between
before and after. The last line is the count.
"""

import contextlib
import http.client
import os
import pathlib
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time

import soak
from endings import frame, handshake

sys.path.insert(0, os.path.join(soak.HERE, "..", "python"))
from authority import Authority  # noqa: E402

SOCKETS = 200
REQUESTS = 20  # on one connection
CLIENTS = 2    # threads for requests
PATIENCE = 30
ECHO = frame(1, b"hello")
ANSWER = b"\x81\x05hello"


def dial(port, context, session=None):
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
    return context.wrap_socket(sock, server_hostname="localhost",
                               session=session)


def exactly(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        assert more, "the server has ended after %r" % data
        data += more
    return data


def open_websocket(port, context):
    sock = dial(port, context)
    sock.sendall(handshake(b"/"))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += exactly(sock, 1)
    assert head.startswith(b"HTTP/1.1 101 "), head
    return sock


class Load:
    """Threads that do one thing over and over until told to stop."""

    def __init__(self, port, context):
        self.port, self.context = port, context
        self.over = threading.Event()
        self.requests = self.echoes = self.resumed = 0
        self.errors, self.lost = [], []
        self.sockets = [open_websocket(port, context) for _ in range(SOCKETS)]
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.echo)]
        self.threads += [threading.Thread(target=self.ask)
                         for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def echo(self):
        open_ones = dict(enumerate(self.sockets))
        while open_ones and not self.over.is_set():
            for i, sock in list(open_ones.items()):
                try:
                    sock.sendall(ECHO)
                    answer = exactly(sock, len(ANSWER))
                    assert answer == ANSWER, answer
                    self.echoes += 1
                except Exception as error:  # every kind is a finding
                    self.lost.append(repr(error))
                    del open_ones[i]

    def ask(self):
        session = None
        while not self.over.is_set():
            try:
                session = self.ask_some(session)
            except Exception as error:  # every kind is a finding
                with self.lock:
                    self.errors.append(repr(error))
                time.sleep(0.1)

    def ask_some(self, session):
        """Requests on one connection; the ticket for the next, every other
        time."""
        with contextlib.closing(http.client.HTTPConnection("localhost")) as one:
            one.sock = dial(self.port, self.context, session)
            for _ in range(REQUESTS):
                one.request("GET", "/")
                answer = one.getresponse()
                assert answer.status == 200 and answer.read() == b"hello"
            with self.lock:
                self.requests += REQUESTS
                self.resumed += one.sock.session_reused
            return None if session else one.sock.session

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()
        for sock in self.sockets:
            sock.close()


def install(pair, to):
    for source, target in ((pair.certfile, to.certfile),
                           (pair.keyfile, to.keyfile)):
        shutil.copyfile(source, target + ".new")
        os.replace(target + ".new", target)


def swap(server, context, pair, to):
    """False: new clients do not get the new certificate."""
    install(pair, to)
    wanted = ssl.PEM_cert_to_DER_cert(leaf(pair.certfile))
    server.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with dial(server.port, context) as sock:
            if sock.getpeercert(binary_form=True) == wanted:
                return True
        time.sleep(0.002)
    return False


def leaf(path):
    end = "-----END CERTIFICATE-----\n"
    return pathlib.Path(path).read_text(encoding="ascii").split(end)[0] + end


def main():
    count = int(sys.argv[1]) if sys.argv[1:] else 1000
    with tempfile.TemporaryDirectory() as folder:
        ca = Authority(pathlib.Path(folder))
        pairs = [ca.issue("localhost"), ca.issue("localhost", key="RSA")]
        used = ca.issue("localhost")
        context = ssl.create_default_context(cafile=ca.certfile)
        server = soak.Server("app:app", "--certfile", used.certfile,
                             "--keyfile", used.keyfile)
        files = server.files()
        load = Load(server.port, context)
        done, early = 0, server.resident()
        while done < count and swap(server, context, pairs[done % 2], used):
            done += 1
            if done == (count + 9) // 10:
                early = server.resident()
        late = server.resident()
        load.stop()
        time.sleep(2)
        return soak.tell({
            "%d of %d replacements" % (done, count): done == count,
            "%d of %d requests failed (%d connections by ticket); first: %s" % (
                len(load.errors), load.requests, load.resumed,
                load.errors[:3]): not load.errors and load.resumed > 0,
            "%d of %d WebSockets lost in %d echoes; first: %s" % (
                len(load.lost), SOCKETS, load.echoes, load.lost[:3]):
                not load.lost,
            "memory: %.1f MiB, then %.1f MiB" % (
                early / soak.MIB, late / soak.MIB): late < early + 4 * soak.MIB,
            "files: %d, then %d" % (files, server.files()):
                server.files() <= files + 2,
            "a clean end": server.stop() == 0,
        })


if __name__ == "__main__":
    sys.exit(main())
