"""Topics: publish in one place, and every WebSocket that asked gets it."""

import gc
import os
import subprocess
import sys
import threading
import zlib

import pytest
from patience import PATIENCE, until

import wsocket
from wsocket import _wsocket



@pytest.fixture
def outbox():
    """wsocket.testing, and the state before it was imported again after."""
    from wsocket import testing

    _wsocket.set_outbox(testing.outbox)
    testing.outbox.clear()
    yield testing.outbox
    testing.outbox.clear()
    _wsocket.set_outbox(None)


def blocking(environ, start_response):
    """Each message is a line: +topic, -topic, !topic text, =text, ?"""
    ws = environ["wsgi.websocket"]
    for message in ws:
        obey(message, ws)
    return []


def obey(message, ws):
    topic, _, text = message[1:].partition(" ")
    if message[0] == "+":
        ws.subscribe(topic, *text.split())
    elif message[0] == "-":
        ws.send(str(ws.unsubscribe(topic)))
    elif message[0] == "!":
        assert wsocket.publish(topic, text) is True
    elif message[0] == "~":
        wsocket.publish(topic, text, exclude=ws)
    elif message[0] == "=":
        ws.send(message[1:])
    elif message[0] == "?":
        ws.send(" ".join(ws.topics))


def test_a_client_that_is_connected_gets_what_is_published(serve):
    def view(environ, start_response):
        ws = environ["wsgi.websocket"]
        ws.subscribe("all", environ["PATH_INFO"][1:] or None)
        ws.receive()
        return []

    site = serve(view)
    for i in range(100):
        with site.ws() as ws:
            wsocket.publish("all", str(i))
            assert ws.recv(PATIENCE) == str(i)
    with pytest.raises(Exception, match="500"):  # before any 101
        site.ws("/nonsense")
    until(lambda: wsocket.count("all") == 0)


def events():
    app = wsocket.WSocketApp()
    app.onmessage += obey
    return app


def framework():
    app = wsocket.Framework()

    @app.route("/")
    def view(environ, start_response):
        for message in environ["wsgi.websocket"]:
            obey(message, environ["wsgi.websocket"])
        return ""

    return app


KINDS = pytest.mark.parametrize(
    "app", [lambda: blocking, events, framework],
    ids=["blocking", "events", "framework"])


@KINDS
def test_a_publication_reaches_all_who_have_subscribed(serve, app):
    site = serve(app())
    with site.ws() as a, site.ws() as b, site.ws() as c:
        for ws in a, b:
            ws.send("+news")
        c.send("+other")
        until(lambda: wsocket.count("news") == 2 and wsocket.count("other"))
        assert wsocket.publish("news", "hello") is True
        assert wsocket.publish("news", b"\x00\xff") is True
        for ws in a, b:
            assert ws.recv(PATIENCE) == "hello"
            assert ws.recv(PATIENCE) == b"\x00\xff"
        a.send("~news from a")
        assert b.recv(PATIENCE) == "from a"
        a.send("=own")
        assert a.recv(PATIENCE) == "own"
        wsocket.publish(["other", "news"], "both")
        assert [ws.recv(PATIENCE) for ws in (a, b, c)] == ["both"] * 3
    until(lambda: wsocket.count("news") == 0)


@KINDS
def test_what_is_published_and_sent_keeps_its_order(serve, app):
    with serve(app()).ws() as ws:
        for line in ["!a early", "+a", "!a 1", "=2", "!a 3", "=4", "-a",
                     "!a late", "=5", "-a", "+b", "+c", "?"]:
            ws.send(line)
        got = [ws.recv(PATIENCE) for _ in range(8)]
        assert got == ["1", "2", "3", "4", "True", "5", "False", "b c"]


def test_a_plain_view_publishes(serve):
    def app(environ, start_response):
        if "wsgi.websocket" in environ:
            return blocking(environ, start_response)
        wsocket.publish("orders", environ["QUERY_STRING"])
        start_response("201 Created", [])
        return [b""]

    site = serve(app)
    with site.ws() as ws:
        ws.send("+orders")
        until(lambda: wsocket.count("orders") == 1)
        assert site.get("/?42")[0] == 201
        assert ws.recv(PATIENCE) == "42"


