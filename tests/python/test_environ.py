"""PEP 3333: what the environ of a request holds."""

import contextlib
import gc
import io
import os
import re
import threading
import wsgiref.validate

import pytest
from conftest import Site

import wsocket


@pytest.fixture
def site(serve):
    """Answers with nothing and keeps each environ in site.seen."""
    seen = []

    def app(environ, start_response):
        assert type(environ) is dict
        seen.append(dict(environ))
        seen[-1]["body"] = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Length", "0")])
        return []

    site = serve(app)
    site.seen = seen
    return site


def environ_of(site, *args, **kwargs):
    assert site.get(*args, **kwargs)[0] == 200
    return site.seen.pop()


def test_the_request_line_gives_method_path_query_and_protocol(site):
    environ = environ_of(site, "/a/b?x=1&y=%20", method="DELETE")
    assert environ["REQUEST_METHOD"] == "DELETE"
    assert environ["SCRIPT_NAME"] == ""
    assert environ["PATH_INFO"] == "/a/b"
    assert environ["QUERY_STRING"] == "x=1&y=%20"
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert environ["RAW_URI"] == environ["REQUEST_URI"] == "/a/b?x=1&y=%20"


def test_the_query_string_is_there_when_there_is_none(site):
    assert environ_of(site, "/")["QUERY_STRING"] == ""


@pytest.mark.parametrize(
    "target, path",
    [
        ("/a%20b", "/a b"),
        ("/a%2Fb", "/a/b"),
        ("/a%2fb", "/a/b"),
        ("//a//b", "//a//b"),
        ("/%c3%a9", "/Ã©"),
        ("/100%", "/100%"),
        ("/%zz%4", "/%zz%4"),
        ("/a+b", "/a+b"),
        ("/%25", "/%"),
    ],
)
def test_the_path_is_decoded_to_latin1(site, target, path):
    assert environ_of(site, target)["PATH_INFO"] == path


def test_a_path_that_was_decoded_does_not_stay_for_the_next(site):
    assert environ_of(site, "/a%20b")["PATH_INFO"] == "/a b"
    assert environ_of(site, "/a%20b")["PATH_INFO"] == "/a b"
    assert environ_of(site, "/ab")["PATH_INFO"] == "/ab"


@pytest.mark.parametrize("target", ["/%00", "/a/%00b", "/%2%00"])
def test_a_nul_in_the_path_is_refused(site, target):
    status, headers, _ = site.get(target)
    assert status == 400
    assert site.seen == []


def test_an_absolute_target_without_path_is_the_root(site):
    environ = environ_of(site, "http://test")
    assert environ["PATH_INFO"] == "/"


def test_the_asterisk_is_the_root(site):
    """RFC 3875 4.1.5: a PATH_INFO begins with a slash."""
    with site.raw() as client:
        client.send(
            b"OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n"
            b"OPTIONS /a HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
        )
        client.rest()
    paths = [environ["PATH_INFO"] for environ in site.seen]
    targets = [environ["RAW_URI"] for environ in site.seen]
    assert (paths, targets) == (["/", "/a"], ["*", "/a"])


def test_the_authority_of_an_absolute_target_is_the_host(site):
    environ = environ_of(site, "http://other.example:81/a?b")
    assert environ["HTTP_HOST"] == "other.example:81"
    assert environ["PATH_INFO"] == "/a"
    assert environ["REQUEST_URI"] == "http://other.example:81/a?b"


def test_server_and_remote_are_the_ends_of_the_connection(site):
    environ = environ_of(site, "/", "X-Host: elsewhere")
    assert environ["SERVER_NAME"] == "127.0.0.1"
    assert environ["SERVER_PORT"] == str(site.port)
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert 0 < int(environ["REMOTE_PORT"]) < 65536
    assert environ["HTTP_HOST"] == "test"


def test_what_is_remembered_of_a_request_is_not_told_of_the_next(site):
    long = "/" + "x" * 600
    ends = []
    for target in ("/a", long, "/a?b", long + "?" + "y" * 600, "/a"):
        environ = environ_of(site, target)
        path, _, query = target.partition("?")
        assert environ["RAW_URI"] == environ["REQUEST_URI"] == target
        assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == (path, query)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(site.raw()) for _ in range(200)]
        for client in clients * 2:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            client.response()
            ends.append(str(client.socket.getsockname()[1]))
    assert [environ["REMOTE_PORT"] for environ in site.seen] == ends


