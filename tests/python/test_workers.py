"""Several processes that share a listening socket and a board."""

import os
import select
import signal
import socket
import subprocess
import sys

import pytest
from patience import PATIENCE, until

from wsocket import _wsocket

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="no fork here"
)

# The parent: "start SLOT" forks a worker; whoever has ended is cleared.
PARENT = """
import os, select, signal, sys
from wsocket import _wsocket

board = _wsocket.Board(fd=int(sys.argv[1]))
places = ["fd:" + fd for fd in sys.argv[2].split(",")]
options = dict(item.split("=") for item in sys.argv[3:])
slots = {}

def app(environ, start_response):
    body = b"%d" % os.getpid()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

def work(slot):
    server = _wsocket.Server(
        app, bind=places, access_logfile="none", **options)
    server.set_board(board, slot, 1)
    server.start()
    signal.signal(signal.SIGTERM, lambda *args: server.stop(2))
    signal.signal(signal.SIGUSR1, lambda *args: server.accept(False))
    server.accept(True)
    while not server.join(0.02):
        pass

def start(slot):
    pid = os.fork()
    if pid == 0:
        try:
            os.close(0)
            work(slot)
        finally:
            os._exit(0)
    slots[pid] = slot

orders = open(0, "rb", buffering=0)
while True:
    if select.select([orders], [], [], 0.02)[0]:
        line = orders.readline()
        if not line:
            break
        start(int(line))
    while slots:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            break
        board.clear(slots.pop(pid))
for pid in slots:
    os.kill(pid, signal.SIGKILL)
"""


def listeners(kind, folder):
    """A listening socket, or two, and what connects to the last."""
    if kind == "tcp6":
        made = [socket.socket(socket.AF_INET6)]
        made[0].bind(("::1", 0))
    elif kind == "unix":
        made = [socket.socket(socket.AF_UNIX)]
        made[0].bind(os.path.join(folder, "s"))
    else:
        made = [socket.socket() for _ in range(2 if kind == "two" else 1)]
        for one in made:
            one.bind(("127.0.0.1", 0))
    for one in made:
        one.listen(2000)
    return made


class Service:
    """Workers under a parent, and ways to reach them."""

    def __init__(self, folder, kind="tcp", n=4, env=None, **options):
        self.n = n
        self.board = _wsocket.Board(n)
        self.listeners = listeners(kind, folder)
        fds = [one.fileno() for one in self.listeners]
        self.parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(self.board.fileno()),
             ",".join(map(str, fds))]
            + ["%s=%s" % item for item in options.items()],
            stdin=subprocess.PIPE,
            pass_fds=[self.board.fileno(), *fds],
            env=dict(os.environ, **(env or {})),
        )
        for slot in range(n):
            self.start(slot)
        until(lambda: len(self.serving()) == n)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        for pid in self.serving().values():
            os.kill(pid, signal.SIGCONT)
        self.parent.stdin.close()
        self.parent.wait(PATIENCE)
        for one in self.listeners:
            one.close()

    def start(self, slot):
        self.parent.stdin.write(b"%d\n" % slot)
        self.parent.stdin.flush()

    def slots(self):
        return [self.board.slot(i) for i in range(len(self.board))]

    def serving(self):
        return {
            i: slot["pid"]
            for i, slot in enumerate(self.slots())
            if slot["state"] == "serving"
        }

    def counts(self):
        return [self.board.slot(i)["connections"] for i in range(self.n)]

    def connect(self):
        to = self.listeners[-1]
        client = socket.socket(to.family)
        client.settimeout(PATIENCE)
        client.connect(to.getsockname())
        return client

    def ask(self, client):
        """The pid of the worker that answers."""
        client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        data = b""
        while b"\r\n\r\n" not in data or data.endswith(b"\r\n\r\n"):
            more = client.recv(4096)
            assert more, data
            data += more
        assert data.startswith(b"HTTP/1.1 200 "), data
        return int(data.rsplit(b"\r\n", 1)[1])

    def get(self):
        with self.connect() as client:
            return self.ask(client)

    def hold(self, n):
        """So many connections that stay, each accepted before the next."""
        held = []
        before = sum(self.counts())
        for i in range(n):
            held.append(self.connect())
            until(lambda: sum(self.counts()) > before + i)
        return held


