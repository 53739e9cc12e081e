"""redirect_https leads requests to https, and hsts lets browsers stay there. A
trusted proxy says here which requests have come by https."""

import pytest

CHALLENGE = "/.well-known/acme-challenge/token"
BY_HTTPS = "X-Forwarded-Proto: https"


def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("X-Path", environ["PATH_INFO"])])
    return [environ["wsgi.url_scheme"].encode() + body]


def strict(environ, start_response):
    fields = [("Strict-Transport-Security", "max-age=1; preload")]
    start_response("200 OK", fields)
    return [b""]


@pytest.fixture
def site(serve):
    def start(app=app, **options):
        options.setdefault("redirect_https", "on")
        return serve(app, trusted_proxies="127.0.0.1", **options)

    return start


def asked(site, *lines, body=b""):
    with site.raw() as client:
        client.send("\r\n".join([*lines, "", ""]).encode(), body)
        answer = client.response(bodiless=lines[0].startswith("HEAD"))
        assert client.rest() == b""
        return answer


@pytest.mark.parametrize(
    "port, shown", [("on", ""), ("443", ""), ("8443", ":8443")]
)
def test_http_is_led_to_https(site, port, shown):
    where = site(redirect_https=port)
    status, fields, body = where.get("/a%20b?c=d&e", "Host: shop.example:80")
    assert status == 400  # two Hosts
    lines = ("GET /a%20b?c=d&e HTTP/1.1", "Host: shop.example:80")
    status, fields, body = asked(where, *lines)
    assert status == 308
    assert fields["location"] == "https://shop.example%s/a%%20b?c=d&e" % shown
    assert fields["connection"] == "close"
    assert body == b"308 use https\n"


def test_https_is_served(site):
    where = site()
    assert where.get("/x", BY_HTTPS)[2] == b"https"


def test_by_default_http_is_served(serve):
    assert serve(app).get("/x")[2] == b"http"


def test_a_challenge_of_acme_is_served(site, tmp_path):
    (tmp_path / "token").write_text("proof")
    where = site(static="/.well-known/acme-challenge=%s" % tmp_path)
    assert where.get(CHALLENGE)[2] == b"proof"
    assert where.get(CHALLENGE + "/../../x")[0] == 308
    assert where.get("/.well-known/acme-challenge/..%2fx")[0] == 308


def test_without_a_host_there_is_no_target(site):
    where = site()
    assert asked(where, "GET / HTTP/1.0")[0] == 400
    assert asked(where, "GET / HTTP/1.1", "Host:")[0] == 400
    assert asked(where, "GET / HTTP/1.1", "Host: :80")[0] == 400
    assert asked(where, "GET / HTTP/1.1", "Host: a/b")[0] == 400


def test_the_authority_of_an_absolute_target_counts(site):
    lines = ("GET http://a.example:80 HTTP/1.1", "Host: b.example")
    assert asked(site(), *lines)[1]["location"] == "https://a.example/"


def test_the_server_as_a_whole_has_no_path(site):
    lines = ("OPTIONS * HTTP/1.1", "Host: a.example")
    assert asked(site(), *lines)[1]["location"] == "https://a.example"


def test_the_host_that_a_proxy_tells_is_the_target(site):
    where = site(forwarded_fields="x-forwarded-proto,x-forwarded-host")
    lines = ("GET / HTTP/1.1", "Host: inside", "X-Forwarded-Host: a.example")
    assert asked(where, *lines)[1]["location"] == "https://a.example/"


def test_a_body_is_not_waited_for(site):
    where = site()
    lines = ("POST / HTTP/1.1", "Host: h", "Content-Length: 100000")
    assert asked(where, *lines)[0] == 308
    assert asked(where, *lines, body=b"x" * 100000)[0] == 308
    assert asked(where, *lines, "Expect: 100-continue")[0] == 308
    lines = ("POST / HTTP/1.1", "Host: h", "Transfer-Encoding: chunked")
    assert asked(where, *lines)[0] == 308


def test_nothing_behind_a_redirection_is_a_request(site):
    where = site()
    text = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    with where.raw() as client:
        client.send((text * 3).encode())
        assert client.response()[0] == 308
        assert client.rest() == b""


def test_a_head_request_gets_no_text(site):
    status, fields, body = asked(site(), "HEAD / HTTP/1.1", "Host: h")
    assert (status, body) == (308, b"")
    assert fields["location"] == "https://h/"


def test_a_websocket_is_led_there_as_well(site):
    lines = (
        "GET /chat HTTP/1.1",
        "Host: h",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    )
    status, fields, _ = asked(site(), *lines)
    assert (status, fields["location"]) == (308, "https://h/chat")


def test_a_prefix_is_no_challenge(site):
    """script_name is taken off after the decision."""
    where = site(script_name="/.well-known")
    assert where.get(CHALLENGE)[1]["x-path"] == "/acme-challenge/token"
    assert where.get("/.well-known/x")[0] == 308


def test_another_host_is_refused_first(site):
    where = site(allowed_hosts="a.example")
    assert asked(where, "GET / HTTP/1.1", "Host: b.example")[0] == 421


def test_a_redirection_is_in_the_access_log(site, tmp_path):
    path = tmp_path / "access.log"
    where = site(access_logfile=str(path), access_log_format="%s %B %r")
    assert asked(where, "GET /x HTTP/1.1", "Host: h")[0] == 308
    assert where.stop()
    assert path.read_text() == "308 14 GET /x HTTP/1.1\n"


HSTS = "strict-transport-security"


def test_answers_by_https_say_to_stay_there(site):  # RFC 6797 7.1, 7.2
    where = site(hsts=31536000, redirect_https="off", allowed_hosts="test")
    assert where.get("/", BY_HTTPS)[1][HSTS] == "max-age=31536000"
    assert HSTS not in where.get("/")[1]
    lines = ("GET / HTTP/1.1", "Host: other", BY_HTTPS)
    status, fields, _ = asked(where, *lines)
    assert (status, fields[HSTS]) == (421, "max-age=31536000")


def test_one_connection_may_carry_both(site):
    where = site(hsts=60, redirect_https="off")
    with where.raw() as client:
        for _ in range(2):
            client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert HSTS not in client.response()[1]
            client.send(
                b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: https\r\n\r\n"
            )
            assert client.response()[1][HSTS] == "max-age=60"


def test_the_application_has_the_last_word(site):
    where = site(strict, hsts=60)
    with where.raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n%s\r\n" % BY_HTTPS.encode())
        client.send(b"Connection: close\r\n\r\n")
        text = client.rest().lower()
    assert text.count(b"strict-transport-security") == 1
    assert b"max-age=1; preload" in text


def test_a_redirection_says_nothing_of_it(site):  # RFC 6797 7.2
    status, fields, _ = asked(site(hsts=60), "GET / HTTP/1.1", "Host: h")
    assert status == 308 and HSTS not in fields


def test_a_timeout_says_it_as_well(site):
    import threading

    enough = threading.Event()

    def slow(environ, start_response):
        enough.wait(30)
        start_response("200 OK", [])
        return []

    where = site(slow, hsts=60, request_timeout=0.3)
    status, fields, _ = where.get("/", BY_HTTPS)
    enough.set()
    assert (status, fields[HSTS]) == (503, "max-age=60")
