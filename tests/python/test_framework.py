"""The Framework: routes, start_response in all its forms, every result."""

import decimal
import io
import logging
import tempfile
import threading
import wsgiref.util
import wsgiref.validate

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

import wsocket
from wsocket import Framework, Response, WSocketApp

HTML = "text/html; charset=utf-8"


class Server:
    """What a WSGI server remembers of an answer."""

    def __init__(self, method="GET", path="/", **environ):
        self.environ = {"REQUEST_METHOD": method, "PATH_INFO": path, **environ}
        wsgiref.util.setup_testing_defaults(self.environ)
        self.calls = []
        self.written = []

    def start_response(self, status, headers, exc_info=None):
        self.calls.append((status, headers, exc_info))
        return self.written.append

    def run(self, app):
        result = app(self.environ, self.start_response)
        try:
            self.items = list(result)
        finally:
            if hasattr(result, "close"):
                result.close()
        return self

    @property
    def status(self):
        return self.calls[-1][0]

    @property
    def headers(self):
        return dict(self.calls[-1][1])

    @property
    def body(self):
        return b"".join(self.written + self.items)


def answer(handler, debug=None, **more):
    app = Framework(debug)
    app.route("*")(handler)
    return Server(**more).run(app)


def returning(value):
    return lambda environ, start_response: value


# ---------------------------------------------------------------- routes ---


@pytest.mark.parametrize(
    "path, expected",
    [
        ("/", b"root"),
        ("/a", b"exact"),
        ("/a/", b"a"),
        ("/a/b/c", b"ab"),
        ("/a/b/", b"ab"),
        ("/\xc3\xa9", b"accent"),
    ],
)
def test_an_exact_path_wins_then_the_longest_beginning(path, expected):
    app = Framework()
    for route, value in [
        ("/a/*", "a"),
        ("/a/b/*", "ab"),
        ("/a", "exact"),
        ("/", "root"),
        ("/\xe9", "accent"),
    ]:
        app.route(route)(returning(value))
    assert Server(path=path).run(app).body == expected
    assert Server(path="/b").run(app).status == "404 Not Found"


def test_a_star_shadows_no_exact_path_however_they_were_added():
    app = Framework()
    app.route("*")(returning("star"))
    app.route("/x")(returning("exact"))
    assert Server(path="/x").run(app).body == b"exact"
    assert Server(path="/\xff\xfe").run(app).body == b"star"


def test_routes_are_a_dict_of_the_instance():
    one, two = WSocketApp(), WSocketApp()
    one.routes["/x"] = returning("x")
    assert two.routes == {}
    assert Server(path="/x").run(one).body == b"x"
    one.routes = {"/y": returning("y")}
    assert Server(path="/y").run(one).body == b"y"
    with pytest.raises(TypeError):
        one.routes = []


def test_routes_of_a_class_are_copied_for_each_instance():
    class Site(WSocketApp):
        routes = {"/": returning("home")}

    one, two = Site(), Site()
    one.routes["/x"] = returning("x")
    assert Server().run(two).body == b"home"
    assert "/x" not in two.routes


def test_route_gives_the_handler_back_and_refuses_what_is_none():
    app = Framework()

    @app.route("/")
    def handler(environ, start_response):
        return ""

    assert app.routes["/"] is handler
    with pytest.raises(TypeError):
        app.route("/")(5)
    with pytest.raises(ValueError):
        app.route("nowhere")


def test_a_path_that_is_not_there_is_never_reflected():
    found = Server(path="/<script>").run(Framework(debug=True))
    assert found.status == "404 Not Found"
    assert b"script" not in found.body


@pytest.mark.parametrize("way", ["subclass", "assigned"])
def test_not_found_may_be_replaced(way):
    def not_found(environ, start_response):
        start_response("404", {"X-Own": "yes"})
        return "nothing at all"

    class Own(Framework):
        def not_found(self, environ, start_response):
            return not_found(environ, start_response)

    app = Own() if way == "subclass" else Framework()
    if way == "assigned":
        app.not_found = not_found
    found = Server().run(app)
    assert (found.status, found.body) == ("404 Not Found", b"nothing at all")
    assert found.headers["X-Own"] == "yes"


def test_a_route_may_have_a_handler_for_each_method():  # RFC 9110 15.5.6
    app = Framework()
    app.route("/", methods=["GET"])(returning("get"))
    app.route("/", methods=["post", "PUT"])(returning("set"))
    assert Server("GET").run(app).body == b"get"
    assert Server("PUT").run(app).body == b"set"
    assert Server("HEAD").run(app).headers["Content-Length"] == "3"
    refused = Server("DELETE").run(app)
    assert refused.status == "405 Method Not Allowed"
    assert refused.headers["Allow"] == "GET, HEAD, POST, PUT"
    app.method_not_allowed = returning("no")
    assert Server("DELETE").run(app).body == b"no"


