"""The WebSocket object in a blocking handler."""

import contextlib
import gc
import logging
import sys
import threading
import weakref

import pytest
from conftest import Site
from websockets.exceptions import ConnectionClosed, InvalidStatus

import wsocket
from wsocket import (
    FrameTooLargeException,
    ProtocolError,
    WebSocket,
    WebSocketError,
)

PLAIN = [("Content-Type", "text/plain")]


def echo(environ, start_response):
    websocket = environ["wsgi.websocket"]
    for message in websocket:
        websocket.send(message)
    return []


class Handler:
    """Runs `use(websocket)` in a handler; keeps what it returns or raises."""

    def __init__(self, use):
        self.use = use
        self.done = threading.Event()
        self.result = self.error = None

    def __call__(self, environ, start_response):
        try:
            self.result = self.use(environ["wsgi.websocket"])
        except BaseException as exc:
            self.error = exc
            raise
        finally:
            self.done.set()
        return []

    def wait(self):
        assert self.done.wait(20)
        return self.result


# -------------------------------------------------------------- messages ---


@pytest.mark.parametrize(
    "message",
    [
        "",
        "hello",
        "h\xe9llo \u20ac \U0001f600",
        "\0\x7f",
        b"",
        b"\0\xff",
        "x" * 70000,
        "\u20ac" * 30000,
        b"y" * 1048576,
    ],
    ids=lambda m: "%s-%d" % (type(m).__name__, len(m)),
)
def test_messages_come_back_as_they_went(serve, message):
    with serve(echo).ws() as client:
        client.send(message)
        assert client.recv() == message


def test_many_messages_keep_their_order(serve):
    with serve(echo).ws() as client:
        for i in range(300):
            client.send(str(i))
        assert [client.recv() for i in range(300)] == [
            str(i) for i in range(300)
        ]


def test_a_fragmented_message_arrives_as_one(serve):
    with serve(echo).ws() as client:
        client.send(["h\xe9", "ll", "", "o"])
        assert client.recv() == "h\xe9llo"


@pytest.mark.parametrize(
    "args, sent",
    [
        (("text",), "text"),
        ((b"bytes",), b"bytes"),
        ((bytearray(b"bytes"),), b"bytes"),
        ((memoryview(b"bytes")[1:],), b"ytes"),
        ((5,), "5"),
        ((None,), "None"),
        ((["a"],), "['a']"),
        (("h\xe9", True), "h\xe9".encode()),
        (("text", None), "text"),
        ((b"h\xc3\xa9", False), "h\xe9"),
        ((5, True), b"5"),
        (("x", None, False), "x"),
    ],
)
def test_what_send_makes_of_its_arguments(serve, args, sent):
    def use(websocket):
        websocket.send(*args)
        websocket.receive()

    with serve(Handler(use)).ws() as client:
        assert client.recv() == sent


def test_send_takes_keywords(serve):
    def use(websocket):
        websocket.send(message="a", binary=True, do_compress=False)

    with serve(Handler(use)).ws() as client:
        assert client.recv() == b"a"


@pytest.mark.parametrize(
    "args, kwargs, error",
    [
        ((), {}, TypeError),
        (("a", None, True, 1), {}, TypeError),
        (("a",), {"text": True}, TypeError),
        (("a",), {"message": "b"}, TypeError),
        ((b"\xff", False), {}, ValueError),
        (("\ud800",), {}, UnicodeEncodeError),
    ],
)
def test_what_cannot_be_sent_is_an_error(serve, args, kwargs, error):
    def use(websocket):
        with pytest.raises(error):
            websocket.send(*args, **kwargs)
        websocket.send("fine")

    handler = Handler(use)
    with serve(handler).ws() as client:
        assert client.recv() == "fine"
    handler.wait()
    assert handler.error is None


