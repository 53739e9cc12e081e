"""The classes derived from wsgiref's: HTTP/1.1 done right, and no surprises.

What wsgiref's own tests say of them is in test_wsgiref.py.
"""

import contextlib
import http.server
import io
import socket
import socketserver
import sys
import threading
import wsgiref.handlers
import wsgiref.simple_server
import wsgiref.validate

import pytest
from conftest import Raw, Site
from patience import PATIENCE

from wsocket import (
    FixedHandler,
    FixedServerHandler,
    ThreadingWSGIServer,
    WebSocketHandler,
    WSocketApp,
    WSocketHandler,
    _wsocket,
    logger,
)


@contextlib.contextmanager
def serving(app, server=ThreadingWSGIServer, handler=FixedHandler):
    made = wsgiref.simple_server.make_server(
        "127.0.0.1", 0, app, server, handler
    )
    made.port = made.server_port
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Site(made)
    finally:
        made.shutdown()
        made.server_close()
        thread.join(PATIENCE)
        assert not thread.is_alive()


class Quiet(FixedHandler):
    def log_message(self, format, *args):
        pass


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def items(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"a"
    yield b""
    yield b"bc"


def echo(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


def head_of(method="GET", target="/", *fields, version="1.1"):
    lines = ["%s %s HTTP/%s" % (method, target, version), "Host: x", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_they_are_what_their_names_say():
    simple = wsgiref.simple_server
    assert issubclass(FixedHandler, simple.WSGIRequestHandler)
    assert issubclass(FixedHandler, http.server.BaseHTTPRequestHandler)
    assert issubclass(FixedServerHandler, simple.ServerHandler)
    assert issubclass(FixedServerHandler, wsgiref.handlers.SimpleHandler)
    assert issubclass(ThreadingWSGIServer, simple.WSGIServer)
    assert issubclass(ThreadingWSGIServer, socketserver.ThreadingMixIn)
    assert issubclass(WebSocketHandler, FixedHandler)
    assert WSocketHandler is WebSocketHandler
    assert FixedServerHandler.http_version == "1.1"
    assert ThreadingWSGIServer.daemon_threads


@pytest.mark.parametrize(
    "server", [wsgiref.simple_server.WSGIServer, ThreadingWSGIServer]
)
def test_they_fit_into_wsgirefs_make_server(server):
    with serving(hello, server, Quiet) as site:
        status, headers, body = site.get()
        assert (status, body) == (200, b"hello")
        assert headers["content-length"] == "5"


def test_connections_are_kept_alive_where_threads_are():
    with serving(hello, handler=Quiet) as site, site.raw() as client:
        for _ in range(3):
            client.send(head_of())
            assert client.response()[2] == b"hello"
        client.send(head_of("GET", "/", "Connection: close"))
        status, headers, body = client.response()
        assert headers["connection"] == "close"
        assert client.rest() == b""


def test_without_threads_a_client_that_stays_keeps_nobody_waiting():
    server = wsgiref.simple_server.WSGIServer
    with serving(hello, server, Quiet) as site, site.raw() as first:
        first.send(head_of())
        assert first.response()[1]["connection"] == "close"
        assert site.get()[2] == b"hello"


def test_idle_connections_keep_nobody_waiting():
    with serving(hello, handler=Quiet) as site, contextlib.ExitStack() as all:
        for _ in range(10):
            all.enter_context(site.raw())
        assert site.get()[2] == b"hello"


def test_pipelined_requests_are_answered_in_order():  # RFC 9112 9.3.2
    def app(environ, start_response):
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    with serving(app, handler=Quiet) as site, site.raw() as client:
        client.send(*(head_of("GET", "/%d" % i) for i in range(5)))
        for i in range(5):
            assert client.response()[2] == b"/%d" % i


def test_http_1_0_is_kept_alive_when_it_asks():  # RFC 9112 9.3
    with serving(hello, handler=Quiet) as site, site.raw() as client:
        for _ in range(2):
            client.send(
                head_of("GET", "/", "Connection: keep-alive", version="1.0")
            )
            status, headers, body = client.response()
            assert headers["connection"] == "keep-alive"
        client.send(head_of(version="1.0"))
        assert client.rest().endswith(b"\r\n\r\nhello")


def test_what_has_no_length_is_chunked_or_ends_with_the_connection():
    with serving(items, handler=Quiet) as site:
        with site.raw() as client:
            client.send(head_of())
            status, headers, body = client.response()
            assert headers["transfer-encoding"] == "chunked"
            assert body == b"abc"
            client.send(head_of(version="1.0"))
            assert client.rest().endswith(b"\r\n\r\nabc")


@pytest.mark.parametrize("app", [hello, items])
def test_head_has_no_body(app):  # RFC 9110 9.3.2
    with serving(app, handler=Quiet) as site, site.raw() as client:
        client.send(head_of("HEAD"), head_of("HEAD"))
        for _ in range(2):
            assert client.response(bodiless=True)[0] == 200
        client.send(head_of())
        assert client.response()[0] == 200


@pytest.mark.parametrize(
    ("method", "status", "headers"),
    [
        ("HEAD", "200 OK", []),
        ("GET", "204 No Content", []),
        ("GET", "304 Not Modified", []),
        ("GET", "200 OK", [("Content-Length", "3")]),
    ],
)
def test_an_endless_result_is_left_once_there_is_enough(
    method, status, headers
):  # PEP 3333, as the server in C does
    closed = threading.Event()

    def app(environ, start_response):
        start_response(status, list(headers))
        try:
            while True:
                yield b"ab"
        finally:
            closed.set()

    with serving(app, handler=Quiet) as site, site.raw() as client:
        for _ in range(2):  # the connection may be used again
            client.send(head_of(method))
            code, _, body = client.response(bodiless=method == "HEAD")
            assert code == int(status[:3])
            assert body == (b"aba" if headers else b"")
            assert closed.wait(PATIENCE)
            closed.clear()


def test_code_behind_the_last_item_runs():
    """What was announced and sent whole is no reason to stop asking."""
    ran = threading.Event()

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "2")])
        yield b"ab"
        ran.set()

    with serving(app, handler=Quiet) as site:
        assert site.get()[2] == b"ab"
        assert ran.wait(PATIENCE)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_some_answers_have_no_body(status):  # RFC 9112 6.3
    def app(environ, start_response):
        start_response(status, [])
        return [b"dropped"]

    with serving(app, handler=Quiet) as site, site.raw() as client:
        client.send(head_of(), head_of())
        for _ in range(2):
            code, headers, _ = client.response()
            assert code == int(status[:3])
            assert "content-length" not in headers
            assert "transfer-encoding" not in headers


