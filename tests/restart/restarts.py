#!/usr/bin/env python3
"""Restarts under load, of our server and of others: what is lost in them.

    tests/restart/restarts.py [--rounds N] [--server NAME]... [--action NAME]...
                         [--load "NAME=NUMBER ..."]

A server runs under the load of load.c, in a network namespace of its own where
that is permitted. N times an action is done to it:

    held    SIGTERM, and a new one when it has ended; the rig holds the listener
            and every server inherits it
    alone   the same, but each server binds the port for itself
    queue   as `held`, and 100 connections wait in its queue (SIGSTOP)
    last    100 connections wait in the queue of a server that bound the port
            for itself; SIGTERM, and no other comes before its end
    hup     SIGHUP to a supervisor; over when all its workers are new. Its
            memory and its descriptors must not grow

Three counts must agree: the clients', the kernel's (RST and the counters of its
listeners), and the server's own of handlers that ran. One line of a Markdown
table for each server and action; below it stands what must not be. The exit
status is 1 if there is such a thing for a server of ours.
"""

import argparse
import collections
import contextlib
import ctypes
import fcntl
import http.client
import json
import os
import random
import resource
import shlex
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LOAD = os.path.join(ROOT, "build", "restart", "load")
PEERS = os.path.join(ROOT, ".venv-bench")
PATIENCE = 60  # seconds until what must happen counts as never
BREATH = 0.5, 1.0  # seconds of load between two rounds, at random
QUEUED = 100
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
COUNTERS = ("OutRsts", "ListenDrops", "ListenOverflows", "TCPAbortOnClose",
            "TCPAbortOnData")
# TIME_WAIT past the kernel's limit is forgotten, and the FIN of a client is then
# answered by RST. A minute of this load leaves more of them than the default.
FORGOTTEN = "TCPTimeWaitOverflow"
# A FIN whose ACK is late is sent again, and may meet a client that is gone. Its
# kernel answers by RST, and no client has a socket any more that would see it.
AGAIN = "RetransSegs"
TIME_WAITS = "/proc/sys/net/ipv4/tcp_max_tw_buckets", b"4194304"
LISTENING = "0A"  # in /proc/net/tcp
ACCEPTS = 0x10000  # in /proc/net/unix
# What a supervisor may grow by in all rounds but the first two.
GROWTH = 1 << 20
# A SYN to a port without a listener may meet a TIME_WAIT of before. That is
# answered by ACK, and the client's kernel resets what it did not ask for: so one
# RST more in that many refused connects is no loss.
BY_TIME_WAIT = 500


# ------------------------------------------------------------- the kernel ---

def enter_namespace():
    """A network namespace for this process and all it starts; False if that is
    not permitted."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNET) != 0:
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            return False
        for path, text in (("uid_map", "0 %d 1" % uid), ("setgroups", "deny"),
                           ("gid_map", "0 %d 1" % gid)):
            with open("/proc/self/" + path, "w", encoding="ascii") as file:
                file.write(text)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack_from(
            "H", fcntl.ioctl(sock, SIOCGIFFLAGS, request), 16)[0]
        fcntl.ioctl(sock, SIOCSIFFLAGS,
                    struct.pack("16sH14x", b"lo", flags | IFF_UP))
    with contextlib.suppress(OSError), open(TIME_WAITS[0], "wb") as file:
        file.write(TIME_WAITS[1])
    return True


def counters():
    """The kernel's counters of this namespace that a loss would move."""
    found = {}
    for path in "/proc/self/net/snmp", "/proc/self/net/netstat":
        with open(path, encoding="ascii") as file:
            lines = [line.split() for line in file]
        for names, values in zip(lines[::2], lines[1::2]):
            found.update((n, int(v)) for n, v in zip(names[1:], values[1:])
                         if n in (*COUNTERS, FORGOTTEN, AGAIN)
                         and names[0] in ("Tcp:", "TcpExt:"))
    return found


def listening(port):
    """Whether a port has a listener."""
    with open("/proc/self/net/tcp", encoding="ascii") as file:
        next(file)
        for line in file:
            _, local, _, state = line.split()[:4]
            if state != LISTENING:  # listeners stand first; then come many
                break
            if int(local.split(":")[1], 16) == port:
                return True
    return False


def listening_at(path):
    """Whether a Unix socket has a listener."""
    with open("/proc/self/net/unix", encoding="utf-8") as file:
        next(file)
        for line in file:
            words = line.split()
            if words[7:] == [path] and int(words[3], 16) & ACCEPTS:
                return True
    return False


