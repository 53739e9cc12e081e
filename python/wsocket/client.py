"""A WebSocket client.

    from wsocket import connect

    with connect("ws://127.0.0.1:8080/") as ws:
        ws.send("hello")
        print(ws.receive())
"""

from __future__ import annotations

import base64
import contextlib
import io
import os
import socket
import ssl as tls
import threading
import time
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any, Optional, Union

from . import _wsocket
from ._wsocket import WebSocket, WebSocketError
from .client_tls import Path, Security, explained, secured
from .middleware import kind_of

Headers = Union[Mapping[str, str], Iterable[tuple[str, str]]]

LATE = "connect: the server has not answered in time"
HEAD_MAX = 65536  # bytes of the head of an answer
COMPRESSIONS = (True, False, None, "off", "no-takeover", "takeover")
TLS_ALERT = b"\x15\x03"  # begins what a server of TLS answers plain HTTP with
EXCERPT = 500  # bytes of the body of a refusal that an error shows


class HandshakeError(WebSocketError):
    """The server has not opened the WebSocket.

    ``status`` is the status of its answer, 0 if that was no HTTP; ``head`` and
    ``body`` are the answer, the body as far as it was received.
    """

    def __init__(
        self, text: str, status: int = 0, head: bytes = b"", body: bytes = b""
    ) -> None:
        super().__init__(text)
        self.status = status
        self.head = head
        self.body = body


def connect(
    url: str,
    *,
    subprotocols: Iterable[str] = (),
    headers: Optional[Headers] = None,
    origin: Optional[str] = None,
    compression: Union[bool, str, None] = True,
    timeout: Optional[float] = 10,
    max_size: Union[int, str, None] = None,
    ssl: Optional[tls.SSLContext] = None,
    ca_certs: Optional[Path] = None,
    server_hostname: Optional[str] = None,
    certfile: Optional[Path] = None,
    keyfile: Optional[Path] = None,
    proxy: None = None,
    sock: Optional[socket.socket] = None,
    **options: Any,
) -> WebSocket:
    """Open a WebSocket and return it. It has the methods of a server's.

        with connect("wss://example.com/chat", subprotocols=["chat"]) as ws:
            for message in ws:
                print(message)

    A name and password in ``url`` (``wss://me:secret@host/``) are sent as Basic
    authorization, unless ``headers`` have an ``Authorization``. ``timeout``
    limits TCP, TLS and the handshake together, in seconds; None: nothing does.
    ``compression``: True offers it with context takeover, ``"no-takeover"``
    without, False none. A message of more than ``max_size`` bytes (by default
    ``ws_max_size``) closes with 1009. ``options`` are those of a server that
    begin with ``ws_``.

    For ``wss:``, ``ca_certs`` is a file or folder with the authorities to trust
    instead of the system's, ``server_hostname`` the name to send and to find in
    the certificate, if not the URL's; ``certfile`` and ``keyfile`` are a
    certificate of one's own (files in PEM). ``ssl`` is a context that has all
    of this. ``sock`` is a connected socket, such as a tunnel: ``proxy`` may
    only be None.

    Raise ``HandshakeError`` if the server refuses, or redirects, with its
    status and text; ``ssl.SSLCertVerificationError`` if it is not trusted, and
    another ``OSError`` if there is no connection; ``ValueError`` for a bad URL
    or contradictory arguments.
    """
    _check(proxy, compression)
    parts, secure = _split(url)
    own = (ca_certs, server_hostname, certfile, keyfile)
    security = secured(secure, ssl, *own)
    ask = _ask(
        parts, subprotocols, _fields(parts, headers, origin), compression
    )
    foreign = _foreign(options, compression, max_size)
    return _open(ask, foreign, _Way(parts, sock, security), timeout)


def _check(proxy: object, compression: object) -> None:
    if proxy is not None:
        raise ValueError(
            "connect() speaks to no proxy; give it a tunnel as sock"
        )
    if compression not in COMPRESSIONS:
        raise ValueError(
            "connect: compression is True, False, 'no-takeover' or "
            "'takeover', not %r" % (compression,)
        )


