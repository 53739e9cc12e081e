"""Many idle WebSockets, as a program of their own: a process has no descriptors
for both ends.

    python crowd.py PORT N

It opens them one after the other and prints "open". Each answers the server's
Close. Once all have ended it prints how, as JSON: ``codes`` counts the close
codes ("none": the connection ended without a Close), ``times`` has the seconds
of the Close frames. A line on standard input makes it leave before.
"""

import collections
import json
import os
import select
import socket
import sys
import time

from patience import PATIENCE

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def dial(port):
    client = socket.create_connection(("127.0.0.1", port), PATIENCE)
    client.sendall(HANDSHAKE)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        got = client.recv(4096)
        assert got, "no answer to a handshake"
        head += got
    assert head.startswith(b"HTTP/1.1 101 "), head
    return client


def close_code(data):
    """The code of a Close frame, which the server sends unmasked."""
    assert data[0] == 0x88 and data[1] >= 2, data[:10]
    return str(int.from_bytes(data[2:4], "big"))


def attend(clients):
    """Wait until all have ended. Return the codes, and when they came."""
    codes, times = collections.Counter(), []
    poll = select.epoll()
    for client in clients.values():
        poll.register(client, select.EPOLLIN)
    poll.register(sys.stdin, select.EPOLLIN)
    closed = set()
    while clients:
        for fd, _ in poll.poll(PATIENCE):
            if fd == sys.stdin.fileno():
                return codes, times
            client = clients[fd]
            try:
                data = client.recv(4096)
            except ConnectionResetError:
                data = b""
            if data:
                closed.add(fd)
                codes[close_code(data)] += 1
                times.append(time.monotonic())
                code = bytes(a ^ b for a, b in zip(data[2:4], b"mask"))
                client.sendall(b"\x88\x82mask" + code)
                continue
            if fd not in closed:
                codes["none"] += 1
            clients.pop(fd).close()  # and epoll forgets it
    return codes, times


def main(port, n):
    clients = {}
    for _ in range(n):
        client = dial(port)
        clients[client.fileno()] = client
    print("open", flush=True)
    codes, times = attend(clients)
    print(json.dumps({"codes": codes, "times": times}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
