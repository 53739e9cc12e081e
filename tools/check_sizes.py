#!/usr/bin/env python3
"""The sizes of rooms, files and functions.

    tools/check_sizes.py [--list]

Three kinds of fault are counted, see tools/tolerated.txt:

    rooms-long      a room of src/net of more than 3,000 lines
    files-long      a file of more than 1,000 lines
    functions-long  a function of more than 60 lines, with its head: in C as
                    clang-format leaves it, in Python without its decorators

include/wsocket.h may have 2,000 lines, because most of them are contracts. The
engines, the extension, the package and the tests are judged by their files and
functions. --list prints all that are found, tolerated or not, and the longest of
each kind.
"""

import ast
import glob
import os
import re
import sys

import rooms

MAX_ROOM = 2999
MAX_FILE = 1000
MAX_FUNCTION = 60
FACE, MAX_FACE = "include/wsocket.h", 2000
PLACES = ("include", "src", "ext", "python", "tools", "tests", "fuzz",
          "examples", "bench")
KINDS = ("c", "h", "py", "pyi", "txt", "toml", "build")
# A line above the head of a function in C: what stands before it has ended.
ABOVE = re.compile(r"\s*\Z|#|.*[;}]\s*\Z")


def texts():
    paths = set(glob.glob("*.toml") + glob.glob("meson*"))
    for place in PLACES:
        for kind in KINDS:
            paths.update(glob.glob("%s/**/*.%s" % (place, kind),
                                   recursive=True))
    # Test vectors are as long as they are.
    return sorted(paths - set(glob.glob("tests/vectors/*")))


def c_functions(text):
    """(first line of its head, lines) of each function: its braces stand in
    the first column, and alone."""
    lines = rooms.bare(text).splitlines()
    begin = None
    for at, line in enumerate(lines):
        if line == "{":
            begin = at
            while begin > 0 and not ABOVE.match(lines[begin - 1]):
                begin -= 1
        elif line.startswith("}") and begin is not None:
            yield begin + 1, at - begin + 1
            begin = None


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno - node.lineno + 1


def room(path):
    return rooms.room_of(path) if path.startswith("src/net/") else None


def measured(paths):
    """Kind -> name -> lines."""
    sizes = {"rooms-long": {}, "files-long": {}, "functions-long": {}}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        lines = text.count("\n")
        sizes["files-long"][path] = lines
        home = room(path)
        if home is not None:
            sizes["rooms-long"].setdefault(home, 0)
            sizes["rooms-long"][home] += lines
        functions = ()
        if path.endswith((".c", ".h")):
            functions = c_functions(text)
        elif path.endswith((".py", ".pyi")):
            functions = python_functions(text)
        for line, length in functions:
            sizes["functions-long"]["%s:%d" % (path, line)] = length
    return sizes


def most(kind, name):
    if name == FACE:
        return MAX_FACE
    return {"rooms-long": MAX_ROOM, "files-long": MAX_FILE,
            "functions-long": MAX_FUNCTION}[kind]


def main():
    os.chdir(rooms.ROOT)
    sizes = measured(texts())
    faults = {kind: ["%s has %d lines" % (name, lines)
                     for name, lines in some.items()
                     if lines > most(kind, name)]
              for kind, some in sizes.items()}
    if "--list" in sys.argv:
        for fault in sorted(sum(faults.values(), [])):
            print(fault)
        for kind, some in sizes.items():
            name = max(some, key=some.get)
            print("%s: %d, the longest is %s with %d lines" %
                  (kind.replace("-long", ""), len(some), name, some[name]))
    return rooms.judge(faults)


if __name__ == "__main__":
    sys.exit(main())
