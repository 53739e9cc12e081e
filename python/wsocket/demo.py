"""The demo: a page, an echo whose frames are shown, and two rooms.

The page opens ``/?frames=ID``, an echo, and ``/frames?id=ID``, at which the server
tells what passes on the first as frames. ``/room/lobby`` and ``/room/garden`` are
topics. Any other path is an echo.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any, Optional

from . import _wsocket
from .middleware import head_of, refuse

FILE = os.path.join(os.path.dirname(__file__), "demo.html")
ROOMS = {"/room/lobby": "demo lobby", "/room/garden": "demo garden"}
LONGEST = 1000  # characters of a message in a room
GOING_AWAY = b"\x88\x02\x03\xe9"  # a Close with 1001
ID = re.compile(r"(?:^|&)(?:frames|id)=([0-9a-f]{16,32})(?:&|$)")

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


def page(
    environ: Environ, start_response: StartResponse
) -> Iterable[bytes]:
    """A WSGI application: the page at ``/``, nothing else.

        from wsocket.demo import page
    """
    if environ["PATH_INFO"] != "/":
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"Not Found\n"]
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        start_response(
            "405 Method Not Allowed",
            [("Content-Type", "text/plain"), ("Allow", "GET, HEAD")],
        )
        return [b"Method Not Allowed\n"]
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    with open(FILE, "rb") as file:
        return [file.read().replace(b"{version}", _wsocket.__version__.encode())]


def websocket(
    client: Any, environ: Environ, start_response: StartResponse
) -> Iterable[bytes]:
    """Serve a WebSocket of the demo."""
    path = environ["PATH_INFO"]
    given = ID.search(environ.get("QUERY_STRING", ""))
    if path in ROOMS:
        client.attach(_Room(ROOMS[path]))
    elif path == "/frames" and given:
        client.attach(_Frames(given[1]))
    elif path == "/" and given and _can_watch(environ):
        return _watched(given[1], environ, start_response)
    else:
        client.attach(ECHO)
    return []


class _Events:
    """What attach() calls."""

    def onconnect(self, client: Any) -> None:
        pass

    def onmessage(self, message: Any, client: Any) -> None:
        client.send(message)

    def onclose(self, message: Any, client: Any) -> None:
        pass


ECHO = _Events()


def _subscribe(client: Any, topic: str) -> None:
    try:
        client.subscribe(topic)
    except RuntimeError:  # a socket of another server
        client.close(1013, "topics need wsocket's own server")


class _Room(_Events):
    """Everything that is said goes to all."""

    def __init__(self, topic: str) -> None:
        self.topic = topic

    def onconnect(self, client: Any) -> None:
        _subscribe(client, self.topic)

    def onmessage(self, message: Any, client: Any) -> None:
        if isinstance(message, str) and len(message) <= LONGEST:
            _wsocket.publish(self.topic, message)


# ------------------------------------------------------------------ frames

watched: dict[str, Any] = {}  # the echoes that are shown, by their id


class _Frames(_Events):
    """Tells what passes on an echo; any message asks it for a ping."""

    def __init__(self, name: str) -> None:
        self.name = name

    def onconnect(self, client: Any) -> None:
        _subscribe(client, _topic(self.name))

    def onmessage(self, message: Any, client: Any) -> None:
        echo = watched.get(self.name)
        if echo is not None:
            with contextlib.suppress(_wsocket.WebSocketError):  # it has ended
                echo.ping(b"are you there?")


def _topic(name: str) -> str:
    return "demo frames " + name


def _can_watch(environ: Environ) -> bool:
    return environ.get("SERVER_SOFTWARE", "").startswith("wsocket")


def _watched(
    name: str, environ: Environ, start_response: StartResponse
) -> Iterable[bytes]:
    """The echo on a socket that looks at the octets: it takes the connection
    from the server, as libraries for WebSockets do."""
    sock = _Watched(environ["werkzeug.socket"], _topic(name))
    inner = {k: v for k, v in environ.items() if k != "wsgi.websocket"}
    foreign = _wsocket.Foreign(ws_compression_threshold=32)
    ws = foreign.admit(page, inner, head_of(inner), sock, "green", b"", "", 0)
    if isinstance(ws, tuple):
        return refuse(ws[0], ws[1], start_response)
    watched[name] = ws
    try:
        ws.accept()
        for message in ws:
            ws.send(message)
    finally:
        del watched[name]
        foreign.finish(ws)
    return []


class _Watched:
    """A socket that publishes the head of each frame that passes."""

    def __init__(self, sock: Any, topic: str) -> None:
        self._sock = sock
        self._lock = threading.Lock()
        self._ways = {"in": _Heads(False), "out": _Heads(True)}
        self._topic = topic
        self._ended = False  # a Close has left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv_into(self, buffer: Any) -> int:
        count: int = self._sock.recv_into(buffer)
        with self._lock:
            self._tell("in", bytes(buffer[:count]))
        if count == 0 and not self._ended:  # the client has left, or we stop
            with contextlib.suppress(OSError):
                self.send(GOING_AWAY)
        return count

    def send(self, data: Any) -> int:
        with self._lock:  # what answers it is told after it
            count: int = self._sock.send(data)
            self._tell("out", bytes(data[:count]))
        return count

    def _tell(self, way: str, data: bytes) -> None:
        for head in self._ways[way].feed(data):
            self._ended |= way == "out" and head["opcode"] == 8
            _wsocket.publish(self._topic, json.dumps({"way": way, **head}))


class _Heads:
    """The heads of frames (RFC 6455 5.2) in a stream of octets."""

    def __init__(self, after_answer: bool) -> None:
        self._left = 0  # octets of the payload that are still to come
        self._head = b""
        self._answer: Optional[bytes] = b"" if after_answer else None

    def feed(self, data: bytes) -> Iterable[dict[str, Any]]:
        """Yield what the next octets say."""
        if self._answer is not None:  # the 101 comes first
            whole = self._answer + data
            end = whole.find(b"\r\n\r\n")
            self._answer = whole if end < 0 else None
            data = b"" if end < 0 else whole[end + 4 :]
        at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
            else:
                step = 1
                self._head += data[at : at + 1]
                if len(self._head) >= 2 and len(self._head) == _size(self._head):
                    yield self._complete()
            at += step

    def _complete(self) -> dict[str, Any]:
        head, self._head = self._head, b""
        length = head[1] & 0x7F
        wide = {126: 2, 127: 8}.get(length, 0)
        if wide:
            length = int.from_bytes(head[2 : 2 + wide], "big")
        self._left = length
        return {
            "opcode": head[0] & 0xF,
            "fin": bool(head[0] & 0x80),
            "compressed": bool(head[0] & 0x40),
            "length": length,
        }


def _size(head: bytes) -> int:
    """How long a head is that begins so."""
    wide = {126: 2, 127: 8}.get(head[1] & 0x7F, 0)
    return 2 + wide + (4 if head[1] & 0x80 else 0)
