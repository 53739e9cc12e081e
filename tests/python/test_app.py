"""WSocketApp: events, the middleware form, and the demo."""

import contextlib
import threading

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from wsocket import Event, WebSocket, WebSocketError, WSocketApp


class Recorder:
    """An app whose handlers write down what happens."""

    def __init__(self):
        self.heard = []
        self.clients = []
        self.closed = threading.Event()
        self.app = WSocketApp()
        self.app.onconnect += self.connect
        self.app.onmessage += self.message
        self.app.onclose += self.close

    def connect(self, client):
        self.clients.append(client)
        self.heard.append("connect")

    def message(self, message, client):
        assert client is self.clients[-1]
        self.heard.append(message)

    def close(self, message, client):
        assert client is self.clients[-1]
        self.heard.append(("close", message, client.close_code))
        self.closed.set()


def closing_code(client):
    with pytest.raises(ConnectionClosed) as caught:
        client.recv()
    return caught.value.rcvd.code


# ---------------------------------------------------------------- events ---


def test_events_come_in_order_and_close_once(serve):
    recorder = Recorder()
    with serve(recorder.app).ws() as client:
        for i in range(100):
            client.send(str(i))
        client.send(b"bytes")
        client.close(4000, "done")
    assert recorder.closed.wait(20)
    expected = ["connect", *map(str, range(100)), b"bytes"]
    assert recorder.heard == expected + [("close", "done", 4000)]


def test_a_lost_client_closes_too(serve):
    recorder = Recorder()
    client = serve(recorder.app).ws()
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(client)
        client.send("hello")
        client.socket.close()
    assert recorder.closed.wait(20)
    assert recorder.heard == ["connect", "hello", ("close", "", 1006)]


def test_stopping_closes_the_clients(serve):
    recorder = Recorder()
    site = serve(recorder.app)
    with site.ws() as client:
        client.send("hello")
        site.server.stop()
        assert closing_code(client) == 1001
    assert site.server.join(20)
    assert recorder.heard[-1] == ("close", "stop", 1001)


def test_handlers_may_send_and_close(serve):
    app = WSocketApp()
    app.onconnect += lambda client: client.send("welcome")

    def on_message(message, client):
        client.send("you said: " + message)
        client.close(4001, "enough")

    app.onmessage += on_message
    with serve(app).ws() as client:
        assert client.recv() == "welcome"
        client.send("hi")
        assert client.recv() == "you said: hi"
        assert closing_code(client) == 4001


def test_idle_clients_need_no_thread(serve):
    app = WSocketApp()
    app.onmessage += lambda message, client: client.send(message)
    site = serve(app)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(site.ws()) for _ in range(50)]
        for client in clients:
            client.send("x")
            assert client.recv() == "x"
        ours = [t for t in threading.enumerate() if "wsocket-" in t.name]
        assert len(ours) < 20


def test_a_message_to_everybody(serve):
    app, clients = WSocketApp(), []
    app.onconnect += clients.append
    app.onclose += lambda message, client: clients.remove(client)

    def on_message(message, client):
        for other in clients:
            other.send(message)

    app.onmessage += on_message
    site = serve(app)
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(site.ws()) for _ in range(5)]
        for listener in listeners:
            listener.ping().wait(20)
        listeners[0].send("news")
        assert [listener.recv() for listener in listeners] == ["news"] * 5


@pytest.mark.parametrize("event", ["onconnect", "onmessage"])
def test_an_error_is_logged_and_closes_with_1011(caplog, serve, event):
    recorder = Recorder()

    def fail(*args):
        raise ValueError("broken")

    setattr(recorder.app, event, Event(getattr(recorder, event[2:]), fail))
    with serve(recorder.app).ws() as client:
        if event == "onmessage":
            client.send("x")
        assert closing_code(client) == 1011
    assert recorder.closed.wait(20)
    assert "ValueError: broken" in caplog.text
    assert recorder.heard.count(("close", "", 1011)) == 1


def test_an_event_for_a_client_that_left_is_no_error(caplog, serve):
    recorder = Recorder()

    def close(message, client):
        recorder.close(message, client)
        client.send("good bye")

    recorder.app.onclose = close
    site = serve(recorder.app)
    with site.ws():
        pass
    assert recorder.closed.wait(20)
    assert site.stop()
    assert "WebSocketError" not in caplog.text


def test_an_error_in_onclose_is_logged(caplog, serve):
    recorder = Recorder()

    def fail(message, client):
        raise ValueError("broken")

    recorder.app.onclose = Event(fail, recorder.close)
    site = serve(recorder.app)
    with site.ws():
        pass
    assert recorder.closed.wait(20)
    assert site.stop()
    assert "ValueError: broken" in caplog.text


