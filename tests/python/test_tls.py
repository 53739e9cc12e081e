"""https and wss, as clients of others see them: curl, openssl, node, websockets,
aiohttp, Python's ssl, and the libraries that speak on the socket themselves."""

import asyncio
import functools
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading

import pytest
import secure
from authority import Authority
from conftest import Raw, Site
from patience import PATIENCE

import wsocket


def app(environ, start_response):
    ws = environ.get("wsgi.websocket")
    if ws is not None:
        for message in ws:
            ws.send(message)
        return []
    body = environ["wsgi.input"].read()
    keys = ("wsgi.url_scheme", "HTTPS", "SSL_PROTOCOL", "SSL_CIPHER")
    told = {key: environ.get(key) for key in (*keys, "SSL_TLS_SNI")}
    told.update(path=environ["PATH_INFO"], length=len(body), pid=os.getpid())
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told).encode()]


@pytest.fixture
def site(serve):
    def start(app=app, **options):
        return serve(app, tls=True, **options)

    return start


def asked(where, **settings):
    """What `app` says to a client with such a context."""
    made = secure.context(**settings)
    with Raw(where.port, True, made=made) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        status, _, body = client.response()
    assert status == 200
    return json.loads(body)


# -------------------------------------------------------------- versions ---


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_each_version_is_spoken_and_told(site, version):
    number = getattr(ssl.TLSVersion, version)
    told = asked(site(), minimum_version=number, maximum_version=number)
    assert told["wsgi.url_scheme"] == "https" and told["HTTPS"] == "on"
    assert told["SSL_PROTOCOL"] == version.replace("_", ".")
    assert told["SSL_CIPHER"].startswith(("TLS_", "ECDHE-"))
    assert told["SSL_TLS_SNI"] == "localhost"


def test_tls_1_2_may_be_refused(site):
    where = site(tls_min="1.3")
    assert asked(where)["SSL_PROTOCOL"] == "TLSv1.3"
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        asked(where, maximum_version=ssl.TLSVersion.TLSv1_2)