def test_subscribe_opens_the_websocket_and_survives_the_handler(serve):
    app = events()

    def view(environ, start_response):
        ws = environ["wsgi.websocket"]
        ws.subscribe("late")
        ws.attach(app)
        return []

    with serve(view).ws() as ws:
        until(lambda: wsocket.count("late") == 1)
        gc.collect()
        wsocket.publish("late", "here")
        assert ws.recv(PATIENCE) == "here"


def test_the_object_is_excluded_whoever_holds_it(serve):
    held = []

    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        ws.subscribe("t")
        held.append(ws)
        for _ in ws:
            pass
        return []

    site = serve(app)
    with site.ws() as a, site.ws() as b:
        until(lambda: len(held) == 2)
        wsocket.publish("t", "1", exclude=held[0])
        wsocket.publish("t", "2")
        got = sorted([a.recv(PATIENCE), b.recv(PATIENCE)])
        assert got == ["1", "2"]
        with pytest.raises(TypeError, match="exclude is a WebSocket"):
            wsocket.publish("t", "3", exclude="me")
    until(lambda: wsocket.count("t") == 0)
    with pytest.raises(wsocket.WebSocketError):
        held[0].subscribe("t")
    assert wsocket.count("t") == 0


@pytest.mark.parametrize("name", ["", "a\nb", "\x7f", "x" * 201, "\x85", "\ud800"])
def test_names_that_are_none_are_refused(serve, name):
    serve(blocking)
    with pytest.raises(ValueError):
        wsocket.publish(name, "x")
    with pytest.raises(ValueError):
        wsocket.count(name)
    with pytest.raises(ValueError):
        wsocket.listen(name)
    with pytest.raises(ValueError):
        wsocket.disconnect(name)


def test_mistakes_are_told(serve):
    seen = []

    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        for call in (
            lambda: ws.subscribe(b"x"),
            lambda: ws.subscribe("x", policy="later"),
            lambda: [ws.subscribe(str(i)) for i in range(4)],
        ):
            try:
                call()
            except Exception as error:
                seen.append(error)
        ws.send("done")
        return []

    with serve(app, topics_max=3, topic_message_max=100).ws() as ws:
        assert ws.recv(PATIENCE) == "done"
    assert [type(error) for error in seen] == [
        TypeError, ValueError, BlockingIOError]
    assert "topics_max" in str(seen[2])
    with pytest.raises(TypeError, match="a topic is a str, not bytes"):
        wsocket.publish(b"x", "y")
    with pytest.raises(ValueError, match="topic_message_max"):
        wsocket.publish("x", "y" * 101)
    with pytest.raises(ValueError, match="UTF-8"):
        wsocket.publish("x", b"\xff", binary=False)
    with pytest.raises(ValueError, match="no code"):
        wsocket.disconnect("x", 1005)
    assert wsocket.publish([], "x") is True
    assert wsocket.publish("nobody", "x") is True


@pytest.mark.parametrize("text", [
    "a", "policy=drop", "a policy=never", "a backlog=0", "a backlog=many",
    "a policy=drop more"])
def test_rules_for_topics_are_checked(text):
    with pytest.raises(ValueError, match="topics"):
        wsocket.Server(blocking, port=0, topics=[text])


def test_the_first_rule_that_fits_counts(serve):
    """A listener has no policy, but sees what the topic keeps."""
    rules = ["tick:* policy=latest backlog=1k", "* backlog=1m"]
    site = serve(blocking, topics=rules)
    with site.ws() as ws:
        ws.send("+tick:1")
        ws.send("+other")
        until(lambda: wsocket.count("tick:1") and wsocket.count("other"))
        small, large = wsocket.listen("tick:1"), wsocket.listen("other")
        for i in range(30):
            wsocket.publish(["tick:1", "other"], "%02d" % i * 50)
        with pytest.raises(OverflowError):
            next(small)
        assert next(large) == "00" * 50
        small.close()
        large.close()


