"""What a handler gets that takes its connection over; made by the extension."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

PIECE = 65536
DRAIN = 5.0  # seconds for what the handler has written to leave, at its end


def make(fd: int, received: bytes) -> socket.socket:
    """A socket over ``fd``, which it owns; ``received`` comes out first."""
    if not received:
        return socket.socket(fileno=fd)
    real = socket.socket(fileno=fd)
    try:
        return _Bridged(real, received)
    except BaseException:
        real.close()
        raise


class _Bridged(socket.socket):
    """A socket whose first octets had arrived before it was made.

    No octet can be put back into a connection, and a library that asks
    select() or an epoll object of its own sees the descriptor alone. So this is
    one end of a pair, with those octets in it, and two threads carry what
    follows: one for each way, so that neither waits for the other.
    """

    def __init__(self, real: socket.socket, received: bytes) -> None:
        mine, other = socket.socketpair()
        super().__init__(fileno=mine.detach())
        self._real, self._other = real, other
        self._running, self._lock = 2, threading.Lock()
        self._out = threading.Thread(
            target=self._carry, args=(other, real, b""), daemon=True
        )
        inward = threading.Thread(
            target=self._carry, args=(real, other, received), daemon=True
        )
        self._out.start()
        inward.start()

    def _carry(
        self, source: socket.socket, sink: socket.socket, data: bytes
    ) -> None:
        try:
            while data or (data := source.recv(PIECE)):
                sink.sendall(data)
                data = b""
        except OSError:  # one of the two is gone, and so is its other way
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
        """The handler returns, and the server closes the connection: not
        before what was written has left."""
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_WR)
        self._out.join(DRAIN)

    # What is asked of the connection, not of the pair.

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
