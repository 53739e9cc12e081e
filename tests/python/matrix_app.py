"""The parts of wsocket, each as an application that does the same: make(part).

Text and binary come back, "ping" brings one of ours, "close" closes, "end" ends
the handler.
"""

from wsocket import WSocketApp


def tell(ws, message):
    """One message; False ends the handler."""
    if message == "end":
        return False
    if message == "ping":
        ws.send_frame(b"sign", 0x9)
    elif message == "close":
        ws.close(4002, "enough")
    else:
        ws.send(message)
    return True


def function(environ, start_response):
    ws = environ.get("wsgi.websocket")
    if ws is None:
        start_response("200 OK", [("Content-Length", "6")])
        return [b"a page"]
    for message in ws:
        if not tell(ws, message):
            break
    return []


def handle(message, client):
    if not tell(client, message):
        raise RuntimeError("on purpose")


def make(part, **options):
    options.setdefault("protocols", ["chat", "other"])
    if part in ("server", "handler"):
        return function
    if part == "middleware":
        return WSocketApp(function, **options)
    app = WSocketApp(**options)
    app.route("/page")(function)
    if part == "framework":
        app.route("/")(function)
    else:
        app.onmessage += handle
    return app
