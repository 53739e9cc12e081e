#!/usr/bin/env python3
"""The files of a release in bare roots of Debian, as a newcomer meets them.

    tests/release/roots.py [SUITE...]
    tests/release/roots.py --build VERSION TARGET...

For each suite debootstrap makes a root with Python and nothing to compile with,
once, in build/release/roots. There the wheel is installed and README's chat
served; after that a compiler is added, and the same is done with the source
archive. `arm64` is a root of another machine: only the wheel is tried there, and
it takes qemu-user-static, registered with binfmt_misc. `--build` builds wheels
with the Python of sid, for a machine that has none of that version.

Needs root, debootstrap, and a mirror: the first of the machine's own apt, or
MIRROR. The last line is the count.
"""

import contextlib
import glob
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
ROOTS = os.path.join(ROOT, "build", "release", "roots")
PACKAGES = os.path.join(ROOT, "build", "release", "packages")
DIST = os.path.join(ROOT, "dist")
SUITES = ["bullseye", "bookworm", "trixie", "sid", "arm64"]
PYTHON = "python3,python3-venv,ca-certificates"
COMPILER = ["build-essential", "python3-dev", "ninja-build", "zlib1g-dev",
            "libssl-dev", "libhiredis-dev", "pkg-config", "ccache"]
# What lets pip and apt reach their index from here.
OURS = ["/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf",
        "/etc/ssl/certs/ca-certificates.crt"]
ENTER = """
set -e
mount --rbind /dev "$0/dev"
mount -t tmpfs tmpfs "$0/tmp"
mkdir -p "$0$PROJECT"
mount --bind "$PROJECT" "$0$PROJECT"
root=$0
exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
    LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive ${PIP_CERT:+PIP_CERT=$PIP_CERT} \
    ${REDIS:+REDIS=$REDIS} "$@"
"""


def mirror():
    if os.environ.get("MIRROR"):
        return os.environ["MIRROR"]
    for path in (glob.glob("/etc/apt/sources.list.d/*.sources") +
                 ["/etc/apt/sources.list"]):
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                found = re.search(r"^(?:URIs:|deb(?: \[.*?\])?)\s+(\S+/debian)/?\s",
                                  file.read(), re.MULTILINE)
            if found:
                return found[1]
    return "http://deb.debian.org/debian"


def inside(root, *command):
    """Run a command in a root, with its own mounts and processes."""
    subprocess.check_call(
        ["unshare", "--mount", "--pid", "--fork",
         "--mount-proc=" + os.path.join(root, "proc"),
         "sh", "-c", ENTER, root, *command],
        env=dict(os.environ, PROJECT=ROOT))


def made(suite):
    root = os.path.join(ROOTS, suite)
    if not os.path.exists(os.path.join(root, ".made")):
        shutil.rmtree(root, ignore_errors=True)
        os.makedirs(root)
        os.makedirs(PACKAGES, exist_ok=True)
        more = [] if suite != "arm64" else ["--arch=arm64", "--foreign"]
        name = suite if suite != "arm64" else "trixie"
        subprocess.check_call(
            ["debootstrap", "--variant=minbase", "--include=" + PYTHON,
             "--cache-dir=" + PACKAGES, *more, name, root, mirror()],
            stdout=subprocess.DEVNULL)
        if suite == "arm64":
            unpack(root)
        with open(os.path.join(root, ".made"), "w", encoding="utf-8"):
            pass
    for path in OURS:
        if os.path.exists(path):
            shutil.copy(path, root + path)
    release = os.path.join(root, "release")
    shutil.rmtree(release, ignore_errors=True)
    os.makedirs(release)
    for path in (glob.glob(DIST + "/wsocket-*") + [ROOT + "/README.md"] +
                 glob.glob(ROOT + "/tests/release/*.py")):
        shutil.copy(path, release)
    return root


def unpack(root):
    """What --foreign has fetched. To configure it takes an emulator a quarter of
    an hour, and Python runs without."""
    for path in glob.glob(root + "/var/cache/apt/archives/*.deb"):
        subprocess.check_call(["dpkg-deb", "-x", path, root])


