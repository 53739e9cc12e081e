"""The application that every Python server of the HTTP bench runs, and what
each of its paths must answer."""

import os
import time

FILES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "build",
                     "bench", "files")
HELLO = b"Hello, World!"
BODY = b"0123456789abcdef" * 640
ITEMS = [b"item %d of ten, some fifty octets of a page\n" % i
         for i in range(10)]
PACED = 20


def headers(length):
    return [("Content-Type", "text/plain"), ("Content-Length", str(length))]


def hello(environ, start_response):
    start_response("200 OK", headers(len(HELLO)))
    return [HELLO]


def body(environ, start_response):
    start_response("200 OK", headers(len(BODY)))
    return [BODY]


def items(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield from ITEMS


def paced(environ, start_response):
    """Not measured: each item tells when it was asked for, by the clock that
    all processes share. There is time for it to arrive before the next."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(PACED):
        yield b"%.6f\n" % time.monotonic()
        time.sleep(0.005)


def post(environ, start_response):
    length = int(environ["CONTENT_LENGTH"])
    data = environ["wsgi.input"].read(length)
    start_response("200 OK", headers(2))
    return [b"ok" if len(data) == length else b"no"]


def static(environ, start_response):
    """For servers that serve no files themselves."""
    path = os.path.join(FILES, "10k.txt")
    file = open(path, "rb")
    start_response("200 OK", headers(os.fstat(file.fileno()).st_size))
    wrapper = environ.get("wsgi.file_wrapper")
    return wrapper(file) if wrapper else iter(lambda: file.read(65536), b"")


PATHS = {"/": hello, "/10k": body, "/items": items, "/paced": paced,
         "/post": post, "/static/10k.txt": static}
ANSWERS = {"/": HELLO, "/10k": BODY, "/items": b"".join(ITEMS),
           "/post": b"ok", "/static/10k.txt": BODY}


def app(environ, start_response):
    return PATHS[environ["PATH_INFO"]](environ, start_response)
