"""What a WebSocket peer may make the server hold, do and wait for: each limit
from both sides. Frames are written by hand (RFC 6455 5.2)."""

import contextlib
import os
import re
import socket
import struct
import threading
import time

import pytest

import wsocket

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def frame(opcode, payload=b"", key=b"\x01\x02\x03\x04"):
    """A final frame; key None leaves it unmasked."""
    size, bit = len(payload), 0x80 if key else 0
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, bit | size)
    elif size < 65536:
        head = struct.pack("!BBH", 0x80 | opcode, bit | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, bit | 127, size)
    if key is None:
        return head + payload
    pattern = (key * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")
    return head + key + masked.to_bytes(size, "big")


def read_frame(client):
    """(opcode, payload); (None, b"") at the end."""
    head = client.file.read(2)
    if len(head) < 2:
        return None, b""
    size = head[1]
    if size >= 126:
        more = 2 if size == 126 else 8
        size = int.from_bytes(client.file.read(more), "big")
    return head[0] & 15, client.file.read(size)


def close_code(payload):
    return int.from_bytes(payload[:2], "big")


def open_raw(site, *frames):
    client = site.raw()
    client.send(HANDSHAKE, *frames)
    assert client.head()[0] == 101
    return client


def event_app(**handlers):
    app = wsocket.WSocketApp()
    for name, handler in handlers.items():
        setattr(app, name, handler)
    return app


def event_echo():
    return event_app(onmessage=lambda message, client: client.send(message))


def blocking_echo(environ, start_response):
    ws = environ["wsgi.websocket"]
    for message in ws:
        ws.send(message)
    return []


BOTH = pytest.mark.parametrize("echo", [event_echo, lambda: blocking_echo])


# -------------------------------------------------------- one at a time ---


@BOTH
def test_a_message_is_answered_before_the_broken_frame_behind_it(serve, echo):
    with open_raw(serve(echo())) as client:
        client.send(frame(TEXT, b"good"), b"\xf0\x80\0\0\0\0")
        assert read_frame(client) == (TEXT, b"good")
        opcode, payload = read_frame(client)
        assert (opcode, close_code(payload)) == (CLOSE, 1002)


@BOTH
def test_messages_that_come_together_are_answered_in_order(serve, echo):
    texts = [b"%d" % i + b"x" * (i % 200) for i in range(500)]
    with open_raw(serve(echo()), *[frame(TEXT, t) for t in texts]) as client:
        assert [read_frame(client)[1] for _ in texts] == texts


@BOTH
def test_text_that_is_no_utf8_closes_with_1007(serve, echo):
    """RFC 6455 8.1, also behind a good message in the same segment."""
    with open_raw(serve(echo())) as client:
        client.send(
            frame(TEXT, "grüße".encode()),
            frame(TEXT, b"\xed\xa0\x80"),
            frame(TEXT, b"never looked at"),
        )
        assert read_frame(client) == (TEXT, "grüße".encode())
        opcode, payload = read_frame(client)
        assert (opcode, close_code(payload)) == (CLOSE, 1007)
        assert read_frame(client) == (None, b"")


@BOTH
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 200000])
def test_a_message_of_any_size_comes_back(serve, echo, size):
    with open_raw(serve(echo())) as client:
        for opcode in (TEXT, BINARY):
            payload = bytes(i % 127 for i in range(size))
            client.send(frame(opcode, payload))
            assert read_frame(client) == (opcode, payload)


def test_a_ping_behind_a_message_is_answered_while_its_handler_blocks(serve):
    release = threading.Event()
    app = event_app(onmessage=lambda message, client: release.wait(20))
    with open_raw(serve(app)) as client:
        client.send(frame(TEXT, b"wait"), frame(PING, b"alive?"))
        assert read_frame(client) == (PONG, b"alive?")
        release.set()


# -------------------------------------------------------------- masking ---


def test_unmasked_frames_are_refused_unless_allowed(serve):
    """RFC 6455 5.1; ws_allow_unmasked."""
    plain = frame(TEXT, b"bare", key=None)
    with open_raw(serve(event_echo())) as client:
        client.send(plain)
        assert close_code(read_frame(client)[1]) == 1002
    with open_raw(serve(event_echo(), ws_allow_unmasked=True)) as client:
        client.send(
            plain,
            frame(TEXT, b"", key=None),
            frame(TEXT, b"masked"),
            frame(PING, b"p", key=None),
            frame(BINARY, b"b" * 70000, key=None),
        )
        assert read_frame(client) == (TEXT, b"bare")
        assert read_frame(client) == (TEXT, b"")
        assert read_frame(client) == (TEXT, b"masked")
        assert read_frame(client) == (PONG, b"p")
        assert read_frame(client) == (BINARY, b"b" * 70000)


