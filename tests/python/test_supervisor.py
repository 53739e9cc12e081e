"""wsocket --workers: real processes, and what an operator sees of them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from conftest import PATIENCE, Raw
from websockets.sync.client import connect

APP = """\
import os, sys, threading, time
VERSION = 1

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/slow":
        time.sleep(1)
    if path == "/exit":
        os._exit(0)
    ws = environ.get("wsgi.websocket")
    if ws is not None:
        for message in ws:
            ws.send(message)
        return []
    text = "%d %d %s %s %d" % (
        os.getpid(), VERSION, environ["wsocket.worker"],
        os.environ["WSOCKET_WORKER"], environ["wsgi.multiprocess"],
    )
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(text)))])
    return [text.encode()]
"""


def is_there(pid):
    """Whether a process runs; one that only waits for its parent does not."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Supervised:
    """A supervisor, started as a program, and its site."""

    workers_are_one = False

    def __init__(self, program, folder, eventually):
        self.edits = 0
        self.folder, self.eventually = folder, eventually
        self._program = program
        self.write(APP)

    def write(self, text, name="site_app.py"):
        path = self.folder / name
        path.write_text(text)
        # Bytecode of the same second and size would be taken for this.
        at = time.time() + self.edits
        self.edits += 2
        os.utime(path, (at, at))

    def start(self, *args, app="site_app:app", workers="2"):
        self.program = self._program(
            "--port", "0", "--access-logfile", "none",
            *(["--workers", workers] if workers else []), *args, app,
        )
        return self

    def up(self, *args, **more):
        self.start(*args, **more)
        self.program.wait_started()
        return self

    @property
    def said(self):
        return self.program.said

    @property
    def pid(self):
        return self.program.process.pid

    def workers(self):
        """PIDs of the worker processes that run."""
        path = "/proc/%d/task/%d/children" % (self.pid, self.pid)
        with open(path, encoding="ascii") as file:
            return [int(pid) for pid in file.read().split() if is_there(int(pid))]

    def get(self, path="/"):
        """(pid, version, slot) of whoever answers."""
        with Raw(self.program.port) as client:
            client.send(
                b"GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
                % path.encode()
            )
            status, _, body = client.response()
        assert status == 200, body
        pid, version, slot, variable, several = body.decode().split()
        assert slot == variable
        assert several == str(int(not self.workers_are_one))
        return int(pid), int(version), int(slot)

    def wait_said(self, text, times=1):
        self.eventually(lambda: self.said.count(text) >= times)

    def wait_workers(self, n):
        self.eventually(lambda: len(self.workers()) == n)
        return self.workers()

    def signal(self, name):
        self.program.signal(getattr(signal, name))


@pytest.fixture
def site(program, tmp_path, eventually):
    return Supervised(program, tmp_path, eventually)


@pytest.fixture(params=["fork", "exec"])
def either(request, site, monkeypatch):
    """Workers that are forked, and workers that are programs."""
    monkeypatch.setenv("WSK_TEST_WORKERS", request.param)
    return site


# ------------------------------------------------------------------- start


def test_workers_serve_and_the_first_line_says_how_to_reload(either):
    either.up()
    pids = either.wait_workers(2)
    assert either.get()[0] in pids
    assert "serves site_app:app on http://127.0.0.1:%d/ with 2 workers, PID %d" % (
        either.program.port, either.pid,
    ) in either.said
    assert "kill -HUP %d reloads" % either.pid in either.said
    either.signal("SIGTERM")
    assert either.program.wait() == 0
    assert not any(is_there(pid) for pid in pids)


def test_one_worker_is_supervised_too(site):
    site.workers_are_one = True
    site.up(workers="1")
    assert site.get()[0] != site.pid


def test_workers_serve_a_unix_socket_that_goes_with_the_supervisor(site):
    path = site.folder / "s.sock"
    site.program = site._program(
        "--bind", "unix:%s:600" % path, "--workers", "2", "site_app:app"
    )
    site.wait_said("with 2 workers")
    assert path.stat().st_mode & 0o777 == 0o600
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(path))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"
    site.signal("SIGTERM")
    assert site.program.wait() == 0
    assert not path.exists()


