"""The command ``wsocket``, as a program of its own."""

import os
import platform
import pty
import re
import signal
import sys

import pytest
from conftest import Raw
from websockets.sync.client import connect

import wsocket
from wsocket import _wsocket, cli, usage

pytestmark = pytest.mark.programs

APP = """
import atexit, sys, threading, time

@atexit.register
def at_exit():
    print("atexit ran", file=sys.stderr)

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/slow":
        time.sleep(0.3)
    if path == "/stuck":
        while True:
            pass
    if path == "/wait":
        environ["wsgi.errors"].write("waiting\\n")
        threading.Event().wait()
    if path == "/boom":
        raise ValueError("broken")
    start_response("200 OK", [])
    return [path.encode()]

application = app
number = 5

def create_app(name="x", *, mark="!"):
    def made(environ, start_response):
        start_response("200 OK", [])
        return [(name + mark).encode()]
    return made

async def asgi(scope, receive, send):
    pass

class factory:
    @staticmethod
    def make():
        return app
"""


@pytest.fixture(autouse=True)
def site(tmp_path):
    (tmp_path / "site_app.py").write_text(APP)
    return tmp_path


def ask(program, target="/", *headers):
    with program.raw() as client:
        client.send(b"GET %s HTTP/1.1\r\nHost: t\r\n\r\n" % target.encode())
        return client.response()


# -------------------------------------------------------------- starting ---


@pytest.mark.parametrize(
    "spec, answer",
    [
        ("site_app:app", b"/"),
        ("site_app", b"/"),
        ("site_app:application", b"/"),
        ("site_app:create_app()", b"x!"),
        ("site_app:create_app('y', mark='?')", b"y?"),
        ("site_app:factory.make()", b"/"),
    ],
)
def test_it_serves_what_it_is_told(program, spec, answer):
    started = program(spec, "--port", "0").wait_started()
    assert ask(started)[2] == answer
    started.signal(signal.SIGTERM)
    assert started.wait() == 0


def test_it_says_where_it_serves_what(program):
    started = program("site_app:app", "--port", "0").wait_started()
    started.signal(signal.SIGINT)
    assert started.wait() == 0
    first = started.said.splitlines()[0]
    assert first == (
        "wsocket %s serves site_app:app on http://127.0.0.1:%d/ "
        "(Ctrl-C stops it)" % (wsocket.__version__, started.port)
    )


def test_a_terminal_is_told_more_and_in_colours(program):
    ours, theirs = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    started = program(
        "-c", 'exec "$0" -m wsocket --port 0 site_app:app 2<&0 0</dev/null',
        sys.executable, command=(), executable="/bin/sh", stdin=theirs,
        env={**env, "TERM": "xterm"},
    )
    os.close(theirs)
    said = b""
    while b"--help" not in said:
        said += os.read(ours, 10000)
    started.signal(signal.SIGTERM)
    assert started.wait() == 0
    os.close(ours)
    first, second = said.decode().splitlines()[:2]
    assert re.search("\033\\[1;36mhttp://127.0.0.1:[0-9]+/\033\\[0m", first)
    assert platform.python_version() in second
    assert "PID %d;" % started.process.pid in second


def test_an_error_log_in_a_file_has_start_and_stop_as_well(program, site):
    path = site / "error.log"
    started = program(
        "site_app:app", "--port", "0", "--metrics-bind", "127.0.0.1:0",
        "--error-logfile", str(path),
    ).wait_started()
    ask(started, "/")
    started.signal(signal.SIGTERM)
    assert started.wait() == 0
    entry = "[%d] info: %%s\n" % started.process.pid
    for line in started.said.splitlines()[:2]:
        assert entry % line in path.read_text()
    assert entry % "stop: SIGTERM" in path.read_text()


@pytest.mark.parametrize("place", ["/dev/stderr", "-", "fd:2"])
def test_an_error_log_beside_stderr_says_the_start_once(program, place):
    started = program(
        "-c", 'exec "$0" -m wsocket "$@" >&2', sys.executable,
        "site_app:app", "--port", "0", "--error-logfile", place,
        command=(), executable="/bin/sh",
    )
    started.wait_started()
    started.signal(signal.SIGTERM)
    assert started.wait() == 0
    assert (started.said + started.printed).count("serves site_app:app") == 1