class _Way:
    """The address of the server, or a socket that is connected to it."""

    def __init__(
        self,
        parts: urllib.parse.SplitResult,
        sock: Optional[socket.socket],
        security: Optional[Security],
    ) -> None:
        self.security = security
        self.host = parts.hostname or ""
        usual = 80 if security is None else 443
        self.port = usual if parts.port is None else parts.port
        self.sock = sock


def _foreign(
    options: dict[str, Any],
    compression: Union[bool, str, None],
    max_size: Union[int, str, None],
) -> _wsocket.Foreign:
    if max_size is not None:
        options["ws_max_size"] = max_size
    if compression in (True, "takeover"):
        options.setdefault("ws_compression", "takeover")
    return _wsocket.Foreign(**options)


def _ask(
    parts: urllib.parse.SplitResult,
    subprotocols: Iterable[str],
    fields: list[tuple[str, str]],
    compression: Union[bool, str, None],
) -> _wsocket.Ask:
    return _wsocket.Ask(
        parts.netloc.rpartition("@")[2],
        _target(parts),
        ", ".join(_listed(subprotocols)),
        fields,
        bool(compression) and compression != "off",
        compression in (True, "takeover"),
        os.urandom(16),
    )


def _open(
    ask: _wsocket.Ask,
    foreign: _wsocket.Foreign,
    way: _Way,
    timeout: Optional[float],
) -> WebSocket:
    if timeout is not None and not timeout >= 0:
        raise ValueError("connect: a timeout is 0 or more seconds")
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        return _open_until(ask, foreign, way, deadline)
    except socket.timeout:  # no TimeoutError before Python 3.10
        raise TimeoutError(LATE) from None


def _open_until(
    ask: _wsocket.Ask,
    foreign: _wsocket.Foreign,
    way: _Way,
    deadline: Optional[float],
) -> WebSocket:
    sock = way.sock
    if sock is None:
        sock = socket.create_connection(
            (way.host, way.port), _left(deadline)
        )
    try:
        sock.settimeout(_left(deadline))
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if way.security is not None:
            sock = way.security.wrap(sock, way.host)
        data = _shake_hands(sock, ask, deadline)
        kind = kind_of(sock) or "green"
        ws = foreign.open(
            ask, data, sock, kind, way.host, way.port, os.urandom(32)
        )
    except tls.SSLError as exc:
        sock.close()
        raise explained(exc) from None
    except BaseException:
        sock.close()
        raise
    if kind == "plain":
        sock.close()  # the WebSocket has a duplicate
    return ws


def _split(url: str) -> tuple[urllib.parse.SplitResult, bool]:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(
            "connect() takes a URL such as ws://host:port/path or "
            "wss://host/path, not %r" % (url,)
        )
    if parts.fragment:
        raise ValueError("a WebSocket's URL has no fragment: %r" % (url,))
    return parts, parts.scheme == "wss"


def _target(parts: urllib.parse.SplitResult) -> str:
    """Return the request target, with illegal characters quoted."""
    path = urllib.parse.quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    if not parts.query:
        return path
    return path + "?" + urllib.parse.quote(
        parts.query, safe="/%:@!$&'()*+,;=~?"
    )


def _listed(subprotocols: Iterable[str]) -> list[str]:
    if isinstance(subprotocols, str):
        raise TypeError("subprotocols is a list of str, not a str")
    names = list(subprotocols)
    for name in names:  # RFC 6455 4.1: tokens, each once
        if not name or "," in name or names.count(name) > 1:
            raise ValueError(
                "connect: subprotocols are names, each once, not %r" % (names,)
            )
    return names


