"""A plain request for a view that is made for WebSockets."""

import wsgiref.util

import pytest

import wsocket.middleware


def chat(environ, start_response):
    for message in environ["wsgi.websocket"]:
        environ["wsgi.websocket"].send(message)
    return []


HINT = "the request was no WebSocket"


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_it_is_told_what_is_expected(serve, caplog, version):  # RFC 9110 15.5.22
    with serve(chat).raw() as client:
        client.send(b"GET / HTTP/%b\r\nHost: t\r\n\r\n" % version)
        status, fields, body = client.response()
        assert (status, fields["upgrade"]) == (426, "websocket")
        assert b"WebSocket is expected" in body
        assert client.rest() == b""
    assert HINT in caplog.text and "Traceback" not in caplog.text


def test_also_when_a_head_was_ready(serve, caplog):
    def app(environ, start_response):
        start_response("200 OK", [])
        yield environ["wsgi.websocket"]

    assert serve(app).get()[0] == 426


def test_what_the_framework_catches_is_named_in_the_log(serve, caplog, capfd):
    flask = pytest.importorskip("flask")
    app = flask.Flask(__name__)
    # As it is where nobody has set up logging, which pytest has.
    app.logger.addHandler(flask.logging.default_handler)
    app.logger.propagate = False

    @app.route("/")
    def view():
        return str(flask.request.environ["wsgi.websocket"])

    assert serve(app).get()[0] == 500
    assert caplog.text.count(HINT) == 1


@pytest.mark.parametrize("app", [chat, lambda e, s: s("200 OK", []) and chat(e, s)])
def test_other_servers_say_so_too(caplog, app):
    told = []

    def start_response(status, headers, exc_info=None):
        told.append((status, dict(headers)))
        return told.append

    environ = {}
    wsgiref.util.setup_testing_defaults(environ)
    body = b"".join(wsocket.middleware.Middleware(app)(environ, start_response))
    assert told[-1][0] == "426 Upgrade Required"
    assert b"WebSocket is expected" in body and HINT in caplog.text


def test_get_is_none_as_before(serve):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [repr(environ.get("wsgi.websocket")).encode()]

    assert serve(app).get()[2] == b"None"


def fails(error):
    def app(environ, start_response):
        raise error

    return app


def fails_late(environ, start_response):
    start_response("200 OK", [])
    yield b"x"
    yield environ["wsgi.websocket"]


@pytest.mark.parametrize(
    "error",
    [
        KeyError("other"),
        KeyError(),
        KeyError("wsgi.websocket", 1),
        KeyError(("wsgi.websocket",)),
        LookupError("wsgi.websocket"),
        type("Own", (KeyError,), {})("wsgi.websocket"),
    ],
)
def test_another_error_is_a_500(serve, caplog, error):
    assert serve(fails(error)).get()[0] == 500
    assert HINT not in caplog.text and "Traceback" in caplog.text


def test_an_answer_that_has_begun_is_cut(serve, caplog, eventually):
    with serve(fails_late).raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.head()[0] == 200
        client.rest()
    eventually(lambda: "Traceback" in caplog.text)
