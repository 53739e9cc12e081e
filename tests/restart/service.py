"""What load asks for, as a WSGI application: service:app.

HANDLED names a file that gets an octet for each request whose handler ran ("h")
and each WebSocket that opened ("w"): the server's own count, without /pid.
"""

import os

from wsocket import WSocketApp

BIG = (b"abcdefghijklmnopqrstuvw" * 45592)[:1 << 20]
HANDLED = os.open(os.environ.get("HANDLED", os.devnull),
                  os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def body_of(path, environ):
    if path == "/upload":
        source, length = environ["wsgi.input"], 0
        for piece in iter(lambda: source.read(16384), b""):
            length += len(piece)
        return b"%d" % length
    return BIG if path == "/big" else path.rpartition("/")[2].encode()


def plain(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/pid":
        body = b"%d" % os.getpid()
    else:
        body = body_of(path, environ)
        os.write(HANDLED, b"h")
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


app = WSocketApp(plain)
app.onconnect += lambda client: os.write(HANDLED, b"w")
app.onmessage += lambda message, client: client.send(message)
