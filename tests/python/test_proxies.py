"""Behind proxies: trusted_proxies and proxy_protocol."""

import json
import socket
import struct

import pytest
from websockets.exceptions import ConnectionClosed

import wsocket

KEYS = [
    *("REMOTE_ADDR", "REMOTE_PORT", "wsgi.url_scheme", "HTTP_HOST"),
    *("SERVER_PORT", "SCRIPT_NAME", "PATH_INFO"),
]


def app(environ, start_response):
    if "wsgi.websocket" in environ:
        environ["wsgi.websocket"].send(environ["REMOTE_ADDR"])
        return []
    start_response("200 OK", [])
    return [json.dumps({key: environ[key] for key in KEYS}).encode()]


def seen(site, *headers):
    status, _, body = site.get("/x", *headers)
    assert status == 200
    return json.loads(body)


ALL = [
    "x-forwarded-%s" % name for name in ("for", "proto", "host", "port", "prefix")
]

FIELDS = (
    "X-Forwarded-For: 6.6.6.6, 192.0.2.7",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: shop.example",
    "X-Forwarded-Prefix: /shop",
)


def test_without_trust_nothing_of_it_counts(serve):
    for options in {}, {"trusted_proxies": "10.0.0.0/8, 192.168.0.1"}:
        site = serve(app, **options)
        plain = seen(site)
        told = seen(site, *FIELDS, "Forwarded: for=1.2.3.4;proto=https")
        for environ in plain, told:
            environ.pop("REMOTE_PORT")
        assert told == plain
        assert plain["REMOTE_ADDR"] == "127.0.0.1"


def test_events_see_the_same_environ(serve):
    """Which is made anew from what is kept of the handshake."""
    seen_by = {}

    def handler(environ, start_response):
        seen_by["handler"] = {key: environ[key] for key in KEYS}
        return []

    def onconnect(client):
        seen_by["event"] = {key: client.environ[key] for key in KEYS}
        client.close()

    events = wsocket.WSocketApp()
    events.onconnect += onconnect
    for app in handler, events:
        site = serve(
            app, trusted_proxies="*", forwarded_fields=ALL, ws_origins="*"
        )
        headers = dict(field.split(": ") for field in FIELDS)
        with site.ws("/a%20b?c", additional_headers=headers) as client:
            with pytest.raises(ConnectionClosed):
                client.recv()
    assert seen_by["event"] == seen_by["handler"]
    assert seen_by["event"]["SCRIPT_NAME"] == "/shop"


@pytest.mark.parametrize("trusted", ["127.0.0.0/8", "*", ["::1", "127.0.0.1"]])
def test_trusted_proxies_are_believed(serve, trusted):
    site = serve(app, trusted_proxies=trusted, forwarded_fields=ALL)
    assert seen(site, *FIELDS) == {
        "REMOTE_ADDR": "6.6.6.6" if trusted == "*" else "192.0.2.7",
        "REMOTE_PORT": "0",
        "wsgi.url_scheme": "https",
        "HTTP_HOST": "shop.example",
        "SERVER_PORT": "443",
        "SCRIPT_NAME": "/shop",
        "PATH_INFO": "/x",
    }


def test_forwarded_is_believed(serve):  # RFC 7239
    site = serve(
        app, trusted_proxies="127.0.0.1", forwarded_fields="Forwarded"
    )
    environ = seen(
        site,
        'Forwarded: for="[2001:db8::7]:99";proto=https;host="a.example:444"',
        "X-Forwarded-For: 1.1.1.1",
    )
    assert environ["REMOTE_ADDR"] == "2001:db8::7"
    assert environ["REMOTE_PORT"] == "99"
    assert environ["HTTP_HOST"] == "a.example:444"
    assert environ["SERVER_PORT"] == "444"
    assert environ["wsgi.url_scheme"] == "https"


