#!/usr/bin/env python3
"""The arrows between the rooms: who may include whom.

    src:  app -> net -> http -> base     net -> ws -> base
    ext -> wsocket.h <- all of src       wsocket.h -> nothing of ours

http and ws never meet; only ext sees Python.h; the engines (base, http, ws)
see no header of the system that could reach a socket, a clock or a thread.
"""

import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

PUBLIC = "include"
ARROWS = {
    "include": set(),
    "src/base": {"src/base", PUBLIC},
    "src/http": {"src/http", "src/base", PUBLIC},
    "src/ws": {"src/ws", "src/base", PUBLIC},
    "src/net": {"src/net", "src/http", "src/ws", "src/base", PUBLIC},
    "src/app": {"src/app", "src/net", "src/base", PUBLIC},
    "ext": {"ext", PUBLIC},
    "examples/c": {PUBLIC},
    "tests/c": {"tests/c", "src/net", "src/app", "src/http", "src/ws",
                "src/base", PUBLIC},
    "fuzz": {"fuzz", "src/http", "src/ws", "src/base", PUBLIC},
    "bench": {"src/http", PUBLIC},
}
PURE = {"assert.h", "limits.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h",
        "stdlib.h", "string.h", "emmintrin.h", "immintrin.h", "arm_neon.h"}
SYSTEM = {  # rooms that may see only these headers of the system
    "include": {"stdbool.h", "stddef.h", "stdint.h"},
    "src/base": PURE,
    "src/http": PURE,
    "src/ws": PURE | {"stdatomic.h", "zlib.h"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def found(path, name):
    """Where `#include "name"` in the file `path` leads, or None."""
    for folder in os.path.dirname(path), "include", "src":
        candidate = os.path.normpath(os.path.join(folder, name))
        if os.path.exists(candidate):
            return candidate
    return None


def complaints(room, path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for mark, name in INCLUDE.findall(text):
        if name.startswith("Python.h"):
            if room != "ext":
                yield "only ext may see Python.h"
        elif mark == "<":
            allowed = SYSTEM.get(room)
            if name == "wsocket.h" and PUBLIC in ARROWS[room]:
                continue
            if allowed is not None and name not in allowed:
                yield "<%s> has no place in %s" % (name, room)
        else:
            target = found(path, name)
            if target is None:
                yield '"%s" is not found' % name
            elif os.path.dirname(target) not in ARROWS[room]:
                yield "no arrow leads from %s to %s" % (room, target)


def main():
    os.chdir(ROOT)
    bad = 0
    for room in ARROWS:
        for path in sorted(glob.glob(room + "/*.[ch]")):
            for complaint in complaints(room, path):
                print("%s: %s" % (path, complaint))
                bad += 1
    known = set(ARROWS)
    for path in sorted(glob.glob("src/**/*.[ch]", recursive=True)):
        if os.path.dirname(path) not in known:
            print("%s: a room without arrows; see tools/check_includes.py" %
                  path)
            bad += 1
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
