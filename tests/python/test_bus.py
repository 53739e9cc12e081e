"""The bus of a host: workers, what they start, and a shell share topics."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import pytest
from patience import PATIENCE
from served import ENVIRON, Served, workers, workers_of_gunicorn

import wsocket
from wsocket import bus

pytestmark = pytest.mark.programs

APP = """
import multiprocessing, os, subprocess, sys
import wsocket

def say(topic, text):
    wsocket.publish(topic, text)

def app(environ, start_response):
    ws = environ.get("wsgi.websocket")
    topic = environ["PATH_INFO"].split("/")[-1]
    if ws is None:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]
    ws.subscribe(topic)
    ws.send("%d" % os.getpid())
    for message in ws:
        kind, _, text = message.partition(" ")
        if kind == "fork":
            child = multiprocessing.get_context("fork").Process(
                target=say, args=(topic, text))
            child.start()
            child.join()
        elif kind == "run":
            code = "import wsocket; wsocket.publish(%r, %r)" % (topic, text)
            subprocess.run([sys.executable, "-c", code], check=True)
        elif kind == "end":
            wsocket.disconnect(topic, 4001, text)
        else:
            wsocket.publish(topic, text)
    return []
"""


def served(folder, n=2, *options, environ=ENVIRON):
    return Served(folder, workers(n, *options), APP, environ)


def told(ws):
    return ws.receive(timeout=PATIENCE)


@pytest.mark.heavy
def test_each_workers_messages_reach_every_subscriber(tmp_path):
    with served(tmp_path, 4) as site:
        sockets = site.connect_to_all(4)
        for pid, ws in sockets.items():
            ws.send("say from %d" % pid)
            for other in sockets.values():
                assert told(other) == "from %d" % pid
        site.until("bus: 3 peers")


@pytest.mark.heavy
def test_what_a_worker_starts_publishes_by_the_same_call(tmp_path):
    with served(tmp_path) as site:
        for kind in "fork", "run":
            sockets = list(site.connect_to_all(2, kind).values())
            sockets[0].send(kind + " hello")
            assert [told(ws) for ws in sockets] == ["hello", "hello"]


@pytest.mark.heavy
def test_a_disconnect_closes_the_sockets_of_all_workers(tmp_path):
    with served(tmp_path) as site:
        sockets = list(site.connect_to_all(2).values())
        sockets[0].send("end enough")
        for ws in sockets:
            assert told(ws) is None
            assert ws.close_code == 4001


@pytest.mark.heavy
def test_a_shell_publishes_and_listens(tmp_path):
    folder = tempfile.mkdtemp()
    command = [sys.executable, "-m", "wsocket"]
    with served(tmp_path, 2, "--bus", folder) as site:
        ws, _ = site.connect()
        subprocess.run(
            [*command, "publish", "--bus", folder, "room", "one"], check=True
        )
        assert told(ws) == "one"
        subprocess.run(
            [*command, "publish", "--bus", folder, "room"],
            input="two\nthree \N{EURO SIGN}\n".encode(),
            check=True,
        )
        assert [told(ws), told(ws)] == ["two", "three \N{EURO SIGN}"]
        with subprocess.Popen(
            [*command, "listen", "--bus", folder, "room"],
            stdout=subprocess.PIPE,
            text=True,
        ) as listener:
            ended = threading.Event()

            def speak():
                while not ended.wait(0.1):
                    ws.send("say four")

            speaker = threading.Thread(target=speak)
            speaker.start()
            assert listener.stdout.readline() == "four\n"
            ended.set()
            speaker.join()
            listener.terminate()
    assert not any(bus.members(folder))


@pytest.mark.heavy
def test_two_servers_of_one_user_do_not_mix(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with served(tmp_path / "a") as one, served(tmp_path / "b") as other:
        here = list(one.connect_to_all(2).values())
        there = list(other.connect_to_all(2).values())
        here[0].send("say here")
        there[0].send("say there")
        assert [told(ws) for ws in here] == ["here", "here"]
        assert [told(ws) for ws in there] == ["there", "there"]
        done = subprocess.run(
            [sys.executable, "-m", "wsocket", "publish", "room", "x"],
            env={**ENVIRON, "XDG_RUNTIME_DIR": "", "TMPDIR": ""},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert done.returncode == 1
        assert done.stderr.count("shop:app") >= 2


class Speaker:
    """Publishes numbers, and connects again when its worker is killed."""

    def __init__(self, site):
        self.site = site
        self.next = 0
        self.ws, _ = site.connect("numbers")

    def say(self):
        try:
            self.ws.send("say %d" % self.next)
        except wsocket.WebSocketError:
            self.ws, _ = self.site.connect("numbers")
        else:
            self.next += 1


def hear(ws, heard):
    with contextlib.suppress(wsocket.WebSocketError):
        for message in ws:
            heard.append(int(message))


@pytest.mark.heavy
def test_a_worker_that_is_killed_takes_only_its_own_sockets(tmp_path):
    with served(tmp_path, 3) as site:
        steady, mine = site.connect("numbers")
        speaker = Speaker(site)
        heard = []
        args = steady, heard
        threading.Thread(target=hear, args=args, daemon=True).start()
        for _ in range(3):
            found = site.connect_to_all(3, "others")
            os.kill(next(pid for pid in found if pid != mine), signal.SIGKILL)
            for _ in range(100):
                speaker.say()
        site.connect_to_all(3, "others")
        deadline = time.monotonic() + PATIENCE
        last = speaker.next
        while not heard or heard[-1] < last:
            assert time.monotonic() < deadline, (last, heard[-3:])
            speaker.say()
            time.sleep(0.02)
        assert heard == sorted(set(heard))  # once, and in order


@pytest.mark.heavy
def test_new_workers_of_a_reload_share_topics_at_once(tmp_path):
    with served(tmp_path) as site:
        old = site.connect_to_all(2)
        for _ in range(2):
            site.process.send_signal(signal.SIGHUP)
            for ws in old.values():
                assert told(ws) is None
            new = site.connect_to_all(2)
            assert not set(new) & set(old)
            for pid, ws in new.items():
                ws.send("say from %d" % pid)
                for other in new.values():
                    assert told(other) == "from %d" % pid
            old = new


@pytest.mark.heavy
def test_the_folder_of_the_workers_goes_with_the_supervisor(tmp_path):
    environ = {**ENVIRON, "XDG_RUNTIME_DIR": tempfile.mkdtemp()}
    with served(tmp_path, environ=environ) as site:
        site.connect_to_all(2)
        (name,) = os.listdir(environ["XDG_RUNTIME_DIR"])
        path = os.path.join(environ["XDG_RUNTIME_DIR"], name)
        assert os.stat(path).st_mode & 0o777 == 0o700
        assert bus.about(path)[0] == site.process.pid
    assert os.listdir(environ["XDG_RUNTIME_DIR"]) == []


@pytest.mark.heavy
@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_workers_of_gunicorn_share_topics(tmp_path, preload):
    pytest.importorskip("gunicorn")
    environ = {**ENVIRON, "XDG_RUNTIME_DIR": tempfile.mkdtemp()}
    with Served(tmp_path, workers_of_gunicorn(2, *preload), APP, environ) as site:
        sockets = list(site.connect_to_all(2).values())
        sockets[0].send("say hello")
        assert [told(ws) for ws in sockets] == ["hello", "hello"]
        sockets[1].send("run hello")
        assert [told(ws) for ws in sockets] == ["hello", "hello"]
    assert os.listdir(environ["XDG_RUNTIME_DIR"]) == []


TASKS = """
import os
from celery import Celery
import wsocket

