"""HTTP and WebSockets for any WSGI application, on one port.

    from wsocket import WSocketApp, run

    app = WSocketApp()

    def on_message(message, client):
        client.send("you said: " + message)

    app.onmessage += on_message
    run(app)

or from the command line: ``wsocket module:app``.
"""

from ._wsocket import (
    Event,
    Response,
    WebSocket,
    __version__,
    count,
    disconnect,
    listen,
    publish,
)
from .app import WSocketApp
from .bus import Publisher
from .classic import WSocketServer, make_server
from .client import HandshakeError, connect
from .exceptions import FrameTooLargeException, ProtocolError, WebSocketError
from .framework import Framework
from .gaps import ongap
from .handlers import (
    FixedHandler,
    FixedServerHandler,
    ThreadingWSGIServer,
    WebSocketHandler,
    WSocketHandler,
)
from .handshake import Gate
from .log import log_traceback, logger
from .run import run  # `wsocket.run` is the function, not its module
from .server import Server

__all__ = [
    "Event",
    "FixedHandler",
    "FixedServerHandler",
    "FrameTooLargeException",
    "Framework",
    "HandshakeError",
    "Gate",
    "ProtocolError",
    "Publisher",
    "Response",
    "Server",
    "ThreadingWSGIServer",
    "WSocketApp",
    "WSocketHandler",
    "WSocketServer",
    "WebSocket",
    "WebSocketError",
    "WebSocketHandler",
    "__version__",
    "connect",
    "count",
    "disconnect",
    "listen",
    "log_traceback",
    "logger",
    "make_server",
    "ongap",
    "publish",
    "run",
]