def size_of(pid):
    """The resident bytes of a process, and its descriptors."""
    with open("/proc/%d/statm" % pid, encoding="ascii") as file:
        pages = int(file.read().split()[1])
    return pages * resource.getpagesize(), len(os.listdir("/proc/%d/fd" % pid))


def workers(pid):
    """The children of a supervisor, without the helper of multiprocessing."""
    found = set()
    path = "/proc/%d/task/%d/children" % (pid, pid)
    with open(path, encoding="ascii") as file:
        children = file.read().split()
    for child in children:
        with contextlib.suppress(OSError):
            with open("/proc/%s/cmdline" % child, "rb") as file:
                if b"resource_tracker" not in file.read():
                    found.add(int(child))
    return found


def wait_until(condition, what, said=lambda: ""):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError("never: %s\n%s" % (what, said()))
        time.sleep(0.005)


def catches(pid, number):
    """Whether a process has a handler for a signal."""
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        caught = next(line for line in file if line.startswith("SigCgt:"))
    return int(caught.split()[1], 16) >> (number - 1) & 1


# ------------------------------------------------------------- the clients ---

def build_load():
    """Compile the load, unless it is newer than its sources."""
    sources = [os.path.join(HERE, name) for name in
               ("load.c", "talk.c", "tally.c", "load.h")]
    if os.path.exists(LOAD) and os.path.getmtime(LOAD) > max(
            map(os.path.getmtime, sources)):
        return LOAD
    os.makedirs(os.path.dirname(LOAD), exist_ok=True)
    made = "%s.%d" % (LOAD, os.getpid())
    subprocess.check_call(["cc", "-std=c11", "-O2", "-Wall", "-Wextra",
                           "-D_GNU_SOURCE", "-o", made,
                           *sources[:3]])
    os.replace(made, LOAD)
    return LOAD


class Clients:
    """load, which runs."""

    def __init__(self, place, *words):
        self.process = subprocess.Popen([build_load(), str(place), *words],
                                        stdout=subprocess.PIPE, text=True)

    def now(self):
        """The counts of the moment."""
        wait_until(lambda: catches(self.process.pid, signal.SIGUSR1),
                   "load has begun")
        self.process.send_signal(signal.SIGUSR1)
        return json.loads(self.process.stdout.readline())

    def end(self, stop=True):
        """The counts at the end; `stop`: which is asked for."""
        if stop:
            self.process.terminate()
        said = self.process.communicate(timeout=2 * PATIENCE)[0]
        return json.loads(said.splitlines()[-1])

    def connected(self):
        return sum(kind["connected"] for kind in self.now()["kinds"].values())

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


# -------------------------------------------------------------- the server ---

class Server:
    """The process that serves, and those that came before. `listener`: they
    inherit it; else each binds the port, or the path, for itself."""

    def __init__(self, name, command, folder, path=None, listener=None):
        self.name = name
        self.command = command
        self.listener = listener
        self.handled = os.path.join(folder, "handled")
        self.log = open(os.path.join(folder, "log"), "w+", encoding="utf-8")
        self.path = path
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            bound = probe if path or not listener else listener
            self.port = bound.getsockname()[1]
        self.place = path or self.port  # of the clients
        self.process = None

    def start(self):
        where = {"fd": -1, "bind": "unix:%s" % self.path if self.path else
                 "127.0.0.1:%d" % self.port, "port": self.port}
        if self.listener:
            where["fd"] = self.listener.fileno()
        self.process = subprocess.Popen(
            [part.format(**where) for part in self.command(self.listener)],
            cwd=HERE, stdout=self.log, stderr=self.log, start_new_session=True,
            env=dict(os.environ, HANDLED=self.handled),
            pass_fds=[where["fd"]] if self.listener else [])
        wait_until(self.answers, self.name + " answers", self.said)

    def answers(self):
        """Whether it answers. Only a port with a listener is asked, so that no
        refusal is added to the kernel's count."""
        if self.process.poll() is not None:
            raise RuntimeError("%s has ended\n%s" % (self.name, self.said()))
        if not (listening_at(self.path) if self.path else listening(self.port)):
            return False
        asks = http.client.HTTPConnection("127.0.0.1", self.port,
                                          timeout=PATIENCE)
        if self.path:
            asks.sock = socket.socket(socket.AF_UNIX)
            asks.sock.settimeout(PATIENCE)
            asks.sock.connect(self.path)
        with contextlib.closing(asks):
            asks.request("GET", "/pid", headers={"Connection": "close"})
            answer = asks.getresponse()
            answer.read()  # or the kernel would reset the connection
            return answer.status == 200

    def stop(self):
        """SIGTERM, and wait for the end."""
        self.process.terminate()
        self.process.wait(PATIENCE)

    def signal_all(self, number):
        os.killpg(self.process.pid, number)

    def said(self):
        self.log.seek(0)
        return self.log.read()[-2000:]

    def counted(self):
        """How many handlers of requests and of WebSockets it has run."""
        with open(self.handled, "rb") as file:
            counts = collections.Counter(file.read())
        return counts[ord("h")], counts[ord("w")]

    def kill(self):
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                self.signal_all(signal.SIGKILL)
            self.process.wait()
        self.log.close()


