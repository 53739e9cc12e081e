"""wsocket --workers: real processes, and what an operator sees of them."""

import fcntl
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from conftest import Raw
from patience import PATIENCE
from supervised import APP, command, either, is_there, site, state_of
from websockets.sync.client import connect

from wsocket import spawn, worker

pytestmark = pytest.mark.programs

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


def test_one_worker_is_supervised_too_and_may_have_another_beside_it(site):
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


@pytest.mark.workers
def test_an_application_that_cannot_be_imported_ends_the_start_with_status_3(site):
    site.write("import missing_module\n")
    site.start()
    assert site.program.wait() == 3
    assert site.said.count("No module named 'missing_module'") == 1
    assert site.said.count("Traceback") == 1
    assert frames(site.said) == ["site_app.py"]


def frames(text):
    """The files of a traceback, as far as they are not the interpreter's own."""
    return [os.path.basename(p) for p in re.findall('File "([^"]+)"', text)]


def test_a_wrong_name_ends_the_start_with_a_line_and_no_traceback(site):
    site.start(app="site_app:ap")
    assert site.program.wait() == 3
    assert "module site_app has no ap; near: app" in site.said
    assert "Traceback" not in site.said


@pytest.mark.workers
@pytest.mark.parametrize(
    "text, how",
    [
        ("import sys; sys.exit(7)", "SystemExit: 7"),
        ("import os; os._exit(0)", "ended with status 0"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    ],
)
def test_a_worker_that_dies_at_once_ends_the_first_start(site, text, how):
    site.write(text)
    site.start()
    assert site.program.wait() == 3
    assert how in site.said


@pytest.mark.workers
def test_a_worker_that_hangs_at_import_ends_the_first_start(site):
    site.write("import time\nwhile True:\n    time.sleep(1)\n")
    site.start("--boot-timeout", "0.5")
    assert site.program.wait() == 3
    assert "was not ready after boot_timeout, 0.5 s" in site.said
    assert re.search('site_app.py", line 3 in <module>', site.said)


def test_a_reload_that_hangs_at_import_says_where_in_the_error_log(site):
    path = site.folder / "error.log"
    site.up("--boot-timeout", "5", "--error-logfile", str(path))
    path.rename(site.folder / "error.log.1")
    site.signal("SIGUSR1")
    site.eventually(path.exists)
    site.write("import time\nwhile True:\n    time.sleep(1)\n")
    site.signal("SIGHUP")
    site.eventually(lambda: 'site_app.py", line 3' in path.read_text())
    late = "was not ready after boot_timeout"
    site.eventually(lambda: late in path.read_text())
    site.get()


def test_where_a_worker_is_stuck_at_its_end_stands_in_the_error_log(site):
    path = site.folder / "error.log"
    site.write(
        "import time\n"
        "def app(environ, start_response):\n"
        "    time.sleep(60)\n"
    )
    site.up("--graceful-timeout", "0.2", "--error-logfile", str(path))
    with site.program.raw() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(0.2)
        site.signal("SIGTERM")
        site.program.wait()
    assert 'site_app.py", line 3 in app' in path.read_text()


def test_a_worker_imports_before_it_serves_what_the_extension_needs_later():
    sources = pathlib.Path(__file__).parents[2].glob("ext/*.c")
    needed = set(re.findall(
        r'(?:PyImport_ImportModule|ext_import)\("(wsocket\.\w+)"',
        "".join(path.read_text() for path in sources)))
    assert "wsocket._werkzeug" in needed
    program = "import sys, wsocket.worker; print(*sys.modules)"
    there = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert needed <= set(there.split())


def test_a_port_in_use_is_told_before_any_worker_starts(site, serve):
    port = serve().port
    started = site._program("--workers", "2", "--port", str(port), "site_app:app")
    assert started.wait() == 1
    assert "in use" in started.said and "Traceback" not in started.said


def test_an_error_log_in_a_file_has_the_start_as_well(either):
    path = either.folder / "error.log"
    either.up("--metrics-bind", "127.0.0.1:0", "--error-logfile", str(path))
    either.wait_said("/metrics at")
    for line in either.said.splitlines()[:2]:
        dated = "[%d] info: %s\n" % (either.pid, line)
        either.eventually(lambda dated=dated: dated in path.read_text())


def test_an_error_log_on_stderr_says_the_start_once(site):
    site.up("--error-logfile", "/dev/stderr")
    site.signal("SIGTERM")
    assert site.program.wait() == 0
    assert site.said.count("serves site_app:app") == 1


def test_the_supervisor_logs_to_an_inherited_descriptor(either):
    path = either.folder / "error.log"
    with open(path, "a", encoding="utf-8") as file:
        place = "fd:%d" % file.fileno()
        either.program = either._program(
            "--port", "0", "--workers", "2", "--error-logfile", place,
            "site_app:app", pass_fds=[file.fileno()],
        ).wait_started()
    either.signal("SIGUSR1")
    either.signal("SIGHUP")
    either.eventually(lambda: "reload: done" in path.read_text())
    either.signal("SIGTERM")
    assert either.program.wait() == 0
    assert "stop: 2 workers" in path.read_text()
    assert not (either.folder / place).exists()


def test_an_error_log_in_no_open_descriptor_is_refused(site):
    site.start("--error-logfile", "fd:999")
    assert site.program.wait() == 2
    assert "error_logfile: fd:999: Bad file descriptor" in site.said


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


@pytest.mark.workers
def test_a_killed_worker_is_replaced_and_the_others_serve(either):
    either.up()
    victim, other = either.wait_workers(2)
    os.kill(victim, signal.SIGKILL)
    either.wait_said("(crash)")
    assert victim not in either.wait_workers(2)
    assert other in either.workers()
    assert "ended by SIGKILL" in either.said
    either.get()


@pytest.mark.workers
@pytest.mark.slow
def test_killed_workers_take_only_their_own_requests_with_them(site):
    site.up(workers="3")
    failed, answered, over = [], [], threading.Event()

    def ask():
        while not over.is_set():
            try:
                answered.append(site.get())
            except (OSError, ValueError, IndexError) as exc:
                failed.append(exc)

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    kills = 15
    for _ in range(kills):
        os.kill(site.wait_workers(3)[0], signal.SIGKILL)
        time.sleep(0.2)
    site.wait_workers(3)
    over.set()
    for client in clients:
        client.join(PATIENCE)
    # At each kill a client has at most one request at the worker that died.
    assert len(failed) <= kills * len(clients)
    assert not any(isinstance(exc, ConnectionRefusedError) for exc in failed)
    assert len(answered) > len(failed)


@pytest.mark.workers
def test_an_application_that_exits_with_status_0_is_a_crash(site):
    site.up()
    site.wait_workers(2)
    with Raw(site.program.port) as client:
        client.send(b"GET /exit HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.rest() == b""
    site.wait_said("ended with status 0")
    site.wait_said("(crash)")
    site.get()


@pytest.mark.workers
def test_a_worker_that_is_told_to_end_by_hand_drains_and_is_replaced(site):
    site.up()
    victim = site.wait_workers(2)[0]
    os.kill(victim, signal.SIGTERM)
    site.wait_said("(crash)")
    assert victim not in site.wait_workers(2)


def test_signals_of_a_terminal_are_nothing_to_a_worker(site):
    site.up()
    pids = site.wait_workers(2)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)  # so that it finds all of them at once
        for number in worker.UNHEEDED:
            os.kill(pid, number)
        os.kill(pid, signal.SIGCONT)
    site.get()
    assert site.workers() == pids


def test_signals_of_a_terminal_are_nothing_to_a_worker_that_begins():
    with open(os.devnull, "rb") as board:
        task = worker.Task("no_such:app", {"bind": [], "insecure_bind": []},
                           slot=0, generation=0, reason="start",
                           board=board.fileno())
        pid, channel = spawn.as_program(task)
    for number in worker.UNHEEDED:
        os.kill(pid, number)
    assert os.waitpid(pid, 0)[1] == worker.BOOT_FAILED << 8
    channel.close()


@pytest.mark.workers
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


@pytest.mark.workers
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


@pytest.mark.workers
@pytest.mark.slow
def test_a_worker_without_descriptors_does_not_hang(site, tmp_path):
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


@pytest.mark.workers
@pytest.mark.slow
def test_each_worker_in_turn_is_killed_and_stopped(site):
    """Others serve meanwhile, and all four are there again."""
    site.up("--worker-timeout", "3", workers="4")
    for number in signal.SIGKILL, signal.SIGSTOP:
        for victim in site.wait_workers(4):
            os.kill(victim, number)
            if number == signal.SIGSTOP:  # until then it may accept
                site.eventually(lambda: state_of(victim) == "T")
            for _ in range(20):
                with Raw(site.program.port) as client:
                    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
                    if number == signal.SIGSTOP:
                        assert client.response()[0] == 200
            site.eventually(lambda: not is_there(victim))
            site.eventually(lambda: len(site.workers()) == 4)
        site.eventually(lambda: len({site.get()[2] for _ in range(40)}) == 4)


def can_mount():
    try:
        return subprocess.run(
            ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"],
            timeout=PATIENCE, stderr=subprocess.DEVNULL,
        ).returncode == 0
    except OSError:
        return False


@pytest.mark.workers
@pytest.mark.skipif(not can_mount(), reason="takes a mount namespace")
def test_workers_serve_on_a_full_disk_and_no_line_of_a_log_is_torn(site):
    folder = site.folder / "logs"
    folder.mkdir()
    site.program = site._program(
        "-c", "mount -t tmpfs -o size=64k none logs && exec %s -m wsocket "
        "--port 0 --workers 2 --access-logfile logs/access --access-log-format "
        "'%%{worker} %%s %%U end' --error-logfile logs/error site_app:app"
        % sys.executable, command=("-m", "sh"), executable="unshare",
    ).wait_started()
    inside = "/proc/%d/root%s/" % (site.pid, folder)

    def lines(name):
        with open(inside + name, encoding="ascii") as file:
            return file.read()

    site.get("/before")
    site.eventually(lambda: "/before" in lines("access"))
    with open(inside + "filler", "wb", 0) as file:
        with pytest.raises(OSError):
            while True:
                file.write(b"x" * 512)
    for _ in range(500):
        site.get("/meanwhile")
    os.unlink(inside + "filler")

    def nothing_is_missing():
        """A worker tells with its next line what it has dropped."""
        site.get("/after")
        text = lines("access")
        dropped = sum(map(int, re.findall(r"(\d+) log lines? dropped", text)))
        return dropped > 0 and text.count("/meanwhile") + dropped == 500

    site.eventually(nothing_is_missing)
    for line in lines("access").splitlines():
        assert re.fullmatch(
            r"[12] 200 /\w+ end|wsocket: \d+ log lines? dropped, No space left .*",
            line,
        ), line
    site.signal("SIGHUP")
    site.eventually(lambda: "reload: done" in lines("error"))


@pytest.mark.workers
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


def test_a_supervisor_that_nohup_started_heeds_its_signals(site):
    before = {
        number: signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGHUP, signal.SIGQUIT)
    }
    try:
        site.up()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    site.wait_workers(2)
    site.signal("SIGHUP")
    site.wait_said("reload: done")
    site.signal("SIGQUIT")
    assert site.program.wait() == 0


