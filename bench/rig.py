"""What the benches share: builds, servers on one core, CPU time, pairs, tables.

A machine's speed drifts within seconds, so what is compared is measured side by
side: the servers of a row all run, and short bursts of the load go from one to
the next, forward and backward in turn. Each ratio is the median of the ratios of
single rounds, with its quartiles.
"""

import contextlib
import functools
import json
import os
import platform
import re
import signal
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
VENV = os.path.join(ROOT, ".venv-bench")
PYTHON = os.path.join(VENV, "bin", "python")
FOLDER = os.path.join(ROOT, "build", "bench")
TICKS = os.sysconf("SC_CLK_TCK")
SERVER_CORE, LOAD_CORE = "0", "1"
SETTLE = 0.1  # seconds; what one burst left behind is no part of the next
IDLE_SECONDS, IDLE_MOST = 1, 0.005


# ------------------------------------------------------------- building ---

def quietly(args, **more):
    return subprocess.run(args, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, **more).returncode == 0


def pip(*packages):
    return [PYTHON, "-m", "pip", "-q", "install", "--retries", "8", *packages]


def build_library():
    """The environment, libwsocket and the C examples, for release."""
    if not os.path.exists(PYTHON):
        subprocess.check_call([sys.executable, "-m", "venv", VENV])
    subprocess.check_call(pip("meson>=1.0", "meson-python>=0.15"))
    subprocess.check_call(
        [os.path.join(VENV, "bin", "meson"), "setup", "--reconfigure", FOLDER,
         "--buildtype=release", "-Dexamples=enabled", "-Dpython=disabled",
         "-Dtests=disabled"],
        cwd=ROOT, stdout=subprocess.DEVNULL)
    subprocess.check_call(["ninja", "--quiet", "-C", FOLDER])


def build_program(name, *libraries, source=None):
    """bench/NAME.c, or that of `source`, to build/bench/NAME; False when that is
    not possible."""
    return quietly(["cc", "-O2", "-D_GNU_SOURCE", "-o",
                    os.path.join(FOLDER, name),
                    os.path.join(HERE, (source or name) + ".c"), *libraries])


@functools.lru_cache()
def install_package():
    subprocess.check_call(pip("--force-reinstall", "--no-deps", ROOT))


def have(module, *packages):
    return quietly([PYTHON, "-c", "import " + module]) or (
        quietly(pip(*packages)) and quietly([PYTHON, "-c", "import " + module]))


# ------------------------------------------------------------ measuring ---

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
    raise RuntimeError("does not answer: %s" % process.args)


@contextlib.contextmanager
def serving(command):
    """A server on its core, in bench/; gives its port and session."""
    port = free_port()
    process = subprocess.Popen(
        ["taskset", "-c", SERVER_CORE,
         *(part.format(port=port) for part in command)],
        cwd=HERE, start_new_session=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield port, process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def cpu_clock(pid):
    """The clock of a process' CPU time, by linux/posix-timers.h."""
    return ~pid << 3 | 2


def cpu_seconds(session):
    """User and system time of all processes of a session: in nanoseconds from
    their CPU clocks, which keep what ended threads used, as schedstat does not;
    of children already waited for, in the ticks of stat."""
    total = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid, encoding="utf-8") as file:
                fields = file.read().rpartition(")")[2].split()
            if int(fields[3]) == session:  # proc(5): session is the 6th field
                total += time.clock_gettime(cpu_clock(int(pid)))
                total += sum(map(int, fields[13:15])) / TICKS
        except OSError:  # it has ended
            continue
    return total


def load(command):
    """The output of a load program, on its core."""
    return subprocess.check_output(["taskset", "-c", LOAD_CORE, *command],
                                   cwd=HERE, text=True)


def messages(program, meter, port, *words):
    """Messages, seconds, errors of a load of WebSockets. What it takes to open
    and to close them is not measured."""
    command = ["taskset", "-c", LOAD_CORE, os.path.join(FOLDER, program),
               str(port), "/", *map(str, words), "told"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True,
                          stdout=subprocess.PIPE, cwd=HERE) as process:
        if process.stdout.readline():  # all are open
            with meter:
                process.stdin.write("\n")
                process.stdin.flush()
                said = process.stdout.readline()
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    said = json.loads(said)
    return said["messages"], said["seconds"], said["errors"]


class Meter:
    """with meter: ...  # adds the CPU time that a session uses to meter.used"""

    def __init__(self, session):
        self.session, self.used = session, 0.0

    def __enter__(self):
        self.used -= cpu_seconds(self.session)

    def __exit__(self, *reason):
        self.used += cpu_seconds(self.session)


