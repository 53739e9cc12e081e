"""The access log: its formats, its files, and what nobody can forge in it."""

import base64
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import unicodedata

import pytest
from patience import PATIENCE

from wsocket import Server

late = threading.Event()


def app(environ, start_response):
    if environ.get("wsgi.websocket") is not None:
        ws = environ["wsgi.websocket"]
        for message in ws:
            ws.send(message)
        return []
    if environ["PATH_INFO"] == "/late":
        late.wait(PATIENCE)
    body = b"x" * int(environ["QUERY_STRING"] or 5)
    start_response("200 OK", [("X-Id", 'a"b'), ("Content-Type", "text/x")])
    return [body]


@pytest.fixture
def logged(serve, tmp_path, eventually):
    """logged(format): a site, and a function for the lines it has written."""
    path = tmp_path / "access.log"

    def start(format=None, **options):
        if format:
            options["access_log_format"] = format
        site = serve(app, access_logfile=str(path), **options)

        def lines(n):
            # A line that is being written may end within a character.
            eventually(lambda: path.read_bytes().count(b"\n") >= n)
            return path.read_text().splitlines()

        return site, lines

    return start


def test_combined_is_the_default(logged):
    site, lines = logged()
    site.get("/a?7", "Referer: http://r/", "User-Agent: me/1.0")
    site.get("/b", method="HEAD")
    first, second = lines(2)
    assert re.fullmatch(
        r"127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "
        r'"GET /a\?7 HTTP/1\.1" 200 7 "http://r/" "me/1\.0"',
        first,
    )
    assert second.endswith('"HEAD /b HTTP/1.1" 200 0 "-" "-"')


def test_what_was_cut_is_not_counted(serve, tmp_path, eventually):
    path = tmp_path / "access.log"

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "3")])
        return [b"x" * int(environ["QUERY_STRING"])] * 2

    site = serve(app, access_logfile=str(path), access_log_format="%B")
    for length in "2", "5", "50000":
        assert site.get("/?" + length)[2] == b"xxx"
    eventually(lambda: path.read_text() == "3\n3\n3\n")


def test_common_is_shorter(logged):
    site, lines = logged("common")
    site.get("/a", "User-Agent: me")
    assert lines(1)[0].endswith('] "GET /a HTTP/1.1" 200 5')


def test_every_atom(logged):
    site, lines = logged(
        "%h|%l|%u|%m|%U|%q|%H|%s|%>s|%b|%B|%f|%a|%p|%%|%{Host}i|%{Nope}i"
        "|%{X-Id}o|%{content-type}o|%{Nope}o|%{HOME}e|%{NO_SUCH}e"
        "|%{messages_in}w"
    )
    site.get("/p/a?0", "Referer: r", "User-Agent: u")
    assert lines(1)[0].split("|") == [
        *("127.0.0.1", "-", "-", "GET", "/p/a", "0", "HTTP/1.1", "200"),
        *("200", "-", "0", "r", "u", str(os.getpid()), "%", "test", "-"),
        *(r"a\x22b", "text/x", "-", os.environ.get("HOME", "-"), "-", "-"),
    ]


def test_the_environment_is_read_once_with_the_format(logged, monkeypatch):
    """A program may change it while lines are written by other threads."""
    monkeypatch.setenv("WSK_A", "one")
    monkeypatch.setenv("WSK_B", "")
    monkeypatch.delenv("WSK_C", raising=False)
    site, lines = logged("%{WSK_A}e %{WSK_B}e %{WSK_C}e %s %{WSK_A}e")
    site.get("/")
    monkeypatch.setenv("WSK_A", "two")
    monkeypatch.setenv("WSK_C", "three")
    site.get("/")
    assert lines(2) == ["one - - 200 one"] * 2


