"""What talks to a supervisor: commands, upgrades, systemd, an editor."""

import functools
import json
import os
import random
import socket
import sys
import threading
import time

import pytest
from conftest import Raw
from patience import PATIENCE
from supervised import APP, command, either, is_there, site

pytestmark = pytest.mark.programs

# ------------------------------------------------------------------- control


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
    assert "reload (wsocket reload)" in site.said and "SIGHUP)" not in site.said
    assert json.loads(status(path))["failed_reload"] is None
    site.write("\n1 / 0\n")
    done = command("reload", "--control", path)
    assert done.returncode == 1
    why = "ZeroDivisionError: division by zero (%s/site_app.py, line 2)" % tmp_path
    assert done.stderr == "failed: %s\n" % why
    failed = json.loads(status(path))["failed_reload"]
    assert (failed["what"], failed["why"]) == ("application", why)
    assert command("workers", "+1", "--control", path).returncode == 0
    site.write(APP)
    assert command("stop", "--control", path).returncode == 0
    assert site.program.wait() == 0
    assert not os.path.exists(path)
    done = command("status", "--control", path)
    assert done.returncode == 1 and "no server runs" in done.stderr


def status(path):
    return command("status", "--control", path).stdout


def test_a_bad_option_at_a_reload_is_told_as_such(site, tmp_path):
    path, config = str(tmp_path / "control"), tmp_path / "w.toml"
    os.chmod(tmp_path, 0o700)
    config.write_text("[wsocket]\nthreads = 4\n")
    site.up("--control", path, "--config", str(config))
    config.write_text("[wsocket]\nthreads = 'many'\n")
    done = command("reload", "--control", path)
    assert done.returncode == 1 and "line 2" in done.stderr
    failed = json.loads(status(path))["failed_reload"]
    assert failed["what"] == "options" and failed["why"] in done.stderr
    config.unlink()
    assert "No such file" in command("reload", "--control", path).stderr


def test_a_command_reaches_the_server_though_the_file_has_a_fault(site, tmp_path):
    path, config = str(tmp_path / "control"), tmp_path / "w.toml"
    os.chmod(tmp_path, 0o700)
    config.write_text("[wsocket]\ncontrol = '%s'\n" % path)
    site.up("--config", str(config))
    config.write_text("[wsocket]\ncontrol = '%s'\nthreds = 4\n" % path)
    done = command("reload", "--config", str(config))
    assert done.returncode == 1 and "did you mean 'threads'" in done.stderr
    assert "serves on until a reload succeeds" in site.said
    config.write_text("no table")
    assert command("status", "--control", path, "--config", str(config)).stdout
    assert command("stop", "--control", path, "--config", str(config)).stdout