# ------------------------------------------------------ waiting messages ---


def absent_handler(release, heard):
    """Sends "here", and receives only when it is told to."""

    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        ws.send("here")
        release.wait(20)
        heard.extend(ws)
        return []

    return app


@pytest.mark.parametrize("messages, answered", [(3, True), (4, False)])
def test_reading_pauses_when_ws_max_queue_messages_wait(
    serve, eventually, server_log, messages, answered
):
    release, heard = threading.Event(), []
    site = serve(absent_handler(release, heard), ws_max_queue=4)
    sent = [b"%d" % i for i in range(messages)]
    with open_raw(site) as client:
        assert read_frame(client) == (TEXT, b"here")
        client.send(*[frame(TEXT, text) for text in sent], frame(PING, b"p"))
        if not answered:
            client.socket.settimeout(0.5)
            with pytest.raises(socket.timeout):
                client.socket.recv(1)
            assert "1 since the start" in server_log("ws_max_queue (4)")
            client.socket.settimeout(20)
            release.set()
        assert read_frame(client) == (PONG, b"p")
        release.set()
        client.send(frame(CLOSE, b"\x03\xe8"))
        assert read_frame(client)[0] == CLOSE
    eventually(lambda: heard == [text.decode() for text in sent])


# ------------------------------------------------------------ slow readers ---

MEBI = b"m" * (1 << 20)


def open_burst(serve, count, **options):
    """The client of an event app that answers with `count` MiB, then "end"; it
    has read nothing when the app is through."""
    through = threading.Event()

    def onmessage(message, client):
        try:
            for _ in range(count):
                client.send(MEBI)
            client.send("end")
        finally:
            through.set()

    client = open_raw(serve(event_app(onmessage=onmessage), **options))
    client.send(frame(TEXT, b"go"))
    assert through.wait(20)
    return client


def read_burst(client):
    sizes = []
    while True:
        opcode, payload = read_frame(client)
        if opcode != BINARY:
            return sizes, opcode, payload
        sizes.append(len(payload))


def test_a_slow_reader_is_closed_with_1013_past_ws_send_max(serve):
    with open_burst(serve, 40, ws_send_max="4m") as client:
        sizes, opcode, payload = read_burst(client)
        assert (opcode, close_code(payload)) == (CLOSE, 1013)
        assert set(sizes) == {len(MEBI)} and 3 <= len(sizes) < 40
        assert read_frame(client) == (None, b"")


def test_below_ws_send_max_nothing_is_lost(serve):
    with open_burst(serve, 40, ws_send_max="64m") as client:
        assert read_burst(client) == ([len(MEBI)] * 40, TEXT, b"end")


def test_messages_for_a_slow_reader_are_dropped_where_the_policy_says_so(serve):
    options = {"ws_send_max": "4m", "ws_send_policy": "drop"}
    with open_burst(serve, 40, **options) as client:
        sizes, opcode, payload = read_burst(client)
        assert (opcode, payload) == (TEXT, b"end")  # so little found room
        assert set(sizes) == {len(MEBI)} and 3 <= len(sizes) < 40