def test_handlers_may_be_replaced_while_clients_are_there(serve):
    app = WSocketApp()
    app.onmessage = lambda message, client: client.send("old")
    with serve(app).ws() as client:
        client.send("x")
        assert client.recv() == "old"
        app.onmessage = lambda message, client: client.send("new")
        client.send("x")
        assert client.recv() == "new"


def test_the_client_object_knows_its_request(serve):
    app, seen = WSocketApp(protocols=["chat"]), threading.Event()
    told = {}

    def on_connect(client):
        client.environ["mine"] = 1
        told.update(path=client.path, protocol=client.protocol, same=client)

    def on_message(message, client):
        told["environ"] = client.environ
        told["same"] = told["same"] is client
        with pytest.raises(WebSocketError):
            client.receive()
        seen.set()

    app.onconnect += on_connect
    app.onmessage += on_message
    with serve(app).ws("/room?x=1", subprotocols=["chat"]) as client:
        client.send("x")
        assert seen.wait(20)
    assert (told["path"], told["protocol"]) == ("/room", "chat")
    assert told["same"] is True
    assert told["environ"]["mine"] == 1
    assert told["environ"]["QUERY_STRING"] == "x=1"


def test_a_thread_of_the_application_may_ask_for_environ_first(serve):
    app, told, asked = WSocketApp(), [], threading.Event()

    def ask(client):
        told.append(client.environ)
        told.append(client.environ)
        asked.set()

    def on_message(message, client):
        if message == "elsewhere":
            threading.Thread(target=ask, args=(client,)).start()
            assert asked.wait(20)
        else:
            told.append(client.environ)
        client.send("done")

    app.onmessage += on_message
    site = serve(app)
    for message in "elsewhere", "here":
        with site.ws("/room?x=1", additional_headers={"X-A": "b"}) as client:
            client.send(message)
            assert client.recv() == "done"
    first, again, here = told
    assert first is again
    assert first["HTTP_X_A"] == here["HTTP_X_A"] == "b"
    own = {"REMOTE_PORT", "HTTP_SEC_WEBSOCKET_KEY", "wsgi.input",
           "wsgi.websocket"}
    assert {k: v for k, v in first.items() if k not in own} == {
        k: v for k, v in here.items() if k not in own}


@pytest.mark.parametrize("way", ["middleware", "subclass", "wrapped"])
def test_what_a_middleware_puts_into_environ_reaches_the_events(serve, way):
    class Seen(WSocketApp):
        def __call__(self, environ, start_response):
            environ["user"] = "ann"
            return super().__call__(environ, start_response)

    inner = Seen() if way == "subclass" else WSocketApp()
    inner.onmessage = lambda message, client: client.send(
        client.environ["user"] + client.environ["QUERY_STRING"]
    )

    def middleware(environ, start_response):
        environ["user"] = "ann"
        return inner(environ, start_response)

    app = inner if way == "subclass" else middleware
    if way == "wrapped":
        app = WSocketApp(middleware)
    with serve(app).ws("/?x") as client:
        client.send("who am I?")
        assert client.recv() == "annx"


def test_a_handler_that_waits_stops_no_other_client(serve):
    app, go_on = WSocketApp(), threading.Event()

    def on_message(message, client):
        if message == "wait":
            assert go_on.wait(20)
        client.send(message)

    app.onmessage += on_message
    site = serve(app)
    with site.ws() as slow, site.ws() as fast:
        slow.send("wait")
        for _ in range(5):
            fast.send("x")
            assert fast.recv() == "x"
        go_on.set()
        assert slow.recv() == "wait"


def test_the_handlers_of_a_class(serve):
    class Chat(WSocketApp):
        def onconnect(self, client):
            client.send("hello")

        def onmessage(self, message, client):
            client.send(message.upper())

    with serve(Chat()).ws() as client:
        assert client.recv() == "hello"
        client.send("abc")
        assert client.recv() == "ABC"


