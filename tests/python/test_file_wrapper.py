"""wsgi.file_wrapper (PEP 3333, "Optional Platform-Specific File Handling")."""

import gzip
import io
import os
import socket
import struct
import tempfile
import threading

import pytest
import secure

DATA = bytes(range(256)) * 400
LARGE = 16 << 20


@pytest.fixture
def path(tmp_path):
    """A file that holds DATA."""
    (tmp_path / "file").write_bytes(DATA)
    return str(tmp_path / "file")


def sending(make, headers=(), block=8192):
    """An application that answers with the file that make() gives."""

    def app(environ, start_response):
        start_response("200 OK", list(headers))
        return environ["wsgi.file_wrapper"](make(), block)

    return app


def opened(path, offset=0, mode="rb", **options):
    file = open(path, mode, **options)
    if offset:
        file.read(offset)
    return file


@pytest.mark.parametrize("options", [{}, {"buffering": 0}, {"mode": "rb+"}])
def test_a_plain_file_is_sent_from_its_current_offset(serve, path, options):
    for offset in (0, 10, 9000, len(DATA)):
        app = sending(lambda: opened(path, offset, **options))
        status, headers, body = serve(app).get()
        assert (status, body) == (200, DATA[offset:])
        assert headers["content-length"] == str(len(DATA) - offset)


def test_an_offset_behind_the_end_is_an_empty_body(serve, path):
    def make():
        file = open(path, "rb")
        file.seek(len(DATA) + 5)
        return file

    status, headers, body = serve(sending(make)).get()
    assert (status, headers["content-length"], body) == (200, "0", b"")


def test_no_more_is_sent_than_content_length_says(capfd, serve, path):
    app = sending(lambda: opened(path, 100), [("Content-Length", "70000")])
    site = serve(app)
    with site.raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n" * 2)
        for _ in range(2):
            _, headers, body = client.response()
            assert headers["content-length"] == "70000"
            assert body == DATA[100:70100]
    site.stop()
    assert "Content-Length" not in capfd.readouterr().err


def test_a_file_that_is_too_short_is_visibly_cut(serve, path):
    app = sending(lambda: open(path, "rb"), [("Content-Length", "200000")])
    with serve(app).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.rest().endswith(DATA)


def test_head_gets_the_length_and_the_file_is_closed(serve, path, eventually):
    files = []

    def make():
        files.append(open(path, "rb"))
        return files[-1]

    with serve(sending(make)).raw() as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: t\r\n\r\n" * 2)
        for _ in range(2):
            _, headers, _ = client.response(bodiless=True)
            assert headers["content-length"] == str(len(DATA))
    eventually(lambda: all(file.closed for file in files))