def test_senders_that_wait_go_on_when_a_slow_reader_has_read(serve):
    sockets, done = [], threading.Event()

    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        ws.accept()
        sockets.append(ws)
        senders = [
            threading.Thread(
                target=lambda: [ws.send(b"x" * 1048576) for _ in range(10)]
            )
            for _ in range(4)
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        done.set()
        ws.receive()
        return []

    with open_raw(serve(app)) as client:
        assert not done.wait(0.3)
        # They are woken where 64 KiB wait; the kernel may have taken the rest.
        assert sockets[0].buffered_amount > 65536
        for _ in range(40):
            assert read_frame(client) == (BINARY, b"x" * 1048576)
        assert done.wait(20)
        assert sockets[0].buffered_amount == 0
        client.send(frame(CLOSE, b"\x03\xe8"))
        assert read_frame(client)[0] == CLOSE


def test_what_waits_in_events_leaves_as_a_slow_reader_reads(serve, eventually):
    clients = []

    def onmessage(message, client):
        clients.append(client)
        for _ in range(30):
            client.send(b"x" * 1048576)

    site = serve(event_app(onmessage=onmessage), ws_send_max="40m")
    with open_raw(site) as client:
        for _ in range(2):  # all comes back, so that it can be had again
            client.send(frame(TEXT, b"go"))
            eventually(lambda: clients and clients[-1].buffered_amount > 0)
            for _ in range(30):
                assert read_frame(client) == (BINARY, b"x" * 1048576)
            eventually(lambda: clients[-1].buffered_amount == 0)
            clients.clear()


def test_what_a_lost_reader_has_left_is_not_kept(serve, eventually):
    """Though the application keeps the object of the connection."""
    clients, ended = [], threading.Event()

    def onmessage(message, client):
        clients.append(client)
        for _ in range(30):
            client.send(b"x" * 1048576)

    app = event_app(
        onmessage=onmessage, onclose=lambda message, client: ended.set()
    )
    site = serve(app, ws_send_max="40m")
    with open_raw(site, frame(TEXT, b"go")) as client:
        eventually(lambda: clients and clients[0].buffered_amount > 0)
        linger = struct.pack("ii", 1, 0)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    assert ended.wait(20)
    eventually(lambda: clients[0].buffered_amount == 0)


def test_a_single_message_is_never_too_long_to_send(serve):
    big = b"b" * 300000
    app = event_app(onmessage=lambda message, client: client.send(big))
    with open_raw(serve(app, ws_send_max="64k")) as client:
        client.send(frame(TEXT, b"go"))
        assert read_frame(client) == (BINARY, big)


def test_the_log_says_which_limit_closes_a_slow_reader(serve, server_log):
    with open_burst(serve, 40, ws_send_max="4m") as client:
        said = server_log("ws_send_max (4194304)")
        read_burst(client)
    assert said.count("1013") == 1


def test_the_log_says_that_memory_limit_closes_websockets(serve, server_log):
    site = serve(event_echo(), memory_limit="300k")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(open_raw(site)) for _ in range(8)]
        for client in clients:
            client.send(frame(BINARY, b"x" * 100000)[:60000])
        said = server_log("memory_limit (307200)")
    assert "closed with 1013" in said


def test_the_log_says_which_limit_refuses_websockets(serve, server_log):
    site = serve(blocking_echo, max_parked=1)
    with open_raw(site), site.raw() as other:
        other.send(HANDSHAKE)
        assert other.head()[0] == 503
        assert "answered 503" in server_log("max_parked (1)")


@BOTH
def test_who_does_not_read_is_not_read_from_past_ws_send_limit(serve, echo):
    """An echo to a slow reader limits itself, and loses nothing."""
    site = serve(echo(), ws_send_limit="64k")
    message = frame(BINARY, b"x" * 65536)
    with open_raw(site) as client:
        client.socket.settimeout(1)
        sent = 0
        with pytest.raises(socket.timeout):
            for _ in range(2000):
                client.socket.sendall(message)
                sent += 1
        assert sent < 2000  # the kernel's buffers hold some


def floods(ended):
    """A handler and events that send far more than the kernel holds, and leave
    their WebSocket in `ended` when it has."""

    def handler(environ, start_response):
        ws = environ["wsgi.websocket"]
        try:
            while True:
                ws.send(b"x" * 65536)
        except wsocket.WebSocketError:
            ended["handler"] = ws
        return []

    def onmessage(message, client):
        for _ in range(200):
            client.send(b"x" * 65536)

    return handler, event_app(
        onmessage=onmessage,
        onclose=lambda message, client: ended.setdefault("events", client),
    )


@pytest.mark.slow
def test_who_never_reads_is_given_up_by_ws_ping_timeout(serve):
    """After 30 s in which no octet left; its sender goes on with an error."""
    ended = {}
    flood, events = floods(ended)
    options = {"ws_ping_interval": 0.5, "ws_ping_timeout": 0.5}
    with open_raw(serve(flood, **options)), open_raw(
        serve(events, **options), frame(TEXT, b"go")
    ):
        until = time.monotonic() + 90
        while len(ended) < 2 and time.monotonic() < until:
            time.sleep(0.2)
    assert set(ended) == {"handler", "events"}
    assert ended["events"].close_code == 1006


