"""What the soak test serves: plain answers, slow ones, bodies, WebSockets."""

import time


def app(environ, start_response):
    ws = environ.get("wsgi.websocket")
    path = environ["PATH_INFO"]
    if ws is not None:
        for message in ws:
            ws.send(message)
        return []
    body = b"hello"
    if path == "/slow":
        time.sleep(0.01)
    elif path == "/body":
        body = environ["wsgi.input"].read()
    elif path == "/crash":
        raise RuntimeError("on purpose")
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [body]
