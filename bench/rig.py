"""What the benches share: builds, servers on one core, CPU time, tables."""

import contextlib
import os
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
SETTLE = 0.3


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


def build_program(name, *libraries):
    """bench/NAME.c to build/bench/NAME; False when that is not possible."""
    return quietly(["cc", "-O2", "-D_GNU_SOURCE", "-o",
                    os.path.join(FOLDER, name), os.path.join(HERE, name + ".c"),
                    *libraries])


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


def cpu_seconds(session):
    """User and system time of all processes of a session, threads and children
    included, those already waited for as well."""
    total = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid, encoding="utf-8") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session:  # proc(5): session is the 6th field
            total += sum(map(int, fields[11:15]))
    return total / TICKS


def load(command):
    """The output of a load program, on its core."""
    return subprocess.check_output(["taskset", "-c", LOAD_CORE, *command],
                                   cwd=HERE, text=True)


def measure(session, run):
    """run() -> (units, seconds, errors), and the CPU time it cost."""
    time.sleep(SETTLE)
    before = cpu_seconds(session)
    units, seconds, errors = run()
    used = cpu_seconds(session) - before
    return {"rate": units / seconds, "errors": errors,
            "cpu_us": used / units * 1e6 if units else float("inf")}


# ------------------------------------------------------------ reporting ---

def interleaved(rounds, servers, rows, play):
    """play(server, row names) -> {row: measurement}; all of them, `rounds`
    times in turn, so that a machine that slows down slows all of them."""
    results = {row: {server: [] for server in servers} for row in rows}
    for turn in range(rounds):
        for server in servers:
            print("round %d: %s" % (turn + 1, server), file=sys.stderr)
            for row, measured in play(server, rows).items():
                results[row][server].append(measured)
    return results


def median(measurements, key):
    return statistics.median(m[key] for m in measurements)


def report(results, floor, notes=None):
    """A table for each row. `floor` is whose cost the others are set beside."""
    for row, servers in results.items():
        base = servers.get(floor) and median(servers[floor], "cpu_us")
        print("\n%-24s %10s %10s %9s %7s" % (
            row, "per second", "CPU us", "x " + floor, "errors"))
        for server, measurements in servers.items():
            if not measurements:
                continue
            cost = median(measurements, "cpu_us")
            print("%-24s %10.0f %10.2f %9s %7d  %s" % (
                "  " + server, median(measurements, "rate"), cost,
                "%.2f" % (cost / base) if base else "-",
                sum(m["errors"] for m in measurements),
                (notes or {}).get((server, row), "")))