def test_who_never_reads_is_given_up_without_pings_too(serve, eventually):
    """Neither a sender that waits nor what events have sent is kept for ever."""
    ended = {}
    flood, events = floods(ended)
    options = {"ws_ping_interval": 0, "ws_ping_timeout": 0.5}
    with open_raw(serve(flood, **options)), open_raw(
        serve(events, **options), frame(TEXT, b"go")
    ):
        eventually(lambda: len(ended) == 2)
    assert [ws.close_code for ws in ended.values()] == [1006, 1006]


@pytest.mark.slow
def test_who_takes_nothing_is_given_up_where_no_option_says_when(serve):
    """After 30 s: without a time for pings, and while a Close cannot leave, be it
    the application's or that of a failure. All at once, for each takes as long,
    and once more where the kernel has moved octets until the first look."""
    ended, left = {}, {}
    flood, events = floods(ended)

    def ends(message, client):
        for _ in range(200):
            client.send(b"x" * 65536)
        client.close()
        left["closed"] = client

    def overflows(message, client):
        with pytest.raises(wsocket.WebSocketError):
            for _ in range(200):
                client.send(b"x" * 65536)
        left["failed"] = client

    silent = {"ws_ping_interval": 0, "ws_ping_timeout": 0}
    go = frame(TEXT, b"go")
    with open_raw(serve(flood, **silent)), open_raw(
        serve(events, **silent), go
    ), open_raw(serve(event_app(onmessage=ends)), go), open_raw(
        serve(event_app(onmessage=overflows), ws_send_max="1m"), go
    ):
        until = time.monotonic() + 150
        while len(left) < 2 and time.monotonic() < until:
            time.sleep(0.2)
        for client in left.values():
            assert client.buffered_amount > 0
        while time.monotonic() < until and (
            len(ended) < 2
            or any(client.buffered_amount > 0 for client in left.values())
        ):
            time.sleep(0.2)
    assert set(ended) == {"handler", "events"}
    assert [ws.close_code for ws in ended.values()] == [1006, 1006]
    assert [client.buffered_amount for client in left.values()] == [0, 0]


def test_a_reader_so_slow_that_the_kernel_says_nothing_is_not(serve):
    """What it has acknowledged counts; the kernel wakes us only when a third
    of its buffer is free."""
    app = event_app(onmessage=lambda message, client: client.send(MEBI * 8))
    site = serve(app, ws_ping_interval=0, ws_ping_timeout=2)
    with open_raw(site, frame(TEXT, b"go")) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        assert client.file.read(2) == b"\x82\x7f"
        got = 0
        for _ in range(50):
            got += len(client.file.read(16384))
            time.sleep(0.1)
        assert got + len(client.file.read(8 + len(MEBI * 8) - got)) == (
            8 + len(MEBI * 8)
        )


# -------------------------------------------------------------- ondrain ---


@pytest.mark.parametrize("patience", [0, 0.3])
def test_an_event_app_paces_a_stream_by_ondrain(serve, patience):
    """To a peer that reads at once, and to one that does not for a while."""
    piece, waited, drained = b"p" * 65536, [], []

    def pump(client):
        while client.left and not client.is_full:
            client.left -= 1
            client.send(b"%04d" % client.left + piece)
            waited.append(client.buffered_amount)

    def onmessage(message, client):
        client.left = 200
        pump(client)

    def ondrain(client):
        drained.append(client.left)
        pump(client)

    app = event_app(onmessage=onmessage, ondrain=ondrain)
    with open_raw(serve(app, ws_send_limit="256k")) as client:
        client.send(frame(TEXT, b"go"))
        time.sleep(patience)
        for left in reversed(range(200)):
            assert read_frame(client) == (BINARY, b"%04d" % left + piece)
    assert max(waited) <= 262144 + 4 + len(piece) + 10
    assert len(drained) == len(set(drained))  # never in vain
    assert drained or (not patience and max(waited) <= 262144)