def test_each_request_of_a_connection_speaks_for_itself(serve):
    site = serve(app, trusted_proxies="127.0.0.1")
    with site.raw() as client:
        for field, address, scheme in (
            ("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1", "http"),
            ("X-Forwarded-Proto: https\r\n", "127.0.0.1", "https"),
            ("", "127.0.0.1", "http"),
        ):
            client.send(
                b"GET / HTTP/1.1\r\nHost: t\r\n%s\r\n" % field.encode()
            )
            environ = json.loads(client.response()[2])
            assert environ["REMOTE_ADDR"] == address
            assert environ["wsgi.url_scheme"] == scheme
            assert environ["HTTP_HOST"] == "t"


def test_pages_of_the_forwarded_host_may_open_websockets(serve):
    options = {
        "additional_headers": {
            "X-Forwarded-Host": "shop.example",
            "X-Forwarded-For": "192.0.2.9",
        },
        "origin": "http://shop.example",
    }
    fields = ["x-forwarded-for", "x-forwarded-host"]
    site = serve(app, trusted_proxies="127.0.0.1", forwarded_fields=fields)
    with site.ws("/", **options) as client:
        assert client.recv() == "192.0.2.9"
    for trusted in {}, {"trusted_proxies": "127.0.0.1"}:
        with pytest.raises(Exception, match="403"):
            serve(app, **trusted).ws("/", **options)


PROXY = ("X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https")


@pytest.mark.parametrize(
    "forged",
    [
        (),
        ("X-Forwarded-For: 10.1.2.3",),
        ("X-Forwarded-For: unknown",),
        ('X-Forwarded-For: "',),
        ('X-Forwarded-For: "\\',),
        ("X-Forwarded-Proto: http",),
        ("Forwarded: for=10.1.2.3;proto=http;host=evil.example",),
        ('Forwarded: for="',),
        ("X-Forwarded-Host: evil.example",),
        ("X-Forwarded-Port: 4444",),
        ("X-Forwarded-Prefix: /evil",),
    ],
)
def test_by_default_only_the_clients_address_and_scheme_count(serve, forged):
    """As the documented proxies write those two, and append to the first."""
    site = serve(app, trusted_proxies="127.0.0.1")
    client = ", ".join([*(f[17:] for f in forged if "-For:" in f), ""])
    lists = [(*forged, *PROXY)]
    if client:  # or in one field
        lists.append(("X-Forwarded-For: " + client + "203.0.113.9", PROXY[1]))
    for fields in lists:
        assert seen(site, *fields) == {
            "REMOTE_ADDR": "203.0.113.9",
            "REMOTE_PORT": "0",
            "wsgi.url_scheme": "https",
            "HTTP_HOST": "test",
            "SERVER_PORT": "443",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/x",
        }


@pytest.mark.parametrize(
    "value",
    ["unknown", "_hidden", "unix:", '"', "x", "203.0.113.9, x", "203.0.113.9;"],
)
def test_what_is_no_address_never_makes_the_client_the_proxy(serve, value):
    site = serve(app, trusted_proxies="127.0.0.1")
    assert seen(site, "X-Forwarded-For: " + value)["REMOTE_ADDR"] == "unknown"
    site = serve(
        app, trusted_proxies="127.0.0.1", forwarded_fields=["forwarded"]
    )
    element = "Forwarded: for=1.1.1.1, for=" + value
    assert seen(site, element)["REMOTE_ADDR"] in ("unknown", "203.0.113.9")


def test_forwarded_beside_x_forwarded_is_refused_at_the_start(serve):
    for names in "forwarded,x-forwarded-host", ["X-Forwarded-For", "Forwarded"]:
        with pytest.raises(ValueError, match="not both"):
            serve(app, trusted_proxies="*", forwarded_fields=names)
    with pytest.raises(ValueError, match="not 'x-real-ip'"):
        serve(app, trusted_proxies="*", forwarded_fields="x-real-ip")