def wsocket(*more):
    def command(listener):
        bind = "fd:{fd}" if listener else "{bind}"
        return [sys.executable, "-m", "wsocket", "--bind", bind,
                "--access-logfile", "none", *more, "service:app"]
    return command


def gunicorn(*more):
    def command(listener):
        bind = "fd://{fd}" if listener else "127.0.0.1:{port}"
        return [sys.executable, "-m", "gunicorn", "--bind", bind, *more,
                "service:app"]
    return command


def uvicorn(*more):
    def command(listener):
        where = ["--fd", "{fd}"] if listener else ["--port", "{port}"]
        return [os.path.join(PEERS, "bin", "uvicorn"), *where, *more,
                "--no-access-log", "service_asgi:app"]
    return command


def granian(*more):
    def command(listener):
        return [os.path.join(PEERS, "bin", "granian"), "--interface", "asgi",
                "--port", "{port}", *more, "service_asgi:app"]
    return command


GRACE = "--graceful-timeout", "10"
GTHREAD = "-k", "gthread", "--threads", "600", *GRACE
OURS = "-k", "wsocket.gunicorn.Worker", "--threads", "64", *GRACE
# name: (command, actions, packages of PEERS)
SINGLE = "held", "alone", "queue", "last"
SERVERS = {
    "wsocket": (wsocket(), SINGLE, ()),
    "wsocket, 2 workers": (
        wsocket("--workers", "2"), ("held", "alone", "hup"), ()),
    "wsocket, Unix socket": (wsocket(), SINGLE, ()),
    "wsocket, 2 workers, Unix socket": (
        wsocket("--workers", "2"), ("held", "alone", "hup"), ()),
    "gunicorn gthread": (gunicorn(*GTHREAD), SINGLE, ()),
    "gunicorn gthread, 2 workers": (
        gunicorn(*GTHREAD, "-w", "2"), ("hup",), ()),
    "gunicorn, wsocket's worker": (gunicorn(*OURS), SINGLE, ()),
    "gunicorn, 2 of wsocket's workers": (
        gunicorn(*OURS, "-w", "2"), ("hup",), ()),
    "uvicorn": (uvicorn(), SINGLE, ("uvicorn[standard]",)),
    "uvicorn, 2 workers": (
        uvicorn("--workers", "2"), ("hup",), ("uvicorn[standard]",)),
    "granian": (granian(), ("alone",), ("granian",)),
    "granian, 2 workers": (
        granian("--workers", "2"), ("hup",), ("granian",)),
}


def is_ours(name):
    return "wsocket" in name


def prepare(name):
    """None if the server can be run, else why not."""
    packages = SERVERS[name][2]
    if name.startswith("wsocket, 2 workers"):
        said = subprocess.run([sys.executable, "-m", "wsocket", "--help"],
                              stdout=subprocess.PIPE, text=True).stdout
        return None if "--workers" in said else "wsocket has no --workers"
    python = os.path.join(PEERS, "bin", "python")
    try:
        if packages and not os.path.exists(python):
            subprocess.check_call([sys.executable, "-m", "venv", PEERS])
        if packages and not os.path.exists(
                os.path.join(PEERS, "bin", name.split(",")[0])):
            subprocess.check_call([python, "-m", "pip", "-q", "install",
                                   "--retries", "8", *packages])
    except subprocess.CalledProcessError:
        return "%s cannot be installed here" % " ".join(packages)
    return None


# ------------------------------------------------------------- the actions ---

def restart(server):
    server.stop()
    server.start()


