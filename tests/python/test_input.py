"""PEP 3333: wsgi.input."""

import contextlib
import csv
import gzip
import io
import logging
import re
import sys
import threading
import time
import tracemalloc
import zipfile

import pytest

BODY = b"one\ntwo\n\nfour"


@pytest.fixture(params=["whole", "streamed", "spilled"])
def post(request, serve):
    """post(use, body): what `use` makes of the stream, for a body that is
    there when the application is called, for one that comes later, and for one
    that lies in a file."""
    streamed = request.param == "streamed"
    options = {"body_memory": 0} if request.param == "spilled" else {}

    def start(use, body=BODY):
        result = []

        def app(environ, start_response):
            result.append(use(environ["wsgi.input"]))
            start_response("204 No Content", [])
            return []

        with serve(app, **options).raw() as client:
            client.send(
                b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n"
                % len(body)
            )
            if not streamed:
                client.send(b"\r\n", body[:1])
                client.send(body[1:])
            else:
                client.send(b"Expect: 100-continue\r\n\r\n")
                status = client.head()[0]
                if status != 100:  # the application did not read
                    assert status == 204
                    return result[0]
                for i in range(0, len(body), 65521):
                    client.send(body[i : i + 65521])
            assert client.response()[0] == 204
        return result[0]

    return start


def test_read_ends_at_the_end_of_the_body(post):
    assert post(lambda stream: [stream.read(), stream.read()]) == [BODY, b""]


@pytest.mark.parametrize("size", [-1, None, 1000, 1 << 40])
def test_read_of_all(post, size):
    assert post(lambda stream: stream.read(size)) == BODY


def test_read_in_pieces(post):
    def use(stream):
        return [stream.read(0), stream.read(3), stream.read(5), stream.read(9)]

    assert post(use) == [b"", b"one", b"\ntwo\n", b"\nfour"]


def test_readline(post):
    def use(stream):
        return [stream.readline() for _ in range(6)]

    assert post(use) == [b"one\n", b"two\n", b"\n", b"four", b"", b""]


def test_readline_with_a_size(post):
    def use(stream):
        return [stream.readline(n) for n in (2, 0, 5, -1, 1, 9)]

    assert post(use) == [b"on", b"", b"e\n", b"two\n", b"\n", b"four"]


def test_readlines_and_iteration(post):
    lines = [b"one\n", b"two\n", b"\n", b"four"]
    assert post(lambda stream: stream.readlines()) == lines
    assert post(lambda stream: stream.readlines(4)) == lines[:1]
    assert post(lambda stream: stream.readlines(5)) == lines[:2]
    assert post(list) == lines


def test_reading_styles_can_be_mixed(post):
    def use(stream):
        return [stream.readline(), stream.read(2), next(stream), stream.read()]

    assert post(use) == [b"one\n", b"tw", b"o\n", b"\nfour"]


def test_a_long_body_arrives_complete(post):
    body = bytes(range(256)) * 4096 + b"\n" + b"x" * 300000
    assert post(lambda stream: stream.read(), body) == body
    assert post(lambda stream: b"".join(stream), body) == body
    assert (
        b"".join(post(lambda s: list(iter(lambda: s.read(7777), b"")), body))
        == body
    )


def test_an_empty_body(post):
    assert post(lambda stream: [stream.read(), list(stream)], b"") == [b"", []]


def test_wrong_arguments_are_type_errors(post):
    def use(stream):
        with pytest.raises(TypeError):
            stream.read("all")
        with pytest.raises(TypeError):
            stream.read(1, 2)
        return stream.read()

    assert post(use) == BODY


def test_only_the_server_makes_one(post):
    def use(stream):
        with pytest.raises(TypeError, match="only the server"):
            type(stream)()

    assert post(use, b"") is None


def test_a_body_of_two_megabytes_is_streamed_to_the_application(serve):
    def app(environ, start_response):
        total = 0
        while True:
            data = environ["wsgi.input"].read(100000)
            if not data:
                break
            total += len(data)
        start_response("200 OK", [])
        return [b"%d" % total]

    body = b"x" * 2_000_000
    assert serve(app).get("/", method="POST", body=body)[2] == b"2000000"