def test_pings_are_answered_while_the_handler_computes(serve):
    go_on = threading.Event()

    def use(websocket):
        websocket.accept()
        assert go_on.wait(20)

    with serve(Handler(use)).ws() as client:
        assert client.ping(b"are you there").wait(20)
        go_on.set()


def test_ping_and_pong(serve):
    def use(websocket):
        websocket.ping()
        websocket.ping("text")
        websocket.ping(payload=b"\0" * 125)
        websocket.pong(b"unasked")
        websocket.send("done")
        with pytest.raises(FrameTooLargeException):
            websocket.ping(b"\0" * 126)
        return websocket.receive()

    handler = Handler(use)
    with serve(handler).ws() as client:
        assert client.recv() == "done"
        client.send("bye")
    assert handler.wait() == "bye"
    assert handler.error is None


def test_send_frame_sends_pieces(serve):
    def use(websocket):
        websocket.send_frame("h\xe9", 1, fin=False)
        websocket.send_frame("llo", 0)
        websocket.send_frame(b"bin", 2)
        websocket.receive()

    with serve(Handler(use)).ws() as client:
        assert client.recv() == "h\xe9llo"
        assert client.recv() == b"bin"


@pytest.mark.parametrize(
    "args, error",
    [
        (("x", 0), ProtocolError),  # continues nothing
        (("x", 3), ProtocolError),
        (("x", 11), ProtocolError),
        (("x", 16), ProtocolError),
        (("x", -1), ProtocolError),
        (("x", 8), ProtocolError),  # close() is the way
        (("x", 9, False, False), ProtocolError),  # RFC 6455 5.5
        (("x" * 126, 9), FrameTooLargeException),
        (("x",), TypeError),
        (("x", "1"), TypeError),
    ],
)
def test_frames_that_may_not_be_sent(serve, args, error):
    def use(websocket):
        with pytest.raises(error):
            websocket.send_frame(*args)
        websocket.send("fine")

    handler = Handler(use)
    with serve(handler).ws() as client:
        assert client.recv() == "fine"
    handler.wait()
    assert handler.error is None


# ------------------------------------------------------------- receiving ---


def test_receive_is_none_once_and_then_an_error(serve):
    def use(websocket):
        assert websocket.receive() == "hello"
        assert websocket.receive() is None
        for _ in range(2):
            with pytest.raises(WebSocketError, match="closed"):
                websocket.receive()
        assert websocket.closed
        return (
            websocket.close_code,
            websocket.close_reason,
            websocket.close_clean,
        )

    handler = Handler(use)
    with serve(handler).ws() as client:
        client.send("hello")
        client.close(4001, "enough")
    assert handler.wait() == (4001, "enough", True)


def test_a_lost_connection_is_1006(serve):
    def use(websocket):
        assert websocket.receive() is None
        return websocket.close_code, websocket.close_clean

    handler = Handler(use)
    with serve(handler).raw() as client:
        client.send(UPGRADE)
        assert client.head()[0] == 101
    assert handler.wait() == (1006, False)