tasks = Celery("tasks", broker="filesystem://")
tasks.conf.broker_transport_options = dict.fromkeys(
    ["data_folder_in", "data_folder_out", "control_folder"], os.getcwd() + "/queue")

@tasks.task(name="tell")
def tell(topic, text):
    wsocket.publish(topic, text)
"""


@pytest.mark.heavy
def test_tasks_of_celery_publish_to_the_sockets_of_all_workers(tmp_path):
    pytest.importorskip("celery")
    (tmp_path / "queue").mkdir()
    (tmp_path / "shop_tasks.py").write_text(TASKS)
    folder = tempfile.mkdtemp()
    environ = {**ENVIRON, "WSOCKET_BUS": folder}
    # Its processes are forked before they publish.
    celery = [sys.executable, "-m", "celery", "-A", "shop_tasks:tasks"]
    command = [*celery, "worker", "--pool", "prefork", "--concurrency", "2"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    with served(tmp_path, 2, "--bus", folder) as site, open(
        tmp_path / "celery.log", "w"
    ) as log, subprocess.Popen(
        command, env=environ, cwd=str(tmp_path), stdout=log, stderr=log
    ) as tasks:
        try:
            sockets = list(site.connect_to_all(2).values())
            for i in range(4):
                text = "task %d" % i
                subprocess.run(
                    [*celery, "call", "tell", "--args", '["room", "%s"]' % text],
                    env=environ, cwd=str(tmp_path), check=True,
                    stdout=subprocess.DEVNULL,
                )
                assert [told(ws) for ws in sockets] == [text, text]
        finally:
            tasks.terminate()
    assert os.listdir(folder) == []


def run(code, **environ):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**ENVIRON, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_without_server_and_bus_publish_says_what_to_set():
    done = run("import wsocket; wsocket.publish('t', 'x')")
    assert "ConnectionError" in done.stdout and "WSOCKET_BUS" in done.stdout


def test_a_publisher_without_a_bus_says_where_it_looked(tmp_path):
    code = "import wsocket.bus as b; b.places = lambda: [%r]; b.Publisher()"
    done = run(code % str(tmp_path))
    assert "ConnectionError" in done.stdout and str(tmp_path) in done.stdout


LEAVES = """
import os, sys, wsocket
folder = sys.argv[1]

