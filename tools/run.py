#!/usr/bin/env python3
"""The work behind the Makefile: environments, build folders, test stages.

    tools/run.py check | test
    tools/run.py install VENV | library PREFIX | uninstall PREFIX
    tools/run.py fuzz SECONDS | replay FILE...
    tools/run.py soak SECONDS | slow SECONDS | peers SECONDS
    tools/run.py endings | parked | swaps | restarts ROUNDS | faults | long
    tools/run.py conformance [DIR]

Only the standard library is needed. Every stage counts what passed and what
failed; the last line of `check` and `test` is the sum.
"""

import concurrent.futures
import functools
import glob
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import xml.etree.ElementTree as ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = ".venv"
BUILD_TOOLS = ["meson>=1.0", "meson-python>=0.18"]
TO_CHECK = "tests/requirements.txt"
TO_TEST = "tests/requirements-all.txt"
# Most tests wait for something, so more of them than there are cores.
SIDE_BY_SIDE = ["-n", "4", "--dist", "worksteal"]
C_SIDE_BY_SIDE = ["--num-processes", "8"]
# Of tests/servers/matrix.py, what the tests' own environment has.
OTHERS = ["werkzeug", "gunicorn gthread", "wsgiref, threads"]
# What takes long to compile or to run for what it tells is left to `test`; so are
# sanitizers.
QUICK_BUILD = ["-Dbuildtype=plain", "-Doptimization=2"]
# To optimize further, or to describe every variable, takes twice as long to
# compile.
SANITIZED = ["-Doptimization=1", "-Dc_args=-g1", "-Db_lundef=false"]
ASAN_BUILD = ["-Db_sanitize=address,undefined", "-Dbuildtype=plain",
              *SANITIZED]
CORE = ["tests/python", "-m", "not slow and not heavy and not programs"]
NOT_SLOW = ["tests/python", "-m", "not slow"]
# For what has nothing to do with the programs that tests start.
IN_PROCESS = ["tests/python", "-m", "not slow and not programs"]
NEWEST = (3, 14)
OLDEST = (3, 9)
# Where the loader and pkg-config look by themselves.
KNOWN_PREFIXES = ["/usr", "/usr/local"]
# What a desk sets and a bare machine does not: tests that need it would pass at
# the desk alone.
DESK = ["PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH",
        "PYTHONHASHSEED", "PYTHONWARNINGS", "PYTHONDEVMODE", "PYTHONUTF8",
        "PYTHONIOENCODING", "PYTHONASYNCIODEBUG", "PYTHONSTARTUP"]


# ------------------------------------------------------------ processes ---

def call(args, limit=900, **more):
    """Run a program; its exit status, or None when it took too long.

    It gets a process group of its own, so that what it started ends with it.
    """
    with subprocess.Popen(args, start_new_session=True, **more) as process:
        try:
            return process.wait(limit)
        except BaseException as reason:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(reason, subprocess.TimeoutExpired):
                raise
            print("took over %d s: %s" % (limit, shlex.join(args)))
            return None


def quietly(args, **more):
    """Whether a program succeeds; what it printed is shown only if not."""
    process = subprocess.run(args, stdout=subprocess.PIPE, text=True,
                             stderr=subprocess.STDOUT, **more)
    if process.returncode != 0:
        print(process.stdout)
    return process.returncode == 0


def must(args, **more):
    if call(args, **more) != 0:
        sys.exit("failed: " + shlex.join(args))