def _fields(
    parts: urllib.parse.SplitResult,
    headers: Optional[Headers],
    origin: Optional[str],
) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    if isinstance(headers, Mapping):
        fields += headers.items()
    elif headers is not None:
        fields += headers
    if origin is not None:
        fields.append(("Origin", origin))
    if parts.username is not None and not _has(fields, "authorization"):
        fields.append(("Authorization", _basic(parts)))
    return fields


def _has(fields: list[tuple[str, str]], wanted: str) -> bool:
    return any(str(name).lower() == wanted for name, _ in fields)


def _basic(parts: urllib.parse.SplitResult) -> str:
    """Return Basic credentials (RFC 7617), as browsers send for such a URL."""
    pair = "%s:%s" % (parts.username, parts.password or "")
    octets = urllib.parse.unquote_to_bytes(pair)
    return "Basic " + base64.b64encode(octets).decode()


def _left(deadline: Optional[float]) -> Optional[float]:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(LATE)
    return min(left, threading.TIMEOUT_MAX)


def _shake_hands(
    sock: socket.socket, ask: _wsocket.Ask, deadline: Optional[float]
) -> bytes:
    """Send the request. Return the bytes received up to a complete answer."""
    # A server that has ended the connection may have said why before.
    with contextlib.suppress(ConnectionError, tls.SSLEOFError):
        sock.sendall(ask.head)
    data = b""
    skipped = 0
    while True:
        sock.settimeout(_left(deadline))
        piece = sock.recv(HEAD_MAX)
        data += piece
        answer = ask.read(data)
        while answer is not None and _is_interim(answer):
            skipped += answer[3]
            if skipped > HEAD_MAX:
                break
            data = data[answer[3] :]
            answer = ask.read(data)
        if answer is not None:
            break
        if not piece:
            raise HandshakeError("connect: " + _why_cut(data), head=data)
    status, why, location, used = answer
    if not why:
        return data
    body = _body(sock, data, deadline) if used and status >= 200 else b""
    raise _refusal(status, why, location, data[:used] or data, body)


def _why_cut(data: bytes) -> str:
    if data.startswith(TLS_ALERT):
        return "the server speaks TLS there; use wss://"
    if data:
        return "the answer of the server was cut short"
    return "the server has closed the connection without an answer"


def _is_interim(answer: tuple[int, str, str, int]) -> bool:
    """Return True if another answer must follow (RFC 9110 15.2)."""
    status, _, _, used = answer
    return used > 0 and 100 <= status <= 199 and status != 101


class _Replay(io.RawIOBase):
    """A stream of the bytes received already, then of the socket."""

    def __init__(
        self, sock: socket.socket, data: bytes, deadline: Optional[float]
    ) -> None:
        self.sock = sock
        self.data = data
        self.deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.data:
            self.sock.settimeout(_left(self.deadline))
            self.data = self.sock.recv(len(buffer))
        piece = self.data[: len(buffer)]
        self.data = self.data[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)


def _body(
    sock: socket.socket, data: bytes, deadline: Optional[float]
) -> bytes:
    """Return the body of a refusal, as far as an error shows it. Its framing
    tells where it ends, because the server may keep the connection open."""
    import http.client

    body = b""
    replay: Any = _Replay(sock, data, deadline)
    with contextlib.suppress(OSError, http.client.HTTPException):
        answer = http.client.HTTPResponse(replay)
        answer.begin()
        while len(body) < EXCERPT:
            piece = answer.read1(HEAD_MAX)
            if not piece:
                break
            body += piece
    return body


def _refusal(
    status: int, why: str, location: str, head: bytes, body: bytes
) -> HandshakeError:
    if head.startswith(TLS_ALERT):
        why = _why_cut(head)
    text = "connect: %s" % why
    if 300 <= status <= 399 and location:
        text = "connect: the server redirects to %s, which is not followed" % (
            location,
        )
    if status:
        text += " (status %d)" % status
    excerpt = body[:EXCERPT].decode("utf-8", "replace").strip()
    if excerpt:
        text += ": " + excerpt
    return HandshakeError(text, status, head, body)