def test_durations(logged):
    site, lines = logged("%T %M %D %L")
    site.get("/")
    seconds, ms, us, decimal = lines(1)[0].split()
    assert int(us) // 1000 == int(ms)
    assert int(ms) // 1000 == int(seconds)
    assert abs(float(decimal) - int(us) / 1e6) < 1e-6


def test_gunicorns_spelling(logged):
    site, lines = logged('%(h)s "%(r)s" %({user-agent}i)s')
    site.get("/", "User-Agent: me")
    assert lines(1) == ['127.0.0.1 "GET / HTTP/1.1" me']


def test_what_is_no_format_is_refused(serve):
    with pytest.raises(ValueError, match="access_log_format takes combined"):
        serve(app, access_log_format="%z")


def test_nobody_can_forge_a_line(logged):
    site, lines = logged()
    site.get('/"x"\\', 'User-Agent: a" 200\t"\\\xff')
    line = lines(1)[0]
    assert r'"GET /\x22x\x22\x5c HTTP/1.1" 200' in line
    assert line.count('"') == 6
    assert r'"a\x22 200\x09\x22\x5c\xff"' in line


def test_a_nul_hides_nothing_of_a_line_that_is_refused(logged):
    site, lines = logged("%r %s")
    for octets in b"GET /a\0b HTTP/1.1", b"\0\0 /x", b"GET /\0":
        with site.raw() as client:
            client.send(octets + b"\r\n\r\n")
            assert client.head()[0] == 400
    assert lines(3) == [
        r"GET /a\x00b HTTP/1.1 400",
        r"\x00\x00 /x 400",
        r"GET /\x00 400",
    ]


def test_json_is_json(logged):
    site, lines = logged("json")
    site.get('/"x"?3', 'User-Agent: a"\\\t\xff', "Referer: http://r/")
    line = json.loads(lines(1)[0])
    assert line.pop("time")[-1] == "Z"
    assert 0 <= line.pop("duration") < 60
    assert line == {
        "remote": "127.0.0.1",
        "user": None,
        "method": "GET",
        "target": '/"x"?3',
        "version": "HTTP/1.1",
        "host": "test",
        "status": 200,
        "octets": 3,
        "referer": "http://r/",
        "agent": 'a"\\\t\xff',
    }


def test_a_websocket_has_a_line_for_its_beginning_and_one_for_its_end(logged):
    site, lines = logged(
        "%r %s %{messages_in}w %{messages_out}w %{octets_in}w %{octets_out}w"
    )
    with site.ws("/chat") as client:
        client.send("hello")
        client.send(b"12")
        assert client.recv() == "hello"
        assert client.recv() == b"12"
        client.close(4001, "enough")
    assert lines(2) == [
        "GET /chat HTTP/1.1 101 - - - -",
        "WEBSOCKET /chat HTTP/1.1 4001 2 2 7 7",
    ]


def basic(user_pass):
    return "Authorization: Basic " + base64.b64encode(user_pass).decode()


@pytest.mark.parametrize(
    "field, user",
    [
        (basic(b"ann:secret"), "ann"),
        (basic(b"ann:se:cret").replace("Basic", "bASIC"), "ann"),
        (basic(b"ann:").replace("Basic ", "Basic   "), "ann"),
        (basic(b"a:"), "a"),
        (basic(b"ab:"), "ab"),
        (basic("j\xfc:x".encode()), r"j\xc3\xbc"),
        (basic(b'a b"[c]\\\r\n\0\x1b\xff:x'),
         r"a\x20b\x22[c]\x5c\x0d\x0a\x00\x1b\xff"),
        (basic(b"a" * 1500 + b":x"), "a" * 1500),
        (basic(b"a" * 4000 + b":x"), "-"),
        (basic(b"ann"), "-"),  # no user-pass has no colon
        (basic(b":secret"), "-"),
        (basic(b"ann:secret") + "!", "-"),
        ("Authorization: Basic YW5uOg", "-"),  # is not padded
        ("Authorization: Basic YW5uOg==x", "-"),
        ("Authorization: Basic %%%", "-"),
        ("Authorization: Basic", "-"),
        ("Authorization: Basic ", "-"),
        ("Authorization: BasicYW5uOg==", "-"),
        ("Authorization: Bearer YW5uOg==", "-"),
        ("Authorization: Digest username=ann", "-"),
        ("Authorization:", "-"),
        ("Proxy-" + basic(b"ann:secret"), "-"),
        ("X-Nothing: y", "-"),
    ],
)
def test_the_user_is_that_of_basic_credentials(logged, field, user):
    """RFC 7617 2; in an unquoted field blanks are escaped, too."""
    site, lines = logged("%u %s")
    assert site.get("/", field)[0] == 200
    assert lines(1) == ["%s 200" % user]


