"""PEP 3333: start_response, the result, and what becomes of mistakes."""

import sys
import threading

import pytest

TEXT = [("Content-Type", "text/plain")]


def answering(result, headers=TEXT, status="200 OK"):
    def app(environ, start_response):
        start_response(status, list(headers))
        return result

    return app


# ------------------------------------------------------------- the result ---


def test_one_item_has_a_content_length(serve):
    status, headers, body = serve(answering([b"hello"])).get()
    assert (status, body) == (200, b"hello")
    assert headers["content-length"] == "5"
    assert headers["content-type"] == "text/plain"


def test_a_tuple_and_any_object_with_one_item_have_one_too(serve):
    class One:
        def __len__(self):
            return 1

        def __iter__(self):
            return iter([b"hello"])

    for result in ((b"hello",), One()):
        _, headers, body = serve(answering(result)).get()
        assert (headers["content-length"], body) == ("5", b"hello")


def test_more_items_are_chunked(serve):
    _, headers, body = serve(answering([b"hel", b"lo"])).get()
    assert headers["transfer-encoding"] == "chunked"
    assert body == b"hello"


def test_no_items_are_an_empty_body(serve):
    for result in ([], (), iter([])):
        status, headers, body = serve(answering(result)).get()
        assert (status, headers["content-length"], body) == (200, "0", b"")


def test_empty_items_do_not_end_the_body(serve):
    result = [b"", b"a", b"", b"b", b""]
    for app in (answering(result), lambda e, s: iter(answering(result)(e, s))):
        assert serve(app).get()[2] == b"ab"


def test_a_result_without_iter_is_iterated_by_index(serve):
    class Old:
        def __getitem__(self, i):
            return [b"a", b"b"][i]

    assert serve(answering(Old())).get()[2] == b"ab"


def test_a_length_of_the_application_is_kept(serve):
    app = answering(iter([b"hel", b"lo"]), [("Content-Length", "5")])
    _, headers, body = serve(app).get()
    assert (headers["content-length"], body) == ("5", b"hello")
    assert "transfer-encoding" not in headers


def test_too_much_is_cut(server_log, serve):
    site = serve(answering([b"hello world"], [("Content-Length", "5")]))
    assert site.get()[2] == b"hello"
    assert server_log("Content-Length").count("Content-Length") == 1


class Endless:
    """Items without an end, counted."""

    def __init__(self):
        self.items = self.closed = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.items += 1
        assert self.items < 1000
        return b"0123456789"

    def close(self):
        self.closed += 1


def test_no_item_is_asked_for_when_content_length_is_reached(serve, eventually):
    result = Endless()
    app = answering(result, [("Content-Length", "25")])
    assert serve(app).get()[2] == b"0123456789012345678901234"[:25]
    eventually(lambda: result.closed == 1)
    assert result.items == 3


def test_code_behind_the_last_item_runs(serve, eventually):
    ended = []

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "5")])
        yield b"hello"
        ended.append(True)

    assert serve(app).get()[2] == b"hello"
    eventually(lambda: ended)


@pytest.mark.parametrize(
    "method, status",
    [
        ("HEAD", "200 OK"),
        ("GET", "204 No Content"),
        ("GET", "205 Reset Content"),
        ("GET", "304 No News"),
    ],
)
@pytest.mark.parametrize("writes", [False, True])
def test_an_answer_without_a_body_asks_for_none(
    serve, eventually, method, status, writes
):
    result = Endless()

    def app(environ, start_response):
        write = start_response(status, [])
        if writes:
            write(b"written")
        return result

    with serve(app).raw() as client:
        head = "%s / HTTP/1.1\r\nHost: t\r\n\r\n" % method
        client.send(head.encode() * 2)
        for _ in range(2):
            assert client.response(bodiless=True)[0] == int(status[:3])
    eventually(lambda: result.closed == 2)
    assert result.items == (0 if writes else 2)