def measure(session, run):
    """run(meter) -> (units, seconds, errors), and the CPU time it cost."""
    time.sleep(SETTLE)
    meter = Meter(session)
    units, seconds, errors = run(meter)
    return {"rate": units / seconds, "errors": errors,
            "cpu_us": meter.used / units * 1e6 if units else float("inf")}


# ------------------------------------------------------------ comparing ---

def restless(served):
    """The servers that use CPU though nobody asks, and how much of it."""
    before = {server: cpu_seconds(session)
              for server, (_, session) in served.items()}
    time.sleep(IDLE_SECONDS)
    for server, (_, session) in served.items():
        share = (cpu_seconds(session) - before[server]) / IDLE_SECONDS
        if share > IDLE_MOST:
            yield server, ("%.1f %% CPU when idle: stopped between its bursts" %
                           (100 * share))


def in_turn(rounds, servers, play):
    """play(server) for each, `rounds` times, forward and backward in turn; a
    server whose load fails is out."""
    measured = {server: [] for server in servers}
    for turn in range(rounds):
        for server in list(measured)[::-1 if turn % 2 else 1]:
            try:
                measured[server].append(play(server))
            except subprocess.CalledProcessError:
                del measured[server]
    return measured


def compare(bench, row, servers, rounds, seconds):
    """The measurements of a row by server, and notes on servers."""
    def warm(server):
        bench.burst(server, served[server][0], row, bench.WARM_UP,
                    contextlib.nullcontext())

    def play(server):
        port, session = served[server]
        if server in notes:
            os.killpg(session, signal.SIGCONT)
        measured = measure(session, lambda meter: bench.burst(
            server, port, row, seconds, meter))
        if server in notes:
            os.killpg(session, signal.SIGSTOP)
        return measured

    with contextlib.ExitStack() as stack:
        served = {}
        for server in servers:
            command = bench.command(server, row)
            if command:
                served[server] = stack.enter_context(serving(command))
        able = in_turn(1, served, warm)
        time.sleep(SETTLE)
        notes = dict(restless({server: served[server] for server in able}))
        for server in notes:
            os.killpg(served[server][1], signal.SIGSTOP)
        measured = in_turn(rounds, able, play)
    notes.update((server, "takes no connection any more")
                 for server in served if server not in measured)
    return measured, notes


# ------------------------------------------------------------ reporting ---

def median(measurements, key):
    return statistics.median(m[key] for m in measurements)


def spread(figures, digits=2):
    """Their median and quartiles, in words."""
    low, middle, high = (statistics.quantiles(figures, n=4, method="inclusive")
                         if len(figures) > 1 else figures * 3)
    return "%.*f [%.*f-%.*f]" % (digits, middle, digits, low, digits, high)


def ratio(measurements, base, key="cpu_us"):
    """How many times that of `base`: median and quartiles of the rounds."""
    if not base or float("inf") in [m[key] for m in measurements + base]:
        return "-"
    return spread([one[key] / other[key]
                   for one, other in zip(measurements, base)])


def record(path, bench, row, results, floor, ours):
    """Add a row to a file of JSON: per server CPU us, the rate, and the ratios
    that report() prints. tools/plots.py draws it."""
    kept = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            kept = json.load(file)
    kept.setdefault("bench", bench)
    kept.update(floor=floor, ours=ours, machine=machine())
    kept.setdefault("rows", {})[row] = {
        server: {"cpu_us": round(median(measurements, "cpu_us"), 3),
                 "rate": round(median(measurements, "rate")),
                 "floor": ratio(measurements, results.get(floor)),
                 "ours": ratio(measurements, results.get(ours)),
                 "rounds": len(measurements)}
        for server, measurements in results.items()}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(kept, file, indent=1)
        file.write("\n")


def machine():
    """What the figures were taken on, in a line."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    return "%s, Linux %s, Python %s" % (
        model[1] if model else platform.machine(),
        platform.release().split("-")[0], platform.python_version())


LINE = "%-24s %10s %8s  %-20s %-20s %6s  %s"


def report(row, results, notes, floor, ours):
    """The table of a row; `floor` and `ours` are what others are set beside."""
    print()
    print((LINE % (row, "per second", "CPU us", "x " + floor, "x " + ours,
                   "errors", "")).rstrip())
    for server, measurements in results.items():
        print((LINE % (
            "  " + server, "%.0f" % median(measurements, "rate"),
            "%.2f" % median(measurements, "cpu_us"),
            ratio(measurements, results.get(floor)),
            ratio(measurements, results.get(ours)),
            sum(m["errors"] for m in measurements),
            "; ".join(notes[server]))).rstrip())
    for server, texts in notes.items():
        if texts and server not in results:
            print("  %-22s %s" % (server, "; ".join(texts)))
    sys.stdout.flush()