@pytest.mark.parametrize("way", ["argument", "method", "assigned"])
def test_a_hook_may_refuse_a_websocket_or_add_to_the_101(serve, way):
    def on_handshake(environ):
        environ["user"] = environ["QUERY_STRING"]
        if environ["QUERY_STRING"] != "ann":
            return 401, [("X-Why", "no")], "who are you?"
        return {"X-User": "ann"}

    class Own(WSocketApp):
        def on_handshake(self, environ):
            return on_handshake(environ)

    if way == "argument":
        app = WSocketApp(on_handshake=on_handshake)
    else:
        app = Own() if way == "method" else WSocketApp()
    if way == "assigned":
        app.on_handshake = on_handshake
    app.onmessage += lambda message, client: client.send(client.environ["user"])
    site = serve(app)
    with site.ws("/?ann") as client:
        assert client.response.headers["X-User"] == "ann"
        client.send("who am I?")
        assert client.recv() == "ann"
    with pytest.raises(InvalidStatus) as caught:
        site.ws("/?bob")
    assert caught.value.response.status_code == 401
    assert caught.value.response.headers["X-Why"] == "no"


# ------------------------------------------------------------ attributes ---


def test_assignment_replaces_all_handlers():
    app = WSocketApp()
    assert not app.onmessage
    app.onmessage += print
    app.onmessage = repr
    assert list(app.onmessage) == [repr]
    app.onmessage = None
    assert list(app.onmessage) == []
    with pytest.raises(TypeError):
        app.onmessage = 5


def test_an_event_belongs_to_its_app():
    one, two = WSocketApp(), WSocketApp()
    one.onmessage += print
    assert not two.onmessage
    assert one.onmessage.owner is one
    two.onclose = Event(print)
    assert two.onclose.owner is two


@pytest.mark.parametrize(
    "args, kwargs, protocols",
    [
        ((), {}, []),
        ((None, "a"), {}, ["a"]),
        ((None, ["a", "b"]), {}, ["a", "b"]),
        ((), {"protocol": "a"}, ["a"]),
        ((), {"protocols": ("a", "b")}, ["a", "b"]),
    ],
)
def test_subprotocols_may_be_given_in_several_ways(args, kwargs, protocols):
    assert WSocketApp(*args, **kwargs).protocols == protocols


def test_the_class_of_the_clients_may_be_chosen(serve):
    class Mine(WebSocket):
        def shout(self, text):
            self.send(text.upper())

    app = WSocketApp()
    app.websocket_class = Mine
    app.onmessage += lambda message, client: client.shout(message)
    with serve(app).ws() as client:
        client.send("abc")
        assert client.recv() == "ABC"


# ------------------------------------------------------------ middleware ---


def plain(environ, start_response):
    websocket = environ.get("wsgi.websocket")
    if websocket is not None:
        websocket.send("from the app, by %s" % websocket.protocol)
        return []
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"plain"]


def test_it_wraps_an_application(serve):
    site = serve(WSocketApp(plain, "chat"))
    assert site.get()[2] == b"plain"
    with site.ws(subprotocols=["x", "chat"]) as client:
        assert client.subprotocol == "chat"
        assert client.recv() == "from the app, by chat"


def test_it_may_be_wrapped_again(serve):
    with serve(WSocketApp(WSocketApp(plain))).ws() as client:
        assert client.recv() == "from the app, by None"


def test_events_take_the_sockets_and_the_app_the_pages(serve):
    app = WSocketApp(plain)
    app.onmessage += lambda message, client: client.send("event")
    site = serve(app)
    assert site.get()[2] == b"plain"
    with site.ws() as client:
        client.send("x")
        assert client.recv() == "event"


def test_a_wrapped_application_may_refuse(serve):
    def app(environ, start_response):
        start_response("403 Forbidden", [])
        return [b"no"]

    with pytest.raises(InvalidStatus):
        serve(WSocketApp(app)).ws()


def test_events_alone_have_no_pages(serve):
    app = WSocketApp()
    app.onmessage += print
    assert serve(app).get()[0] == 404


# ------------------------------------------------------------------ demo ---


def test_without_anything_it_is_an_echo_with_a_page(serve):
    site = serve(WSocketApp())
    status, headers, page = site.get("/")
    assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert b"<title>wsocket" in page
    for message in ("h\xe9", b"bytes", ""):
        with site.ws("/anywhere") as client:
            client.send(message)
            assert client.recv() == message


def test_the_demo_page_asks_for_nothing_from_elsewhere(serve):
    page = serve(WSocketApp()).get("/")[2].decode()
    assert "http://" not in page and "https://" not in page


def test_the_demo_answers_other_requests_properly(serve):
    site = serve(WSocketApp())
    assert site.get("/", method="HEAD")[0] == 200
    assert site.get("/favicon.ico")[0] == 404
    status, headers, _ = site.get("/", method="POST", body=b"x")
    assert (status, headers["allow"]) == (405, "GET, HEAD")
