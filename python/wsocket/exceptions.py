"""The exceptions of a WebSocket.

    try:
        client.send("hello")
    except WebSocketError:
        pass  # the client has left

``WebSocketError`` is an ``OSError``; ``ProtocolError`` is a
``WebSocketError``; ``FrameTooLargeException`` is a ``ProtocolError``.
"""

from ._wsocket import FrameTooLargeException, ProtocolError, WebSocketError

__all__ = ["FrameTooLargeException", "ProtocolError", "WebSocketError"]
