"""The small parts of the supervisor, each by itself."""

import fcntl
import json
import os
import socket
import sys
import threading

import pytest
from patience import PATIENCE

from wsocket import _wsocket, config, interpreter, reasons, worker
from wsocket.addresses import Addresses, places
from wsocket.channel import Channel
from wsocket.children import Children
from wsocket.deployment import Deployment
from wsocket.lines import Lines
from wsocket.notify import Notifier
from wsocket.plan import Start
from wsocket.processes import split
from wsocket.watch import Watcher, broken

# ------------------------------------------------------------------- channel


def test_messages_keep_their_boundaries():
    ours, theirs = Channel.pair()
    assert ours.send({"n": 1})
    assert ours.send({"n": 2})
    assert theirs.receive() == {"n": 1}
    assert theirs.receive() == {"n": 2}
    theirs.set_blocking(False)
    with pytest.raises(BlockingIOError):
        theirs.receive()
    ours.close()
    assert theirs.receive() is None
    assert theirs.send({"n": 3}) is False
    theirs.close()


def test_a_long_text_is_cut_in_the_middle():
    ours, theirs = Channel.pair()
    assert ours.send({"text": "a" * 100000 + "\U0001f600" * 100000})
    text = theirs.receive()["text"]
    assert text.startswith("aaa") and text.endswith("\U0001f600")
    assert not ours.send({"list": ["x" * 1000] * 1000})  # too long, and told
    ours.close()
    theirs.close()


def test_orders_to_a_worker_that_reads_nothing_are_given_up():
    ours, theirs = Channel.pair()
    ours.set_blocking(False)
    while ours.send({"order": "probe"}):
        pass
    ours.close()
    theirs.close()


# -------------------------------------------------------------------- notify


def test_without_a_manager_nothing_is_sent():
    notifier = Notifier.from_environment({})
    notifier.tell("ready", "all is well")
    assert notifier.fileno() == -1


def test_the_variables_are_taken_out_of_the_environment(tmp_path):
    environ = {
        "NOTIFY_SOCKET": str(tmp_path / "n"), "WATCHDOG_USEC": "3000000",
        "WATCHDOG_PID": "1", "FDSTORE": "5", "OTHER": "x",
    }
    notifier = Notifier.from_environment(environ)
    assert environ == {"OTHER": "x"}
    assert notifier.watchdog == 0  # of another process
    notifier.tell("ready", "nobody listens there")
    notifier.close()