def test_the_user_is_in_json_and_of_a_websocket(logged):
    site, lines = logged("json")
    site.get("/", basic('j\xfc"\n:x'.encode()))
    site.get("/", "Authorization: Bearer YW5uOg==")
    field = dict([basic(b"ann:secret").split(": ")])
    with site.ws("/", additional_headers=field) as client:
        client.close(1000)
    users = [json.loads(line)["user"] for line in lines(4)]
    assert users == ['j\xfc"\n', None, "ann", "ann"]


def test_the_user_of_credentials_is_not_known_to_the_application(serve):
    """Nobody has looked whether the password is right."""
    seen = []

    def app(environ, start_response):
        seen.append(environ.get("REMOTE_USER"))
        start_response("204 No Content", [])
        return []

    assert serve(app).get("/", basic(b"ann:secret"))[0] == 204
    assert seen == [None]


def test_a_websocket_in_json(logged):
    site, lines = logged("json")
    with site.ws("/chat") as client:
        client.send("hello")
        client.recv()
    line = json.loads(lines(2)[1])
    assert line["method"] == "WEBSOCKET" and line["code"] == 1000
    assert (line["messages_in"], line["octets_out"]) == (1, 5)
    assert 0 <= line["duration"] < 60


def test_files_are_logged_too(logged, tmp_path):
    (tmp_path / "f").write_bytes(b"123456")
    site, lines = logged("%r %s %B", static={"/s": tmp_path})
    site.get("/s/f")
    site.get("/s/no")
    site.get("/s/f", "Range: bytes=0-1")
    assert lines(3) == [
        "GET /s/f HTTP/1.1 200 6",
        "GET /s/no HTTP/1.1 404 14",
        "GET /s/f HTTP/1.1 206 2",
    ]


def test_who_waited_too_long_is_logged_with_what_it_was_told(logged):
    late.clear()
    site, lines = logged("%r %s", threads=1, request_timeout=0.2)
    with site.raw() as called, site.raw() as queued:
        called.send(b"GET /late HTTP/1.1\r\nHost: t\r\n\r\n")
        assert called.response()[0] == 503
        queued.send(b"GET /queued HTTP/1.1\r\nHost: t\r\n\r\n")
        assert queued.response()[0] == 503
        late.set()
        assert lines(2) == [
            "GET /late HTTP/1.1 503",
            "GET /queued HTTP/1.1 503",
        ]


def test_who_was_not_called_for_it_had_gone_is_logged_with_499(logged):
    late.clear()
    site, lines = logged("%r %s %B", threads=1)

    def let_the_leader_look():
        with site.raw() as other:
            other.send(b"nonsense\r\n\r\n")  # needs no thread
            assert other.head()[0] == 400

    with site.raw() as called:
        called.send(b"GET /late HTTP/1.1\r\nHost: t\r\n\r\n")
        with site.raw() as queued:
            queued.socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            queued.send(b"GET /queued HTTP/1.1\r\nHost: t\r\n\r\n")
            let_the_leader_look()
        let_the_leader_look()
        late.set()
        assert called.response()[0] == 200
        assert lines(4) == [
            "nonsense 400 16",
            "nonsense 400 16",
            "GET /late HTTP/1.1 200 5",
            "GET /queued HTTP/1.1 499 0",
        ]