# -------------------------------------------------------- start_response ---


@pytest.mark.parametrize(
    "args, status",
    [
        ((), "200 OK"),
        ((None,), "200 OK"),
        ((404,), "404 Not Found"),
        (("404",), "404 Not Found"),
        (("404 ",), "404 Not Found"),
        (("404 Gone Fishing",), "404 Gone Fishing"),
        (("200 OK", []), "200 OK"),
        (("200", None), "200 OK"),
        ((299,), "299 Unknown"),
    ],
)
def test_the_status_may_be_said_in_many_ways(args, status):
    def handler(environ, start_response):
        start_response(*args)
        return "x"

    assert answer(handler).status == status


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "1", "Content-Type": "text/plain"},
        [("X-A", "1"), ("Content-Type", "text/plain")],
        (("X-A", "1"), ("Content-Type", "text/plain")),
    ],
)
def test_headers_may_be_a_dict_or_pairs(headers):
    def handler(environ, start_response):
        start_response(headers=headers)
        return "x"

    found = answer(handler)
    assert found.headers["X-A"] == "1"
    assert found.headers["Content-Type"] == "text/plain"
    assert found.headers["Content-Length"] == "1"
    assert len(headers) == 2


@pytest.mark.parametrize(
    "args, error",
    [
        ((200, {"X-A": 1}), "header value must be a str, not int"),
        ((200, {b"X-A": "1"}), "header name must be a str, not bytes"),
        ((200, {"X A": "1"}), "not a token"),
        ((200, {"X-A": "1\r\nX-B: 2"}), "control character"),
        ((200, [("X-A",)]), r"tuple \(name, value\)"),
        ((200, "X-A: 1"), "dict or a list of tuples, not str"),
        (("OK",), "must be like 200"),
        ((99,), "from 200 to 599"),
        (("600 x",), "from 200 to 599"),
        ((b"200",), "must be a str, not bytes"),
        ((10**30,), "too large"),
    ],
)
def test_a_wrong_head_is_said_where_it_is_made(caplog, args, error):
    def handler(environ, start_response):
        with pytest.raises((TypeError, ValueError, OverflowError), match=error):
            start_response(*args)
        return "went on"

    found = answer(handler)
    assert (found.status, found.body) == ("200 OK", b"went on")
    assert not caplog.records


def test_a_second_call_needs_exc_info():  # PEP 3333
    def handler(environ, start_response):
        start_response(200, {"X-A": "1"})
        with pytest.raises(RuntimeError, match="twice"):
            start_response(200)
        with pytest.raises(TypeError, match="sys.exc_info"):
            start_response(200, [], 5)
        error = ValueError("late")
        start_response(503, [], (ValueError, error, None))
        return "sorry"

    found = answer(handler)
    assert found.status == "503 Service Unavailable"
    assert "X-A" not in found.headers


def test_exc_info_is_raised_again_once_something_was_sent():  # PEP 3333
    def handler(environ, start_response):
        write = start_response()
        write("begun")
        error = ValueError("late")
        with pytest.raises(ValueError, match="late"):
            start_response(500, [], (ValueError, error, None))
        return " and ended"

    assert answer(handler).body == b"begun and ended"


def test_write_sends_at_once():
    def handler(environ, start_response):
        write = start_response(201)
        write("a")
        write(b"b")
        return [1]

    found = answer(handler)
    assert found.status == "201 Created"
    assert (found.written, found.items) == ([b"a", b"b"], [b"1"])
    assert len(found.calls) == 1


# --------------------------------------------------------------- results ---


@pytest.mark.parametrize(
    "value, body",
    [
        ("h\xe9", "h\xe9".encode()),
        (b"\x00\xff", b"\x00\xff"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"ab"), b"ab"),
        (None, b""),
        ("", b""),
        (5, b"5"),
        (2.5, b"2.5"),
        (decimal.Decimal("1.50"), b"1.50"),
        (["a", b"b", 3, None, 0.5], b"ab30.5"),
        (("a", "b"), b"ab"),
        ({"only"}, b"only"),
        (frozenset([1]), b"1"),
        ({"key": "value", 2: 3}, b"key2"),
        ([], b""),
    ],
)
def test_what_is_there_whole_has_a_length(value, body):
    found = answer(returning(value))
    assert (found.status, found.body) == ("200 OK", body)
    assert found.headers == {
        "Content-Type": HTML,
        "Content-Length": str(len(body)),
    }