@pytest.mark.parametrize("read", ["read", "readline", "readlines", "__next__"])
def test_a_body_cut_short_is_an_error_not_an_end(serve, read):
    errors = []

    def app(environ, start_response):
        try:
            getattr(environ["wsgi.input"], read)()
        except ConnectionAbortedError as exc:
            errors.append(str(exc))
        start_response("200 OK", [])
        return [b"complete?"]

    with serve(app).raw() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert client.head()[0] == 100
        client.send(b"half")
        client.socket.shutdown(1)
        assert client.rest().startswith(b"HTTP/1.1 400 ")
    assert len(errors) == 1 and "before it was complete" in errors[0]


def test_a_cut_body_that_nobody_catches_is_no_error_of_ours(caplog, serve):
    def app(environ, start_response):
        environ["wsgi.input"].read()

    with serve(app).raw() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert client.head()[0] == 100
        client.send(b"nonsense\r\n")
        assert client.rest().startswith(b"HTTP/1.1 400 ")
    assert caplog.records == []


def address_space():
    with open("/proc/self/status") as file:
        return int(re.search(r"VmSize:\s+(\d+) kB", file.read())[1]) * 1024


def test_an_announced_length_takes_no_memory(serve):
    site = serve(buffer_body="always")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(site.raw()) for _ in range(21)]
        site.get()
        before = address_space()
        for client in clients:
            client.send(
                b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000000\r\n"
                b"Expect: 100-continue\r\n\r\n"
            )
            assert client.head()[0] == 100  # so its head has been read
            client.send(b"x")
        site.get()
        assert address_space() < before + 1000000000


def test_a_body_in_a_file_is_read_into_just_its_length(serve):
    peaks = []
    body = b"x" * 5_000_000

    def app(environ, start_response):
        tracemalloc.start()
        assert environ["wsgi.input"].read() == body
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        start_response("204 No Content", [])
        return []

    with serve(app).raw() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n"
            % len(body),
            body,
        )
        assert client.response()[0] == 204
    assert peaks[0] < len(body) * 1.1


def test_others_run_while_a_file_is_read(serve):
    """It may lie on a slow disk. Here nobody is made to let go."""

    def app(environ, start_response):
        began, ran = threading.Event(), []

        def run():
            began.wait()
            ran.append(1)

        thread = threading.Thread(target=run)
        thread.start()
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1000)
        try:
            began.set()
            while not ran and environ["wsgi.input"].read(5000):
                pass
            others_ran = bool(ran)
        finally:
            sys.setswitchinterval(interval)
        thread.join()
        start_response("200 OK", [])
        return [b"%d" % others_ran]

    site = serve(app)
    body = b"x" * 5_000_000
    # Whether one who is awake runs in time is up to the system.
    assert any(
        site.get("/", method="POST", body=body)[2] == b"1" for _ in range(50)
    )


def test_kept_after_the_request_it_raises_a_clear_error(serve):
    kept = []

    def app(environ, start_response):
        kept.append(environ["wsgi.input"])
        start_response("200 OK", [])
        return []

    assert serve(app).get("/", method="POST", body=b"data")[0] == 200
    for use in (kept[0].read, kept[0].readline, kept[0].readlines):
        with pytest.raises(ValueError, match="its request had ended"):
            use()
    with pytest.raises(ValueError):
        next(kept[0])


@pytest.mark.parametrize("size", [4, 3 << 20])
@pytest.mark.parametrize("chunked", [False, True])
def test_another_thread_may_read_what_is_there(serve, size, chunked):
    """As asynchronous views of Flask and Django do."""

    def app(environ, start_response):
        read = []
        thread = threading.Thread(
            target=lambda: read.append(environ["wsgi.input"].read())
        )
        thread.start()
        thread.join()
        start_response("200 OK", [])
        return read

    with serve(app).raw() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\n")
        if chunked:
            client.send(b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size)
        else:
            client.send(b"Content-Length: %d\r\n\r\n" % size)
        client.send(b"x" * size, b"\r\n0\r\n\r\n" if chunked else b"")
        assert client.response()[2] == b"x" * size


