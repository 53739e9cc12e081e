"""wsocket.testing: what the tests of an application get to see."""

import socket
import threading

import pytest

import wsocket
from wsocket import HandshakeError
from wsocket.testing import Client

pytestmark = pytest.mark.plain


@pytest.fixture(autouse=True)
def no_outbox():
    yield
    wsocket._wsocket.set_outbox(None)


def echo(environ, start_response):
    ws = environ["wsgi.websocket"]
    for message in ws:
        ws.send(message)
    return []


def test_a_view_answers_without_a_port(wsocket_client):
    with wsocket_client(echo).connect("/any") as ws:
        for message in ("text", b"\0", ""):
            ws.send(message)
            assert ws.receive(5) == message


def test_an_exception_of_the_view_is_the_tests(wsocket_client):
    def broken(environ, start_response):
        environ["wsgi.websocket"].receive()
        raise LookupError("no such room")

    with pytest.raises(LookupError, match="no such room"):
        with wsocket_client(broken).connect() as ws:
            ws.send("x")
            assert ws.receive(5) is None


def test_it_explains_the_assertion_that_it_breaks(wsocket_client):
    def broken(environ, start_response):
        environ["wsgi.websocket"].accept()
        raise LookupError("no such room")

    with pytest.raises(LookupError) as raised:
        with wsocket_client(broken).connect() as ws:
            assert ws.receive(5) == "welcome"
    assert isinstance(raised.value.__cause__, AssertionError)


def test_an_exception_before_the_handshake_is_the_tests(wsocket_client):
    def broken(environ, start_response):
        raise LookupError("no such room")

    with pytest.raises(LookupError):
        with wsocket_client(broken).connect():
            pass


def test_a_generator_is_a_view_too(wsocket_client):
    def late(environ, start_response):
        ws = environ["wsgi.websocket"]
        ws.send("hello")
        yield b""
        raise LookupError("late")

    with pytest.raises(LookupError, match="late"):
        with wsocket_client(late).connect() as ws:
            assert ws.receive(5) == "hello"


def test_a_refusal_says_how(wsocket_client):
    def refusing(environ, start_response):
        start_response("403 Forbidden", [("X-Why", "rights")])
        return [b"not you"]

    with pytest.raises(HandshakeError) as refused:
        with wsocket_client(refusing).connect():
            pass
    assert refused.value.status == 403
    assert refused.value.body == b"not you"


def test_the_environ_is_that_of_a_client(wsocket_client):
    seen = []

    def app(environ, start_response):
        seen.append({k: v for k, v in environ.items() if isinstance(v, str)})
        return echo(environ, start_response)

    client = wsocket_client(app)
    with client.connect("/a?b=c", headers=[("Cookie", "d=e")]) as ws:
        ws.send("x")
        assert ws.receive(5) == "x"
    with client.connect(address="192.0.2.1", subprotocols=["chat"]):
        pass
    one, two = seen
    assert (one["PATH_INFO"], one["QUERY_STRING"]) == ("/a", "b=c")
    assert (one["HTTP_COOKIE"], one["HTTP_HOST"]) == ("d=e", "testserver")
    assert (one["REMOTE_ADDR"], two["REMOTE_ADDR"]) == ("127.0.0.1", "192.0.2.1")
    assert two["HTTP_SEC_WEBSOCKET_PROTOCOL"] == "chat"
    assert not [k for k in one if "TEST" in k or "FORWARDED" in k]


def test_each_block_gets_the_error_of_its_own_view(wsocket_client):
    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        for message in ws:
            if message == "fail":
                raise LookupError
            ws.send(message)
        return []

    client = wsocket_client(app)
    with client.connect() as good:
        with pytest.raises(LookupError):
            with client.connect() as bad:
                bad.send("fail")
                assert bad.receive(5) is None
        good.send("still here")
        assert good.receive(5) == "still here"


def test_what_the_block_raises_goes_on(wsocket_client):
    with pytest.raises(ZeroDivisionError):
        with wsocket_client(echo).connect():
            raise ZeroDivisionError


def test_events_are_served_too(wsocket_client):
    app = wsocket.WSocketApp()
    app.onmessage += lambda message, client: client.send(message + "!")
    with wsocket_client(app).connect() as ws:
        ws.send("hello")
        assert ws.receive(5) == "hello!"


@pytest.mark.heavy
def test_a_view_that_does_not_return_is_told(monkeypatch):
    monkeypatch.setattr("wsocket.testing.PATIENCE", 0.1)
    release = threading.Event()

    def stuck(environ, start_response):
        environ["wsgi.websocket"].accept()
        release.wait(20)
        return []

    with Client(stuck) as client:
        with pytest.raises(TimeoutError, match="the view of /x does not return"):
            with client.connect("/x"):
                pass
        release.set()


def test_nothing_is_left_behind(wsocket_client, eventually):
    before = threading.active_count()
    client = Client(echo)
    path = client._path
    with client, client.connect() as ws:
        ws.send("x")
        assert ws.receive(5) == "x"
    with pytest.raises(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(path)
    eventually(lambda: threading.active_count() <= before)


def test_a_server_has_a_port_pages_and_websockets(wsocket_server):
    server = wsocket_server(echo, ws_max_size="1k")
    assert server.url == "http://127.0.0.1:%d" % server.port
    with server.connect() as ws:
        ws.send("x" * 2000)
        assert ws.receive(5) is None
        assert ws.close_code == 1009


def test_several_servers_run_at_once(wsocket_server):
    one, two = wsocket_server(echo), wsocket_server(echo)
    assert one.port != two.port


def test_what_is_published_is_seen_and_arrives(
    wsocket_client, wsocket_outbox, eventually
):
    def room(environ, start_response):
        ws = environ["wsgi.websocket"]
        ws.subscribe("room")
        for message in ws:
            wsocket.publish("room", message, exclude=ws)
        return []

    client = wsocket_client(room)
    with client.connect() as ann, client.connect() as bob:
        eventually(lambda: wsocket.count("room") == 2)
        bob.send("hello")
        assert ann.receive(5) == "hello"
    assert [row[:2] for row in wsocket_outbox] == [(("room",), "hello")]