def test_a_body_is_read_to_its_end_and_no_further():
    with serving(echo, handler=Quiet) as site, site.raw() as client:
        client.send(head_of("POST", "/", "Content-Length: 3"), b"abc", head_of())
        assert client.response()[2] == b"abc"
        assert client.response()[2] == b""


def test_a_chunked_body_is_read():  # RFC 9112 7.1
    with serving(echo, handler=Quiet) as site, site.raw() as client:
        head = head_of("POST", "/", "Transfer-Encoding: chunked")
        client.send(head, b"2;x=y\r\nab\r\n1\r\nc\r\n0\r\nTrailer: x\r\n\r\n")
        assert client.response()[2] == b"abc"
        client.send(head_of())
        assert client.response()[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b"x\r\n",
        b"2\r\nabc\r\n",
        b"\r\n",
        b"-1\r\n",
        b"1\na\r\n0\r\n\r\n",
        b"1\r\na\n0\r\n\r\n",
        b"1;\r\na\r\n0\r\n\r\n",
        b"1 ; a=b;c\r\na\r\n0\r\n\r\n",
        b"1;a=\r\na\r\n0\r\n\r\n",
        b"1;a\0\r\na\r\n0\r\n\r\n",
        b'1;a="b\r\na\r\n0\r\n\r\n',
        b"1\r\na\r\n0\r\nx",
        b"1\r\na\r\n0\r\nx\r\n\r\n",
        b"1\r\na\r\n0\r\nx: y\0\r\n\r\n",
    ],
)
def test_a_broken_chunked_body_is_refused(body):  # RFC 9112 7.1
    with serving(echo, handler=Quiet) as site, site.raw() as client:
        client.send(head_of("POST", "/", "Transfer-Encoding: chunked"), body)
        client.send(head_of())
        client.socket.shutdown(socket.SHUT_WR)
        assert client.response()[0] == 400
        assert client.rest() == b""


