"""Handlers that wait for the peers of peers.py."""

from wsocket import WebSocketError

PIECE = bytes(16384)
PIECES = 3200


def app(environ, start_response):
    ws = environ.get("wsgi.websocket")
    if ws is not None:
        try:
            while True:
                ws.send(PIECE)
        except WebSocketError:
            return []
    if environ["REQUEST_METHOD"] == "POST":
        environ["wsgi.input"].read()
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/write":
        for _ in range(PIECES):
            write(PIECE)
    if environ["PATH_INFO"] == "/generator":
        return (PIECE for _ in range(PIECES))
    return [b"hello"]