def stop_with_a_queue(server, then=None):
    """A crowd of its own waits in the queue; what became of it."""
    server.signal_all(signal.SIGSTOP)
    crowd = Clients(server.place, "connect=50", "hesitate=50",
                    "connections=%d" % QUEUED)
    wait_until(lambda: crowd.connected() == QUEUED,
               "%d wait in the queue" % QUEUED)
    server.process.terminate()
    server.signal_all(signal.SIGCONT)
    server.process.wait(PATIENCE)
    if then:
        then()
    return crowd.end(stop=False)


def restart_with_a_queue(server):
    return stop_with_a_queue(server, server.start)


def last_stop(server):
    """The load has ended; a crowd waits, and no server comes."""
    crowd = stop_with_a_queue(server)
    server.start()
    return crowd


def reload(server):
    pid = server.process.pid
    before = workers(pid)
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: workers(pid) and not before & workers(pid),
               server.name + " has new workers", server.said)
    wait_until(server.answers, server.name + " answers", server.said)


ACTIONS = {"held": restart, "alone": restart, "queue": restart_with_a_queue,
           "last": last_stop, "hup": reload}
HOLDS = "held", "queue"  # the rig holds the listener
BACKLOG = 4096


def play(name, action, rounds, words):
    """What the clients, the kernel and the server have counted."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        path = None
        if name.endswith("Unix socket"):
            path = os.path.join(folder, "sock")
        listener = None
        if action in HOLDS:
            family = socket.AF_UNIX if path else socket.AF_INET
            listener = stack.enter_context(socket.socket(family))
            listener.bind(path or ("127.0.0.1", 0))
            listener.listen(BACKLOG)
        server = Server(name, SERVERS[name][0], folder, path, listener)
        stack.callback(server.kill)
        server.start()
        before = counters()
        reports, seconds, sizes = [], [], []
        clients = None
        if action != "last":
            clients = Clients(server.place, "seconds=86400",
                              "connections=99999999", *words)
            stack.callback(clients.kill)
        for _ in range(rounds):
            if clients:
                time.sleep(random.uniform(*BREATH))
            began = time.monotonic()
            reports.append(ACTIONS[action](server))
            seconds.append(time.monotonic() - began)
            sizes.append(size_of(server.process.pid))
        if clients:
            time.sleep(BREATH[1])
            reports.append(clients.end())
        after = counters()
        return {"reports": [report for report in reports if report],
                "seconds": max(seconds), "handled": server.counted(),
                "grown": grown(sizes) if action == "hup" else None,
                "kernel": {key: after[key] - before[key] for key in after}}


def grown(sizes):
    """By how many bytes and descriptors a supervisor has grown since the second
    round, after which it has seen everything once; None: there was no third."""
    if len(sizes) < 3:
        return None
    return sizes[-1][0] - sizes[1][0], sizes[-1][1] - sizes[1][1]


# -------------------------------------------------------------- the verdict ---

def merged(reports, *path):
    """The sums of a dictionary of each report, without what is 0."""
    result = collections.Counter()
    for report in reports:
        for key in path:
            report = report[key]
        result.update({key: n for key, n in report.items() if n and
                       isinstance(n, int)})
    return result


def by_kind(reports, key):
    """The sums of a count, or of a dictionary of counts, over all kinds."""
    result = collections.Counter()
    for report in reports:
        for kind in report["kinds"].values():
            result.update(kind[key] if isinstance(kind[key], dict)
                          else {key: kind[key]})
    return {name: n for name, n in result.items() if n}


def number(reports, key):
    return by_kind(reports, key).get(key, 0)


def lost_by_kind(reports):
    result = collections.Counter()
    for report in reports:
        for name, kind in report["kinds"].items():
            result[name] += sum(kind["lost"].values())
    return {name: n for name, n in result.items() if n}


def plain_answers(reports):
    return sum(kind["answered"] for report in reports
               for name, kind in report["kinds"].items()
               if name not in ("echo", "idle"))


def faults(action, result):
    """What must not be, in words."""
    reports, kernel = result["reports"], result["kernel"]
    lost, refused = by_kind(reports, "lost"), number(reports, "refused")
    seen = resets(reports)
    unexplained = kernel["OutRsts"] - refused - kernel[FORGOTTEN]
    unseen = max(0, unexplained - sum(seen.values()))
    unexplained -= min(unseen, kernel[AGAIN])
    if lost:
        yield "LOST %s, of %s" % (words_of(lost),
                                  words_of(lost_by_kind(reports)))
    for how, n in merged(reports, "websockets", "violations").items():
        yield "%d WebSockets ended without a Close: %s" % (n, how)
    if refused and action not in ("alone", "last"):
        yield "%d were refused" % refused
    if unexplained > refused // BY_TIME_WAIT:
        yield "%d RST beside the %d of the refused and the %d segments that " \
            "were sent again; the clients saw %s" % (
                unexplained, refused, kernel[AGAIN], words_of(seen) or "none")
    for key in COUNTERS[1:]:
        if kernel[key]:
            yield "%s grew by %d" % (key, kernel[key])
    if not all(report["balanced"] for report in reports):
        yield "the clients' counts do not add up"
    memory, descriptors = result["grown"] or (0, 0)
    if memory > GROWTH or descriptors > 0:
        yield "the supervisor grew by %d KiB and %d descriptors" % (
            memory >> 10, descriptors)
    yield from disagreements(reports, result["handled"])


def disagreements(reports, handled):
    """Where clients and server have not counted the same."""
    sent = sum(report["sent"] for report in reports)
    answered = plain_answers(reports)
    opened = merged(reports, "websockets")["opened"]
    excused = number(reports, "race") + number(reports, "unprocessed")
    if not answered <= handled[0] <= sent or (
            not by_kind(reports, "lost") and not excused
            and handled[0] != answered):
        yield "%d handlers ran, %d were answered" % (handled[0], answered)
    if handled[1] != opened:
        yield "%d WebSockets were accepted, %d opened" % (handled[1], opened)


def resets(reports):
    """Where the clients saw RST."""
    found = {key: number(reports, key) for key in
             ("late_reset", "idle_reset", "unconnected")}
    found["lost"] = by_kind(reports, "lost").get("reset", 0)
    found["after a Close"] = merged(reports, "websockets")["reset_after_close"]
    found["race"] = number(reports, "race")
    return {key: n for key, n in found.items() if n}


def words_of(counts):
    return ", ".join("%d %s" % (n, key) for key, n in counts.items())


COLUMNS = ("server", "action", "rounds", "answered", "lost", "race", "refused",
           "RST", "drops", "aborts", "WebSockets", "closed", "violations",
           "longest", "grown")


def row(name, action, rounds, result):
    reports, kernel = result["reports"], result["kernel"]
    sockets = merged(reports, "websockets")
    return (name, action, rounds, plain_answers(reports),
            sum(by_kind(reports, "lost").values()), number(reports, "race"),
            number(reports, "refused"), kernel["OutRsts"],
            kernel["ListenDrops"] + kernel["ListenOverflows"],
            kernel["TCPAbortOnClose"] + kernel["TCPAbortOnData"],
            sockets["opened"],
            " ".join("%d × %s" % (n, code) for code, n in merged(
                reports, "websockets", "codes").items()) or "-",
            sum(merged(reports, "websockets", "violations").values()),
            "%.1f s" % result["seconds"],
            "%+d KiB, %+d" % (result["grown"][0] >> 10, result["grown"][1])
            if result["grown"] else "-")


def print_row(cells):
    print("| %s |" % " | ".join(map(str, cells)), flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--server", action="append", choices=SERVERS)
    parser.add_argument("--action", action="append", choices=ACTIONS)
    parser.add_argument("--load", default="", metavar="WORDS")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("at least one round")
    build_load()
    ready, notes = [], []
    for name in args.server or SERVERS:
        why = prepare(name)
        notes += ["%s: left out, %s" % (name, why)] if why else []
        ready += [] if why else [name]
    print("In %s." % ("a network namespace of its own" if enter_namespace() else
                      "the host's network namespace, whose counters include "
                      "other programs"))
    print()
    print_row(COLUMNS)
    print_row(["---"] * len(COLUMNS))
    failed = False
    for name in ready:
        for action in SERVERS[name][1]:
            if args.action and action not in args.action:
                continue
            try:
                result = play(name, action, args.rounds, shlex.split(args.load))
            except (RuntimeError, OSError, subprocess.TimeoutExpired) as exc:
                found = ["did not come to its end: %s" % exc]
            else:
                print_row(row(name, action, args.rounds, result))
                found = list(faults(action, result))
            notes += ["%s, %s: %s" % (name, action, text) for text in found]
            failed |= is_ours(name) and bool(found)
    for note in notes:
        print("\n- " + note)
    return failed


if __name__ == "__main__":
    sys.exit(main())
