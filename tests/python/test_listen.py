"""Where a server listens: --bind in all its forms."""

import errno
import os
import socket
import stat

import pytest

import wsocket


def app(environ, start_response):
    start_response("200 OK", [])
    return [environ["REMOTE_ADDR"].encode() or b"nobody"]


def quiet(**options):
    options.setdefault("access_logfile", "none")
    return wsocket.Server(app, **options)


def ask(where, family=None):
    family = family or (socket.AF_UNIX if isinstance(where, str) else None)
    with socket.socket(family or socket.AF_INET) as client:
        client.settimeout(20)
        client.connect(where)
        client.sendall(b"GET / HTTP/1.0\r\nHost: t\r\n\r\n")
        return client.makefile("rb").read().rpartition(b"\r\n\r\n")[2]


def ports(server):
    return [int(url.rpartition(":")[2].strip("/")) for url in server.urls]


def test_several_places(tmp_path):
    path = str(tmp_path / "app.sock")
    with quiet(bind=["127.0.0.1:0", "127.0.0.1:0", "unix:" + path]) as server:
        urls = server.urls
        assert urls[2] == "unix:" + path
        assert len(set(urls)) == 3
        for url in urls[:2]:
            port = int(url.rpartition(":")[2].strip("/"))
            assert ask(("127.0.0.1", port)) == b"127.0.0.1"
        assert server.port == int(urls[0].rpartition(":")[2].strip("/"))
        assert ask(path) == b"nobody"
    assert not os.path.exists(path)


def test_a_version_6_address_stands_in_brackets():
    server = quiet(bind="[::1]:0")
    try:
        server.listen()
    except OSError:
        pytest.skip("no IPv6 here")
    with server:
        assert server.url == "http://[::1]:%d/" % server.port
        assert ask(("::1", server.port), socket.AF_INET6) == b"::1"


def test_localhost_is_both_families():
    with quiet(bind="localhost:0") as server:
        assert len(set(ports(server))) == 1
        # Whatever the resolver of this machine makes of the name.
        assert ask(("127.0.0.1", server.port)) == b"127.0.0.1"
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            return  # no IPv6 here
        where = ("::1", server.port)
        assert ask(where, socket.AF_INET6) == b"::1"


def test_an_empty_host_is_every_address():
    with quiet(bind=":0") as server:
        assert ask(("127.0.0.1", server.port)) == b"127.0.0.1"


@pytest.mark.parametrize("mode", ["600", "660", "0777"])
def test_a_unix_socket_has_the_mode_that_was_asked_for(tmp_path, mode):
    path = str(tmp_path / "app.sock")
    with quiet(bind="unix:%s:%s" % (path, mode)):
        assert stat.S_IMODE(os.stat(path).st_mode) == int(mode, 8)
        assert ask(path) == b"nobody"


