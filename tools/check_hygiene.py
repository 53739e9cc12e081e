#!/usr/bin/env python3
"""House rules that a machine can see.

Files stay under 1000 lines and functions under 60; the heap has one door; no
names end in _t; no unbounded string function; no path of somebody's machine,
no unfinished note, no stray white space.
"""

import ast
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MAX_FILE = 1000
MAX_FACE = 1500  # the C face: most of it are contracts
MAX_FUNCTION = 60
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


def bare_c(text):
    """The text with comments and literals blanked, line for line."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match[0])

    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
                  blank, text, flags=re.DOTALL)


def long_c_functions(text):
    """A function's braces stand in the first column; nothing else's open."""
    begin = None
    for number, line in enumerate(text.splitlines(), 1):
        if line == "{":
            begin = number
        elif line.startswith("}") and begin is not None:
            if number - begin + 1 > MAX_FUNCTION:
                yield begin, number - begin + 1
            begin = None


def long_python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = node.end_lineno - node.lineno + 1
            if length > MAX_FUNCTION:
                yield node.lineno, length


def matches(text, patterns):
    for pattern, what in patterns:
        for match in re.finditer(pattern, text, re.MULTILINE):
            yield text.count("\n", 0, match.start()) + 1, what


def complaints(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    yield from matches(text, EVERYWHERE)
    most = MAX_FACE if path == "include/wsocket.h" else MAX_FILE
    if text.count("\n") > most and not path.endswith((".md", ".html")):
        yield most, "more than %d lines" % most
    functions = ()
    if path.endswith((".c", ".h")):
        bare = bare_c(text)
        yield from matches(bare, IN_C)
        if not path.startswith("tests/"):
            yield from matches(bare, OUTSIDE_OF_TESTS)
        if path.startswith("src/") and path != HEAP_DOOR:
            yield from matches(bare, IN_THE_CORE)
        functions = long_c_functions(text)
    elif path.endswith(".py"):
        functions = long_python_functions(text)
    for line, length in functions:
        yield line, "a function of %d lines" % length


def main():
    os.chdir(ROOT)
    bad = 0
    for path in texts():
        for line, what in complaints(path):
            print("%s:%d: %s" % (path, line, what))
            bad += 1
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