def test_a_log_that_cannot_be_written_is_named(serve, tmp_path):
    for option, what in ("access_logfile", "access"), ("error_logfile", "error"):
        path = str(tmp_path / "missing" / "x.log")
        with pytest.raises(
            OSError, match="cannot write the %s log .*x.log: No such" % what
        ):
            serve(app, **{option: path})


@pytest.mark.parametrize(
    "options, logs",
    [
        (["--log-level=info"], True),
        (["--log-level=warning"], False),
        (["--log-level=warning", "--access-logfile=-"], True),
        (["--log-level=critical", "--access-logfile=-"], True),
        (["--access-logfile=none"], False),
    ],
)
def test_less_noise_is_no_access_log_unless_it_is_asked_for(
    program, options, logs
):
    started = program("--port=0", *options).wait_started()
    with started.raw() as client:
        client.send(b"GET / HTTP/1.0\r\nHost: t\r\n\r\n")
        assert client.response()[0] == 200
    started.signal(signal.SIGTERM)
    assert started.wait() == 0
    assert ("GET / HTTP/1.0" in started.printed) is logs


def test_a_log_that_was_moved_is_begun_anew(program, tmp_path, eventually):
    (tmp_path / "site_app.py").write_text(
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    environ['wsgi.errors'].write(environ['PATH_INFO'] + '\\n')\n"
        "    return []\n"
    )
    access, error = tmp_path / "access.log", tmp_path / "error.log"
    started = program(
        "site_app:app",
        "--port=0",
        "--access-logfile=%s" % access,
        "--error-logfile=%s" % error,
    ).wait_started()

    def ask(path):
        with started.raw() as client:
            client.send(b"GET %s HTTP/1.0\r\nHost: t\r\n\r\n" % path)
            assert client.response()[0] == 200

    ask(b"/one")
    eventually(lambda: "/one" in access.read_text())
    eventually(lambda: "/one" in error.read_text())
    access.rename(tmp_path / "access.1")
    error.rename(tmp_path / "error.1")
    started.signal(signal.SIGUSR1)
    eventually(lambda: access.exists() and error.exists())
    ask(b"/two")
    eventually(lambda: "/two" in access.read_text())
    eventually(lambda: "/two" in error.read_text())
    assert "/one" not in access.read_text()
    assert "/two" not in (tmp_path / "access.1").read_text()
    started.signal(signal.SIGTERM)
    assert started.wait() == 0
    assert "/one" not in started.said


def test_the_error_log_may_be_off_or_standard_output(program, tmp_path):
    (tmp_path / "broken.py").write_text(
        "def app(environ, start_response):\n    raise ValueError('boom')\n"
    )
    for place, shown in ("none", False), ("-", True):
        started = program(
            "broken:app", "--port=0", "--error-logfile", place
        ).wait_started()
        with started.raw() as client:
            client.send(b"GET / HTTP/1.0\r\nHost: t\r\n\r\n")
            assert client.response()[0] == 500
        started.signal(signal.SIGTERM)
        assert started.wait() == 0
        said = started.printed
        assert ("boom" in said) == shown
        assert "boom" not in started.said


# ------------------------------------------- what nobody can make unreadable ---

LONG = {
    "quotes": b'"' * 3000,
    "backslashes": b"\\" * 3000,
    "tabs": b"a" + b"\t" * 3000 + b"b",
    "latin-1": b"\xff" * 3000,
    "emoji": "\U0001f600".encode() * 1500,
    "C1": "\x9b31m\x85".encode() * 800,
    "separators": "\u2028\u2029".encode() * 800,
    "direction": "\u202egnp.exe".encode() * 300,
    "surrogates": b"\xed\xa0\x80" * 900,
    "half a letter": b"a" * 2047 + "\xe9".encode(),
}