UPGRADE = (
    b"GET /chat?x=1 HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\n"
    b"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def test_receive_times_out(serve):
    def use(websocket):
        for timeout in (0, 0.01, -1):
            with pytest.raises(TimeoutError):
                websocket.receive(timeout)
        with pytest.raises(TimeoutError):
            websocket.receive(timeout=0.02)
        websocket.send("go on")
        return websocket.receive(timeout=20), websocket.receive(None)

    handler = Handler(use)
    with serve(handler).ws() as client:
        assert client.recv() == "go on"
        client.send("one")
        client.send("two")
        assert handler.wait() == ("one", "two")


@pytest.mark.parametrize(
    "timeout, error",
    [("soon", TypeError), (float("nan"), ValueError)],
)
def test_a_timeout_must_be_a_number(serve, timeout, error):
    def use(websocket):
        with pytest.raises(error):
            websocket.receive(timeout)

    handler = Handler(use)
    with serve(handler).ws():
        handler.wait()
    assert handler.error is None


def test_two_threads_cannot_receive_at_once(serve):
    refused = threading.Event()

    def receive(websocket):
        """The message; a refusal only means that the other was first."""
        while True:
            try:
                return websocket.receive()
            except WebSocketError:
                refused.set()

    def use(websocket):
        websocket.accept()
        others = []
        thread = threading.Thread(
            target=lambda: others.append(receive(websocket))
        )
        thread.start()
        mine = receive(websocket)
        thread.join()
        return {mine, *others}

    handler = Handler(use)
    with serve(handler).ws() as client:
        assert refused.wait(20)
        client.send("a")
        client.send("b")
        assert handler.wait() == {"a", "b"}


def test_iteration_ends_when_the_peer_closes(serve):
    handler = Handler(lambda websocket: list(websocket) + list(websocket))
    with serve(handler).ws() as client:
        client.send("a")
        client.send(b"b")
    assert handler.wait() == ["a", b"b"]


def test_any_thread_may_send(serve):
    def use(websocket):
        websocket.accept()
        threads = [
            threading.Thread(
                target=lambda i=i: [
                    websocket.send("%d" % i) for _ in range(50)
                ]
            )
            for i in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        websocket.receive()

    with serve(Handler(use)).ws() as client:
        got = [client.recv() for _ in range(200)]
    assert sorted(got) == sorted("0123" * 50)


def test_a_handler_that_ends_because_the_client_left_is_no_error(
    caplog, serve
):
    def use(websocket):
        while True:  # receive() is None once, then it raises
            websocket.receive()

    caplog.set_level(logging.DEBUG, "wsocket")
    handler = Handler(use)
    site = serve(handler)
    with site.ws() as client:
        client.send("x")
    handler.wait()
    assert site.stop()
    assert isinstance(handler.error, WebSocketError)
    levels = [r.levelname for r in caplog.records if r.exc_info]
    assert levels == ["DEBUG"]


def test_a_frame_that_breaks_the_protocol_is_an_error_all_the_same(
    caplog, serve
):
    def use(websocket):
        while websocket.receive() is not None:
            pass
        websocket.send_frame("x", 3)

    handler = Handler(use)
    site = serve(handler)
    with site.ws():
        pass
    handler.wait()
    assert site.stop()
    assert "ProtocolError" in caplog.text


@pytest.mark.parametrize("name", ["url_map", "app", "__self__", "bind"])
def test_an_application_that_fails_when_it_is_looked_at_is_served(serve, name):
    class Map:
        def bind_to_environ(self, environ):
            raise RuntimeError("no request yet")

    class App:
        def __getattr__(self, asked):
            if asked == name:
                raise RuntimeError("no application yet")
            if asked == "url_map" and name == "bind":
                return Map()
            raise AttributeError(asked)

        def __call__(self, environ, start_response):
            return echo(environ, start_response)

    with serve(App()).ws() as client:
        client.send("hello")
        assert client.recv() == "hello"


@pytest.mark.parametrize(
    "name", ["Sec-WebSocket-Accept", "sec-websocket-protocol"]
)
def test_accept_leaves_what_is_negotiated_to_the_server(serve, name):
    def use(websocket):
        with pytest.raises(ValueError, match=name + " is the server's"):
            websocket.accept(headers=[("X-Fine", "1"), (name, "x")])
        websocket.accept(headers=[("X-Fine", "1")])
        return "accepted"

    handler = Handler(use)
    with serve(handler).ws():
        assert handler.wait() == "accepted"


def test_attach_needs_events(serve):
    def use(websocket):
        with pytest.raises(TypeError, match="onmessage and onclose, not int"):
            websocket.attach(1)
        return "refused"

    handler = Handler(use)
    with serve(handler).ws():
        assert handler.wait() == "refused"


def test_only_the_handler_attaches(serve):
    errors = []
    kept = []

    def attach(websocket):
        try:
            websocket.attach(wsocket.WSocketApp())
        except WebSocketError as exc:
            errors.append(str(exc))

    def use(websocket):
        websocket.accept()
        thread = threading.Thread(target=attach, args=(websocket,))
        thread.start()
        thread.join()
        kept.append(websocket)

    site = serve(Handler(use))
    with site.ws() as client, contextlib.suppress(ConnectionClosed):
        client.recv()
    attach(kept[0])
    assert len(errors) == 2
    assert all("only the handler may do it" in error for error in errors)


def test_send_frame_waits_for_a_slow_reader_too(serve):
    sent = []
    data = b"x" * 65536

    def use(websocket):
        for _ in range(640):
            websocket.send_frame(data, 2)
            sent.append(len(data))

    handler = Handler(use)
    with serve(handler).ws(max_size=None) as client:
        assert not handler.done.wait(0.5)
        assert sum(sent) < 640 * len(data)
        for _ in range(640):
            assert len(client.recv()) == len(data)


def test_a_slow_reader_slows_its_handler_down(serve):
    stuck = threading.Event()

    def use(websocket):
        websocket.accept()
        for i in range(100):
            if i == 30:
                stuck.set()
            websocket.send(b"x" * 1048576)
        return "sent"

    handler = Handler(use)
    with serve(handler).raw() as client:
        client.send(UPGRADE)
        assert client.head()[0] == 101
        assert not stuck.wait(0.3)
        for _ in range(100):
            assert client.file.read(10 + 1048576)
        assert handler.wait() == "sent"


def test_a_waiting_handler_delays_nobody(serve):
    site = serve(
        lambda environ, start_response: (
            echo(environ, start_response)
            if "wsgi.websocket" in environ
            else [start_response("200 OK", []), b""][1:]
        ),
        threads=1,
    )
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(site.ws()) for _ in range(10)]
        assert site.get()[0] == 200
        for client in clients:
            client.send("x")
            assert client.recv() == "x"


# --------------------------------------------------------------- closing ---


def closing_code(client):
    with pytest.raises(ConnectionClosed) as caught:
        client.recv()
    return caught.value.rcvd.code, caught.value.rcvd.reason


@pytest.mark.parametrize(
    "args, expected",
    [
        ((), (1000, "")),
        ((1001,), (1001, "")),
        ((4000, "bye"), (4000, "bye")),
        ((4000, b"bye"), (4000, "bye")),
        ((3000, "\u20ac" * 100), (3000, "\u20ac" * 41)),
        ((1000, None), (1000, "")),
    ],
)
def test_close_sends_code_and_reason(serve, args, expected):
    def use(websocket):
        websocket.close(*args)
        assert websocket.closed
        websocket.close(4444, "not again")
        with pytest.raises(WebSocketError):
            websocket.send("late")

    handler = Handler(use)
    with serve(handler).ws() as client:
        assert closing_code(client) == expected
    handler.wait()
    assert handler.error is None


@pytest.mark.parametrize(
    "code", [0, -1, 999, 1004, 1005, 1006, 1015, 2999, 5000, 70000]
)
def test_codes_that_may_not_be_sent(serve, code):
    def use(websocket):
        with pytest.raises(ValueError):
            websocket.close(code)

    handler = Handler(use)
    with serve(handler).ws() as client:
        assert closing_code(client) == (1000, "")
    assert handler.error is None


def test_a_handler_that_returns_closes_with_1000(serve):
    with serve(Handler(lambda websocket: websocket.send("hi"))).ws() as client:
        assert client.recv() == "hi"
        assert closing_code(client) == (1000, "")


def test_a_handler_that_fails_closes_with_1011(caplog, serve):
    def use(websocket):
        websocket.send("hi")
        raise ValueError("broken")

    with serve(Handler(use)).ws() as client:
        assert client.recv() == "hi"
        assert closing_code(client) == (1011, "")
    assert "ValueError: broken" in caplog.text


@pytest.mark.parametrize(
    "code, expected",
    [("500", 1011), ("503", 1011), ("200", 1000), ("404", 1000)],
)
def test_a_status_after_101_counts_only_as_a_failure(serve, code, expected):
    def app(environ, start_response):
        environ["wsgi.websocket"].accept()
        start_response(code + " Whatever", PLAIN)
        return [b"ignored"]

    with serve(app).ws() as client:
        assert closing_code(client) == (expected, "")


def test_exc_info_after_101_is_a_failure(serve):
    def app(environ, start_response):
        environ["wsgi.websocket"].accept()
        try:
            raise ValueError
        except ValueError:
            start_response("200 OK", PLAIN, sys.exc_info())
        return []

    with serve(app).ws() as client:
        assert closing_code(client) == (1011, "")


def test_a_context_manager_closes(serve):
    def use(websocket):
        with websocket as same:
            assert same is websocket
            websocket.send("in")
        assert websocket.closed

    with serve(Handler(use)).ws() as client:
        assert client.recv() == "in"
        assert closing_code(client) == (1000, "")


def test_a_context_manager_left_by_an_exception_closes_with_1011(serve):
    def use(websocket):
        with websocket:
            websocket.accept()
            raise ValueError

    with serve(Handler(use)).ws() as client:
        assert closing_code(client) == (1011, "")


def test_a_message_too_long_closes_with_1009(serve):
    handler = Handler(lambda websocket: websocket.receive())
    with serve(handler, ws_max_size=100).ws() as client:
        client.send("x" * 101)
        assert closing_code(client)[0] == 1009
    assert handler.wait() is None


# ------------------------------------------------------ accept or refuse ---


def test_a_handler_that_does_nothing_accepts_and_closes(serve):
    for app in (
        lambda e, s: [],
        lambda e, s: [b"ignored"],
        lambda e, s: iter(""),
    ):
        with serve(app).ws() as client:
            assert closing_code(client) == (1000, "")


@pytest.mark.parametrize(
    "status", ["401 Unauthorized", "404 Not Found", "200 OK", "302 Found"]
)
def test_an_answer_instead_of_a_use_refuses(serve, status):
    kept = []

    def app(environ, start_response):
        kept.append(environ["wsgi.websocket"])
        start_response(status, PLAIN)
        return [b"no socket here"]

    site = serve(app)
    with pytest.raises(InvalidStatus) as caught:
        site.ws()
    assert caught.value.response.status_code == int(status[:3])
    assert caught.value.response.body == b"no socket here"
    site.stop()
    websocket = kept[0]
    assert websocket.closed and websocket.close_code is None
    assert "refused" in repr(websocket)
    with pytest.raises(WebSocketError, match="refused"):
        websocket.send("x")
    with pytest.raises(WebSocketError):
        websocket.receive()
    with pytest.raises(WebSocketError):
        websocket.environ
    websocket.close()


def test_an_error_before_101_is_a_500(caplog, serve):
    def app(environ, start_response):
        raise ValueError("broken")

    with pytest.raises(InvalidStatus) as caught:
        serve(app).ws()
    assert caught.value.response.status_code == 500
    assert "ValueError: broken" in caplog.text


def test_a_use_after_start_response_still_accepts(serve):
    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        environ["wsgi.websocket"].send("hello")
        return [b"ignored"]

    with serve(app).ws() as client:
        assert client.recv() == "hello"
        assert closing_code(client) == (1000, "")


def test_a_generator_may_use_the_socket(serve):
    def app(environ, start_response):
        for message in environ["wsgi.websocket"]:
            environ["wsgi.websocket"].send(message)
            yield b"ignored"

    with serve(app).ws() as client:
        client.send("hello")
        assert client.recv() == "hello"


def test_accept_sends_headers_and_subprotocol(serve):
    def use(websocket):
        websocket.accept([("X-A", "1"), ("X-B", "2")], "two")
        with pytest.raises(WebSocketError):
            websocket.accept()
        return websocket.protocol

    handler = Handler(use)
    with serve(handler).ws(subprotocols=["one", "two"]) as client:
        assert client.response.headers["X-A"] == "1"
        assert client.response.headers["X-B"] == "2"
        assert client.subprotocol == "two"
    assert handler.wait() == "two"
    assert handler.error is None


def test_accept_takes_a_dict(serve):
    handler = Handler(lambda websocket: websocket.accept({"X-A": "1"}))
    with serve(handler).ws() as client:
        assert client.response.headers["X-A"] == "1"


@pytest.mark.parametrize(
    "kwargs, error",
    [
        ({"subprotocol": "three"}, ValueError),
        ({"subprotocol": 3}, TypeError),
        ({"headers": [("X A", "1")]}, ValueError),
        ({"headers": [("X-A", "1\n")]}, ValueError),
        ({"headers": [("Upgrade", "h2c")]}, ValueError),
        ({"headers": 5}, TypeError),
        ({"header": []}, TypeError),
    ],
)
def test_what_accept_cannot_send_leaves_the_choice_open(serve, kwargs, error):
    def use(websocket):
        with pytest.raises(error):
            websocket.accept(**kwargs)
        websocket.send("accepted")

    handler = Handler(use)
    with serve(handler).ws(subprotocols=["one", "two"]) as client:
        assert client.recv() == "accepted"
        assert client.subprotocol is None
    assert handler.error is None


@pytest.mark.parametrize(
    "preferred, offered, chosen",
    [
        ([], ["a"], None),
        (["a"], None, None),
        (["a"], ["b"], None),
        (["a", "b"], ["b", "a"], "a"),
        (["c", "b"], ["a", "b"], "b"),
    ],
)
def test_the_subprotocol_is_the_servers_first_that_was_offered(
    serve, preferred, offered, chosen
):
    def use(websocket):
        websocket.protocols = preferred
        assert websocket.protocols == tuple(preferred)
        before = websocket.protocol
        websocket.accept()
        return before, websocket.protocol

    handler = Handler(use)
    with serve(handler).ws(subprotocols=offered) as client:
        assert client.subprotocol == chosen
        assert handler.wait() == (chosen, chosen)


def test_protocols_must_be_strings(serve):
    def use(websocket):
        for wrong in ("a", [1], None, ["\ud800"]):
            with pytest.raises(TypeError):
                websocket.protocols = wrong
        with pytest.raises(TypeError):
            del websocket.protocols

    handler = Handler(use)
    with serve(handler).ws():
        handler.wait()
    assert handler.error is None


def test_another_thread_cannot_accept(serve):
    def use(websocket):
        errors = []

        def send():
            with pytest.raises(WebSocketError, match="accept"):
                websocket.send("x")
            errors.append(1)

        thread = threading.Thread(target=send)
        thread.start()
        thread.join()
        return errors

    handler = Handler(use)
    with serve(handler).ws():
        assert handler.wait() == [1]


def test_the_client_that_has_left_before_101_is_no_error(caplog, serve):
    go_on = threading.Event()

    def app(environ, start_response):
        assert go_on.wait(20)
        return []

    site = serve(app)
    with site.raw() as client:
        client.send(UPGRADE)
    go_on.set()
    assert site.stop()
    assert caplog.records == []


# ------------------------------------------------------------ attributes ---


def test_what_the_object_tells_about_itself(serve):
    def use(websocket):
        environ = websocket.environ
        assert type(environ) is dict
        assert environ["wsgi.websocket"] is websocket
        assert environ["wsgi.websocket_version"] == "13"
        assert environ["HTTP_UPGRADE"] == "websocket"
        assert isinstance(websocket, WebSocket)
        assert websocket.version == "13"
        assert websocket.path == "/a b"
        assert websocket.protocol is None
        assert websocket.do_compress is False
        assert websocket.logger is logging.getLogger("wsocket")
        assert (websocket.closed, websocket.close_code) == (False, None)
        assert repr(websocket) == "<WebSocket '/a b' undecided>"
        websocket.accept()
        assert repr(websocket) == "<WebSocket '/a b' open>"
        assert websocket.environ is environ
        assert websocket.receive() is None
        assert repr(websocket) == "<WebSocket '/a b' closed 1000>"
        return websocket.origin

    handler = Handler(use)
    with serve(handler, ws_origins="*").ws("/a%20b?q=1", origin="http://x"):
        pass
    assert handler.wait() == "http://x"
    assert handler.error is None


def test_no_origin_is_none(serve):
    handler = Handler(lambda websocket: [websocket.origin])
    with serve(handler).ws():
        assert handler.wait() == [None]


def test_only_the_server_makes_one():
    with pytest.raises(TypeError, match="only the server"):
        WebSocket()


def test_attributes_of_ones_own_and_weak_references(serve):
    refs = []

    def use(websocket):
        websocket.room = "kitchen"
        refs.append(weakref.ref(websocket))
        return websocket.room

    handler = Handler(use)
    site = serve(handler)
    with site.ws():
        assert handler.wait() == "kitchen"
    site.stop()
    gc.collect()
    assert refs[0]() is None


def test_kept_after_the_handler_it_stays_safe(serve, eventually):
    kept = []

    def app(environ, start_response):
        kept.append(environ["wsgi.websocket"])
        environ["wsgi.websocket"].send("hi")
        return []

    site = serve(app)
    with site.ws("/kept?x=1") as client:
        assert client.recv() == "hi"
        closing_code(client)
    websocket = kept[0]
    eventually(lambda: websocket.close_code == 1000)
    assert websocket.close_clean
    assert websocket.closed and websocket.path == "/kept"
    with pytest.raises(WebSocketError):
        websocket.send("late")
    assert websocket.receive() is None
    with pytest.raises(WebSocketError):
        websocket.receive()
    with pytest.raises(WebSocketError):
        websocket.accept()
    websocket.close()
    environ = websocket.environ
    assert environ["QUERY_STRING"] == "x=1"
    assert environ["wsgi.websocket"] is websocket
    assert environ["wsgi.input"].read() == b""
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    site.stop()
    assert websocket.environ is environ


def test_kept_after_the_server_it_stays_safe(serve):
    kept = []

    def app(environ, start_response):
        kept.append(environ["wsgi.websocket"])
        environ["wsgi.websocket"].accept()
        return []

    server = wsocket.Server(app, port=0, access_logfile="none").start()
    with Site(server).ws("/kept"):
        pass
    server.stop()
    server.join()
    del server
    gc.collect()
    websocket = kept.pop()
    assert websocket.path == "/kept"
    assert websocket.environ["PATH_INFO"] == "/kept"
    with pytest.raises(WebSocketError):
        websocket.send("late")
    del websocket
    gc.collect()


# -------------------------------------------------------------- shutdown ---


def test_stopping_wakes_handlers_that_wait(serve):
    handler = Handler(
        lambda websocket: [websocket.receive(), websocket.close_code]
    )
    site = serve(handler)
    with site.ws() as client:
        client.ping().wait(20)
        site.server.stop()
        assert closing_code(client)[0] == 1001
        assert handler.wait()[0] is None
    assert site.server.join(20)


def test_a_malformed_attempt_never_reaches_the_application(serve):
    called = []
    with serve(lambda e, s: called.append(e)).raw() as client:
        client.send(UPGRADE.replace(b"Version: 13", b"Version: 8"))
        status, headers, _ = client.response()
    assert status == 426 and headers["sec-websocket-version"] == "13"
    assert called == []
