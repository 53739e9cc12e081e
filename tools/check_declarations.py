#!/usr/bin/env python3
"""Each function of src that is not static is declared once, in the header of
its own file; wsocket.h declares the public ones.

    tools/check_declarations.py [--list]

    declared-elsewhere   declared in the header of another file
    declared-twice       each declaration beyond the first
    declared-in-c        a prototype or an `extern` in a .c file
    not-declared         in no header at all
    not-defined          declared, but no file defines it

--list prints all that are found, tolerated or not.
"""

import collections
import glob
import os
import re
import sys

import rooms

FACE = "include/wsocket.h"
NAME = re.compile(r"\b(wsk_\w+)\s*\(")
DATA = re.compile(r"^extern\b[^;(]*?\b(wsk_\w+)\s*(?:\[[^]]*\]\s*)*;", re.M)
# With its continuation lines.
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)


def outermost(text):
    """(the text before, what ends it) of everything outside of braces: `;` ends
    a declaration, `{` begins a body."""
    depth = 0
    begin = 0
    for match in re.finditer(r"[{};]", text):
        mark = match[0]
        if depth == 0 and mark in ";{":
            yield text[begin:match.start()], mark
        depth = max(0, depth + {"{": 1, "}": -1, ";": 0}[mark])
        if depth == 0:
            begin = match.end()


def scan(path):
    """Names of functions and data that a file (declares, defines)."""
    with open(path, encoding="utf-8") as file:
        text = DIRECTIVE.sub("", rooms.bare(file.read()))
    text = re.sub(r"\bextern\s+\{", "", text)  # "C", whose name is blanked
    declared, defined = [], set()
    for head, mark in outermost(text):
        found = NAME.search(head)
        words = head[:found.start()] if found else head
        if re.search(r"\b(?:static|typedef)\b|=", words):
            continue
        if found and mark == "{":
            defined.add(found[1])
        elif found and words.strip():
            declared.append(found[1])
    declared += DATA.findall(text)
    defined |= set(re.findall(r"^(?!static|extern|typedef)[a-z_]\w*[\w *]*?"
                              r"\b(wsk_\w+)(?:\[[^]]*\])*\s*(?:=|;)", text,
                              re.MULTILINE))
    return declared, defined


def main():
    os.chdir(rooms.ROOT)
    faults = {kind: [] for kind in (
        "declared-elsewhere", "declared-twice", "declared-in-c",
        "not-declared", "not-defined")}
    where = collections.defaultdict(list)
    for path in sorted(glob.glob("src/**/*.h", recursive=True)) + [FACE]:
        for name in scan(path)[0]:
            where[name].append(path)
    everything = set()
    for path in sorted(glob.glob("src/**/*.c", recursive=True)):
        declared, defined = scan(path)
        everything |= defined
        for name in declared:
            faults["declared-in-c"].append("%s in %s" % (name, path))
        for name in defined:
            headers = where[name]
            if not headers:
                faults["not-declared"].append("%s of %s" % (name, path))
            for header in headers:
                if header not in (FACE, path[:-1] + "h"):
                    faults["declared-elsewhere"].append(
                        "%s of %s in %s" % (name, path, header))
    for name, headers in where.items():
        if name not in everything:
            faults["not-defined"].append("%s in %s" % (name, headers[0]))
        for header in headers[1:]:
            faults["declared-twice"].append(
                "%s in %s and %s" % (name, headers[0], header))
    if "--list" in sys.argv:
        for kind, found in faults.items():
            for fault in sorted(found):
                print("%s: %s" % (kind, fault))
    return rooms.judge(faults)


if __name__ == "__main__":
    sys.exit(main())
