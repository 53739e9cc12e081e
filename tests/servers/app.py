"""What the matrix asks for: see matrix.py."""

from wsocket import WSocketApp


def inner(environ, start_response):
    ws = environ.get("wsgi.websocket")
    path = environ["PATH_INFO"]
    if ws is None:
        body = b"plain"
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    if path == "/refuse":
        start_response("401 Unauthorized", [("Content-Length", "2")])
        return [b"no"]
    if path == "/crash":
        ws.receive()
        raise RuntimeError("on purpose")
    if path == "/close":
        ws.receive()
        ws.close(4000, "bye")
        return []
    for message in ws:
        ws.send(message)
    return []


app = WSocketApp(
    inner, ws_max_size="64m", ws_ping_interval=0, ws_compression_threshold=0
)