def test_ondrain_comes_once_and_in_order_with_messages(serve, eventually):
    events, sent = [], threading.Event()

    def onmessage(message, client):
        events.append(message)
        if message == "much":
            for _ in range(12):
                client.send(MEBI)
            sent.set()

    app = event_app(
        onmessage=onmessage,
        ondrain=lambda client: events.append("drain"),
        onclose=lambda message, client: events.append("close"),
    )
    with open_raw(serve(app)) as client:
        client.send(frame(TEXT, b"little"), frame(TEXT, b"much"))
        assert sent.wait(20)  # the kernel holds much for those who read
        for _ in range(12):
            assert read_frame(client) == (BINARY, MEBI)
        eventually(lambda: events == ["little", "much", "drain"])
        client.send(frame(TEXT, b"little"), frame(CLOSE, b"\x03\xe8"))
        assert read_frame(client)[0] == CLOSE
    eventually(lambda: events[3:] == ["little", "close"])


def test_ondrain_comes_after_a_message_was_dropped(serve, eventually):
    drained, sent = [], threading.Event()

    def onmessage(message, client):
        for _ in range(40):
            client.send(MEBI)
        sent.set()

    options = {"ws_send_max": "256k", "ws_send_policy": "drop"}
    app = event_app(
        onmessage=onmessage,
        ondrain=lambda client: drained.append(client.buffered_amount),
    )
    with open_raw(serve(app, **options), frame(TEXT, b"go")) as client:
        assert sent.wait(20)
        assert read_frame(client) == (BINARY, MEBI)
        client.socket.settimeout(1)
        with contextlib.suppress(socket.timeout):
            while read_frame(client)[0] is not None:
                pass
        eventually(lambda: drained == [0])


def test_ondrain_never_comes_after_onclose(serve, eventually):
    events = []

    def onmessage(message, client):
        for _ in range(12):
            client.send(MEBI)
        events.append(client.is_full)

    app = event_app(
        onmessage=onmessage,
        ondrain=lambda client: events.append("drain"),
        onclose=lambda message, client: events.append("close"),
    )
    site = serve(app)
    with open_raw(site, frame(TEXT, b"go")):
        eventually(lambda: events)
    assert site.stop()
    assert events == [True, "close"]


def test_ondrain_comes_for_what_other_threads_send(serve, eventually):
    clients, drained = [], threading.Event()
    app = event_app(
        onconnect=clients.append, ondrain=lambda client: drained.set()
    )
    with open_raw(serve(app)) as client:
        eventually(lambda: clients)
        for _ in range(12):
            clients[0].send(MEBI)
        assert clients[0].is_full and not drained.is_set()
        for _ in range(12):
            assert read_frame(client) == (BINARY, MEBI)
        assert drained.wait(20)


def test_the_download_of_the_guide_is_whole(serve, monkeypatch):
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    with open(os.path.join(root, "docs/guide/app.md"), encoding="utf-8") as f:
        samples = re.findall(r"^```python\n(.*?)^```$", f.read(), re.S | re.M)
    ran = []
    monkeypatch.setattr(wsocket, "run", ran.append)
    exec(samples[-1], {"__name__": "sample"})
    with open_raw(serve(*ran, ws_close_timeout=0.1)) as client:
        said = client.rest()
    assert said.count(b"line ") == 300000
    assert said[-4 - len(b"line 299999\n"):-4] == b"line 299999\n"


# --------------------------------------------------------------- floods ---


@BOTH
def test_a_flood_of_pings_ends_with_the_newest_answered(serve, echo):
    """RFC 6455 5.5.3; nothing is read until all are sent."""
    with open_raw(serve(echo())) as client:

        def flood():
            for i in range(200):
                client.send(*[frame(PING, b"%d" % j) for j in range(500)])
            client.send(frame(PING, b"last"), frame(TEXT, b"still here"))

        sender = threading.Thread(target=flood)
        sender.start()
        pongs = 0
        while True:
            opcode, payload = read_frame(client)
            if opcode == TEXT:
                break
            assert opcode == PONG
            pongs += 1
            last = payload
        sender.join()
        assert payload == b"still here"
        assert last == b"last" or read_frame(client) == (PONG, b"last")
        assert pongs > 0


@BOTH
def test_pings_that_come_together_are_all_answered(serve, echo):
    """RFC 6455 5.5.2; more than may wait for a peer that does not read."""
    sent = [b"%125d" % i for i in range(400)]
    with open_raw(serve(echo())) as client:
        client.send(b"".join(frame(PING, payload) for payload in sent))
        assert [read_frame(client) for _ in sent] == [
            (PONG, payload) for payload in sent
        ]


