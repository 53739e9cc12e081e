"""Frameworks, and the programs that the old documentation shows."""

import pytest
from websockets.exceptions import InvalidStatus

from wsocket import WSocketApp, WebSocketError

# ----------------------------------------------------------------- Flask ---

flask = pytest.importorskip("flask")


def make_flask():
    app = flask.Flask("site")

    @app.route("/")
    def index():
        return "hello %s" % flask.request.args.get("name", "world")

    @app.route("/echo")
    def echo():
        websocket = flask.request.environ.get("wsgi.websocket")
        if websocket is None:
            return "a page"
        for message in websocket:
            websocket.send(message)
        return ""

    @app.route("/form", methods=["POST"])
    def form():
        upload = flask.request.files["file"]
        return "%s %d" % (flask.request.form["name"], len(upload.read()))

    @app.route("/stream")
    def stream():
        return flask.Response(str(i) for i in range(5))

    @app.route("/boom")
    def boom():
        environ = flask.request.environ
        if "wsgi.websocket" in environ:
            environ["wsgi.websocket"].accept()
        raise ValueError("broken")

    return app


@pytest.mark.parametrize("wrap", [lambda app: app, WSocketApp])
def test_flask_serves_pages_forms_and_streams(serve, wrap):
    site = serve(wrap(make_flask()))
    assert site.get("/?name=you")[2] == b"hello you"
    assert site.get("/nowhere")[0] == 404
    assert site.get("/stream")[2] == b"01234"
    boundary = "xyz"
    body = (
        '--%(b)s\r\nContent-Disposition: form-data; name="name"\r\n\r\nme\r\n'
        '--%(b)s\r\nContent-Disposition: form-data; name="file"; '
        'filename="f"\r\n\r\n%(data)s\r\n--%(b)s--\r\n'
        % {"b": boundary, "data": "x" * 200000}
    ).encode()
    kind = "Content-Type: multipart/form-data; boundary=" + boundary
    assert site.get("/form", kind, method="POST", body=body)[2] == b"me 200000"


@pytest.mark.parametrize("wrap", [lambda app: app, WSocketApp])
def test_a_plain_flask_view_serves_a_websocket(serve, wrap):
    site = serve(wrap(make_flask()))
    assert site.get("/echo")[2] == b"a page"
    with site.ws("/echo") as client:
        for message in ("h\xe9", b"bytes"):
            client.send(message)
            assert client.recv() == message


def test_flask_refuses_a_websocket_by_its_404(serve):
    with pytest.raises(InvalidStatus) as caught:
        serve(make_flask()).ws("/nowhere")
    assert caught.value.response.status_code == 404


def test_a_view_that_crashes_closes_with_1011(serve):
    with serve(make_flask()).ws("/boom") as client:
        with pytest.raises(Exception) as caught:
            client.recv()
    assert caught.value.rcvd.code == 1011


def test_other_applications_see_the_fields_as_they_came(serve):
    def app(environ, start_response):
        environ["wsgi.websocket"].send(environ["HTTP_CONNECTION"])
        return []

    with serve(app).ws() as client:
        assert client.recv() == "Upgrade"


# ---------------------------------------------------------------- Bottle ---


def test_the_bottle_program_of_the_documentation(serve):
    bottle = pytest.importorskip("bottle")
    app = bottle.Bottle()

    @app.route("/")
    def handle_websocket():
        wsock = bottle.request.environ.get("wsgi.websocket")
        if not wsock:
            return "Hello World!"
        while True:
            try:
                message = wsock.receive()
                if message is not None:
                    print("participator : " + message)
                    wsock.send("you : " + message)
                    wsock.send("got")
            except WebSocketError:
                break

    site = serve(WSocketApp(app))
    assert site.get()[2] == b"Hello World!"
    with site.ws() as client:
        client.send("hi")
        assert client.recv() == "you : hi"
        assert client.recv() == "got"


# ---------------------------------------------------- the old event program ---


def test_the_app_program_of_the_documentation(capsys, serve, eventually):
    left = []

    def on_close(self, message, client):
        print(repr(client) + " closed.")
        left.append((self, message))

    def on_connect(client):
        print(repr(client) + " connected")

    def on_message(message, client):
        print(repr(client) + " : " + repr(message))
        try:
            client.send("you said: " + message)
            client.send("got")
        except WebSocketError:
            on_close(None, message, client)

    app = WSocketApp()
    app.onconnect += on_connect
    app.onmessage += on_message
    app.onclose += on_close
    with serve(app).ws() as client:
        client.send("hi")
        assert client.recv() == "you said: hi"
        assert client.recv() == "got"
        client.close(1000, "bye")
    eventually(lambda: left)
    assert left == [(app, "bye")]
