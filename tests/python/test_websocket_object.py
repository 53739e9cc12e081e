"""The WebSocket object: hooks, streams, slow readers, and what it tells a
programmer who errs."""

import contextlib
import doctest
import inspect
import struct
import threading

import pytest
from test_websocket import UPGRADE, Handler, closing_code
from websockets.exceptions import ConnectionClosed

import wsocket
from wsocket import (
    FrameTooLargeException,
    ProtocolError,
    WebSocket,
    WebSocketError,
    WSocketApp,
)


def frame(opcode, payload=b"", fin=True):
    """A client's frame, its mask all zero."""
    head = bytes([opcode | (0x80 if fin else 0)])
    if len(payload) < 126:
        head += bytes([0x80 | len(payload)])
    elif len(payload) < 65536:
        head += b"\xfe" + len(payload).to_bytes(2, "big")
    else:
        head += b"\xff" + len(payload).to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


def next_frame(client):
    """The next frame of the server: its first octet and its payload."""
    first, length = client.file.read(2)
    if length == 126:
        length = int.from_bytes(client.file.read(2), "big")
    elif length == 127:
        length = int.from_bytes(client.file.read(8), "big")
    return first, client.file.read(length)


def opened(site):
    client = site.raw()
    client.send(UPGRADE)
    assert client.head()[0] == 101
    return client


# ------------------------------------------------------ ping and pong hooks ---


def test_hooks_are_called_inside_receive_and_in_order(serve):
    heard = []

    def use(websocket):
        assert websocket.on_ping is None and websocket.on_pong is None
        me = threading.get_ident()
        websocket.on_ping = lambda payload: heard.append(("ping", payload, me))
        websocket.on_pong = lambda payload: heard.append(("pong", payload, me))
        for message in websocket:
            heard.append(("message", message, threading.get_ident()))

    handler = Handler(use)
    with opened(serve(handler)) as client:
        client.send(
            frame(9, b"1"), frame(1, b"2"), frame(10, b"3"), frame(9)
        )
        client.send(frame(1, b"4"), frame(8))
        assert next_frame(client) == (0x8A, b"1")  # RFC 6455 5.5.3
        assert next_frame(client) == (0x8A, b"")
    handler.wait()
    assert handler.error is None
    assert [event[:2] for event in heard] == [
        ("ping", b"1"),
        ("message", "2"),
        ("pong", b"3"),
        ("ping", b""),
        ("message", "4"),
    ]
    assert len({event[2] for event in heard}) == 1


def test_a_hook_may_come_and_go(serve):
    heard = []

    def use(websocket):
        websocket.on_ping = heard.append
        assert websocket.receive() == "a"
        websocket.on_ping = None
        websocket.send("go on")
        assert websocket.receive() == "b"

    handler = Handler(use)
    with opened(serve(handler)) as client:
        client.send(frame(9, b"heard"), frame(1, b"a"))
        assert next_frame(client) == (0x8A, b"heard")
        assert next_frame(client) == (0x81, b"go on")
        client.send(frame(9, b"not heard"), frame(1, b"b"))
        handler.wait()
    assert handler.error is None
    assert heard == [b"heard"]


@pytest.mark.parametrize("events", [False, True], ids=["blocking", "events"])
def test_hooks_may_be_methods_of_a_subclass(serve, events):
    class Mine(WebSocket):
        def on_ping(self, payload):
            self.send(b"ping " + payload)

        def on_pong(self, payload):
            self.send(b"pong " + payload)

    class App(WSocketApp):
        websocket_class = Mine

    app = App()
    if events:
        app.onmessage += lambda message, client: client.send(message)
    else:
        app.route("/chat")(lambda environ, start_response: [*echo_all(environ)])

    def echo_all(environ):
        for message in environ["wsgi.websocket"]:
            environ["wsgi.websocket"].send(message)
        return ()

    with opened(serve(app)) as client:
        client.send(frame(9, b"x"), frame(10, b"y"), frame(1, b"z"))
        frames = [next_frame(client) for _ in range(4)]
    assert (0x8A, b"x") in frames
    frames.remove((0x8A, b"x"))
    assert frames == [(0x82, b"ping x"), (0x82, b"pong y"), (0x81, b"z")]