def ask_long(site, octets):
    """A request with everything long; octets that a target may not hold are
    left out of it."""
    target = bytes(c for c in octets if 0x21 <= c <= 0x7E)[:3000] or b"x" * 3000
    with site.raw() as client:
        client.send(b"GET /%b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                    b"Referer: %b\r\nUser-Agent: %b\r\n\r\n"
                    % (target, octets, octets))  # fmt: skip
        return client.response()[0]


def steering(text):
    return [
        c
        for c in text
        if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs")
        or unicodedata.bidirectional(c) in ("RLO", "LRO", "RLI", "LRI")
    ]


@pytest.mark.parametrize("what", LONG)
def test_a_line_of_json_is_whole_however_long_its_fields_are(logged, what):
    site, lines = logged("json")
    status = ask_long(site, LONG[what])
    text = lines(1)[0]
    line = json.loads(text)
    assert line["status"] == status
    assert list(line)[-1] == "agent"
    assert not steering(text)
    assert line["agent"].endswith("...")


@pytest.mark.parametrize("what", LONG)
def test_a_plain_line_keeps_what_stands_behind_long_fields(logged, what):
    site, lines = logged("%{User-Agent}i %f %r %U %q %{Referer}i %a | %s %B|")
    status = ask_long(site, LONG[what])
    text = lines(1)[0]
    assert text.endswith(" | %d 5|" % status) and len(text) <= 8704
    assert text.isascii() and not steering(text)
    assert "... " in text


def test_a_format_longer_than_a_line_still_ends_its_line(logged):
    site, lines = logged("%s " + "\xe9" * 5000 + " %{User-Agent}i %r")
    site.get("/", "User-Agent: me")
    site.get("/", "User-Agent: me")
    assert [line[:4] for line in lines(2)] == ["200 "] * 2


class Pipe:
    """A pipe for a log, and what has been read from it."""

    def __init__(self):
        self.read_end, self.fd = os.pipe()
        self.name = "fd:%d" % self.fd

    def lines(self):
        """What is in it, once the server has stopped."""
        os.close(self.fd)
        os.set_blocking(self.read_end, False)
        try:
            return os.read(self.read_end, 1 << 20).decode().splitlines()
        except BlockingIOError:
            return []
        finally:
            os.close(self.read_end)


def test_a_log_is_an_inherited_descriptor(serve):
    access, error = Pipe(), Pipe()
    site = serve(
        app, access_logfile=access.name, error_logfile=error.name
    )
    site.get("/a")
    site.server.reopen_logs()  # there is nothing to open
    site.get("/b")
    site.get("/b", "Expect: a lot")
    assert site.stop()
    lines = access.lines()
    assert ["GET /a" in lines[0], "GET /b" in lines[1]] == [True] * 2
    assert error.lines() == []


@pytest.mark.parametrize("what", ["access", "error"])
def test_a_descriptor_that_cannot_be_written_is_refused(tmp_path, what):
    options = {"access_logfile": "none", what + "_logfile": "fd:%d"}
    with open(os.devnull, "rb") as file:
        for fd in file.fileno(), 9999:
            options[what + "_logfile"] = "fd:%d" % fd
            server = Server(app, port=0, **options)
            with pytest.raises(
                OSError,
                match="cannot write the %s log fd:%d: Bad file desc"
                % (what, fd),
            ):
                server.start()


@pytest.mark.parametrize("bad", ["fd:", "fd:x", "fd:-1", "fd:3x"])
def test_what_begins_like_a_descriptor_is_one(bad):
    with pytest.raises(ValueError, match="access_logfile.*fd:N"):
        Server(app, port=0, access_logfile=bad)