def test_headers_become_keys(site):
    environ = environ_of(
        site,
        "/",
        "User-Agent: pytest",
        "X-Odd-Name: 1",
        "x-lower: 2",
        "X.Dot: 3",
    )
    assert environ["HTTP_USER_AGENT"] == "pytest"
    assert environ["HTTP_X_ODD_NAME"] == "1"
    assert environ["HTTP_X_LOWER"] == "2"
    assert environ["HTTP_X.DOT"] == "3"


def test_values_are_latin1(site):
    assert (
        environ_of(site, "/", "X-Name: J\xfcrgen")["HTTP_X_NAME"]
        == "J\xfcrgen"
    )


def test_content_type_and_length_have_no_prefix(site):
    environ = environ_of(
        site, "/", "Content-Type: text/plain", method="POST", body=b"hello"
    )
    assert environ["CONTENT_TYPE"] == "text/plain"
    assert environ["CONTENT_LENGTH"] == "5"
    assert environ["body"] == b"hello"
    assert "HTTP_CONTENT_TYPE" not in environ
    assert "HTTP_CONTENT_LENGTH" not in environ


def test_content_type_and_length_are_absent_when_absent(site):
    environ = environ_of(site)
    assert "CONTENT_TYPE" not in environ
    assert "CONTENT_LENGTH" not in environ


def test_repeated_fields_are_joined(site):
    environ = environ_of(
        site, "/", "Accept: a", "X-Odd: 1", "accept: b", "X-Odd: 2", "X-Odd: 3"
    )
    assert environ["HTTP_ACCEPT"] == "a, b"
    assert environ["HTTP_X_ODD"] == "1, 2, 3"


def test_cookies_are_joined_their_own_way(site):
    environ = environ_of(site, "/", "Cookie: a=1", "Cookie: b=2")
    assert environ["HTTP_COOKIE"] == "a=1; b=2"


def test_a_name_with_an_underscore_cannot_pose_as_another(site):
    environ = environ_of(site, "/", "X_Real_IP: evil", "X-Real-IP: good")
    assert environ["HTTP_X_REAL_IP"] == "good"


def test_a_header_does_not_stay_for_the_next_request(site):
    assert environ_of(site, "/", "Accept: a")["HTTP_ACCEPT"] == "a"
    assert "HTTP_ACCEPT" not in environ_of(site)
    assert environ_of(site, "/", "Accept: b")["HTTP_ACCEPT"] == "b"


def test_more_names_than_are_cached_work_like_all_others(site):
    for i in range(300):
        environ = environ_of(
            site, "/", "X-New-%d: a" % i, "X-New-%d: b" % i, "Accept: c"
        )
        assert environ["HTTP_X_NEW_%d" % i] == "a, b"
        assert environ["HTTP_ACCEPT"] == "c"


def test_each_thread_learns_names_and_values_for_itself(serve):
    seen, both = {}, threading.Barrier(2)

    def app(environ, start_response):
        seen[environ["QUERY_STRING"]] = environ, threading.get_ident()
        both.wait(20)  # so that two threads are in here
        start_response("200 OK", [("X-Mine", "1"), ("Content-Length", "0")])
        return []

    site = serve(app)
    for turn in range(3):
        ask = [
            threading.Thread(
                target=site.get,
                args=("/?%s" % who, "X-New: %s%d" % (who, turn), "X-New: b",
                      "X-Of-%s: 1" % who, "User-Agent: %s" % who),
            )
            for who in ("ann", "bob")
        ]
        for thread in ask:
            thread.start()
        for thread in ask:
            thread.join(20)
        for who, other in ("ann", "BOB"), ("bob", "ANN"):
            environ = seen[who][0]
            assert environ["HTTP_X_NEW"] == "%s%d, b" % (who, turn)
            assert environ["HTTP_USER_AGENT"] == who
            assert environ["HTTP_X_OF_" + who.upper()] == "1"
            assert "HTTP_X_OF_" + other not in environ
        assert seen["ann"][1] != seen["bob"][1]


def test_a_name_too_long_for_the_cache_works_too(site):
    environ = environ_of(site, "/", "X-%s: 1" % ("a" * 100))
    assert environ["HTTP_X_" + "A" * 100] == "1"


