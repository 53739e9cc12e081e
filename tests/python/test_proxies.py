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
        site = serve(app, trusted_proxies="*", ws_origins="*")
        headers = dict(field.split(": ") for field in FIELDS)
        with site.ws("/a%20b?c", additional_headers=headers) as client:
            with pytest.raises(ConnectionClosed):
                client.recv()
    assert seen_by["event"] == seen_by["handler"]
    assert seen_by["event"]["SCRIPT_NAME"] == "/shop"


@pytest.mark.parametrize("trusted", ["127.0.0.0/8", "*", ["::1", "127.0.0.1"]])
def test_trusted_proxies_are_believed(serve, trusted):
    site = serve(app, trusted_proxies=trusted)
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
    site = serve(app, trusted_proxies="127.0.0.1")
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
    site = serve(app, trusted_proxies="127.0.0.1")
    with site.ws("/", **options) as client:
        assert client.recv() == "192.0.2.9"
    with pytest.raises(Exception, match="403"):
        serve(app).ws("/", **options)


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


def test_a_local_connection_speaks_for_itself(serve):
    site = serve(app, proxy_protocol=True)
    for header in b"PROXY UNKNOWN\r\n", V2[:12] + b"\x20\0\0\0":
        with site.raw() as client:
            client.send(header + GET)
            environ = json.loads(client.response()[2])
        assert environ["REMOTE_ADDR"] == "127.0.0.1"


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