def test_logs_go_on_in_other_descriptors(serve, tmp_path, eventually):
    """A line that was logged before, and is not written yet, may go there."""
    paths = [tmp_path / name for name in ("a1", "a2", "e1", "e2")]
    site = serve(
        app, access_logfile=str(paths[0]), error_logfile=str(paths[2])
    )

    def ask(target, path):
        site.get(target)
        eventually(lambda: target + " H" in path.read_text())

    ask("/one", paths[0])
    with open(paths[1], "ab") as access, open(paths[3], "ab") as error:
        site.server.reopen_logs(access=access)
        ask("/two", paths[1])
        site.server.reopen_logs(error=error.fileno())
    ask("/three", paths[1])
    os.rename(paths[0], tmp_path / "old")
    site.server.reopen_logs()  # to the path again
    ask("/four", paths[0])
    assert site.stop()
    found = [
        re.findall(r"/\w+ H", path.read_text())
        for path in (tmp_path / "old", paths[1], paths[0])
    ]
    assert found == [["/one H"], ["/two H", "/three H"], ["/four H"]]


def test_a_descriptor_that_is_no_log_leaves_both_logs_where_they_are(
    serve, tmp_path
):
    path = tmp_path / "access.log"
    site = serve(app, access_logfile=str(path))
    with open(tmp_path / "new", "ab") as new, open(path, "rb") as unwritable:
        with pytest.raises(OSError, match="error log fd:.*Bad file desc"):
            site.server.reopen_logs(access=new, error=unwritable)
    with pytest.raises(TypeError):
        site.server.reopen_logs(access="path")
    site.get("/")
    assert site.stop()
    assert path.read_text().count("\n") == 1
    assert (tmp_path / "new").read_text() == ""


@pytest.mark.parametrize("what", LONG)
def test_a_line_for_a_pipe_is_one_that_a_pipe_takes_whole(serve, what):
    """PIPE_BUF octets: two processes that write longer ones mix them."""
    pipe = Pipe()
    site = serve(
        app, access_logfile=pipe.name, access_log_format="json"
    )
    status = ask_long(site, LONG[what])
    assert site.stop()
    (text,) = pipe.lines()
    line = json.loads(text)
    assert len(text.encode()) < 4096
    assert line["status"] == status
    assert line["agent"].endswith("...")


def test_a_plain_line_for_a_pipe_is_cut_where_values_are(serve):
    pipe = Pipe()
    site = serve(
        app,
        access_logfile=pipe.name,
        access_log_format="%{User-Agent}i %f %r %U %q %{Referer}i %a | %s %B|",
    )
    status = ask_long(site, LONG["quotes"])
    assert site.stop()
    (text,) = pipe.lines()
    assert text.endswith(" | %d 5|" % status) and len(text) < 4096


def test_what_an_application_writes_to_its_errors_forges_no_line(tmp_path):
    log = tmp_path / "error.log"
    said = subprocess.run(
        [sys.executable, "-c", COMPLAIN, str(log)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )
    assert said.returncode == 0, said.stderr
    text = log.read_text("utf-8")
    assert "caf\xe9: x\\x0d\\x1b[2J\\xc2\\x85\\xe2\\x80\\xa8[2026" in text
    assert "ValueError: bad\n [2026-01-01" in text
    assert not [c for c in steering(text) if c != "\n"]
    for line in text.split("\n"):
        if line.startswith("["):
            assert "forged" not in line or "] caf\xe9" in line


COMPLAIN = r"""
import socket, sys
from wsocket import Server, log

peers = "x\r\x1b[2J\x85\u2028[2026-01-01 00:00:00 +0000] [1] info: forged"

def complain(environ, start_response):
    environ["wsgi.errors"].write("caf\xe9: %s\n" % peers)
    raise ValueError("bad\n[2026-01-01 00:00:00 +0000] [1] info: " + peers)

log.show("info", sys.argv[1])
with Server(complain, port=0, access_logfile="none",
            error_logfile=sys.argv[1]) as server:
    with socket.create_connection(("127.0.0.1", server.port), 20) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        while peer.recv(4096):
            pass
"""
