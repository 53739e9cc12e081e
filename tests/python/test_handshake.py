"""Who may open a WebSocket, and by which subprotocol (RFC 6455 4.2.2, 10.2)."""

import base64

import pytest
from websockets.exceptions import InvalidStatus

import wsocket


def echo(environ, start_response):
    ws = environ["wsgi.websocket"]
    for message in ws:
        ws.send(message)
    return []


def events():
    app = wsocket.WSocketApp()
    app.onmessage += lambda message, client: client.send(message)
    return app


APPS = pytest.mark.parametrize(
    "app", [echo, events()], ids=["blocking", "events"]
)


def attempt(site, *headers, host="example.com", version="13"):
    """Status and headers of the answer to a handshake."""
    key = base64.b64encode(b"0123456789abcdef").decode()
    lines = [
        "GET / HTTP/1.1",
        "Host: " + host,
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: " + key,
        "Sec-WebSocket-Version: " + version,
        *headers,
    ]
    with site.raw() as client:
        client.send("\r\n".join(lines).encode() + b"\r\n\r\n")
        return client.head()


def status(site, *headers, **options):
    return attempt(site, *headers, **options)[0]


# --------------------------------------------------------------- origins ---


@APPS
def test_a_page_of_another_host_is_refused_and_the_log_names_the_option(
    serve, server_log, app
):
    site = serve(app)
    assert status(site, "Origin: http://evil.example") == 403
    assert "ws_origins" in server_log("http://evil.example")


@APPS
def test_a_page_of_this_host_and_what_is_no_browser_pass(serve, app):
    site = serve(app)
    assert status(site) == 101
    page = "Origin: %s://example.com" % site.scheme
    assert status(site, page) == 101
    assert status(site, page + ":81") == 403
    assert status(site, "Origin: null") == 403


def test_a_development_server_on_this_machine_passes(serve):
    site = serve(echo)
    here = "127.0.0.1:%d" % site.port
    page = "Origin: %s://localhost:5173" % site.scheme
    assert status(site, page, host=here) == 101
    assert status(site, "Origin: http://evil.example", host=here) == 403


@pytest.mark.parametrize(
    "origins",
    [
        ["http://example.com", "http://example.com"],
        ["http://example.com", "http://evil.example"],
        ["http://a.example", "http://b.example", "http://c.example"],
    ],
)
def test_two_origins_are_none_and_the_log_names_them(
    serve, server_log, origins
):
    fields = ["Origin: " + origin for origin in origins]
    assert status(serve(echo), *fields) == 403
    said = server_log("more than one Origin")
    assert " and ".join(origins) in said


def test_refused_origins_are_counted_not_logged_without_bound(
    serve, server_log
):
    site = serve(echo)
    for _ in range(50):
        assert status(site, "Origin: http://evil.example") == 403
    assert server_log(": 1 since the start").count("evil.example") < 50


HTTPS = "X-Forwarded-Proto: https"


@pytest.mark.plain
@pytest.mark.parametrize(
    "origin, fields, right",
    [
        ("https://example.com", [HTTPS], 101),
        ("https://EXAMPLE.com:443", [HTTPS], 101),
        ("http://example.com", [HTTPS], 403),
        ("http://example.com:443", [HTTPS], 403),
        ("http://example.com", [], 101),
        ("https://example.com", [], 101),
        ("evil://example.com", [], 403),
        ("ws://example.com", [HTTPS], 403),
    ],
)
def test_the_scheme_is_compared_where_the_site_is_known_to_be_https(
    serve, origin, fields, right
):
    site = serve(echo, trusted_proxies="127.0.0.1")
    assert status(site, "Origin: " + origin, *fields) == right
    if right == 403 and fields:
        listed = serve(
            echo, trusted_proxies="127.0.0.1", ws_origins=["same", origin]
        )
        assert status(listed, "Origin: " + origin, *fields) == 101


# ----------------------------------------------------------------- hosts ---


@APPS
def test_another_host_than_the_allowed_ones_is_answered_421(
    serve, server_log, app
):
    site = serve(app, allowed_hosts=["example.com", ".shop.example"])
    for host, right in (
        ("example.com", 101),
        ("EXAMPLE.com.:8080", 101),
        ("a.shop.example", 101),
        ("evil.example", 421),
        ("127.0.0.1", 421),
    ):
        assert status(site, host=host) == right
    assert "evil.example" in server_log("allowed_hosts")


