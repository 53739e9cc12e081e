"""Answers without a handler: the access log has a line of each."""

import json

import pytest

LONG = b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: t\r\n\r\n"
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: %b\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%b\r\n"
)


def post(fields, body=b""):
    return b"POST /b HTTP/1.1\r\nHost: t\r\n%b\r\n%b" % (fields, body)


@pytest.mark.parametrize(
    "octets, status, line, options",
    [
        (b"GET /a?q HTTP/1.1\r\nNo colon\r\n\r\n", 400, "GET /a?q HTTP/1.1", {}),
        (b"GET /a HTTP/1.1\r\n\r\n", 400, "GET /a HTTP/1.1", {}),
        (b"\r\nrubbish\r\n\r\n", 400, "rubbish", {}),
        (b"\x16\x03\x01\x02\r\n", 400, r"\x16\x03\x01\x02", {}),
        (LONG, 414, "GET /aaa", {}),
        (b"GET / HTTP/1.1\r\nHost: t\r\nA: " + b"a" * 70000, 431, "GET /", {}),
        (b"GET / HTTP/3.0\r\nHost: t\r\n\r\n", 505, "GET / HTTP/3.0", {}),
        (post(b"Transfer-Encoding: x\r\n"), 501, "POST /b HTTP/1.1", {}),
        (post(b"Content-Length: 9\r\n"), 413, "POST /b", {"max_body": 8}),
        (
            post(b"Transfer-Encoding: chunked\r\n", b"no\r\n"),
            400,
            "POST /b HTTP/1.1",
            {},
        ),
        (b"GET / HTTP/1.1\r\nHo", 408, "GET / HTTP/1.1", {"head_timeout": 0.1}),
        (HANDSHAKE % (b"12", b""), 426, "GET /ws HTTP/1.1", {}),
        (
            HANDSHAKE % (b"13", b"Origin: http://else\r\n"),
            403,
            "GET /ws HTTP/1.1",
            {},
        ),
        (HANDSHAKE % (b"13", b""), 503, "GET /ws HTTP/1.1", {"max_parked": 0}),
        (
            b"GET / HTTP/1.1\r\nHost: t\r\n\r\n",
            421,
            "GET / HTTP/1.1",
            {"allowed_hosts": "shop.example"},
        ),
    ],
)
def test_an_answer_without_a_handler_has_one_line(
    serve, tmp_path, eventually, octets, status, line, options
):
    log = tmp_path / "log"
    site = serve(None, access_logfile=str(log), **options)
    with site.raw() as client:
        client.send(octets)
        answer = client.response()
        assert answer[0] == status
    eventually(lambda: log.exists() and log.read_text())
    said = log.read_text()
    assert said.count("\n") == 1
    assert '"%s' % line in said
    assert '" %d %d ' % (status, len(answer[2])) in said


def test_a_refusal_that_a_handler_meets_is_in_the_line_of_its_request(
    serve, tmp_path, eventually
):
    def app(environ, start_response):
        environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [b"never"]

    log = tmp_path / "log"
    site = serve(app, access_logfile=str(log), buffer_body="never")
    with site.raw() as client:
        client.send(post(b"Transfer-Encoding: chunked\r\n", b"no\r\n"))
        assert client.response()[0] == 400
    eventually(lambda: log.exists() and log.read_text())
    assert log.read_text().count("\n") == 1
    assert '"POST /b HTTP/1.1" 400 ' in log.read_text()


def test_a_line_of_json_names_what_was_refused(serve, tmp_path, eventually):
    log = tmp_path / "log"
    site = serve(None, access_logfile=str(log), access_log_format="json")
    with site.raw() as client:
        client.send(b'GET /"a?b HTTP/1.1\r\nNo colon\r\n\r\n')
        assert client.response()[0] == 400
    eventually(lambda: log.exists() and log.read_text())
    said = json.loads(log.read_text())
    assert (said["status"], said["method"]) == (400, "GET")
    assert (said["target"], said["version"]) == ('/"a?b', "HTTP/1.1")


@pytest.mark.plain
def test_a_connection_without_its_proxy_header_is_counted(serve, server_log):
    site = serve(None, proxy_protocol=True)
    with site.raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.rest() == b""
    assert "1 since the start" in server_log("PROXY protocol")