def read(path):
    """The text of a file; None when there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


# --------------------------------------------------------- environments ---

def environment(path, python=sys.executable, requirements=None):
    """The Python of a virtual environment that holds the build tools."""
    wanted = BUILD_TOOLS + (["-r", requirements] if requirements else [])
    recipe = " ".join(wanted)
    if requirements:
        recipe += read(TO_CHECK) + read(TO_TEST) + read(requirements)
    stamp = os.path.join(
        path, ".with-" + hashlib.sha1(recipe.encode()).hexdigest()[:12])
    inside = os.path.join(path, "bin", "python")
    if not os.path.exists(stamp):
        print("making %s" % path, flush=True)
        # Python compiles what it imports, which is a fraction of it all.
        pip = [inside, "-m", "pip", "-q", "--retries", "8", "install",
               "--no-compile", "--disable-pip-version-check"]
        if not glob.glob(os.path.join(path, ".with-*")):
            must([python, "-m", "venv", path])
        must(pip + ["pip>=23.1"])
        must(pip + wanted)
        with open(stamp, "w", encoding="utf-8"):
            pass
    return inside


def version_of(python):
    """(3, 11), or None when there is no such program."""
    try:
        text = subprocess.check_output(
            [python, "-c", "import sys; print(*sys.version_info[:2])"])
    except (OSError, subprocess.CalledProcessError):
        return None
    return tuple(map(int, text.split()))


def other_pythons():
    """The oldest and newest Python we promise, where pyenv or the PATH has
    them; and the one before the newest, where that is not out yet."""
    root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    mine = version_of(sys.executable)
    for version in OLDEST, (NEWEST[0], NEWEST[1] - 1), NEWEST:
        pattern = os.path.join(root, "versions", "%d.%d.*" % version)
        found = sorted(glob.glob(os.path.join(pattern, "bin", "python")))
        found += filter(None, [shutil.which("python%d.%d" % version)])
        usable = [path for path in found if version_of(path) == version]
        if usable and version != mine:
            yield usable[0]


def package(inside, command, *setup):
    """pip's `command` for the package, with assertions on, in `inside`."""
    folder = os.path.join("build", "python-%d.%d" % version_of(inside) +
                          "-".join(("",) + setup).replace("/", "-"))
    tools = os.path.abspath(os.path.dirname(inside))
    return quietly([inside, "-m", "pip", "-q", *command,
                    "--no-build-isolation", "--no-deps",
                    ".", "-Cbuild-dir=" + folder,
                    "-Csetup-args=-Db_ndebug=false",
                    "-Csetup-args=-Dwerror=true",
                    *("-Csetup-args=" + option for option in setup)],
                   env=dict(os.environ, PATH=tools + os.pathsep +
                            os.environ["PATH"]))


def install(inside, *setup):
    """The package into the environment of `inside`."""
    return package(inside, ["install", "--force-reinstall"], *setup)


def meson():
    return os.path.join(os.path.dirname(environment(VENV)), "meson")


def build(name, compiler, *options, only=None):
    """build/NAME, configured and up to date; None when it does not compile.
    `only` is a pattern: of the C tests, those are built, and nothing else."""
    recipe = " ".join((compiler,) + options)
    folder = os.path.join("build", name)
    stamp = os.path.join(folder, ".recipe")
    if read(stamp) != recipe:
        shutil.rmtree(folder, ignore_errors=True)
        if not quietly([meson(), "setup", folder, *options],
                       env=dict(os.environ, CC=compiler)):
            return None
        with open(stamp, "w", encoding="utf-8") as file:
            file.write(recipe)
    wanted = [] if only is None else ["test_" + test
                                      for test in tests_of(folder, only)]
    return folder if quietly(["ninja", "-C", folder, *wanted]) else None


def tests_of(folder, only=""):
    """The C tests of a build folder whose names begin with a pattern."""
    listed = subprocess.check_output(
        [meson(), "test", "-C", folder, "--list", "--no-rebuild"],
        stderr=subprocess.DEVNULL, text=True)
    return re.findall(r"^wsocket:(%s.*)$" % only, listed, re.MULTILINE)


# --------------------------------------------------------------- stages ---

