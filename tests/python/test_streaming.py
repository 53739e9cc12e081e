"""PEP 3333, "Buffering and Streaming": who waits for whom."""

import socket
import struct
import sys
import threading
import time

import pytest
import secure
from patience import PATIENCE

LARGE = 16 << 20


def slow_client(site, target="/large"):
    """A client that has asked, has seen the answer begin, and does not read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20)
    client.connect(("127.0.0.1", site.port))
    client = secure.wrapped(client, site.tls)
    client.sendall(
        b"GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
        % target.encode()
    )
    client.recv(1)
    return client


def count_rest(client):
    total = 1
    while True:
        n = len(client.recv(1 << 20))
        if n == 0:
            client.close()
            return total
        total += n


def reset(client):
    client.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    client.close()


class Item:
    """Gives one object again and again; knows how often it is held."""

    def __init__(self):
        self.octets = bytes(LARGE)
        self.alone = sys.getrefcount(self.octets)

    def __call__(self):
        return self.octets

    def held(self):
        return sys.getrefcount(self.octets) - self.alone


@pytest.fixture
def item():
    return Item()


class Closing:
    """An iterable without a length, as frameworks wrap their results."""

    def __init__(self, items, closed):
        self.items = iter(items)
        self.closed = closed

    def __iter__(self):
        return self.items

    def close(self):
        self.closed.append(1)


def beside(result):
    """An application that gives result() at /large, and else is quick."""

    def app(environ, start_response):
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/large":
            return result()
        return [b"quick"]

    return app


@pytest.mark.parametrize("kind", ["list", "two", "wrapped", "generator"])
def test_a_slow_reader_of_what_exists_holds_no_thread(
    serve, eventually, item, kind
):
    closed = []

    def generate():
        yield item()
        closed.append(1)

    def result():
        if kind == "list":
            return [item()]
        if kind == "two":
            return (item(), item())
        if kind == "wrapped":
            return Closing([item()], closed)
        return generate()

    site = serve(beside(result), threads=1)
    clients = [slow_client(site) for _ in range(4)]
    for _ in range(5):
        assert site.get()[2] == b"quick"
    if kind in ("wrapped", "generator"):
        eventually(lambda: len(closed) == 4)
    assert item.held() == (8 if kind == "two" else 4)
    for client in clients[:2]:
        assert count_rest(client) > LARGE
    for client in clients[2:]:
        reset(client)
    eventually(lambda: item.held() == 0)
    assert site.get()[2] == b"quick"


def queued_in_the_kernel(site):
    """Of each connection to a site: octets sent and not acknowledged."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    return [
        int(row[4].split(":")[0], 16)
        for row in rows
        if int(row[1].split(":")[1], 16) == site.port
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/net/tcp")
@pytest.mark.parametrize("kind", ["memory", "file"])
def test_the_kernel_holds_little_for_a_client_that_does_not_read(
    serve, tmp_path, kind
):
    """A thousand times some megabytes are all it has for TCP."""
    with open(str(tmp_path / "large"), "wb") as file:
        file.truncate(LARGE)

    def app(environ, start_response):
        start_response("200 OK", [])
        if environ["PATH_INFO"] != "/large":
            return [b"quick"]
        if kind == "memory":
            return [bytes(LARGE)]
        return environ["wsgi.file_wrapper"](open(tmp_path / "large", "rb"))

    site = serve(app)
    client = slow_client(site)
    for _ in range(5):
        assert site.get()[2] == b"quick"
    assert 0 < max(queued_in_the_kernel(site)) < 1 << 20
    assert count_rest(client) > LARGE


def test_what_a_client_did_not_read_is_forgotten_when_the_server_stops(
    serve, item
):
    site = serve(beside(lambda: [item()]), threads=1)
    client = slow_client(site)
    assert site.get()[2] == b"quick"  # so the handler at /large has returned
    site.server.stop(timeout=0)
    assert site.server.join(20)
    assert item.held() == 0
    client.close()


