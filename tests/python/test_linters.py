"""Between the server and the application: what the linters say of both."""

import io
import wsgiref.validate

import pytest
import webtest.lint
from werkzeug.middleware.lint import LintMiddleware

TEXT = ("Content-Type", "text/plain")


def simple(environ, start_response):
    start_response("200 OK", [TEXT, ("Content-Length", "5")])
    return [b"hello"]


def chunked(environ, start_response):
    start_response("200 OK", [TEXT])
    return (b"%d" % i for i in range(10))


def echo(environ, start_response):
    start_response("200 OK", [TEXT])
    return [environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))]


def lines(environ, start_response):
    lines = list(environ["wsgi.input"])
    environ["wsgi.errors"].write("")
    environ["wsgi.errors"].flush()
    start_response("200 OK", [TEXT])
    return lines


def writing(environ, start_response):
    start_response("200 OK", [TEXT])(b"written ")
    return [b"returned"]


def empty(environ, start_response):
    start_response("204 No Content", [])
    return []


def unchanged(environ, start_response):
    start_response("304 Not Modified", [("ETag", '"x"')])
    return []


def moved(environ, start_response):
    start_response(
        "302 Found",
        [TEXT, ("Location", "http://test/"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b")],
    )
    return [b"there"]


def recovering(environ, start_response):
    start_response("200 OK", [TEXT])
    try:
        raise ValueError("broken")
    except ValueError:
        import sys

        start_response("500 Oh", [TEXT], sys.exc_info())
    return [b"sorry"]


def a_file(environ, start_response):
    start_response("200 OK", [TEXT])
    return environ["wsgi.file_wrapper"](io.BytesIO(b"x" * 100000))


APPS = {
    simple: (200, b"hello"),
    chunked: (200, b"0123456789"),
    echo: (200, b"one\ntwo\n"),
    lines: (200, b"one\ntwo\n"),
    writing: (200, b"written returned"),
    empty: (204, b""),
    unchanged: (304, b""),
    moved: (302, b"there"),
    recovering: (500, b"sorry"),
    a_file: (200, b"x" * 100000),
}

LINTERS = {
    "wsgiref": wsgiref.validate.validator,
    "werkzeug": LintMiddleware,
    "webtest": webtest.lint.middleware,
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("linter", LINTERS)
@pytest.mark.parametrize("app", APPS, ids=lambda app: app.__name__)
def test_a_linter_agrees(caplog, serve, app, linter):
    status, body = APPS[app]
    site = serve(LINTERS[linter](app))
    posts = app in (echo, lines)
    for _ in range(2):
        answer = site.get(
            "/a%20b?c=d",
            *(["Content-Type: text/plain"] if posts else []),
            "X-Twice: 1",
            "X-Twice: 2",
            method="POST" if posts else "GET",
            body=b"one\ntwo\n" if posts else b"",
        )
        assert answer[::2] == (status, body), caplog.text
    if not posts:
        with site.raw() as client:
            client.send(
                b"OPTIONS * HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
            )
            assert client.head()[0] == status, caplog.text
    if not posts and not (linter == "webtest" and app is writing):
        assert site.get(method="HEAD")[0] == status, caplog.text
    assert "Error" not in caplog.text