class Tally:
    """What passed and failed, by stage, printed as it becomes known."""

    def __init__(self):
        self.passed = self.failed = 0

    def stage(self, name, function, *args, **more):
        print("--- " + name, flush=True)
        began = time.monotonic()
        passed, failed = function(*args, **more)
        self.passed += passed
        self.failed += failed
        print("    %d passed, %d failed in %d s" %
              (passed, failed, time.monotonic() - began), flush=True)

    def side_by_side(self, *lanes):
        """Stages that run in lanes, one after the other in each. Every stage
        is a process; what it printed stands together, once it is over."""
        lanes = [iter(lane) for lane in lanes]
        running = {}
        while True:
            for lane in lanes:
                name, function, *args = next(lane, (None, None))
                if name:
                    began = time.monotonic()
                    pid, output = apart(function, *args)
                    running[pid] = lane, name, began, output
            if not running:
                break
            pid, _, used = os.wait4(-1, 0)
            lane, name, began, output = running.pop(pid)
            with output:
                output.seek(0)
                said = output.read()
            self.report(name, said, time.monotonic() - began,
                        used.ru_utime + used.ru_stime)
            lanes = [lane]

    def report(self, name, said, seconds, cpu):
        """A stage that ran apart; without a count at its end it failed."""
        found = re.search(r"(\d+) passed, (\d+) failed\n\Z", said)
        passed, failed = map(int, found.groups()) if found else (0, 1)
        text = (said[:found.start()] if found else said).rstrip("\n")
        text += "\n" if text else ""
        self.passed += passed
        self.failed += failed
        print("--- %s\n%s    %d passed, %d failed in %d s, %d s of CPU" %
              (name, text, passed, failed, seconds, cpu), flush=True)

    def end(self):
        print("%d passed, %d failed" % (self.passed, self.failed))
        sys.exit(self.failed > 0)


def apart(function, *args):
    """A stage in a process of its own: its id, and the file of its output,
    which ends with what it counted."""
    output = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        counted = 0, 1
        try:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            counted = function(*args)
        except SystemExit as reason:
            print(reason)
        except BaseException:
            traceback.print_exc()
        print("\n%d passed, %d failed" % counted, flush=True)
        os._exit(0)
    return pid, output


def one(good):
    """The count of a stage that either passes or does not."""
    return (1, 0) if good else (0, 1)


def formatted():
    files = sorted(sum((glob.glob(pattern, recursive=True) for pattern in (
        "include/*.h", "src/**/*.[ch]", "ext/*.[ch]", "fuzz/*.[ch]",
        "bench/*.c", "examples/c/*.c", "tests/c/*.[ch]",
        "tests/restart/*.[ch]")), []))
    said = subprocess.run(["clang-format", "--dry-run", "-Werror", *files],
                          stderr=subprocess.PIPE, text=True)
    ugly = sorted(set(re.findall(r"^(\S+?):\d", said.stderr, re.MULTILINE)))
    if ugly:
        print("clang-format -i " + " ".join(ugly))
    return one(said.returncode == 0)


def guards(library):
    """Each tools/check_*.py is one test."""
    passed = failed = 0
    for guard in sorted(glob.glob("tools/check_*.py")):
        good = call([sys.executable, guard, library]) == 0
        passed += good
        failed += not good
    return passed, failed


def compiles(name, compiler):
    """Only for its warnings, which it gives without optimizing, too."""
    return one(build(name, compiler, "-Dexamples=enabled", "-Doptimization=0",
                     "-Ddebug=false"))


def quiet_loader():
    """TSan of gcc 12 cannot live with some kernels' address randomness."""
    wrapper = ["setarch", platform.machine(), "-R"]
    if shutil.which("setarch") and call(wrapper + ["true"]) == 0:
        return ["--wrapper", " ".join(wrapper)]
    return []


def sanitized(name, sanitizer, **more):
    """build/NAME with the C tests and examples under a sanitizer."""
    return build(name, "gcc", "-Dpython=disabled", "-Dexamples=enabled",
                 "-Db_sanitize=" + sanitizer, *SANITIZED, **more)


def c_tests(folder, *args, only=""):
    """The C tests of a build folder; every program prints its own count."""
    if folder is None:
        return 0, 1
    chosen = tests_of(folder, only)
    if not chosen:
        print("there is no such test")
        return 0, 1
    for old in glob.glob(os.path.join(folder, "meson-logs", "testlog*")):
        os.remove(old)
    call([meson(), "test", "-C", folder, "--no-rebuild", "--quiet",
          *C_SIDE_BY_SIDE, *args, *chosen], stdout=subprocess.DEVNULL)
    logs = glob.glob(os.path.join(folder, "meson-logs", "testlog*.json"))
    return c_counts(max(logs, key=os.path.getmtime))


