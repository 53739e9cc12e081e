#!/usr/bin/env python3
"""Plain TCP to TLS, so that probers which know no TLS can judge it.

    with Tunnel(port) as plain: ...

An end on one side becomes an end on the other, a reset a reset.
"""

import contextlib
import os
import socket
import ssl
import struct
import sys
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "python"))
from secure import TlsSocket  # noqa: E402

RESET = struct.pack("ii", 1, 0)
PIECE = 65536


def untrusting():
    """A context for a server whose certificate was made for this run."""
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


class Tunnel:
    """A port of 127.0.0.1 that leads to TLS on another, in a `with`."""

    def __init__(self, port):
        self.port = int(port)
        self.context = untrusting()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return str(self.listener.getsockname()[1])

    def __exit__(self, *reason):
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self.listener.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self.listener.accept()
                threading.Thread(target=self.join, args=(plain,),
                                 daemon=True).start()

    def join(self, plain):
        with plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with socket.create_connection(("127.0.0.1", self.port)) as wire:
                wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                tls = TlsSocket(wire, self.context)
                up = threading.Thread(target=send, args=(plain, tls))
                up.start()
                receive(plain, tls)
                up.join()


def send(plain, tls):
    """What the prober sends, until it ends or is gone."""
    try:
        while True:
            data = plain.recv(PIECE)
            if not data:
                break
            tls.sendall(data)
        tls.shutdown(socket.SHUT_WR)
    except OSError:
        cut(tls.socket)


def receive(plain, tls):
    """What the server sends, until it ends or is gone."""
    try:
        while True:
            data = tls.recv(PIECE)
            if not data:
                break
            plain.sendall(data)
    except OSError:
        cut(tls.socket)
    if tls.ended == "reset":
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    with contextlib.suppress(OSError):
        plain.shutdown(socket.SHUT_WR)
    if tls.ended != "close_notify":
        cut(plain)


def cut(sock):
    """End it for both threads; the one that waits in recv() wakes."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.shutdown(socket.SHUT_RDWR)