def test_pages_and_files_are_for_the_allowed_hosts_too(serve, tmp_path):
    (tmp_path / "a.txt").write_text("words")
    site = serve(
        echo,
        static=["/s=%s" % tmp_path],
        allowed_hosts="example.com",
        trusted_proxies="127.0.0.1",
        forwarded_fields="x-forwarded-host",
    )
    forwarded = "X-Forwarded-Host: %s"
    for lines, right in (
        (["GET /s/a.txt HTTP/1.1", "Host: example.com"], 200),
        (["GET /s/a.txt HTTP/1.1", "Host: evil.example"], 421),
        (["HEAD /s/a.txt HTTP/1.1", "Host: evil.example"], 421),
        (["GET http://evil.example/s/a.txt HTTP/1.1", "Host: example.com"], 421),
        (["GET http://example.com/s/a.txt HTTP/1.1", "Host: evil"], 200),
        (["GET /s/a.txt HTTP/1.0"], 421),
        (["GET /s/a.txt HTTP/1.0", "Host: example.com"], 200),
        (["GET /s/a.txt HTTP/1.1", "Host:"], 421),
        (["GET /s/a.txt HTTP/1.1", "Host: i", forwarded % "example.com"], 200),
        (
            ["GET /s/a.txt HTTP/1.1", "Host: example.com", forwarded % "evil"],
            421,
        ),
        (
            [
                "POST / HTTP/1.1",
                "Host: evil.example",
                "Content-Length: 5",
                "Expect: 100-continue",
            ],
            421,
        ),
        (["OPTIONS * HTTP/1.1", "Host: evil.example"], 421),
    ):
        with site.raw() as client:
            client.send("\r\n".join([*lines, "", ""]).encode())
            assert client.head()[0] == right


def test_no_host_is_refused_by_default(serve, tmp_path):
    (tmp_path / "a.txt").write_text("words")
    with serve(echo, static=["/=%s" % tmp_path]).raw() as client:
        client.send(b"GET /a.txt HTTP/1.0\r\n\r\n")
        assert client.head()[0] == 200


@pytest.mark.parametrize(
    "option",
    [
        "https://a.example,http://b.example",
        ["https://a.example", "null"],
        ("https://b.example,https://a.example", "http://c.example"),
    ],
)
def test_a_list_of_origins_is_all_that_pass(serve, option):
    site = serve(echo, ws_origins=option)
    assert status(site, "Origin: https://a.example") == 101
    assert status(site, "Origin: http://example.com") == 403
    null = 101 if "null" in option else 403
    assert status(site, "Origin: null") == null


def test_an_asterisk_lets_every_page_in(serve):
    site = serve(echo, ws_origins="*")
    assert status(site, "Origin: http://evil.example") == 101
    assert status(site, "Origin: null") == 101


@APPS
def test_a_callable_judges_origins(serve, app):
    asked = []

    def judge(origin, environ):
        asked.append((origin, environ["PATH_INFO"]))
        return origin == "http://good.example"

    site = serve(app, ws_origins=judge)
    assert status(site, "Origin: http://good.example") == 101
    assert status(site, "Origin: http://example.com") == 403
    assert status(site) == 403
    assert asked == [
        ("http://good.example", "/"),
        ("http://example.com", "/"),
        (None, "/"),
    ]


# ---------------------------------------------------------- subprotocols ---


@pytest.mark.parametrize(
    "option", ["v2, v1", ["v2", "v1"], ("v3,v2", "v1"), "\n v3 \n\nv2\nv1"]
)
@APPS
def test_the_first_preferred_subprotocol_is_chosen(serve, app, option):
    site = serve(app, ws_subprotocols=option)
    with site.ws(subprotocols=["v1", "v2"]) as ws:
        assert ws.subprotocol == "v2"
    with site.ws(subprotocols=["v1", "v9"]) as ws:
        assert ws.subprotocol == "v1"
    with site.ws(subprotocols=["v9"]) as ws:
        assert ws.subprotocol is None


def test_the_preference_of_an_application_comes_before_the_servers(serve):
    app = wsocket.WSocketApp(echo, protocols=["own"])
    site = serve(app, ws_subprotocols="v1")
    with site.ws(subprotocols=["v1", "own"]) as ws:
        assert ws.subprotocol == "own"


def test_protocols_are_told_when_the_handler_has_returned(serve):
    def tell(message, client):
        client.send(repr(client.protocols))

    for own, told in ([], "('v1', 'v2')"), (["own"], "('own',)"):
        app = wsocket.WSocketApp(protocols=own)
        app.onmessage += tell
        site = serve(app, ws_subprotocols="v1,v2")
        with site.ws(subprotocols=["v1", "own"]) as ws:
            ws.send("?")
            assert ws.recv(timeout=20) == told


