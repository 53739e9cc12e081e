"""What connections end in: events at /events, a blocking handler elsewhere."""

import gc
import sys

from wsocket import WSocketApp

events = WSocketApp()


def on_message(message, client):
    if message == "crash":
        raise RuntimeError("on purpose")
    client.send(message)


events.onmessage += on_message


def app(environ, start_response):
    path = environ["PATH_INFO"]
    ws = environ.get("wsgi.websocket")
    if ws is not None and path == "/events":
        return events(environ, start_response)
    if ws is not None:
        for message in ws:
            if message == "crash":
                raise RuntimeError("on purpose")
            ws.send(message)
        return []
    if path == "/crash":
        raise RuntimeError("on purpose")
    if path == "/blocks":
        gc.collect()
        start_response("200 OK", [])
        return [b"%d" % sys.getallocatedblocks()]
    start_response("404 Not Found", [])
    return [b"nothing here"]
