"""What a handler gets that takes its connection over; made by the extension."""

from __future__ import annotations

import socket
from typing import Any


def make(fd: int, received: bytes) -> socket.socket:
    """A socket over ``fd``, which it owns; ``received`` comes out first."""
    if not received:
        return socket.socket(fileno=fd)
    made = _Early(fileno=fd)
    made._received = received
    return made


class _Early(socket.socket):
    """A socket with octets that had arrived before it was made."""

    _received = b""

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        if not self._received:
            return super().recv(bufsize, flags)
        data = self._received[:bufsize]
        if not flags & socket.MSG_PEEK:
            self._received = self._received[bufsize:]
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        if not self._received:
            return super().recv_into(buffer, nbytes, flags)
        view = memoryview(buffer).cast("B")
        data = self.recv(nbytes or len(view), flags)
        view[: len(data)] = data
        return len(data)
