"""The folder from which a wheel is built for another machine: headers of other
libraries, stubs of those that the system has, and hiredis, which it has not.
"""

import glob
import os
import re
import shutil
import subprocess
import tarfile

import run

HIREDIS = "tools/requirements-hiredis.txt"
# The files of its reader and its formatter, and what those are linked with.
HIREDIS_FILES = ["alloc", "hiredis", "net", "read", "sds"]
# Libraries that wheels find on the system: name, soname, header, and the version
# that is promised to meson.
LIBRARIES = [("z", "zlib", "libz.so.1", "zlib.h", "1.2.5")]


def copy_headers(folder):
    """Those of other libraries that our sources include: the same for every
    64-bit Linux, but beside headers of the system that are not."""
    asked = set()
    for path in glob.glob("src/**/*.[ch]", recursive=True):
        asked |= set(re.findall(r"^#include (<(?:openssl/\w+|zlib)\.h>)$",
                                run.read(path), re.MULTILINE))
    listed = subprocess.run(
        ["cc", "-M", "-x", "c", "-"], text=True, check=True,
        input="".join("#include %s\n" % name for name in sorted(asked)),
        stdout=subprocess.PIPE).stdout
    for path, name in re.findall(r"(\S+/(openssl/\w+\.h|z(?:lib|conf)\.h))",
                                 listed):
        to = os.path.join(folder, name)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy(path, to)


def copy_settings_of_python(folder):
    """Debian's pyconfig.h includes one of the architecture. What differs between
    them is nothing that an extension sees: docs/internals/release.md."""
    for path in glob.glob("/usr/include/*-linux-gnu/python3.*/pyconfig.h"):
        for cpu in "x86_64", "aarch64":
            to = os.path.join(folder, cpu + "-linux-gnu",
                              os.path.basename(os.path.dirname(path)))
            os.makedirs(to, exist_ok=True)
            shutil.copy(path, to)


def pkg_config_file(folder, name, version, links):
    path = os.path.join(folder, "pkgconfig", name + ".pc")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write("Name: %s\nDescription: %s for wheels\nVersion: %s\n"
                   "Cflags: -I%s/include\nLibs: %s\n" %
                   (name, name, version, folder, links))


def stubs(folder, compiler):
    """An empty function for each name of a library of the system, under the
    soname of the real one."""
    for short, name, soname, header, version in LIBRARIES:
        text = run.read(os.path.join(folder, "include", header))
        stub = os.path.join(folder, "lib", short + ".c")
        with open(stub, "w", encoding="utf-8") as file:
            for function in sorted(set(re.findall(r"ZEXPORT (\w+)", text))):
                file.write("void %s(void) {}\n" % function)
        run.must([*compiler, "-shared", "-w", "-Wl,-soname," + soname, stub,
                  "-o", os.path.join(folder, "lib", "lib%s.so" % short)])
        pkg_config_file(folder, name, version,
                        "-L%s/lib -l%s" % (folder, short))


def hiredis_source(work, inside):
    """The folder of hiredis's sources, from PyPI; pip compares the digest."""
    folder = os.path.join(work, "hiredis")
    stamp = os.path.join(folder, "recipe")
    if run.read(stamp) != run.read(HIREDIS):
        shutil.rmtree(folder, ignore_errors=True)
        run.must([inside, "-m", "pip", "-q", "--retries", "8", "download",
                  "--disable-pip-version-check", "--no-deps",
                  "--no-binary", "hiredis", "--require-hashes",
                  "-r", HIREDIS, "-d", folder])
        [archive] = glob.glob(os.path.join(folder, "hiredis-*.tar.gz"))
        with tarfile.open(archive) as file:
            for member in file:
                found = re.search(r"/vendor/hiredis/(\w+(?:\.[ch])?)$", member.name)
                if found and member.isfile():
                    with open(os.path.join(folder, found[1]), "wb") as to:
                        shutil.copyfileobj(file.extractfile(member), to)
        shutil.copy(HIREDIS, stamp)
    return folder


def hiredis(folder, source, compiler, archiver):
    """A static library, of which the linker takes the reader and the formatter.
    It reads no doubles for us, and needs no parser of them of its own."""
    headers = os.path.join(folder, "include", "hiredis")
    os.makedirs(headers, exist_ok=True)
    for path in glob.glob(os.path.join(source, "*.h")):
        shutil.copy(path, headers)
    objects = []
    for name in HIREDIS_FILES:
        objects.append(os.path.join(folder, "lib", name + ".o"))
        run.must([*compiler, "-O2", "-fPIC", "-flto", "-fvisibility=hidden",
                  "-g0", "-w", "-DHIREDIS_FLOAT_STRTOD", "-c",
                  os.path.join(source, name + ".c"), "-o", objects[-1]])
    archive = os.path.join(folder, "lib", "libhiredis.a")
    run.must([*archiver, "rcs", archive, *objects])
    version = ".".join(re.findall(r"#define HIREDIS_(?:MAJOR|MINOR|PATCH) (\d+)",
                                  run.read(os.path.join(source, "hiredis.h"))))
    pkg_config_file(folder, "hiredis", version,
                    "-L%s/lib -lhiredis" % folder)


def empty(folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "lib"))


def for_linux(folder, source, compiler, archiver):
    """HEADERS is a folder like this one's `include`, of another machine."""
    empty(folder)
    headers = os.path.join(folder, "include")
    if "HEADERS" in os.environ:
        shutil.copytree(os.environ["HEADERS"], headers)
    else:
        copy_headers(headers)
    copy_settings_of_python(headers)
    pkg_config_file(folder, "openssl", "3.0", "")
    stubs(folder, compiler)
    hiredis(folder, source, compiler, archiver)


def for_mac(folder, source):
    """All else comes from the system, or from where PKG_CONFIG_PATH says."""
    empty(folder)
    hiredis(folder, source, ["cc"], ["ar"])