def test_a_hook_may_be_set_when_the_handler_has_returned(serve):
    app = WSocketApp()
    heard = []

    def on_message(message, client):
        if message == "listen":
            client.on_ping = heard.append
        client.send(repr(heard))

    app.onmessage += on_message
    with serve(app).ws() as client:
        client.ping(b"not heard").wait(20)
        client.send("listen")
        assert client.recv(timeout=20) == "[]"
        client.ping(b"heard").wait(20)
        client.send("which?")
        assert client.recv(timeout=20) == "[b'heard']"


def test_what_is_rarely_set_takes_no_memory_of_others():
    """The table of docs/internals/websocket.md."""
    assert WebSocket.__basicsize__ <= 10 * struct.calcsize("P")


def test_hooks_are_events_in_an_app(serve):
    app = WSocketApp()
    heard = []

    def on_connect(client):
        client.on_ping = lambda payload: heard.append(payload)

    app.onconnect += on_connect
    app.onmessage += lambda message, client: client.send(repr(heard))
    with serve(app).ws() as client:
        client.ping(b"one").wait(20)
        client.ping(b"two").wait(20)
        client.send("which?")
        assert client.recv() == "[b'one', b'two']"


def test_what_a_hook_raises_comes_out_of_receive(serve):
    def use(websocket):
        def on_ping(payload):
            raise KeyError(payload)

        websocket.on_ping = on_ping
        with pytest.raises(KeyError):
            websocket.receive()
        return websocket.receive()

    handler = Handler(use)
    with serve(handler).ws() as client:
        client.ping(b"x")
        client.send("fine")
        assert handler.wait() == "fine"


def test_what_a_hook_raises_in_an_app_is_logged_and_closes(caplog, serve):
    app = WSocketApp()

    def on_connect(client):
        client.on_ping = lambda payload: 1 / 0

    app.onconnect += on_connect
    with serve(app).ws() as client:
        client.ping()
        assert closing_code(client)[0] == 1011
    assert "ZeroDivisionError" in caplog.text


def test_pings_that_nobody_fetches_do_not_stop_the_messages(serve):
    go_on = threading.Event()
    heard = []

    def use(websocket):
        websocket.on_ping = heard.append
        websocket.accept()
        assert go_on.wait(20)
        return websocket.receive()

    handler = Handler(use)
    with opened(serve(handler)) as client:
        client.send(*[frame(9, b"%d" % i) for i in range(100)])
        for i in range(100):
            assert next_frame(client) == (0x8A, b"%d" % i)
        client.send(frame(1, b"message"))
        go_on.set()
        assert handler.wait() == "message"
    assert heard[:16] == [b"%d" % i for i in range(16)]
    assert len(heard) < 100


def test_a_hook_that_cannot_be_called_is_refused(serve):
    def use(websocket):
        with pytest.raises(TypeError, match="not int"):
            websocket.on_ping = 5
        del websocket.on_pong
        websocket.accept()

    handler = Handler(use)
    with serve(handler).ws():
        handler.wait()
    assert handler.error is None


def test_latency_is_the_round_trip_of_the_last_answered_ping(serve):
    def use(websocket):
        assert websocket.latency is None
        websocket.ping(b"mine")
        assert websocket.receive() == "stranger"
        assert websocket.latency is None  # that pong answered nothing
        websocket.send("go on")
        assert websocket.receive() == "answered"
        return websocket.latency

    handler = Handler(use)
    with opened(serve(handler)) as client:
        assert next_frame(client) == (0x89, b"mine")
        client.send(frame(10, b"other"), frame(1, b"stranger"))
        assert next_frame(client) == (0x81, b"go on")
        client.send(frame(10, b"mine"), frame(1, b"answered"))
        assert 0 <= handler.wait() < 60
    assert handler.error is None


def test_automatic_pings_measure_too(serve, eventually):
    kept = []

    def use(websocket):
        websocket.accept()
        kept.append(websocket)
        return websocket.receive()

    handler = Handler(use)
    with serve(handler, ws_ping_interval=0.2).ws() as client:
        eventually(lambda: kept and kept[0].latency is not None)
        client.send("enough")
        handler.wait()
    assert handler.error is None
    assert 0 <= kept[0].latency < 60


# ---------------------------------------------------------------- streams ---


@pytest.mark.parametrize(
    "pieces, sent",
    [
        (["h\xe9", "", "llo"], "h\xe9llo"),
        ([b"a", bytearray(b"b"), memoryview(b"c")], b"abc"),
        ([], ""),
        ([b"x" * 100000] * 30, b"x" * 3000000),
    ],
    ids=["text", "binary", "nothing", "long"],
)
def test_a_stream_is_one_message(serve, pieces, sent):
    def use(websocket):
        websocket.send_stream(iter(pieces))
        websocket.send("after")
        websocket.receive()

    with serve(Handler(use)).ws(max_size=None) as client:
        assert client.recv() == sent
        assert client.recv() == "after"