class Narrow(Quiet):
    max_body = 3


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (["Content-Length: 4"], b"abcd"),
        (["Content-Length: 4", "Expect: 100-continue"], b""),
        (["Transfer-Encoding: chunked"], b"4\r\nabcd\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"2\r\nab\r\n2\r\n"),
    ],
)
def test_a_body_beyond_max_body_is_413(fields, body):  # RFC 9110 15.5.14
    with serving(echo, handler=Narrow) as site, site.raw() as client:
        client.send(head_of("POST", "/", *fields), body)
        status, headers, _ = client.response()
        assert status == 413
        assert headers["connection"] == "close"
        assert client.rest() == b""


def test_a_body_of_just_max_body_is_read():
    with serving(echo, handler=Narrow) as site, site.raw() as client:
        client.send(head_of("POST", "/", "Content-Length: 3"), b"abc")
        assert client.response()[2] == b"abc"
        client.send(head_of("POST", "/", "Transfer-Encoding: chunked"))
        client.send(b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n")
        assert client.response()[2] == b"abc"


def test_max_body_0_is_no_limit():
    class Wide(Quiet):
        max_body = 0

    with serving(echo, handler=Wide) as site, site.raw() as client:
        client.send(head_of("POST", "/", "Content-Length: 4"), b"abcd")
        assert client.response()[2] == b"abcd"
        client.send(head_of("POST", "/", "Transfer-Encoding: chunked"))
        client.send(b"4\r\nabcd\r\n0\r\n\r\n")
        assert client.response()[2] == b"abcd"


@pytest.mark.parametrize(
    "limit", ["max_body", "max_request_line", "max_header_bytes", "max_headers"]
)
def test_limits_are_those_of_the_server_in_c(limit):
    defaults = {name: default for name, _, default, _ in _wsocket.options()}
    assert getattr(FixedHandler, limit) == int(defaults[limit])


MULTIPART = "Content-Type: multipart/form-data"


@pytest.mark.parametrize("boundary", ["; boundary=B", "; boundary=C", ""])
def test_the_type_of_a_body_says_nothing_of_the_head(boundary):
    body = b"--B\r\nContent-Disposition: form-data; name=f\r\n\r\nx\r\n--B--\r\n"
    with serving(echo, handler=Quiet) as site, site.raw() as client:
        length = "Content-Length: %d" % len(body)
        client.send(head_of("POST", "/", MULTIPART + boundary, length), body)
        assert client.response()[2] == body
        client.send(head_of("POST", "/", "Content-Type: message/rfc822", length))
        client.send(body)
        assert client.response()[2] == body


@pytest.mark.parametrize(
    "lines",
    [
        b"Host: x\r\nX: a\rContent-Length: 5\r\n",
        b"Host: x\r\nX: a\rb\r\n",
        b"Host: x\r\nX: a\r\r\n",
        b"From Content-Length: 5\r\nHost: x\r\n",
        b"From x\r\nHost: x\r\n",
        b"Host: x\r\nFrom x\r\n",
        b"Host: x\r\n>From x\r\n",
        b"Host: x\nX: a\r\n",
    ],
)
def test_a_line_is_a_field_or_the_head_is_refused(lines):  # RFC 9112 2.2, 5.1
    with serving(hello, handler=Quiet) as site, site.raw() as client:
        client.send(b"GET / HTTP/1.1\r\n", lines, b"\r\nhello")
        assert client.response()[0] == 400


def test_a_205_has_no_content():  # RFC 9110 15.3.6
    def app(environ, start_response):
        fields = [("Content-Length", "5")] if environ["QUERY_STRING"] else []
        start_response("205 Reset Content", fields)
        return [b"hello"]

    with serving(app, handler=Quiet) as site, site.raw() as client:
        for target in "/", "/?a":
            client.send(head_of("GET", target))
            status, fields, body = client.response()
            assert (status, fields["content-length"], body) == (205, "0", b"")


def test_what_was_not_sent_is_not_in_the_environ():  # PEP 3333
    def app(environ, start_response):
        start_response("200 OK", [])
        return [repr(environ.get("CONTENT_LENGTH")).encode()]

    with serving(app, handler=Quiet) as site:
        assert site.get()[2] == b"None"


@pytest.mark.parametrize(
    "codings, status",
    [
        (["chunked, gzip"], 400),
        (["chunked", "gzip"], 400),
        (["gzip, chunked"], 501),
        (["gzip", "chunked"], 501),
    ],
)
def test_codings_are_judged_as_by_the_server_in_c(codings, status):
    fields = ["Transfer-Encoding: " + coding for coding in codings]
    with serving(hello, handler=Quiet) as site, site.raw() as client:
        client.send(head_of("POST", "/", *fields), b"0\r\n\r\n")
        assert client.response()[0] == status


@pytest.mark.parametrize("version", ["0.9", "0.0", "2.0"])
def test_a_version_that_is_not_spoken_is_505(version):  # RFC 9110 15.6.6
    with serving(hello, handler=Quiet) as site, site.raw() as client:
        client.send(head_of(version=version))
        assert client.response()[0] == 505


def test_lines_that_end_with_lf_alone_are_those_of_http_1_0_by_hand():
    def app(environ, start_response):
        start_response("200 OK", [])
        return [environ.get("HTTP_A", "").encode()]

    with serving(app, handler=Quiet) as site, site.raw() as client:
        client.send(b"GET / HTTP/1.0\nA: b\nConnection: keep-alive\n\nGET /")
        status, fields, body = client.response()
        assert (status, body, fields["connection"]) == (200, b"b", "close")
        assert client.rest() == b""


@pytest.mark.parametrize(
    "size", ["001", "1;a", "1; a=b;c", '1;a="\\"b;"', '1;a=""', "0" * 40 + "1"]
)
def test_chunk_extensions_are_skipped(size):  # RFC 9112 7.1.1
    with serving(echo, handler=Quiet) as site, site.raw() as client:
        client.send(head_of("POST", "/", "Transfer-Encoding: chunked"))
        client.send(size.encode(), b"\r\na\r\n0\r\n\r\n", head_of())
        assert client.response()[2] == b"a"
        assert client.response()[0] == 200


@pytest.mark.parametrize(
    "upgrade", ["foo/2", "h2c", "websocket", "websocket in 1.2"]
)
def test_an_upgrade_that_is_none_has_no_endless_body(upgrade):
    """RFC 9110 7.8: what is asked for may be ignored."""
    if upgrade == "websocket in 1.2":
        upgrade = "websocket"
        head = b"GET / HTTP/1.2\r\nHost: a\r\nConnection: Upgrade\r\n"
    elif upgrade == "websocket":
        head = b"GET / HTTP/1.0\r\nConnection: keep-alive, upgrade\r\n"
    else:
        head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
    head += b"Upgrade: %s\r\n\r\n" % upgrade.encode()
    with serving(echo, handler=Quiet) as site, site.raw() as client:
        client.send(head * 2)
        for _ in range(2):
            assert client.response()[::2] == (200, b"")


def test_the_environ_says_what_was_sent():
    seen = []

    def app(environ, start_response):
        seen.append(environ)
        return hello(environ, start_response)

    fields = ("Cookie: a=1", "Cookie: b=2")
    with serving(app, handler=Quiet) as site, site.raw() as client:
        client.send(head_of("GET", "http://other.example:81?q", *fields))
        assert client.response()[0] == 200
        client.send(head_of("OPTIONS", "*"))
        assert client.response()[0] == 200
    assert "CONTENT_TYPE" not in seen[0]
    assert seen[0]["HTTP_COOKIE"] == "a=1; b=2"
    assert seen[0]["HTTP_HOST"] == "other.example:81"
    assert [one["PATH_INFO"] for one in seen] == ["/", "/"]
    assert seen[0]["QUERY_STRING"] == "q"


def test_a_body_that_nobody_reads_is_skipped_or_ends_the_connection():
    with serving(hello, handler=Quiet) as site:
        with site.raw() as client:
            client.send(head_of("POST", "/", "Content-Length: 3"), b"abc")
            assert client.response()[2] == b"hello"
            client.send(head_of())
            assert client.response()[2] == b"hello"
        with site.raw() as client:
            client.send(head_of("POST", "/", "Content-Length: 9999999"))
            client.send(b"x" * 200000)
            assert client.response()[2] == b"hello"
            assert client.rest() == b""


def test_expect_is_answered_when_the_body_is_read():  # RFC 9110 10.1.1
    fields = ("Content-Length: 3", "Expect: 100-continue")
    with serving(echo, handler=Quiet) as site, site.raw() as client:
        client.send(head_of("POST", "/", *fields))
        assert client.head()[0] == 100
        client.send(b"abc")
        assert client.response()[2] == b"abc"
    with serving(hello, handler=Quiet) as site, site.raw() as client:
        client.send(head_of("POST", "/", *fields))
        assert client.response()[0] == 200
        assert client.rest() == b""


@pytest.mark.parametrize(
    "request_head, status",
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (head_of("POST", "/", "Content-Length: x"), 400),
        (head_of("POST", "/", "Content-Length: -1"), 400),
        (head_of("POST", "/", "Content-Length: 1", "Content-Length: 2"), 400),
        (
            head_of(
                "POST", "/", "Content-Length: 1", "Transfer-Encoding: chunked"
            ),
            400,
        ),
        (head_of("POST", "/", "Transfer-Encoding: gzip"), 501),
        (head_of("POST", "/", "Content-Length: 1", "Content-Length: 1"), 400),
        (head_of("POST", "/", "Content-Length: 1\x0b"), 400),
        (head_of("POST", "/", "Expect: 200-ok"), 417),
        (head_of("GET", "/", "X: a", " b"), 400),
        (head_of("GET", "/", "X: a\0b"), 400),
        (head_of("GET", "/", "X[a]: b"), 400),
        (head_of("GET", "/%00"), 400),
        (head_of("GET", "/a#b"), 400),
        (head_of("GET", "/\xe9"), 400),
        (head_of("GET", "a"), 400),
        (head_of("GET", "*"), 400),
        (head_of("GET", "ftp://a/"), 400),
        (head_of("GET", "http://u@a/"), 400),
        (head_of("GET", "http://"), 400),
        (head_of("GET", "http:///a"), 400),
        (head_of("GET", "http://a#b"), 400),
        (head_of("GET", "http://a/b c"), 400),
        (head_of("GET", "http://" + "a" * 16000 + " X"), 400),
        (head_of("CONNECT", "/"), 501),
        (head_of("G(T", "/"), 400),
        (b" " + head_of(), 400),
        (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/01.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400),
        (head_of("GET", "/", "no colon here", "X: y"), 400),
        (b"GET / HTTP/3.0\r\n\r\n", 505),
        (b"nonsense\r\n\r\n", 400),
        (b"GET /" + b"x" * 70000 + b" HTTP/1.1\r\n\r\n", 414),
        (head_of("GET", "/", *("X: y" for _ in range(200))), 431),
    ],
)
def test_what_two_readers_might_read_in_two_ways_is_refused(
    request_head, status
):  # RFC 9112 6.3, 11.2
    with serving(echo, handler=Quiet) as site, site.raw() as client:
        client.send(request_head)
        found = client.head()
        assert found[0] == status
        client.rest()


