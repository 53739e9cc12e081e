"""wsocket.connect("wss://..."), against TLS of Python's standard library: whom
it trusts, what it shows, and what it says when that fails."""

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading

import pytest
import websockets.sync.server
from authority import Authority
from patience import PATIENCE

from wsocket import connect

pytestmark = pytest.mark.programs

# The standard library tells the certificate that it has refused.
TELLS = sys.version_info >= (3, 10)


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def site(ca):
    return ca.issue("127.0.0.1", "localhost", "a.example")


@contextlib.contextmanager
def serving(pair, **settings):
    """An echo of websockets with TLS. Its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certfile, pair.keyfile)
    clients = settings.pop("clients", None)
    if clients is not None:
        context.load_verify_locations(clients.certfile)
        context.verify_mode = ssl.CERT_REQUIRED
    for name, value in settings.items():
        setattr(context, name, value)
    names = []
    context.sni_callback = lambda sock, name, _: names.append(name)

    def handler(ws):
        certificate = ws.socket.getpeercert() or {}
        for message in ws:
            if message == "names":
                message = repr(names)
            elif message == "subject":
                message = repr(certificate.get("subjectAltName"))
            ws.send(message)

    with websockets.sync.server.serve(
        handler, "127.0.0.1", 0, ssl=context
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def port(site):
    with serving(site) as port:
        yield port


def echoed(url, message="hello", **options):
    options.setdefault("timeout", PATIENCE)
    with connect(url, **options) as ws:
        ws.send(message)
        return ws.receive(timeout=PATIENCE)


def refusal(url, **options):
    with pytest.raises(OSError) as refused:
        connect(url, timeout=PATIENCE, **options)
    return str(refused.value)


def test_a_file_of_authorities_is_trusted(port, ca):
    assert echoed("wss://127.0.0.1:%d/" % port, ca_certs=ca.certfile) == "hello"
    assert echoed("wss://localhost:%d/" % port, ca_certs=ca.certfile) == "hello"


def test_only_what_ca_certs_has_is_trusted(port, tmp_path):
    other = Authority(tmp_path, "other")
    text = refusal("wss://127.0.0.1:%d/" % port, ca_certs=other.certfile)
    assert other.certfile in text and "ca_certs" in text
    assert not TELLS or "issued by tests" in text


def test_the_system_is_asked_by_default(port):
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        connect("wss://127.0.0.1:%d/" % port)
    assert "trust store of the system" in str(refused.value)
    assert refused.value.verify_code in (19, 20, 21)
    assert not TELLS or "issued by tests" in str(refused.value)


@pytest.mark.parametrize("hashed", [False, True], ids=["plain", "hashed"])
def test_a_folder_of_authorities_is_trusted(port, ca, tmp_path, hashed):
    other = Authority(tmp_path, "another")
    shutil.copy(ca.certfile, tmp_path / "company.crt")
    other.issue("x.example")  # a key and a chain beside them
    (tmp_path / "README.pem").write_text("no certificate")
    if hashed:
        if subprocess.run(["openssl", "rehash", tmp_path]).returncode:
            pytest.skip("there is no openssl that makes such a folder")
        os.rename(tmp_path / "company.crt", tmp_path / "company.data")
        for name in os.listdir(tmp_path):
            path = tmp_path / name
            if path.is_symlink() and os.readlink(path) == "company.crt":
                path.unlink()
                path.symlink_to("company.data")
    assert echoed("wss://127.0.0.1:%d/" % port, ca_certs=tmp_path) == "hello"


def test_a_folder_without_an_authority_is_an_error(tmp_path):
    (tmp_path / "README.pem").write_text("no certificate")
    with pytest.raises(ValueError, match="holds a certificate"):
        connect("wss://127.0.0.1:1/", ca_certs=str(tmp_path))


def test_a_file_that_holds_no_certificate_is_named(tmp_path):
    path = tmp_path / "empty.pem"
    path.write_text("")
    for wrong in ({"ca_certs": path}, {"certfile": path}):
        with pytest.raises(ValueError, match="empty.pem"):
            connect("wss://127.0.0.1:1/", **wrong)


def test_a_file_that_is_missing_is_named(site):
    gone = site.certfile + ".gone"
    for wrong in (
        {"ca_certs": gone},
        {"certfile": gone},
        {"certfile": site.certfile, "keyfile": gone},
    ):
        with pytest.raises(FileNotFoundError, match="gone"):
            connect("wss://127.0.0.1:1/", **wrong)


def test_a_foreign_name_says_which_names_there_are(port, ca):
    text = refusal(
        "wss://127.0.0.1:%d/" % port,
        ca_certs=ca.certfile,
        server_hostname="b.example",
    )
    assert "not for b.example" in text
    assert not TELLS or "localhost, a.example" in text
    assert "server_hostname" in text


def test_many_names_are_cut_short(ca):
    pair = ca.issue(*("n%d.example" % n for n in range(40)))
    with serving(pair) as port:
        text = refusal("wss://127.0.0.1:%d/" % port, ca_certs=ca.certfile)
    assert not TELLS or "n4.example and 35 more, not for 127.0.0.1" in text


def test_another_name_is_sent_and_compared(port, ca):
    url = "wss://127.0.0.1:%d/" % port
    options = {"ca_certs": ca.certfile, "server_hostname": "a.example"}
    assert echoed(url, **options) == "hello"
    assert "'a.example'" in echoed(url, "names", **options)


def test_the_dot_of_the_root_is_no_part_of_a_name(port, ca):
    url = "wss://127.0.0.1:%d/" % port
    options = {"ca_certs": ca.certfile, "server_hostname": "a.example."}
    assert "'a.example'" in echoed(url, "names", **options)


def test_a_socket_of_ones_own_gets_tls(port, ca):
    sock = socket.create_connection(("127.0.0.1", port))
    assert echoed("wss://a.example/", ca_certs=ca.certfile, sock=sock) == "hello"


def test_an_expired_certificate_says_when(ca):
    with serving(ca.issue("127.0.0.1", days=(-9, -2))) as port:
        text = refusal("wss://127.0.0.1:%d/" % port, ca_certs=ca.certfile)
    assert "has expired" in text and "clock" in text
    assert not TELLS or " GMT" in text


def test_a_certificate_of_tomorrow_says_when(ca):
    with serving(ca.issue("127.0.0.1", days=(1, 9))) as port:
        text = refusal("wss://127.0.0.1:%d/" % port, ca_certs=ca.certfile)
    assert "not valid yet" in text


def test_a_certificate_signed_by_itself_is_told(tmp_path):
    alone = Authority(tmp_path, "alone")
    pair = alone.issue("127.0.0.1")
    alone.ca.private_key_pem.write_to_path(pair.keyfile)
    pair.certfile = alone.certfile
    with serving(pair) as port:
        url = "wss://127.0.0.1:%d/" % port
        assert "signed by itself" in refusal(url)
        assert "other names" in refusal(url, ca_certs=alone.certfile) or TELLS


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_the_client_shows_a_certificate(site, ca, tmp_path, version):
    clients = Authority(tmp_path, "clients")
    mine = clients.issue("me.example")
    settings = {
        "clients": clients,
        "maximum_version": getattr(ssl.TLSVersion, version),
    }
    with serving(site, **settings) as port:
        url = "wss://127.0.0.1:%d/" % port
        pair = {"certfile": mine.certfile, "keyfile": mine.keyfile}
        for options in (pair, {"certfile": mine.bothfile}):
            options["ca_certs"] = ca.certfile
            assert "me.example" in echoed(url, "subject", **options)
        text = refusal(url, ca_certs=ca.certfile)
        assert "certfile" in text and "connect: the server" in text
        other = ca.issue("me.example")
        text = refusal(url, ca_certs=ca.certfile, certfile=other.bothfile)
        assert "does not trust the issuer of certfile" in text


def test_a_key_of_another_certificate_is_refused(site, ca):
    other = ca.issue("b.example")
    with pytest.raises(ValueError, match="does not belong"):
        connect(
            "wss://127.0.0.1:1/",
            certfile=site.certfile,
            keyfile=other.keyfile,
        )


def test_an_encrypted_key_is_not_asked_for(site, tmp_path):
    from cryptography.hazmat.primitives import serialization as pem

    with open(site.keyfile, "rb") as file:
        key = pem.load_pem_private_key(file.read(), None)
    path = tmp_path / "locked.key"
    path.write_bytes(
        key.private_bytes(
            pem.Encoding.PEM,
            pem.PrivateFormat.PKCS8,
            pem.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(ValueError, match="locked.key is encrypted"):
        connect("wss://127.0.0.1:1/", certfile=site.certfile, keyfile=path)


GIVEN = {
    "ca_certs": "ca.pem",
    "server_hostname": "a.example",
    "certfile": "me.pem",
    "keyfile": "me.key",
}


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_a_context_has_all_of_it(name):
    given = {name: GIVEN[name], "ssl": ssl.create_default_context()}
    with pytest.raises(ValueError, match="given as ssl.*%s" % name):
        connect("wss://127.0.0.1:1/", **given)


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_nothing_of_tls_goes_with_ws(name):
    with pytest.raises(ValueError, match="%s.*wss://" % name):
        connect("ws://127.0.0.1:1/", **{name: GIVEN[name]})


@pytest.mark.parametrize(
    "wrong", [{"keyfile": "me.key"}, {"server_hostname": ""}], ids=str
)
def test_what_means_nothing_is_a_value_error(wrong):
    with pytest.raises(ValueError, match="connect: "):
        connect("wss://127.0.0.1:1/", **wrong)


def test_no_keyword_turns_verification_off():
    for name in ("insecure", "verify", "check_hostname"):
        with pytest.raises(TypeError, match="ws_"):
            connect("wss://127.0.0.1:1/", **{name: False})


def answering(data):
    """A server that sends something to whoever connects, then closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        with listener:
            client, _ = listener.accept()
            with client:
                client.recv(65536)
                client.sendall(data)

    threading.Thread(target=run).start()
    return listener.getsockname()[1]


