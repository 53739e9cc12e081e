"""Echo in a blocking handler: python -m wsocket ws_blocking:app."""


def app(environ, start_response):
    ws = environ["wsgi.websocket"]
    for message in ws:
        ws.send(message)
    return []
