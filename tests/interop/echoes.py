"""Two echoes on one port, and the files that the browser wants."""

import os

from wsocket import WSocketApp

HERE = os.path.dirname(os.path.abspath(__file__))
PAGES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/play.js": ("play.js", "text/javascript"),
    "/plan.json": (os.environ.get("INTEROP_PLAN", ""), "application/json"),
}

echo = WSocketApp()
echo.onmessage += lambda message, client: client.send(message)


def blocking(environ):
    websocket = environ["wsgi.websocket"]
    for message in websocket:
        websocket.send(message)
    return []


def app(environ, start_response):
    if environ["PATH_INFO"] == "/blocking":
        return blocking(environ)
    if environ["PATH_INFO"] == "/events":
        return echo(environ, start_response)
    name, kind = PAGES.get(environ["PATH_INFO"], (None, None))
    if name is None:
        start_response("404 Not Found", [("Content-Length", "0")])
        return []
    with open(os.path.join(HERE, name), "rb") as file:
        body = file.read()
    start_response("200 OK", [("Content-Type", kind)])
    return [body]