def test_a_body_may_be_begun_by_one_thread_and_ended_by_another(serve):
    def app(environ, start_response):
        stream = environ["wsgi.input"]
        read = [stream.read(5), stream.readline()]
        thread = threading.Thread(target=lambda: read.extend(stream))
        thread.start()
        thread.join()
        assert stream.read() == b""
        start_response("200 OK", [])
        return [b"".join(read)]

    body = b"a line of the body\n" * 100000
    for _ in range(2):
        site = serve(app, body_memory=1000)
        assert site.get("/", method="POST", body=body)[2] == body


def test_threads_that_read_at_the_same_time_share_a_body(serve):
    size = 4 << 20

    def app(environ, start_response):
        stream = environ["wsgi.input"]
        pieces = []

        def read():
            while True:
                try:
                    pieces.append(stream.read(4096))
                except RuntimeError:  # the other one has it
                    time.sleep(0)
                    continue
                if not pieces[-1]:
                    break

        thread = threading.Thread(target=read)
        thread.start()
        read()
        thread.join()
        start_response("200 OK", [])
        return [b"".join(sorted(pieces))]

    body = b"".join(b"%07d\n" % i for i in range(size // 8))
    site = serve(app, body_memory=1000)
    assert site.get("/", method="POST", body=body)[2] == body


def test_another_thread_may_not_wait_for_the_body(serve):
    def app(environ, start_response):
        errors = []

        def read():
            with pytest.raises(RuntimeError, match="thread"):
                environ["wsgi.input"].read()
            errors.append(b"refused")

        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        start_response("200 OK", [("Connection", "close")])
        return errors

    with serve(app).raw() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert client.response()[2] == b"refused"


def test_a_slow_body_delays_nobody_else(serve):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    site = serve(app)
    with site.raw() as slow:
        slow.send(
            b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert slow.head()[0] == 100
        for _ in range(5):
            assert site.get()[0] == 200
        slow.send(b"done")
        assert slow.response()[2] == b"done"


def test_what_was_not_read_does_not_become_a_request(serve):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    with serve(app).raw() as client:
        client.send(
            b"POST /1 HTTP/1.1\r\nHost: t\r\nContent-Length: 27\r\n\r\n",
            b"GET /evil HTTP/1.1\r\nHost: ",
            b"\nGET /2 HTTP/1.1\r\nHost: t\r\n\r\n"[1:],
        )
        assert client.response()[2] == b"/1"
        assert client.response()[2] == b"/2"


@pytest.mark.parametrize("mode", ["auto", "always", "never"])
def test_a_chunked_body_has_a_length_when_it_is_buffered(serve, mode):
    """Frameworks read an empty body without CONTENT_LENGTH (PEP 3333)."""
    seen = {}

    def app(environ, start_response):
        seen.update(environ, body=environ["wsgi.input"].read())
        start_response("204 No Content", [])
        return []

    body = b"x" * 3000000
    with serve(app, buffer_body=mode).raw() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for at in range(0, len(body), 100000):
            client.send(b"186a0\r\n", body[at : at + 100000], b"\r\n")
        client.send(b"0\r\n\r\n")
        assert client.response()[0] == 204
    assert seen["body"] == body
    assert seen["wsgi.input_terminated"] is True
    if mode == "never":
        assert "CONTENT_LENGTH" not in seen
        assert seen["HTTP_TRANSFER_ENCODING"] == "chunked"
    else:
        assert seen["CONTENT_LENGTH"] == "3000000"
        assert "HTTP_TRANSFER_ENCODING" not in seen


# ------------------------------------------------------ as an io object ---


def test_what_wraps_binary_files_wraps_the_body(post):
    def table(stream):
        return list(csv.reader(io.TextIOWrapper(stream, "utf-8")))

    assert post(table, b"a,b\nc,d\n") == [["a", "b"], ["c", "d"]]
    assert post(lambda s: io.BufferedReader(s).read()) == BODY
    packed = gzip.compress(BODY)
    assert post(lambda s: gzip.GzipFile(fileobj=s).read(), packed) == BODY


def test_a_body_that_has_come_can_be_read_again(post):
    body = bytes(range(256)) * 700

    def use(stream):
        if not stream.seekable():
            for use in stream.tell, lambda: stream.seek(0):
                with pytest.raises(io.UnsupportedOperation):
                    use()
            return stream.read() == body
        got = [stream.read(3), stream.tell(), stream.readline(), stream.tell()]
        assert got == [body[:3], 3, body[3:11], 11]
        assert stream.read() == body[11:] and stream.read() == b""
        assert stream.tell() == len(body)
        for at in 0, 5, 16384, 100000, len(body) - 1, len(body):
            assert stream.seek(at) == at
            assert stream.read(20000) == body[at : at + 20000]
        assert stream.seek(-4, 2) == len(body) - 4
        assert stream.read() == body[-4:]
        assert stream.seek(7) == 7 and stream.seek(3, 1) == 10
        assert stream.seek(10**9) == len(body)
        for wrong in (-1,), (0, 3), (-1 - len(body), 2), (-(2**63),):
            with pytest.raises(ValueError):
                stream.seek(*wrong)
        stream.seek(0)
        return stream.read() == body

    assert post(use, body)


def test_an_archive_is_read_from_the_body(serve):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", BODY * 1000)

    def app(environ, start_response):
        with zipfile.ZipFile(environ["wsgi.input"]) as archive:
            found = archive.read("a.txt")
        start_response("200 OK", [])
        return [str(found == BODY * 1000).encode()]

    for memory in 0, 1 << 20:
        with serve(app, body_memory=memory).raw() as client:
            data = packed.getvalue()
            client.send(b"POST / HTTP/1.1\r\nHost: t\r\n")
            client.send(b"Content-Length: %d\r\n\r\n" % len(data), data)
            assert client.response()[2] == b"True"


def test_it_answers_as_an_io_object_does(post):
    def use(stream):
        assert stream.readable() and not stream.writable()
        assert not stream.isatty() and not stream.closed
        assert stream.read1(0) == b""
        buffer = bytearray(3)
        assert stream.readinto(buffer) == 3 and buffer == BODY[:3]
        assert stream.read1(2) == BODY[3:5]
        assert stream.read1()[:1] == BODY[5:6]
        for unsupported in stream.fileno, lambda: stream.write(b"x"):
            with pytest.raises(io.UnsupportedOperation):
                unsupported()
        stream.read()
        assert stream.readinto(bytearray(9)) == 0 and stream.read1() == b""
        with stream as same:
            assert same is stream
        assert stream.closed
        with pytest.raises(ValueError, match="closed"):
            stream.read()
        return True

    assert post(use)


def test_a_closed_body_is_no_end_of_the_connection(serve):
    def app(environ, start_response):
        with environ["wsgi.input"] as stream:
            stream.read(2)
        start_response("200 OK", [])
        return [b"x"]

    with serve(app).raw() as client:
        for _ in range(3):
            client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n")
            client.send(b"\r\nabcd")
            assert client.response()[::2] == (200, b"x")


def test_the_error_stream_serves_as_stderr(serve, caplog, eventually):
    def app(environ, start_response):
        errors = environ["wsgi.errors"]
        assert errors.writable() and not errors.readable()
        assert not errors.isatty() and not errors.closed and not errors.seekable()
        assert (errors.encoding, errors.errors) == ("utf-8", "backslashreplace")
        with pytest.raises(io.UnsupportedOperation):
            errors.fileno()
        logger = logging.Logger("of the application")
        logger.addHandler(logging.StreamHandler(errors))
        logger.error("by logging")
        print("by print", file=errors, flush=True)
        with errors as same:
            same.write("last word")
        errors.close()
        errors.write("and one more\n")
        start_response("200 OK", [])
        return [b"fine"]

    assert serve(app).get()[2] == b"fine"