def test_each_piece_leaves_at_once(serve):
    asked = threading.Event()

    def pieces():
        yield "first"
        assert asked.wait(20)
        yield "second"

    def use(websocket):
        websocket.send_stream(pieces())

    with opened(serve(Handler(use))) as client:
        assert next_frame(client) == (0x01, b"first")
        asked.set()
        assert next_frame(client) == (0x00, b"second")
        assert next_frame(client) == (0x80, b"")  # RFC 6455 5.4


def test_messages_of_other_threads_wait_for_the_stream_but_pings_do_not(serve):
    begun, sending, pinged = (threading.Event() for _ in range(3))

    def use(websocket):
        def pieces():
            yield "a"
            begun.set()
            assert pinged.wait(20)
            yield "b"

        def other():
            assert begun.wait(20)
            websocket.ping(b"between")
            sending.set()
            websocket.send("other")
            websocket.send_stream(["an", "other"])

        websocket.accept()
        thread = threading.Thread(target=other)
        thread.start()
        websocket.send_stream(pieces())
        thread.join()

    handler = Handler(use)
    with opened(serve(handler)) as client:
        assert next_frame(client) == (0x01, b"a")
        assert next_frame(client) == (0x89, b"between")
        assert sending.wait(20)
        pinged.set()
        assert next_frame(client) == (0x00, b"b")
        assert next_frame(client) == (0x80, b"")
        assert next_frame(client) == (0x81, b"other")
        assert next_frame(client) == (0x01, b"an")
    handler.wait()
    assert handler.error is None


@pytest.mark.parametrize(
    "bad, error",
    [("raise", ZeroDivisionError), (b"bytes", TypeError), (5, TypeError)],
)
def test_a_stream_that_breaks_closes_visibly(serve, bad, error):
    def pieces():
        yield "half"
        yield 1 / 0 if bad == "raise" else bad

    def use(websocket):
        with pytest.raises(error):
            websocket.send_stream(pieces())
        assert websocket.closed

    handler = Handler(use)
    with opened(serve(handler)) as client:
        assert next_frame(client) == (0x01, b"half")
        assert next_frame(client) == (0x88, b"\x03\xf3")  # 1011
        client.send(frame(8, b"\x03\xf3"))
    handler.wait()
    assert handler.error is None


@pytest.mark.parametrize("wrong", ["text", b"bytes", 5, [5]])
def test_what_is_no_stream_sends_nothing(serve, wrong):
    def use(websocket):
        with pytest.raises(TypeError):
            websocket.send_stream(wrong)
        websocket.send("fine")

    with serve(Handler(use)).ws() as client:
        assert client.recv() == "fine"


def test_the_iterable_of_a_stream_cannot_send_messages(serve):
    def use(websocket):
        def pieces():
            yield "a"
            for send in (websocket.send, lambda m: websocket.send_stream([m])):
                with pytest.raises(WebSocketError):
                    send("b")
            websocket.ping(b"fine")
            yield "c"

        websocket.send_stream(pieces())

    handler = Handler(use)
    with serve(handler).ws() as client:
        assert client.recv() == "ac"
    handler.wait()
    assert handler.error is None


# ----------------------------------------------------------- slow readers ---


def test_dropping_for_a_slow_reader(serve):
    data = b"x" * 1048576

    def use(websocket):
        assert websocket.send_policy == "wait"
        websocket.send_policy = "drop"
        for _ in range(100):
            websocket.send(data)
        assert websocket.buffered_amount > 0
        return websocket.closed

    handler = Handler(use)
    with opened(serve(handler)) as client:
        assert handler.wait() is False
        assert handler.error is None
        got = 0
        while True:
            first, payload = next_frame(client)
            if first == 0x88:
                break
            assert (first, payload) == (0x82, data)
            got += 1
    assert 1 <= got < 100


def test_closing_on_a_slow_reader(serve, eventually):
    def use(websocket):
        websocket.send_policy = "close"
        with pytest.raises(WebSocketError):
            for _ in range(1000):
                websocket.send(b"x" * 1048576)
        return websocket.close_code

    handler = Handler(use)
    with opened(serve(handler)):
        assert handler.wait() in (1006, 1013)
    assert handler.error is None