def c_counts(log):
    passed = failed = 0
    with open(log, encoding="utf-8") as file:
        for line in file:
            test = json.loads(line)
            said = re.search(r"^(\d+) passed, (\d+) failed$",
                             test.get("stdout", ""), re.MULTILINE)
            if said:
                passed += int(said[1])
                failed += int(said[2])
            if test["result"] != "OK":
                failed += not (said and int(said[2]))
                print("%s: %s\n%s\n%s" % (
                    test["name"], test["result"],
                    test.get("stdout", "")[-4000:],
                    test.get("stderr", "")[-8000:]))
    return passed, failed


def python_tests(inside, paths, limit=900, setup=(), **more):
    """pytest in an environment, with the package freshly installed."""
    if not install(inside, *setup):
        return 0, 1
    report = os.path.join("build", "report-%d.xml" % os.getpid())
    status = call([inside, "-m", "pytest", "-q", *SIDE_BY_SIDE, "--junitxml",
                   report, *paths], limit, **more)
    if not os.path.exists(report):
        return 0, 1
    suite = ElementTree.parse(report).getroot().find("testsuite")
    os.remove(report)
    total, skipped, *bad = (int(suite.get(key)) for key in (
        "tests", "skipped", "failures", "errors"))
    failed = sum(bad)
    passed = total - skipped - failed
    return passed, failed + (status != 0 and failed == 0)


def sanitizer_settings():
    """For an interpreter that knows no sanitizer; memory comes from malloc(),
    so that ASan sees it all."""
    library = subprocess.check_output(
        ["gcc", "-print-file-name=libasan.so"], text=True).strip()
    return {
        "LD_PRELOAD": library,
        "PYTHONMALLOC": "malloc",
        "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1:abort_on_error=1",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "PYTHONPATH": os.path.abspath(os.path.join("tools", "sanitized")),
    }


def asan_environment():
    """Whose package has the extension and the library under ASan and UBSan."""
    return environment(os.path.join("build", "venv-asan"),
                       requirements=TO_CHECK)


def python_tests_under_asan():
    """Leaks are what tests/python/test_leaks.py is for."""
    return python_tests(
        asan_environment(),
        [*IN_PROCESS, "--deselect", "tests/python/test_leaks.py"],
        setup=ASAN_BUILD, env=dict(os.environ, **sanitizer_settings()))


def fuzz_binding(*args):
    """fuzz/binding.py, with the package freshly installed."""
    inside = asan_environment()
    return install(inside, *ASAN_BUILD) and call(
        [inside, "fuzz/binding.py", *args], None) == 0


def fuzz_binding_briefly():
    """A walk that is always the same, of some 20 seconds."""
    return one(fuzz_binding("brief", "2500"))


# The last is what wheels run on: glibc 2.17 (manylinux2014).
FOREIGN = ["aarch64-macos", "x86_64-freebsd", "x86_64-linux-musl",
           "aarch64-linux-gnu.2.17"]


def zlib_headers():
    """A folder with our system's own, which are the same everywhere."""
    folder = os.path.abspath(os.path.join("build", "foreign", "zlib"))
    os.makedirs(folder, exist_ok=True)
    listed = subprocess.run(["cc", "-M", "-x", "c", "-"], text=True,
                            input="#include <zlib.h>\n", check=True,
                            stdout=subprocess.PIPE).stdout
    for path in re.findall(r"\S+/z(?:lib|conf)\.h", listed):
        shutil.copy(path, folder)
    return folder


