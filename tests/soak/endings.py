#!/usr/bin/env python3
"""Ten thousand connections of each ending; nothing may be left behind.

    tests/soak/endings.py [COUNT]

WebSockets, by events and in a blocking handler, that end well, by a reset, by a
mistake of the client, by its silence, by a crash of the application; requests
that are refused at each step. Python's memory blocks, resident memory and
descriptors are compared before and after. The last line is the count.
"""

import http.client
import resource
import socket
import struct
import sys
import time

from soak import MIB, Server

BATCH = 200
WARM = 4  # the first part, while caches fill: one in so many
PATIENCE = 30
RESET = struct.pack("ii", 1, 0)
OPTIONS = ["--ws-ping-interval", "0.3", "--ws-ping-timeout", "0.3",
           "--ws-close-timeout", "0.3", "--head-timeout", "0.5",
           "--max-body", "1000", "--static", "/files=."]
# Of a server that has no room: for blocked handlers, for bodies.
NO_ROOM = ["--max-parked", "0", "--body-memory", "100k"]
FILE_MAX = 200 << 10


def handshake(path):
    return (b"GET %s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
            b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n" % path)


def frame(opcode, payload):
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + b"\0\0\0\0" + payload


CLOSE = frame(8, b"\x03\xe8")
SOCKET_ENDINGS = {
    "clean": frame(1, b"hello") + CLOSE,
    "reset": frame(1, b"hello"),
    "error": b"\x81\x05hello",
    "silence": frame(1, b"hello"),
    "crash": frame(1, b"crash"),
}
REQUESTS = {
    400: b"GET / HTTP/1.1\r\n\r\n",
    403: handshake(b"/events").replace(
        b"Host: a", b"Host: a\r\nOrigin: http://b"),
    404: b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    405: handshake(b"/").replace(b"GET", b"POST"),
    408: b"GET / HTTP/1.1\r\nHost",
    412: b"GET /files/soak.py HTTP/1.1\r\nHost: a\r\nIf-Match: \"x\"\r\n"
         b"Connection: close\r\n\r\n",
    413: b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n",
    414: b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 20000),
    416: b"GET /files/soak.py HTTP/1.1\r\nHost: a\r\nRange: bytes=9999999-\r\n"
         b"Connection: close\r\n\r\n",
    417: b"GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n",
    426: handshake(b"/").replace(b"n: 13", b"n: 12"),
    431: b"GET / HTTP/1.1\r\nHost: a\r\n%s\r\n" % (b"A: b\r\n" * 200),
    500: b"GET /crash HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    501: b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n",
    505: b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
}
REQUESTS_WITHOUT_ROOM = {
    503: handshake(b"/blocking"),
    507: b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n" +
         b"a" * 400000,
}


def read_all(peer):
    parts = []
    try:
        while True:
            part = peer.recv(65536)
            if not part:
                break
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def play(port, octets, status, reset, count):
    """`count` connections that send this; each must be answered so."""
    for first in range(0, count, BATCH):
        peers = [socket.create_connection(("127.0.0.1", port), PATIENCE)
                 for _ in range(min(BATCH, count - first))]
        for peer in peers:
            try:
                peer.sendall(octets)
            except ConnectionError:
                pass  # refused before all of it was read
        for peer in peers:
            if reset:
                assert peer.recv(12) == b"HTTP/1.1 101"
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            else:
                answer = read_all(peer)
                assert answer.startswith(b"HTTP/1.1 %d " % status), answer
            peer.close()


class EndingsServer(Server):
    def __init__(self, *options):
        super().__init__("endings_app:app", *options)

    def blocks(self):
        client = http.client.HTTPConnection("127.0.0.1", self.port)
        client.request("GET", "/blocks", headers={"Connection": "close"})
        return int(client.getresponse().read())

    def measures(self):
        return self.blocks(), self.resident(), self.files()

    def settle(self, is_settled):
        """Until the last connections and handlers are gone, or for 10 s."""
        for _ in range(100):
            if is_settled():
                break
            time.sleep(0.1)


def judge(server, name, count, *what):
    def grown():
        return [b - a for a, b in zip(before, server.measures())]

    def is_flat():
        """Threads come and go, and so do their caches."""
        blocks, octets, open_files = grown()
        return (blocks < count / 10 and octets < 4 * MIB and open_files < 10)

    files = server.files()
    play(server.port, *what, count // WARM)
    server.settle(lambda: server.files() <= files)
    before = server.measures()
    play(server.port, *what, count)
    server.settle(lambda: server.files() <= files)
    server.settle(is_flat)
    good = is_flat()
    blocks, octets, open_files = grown()
    print("%-6s %s: %d blocks, %d KiB, %d files more after %d" % (
        "ok" if good else "FAILED", name, blocks, octets // 1024, open_files,
        count), flush=True)
    return good


def judge_all(server, count, cases):
    for name, *what in cases:
        yield judge(server, name, count, *what)
    yield server.stop() == 0


def refusals(requests):
    return [("status %d" % status, octets, status, False)
            for status, octets in requests.items()]


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    sockets = [("%s, %s" % (path.decode(), name),
                handshake(path) + octets, 101, name == "reset")
               for path in (b"/events", b"/blocking")
               for name, octets in SOCKET_ENDINGS.items()]
    results = [*judge_all(EndingsServer(*OPTIONS), count,
                          sockets + refusals(REQUESTS))]
    full = EndingsServer(*NO_ROOM)
    resource.prlimit(full.process.pid, resource.RLIMIT_FSIZE,
                     (FILE_MAX, FILE_MAX))
    results += judge_all(full, count, refusals(REQUESTS_WITHOUT_ROOM))
    print("%d passed, %d failed" % (results.count(True), results.count(False)))
    return False in results


if __name__ == "__main__":
    sys.exit(main())
