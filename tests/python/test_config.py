"""Options from the command line, the environment and a file."""

import os
import socket
import subprocess
import sys

import pytest

import wsocket
from wsocket import config
from wsocket.config import UsageError

pytestmark = pytest.mark.programs

pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "wsocket.toml"
        path.write_text(text)
        return str(path)

    return write


def gather(command_line=None, environ=None, path=None):
    given = dict(command_line or {}, config=path)
    return config.gather(given, environ or {})[0]


def test_the_command_line_wins_over_environment_and_file(file):
    path = file("[wsocket]\nthreads = 1\nkeep_alive = 1.5\nbacklog = 5\n")
    environ = {"WSOCKET_THREADS": "2", "WSOCKET_KEEP_ALIVE": "2", "X": "y"}
    assert gather({"threads": "3"}, environ, path) == {
        "threads": "3",
        "keep_alive": "2",
        "backlog": 5,
    }


def test_the_file_may_be_named_by_the_environment(file):
    path = file("[wsocket]\nport = 81\n")
    assert gather({}, {"WSOCKET_CONFIG": path}) == {"port": 81}


def test_where_to_listen_is_replaced_as_a_whole(file):
    path = file("[wsocket]\nbind = ['127.0.0.1:1', 'unix:/x']\n")
    assert gather({"port": "9"}, {}, path) == {"port": "9"}
    assert gather({}, {"WSOCKET_BIND": "fd:3"}, path) == {"bind": "fd:3"}
    path = file("[wsocket]\nhost = 'x'\nport = 1\n")
    assert gather({"bind": "fd:3"}, {}, path) == {"bind": "fd:3"}
    with pytest.raises(UsageError, match="takes the place of host and port"):
        gather({"bind": "fd:3", "port": "1"})


@pytest.mark.parametrize(
    "text, said",
    [
        ("[wsocket]\n\nprot = 1\n", "line 3: .*'prot'; did you mean 'port'"),
        ("[wsocket]\nport = 'x'\n", "line 2: port takes a number from 0 to"),
        ("[wsocket]\nport = 70000\n", "line 2: port takes a number"),
        ("[wsocket]\nport = [1]\n", "line 2: port takes one value"),
        ("[wsocket]\nbind = ['nowhere']\n", "line 2: bind takes host:port"),
        ("[wsocket]\ndate_header = 'yes'\n", "takes on or off, not 'yes'"),
        ("[wsocket]\napp = 5\n", "line 2: app takes"),
        ("[a]\nport = 1\n[wsocket]\nport = 'x'\n", "line 4: port takes"),
        ("[wsocket.static]\na = 'b'\n", "line 1: static takes /url=folder"),
        ("wsocket.port = 'x'\n", "line 1: port takes a number"),
        ("[wsocket\n", "wsocket.toml: .*line 1"),
        ("[other]\n", r"has no table \[wsocket\]"),
        ("wsocket = 1\n", r"has no table \[wsocket\]"),
    ],
)
def test_mistakes_in_a_file_are_told_with_their_line(file, text, said):
    with pytest.raises(UsageError, match=said):
        gather({}, {}, file(text))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UsageError, match="cannot read .*none.toml: No such"):
        gather({}, {}, str(tmp_path / "none.toml"))
    (tmp_path / "bad.toml").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="bad.toml: it is not UTF-8"):
        gather({}, {}, str(tmp_path / "bad.toml"))


def test_a_stronger_source_shields_from_a_bad_weaker_one(file):
    bad = {"WSOCKET_THREADS": "many", "WSOCKET_PORT": "80a"}
    path = file("[wsocket]\nthreads = 'x'\nport = 'x'\nbind = 'x'\n")
    given = {"threads": "3", "bind": "fd:3"}
    assert gather(given, bad, path) == given
    given = {"threads": "3", "port": "1"}
    assert gather(given, bad, path) == given
    with pytest.raises(UsageError, match="WSOCKET_PORT: port takes"):
        gather({"threads": "3"}, bad)
    with pytest.raises(UsageError, match="WSOCKET_THREADS: threads takes"):
        gather({"port": "1"}, bad)
    good = {"WSOCKET_THREADS": "4", "WSOCKET_BIND": "fd:4"}
    assert gather({}, good, path) == {"threads": "4", "bind": "fd:4"}
    bad = {"WSOCKET_CONFIG": "/nowhere"}
    assert gather({}, bad, file("[wsocket]\n")) == {}