def members():
    return [name for name in os.listdir(folder) if name[0] != "."]

def refuses(publish):
    try:
        publish("t", "x")
    except ConnectionError as exc:
        return str(exc)

for _ in range(2):
    with wsocket.Publisher(folder) as out:
        assert out.publish("t", "x") is wsocket.publish("t", "x") is True
        assert members()
    assert members() == []
    assert "closed" in refuses(out.publish)
    assert "no server" in refuses(wsocket.publish)
    out.close()

first, second = wsocket.Publisher(folder), wsocket.Publisher(folder)
first.close()
first.close()
assert second.publish("t", "x") and members()
messages = second.listen("t")
second.close()
assert members()  # a listener is left
messages.close()
del messages
assert members() == []
"""


def test_a_publisher_that_is_closed_leaves_the_bus_at_once():
    folder = tempfile.mkdtemp()
    done = subprocess.run(
        [sys.executable, "-c", LEAVES, folder], env=ENVIRON,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    assert done.returncode == 0, done.stdout
    os.rmdir(folder)


ALONE = """
import wsocket

def app(environ, start_response):
    ws = environ["wsgi.websocket"]
    ws.subscribe("t")
    ws.send("ready")
    ws.receive()
    return []

wsocket.run(app, port=0)
"""


@pytest.mark.heavy
def test_the_folder_of_a_killed_server_is_removed_by_the_next(tmp_path):
    environ = {**ENVIRON, "XDG_RUNTIME_DIR": tempfile.mkdtemp(), "WSOCKET_BUS": ""}
    path = tmp_path / "alone.py"
    path.write_text(ALONE)
    found = []
    for number in signal.SIGKILL, signal.SIGTERM:
        with subprocess.Popen(
            [sys.executable, str(path)], env=environ, cwd=str(tmp_path),
            stderr=subprocess.PIPE, text=True,
        ) as server:
            for line in server.stderr:
                if "http://" in line:
                    break
            port = int(line.split("http://127.0.0.1:")[1].split("/")[0])
            ws = wsocket.connect("ws://127.0.0.1:%d/" % port, timeout=PATIENCE)
            assert told(ws) == "ready"
            found.append(os.listdir(environ["XDG_RUNTIME_DIR"]))
            server.send_signal(number)
            server.stderr.read()
    assert len(found[0]) == len(found[1]) == 1 and found[0] != found[1]
    assert os.listdir(environ["XDG_RUNTIME_DIR"]) == []


@pytest.mark.heavy
def test_the_folder_of_a_killed_supervisor_is_removed_by_the_next(tmp_path):
    environ = {**ENVIRON, "XDG_RUNTIME_DIR": tempfile.mkdtemp()}
    with served(tmp_path, environ=environ) as site:
        site.connect_to_all(2)
        (first,) = os.listdir(environ["XDG_RUNTIME_DIR"])
        with served(tmp_path, environ=environ):
            assert len(os.listdir(environ["XDG_RUNTIME_DIR"])) == 2
        site.process.kill()
        site.process.wait()
        # Its workers end by themselves, and hold the folder until then.
        deadline = time.monotonic() + PATIENCE
        while os.listdir(environ["XDG_RUNTIME_DIR"]) == [first]:
            assert time.monotonic() < deadline
            with served(tmp_path, environ=environ):
                pass
    assert os.listdir(environ["XDG_RUNTIME_DIR"]) == []


def as_nobody(what):
    """Call a function as another user, in a child, and return its text."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(writer, what().encode())
        except BaseException as exc:
            os.write(writer, repr(exc).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as file:
        text = file.read()
    os.waitpid(child, 0)
    return text


MEMBER = """
import sys, wsocket
with wsocket.Publisher(sys.argv[1]) as out:
    print("ready", flush=True)
    sys.stdin.read()
    print(wsocket._wsocket.topic_stats()["bus_peers"])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_peer_of_another_user_is_refused_both_ways():
    """Even where it can enter the folder."""
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "1-0123456789abcdef")
    heard = []

    def trap():
        """Look like a member, and return what another one says to it."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.bind(os.path.join(folder, "draft"))
            sock.listen()
            os.rename(os.path.join(folder, "draft"), path)
            return "said %r" % sock.accept()[0].recv(100)

    def knock():
        """Return what a member says to whoever connects."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(members[0])
            return "said %r" % sock.recv(100)

    os.chmod(folder, 0o777)
    thread = threading.Thread(target=lambda: heard.append(as_nobody(trap)))
    thread.start()
    deadline = time.monotonic() + PATIENCE
    while not os.path.exists(path):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.chmod(folder, 0o700)
    with subprocess.Popen(
        [sys.executable, "-c", MEMBER, folder], env=ENVIRON, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as member:
        assert member.stdout.readline() == "ready\n"
        thread.join()
        members = [own for own in bus.members(folder) if own != path]
        os.chmod(folder, 0o711)
        os.chmod(members[0], 0o777)
        heard.append(as_nobody(knock))
        assert member.communicate("")[0] == "0\n"
    assert heard == ["said b''", "said b''"]
    shutil.rmtree(folder)  # `path` too, if no member has


def test_a_folder_that_others_can_enter_is_refused():
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o750)
    done = run("import wsocket; wsocket.Publisher(%r)" % folder)
    assert "ConnectionError" in done.stdout and "0700" in done.stdout
    os.rmdir(folder)


def test_a_message_of_another_process_reaches_a_listener():
    folder = tempfile.mkdtemp()
    listen = (
        "import wsocket\n"
        "with wsocket.Publisher() as out:\n"
        "    messages = out.listen('t')\n"
        "    print('ready', flush=True)\n"
        "    print(next(messages))\n"
    )
    environ = {**ENVIRON, "WSOCKET_BUS": folder}
    with subprocess.Popen(
        [sys.executable, "-c", listen],
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    ) as listener:
        assert listener.stdout.readline() == "ready\n"
        done = run("import wsocket; wsocket.publish('t', 'x')", **environ)
        assert done.returncode == 0, done.stdout
        assert listener.stdout.readline() == "x\n"
    assert os.listdir(folder) == []
    os.rmdir(folder)


@pytest.mark.heavy
def test_a_gap_is_told_to_the_application():
    folder = tempfile.mkdtemp()
    code = (
        "import shutil, threading, wsocket\n"
        "told, app = threading.Event(), wsocket.WSocketApp()\n"
        "wsocket.ongap += lambda topics: print(topics)\n"
        "app.ongap += lambda topics: told.set()\n"
        "with wsocket.Publisher(%r) as out:\n"
        "    messages = out.listen('t')\n"
        "    shutil.rmtree(%r)\n"
        "    assert told.wait(%d)\n"
    )
    done = run(code % (folder, folder, PATIENCE))
    assert done.returncode == 0, done.stdout
    assert done.stdout == "('t',)\n"
