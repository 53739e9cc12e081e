"""Plain rules of Werkzeug's maps serve WebSockets, whatever stands around them:
Werkzeug's own decision is changed (ws_hide_upgrade), not the request."""

import contextlib
import functools
import subprocess
import sys
import threading
import types
import wsgiref.simple_server

import pytest
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import Map, RequestRedirect, Rule, WebsocketMismatch
from werkzeug.test import create_environ
from websockets.exceptions import InvalidMessage, InvalidStatus
from websockets.sync.client import connect

from wsocket import WSocketApp, _werkzeug
from wsocket.middleware import Middleware

flask = pytest.importorskip("flask")


ATTEMPT = (
    b"GET %b HTTP/1.1\r\nHost: site\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def make_site(**options):
    """A plain rule and one for WebSockets, as flask-sock makes them."""
    app = flask.Flask("site", **options)

    def view(path=""):
        environ = flask.request.environ
        websocket = environ.get("wsgi.websocket")
        if websocket is None:
            return "a page"
        websocket.send(
            "%s|%s|%s"
            % (
                flask.request.url_rule.rule,
                environ["HTTP_UPGRADE"],
                environ["HTTP_CONNECTION"],
            )
        )
        return ""

    app.add_url_rule("/plain", "plain", view)
    app.add_url_rule("/slash/", "slash", view)
    app.url_map.add(Rule("/sock", endpoint="sock", websocket=True))
    app.view_functions["sock"] = view
    app.view_functions["page"] = view
    return app


def with_catch_all():
    app = make_site()
    app.url_map.add(Rule("/", endpoint="page", defaults={"path": ""}))
    app.url_map.add(Rule("/<path:path>", endpoint="page"))
    return app


def with_files_everywhere():
    return make_site(static_url_path="")


class Wrapped:
    """A middleware that keeps the application under a name of its own."""

    def __init__(self, wsgi):
        self.wsgi = wsgi

    def __call__(self, environ, start_response):
        return self.wsgi(environ, start_response)


def prefixed(app, copy=dict):
    def middleware(environ, start_response):
        environ = copy(environ)
        environ["SCRIPT_NAME"] = "/api"
        environ["PATH_INFO"] = environ["PATH_INFO"][len("/api") :]
        return app(environ, start_response)

    return middleware


def inside(app, wrap):
    app.wsgi_app = wrap(app.wsgi_app)
    return app


def without_mark(environ):
    return {k: v for k, v in environ.items() if k != _werkzeug.MARK}


AROUND = {
    "nothing": (lambda app: app, ""),
    "a bound method": (lambda app: app.wsgi_app, ""),
    "a closure": (lambda app: lambda e, s: app(e, s), ""),
    "a partial": (functools.partial, ""),
    "an object": (Wrapped, ""),
    "WSocketApp": (WSocketApp, ""),
    "an object around it": (lambda app: Wrapped(WSocketApp(app)), ""),
    "ProxyFix": (ProxyFix, ""),
    "a prefix outside": (prefixed, "/api"),
    "a prefix inside": (lambda app: inside(app, prefixed), "/api"),
    "a new environ": (functools.partial(prefixed, copy=without_mark), "/api"),
    "a dispatcher": (
        lambda app: DispatcherMiddleware(make_site(), {"/two": app}),
        "/two",
    ),
}


@pytest.mark.parametrize("around", AROUND)
def test_rules_of_both_kinds_are_served_behind(serve, around):
    wrap, prefix = AROUND[around]
    site = serve(wrap(make_site()))
    for rule in "/plain", "/sock":
        with site.ws(prefix + rule) as client:
            assert client.recv() == rule + "|websocket|Upgrade"
    assert site.get(prefix + "/plain")[2] == b"a page"
    assert site.get(prefix + "/sock")[0] == 400
    with pytest.raises(InvalidStatus) as caught:
        site.ws(prefix + "/nowhere")
    assert caught.value.response.status_code == 404


@contextlib.contextmanager
def foreign(app):
    class Quiet(wsgiref.simple_server.WSGIRequestHandler):
        def log_message(self, *args):
            pass

    server = wsgiref.simple_server.make_server(
        "127.0.0.1", 0, app, handler_class=Quiet
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield "ws://127.0.0.1:%d" % server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_same_holds_on_another_server():
    app = lambda environ, start: site(environ, start)  # noqa: E731
    site = with_catch_all()
    with foreign(Middleware(app)) as url:
        for path, rule in (
            ("/plain", "/plain"),
            ("/sock", "/sock"),
            ("/a/b", "/<path:path>"),
        ):
            with connect(url + path, compression=None) as client:
                assert client.recv() == rule + "|websocket|Upgrade"
    with foreign(Middleware(app, ws_hide_upgrade="never")) as url:
        with pytest.raises(InvalidMessage) as caught:
            connect(url + "/plain")
        assert " 400 " in str(caught.value.__cause__)


# ----------------------------------------------- a rule for every path ---


class Sockets:
    """Serves one path by itself, as the middleware of Socket.IO does."""

    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] != "/mw":
            return self.app(environ, start_response)
        environ["wsgi.websocket"].send(environ["HTTP_UPGRADE"])
        return []


@pytest.mark.parametrize(
    "make", [make_site, with_catch_all, with_files_everywhere]
)
def test_a_rule_for_every_path_hides_nothing_from_a_middleware(serve, make):
    for app in Sockets(make()), inside(make(), Sockets):
        with serve(app).ws("/mw") as client:
            assert client.recv() == "websocket"


@pytest.mark.parametrize(
    "make", [make_site, with_catch_all, with_files_everywhere]
)
def test_a_rule_for_every_path_hides_nothing_from_socket_io(serve, make):
    socketio = pytest.importorskip("flask_socketio")
    app = make()
    socketio.SocketIO(app, async_mode="threading")
    for app in app, prefixed(app):
        prefix = "" if app.__class__ is flask.Flask else "/api"
        target = prefix + "/socket.io/?EIO=4&transport=websocket"
        with serve(app).ws(target) as client:
            assert client.recv().startswith("0{")


def test_a_websocket_rule_goes_before_one_for_every_path(serve):
    site = serve(with_catch_all())
    for path, rule in (
        ("/sock", "/sock"),
        ("/", "/"),
        ("/a/b", "/<path:path>"),
    ):
        with site.ws(path) as client:
            assert client.recv().split("|")[0] == rule


# ------------------------------------------------- what a plain view sees ---


def test_a_plain_view_is_one_of_http(serve):
    app = make_site()

    @app.route("/here")
    def here():
        request = flask.request
        request.environ["wsgi.websocket"].send(
            " ".join(
                [
                    request.scheme,
                    request.url,
                    flask.url_for("here", _external=True),
                    flask.url_for("sock"),
                    flask.url_for("here"),
                ]
            )
        )
        return ""

    site = serve(app)
    root = "//127.0.0.1:%d" % site.port
    with site.ws("/here") as client:
        assert client.recv().split() == [
            site.scheme,
            site.scheme + ":" + root + "/here",
            site.scheme + ":" + root + "/here",
            site.scheme.replace("http", "ws") + ":" + root + "/sock",
            "/here",
        ]


def test_a_plain_rule_redirects_to_http(serve):
    site = serve(make_site())
    with site.raw() as client:
        client.send(ATTEMPT % b"/slash?a=b")
        status, headers, _ = client.response()
    assert status == 308
    assert headers["location"] == site.scheme + "://site/slash/?a=b"


def test_rules_for_other_methods_beside_it_change_nothing(serve):
    app = make_site()

    @app.post("/both")
    @app.post("/post")
    def post():
        return "posted"

    app.add_url_rule("/both", "plain")
    site = serve(app)
    with site.ws("/both") as client:
        assert client.recv().startswith("/both|")
    with pytest.raises(InvalidStatus) as caught:
        site.ws("/post")
    assert caught.value.response.status_code == 405


def test_hosts_and_subdomains_are_matched_as_ever(serve):
    app = flask.Flask("site", host_matching=True, static_host="localhost")
    for host in "localhost", "other":

        def view(host=host):
            flask.request.environ["wsgi.websocket"].send(host)
            return ""

        app.add_url_rule("/", host, view, host=host + ":<port>")
        app.view_functions[host] = lambda port, view=view: view()
    site = serve(app)
    for host in "localhost", "other":
        with connect(
            "ws://%s:1/" % host, sock=site.raw().socket, compression=None
        ) as client:
            assert client.recv() == host


def test_it_can_be_hidden_never_or_always(serve):
    for hide, path in ("never", "/plain"), ("always", "/sock"):
        with pytest.raises(InvalidStatus) as caught:
            serve(make_site(), ws_hide_upgrade=hide).ws(path)
        assert caught.value.response.status_code == 400


# ------------------------------------------------------------ Werkzeug ---

UPGRADE = {"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "Upgrade"}
RULES = Map(
    [
        Rule("/plain", endpoint="plain"),
        Rule("/sock", endpoint="sock", websocket=True),
        Rule("/post", endpoint="post", methods=["POST"]),
        Rule("/slash/", endpoint="slash"),
    ]
)


@pytest.fixture
def bind():
    _werkzeug.observe()

    def make(path, mark=True, scheme="http"):
        environ = create_environ(path, scheme + "://site", environ_base=UPGRADE)
        if mark is not None:
            environ[_werkzeug.MARK] = mark
        return RULES.bind_to_environ(environ)

    return make


def test_an_adapter_answers_all_its_questions(bind):
    adapter = bind("/plain")
    assert adapter.match() == ("plain", {})
    assert adapter.match(return_rule=True)[0].rule == "/plain"
    assert adapter.match("/sock") == ("sock", {})
    assert adapter.test("/plain") and not adapter.test("/nowhere")
    assert adapter.dispatch(lambda endpoint, args: endpoint) == "plain"
    assert adapter.allowed_methods("/post") == ["POST"]
    with pytest.raises(MethodNotAllowed):
        adapter.match("/post")
    assert adapter.match("/post", "POST") == ("post", {})
    for scheme in "http", "https":
        with pytest.raises(RequestRedirect) as caught:
            bind("/slash", scheme=scheme).match()
        assert caught.value.new_url == scheme + "://site/slash/"


def test_who_asks_for_one_kind_of_rule_gets_that_kind(bind):
    adapter = bind("/plain")
    with pytest.raises(WebsocketMismatch):
        adapter.match(websocket=True)
    with pytest.raises(WebsocketMismatch):
        adapter.match("/plain", "GET", False, None, True)
    with pytest.raises(WebsocketMismatch):
        adapter.match("/sock", websocket=False)
    assert adapter.match("/plain", websocket=False) == ("plain", {})


@pytest.mark.parametrize("mark", [None, False])
def test_other_requests_meet_werkzeug_as_it_is(bind, caplog, mark):
    with pytest.raises(WebsocketMismatch):
        bind("/plain", mark).match()
    assert bind("/sock", mark).match() == ("sock", {})
    assert not caplog.text


def test_a_request_object_is_bound_as_well(bind):
    environ = create_environ("/plain", environ_base=UPGRADE)
    environ[_werkzeug.MARK] = True
    request = flask.Request(environ)
    assert RULES.bind_to_environ(environ=request).match() == ("plain", {})


def test_it_is_wrapped_once_by_however_many_threads(monkeypatch):
    routing = types.ModuleType("werkzeug.routing")
    routing.Map = type("Map", (Map,), {})
    routing.MapAdapter = type("MapAdapter", (), {"match": lambda self: None})
    routing.WebsocketMismatch = WebsocketMismatch
    monkeypatch.setitem(sys.modules, "werkzeug.routing", routing)
    monkeypatch.setattr(_werkzeug, "_observed", None)
    before = routing.MapAdapter.match
    threads = [threading.Thread(target=_werkzeug.observe) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert routing.MapAdapter.match.__wrapped__ is before
    assert routing.Map.bind_to_environ.__wrapped__ is Map.bind_to_environ


def test_a_werkzeug_that_is_not_there_whole_is_left_alone(serve, monkeypatch):
    monkeypatch.setitem(
        sys.modules, "werkzeug.routing", types.ModuleType("werkzeug.routing")
    )
    with serve(lambda e, s: e["wsgi.websocket"].send("hi") or []).ws() as ws:
        assert ws.recv() == "hi"
    monkeypatch.undo()
    with serve(make_site()).ws("/plain") as client:
        assert client.recv().startswith("/plain|")


def test_a_map_bound_in_another_way_is_named_once(serve, caplog):
    app = make_site()
    app.create_url_adapter = lambda request: request and app.url_map.bind(
        "site", url_scheme="ws", path_info=request.path
    )
    site = serve(app)
    for path in "/plain", "/plain", "/nowhere":
        with pytest.raises(InvalidStatus):
            site.ws(path)
    assert caplog.text.count("on the plain rule '/plain'") == 1
    assert "ws_hide_upgrade=always" in caplog.text


LAZY = """
import sys, threading
from websockets.sync.client import connect
from wsocket import Server

def app(environ, start_response):
    from werkzeug.routing import Map, Rule
    rules = Map([Rule("/plain", endpoint="plain")])
    endpoint, _ = rules.bind_to_environ(environ).match()
    environ["wsgi.websocket"].send(endpoint)
    return []

def ask():
    url = "ws://127.0.0.1:%d/plain" % server.port
    with connect(url, compression=None) as client:
        got.append(client.recv())

got = []
with Server(app, port=0, access_logfile="none") as server:
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
routing = sys.modules["werkzeug.routing"]
assert got == ["plain"] * 8, got
assert routing.__loader__ is routing.__spec__.loader
assert not routing.__loader__.__module__.startswith("wsocket")
assert routing.MapAdapter.match.__wrapped__.__qualname__ == "MapAdapter.match"
print("good")
"""


def test_werkzeug_may_be_imported_by_the_first_websocket():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LAZY],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "good\n"), done.stderr