@pytest.mark.workers
def test_code_that_does_not_compile_changes_nothing_and_is_shown(site):
    site.up()
    pids = site.wait_workers(2)
    site.write("def app(:\n")
    site.signal("SIGHUP")
    site.wait_said("reload: FAILED; generation 1 serves on")
    assert site.wait_workers(2) == pids
    assert "SyntaxError" in site.said
    assert frames(site.said) == ["site_app.py"]
    site.write("def app():\n    return 1 / 0\napp = app()\n")
    site.signal("SIGHUP")
    site.wait_said("ZeroDivisionError")
    assert frames(site.said) == ["site_app.py"] * 3
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


@pytest.mark.workers
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
    path.write_text(text.replace("workers = 2", "workers = 3"))
    site.signal("SIGHUP")
    site.wait_said("reload: done", 2)
    site.wait_workers(3)
    path.write_text(text.replace("workers = 2", "workers = 1"))
    site.signal("SIGHUP")
    site.wait_said("reload: done", 3)
    site.wait_workers(1)
    path.write_text(text.replace("workers = 2", "workers = 33"))
    site.signal("SIGHUP")
    site.wait_said("workers: 32 are the most here")
    path.write_text(text + "threads = 'many'\n")
    site.signal("SIGHUP")
    site.wait_said("FAILED", 2)
    assert "threads" in site.said
    site.get()