def test_a_generator_is_asked_as_the_client_reads(serve, eventually):
    asked = []

    def result():
        for i in range(100):
            asked.append(i)
            yield bytes(1 << 20)

    site = serve(beside(result))
    client = slow_client(site)
    for _ in range(20):
        assert site.get()[2] == b"quick"
    assert len(asked) < 50
    assert count_rest(client) > 100 << 20
    eventually(lambda: len(asked) == 100)


def test_write_waits_for_the_client(serve, eventually):
    written = []

    def app(environ, start_response):
        write = start_response("200 OK", [])
        if environ["PATH_INFO"] == "/large":
            for i in range(100):
                write(bytes(1 << 20))
                written.append(i)
        return [b"quick"]

    site = serve(app)
    client = slow_client(site)
    for _ in range(20):
        assert site.get()[2] == b"quick"
    assert len(written) < 50
    assert count_rest(client) > 100 << 20


@pytest.mark.parametrize("size", [1 << 20, 1000])
def test_close_is_called_once_when_the_client_leaves_in_mid_stream(
    caplog, serve, eventually, size
):
    caplog.set_level("DEBUG", logger="wsocket")
    closed = []

    def endless():
        while True:
            yield bytes(size)

    site = serve(beside(lambda: Closing(endless(), closed)))
    for _ in range(3):
        reset(slow_client(site))
    eventually(lambda: len(closed) == 3)
    assert site.get()[2] == b"quick"
    assert site.stop()
    assert len(closed) == 3
    assert "Traceback" not in caplog.text


def test_write_tells_the_application_that_the_client_has_left(
    serve, eventually
):
    ended = []

    def app(environ, start_response):
        write = start_response("200 OK", [])
        try:
            while True:
                write(bytes(100000))
        except BrokenPipeError as error:
            ended.append(str(error))
            raise

    reset(slow_client(serve(app)))
    eventually(lambda: ended)
    assert "closed the connection" in ended[0]


def test_items_of_every_size_keep_their_order(serve):
    """Some are copied, some are lent, some wait for room."""
    sizes = [1, 8191, 8192, 8193, 65535, 65536, 0, 300000, 5, 20000, 1 << 20]
    items = [bytes([65 + i]) * n for i, n in enumerate(sizes)] * 3
    whole = b"".join(items)
    length = [("Content-Length", str(len(whole)))]
    for headers in ([], length):
        for wrap in (list, iter):

            def app(environ, start_response):
                start_response("200 OK", list(headers))
                return wrap(items)

            site = serve(app)
            with site.raw() as client:
                client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n" * 3)
                for _ in range(3):
                    assert client.response()[2] == whole
                client.send(b"GET / HTTP/1.0\r\n\r\n")
                assert client.response()[2] == whole


def test_lent_items_are_cut_at_content_length(serve):
    for wrap in (list, iter):

        def app(environ, start_response):
            start_response("200 OK", [("Content-Length", "100000")])
            return wrap([b"a" * 99999, b"b" * 50000, b"c" * 50000])

        with serve(app).raw() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n" * 2)
            for _ in range(2):
                assert client.response()[2] == b"a" * 99999 + b"b"


def test_an_error_behind_a_large_item_cuts_visibly_after_it(caplog, serve):
    def result():
        yield bytes(3 << 20)
        raise ValueError("broken")

    with serve(beside(result)).raw() as client:
        client.send(b"GET /large HTTP/1.1\r\nHost: t\r\n\r\n")
        said = client.rest()
    assert len(said) > 3 << 20 and not said.endswith(b"0\r\n\r\n")
    assert "ValueError: broken" in caplog.text


# ----------------------------------------------------------- early hints ---

LINK = ("Link", "</style.css>; rel=preload; as=style")


def hinting(environ, start_response):
    environ["wsgi.early_hints"]([LINK])
    start_response("200 OK", [])
    return [b"page"]