def test_an_application_that_cannot_be_imported_ends_the_start_with_status_3(site):
    site.write("import missing_module\n")
    site.start()
    assert site.program.wait() == 3
    assert site.said.count("No module named 'missing_module'") == 1
    assert site.said.count("Traceback") == 1


def test_a_wrong_name_ends_the_start_with_a_line_and_no_traceback(site):
    site.start(app="site_app:ap")
    assert site.program.wait() == 3
    assert "module site_app has no ap; near: app" in site.said
    assert "Traceback" not in site.said


@pytest.mark.parametrize(
    "text, how",
    [
        ("import sys; sys.exit(7)", "SystemExit: 7"),
        ("import os; os._exit(0)", "ended with status 0"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
    ],
)
def test_a_worker_that_dies_at_once_ends_the_first_start(site, text, how):
    site.write(text)
    site.start()
    assert site.program.wait() == 3
    assert how in site.said


def test_a_worker_that_hangs_at_import_ends_the_first_start(site):
    site.write("import time\nwhile True:\n    time.sleep(1)\n")
    site.start("--boot-timeout", "0.5")
    assert site.program.wait() == 3
    assert "was not ready after boot_timeout, 0.5 s" in site.said


def test_a_port_in_use_is_told_before_any_worker_starts(site, serve):
    port = serve().port
    started = site._program("--workers", "2", "--port", str(port), "site_app:app")
    assert started.wait() == 1
    assert "in use" in started.said and "Traceback" not in started.said


def test_run_serves_several_processes_of_a_named_application(
    site, tmp_path, program
):
    (tmp_path / "start.py").write_text(
        "from wsocket import run\n"
        "run('site_app:app', port=0, workers=2, access_logfile='none')\n"
    )
    site.program = program(command=("start.py",)).wait_started()
    assert site.get()[0] != site.pid


def test_a_thread_in_the_supervisor_makes_workers_programs(site, tmp_path, program):
    (tmp_path / "start.py").write_text(
        "import threading, time\n"
        "from wsocket import run\n"
        "threading.Thread(target=time.sleep, args=(99,), daemon=True).start()\n"
        "run('site_app:app', port=0, workers=2, access_logfile='none')\n"
    )
    site.program = program(command=("start.py",)).wait_started()
    assert site.get()[0] in site.workers()
    assert site.said.count("a thread runs in the supervisor") == 1


# ------------------------------------------------------------------ crashes


def test_a_killed_worker_is_replaced_and_the_others_serve(either):
    either.up()
    victim, other = either.wait_workers(2)
    os.kill(victim, signal.SIGKILL)
    either.wait_said("(crash)")
    assert victim not in either.wait_workers(2)
    assert other in either.workers()
    assert "ended by SIGKILL" in either.said
    either.get()


def test_an_application_that_exits_with_status_0_is_a_crash(site):
    site.up()
    site.wait_workers(2)
    with Raw(site.program.port) as client:
        client.send(b"GET /exit HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.rest() == b""
    site.wait_said("ended with status 0")
    site.wait_said("(crash)")
    site.get()


def test_a_worker_that_is_told_to_end_by_hand_drains_and_is_replaced(site):
    site.up()
    victim = site.wait_workers(2)[0]
    os.kill(victim, signal.SIGTERM)
    site.wait_said("(crash)")
    assert victim not in site.wait_workers(2)


def test_signals_of_a_terminal_are_nothing_to_a_worker(site):
    site.up()
    pids = site.wait_workers(2)
    for name in "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU":
        for pid in pids:
            os.kill(pid, getattr(signal, name))
    site.get()
    assert site.workers() == pids


@pytest.mark.slow
def test_a_stopped_worker_is_replaced_and_killed(site):
    site.up("--worker-timeout", "3")
    victim, _ = site.wait_workers(2)
    os.kill(victim, signal.SIGSTOP)
    site.wait_said("hangs: no sign of life")
    site.wait_said("(hung)")
    site.eventually(lambda: not is_there(victim))
    site.wait_workers(2)
    site.get()


@pytest.mark.slow
def test_a_stopped_supervisor_kills_nobody_when_it_goes_on(site):
    site.up("--worker-timeout", "3")
    pids = site.wait_workers(2)
    site.signal("SIGSTOP")
    time.sleep(5)
    site.get()  # the workers serve without it
    site.signal("SIGCONT")
    time.sleep(4)
    assert site.workers() == pids and "hangs" not in site.said


def can_be_process_1():
    try:
        return subprocess.run(
            ["unshare", "--pid", "--fork", "true"], timeout=PATIENCE
        ).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not can_be_process_1(), reason="takes a PID namespace")
def test_process_1_waits_for_orphans_and_heeds_signals(site):
    """Of a container: each request leaves an orphan behind."""
    site.write(APP.replace(
        'path = environ["PATH_INFO"]\n',
        'path = environ["PATH_INFO"]\n'
        '    if path == "/orphan":\n'
        '        import subprocess\n'
        '        subprocess.Popen(["sh", "-c", "true & exec true"]).wait()\n',
        1,
    ))
    site.program = site._program(
        "--pid", "--fork", "--kill-child", sys.executable, "-m", "wsocket",
        "--workers", "2", "--port", "0", "--access-logfile", "none",
        "site_app:app", command=(), executable="unshare",
    ).wait_started()
    assert "PID 1 " in site.said
    (supervisor,) = site.workers()  # of unshare
    for _ in range(20):
        site.get("/orphan")

    def children():
        path = "/proc/%d/task/%d/children" % (supervisor, supervisor)
        with open(path, encoding="ascii") as file:
            return file.read().split()

    site.eventually(lambda: len(children()) == 2)
    os.kill(supervisor, signal.SIGHUP)
    site.wait_said("reload: done")
    os.kill(supervisor, signal.SIGTERM)
    assert site.program.wait() == 0


@pytest.mark.slow
def test_a_worker_without_descriptors_does_not_hang(site, tmp_path):
    site.workers_are_one = True
    site.program = site._program(
        "-c", "ulimit -n 64 && exec %s -m wsocket --port 0 --workers 1 "
        "--worker-timeout 3 --access-logfile none site_app:app" % sys.executable,
        command=(), executable="/bin/sh",
    ).wait_started()
    pids = site.wait_workers(1)
    crowd = [socket.socket() for _ in range(120)]
    for client in crowd:
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", site.program.port))
    time.sleep(8)
    assert "hangs" not in site.said and site.workers() == pids
    for client in crowd:
        client.close()
    site.get()


def test_workers_of_a_killed_supervisor_drain_and_free_the_port(either):
    either.up()
    pids = either.wait_workers(2)
    with Raw(either.program.port) as client:
        client.send(b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(0.2)
        either.program.process.kill()
        assert client.response()[0] == 200
    either.eventually(lambda: not any(is_there(pid) for pid in pids))
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", either.program.port))
        again.listen()


# ------------------------------------------------------------------- reload


def test_hup_replaces_all_workers_by_new_code(either):
    either.up()
    pids = either.wait_workers(2)
    either.write(APP.replace("VERSION = 1", "VERSION = 2"))
    either.signal("SIGHUP")
    either.wait_said("reload: done")
    assert not set(either.wait_workers(2)) & set(pids)
    assert either.get()[1] == 2
    assert "reload (SIGHUP): from generation 1 to 2" in either.said
    assert re.search(r"reload: done in .* s: 2 workers, generation 2", either.said)


def test_code_that_does_not_compile_changes_nothing_and_is_shown(site):
    site.up()
    pids = site.wait_workers(2)
    site.write("def app(:\n")
    site.signal("SIGHUP")
    site.wait_said("reload: FAILED; generation 1 serves on")
    assert site.wait_workers(2) == pids
    assert "SyntaxError" in site.said
    assert site.get()[1] == 1
    site.write(APP.replace("VERSION = 1", "VERSION = 3"))
    site.signal("SIGHUP")
    site.wait_said("reload: done")
    assert site.get()[1] == 3


def test_a_reload_finishes_what_the_old_workers_have_begun(site):
    site.up()
    site.wait_workers(2)
    with Raw(site.program.port) as client:
        client.send(b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(0.2)
        site.signal("SIGHUP")
        assert client.response()[0] == 200
    site.wait_said("reload: done")


def test_term_ends_a_reload_whose_first_worker_hangs_at_import(site):
    site.up()
    pids = site.wait_workers(2)
    site.write("import time\ntime.sleep(999)\n")
    site.signal("SIGHUP")
    site.wait_workers(3)
    site.get()
    site.signal("SIGTERM")
    assert site.program.wait() == 0
    assert not any(is_there(pid) for pid in pids)


def test_a_reload_reads_the_file_of_options_anew(site):
    path = site.folder / "site.toml"
    text = '[wsocket]\napp = "site_app:app"\nworkers = 2\nport = 0\n'
    text += 'access_logfile = "none"\n'
    path.write_text(text)
    site.program = site._program("--config", str(path)).wait_started()
    with Raw(site.program.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert "server" in client.response()[1]
    path.write_text(text + "server_header = false\n")
    site.signal("SIGHUP")
    site.wait_said("reload: done")
    with Raw(site.program.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert "server" not in client.response()[1]
    path.write_text(text + "threads = 'many'\n")
    site.signal("SIGHUP")
    site.wait_said("FAILED")
    assert "threads" in site.said
    site.get()


def test_a_reload_adds_and_removes_addresses(site):
    path, old, new = (site.folder / n for n in ("site.toml", "old", "new"))
    text = '[wsocket]\napp = "site_app:app"\nworkers = 2\nbind = [%s]\n'
    path.write_text(text % ('"127.0.0.1:0", "unix:%s"' % old))
    site.program = site._program("--config", str(path)).wait_started()
    path.write_text(text % ('"127.0.0.1:0", "unix:%s"' % new))
    site.signal("SIGHUP")
    site.wait_said("reload: done")
    site.get()
    assert new.exists() and not old.exists()


@pytest.mark.slow
def test_ten_reloads_lose_nobody_who_connects(site):
    site.up()
    lost, answered = [], []
    over = threading.Event()

    def ask():
        while not over.is_set():
            try:
                answered.append(site.get()[1])
            except Exception as exc:
                lost.append(exc)

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    for n in range(10):
        site.write(APP.replace("VERSION = 1", "VERSION = %d" % (n + 2)))
        site.signal("SIGHUP")
        site.wait_said("reload: done", n + 1)
    over.set()
    for client in clients:
        client.join(PATIENCE)
    assert lost == []
    assert set(answered) >= {1, 11}


# ---------------------------------------------------------- stop, more, fewer


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_stop_finishes_what_has_begun(site, name):
    site.up()
    site.wait_workers(2)
    with Raw(site.program.port) as client:
        client.send(b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(0.2)
        site.signal(name)
        assert client.response()[0] == 200
    assert site.program.wait() == 0


def test_quit_ends_at_once_and_still_closes_websockets(site):
    site.up()
    pids = site.wait_workers(2)
    with connect("ws://127.0.0.1:%d/" % site.program.port) as ws:
        ws.send("x")
        assert ws.recv() == "x"
        site.signal("SIGQUIT")
        with pytest.raises(Exception) as caught:
            ws.recv(PATIENCE)
        assert caught.value.rcvd is not None
    assert site.program.wait() == 0
    assert not any(is_there(pid) for pid in pids)


def test_a_second_signal_ends_a_stop_at_once(site):
    site.up("--graceful-timeout", "60")
    site.wait_workers(2)
    with connect("ws://127.0.0.1:%d/" % site.program.port) as ws:
        ws.send("x")
        ws.recv()
        with Raw(site.program.port) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n")
            time.sleep(0.2)
            site.signal("SIGTERM")
            time.sleep(0.2)
            site.signal("SIGTERM")
            site.program.wait()


def test_ttin_and_ttou_change_the_number_of_workers(site):
    site.up()
    site.wait_workers(2)
    site.signal("SIGTTIN")
    site.wait_workers(3)
    site.wait_said("(more)")
    site.signal("SIGTTOU")
    site.wait_workers(2)
    site.get()


def test_usr1_reopens_the_logs_of_supervisor_and_workers(site):
    logs = [site.folder / "access.log", site.folder / "error.log"]
    site.start("--access-logfile", str(logs[0]), "--error-logfile", str(logs[1]))
    site.program.wait_started()
    site.wait_workers(2)
    site.get()
    for log in logs:
        log.rename(str(log) + ".1")
    site.signal("SIGUSR1")
    site.eventually(lambda: all(log.exists() for log in logs))
    site.eventually(lambda: site.get() and "GET /" in logs[0].read_text())
    site.signal("SIGHUP")
    site.eventually(lambda: "reload: done" in logs[1].read_text())


# ---------------------------------------------------------------- recycling


def test_a_worker_is_replaced_after_max_requests(site):
    site.workers_are_one = True
    site.up("--max-requests", "5", "--max-jitter", "0", workers="1")
    first = site.get()[0]
    for _ in range(4):
        site.get()
    site.wait_said("is replaced: max_requests")
    site.eventually(lambda: site.get()[0] != first)


@pytest.mark.parametrize("name, value", [("age", "0.5"), ("memory", "1m")])
def test_a_worker_is_replaced_after_max_age_or_max_memory(site, name, value):
    site.workers_are_one = True
    site.up("--max-" + name, value, "--worker-timeout", "3", workers="1")
    first = site.get()[0]
    site.wait_said("is replaced: max_" + name)
    site.eventually(lambda: site.get()[0] != first)


# ------------------------------------------------------------ hooks and ids


def test_hooks_are_called_in_the_worker(site):
    site.write(
        "import os\n"
        "def note(what, worker):\n"
        "    with open('hooks.log', 'a') as file:\n"
        "        print(what, worker.id, worker.generation,\n"
        "              worker.pid == os.getpid(), worker.reason, file=file)\n"
        "def post_fork(worker): note('post_fork', worker)\n"
        "def ready(worker): note('ready', worker)\n"
        "def draining(worker): note('draining', worker)\n"
        "def exit(worker): note('exit', worker); 1 / 0\n",
        "site_hooks.py",
    )
    site.workers_are_one = True
    site.up("--hooks", "site_hooks", workers="1")
    site.signal("SIGTERM")
    assert site.program.wait() == 0
    lines = (site.folder / "hooks.log").read_text().split("\n")
    assert sorted(lines[:-1]) == sorted(
        "%s 1 1 True start" % what
        for what in ("post_fork", "ready", "draining", "exit")
    )
    assert "the hook exit has failed" in site.said


def test_a_hook_ready_that_fails_is_a_failed_start(site):
    site.write("def ready(worker): raise LookupError('no database')\n",
               "site_hooks.py")
    site.start("--hooks", "site_hooks")
    assert site.program.wait() == 3
    assert "no database" in site.said


def test_the_supervisor_calls_child_exit_of_master_hooks(site):
    site.write(
        "def child_exit(worker, status):\n"
        "    with open('exits.log', 'a') as file:\n"
        "        print(worker.id, worker.reason, status, file=file)\n"
        "    raise LookupError('sorry')\n",
        "light.py",
    )
    site.up("--master-hooks", "light")
    os.kill(site.wait_workers(2)[0], signal.SIGKILL)
    site.wait_said("(crash)")
    assert "1 start 9\n" in (site.folder / "exits.log").read_text() or (
        "2 start 9\n" in (site.folder / "exits.log").read_text()
    )
    assert "the hook child_exit has failed: LookupError('sorry')" in site.said
    site.get()


def test_a_kill_for_want_of_memory_is_known_by_the_counter(tmp_path):
    from wsocket.report import OutOfMemory

    path = tmp_path / "memory.events"
    path.write_text("low 0\noom 3\noom_kill 1\n")
    watch = OutOfMemory(str(path))
    assert not watch.has_struck()
    path.write_text("low 0\noom 4\noom_kill 2\n")
    assert watch.has_struck() and not watch.has_struck()
    assert not OutOfMemory(str(tmp_path / "none")).has_struck()


def test_an_error_log_that_cannot_be_written_is_told_at_the_start(site):
    site.start("--error-logfile", "/no/such/folder/log")
    assert site.program.wait() == 2
    assert "/no/such/folder/log" in site.said
    assert "Traceback" not in site.said


def test_a_reload_whose_log_cannot_be_written_fails(site):
    path = site.folder / "site.toml"
    text = '[wsocket]\napp = "site_app:app"\nworkers = 2\nport = 0\n'
    path.write_text(text)
    site.program = site._program("--config", str(path)).wait_started()
    path.write_text(text + 'error_logfile = "/no/such/folder/log"\n')
    site.signal("SIGHUP")
    site.wait_said("FAILED")
    assert "/no/such/folder/log" in site.said
    site.get()


def test_exactly_one_worker_is_the_first_and_another_follows_it(either):
    either.write(APP.replace(
        "import os, sys", "from wsocket import worker\nimport os, sys"
    ).replace("os.getpid(), VERSION", "os.getpid(), worker.first()"))
    either.up(workers="3")
    seen = {}
    either.eventually(
        lambda: seen.update([either.get()[:2]]) or 1 in seen.values()
    )
    for _ in range(30):
        seen.update([either.get()[:2]])
    assert list(seen.values()).count(1) == 1
    (first,) = [pid for pid, is_first in seen.items() if is_first]
    os.kill(first, signal.SIGKILL)
    seen.clear()

    def another():
        try:
            seen.update([either.get()[:2]])
        except (OSError, ValueError):
            return False
        return 1 in seen.values()

    either.eventually(another)


def test_without_a_supervisor_a_process_is_the_first():
    from wsocket import worker

    assert worker.first() and worker.current() is None


# ------------------------------------------------------------------ PID file


def test_the_pid_file_names_the_supervisor_and_goes_with_it(site):
    path = site.folder / "pid"
    site.up("--pid-file", str(path))
    assert int(path.read_text()) == site.pid
    other = site._program(
        "--workers", "2", "--port", "0", "--pid", str(path), "site_app:app"
    )
    assert other.wait() == 2
    assert "runs already" in other.said
    site.signal("SIGTERM")
    assert site.program.wait() == 0
    assert not path.exists()


def test_a_pid_file_of_a_dead_supervisor_is_replaced(site):
    path = site.folder / "pid"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    path.write_text("%d\n" % dead.pid)
    site.up("--pid-file", str(path))
    assert int(path.read_text()) == site.pid


# ------------------------------------------------------------------- control


def command(*args):
    return subprocess.run(
        [sys.executable, "-m", "wsocket", *args],
        capture_output=True, text=True, timeout=3 * PATIENCE,
    )


def test_commands_reach_the_supervisor_by_its_control_socket(site, tmp_path):
    path = str(tmp_path / "control")
    os.chmod(tmp_path, 0o700)
    site.up("--control", path)
    assert os.stat(path).st_mode & 0o777 == 0o600
    report = json.loads(command("status", "--control", path).stdout)
    assert report["pid"] == site.pid and report["serving"] == 2
    assert sorted(p["pid"] for p in report["processes"]) == sorted(site.workers())
    done = command("reload", "--control", path)
    assert done.returncode == 0 and "generation 2" in done.stdout
    site.write("1 / 0\n")
    done = command("reload", "--control", path)
    assert done.returncode == 1
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert command("workers", "+1", "--control", path).returncode == 0
    site.write(APP)
    assert command("stop", "--control", path).returncode == 0
    assert site.program.wait() == 0
    assert not os.path.exists(path)
    assert command("status", "--control", path).returncode == 1


def test_commands_reach_the_supervisor_by_its_pid_file(site, tmp_path):
    path = str(tmp_path / "pid")
    site.up("--pid-file", path)
    assert command("reload", "--pid-file", path).returncode == 0
    site.wait_said("reload: done")
    assert str(site.pid) in command("status", "--pid-file", path).stdout
    assert command("stop", "--pid-file", path).returncode == 0
    assert site.program.wait() == 0
    assert command("stop", "--pid-file", path).returncode == 1


def test_a_control_socket_where_others_may_write_is_refused(site, tmp_path):
    os.chmod(tmp_path, 0o777)
    site.start("--control", str(tmp_path / "control"))
    assert site.program.wait() == 2
    assert "others may write to" in site.said


def test_nonsense_at_the_control_socket_does_no_harm(site, tmp_path):
    path = str(tmp_path / "control")
    os.chmod(tmp_path, 0o700)
    site.up("--control", path)
    for text in b"", b"\xff\n", b"x" * 1000, b"reload now\n":
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(path)
            client.sendall(text)
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1000).startswith(b"failed")
    silent = [socket.socket(socket.AF_UNIX) for _ in range(6)]
    for client in silent:
        client.connect(path)
    assert command("status", "--control", path).returncode == 0
    for client in silent:
        client.close()
    site.get()


# ------------------------------------------------------------------- upgrade


def test_an_upgrade_keeps_pid_and_port_and_replaces_the_workers(either, tmp_path):
    path, unix = str(tmp_path / "control"), tmp_path / "s.sock"
    os.chmod(tmp_path, 0o700)
    either.program = either._program(
        "--bind", "127.0.0.1:0", "--bind", "unix:%s" % unix, "--workers", "2",
        "--control", path, "--access-logfile", "none", "site_app:app",
    ).wait_started()
    pids = either.wait_workers(2)
    with Raw(either.program.port) as client:
        client.send(b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(0.2)
        either.write(APP.replace("VERSION = 1", "VERSION = 2"))
        assert command("upgrade", "--control", path).returncode == 0
        assert client.response()[0] == 200
    either.wait_said("reload: done")
    assert either.get()[1] == 2
    assert not set(either.wait_workers(2)) & set(pids)
    report = json.loads(command("status", "--control", path).stdout)
    assert report["pid"] == either.pid and report["generation"] == 2
    either.signal("SIGUSR2")  # and once more
    either.wait_said("reload: done", 2)
    either.signal("SIGTERM")
    assert either.program.wait() == 0
    assert not unix.exists() and not os.path.exists(path)


@pytest.mark.slow
def test_an_upgrade_finds_the_release_that_a_link_points_to_now(site, tmp_path):
    for n in "1", "2":
        (tmp_path / n).mkdir()
        (tmp_path / n / "site_app.py").write_text(
            APP.replace("VERSION = 1", "VERSION = " + n)
        )
    current = tmp_path / "current"
    current.symlink_to(tmp_path / "1")
    site.program = site._program(
        "-c", "cd %s && exec %s -m wsocket --port 0 --workers 2 --access-logfile "
        "none site_app:app" % (current, sys.executable),
        command=(), cwd=tmp_path, executable="/bin/sh",
    ).wait_started()
    assert site.get()[1] == 1
    current.unlink()
    current.symlink_to(tmp_path / "2")
    site.signal("SIGUSR2")
    site.wait_said("reload: done")
    assert site.get()[1] == 2


def test_an_upgrade_whose_trial_fails_changes_nothing(site, tmp_path):
    path = str(tmp_path / "control")
    os.chmod(tmp_path, 0o700)
    site.up("--control", path)
    pids = site.wait_workers(2)
    site.write("1 / 0\n")
    done = command("upgrade", "--control", path)
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr
    assert "upgrade: FAILED; nothing has changed" in site.said
    assert site.workers() == pids and site.get()[1] == 1


@pytest.mark.parametrize(
    "how",
    [
        "sys.modules['wsocket'] = None",  # it cannot be imported
        "import wsocket.master; wsocket.master.OutOfMemory = None",  # later
    ],
)
@pytest.mark.skipif(sys.version_info < (3, 10), reason="takes sys.orig_argv")
def test_workers_serve_on_if_the_new_version_breaks_after_its_trial(
    site, tmp_path, monkeypatch, how
):
    """Its package is good in the trial, and bad when it takes over."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'again.py' in ' '.join(sys.orig_argv):\n"
        "    %s\n" % how
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    site.up()
    pids = site.wait_workers(2)
    site.signal("SIGUSR2")
    site.wait_said("nobody replaces them")
    assert site.workers() == pids
    site.get()
    site.signal("SIGTERM")
    assert site.program.wait() == 1
    assert not any(is_there(pid) for pid in pids)


# ------------------------------------------------------------------- notify


def test_the_service_manager_is_told_what_is_true(site, tmp_path, monkeypatch):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        site.write(APP.replace(
            "VERSION = 1", "VERSION = 1\nassert 'NOTIFY_SOCKET' not in os.environ"
        ))
        site.up()
        heard = []

        def hear(text):
            while not any(text in message for message in heard):
                heard.append(manager.recv(4096).decode())

        hear("EXTEND_TIMEOUT_USEC=")
        hear("READY=1\nSTATUS=2 workers, generation 1")
        heard.clear()
        hear("WATCHDOG=1")
        site.signal("SIGHUP")
        hear("RELOADING=1\nMONOTONIC_USEC=")
        hear("READY=1\nSTATUS=2 workers, generation 2")
        site.write("1 / 0")
        site.signal("SIGHUP")
        hear("READY=1\nSTATUS=reload failed: ZeroDivisionError")
        site.signal("SIGTERM")
        hear("STOPPING=1")
        assert site.program.wait() == 0


def test_systemd_keeps_the_sockets_of_a_supervisor_that_is_killed(
    site, tmp_path, monkeypatch
):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        monkeypatch.setenv("FDSTORE", "8")
        site.up()
        kept = name = None
        while kept is None:
            text, fds, _, _ = socket.recv_fds(manager, 4096, 8)
            if b"FDSTORE=1" in text:
                kept, name = fds[0], text.partition(b"FDNAME=")[2].decode()
        pids = site.wait_workers(2)
        site.program.process.kill()
        site.eventually(lambda: not any(is_there(pid) for pid in pids))
        with Raw(site.program.port) as client:  # waits in the queue
            client.send(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            # As systemd does: LISTEN_PID is known only in the new process.
            again = site._program(
                "-c", "import os, sys; os.dup2(%d, 3); os.environ.update("
                "LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', "
                "LISTEN_FDNAMES=%r); os.execv(sys.executable, [sys.executable, "
                "'-m', 'wsocket', '--workers', '2', '--port', '0', "
                "'--access-logfile', 'none', 'site_app:app'])" % (kept, name),
                command=(), pass_fds=[kept],
            ).wait_started()
            assert client.response()[0] == 200
        assert again.port == site.program.port
        site.program = again
        site.get()
        site.signal("SIGTERM")
        assert again.wait() == 0
        heard = b""
        while b"FDSTOREREMOVE=1\nFDNAME=" + name.encode() not in heard:
            heard = manager.recv(4096)
        os.close(kept)


# -------------------------------------------------------------------- reload


def test_an_edit_replaces_the_worker_of_reload(site):
    site.workers_are_one = True
    site.up("--reload", workers=None)
    assert site.get()[1] == 1
    site.write(APP.replace("VERSION = 1", "VERSION = 2"))
    site.eventually(lambda: site.get()[1] == 2)
    assert "reload (site_app.py): " in site.said


def test_code_that_ends_its_process_is_tried_again_after_the_next_edit(site):
    site.workers_are_one = True
    site.up("--reload", workers=None)
    site.write("import os; os._exit(1)\n")
    site.wait_said("FAILED")
    assert site.get()[1] == 1  # the old code serves on
    site.write(APP.replace("VERSION = 1", "VERSION = 2"))
    site.eventually(lambda: site.get()[1] == 2)


def test_broken_code_is_a_page_with_its_traceback_and_recovers(site):
    site.workers_are_one = True
    site.write("def app(:\n")
    site.up("--reload", workers=None)
    with Raw(site.program.port) as client:
        client.send(b"GET /x HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        status, _, body = client.response()
    assert status == 500 and b"SyntaxError" in body
    assert "SyntaxError" in site.said
    site.write(APP)

    def recovered():
        try:
            return site.get()[1] == 1
        except AssertionError:
            return False

    site.eventually(recovered)
