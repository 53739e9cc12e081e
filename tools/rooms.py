"""The rooms of src, their order, and the faults that are still tolerated.

check_includes, check_declarations, check_calls and check_sizes share this
table. A file's room is its folder.

tolerated.txt has today's number of each kind of fault. A number may only fall:
a guard fails when more are found, and also when fewer are, until the file says
so.
"""

import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOLERATED = "tools/tolerated.txt"

PUBLIC = "include"
BASE = {"src/base"}
OS = {"src/net/os", "src/tls"} | BASE
LOG = OS | {"src/net/log", "src/http"}
LOCAL = OS | {"src/net/local"}
LOOP = OS | {"src/net/loop"}
DISPATCH = LOOP | {"src/net/log", "src/net/dispatch"}
CONN = DISPATCH | {"src/net/board", "src/net/conn", "src/http"}
OPENING = CONN | {"src/net/opening"}
BRIDGE = CONN | {"src/net/bridge"}
HANDLE = CONN | {"src/net/handle", "src/ws"}
TOPICS = DISPATCH | {"src/net/bus", "src/net/topics", "src/topic", "src/ws"}
MAILBOX = HANDLE | {"src/net/mailbox", "src/topic"}
WEBSOCKET = MAILBOX | TOPICS | {"src/net/websocket"}
REQUEST = WEBSOCKET | {"src/net/request"}
HTTP1 = ((REQUEST - {"src/net/websocket", "src/net/mailbox", "src/net/topics",
                      "src/net/bus"}) | BRIDGE |
         {"src/net/http1"})
STANDALONE = OS | {"src/net/standalone", "src/net/request",
                   "src/net/handle", "src/http", "src/ws"}
SERVER = REQUEST | OPENING | {"src/net/http1", "src/net/standalone",
                    "src/net/bus", "src/net/broker", "src/broker", "src/net/server",
                    "src/app"}

# A room, and the rooms that it may know.
ROOMS = {
    "src/base": BASE,
    "src/http": BASE | {"src/http"},
    "src/ws": BASE | {"src/ws"},
    "src/tls": BASE | {"src/tls"},
    "src/topic": BASE | {"src/topic"},
    "src/broker": BASE | {"src/broker"},
    "src/app": OS | {"src/http", "src/app"},
    "src/net/os": OS,
    "src/net/board": OS | {"src/net/board"},
    "src/net/log": LOG,
    "src/net/loop": LOOP,
    "src/net/dispatch": DISPATCH,
    "src/net/conn": CONN,
    "src/net/opening": OPENING,
    "src/net/bridge": BRIDGE,
    "src/net/handle": HANDLE,
    "src/net/mailbox": MAILBOX,
    "src/net/websocket": WEBSOCKET,
    "src/net/topics": TOPICS,
    "src/net/request": REQUEST,
    "src/net/http1": HTTP1,
    "src/net/standalone": STANDALONE,
    "src/net/local": LOCAL,
    "src/net/bus": LOOP | LOCAL | {"src/net/log", "src/net/bus", "src/topic"},
    "src/net/broker": OS | {"src/net/bus", "src/net/broker", "src/broker"},
    "src/net/server": SERVER,
}

def room_of(path):
    """The room of a file below src; None where it stands in no room."""
    folder = os.path.dirname(path)
    return folder if folder in ROOMS else None


def bare(text):
    """C without comments and literals, line for line."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match[0])

    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
                  blank, text, flags=re.DOTALL)


def tolerated(root=ROOT):
    with open(os.path.join(root, TOLERATED), encoding="utf-8") as file:
        lines = [line.split() for line in file if line[0] not in "#\n"]
    return {name: int(number) for name, number in lines}


def judge(faults, root=ROOT):
    """Compare the faults of each kind with the number that is tolerated; print
    what differs. The exit status."""
    allowed, bad = tolerated(root), False
    for kind, found in sorted(faults.items()):
        most = allowed.get(kind, 0)
        if len(found) > most:
            for fault in sorted(found):
                print("%s: %s" % (kind, fault))
            print("%s: %d, and %d are tolerated" % (kind, len(found), most))
        elif len(found) < most:
            print("%s: only %d are left; write that into %s, which says %d" %
                  (kind, len(found), TOLERATED, most))
        bad |= len(found) != most
    return bad
