#!/usr/bin/env python3
"""Static analysers over src/ and ext/: gcc -fanalyzer, clang --analyze, cppcheck.

    tools/analyze.py [FILE...]

Each analyser on each file is one test. An exception stands in
tools/analyze.txt with the sentence that explains it; one that no analyser needs
any more is a failure, too.
"""

import glob
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EXCEPTIONS = "tools/analyze.txt"
WARNING = re.compile(
    r"^(\S+?):(\d+):\d+: (?:warning|error|performance|portability): (.*) "
    r"\[([\w.,-]+)\]$", re.MULTILINE)
# cppcheck reads no headers of the system, so these macros are told to it.
MACROS = ["-DPy_BEGIN_ALLOW_THREADS={", "-DPy_END_ALLOW_THREADS=}",
          "-DPy_RETURN_NONE=return Py_None", "-DPy_RETURN_TRUE=return Py_True",
          "-DPy_RETURN_FALSE=return Py_False",
          "-DPyDoc_STRVAR(name,text)=static const char name[]=text"]


def commands():
    """The analysers, by name, each a command that a file ends."""
    common = ["-D_GNU_SOURCE", "-Iinclude", "-Isrc"]
    headers = "-isystem" + sysconfig.get_paths()["include"]
    return {
        "gcc": ["gcc", "-std=c11", *common, headers, "-fanalyzer", "-c", "-o",
                os.devnull],
        "clang": ["clang", "--analyze", "-std=c11", *common, headers, "-Xclang",
                  "-analyzer-output=text", "-o", os.devnull],
        "cppcheck": ["cppcheck", "-q", "--std=c11", *common, *MACROS,
                     "-D__linux__", "--enable=warning,performance,portability",
                     "--template={file}:{line}:{column}: {severity}: "
                     "{message} [{id}]"],
    }


def exceptions():
    """{(analyser, file, check): sentence}"""
    found = {}
    with open(EXCEPTIONS, encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                place, sentence = line.split(": ", 1)
                found[tuple(place.split())] = sentence.strip()
    return found


def analyze(job):
    """What an analyser says of a file: its warnings, and whether it ran."""
    name, command, path = job
    done = subprocess.run([*command, path], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    found = WARNING.findall(done.stdout)
    if done.returncode != 0 and not found:
        print("%s\n%s" % (shlex.join([*command, path]), done.stdout))
    return name, path, found, done.returncode == 0


def main():
    paths = [os.path.relpath(path, ROOT) for path in sys.argv[1:]]
    os.chdir(ROOT)
    every = sorted(glob.glob("src/**/*.c", recursive=True) +
                   glob.glob("ext/*.c"))
    excused, needed = exceptions(), set()
    jobs = [(name, command, path) for path in paths or every
            for name, command in commands().items()]
    passed = failed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, _, found, ran in pool.map(analyze, jobs):
            unexcused = [one for one in sorted(set(found))
                         if (name, one[0], one[3]) not in excused]
            needed |= {(name, one[0], one[3]) for one in found}
            for path, line, text, check in unexcused:
                print("%s:%s: %s: %s [%s]" % (path, line, name, text, check),
                      flush=True)
            good = not unexcused and (ran or bool(found))
            passed += good
            failed += not good
    for place in sorted(set(excused) - needed) if not paths else ():
        print("%s: nothing needs the exception %s" % (EXCEPTIONS,
                                                      " ".join(place)))
        failed += 1
    print("%d passed, %d failed" % (passed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
