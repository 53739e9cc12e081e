#!/usr/bin/env python3
"""Comments of C in plain technical English.

    tools/check_comments.py [--list] [FILE...]

A comment says what it is about with its first word: a function's begins with a
verb, a field's with its noun. Counted are those in src, ext and include that

    comments-pointing  begin with a word that only points at the code beside
                       them (What, Who, It, That, Whether, So, ...)
    comments-vague     say nobody, somebody, whoever or whatever where a thread,
                       a peer or a function has a name; or the old "shall"

A word in quotes is a quotation. --list prints all that are found, tolerated or
not, of the files that are named, if any.
"""

import glob
import os
import re
import sys

import rooms

PLACES = ("include/*.h", "src/**/*.[ch]", "ext/*.[ch]")
# A literal is matched so that it is no comment, and no comment a literal.
TOKEN = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
                   re.DOTALL)
QUOTED = re.compile(r'"[^"]*"')
POINTING = re.compile(r"(?:what|who|whoever|whose|whom|it|its|that|whether|so|"
                      r"nobody|somebody)\b", re.IGNORECASE)
VAGUE = re.compile(r"\b(?:nobody|somebody|whoever|whatever|shall)\b",
                   re.IGNORECASE)


def comments(text):
    """(number of its first line, words) of each comment."""
    for match in TOKEN.finditer(text):
        if match[0].startswith("/*"):
            words = re.sub(r"^[ *]+|[ *]+$", "", match[0][2:-2],
                           flags=re.MULTILINE)
            yield (text.count("\n", 0, match.start()) + 1,
                   " ".join(words.split()))


def judged(paths):
    faults = {"comments-pointing": [], "comments-vague": []}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for number, words in comments(text):
            fault = "%s:%d: %s" % (path, number, words[:60])
            if POINTING.match(words):
                faults["comments-pointing"].append(fault)
            if VAGUE.search(QUOTED.sub("", words)):
                faults["comments-vague"].append(fault)
    return faults


def main():
    os.chdir(rooms.ROOT)
    files = [path for pattern in PLACES
             for path in sorted(glob.glob(pattern, recursive=True))]
    if "--list" in sys.argv:
        named = [path for path in sys.argv[1:] if path in files]
        for fault in sum(judged(named or files).values(), []):
            print(fault)
        return False
    return rooms.judge(judged(files))


if __name__ == "__main__":
    sys.exit(main())