def test_an_answer_that_is_full_leaves_room_in_the_next(serve):
    """The objects of a request that nobody keeps serve the next one, too."""

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"one "
        yield b"two"

    with serve(app).raw() as client:
        for _ in range(2):
            client.send(b"HEAD / HTTP/1.1\r\nHost: t\r\n\r\n")
            assert client.response(bodiless=True)[0] == 200
            client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
            assert client.response()[::2] == (200, b"one two")


def test_too_little_closes_the_connection(server_log, serve):
    site = serve(answering([b"hel"], [("Content-Length", "5")]))
    with site.raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.rest().endswith(b"\r\n\r\nhel")
    assert server_log("Content-Length").count("Content-Length") == 1


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_some_statuses_have_no_body(serve, status):
    with serve(answering([b"x" * 10], (), status)).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n" * 2)
        for _ in range(2):
            assert client.response()[0] == int(status[:3])


def test_a_205_is_empty_whatever_is_given(serve):
    for result in ([b"x"], [b"x", b"y"], iter([b"x", b"y"])):
        for headers in ([], [("Content-Length", "2")]):
            app = answering(result, headers, "205 Reset Content")
            _, sent, body = serve(app).get()
            assert (sent["content-length"], body) == ("0", b"")


def test_head_has_no_body_but_the_length(serve):
    with serve(answering([b"hello"])).raw() as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: t\r\n\r\n" * 2)
        for _ in range(2):
            _, headers, _ = client.response(bodiless=True)
            assert headers["content-length"] == "5"


def test_head_without_items_makes_up_no_length(serve):
    _, headers, _ = serve(answering([])).get(method="HEAD")
    assert "content-length" not in headers


def test_each_item_leaves_before_the_next_is_asked_for(serve):
    go_on = threading.Event()

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"first"
        assert go_on.wait(10)
        yield b"second"

    with serve(app).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.head()[0] == 200
        assert client.chunk() == b"first"
        go_on.set()
        assert client.chunk() == b"second"
        assert client.chunk() == b""


def test_a_large_body_arrives_whole(serve):
    data = bytes(range(256)) * 20000
    for result in ([data], [data[:3000000], data[3000000:]], iter([data])):
        assert serve(answering(result)).get()[2] == data


def test_many_small_items_arrive_whole(serve):
    items = [b"%d\n" % i for i in range(20000)]
    assert serve(answering(items)).get()[2] == b"".join(items)


def test_a_list_that_grows_while_it_is_sent_is_sent_to_its_end(serve):
    result = [b"a" * 70000]

    class Greedy(bytes):
        pass

    result.append(Greedy(b"b"))
    assert serve(answering(result)).get()[2] == b"a" * 70000 + b"b"


# -------------------------------------------------------- start_response ---


def test_status_and_headers_are_sent_as_they_are(serve):
    app = answering(
        [b""],
        [("X-First", "1"), ("set-Cookie", "a=1"), ("Set-Cookie", "b=\xfc")],
        "418 I'm a teapot",
    )
    with serve(app).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        head = client.rest()
    assert head.startswith(b"HTTP/1.1 418 I'm a teapot\r\n")
    at = [
        head.index(b)
        for b in (b"X-First: 1", b"set-Cookie: a=1", b"Set-Cookie: b=\xfc")
    ]
    assert at == sorted(at)


@pytest.mark.parametrize("status", ["200", "200 "])
def test_a_status_without_reason_gets_one(serve, status):
    with serve(answering([b""], (), status)).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        assert client.rest().startswith(b"HTTP/1.1 200 OK\r\n")


def test_more_headers_than_usual(serve):
    names = ["X-%d" % i for i in range(200)]
    app = answering([b""], [(name, "v") for name in names])
    _, headers, _ = serve(app).get()
    assert all(headers[name.lower()] == "v" for name in names)