def test_without_an_application_it_serves_the_demo(program):
    started = program("--port", "0").wait_started()
    status, headers, page = ask(started)
    assert status == 200 and b"<title>wsocket" in page
    with connect("ws://127.0.0.1:%d/" % started.port) as client:
        client.send("hello")
        assert client.recv() == "hello"


def test_all_help_has_every_option_with_default_and_variable(program):
    started = program("--help-all")
    assert started.wait() == 0
    said = started.printed
    for name, kind, default, _ in _wsocket.options():
        assert "--" + name.replace("_", "-") in said
        assert "[WSOCKET_%s]" % name.upper() in said
        if default:
            assert (usage.in_units(default) if kind == "bytes" else default) in said


def test_the_help_fits_a_screen_and_names_the_rest(program):
    started = program("-h")
    assert started.wait() == 0
    lines = started.printed.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 79
    assert "all %d options" % len(_wsocket.options()) in started.printed
    # What it says of defaults is so.
    rows = [row for _, rows in usage.QUICK for row in rows]
    for name, _, text in rows:
        if name in usage.config.KINDS and "(default: " in text:
            said = text.partition("(default: ")[2].partition(")")[0]
            default = usage.config.DEFAULTS[name]
            if usage.config.KINDS[name] == "bytes":
                default = usage.in_units(default)
            assert said.partition(";")[0] == default


