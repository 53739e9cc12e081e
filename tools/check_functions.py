#!/usr/bin/env python3
"""src/tls/functions.h names the functions of OpenSSL that src/tls calls.

    tools/check_functions.py [--write] path/to/libwsocket.so

With -Dtls=runtime each of them is looked up when TLS is first asked for. The
objects of a build that is linked with OpenSSL tell which they are, macros of
its headers included. --write writes the file anew; a build without TLS tells
nothing.
"""

import os
import re
import subprocess
import sys

import check_calls
import rooms

HEADER = "src/tls/functions.h"
OPENSSL = re.compile(r"[A-Z]\w*\Z|(?:d2i|i2d)_\w+\Z")
TOP = """\
/* tls/functions: the functions of OpenSSL that src/tls calls, for a library
 * that is not linked with it. Written by tools/check_functions.py --write. */
#ifndef WSK_TLS_FUNCTIONS_H
#define WSK_TLS_FUNCTIONS_H

/* clang-format off */
#define WSK__TLS_FUNCTIONS(F) \\
"""
MIDDLE = """
struct wsk__tls_functions {
#define WSK__TLS_FIELD(name) __typeof__(name) *name;
    WSK__TLS_FUNCTIONS(WSK__TLS_FIELD)
#undef WSK__TLS_FIELD
};

#ifndef WSK__TLS_PLAIN_NAMES
"""
BOTTOM = """\
#endif
/* clang-format on */

#endif
"""


def wanted(library):
    table = check_calls.symbols([library], library)
    return sorted({name for path, (_, wants) in table.items()
                   if rooms.room_of(path) == "src/tls"
                   for name in wants if OPENSSL.match(name)})


def page(names):
    lines = " \\\n".join("    F(%s)" % name for name in names) + "\n"
    defines = "".join("#define %s (*wsk__tls_lib()->%s)\n" % (name, name)
                      for name in names)
    return TOP + lines + MIDDLE + defines + BOTTOM


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    library = check_calls.static_library(os.path.abspath(sys.argv[-1]))
    os.chdir(rooms.ROOT)
    names = wanted(library)
    if not names:
        print("a build without OpenSSL does not tell what is called")
        return False
    if "--write" in sys.argv:
        with open(HEADER, "w", encoding="utf-8") as file:
            file.write(page(names))
        return False
    with open(HEADER, encoding="utf-8") as file:
        listed = set(re.findall(r"^#define (\w+) \(", file.read(), re.M))
    for name in sorted(set(names) - listed):
        print("%s lacks %s" % (HEADER, name))
    for name in sorted(listed - set(names)):
        print("%s has %s, which is not called" % (HEADER, name))
    if set(names) == listed:
        return False
    print("tools/check_functions.py --write %s" % sys.argv[-1])
    return True


if __name__ == "__main__":
    sys.exit(main())
