"""HTTP and WebSockets in records of TLS: how they are cut makes no difference,
and how a connection ends says whether all has come."""

import hashlib
import os
import struct
import threading

import pytest
from conftest import Raw
from patience import PATIENCE

CLOSE = b"Connection: close\r\n\r\n"
SIZES = [0, 1, 16383, 16384, 16385, 40000, 1 << 20]


@pytest.fixture
def site(serve):
    def start(app, **options):
        return serve(app, tls=True, **options)

    return start


def echo(environ, start_response):
    ws = environ.get("wsgi.websocket")
    if ws is not None:
        for message in ws:
            ws.send(message)
        return []
    body = environ["wsgi.input"].read()
    fields = [("Content-Length", str(len(body)))]
    start_response("200 OK", fields)
    return [body]


def post(body, *more):
    head = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n" % len(body)
    return head + b"".join(more or [b"\r\n"])


@pytest.mark.parametrize("piece", [1, 3, 100])
def test_a_handshake_in_small_segments(site, piece):
    with Raw(site(echo).port, True, piece=piece) as client:
        client.send(post(b"hello"), b"hello")
        assert client.response()[2] == b"hello"


@pytest.mark.parametrize("step", [1, 2, 7])
def test_a_request_in_small_records(site, step):
    data = post(b"hello world") + b"hello world"
    with site(echo).raw() as client:
        for _ in range(2):
            for at in range(0, len(data), step):
                client.send(data[at : at + step])
            assert client.response()[2] == b"hello world"


def test_many_requests_in_one_record(site):
    with site(echo).raw() as client:
        client.send(b"".join(post(b"%03d" % n) + b"%03d" % n for n in range(99)))
        for n in range(99):
            assert client.response()[2] == b"%03d" % n


@pytest.mark.parametrize("size", SIZES)
def test_bodies_of_every_size_come_back(site, size):
    body = os.urandom(size)
    with site(echo).raw() as client:
        for _ in range(2):
            client.send(post(body), body)
            assert client.response()[2] == body
        client.send(post(body, CLOSE), body)
        assert client.response()[2] == body
        assert client.rest() == b""
        assert client.socket.ended == "close_notify"


@pytest.mark.parametrize("size", SIZES)
def test_files_of_every_size_leave_whole(site, tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "file.bin").write_bytes(data)
    where = site(echo, static="/static=%s" % tmp_path)
    assert where.get("/static/file.bin")[2] == data


def test_much_travels_both_ways_at_once(site):
    """64 MiB each: nobody waits for the other with full buffers."""
    length = 64 << 20

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", str(length))])
        stream = environ["wsgi.input"]
        return iter(lambda: stream.read(1 << 16), b"")

    block = os.urandom(1 << 20)
    with site(app, buffer_body="never").raw() as client:

        def send():
            client.send(
                b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n"
                % length
            )
            for _ in range(length // len(block)):
                client.send(block)

        sender = threading.Thread(target=send)
        sender.start()
        assert client.head()[0] == 200
        got = hashlib.sha256()
        left = length
        while left:
            data = client.file.read(min(left, 1 << 20))
            assert data
            got.update(data)
            left -= len(data)
        sender.join()
    wanted = hashlib.sha256()
    for _ in range(length // len(block)):
        wanted.update(block)
    assert got.digest() == wanted.digest()


# -------------------------------------------------------------- the ends ---


def test_a_client_that_ends_its_direction_is_answered(site):
    with site(echo).raw() as client:
        client.send(post(b"hello"), b"hello")
        client.socket.shutdown(1)
        assert client.response()[2] == b"hello"
        assert client.rest() == b""
        assert client.socket.ended == "close_notify"


@pytest.mark.parametrize("notify", [True, False])
@pytest.mark.parametrize("buffered", ["always", "never"])
def test_a_body_that_is_cut_is_never_complete(site, notify, buffered):
    seen = []

    def app(environ, start_response):
        try:
            seen.append(environ["wsgi.input"].read())
        except OSError as exc:
            seen.append(type(exc).__name__)
            raise
        start_response("200 OK", [])
        return [b"all"]

    where = site(app, buffer_body=buffered)
    for body in (b"", b"some"):
        with where.raw() as client:
            client.send(post(b"more than that"), body)
            if notify:
                client.socket.shutdown(1)
            else:
                client.socket.socket.shutdown(1)
            rest = client.rest()
            assert not rest or rest.startswith(b"HTTP/1.1 400")
    assert where.stop()
    assert b"" not in seen and b"some" not in seen


@pytest.mark.parametrize("size", [10, 100000])
def test_an_answer_that_is_cut_does_not_end_well(site, size):
    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"x" * size
        raise ValueError("on purpose")

    for version in (b"1.0", b"1.1"):
        with site(app).raw() as client:
            client.send(b"GET / HTTP/%s\r\nHost: t\r\n\r\n" % version)
            client.rest()
            assert client.socket.ended in ("FIN", "reset")


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_an_answer_that_ends_with_the_connection_ends_well(site, version):
    def app(environ, start_response):
        start_response("200 OK", [("Connection", "close")])
        return (b"part %d\n" % n for n in range(5))

    with site(app).raw() as client:
        client.send(b"GET / HTTP/%s\r\nHost: t\r\n\r\n" % version)
        assert client.rest().count(b"part") == 5
        assert client.socket.ended == "close_notify"


def test_a_refusal_ends_well(site):
    with site(echo).raw() as client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert client.response()[0] == 400
        assert client.rest() == b""
        assert client.socket.ended == "close_notify"


def test_an_idle_connection_ends_well(site):
    with site(echo, keep_alive=0.3).raw() as client:
        client.send(post(b""))
        assert client.response()[0] == 200
        assert client.rest() == b""
        assert client.socket.ended == "close_notify"


# ------------------------------------------------------------ WebSockets ---


def opened(where):
    client = where.raw()
    client.send(
        b"GET / HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert client.head()[0] == 101
    return client


def frame(opcode, data):
    size = len(data)
    if size > 125:
        length = struct.pack(">BH", 0xFE, size)
    else:
        length = bytes([0x80 | size])
    return bytes([0x80 | opcode]) + length + bytes(4) + data


@pytest.mark.parametrize("step", [1, 5, 1000])
def test_a_message_in_small_records(site, step):
    message = os.urandom(3000)
    data = frame(2, message)
    with opened(site(echo)) as client:
        for at in range(0, len(data), step):
            client.send(data[at : at + step])
        assert client.file.read(4) == struct.pack(">BBH", 0x82, 126, 3000)
        assert client.file.read(3000) == message


def test_many_messages_in_one_record(site):
    with opened(site(echo)) as client:
        client.send(b"".join(frame(1, b"%04d" % n) for n in range(1000)))
        for n in range(1000):
            assert client.file.read(6) == b"\x81\x04%04d" % n


def test_a_closed_websocket_ends_well(site):
    with opened(site(echo)) as client:
        client.send(frame(8, struct.pack(">H", 1000)))
        assert client.rest() == b"\x88\x02\x03\xe8"
        assert client.socket.ended == "close_notify"


@pytest.mark.parametrize("notify", [True, False])
def test_a_websocket_without_a_close_is_1006(site, eventually, notify):
    codes = []

    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        for _ in ws:
            pass
        codes.append(ws.close_code)
        return []

    client = opened(site(app))
    client.send(frame(1, b"x"))
    if notify:
        client.socket.shutdown(1)
    else:
        client.socket.socket.shutdown(1)
    eventually(lambda: codes)
    assert codes == [1006]
    client.socket.settimeout(PATIENCE)
    client.socket.close()