@pytest.mark.parametrize(
    "host, fields, right",
    [
        ("shop.example", [], "https://shop.example 443"),
        ("shop.example:8443", [], "https://shop.example:8443 8443"),
        ("shop.example", ["Port: 8443"], "https://shop.example:8443 8443"),
        ("shop.example", ["Port: 443"], "https://shop.example 443"),
        ("shop.example:81", ["Port: 443"], "https://shop.example 443"),
        ("shop.example:81", ["Port: 82"], "https://shop.example:82 82"),
        ("[::1]", ["Port: 8443"], "https://[::1]:8443 8443"),
        ("[::1]:1", ["Port: 443"], "https://[::1] 443"),
        ("i", ["Host: a.example", "Port: 8443"], "https://a.example:8443 8443"),
        ("i", ["Host: a.example:8", "Port: 9"], "https://a.example:9 9"),
        ("i", ["Host: a.example:8"], "https://a.example:8 8"),
        ("i", ["Proto: http", "Port: 80"], "http://i 80"),
        ("i", ["Proto: http", "Port: 443"], "http://i:443 443"),
        ("shop.example", ["Port: x"], "https://shop.example 443"),
        ("a" * 300, ["Port: 8443"], "https://%s 8443" % ("a" * 300)),
    ],
)
def test_host_and_port_of_an_authority_are_put_together(
    serve, host, fields, right
):
    """Also once the head has moved to memory of its own, with its body."""
    site = serve(
        app, trusted_proxies="127.0.0.1", forwarded_fields=ALL, ws_origins="same"
    )
    lines = ["POST / HTTP/1.1", "Host: " + host, "X-Forwarded-Proto: https"]
    lines += ["X-Forwarded-" + field for field in fields]
    with site.raw() as client:
        client.send("\r\n".join([*lines, "Content-Length: 3", "", ""]).encode())
        client.send(b"abc")
        environ = json.loads(client.response()[2])
    url = "%(wsgi.url_scheme)s://%(HTTP_HOST)s %(SERVER_PORT)s" % environ
    assert url == right


def test_pages_of_the_forwarded_port_may_open_websockets(serve):
    """And the events of such a WebSocket see the same authority."""
    hosts = []

    def onconnect(client):
        hosts.append(client.environ["HTTP_HOST"])
        client.close()

    events = wsocket.WSocketApp()
    events.onconnect += onconnect
    site = serve(events, trusted_proxies="127.0.0.1", forwarded_fields=ALL)
    headers = {"X-Forwarded-Host": "shop.example", "X-Forwarded-Port": "8443"}
    for origin in "http://shop.example", "http://evil.example:8443":
        with pytest.raises(Exception, match="403"):
            site.ws("/", additional_headers=headers, origin=origin)
    origin = "http://shop.example:8443"
    with site.ws("/", additional_headers=headers, origin=origin) as client:
        with pytest.raises(ConnectionClosed):
            client.recv()
    assert hosts == ["shop.example:8443"]


def test_the_access_log_names_the_client(serve, tmp_path, eventually):
    log = tmp_path / "log"
    site = serve(
        app,
        trusted_proxies="127.0.0.1",
        access_logfile=str(log),
        access_log_format="%h",
    )
    seen(site, "X-Forwarded-For: 192.0.2.1")
    eventually(lambda: log.read_text() == "192.0.2.1\n")


def test_who_comes_through_a_unix_socket_may_be_trusted(serve, tmp_path):
    for trusted, address in ("unix", "192.0.2.1"), ("127.0.0.1", ""):
        path = str(tmp_path / "app.sock")
        site = serve(app, bind="unix:" + path, trusted_proxies=trusted)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(
                b"GET / HTTP/1.0\r\nHost: t\r\n"
                b"X-Forwarded-For: 192.0.2.1\r\n\r\n"
            )
            body = client.makefile("rb").read().rpartition(b"\r\n\r\n")[2]
        assert json.loads(body)["REMOTE_ADDR"] == address
        site.stop()


def test_what_is_no_address_is_refused(serve):
    with pytest.raises(ValueError, match="trusted_proxies takes addresses"):
        serve(app, trusted_proxies="10.0.0.0/33")


# ------------------------------------------------------- PROXY protocol ---

GET = b"GET /x HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"
V2 = (
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
    + bytes([192, 0, 2, 1, 198, 51, 100, 1])
    + struct.pack("!HH", 56324, 443)
)