def test_closing_is_stronger_than_the_option_to_drop(serve):
    def use(websocket):
        websocket.send_policy = "close"
        with pytest.raises(WebSocketError):
            for _ in range(1000):
                websocket.send(b"x" * 1048576)
        return "closed"

    handler = Handler(use)
    site = serve(handler, ws_send_policy="drop")
    with opened(site):
        assert handler.wait() == "closed"


@pytest.mark.parametrize("policy", ["close", "drop"])
def test_a_stream_to_a_slow_reader_waits_in_events_too(serve, policy):
    app = WSocketApp()
    given = []

    def pieces():
        for _ in range(100):
            given.append(1)
            yield b"x" * 1048576

    app.onmessage += lambda message, client: client.send_stream(pieces())
    site = serve(app, ws_send_max="4m", ws_send_policy=policy)
    with opened(site) as client, site.ws() as other:
        client.send(frame(1, b"go"))
        other.ping().wait(20)
        assert next_frame(client)[0] == 0x02
        assert len(given) < 100
        for _ in range(99):
            assert next_frame(client) == (0x00, b"x" * 1048576)
        assert next_frame(client) == (0x80, b"")


def test_a_policy_is_one_of_three(serve):
    def use(websocket):
        assert websocket.buffered_amount == 0
        for wrong in ("never", 5, None):
            with pytest.raises(ValueError, match="'wait', 'drop' or 'close'"):
                websocket.send_policy = wrong
        websocket.accept()

    handler = Handler(use)
    with serve(handler).ws():
        handler.wait()
    assert handler.error is None


# ------------------------------------------------------------- compression ---


def test_send_frame_compresses_when_asked(serve):
    text = "compress me " * 100

    def use(websocket):
        websocket.send_frame(text, 1)
        websocket.send_frame(text, 1, do_compress=True)
        websocket.send_frame(text.encode(), 2, True)

    with serve(Handler(use)).raw() as client:
        client.send(
            UPGRADE[:-2],
            b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        )
        assert client.head()[0] == 101
        assert next_frame(client) == (0x81, text.encode())
        for opcode in (1, 2):
            first, payload = next_frame(client)
            assert first == 0xC0 | opcode  # RSV1, RFC 7692 6
            assert len(payload) < len(text) / 2


# --------------------------------------------------------- clear messages ---