def test_an_unknown_name_in_the_file_is_an_error_in_any_case(file):
    with pytest.raises(UsageError, match="line 2: unknown option 'prot'"):
        gather({"port": "1"}, {}, file("[wsocket]\nprot = 1\n"))


def test_links_to_a_service_of_that_name_are_told_apart():
    links = {
        "WSOCKET_PORT": "tcp://10.0.0.1:80",
        "WSOCKET_PORT_80_TCP": "tcp://10.0.0.1:80",
        "WSOCKET_PORT_80_TCP_ADDR": "10.0.0.1",
        "WSOCKET_PORT_80_TCP_PORT": "80",
        "WSOCKET_PORT_80_TCP_PROTO": "tcp",
        "WSOCKET_SERVICE_HOST": "10.0.0.1",
        "WSOCKET_SERVICE_PORT": "80",
        "WSOCKET_SERVICE_PORT_HTTP": "80",
        "WSOCKET_WS_PORT": "udp://[fd00::1]:80",
        "WSOCKET_CHAT_SERVICE_HOST": "10.0.0.1",
        "WSOCKET_NAME": "/web/wsocket",
        "WSOCKET_ENV_HOME": "/root",
    }
    options, warnings = config.gather({}, {**links, "WSOCKET_THREADS": "4"})
    assert options == {"threads": "4"}
    assert len(warnings) == 1 and "did you mean" not in warnings[0]
    for name in links:
        assert name in warnings[0].replace(",", "").split()
    for value in ("80a", "tcp:/10.0.0.1:80", "tcp://", ""):
        with pytest.raises(UsageError, match="WSOCKET_PORT: port takes"):
            gather({}, {"WSOCKET_PORT": value})


@pytest.mark.parametrize("name", ["XYZZY", "NAME", "A" * 100000])
def test_a_name_like_no_other_has_no_suggestion(name, file):
    warning = config.gather({}, {"WSOCKET_" + name: "1"})[1][0]
    assert "is no option" in warning and "mean" not in warning
    assert len(warning) < 200
    with pytest.raises(UsageError, match="unknown option 'a+'$"):
        gather({}, {}, file("[wsocket]\n%s = 1\n" % ("a" * 100000)))


def test_a_file_and_the_environment_name_what_other_servers_call_otherwise(file):
    with pytest.raises(UsageError, match="line 2: .*'processes': .*--workers"):
        gather({}, {}, file("[wsocket]\nprocesses = 4\n"))
    warning = config.gather({}, {"WSOCKET_PROCESSES": "4"})[1][0]
    assert "WSOCKET_PROCESSES" in warning and "--workers" in warning


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "bom.toml"
    path.write_bytes(b"\xef\xbb\xbf[wsocket]\r\nport = 81\r\n")
    assert gather({}, {}, str(path)) == {"port": 81}
    path.write_bytes(b"\xef\xbb\xbf[wsocket]\nport = 'x'\n")
    with pytest.raises(UsageError, match="line 2: port takes"):
        gather({}, {}, str(path))


def test_mistakes_in_the_environment_name_the_variable():
    with pytest.raises(UsageError, match="WSOCKET_PORT: port takes"):
        gather({}, {"WSOCKET_PORT": "eighty"})
    options, warnings = config.gather({}, {"WSOCKET_PROT": "1"})
    assert options == {}
    assert "did you mean WSOCKET_PORT?" in warnings[0]


def test_every_kind_of_value_can_be_written_in_a_file(file):
    path = file(
        "[wsocket]\nserver_header = false\nmax_body = '2m'\n"
        "max_headers = 50\nkeep_alive = 0.5\nstatic = {'/a' = '.'}\n"
    )
    assert gather({}, {}, path)["static"] == {"/a": "."}


