"""The page of the demo: it connects to the echo."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

FILE = os.path.join(os.path.dirname(__file__), "demo.html")


def page(
    environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    """A WSGI application: the page at ``/``, nothing else.

        from wsocket.demo import page
    """
    if environ["PATH_INFO"] != "/":
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"Not Found\n"]
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        start_response(
            "405 Method Not Allowed",
            [("Content-Type", "text/plain"), ("Allow", "GET, HEAD")],
        )
        return [b"Method Not Allowed\n"]
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    with open(FILE, "rb") as file:
        return [file.read()]
