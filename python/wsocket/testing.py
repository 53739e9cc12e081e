"""For the tests of applications: a server, a client, and what was published.

    from wsocket.testing import Client, LiveServer, outbox

    def test_the_echo():
        with Client(app) as client, client.connect("/echo") as ws:
            ws.send("hello")
            assert ws.receive(5) == "hello"

    def test_an_order_is_told(client):
        outbox.clear()
        client.post("/orders")
        assert outbox == [(("orders",), '{"id": 1}', None)]

Once this module is imported, publish() needs no server: it appends to `outbox`,
a list of (topics, message, exclude). It still reaches sockets and listen() of this
process. pytest has these as the fixtures ``wsocket_client``, ``wsocket_server`` and
``wsocket_outbox``.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Optional, Union

from ._wsocket import WebSocket, set_outbox
from .client import connect
from .server import Server

__all__ = ["Client", "LiveServer", "outbox"]

Headers = Union[Mapping[str, str], Iterable[tuple[str, str]]]
Application = Callable[..., Iterable[bytes]]

#: What publish() was given: the topics, the message and the socket to exclude.
outbox: list[tuple[tuple[str, ...], Any, Optional[WebSocket]]] = []

set_outbox(outbox)

# Of tests, which wait for a view that does not end no longer than they must.
OPTIONS = {"access_logfile": "none", "graceful_timeout": 2, "ws_drain": 0}
NUMBER = "Wsocket-Test"  # a field that tells the calls of a Client apart
PATIENCE = 5  # seconds that a view has to return once its client has left


class LiveServer:
    """A server in this process, on a free port of 127.0.0.1.

        with LiveServer(app) as server:
            requests.get(server.url + "/page")
            with server.connect("/chat") as ws:
                ws.send("hello")

    ``options`` are those of ``Server``. To leave the block raises
    ``TimeoutError`` if a view does not return within ``graceful_timeout`` (2 s).
    """

    def __init__(
        self, app: Optional[Application] = None, **options: Any
    ) -> None:
        #: The ``wsocket.Server``.
        self.server = Server(app, port=0, **{**OPTIONS, **options})

    @property
    def port(self) -> int:
        """The port that was free."""
        return self.server.port

    @property
    def url(self) -> str:
        """Where it serves, without a slash at the end."""
        return self.server.url.rstrip("/")

    def connect(self, path: str = "/", **options: Any) -> WebSocket:
        """Open a WebSocket; ``options`` are those of ``wsocket.connect()``."""
        return connect(self.url.replace("http", "ws", 1) + path, **options)

    def close(self) -> None:
        """Stop, and wait until the views have returned."""
        self.server.stop()
        self.server.join()

    def __enter__(self) -> LiveServer:
        self.server.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class _Call:
    """A view under way: when it has returned, and what it has raised."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.error: Optional[BaseException] = None

    def run(
        self, app: Application, environ: dict[str, Any], respond: Any
    ) -> Iterator[bytes]:
        """The whole life of a WSGI result, in the thread of its view."""
        result: Any = None
        try:
            result = app(environ, respond)
            yield from result
        except BaseException as error:
            self.error = error
            raise
        finally:
            if hasattr(result, "close"):
                result.close()
            self.over.set()


class Client:
    """WebSockets to the views of a WSGI application, without a port.

        with Client(app) as client:
            with client.connect("/chat", headers={"Cookie": "name=Ann"}) as ws:
                assert ws.receive(5) == "welcome"

    The application runs in threads of this process, in the engine that it will
    run in. Its host is ``testserver`` and its client 127.0.0.1. ``options``
    are those of ``Server``.
    """

    def __init__(self, app: Application, **options: Any) -> None:
        self._app = app
        self._calls: dict[str, _Call] = {}
        self._numbers = itertools.count()
        self._folder = tempfile.mkdtemp(prefix="wsocket")
        self._path = os.path.join(self._folder, "s")
        self._server = Server(
            self._run,
            bind="unix:" + self._path,
            trusted_proxies="unix",  # its client says which address it has
            **{**OPTIONS, **options},
        )

    def _run(
        self, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        number = environ.pop("HTTP_WSOCKET_TEST", "")
        environ.pop("HTTP_X_FORWARDED_FOR", None)
        call = self._calls.get(number) or _Call()
        return call.run(self._app, environ, start_response)

    @contextlib.contextmanager
    def connect(
        self,
        path: str = "/",
        *,
        headers: Optional[Headers] = None,
        address: str = "127.0.0.1",
        **options: Any,
    ) -> Iterator[WebSocket]:
        """Open a WebSocket for a ``with`` block, which closes it and waits until
        the view has returned. What the view raises is raised here.

        ``address`` is the client's, for the application. ``options`` are those
        of ``wsocket.connect()``. Raise ``HandshakeError`` if the view refuses,
        with its status, headers and body.
        """
        number, call = str(next(self._numbers)), _Call()
        fields = list(headers.items() if isinstance(headers, Mapping) else headers or ())
        fields += [(NUMBER, number), ("X-Forwarded-For", address)]
        self._calls[number] = call
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(self._path)
            with connect(
                "ws://testserver" + path, headers=fields, sock=sock, **options
            ) as ws:
                yield ws
            if not call.over.wait(PATIENCE):
                raise TimeoutError("the view of %s does not return" % path)
        except BaseException as told:
            if call.error is not None and call.error is not told:
                raise call.error from told
            raise
        finally:
            sock.close()
            del self._calls[number]
        if call.error is not None:
            raise call.error

    def close(self) -> None:
        """Stop, and wait until the views have returned."""
        try:
            self._server.stop()
            self._server.join()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Client:
        self._server.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