def test_early_hints_leave_before_the_answer(serve):
    """RFC 8297."""
    go_on = threading.Event()

    def app(environ, start_response):
        environ["wsgi.early_hints"]([LINK])
        assert go_on.wait(20)
        environ["wsgi.early_hints"]([("Link", "</b>"), ("X-A", "1")])
        start_response("200 OK", [])
        return [b"page"]

    with serve(app).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        status, headers = client.head()
        assert (status, headers) == (103, {"link": LINK[1]})
        go_on.set()
        assert client.head() == (103, {"link": "</b>", "x-a": "1"})
        assert client.response()[::2] == (200, b"page")


def test_http_1_0_never_sees_early_hints(serve):
    """RFC 9110 15.2."""
    with serve(hinting).raw() as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.response()[::2] == (200, b"page")


@pytest.mark.parametrize(
    "headers, error, text",
    [
        ([("Link", "a\r\nb")], ValueError, "control"),
        ([("Content-Length", "1")], ValueError, "nothing of length"),
        ([("Connection", "close")], ValueError, "nothing of length"),
        ("Link", TypeError, "list"),
        ([("Link", 1)], TypeError, "str"),
    ],
)
def test_wrong_hints_are_named_where_they_are_given(
    serve, headers, error, text
):
    def app(environ, start_response):
        with pytest.raises(error, match=text):
            environ["wsgi.early_hints"](headers)
        start_response("200 OK", [])
        return [b"page"]

    assert serve(app).get()[::2] == (200, b"page")


def test_hints_come_too_late_behind_the_head_and_after_the_request(serve):
    kept = []

    def app(environ, start_response):
        kept.append(environ["wsgi.early_hints"])
        start_response("200 OK", [])(b"pa")
        with pytest.raises(RuntimeError, match="before the response"):
            kept[0]([LINK])
        return [b"ge"]

    assert serve(app).get()[2] == b"page"
    with pytest.raises(RuntimeError, match="had ended"):
        kept[0]([LINK])


def test_hints_of_one_request_never_reach_another(serve):
    kept = []

    def app(environ, start_response):
        kept.append(environ["wsgi.early_hints"])
        if len(kept) > 1:  # in the same thread, for it is the only one
            with pytest.raises(RuntimeError, match="had ended"):
                kept[0]([LINK])
        start_response("200 OK", [("Content-Length", "4")])
        return [b"page"]

    with serve(app, threads=1).raw() as client:
        for _ in range(2):
            client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
            assert client.response()[::2] == (200, b"page")


def test_hints_belong_to_the_thread_of_their_request(serve):
    raised = []

    def app(environ, start_response):
        def other():
            try:
                environ["wsgi.early_hints"]([LINK])
            except RuntimeError as error:
                raised.append(str(error))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return hinting(environ, start_response)

    with serve(app).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.head()[0] == 103
        assert client.response()[::2] == (200, b"page")
    assert raised == ["wsgi.early_hints belongs to the thread of its request"]


# -------------------------------------------------- who waits for it yet ---


def watching(seen, done):
    """Asks until its client has left, as an event stream does."""

    def app(environ, start_response):
        gone = environ["wsocket.client_disconnected"]
        start_response("200 OK", [])

        def stream():
            yield b"data: hello\n\n"
            for _ in range(2000):
                seen.append(gone())
                if seen[-1]:
                    break
                time.sleep(0.01)
            done.append(gone)

        return stream()

    return app


@pytest.mark.parametrize("reset", [True, False])
def test_a_view_can_ask_whether_its_client_has_left(serve, eventually, reset):
    seen, done = [], []
    client = serve(watching(seen, done)).raw()
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.head()[0] == 200
    eventually(lambda: len(seen) > 3)
    assert not any(seen)
    client.file.close()
    if reset:
        client.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
    client.socket.close()
    eventually(lambda: done)
    assert seen[-1] is True