def test_http_1_0_and_statuses_without_a_body(serve, path):
    def app(environ, start_response):
        start_response(environ["PATH_INFO"][1:] + " X", [])
        return environ["wsgi.file_wrapper"](open(path, "rb"))

    with serve(app).raw() as client:
        client.send(b"GET /304 HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.response()[::2] == (304, b"")
        client.send(b"GET /200 HTTP/1.0\r\n\r\n")
        assert client.response()[2] == DATA


def test_a_file_behind_written_octets(serve, path):
    def app(environ, start_response):
        start_response("200 OK", [])(b"first ")
        return environ["wsgi.file_wrapper"](open(path, "rb"))

    assert serve(app).get()[2] == b"first " + DATA


class ReadOnly:
    """Nothing but read()."""

    def __init__(self, data):
        self.file = io.BytesIO(data)
        self.asked = []

    def read(self, size):
        self.asked.append(size)
        return self.file.read(size)


def test_an_object_with_read_alone_is_read_in_blocks(serve):
    source = ReadOnly(DATA)
    _, headers, body = serve(sending(lambda: source, block=5000)).get()
    assert body == DATA and headers["transfer-encoding"] == "chunked"
    assert set(source.asked) == {5000}


def test_memory_files_pipes_and_streams_are_read(serve, path):
    def pipe():
        ends = os.pipe()
        os.write(ends[1], b"piped")
        os.close(ends[1])
        return open(ends[0], "rb")

    assert serve(sending(lambda: io.BytesIO(DATA))).get()[2] == DATA
    assert serve(sending(pipe)).get()[2] == b"piped"


def test_a_file_that_claims_to_be_empty_is_read(serve, tmp_path):
    """As those of /proc do."""
    name = "/proc/self/cmdline"
    if not os.path.exists(name):
        pytest.skip("no /proc")
    with open(name, "rb") as file:
        data = file.read()
    assert data and os.path.getsize(name) == 0
    assert serve(sending(lambda: open(name, "rb"))).get()[2] == data
    (tmp_path / "empty").touch()
    empty = serve(sending(lambda: open(str(tmp_path / "empty"), "rb")))
    status, headers, body = empty.get()
    assert (status, headers["content-length"], body) == (200, "0", b"")


def test_what_reading_gives_counts_not_what_lies_on_the_disk(serve, tmp_path):
    """A GzipFile has a fileno(), too: that of the compressed file."""
    name = str(tmp_path / "file.gz")
    with gzip.open(name, "wb") as file:
        file.write(DATA)

    class Upper(io.FileIO):
        def read(self, size=-1):
            return b"x" * len(super().read(size))

    assert serve(sending(lambda: gzip.open(name, "rb"))).get()[2] == DATA
    sizes = os.path.getsize(name)
    assert serve(sending(lambda: Upper(name))).get()[2] == b"x" * sizes


@pytest.mark.parametrize(
    "make", [tempfile.TemporaryFile, tempfile.NamedTemporaryFile]
)
def test_temporary_files_are_sent_with_what_was_just_written(serve, make):
    def written():
        file = make()
        file.write(DATA)
        file.seek(50)
        return file

    _, headers, body = serve(sending(written)).get()
    assert body == DATA[50:]
    assert headers["content-length"] == str(len(DATA) - 50)


@pytest.mark.parametrize(
    "mode, message", [("r", "binary mode"), ("ab", "read")]
)
def test_files_that_cannot_be_sent_are_a_500(
    caplog, serve, tmp_path, mode, message
):
    (tmp_path / "text").write_text("text")
    app = sending(lambda: open(str(tmp_path / "text"), mode))
    assert serve(app).get()[0] == 500
    assert message in caplog.text


def test_a_wrong_block_size_is_named_where_it_is_given(caplog, serve):
    assert serve(sending(io.BytesIO, block=0)).get()[0] == 500
    assert "block size must be positive" in caplog.text


class Counting:
    """A file that counts what is called."""

    def __init__(self, file, fails=False):
        self.file = file
        self.fails = fails
        self.closed = 0

    def read(self, size):
        if self.fails:
            raise OSError("disk on fire")
        return self.file.read(size)

    def close(self):
        self.closed += 1


def test_close_is_called_once(caplog, serve, eventually):
    for method in ("GET", "HEAD"):
        for fails in (False, True):
            file = Counting(io.BytesIO(DATA), fails)
            serve(sending(lambda: file)).get(method=method)
            eventually(lambda: file.closed)
            assert file.closed == 1
    assert "disk on fire" in caplog.text


class Patched:
    """As Django does: the file's own close() replaced."""

    def __init__(self, path):
        self.calls = []
        self.path = path

    def make(self):
        file = open(self.path, "rb")
        close = file.close

        def closing():
            self.calls.append(threading.current_thread().name)
            close()

        file.close = closing
        return file


class Slow:
    """A client that has asked and does not read."""

    def __init__(self, site):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(20)
        self.socket.connect(("127.0.0.1", site.port))
        self.socket = secure.wrapped(self.socket, site.tls)
        self.socket.sendall(
            b"GET /large HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
        )
        self.socket.recv(1)

    def count(self):
        total = 1
        while True:
            n = len(self.socket.recv(1 << 20))
            if n == 0:
                self.socket.close()
                return total
            total += n

    def reset(self):
        self.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.socket.close()


def test_a_slow_reader_of_a_file_holds_no_thread(serve, tmp_path, eventually):
    with open(str(tmp_path / "large"), "wb") as file:
        file.truncate(LARGE)
    patched = Patched(str(tmp_path / "large"))
    files = sending(patched.make)

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/large":
            return files(environ, start_response)
        start_response("200 OK", [])
        return [b"quick"]

    site = serve(app, threads=1)
    clients = [Slow(site) for _ in range(6)]
    for _ in range(5):
        assert site.get()[2] == b"quick"
    assert len(patched.calls) == 6
    for client in clients[:3]:
        assert client.count() > LARGE
    for client in clients[3:]:
        client.reset()
    assert site.get()[2] == b"quick"
    assert len(patched.calls) == 6


class Endings:
    """Results of every kind that has an end, and the threads that end them."""

    def __init__(self, path):
        self.path = path
        self.threads = []

    def note(self):
        self.threads.append(threading.get_ident())

    def file(self, wrapper):
        file = open(self.path, "rb")
        file.close = lambda close=file.close: (self.note(), close())
        return wrapper(file)

    def generator(self, wrapper):
        try:
            while True:
                yield bytes(65536)
        finally:
            self.note()

    def iterable(self, wrapper):
        class Result:
            __iter__ = [bytes(65536)].__iter__
            close = self.note

        return Result()

    def item(self, wrapper):
        class Item(bytes):
            __del__ = lambda item: self.note()  # noqa: E731

        return [Item(8 << 20)]


@pytest.mark.parametrize("kind", ["file", "generator", "iterable", "item"])
@pytest.mark.parametrize("leaves", [True, False])
def test_an_end_belongs_to_the_thread_of_its_request(
    serve, tmp_path, eventually, kind, leaves
):
    with open(str(tmp_path / "large"), "wb") as file:
        file.truncate(LARGE)
    endings = Endings(str(tmp_path / "large"))
    handlers = []

    def app(environ, start_response):
        handlers.append(threading.get_ident())
        start_response("200 OK", [("Connection", "close")])
        return getattr(endings, kind)(environ["wsgi.file_wrapper"])

    with serve(app).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.head()[0] == 200
        if not leaves and kind != "generator":
            client.rest()
    eventually(lambda: endings.threads)
    assert endings.threads == handlers


def test_a_server_that_stops_closes_the_files(serve, tmp_path, eventually):
    with open(str(tmp_path / "large"), "wb") as file:
        file.truncate(LARGE)
    patched = Patched(str(tmp_path / "large"))
    site = serve(sending(patched.make))
    client = Slow(site)
    site.server.stop(timeout=0)
    assert site.server.join(20)
    assert len(patched.calls) == 1
    client.socket.close()


def test_a_close_that_fails_is_logged(caplog, serve, path, eventually):
    def make():
        file = open(path, "rb")
        file.close = lambda: 1 / 0
        return file

    site = serve(sending(make))
    assert site.get()[2] == DATA
    eventually(lambda: "close() of the response failed" in caplog.text)
    assert "ZeroDivisionError" in caplog.text


def test_it_has_the_attributes_of_wsgirefs(serve, path):
    seen = []

    def app(environ, start_response):
        wrapper = environ["wsgi.file_wrapper"](open(path, "rb"), blksize=77)
        seen.append((wrapper.filelike.name, wrapper.blksize))
        start_response("200 OK", [])
        try:
            return [b"".join(wrapper)]
        finally:
            wrapper.close()
            seen.append(wrapper.filelike.closed)

    assert serve(app).get()[2] == DATA
    assert seen == [(path, 77), True]