def test_a_topic_is_disconnected(serve):
    site = serve(blocking)
    with site.ws() as a, site.ws() as b:
        a.send("+user:1")
        b.send("+user:2")
        until(lambda: wsocket.count("user:1") and wsocket.count("user:2"))
        wsocket.publish("user:1", "last")
        wsocket.disconnect("user:1", 4001, "signed out")
        assert a.recv(PATIENCE) == "last"
        with pytest.raises(Exception, match="4001.*signed out"):
            a.recv(PATIENCE)
        wsocket.publish("user:2", "on")
        assert b.recv(PATIENCE) == "on"


def test_a_crowd_gets_each_message_once_and_in_order(serve):
    """More than the publisher sends to by itself."""
    site = serve(events())
    crowd = [site.ws(ping_interval=None) for _ in range(80)]
    for ws in crowd:
        ws.send("+all")
    until(lambda: wsocket.count("all") == 80)
    texts = ["%d" % i for i in range(200)]
    for text in texts:
        wsocket.publish("all", text)
    for ws in crowd:
        assert [ws.recv(PATIENCE) for _ in texts] == texts
    for ws in crowd:
        ws.close()
    until(lambda: wsocket.count("all") == 0)


def test_copies_are_counted_exactly(serve):
    before = _wsocket.topic_stats()
    site = serve(events())
    with site.ws() as a, site.ws() as b:
        a.send("+x")
        b.send("+x")
        until(lambda: wsocket.count("x") == 2)
        for i in range(10):
            wsocket.publish("x", str(i))
        assert [b.recv(PATIENCE) for _ in range(10)][-1] == "9"
    until(lambda: wsocket.count("x") == 0)
    now = {k: v - before[k] for k, v in _wsocket.topic_stats().items()}
    assert (now["published"], now["owed"]) == (10, 20)
    assert now["passed"] + now["dropped"] + now["unread"] == 20


# ----------------------------------------------------------- compression ---


@pytest.mark.parametrize("level", ["fast", "6"])
@pytest.mark.parametrize("mode", ["no-takeover", "takeover"])
@pytest.mark.parametrize("window", [9, 12, 15])
def test_messages_of_both_kinds_are_read_by_zlib(serve, level, mode, window):
    """RFC 7692 7.1.1: behind a shared frame, which is compressed by itself, the
    next message of ours refers to nothing before it."""
    site = serve(blocking, ws_compression=mode, ws_compression_level=level)
    text = "the same words again and again, " * 20
    with site.raw() as client:
        client.send(
            b"GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Extensions: permessage-deflate; "
            b"server_max_window_bits=%d\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" % window)
        status, headers = client.head()
        assert status == 101 and "permessage-deflate" in str(headers)
        takeover = "server_no_context_takeover" not in str(headers)
        inflater = zlib.decompressobj(-window)

        def say(payload):
            data = payload.encode()
            head = (bytes([0x81, 0x80 | len(data)]) if len(data) < 126
                    else b"\x81\xfe" + len(data).to_bytes(2, "big"))
            client.send(head + bytes(4) + data)

        def hear():
            nonlocal inflater
            first, size = client.file.read(2)
            if size == 126:
                size = int.from_bytes(client.file.read(2), "big")
            payload = client.file.read(size)
            assert first & 0x40, "it is compressed"
            assert size < len(text) // 2
            if not takeover:
                inflater = zlib.decompressobj(-window)
            return inflater.decompress(payload + b"\0\0\xff\xff").decode()

        say("+t")
        until(lambda: wsocket.count("t") == 1)
        for i in range(5):
            say("=%d %s" % (i, text))
            assert hear() == "%d %s" % (i, text)
            wsocket.publish("t", "%d! %s" % (i, text))
            assert hear() == "%d! %s" % (i, text)
            wsocket.publish("t", "%d? %s" % (i, text))
            assert hear() == "%d? %s" % (i, text)
        wsocket.publish("t", text, do_compress=False)
        first, size = client.file.read(2)
        size = int.from_bytes(client.file.read(2), "big")
        assert first == 0x81 and client.file.read(size).decode() == text


