"""Echo in a blocking handler: python -m wsocket ws_blocking:app."""


def app(environ, start_response):
    ws = environ.get("wsgi.websocket")
    if ws is None:
        start_response("400 Bad Request", [])
        return [b"This is a WebSocket echo.\n"]
    for message in ws:
        ws.send(message)
    return []