def test_the_list_may_be_changed_afterwards(serve):
    def app(environ, start_response):
        headers = [("X-Was", "here")]
        start_response("200 OK", headers)
        headers[:] = [(None, None)]
        return [b""]

    assert serve(app).get()[1]["x-was"] == "here"


@pytest.mark.parametrize(
    "status, headers, error, text",
    [
        (200, [], TypeError, "the status must be a str"),
        (b"200 OK", [], TypeError, "the status must be a str"),
        ("OK", [], ValueError, "like '200 OK'"),
        ("20", [], ValueError, "like '200 OK'"),
        ("2000 OK", [], ValueError, "like '200 OK'"),
        ("100 Continue", [], ValueError, "like '200 OK'"),
        ("101 Switching Protocols", [], ValueError, "like '200 OK'"),
        ("600 Odd", [], ValueError, "like '200 OK'"),
        ("200 O\r\nK", [], ValueError, "control character"),
        ("200 \u20ac", [], ValueError, "latin-1"),
        ("200 OK", (), TypeError, "must be a list"),
        ("200 OK", {"a": "b"}, TypeError, "must be a list"),
        ("200 OK", None, TypeError, "must be a list"),
        ("200 OK", ["ab"], TypeError, "tuple"),
        ("200 OK", [["a", "b"]], TypeError, "tuple"),
        ("200 OK", [("a", "b", "c")], TypeError, "tuple"),
        ("200 OK", [("X-A", 1)], TypeError, "header value must be a str"),
        ("200 OK", [(b"X-A", "1")], TypeError, "header name must be a str"),
        ("200 OK", [("X-A", "a\nb")], ValueError, "control character"),
        ("200 OK", [("X-A", "a\rb")], ValueError, "control character"),
        ("200 OK", [("X-A", "a\0b")], ValueError, "control character"),
        ("200 OK", [("X-A", "\u20ac")], ValueError, "latin-1"),
        ("200 OK", [("X A", "b")], ValueError, "not a token"),
        ("200 OK", [("", "b")], ValueError, "not a token"),
        ("200 OK", [("X-A:", "b")], ValueError, "not a token"),
        ("200 OK", [("X\xfc", "b")], ValueError, "not a token"),
    ],
)
def test_mistakes_are_named_where_they_are_made(
    serve, status, headers, error, text
):
    raised = []

    def app(environ, start_response):
        try:
            start_response(status, headers)
        except Exception as exc:
            raised.append(exc)
        start_response("200 OK", [])
        return [b"recovered"]

    assert serve(app).get()[2] == b"recovered"
    assert type(raised[0]) is error and text in str(raised[0])


@pytest.mark.parametrize(
    "args, kwargs",
    [
        ((), {}),
        (("200 OK",), {}),
        (("200 OK", [], None, None), {}),
        (("200 OK",), {"headers": []}),
        (("200 OK", []), {"reason": None}),
        (("200 OK", [], ValueError()), {}),
        (("200 OK", [], (1, 2)), {}),
    ],
)
def test_wrong_calls_are_type_errors(serve, args, kwargs):
    def app(environ, start_response):
        with pytest.raises(TypeError):
            start_response(*args, **kwargs)
        start_response("200 OK", [], exc_info=None)
        return [b"recovered"]

    assert serve(app).get()[2] == b"recovered"


def test_an_application_may_ask_to_close(serve):
    app = answering([b"bye"], [("Connection", "close")])
    with serve(app).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.rest().endswith(b"bye")


def test_a_second_call_is_an_error(serve):
    def app(environ, start_response):
        start_response("200 OK", [])
        with pytest.raises(RuntimeError, match="twice"):
            start_response("404 Not Found", [])
        return [b"first"]

    assert serve(app).get()[0] == 200


def failure():
    try:
        raise ValueError("late")
    except ValueError:
        return sys.exc_info()


def test_exc_info_replaces_what_has_not_left(serve):
    def app(environ, start_response):
        start_response("200 OK", [("X-A", "1")])
        start_response("500 Oops", [("X-B", "2")], failure())
        return [b"error page"]

    status, headers, body = serve(app).get()
    assert (status, body) == (500, b"error page")
    assert "x-a" not in headers and headers["x-b"] == "2"