def test_the_names_of_uvicorn_are_taken(file):
    path = file("[wsocket]\nssl_certfile = 'a'\nssl_ca_certs = 'b'\n")
    environ = {"WSOCKET_SSL_CERTFILE": "c", "WSOCKET_SSL_CIPHERS": "x"}
    assert gather({}, environ, path) == {
        "certfile": "c",
        "ca_certs": "b",
        "ciphers": "x",
    }
    assert gather({"certfile": ["d"]}, environ, path)["certfile"] == ["d"]


def test_one_option_under_two_names_is_an_error(file):
    path = file("[wsocket]\nssl_certfile = 'a'\ncertfile = 'b'\n")
    with pytest.raises(UsageError, match="gives certfile and ssl_certfile"):
        gather({}, {}, path)
    environ = {"WSOCKET_SSL_KEYFILE": "a", "WSOCKET_KEYFILE": "b"}
    with pytest.raises(UsageError, match="the environment gives keyfile and"):
        gather({}, environ)
    with pytest.raises(TypeError, match="gives keyfile and ssl_keyfile"):
        wsocket.Server(None, keyfile="a", ssl_keyfile="b")
    with pytest.raises(TypeError, match="gives keyfile and ssl_keyfile"):
        wsocket.run(keyfile="a", ssl_keyfile="b")


def test_a_fault_of_another_name_has_its_line(file):
    path = file("[wsocket]\n\nssl_cert_reqs = 'all'\n")
    with pytest.raises(UsageError, match="line 3: cert_reqs takes"):
        gather({}, {}, path)


def test_a_password_may_only_stand_in_a_file(file):
    plain = "[wsocket]\ncertfile = 'a'\nkeyfile_password = 'secret'\n"
    options = gather({}, {}, file(plain))
    assert options["keyfile_password"] == "secret"
    assert "secret" not in config.as_toml(options)
    assert "keyfile_password" in config.as_toml(options)
    for wrong in ({"keyfile_password": "secret"}, {}):
        environ = {} if wrong else {"WSOCKET_KEYFILE_PASSWORD": "secret"}
        with pytest.raises(UsageError, match="file:PATH or env:NAME") as told:
            gather(wrong, environ)
        assert "secret" not in str(told.value)
    for right in ("file:/run/secret", "env:SECRET"):
        options = gather({"keyfile_password": right})
        assert options == {"keyfile_password": right}
        assert right in config.as_toml(options)


def test_a_socket_of_systemd_may_be_without_tls():
    def environ():
        return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"}

    options = {"insecure_bind": "fd:4"}
    assert config.add_inherited(options, environ()) == []
    assert options["bind"] == ["fd:3"]
    options = {"bind": "fd:3", "insecure_bind": ["fd:4"]}
    assert config.add_inherited(options, environ()) == []


def test_what_is_printed_is_read_again(file):
    options = {
        "app": "site:app",
        "port": "80",
        "max_body": "2m",
        "date_header": True,
        "bind": ["unix:/x", 'unix:/"quoted"\\'],
        "static": {"/a": "b"},
    }
    del options["bind"], options["port"]
    again = gather({}, {}, file(config.as_toml(options)))
    assert again == dict(options, static=["/a=b"])
    bind = {"bind": ["unix:/x", 'unix:/"quoted"\\', "unix:/\t"]}
    assert gather({}, {}, file(config.as_toml(bind))) == bind


def test_sockets_of_systemd_are_found():  # sd_listen_fds(3)
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "X": "1"}
    assert config.inherited(environ) == ["fd:3", "fd:4"]
    assert environ == {"X": "1"}
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "2"}
    assert config.inherited(environ) == []
    assert len(environ) == 2
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "x"}
    with pytest.raises(UsageError, match="LISTEN_FDS takes a number, not 'x'"):
        config.inherited(environ)