def test_a_client_library_reads_shared_frames_among_others(serve):
    site = serve(events(), ws_compression="takeover")
    with site.ws(compression="deflate") as a, site.ws() as plain:
        for ws in a, plain:
            ws.send("+t")
        until(lambda: wsocket.count("t") == 2)
        for i in range(20):
            text = "round %d, " % i * 50
            wsocket.publish("t", text)
            a.send("=" + text)
            assert a.recv(PATIENCE) == text
            assert a.recv(PATIENCE) == text
            assert plain.recv(PATIENCE) == text


# -------------------------------------------------------------- listeners ---


def test_a_listener_hears_what_is_published(serve):
    serve(blocking)
    with wsocket.listen("a", "b", timeout=0.01) as heard:
        assert next(heard) is None
        wsocket.publish("a", "one")
        wsocket.publish(["a", "b"], b"two")
        assert next(heard) == "one"
        assert next(heard) == b"two"
        assert next(heard) is None
        assert wsocket.count("a") == 1
    assert wsocket.count("a") == 0
    assert list(heard) == []


def test_close_ends_a_listener_that_waits(serve):
    serve(blocking)
    heard, got = wsocket.listen("a"), []
    thread = threading.Thread(target=lambda: got.extend(heard))
    thread.start()
    wsocket.publish("a", "x")
    until(lambda: got == ["x"])
    heard.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_listener_that_is_too_slow_is_told_and_goes_on(serve):
    serve(blocking, topic_backlog=1000)
    heard = wsocket.listen("a")
    for i in range(50):
        wsocket.publish("a", "%d" % i)
    with pytest.raises(OverflowError):
        next(heard)
    rest = []
    for message in heard:
        rest.append(int(message))
        if message == "49":
            break
    assert rest == list(range(50 - len(rest), 50)) and 1 < len(rest) < 50
    heard.close()


def test_listeners_do_not_use_up_the_threads(serve):
    """Server-sent events: each waits in a handler."""

    def app(environ, start_response):
        if environ["PATH_INFO"] != "/events":
            start_response("200 OK", [("Content-Length", "2")])
            return [b"ok"]
        start_response("200 OK", [("Content-Type", "text/event-stream")])

        def stream():
            with wsocket.listen("news") as news:
                yield b": hello\n\n"
                for text in news:
                    yield ("data: %s\n\n" % text).encode()
                    if text == "end":
                        return

        return stream()

    site = serve(app, threads=2)
    clients = [site.raw() for _ in range(6)]
    for client in clients:
        client.send(b"GET /events HTTP/1.1\r\nHost: test\r\n\r\n")
        assert client.head()[0] == 200
    until(lambda: wsocket.count("news") == 6)
    assert site.get("/")[2] == b"ok"
    wsocket.publish("news", "one")
    wsocket.publish("news", "end")
    for client in clients:
        body = b"".join(iter(client.chunk, b""))
        assert body == b": hello\n\ndata: one\n\ndata: end\n\n"
        client.__exit__()


# ------------------------------------------------ elsewhere, and in tests ---


def test_the_outbox_has_what_was_published(outbox):
    assert wsocket.publish("a", "x") is True
    assert wsocket.publish(["a", "b"], b"y") is True
    assert outbox == [(("a",), "x", None), (("a", "b"), b"y", None)]
    with wsocket.listen("a", timeout=0) as heard:
        wsocket.publish("a", "z")
        assert next(heard) == "z"


RUN = "import wsocket\n%s"


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", RUN % code], capture_output=True, text=True,
        timeout=60)


def test_a_process_without_a_server_says_so():
    done = run_python("wsocket.publish('a', 'x')")
    assert "ConnectionError: publish: this process has no server" in done.stderr


def test_a_forked_child_publishes_to_its_parent(serve):
    with serve(blocking).ws() as client:
        client.send("+a")
        client.send("=there")
        assert client.recv() == "there"
        pid = os.fork()
        if pid == 0:
            try:
                wsocket.publish("a", "x")
            finally:
                os._exit(0)
        assert client.recv(20) == "x"
    os.waitpid(pid, 0)


