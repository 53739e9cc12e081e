#!/usr/bin/env python3
"""Servers that lose on purpose, each in one way: lossy.py WAY [PATH].

It prints its port, or the path of its Unix socket. What load must find in each of them stands in
tests/python/test_restart.py.
"""

import base64
import ctypes
import hashlib
import socket
import struct
import sys
import threading
import time

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ACCEPT_NOTHING = 0  # what a socket filter returns to drop a packet
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
BPF_RET = 6
FIN_BEFORE_DATA = 0.1  # seconds; load sends its next request within them


# ------------------------------------------------------------- requests ---

def requests(sock):
    """(target, key of a handshake) of each request that comes."""
    with sock.makefile("rb") as file:
        while True:
            line, key = file.readline(), None
            if not line:
                return
            for field in iter(file.readline, b"\r\n"):
                if field.lower().startswith(b"sec-websocket-key:"):
                    key = field.split(b":")[1].strip()
            yield line.split()[1], key


def answer(target, *fields, body=None):
    body = target.rpartition(b"/")[2] if body is None else body
    return b"".join([b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(body),
                     *fields, b"\r\n", body])


def reset(sock):
    """Close by RST (SO_LINGER with no time)."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    sock.close()


def each(sock, *answers):
    """Answer each request by the next of `answers`, then end by FIN; the last
    of them may be None, for the end instead of an answer."""
    for made, (target, _) in zip(answers, requests(sock)):
        if made is None:
            return
        sock.sendall(made(target))


def wait_to_the_end(sock):
    while sock.recv(65536):
        pass


# ------------------------------------------------------------ HTTP: ways ---

def fair(sock):
    for target, _ in requests(sock):
        sock.sendall(answer(target))


def closed(sock):
    each(sock, None)


def resets(sock):
    for _ in requests(sock):
        reset(sock)
        return


def truncated(sock):
    each(sock, lambda target: answer(target)[:-1])


def truncated_head(sock):
    each(sock, lambda target: answer(target)[:20])


def silent(sock):
    for _ in requests(sock):
        pass


def refuses(sock):
    each(sock, lambda target: answer(target).replace(b"200 OK", b"503 No"))


def wrong(sock):
    each(sock, lambda target: answer(b"/other"))


def unspoken(sock):
    """It ends before the client speaks."""


def used(sock):
    """The second request is read, and not answered."""
    each(sock, answer, None)


def used_unread(sock):
    """The second request is there, and not read: the kernel sends RST."""
    target = sock.recv(65536).split()[1]
    sock.sendall(answer(target))
    sock.recv(1, socket.MSG_PEEK)


def idle(sock):
    """The FIN comes with the answer."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    each(sock, answer)
    sock.shutdown(socket.SHUT_WR)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
    wait_to_the_end(sock)


def crossing(sock):
    """The second request is on its way when the server closes: a filter drops
    what arrives, so that it comes again when the socket has been closed."""
    target = sock.recv(65536).split()[1]
    drop = ctypes.create_string_buffer(
        struct.pack("HBBI", BPF_RET, 0, 0, ACCEPT_NOTHING))
    program = struct.pack("HL", 1, ctypes.addressof(drop))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
    sock.sendall(answer(target))
    time.sleep(FIN_BEFORE_DATA)
    sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


def says_close(sock):
    """Two of four pipelined requests are answered, the second by the last
    answer."""
    each(sock, answer, lambda target: answer(target, b"Connection: close\r\n"))
    sock.shutdown(socket.SHUT_WR)
    wait_to_the_end(sock)


def cuts_pipeline(sock):
    """Two of four pipelined requests are answered."""
    each(sock, answer, answer)
    sock.shutdown(socket.SHUT_WR)
    wait_to_the_end(sock)


# ------------------------------------------------------ WebSockets: ways ---

def handshake(sock):
    key = next(requests(sock))[1]
    digest = base64.b64encode(hashlib.sha1(key + GUID).digest())
    sock.sendall(b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\n"
                 b"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n"
                 % digest)


def frame(sock):
    """Opcode and payload of the next frame, which is masked and short."""
    head = sock.recv(6, socket.MSG_WAITALL)
    if not head:
        return None, b""
    mask, length = head[2:], head[1] & 127
    payload = sock.recv(length, socket.MSG_WAITALL) if length else b""
    return head[0] & 15, bytes(byte ^ mask[i % 4]
                               for i, byte in enumerate(payload))


def send(sock, opcode, payload):
    sock.sendall(bytes([0x80 | opcode, len(payload)]) + payload)


def ws_fair(sock):
    handshake(sock)
    while True:
        opcode, payload = frame(sock)
        if opcode is None:
            return
        send(sock, opcode, payload)
        if opcode == 8:
            return


def ws_one_echo(sock):
    handshake(sock)
    send(sock, *frame(sock))


def ws_closed(sock):
    """FIN without a Close frame."""
    ws_one_echo(sock)


def ws_resets(sock):
    ws_one_echo(sock)
    reset(sock)


def ws_code(sock):
    ws_one_echo(sock)
    send(sock, 8, struct.pack("!H", 1012) + b"restart")
    while frame(sock)[0] != 8:
        pass


def ws_no_code(sock):
    ws_one_echo(sock)
    send(sock, 8, b"")
    while frame(sock)[0] != 8:
        pass


def ws_wrong(sock):
    handshake(sock)
    opcode, payload = frame(sock)
    send(sock, opcode, payload[::-1])
    wait_to_the_end(sock)


def ws_mute(sock):
    handshake(sock)
    wait_to_the_end(sock)


# ---------------------------------------------------------------- server ---

def listener_first(listener, count=20):
    """Close the listener with `count` connections in its queue."""
    while queued(listener) < count:
        time.sleep(0.01)
    listener.close()


def queued(listener):
    """How many connections wait: tcpi_unacked of a listening socket."""
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    return struct.unpack_from("I", info, 24)[0]


def serve(sock, way):
    try:
        with sock:
            way(sock)
    except OSError:  # the client has gone
        pass


def main():
    path = sys.argv[2] if len(sys.argv) > 2 else None
    listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(path or ("127.0.0.1", 0))
    listener.listen(128)
    print(path or listener.getsockname()[1], flush=True)
    way = globals()[sys.argv[1]]
    if way is listener_first:
        listener_first(listener)
        sys.stdin.read()
        return
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve, args=(sock, way), daemon=True).start()


if __name__ == "__main__":
    main()