def test_a_server_without_tls_is_told():
    port = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert "does not speak TLS" in refusal("wss://127.0.0.1:%d/" % port)


def test_a_server_that_ends_the_handshake_is_told():
    port = answering(b"")
    said = refusal("wss://127.0.0.1:%d/" % port)
    # Python 3.9 has no reason for that error, only a text of its own.
    assert "during the TLS handshake" in said or "closed (EOF)" in said


def test_tls_behind_ws_is_told():
    port = answering(b"\x15\x03\x01\0\x02\x02\x46")  # protocol_version
    assert "use wss://" in refusal("ws://127.0.0.1:%d/" % port)


def test_a_silent_server_is_given_up_during_the_handshake():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = "wss://127.0.0.1:%d/" % listener.getsockname()[1]
        with pytest.raises(TimeoutError, match="has not answered in time"):
            connect(url, timeout=0.3)


def test_a_refused_connection_leaves_no_descriptor(port, ca):
    before = os.listdir("/proc/self/fd")
    for _ in range(20):
        refusal("wss://127.0.0.1:%d/" % port)
    assert len(os.listdir("/proc/self/fd")) < len(before) + 5


def command(*args):
    return subprocess.run(
        [sys.executable, "-m", "wsocket", "connect", *args],
        capture_output=True,
        text=True,
        timeout=60,
        input="hello\nnames\n",
    )


