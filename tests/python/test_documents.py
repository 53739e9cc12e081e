"""Every sample in Python of docs/ runs, and does what its page says.

Those of README.md, docs/guide/websocket.md, and of the files that a page tells to
save, have tests of their own.
"""

import hashlib
import json
import re
import select
import subprocess
import sys
import threading
import urllib.request

import documents
import pytest
import secure

import wsocket
from wsocket import _wsocket, worker

ELSEWHERE = {"README.md", "docs/guide/websocket.md"}  # test_readme, test_guide_...
SAVED = {"docs/tutorial/first-chat.md", "docs/tutorial/rooms.md",
         "docs/guide/testing.md"}  # test_tutorial

pytestmark = pytest.mark.plain


@pytest.fixture
def sample(serve, monkeypatch):
    """sample(code, **names): a Site of what the code gives to run()."""

    def start(code, **names):
        given = []
        monkeypatch.setattr(wsocket, "run", lambda *a, **k: given.append((a, k)))
        documents.run(code, **names)
        (args, options), = given
        options.pop("port", None)
        return serve(*args, **options)

    return start


@pytest.fixture
def served(serve):
    """served(code, **names): a Site of the code's `app`."""
    return lambda code, **names: serve(documents.run(code, **names)["app"])


def check_echo(site, path="/", text="gr\xfc\xdfe"):
    with site.ws(path) as client:
        client.send(text)
        assert client.recv() == text


def check_chat(site, path="/"):
    with site.ws(path) as one, site.ws(path) as two:
        one.send("early")
        assert one.recv() == "early"
        two.send("hello")  # who speaks has subscribed
        assert one.recv() == "hello"
        assert two.recv() == "hello" or two.recv() == "hello"  # early, too


def test_home(sample):
    page = "from wsocket import run\n"
    site = sample(page + documents.of("README.md", 0).replace(
        'if __name__ == "__main__":', "if True:"))
    assert site.get()[0] == 200
    check_chat(site)


def test_app_a_chat(sample):
    check_chat(sample(documents.of("guide/app.md", 0)))


def test_app_a_download(sample):
    code = documents.of("guide/app.md", 1).replace("300000", "30000")
    with sample(code).ws() as client:
        assert sum(1 for _ in client) == 30000


def test_editors(sample):
    site = sample(documents.of("guide/editors.md", 0))
    assert site.get("/typed")[2] == b"/typed"
    check_echo(site)


def test_client(serve, capsys):
    app = wsocket.WSocketApp(protocol="chat")
    app.onmessage += lambda message, client: [client.send(message), client.close()]
    site = serve(app)
    code = documents.of("guide/client.md", 0)
    documents.run(code.replace("127.0.0.1:8080", "127.0.0.1:%d" % site.port))
    assert capsys.readouterr().out == "hello\n"


def test_client_over_tls(serve, capsys):
    app = wsocket.WSocketApp()
    app.onconnect += lambda client: client.send("the feed")
    site = serve(app, tls=True)
    code = documents.of("guide/client.md", 1)
    code = code.replace("shop.example", "localhost:%d" % site.port)
    code = code.replace("company.pem", secure.authority()[0].certfile)
    documents.run(code, connect=wsocket.connect)
    assert capsys.readouterr().out == "the feed\n"


def test_deploy_one_of_all_workers(monkeypatch):
    began = []
    names = documents.run(documents.of("guide/deploy.md", 0),
                          start_scheduler=lambda: began.append(1))
    monkeypatch.setattr(worker, "first", lambda: True)
    names["ready"](None)
    assert began == [1]


