#!/usr/bin/env python3
"""python/README.md is README.md with links that work on PyPI.

    tools/check_description.py [--write] [LIBRARY]

PyPI shows it beside no other file, so each link is made absolute: to Source of
[project.urls] in pyproject.toml.
"""

import os
import re
import sys

import rooms

PATH = "python/README.md"
NOTE = ("<!-- Generated from README.md by tools/check_description.py. -->\n"
        "\n")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def description():
    [source] = re.findall(r'^Source = "(.*/)"$', read("pyproject.toml"),
                          re.MULTILINE)
    return NOTE + re.sub(r"\]\((?![a-z]+:|#)([^)]+)\)",
                         lambda found: "](%s%s)" % (source, found[1]),
                         read("README.md"))


def main():
    os.chdir(rooms.ROOT)
    made = description()
    if "--write" in sys.argv:
        with open(PATH, "w", encoding="utf-8") as file:
            file.write(made)
        return False
    if read(PATH) == made:
        return False
    print("%s is stale: tools/check_description.py --write" % PATH)
    return True


if __name__ == "__main__":
    sys.exit(main())
