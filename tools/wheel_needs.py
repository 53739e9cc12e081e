#!/usr/bin/env python3
"""What a Linux wheel needs of the system and of CPython.

    tools/wheel_needs.py WHEEL...

The extension may need symbols of glibc up to the version that the wheel's tag
names, the libraries of ALLOWED, and of CPython what its documentation or its
macros use: a private function may be gone in the next bug-fix release. It exports
nothing but its start, or another extension would use our hiredis. The notice of
that lies in the wheel.
"""

import os
import re
import subprocess
import sys
import tempfile
import zipfile

# glibc is in several files up to 2.33; its loader gives thread-local storage.
ALLOWED = {"libc.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1",
           "libm.so.6", "libz.so.1", "ld-linux-x86-64.so.2",
           "ld-linux-aarch64.so.1", "libc.musl-x86_64.so.1",
           "libc.musl-aarch64.so.1"}
# The loader of musl is its C library, and knows no versions of symbols. That of
# Debian is 1.2.3: what it has, musllinux_1_2 has in all but its oldest systems.
MUSL = "/lib/ld-musl-%s.so.1" % os.uname().machine
# Names with an underscore that stand behind public macros and functions of
# CPython: Py_None, Py_DECREF(), PyArg_ParseTuple() with PY_SSIZE_T_CLEAN,
# PyUnicode_READY(), Py_ISDIGIT(), PyObject_Vectorcall() before 3.11 and the like.
# _PyBytes_Resize() is documented.
BEHIND_MACROS = {
    "_Py_NoneStruct", "_Py_TrueStruct", "_Py_FalseStruct",
    "_Py_EllipsisObject", "_Py_NotImplementedStruct", "_Py_Dealloc",
    "_PyObject_GC_New", "_PyObject_New", "_Py_NewReference",
    "_PyArg_ParseTuple_SizeT", "_PyArg_ParseTupleAndKeywords_SizeT",
    "_PyArg_Parse_SizeT", "_Py_BuildValue_SizeT",
    "_PyObject_CallFunction_SizeT", "_PyObject_CallMethod_SizeT",
    "_PyUnicode_Ready", "_Py_ctype_table", "_PyBytes_Resize",
    "_PyObject_MakeTpCall", "_Py_CheckFunctionResult",
}
# Private, and used up to the version that has a public name for the same.
UNTIL = {"_Py_IsFinalizing": (3, 12)}


def tag_of(path):
    """(2, 17) of a wheel for manylinux, else None."""
    found = re.search(r"manylinux_(\d+)_(\d+)", path)
    found = found or re.search(r"manylinux(2)0(14)_", path)
    if not found:
        return None
    return (2, 17) if found[2] == "14" else (int(found[1]), int(found[2]))


def beyond_musl(wheel, lacking):
    """Names that a wheel for musl needs, and no library has, if this system has
    a musl to compare with."""
    if "musllinux" not in wheel or not os.path.exists(MUSL):
        return []
    there = set(dynamic(MUSL)[2])
    return [name for name, _ in lacking if name not in there and
            not re.match("_?Py|(in|de)flate|zlibVersion", name)]


def may_use(name, wheel):
    version = re.search(r"-cp(\d)(\d+)-", wheel)
    return name in BEHIND_MACROS or (
        name in UNTIL and (int(version[1]), int(version[2])) <= UNTIL[name])


def extensions(wheel, folder):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".so"):
                yield archive.extract(name, folder)


def dynamic(path):
    """The libraries that a file needs, the symbols that it lacks, as (name,
    version), and those that it exports."""
    said = subprocess.check_output(
        ["readelf", "-W", "--dynamic", "--dyn-syms", path], text=True)
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", said)
    lacking = re.findall(r" UND ([^\s@]+)(?:@+(\S+))?", said)
    shown = re.findall(r" (?:GLOBAL|WEAK) +(?:DEFAULT|PROTECTED) +(?:\d+|ABS) (\S+)", said)
    return needed, lacking, shown


def has_notice(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return any(name.endswith("/licenses/hiredis/COPYING")
                   for name in archive.namelist())


def faults(wheel):
    """Sentences about what a wheel needs and may not."""
    newest = tag_of(os.path.basename(wheel))
    found = [] if has_notice(wheel) else ["lacks the notice of hiredis"]
    with tempfile.TemporaryDirectory() as folder:
        paths = list(extensions(wheel, folder))
        if not paths:
            return ["it has no extension"]
        for path in paths:
            needed, lacking, shown = dynamic(path)
            found += ["exports %s" % name for name in shown
                      if not name.startswith("PyInit_")]
            found += ["needs %s" % name for name in needed
                      if name not in ALLOWED]
            found += ["needs %s, which musl 1.2.3 lacks" % name
                      for name in beyond_musl(wheel, lacking)]
            for name, version in lacking:
                if version.startswith("GLIBC_") and newest is not None:
                    number = tuple(map(int, version[6:].split(".")[:2]))
                    if number > newest:
                        found.append("needs %s of glibc %d.%d" %
                                     (name, *number))
                if name.startswith("_Py") and not may_use(name, wheel):
                    found.append("uses %s, which is private" % name)
    return found


def main():
    bad = [(path, text) for path in sys.argv[1:] for text in faults(path)]
    for path, text in bad:
        print("%s: %s" % (os.path.basename(path), text))
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