@pytest.mark.parametrize(
    "act, error, says",
    [
        (lambda w: w.accept(), WebSocketError, "open already"),
        (lambda w: w.close(999), ValueError, "999 cannot be sent; 1000 is"),
        (lambda w: w.close(1006), ValueError, "1006 cannot be sent"),
        (lambda w: w.close(70000), ValueError, "70000 cannot be sent"),
        (lambda w: w.close(1000, b"\xff"), ValueError, "not UTF-8"),
        (lambda w: w.send_frame("x", 3), ProtocolError, "3 is no opcode"),
        (lambda w: w.send_frame("x", 16), ProtocolError, "16 is no opcode"),
        (lambda w: w.send_frame("x", 8), ProtocolError, r"close\(\) sends"),
        (lambda w: w.send_frame("x", 0), ProtocolError, "none was begun"),
        (
            lambda w: w.send_frame("x", 9, fin=False),
            ProtocolError,
            "cannot be in pieces",
        ),
        (
            lambda w: w.send_frame("x", 1, True, False),
            ProtocolError,
            "only a whole message",
        ),
        (
            lambda w: w.ping(b"x" * 126),
            FrameTooLargeException,
            "at most 125 octets, not 126",
        ),
        (lambda w: w.send(b"\xff", False), ValueError, "not UTF-8"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(serve, act, error, says):
    def use(websocket):
        websocket.accept()
        with pytest.raises(error, match=says):
            act(websocket)
        websocket.send("still fine")

    handler = Handler(use)
    with serve(handler).ws() as client:
        assert client.recv() == "still fine"
    handler.wait()
    assert handler.error is None


def test_a_message_inside_another_is_told_with_its_remedy(serve):
    def use(websocket):
        websocket.send_frame("a", 1, fin=False)
        for send in (websocket.send, lambda m: websocket.send_frame(m, 1)):
            with pytest.raises(ProtocolError, match="is not finished"):
                send("b")
        websocket.send_frame("c", 0)

    handler = Handler(use)
    with serve(handler).ws() as client:
        assert client.recv() == "ac"
    handler.wait()
    assert handler.error is None


def test_an_unoffered_subprotocol_is_told_with_those_that_were(serve):
    def use(websocket):
        with pytest.raises(ValueError, match="'three'; it offers: one, two"):
            websocket.accept(subprotocol="three")
        websocket.accept(subprotocol="two")

    handler = Handler(use)
    with serve(handler).ws(subprotocols=["one", "two"]) as client:
        assert client.subprotocol == "two"
    handler.wait()
    assert handler.error is None


def test_a_second_receiver_is_told_so(serve):
    told = threading.Event()

    def use(websocket):
        def other():
            while not told.is_set():
                try:
                    websocket.receive(timeout=0.01)
                except TimeoutError:
                    continue
                except WebSocketError as exc:
                    assert "another thread is receiving" in str(exc)
                    told.set()

        websocket.accept()
        thread = threading.Thread(target=other)
        thread.start()
        while not told.is_set():
            try:
                websocket.receive(timeout=0.01)
            except TimeoutError:
                continue
            except WebSocketError as exc:
                assert "another thread is receiving" in str(exc)
                told.set()
        thread.join()

    handler = Handler(use)
    with serve(handler).ws():
        assert told.wait(20)
        handler.wait()
    assert handler.error is None


def test_sending_on_a_closed_one_says_how_it_closed(serve):
    def use(websocket):
        assert websocket.receive() is None
        with pytest.raises(WebSocketError, match=r"closed \(4001\)"):
            websocket.send("late")

    handler = Handler(use)
    with serve(handler).ws() as client:
        client.close(4001)
        handler.wait()
    assert handler.error is None


# ------------------------------------------------------------- documented ---


class Checker(doctest.OutputChecker):
    def check_output(self, want, got, optionflags):
        return super().check_output(
            want, got, optionflags | doctest.ELLIPSIS
        )


def documented():
    return [
        (name, thing)
        for name, thing in sorted(vars(WebSocket).items())
        if not name.startswith("__")
    ]


@pytest.mark.parametrize("name, thing", documented())
def test_all_of_it_has_a_docstring(name, thing):
    assert inspect.getdoc(thing)
    if callable(thing):
        assert "self" in str(inspect.signature(thing))
        assert ">>> " in inspect.getdoc(thing) or name == "attach"


@pytest.mark.parametrize(
    "name, text",
    [(n, inspect.getdoc(t)) for n, t in documented() if callable(t)],
)
def test_the_samples_of_the_docstrings_run(serve, name, text):
    def use(websocket):
        websocket.accept()
        test = doctest.DocTestParser().get_doctest(
            text, {"ws": websocket, "wsocket": wsocket}, name, None, 0
        )
        said = []
        runner = doctest.DocTestRunner(
            checker=Checker(), optionflags=doctest.ELLIPSIS
        )
        runner.run(test, out=said.append)
        return runner.failures, "".join(said)

    handler = Handler(use)
    client = serve(handler).ws()

    def answer():
        with contextlib.suppress(ConnectionClosed):
            for message in client:
                client.send(message)

    with client:
        thread = threading.Thread(target=answer)
        thread.start()
        failures, said = handler.wait() or (1, repr(handler.error))
        thread.join()
    assert failures == 0, said


def test_the_object_is_a_context_manager(serve):
    def use(websocket):
        with pytest.raises(KeyError), websocket as same:
            assert same is websocket
            same.send("inside")
            raise KeyError

    with serve(Handler(use)).ws() as client:
        assert client.recv() == "inside"
        assert closing_code(client)[0] == 1011


def test_a_subclass_may_have_slots(serve):
    class Mine(WebSocket):
        __slots__ = ("room",)

    class App(WSocketApp):
        websocket_class = Mine

    app = App()

    def on_connect(client):
        client.room = "kitchen"

    def on_message(message, client):
        assert type(client) is Mine
        client.send(client.room)

    app.onconnect += on_connect
    app.onmessage += on_message
    with serve(app).ws() as client:
        client.send("where?")
        assert client.recv() == "kitchen"


# ------------------------------------------------------- receiving streams ---


def test_a_message_is_received_in_pieces_as_they_arrive(serve):
    pieces = []
    got = threading.Semaphore(0)

    def use(websocket):
        stream = websocket.receive_stream()
        assert stream.text
        for piece in stream:
            pieces.append(piece)
            got.release()
        return websocket.receive()

    handler = Handler(use)
    with opened(serve(handler)) as client:
        client.send(frame(1, "caf\xe9 \u20ac".encode()[:-1], fin=False))
        assert got.acquire(timeout=20)
        assert pieces == ["caf\xe9 "]  # no half of a character
        client.send(frame(0, "\u20ac".encode()[-1:], fin=False))
        assert got.acquire(timeout=20)
        client.send(frame(0, b"!"), frame(1, b"whole"))
        assert handler.wait() == "whole"
    assert "".join(pieces) == "caf\xe9 \u20ac!"
    assert handler.error is None


@pytest.mark.parametrize("late", [False, True], ids=["waiting", "away"])
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_a_message_past_ws_max_size_is_received_in_pieces(
    serve, late, compression
):
    arrived = threading.Event()
    data = b"0123456789abcdef" * 400000

    def use(websocket):
        websocket.accept()
        if late:
            assert arrived.wait(20)
        total = 0
        for _ in range(2):
            longest = 0
            for piece in websocket.receive_stream():
                assert type(piece) is bytes
                longest = max(longest, len(piece))
                total += len(piece)
            assert longest <= 100000
        websocket.send(str(total))
        return websocket.receive()

    handler = Handler(use)
    site = serve(handler, ws_max_size=100000)
    with site.ws(compression=compression) as client:

        def send():
            client.send(data)
            client.send(data)

        thread = threading.Thread(target=send)
        thread.start()
        assert not arrived.wait(0.3)  # by now the loop has begun to read
        arrived.set()
        assert client.recv() == str(2 * len(data))
        thread.join()
        client.send("small")
        assert handler.wait() == "small"
    assert handler.error is None


def test_a_message_past_ws_max_size_is_1009_for_receive(serve):
    ready = threading.Event()

    def use(websocket):
        websocket.accept()
        assert not ready.wait(0.2)  # the loop reads, and holds it
        return websocket.receive()

    handler = Handler(use)
    with opened(serve(handler, ws_max_size=1000)) as client:
        client.send(frame(1, b"x" * 2000))
        first, payload = next_frame(client)
        assert (first, payload[:2]) == (0x88, b"\x03\xf1")
    assert handler.wait() is None
    assert handler.error is None


def test_a_stream_must_be_read_to_its_end(serve):
    def use(websocket):
        stream = websocket.receive_stream()
        assert next(stream) == b"first"
        websocket.send("go on")
        for receive in (websocket.receive, websocket.receive_stream):
            with pytest.raises(WebSocketError, match="end"):
                receive()
        assert list(stream) == [b"second"]
        assert list(stream) == []
        return websocket.receive()

    handler = Handler(use)
    with opened(serve(handler)) as client:
        client.send(frame(2, b"first", fin=False), frame(9, b"ping"))
        assert {next_frame(client), next_frame(client)} == {
            (0x8A, b"ping"),
            (0x81, b"go on"),
        }
        client.send(frame(0, b"second"), frame(1, b"next"))
        assert handler.wait() == "next"
    assert handler.error is None


def test_an_empty_stream_and_the_end(serve):
    def use(websocket):
        assert list(websocket.receive_stream()) == []
        with pytest.raises(TimeoutError):
            websocket.receive_stream(timeout=0.01)
        websocket.send("go on")
        assert websocket.receive() == "plain"
        assert websocket.receive_stream() is None
        with pytest.raises(WebSocketError, match="closed"):
            websocket.receive_stream()

    handler = Handler(use)
    with opened(serve(handler)) as client:
        client.send(frame(1))
        assert next_frame(client) == (0x81, b"go on")
        client.send(frame(1, b"plain"), frame(8))
        handler.wait()
    assert handler.error is None


def test_a_stream_that_breaks_off_is_an_error(serve):
    def use(websocket):
        stream = websocket.receive_stream()
        assert next(stream) == "half"
        with pytest.raises(WebSocketError, match=r"\(1006\) in the middle"):
            next(stream)
        with pytest.raises(WebSocketError):
            websocket.receive()

    handler = Handler(use)
    with opened(serve(handler)) as client:
        client.send(frame(1, b"half", fin=False))
        assert not handler.done.wait(0.1)
    handler.wait()
    assert handler.error is None


def test_text_in_pieces_is_checked(serve):
    def use(websocket):
        with pytest.raises(WebSocketError, match="1006"):
            list(websocket.receive_stream())

    handler = Handler(use)
    with opened(serve(handler)) as client:
        client.send(frame(1, b"fine", fin=False))
        client.send(frame(0, b"\xff"))
        assert next_frame(client) == (0x88, b"\x03\xeftext is not UTF-8")
    handler.wait()
    assert handler.error is None