def close_all(clients):
    for client in clients:
        client.close()


def stop(pid):
    """SIGSTOP, and wait until each thread has heeded it."""
    os.kill(pid, signal.SIGSTOP)
    for thread in os.listdir("/proc/%d/task" % pid):
        stat = "/proc/%d/task/%s/stat" % (pid, thread)

        def has_stopped(path=stat):
            with open(path) as file:
                return file.read().rpartition(")")[2].split()[0] == "T"

        until(has_stopped)


@pytest.fixture
def folder(tmp_path_factory):
    return str(tmp_path_factory.mktemp("s"))


@pytest.mark.parametrize("kind", ["tcp", "tcp6", "unix", "two"])
def test_connections_that_stay_are_spread_over_the_workers(folder, kind):
    with Service(folder, kind) as service:
        held = service.hold(400)
        assert sum(service.counts()) == 400
        assert max(service.counts()) <= 160, service.counts()
        assert min(service.counts()) >= 50, service.counts()
        pids = {service.ask(client) for client in held[:40]}
        assert pids == set(service.serving().values())
        close_all(held)
        until(lambda: sum(service.counts()) == 0)


def test_bursts_are_spread_too(folder):
    with Service(folder) as service:
        held = []
        for _ in range(20):
            held += [service.connect() for _ in range(20)]
            until(lambda: sum(service.counts()) == len(held))
        assert max(service.counts()) <= 160, service.counts()
        assert min(service.counts()) >= 50, service.counts()
        close_all(held)


def test_without_balance_the_kernel_decides(folder):
    with Service(folder, accept_balance="off") as service:
        held = service.hold(100)
        assert sum(service.counts()) == 100
        close_all(held)


def test_where_every_worker_is_woken_the_spread_holds(folder):
    with Service(folder, env={"WSK_TEST_POLLER": "poll"}) as service:
        seen = []
        for _ in range(3):  # the machine may keep a worker from running
            held = service.hold(200)
            seen.append(service.counts())
            close_all(held)
            if max(seen[-1]) <= 80 and min(seen[-1]) >= 25:
                return
            until(lambda: sum(service.counts()) == 0)
        raise AssertionError(seen)


@pytest.mark.workers
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="no /proc")
@pytest.mark.parametrize("poller", ["", "poll"])
def test_a_worker_that_is_stopped_delays_nobody(folder, poller):
    with Service(folder, env={"WSK_TEST_POLLER": poller}) as service:
        held = service.hold(20)
        close_all(held)
        until(lambda: sum(service.counts()) == 0)
        stopped = service.serving()[1]
        stop(stopped)
        answered = [service.get() for _ in range(100)]
        assert stopped not in answered
        os.kill(stopped, signal.SIGCONT)
        held = []

        def goes_on():
            held.append(service.connect())
            return service.ask(held[-1]) == stopped

        until(goes_on)
        close_all(held)


@pytest.mark.workers
def test_a_worker_that_is_killed_takes_only_its_own_connections(folder):
    with Service(folder) as service:
        held = service.hold(40)
        owners = [service.ask(client) for client in held]
        victim = service.serving()[2]
        os.kill(victim, signal.SIGKILL)
        for client, owner in zip(held, owners):
            if owner == victim:
                assert client.recv(1) == b""
            else:
                assert service.ask(client) == owner
        assert victim not in [service.get() for _ in range(100)]
        until(lambda: service.board.slot(2)["state"] == "free")
        assert service.counts()[2] == 0
        service.start(2)
        until(lambda: 2 in service.serving())
        more = service.hold(10)
        assert service.counts()[2] >= 5  # it had none, the others ten
        close_all(held + more)


def test_a_worker_that_ceases_to_accept_keeps_its_connections(folder):
    with Service(folder, n=2) as service:
        held = service.hold(10)
        pid = service.serving()[0]
        os.kill(pid, signal.SIGUSR1)
        until(lambda: service.board.slot(0)["state"] == "ready")
        before = service.counts()[0]
        assert pid not in [service.get() for _ in range(50)]
        assert service.counts()[0] == before > 0
        assert pid in {service.ask(client) for client in held}
        close_all(held)


