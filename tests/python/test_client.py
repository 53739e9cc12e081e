"""wsocket.connect() and `wsocket connect`, against our server, against
websockets', and against servers that answer wrongly."""

import base64
import contextlib
import hashlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest
import websockets.sync.server
import werkzeug.serving

import wsocket
from wsocket import HandshakeError, Server, WebSocketError, connect

OPTIONS = {"port": 0, "access_logfile": "none"}
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def echo(environ, start_response):
    ws = environ.get("wsgi.websocket")
    if ws is None or environ["PATH_INFO"] == "/no":
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"not you"]
    ws.protocols = ["chat"]
    for message in ws:
        if message == "close":
            ws.close(4000, "as told")
        elif message == "snow":
            ws.send("\u2603")
        else:
            ws.send(message)
    return []


@pytest.fixture(scope="module")
def url():
    with Server(echo, **OPTIONS) as server:
        yield "ws://127.0.0.1:%d" % server.port


MESSAGES = ["hi", "", b"", "é" * 300, b"\0\xff", b"x" * 1048576, "y" * 65536]


@pytest.mark.parametrize("compression", [True, "no-takeover", False])
def test_messages_of_every_kind_come_back(url, compression):
    with connect(url, compression=compression) as ws:
        assert ws.do_compress == bool(compression)
        for message in MESSAGES * 2:
            ws.send(message)
            assert ws.receive(timeout=30) == message
    assert (ws.close_code, ws.close_clean) == (1000, True)