def test_a_head_that_is_cut_is_no_request():  # RFC 9112 8
    for cut in head_of()[:-2], b"GET / HTTP/1.0\r\n":
        with serving(hello, handler=Quiet) as site, site.raw() as client:
            client.send(cut)
            client.socket.shutdown(socket.SHUT_WR)
            assert client.response()[0] == 400
            assert client.rest() == b""


def test_header_names_with_underscores_are_not_taken_for_others():
    def app(environ, start_response):
        start_response("200 OK", [])
        return [environ.get("HTTP_X_USER", "nobody").encode()]

    with serving(app, handler=Quiet) as site:
        assert site.get("/", "X_User: root")[2] == b"nobody"
        assert site.get("/", "X-User: ann", "X_User: root")[2] == b"ann"


@pytest.mark.parametrize(
    "headers, status",
    [
        ([("X-A", 1)], "200 OK"),
        ([(b"X-A", "1")], "200 OK"),
        ([("X-A", "1\r\nX-B: 2")], "200 OK"),
        ([("Content-Length", "-5")], "200 OK"),
        ([], "200 OK\r\nX: y"),
        ([], 200),
        ([], "200"),
    ],
)
def test_wrong_headers_are_a_500(capfd, headers, status):
    def app(environ, start_response):
        start_response(status, headers)
        return [b"x"]

    with serving(app, handler=Quiet) as site:
        found = site.get()
    assert found[0] == 500
    assert "x-b" not in found[1]
    assert "AssertionError" in capfd.readouterr().err