@pytest.mark.parametrize("header", [V1, V2])
@pytest.mark.parametrize("bytewise", [False, True])
def test_the_proxy_protocol_names_the_client(serve, header, bytewise):
    site = serve(app, proxy_protocol=True)
    with site.raw() as client:
        if bytewise:
            for i in range(len(header)):
                client.send(header[i : i + 1])
            client.send(GET)
        else:
            client.send(header + GET)
        environ = json.loads(client.response()[2])
    assert environ["REMOTE_ADDR"] == "192.0.2.1"
    assert environ["REMOTE_PORT"] == "56324"
    assert environ["SERVER_PORT"] == "443"


def test_it_counts_for_the_whole_connection(serve):
    site = serve(app, proxy_protocol=True)
    with site.raw() as client:
        client.send(V1)
        for _ in range(3):
            client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
            environ = json.loads(client.response()[2])
            assert environ["REMOTE_ADDR"] == "192.0.2.1"


def version_2(command, family, addresses=b""):
    length = struct.pack("!H", len(addresses))
    return V2[:12] + bytes([command, family]) + length + addresses


UNKNOWN = [
    b"PROXY UNKNOWN\r\n",
    b"PROXY UNKNOWN 192.0.2.1 198.51.100.1 56324 443\r\n",
    version_2(0x21, 0x00),
    version_2(0x21, 0x00, V2[16:]),
    version_2(0x21, 0x31, bytes(216)),
]


@pytest.mark.parametrize("options", [{}, {"trusted_proxies": "127.0.0.1"}])
def test_only_a_local_connection_is_the_proxy_itself(serve, options):
    site = serve(app, proxy_protocol=True, **options)
    local = "203.0.113.9 https" if options else "127.0.0.1 http"
    for header, right in (
        (version_2(0x20, 0x00), local),
        (version_2(0x20, 0x11, V2[16:]), local),
        (V1, "192.0.2.1 http"),
        *((header, "unknown http") for header in UNKNOWN),
    ):
        with site.raw() as client:
            client.send(header)
            for _ in range(2):  # it counts for the whole connection
                fields = "\r\n".join(PROXY).encode()
                client.send(b"GET / HTTP/1.1\r\nHost: t\r\n%s\r\n\r\n" % fields)
                environ = json.loads(client.response()[2])
                seen = "%(REMOTE_ADDR)s %(wsgi.url_scheme)s" % environ
                assert seen == right


@pytest.mark.parametrize(
    "octets",
    [
        GET,
        b"PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n" + GET,
        b"PROXY " + b"x" * 200,
        V2[:12] + b"\x21\x11\xff\xff",
        b"",
    ],
)
def test_whoever_begins_otherwise_is_told_nothing(serve, octets):
    site = serve(app, proxy_protocol=True)
    with site.raw() as client:
        client.send(octets)
        client.socket.shutdown(socket.SHUT_WR)
        try:
            assert client.rest() == b""
        except ConnectionResetError:
            pass


def test_a_header_that_does_not_come_has_a_deadline(serve):
    site = serve(app, proxy_protocol=True, head_timeout=0.3)
    with site.raw() as client:
        client.send(b"PROXY TCP4")
        assert client.rest() == b""


def test_only_trusted_proxies_may_send_it(serve):
    site = serve(app, proxy_protocol=True, trusted_proxies="10.0.0.1")
    with site.raw() as client:
        try:
            client.send(V1 + GET)
            assert client.rest() == b""
        except ConnectionError:
            pass
    site = serve(app, proxy_protocol=True, trusted_proxies="127.0.0.1")
    with site.raw() as client:
        client.send(V1 + GET)
        assert json.loads(client.response()[2])["REMOTE_ADDR"] == "192.0.2.1"


def test_without_the_option_it_is_no_request(serve):
    with serve(app).raw() as client:
        client.send(V1 + GET)
        assert client.response()[0] == 400


def mounted(environ, start_response):
    ws = environ.get("wsgi.websocket")
    text = "%s|%s" % (environ["SCRIPT_NAME"], environ["PATH_INFO"])
    if ws is not None:
        ws.send(text + "|" + ws.environ["SCRIPT_NAME"] + ws.environ["PATH_INFO"])
        return []
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text.encode("latin-1")]