def suites():
    """All, but another machine only where its programs can run."""
    emulated = os.path.exists("/proc/sys/fs/binfmt_misc/qemu-aarch64")
    return [suite for suite in SUITES if suite != "arm64" or emulated]


def minor_of(root):
    """Its Python is 3.MINOR."""
    [library] = glob.glob(root + "/usr/lib/python3.*/os.py")
    return re.search(r"python3\.(\d+)", library)[1]


def wheel_for(root):
    """The wheel for the Python of a root, as a path inside it."""
    minor = minor_of(root)
    machine = "aarch64" if root.endswith("arm64") else "x86_64"
    found = glob.glob("%s/release/wsocket-*-cp3%s-*manylinux*_%s.whl" %
                      (root, minor, machine))
    if not found:
        raise LookupError("dist/ has no wheel for Python 3.%s, %s" %
                          (minor, machine))
    return found[0][len(root):]


def try_wheel(suite):
    root = made(suite)
    inside(root, "python3", "/release/newcomer.py", "/release/README.md",
           wheel_for(root), "--no-compiler")


def try_smoke(suite):
    root = made(suite)
    inside(root, "sh", "-c", "python3 -m venv /tmp/v && /tmp/v/bin/pip -q "
           "install --no-index %s && /tmp/v/bin/python /release/smoke.py" %
           wheel_for(root))


def with_compiler(suite):
    """A copy, so that the root stays without one."""
    root = made(suite)
    copy = root + "-compiler"
    if not os.path.exists(copy + "/.compiles"):
        shutil.rmtree(copy, ignore_errors=True)
        subprocess.check_call(["cp", "-a", root, copy])
        # A mirror may stand still: what it signed was good for a week.
        inside(copy, "apt-get", "-qq", "-o", "Acquire::Check-Valid-Until=false",
               "update")
        inside(copy, "sh", "-c", "apt-get -qq install -y --no-install-"
               "recommends %s >/dev/null" % " ".join(COMPILER))
        with open(copy + "/.compiles", "w", encoding="utf-8"):
            pass
    shutil.copytree(root + "/release", copy + "/release", dirs_exist_ok=True)
    return copy


def try_sdist(suite):
    copy = with_compiler(suite)
    [archive] = glob.glob(copy + "/release/wsocket-*.tar.gz")
    inside(copy, "python3", "/release/newcomer.py", "/release/README.md",
           archive[len(copy):])


def build(version, *targets):
    """The last line is the count, of tools/wheels.py."""
    root = with_compiler("sid")
    if version != "3." + minor_of(root):
        print("Debian sid has Python 3.%s\n0 passed, 1 failed" % minor_of(root))
        sys.exit(1)
    inside(root, "sh", "-c", "cd '%s' && PYTHONS=%s HEADERS=build/release/headers "
           "exec python3 tools/wheels.py wheels %s" % (ROOT, version,
                                                       " ".join(targets)))


@contextlib.contextmanager
def redis():
    """A server that every root reaches, as REDIS says; if there is one here."""
    program = shutil.which("redis-server")
    if program is None:
        yield
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "",
             "--dir", folder], stdout=subprocess.DEVNULL)
        os.environ["REDIS"] = "redis://127.0.0.1:%d" % port
        try:
            yield
        finally:
            server.terminate()
            server.wait()


def main():
    if sys.argv[1:2] == ["--build"]:
        build(*sys.argv[2:])
        return
    with redis():
        tried = attempted(sys.argv[1:] or suites())
    print("%d passed, %d failed" % tried)
    sys.exit(tried[1] > 0)


def attempted(suites):
    passed = failed = 0
    for suite in suites:
        attempts = [try_wheel, try_smoke]
        if suite != "arm64":
            attempts.append(try_sdist)
        for attempt in attempts:
            name = "%s: %s" % (suite, attempt.__name__)
            try:
                attempt(suite)
                passed += 1
                print("ok   " + name, flush=True)
            except Exception:
                failed += 1
                print("FAILED " + name, flush=True)
                traceback.print_exc(file=sys.stdout)
    return passed, failed


if __name__ == "__main__":
    main()