def test_an_end_behind_what_nobody_has_read_is_seen(serve, eventually):
    seen, done = [], []
    with serve(watching(seen, done)).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.head()[0] == 200
        client.send(b"GET /next HTTP/1.1\r\nHost: t\r\n\r\n")
        client.socket.shutdown(socket.SHUT_WR)
        eventually(lambda: done)


def test_any_thread_may_ask_and_after_the_request_all_is_over(serve):
    seen = []

    def app(environ, start_response):
        gone = environ["wsocket.client_disconnected"]
        thread = threading.Thread(target=lambda: seen.append(gone()))
        thread.start()
        thread.join()
        seen.append(gone)
        with pytest.raises(TypeError, match="no arguments"):
            gone(1)
        start_response("200 OK", [])
        return [b"page"]

    assert serve(app).get()[2] == b"page"
    assert seen[0] is False
    assert seen[1]() is True


def test_a_websocket_that_has_ended_is_a_client_that_has_left(
    serve, eventually
):
    seen = []

    def app(environ, start_response):
        gone = environ["wsocket.client_disconnected"]
        seen.append(gone())
        ws = environ["wsgi.websocket"]
        ws.send("hello")
        seen.append(gone())
        assert ws.receive() is None
        seen.append(gone())
        return []

    with serve(app).ws() as client:
        assert client.recv() == "hello"
    eventually(lambda: len(seen) == 3)
    assert seen == [False, False, True]


# ------------------------------------------------------ how it all ends ---

LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


SEGS_IN = 140  # of struct tcp_info (linux/tcp.h): tcpi_segs_in


def segments_of_an_answer(site):
    """How many segments came to the client, behind what connected it."""
    with site.raw() as client:

        def count():
            info = client.socket.getsockopt(
                socket.IPPROTO_TCP, socket.TCP_INFO, SEGS_IN + 4
            )
            return struct.unpack_from("I", info, SEGS_IN)[0]

        if site.tls:
            time.sleep(0.05)  # its ticket comes by itself
        before = count()
        client.send(LAST)
        assert client.rest().endswith(b"all")
        return count() - before


@pytest.mark.skipif(sys.platform != "linux", reason="MSG_MORE is Linux's")
def test_a_last_answer_leaves_in_one_segment_with_the_end(serve):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "3")])
        return [b"all"]

    site = serve(app)
    # In two where the lead is taken away from the thread, or where the thread
    # was not the leader: after a slow way into the interpreter, 16 calls go by
    # the queue.
    assert any(segments_of_an_answer(site) <= 2 for _ in range(60))


def test_a_last_answer_does_not_wait_for_close(serve):
    goes_on = threading.Event()

    class Result(list):
        def close(self):
            goes_on.wait(PATIENCE)

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "3")])
        return Result([b"all"])

    with serve(app).raw() as client:
        client.send(LAST)
        assert client.response()[2] == b"all"
        goes_on.set()
        assert client.rest() == b""


def test_what_comes_behind_a_last_request_does_not_destroy_its_answer(serve):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "3")])
        return [b"all"]

    with serve(app).raw() as client:
        client.send(LAST + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        assert client.response()[2] == b"all"
        assert client.rest() == b""


@pytest.mark.parametrize(
    "request_", [LAST, LAST[:-2] + b"Content-Length: 1\r\n\r\nx"]
)
def test_nor_does_what_comes_while_the_answer_is_made(serve, request_):
    """RFC 9112 9.6."""

    def app(environ, start_response):
        clients[-1].send(b"GET / HTTP/1.1\r\n")
        start_response("200 OK", [("Content-Length", "3")])
        return [b"all"]

    clients = []
    site = serve(app)
    for _ in range(50):  # by the loop's thread itself, now and then
        with site.raw() as client:
            clients.append(client)
            client.send(request_)
            assert client.response()[2] == b"all"