@pytest.mark.parametrize(
    "name", ["Transfer-Encoding", "keep-alive", "TE", "Proxy-Authenticate"]
)
def test_hop_by_hop_headers_are_dropped_with_a_warning(caplog, name):
    def app(environ, start_response):
        start_response("200 OK", [("A", "1"), (name, "chunked"), ("B", "2")])
        return iter([b"one", b"two"])

    with serving(app, handler=Quiet) as site:
        for _ in range(2):
            status, fields, body = site.get()
            assert (status, body) == (200, b"onetwo")
            assert (fields["a"], fields["b"]) == ("1", "2")
            assert fields.get(name.lower()) in (
                ["chunked"] if name == "Transfer-Encoding" else [None]
            )
    assert 1 <= caplog.text.count("%r, a hop-by-hop header" % name) <= 2


def test_connection_and_upgrade_may_be_set():
    def app(environ, start_response):
        fields = [("Connection", "Upgrade"), ("Upgrade", "other")]
        start_response("101 Switching Protocols", fields)
        return []

    with serving(app, handler=Quiet) as site, site.raw() as client:
        client.send(head_of())
        status, headers = client.head()
        assert status == 101
        assert headers["upgrade"] == "other"
        assert "content-length" not in headers
        assert client.rest() == b""


ATTEMPT = [
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
]


