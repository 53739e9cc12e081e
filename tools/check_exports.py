#!/usr/bin/env python3
"""The shared library exports what wsocket.h promises, and nothing else.

    tools/check_exports.py path/to/libwsocket.so
"""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HEADER = os.path.join(ROOT, "include", "wsocket.h")


def promised():
    with open(HEADER, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)
    return set(re.findall(r"^WSK_API\b[^;(]*?\b(wsk_\w+)\s*\(", text,
                          re.MULTILINE))


def exported(library):
    text = subprocess.check_output(["nm", "-D", "--defined-only", library],
                                   text=True)
    return {line.split()[-1] for line in text.splitlines()}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    header, library = promised(), exported(sys.argv[1])
    for name in sorted(header - library):
        print("wsocket.h declares %s, the library does not have it" % name)
    for name in sorted(library - header):
        print("the library exports %s, wsocket.h does not declare it" % name)
    return header != library


if __name__ == "__main__":
    sys.exit(main())