def test_another_server_says_what_is_needed():
    done = run_python(
        "import threading, wsgiref.simple_server as s\n"
        "from wsocket import connect\n"
        "told = []\n"
        "def app(environ, start_response):\n"
        "    ws = environ['wsgi.websocket']\n"
        "    try:\n"
        "        ws.subscribe('a')\n"
        "    except RuntimeError as error:\n"
        "        ws.send(str(error))\n"
        "    return []\n"
        "server = s.make_server('127.0.0.1', 0, app,\n"
        "    wsocket.ThreadingWSGIServer, wsocket.FixedHandler)\n"
        "threading.Thread(target=server.handle_request, daemon=True).start()\n"
        "with connect('ws://127.0.0.1:%d/' % server.server_port) as ws:\n"
        "    print(ws.receive())\n")
    assert "topics need wsocket's own server or its gunicorn worker" in (
        done.stdout), done.stderr


def test_a_server_that_was_made_before_a_fork_serves_topics():
    done = run_python(
        "import os, sys\n"
        "def app(environ, start_response):\n"
        "    ws = environ['wsgi.websocket']\n"
        "    ws.subscribe('a')\n"
        "    ws.send('in')\n"
        "    for _ in ws: pass\n"
        "    return []\n"
        "server = wsocket.Server(app, port=0, access_logfile='none')\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    server.start()\n"
        "    with wsocket.connect('ws://127.0.0.1:%d/' % server.port) as ws:\n"
        "        assert ws.receive() == 'in'\n"
        "        wsocket.publish('a', 'x')\n"
        "        print(ws.receive(), flush=True)\n"
        "    server.stop()\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0)\n")
    assert done.stdout == "x\n", done.stderr


# ------------------------------------------------------------ many threads ---


@pytest.mark.parametrize("app", [lambda: blocking, events])
def test_numbers_come_once_and_in_order_while_others_come_and_go(serve, app):
    site, stop = serve(app()), threading.Event()
    topics = ["t%d" % i for i in range(5)]
    steady = [site.ws(ping_interval=None) for _ in range(12)]
    for ws in steady:
        for topic in topics:
            ws.send("+" + topic)
    until(lambda: all(wsocket.count(t) == len(steady) for t in topics))

    def churn():
        while not stop.is_set():
            with site.ws() as ws:
                for topic in topics:
                    ws.send("+" + topic)

    def publish(who):
        for i in range(150):
            wsocket.publish(topics[(who + i) % 5], "%d %d" % (who, i))

    churners = [threading.Thread(target=churn) for _ in range(2)]
    speakers = [
        threading.Thread(target=publish, args=(who,)) for who in range(4)]
    for thread in churners + speakers:
        thread.start()
    for ws in steady:
        heard = {who: [] for who in range(4)}
        for _ in range(4 * 150):
            who, number = map(int, ws.recv(PATIENCE).split())
            heard[who].append(number)
        assert all(heard[who] == list(range(150)) for who in heard)
    stop.set()
    for thread in churners + speakers:
        thread.join(PATIENCE)
    for ws in steady:
        ws.close()
    until(lambda: all(wsocket.count(t) == 0 for t in topics))


def test_a_publisher_in_an_event_does_not_wait_for_itself(serve):
    """Its topic has more subscribers than it sends to by itself, and a backlog
    that one message fills."""
    app = wsocket.WSocketApp()

    def onmessage(message, client):
        if message == "in":
            client.subscribe("all")
        else:
            for i in range(50):
                wsocket.publish("all", "%03d" % i + "x" * 500)

    app.onmessage += onmessage
    site = serve(app, topic_backlog=1000)
    crowd = [site.ws(ping_interval=None) for _ in range(70)]
    for ws in crowd:
        ws.send("in")
    until(lambda: wsocket.count("all") == len(crowd))
    crowd[0].send("go")
    for ws in crowd:
        got = [ws.recv(PATIENCE)[:3] for _ in range(50)]
        assert got == ["%03d" % i for i in range(50)]
        ws.close()