def test_a_flood_of_closes_is_answered_once(serve):
    ended = []
    app = event_app(
        onmessage=lambda message, client: None,
        onclose=lambda message, client: ended.append(client.close_code),
    )
    site = serve(app)
    with open_raw(site) as client:
        client.send(*[frame(CLOSE, b"\x0f\xa0" + b"bye")] * 1000)
        opcode, payload = read_frame(client)
        assert (opcode, close_code(payload)) == (CLOSE, 4000)
        assert read_frame(client) == (None, b"")
    assert site.stop()
    assert ended == [4000]


def test_one_chatty_peer_does_not_keep_others_waiting(serve):
    site = serve(event_echo())
    over = threading.Event()

    def chatter():
        with open_raw(site) as client:
            block = frame(TEXT, b"chat") * 2000
            client.socket.setblocking(False)
            while not over.is_set():
                for act in (
                    lambda: client.socket.send(block),
                    lambda: client.socket.recv(1 << 16),
                ):
                    try:
                        act()
                    except BlockingIOError:
                        time.sleep(0.0001)

    thread = threading.Thread(target=chatter)
    thread.start()
    try:
        with open_raw(site) as client:
            for i in range(100):
                client.send(frame(TEXT, b"%d" % i))
                assert read_frame(client) == (TEXT, b"%d" % i)
    finally:
        over.set()
        thread.join()


# ---------------------------------------------------------------- silence ---


@pytest.mark.parametrize("answers", [False, True])
def test_a_silent_peer_gets_1011_and_the_application_1006(
    serve, eventually, answers
):
    """No octet comes after a ping: that is no end in order (RFC 6455 7.1.5).
    Any octet is a sign of life."""
    ended = []
    app = event_app(
        onmessage=lambda message, client: None,
        onclose=lambda message, client: ended.append(client.close_code),
    )
    site = serve(app, ws_ping_interval=0.1, ws_ping_timeout=0.5)
    with open_raw(site) as client:
        assert read_frame(client) == (PING, b"")
        for _ in range(10 if answers else 0):
            client.send(frame(TEXT, b"no pong, but alive"))
            assert read_frame(client) == (PING, b"")
        assert ended == []
        opcode, payload = read_frame(client)
        assert (opcode, close_code(payload)) == (CLOSE, 1011)
        assert read_frame(client) == (None, b"")
    eventually(lambda: ended == [1006])


@pytest.mark.parametrize("kind", ["events", "blocking"])
def test_the_deadline_stands_still_while_we_do_not_read(serve, kind):
    """The pongs stand behind messages that nobody fetches."""
    release = threading.Event()

    def onmessage(message, client):
        assert release.wait(20)
        client.send(message)

    def blocking(environ, start_response):
        ws = environ["wsgi.websocket"]
        ws.accept()
        assert release.wait(20)
        for message in ws:
            ws.send(message)
        return []

    app = event_app(onmessage=onmessage) if kind == "events" else blocking
    site = serve(
        app, ws_ping_interval=0.1, ws_ping_timeout=0.3, ws_max_queue=2
    )
    texts = [b"%d" % i for i in range(10)]
    with open_raw(site, *[frame(TEXT, text) for text in texts]) as client:
        time.sleep(1.2)  # several times what a silent peer is given
        release.set()
        heard = []
        while len(heard) < len(texts):
            opcode, payload = read_frame(client)
            if opcode == PING:
                client.send(frame(PONG, payload))
            else:
                assert opcode == TEXT
                heard.append(payload)
        assert heard == texts


# ----------------------------------------------------------------- stopping ---


@pytest.mark.parametrize("peers", [3, 200])
def test_every_peer_is_told_1001_when_the_server_stops(serve, peers):
    """RFC 6455 7.4.1; more than 128 are told one after the other."""
    ended = []
    app = event_app(
        onmessage=lambda message, client: client.send(message),
        onclose=lambda message, client: ended.append(client.close_clean),
    )
    site = serve(app)
    clients = [open_raw(site, frame(TEXT, b"hi")) for _ in range(peers)]
    for client in clients:
        assert read_frame(client) == (TEXT, b"hi")
    site.server.stop()
    for client in clients:
        opcode, payload = read_frame(client)
        assert (opcode, close_code(payload)) == (CLOSE, 1001)
        client.send(frame(CLOSE, payload))
        assert read_frame(client) == (None, b"")
        client.__exit__()
    assert site.stop()
    assert ended == [True] * peers