@pytest.mark.parametrize(
    "head, status",
    [
        (head_of("GET", "/", *ATTEMPT, "Content-Length: 7"), 400),
        (head_of("GET", "/", *ATTEMPT, "Transfer-Encoding: chunked"), 400),
        (
            head_of(
                "GET",
                "/",
                *ATTEMPT,
                "Content-Length: 7",
                "Expect: 100-continue",
            ),
            400,
        ),
        (head_of("POST", "/", *ATTEMPT, "Content-Length: 7"), 405),
        (head_of("POST", "/", *ATTEMPT), 405),
        (head_of("GET", "/", *ATTEMPT[:3]), 400),
        (head_of("GET", "/", ATTEMPT[0], *ATTEMPT[2:]), 400),
        (head_of("GET", "/", *ATTEMPT, "Origin: http://elsewhere"), 403),
        (head_of("GET", "/", *ATTEMPT), 200),
    ],
)
def test_what_follows_a_refused_websocket_is_no_request(head, status):
    """RFC 9112 9.6: early frames could look like one."""
    asked = []

    def app(environ, start_response):
        asked.append(environ["PATH_INFO"])
        return hello(environ, start_response)

    with serving(app, handler=Quiet) as site, site.raw() as client:
        client.send(head, head_of("GET", "/hidden") * 3)
        found, headers, _ = client.response()
        assert (found, headers["connection"]) == (status, "close")
        assert client.rest() == b""
    assert "/hidden" not in asked


