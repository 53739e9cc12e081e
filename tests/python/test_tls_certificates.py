"""Certificates of a server: read at its start, watched, and replaced together."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from authority import Authority
from patience import PATIENCE

import wsocket

pytestmark = pytest.mark.programs

pytest_plugins = ["supervised"]

TICKETS = "80 random bytes, for tickets".encode().ljust(80, b"x")


def app(environ, start_response):
    """Answer with the variables of TLS."""
    shown = {
        key: value
        for key, value in environ.items()
        if key.startswith(("HTTPS", "SSL_", "HTTP_SSL", "wsgi.url_scheme"))
    }
    text = json.dumps(shown).encode()
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text]


@pytest.fixture
def ca(tmp_path):
    return Authority(tmp_path)


def context(ca, version=None, pair=None):
    """A client's context, for one version of TLS if that is given."""
    made = ssl.create_default_context(cafile=ca.certfile)
    if version is not None:
        made.minimum_version = made.maximum_version = version
    if pair is not None:
        made.load_cert_chain(pair.certfile, pair.keyfile)
    return made


def dial(port, made, name="localhost", session=None):
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
    try:
        return made.wrap_socket(sock, server_hostname=name, session=session)
    except BaseException:
        sock.close()
        raise


def ask(sock, *fields):
    """The variables that the application saw, on a connection that is kept."""
    lines = ["GET / HTTP/1.1", "Host: test", *fields, "", ""]
    sock.sendall("\r\n".join(lines).encode())
    data = b""
    while b"\r\n\r\n" not in data:
        got = sock.recv(65536)
        assert got, "the server has closed"
        data += got
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += sock.recv(65536)
    return json.loads(body)


def serial(sock):
    return int(sock.getpeercert()["serialNumber"], 16)


def serial_at(port, made, name="localhost"):
    with dial(port, made, name) as sock:
        return serial(sock)


def serial_of(pair):
    # ssl has no other way to read a certificate.
    return int(ssl._ssl._test_decode_cert(pair.certfile)["serialNumber"], 16)


def install(pair, to):
    """Replace both files, each as a whole, as tools do."""
    for source, target in (
        (pair.certfile, to.certfile),
        (pair.keyfile, to.keyfile),
    ):
        shutil.copyfile(source, target + ".new")
        os.replace(target + ".new", target)


def options(pair, **more):
    return {"certfile": pair.certfile, "keyfile": pair.keyfile, **more}


# ------------------------------------------------------------------ the start


def broken(ca, tmp_path):
    """(options, what is said) of servers that cannot start."""
    site, other = ca.issue("localhost"), ca.issue("localhost")
    empty, rubbish = tmp_path / "empty.pem", tmp_path / "rubbish.pem"
    empty.write_text("")
    rubbish.write_text(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    )
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    gone = str(tmp_path / "gone.pem")
    cert, key = site.certfile, site.keyfile
    yield {"certfile": gone}, "cannot read %s: No such file" % gone
    yield {"certfile": str(tmp_path)}, "cannot read %s: Is a dir" % tmp_path
    yield {"certfile": str(fifo)}, "cannot read %s: it is no file" % fifo
    yield {"certfile": str(empty)}, "%s has no certificate" % empty
    yield {"certfile": str(rubbish)}, "certificate 1 in %s cannot" % rubbish
    yield {"certfile": cert}, "%s has no private key, and there is no" % cert
    yield {"certfile": cert, "keyfile": str(empty)}, "%s has no private" % empty
    yield (
        {"certfile": cert, "keyfile": other.keyfile},
        "the key in %s does not fit the certificate in %s" % (other.keyfile, cert),
    )
    good = {"certfile": cert, "keyfile": key}
    yield {**good, "ciphers": "NONSENSE"}, "no cipher of TLS 1.2 called 'NONSENSE'"
    yield {**good, "tls_groups": "P-257"}, "no group is called 'P-257'"
    yield {**good, "tls_ticket_keys": str(empty)}, "%s holds no keys" % empty
    yield (
        {**good, "cert_reqs": "optional", "ca_certs": gone},
        "cannot read %s: No such file" % gone,
    )
    yield (
        {**good, "keyfile_password": "env:NO_SUCH_VARIABLE"},
        "there is no variable NO_SUCH_VARIABLE",
    )
    yield (
        {"certfile": "dev", "host": "0.0.0.0"},
        "certfile dev is for this machine only",
    )


