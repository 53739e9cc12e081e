#!/usr/bin/env python3
"""House rules that a machine can see.

The heap has one door; no names end in _t; no unbounded string function; no path
of somebody's machine, no unfinished note, no stray white space.
"""

import glob
import os
import re
import sys

import rooms

HEAP_DOOR = "src/base/mem.c"
THIS = "tools/check_hygiene.py"  # its patterns would complain about themselves

EVERYWHERE = [
    (r"/(?:home|root|work|Users|workspace)/\w", "the path of a machine"),
    (r"\b(?:TODO|FIXME|XXX|HACK)\b", "an unfinished note"),
    (r"^(?:<{7}|>{7}) ", "a conflict that was not resolved"),
    (r"[ \t]+$", "white space at the end of a line"),
]
IN_C = [
    (r"\t", "a tab"),
    (r"\btypedef\b[^;{]*\b\w+_t\s*;|^\}\s*\w+_t\s*;", "a name in _t"),
    (r"//", "a line comment"),
]
OUTSIDE_OF_TESTS = [
    (r"\b(?:sprintf|vsprintf|strcpy|strcat|strncpy|strncat|gets|alloca)\s*\(",
     "an unbounded or misleading string function"),
]
IN_THE_CORE = [
    (r"(?<![\w>.])(?:malloc|calloc|realloc|free|strdup|strndup)\s*\(",
     "the heap beside %s" % HEAP_DOOR),
]


def texts():
    kinds = ("c", "h", "py", "pyi", "md", "toml", "html", "txt", "build")
    paths = ["Makefile", ".ci/run", "tools/bootstrap"]
    for folder in ("include", "src", "ext", "python", "tests", "fuzz",
                   "examples", "bench", "docs", "tools", "."):
        for kind in kinds:
            pattern = "*." + kind if folder == "." else "**/*." + kind
            paths += glob.glob(os.path.join(folder, pattern), recursive=True)
    # Test vectors are octets: white space at an end may be the very point.
    return sorted({os.path.normpath(path) for path in paths} - {THIS} -
                  set(glob.glob("tests/vectors/*")))


def matches(text, patterns):
    for pattern, what in patterns:
        for match in re.finditer(pattern, text, re.MULTILINE):
            yield text.count("\n", 0, match.start()) + 1, what


def complaints(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    yield from matches(text, EVERYWHERE)
    if path.endswith((".c", ".h")):
        bare = rooms.bare(text)
        yield from matches(bare, IN_C)
        if not path.startswith("tests/"):
            yield from matches(bare, OUTSIDE_OF_TESTS)
        if path.startswith("src/") and path != HEAP_DOOR:
            yield from matches(bare, IN_THE_CORE)


def main():
    os.chdir(rooms.ROOT)
    bad = 0
    for path in texts():
        for line, what in complaints(path):
            print("%s:%d: %s" % (path, line, what))
            bad += 1
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