def test_another_version_is_told_what_to_upgrade_to():
    """RFC 9110 15.5.22"""
    head = head_of("GET", "/", *ATTEMPT[:2], "Sec-WebSocket-Version: 12")
    with serving(hello, handler=Quiet) as site, site.raw() as client:
        client.send(head)
        status, headers, _ = client.response()
        assert (status, headers["sec-websocket-version"]) == (426, "13")
        assert headers["upgrade"] == "websocket"
        assert headers["connection"] == "Upgrade, close"
        assert client.rest() == b""


def test_an_application_may_ask_for_the_end_of_the_connection():
    def app(environ, start_response):
        start_response("200 OK", [("Connection", "close")])
        return [b"bye"]

    with serving(app, handler=Quiet) as site, site.raw() as client:
        client.send(head_of())
        assert client.response()[2] == b"bye"
        assert client.rest() == b""


@pytest.mark.parametrize("length", ["2", "9"])
def test_a_body_of_another_length_is_cut_or_ends_the_connection(length):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", length)])
        return [b"four"]

    with serving(app, handler=Quiet) as site, site.raw() as client:
        client.send(head_of(version="1.1"))
        assert client.head()[0] == 200
        if length == "2":
            assert client.file.read(2) == b"fo"
            client.send(head_of())
            assert client.head()[0] == 200
        else:
            assert client.rest() == b"four"


def test_an_error_before_the_first_octet_is_a_500(capfd):
    def app(environ, start_response):
        raise ValueError("broken")

    with serving(app, handler=Quiet) as site, site.raw() as client:
        client.send(head_of(), head_of())
        for _ in range(2):
            status, headers, body = client.response()
            assert status == 500
            assert b"broken" not in body
    assert "ValueError: broken" in capfd.readouterr().err


def test_an_error_after_it_is_seen_by_the_client(capfd):
    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"begun"
        raise ValueError("broken")

    with serving(app, handler=Quiet) as site, site.raw() as client:
        client.send(head_of())
        assert client.head()[0] == 200
        assert client.rest() == b"5\r\nbegun\r\n"  # and no last chunk
    assert "ValueError: broken" in capfd.readouterr().err


def test_exc_info_replaces_the_head_or_is_raised(capfd):  # PEP 3333
    def app(environ, start_response):
        start_response("200 OK", [("X-A", "1")])
        try:
            raise ValueError("broken")
        except ValueError:
            start_response("503 Sorry", [], sys.exc_info())
        with pytest.raises(AssertionError):
            start_response("200 OK", [])
        return [b"x"]

    with serving(app, handler=Quiet) as site:
        status, headers, _ = site.get()
    assert status == 503
    assert "x-a" not in headers


def test_items_leave_one_by_one():
    go_on = threading.Event()

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"first"
        assert go_on.wait(PATIENCE)
        yield b"second"

    with serving(app, handler=Quiet) as site, site.raw() as client:
        client.send(head_of())
        client.head()
        assert client.chunk() == b"first"
        go_on.set()
        assert client.chunk() == b"second"


