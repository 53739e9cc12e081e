#!/usr/bin/env python3
"""Every source file stands in meson.build, and every file named there exists.

A file that is missing from the lists would compile nowhere, or ship nowhere,
without anybody noticing.
"""

import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PATTERNS = [
    "src/**/*.c", "ext/*.c", "ext/*.map", "tests/c/test_*.c", "fuzz/*.c",
    "examples/c/*.c", "python/wsocket/**/*.py", "python/wsocket/*.pyi",
    "python/wsocket/*.html", "python/wsocket/py.typed",
]


def main():
    os.chdir(ROOT)
    with open("meson.build", encoding="utf-8") as file:
        listed = set(re.findall(r"'([\w./-]+)'", file.read()))
    present = set(sum((glob.glob(pattern, recursive=True) for pattern in PATTERNS), []))
    rooms = tuple(sorted({os.path.dirname(p) + "/" for p in PATTERNS
                          if "*/" not in p} | {"src/"}))
    bad = 0
    for path in sorted(present - listed):
        print("meson.build does not list %s" % path)
        bad += 1
    for path in sorted(listed - present):
        if path.startswith(rooms) and not path.endswith("/"):
            print("meson.build lists %s, which does not exist" % path)
            bad += 1
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