@APPS
def test_a_callable_chooses_the_subprotocol(serve, app):
    asked = []

    def choose(offered, environ):
        asked.append(offered)
        return offered[-1] if offered else None

    site = serve(app, ws_subprotocols=choose)
    with site.ws(subprotocols=["a", "b"]) as ws:
        assert ws.subprotocol == "b"
    with site.ws() as ws:
        assert ws.subprotocol is None
    assert asked == [["a", "b"], []]


# ---------------------------------------------------------------- drafts ---


def test_the_drafts_are_refused_by_the_version_that_is_spoken(serve):
    code, headers = attempt(serve(echo), version="8")
    assert (code, headers["sec-websocket-version"]) == (426, "13")


def test_the_drafts_are_served_where_they_are_allowed(serve):
    versions = []

    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        versions.append((environ["wsgi.websocket_version"], ws.version))
        ws.send(ws.origin or "nobody")
        return []

    site = serve(app, ws_allow_drafts=True)
    origin = "Sec-WebSocket-Origin: %s://example.com" % site.scheme
    assert status(site, origin, version="8") == 101
    assert status(site, version="7") == 101
    evil = "Sec-WebSocket-Origin: http://evil.example"
    assert status(site, evil, version="8") == 403
    assert versions == [("8", "8"), ("7", "7")]
    code, headers = attempt(site, version="9")
    assert (code, headers["sec-websocket-version"]) == (426, "13, 8, 7")


# ------------------------------------------------------------------ hook ---


@APPS
@pytest.mark.parametrize(
    "verdict, code, body",
    [
        (False, 403, b"403 Forbidden\n"),
        (401, 401, b"401 Unauthorized\n"),
        ("402 Pay", 402, b"402 Pay\n"),
        ((410, [("X-Why", "moved")], ""), 410, b""),
        (("429 Slow", [("Retry-After", "9")], b"later"), 429, b"later"),
        ((401, {"WWW-Authenticate": "Basic"}, "who?"), 401, b"who?"),
    ],
)
def test_a_hook_refuses_with_its_own_answer(serve, app, verdict, code, body):
    site = serve(app, on_handshake=lambda environ: verdict)
    with pytest.raises(InvalidStatus) as refused:
        site.ws()
    answer = refused.value.response
    assert (answer.status_code, answer.body) == (code, body)
    if isinstance(verdict, tuple):
        for name, value in dict(verdict[1]).items():
            assert answer.headers[name] == value


@APPS
@pytest.mark.parametrize(
    "verdict", [{"X-Room": "7"}, [("X-Room", "7"), ("Set-Cookie", "a=b")]]
)
def test_a_hook_adds_headers_to_the_101(serve, app, verdict):
    site = serve(app, on_handshake=lambda environ: verdict)
    with site.ws() as ws:
        assert ws.response.headers["X-Room"] == "7"
        ws.send("still there")
        assert ws.recv() == "still there"


def test_a_hook_sees_the_environ_and_lets_pass(serve):
    paths = []

    def look(environ):
        paths.append((environ["PATH_INFO"], environ["HTTP_X_TOKEN"]))

    site = serve(echo, on_handshake=look)
    with site.ws("/room", additional_headers={"X-Token": "t"}) as ws:
        ws.send("a")
        assert ws.recv() == "a"
    assert paths == [("/room", "t")]


def test_a_hook_is_not_asked_about_plain_requests(serve):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [b"plain"]

    site = serve(app, on_handshake=lambda environ: False)
    assert site.get()[2] == b"plain"


@pytest.mark.parametrize(
    "hook", [lambda environ: 1 / 0, lambda environ: 3.5, lambda environ: ()]
)
def test_a_hook_that_fails_is_a_500(serve, hook):
    site = serve(echo, on_handshake=hook)
    with pytest.raises(InvalidStatus) as refused:
        site.ws()
    assert refused.value.response.status_code == 500


def test_accept_adds_its_headers_behind_those_of_the_hook(serve):
    def app(environ, start_response):
        environ["wsgi.websocket"].accept(headers={"X-App": "2"})
        return []

    site = serve(app, on_handshake=lambda environ: {"X-Hook": "1"})
    with site.ws() as ws:
        assert ws.response.headers["X-Hook"] == "1"
        assert ws.response.headers["X-App"] == "2"


def test_headers_of_the_handshake_itself_are_refused(serve):
    errors = []

    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        for headers in ({"Sec-WebSocket-Accept": "x"}, {"A": "b\r\nC: d"}, 5):
            try:
                ws.accept_headers = headers
            except (TypeError, ValueError) as exc:
                errors.append(type(exc))
        return []

    with serve(app).ws():
        pass
    assert errors == [ValueError, ValueError, TypeError]
