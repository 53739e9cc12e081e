"""What an application publishes, for its tests.

Once this module is imported, publish() needs no server: it appends to `outbox`,
a list of (topics, message, exclude), and listen() in the same process gets the
message, too.

    from wsocket.testing import outbox

    def test_an_order_is_told(client):
        outbox.clear()
        client.post("/orders")
        assert outbox == [(("orders",), '{"id": 1}', None)]
"""

from typing import Any, Optional

from ._wsocket import WebSocket, set_outbox

__all__ = ["outbox"]

#: What publish() was given: the topics, the message and the socket to exclude.
outbox: list[tuple[tuple[str, ...], Any, Optional[WebSocket]]] = []

set_outbox(outbox)