def test_it_talks_to_the_server_of_websockets():
    def handler(ws):
        for message in ws:
            ws.send(message)

    with websockets.sync.server.serve(
        handler, "127.0.0.1", 0, max_size=None
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.socket.getsockname()[1]
        with connect("ws://127.0.0.1:%d/" % port) as ws:
            assert ws.do_compress
            for message in MESSAGES:
                ws.send(message)
                assert ws.receive(timeout=30) == message
        server.shutdown()
        thread.join()
    assert ws.close_clean


def test_iteration_ends_when_the_server_closes(url):
    with connect(url, subprotocols=["other", "chat"]) as ws:
        assert ws.protocol == "chat"
        ws.send("one")
        ws.send("close")
        assert list(ws) == ["one"]
        assert (ws.close_code, ws.close_reason) == (4000, "as told")
        with pytest.raises(WebSocketError):
            ws.receive()
        with pytest.raises(WebSocketError):
            ws.send("too late")


def test_receive_gives_up_in_time(url):
    with connect(url) as ws:
        with pytest.raises(TimeoutError):
            ws.receive(timeout=0.01)
        ws.send("still here")
        assert ws.receive(timeout=30) == "still here"


def test_a_longer_message_than_max_size_closes_with_1009(url):
    with connect(url, max_size=10) as ws:
        ws.send("x" * 11)
        assert ws.receive(timeout=30) is None
        assert ws.close_code == 1006  # 7.1.5: what we sent is not received


def test_a_refusal_shows_status_and_text(url):
    with pytest.raises(HandshakeError, match="403.*not you") as refused:
        connect(url + "/no")
    assert refused.value.status == 403
    assert refused.value.body == b"not you"


@pytest.mark.parametrize(
    "wrong", ["http://host/", "ws://", "/path", "ws://host/#part", "ws:host"]
)
def test_a_url_that_is_none_is_a_value_error(wrong):
    with pytest.raises(ValueError):
        connect(wrong)


@pytest.mark.parametrize(
    "headers",
    [
        {"X": "a\r\nY: b"},
        {"Sec-WebSocket-Key": "x"},
        {"Host": "elsewhere"},
        {"a b": "c"},
    ],
)
def test_headers_cannot_break_the_handshake(url, headers):
    with pytest.raises(ValueError):
        connect(url, headers=headers)


@pytest.mark.parametrize(
    "wrong",
    [
        {"subprotocols": ["a, b"]},
        {"subprotocols": [""]},
        {"subprotocols": ["a", "a"]},
        {"compression": "yes"},
        {"timeout": -1},
        {"timeout": float("nan")},
    ],
)
def test_an_argument_that_means_nothing_is_a_value_error(url, wrong):
    with pytest.raises(ValueError, match="connect|a timeout"):
        connect(url, **wrong)


@pytest.mark.parametrize("wrong", [{"port": 80}, {"threads": 4}])
def test_an_option_that_is_of_no_websocket_is_a_type_error(url, wrong):
    with pytest.raises(TypeError, match="ws_"):
        connect(url, **wrong)
    with pytest.raises(TypeError, match="ws_"):
        wsocket.WSocketApp(echo, **wrong)


def test_without_time_there_is_no_connection(url):
    with pytest.raises(TimeoutError, match="connect"):
        connect(url, timeout=0)


@pytest.mark.parametrize("timeout", [None, 1e300, float("inf")])
def test_there_may_be_more_time_than_a_system_counts(url, timeout):
    with connect(url, timeout=timeout) as ws:
        ws.send("hi")
        assert ws.receive(timeout=30) == "hi"


def test_a_name_and_password_in_the_url_are_sent():  # RFC 7617
    seen = []

    def app(environ, start_response):
        seen.append(environ["HTTP_AUTHORIZATION"])
        return []

    with Server(app, **OPTIONS) as server:
        at = "%%C3%%BCser:p%%40ss@127.0.0.1:%d/" % server.port
        with connect("ws://" + at) as ws:
            assert ws.receive(timeout=30) is None
        with connect("ws://" + at, headers={"authorization": "Own x"}) as ws:
            assert ws.receive(timeout=30) is None
    encoded = base64.b64encode("üser:p@ss".encode()).decode()
    assert seen == ["Basic " + encoded, "Own x"]


def test_headers_and_origin_are_sent():
    seen = []

    def app(environ, start_response):
        seen.append((environ["HTTP_X_ONE"], environ["HTTP_ORIGIN"]))
        seen.append(environ["PATH_INFO"] + "?" + environ["QUERY_STRING"])
        return []

    with Server(app, ws_origins="*", **OPTIONS) as server:
        url = "ws://127.0.0.1:%d/a%%20b?c=d" % server.port
        with connect(url, headers={"X-One": "1"}, origin="http://o") as ws:
            assert ws.receive(timeout=30) is None
    assert seen == [("1", "http://o"), "/a b?c=d"]


@contextlib.contextmanager
def answering(answer, heard=None):
    """A server for one connection; answer(key, client) is what it sends."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        with contextlib.suppress(OSError):
            client, _ = listener.accept()
            with client:
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = client.recv(4096)
                    if not piece:
                        return
                    head += piece
                key = head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
                for piece in answer(key, client):
                    client.sendall(piece)
                for octets in iter(lambda: client.recv(4096), b""):
                    if heard is not None:
                        heard.extend(octets)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield "ws://127.0.0.1:%d/" % listener.getsockname()[1]
    finally:
        listener.close()
        thread.join()


def accepted(key, *fields, frames=b""):
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: WebSocket",
        b"Connection: keep-alive, upgrade",
        b"Sec-WebSocket-Accept: " + accept,
        *fields,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + frames


def test_frames_may_come_with_the_answer_octet_by_octet():
    def answer(key, client):
        whole = accepted(key, frames=b"\x81\x02hi\x89\x01!\x82\x00\x88\x00")
        return [whole[i : i + 1] for i in range(len(whole))]

    with answering(answer) as url, connect(url, ws_close_timeout=0.1) as ws:
        assert list(ws) == ["hi", b""]
        assert ws.close_code == 1005


def test_pings_that_come_together_are_all_answered():  # RFC 6455 5.5.2
    sent = [b"%125d" % i for i in range(400)]
    pings = b"".join(b"\x89\x7d" + payload for payload in sent)
    heard = bytearray()

    def answer(key, client):
        return [accepted(key, frames=pings + b"\x88\x00")]

    with answering(answer, heard) as url:
        with connect(url, ws_close_timeout=0.1) as ws:
            assert ws.receive(timeout=30) is None
    size = 2 + 4 + 125
    frames = [heard[i : i + size] for i in range(0, 400 * size, size)]
    assert [
        bytes(octet ^ frame[2 + i % 4] for i, octet in enumerate(frame[6:]))
        for frame in frames
    ] == sent


def test_a_masked_frame_of_a_server_fails_with_1002():  # RFC 6455 5.1
    def answer(key, client):
        return [accepted(key, frames=b"\x81\x82\0\0\0\0hi")]

    with answering(answer) as url, connect(url, ws_close_timeout=0.1) as ws:
        assert ws.receive(timeout=30) is None
        assert (ws.close_code, ws.close_clean) == (1006, False)


WRONG = {
    "no HTTP": lambda key: [b"SSH-2.0-x\r\n"],
    "no 101": lambda key: [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"],
    "an accept for another key": lambda key: [accepted(b"x" * 24)],
    "two accepts": lambda key: [accepted(key, b"Sec-WebSocket-Accept: x")],
    "no upgrade": lambda key: [
        accepted(key).replace(b"Upgrade: W", b"Downgrade: W")
    ],
    "no connection": lambda key: [
        accepted(key).replace(b"Connection:", b"Conn:")
    ],
    "a protocol that was not offered": lambda key: [
        accepted(key, b"Sec-WebSocket-Protocol: b")
    ],
    "two protocols": lambda key: [
        accepted(
            key, b"Sec-WebSocket-Protocol: a", b"Sec-WebSocket-Protocol: a"
        )
    ],
    "an extension that is unknown": lambda key: [
        accepted(key, b"Sec-WebSocket-Extensions: x-gzip")
    ],
    "an extension twice": lambda key: [
        accepted(
            key,
            b"Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate",
        )
    ],
    "a window without its size": lambda key: [
        accepted(
            key,
            b"Sec-WebSocket-Extensions: "
            b"permessage-deflate; client_max_window_bits",
        )
    ],
    "a bare LF": lambda key: [accepted(key).replace(b"\r\n", b"\n")],
    "a space before the colon": lambda key: [accepted(key, b"X : y")],
    "an end without an answer": lambda key: [],
    "an endless head": lambda key: [b"HTTP/1.1 101 x\r\n", b"x" * 70000],
}


@pytest.mark.parametrize("name", WRONG)
def test_an_answer_that_breaks_a_rule_is_refused(name):  # RFC 6455 4.1
    def answer(key, client):
        pieces = WRONG[name](key)
        if name == "an end without an answer":
            raise OSError
        return pieces

    with answering(answer) as url:
        with pytest.raises((HandshakeError, ConnectionError)):
            connect(url, subprotocols=["a"], timeout=30)


REFUSALS = {
    "a length": b"Content-Length: 7\r\n\r\nnot you",
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n"
    b"3\r\nnot\r\n4;x=y\r\n you\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("framing", REFUSALS)
def test_a_refusal_ends_where_its_framing_says(framing):  # RFC 9112 6.3
    """Its server may keep the connection for the next request."""
    left = []

    def answer(key, client):
        client.settimeout(15)
        yield b"HTTP/1.1 403 Forbidden\r\n" + REFUSALS[framing]
        left.append(client.recv(1))  # without a word, before this times out

    with answering(answer) as url:
        with pytest.raises(HandshakeError, match="403.*not you") as refused:
            connect(url, timeout=30)
    assert left == [b""]
    assert refused.value.body == b"not you"


def test_a_redirection_is_told_and_not_followed():
    def answer(key, client):
        return [b"HTTP/1.1 302 Found\r\nLocation: ws://else/\r\n\r\n"]

    with answering(answer) as url:
        with pytest.raises(HandshakeError, match="ws://else/") as refused:
            connect(url, timeout=1)
    assert refused.value.status == 302


def test_answers_before_the_answer_are_skipped():  # RFC 9110 15.2
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"

    def answer(key, client):
        frames = b"\x81\x02hi\x88\x00"
        whole = b"HTTP/1.1 100 C\r\n\r\n" + hints
        whole += accepted(key, frames=frames)
        return [whole[:40], whole[40:]]

    with answering(answer) as url, connect(url, ws_close_timeout=0.1) as ws:
        assert list(ws) == ["hi"]


def test_answers_before_the_answer_without_end_are_refused():
    def answer(key, client):
        return [b"HTTP/1.1 100 C\r\n\r\n"] * 10000

    with answering(answer) as url:
        with pytest.raises((HandshakeError, ConnectionError)):
            connect(url, timeout=30)


def test_a_server_that_says_nothing_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = "ws://127.0.0.1:%d/" % listener.getsockname()[1]
        with pytest.raises(TimeoutError):
            connect(url, timeout=0.2)


MEGABYTE = b"x" * 1000000
WAYS_TO_SEND = {
    "send": lambda ws: ws.send(MEGABYTE * 8),
    "send_frame": lambda ws: ws.send_frame(MEGABYTE * 8, 2),
    "send_stream": lambda ws: ws.send_stream(MEGABYTE for _ in range(8)),
    "close": lambda ws: (ws.send_frame(MEGABYTE * 8, 2), ws.close()),
}


@pytest.mark.parametrize("way", WAYS_TO_SEND)
def test_a_signal_does_not_break_what_is_sent(way):  # PEP 475
    ticks = []
    go = threading.Event()

    def tick(number, frame):
        ticks.append(number)
        if len(ticks) == 5:
            go.set()

    def answer(key, client):
        yield accepted(key)
        go.wait(30)

    heard = bytearray()
    before = signal.signal(signal.SIGALRM, tick)
    try:
        with answering(answer, heard) as url:
            with connect(url, ws_close_timeout=0.1, compression=False) as ws:
                signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
                WAYS_TO_SEND[way](ws)
                assert ws.buffered_amount == 0
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    heads = 8 * 14 + 6 if way == "send_stream" else 14
    assert len(ticks) >= 5
    assert len(heard) == 8 * len(MEGABYTE) + heads + 8


class Timeout(BaseException):
    """As gevent's, in the middle of any call that waits."""


class Green:
    """A socket of a coroutine."""

    late = False

    def __init__(self, sock):
        self.sock = sock

    def __getattr__(self, name):
        return getattr(self.sock, name)

    def send(self, octets):
        if self.late:
            raise Timeout
        return self.sock.send(octets)


@pytest.mark.parametrize("way", WAYS_TO_SEND)
def test_what_interrupts_a_coroutine_comes_out_of_sending(url, way):
    address = url.rpartition(":")[2]
    sock = Green(socket.create_connection(("127.0.0.1", int(address))))
    ws = connect(url, sock=sock, ws_close_timeout=0.1)
    sock.late = True
    with pytest.raises(Timeout):
        WAYS_TO_SEND[way](ws)
    sock.late = False
    ws.close()
    sock.close()


@pytest.mark.parametrize("code", [2**70, -(2**70)])
def test_a_number_without_end_is_no_close_code(url, code):
    with connect(url) as ws:
        with pytest.raises(ValueError, match="cannot be sent"):
            ws.close(code)
        with pytest.raises(wsocket.ProtocolError, match="is no opcode"):
            ws.send_frame("x", code)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"]
        + ["-days", "2", "-subj", "/CN=test", "-out", cert, "-keyout", key]
        + ["-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )
    return cert, key


@pytest.fixture
def tls_url(certificate):
    """WSocketApp on werkzeug's server with TLS."""
    server = werkzeug.serving.make_server(
        "127.0.0.1",
        0,
        wsocket.WSocketApp(echo),
        threaded=True,
        ssl_context=certificate,
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield "wss://127.0.0.1:%d/" % server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_messages_travel_over_tls(tls_url, certificate):
    context = ssl.create_default_context(cafile=certificate[0])
    with connect(tls_url, ssl=context) as ws:
        for message in MESSAGES:
            ws.send(message)
            assert ws.receive(timeout=30) == message
        with pytest.raises(TimeoutError):
            ws.receive(timeout=0.01)
    assert ws.close_clean


def test_both_directions_of_tls_at_once(tls_url, certificate):
    """OpenSSL may not be read and written by two threads together."""
    context = ssl.create_default_context(cafile=certificate[0])
    with connect(tls_url, ssl=context, compression=False) as ws:

        def send():
            for n in range(300):
                ws.send(b"%d" % n * 1000)

        sender = threading.Thread(target=send)
        sender.start()
        for n in range(300):
            assert ws.receive(timeout=30) == b"%d" % n * 1000
        sender.join()
    assert ws.close_clean


def test_a_certificate_of_nobody_is_refused(tls_url):
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(tls_url)


def command(*args, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "wsocket", "connect", *args],
        capture_output=True,
        text=True,
        timeout=60,
        **kwargs,
    )


def test_the_command_works_in_a_pipe(url):
    done = command(url, input="one\ntwo\n", env=None)
    assert done.stdout.split() == ["one", "two"]
    assert (done.returncode, done.stderr) == (0, "")


def test_the_command_ends_when_its_input_is_no_text(url):
    done = subprocess.run(
        [sys.executable, "-m", "wsocket", "connect", url],
        input=b"one\na\xffb\n",
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert b"the input is not UTF-8" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_the_command_prints_what_the_terminal_cannot_show(url, encoding):
    done = command(
        url, input="snow\n", env={**os.environ, "PYTHONIOENCODING": encoding}
    )
    shown = "☃" if encoding == "utf-8" else "\\u2603"
    assert (done.stdout, done.stderr) == (shown + "\n", "")
    assert done.returncode == 0


def shell(line, url):
    """What a shell line says, with the command as $0 and the URL as $1."""
    words = "%s -m wsocket connect" % sys.executable
    return subprocess.run(
        ["sh", "-c", line.replace("CONNECT", words), "sh", url],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_command_without_an_input_ends(url):
    done = shell('CONNECT "$1" <&-', url)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_command_ends_quietly_when_nobody_reads_it(url):
    lines = "x" * 2000
    done = shell(
        "(for i in 1 2 3 4 5 6 7 8 9; do echo %s; done) |"
        ' CONNECT "$1" | head -c 1' % lines,
        url,
    )
    assert (done.stdout, done.stderr) == ("x", "")


@contextlib.contextmanager
def running(url):
    # A shell starts what runs in the background with interrupts ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "wsocket", "connect", url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    signal.signal(signal.SIGINT, before)
    with process:
        yield process
        process.kill()


def test_an_interrupt_ends_the_command_with_a_closing_handshake(url):
    with running(url) as process:
        process.stdin.write("hi\n")
        process.stdin.flush()
        assert process.stdout.readline() == "hi\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""


def test_an_interrupt_while_the_command_connects_ends_it_quietly():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = "ws://127.0.0.1:%d/" % listener.getsockname()[1]
        with running(url) as process:
            client, _ = listener.accept()
            with client:
                client.recv(4096)
                process.send_signal(signal.SIGINT)
                assert process.wait(30) == 130
            assert process.stderr.read() == ""


def test_the_command_tells_how_it_ended(url):
    closed = command(url, "--wait", "30", input="close\n")
    assert closed.returncode == 1
    assert "closed with 4000: as told" in closed.stderr
    refused = command(url + "/no", input="")
    assert refused.returncode == 2
    assert "403" in refused.stderr


SLOW_ECHO = """
import time, wsocket

def echo(environ, start_response):
    ws = environ["wsgi.websocket"]
    for message in ws:
        time.sleep(0.5)
        ws.send(message)
    return []

with wsocket.Server(echo, port=0, access_logfile="none") as server:
    print(server.port, flush=True)
    input()
"""


@contextlib.contextmanager
def slow_echo():
    with subprocess.Popen([sys.executable, "-c", SLOW_ECHO], text=True,
                          stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        yield "ws://127.0.0.1:" + process.stdout.readline().strip()
        process.stdin.write("\n")


def ends_well(pid, seconds):
    """Whether a child exits with 0; one that does not exit is killed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitpid(pid, os.WNOHANG) == (pid, 0):
            return True
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_receives_though_another_thread_was_about_to():
    interval = sys.getswitchinterval()
    with slow_echo() as url, connect(url) as ws:
        receiver = threading.Thread(target=ws.receive)
        receiver.start()
        ws.send("when its thread cannot have the GIL")
        sys.setswitchinterval(60)
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            pass
        pid = os.fork()
        if pid == 0:
            with connect(url) as own:
                own.send("hi")
                os._exit(own.receive() != "hi")
        sys.setswitchinterval(interval)
        receiver.join(30)
        assert ends_well(pid, 30)