@pytest.mark.parametrize(
    "target, seen",
    [
        ("/app/x/y?z", b"/app|/x/y"),
        ("/app", b"/app|"),
        ("/app?x", b"/app|"),
        ("/app/", b"/app|/"),
        ("/app//x", b"/app|//x"),
        ("/%61pp/x%20y", b"/app|/x y"),
        ("/app/app/x", b"/app|/app/x"),
        ("http://test/app/x", b"/app|/x"),
        ("/apple", None),
        ("/ap", None),
        ("/x", None),
        ("/", None),
        ("/x/app/y", None),
        ("/app%2Fx", None),
        ("/App/x", None),
        ("http://test", None),
    ],
)
def test_script_name_is_taken_off_and_what_is_outside_is_404(
    serve, target, seen
):
    status, _, body = serve(mounted, script_name="/app").get(target)
    assert (status, body) == (200, seen) if seen else status == 404


def test_script_name_may_have_several_parts_and_other_letters(serve):
    site = serve(mounted, script_name="/a/k\u00e4se")
    body = site.get("/a/k%C3%A4se/x")[2]
    assert body.decode("utf-8") == "/a/k\u00e4se|/x"


@pytest.mark.parametrize("value", ["app", "/", "/app/", "/a b", "/a?b", "/a%20"])
def test_a_script_name_is_a_path_without_a_slash_at_its_end(value):
    with pytest.raises(ValueError, match="script_name takes a path such as"):
        wsocket.Server(mounted, script_name=value)


@pytest.mark.parametrize(
    "target, prefix, seen",
    [
        ("/app/x", "/ext", b"/ext/app|/x"),
        ("/app/x", "/ext/app", b"/ext/app|/x"),
        ("/app/x", "/app", b"/app|/x"),
        ("/x", "/app", b"/app|/x"),
        ("/x", "/ext/app", b"/ext/app|/x"),
        ("/x", "/ext", None),
    ],
)
def test_a_prefix_of_a_proxy_stands_before_script_name(
    serve, target, prefix, seen
):
    site = serve(
        mounted,
        script_name="/app",
        trusted_proxies="127.0.0.1",
        forwarded_fields="x-forwarded-prefix",
    )
    status, _, body = site.get(target, "X-Forwarded-Prefix: " + prefix)
    assert (status, body) == (200, seen) if seen else status == 404


def test_a_prefix_that_nobody_is_trusted_for_does_not_count(serve):
    site = serve(mounted, script_name="/app")
    field = "X-Forwarded-Prefix: /app"
    assert site.get("/x", field)[0] == 404
    assert site.get("/app/x", field)[2] == b"/app|/x"


def test_a_websocket_below_a_script_name(serve):
    site = serve(mounted, script_name="/app")
    with site.ws("/app/chat?x") as client:
        assert client.recv(20) == "/app|/chat|/app/chat"
    with pytest.raises(Exception, match="404"):
        site.ws("/chat")


def test_events_and_routes_below_a_script_name(serve):
    class Hello(wsocket.WSocketApp):
        def onconnect(self, client):
            client.send("%(SCRIPT_NAME)s|%(PATH_INFO)s" % client.environ)

    app = Hello()
    with serve(app, script_name="/app").ws("/app/chat") as client:
        assert client.recv(20) == "/app|/chat"
    framework = wsocket.Framework()

    @framework.route("/")
    def index(environ, start_response):
        return "index"

    site = serve(framework, script_name="/app")
    assert site.get("/app")[2] == site.get("/app/")[2] == b"index"


def test_static_files_lie_below_the_script_name(serve, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "index.html").write_text("text")
    site = serve(
        mounted, script_name="/app", static={"/files": str(tmp_path)}
    )
    assert site.get("/app/files/sub/")[2] == b"text"
    status, headers, _ = site.get("/app/files/sub?q")
    assert (status, headers["location"]) == (308, "/app/files/sub/?q")
    assert site.get("/files/sub/")[0] == 404