@pytest.mark.parametrize(
    "value, body",
    [
        ((str(i) for i in range(3)), b"012"),
        (iter([b"a", "b", 3]), b"ab3"),
        (range(3), b"012"),
        ({"a": 1}.keys(), b"a"),
        (map(str, [1, 2]), b"12"),
        (iter([]), b""),
    ],
)
def test_what_comes_item_by_item(value, body):
    found = answer(returning(value))
    assert (found.status, found.body) == ("200 OK", body)
    assert "Content-Length" not in found.headers


@pytest.mark.parametrize(
    "make, body, type, length",
    [
        (lambda: io.StringIO("h\xe9"), "h\xe9".encode(), HTML, None),
        (lambda: io.BytesIO(b"\xff"), b"\xff", HTML, "1"),
        (lambda: io.BytesIO(), b"", HTML, "0"),
    ],
)
def test_files_in_memory(make, body, type, length):
    file = make()
    found = answer(returning(file))
    assert found.body == body
    assert found.headers["Content-Type"] == type
    assert found.headers.get("Content-Length") == length
    assert file.closed


@pytest.mark.parametrize("mode", ["r", "rb"])
@pytest.mark.parametrize("wrapper", [None, wsgiref.util.FileWrapper])
def test_open_files(tmp_path, mode, wrapper):
    path = tmp_path / "page.html"
    path.write_bytes("h\xe9\n".encode() * 100000)
    coding = {"encoding": "utf-8"} if mode == "r" else {}
    file = open(path, mode, **coding)
    more = {"wsgi.file_wrapper": wrapper} if wrapper else {}
    found = answer(returning(file), **more)
    assert found.body == path.read_bytes()
    assert found.headers["Content-Type"] == HTML
    length = str(path.stat().st_size) if mode == "rb" else None
    assert found.headers.get("Content-Length") == length
    assert file.closed


def test_a_binary_file_is_sent_by_the_server_where_it_offers_that():
    seen = []

    def wrapper(file, size):
        seen.append(file)
        return wsgiref.util.FileWrapper(file, size)

    with tempfile.NamedTemporaryFile() as file:
        file.write(b"skip this")
        file.seek(5)
        more = {"wsgi.file_wrapper": wrapper}
        found = answer(returning(file), **more)
    assert seen == [file]
    assert found.body == b"this"
    assert found.headers["Content-Type"] == "application/octet-stream"
    assert found.headers["Content-Length"] == "4"