def test_the_constants_of_pep_3333(site):
    environ = environ_of(site)
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.url_scheme"] == site.scheme
    assert environ["wsgi.multithread"] is True
    assert environ["wsgi.multiprocess"] is False
    assert environ["wsgi.run_once"] is False
    assert environ["SERVER_SOFTWARE"].startswith("wsocket/")
    assert "wsgi.websocket" not in environ


def test_one_thread_is_not_multithread(serve):
    seen = []

    def app(environ, start_response):
        seen.append(environ["wsgi.multithread"])
        start_response("204 No Content", [])
        return []

    assert serve(app, threads=1).get()[0] == 204
    assert seen == [False]


def test_a_chunked_body_that_has_arrived_has_a_length(site):
    with site.raw() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        )
        assert client.response()[0] == 200
    environ = site.seen.pop()
    assert environ["body"] == b"hello world"
    assert environ["CONTENT_LENGTH"] == "11"
    assert "HTTP_TRANSFER_ENCODING" not in environ
    assert environ["wsgi.input_terminated"] is True


def test_a_chunked_body_still_to_come_keeps_its_coding(site):
    with site.raw() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert client.head()[0] == 100
        client.send(b"5\r\nhello\r\n0\r\n\r\n")
        assert client.response()[0] == 200
    environ = site.seen.pop()
    assert environ["body"] == b"hello"
    assert environ["HTTP_TRANSFER_ENCODING"] == "chunked"
    assert "CONTENT_LENGTH" not in environ
    assert environ["wsgi.input_terminated"] is True


def test_an_application_may_change_its_environ(serve):
    def app(environ, start_response):
        scheme = environ["wsgi.url_scheme"]
        fresh = "mine" not in environ and scheme == site.scheme
        environ["mine"] = 1
        environ["wsgi.url_scheme"] = "gopher"
        start_response("200 OK" if fresh else "500 Stale", [])
        return []

    site = serve(app)
    assert [site.get()[0] for _ in range(3)] == [200] * 3


def test_errors_end_in_the_log(server_log, serve):
    def app(environ, start_response):
        errors = environ["wsgi.errors"]
        assert errors.write("one ") == 4
        errors.write("line\nand the ne")
        errors.writelines(["xt\n", "and a last"])
        errors.flush()
        with pytest.raises(TypeError):
            errors.write(b"bytes")
        start_response("200 OK", [])
        return []

    site = serve(app)
    assert site.get()[0] == 200
    said = said_as_errors(server_log("and a last"))
    assert said == ["one line", "and the next", "and a last"]


def said_as_errors(log):
    """What stands behind when and where it was said: the words as they are."""
    entry = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000\] \[%d\] (.*)" % os.getpid()
    return re.findall(entry, log)