def test_framework_routes(sample, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logo.png").write_bytes(b"a picture")
    site = sample(documents.of("guide/framework.md", 0))
    assert site.get()[2] == b"<h1>Hello World!</h1>"
    assert site.get("/count")[2] == b"0123456789"
    assert site.get("/files/logo")[2] == b"a picture"


def test_framework_a_websocket(sample):
    site = sample(documents.of("guide/framework.md", 1))
    assert site.get()[2] == b"Connect here with a WebSocket."
    check_echo(site)


def test_gunicorns_settings():
    pytest.importorskip("gunicorn")
    names = documents.run(documents.of("guide/gunicorn.md", 0))
    assert names["worker_class"].options == {"ws_max_size": "8m"}


class FreePort:
    """In a sample, a port that is free instead of 8000; it serves one request."""

    def __init__(self, monkeypatch):
        self.served = threading.Event()
        monkeypatch.setattr("socketserver.BaseServer.serve_forever",
                            lambda server, *_: self.one(server))
        self.port = None

    def one(self, server):
        self.port = server.server_port
        self.served.set()
        server.handle_request()


def test_handlers_with_wsgiref(monkeypatch):
    free = FreePort(monkeypatch)
    code = documents.of("guide/handlers.md", 0).replace("8000", "0")
    thread = threading.Thread(target=documents.run, args=(code,))
    thread.start()
    assert free.served.wait(20)
    url = "http://127.0.0.1:%d/" % free.port
    assert urllib.request.urlopen(url).read() == b"Hello World!\n"
    thread.join(20)


def test_handlers_a_limit():
    names = documents.run(documents.of("guide/handlers.md", 1),
                          FixedHandler=wsocket.FixedHandler)
    assert names["MyHandler"].max_body == 1048576


def test_handlers_make_server(monkeypatch, capsys):
    served = []
    monkeypatch.setattr(wsocket.WSocketServer, "serve_forever",
                        lambda server: served.append(server))
    documents.run(documents.of("guide/handlers.md", 2).replace("8000", "0"))
    assert "on port" in capsys.readouterr().out
    served[0].server_close()


def test_libraries_flask_sock(served):
    pytest.importorskip("flask_sock")
    check_echo(served(documents.of("guide/libraries.md", 0)), "/echo")


@pytest.mark.heavy
def test_libraries_flask_socketio(served):
    socketio = pytest.importorskip("socketio")
    pytest.importorskip("flask_socketio")
    site = served(documents.of("guide/libraries.md", 1))
    client = socketio.SimpleClient()
    client.connect("http://127.0.0.1:%d" % site.port, transports=["websocket"])
    client.emit("say", "hello")
    assert client.receive(timeout=20) == ["said", "hello"]
    client.disconnect()


def test_limits_a_body(served):
    site = served(documents.of("guide/limits.md", 0))
    assert site.get(method="POST", body=b"x" * 100000)[2].decode() == (
        hashlib.sha256(b"x" * 100000).hexdigest())


def test_servers_a_middleware(served):
    check_echo(served(documents.of("guide/servers.md", 0)), "/echo")


def test_streaming_a_file(served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.pdf").write_bytes(b"%PDF" * 1000)
    assert served(documents.of("guide/streaming.md", 0)).get()[2] == b"%PDF" * 1000


def test_streaming_events(serve, eventually):
    names = documents.run(documents.of("guide/streaming.md", 1))
    site = serve(names["app"])
    with site.raw() as client:
        client.send(b"GET /events HTTP/1.1\r\nHost: test\r\n\r\n")
        assert client.head()[0] == 200
        assert client.chunk() == b": open\n\n"
        eventually(lambda: names["streams"])
        for mine in names["streams"]:
            mine.put("news")
        assert client.chunk() == b"data: news\n\n"
    eventually(lambda: not names["streams"])


def test_streaming_hints(served):
    site = served(documents.of("guide/streaming.md", 2), make_page=lambda: b"page")
    with site.raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        assert client.head() == (103, {"link": "</style.css>; rel=preload; as=style"})
        assert client.response()[2] == b"page"


def test_tls_run(monkeypatch):
    given = []
    monkeypatch.setattr(wsocket, "run", lambda *a, **k: given.append((a, k)))
    documents.run(documents.of("guide/tls.md", 0), app=None)
    assert given == [((None, "", 8443),
                      {"certfile": "chain.pem", "keyfile": "key.pem"})]


def test_tls_who_it_is():
    app = documents.run(documents.of("guide/tls.md", 1))["app"]
    said = []
    environ = {"SSL_CLIENT_VERIFY": "SUCCESS", "SSL_CLIENT_S_DN": "CN=ada"}
    assert b"".join(app(environ, lambda *a: said.append(a[0]))) == b"hello CN=ada"
    app({"SSL_CLIENT_VERIFY": "NONE"}, lambda *a: said.append(a[0]))
    assert said == ["200 OK", "403 Forbidden"]


def test_topics_a_room(sample):
    check_chat(sample(documents.of("guide/topics.md", 0)), "/room")


def test_topics_from_a_plain_view(serve):
    flask = pytest.importorskip("flask")
    app = flask.Flask("shop")
    documents.run(documents.of("guide/topics.md", 1), app=app, json=json,
                  save=lambda data: data, request=flask.request, wsocket=wsocket)
    site = serve(app)
    with wsocket.listen("orders", timeout=20) as heard:
        assert site.get("/orders", "Content-Type: application/json",
                        method="POST", body=b'{"id": 1}')[0] == 201
        assert next(heard) == '{"id": 1}'


def test_topics_after_the_commit(serve):
    class transaction:
        on_commit = staticmethod(lambda function: function())

    serve()
    with wsocket.listen("orders", timeout=20) as heard:
        documents.run(documents.of("guide/topics.md", 2), transaction=transaction,
                      wsocket=wsocket, text="sold")
        assert next(heard) == "sold"


def test_topics_one_user_and_a_ticker(serve):
    class user:
        id = 42

    first, *rest = documents.of("guide/topics.md", 3).splitlines(keepends=True)
    ticker = documents.of("guide/topics.md", 5)

    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        documents.run(first + ticker, ws=ws, user=user)
        ws.send(" ".join(ws.topics))
        return list(ws) and []

    with serve(app).ws() as client:
        assert client.recv() == "user:42 ticker:gold"
        documents.run("".join(rest), wsocket=wsocket, user=user)
        assert client.recv() == "your parcel has left"
        with pytest.raises(Exception, match="4001"):
            client.recv()


def test_topics_from_another_program(tmp_path):
    tmp_path.chmod(0o700)
    code = "import wsocket\n" + documents.of("guide/topics.md", 4).replace(
        "/run/user/1000/shop", str(tmp_path))
    listen = [sys.executable, "-m", "wsocket", "listen", "--bus", str(tmp_path),
              "orders"]
    with subprocess.Popen(listen, stdout=subprocess.PIPE, text=True) as listener:
        for _ in range(50):  # until it listens
            subprocess.run([sys.executable, "-c", code], check=True)
            if select.select([listener.stdout], [], [], 0.5)[0]:
                break
        listener.terminate()
        assert listener.stdout.readline() == "hello\n"


def test_topics_server_sent_events(serve, eventually):
    code = documents.of("guide/topics.md", 6)
    site = serve(documents.run(code, wsocket=wsocket)["events"])
    with site.raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        eventually(lambda: wsocket.count("news"))
        wsocket.publish("news", "hello")
        assert client.head()[0] == 200
        assert client.chunk() == b"data: hello\n\n"

    def it_has_seen_that_the_client_left():
        wsocket.publish("news", "more")
        return not wsocket.count("news")

    eventually(it_has_seen_that_the_client_left)


def test_topics_in_tests():
    names = documents.run(documents.of("guide/topics.md", 7))

    class client:
        post = staticmethod(lambda path: wsocket.publish("orders", '{"id": 1}'))

    _wsocket.set_outbox(names["outbox"])
    try:
        names["test_an_order_is_told"](client)
    finally:
        _wsocket.set_outbox(None)
        names["outbox"].clear()


def test_topics_after_a_gap(serve):
    serve()
    code = documents.of("guide/topics.md", 8)
    refetch = documents.run(code, wsocket=wsocket, json=json)["refetch"]
    wsocket.ongap -= refetch
    with wsocket.listen("orders", timeout=20) as heard:
        refetch(("orders",))
        assert json.loads(next(heard)) == {"reload": True}


@pytest.mark.parametrize("n, check", [(0, check_echo), (1, check_chat)])
def test_from_flask_sock(served, n, check):
    check(served(documents.of("coming-from/flask-sock.md", n)),
          ("/echo", "/chat")[n])


def test_from_flask_socketio(served):
    site = served(documents.of("coming-from/flask-socketio.md", 0))
    with site.ws("/live") as one, site.ws("/live") as two:
        one.send('["join", "lobby"]')
        one.send('["say", {"room": "lobby", "text": "alone"}]')
        assert json.loads(one.recv()) == ["said", "alone"]
        two.send('["join", "lobby"]')
        assert json.loads(one.recv()) == ["joined", "lobby"]
        two.send('["say", {"room": "lobby", "text": "hello"}]')
        assert json.loads(one.recv()) == json.loads(two.recv()) == ["said", "hello"]
        two.send('["leave", "lobby"]')
        two.send('["say", {"room": "lobby", "text": "bye"}]')
        assert json.loads(one.recv()) == ["said", "bye"]


def test_from_gevent_websocket(serve):
    names = documents.run(documents.of("coming-from/gevent-websocket.md", 0))
    check_echo(serve(names["app"]))


def test_from_channels(serve):
    django = pytest.importorskip("django")
    from django.conf import settings

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF="nowhere")
        django.setup()
    from django.core.wsgi import WSGIHandler
    from django.test import override_settings

    class Urls:
        urlpatterns = documents.run(
            documents.of("coming-from/channels.md", 0, 1))["urlpatterns"]

    class User:
        is_authenticated = True
        get_username = staticmethod(lambda: "ada")

    def signed_in(get_response):
        def middleware(request):
            request.user = User
            return get_response(request)
        return middleware

    documents.signed_in = signed_in
    with override_settings(ROOT_URLCONF=Urls, ALLOWED_HOSTS=["*"],
                           MIDDLEWARE=["documents.signed_in"]):
        site = serve(WSGIHandler())
        assert site.get("/ws/chat/a/")[0] == 426
        with site.ws("/ws/chat/a/") as client:
            client.send("hello")
            assert json.loads(client.recv()) == {"from": "ada", "text": "hello"}


def test_from_uvicorn(served):
    site = served(documents.of("coming-from/uvicorn.md", 0))
    assert json.loads(site.get("/items/3")[2]) == {"item": 3}
    check_echo(site, "/ws")


def test_the_reference_imports():
    documents.run(documents.of("reference/python/index.md", 0))


def test_every_sample_is_run():
    """The calls of documents.of() in this file name them all."""
    with open(__file__, encoding="utf-8") as file:
        text = file.read()
    named = {}
    for page, numbers in re.findall(r'documents\.of\("(.*?)", ([^)]*)\)', text):
        named.setdefault("docs/" + page, set()).update(numbers.split(", "))
    named["docs/coming-from/flask-sock.md"] = {"0", "1"}  # a parameter
    left = [(page, n) for page in documents.pages()
            for n, _ in enumerate(documents.samples(page))
            if page not in ELSEWHERE | SAVED and str(n) not in named.get(page, ())]
    assert left == []