def test_a_client_that_leaves_is_no_error(capfd, caplog, eventually):
    ended = []

    def app(environ, start_response):
        start_response("200 OK", [])
        try:
            for _ in range(10000):
                yield b"x" * 65536
        finally:
            ended.append(True)

    with serving(app, handler=Quiet) as site:
        with site.raw() as client:
            client.send(head_of())
            client.head()
        eventually(lambda: ended)
    assert "Traceback" not in capfd.readouterr().err + caplog.text


def test_no_name_is_asked_for(monkeypatch):
    def ask(*args):
        raise AssertionError("a name was asked for")

    monkeypatch.setattr(socket, "getfqdn", ask)
    monkeypatch.setattr(socket, "gethostbyaddr", ask)
    with serving(hello, handler=Quiet) as site:
        assert site.get()[0] == 200


class Broken(io.StringIO):
    def write(self, text):
        raise ValueError("full")


@pytest.mark.parametrize("stream", [None, Broken()])
def test_the_log_never_raises(monkeypatch, stream):
    with serving(hello) as site:
        monkeypatch.setattr(sys, "stderr", stream)
        assert site.get()[2] == b"hello"
        monkeypatch.undo()


def test_the_log_has_the_address_and_no_control_characters(capsys):
    with serving(hello) as site:
        site.get("/\x1b[31m")
    said = capsys.readouterr().err
    assert said.startswith("127.0.0.1 - - [")
    assert "\\x1b[31m" in said and "\x1b" not in said


def test_the_application_is_wrapped_once():
    seen = []

    class Watching(Quiet):
        def get_app(self):
            seen.append(super().get_app())
            return seen[-1]

    with serving(hello, handler=Watching) as site:
        for _ in range(3):
            site.get()
        assert isinstance(seen[0], WSocketApp)
        assert seen[0] is seen[1] is seen[2]
        site.server.set_app(items)
        assert site.get()[2] == b"abc"
        own = WSocketApp(hello)
        site.server.set_app(own)
        site.get()
        assert seen[-1] is own


def test_an_error_outside_of_the_application_is_logged(caplog):
    class Failing(Quiet):
        def get_app(self):
            raise ValueError("broken")

    with serving(hello, handler=Failing) as site:
        with site.raw() as client:
            client.send(head_of())
            assert client.rest() == b""
    assert "ValueError: broken" in caplog.text
    assert logger.name == "wsocket"


def test_wsgirefs_validator_finds_nothing():
    app = wsgiref.validate.validator(items)
    with serving(app, handler=Quiet) as site:
        assert site.get()[2] == b"abc"


def test_ipv6_is_served():
    try:
        server = ThreadingWSGIServer(("::1", 0), Quiet)
    except OSError:
        pytest.skip("no IPv6 here")
    with server:
        assert server.server_name == "::1"
        assert server.address_family == socket.AF_INET6


def test_a_single_request_may_be_handled():
    with ThreadingWSGIServer(("127.0.0.1", 0), Quiet) as server:
        server.set_app(hello)
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with Raw(server.server_port) as client:
            client.send(head_of("GET", "/", "Connection: close"))
            assert client.response()[2] == b"hello"
        thread.join(PATIENCE)
        assert server.get_app() is hello


def test_a_close_that_fails_is_logged_and_no_second_answer_follows(eventually):
    errors = io.StringIO()
    calls = []

    class Result:
        def __iter__(self):
            return iter([b"whole"])

        def close(self):
            calls.append(self)
            raise KeyError("at the end")

    class Logging(Quiet):
        def get_stderr(self):
            return errors

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "5")])
        return Result()

    with serving(app, handler=Logging) as site, site.raw() as client:
        for _ in range(2):
            client.send(head_of())
            assert client.response()[::2] == (200, b"whole")
        eventually(lambda: errors.getvalue().count("KeyError: 'at the end'") == 2)
    assert len(calls) == 2