def test_an_abstract_address_and_lines_that_stay_lines():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(20)
        manager.bind("\0wsocket-test-%d" % os.getpid())
        notifier = Notifier.from_environment(
            {"NOTIFY_SOCKET": "@wsocket-test-%d" % os.getpid(),
             "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}
        )
        assert notifier.watchdog == 1.5
        notifier.tell("status", "two\nREADY=1")
        assert manager.recv(4096) == b"STATUS=two READY=1"
        notifier.extend(1.5)
        assert manager.recv(4096) == b"EXTEND_TIMEOUT_USEC=1500000"
        notifier.store({"wsocket-x": [0]})  # it is not offered
        notifier.tell("stopping", "bye")
        assert manager.recv(4096) == b"STOPPING=1\nSTATUS=bye"
        notifier.close()


def test_sockets_are_stored_once_and_taken_back(tmp_path):
    path = str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(20)
        manager.bind(path)
        notifier = Notifier.from_environment(
            {"NOTIFY_SOCKET": path, "FDSTORE": "5"}
        )
        with open(os.devnull, "rb") as null:
            for _ in range(2):
                notifier.store({"wsocket-a": [null.fileno()]})
        text, fds, _, _ = socket.recv_fds(manager, 4096, 4)
        assert text == b"FDSTORE=1\nFDNAME=wsocket-a" and len(fds) == 1
        os.close(fds[0])
        notifier.store({})
        assert manager.recv(4096) == b"FDSTOREREMOVE=1\nFDNAME=wsocket-a"
        notifier.close()


def test_stored_sockets_are_told_apart_from_those_of_a_socket_unit():
    environ = {
        "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "3",
        "LISTEN_FDNAMES": "wsocket-127.0.0.1|80:shop.socket:wsocket-unix|/s",
    }
    assert config.stored(environ) == {"127.0.0.1:80": [3], "unix:/s": [5]}
    assert config.inherited(environ) == ["fd:4"]
    assert config.stored(environ) == {}


@pytest.mark.parametrize("key", ["127.0.0.1:80", "unix:/run/a b.sock:660"])
def test_a_key_comes_back_from_its_name(key):
    environ = {
        "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1",
        "LISTEN_FDNAMES": config.name_of_stored(key),
    }
    assert config.stored(environ) == {key: [3]}


@pytest.mark.parametrize("key", ["unix:/a|b", "unix:/\u00e9", "unix:/" + "a" * 300])
def test_what_has_no_name_is_not_stored(key):
    assert config.name_of_stored(key) is None


# --------------------------------------------------------------------- lines


def test_a_log_that_takes_nothing_drops_entries_and_says_so(monkeypatch):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    lines = Lines({"error_logfile": "stderr", "log_level": "info"})
    monkeypatch.setattr(lines, "_fd", writer)
    for n in range(10000):
        lines.write("info", "entry %d" % n)
        lines.write("debug", "unseen")
    said = os.read(reader, 1 << 20)
    while len(said) < fcntl.fcntl(writer, 1032):  # F_GETPIPE_SZ
        try:
            os.set_blocking(reader, False)
            said += os.read(reader, 1 << 20)
        except BlockingIOError:
            break
    assert said.endswith(b"\n") and b"entry 0" in said
    assert b"unseen" not in said
    lines.write("error", "at last")
    said = os.read(reader, 1 << 20)
    assert b"error: at last" in said and b"were dropped)" in said
    os.close(reader)
    os.close(writer)


# --------------------------------------------------------------------- watch


@pytest.fixture(params=["watchfiles", "looks"])
def watched(request, tmp_path, monkeypatch):
    """A folder, and what is said of its changes."""
    if request.param == "watchfiles":
        pytest.importorskip("watchfiles")
    else:
        monkeypatch.setitem(sys.modules, "watchfiles", None)
    # The name of a folder above does not count.
    tmp_path = tmp_path / "node_modules"
    tmp_path.mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    told, come = [], threading.Event()

    def changed(text):
        told.append(text)
        come.set()

    watcher = Watcher([str(tmp_path)], ["*.py", "*.html"], changed)

    def wait():
        assert come.wait(20)
        come.clear()
        return told.pop(0)

    watcher.wait, watcher.folder = wait, tmp_path
    yield watcher
    watcher.stop()


def test_files_that_change_come_and_go_are_told_by_name(watched):
    watched.start()
    (watched.folder / "a.py").write_text("22")
    assert watched.wait() == "a.py"
    (watched.folder / "b.html").write_text("")
    assert watched.wait() == "b.html"
    (watched.folder / "a.py").unlink()
    assert watched.wait() == "a.py"


def test_a_change_between_the_making_and_the_start_is_told(watched):
    (watched.folder / "a.py").write_text("333")
    watched.start()
    assert watched.wait() == "a.py"


def test_files_of_others_are_not_looked_at(watched):
    (watched.folder / "node_modules" / "x.py").write_text("")
    (watched.folder / "env" / "x.py").write_text("")
    (watched.folder / "notes.txt").write_text("")
    watched.start()
    (watched.folder / "c.py").write_text("")
    assert watched.wait() == "c.py"


def test_without_a_watch_of_the_system_files_are_looked_at(
    tmp_path, monkeypatch, caplog
):
    """Where a folder is missing, or the limit of inotify is reached."""
    pytest.importorskip("watchfiles")
    monkeypatch.chdir(tmp_path)
    come = threading.Event()
    dirs = [str(tmp_path / "none"), str(tmp_path)]
    watcher = Watcher(dirs, ["*.py"], lambda text: come.set())
    watcher.start()
    (tmp_path / "a.py").write_text("1")
    assert come.wait(PATIENCE)
    watcher.stop()
    assert "watchfiles has failed" in caplog.text


def test_a_traceback_is_shown_as_text_of_a_page():
    begun = []
    (page,) = broken("<script>1 < 2")({}, lambda *args: begun.append(args))
    assert b"&lt;script&gt;1 &lt; 2" in page
    assert begun[0][0].startswith("500")


# ----------------------------------------------------------------- children


def test_a_board_has_room_for_more_workers_than_the_first():
    assert Children(2, None).most == 32 and Children(40, None).most == 40


@pytest.mark.parametrize("kind", ["of another layout", "too small", "good"])
def test_children_of_a_version_whose_board_does_not_do_are_kept(tmp_path, kind):
    if kind == "of another layout":
        path = tmp_path / "board"
        path.write_bytes(bytes(1 << 16))
        fd = os.open(path, os.O_RDWR)
    else:
        board = _wsocket.Board(3 if kind == "too small" else 40)
        fd = os.dup(board.fileno())
    known = {"id": 7, "pid": 4711, "place": 2, "channel": None}
    children = Children(33, {"board": fd, "children": [known]})
    assert children.pids() == {4711}
    assert children.most == (40 if kind == "good" else 33)
    place = children.state()["children"][0]["place"]
    assert place == (2 if kind == "good" else -1)


# ------------------------------------------------------------------- worker


class Reopened:
    times = 0

    def reopen_logs(self):
        self.times += 1


@pytest.mark.parametrize("is_early", [True, False])
def test_a_worker_that_boots_reopens_its_logs_as_well(is_early):
    task = worker.Task(None, {"error_logfile": "none"}, 1, 1, "start")
    one, server = worker.Worker(task, Channel.pair()[0]), Reopened()
    if is_early:
        one._reopen()  # the server may have opened them
    one._attend(server)
    if not is_early:
        one._reopen()
    assert server.times == 1


# ------------------------------------------------------------------ upgrade


@pytest.mark.parametrize(
    "words, found",
    [
        ("-m wsocket -X dev app", ""),
        ("/venv/bin/wsocket -X dev", ""),
        ("-X dev -Werror -OO -m wsocket", "-X dev -Werror -OO"),
        ("-Im wsocket", "-I"),
        ("-IXdev -W error again.py 7 -X", "-IXdev -W error"),
        ("-OX dev -x -ux wsocket.py", "-OX dev -u"),
        ("-Wdefault::xyz.Warning -c x", "-Wdefault::xyz.Warning"),
        ("--check-hash-based-pycs never -B -", "--check-hash-based-pycs never -B"),
        ("-X", "-X"),
        ("", ""),
    ],
)
def test_flags_of_the_interpreter_are_told_from_what_it_runs(words, found):
    assert interpreter.flags(["python", *words.split()]) == found.split()


def test_flags_are_found_without_the_original_arguments(monkeypatch):
    monkeypatch.delattr(sys, "orig_argv", raising=False)
    monkeypatch.setattr(sys, "_xoptions", {"dev": True, "site": "shop"})
    monkeypatch.setattr(sys, "warnoptions", ["default"])  # what -X dev makes
    words = interpreter.command()
    assert words[0] == sys.executable
    assert words[-4:] == ["-X", "dev", "-X", "site=shop"]


# ------------------------------------------------------------------ reasons

OWN = """worker 1 (PID 9) ended with status 3
Traceback (most recent call last):
  File "/srv/shop/site.py", line 3, in <module>
    import shop
  File "/srv/shop/shop.py", line 14, in <module>
    json.loads("x")
"""


@pytest.mark.parametrize(
    "text, brief",
    [
        ("error: module site has no ap", "error: module site has no ap"),
        (OWN + "ValueError: bad", "ValueError: bad (/srv/shop/shop.py, line 14)"),
        (
            OWN + '  File "%s", line 99, in loads\n    raise\nValueError: bad\n'
            % json.__file__,
            "ValueError: bad (/srv/shop/shop.py, line 14)",
        ),
        (
            'Traceback (most recent call last):\n  File "a.py", line 2\n'
            "    1 +\n       ^\nSyntaxError: invalid syntax",
            "SyntaxError: invalid syntax (a.py, line 2)",
        ),
        (
            OWN + "KeyError: 1\n\nDuring handling of the above exception, another "
            "exception occurred:\n\nTraceback (most recent call last):\n"
            '  File "b.py", line 7, in f\n    x\nRuntimeError: y',
            "RuntimeError: y (b.py, line 7)",
        ),
        (
            'Traceback (most recent call last):\n  File "%s", line 99, in loads\n'
            "    raise\nValueError: bad\n" % json.__file__,
            "ValueError: bad (%s, line 99)" % json.__file__,
        ),
        ("", ""),
    ],
)
def test_a_reason_in_a_line_names_the_place_in_the_application(text, brief):
    assert reasons.brief(text) == brief


def test_addresses_without_tls_are_told_apart():
    given = {"port": 0, "insecure_bind": ["127.0.0.1:0"], "certfile": "a.pem"}
    server, of_processes = split({**given, "workers": 1})
    made = Deployment(lambda: (None, server, of_processes), Addresses())
    urls = made.urls()
    assert [url.partition("://")[0] for url in urls] == ["https", "http"]
    assert len({url.partition("://")[2] for url in urls}) == 2
    task = made.task(Start(1, 1, 1, "boot"), False)
    (secure,), (insecure,) = task.options["bind"], task.options["insecure_bind"]
    assert secure != insecure
    made.addresses.keep([])


def test_an_address_may_lose_its_tls_at_a_reload():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    before = {"bind": ["127.0.0.1:%d" % port]}
    after = {"port": 0, "insecure_bind": before["bind"], "certfile": "a.pem"}
    readings = [split({**options, "workers": 1}) for options in (before, after)]
    made = Deployment(lambda: (None, *readings.pop(0)), Addresses())
    (fd,) = made.task(Start(1, 1, 1, "boot"), False).options["bind"]
    made.prepare()
    task = made.task(Start(1, 1, 1, "reload"), True)
    assert task.options["insecure_bind"] == [fd]
    assert task.options["bind"] != [fd]
    made.commit()
    made.addresses.keep([])


def test_an_address_is_either_with_or_without_tls():
    for item in ("127.0.0.1:8080", "127.0.0.1:2"):
        bind = {"bind": "127.0.0.1:1, 127.0.0.1:2"} if item[-1] == "2" else {}
        with pytest.raises(config.UsageError, match="%s is without" % item):
            places({**bind, "insecure_bind": item})