@pytest.mark.parametrize(
    "variables, coloured",
    [({}, False), ({"FORCE_COLOR": "1"}, True),
     ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_colours_are_for_terminals_and_no_color_is_heeded(
    program, variables, coloured
):
    env = {**os.environ, "PYTHON_COLORS": "0", **variables}
    helped = program("--help", env=env)
    assert helped.wait() == 0
    assert ("\033[" in helped.printed) == coloured
    wrong = program("--prot", "1", env=env)
    assert wrong.wait() == 2
    assert ("\033[" in wrong.said) == coloured


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_completion_knows_options_and_choices(program, shell):
    pytest.importorskip("shtab")
    started = program("--print-completion", shell)
    assert started.wait() == 0
    assert "--ws-compression" in started.printed
    assert "no-takeover" in started.printed


def test_the_man_page_has_every_option(program):
    pytest.importorskip("argparse_manpage")
    started = program("--print-man")
    assert started.wait() == 0
    said = started.printed.replace("\\", "")
    for name, *_ in _wsocket.options():
        assert "--" + name.replace("_", "-") in said
    assert said.startswith(".TH WSOCKET")


@pytest.mark.parametrize("flag", ["--print-completion=bash", "--print-man"])
def test_what_an_extra_prints_says_which_one(program, flag):
    hidden = (
        "import sys\n"
        "sys.modules['shtab'] = sys.modules['argparse_manpage.manpage'] = None\n"
        "from wsocket.cli import main\n"
        "main()\n"
    )
    started = program("-c", hidden, flag, command=())
    assert started.wait() == 2
    assert "pip install wsocket[shell]" in started.said


@pytest.mark.parametrize(
    "args, env",
    [
        (["--app-dir", "{}", "only_there:make", "--factory"], {}),
        (["--app-dir", "{}", "only_there:make()"], {}),
        (["only_there:make"], {"APP_DIR": "{}", "FACTORY": "on"}),
        (["-c", "{}/there.toml"], {}),
    ],
)
@pytest.mark.parametrize("workers", [[], ["-w", "1"]])
def test_an_application_is_found_elsewhere_and_made(
    program, tmp_path, workers, args, env
):
    there = tmp_path / "there"
    there.mkdir()
    (there / "only_there.py").write_text(
        "def make():\n"
        "    def app(environ, start_response):\n"
        "        start_response('200 OK', [])\n"
        "        return [b'made']\n"
        "    return app\n"
    )
    (there / "there.toml").write_text(
        '[wsocket]\napp = "only_there:make"\nfactory = true\n'
        'app_dir = "%s"\n' % there
    )
    env = {
        **os.environ,
        **{"WSOCKET_" + k: v.format(there) for k, v in env.items()},
    }
    args = [arg.format(there) for arg in args]
    started = program(*args, *workers, "-b", "127.0.0.1:0", "-t", "2", env=env)
    assert ask(started.wait_started())[2] == b"made"


@pytest.mark.parametrize(
    "size, text",
    [("16384", "16k"), ("1073741824", "1g"), ("128", "128"), ("0", "0"),
     ("1025", "1025"), ("1099511627776", "1024g"), ("auto", "auto")],
)
def test_the_help_shows_sizes_in_units(size, text):
    assert usage.in_units(size) == text


def test_the_help_shows_choices_as_choices(program):
    started = program("--help-all")
    assert started.wait() == 0
    words = started.printed.split()
    assert words[words.index("--buffer-body") + 1] == "{auto,always,never}"
    assert words[words.index("--server-header") + 1] == "[on|off]"
    assert words[words.index("--host") + 1] == "TEXT"


@pytest.mark.parametrize("size", [10, 100000])
def test_an_unknown_option_costs_no_more_than_its_first_letters(program, size):
    started = program("--" + "x" * size)
    assert started.wait() == 2
    assert len(started.said.splitlines()[-1]) < 200


def test_options_arrive(program):
    started = program(
        "site_app:app",
        "--port=0",
        "--server-header=off",
        "--max-request-line",
        "100",
    ).wait_started()
    assert "server" not in ask(started)[1]
    assert ask(started, "/" + "x" * 200)[0] == 414


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version(program, flag):
    started = program(flag)
    assert started.wait() == 0
    first, python, libraries = started.printed.splitlines()
    assert first == "wsocket %s" % wsocket.__version__
    assert platform.python_version() in python and " on " in python
    assert re.match(r"zlib 1\.\S+, (hiredis \d\S+|no Redis), (OpenSSL 3|no TLS: )",
                    libraries)


def test_run_in_a_script_does_the_same(program, tmp_path):
    (tmp_path / "script.py").write_text(
        "from site_app import app\n"
        "from wsocket import run\n"
        "run('', 0, app)\n"
        "print('after run')\n"
    )
    started = program(command=("script.py",)).wait_started()
    assert ask(started)[2] == b"/"
    assert "serves site_app:app" in started.said
    started.signal(signal.SIGINT)
    assert started.wait() == 0
    assert started.printed.endswith("after run\n")


@pytest.mark.parametrize(
    "args, heard",
    [
        ((), ("demo", "127.0.0.1", 8080)),
        (("app",), ("app", "127.0.0.1", 8080)),
        (("app", "localhost", 80), ("app", "localhost", 80)),
        (("", 80, "app"), ("app", "", 80)),
        (("localhost", 80), ("demo", "localhost", 80)),
        (("localhost",), ("demo", "localhost", 8080)),
        (("", {"port": 8000}), ("demo", "", 8000)),
        (("", "8000", "app"), ("app", "", "8000")),
        (("", 8000, {"app": "app"}), ("app", "", 8000)),
        (("", {"port": 8000, "app": "app"}), ("app", "", 8000)),
        (("app", "0.0.0.0", 8000), ("app", "0.0.0.0", 8000)),
        (("app", {"port": "8000"}), ("app", "127.0.0.1", "8000")),
        (({"port": 8000, "host": ""},), ("demo", "", 8000)),
    ],
)
def test_run_understands_both_orders(monkeypatch, args, heard):
    def app(environ, start_response):
        pass

    made = []

    class FakeServer:
        def __init__(self, app, host, port):
            self.app = app
            made.append((app, host, port))

    module = sys.modules["wsocket.run"]  # the attribute is the function
    monkeypatch.setattr(module, "Server", FakeServer)
    monkeypatch.setattr(module, "serve", lambda server, name: None)
    named = dict(args[-1]) if args and isinstance(args[-1], dict) else {}
    args = args[:-1] if named else args
    if "app" in named:
        named["app"] = app
    wsocket.run(*(app if arg == "app" else arg for arg in args), **named)
    name = "app" if made[0][0] is app else "demo"
    assert (name, *made[0][1:]) == heard


def test_run_says_which_log_level_it_takes(program, tmp_path):
    (tmp_path / "script.py").write_text(
        "import wsocket\nwsocket.run(port=0, log_level='loud')\n"
    )
    started = program(command=("script.py",))
    assert started.wait() == 1
    assert "ValueError: log_level takes one of debug" in started.said


def test_run_takes_nothing_twice():
    with pytest.raises(TypeError, match="port"):
        wsocket.run("", 8000, port=8000)
    with pytest.raises(TypeError, match="an application, a host and a port"):
        wsocket.run("", 8000, None, 1)


# -------------------------------------------------------------- mistakes ---


@pytest.mark.parametrize(
    "args, text",
    [
        (["nowhere:app"], "no module named nowhere (looked in"),
        (["site_app.inner:app"], "no module named site_app.inner"),
        (["site_app:ap"], "module site_app has no ap; near: app"),
        (["site_app:number"], "int objects cannot be called"),
        (["site_app:create_app"], "factory? Serve what it returns, as in "
         "'site_app:create_app()'"),
        (["site_app:asgi"], "asgi in module site_app is an async function, as "
         "of ASGI"),
        (["site_app:create_app(open)"], "a call of one with plain values"),
        (["site_app:1 +"], "neither a name nor a call"),
        (["site_app.py"], "is a file; name the module: site_app"),
        (["./site_app.py:app"], "name the module: site_app"),
        (["site_app:app", "--threads", "none"], "threads"),
        (["site_app:app", "--port", "70000"], "port"),
        (["site_app:app", "--thread", "1"], "--thread; did you mean --threads?"),
        (["site_app:app", "--prot=1"], "--prot; did you mean --port?"),
        (["site_app:app", "extra"], "unrecognized arguments: extra"),
        ([":app"], "names no module"),
        (["--keyfile", "x", "site_app:app"], "keyfile takes a certfile"),
        (["--ssl-keyfile=x", "site_app:app"], "keyfile takes a certfile"),
        (["--ssl-version", "5", "site_app:app"], "--ssl-version: use --tls-min"),
        (["--ssl-foo", "5", "site_app:app"], "--ssl-foo: use --certfile and"),
        (["--verify-mode=x", "site_app:app"], "--verify-mode: use --cert-reqs"),
        (["--keyfile-password=x", "--certfile=x"], "password itself may only"),
        (["--ssl-keyfile-password=x"], "takes file:PATH or env:NAME"),
        (["-w1", "--bind=:9", "--insecure-bind=:9", "--certfile=x"], ":9 is without"),
        (["--app-dir", "/none/such", "site_app:app"], "no folder /none/such"),
        (["-p8000", "site_app:app"], "-p: use --port"),
        (["-w", "none", "site_app:app"], "workers takes auto or a number"),
        (["--workers", "0", "site_app:app"], "workers takes auto or a number"),
        (["-t", "none", "site_app:app"], "threads takes"),
        (["--processes=4", "site_app:app"], "--processes: use --workers"),
        (["--preload", "site_app:app"], "--preload: not yet"),
        (["--reload", "yes", "site_app:app"], "reload takes on or off"),
        (["--reload", "--workers", "2"], "reload is for one worker"),
        (["--max-requests", "9", "site_app:app"], "max_requests takes workers"),
        (["-w2", "--worker-timeout", "1"], "0 or at least 3 seconds"),
        (["-z", "127.0.0.1", "site_app:app"], "error: unknown option -z\n"),
        (["--xyzzy=1", "site_app:app"], "error: unknown option --xyzzy\n"),
        (["--socket-clas", "x"], "error: unknown option --socket-clas\n"),
    ],
)
def test_mistakes_are_told_in_a_line(program, args, text):
    started = program(*args)
    assert started.wait() == 2
    assert text in started.said
    assert "Traceback" not in started.said
    assert started.said.replace("atexit ran\n", "").count("\n") == 1


@pytest.mark.parametrize(
    "args, text",
    [
        (["restart"], "restart is no command; near: reload"),
        (["start", "--workers", "2"], "start is no command; wsocket module:app"),
        (["quit"], "quit is no command; near: stop"),
        (["restart", "now"], "restart is no command; near: reload"),
        (["--control", "x", "restart"], "restart is no command; near: reload"),
        (["relaod", "--pid-file", "x"], "relaod is no command; near: reload"),
        (["--pid-file", "x", "reload"], "reload comes first: wsocket reload"),
        (["workers"], "workers takes +1 or -1"),
        (["workers", "4", "--pid-file", "x"], "workers takes +1 or -1"),
        (["workers", "+2"], "workers takes +1 or -1"),
        (["stop", "now"], "stop takes no word behind it"),
        (["reload"], "give --control PATH or --pid-file FILE"),
        (["reload", "--controll", "x"], "unrecognized arguments"),
        (["connect"], "required: url"),
    ],
)
def test_mistakes_with_a_command_are_told_in_a_line(program, args, text):
    started = program(*args)
    assert started.wait() == 2
    assert text in started.said
    assert started.said.count("\n") == 1


@pytest.mark.parametrize("name", ["restart", "quit", "star"])
def test_an_application_may_be_called_like_a_command(program, site, name):
    (site / (name + ".py")).write_text(APP)
    started = program(name, "--port", "0").wait_started()
    assert ask(started, "/")[0] == 200


def test_a_port_in_use_is_told_in_a_line(program, serve):
    port = serve().port
    started = program("site_app:app", "--port", str(port))
    assert started.wait() == 1
    assert re.search("127.0.0.1:%d: .*in use" % port, started.said)
    assert "Traceback" not in started.said


def test_an_error_inside_the_module_shows_its_traceback(program, tmp_path):
    (tmp_path / "broken.py").write_text("import missing_module\n")
    started = program("broken:app")
    assert started.wait() == 1
    assert "Traceback" in started.said and "missing_module" in started.said
    assert started.said.count("File ") == 1  # the application's own


def test_an_os_error_inside_the_module_shows_its_traceback(program, tmp_path):
    (tmp_path / "broken.py").write_text("open('missing.cfg')\n")
    started = program("broken:app")
    assert started.wait() == 1
    assert "Traceback" in started.said and "missing.cfg" in started.said
    assert 'broken.py", line 1' in started.said


def test_an_error_in_a_handler_is_shown_with_its_traceback(program):
    started = program("site_app:app", "--port", "0").wait_started()
    assert ask(started, "/boom")[0] == 500
    started.signal(signal.SIGTERM)
    assert started.wait() == 0
    assert "error: error in the application: GET /boom" in started.said
    assert "ValueError: broken" in started.said


# -------------------------------------------------------------- stopping ---


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_what_has_begun(program, number):
    started = program("site_app:app", "--port", "0").wait_started()
    with started.raw() as client:
        client.send(b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n")
        with Raw(started.port) as other:  # by now the first is being served
            other.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
            other.response()
        started.signal(number)
        assert client.response()[2] == b"/slow"
    assert started.wait() == 0


def test_sockets_are_told_with_1001(program):
    started = program("--port", "0").wait_started()
    with connect("ws://127.0.0.1:%d/" % started.port) as client:
        client.send("hello")
        assert client.recv() == "hello"
        started.signal(signal.SIGTERM)
        with pytest.raises(Exception) as caught:
            client.recv()
        assert caught.value.rcvd.code == 1001
    assert started.wait() == 0


@pytest.mark.parametrize("target", ["/stuck", "/wait"])
def test_stuck_handlers_are_shown_and_left(program, target):
    started = program(
        "site_app:app", "--port", "0", "--graceful-timeout", "0.2"
    ).wait_started()
    with started.raw() as client:
        client.send(b"GET %s HTTP/1.1\r\nHost: t\r\n\r\n" % target.encode())
        ask(started)
        started.signal(signal.SIGTERM)
        assert started.wait() == 1
    assert "this is where they are" in started.said
    assert started.said.endswith("atexit ran\n")
    assert 'site_app.py", line' in started.said


def test_without_a_terminal_and_workers_a_reload_is_refused(program):
    started = program(
        "site_app:app", "--port", "0", start_new_session=True
    ).wait_started()
    started.signal(signal.SIGHUP)
    started.says("a reload takes workers")
    with started.raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.response()[0] == 200
    started.signal(signal.SIGTERM)
    assert started.wait() == 0


def test_functions_of_atexit_hold_up_the_end_for_a_while_only(
    program, tmp_path
):
    (tmp_path / "held.py").write_text(
        "import atexit, threading\n"
        "from site_app import app\n"
        "from wsocket import cli\n"
        "atexit.register(threading.Event().wait)\n"
        "cli.LAST_SECONDS = 0.2\n"
        "cli.main(['--port', '0', '--graceful-timeout', '0.2', 'site_app'])\n"
    )
    started = program(command=("held.py",)).wait_started()
    with started.raw() as client:
        client.send(b"GET /wait HTTP/1.1\r\nHost: t\r\n\r\n")
        ask(started)
        started.signal(signal.SIGTERM)
        assert started.wait() == 1


@pytest.mark.parametrize(
    "number, again",
    [(signal.SIGINT, "another Ctrl-C"), (signal.SIGTERM, "another signal")],
)
def test_a_stop_that_lasts_says_what_it_waits_for(program, number, again):
    started = program("site_app:app", "--port", "0").wait_started()
    with started.raw() as client:
        client.send(b"GET /wait HTTP/1.1\r\nHost: t\r\n\r\n")
        ask(started)
        started.signal(number)
        while "waiting for" not in started.said.replace("waiting\n", ""):
            assert started.process.poll() is None
        started.signal(signal.SIGINT)
        assert started.wait() == 1
    assert (
        "wsocket: waiting for 1 request, at most 30 s; %s ends it now\n" % again
    ) in started.said


def test_serve_forever_says_what_a_stop_waits_for(program, tmp_path):
    (tmp_path / "script.py").write_text(
        "from site_app import app\n"
        "from wsocket import Server\n"
        "server = Server(app, port=0, graceful_timeout=7).start()\n"
        "print(server.url, file=__import__('sys').stderr)\n"
        "Server.start = lambda self: self\n"
        "server.serve_forever()\n"
    )
    started = program(command=("script.py",)).wait_started()
    with started.raw() as client:
        client.send(b"GET /wait HTTP/1.1\r\nHost: t\r\n\r\n")
        ask(started)
        started.signal(signal.SIGINT)
        while "at most 7 s; another Ctrl-C" not in started.said:
            assert started.process.poll() is None
        started.signal(signal.SIGINT)
        assert started.wait() == 1


def test_a_stop_that_is_over_at_once_says_nothing(program):
    started = program("--port", "0").wait_started()
    with connect("ws://127.0.0.1:%d/" % started.port) as client:
        client.send("hello")
        assert client.recv() == "hello"
        started.signal(signal.SIGINT)
        with pytest.raises(Exception):
            client.recv()
    assert started.wait() == 0
    assert len(started.said.splitlines()) == 1


@pytest.mark.parametrize(
    "args, said",
    [
        (["--host", "0.0.0.0"], "on http://127.0.0.1:%d/ (every IPv4 address) ("),
        (["--host", ""], "http://127.0.0.1:%d/ (every IPv4 address)"),
        (["--host", "127.0.0.1"], "on http://127.0.0.1:%d/ (Ctrl-C"),
        (["--host", "localhost"], "127.0.0.1) (Ctrl-C"),
    ],
)
def test_every_address_that_is_bound_is_said(program, args, said):
    started = program(*args, "--port", "0").wait_started()
    assert (said % started.port if "%" in said else said) in started.said


def test_a_second_signal_is_immediate(program):
    started = program("site_app:app", "--port", "0").wait_started()
    with started.raw() as client:
        client.send(b"GET /wait HTTP/1.1\r\nHost: t\r\n\r\n")
        ask(started)
        started.signal(signal.SIGTERM)
        started.signal(signal.SIGINT)
        assert started.wait() == 1


def test_a_script_that_forgets_to_stop_ends_all_the_same(program, tmp_path):
    (tmp_path / "script.py").write_text(
        "import sys, threading, urllib.request\n"
        "from site_app import app\n"
        "from wsocket import Server\n"
        "server = Server(app, port=0, access_logfile='none').start()\n"
        "urllib.request.urlopen(server.url).read()\n"
        "def ask(path):\n"
        "    try: urllib.request.urlopen(server.url + path).read()\n"
        "    except OSError: pass\n"
        "threading.Thread(target=ask, args=(sys.argv[1],), daemon=True).start()\n"
        "ask('slow')\n"
        "print('the end')\n"
    )
    for target in ("/", "/stuck", "/wait"):
        started = program(target, command=("script.py",))
        assert started.wait() == 0, started.said
        assert started.printed == "the end\n"
        assert "Fatal" not in started.said


def test_a_script_may_print_much_before_it_serves(program, tmp_path):
    (tmp_path / "script.py").write_text(
        "from site_app import app\n"
        "from wsocket import run\n"
        "print('x' * 300000)\n"
        "run('', 0, app)\n"
    )
    started = program(command=("script.py",)).wait_started()
    assert ask(started)[2] == b"/"
    started.signal(signal.SIGTERM)
    assert started.wait() == 0
    assert started.printed.startswith("x" * 300000)


def test_the_loader_leaves_the_current_folder_on_the_path(
    monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert callable(cli.load("site_app:app"))
    assert str(tmp_path) in sys.path
    monkeypatch.delitem(sys.modules, "site_app")