def test_a_worker_that_stops_is_seen_to_drain_and_to_go(folder):
    with Service(folder, n=2) as service:
        held = service.hold(10)
        owners = [service.ask(client) for client in held]
        pid = service.serving()[0]
        seen = []
        os.kill(pid, signal.SIGTERM)

        def gone():
            seen.append(service.board.slot(0)["state"])
            return seen[-1] == "free"

        until(gone)
        assert set(seen) <= {"serving", "draining", "gone", "free"}
        assert pid not in [service.get() for _ in range(20)]
        for client, owner in zip(held, owners):
            if owner != pid:
                assert service.ask(client) == owner
        close_all(held)


@pytest.mark.slow
def test_a_thousand_first_requests_to_an_idle_service(folder):
    with Service(folder) as service:
        answered = {service.get() for _ in range(1000)}
        assert answered <= set(service.serving().values())
        until(lambda: sum(service.counts()) == 0)


# ------------------------------------------------------------- one process


def hello(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def quiet(**options):
    return _wsocket.Server(
        hello, port=0, access_logfile="none", error_logfile="none", **options
    )


def talk(client):
    client.settimeout(PATIENCE)
    client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
    data = b""
    while not data.endswith(b"\r\n\r\nok"):
        more = client.recv(4096)
        assert more, data
        data += more
    return data.split(b"\r\n", 1)[0]


def test_a_server_with_a_board_serves_what_it_is_handed_before_it_accepts():
    board = _wsocket.Board(1)
    server = quiet()
    server.set_board(board, 3, generation=7)
    assert board.slot(3) == {
        "state": "boot", "pid": os.getpid(), "generation": 7, "connections": 0,
    }
    server.start()
    ours, theirs = socket.socketpair()
    server.adopt(theirs.detach())
    assert talk(ours) == b"HTTP/1.1 200 OK"
    assert board.slot(3)["state"] == "boot"
    assert board.slot(3)["connections"] == 1
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        assert not select.select([client], [], [], 0.2)[0]
        server.accept(True)
        client.settimeout(PATIENCE)
        assert client.recv(8) == b"HTTP/1.1"
    assert board.slot(3)["state"] == "serving"
    server.accept(False)
    until(lambda: board.slot(3)["state"] == "ready")
    assert talk(ours) == b"HTTP/1.1 200 OK"  # it goes on
    server.stop(1)
    assert server.join(PATIENCE)
    assert board.slot(3)["state"] == "gone"
    ours.close()


def test_a_server_without_a_board_can_start_without_accepting():
    server = quiet()
    server.accept(False)
    server.start()
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        assert not select.select([client], [], [], 0.2)[0]
        server.accept(True)
        client.settimeout(PATIENCE)
        assert client.recv(8) == b"HTTP/1.1"
    server.stop(1)
    assert server.join(PATIENCE)


def test_a_server_says_gone_when_it_never_started():
    board = _wsocket.Board(1)
    server = quiet()
    server.set_board(board, 0)
    del server
    assert board.slot(0)["state"] == "gone"


def test_only_a_connected_stream_socket_is_adopted():
    server = quiet()
    ours, theirs = socket.socketpair()
    with pytest.raises(RuntimeError):
        server.adopt(theirs.fileno())  # not started
    server.start()
    with socket.socket() as unconnected:
        with pytest.raises(ValueError, match="no connected stream socket"):
            server.adopt(unconnected.fileno())
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with pytest.raises(ValueError, match="no connected stream socket"):
        server.adopt(left.fileno())
    for bad in (-1, 1 << 40):
        with pytest.raises(ValueError, match="no descriptor"):
            server.adopt(bad)
    with pytest.raises(TypeError):
        server.adopt(theirs)  # its end would close the descriptor, too
    server.adopt(theirs.detach())
    assert talk(ours) == b"HTTP/1.1 200 OK"
    server.stop(1)
    assert server.join(PATIENCE)
    late, other = socket.socketpair()
    server.adopt(other.detach())  # too late: closed, not leaked
    late.settimeout(PATIENCE)
    assert late.recv(1) == b""
    for one in (ours, left, right, late):
        one.close()


def test_a_slot_belongs_to_one_server():
    board = _wsocket.Board(1)
    one, other = quiet(), quiet()
    one.set_board(board, 0)
    with pytest.raises(RuntimeError, match="slot 0 is taken"):
        other.set_board(board, 0)
    with pytest.raises(RuntimeError, match="has one"):
        one.set_board(board, 1)
    with pytest.raises(IndexError):
        other.set_board(board, len(board))
    with pytest.raises(IndexError):
        other.set_board(board, -1)
    with pytest.raises(TypeError):
        other.set_board(object(), 1)
    with pytest.raises(TypeError):
        other.set_board(board, "1")
    with pytest.raises(OverflowError):
        other.set_board(board, 1, 1 << 32)
    with pytest.raises(OverflowError):
        other.set_board(board, 1, -1)
    other.start()
    with pytest.raises(RuntimeError, match="before start"):
        other.set_board(board, 1)
    other.stop(0)
    assert other.join(PATIENCE)


def test_the_memory_of_a_board_lives_as_long_as_a_server_needs_it():
    board = _wsocket.Board(1)
    server = quiet()
    server.set_board(board, 0)
    del board
    server.start()
    server.accept(True)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        assert talk(client) == b"HTTP/1.1 200 OK"
    server.stop(1)
    assert server.join(PATIENCE)


def test_a_board_is_made_or_opened():
    board = _wsocket.Board(2)
    assert board.workers == 2
    assert len(board) == 12
    assert not os.get_inheritable(board.fileno())
    again = _wsocket.Board(fd=os.dup(board.fileno()))
    assert again.workers == 2
    assert board.take_first(4)
    assert not again.take_first(5)
    again.clear(4)
    assert again.take_first(5)
    board.set("generation", 1 << 63)
    with pytest.raises(ValueError, match="nothing shows workers"):
        board.set("workers", 1)
    with pytest.raises(OverflowError):
        board.set("generation", -1)
    with pytest.raises(TypeError):
        board.set("generation", 1.5)
    for bad in (0, -1, 1001):
        with pytest.raises(ValueError, match="from 1 to 1000"):
            _wsocket.Board(bad)
    with pytest.raises(OverflowError):
        _wsocket.Board(1 << 40)
    for nothing in ({}, {"workers": 1, "fd": 3}):
        with pytest.raises(TypeError, match="either workers or fd"):
            _wsocket.Board(**nothing)
    with open(os.devnull) as null:
        with pytest.raises(ValueError, match="no board"):
            _wsocket.Board(fd=null.fileno())
    with pytest.raises(OSError):
        _wsocket.Board(fd=-1)
    for method in (board.slot, board.clear, board.take_first):
        for bad in (-1, 12, 1 << 31):
            with pytest.raises(IndexError):
                method(bad)
        with pytest.raises(TypeError):
            method(None)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc")
def test_boards_and_handed_connections_leave_no_descriptor_behind():
    def round_trip():
        board = _wsocket.Board(1)
        again = _wsocket.Board(fd=os.dup(board.fileno()))
        server = quiet()
        server.set_board(again, 0)
        server.start()
        for _ in range(5):
            ours, theirs = socket.socketpair()
            server.adopt(theirs.detach())
            assert talk(ours) == b"HTTP/1.1 200 OK"
            ours.close()
        server.stop(1)
        assert server.join(PATIENCE)

    round_trip()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        round_trip()
    until(lambda: len(os.listdir("/proc/self/fd")) <= before)


def test_the_cpus_are_at_most_those_of_the_machine():
    assert 1 <= _wsocket.cpus() <= os.cpu_count()


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="no affinity here"
)
def test_the_cpus_follow_the_affinity():
    code = (
        "import os; from wsocket import _wsocket;"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "print(_wsocket.cpus())"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True
    )
    assert out.stdout.strip() == b"1"
