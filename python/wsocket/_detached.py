"""The socket of a detached connection: one that a handler has taken over from
the server. The extension makes it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import Any

PIECE = 65536
DRAIN = 5.0  # seconds that the end of a handler waits for its output to leave


def make(
    fd: int, received: bytes, ends: tuple[Any, Any] | None = None
) -> socket.socket:
    """Return a socket over ``fd`` that gives ``received`` first. The socket
    owns ``fd``; after an exception the caller does. ``ends``: ``fd`` is one end
    of a pair, whose other one the server joins with a connection over TLS;
    addresses and ports of the peer and of the connection's own end."""
    if ends is not None:
        joined = _Joined(fileno=fd)
        joined.ends = ends
        return joined
    real = socket.socket(fileno=fd)
    if not received:
        return real
    try:
        return _Bridged(real, received)
    except BaseException:
        real.detach()
        raise


class _Joined(socket.socket):
    """One end of a pair that stands for a connection over TLS: libraries see
    the bytes without TLS, and the addresses of the connection."""

    __slots__ = ("ends",)
    ends: tuple[tuple[str, int], tuple[str, int]]

    def dup(self) -> socket.socket:
        return make(os.dup(self.fileno()), b"", self.ends)

    @property
    def family(self) -> Any:  # type: ignore[override]
        address = self.ends[1][0]
        if not address:
            return socket.AF_UNIX
        return socket.AF_INET6 if ":" in address else socket.AF_INET

    def _name(self, end: tuple[str, int]) -> Any:
        if self.family == socket.AF_UNIX:
            return ""
        return (*end, 0, 0) if self.family == socket.AF_INET6 else end

    def getpeername(self) -> Any:
        return self._name(self.ends[0])

    def getsockname(self) -> Any:
        return self._name(self.ends[1])

    def setsockopt(self, level: int, *args: Any) -> None:
        if level == socket.SOL_SOCKET:
            super().setsockopt(level, *args)
        # The server looks after the options of TCP.

    def getsockopt(self, level: int, *args: Any) -> Any:
        return super().getsockopt(level, *args) if level == socket.SOL_SOCKET else 0


class _Bridged(socket.socket):
    """A socket whose first bytes had arrived before it was made.

    No byte can be put back into a connection, and a library that asks select()
    or an epoll object of its own sees only the descriptor. Therefore this is
    one end of a socket pair that gives those bytes first, and two threads copy
    what follows, one for each direction, so that neither waits for the other.
    """

    def __init__(self, real: socket.socket, received: bytes) -> None:
        mine, other = socket.socketpair()
        super().__init__(fileno=mine.detach())
        for end in (real, other):  # whatever socket.setdefaulttimeout() says
            end.settimeout(None)
        self._real = real
        self._running, self._lock = 2, threading.Lock()
        self._out = threading.Thread(
            target=self._copy, args=(other, real, b""), daemon=True
        )
        inward = threading.Thread(
            target=self._copy, args=(real, other, received), daemon=True
        )
        try:
            self._out.start()
            inward.start()
        except BaseException:
            self.close()  # the end of input for a thread that has started
            other.close()
            raise

    def _copy(
        self, source: socket.socket, sink: socket.socket, data: bytes
    ) -> None:
        try:
            while data or (data := source.recv(PIECE)):
                sink.sendall(data)
                data = b""
        except OSError:  # one of the two is gone, in both directions
            with contextlib.suppress(OSError):
                source.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        with self._lock:
            self._running -= 1
            if self._running == 0:
                source.close()
                sink.close()

    def _end(self) -> None:
        """Wait until the handler's output has left. The extension calls this
        when the handler returns, before the server closes the connection."""
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_WR)
        self._out.join(DRAIN)

    # These ask the connection, not the pair.

    @property
    def family(self) -> Any:  # type: ignore[override]
        return self._real.family

    def getpeername(self) -> Any:
        return self._real.getpeername()

    def getsockname(self) -> Any:
        return self._real.getsockname()

    def getsockopt(self, *args: Any) -> Any:
        return self._real.getsockopt(*args)

    def setsockopt(self, *args: Any) -> None:
        self._real.setsockopt(*args)
