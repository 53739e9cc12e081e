#!/usr/bin/env python3
"""The calls between files and rooms, as the linker sees them.

    tools/check_calls.py [--list] path/to/libwsocket.so

The static library beside it is read (it is made by ninja if it is not there),
and the objects of the extension, which the same folder has. `nm` tells which
object defines a symbol and which objects want it, functions and data alike, so
neither a prototype nor a macro hides a call.

    files-in-circles   files that want symbols of each other, directly or by
                       way of others
    ext-in-circles     the same in ext
    calls-upward       a file and a symbol that it wants of a room which
                       tools/rooms.py does not list for its own

--list prints all that are found, tolerated or not, and what closes the circles.
"""

import collections
import glob
import os
import re
import subprocess
import sys

import rooms

FACE = re.compile(r"wsk_[a-z]")  # of wsocket.h: app may want it of any room
OURS = re.compile(r"wsk_|ext_")
SRC, EXT = "src/**/*.c", "ext/*.c"


def static_library(shared):
    path = re.sub(r"\.so$", ".a", shared)
    if not os.path.exists(path):
        subprocess.call(["ninja", "-C", os.path.dirname(path),
                         os.path.basename(path)], stdout=subprocess.DEVNULL)
    if not os.path.exists(path):
        sys.exit("there is no %s: `make check` builds it" % path)
    return path


def extension(library):
    """The objects of the extension in the folder of the library."""
    pattern = os.path.join(os.path.dirname(library), "_wsocket.*.p", "ext_*.o")
    current = sources(EXT)
    return [path for path in sorted(glob.glob(pattern))
            if os.path.basename(path) in current]  # ninja keeps old ones


def sources(pattern=SRC):
    """The name meson gives an object -> the source it was made of."""
    return {path.replace(os.sep, "_") + ".o": path
            for path in glob.glob(pattern, recursive=True)}


def symbols(binaries, where, pattern=SRC):
    """Source -> (symbols it defines, symbols it wants). `where` they lie is for
    complaints."""
    names = sources(pattern)
    table = collections.defaultdict(lambda: (set(), set()))
    text = ""
    if binaries:
        text = subprocess.check_output(["nm", "-A", *binaries], text=True)
    for line in text.splitlines():
        member, rest = line.rsplit(":", 1)
        kind, symbol = rest.split()[-2:]
        name = os.path.basename(member.split(":")[-1])
        if name not in names:
            sys.exit("%s of %s: no source below src has this name; delete the "
                     "library" % (name, where))
        defined, wanted = table[names[name]]
        if kind in "Uwv":
            wanted.add(symbol)
        elif kind.isupper() or kind in "iu":
            defined.add(symbol)
    missing = sorted(set(names.values()) - set(table))
    if missing:
        sys.exit("%s lacks %s" % (where, " ".join(missing)))
    return table


def arrows(table):
    """(source, other source) -> the symbols of ours that it wants of it."""
    home = {symbol: path for path, (defined, _) in table.items()
            for symbol in defined if OURS.match(symbol)}
    found = collections.defaultdict(set)
    for path, (_, wanted) in table.items():
        for symbol in wanted:
            other = home.get(symbol, path)
            if other != path:
                found[path, other].add(symbol)
    return found


def upward(found):
    for (path, other), wanted in found.items():
        room, to = rooms.room_of(path), rooms.room_of(other)
        if to in rooms.ROOMS.get(room, ()):
            continue
        for symbol in wanted:
            if room != "src/app" or not FACE.match(symbol):
                yield "%s wants %s of %s" % (path, symbol, other)


def circles(found):
    """Lists of files that reach each other (Tarjan's components)."""
    after = collections.defaultdict(list)
    for path, other in sorted(found):
        after[path].append(other)
    index, low, stack, result = {}, {}, [], []

    def visit(path):
        index[path] = low[path] = len(index)
        stack.append(path)
        for other in after[path]:
            if other not in index:
                visit(other)
            if other in stack:
                low[path] = min(low[path], low[other])
        if low[path] == index[path]:
            at = stack.index(path)
            circle = stack[at:]
            del stack[at:]
            if len(circle) > 1:
                result.append(sorted(circle))

    for path in sorted(after):
        if path not in index:
            visit(path)
    return result


def in_circles(found):
    return ["%s stands in a circle of %d files" % (path, len(circle))
            for circle in circles(found) for path in circle]


def explain(circle, found):
    for path in circle:
        for other in circle:
            wanted = sorted(found.get((path, other), ()))
            if wanted:
                print("%s -> %s: %s" % (path, other, " ".join(wanted)))


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    library = static_library(os.path.abspath(sys.argv[-1]))
    os.chdir(rooms.ROOT)
    found = arrows(symbols([library], library))
    in_ext = arrows(symbols(extension(library), os.path.dirname(library), EXT))
    faults = {
        "files-in-circles": in_circles(found),
        "ext-in-circles": in_circles(in_ext),
        "calls-upward": list(upward(found)),
    }
    if "--list" in sys.argv:
        for some in found, in_ext:
            for circle in circles(some):
                explain(circle, some)
        for fault in sorted(sum(faults.values(), [])):
            print(fault)
    homeless = sorted(path for path in sources().values()
                      if rooms.room_of(path) is None)
    for path in homeless:
        print("%s: no room; see tools/rooms.py" % path)
    return rooms.judge(faults) or homeless != []


if __name__ == "__main__":
    sys.exit(main())