def test_a_port_that_a_reload_removes_refuses_clients(either):
    path = either.folder / "site.toml"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = '[wsocket]\napp = "site_app:app"\nworkers = 2\nbind = [%s]\n'
    path.write_text(text % ('"127.0.0.1:0", "127.0.0.1:%d"' % port))
    either.program = either._program("--config", str(path)).wait_started()
    socket.create_connection(("127.0.0.1", port)).close()
    path.write_text(text % '"127.0.0.1:0"')
    either.signal("SIGHUP")
    either.wait_said("reload: done")
    either.get()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


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


def test_a_stop_leaves_a_socket_that_others_have_as_it_is(site):
    """Of systemd, for example: the next server accepts there."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        place = "fd:%d" % listener.fileno()
        for _ in range(2):
            site.program = site._program(
                "--bind", place, "--workers", "2", "site_app:app",
                pass_fds=[listener.fileno()],
            ).wait_started()
            site.get()
            site.signal("SIGTERM")
            assert site.program.wait() == 0
        with socket.socket() as client:
            client.settimeout(PATIENCE)
            client.connect(listener.getsockname())


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
    site.up("--max-requests", "5", "--max-jitter", "0", workers="1")
    first = site.get()[0]
    for _ in range(4):
        site.get()
    site.wait_said("is replaced: max_requests")
    site.eventually(lambda: site.get()[0] != first)


@pytest.mark.workers
@pytest.mark.parametrize("name, value", [("age", "0.5"), ("memory", "1m")])
def test_a_worker_is_replaced_after_max_age_or_max_memory(site, name, value):
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
    assert frames(site.said) == ["site_hooks.py"]


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


@pytest.fixture
def stranger():
    """A process that has the PID of a supervisor which was killed."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("is_alive", [True, False])