def foreign_systems():
    """Systems we cannot run here: every source must compile for each."""
    inside = os.path.abspath(environment(VENV, requirements=TO_TEST))
    zlib = zlib_headers()
    sources = [os.path.abspath(path) for path in
               glob.glob("src/**/*.c", recursive=True)]
    passed = failed = 0
    for target in FOREIGN:
        folder = os.path.join("build", "foreign", target)
        os.makedirs(folder, exist_ok=True)
        good = quietly(
            [inside, "-m", "ziglang", "cc", "-target", target, "-std=c11",
             "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
             "-I" + os.path.abspath("include"), "-I" + os.path.abspath("src"),
             "-idirafter", zlib, "-c", *sorted(sources)], cwd=folder)
        passed += good
        failed += not good
    return passed, failed


def fuzzers():
    """The paths of the fuzzers, built."""
    folder = build("fuzz", "clang", "-Dpython=disabled", "-Dtests=disabled",
                   "-Dfuzz=enabled", "-Db_lundef=false",
                   "-Db_sanitize=address,undefined")
    if folder is None:
        return None
    found = (glob.glob(os.path.join(folder, kind))
             for kind in ("fuzz_*", "diff_*"))
    return sorted(path for path in sum(found, [])
                  if os.path.isfile(path) and os.access(path, os.X_OK))


def fuzz_one(path, *args):
    """A fuzzer over its committed corpus and what `args` say; what it printed
    stands in build/NAME.log."""
    name = os.path.basename(path)
    log = os.path.join("build", name + ".log")
    kind = "http" if name == "diff_llhttp" else name[len("fuzz_"):]
    corpus = glob.glob(os.path.join("fuzz", "corpus", kind))
    with open(log, "w", encoding="utf-8") as file:
        good = call([path, "-artifact_prefix=build/", *args, *corpus],
                    None, stderr=file) == 0
    print("    %s: %s" % (name, read(log).strip().split("\n")[-1] if good else
                          "fails; see %s and build/crash-*" % log), flush=True)
    return good


def fuzz_briefly():
    """A walk that is always the same, but for its end where runs are dear."""
    built = fuzzers()
    if built is None:
        return 0, 1

    def walk(path):
        with tempfile.TemporaryDirectory() as found:  # not into the corpus
            return fuzz_one(path, "-runs=20000", "-max_total_time=20",
                            "-seed=1", found)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as cores:
        good = list(cores.map(walk, built))
    return sum(good), len(good) - sum(good)


def script(*command, shown=False):
    """A program that prints its own count as its last line."""
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    lines = process.stdout.strip().split("\n")
    said = re.match(r"(\d+) passed, (\d+) failed$", lines[-1])
    if shown or not said or process.returncode != 0:
        print(process.stdout, flush=True)
    return (int(said[1]), int(said[2])) if said else (0, 1)


def autobahn(inside):
    """The cases of the protocol; kosoku needs Python 3.10."""
    if version_of(inside) < (3, 10):
        print("left out: kosoku needs Python 3.10")
        return 0, 0
    return script(inside, "tools/autobahn.py")


# ------------------------------------------------------------- commands ---

def check():
    """In two lanes: a build keeps the cores busy while tests wait."""
    environment(VENV)  # both begin with it
    tally = Tally()
    tally.side_by_side(
        [("format", formatted),
         ("clang", compiles, "clang", "clang"),
         ("guards", guards, "build/clang/libwsocket.so"),
         ("C tests", c_tests, "build/clang")],
        [("core Python tests", core)])
    tally.end()


def core():
    """The package is built while pip waits for the index."""
    inside = environment(VENV)
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        ready = beside.submit(environment, VENV, requirements=TO_CHECK)
        built = package(inside, ["wheel", "-w", "build/wheels"], *QUICK_BUILD)
        ready.result()
    if not built:
        return 0, 1
    compile_once(inside)
    return python_tests(inside, CORE, setup=QUICK_BUILD)


