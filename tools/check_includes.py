#!/usr/bin/env python3
"""The arrows between the rooms: who may include whom.

    src:  net -> app -> http -> base     net -> ws -> base
    ext -> wsocket.h <- all of src       wsocket.h -> nothing of ours

http and ws never meet; only ext sees Python.h; the engines (base, http, ws)
see no header of the system that could reach a socket, a clock or a thread.

Within net the order of rooms is that of tools/rooms.py. Two kinds of fault are
counted there, see tools/tolerated.txt:

    includes-upward   a header of a room that the file's own may not know
    system-headers    a header of the system in a room that has no use for it

    tools/check_includes.py [--list]

--list prints all that are counted, tolerated or not.
"""

import glob
import os
import re
import sys

import rooms

PUBLIC = rooms.PUBLIC
ARROWS = {
    "include": set(),
    "src/base": {"src/base", PUBLIC},
    "src/http": {"src/http", "src/base", PUBLIC},
    "src/ws": {"src/ws", "src/base", PUBLIC},
    "src/tls": {"src/tls", "src/base", PUBLIC},
    "src/topic": {"src/topic", "src/base", PUBLIC},
    "src/broker": {"src/broker", "src/base", PUBLIC},
    "src/net": {"src/net", "src/app", "src/http", "src/ws", "src/tls",
                "src/topic", "src/broker", "src/base", PUBLIC},
    "src/app": {"src/app", "src/net", "src/http", "src/base", PUBLIC},
    "ext": {"ext", PUBLIC},
    "examples/c": {PUBLIC},
    "tests/c": {"tests/c", "src/net", "src/app", "src/http", "src/ws",
                "src/tls", "src/topic", "src/broker", "src/base", PUBLIC},
    "fuzz": {"fuzz", "src/net", "src/http", "src/ws", "src/tls", "src/broker",
             "src/base", PUBLIC},
    "bench": {"src/http", "src/net", PUBLIC},
}
PURE = {"assert.h", "limits.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h",
        "stdlib.h", "string.h", "emmintrin.h", "immintrin.h", "arm_neon.h"}
SYSTEM = {  # rooms that may see only these headers of the system
    "include": {"stdbool.h", "stddef.h", "stdint.h"},
    "src/base": PURE,
    "src/http": PURE,
    "src/ws": PURE | {"stdatomic.h", "zlib.h"},
    "src/topic": PURE | {"stdatomic.h",
                         "pthread.h"},  # mutexes; no thread is made
    "src/broker": PURE | {"hiredis/hiredis.h", "hiredis/read.h"},
    "src/tls": PURE | {"stdatomic.h", "stdarg.h", "dlfcn.h",
                       "time.h",  # struct tm; no clock is asked
                       "openssl/bio.h", "openssl/core_names.h",
                       "openssl/err.h", "openssl/evp.h", "openssl/hmac.h",
                       "openssl/params.h", "openssl/pem.h", "openssl/rand.h",
                       "openssl/ssl.h", "openssl/x509.h",
                       "openssl/x509v3.h"},
}
NET = "src/net"
# Descriptors of connections, and who waits for them.
SOCKETS = {"src/net/os", "src/net/local", "src/net/broker"}
# A header of the system, or the folder it lies in: the only rooms to see it.
OWNED = {
    "arpa/": SOCKETS,
    "linux/sockios.h": SOCKETS,
    "netdb.h": SOCKETS,
    "netinet/": SOCKETS,
    "poll.h": SOCKETS,
    "sys/epoll.h": SOCKETS,
    "sys/event.h": SOCKETS,
    "sys/eventfd.h": SOCKETS,
    "sys/ioctl.h": SOCKETS,
    "sys/sendfile.h": SOCKETS,
    "sys/socket.h": SOCKETS,
    "sys/uio.h": SOCKETS,
    "sys/un.h": SOCKETS,
    "hiredis/": {"src/broker"},
    "openssl/": {"src/tls"},
    "pthread.h": {"src/net/os", "src/net/log", "src/net/loop",
                  "src/net/dispatch", "src/net/conn", "src/net/topics",
                  "src/net/standalone", "src/net/bus", "src/net/broker",
                  "src/net/server", "src/app", "src/topic"},
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
            elif hall(os.path.dirname(target)) not in ARROWS[room]:
                yield "no arrow leads from %s to %s" % (room, target)


def hall(folder):
    """The folder that ARROWS knows: the rooms of net are judged below."""
    return NET if folder.startswith(NET + "/") else folder


def owners_of(header):
    for name, owners in OWNED.items():
        if header == name or name.endswith("/") and header.startswith(name):
            return owners
    return None


def count(path, faults):
    """Judge a file of net, or of app, by the order of rooms."""
    room = rooms.room_of(path)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for mark, name in INCLUDE.findall(text):
        if mark == "<":
            owners = owners_of(name)
            if owners is not None and room not in owners:
                faults["system-headers"].append(
                    "%s (%s) includes <%s>" % (path, room, name))
            continue
        target = found(path, name)
        if target is None or not target.startswith("src/"):
            continue
        to = rooms.room_of(target)
        if to not in rooms.ROOMS.get(room, ()):
            faults["includes-upward"].append(
                "%s (%s) includes %s (%s)" % (path, room, target, to))


def main():
    os.chdir(rooms.ROOT)
    bad = 0
    faults = {"includes-upward": [], "system-headers": []}
    nested = {folder: ARROWS[NET] for folder in rooms.ROOMS
              if folder.startswith(NET + "/")}
    ARROWS.update(nested)
    for room in ARROWS:
        for path in sorted(glob.glob(room + "/*.[ch]")):
            for complaint in complaints(room, path):
                print("%s: %s" % (path, complaint))
                bad += 1
    known = set(ARROWS)
    for path in sorted(glob.glob("src/**/*.[ch]", recursive=True)):
        count(path, faults)
    for path in sorted(glob.glob("src/**/*.[ch]", recursive=True)):
        if os.path.dirname(path) not in known:
            print("%s: a room without arrows; see tools/check_includes.py" %
                  path)
            bad += 1
    if "--list" in sys.argv:
        for fault in sorted(sum(faults.values(), [])):
            print(fault)
    return rooms.judge(faults) or bad > 0


if __name__ == "__main__":
    sys.exit(main())