def test_the_command_trusts_an_authority(port, ca):
    url = "wss://127.0.0.1:%d/" % port
    done = command(url, "--ca-certs", ca.certfile)
    assert done.stdout.startswith("hello\n") and done.returncode == 0
    done = command(
        *(url, "--ca-certs", ca.certfile, "--server-hostname", "a.example")
    )
    assert "'a.example'" in done.stdout and done.returncode == 0


def test_the_command_trusts_nobody_by_default(port):
    done = command("wss://127.0.0.1:%d/" % port)
    assert done.returncode == 2 and done.stdout == ""
    assert "trust store of the system" in done.stderr


def test_the_command_may_trust_everybody(port, ca):
    url = "wss://127.0.0.1:%d/" % port
    done = command(url, "--insecure", "--server-hostname", "b.example")
    assert done.stdout.startswith("hello\n") and done.returncode == 0
    assert "'b.example'" in done.stdout
    done = command(url, "--insecure", "--ca-certs", ca.certfile)
    assert done.returncode == 2 and "ca_certs" in done.stderr


def test_the_command_shows_a_certificate(site, ca):
    mine = ca.issue("me.example")
    with serving(site, clients=ca) as port:
        url = "wss://127.0.0.1:%d/" % port
        trust = ("--ca-certs", ca.certfile)
        pair = ("--certfile", mine.certfile, "--keyfile", mine.keyfile)
        assert command(url, *trust, *pair).returncode == 0
        done = command(url, *trust)
        assert done.returncode == 2 and "certfile" in done.stderr


def test_nothing_of_tls_goes_with_ws_on_the_command_line():
    done = command("ws://127.0.0.1:1/", "--insecure")
    assert done.returncode == 2 and "insecure" in done.stderr
