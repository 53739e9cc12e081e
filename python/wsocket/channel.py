"""Messages between the supervisor and a worker, each a small JSON object.

    ours, theirs = Channel.pair()
    ours.send({"order": "probe"})
    theirs.receive()  # {"order": "probe"}
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any, Optional

MOST = 1 << 18  # bytes of a message; the system lets fewer be sent
LONGEST = 12000  # characters of a text in it, of at most 12 bytes each


class Channel:
    """One end of a pair of sockets that keep the boundaries of messages."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), cls(theirs)

    @classmethod
    def of(cls, fd: int) -> Channel:
        os.set_inheritable(fd, False)
        return cls(socket.socket(fileno=fd))

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def set_blocking(self, blocks: bool) -> None:
        self._socket.setblocking(blocks)

    def send(self, message: dict[str, Any]) -> bool:
        """Send a message. Return False if it cannot be sent: the other side has
        gone, or has been stopped and reads nothing."""
        for name, value in message.items():
            if isinstance(value, str) and len(value) > LONGEST:
                half = LONGEST // 2
                message[name] = value[:half] + "\n...\n" + value[-half:]
        data = json.dumps(message).encode("ascii")
        try:
            self._socket.send(data)
        except OSError:
            return False
        return True

    def receive(self) -> Optional[dict[str, Any]]:
        """Return the next message; None once the other side has gone.
        BlockingIOError: there is none now."""
        try:
            data = self._socket.recv(MOST)
        except ConnectionError:
            return None
        if not data:
            return None
        message: dict[str, Any] = json.loads(data)
        return message