def test_a_socket_that_nobody_listens_on_is_replaced(tmp_path):
    path = str(tmp_path / "app.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with quiet(bind="unix:" + path):
        assert ask(path) == b"nobody"
        with pytest.raises(OSError, match="app.sock: .*in use"):
            quiet(bind="unix:" + path).start()
        assert ask(path) == b"nobody"


def test_a_file_is_never_replaced(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(OSError, match="precious: .*in use"):
        quiet(bind="unix:%s" % path).start()
    assert path.read_text() == "data"


def test_a_socket_of_another_server_is_not_removed(tmp_path):
    path = str(tmp_path / "app.sock")
    with quiet(bind="unix:" + path):
        os.unlink(path)
        other = socket.socket(socket.AF_UNIX)
        other.bind(path)
    assert os.path.exists(path)
    other.close()


def test_an_inherited_descriptor():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        fd = os.dup(listener.fileno())
        with quiet(bind="fd:%d" % fd) as server:
            assert server.port == port
            assert server.url == "http://127.0.0.1:%d/" % port
            assert ask(("127.0.0.1", port)) == b"127.0.0.1"


def test_a_descriptor_that_does_not_listen_is_refused(tmp_path):
    with socket.socket() as plain, open(tmp_path / "file", "w") as file:
        for fd in plain.fileno(), file.fileno():
            with pytest.raises(OSError, match="cannot listen on fd:%d" % fd):
                quiet(bind="fd:%d" % fd).start()


def test_a_name_that_does_not_resolve_is_named():
    with pytest.raises(OSError, match="no-such-host.invalid:80: .*not"):
        quiet(bind="no-such-host.invalid:80").start()


def test_one_place_that_fails_closes_the_others(tmp_path):
    path = str(tmp_path / "app.sock")
    with pytest.raises(OSError):
        quiet(bind=["unix:" + path, "unix:/no/such/folder/x"]).start()
    assert not os.path.exists(path)


@pytest.mark.parametrize(
    "text",
    ["8080", "localhost", "::1:80", "host:port", "fd:x", "unix:", "[]:1"],
)
def test_what_is_no_place_is_refused(text):
    with pytest.raises(ValueError, match="bind takes host:port, unix:path"):
        quiet(bind=text)


@pytest.mark.parametrize(
    "bind, url, address",
    [
        ("127.0.0.1:0", "http://127.0.0.1:%d/", "127.0.0.1:%d"),
        ("0.0.0.0:0", "http://127.0.0.1:%d/", "0.0.0.0:%d"),
        ("[::]:0", "http://[::1]:%d/", "[::]:%d"),
        ("localhost:0", "http://localhost:%d/", "127.0.0.1:%d"),
    ],
)
def test_a_url_works_and_the_address_is_what_is_bound(bind, url, address):
    server = quiet(bind=bind)
    try:
        server.listen()
    except OSError:
        pytest.skip("no IPv6 here")
    assert url % server.port in server.urls
    assert address % server.port in server._server.addresses


def test_an_inherited_socket_says_what_it_is_bound_to(tmp_path):
    path = str(tmp_path / "x.sock")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path)
        unix.listen()
        tcp = socket.create_server(("0.0.0.0", 0))
        fds = [tcp.fileno(), os.dup(unix.fileno())]
        server = quiet(bind=["fd:%d" % fd for fd in fds])
        server.listen()
        port = tcp.getsockname()[1]
        tcp.detach()  # the server closes it
        assert server.urls == ["http://127.0.0.1:%d/" % port, "unix:" + path]
        assert server._server.addresses == [
            "fd:%d 0.0.0.0:%d" % (fds[0], port),
            "fd:%d unix:%s" % (fds[1], path),
        ]


def test_a_unix_socket_that_cannot_be_made_says_why(tmp_path):
    """Also for a user who may do anything, where the kernel refuses."""
    path = "/sys/wsocket-test.sock"
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.bind(path)
        except OSError as exc:
            why = exc
        else:
            os.unlink(path)
            pytest.skip("sockets can be made there")
    with pytest.raises(OSError) as caught:
        quiet(bind="unix:" + path).listen()
    assert caught.value.errno == why.errno
    (tmp_path / "file").write_text("")
    for name, code in (("file", errno.EADDRINUSE), ("no/x", errno.ENOENT)):
        with pytest.raises(OSError) as caught:
            quiet(bind="unix:%s/%s" % (tmp_path, name)).listen()
        assert caught.value.errno == code


def test_a_check_leaves_no_trace(tmp_path):
    living, stale = str(tmp_path / "living"), str(tmp_path / "stale")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(stale)  # nobody listens
    before = os.stat(stale).st_ino
    with quiet(bind="unix:" + living) as server:
        with pytest.raises(OSError) as caught:
            quiet(bind="unix:" + living)._server.can_start()
        assert caught.value.errno == errno.EADDRINUSE
        assert ask(living) == b"nobody"
        assert server.urls
    one = quiet(
        bind=["127.0.0.1:0", "unix:%s/new:600" % tmp_path, "unix:" + stale],
        error_logfile=str(tmp_path / "log"),
        static={"/files": str(tmp_path)},
    )
    one._server.can_start()
    one._server.can_start()
    assert os.listdir(tmp_path) == ["stale"]
    assert os.stat(stale).st_ino == before
    with one:  # as if nothing had been
        assert ask(stale) == b"nobody"


def test_a_check_fails_as_the_start_would(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for options in (
            {"bind": "127.0.0.1:%d" % port},
            {"bind": "unix:%s/no/x" % tmp_path},
            {"bind": "fd:987"},
            {"static": {"/x": str(tmp_path / "none")}},
            {"error_logfile": str(tmp_path)},
            {"access_logfile": str(tmp_path / "no" / "log")},
        ):
            options.setdefault("bind", "127.0.0.1:0")
            errors = []
            for method in ("can_start", "listen"):
                with pytest.raises(OSError) as caught:
                    getattr(quiet(**options)._server, method)()
                errors.append(str(caught.value))
            assert errors[0] == errors[1]
        other.settimeout(0)
        with pytest.raises(BlockingIOError):  # nobody has knocked
            other.accept()