def compile_once(inside):
    """Let one process compile the tests and what they import. All workers of
    pytest begin at once, and otherwise each would compile all of it."""
    if not os.path.isdir("tests/python/__pycache__"):
        subprocess.run([inside, "-m", "pytest", "--collect-only", "-q", *CORE],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def asan():
    return c_tests(sanitized("asan", "address,undefined"))


def other_tls():
    """The C tests of TLS where OpenSSL is loaded, and where there is none."""
    passed = failed = 0
    for kind in "runtime", "disabled":
        folder = build("tls-" + kind, "clang", "-Dpython=disabled",
                       "-Doptimization=0", "-Ddebug=false", "-Dtls=" + kind,
                       only="tls_")
        counted = c_tests(folder, only="tls_")
        passed += counted[0]
        failed += counted[1]
    return passed, failed


# The C tests in which threads of the server meet.
THREADED = ("board", "broker_redis", "bus", "certs", "dispatch", "drain", "long_message", "peers",
            "standalone",
            "storm", "tls_server", "topic", "topics", "worker", "dispatch_over_tls",
            "long_message_over_tls", "peers_over_tls", "storm_over_tls", "topics_over_tls")


def tsan():
    gone = [name for name in THREADED
            if not os.path.exists("tests/c/test_%s.c" %
                                  name.removesuffix("_over_tls"))]
    if gone:
        print("no such C tests: %s" % ", ".join(gone))
        return 0, len(gone)
    # Else sockets count as locks, and hide that there is none.
    os.environ.setdefault("TSAN_OPTIONS", "io_sync=0")
    only = "(?:%s)$" % "|".join(THREADED)
    return c_tests(sanitized("tsan", "thread", only=only), *quiet_loader(),
                   only=only)


def test():
    tally = Tally()
    tally.stage("format", formatted)
    tally.stage("gcc, C tests under ASan and UBSan", asan)
    tally.stage("clang", compiles, "clang", "clang")
    tally.stage("guards", guards, "build/clang/libwsocket.so")
    tally.stage("threads under TSan", tsan)
    inside = environment(VENV, requirements=TO_TEST)
    over_tls = functools.partial(python_tests,
                                 env=dict(os.environ, WSK_TEST_TLS="1"))
    tally.side_by_side(
        [("Python tests", python_tests, inside, NOT_SLOW),
         ("the same over TLS", over_tls, inside, CORE),
         ("browser tests", python_tests, inside, ["tests/browser"]),
         ("behind nginx and HAProxy", python_tests, inside, ["tests/proxies"]),
         ("servers of others", script, inside, "tests/servers/matrix.py",
          "--here", *OTHERS),
         ("Autobahn cases", autobahn, inside),
         ("TLS that is loaded, and none", other_tls)],
        [("fuzzers over their corpora", fuzz_briefly),
         *map(of_another_python, other_pythons()),
         ("Python tests under ASan and UBSan", python_tests_under_asan),
         ("fuzzer of the binding", fuzz_binding_briefly),
         ("other systems compile", foreign_systems),
         ("installed library", script, "tests/install/run")])
    tally.end()


def of_another_python(python):
    """The stage of another Python, with what `check` runs."""
    name = "%d.%d" % version_of(python)

    def stage():
        inside = environment(os.path.join("build", "venv-" + name), python,
                             requirements=TO_CHECK)
        return python_tests(inside, CORE, setup=QUICK_BUILD)

    return "Python %s tests" % name, stage


def fuzz(seconds):
    """What is found stays in build/found, and is where the next run begins."""
    good = []
    for path in fuzzers() or sys.exit("the fuzzers do not compile"):
        found = os.path.join("build", "found", os.path.basename(path))
        os.makedirs(found, exist_ok=True)
        good.append(fuzz_one(path, "-max_total_time=" + seconds, found))
    good.append(fuzz_binding("walk", seconds))
    sys.exit(not all(good))


def replay(*paths):
    """The cases of a finding of fuzz/binding.py."""
    sys.exit(not fuzz_binding("replay", *map(os.path.abspath, paths)))


def plays(script, *args):
    """Whether a script that talks to the package succeeds, in the environment
    of the tests."""
    inside = environment(VENV, requirements=TO_TEST)
    return install(inside) and call([inside, script, *args], None) == 0


def with_package(script, *args):
    sys.exit(not plays(script, *args))


# What the tests of topics read: so much takes half an hour.
LONG = {"WSK_CHAOS": "30", "WSK_KILLS": "200", "WSK_ROUNDS": "100000",
        "WSK_MEMBERS": "64", "WSK_PROGRAMS": "1000000"}


def topics():
    folder = sanitized("asan", "address,undefined")
    if folder is None:
        sys.exit(1)
    os.environ.update({name: os.environ.get(name, n) for name, n in LONG.items()})
    failed = [name for name in ("topic_random", "bus")
              if call([os.path.join(folder, "test_" + name)], None) != 0]
    if failed:
        sys.exit("failed: test_%s" % ", test_".join(failed))
    if not plays("tests/soak/stalled.py"):
        sys.exit(1)
    with_package("-m", "pytest", "-q", "-rP", "tests/python/test_bus_chaos.py",
                 "tests/python/test_broker_faults.py")


def conformance(*args):
    if sanitized("asan", "address,undefined") is None:
        sys.exit(1)
    with_package("tools/conformance.py", *args)


def install_into(path):
    inside = environment(path)
    if not install(inside):
        sys.exit(1)


def library(prefix):
    prefix = os.path.abspath(os.path.expanduser(prefix))
    folder = os.path.join("build", "library")
    # `lib` is where pkg-config and the loader look below any prefix; the folder
    # of an architecture is a distribution's.
    must([meson(), "setup", "--reconfigure", folder, "--prefix", prefix,
          "--libdir", "lib", "--buildtype", "release", "-Dwerror=false",
          "-Dpython=disabled", "-Dtests=disabled"])
    must([meson(), "install", "-C", folder])
    refresh_loader(prefix)
    if prefix not in KNOWN_PREFIXES:
        print("pkg-config finds it after\n    export PKG_CONFIG_PATH=" +
              os.path.join(prefix, "lib", "pkgconfig"))


def uninstall(prefix):
    """What library() has installed; nothing else lies under these names."""
    prefix = os.path.abspath(os.path.expanduser(prefix))
    for pattern in ("lib/libwsocket.*", "lib/pkgconfig/wsocket.pc",
                    "include/wsocket.h"):
        for path in sorted(glob.glob(os.path.join(prefix, pattern))):
            print("removing " + path)
            os.remove(path)
    refresh_loader(prefix)


def refresh_loader(prefix):
    """The loader finds a new library through its cache, which root writes; and
    ldconfig is not in the PATH of every root."""
    ldconfig = shutil.which("ldconfig", path="/sbin:/usr/sbin:/usr/bin")
    if prefix in KNOWN_PREFIXES and os.geteuid() == 0 and ldconfig:
        must([ldconfig])


def main():
    os.chdir(ROOT)
    commands = {"check": check, "test": test, "fuzz": fuzz,
                "replay": replay,
                "install": install_into, "library": library,
                "uninstall": uninstall,
                "soak": functools.partial(with_package, "tests/soak/soak.py"),
                "slow": functools.partial(with_package, "tests/soak/slow.py"),
                "peers": functools.partial(with_package, "tests/soak/peers.py"),
                "endings": functools.partial(with_package,
                                             "tests/soak/endings.py"),
                "parked": functools.partial(with_package,
                                            "tests/soak/parked.py"),
                "swaps": functools.partial(with_package, "tests/soak/swaps.py"),
                "workers": functools.partial(with_package, "-m", "pytest", "-q",
                                             "-m", "workers", "tests/python"),
                "long": functools.partial(with_package, "-m", "pytest", "-q",
                                          "-m", "slow", "tests/python"),
                "topics": topics,
                "restarts": functools.partial(with_package,
                                              "tests/restart/restarts.py",
                                              "--rounds"),
                "faults": functools.partial(with_package,
                                            "tests/faults/run.py"),
                "conformance": conformance}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    for name in DESK:
        os.environ.pop(name, None)
    for name in [n for n in os.environ if n.startswith("WSOCKET_")]:
        del os.environ[name]
    # A shell's background job ignores Ctrl-C, and so would all that is tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    commands[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