def test_the_pieces_of_two_requests_are_lines_of_their_own(server_log, serve):
    both = threading.Barrier(2, timeout=20)

    def app(environ, start_response):
        for piece in ("a", "b", "c"):
            both.wait()
            environ["wsgi.errors"].write(environ["PATH_INFO"] + piece)
        start_response("200 OK", [])
        return []

    site = serve(app)
    threads = [
        threading.Thread(target=site.get, args=(target,))
        for target in ("/1", "/2")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = said_as_errors(server_log("/1a") + server_log(""))
    assert sorted(said) == ["/1a/1b/1c", "/2a/2b/2c"]


def test_a_line_ends_with_its_request(server_log, serve):
    def app(environ, start_response):
        environ["wsgi.errors"].write("for " + environ["PATH_INFO"])
        start_response("200 OK", [])
        return []

    site = serve(app, threads=1)
    site.get("/1")
    assert said_as_errors(server_log("/1")) == ["for /1"]
    site.get("/2")
    assert said_as_errors(server_log("/2")) == ["for /2"]


@pytest.mark.parametrize("level", ["info", "critical"])
def test_errors_keep_their_words_whatever_log_level_is(
    server_log, serve, level
):
    words = ['{"level": "INFO"}', "\ttabs\tstay", "[1] x", "", "\xe9"]

    def app(environ, start_response):
        print(*words, sep="\n", file=environ["wsgi.errors"])
        start_response("200 OK", [])
        return []

    serve(app, log_level=level).get()
    assert said_as_errors(server_log("\xe9")) == words


@pytest.mark.parametrize("size", [4000, 4097, 70000, 1 << 20])
@pytest.mark.parametrize("piece", [1 << 20, 999])
def test_a_long_line_is_whole(serve, tmp_path, eventually, size, piece):
    line = "".join(chr(97 + i % 26) for i in range(size - 2)) + "\xe9"

    def app(environ, start_response):
        for i in range(0, len(line), piece):
            environ["wsgi.errors"].write(line[i : i + piece])
        environ["wsgi.errors"].write("\nthe end\n")
        start_response("200 OK", [])
        return []

    log = tmp_path / "error.log"
    serve(app, error_logfile=str(log)).get()
    eventually(lambda: b"the end\n" in log.read_bytes())
    assert said_as_errors(log.read_text("utf-8")) == [line, "the end"]


@pytest.mark.parametrize("piece", [3 << 20, 1000])
def test_a_line_without_end_leaves_in_pieces_and_nothing_is_lost(
    serve, tmp_path, eventually, piece
):
    line = "x" + "\xe9" * (1 << 20)

    def app(environ, start_response):
        for i in range(0, len(line), piece):
            environ["wsgi.errors"].write(line[i : i + piece])
        environ["wsgi.errors"].write("\nthe end\n")
        start_response("200 OK", [])
        return []

    log = tmp_path / "error.log"
    serve(app, error_logfile=str(log)).get()
    eventually(lambda: b"the end\n" in log.read_bytes())
    said = said_as_errors(log.read_text("utf-8"))
    assert "".join(said) == line + "the end"
    assert len(said) <= 4


def test_lines_of_several_threads_are_whole(serve, tmp_path, eventually):
    def app(environ, start_response):
        def work(letter):
            for _ in range(20):
                for _ in range(10):
                    environ["wsgi.errors"].write(letter * 600)
                environ["wsgi.errors"].write("\n")

        threads = [threading.Thread(target=work, args=(x,)) for x in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        environ["wsgi.errors"].write("the end\n")
        start_response("200 OK", [])
        return []

    log = tmp_path / "error.log"
    serve(app, error_logfile=str(log)).get()
    eventually(lambda: b"the end\n" in log.read_bytes())
    said = said_as_errors(log.read_text())
    assert sorted(said) == [x * 6000 for x in "abcd" for _ in range(20)] + [
        "the end"
    ]


def test_a_line_in_the_log_cannot_be_forged(server_log, serve):
    def app(environ, start_response):
        environ["wsgi.errors"].write("a\rb\x1b[2J\n\ud800\n")
        start_response("200 OK", [])
        return []

    site = serve(app)
    assert site.get()[0] == 200
    said = server_log("ud800")
    assert "\x1b" not in said and "\r" not in said


def test_the_errors_stream_may_outlive_its_server(caplog):
    kept = []

    def app(environ, start_response):
        kept.append(environ["wsgi.errors"])
        start_response("200 OK", [])
        return []

    server = wsocket.Server(app, port=0, access_logfile="none").start()
    Site(server).get()
    server.stop()
    assert server.join()
    del server
    gc.collect()
    kept[0].write("still here\n")
    assert "still here" in caplog.text


def test_the_file_wrapper_sends_a_file(serve):
    def app(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"x" * 100000), 4096)

    assert serve(app).get()[2] == b"x" * 100000


@pytest.mark.filterwarnings("error")
def test_the_validator_of_the_standard_library_agrees(serve):
    def app(environ, start_response):
        body = environ["wsgi.input"].read(100)
        environ["wsgi.errors"].flush()
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        assert callable(write)
        return [b"got ", body]

    site = serve(wsgiref.validate.validator(app))
    assert site.get()[2] == b"got "
    assert site.get("/x?y", method="POST", body=b"data")[2] == b"got data"


@pytest.mark.filterwarnings("error")
def test_the_lint_of_werkzeug_agrees(serve):
    lint = pytest.importorskip("werkzeug.middleware.lint")

    def app(environ, start_response):
        body = environ["wsgi.input"].read(100)
        start_response(
            "200 OK",
            [("Content-Type", "text/plain"), ("Content-Length", "8")],
        )
        return [b"got ", body]

    site = serve(lint.LintMiddleware(app))
    assert site.get("/x", method="POST", body=b"data")[2] == b"got data"