class OpenSSL:
    """`openssl s_client`, against a server of ours."""

    def __init__(self, where):
        if shutil.which("openssl") is None:
            pytest.skip("there is no openssl")
        self.where = where

    def says(self, *args, request=b"GET / HTTP/1.0\r\n\r\n", wait=1):
        ca, _ = secure.authority()
        process = subprocess.Popen(
            ["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.where.port]
            + ["-servername", "localhost", "-CAfile", ca.certfile, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            return process.communicate(request, PATIENCE)[0].decode("latin-1")
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("old", ["-tls1", "-tls1_1"])
def test_older_versions_are_refused(site, old):
    said = OpenSSL(site()).says(old, "-cipher", "ALL:@SECLEVEL=0")
    if "unknown option" in said.lower():
        pytest.skip("this openssl does not have it either")
    assert "Cipher is (NONE)" in said or "no protocols available" in said


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_verifies_the_chain(site, version):
    said = OpenSSL(site()).says(version, "-quiet", "-verify_return_error")
    assert "HTTP/1.1 200 OK" in said and "verify error" not in said


@pytest.mark.parametrize(
    "cipher", ["AES128-SHA", "DHE-RSA-AES256-GCM-SHA384", "ECDHE+AESCBC", "RC4"]
)
def test_weak_ciphers_are_refused(site, cipher):
    said = OpenSSL(site()).says("-tls1_2", "-cipher", cipher + ":@SECLEVEL=0")
    assert "Cipher is (NONE)" in said or "no cipher match" in said


def test_renegotiation_is_refused(site):
    """s_client takes a line "R" for an order."""
    said = OpenSSL(site()).says("-tls1_2", request=b"R\n")
    assert "RENEGOTIATING" in said
    assert "no renegotiation" in said


def test_compression_and_early_data_are_not_offered(site, tmp_path):
    client = OpenSSL(site())
    kept = str(tmp_path / "session")
    get = b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
    said = client.says("-tls1_3", "-sess_out", kept, "-ign_eof", request=get)
    assert "Compression: NONE" in said
    assert "Max Early Data: 0" in said
    early = tmp_path / "early"
    early.write_bytes(b"GET /early HTTP/1.1\r\nHost: t\r\n\r\n")
    args = ("-tls1_3", "-sess_in", kept, "-early_data", str(early), "-ign_eof")
    said = client.says(*args, request=get)
    assert "Early data was not sent" in said or "was rejected" in said
    assert '"/early"' not in said


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_ticket_shortens_the_next_handshake(site, tmp_path, version):
    client = OpenSSL(site())
    kept = str(tmp_path / "session")
    get = b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
    args = (version, "-ign_eof")
    assert "New, " in client.says(*args, "-sess_out", kept, request=get)
    assert "Reused, " in client.says(*args, "-sess_in", kept, request=get)


# ----------------------------------------------------------------- names ---


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """An authority, and options of a server with certificates for names."""
    ca = Authority(tmp_path_factory.mktemp("names"), "names")
    pairs = [
        ca.issue("first.example"),
        ca.issue("shop.example", "*.shop.example"),
        ca.issue("WWW.Shop.Example", key="RSA"),
    ]
    return ca, {
        "certfile": [pair.certfile for pair in pairs],
        "keyfile": [pair.keyfile for pair in pairs],
    }


def shown(where, ca, name):
    """The names in the certificate that a client gets that asks for one."""
    context = ssl.create_default_context(cafile=ca.certfile)
    context.check_hostname = False
    with socket.create_connection(("127.0.0.1", where.port), PATIENCE) as sock:
        with context.wrap_socket(sock, server_hostname=name) as tls:
            found = tls.getpeercert()["subjectAltName"]
            return [value for _, value in found]


@pytest.mark.parametrize(
    "asked, got",
    [
        (None, "first.example"),
        ("first.example", "first.example"),
        ("other.example", "first.example"),
        ("127.0.0.1", "first.example"),
        ("shop.example", "shop.example"),
        ("SHOP.example", "shop.example"),
        ("a.shop.example", "shop.example"),
        ("a.b.shop.example", "first.example"),
        ("www.shop.example", "WWW.Shop.Example"),
    ],
)
def test_the_name_chooses_the_certificate(serve, names, asked, got):
    ca, options = names
    where = serve(app, tls=True, **options)
    assert got.lower() in [n.lower() for n in shown(where, ca, asked)]


# ------------------------------------------------------------------ ALPN ---


@pytest.mark.parametrize(
    "offered, got",
    [
        (["http/1.1"], "http/1.1"),
        (["h2", "http/1.1"], "http/1.1"),
        (["http/1.1", "h2"], "http/1.1"),
        ([], None),
    ],
)
def test_http_1_1_is_agreed_on(site, offered, got):
    context = secure.context()
    if offered:
        context.set_alpn_protocols(offered)
    with Raw(site().port, True, made=context) as client:
        assert client.socket.tls.selected_alpn_protocol() == got
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.response()[0] == 200


@pytest.mark.parametrize("offered", [["h2"], ["ftp"], ["http/1.0", "h2"]])
def test_another_protocol_is_refused(site, offered):  # RFC 7301 3.2
    context = secure.context()
    context.set_alpn_protocols(offered)
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        Raw(site().port, True, made=context)


# ------------------------------------- plain HTTP here, TLS where it is not ---


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "get", "X"])
def test_plain_http_is_told_of_https(site, method):
    with Raw(site().port) as client:
        client.send(b"%s / HTTP/1.1\r\nHost: t\r\n\r\n" % method.encode())
        status, fields, body = client.response()
        assert status == 400 and b"https" in body
        assert fields["connection"] == "close"
        assert client.rest() == b""


def test_plain_http_is_led_to_https(site):
    where = site(redirect_https="on", hsts=60)
    with Raw(where.port) as client:
        client.send(b"GET /a?b HTTP/1.1\r\nHost: t.example:80\r\n\r\n")
        status, fields, _ = client.response()
        assert status == 308
        url = "https://t.example:%d/a?b" % where.port
        assert fields["location"] == url
        assert "strict-transport-security" not in fields
        assert client.rest() == b""
    status, fields, _ = where.get("/")
    assert fields["strict-transport-security"] == "max-age=60"


@pytest.mark.parametrize(
    "rubbish", [b"\0", b"\x80\x2e\x01", b"\xff" * 100, b"SSH-2.0-x\r\n", b"\n"]
)
def test_anything_else_is_closed_or_refused(site, rubbish):
    where = site()
    with Raw(where.port) as client:
        client.send(rubbish)
        answer = client.rest()
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert asked(where)["HTTPS"] == "on"


def test_places_without_tls_are_there_as_well(serve, tmp_path):
    (tmp_path / "token").write_text("proof")
    path = str(tmp_path / "plain.sock")
    where = serve(
        app,
        tls=True,
        insecure_bind=["127.0.0.1:0", "unix:" + path],
        redirect_https="on",
        hsts=60,
        static="/.well-known/acme-challenge=%s" % tmp_path,
    )
    urls = where.server.urls
    assert [url.partition(":")[0] for url in urls] == ["https", "http", "unix"]
    plain = int(urls[1].rpartition(":")[2].strip("/"))
    assert plain != where.port
    with Raw(plain) as client:
        client.send(b"GET /.well-known/acme-challenge/token HTTP/1.1\r\n")
        client.send(b"Host: localhost\r\n\r\n")
        assert client.response()[2] == b"proof"
        client.send(b"GET /x HTTP/1.1\r\nHost: localhost:99\r\n\r\n")
        status, fields, _ = client.response()
        url = "https://localhost:%d/x" % where.port
        assert (status, fields["location"]) == (308, url)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.sendall(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(99).startswith(b"HTTP/1.1 308")
    assert where.get("/x")[0] == 200


def test_tls_at_a_plain_place_is_named_in_the_log(serve, server_log):
    where = serve(app, tls=False)
    with pytest.raises(ssl.SSLError):
        Raw(where.port, True)
    assert "TLS" in server_log("TLS")
    assert where.get("/")[0] == 200


def test_a_failed_handshake_is_told_with_its_reason(site, server_log):
    where = site()
    with pytest.raises(ssl.SSLError):
        asked(where, maximum_version=ssl.TLSVersion.TLSv1_1)
    assert "handshake" in server_log("handshake")


def test_a_silent_client_is_given_up(site):
    where = site(tls_handshake_timeout=1)
    with socket.create_connection(("127.0.0.1", where.port), PATIENCE) as one:
        with socket.create_connection(("127.0.0.1", where.port), 20) as two:
            two.sendall(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a hello
            assert asked(where)["HTTPS"] == "on"
            assert one.recv(1) == b""
            assert two.recv(99)[:1] in (b"", b"\x15")


# --------------------------------------------------------------- clients ---


@pytest.mark.parametrize("version", ["--tlsv1.2", "--tlsv1.3"])
def test_curl(site, version):
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    ca, _ = secure.authority()
    where = site()
    url = "https://localhost:%d/" % where.port
    # With the library of a sanitizer loaded first, curl hangs before it begins.
    run = functools.partial(
        subprocess.run,
        capture_output=True,
        timeout=60,
        env={k: v for k, v in os.environ.items() if k != "LD_PRELOAD"},
    )
    done = run(
        ["curl", "-sS", "--cacert", ca.certfile, version, "-i"]
        + ["--data-binary", "x" * 100000, url + "a", url + "b"],
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("HTTP/1.1 200 OK") == 2
    assert '"length": 100000' in done.stdout
    done = run(["curl", "-sS", url])
    assert done.returncode == 60  # the system does not trust it


NODE = """
const port = process.argv[2];
const https = require("https");
https.get(`https://localhost:${port}/page`, (answer) => {
  answer.on("data", (data) => process.stdout.write(data));
  answer.on("end", () => {
    const ws = new WebSocket(`wss://localhost:${port}/ws`);
    const big = "y".repeat(100000);
    ws.onopen = () => { ws.send("hello"); ws.send(big); };
    let n = 0;
    ws.onmessage = (event) => {
      console.log(event.data === (n ? big : "hello") ? "same" : "other");
      if (++n === 2) ws.close(1000);
    };
    ws.onclose = (event) => console.log("closed", event.code);
    ws.onerror = (event) => console.log("error", event.message);
  });
});
"""


def test_node(site, tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node")
    flags = ["--experimental-websocket", "--no-warnings"]
    if subprocess.run([node, *flags, "-e", "0"], capture_output=True).returncode:
        flags = ["--no-warnings"]
    has = "process.exit(typeof WebSocket === 'function' ? 0 : 1)"
    if subprocess.run([node, *flags, "-e", has]).returncode:
        pytest.skip("this node has no WebSocket")
    ca, _ = secure.authority()
    script = tmp_path / "script.js"
    script.write_text(NODE)
    done = subprocess.run(
        [node, *flags, str(script), str(site().port)],
        env={**os.environ, "NODE_EXTRA_CA_CERTS": ca.certfile},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert '"path": "/page"' in done.stdout
    assert done.stdout.endswith("same\nsame\nclosed 1000\n"), done


MESSAGES = ["", "hi", b"", "é" * 300, b"\0\xff" * 40000, "z" * 1000000]


def test_websockets(site):
    client = pytest.importorskip("websockets.asyncio.client")
    where = site()

    async def talk():
        url = "wss://localhost:%d/" % where.port
        async with client.connect(url, ssl=secure.context(), proxy=None) as ws:
            for message in MESSAGES * 2:
                await ws.send(message)
                assert await asyncio.wait_for(ws.recv(), PATIENCE) == message
        assert ws.close_code == 1000

    asyncio.run(talk())


def test_aiohttp(site):
    aiohttp = pytest.importorskip("aiohttp")
    where = site()

    async def talk():
        url = "wss://localhost:%d/" % where.port
        trust = {"ssl": secure.context()}
        async with aiohttp.ClientSession() as session:
            async with session.get("https" + url[3:], **trust) as answer:
                assert (await answer.json())["HTTPS"] == "on"
            async with session.ws_connect(url, max_msg_size=0, **trust) as ws:
                for message in MESSAGES:
                    if isinstance(message, str):
                        await ws.send_str(message)
                    else:
                        await ws.send_bytes(message)
                    assert (await ws.receive(PATIENCE)).data == message

    asyncio.run(talk())


def test_our_own_client(site):
    ca, _ = secure.authority()
    url = "wss://localhost:%d/" % site().port
    with wsocket.connect(url, ca_certs=ca.certfile) as ws:
        for message in MESSAGES:
            ws.send(message)
            assert ws.receive(timeout=PATIENCE) == message
    assert ws.close_clean
    with pytest.raises(ssl.SSLCertVerificationError):
        wsocket.connect(url)


def test_events_over_wss(site):
    class Echo(wsocket.WSocketApp):
        def onmessage(self, message, client):
            client.send(message)

    where = site(Echo())
    sockets = [where.ws() for _ in range(20)]
    for number, ws in enumerate(sockets):
        ws.send("%d" % number)
    for number, ws in enumerate(sockets):
        assert ws.recv(timeout=PATIENCE) == "%d" % number
        ws.close()
        assert ws.close_code == 1000


# ----------------------------------------- libraries on the socket itself ---


def test_flask_sock(site):
    flask = pytest.importorskip("flask")
    sock = pytest.importorskip("flask_sock").Sock()
    made = flask.Flask("made")
    sock.init_app(made)

    @sock.route("/echo")
    def echo(ws):
        while True:
            ws.send(ws.receive())

    with site(made).ws("/echo") as ws:
        for message in ("hello", "x" * 100000, b"\0" * 70000):
            ws.send(message)
            assert ws.recv(timeout=PATIENCE) == message
    # The Close is not always answered: simple-websocket wakes the handler, whose
    # end is the socket's, before it answers.


def test_simple_websocket(site):
    simple = pytest.importorskip("simple_websocket")

    def made(environ, start_response):
        ws = simple.Server(environ)
        ws.send("welcome")
        ws.send(ws.receive())
        ws.close(4001, "enough")
        return []

    with site(made).ws("/") as ws:
        assert ws.recv(timeout=PATIENCE) == "welcome"
        ws.send("y" * 300000)
        assert ws.recv(timeout=PATIENCE) == "y" * 300000
        with pytest.raises(Exception, match="4001"):
            ws.recv(timeout=PATIENCE)


def test_flask_socketio(site):
    flask = pytest.importorskip("flask")
    socketio = pytest.importorskip("socketio")
    made = flask.Flask("made")
    server = pytest.importorskip("flask_socketio").SocketIO(
        made, async_mode="threading"
    )

    @server.on("ask")
    def ask(data):
        return data * 2

    ca, _ = secure.authority()
    where = site(made)
    session = pytest.importorskip("requests").Session()
    session.verify = ca.certfile
    client = socketio.SimpleClient(http_session=session)
    client.connect(
        "https://localhost:%d" % where.port,
        transports=["websocket"],
        wait_timeout=PATIENCE,
    )
    # Short, because this client writes and reads one SSL from two threads.
    assert client.call("ask", "x" * 50, timeout=PATIENCE) == "x" * 100
    client.disconnect()


# ------------------------------------------------ ways to start a server ---


@pytest.fixture
def module(tmp_path):
    """A folder with the module `made`, whose `app` says which process it is."""
    text = "import os\n\ndef app(environ, start_response):\n"
    text += "    start_response('200 OK', [])\n"
    text += "    return [b'%s %d' % (environ['wsgi.url_scheme'].encode(),"
    text += " os.getpid())]\n"
    (tmp_path / "made.py").write_text(text)
    return tmp_path


def files():
    given = secure.options()
    return ["--certfile", given["certfile"], "--keyfile", given["keyfile"]]


def page(port, **settings):
    with Raw(port, True, **settings) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        return client.response()[2].decode().split()


def test_the_command(program, module):
    started = program("--port", "0", *files(), "made:app").wait_started()
    assert page(started.port)[0] == "https"
    assert started.says("on https://127.0.0.1:%d/ " % started.port)
    assert started.says("WebSockets at wss://127.0.0.1:%d/" % started.port)


def test_the_command_under_the_names_of_uvicorn(program, module):
    names = [word.replace("--", "--ssl-") for word in files()]
    started = program("--port", "0", *names, "made:app").wait_started()
    assert page(started.port)[0] == "https"


def test_a_call_of_run(program, module):
    given = secure.options()
    (module / "script.py").write_text(
        "import wsocket\nfrom made import app\n"
        "wsocket.run(app, port=0, certfile=%r, ssl_keyfile=%r)\n"
        % (given["certfile"], given["keyfile"])
    )
    started = program(command=("script.py",)).wait_started()
    assert page(started.port)[0] == "https"


def test_a_certificate_that_is_none_ends_the_start(program, module):
    (module / "empty.pem").write_text("")
    started = program("--port=0", "--certfile=empty.pem", "made:app")
    assert started.wait() != 0
    assert "empty.pem" in started.said and "Traceback" not in started.said
    checked = program("--check-config", "--port=0", "--certfile=gone.pem",
                      "made:app")
    assert checked.wait() != 0
    assert "gone.pem" in checked.said and "Traceback" not in checked.said
    checked = program("--check-config", "--port=0", *files(), "made:app")
    assert checked.wait() == 0, checked.said


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_ticket_of_one_worker_counts_at_another(program, module, version):
    started = program("--port=0", "--workers=2", *files(), "made:app")
    started.wait_started()
    number = getattr(ssl.TLSVersion, version)
    context = secure.context(minimum_version=number, maximum_version=number)
    session, seen, reused = None, set(), []
    for _ in range(40):
        sock = socket.create_connection(("127.0.0.1", started.port), PATIENCE)
        with context.wrap_socket(
            sock, server_hostname="localhost", session=session
        ) as tls:
            reused.append(tls.session_reused)
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: tls.recv(4096), b""))
            seen.add(answer.split()[-1])
            session = session or tls.session
        if len(seen) == 2:
            break
    assert len(seen) == 2
    assert reused == [False] + [True] * (len(reused) - 1)


def test_workers_have_places_without_tls_as_well(program, module):
    args = ("--port=0", "--workers=2", "--insecure-bind=127.0.0.1:0")
    started = program(*args, "--redirect-https=on", *files(), "made:app")
    started.wait_started()
    assert page(started.port)[0] == "https"
    plain = int(started.says(r" http://127.0.0.1:(\d+)/")[1])
    for _ in range(8):  # of either worker
        with Raw(plain) as client:
            client.send(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
            status, fields, _ = client.response()
            url = "https://localhost:%d/x" % started.port
            assert (status, fields["location"]) == (308, url)


def test_gunicorns_worker(program, module):
    pytest.importorskip("gunicorn")
    started = program(
        *("-b", "127.0.0.1:0", *files(), "made:app"),
        command=("-m", "gunicorn", "-k", "wsocket.gunicorn.Worker"),
    ).wait_started()
    assert page(started.port)[0] == "https"
    assert "[WARNING]" not in started.said.replace("[WARNING] secure_", "")


def test_sighup_reads_new_certificates(program, module, eventually):
    ca = Authority(module, "hup")
    old, new = ca.issue("localhost"), ca.issue("localhost", "new.example")
    args = ("--certfile", old.bothfile, "made:app")
    started = program("--port=0", *args).wait_started()
    where = Site(type("Server", (), {"port": started.port}))
    assert shown(where, ca, "localhost") == ["localhost"]
    shutil.copy(new.bothfile, old.bothfile)
    started.signal(signal.SIGHUP)
    eventually(lambda: "new.example" in shown(where, ca, "localhost"))
    with open(old.bothfile, "w") as file:
        file.write("rubbish")
    started.signal(signal.SIGHUP)
    eventually(lambda: re.search("stay as they are.*both", started.said))
    assert "new.example" in shown(where, ca, "localhost")


def test_a_wss_of_before_the_reload_goes_on(site, tmp_path):
    ca = Authority(tmp_path, "swap")
    first, second = ca.issue("localhost"), ca.issue("localhost", "b.example")
    used = str(tmp_path / "used.pem")
    shutil.copy(first.bothfile, used)
    where = site(certfile=used, keyfile=[])
    trust = ssl.create_default_context(cafile=ca.certfile)
    trust.check_hostname = False
    with where.ws(ssl=trust) as ws:
        for number in range(20):
            shutil.copy((second, first)[number % 2].bothfile, used)
            where.server.reload_tls()
            ws.send("still here")
            assert ws.recv(timeout=PATIENCE) == "still here"
            found = shown(where, ca, "localhost")
            assert ("b.example" in found) == (number % 2 == 0)
    with open(used, "w") as file:
        file.write("rubbish")
    with pytest.raises(OSError, match=re.escape(used)):
        where.server.reload_tls()
    assert shown(where, ca, "localhost")


def test_without_certificates_there_is_nothing_to_reload(serve):
    with pytest.raises(RuntimeError, match="no certificates"):
        serve(app, tls=False).server.reload_tls()


def test_a_certificate_for_development(program, module, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(module / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(module / "data"))
    monkeypatch.setenv("CAROOT", str(module / "none"))
    started = program("--port=0", "--certfile=dev", "made:app").wait_started()
    found = started.says(r"(/\S+\.pem)")
    assert found, started.said
    assert os.path.exists(found[1])
    context = ssl.create_default_context(cafile=found[1])
    for name in ("localhost", "127.0.0.1", "::1"):
        assert page(started.port, made=context, name=name)[0] == "https"
    folder = module / "state" / "wsocket" / "tls"
    assert folder.stat().st_mode & 0o077 == 0
    for path in folder.iterdir():
        assert path.suffix == ".pem" or path.stat().st_mode & 0o077 == 0


def test_a_certificate_for_development_is_for_this_machine(program, module):
    for place in ("0.0.0.0:0", "[::]:0"):
        started = program("--bind", place, "--certfile=dev", "made:app")
        assert started.wait() != 0
        assert "this machine" in started.said


# ----------------------------------------------------- many, side by side ---


def test_many_clients_at_once(site):
    where = site(threads=8)
    failures = []

    def talk(number):
        try:
            for _ in range(5):
                assert asked(where)["HTTPS"] == "on"
            with where.ws() as ws:
                for message in ("a", "b" * 20000):
                    ws.send(message)
                    assert ws.recv(timeout=PATIENCE) == message
        except BaseException as exc:
            failures.append((number, exc))

    threads = [threading.Thread(target=talk, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_descriptors_and_threads_go_when_clients_do(site, eventually):
    where = site()
    asked(where)

    def count():
        return len(os.listdir("/proc/self/fd"))

    before = count()
    for _ in range(30):
        asked(where)
        with where.ws() as ws:
            ws.send("x")
            ws.recv(timeout=PATIENCE)
        with socket.create_connection(("127.0.0.1", where.port)) as half:
            half.sendall(b"\x16\x03\x01")
    eventually(lambda: count() <= before + 2)


if sys.platform != "linux":
    del test_descriptors_and_threads_go_when_clients_do