def run(*args, **environ):
    return subprocess.run(
        [sys.executable, "-m", "wsocket", *args],
        env=dict(os.environ, **environ),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_command_checks_and_prints(file):
    path = file("[wsocket]\nthreads = 7\n")
    said = run("--config", path, "--print-config", WSOCKET_PORT="0")
    assert said.stdout == "[wsocket]\nthreads = 7\nport = 0\n"
    said = run(
        *("--ws-origins", "same", "--ws-origins", "https://a.example"),
        "--print-config",
    )
    assert 'ws_origins = ["same", "https://a.example"]' in said.stdout
    said = run("--config", path, "--check-config", WSOCKET_PORT="0")
    assert (said.returncode, said.stdout[-5:]) == (0, "good\n")
    path = file("[wsocket]\nthread = 7\n")
    said = run("--config", path, "--check-config")
    assert said.returncode == 2
    assert "line 2: unknown option 'thread'" in said.stderr


def test_what_is_repeated_may_hold_several_each_time():
    said = run(
        *("--trusted-proxies", "10.0.0.0/8, ::1"),
        *("--trusted-proxies", "unix"),
        "--print-config",
    )
    assert 'trusted_proxies = ["10.0.0.0/8", "::1", "unix"]' in said.stdout


def test_an_application_may_be_named_in_the_file(program, file):
    path = file("[wsocket]\napp = 'wsocket.demo:nothing'\n")
    started = program("--config", path)
    assert started.wait() == 2
    assert "wsocket.demo has no nothing" in started.said


def test_a_socket_of_systemd_is_served(tmp_path):
    code = (
        "import os, socket\n"
        "s = socket.create_server(('127.0.0.1', 0))\n"
        "os.dup2(s.fileno(), 3)\n"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\n"
        "from wsocket import cli\n"
        "cli.main([])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path,
    ) as process:
        line = process.stderr.readline()
        process.terminate()
    assert "on http://127.0.0.1:" in line


def inherited_by(path, *args):
    """The command with a socket of systemd: what it says, and the port."""
    code = (
        "import os, socket, sys\n"
        "s = socket.create_server(('127.0.0.1', 0))\n"
        "print(s.getsockname()[1], flush=True)\n"
        "os.dup2(s.fileno(), 3)\n"
        "s.close() if s.fileno() != 3 else s.detach()\n"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\n"
        "from wsocket import cli\n"
        "cli.main(sys.argv[1:])\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *args],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=path,
    )


@pytest.mark.parametrize("args", [["--port=0"], ["--bind=127.0.0.1:0"]])
def test_a_socket_of_systemd_that_is_not_served_is_named_and_closed(
    tmp_path, args
):
    with inherited_by(tmp_path, *args) as process:
        port = int(process.stdout.readline())
        warning = process.stderr.readline()
        assert "LISTEN_FDS: fd:3" in warning and "not served" in warning
        assert " serves " in process.stderr.readline()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 20)
        process.terminate()


def test_a_socket_of_systemd_may_be_named_as_well(tmp_path):
    with inherited_by(tmp_path, "--bind=fd:3") as process:
        port = int(process.stdout.readline())
        line = process.stderr.readline()
        assert "on http://127.0.0.1:%d/ (fd:3)" % port in line
        process.terminate()


@pytest.mark.parametrize(
    "args, named",
    [
        (["--access-logfile", "none/log"], "none/log"),
        (["--error-logfile", "."], "."),
        (["--static", "/x=none"], "/x=none"),
        (["--bind", "unix:none/sock"], "unix:none/sock"),
        (["none:app"], "none"),
    ],
)
def test_check_config_fails_for_what_a_start_would_fail_for(
    program, args, named
):
    check = program("--check-config", "--port=0", *args)
    if args[0] == "--bind":
        check = program("--check-config", *args)
    assert check.wait() != 0
    assert named in check.said and "good" not in check.printed


def test_check_config_tells_of_a_folder_for_bodies_that_cannot_be(tmp_path):
    said = run(
        *("--check-config", "--port=0"), TMPDIR=str(tmp_path / "missing")
    )
    assert said.returncode == 0
    assert "warning" in said.stderr and str(tmp_path) in said.stderr