def test_the_command_line_names_the_server_before_the_environment(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("WSOCKET_CONTROL", str(tmp_path / "of_another"))
    done = command("status", "--pid-file", str(tmp_path / "pid"))
    assert "no server runs: %s" % (tmp_path / "pid") in done.stderr


def test_a_misspelt_name_of_the_server_is_told(tmp_path):
    (tmp_path / "w.toml").write_text("[wsocket]\ncontrl = '/run/x'\n")
    done = command("status", "--config", str(tmp_path / "w.toml"))
    assert "line 2" in done.stderr and "did you mean 'control'" in done.stderr


def test_logs_that_cannot_be_written_are_told_on_stderr_once(site, tmp_path):
    path = str(tmp_path / "control")
    os.chmod(tmp_path, 0o700)
    site.up("--control", path, "--error-logfile", "/dev/full")
    command("reload", "--control", path)
    command("reload", "--control", path)
    assert json.loads(status(path))["log_entries_dropped"] > 8
    site.signal("SIGTERM")
    assert site.program.wait() == 0
    told = "wsocket: the log /dev/full cannot be written: No space left"
    assert site.said.count(told) == 1


def test_an_order_that_changes_nothing_is_an_error(site, tmp_path):
    path = str(tmp_path / "control")
    os.chmod(tmp_path, 0o700)
    site.up("--control", path, workers="1")
    done = command("workers", "-1", "--control", path)
    assert done.returncode == 1
    assert done.stderr == "failed: one worker is the least\n"
    with Raw(site.program.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n")
        time.sleep(0.2)  # until the worker has it
        site.signal("SIGTERM")
        site.wait_said("stop: 1 worker")
        for order in ("reload",), ("upgrade",), ("workers", "+1"):
            done = command(*order, "--control", path)
            assert done.returncode == 1
            assert done.stderr == "failed: the server stops\n"


def test_a_second_stop_by_the_control_socket_waits_with_the_first(site, tmp_path):
    path = str(tmp_path / "control")
    os.chmod(tmp_path, 0o700)
    site.up("--control", path)
    stops = [socket.socket(socket.AF_UNIX) for _ in range(2)]
    with Raw(site.program.port) as client, stops[0], stops[1]:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n")
        time.sleep(0.2)  # until a worker has it
        for stop in stops:
            stop.settimeout(PATIENCE)
            stop.connect(path)
            stop.sendall(b"stop\n")
            site.wait_said("stop: 2 workers")
        assert command("status", "--control", path).returncode == 0
        client.send(b"\r\n")
        assert client.response()[0] == 200
        assert [stop.recv(100) for stop in stops] == [b"ok: stopped\n"] * 2
    assert site.program.wait() == 0



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


def test_all_workers_answer_at_metrics_bind_through_a_reload(either, tmp_path):
    path = tmp_path / "metrics.sock"
    either.up("--metrics-bind", "unix:%s" % path)

    def ready():
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(str(path))
            client.sendall(b"GET /ready HTTP/1.0\r\n\r\n")
            return client.recv(12) == b"HTTP/1.1 200"

    assert ready()
    either.signal("SIGHUP")
    either.wait_said("reload: done")
    assert ready()
    either.get()
    either.signal("SIGTERM")
    assert either.program.wait() == 0
    assert not path.exists()


@pytest.mark.slow
def test_a_storm_of_signals_loses_nobody_and_ends_with_n_workers(site, tmp_path):
    path = str(tmp_path / "control")
    os.chmod(tmp_path, 0o700)
    site.up("--control", path)
    dice = random.Random(4711)
    lost, over = [], threading.Event()

    def ask():
        while not over.is_set():
            try:
                site.get()
            except Exception as exc:
                lost.append(exc)

    def report():
        told = command("status", "--control", path)
        assert told.returncode == 0, told.stderr
        return json.loads(told.stdout)

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    more = 0
    for n in range(150):
        name = dice.choice(["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU"])
        if name in ("SIGTTIN", "SIGTTOU"):
            name = "SIGTTIN" if more == 0 else "SIGTTOU"
            more = 1 - more
        site.signal(name)
        time.sleep(dice.uniform(0, 0.05))
        if n % 30 == 29:
            processes = report()["processes"]
            assert len({p["generation"] for p in processes}) <= 2
    def is_calm():
        now = report()
        states = {p["state"] for p in now["processes"]}
        return states == {"serving"} and now["serving"] == now["workers"]

    site.eventually(is_calm)
    over.set()
    for client in clients:
        client.join(PATIENCE)
    assert lost == []
    site.signal("SIGTERM")
    assert site.program.wait() == 0


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


def test_an_upgrade_and_its_workers_keep_the_flags_of_the_interpreter(either):
    either.write(
        "import sys\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    told = [sys._xoptions, sys.warnoptions, sys.flags.optimize,\n"
        "            sys.flags.isolated]\n"
        "    return [repr(told).encode()]\n"
    )
    either.program = either._program(
        "-I", "-O", "-X", "dev", "-X", "site=shop", "-Wdefault::ImportWarning",
        "-m", "wsocket", "--port", "0", "--workers", "1", "--access-logfile",
        "none", "site_app:app", command=(),
    ).wait_started()

    def told():
        with Raw(either.program.port) as client:
            client.send(b"GET / HTTP/1.0\r\n\r\n")
            return client.response()[2]

    first = told()
    assert b"'site': 'shop'" in first and b"ImportWarning" in first
    assert first.endswith(b"1, 1]")
    for times in 1, 2:
        either.signal("SIGUSR2")
        either.wait_said("reload: done", times)
        assert told() == first


@pytest.mark.slow
def test_an_upgrade_keeps_the_lock_of_the_pid_file(either, tmp_path):
    path = str(tmp_path / "pid")
    either.up("--pid-file", path)
    for times in 1, 2:
        assert command("upgrade", "--pid-file", path).returncode == 0
        either.wait_said("reload: done", times)
        assert str(either.pid) in command("status", "--pid-file", path).stdout
    other = either._program(
        "--workers", "2", "--port", "0", "--pid-file", path, "site_app:app"
    )
    assert other.wait() == 2 and "runs already" in other.said
    assert command("stop", "--pid-file", path).returncode == 0
    assert either.program.wait() == 0 and not os.path.exists(path)


@pytest.mark.parametrize("kind", ["moved", "removed"])
def test_an_upgrade_follows_a_pid_file_that_has_moved(site, tmp_path, kind):
    old, new, config = (tmp_path / name for name in ("old", "new", "w.toml"))
    config.write_text("[wsocket]\npid_file = '%s'\n" % old)
    site.up("--config", str(config))
    if kind == "moved":
        config.write_text("[wsocket]\npid_file = '%s'\n" % new)
        site.signal("SIGHUP")  # which cannot change it
        site.wait_said("a reload cannot change pid_file")
        site.wait_said("reload: done")
        assert old.exists() and not new.exists()
    else:
        old.unlink()
        new = old
    site.signal("SIGUSR2")
    site.wait_said("reload: done", 2 if kind == "moved" else 1)
    assert new.read_text() == "%d\n" % site.pid
    assert new == old or not old.exists()
    assert command("stop", "--config", str(config)).returncode == 0


@pytest.mark.parametrize("kind", ["moved", "removed"])
def test_an_upgrade_follows_a_control_socket_that_has_moved(site, tmp_path, kind):
    os.chmod(tmp_path, 0o700)
    old, new, config = (tmp_path / name for name in ("old", "new", "w.toml"))
    config.write_text("[wsocket]\ncontrol = '%s'\n" % old)
    site.up("--config", str(config))
    if kind == "moved":
        config.write_text("[wsocket]\ncontrol = '%s'\n" % new)
        assert command("reload", "--control", str(old)).returncode == 0
        assert old.exists() and not new.exists()
    else:
        old.unlink()
        new = old
    site.signal("SIGUSR2")
    site.wait_said("reload: done", 2 if kind == "moved" else 1)
    assert new == old or not old.exists()
    assert command("status", "--control", str(new)).returncode == 0


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


def test_an_upgrade_waits_for_a_client_that_has_not_asked_yet(site, tmp_path):
    path = str(tmp_path / "control")
    os.chmod(tmp_path, 0o700)
    site.up("--control", path)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(path)
        site.signal("SIGUSR2")
        site.wait_said("trying the new version")
        time.sleep(1)  # in which it could take over
        client.sendall(b"status\n")
        assert json.loads(client.recv(10000))["generation"] == 1
    site.wait_said("reload: done")


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


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="no environment")
def test_an_upgrade_works_where_the_environment_is_reached_by_a_link(
    site, tmp_path
):
    """As a folder `current` that a deployment points to the newest release."""
    (tmp_path / "current").symlink_to(sys.prefix)
    python = str(tmp_path / "current" / "bin" / "python")
    site.program = site._program(
        "--port", "0", "--workers", "2", "--access-logfile", "none",
        "site_app:app", executable=python,
    ).wait_started()
    pids = site.wait_workers(2)
    site.signal("SIGUSR2")
    site.wait_said("reload: done")
    assert not set(site.wait_workers(2)) & set(pids)


BREAKS_LATER = "import wsocket.master; wsocket.master.OutOfMemory = None"


def break_what_comes_next(folder, monkeypatch, how):
    """Let the version that takes over fail; its trial does not. Return what
    mends it."""
    custom = folder / "sitecustomize.py"
    custom.write_text(
        "import sys\n"
        "if 'again.py' in ' '.join(sys.orig_argv):\n"
        "    %s\n" % how
    )
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return custom.unlink


@pytest.mark.parametrize(
    "how",
    [
        "sys.modules['wsocket'] = None",  # it cannot be imported
        BREAKS_LATER,
    ],
)
@pytest.mark.skipif(sys.version_info < (3, 10), reason="takes sys.orig_argv")
def test_workers_serve_on_if_the_new_version_breaks_after_its_trial(
    site, tmp_path, monkeypatch, how
):
    """Its package is good in the trial, and bad when it takes over."""
    path = str(tmp_path / "control")
    os.chmod(tmp_path, 0o700)
    mend = break_what_comes_next(tmp_path, monkeypatch, how)
    site.program = site._program(
        "-X", "site=shop", "-m", "wsocket", "--port", "0", "--workers", "2",
        "--control", path, "--access-logfile", "none", "site_app:app", command=(),
    ).wait_started()
    pids = site.wait_workers(2)
    site.signal("SIGUSR2")
    site.wait_said("nobody replaces them")
    assert site.workers() == pids
    site.get()
    done = command("status", "--control", path)
    assert done.returncode == 1 and "SIGUSR2 to PID" in done.stderr
    for name in "SIGUSR1", "SIGTTIN", "SIGTTOU":
        site.signal(name)  # none of them ends or stops it
    assert command("status", "--control", path).stderr == done.stderr
    if how.startswith("sys"):
        site.signal("SIGTERM")
        assert site.program.wait() == 1
        assert not any(is_there(pid) for pid in pids)
        return
    mend()
    site.signal("SIGUSR2")  # it works again
    site.wait_said("reload: done")
    site.get()
    assert "AGAIN in the environment" not in site.said
    assert not set(site.wait_workers(2)) & set(pids)
    with open("/proc/%d/cmdline" % site.pid, "rb") as file:
        assert file.read().split(b"\0")[1:3] == [b"-X", b"site=shop"]


def test_an_upgrade_whose_control_socket_is_bad_keeps_port_and_workers(
    site, tmp_path
):
    """Its trial does not look at it."""
    os.chmod(tmp_path, 0o700)
    config, control = tmp_path / "w.toml", tmp_path / "control"
    pid_file, unix = tmp_path / "pid", tmp_path / "s.sock"
    text = "[wsocket]\npid_file = '%s'\ncontrol = '%s'\n"
    config.write_text(text % (pid_file, control))
    site.program = site._program(
        "--bind", "127.0.0.1:0", "--bind", "unix:%s" % unix, "--workers", "2",
        "--config", str(config), "--access-logfile", "none", "site_app:app",
    ).wait_started()
    pids = site.wait_workers(2)
    for times, name in (1, "pid"), (2, "other"):  # kept, and moved
        config.write_text(text % (tmp_path / name, tmp_path / "none" / "x"))
        site.signal("SIGUSR2")
        site.wait_said("error: control: ", times)
        site.wait_said("nobody replaces them", times)
    assert site.workers() == pids and unix.exists()
    site.get()
    config.write_text(text % (pid_file, control))
    site.signal("SIGUSR2")
    site.wait_said("reload: done")
    site.get()
    assert command("status", "--control", str(control)).returncode == 0
    assert pid_file.read_text() == "%d\n" % site.pid
    site.signal("SIGTERM")
    assert site.program.wait() == 0
    assert not unix.exists() and not control.exists() and not pid_file.exists()


# ------------------------------------------------------------------- notify


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """The socket at which a service manager hears."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(path)
        heard.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        yield heard


def hear_from(manager, text):
    """Wait for a message with a text, and return it."""
    for _ in range(PATIENCE * 10):  # WATCHDOG=1 never ends
        heard = manager.recv(4096).decode()
        if text in heard:
            return heard
    raise AssertionError("nothing was told of " + text)


def test_the_service_manager_is_told_what_is_true(site, manager, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    site.write(APP.replace(
        "VERSION = 1", "VERSION = 1\nassert 'NOTIFY_SOCKET' not in os.environ"
    ))
    site.up()
    heard = []

    def hear(text):
        for _ in range(PATIENCE * 10):  # WATCHDOG=1 never ends
            if any(text in message for message in heard):
                return
            heard.append(manager.recv(4096).decode())
        raise AssertionError("nothing was told of " + text)

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


@pytest.mark.skipif(sys.version_info < (3, 10), reason="takes sys.orig_argv")
def test_a_failed_upgrade_leaves_the_watchdog_of_the_service_manager_content(
    site, tmp_path, manager, monkeypatch
):
    mend = break_what_comes_next(tmp_path, monkeypatch, BREAKS_LATER)
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    site.program = site._program(
        "--port", "0", "--workers", "2", "--access-logfile", "none",
        "site_app:app",
    ).wait_started()

    hear = functools.partial(hear_from, manager)
    site.signal("SIGUSR2")
    hear("WATCHDOG=1\nSTATUS=the upgrade has failed")
    hear("WATCHDOG=1\nSTATUS=the upgrade has failed")
    mend()
    site.signal("SIGUSR2")
    hear("READY=1\nSTATUS=2 workers, generation")
    site.signal("SIGTERM")
    hear("STOPPING=1")


def test_a_single_process_tells_the_service_manager_as_well(
    site, manager, monkeypatch
):
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    site.program = site._program(
        "--port", "0", "--graceful-timeout", "30", "site_app:app"
    ).wait_started()

    hear = functools.partial(hear_from, manager)
    assert "STATUS=site_app:app on http://" in hear("READY=1\n")
    hear("WATCHDOG=1")
    hear("WATCHDOG=1")
    site.signal("SIGHUP")
    hear("RELOADING=1\nMONOTONIC_USEC=")
    hear("READY=1\n")
    site.wait_said("a reload takes workers")
    with Raw(site.program.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n")
        time.sleep(0.2)
        site.signal("SIGTERM")
        hear("STOPPING=1")
        hear("EXTEND_TIMEOUT_USEC=40000000")
    assert site.program.wait() == 0


@pytest.mark.workers
def test_systemd_keeps_the_sockets_of_a_supervisor_that_is_killed(
    site, manager, monkeypatch
):
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
    site.is_reloader = True
    site.up("--reload", workers=None)
    assert site.get()[1] == 1
    site.write(APP.replace("VERSION = 1", "VERSION = 2"))
    site.eventually(lambda: site.get()[1] == 2)
    assert "reload (site_app.py): " in site.said


@pytest.mark.workers
def test_code_that_ends_its_process_is_tried_again_after_the_next_edit(site):
    site.is_reloader = True
    site.up("--reload", workers=None)
    site.write("import os; os._exit(1)\n")
    site.wait_said("FAILED")
    assert site.get()[1] == 1  # the old code serves on
    site.write(APP.replace("VERSION = 1", "VERSION = 2"))
    site.eventually(lambda: site.get()[1] == 2)


@pytest.mark.workers
def test_broken_code_is_a_page_with_its_traceback_and_recovers(site):
    site.is_reloader = True
    site.write("def app(:\n")
    site.up("--reload", workers=None)
    with Raw(site.program.port) as client:
        client.send(b"GET /x HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        status, _, body = client.response()
    assert status == 500 and b"SyntaxError" in body
    for text in body.decode(), site.said:
        assert text.count("File ") == 1 and "site_app.py" in text
        assert "importlib" not in text and "loader.py" not in text
    assert "SyntaxError" in site.said
    site.write(APP)

    def recovered():
        try:
            return site.get()[1] == 1
        except AssertionError:
            return False

    site.eventually(recovered)
