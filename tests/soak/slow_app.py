"""What the slow clients ask for, and how many handlers run."""

import threading

LARGE = b"0123456789abcdef" * 655360
lock = threading.Lock()
running = 0
most = 0


def app(environ, start_response):
    if environ["PATH_INFO"] == "/running":
        return answer(start_response, b"%d" % most)
    count(1)
    try:
        if environ["REQUEST_METHOD"] == "POST":
            body = environ["wsgi.input"].read()
            return answer(start_response, b"%d" % len(body))
        if environ["PATH_INFO"] == "/large":
            return answer(start_response, LARGE)
        return answer(start_response, b"hello")
    finally:
        count(-1)


def count(change):
    """`most` is how many handlers ever ran at once."""
    global running, most
    with lock:
        running += change
        most = max(most, running)


def answer(start_response, body):
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body)))])
    return [body]