def test_a_pid_file_of_a_dead_supervisor_is_replaced(site, stranger, is_alive):
    path = site.folder / "pid"
    path.write_text("%d and more text than the next one\n" % stranger.pid)
    if is_alive:
        path.write_text("%d\n" % stranger.pid)
    site.up("--pid-file", str(path))
    assert path.read_text() == "%d\n" % site.pid


COMMANDS = "status", "reload", "reopen", "upgrade", "workers +1", "stop"


def test_no_command_reaches_a_stranger_with_the_pid_of_the_file(site, stranger):
    path = site.folder / "pid"
    path.write_text("%d\n" % stranger.pid)
    for words in COMMANDS:
        done = command(*words.split(), "--pid-file", str(path))
        assert done.returncode == 1
        assert done.stderr == "wsocket: no server runs: %s\n" % path
    assert stranger.poll() is None and path.exists()


def test_workers_that_outlive_their_supervisor_do_not_hold_the_pid_file(either):
    path = either.folder / "pid"
    either.up("--pid-file", str(path))
    workers = either.wait_workers(2)
    with Raw(either.program.port) as client:
        client.send(b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(0.2)
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        either.signal("SIGKILL")
        either.program.wait()
        done = command("status", "--pid-file", str(path))
        assert "no server runs" in done.stderr
        assert all(is_there(pid) for pid in workers)
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    either.up("--pid-file", str(path))
    assert int(path.read_text()) == either.pid


def test_a_pid_file_that_was_replaced_is_left_alone(site):
    path = site.folder / "pid"
    site.up("--pid-file", str(path))
    path.unlink()
    path.write_text("%d\n" % site.pid)
    assert command("reload", "--pid-file", str(path)).returncode == 1
    site.signal("SIGTERM")
    assert site.program.wait() == 0
    assert path.exists()


def test_a_lock_for_reading_is_no_server(site):
    path = site.folder / "pid"
    path.write_text("%d\n" % os.getpid())
    with path.open() as file:
        fcntl.lockf(file, fcntl.LOCK_SH)
        done = command("status", "--pid-file", str(path))
        assert done.returncode == 1 and "no server runs" in done.stderr


@pytest.mark.parametrize("kind", ["link", "folder", "missing/pid"])
def test_a_pid_file_that_cannot_be_one_is_refused(site, kind):
    path = site.folder / kind
    if kind == "link":
        (site.folder / "target").write_text("precious\n")
        path.symlink_to(site.folder / "target")
    elif kind == "folder":
        path.mkdir()
    site.start("--pid-file", str(path))
    assert site.program.wait() == 2
    assert "pid_file: %s: " % path in site.said
    if kind == "link":
        assert path.read_text() == "precious\n"