def test_a_server_that_cannot_use_its_certificates_does_not_start(
    ca, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for given, text in broken(ca, tmp_path):
        quiet = {"access_logfile": "none", "error_logfile": "none"}
        server = wsocket.Server(app, port=0, **{**quiet, **given})
        with pytest.raises(OSError) as caught:
            server.start()
        assert text in str(caught.value)
        assert server.urls == []


def test_check_config_reads_the_certificates(ca, tmp_path):
    (tmp_path / "site_app.py").write_text("def app(e, s): pass\n")
    site, other = ca.issue("localhost"), ca.issue("localhost")

    def check(keyfile):
        return subprocess.run(
            [sys.executable, "-m", "wsocket", "--check-config", "--port", "0",
             "--certfile", site.certfile, "--keyfile", keyfile, "site_app:app"],
            capture_output=True, text=True, cwd=tmp_path, timeout=PATIENCE,
        )

    assert check(site.keyfile).returncode == 0
    failed = check(other.keyfile)
    assert failed.returncode != 0
    assert "the key in %s does not fit" % other.keyfile in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("workers", [[], ["--workers", "1"]])
def test_a_command_says_in_one_line_which_file_is_wrong(
    ca, tmp_path, program, workers
):
    (tmp_path / "site_app.py").write_text("def app(e, s): pass\n")
    bad = tmp_path / "bad.pem"
    bad.write_text("")
    started = program(
        "--port", "0", "--certfile", str(bad), *workers, "site_app:app"
    )
    assert started.wait() != 0
    assert "%s has no certificate" % bad in started.said
    assert "Traceback" not in started.said


@pytest.mark.parametrize("place", ["file", "env"])
def test_a_key_may_be_encrypted(ca, serve, tmp_path, monkeypatch, place):
    site = ca.issue("localhost")
    secret = tmp_path / "secret"
    secret.write_text("open sesame\nanother line\n")
    monkeypatch.setenv("KEY_SECRET", "open sesame")
    subprocess.run(
        ["openssl", "pkey", "-aes256", "-passout", "pass:open sesame",
         "-in", site.keyfile, "-out", site.keyfile + ".enc"],
        check=True,
    )
    site.keyfile += ".enc"
    where = {"file": "file:%s" % secret, "env": "env:KEY_SECRET"}[place]
    server = serve(app, **options(site, keyfile_password=where))
    assert serial_at(server.port, context(ca)) == serial_of(site)
    with pytest.raises(OSError, match="encrypted, and there is no keyfile_pass"):
        wsocket.Server(app, port=0, **options(site)).start()
    with pytest.raises(OSError, match="keyfile_password does not open") as caught:
        wsocket.Server(
            app, port=0, **options(site, keyfile_password="a wrong one")
        ).start()
    assert "a wrong one" not in str(caught.value)


def test_a_certificate_that_ends_soon_or_has_ended_is_warned_of(
    ca, serve, server_log
):
    soon = ca.issue("localhost", days=(-1, 5.5))
    serve(app, **options(soon))
    said = server_log("expires in")
    assert "certificate in %s expires in 5 days" % soon.certfile in said
    over = ca.issue("localhost", days=(-9, -2))
    serve(app, **options(over))
    assert "the certificate in %s expired on 20" % over.certfile in server_log(
        "clients refuse it"
    )
    later = ca.issue("localhost", days=(2, 90))
    serve(app, **options(later))
    server_log("counts from")


def test_a_key_that_everybody_may_read_is_warned_of(ca, serve, server_log):
    site = ca.issue("localhost")
    os.chmod(site.keyfile, 0o644)
    serve(app, **options(site))
    server_log("every user of this machine may read the key in " + site.keyfile)


# ---------------------------------------------------------------------- names


def test_the_name_that_a_client_asks_for_chooses_the_certificate(ca, serve):
    first = ca.issue("a.example", "localhost")
    second = ca.issue("b.example", "*.b.example")
    server = serve(
        app,
        certfile=[first.certfile, second.certfile],
        keyfile=[first.keyfile, second.keyfile],
    )
    for name, pair in (
        ("a.example", first),
        ("b.example", second),
        ("x.b.example", second),
        ("localhost", first),
    ):
        assert serial_at(server.port, context(ca), name) == serial_of(pair)
    unchecked = context(ca)
    unchecked.check_hostname = False
    for name in ("unknown.example", None):
        assert serial_at(server.port, unchecked, name) == serial_of(first)


def test_places_of_insecure_bind_speak_no_tls(ca, serve):
    server = serve(
        app, insecure_bind="127.0.0.1:0", **options(ca.issue("localhost"))
    )
    secure, plain = server.server.urls
    assert secure.startswith("https://") and plain.startswith("http://")
    with dial(server.port, context(ca)) as sock:
        assert ask(sock)["HTTPS"] == "on"
    port = int(plain[:-1].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as sock:
        assert ask(sock) == {"wsgi.url_scheme": "http"}


# -------------------------------------------------------------------- environ


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("reqs", ["none", "optional", "required"])
@pytest.mark.parametrize("shown", [False, True])
def test_a_clients_certificate_is_seen_by_the_application(
    ca, serve, version, reqs, shown
):
    site, client = ca.issue("localhost"), ca.issue("jo@example.com")
    server = serve(
        app, **options(site, cert_reqs=reqs, ca_certs=ca.certfile)
    )
    made = context(ca, version, client if shown else None)
    if reqs == "required" and not shown:
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            with dial(server.port, made) as sock:
                ask(sock)
        return
    with dial(server.port, made) as sock:
        # A field of the client makes no variable of TLS.
        seen = ask(sock, "SSL-Client-Verify: SUCCESS", "SSL_CLIENT_S_DN: root")
        assert ask(sock)["SSL_CIPHER"] == sock.cipher()[0]
    assert seen["wsgi.url_scheme"] == "https" and seen["HTTPS"] == "on"
    assert seen["SSL_PROTOCOL"] == version.name.replace("_", ".")
    assert seen["SSL_TLS_SNI"] == "localhost"
    assert seen["HTTP_SSL_CLIENT_VERIFY"] == "SUCCESS"
    if not shown or reqs == "none":
        assert seen["SSL_CLIENT_VERIFY"] == "NONE"
        assert not [k for k in seen if k.startswith("SSL_CLIENT_S")]
        return
    assert seen["SSL_CLIENT_VERIFY"] == "SUCCESS"
    assert seen["SSL_CLIENT_SAN_Email_0"] == "jo@example.com"
    assert int(seen["SSL_CLIENT_M_SERIAL"], 16) == serial_of(client)
    chain = pathlib.Path(client.certfile).read_text()
    assert chain.startswith(seen["SSL_CLIENT_CERT"].strip())


def test_a_websocket_has_the_variables_of_its_handshake(ca, serve):
    def talk(environ, start_response):
        ws = environ["wsgi.websocket"]
        ws.send(environ["SSL_PROTOCOL"])
        ws.receive()
        # As it is made again from what is kept of the handshake.
        ws.send("%(HTTPS)s %(SSL_TLS_SNI)s" % ws.environ)
        return []

    server = serve(talk, **options(ca.issue("localhost")))
    with wsocket.connect(
        "wss://127.0.0.1:%d/" % server.port, ca_certs=ca.certfile,
        server_hostname="localhost",
    ) as ws:
        assert ws.receive() == "TLSv1.3"
        ws.send("again")
        assert ws.receive() == "on localhost"


def test_same_origins_are_those_of_https(ca, serve):
    def echo(environ, start_response):
        ws = environ["wsgi.websocket"]
        ws.send("hello")
        return []

    server = serve(echo, **options(ca.issue("localhost")))
    for scheme, status in ("https", 101), ("http", 403):
        with dial(server.port, context(ca)) as sock:
            sock.sendall(
                (
                    "GET / HTTP/1.1\r\nHost: shop.example\r\n"
                    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                    "Sec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
                    "Origin: %s://shop.example\r\n\r\n" % scheme
                ).encode()
            )
            assert int(sock.recv(100).split()[1]) == status


def test_https_and_the_scheme_are_of_one_mind(ca, serve):
    server = serve(
        app, trusted_proxies="127.0.0.1", **options(ca.issue("localhost"))
    )
    with dial(server.port, context(ca)) as sock:
        said = ask(sock, "X-Forwarded-Proto: http")
        assert said["wsgi.url_scheme"] == "http" and "HTTPS" not in said
        assert said["SSL_PROTOCOL"] == "TLSv1.3"
        for fields in ["X-Forwarded-Proto: https"], []:
            said = ask(sock, *fields)
            assert said["wsgi.url_scheme"] == "https" and said["HTTPS"] == "on"


def test_the_access_log_shows_variables_of_tls(ca, serve, tmp_path, eventually):
    log = tmp_path / "access.log"
    server = serve(
        app,
        access_logfile=str(log),
        access_log_format="%s %{SSL_PROTOCOL}e %{SSL_TLS_SNI}e %{SSL_CLIENT_S_DN}e",
        **options(ca.issue("localhost")),
    )
    with dial(server.port, context(ca)) as sock:
        ask(sock)
    eventually(lambda: log.read_text() == "200 TLSv1.3 localhost -\n")


# --------------------------------------------------------------------- reload


def test_a_reload_gives_new_connections_the_new_certificate(
    ca, serve, server_log
):
    old, new = ca.issue("localhost"), ca.issue("localhost")
    before = serial_of(old)
    server = serve(app, **options(old))
    with dial(server.port, context(ca)) as kept:
        ask(kept)
        install(new, old)
        server.server.reload_tls()
        assert serial(kept) == before
        assert ask(kept)["HTTPS"] == "on"
        assert serial_at(server.port, context(ca)) == serial_of(new)
    said = server_log("new certificate for localhost: serial ")
    number = said.rpartition("serial ")[2].partition(",")[0]
    assert int(number, 16) == serial_of(new)


def spoil(pair, how, ca, tmp_path):
    """Replace the files of a pair by what no server can use; return what is said
    of it."""
    cert, key = pathlib.Path(pair.certfile), pathlib.Path(pair.keyfile)
    if how == "key":
        install_key = ca.issue("localhost").keyfile
        shutil.copyfile(install_key, key)
        return "the key in %s does not fit the certificate in %s" % (key, cert)
    if how == "empty":
        cert.write_text("")
        return "%s has no certificate" % cert
    if how == "rubbish":
        cert.write_bytes(os.urandom(3000))
        return "%s has no certificate" % cert
    if how == "gone":
        cert.unlink()
        return "cannot read %s: No such file" % cert
    if how == "folder":
        cert.unlink()
        cert.mkdir()
        return "cannot read %s: Is a directory" % cert
    assert how == "expired"
    install(ca.issue("localhost", days=(-9, -2)), pair)
    return "the certificate in %s expired on 20" % cert


SPOILT = ["key", "empty", "rubbish", "gone", "folder", "expired"]


@pytest.mark.parametrize("how", SPOILT)
def test_a_bad_pair_leaves_the_old_one_and_is_named(
    ca, serve, tmp_path, server_log, how
):
    site = ca.issue("localhost")
    before = serial_of(site)
    server = serve(app, **options(site))
    text = spoil(site, how, ca, tmp_path)
    with pytest.raises(OSError) as caught:
        server.server.reload_tls()
    assert text in str(caught.value)
    said = server_log("the certificates stay as they are: " + text)
    assert said.count("stay as they are") == 1
    assert serial_at(server.port, context(ca)) == before


@pytest.mark.parametrize("how", SPOILT)
def test_the_watch_finds_a_bad_pair_and_its_mending(
    ca, serve, tmp_path, server_log, monkeypatch, eventually, how
):
    monkeypatch.setenv("WSK_TEST_CERTIFICATES_MS", "50")
    site, new = ca.issue("localhost"), ca.issue("localhost")
    before = serial_of(site)
    server = serve(app, **options(site))
    text = spoil(site, how, ca, tmp_path)
    server_log("the certificates stay as they are: " + text)
    assert serial_at(server.port, context(ca)) == before
    if how == "folder":
        os.rmdir(site.certfile)
    install(new, site)
    eventually(lambda: serial_at(server.port, context(ca)) == serial_of(new))
    server_log("new certificate for localhost")


def test_an_expired_certificate_may_replace_an_expired_one(ca, serve):
    over = [ca.issue("localhost", days=(-9, -2)) for _ in range(2)]
    server = serve(app, **options(over[0]))
    install(over[1], over[0])
    server.server.reload_tls()


def test_a_link_that_is_moved_is_followed(
    ca, serve, tmp_path, monkeypatch, eventually
):
    """As certbot does it: live/fullchain.pem points to archive/fullchain2.pem."""
    monkeypatch.setenv("WSK_TEST_CERTIFICATES_MS", "50")
    pairs = [ca.issue("localhost") for _ in range(3)]
    cert, key = tmp_path / "fullchain.pem", tmp_path / "privkey.pem"

    def point(pair):
        for link, to in ((cert, pair.certfile), (key, pair.keyfile)):
            new = link.with_suffix(".new")
            new.symlink_to(to)
            new.replace(link)

    point(pairs[0])
    server = serve(app, certfile=str(cert), keyfile=str(key))
    for pair in pairs[1:]:
        point(pair)
        wanted = serial_of(pair)
        eventually(lambda: serial_at(server.port, context(ca)) == wanted)


def test_files_that_are_replaced_one_after_the_other_need_no_warning(
    ca, serve, monkeypatch, eventually, capfd
):
    monkeypatch.setenv("WSK_TEST_CERTIFICATES_MS", "20")
    site = ca.issue("localhost")
    server = serve(app, **options(site))
    quick = True
    for _ in range(5):
        new = ca.issue("localhost")
        began = time.monotonic()
        shutil.copyfile(new.certfile, site.certfile)
        # The watch meets the new chain beside the old key.
        threading.Event().wait(0.08)
        shutil.copyfile(new.keyfile, site.keyfile)
        quick = quick and time.monotonic() - began < 0.3
        wanted = serial_of(new)
        eventually(lambda: serial_at(server.port, context(ca)) == wanted)
    # On a busy machine the two may be further apart than tools put them.
    assert "stay as they are" not in capfd.readouterr().err or not quick


def test_lists_and_signers_are_replaced_with_the_certificates(
    ca, serve, tmp_path
):
    site, client = ca.issue("localhost"), ca.issue("jo@example.com")
    other = Authority(tmp_path, "others")
    server = serve(
        app, **options(site, cert_reqs="required", ca_certs=ca.certfile)
    )
    made = context(ca, ssl.TLSVersion.TLSv1_2, client)
    with dial(server.port, made) as kept:
        ask(kept)
        session = kept.session
        shutil.copyfile(other.certfile, ca.certfile)
        server.server.reload_tls()
        assert ask(kept)["SSL_CLIENT_VERIFY"] == "SUCCESS"
    # Neither the certificate nor a ticket lets that client in any more.
    with pytest.raises((ssl.SSLError, ConnectionError)):
        dial(server.port, made, session=session)


def test_a_reload_without_certificates_is_an_error(serve, ca):
    with pytest.raises(RuntimeError, match="no certificates"):
        serve(app).server.reload_tls()
    server = wsocket.Server(app, port=0, **options(ca.issue("localhost")))
    with pytest.raises(RuntimeError, match="does not listen"):
        server.reload_tls()


def test_reloads_under_load_lose_no_request(ca, serve):
    site = ca.issue("localhost")
    pairs = [ca.issue("localhost") for _ in range(2)]
    server = serve(app, error_logfile="none", **options(site))
    made, failed, stop = context(ca), [], threading.Event()

    def load():
        try:
            while not stop.is_set():
                with dial(server.port, made) as sock:
                    for _ in range(3):
                        assert ask(sock)["HTTPS"] == "on"
        except BaseException as exc:
            failed.append(exc)

    threads = [threading.Thread(target=load) for _ in range(3)]
    with dial(server.port, made) as kept:
        for thread in threads:
            thread.start()
        fds = len(os.listdir("/proc/self/fd"))
        for n in range(60):
            install(pairs[n % 2], site)
            server.server.reload_tls()
        ask(kept)
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert not failed
    assert len(os.listdir("/proc/self/fd")) <= fds + 2


def test_a_reload_may_run_while_the_server_stops(ca, serve):
    site = ca.issue("localhost")
    server = serve(app, error_logfile="none", **options(site))
    reloads = threading.Thread(
        target=lambda: [server.server.reload_tls() for _ in range(30)]
    )
    reloads.start()
    assert server.stop()
    reloads.join(PATIENCE)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP")
def test_sighup_reloads_the_certificates_of_one_process(
    ca, tmp_path, program, eventually
):
    (tmp_path / "site_app.py").write_text(
        "def app(e, s):\n    s('200 OK', [])\n    return [b'x']\n"
    )
    site, new = ca.issue("localhost"), ca.issue("localhost")
    started = program(
        "--port", "0", "--certfile", site.certfile, "--keyfile", site.keyfile,
        "site_app:app",
    ).wait_started()
    install(new, site)
    started.signal(signal.SIGHUP)
    eventually(lambda: "new certificate for localhost" in started.said)
    assert serial_at(started.port, context(ca)) == serial_of(new)
    pathlib.Path(site.keyfile).write_text("")
    started.signal(signal.SIGHUP)
    eventually(
        lambda: "stay as they are: %s has no private key" % site.keyfile
        in started.said
    )
    assert serial_at(started.port, context(ca)) == serial_of(new)
    started.signal(signal.SIGTERM)
    assert started.wait() == 0


# -------------------------------------------------------------------- tickets


def reused(port, made, session):
    """Whether a session is resumed, and the newest one."""
    with dial(port, made, session=session) as sock:
        ask(sock)
        return sock.session_reused, sock.session


@pytest.mark.parametrize("version", VERSIONS)
def test_a_ticket_outlives_a_reload(ca, serve, version):
    site, new = ca.issue("localhost"), ca.issue("localhost")
    server = serve(app, **options(site))
    made = context(ca, version)
    _, session = reused(server.port, made, None)
    assert reused(server.port, made, session)[0]
    install(new, site)
    server.server.reload_tls()
    assert reused(server.port, made, session)[0]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("shared", [False, True])
def test_servers_agree_on_tickets_by_a_file(ca, serve, tmp_path, version, shared):
    keys = tmp_path / "tickets"
    keys.write_bytes(TICKETS)
    more = {"tls_ticket_keys": str(keys)} if shared else {}
    site = ca.issue("localhost")
    one, other = (serve(app, **options(site, **more)) for _ in range(2))
    made = context(ca, version)
    _, session = reused(one.port, made, None)
    assert reused(other.port, made, session)[0] == shared


@pytest.mark.parametrize("version", VERSIONS)
def test_workers_agree_on_tickets(ca, either, version):
    pair = ca.issue("localhost")
    site = either.up("--certfile", pair.certfile, "--keyfile", pair.keyfile)
    made = context(ca, version)
    met, session = set(), None
    for _ in range(200):
        with dial(site.program.port, made, session=session) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
            answer = b""
            while b"\r\n\r\n" not in answer or not answer.rpartition(b"\r\n")[2]:
                answer += sock.recv(4096)
            met.add(answer.rpartition(b"\r\n")[2].split()[0])
            assert session is None or sock.session_reused
            session = sock.session
        if len(met) == 2:
            break
    assert len(met) == 2


def test_new_workers_read_the_certificates_anew(ca, site):
    pair, new = ca.issue("localhost"), ca.issue("localhost")
    site.up("--certfile", pair.certfile, "--keyfile", pair.keyfile)
    assert serial_at(site.program.port, context(ca)) == serial_of(pair)
    install(new, pair)
    site.signal("SIGHUP")
    site.wait_said("generation 2")

    def serve_it():
        """Whether those that are replaced have gone."""
        made, wanted = context(ca), serial_of(new)
        port = site.program.port
        return all(serial_at(port, made) == wanted for _ in range(8))

    site.eventually(serve_it)
    # A reload with files that no worker can use fails, and all stays as it is.
    pathlib.Path(pair.keyfile).write_text("")
    site.signal("SIGHUP")
    site.wait_said("%s has no private key" % pair.keyfile)
    assert serve_it()


# ---------------------------------------------------------------- development


def test_a_certificate_for_development_is_made_once(
    serve, tmp_path, monkeypatch, server_log
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("CAROOT", str(tmp_path / "none"))
    folder = tmp_path / "wsocket" / "tls"
    serials = set()
    for _ in range(2):
        server = serve(app, certfile="dev")
        authority = folder / "ca.pem"
        server_log("trust %s trust it" % authority)
        made = ssl.create_default_context(cafile=str(authority))
        for name in ("localhost", "127.0.0.1"):
            serials.add(serial_at(server.port, made, name))
    assert len(serials) == 1
    assert folder.stat().st_mode & 0o777 == 0o700
    for file in folder.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600


def test_the_authority_of_mkcert_signs_where_there_is_one(
    serve, tmp_path, monkeypatch
):
    root = tmp_path / "mkcert"
    root.mkdir()
    ca = Authority(tmp_path, "mkcert")
    (root / "rootCA.pem").write_bytes(ca.ca.cert_pem.bytes())
    (root / "rootCA-key.pem").write_bytes(ca.ca.private_key_pem.bytes())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("CAROOT", str(root))
    server = serve(app, certfile="dev")
    serial_at(server.port, context(ca))


# -------------------------------------------------------------------- metrics


def test_handshakes_are_counted_and_ends_are_shown(ca, serve, eventually):
    site = ca.issue("localhost")
    server = serve(app, metrics_bind="127.0.0.1:0", **options(site))

    def page():
        with urllib.request.urlopen(
            server.server.metrics_url + "metrics", timeout=PATIENCE
        ) as answer:
            return answer.read().decode()

    made = context(ca)
    with dial(server.port, made) as sock:
        ask(sock)
        session = sock.session
    reused(server.port, made, session)
    with contextlib.suppress(ssl.SSLError):
        dial(server.port, ssl.create_default_context())
    for wanted in (
        'wsocket_tls_handshakes_total{result="full",version="TLSv1.3"} 1\n',
        'wsocket_tls_handshakes_total{result="resumed",version="TLSv1.3"} 1\n',
        'wsocket_tls_handshakes_total{result="failed",version=""} 1\n',
        "wsocket_tls_handshake_seconds_count 2\n",
        'wsocket_tls_certificate_end_seconds{name="localhost",file="%s"} '
        % site.certfile,
    ):
        eventually(lambda: wanted in page())
