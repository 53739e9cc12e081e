"""The table of docs/internals/pep3333.md, and what no other file tests."""

import gc
import pathlib
import re
import sys
import weakref

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def test_every_line_of_the_table_names_tests_that_exist():
    table = (ROOT / "docs" / "internals" / "pep3333.md").read_text()
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", table, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 32))
    here = pathlib.Path(__file__).parent
    for number, row in rows:
        named = re.findall(r"`(test_\w+)\.(test_\w+)`", row)
        assert named, number
        for module, test in named:
            text = (here / (module + ".py")).read_text()
            assert "def %s(" % test in text, (number, module, test)


def answering(result, headers=()):
    def app(environ, start_response):
        start_response("200 OK", list(headers))
        return result

    return app


def test_the_environ_is_a_dict_of_native_strings(serve):
    seen = []

    def app(environ, start_response):
        seen.append(dict(environ))
        assert type(environ) is dict
        environ["new"] = 1
        start_response("200 OK", [])
        return []

    assert serve(app).get("/\xe9?\xfc", "X-A: \xe4")[0] == 400  # not ASCII
    assert serve(app).get("/%e9?%fc", "X-A: \xe4")[0] == 200
    cgi = {k: v for k, v in seen[0].items() if k.isupper()}
    assert {type(value) for value in cgi.values()} == {str}
    for value in cgi.values():
        value.encode("latin-1")
    assert seen[0]["PATH_INFO"] == "/\xe9" and seen[0]["HTTP_X_A"] == "\xe4"


@pytest.mark.parametrize(
    "item, name",
    [
        ("text", "str; encode the text first"),
        (None, "NoneType"),
        (1, "int"),
        (bytearray(b"x"), "bytearray"),
        (memoryview(b"x"), "memoryview"),
        ([b"x"], "list"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_items_of_other_types_are_a_500_that_names_them(
    caplog, serve, item, name
):
    for result in ([item], iter([item])):
        status, _, body = serve(answering(result)).get()
        assert status == 500
        assert name.encode() not in body
    assert caplog.text.count("must yield bytes, not " + name) == 2


@pytest.mark.parametrize("item", ["text", None, 1])
@pytest.mark.parametrize("headers", [[], [("Content-Length", "2")]])
def test_a_list_with_one_wrong_item_is_a_500_too(serve, item, headers):
    for result in ([b"a", item], (b"a", b"b" * 100000, item)):
        status, _, body = serve(answering(result, headers)).get()
        assert (status, body) == (500, b"500 Internal Server Error\n")


@pytest.mark.parametrize(
    "value",
    ["abc", "", "-1", "+1", " 5", "5 ", "1.0", "5, 5", "0x5", "9" * 19],
)
def test_a_content_length_that_is_no_number_is_named(caplog, serve, value):
    app = answering([b"12345"], [("Content-Length", value)])
    assert serve(app).get()[0] == 500
    assert "in digits, not %r" % value in caplog.text


def test_two_content_lengths_are_named(caplog, serve):
    app = answering([b"1"], [("Content-Length", "1"), ("content-length", "1")])
    assert serve(app).get()[0] == 500
    assert "twice" in caplog.text


@pytest.mark.parametrize(
    "name",
    "Keep-Alive Proxy-Authenticate Proxy-Authorization TE Trailer Trailers "
    "Transfer-Encoding Upgrade Proxy-Connection".split(),
)
def test_hop_by_hop_headers_are_dropped_with_a_warning(caplog, serve, name):
    fields = [("X-Before", "1"), (name, "x"), (name, "y"), ("X-After", "2")]
    site = serve(answering([b"x", b"y"], fields))
    for _ in range(2):
        with site.raw() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
            status, sent, body = client.response()
        assert (status, body) == (200, b"xy")
        assert (sent["x-before"], sent["x-after"]) == ("1", "2")
        assert sent.get(name.lower()) in (None, "chunked")
    told = caplog.text.count("set %r, a hop-by-hop header" % name)
    assert 1 <= told <= 2  # once in a second


def test_an_answer_of_426_names_its_protocol(serve):  # RFC 9110 15.5.22
    app = answering([b"x"], [("Upgrade", "other")])

    def refusing(environ, start_response):
        return app(
            environ, lambda _, fields: start_response("426 Upgrade Required", fields)
        )

    status, fields, _ = serve(refusing).get()
    assert (status, fields["upgrade"]) == (426, "other")
    assert "upgrade" in fields["connection"].lower()


def test_connection_keeps_its_meaning(serve):
    with serve(answering([b"x"], [("Connection", "keep-alive")])).raw() as client:
        for _ in range(2):
            client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
            assert client.response()[0] == 200
    with serve(answering([b"x"], [("Connection", "close")])).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.response()[1]["connection"] == "close"
        assert client.rest() == b""


def test_date_and_server_are_added_only_when_they_are_missing(serve):
    _, headers, _ = serve(answering([b"x"])).get()
    assert headers["server"] == "wsocket" and headers["date"].endswith("GMT")
    app = answering([b"x"], [("date", "then"), ("SERVER", "mine")])
    with serve(app).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        head = client.rest().lower()
    assert head.count(b"\r\ndate: ") == head.count(b"\r\nserver: ") == 1
    assert b"date: then" in head and b"server: mine" in head


def test_an_exception_and_its_frames_are_forgotten(serve, eventually):
    class Broken(Exception):
        pass

    kept = []

    def app(environ, start_response):
        try:
            raise Broken
        except Broken as error:
            kept.append(weakref.ref(error))
            start_response("500 Oh", [], sys.exc_info())
        return [b"sorry"]

    gc.disable()
    try:
        assert serve(app).get()[::2] == (500, b"sorry")
        eventually(lambda: kept[0]() is None)
    finally:
        gc.enable()


def test_an_error_page_tells_nothing_of_the_application(serve):
    def app(environ, start_response):
        start_response("200 OK", [("X-Secret", "1")])
        raise ValueError("the password is 1234")

    status, headers, body = serve(app).get("/<script>")
    assert (status, body) == (500, b"500 Internal Server Error\n")
    assert headers["content-type"].startswith("text/plain")
    assert "x-secret" not in headers
