"""Fixtures for pytest, which finds this module by itself.

    def test_the_chat(wsocket_server):
        server = wsocket_server(app)
        with server.connect("/chat") as ws:
            ws.send("hello")
            assert ws.receive(5) == "hello"
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .testing import Client, LiveServer

# wsocket.testing is imported only where it is asked for: it changes publish().


@pytest.fixture
def wsocket_server() -> Iterator[Callable[..., LiveServer]]:
    """``wsocket_server(app, **options)`` serves it on a free port until the end
    of the test: a ``wsocket.testing.LiveServer``."""
    from .testing import LiveServer

    with contextlib.ExitStack() as stack:

        def start(app: Any = None, **options: Any) -> LiveServer:
            return stack.enter_context(LiveServer(app, **options))

        yield start


@pytest.fixture
def wsocket_client() -> Iterator[Callable[..., Client]]:
    """``wsocket_client(app, **options)`` is a ``wsocket.testing.Client``."""
    from .testing import Client

    with contextlib.ExitStack() as stack:

        def start(app: Any, **options: Any) -> Client:
            return stack.enter_context(Client(app, **options))

        yield start


@pytest.fixture
def wsocket_outbox() -> Iterator[list[Any]]:
    """What is published in this test: a list of (topics, message, exclude)."""
    from . import testing

    testing.outbox.clear()
    testing.set_outbox(testing.outbox)
    yield testing.outbox
    testing.outbox.clear()