def test_what_a_handler_says_of_its_file_is_not_changed(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("{}")

    def handler(environ, start_response):
        start_response(206, {"Content-Type": "a/b", "Content-Length": "2"})
        return open(path, "rb")

    found = answer(handler)
    assert found.status == "206 Partial Content"
    assert found.headers == {"Content-Type": "a/b", "Content-Length": "2"}


def test_a_file_that_only_reads():
    class Reader:
        parts = [b"a", "b", b""]

        def read(self, size):
            return self.parts.pop(0)

    assert answer(returning(Reader())).body == b"ab"


@pytest.mark.parametrize("value", [object(), [object()], iter([object()])])
def test_a_result_that_cannot_be_sent_is_a_500_that_says_why(caplog, value):
    found = answer(returning(value))
    assert found.status == "500 Internal Server Error"
    assert "not object" in caplog.text or "returned object" in caplog.text


def test_a_generator_may_call_start_response_late():
    def handler(environ, start_response):
        yield ""
        start_response("201", {"X-Late": "yes"})
        yield "a"
        yield 2

    found = answer(handler)
    assert (found.status, found.body) == ("201 Created", b"a2")
    assert found.headers["X-Late"] == "yes"
    assert len(found.calls) == 1


def test_items_are_asked_for_one_by_one():
    made = []

    def handler(environ, start_response):
        for i in range(3):
            made.append(i)
            yield str(i)

    app = Framework()
    app.route("/")(handler)
    server = Server()
    items = iter(app(server.environ, server.start_response))
    assert made == []
    assert next(items) == b"0"
    assert made == [0]
    assert server.status == "200 OK"


def test_close_is_called_once_and_always():  # PEP 3333
    class Result:
        closed = 0

        def __iter__(self):
            yield "a"
            raise ValueError("broken")

        def close(self):
            self.closed += 1

    result = Result()
    with pytest.raises(ValueError):
        answer(returning(result))
    assert result.closed == 1
    ended = []

    def handler(environ, start_response):
        try:
            yield "a"
            yield "b"
        finally:
            ended.append(True)

    app = Framework()
    app.route("/")(handler)
    server = Server()
    items = app(server.environ, server.start_response)
    next(items)
    items.close()
    assert ended == [True]
    assert list(items) == []


@pytest.mark.parametrize("code", [204, 304])
def test_some_answers_have_no_content(code):  # RFC 9110 15.3.5, 15.4.5
    def handler(environ, start_response):
        start_response(code)
        return "dropped"

    found = answer(handler)
    assert found.body == b""
    assert found.headers == {}


@pytest.mark.parametrize(
    "value", ["abc", ["a", "bc"], iter(["abc"]), io.StringIO("abc")]
)
def test_head_gets_the_head_alone(value):  # RFC 9110 9.3.2
    found = answer(returning(value), method="HEAD")
    assert (found.status, found.body) == ("200 OK", b"")


# ---------------------------------------------------------------- errors ---


def broken(environ, start_response):
    start_response(200, {"X-Secret": "1"})
    raise ValueError("<script>alert(1)</script>")


def late(environ, start_response):
    raise ValueError("<script>alert(1)</script>")
    yield


@pytest.mark.parametrize("handler", [broken, late])
def test_an_error_is_logged_and_hidden(caplog, handler):
    found = answer(handler)
    assert found.status == "500 Internal Server Error"
    assert found.headers["Content-Type"].startswith("text/plain")
    assert "X-Secret" not in found.headers
    assert b"script" not in found.body
    assert caplog.text.count("ValueError: <script>") == 1
    assert found.calls[-1][2][0] is ValueError


@pytest.mark.parametrize("way", ["debug", "logger"])
def test_in_debug_mode_the_page_shows_it_escaped(way):
    level = wsocket.logger.level
    try:
        if way == "logger":
            wsocket.logger.setLevel(10)
        found = answer(broken, True if way == "debug" else None)
    finally:
        wsocket.logger.setLevel(level)
    assert found.status == "500 Internal Server Error"
    assert found.headers["Content-Type"] == HTML
    assert b"&lt;script&gt;alert(1)" in found.body
    assert b"<script>" not in found.body
    assert b"Traceback" in found.body


def test_a_root_logger_at_debug_shows_nothing_to_clients():
    root = logging.getLogger()
    level = root.level
    try:
        root.setLevel(logging.DEBUG)
        assert b"Traceback" not in answer(broken).body
    finally:
        root.setLevel(level)


def test_the_end_of_the_process_is_no_error_page():
    def handler(environ, start_response):
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        answer(handler)


def test_after_the_first_item_the_error_is_the_servers(caplog):
    def handler(environ, start_response):
        yield "a"
        raise ValueError("broken")

    with pytest.raises(ValueError):
        answer(handler)
    assert "ValueError: broken" in caplog.text


def test_it_is_called_as_a_wsgi_application_only():
    app = Framework()
    with pytest.raises(TypeError, match="environ and start_response"):
        app()
    with pytest.raises(TypeError, match="must be a dict"):
        app([], print)
    with pytest.raises(TypeError):
        Response({}, None, print)
    with pytest.raises(TypeError):
        Response([], print, print)


def test_response_runs_one_handler():
    server = Server()
    response = Response(server.environ, server.start_response, returning("x"))
    assert list(response.process_response()) == [b"x"]
    assert server.status == "200 OK"
    assert response.environ is server.environ


# ---------------------------------------------------------- on our server ---


@pytest.mark.parametrize(
    "value, body",
    [
        ("h\xe9", "h\xe9".encode()),
        (None, b""),
        (["a", b"b", 3], b"ab3"),
        (5, b"5"),
    ],
)
def test_our_server_sends_it(serve, value, body):
    app = Framework()
    app.route("/")(returning(value))
    site = serve(app)
    status, headers, found = site.get()
    assert (status, found) == (200, body)
    assert headers["content-type"] == HTML
    assert headers["content-length"] == str(len(body))
    assert site.get(method="HEAD")[1]["content-length"] == str(len(body))


def test_our_server_sends_each_item_at_once(serve):
    app, go_on = Framework(), threading.Event()

    @app.route("/")
    def handler(environ, start_response):
        yield "first"
        assert go_on.wait(20)
        yield "second"

    with serve(app).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.head()[0] == 200
        assert client.chunk() == b"first"
        go_on.set()
        assert client.chunk() == b"second"
        assert client.chunk() == b""


def test_our_server_sends_a_file(serve, tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(b"line\n" * 100000)
    app = Framework()
    app.route("/bytes")(lambda e, s: open(path, "rb"))
    app.route("/text")(lambda e, s: open(path, encoding="utf-8"))
    site = serve(app)
    for target in ("/bytes", "/text"):
        status, headers, body = site.get(target)
        assert (status, body) == (200, path.read_bytes())
        assert headers["content-type"] == "text/plain; charset=utf-8"


def test_an_error_after_the_first_octet_is_seen(serve, caplog):
    app = Framework()

    @app.route("/")
    def handler(environ, start_response):
        yield "first"
        raise ValueError("broken")

    site = serve(app)
    with site.raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.head()[0] == 200
        assert client.rest() == b"5\r\nfirst\r\n"  # and no last chunk
    assert site.stop()
    assert caplog.text.count("ValueError: broken") == 1


def test_an_error_is_logged_once_on_our_server(serve, caplog):
    app = Framework()
    app.route("/")(broken)
    assert serve(app).get()[0] == 500
    assert caplog.text.count("ValueError: <script>") == 1


def test_wsgi_validators_find_nothing(serve):
    app = Framework()

    @app.route("/late")
    def late(environ, start_response):
        start_response(201)
        yield "a"
        yield "b"

    app.route("/")(returning("hello"))
    app.route("/file")(lambda e, s: io.BytesIO(b"file"))
    site = serve(wsgiref.validate.validator(app))
    assert site.get("/")[2] == b"hello"
    assert site.get("/late")[2] == b"ab"
    assert site.get("/file")[2] == b"file"
    assert site.get("/none")[0] == 404


# ------------------------------------------------------------ WebSockets ---


def test_the_same_route_serves_pages_and_sockets(serve):
    app = WSocketApp(protocol="chat")

    @app.route("/ws")
    def handler(environ, start_response):
        socket = environ.get("wsgi.websocket")
        if not socket:
            start_response()
            return "<h1>Hello World!</h1>"
        for message in socket:
            socket.send(message)
        return []

    site = serve(app)
    assert site.get("/ws")[2] == b"<h1>Hello World!</h1>"
    with site.ws("/ws", subprotocols=["chat"]) as client:
        assert client.subprotocol == "chat"
        client.send("x")
        assert client.recv() == "x"


@pytest.mark.parametrize(
    "result", [None, [], "", "text", iter(["item"]), {"a": 1}]
)
def test_an_upgrade_gets_no_200_that_nobody_asked_for(serve, result):
    app = WSocketApp()
    app.route("/")(returning(result))
    with serve(app).ws() as client, pytest.raises(ConnectionClosed) as caught:
        client.recv()
    assert caught.value.rcvd.code == 1000


def test_a_generator_may_serve_a_socket(serve):
    app = WSocketApp()

    @app.route("/")
    def handler(environ, start_response):
        socket = environ["wsgi.websocket"]
        for message in socket:
            socket.send(message)
            yield "nobody reads this"

    with serve(app).ws() as client:
        client.send("x")
        assert client.recv() == "x"
        client.send("y")
        assert client.recv() == "y"


@pytest.mark.parametrize("code", [401, 404])
def test_a_route_may_refuse_a_socket(serve, code):
    app = WSocketApp()

    @app.route("/")
    def handler(environ, start_response):
        start_response(code, {"X-Why": "no"})
        return "no"

    with pytest.raises(InvalidStatus) as caught:
        serve(app).ws("/" if code == 401 else "/elsewhere")
    assert caught.value.response.status_code == code


def test_an_error_on_a_socket_closes_it_with_1011(serve, caplog):
    app = WSocketApp()

    @app.route("/")
    def handler(environ, start_response):
        environ["wsgi.websocket"].send("x")
        raise ValueError("broken")

    with serve(app).ws() as client:
        assert client.recv() == "x"
        with pytest.raises(ConnectionClosed) as caught:
            client.recv()
    assert caught.value.rcvd.code == 1011
    assert "ValueError: broken" in caplog.text


def test_events_take_the_sockets_and_routes_the_pages(serve):
    app = WSocketApp()
    app.route("/")(returning("page"))
    app.onmessage += lambda message, client: client.send(message)
    site = serve(app)
    assert site.get()[2] == b"page"
    assert site.get("/none")[0] == 404
    with site.ws() as client:
        client.send("x")
        assert client.recv() == "x"


def test_routes_come_before_the_application_it_wraps(serve):
    app = WSocketApp(wsgiref.validate.validator(Framework()))
    app.route("/own")(returning("own"))
    site = serve(app)
    assert site.get("/own")[2] == b"own"
    assert site.get("/other")[0] == 404