def test_exc_info_raises_again_what_comes_too_late(caplog, serve):
    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"begun"
        start_response("500 Oops", [], failure())
        yield b"never"

    with serve(app).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        said = client.rest()
    assert b"begun" in said and not said.endswith(b"0\r\n\r\n")
    assert "ValueError: late" in caplog.text


@pytest.mark.parametrize(
    "exc_info",
    [
        (None, None, None),
        (ValueError, None, None),
        (ValueError, "text", None),
        (ValueError, ValueError, None),
        (ValueError, ValueError("x"), "traceback"),
        (1, 2, 3),
        (ValueError, ValueError("x")),
        ValueError("x"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("late", [False, True])
def test_what_is_no_exc_info_is_a_type_error(serve, exc_info, late):
    def app(environ, start_response):
        write = start_response("200 OK", [])
        if late:
            write(b"first ")
        with pytest.raises(TypeError, match=r"sys.exc_info\(\) gives"):
            start_response("500 Oh", [], exc_info)
        return [b"rest"]

    assert serve(app).get()[2].endswith(b"rest")


def test_the_class_that_is_raised_again_is_the_exceptions_own(serve):
    raised = []

    def app(environ, start_response):
        start_response("200 OK", [])(b"first")
        try:
            start_response("500 Oh", [], (None, KeyError("x"), None))
        except KeyError as exc:
            raised.append(exc)
        return []

    serve(app).get()
    assert raised[0].args == ("x",)


def test_it_may_be_called_as_late_as_the_first_item(serve):
    def app(environ, start_response):
        yield b""
        start_response("201 Created", [])
        yield b"late"

    assert serve(app).get()[::2] == (201, b"late")


def test_write_sends_before_the_result(serve):
    def app(environ, start_response):
        write = start_response("200 OK", [])
        write(b"one ")
        write(b"")
        write(b"two ")
        return [b"three"]

    assert serve(app).get()[2] == b"one two three"


def test_write_sends_at_once(serve):
    go_on = threading.Event()

    def app(environ, start_response):
        start_response("200 OK", [])(b"first")
        assert go_on.wait(10)
        return []

    with serve(app).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        client.head()
        assert client.chunk() == b"first"
        go_on.set()
        assert client.chunk() == b""


def test_write_takes_only_bytes(serve):
    def app(environ, start_response):
        write = start_response("200 OK", [])
        with pytest.raises(TypeError, match="bytes, not str"):
            write("text")
        return [b"ok"]

    assert serve(app).get()[2] == b"ok"


def test_kept_after_the_request_both_raise_a_clear_error(serve):
    kept = []

    def app(environ, start_response):
        kept.append(start_response)
        kept.append(start_response("200 OK", []))
        return []

    serve(app).get()
    with pytest.raises(RuntimeError, match="its request had ended"):
        kept[0]("200 OK", [])
    with pytest.raises(RuntimeError, match="its request had ended"):
        kept[1](b"data")


@pytest.mark.parametrize("keep", ["start_response", "write", "input"])
def test_what_was_kept_never_serves_the_next_request(serve, keep):
    kept, served = [], []

    def app(environ, start_response):
        write = start_response("200 OK", [])
        things = {"start_response": start_response, "write": write,
                  "input": environ["wsgi.input"]}
        if kept:
            served.append(things[keep] is not kept[0])
            with pytest.raises((RuntimeError, ValueError), match="had ended"):
                use[keep](kept[0])
        else:
            kept.append(things[keep])
        return [b"ok"]

    use = {"start_response": lambda old: old("200 OK", []),
           "write": lambda old: old(b"data"),
           "input": lambda old: old.read()}
    site = serve(app)
    for _ in range(3):
        assert site.get()[2] == b"ok"
    assert served == [True, True]


def test_only_the_handlers_thread_may_write(serve):
    def app(environ, start_response):
        write = start_response("200 OK", [])
        refused = []

        def use():
            with pytest.raises(RuntimeError, match="thread"):
                write(b"x")
            refused.append(b"refused")

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        return refused

    assert serve(app).get()[2] == b"refused"


# ----------------------------------------------------------------- close ---


class Result:
    def __init__(self, items, error=None):
        self.items, self.error, self.closed = iter(items), error, 0

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.items)

    def close(self):
        self.closed += 1
        if self.error:
            raise self.error


def failing():
    yield b"begun"
    raise KeyError("in the middle")


@pytest.mark.parametrize(
    "items, method",
    [
        ([b"a", b"b"], "GET"),
        ([], "GET"),
        ([b"a"], "HEAD"),
        (["text"], "GET"),
        (failing(), "GET"),
    ],
)
def test_close_is_called_once_whatever_happens(serve, items, method):
    result = Result(items)
    site = serve(answering(result))
    with site.raw() as client:
        client.send(
            b"%s / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
            % method.encode()
        )
        client.rest()
    assert site.stop()
    assert result.closed == 1


def test_close_is_called_when_start_response_was_not(caplog, serve):
    result = Result([])
    site = serve(lambda environ, start_response: result)
    assert site.get()[0] == 500
    assert site.stop()
    assert result.closed == 1
    assert "without having called start_response" in caplog.text


def test_close_is_called_when_the_client_leaves(serve, eventually):
    def endless():
        while True:
            yield b"x" * 50000

    result = Result(endless())
    with serve(answering(result)).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        client.head()
    eventually(lambda: result.closed == 1)


def test_an_error_in_close_is_logged_and_spoils_nothing(caplog, serve):
    site = serve(answering(Result([b"fine"], ValueError("in close"))))
    assert site.get()[2] == b"fine"
    assert site.stop()
    assert "ValueError: in close" in caplog.text


def test_write_to_a_client_that_left_ends_the_handler_quietly(caplog, serve):
    ended = threading.Event()

    def app(environ, start_response):
        write = start_response("200 OK", [])
        try:
            while True:
                write(b"x" * 50000)
        finally:
            ended.set()

    site = serve(app)
    with site.raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        client.head()
    assert ended.wait(20)
    assert site.stop()
    assert caplog.records == []


# -------------------------------------------------------------- mistakes ---


@pytest.mark.parametrize(
    "result, text",
    [
        (None, "returned NoneType, not an iterable"),
        (5, "returned int, not an iterable"),
        ("text", "returned str; it must return an iterable of bytes"),
        (b"bytes", "returned bytes; it must return an iterable of bytes"),
        (["text"], "must yield bytes, not str; encode the text first"),
        ([b"".__class__], "must yield bytes, not type"),
        ([None], "must yield bytes, not NoneType"),
        (iter([5]), "must yield bytes, not int"),
        ([bytearray(b"x")], "must yield bytes, not bytearray"),
    ],
)
def test_a_wrong_result_is_a_500_that_names_the_mistake(
    caplog, serve, result, text
):
    status, headers, body = serve(answering(result)).get("/wrong?x")
    assert status == 500
    assert body == b"500 Internal Server Error\n"
    assert text in caplog.text
    assert "GET /wrong?x" in caplog.text


def test_a_body_before_start_response_is_a_500(caplog, serve):
    assert serve(lambda e, s: [b"body"]).get()[0] == 500
    assert "before it called start_response" in caplog.text


@pytest.mark.parametrize(
    "error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit]
)
def test_whatever_is_raised_is_a_500_with_a_traceback_in_the_log(
    caplog, serve, error
):
    def app(environ, start_response):
        raise error("broken")

    site = serve(app)
    for _ in range(3):
        assert site.get()[0] == 500
    assert caplog.text.count(error.__name__ + ": broken") == 3
    assert "in app" in caplog.text


def fails_at_its_first_item(environ, start_response):
    start_response("200 OK", TEXT)
    return (1 // 0 for _ in "x")


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize(
    "app",
    [
        lambda environ, start_response: 1 / 0,
        lambda environ, start_response: None,
        answering(["text"]),
        answering([b""], [("X-Secret", "secret\r\nX: y")]),
        answering([b""], [("Content-Length", "x")]),
        fails_at_its_first_item,
    ],
    ids=["raises", "None", "str", "field", "length", "first item"],
)
def test_a_500_of_ours_is_complete_tells_nothing_and_closes(
    serve, app, method
):
    with serve(app).raw() as client:
        client.send(method, b" /?secret HTTP/1.1\r\nHost: t\r\n\r\n")
        status, headers = client.head()
        body = client.rest()
    assert status == 500
    assert headers.pop("date") and headers == {
        "server": "wsocket",
        "content-type": "text/plain; charset=utf-8",
        "content-length": "26",
        "connection": "close",
    }
    assert body == (
        b"500 Internal Server Error\n" if method == b"GET" else b""
    )


def test_an_error_after_start_response_still_gets_its_500(caplog, serve):
    def app(environ, start_response):
        start_response("200 OK", [("X-A", "1")])
        raise ValueError("broken")

    status, headers, _ = serve(app).get()
    assert status == 500 and "x-a" not in headers


def test_an_error_after_the_first_octet_cuts_the_response(caplog, serve):
    with serve(answering(failing())).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        said = client.rest()
    assert b"begun" in said and not said.endswith(b"0\r\n\r\n")
    assert "KeyError: 'in the middle'" in caplog.text


def test_an_illegal_length_is_a_500(caplog, serve):
    assert (
        serve(answering([b"x"], [("Content-Length", "many")])).get()[0] == 500
    )
    assert "in digits, not 'many'" in caplog.text


@pytest.mark.parametrize(
    "error", [TypeError, AttributeError, NotImplementedError]
)
def test_a_result_whose_len_is_unknown_is_sent_without_one(serve, error):
    class Unsized:
        def __len__(self):
            raise error("no length yet")

        def __iter__(self):
            return iter([b"hello"])

    status, headers, body = serve(answering(Unsized())).get()
    assert (status, body) == (200, b"hello")
    assert headers["transfer-encoding"] == "chunked"


def test_a_failing_len_is_a_500(caplog, serve):
    class Odd(list):
        def __len__(self):
            raise ValueError("no length")

    assert serve(answering(Odd([b"x"]))).get()[0] == 500
    assert "no length" in caplog.text


def test_a_broken_logger_does_not_hide_the_error(monkeypatch, serve):
    import wsocket

    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    monkeypatch.setattr(wsocket.log, "report", lambda *args: 1 / 0)

    def app(environ, start_response):
        raise ValueError("broken")

    site = serve(app)
    assert site.get()[0] == 500
    site.stop()
    assert {u.exc_type for u in unraisable} == {ZeroDivisionError, ValueError}


def test_only_the_server_makes_a_start_response(serve):
    def app(environ, start_response):
        with pytest.raises(TypeError, match="only the server"):
            type(start_response)()
        start_response("200 OK", [])
        return []

    assert serve(app).get()[0] == 200


def test_a_control_character_is_found_wherever_it_stands(serve):
    def refused(start_response, value):
        try:
            start_response("200 OK", [("X-A", value)])
        except ValueError:
            return True
        return False

    def app(environ, start_response):
        wrong = [
            (length, at, char)
            for length in range(1, 35)
            for at in range(length)
            for char in "\0\b\n\r\x1f\x7f"
            if not refused(
                start_response, "a" * at + char + "a" * (length - at - 1)
            )
        ]
        start_response("200 OK", [("X-A", "\xe9\t" * 9)])
        return [repr(wrong).encode()]

    assert serve(app).get()[2] == b"[]"
