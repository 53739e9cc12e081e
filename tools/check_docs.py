#!/usr/bin/env python3
"""What the documents say agrees with the code.

    tools/check_docs.py path/to/libwsocket.so

The option table is what tools/gen_options.py writes; the version stands in
wsocket.h and meson.build only, and is the same; every local link leads to a
file; every name wsk_... in a document is in the header; every sample compiles;
every test and fuzzer that a document of the internals names is there;
CONTRIBUTING.md lists the rooms of src/net, each above those that it may know.
"""

import ast
import glob
import os
import re
import subprocess
import sys

import gen_options
import rooms

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OPTIONS = "docs/reference/options.md"
THREATS = "docs/internals/threats.md"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def pages():
    return sorted(glob.glob("*.md") + glob.glob("docs/**/*.md", recursive=True)
                  + glob.glob("examples/**/*.md", recursive=True))


def stale_options(library):
    if not os.path.exists(OPTIONS):
        yield "%s is missing" % OPTIONS
    elif read(OPTIONS) != gen_options.page(library):
        yield ("%s is stale: tools/gen_options.py %s > %s" %
               (OPTIONS, library, OPTIONS))


def versions():
    header = re.search(r'#define WSK_VERSION "(.*)"',
                       read("include/wsocket.h"))[1]
    meson = re.search(r"^ +version: '(.*)'", read("meson.build"),
                      re.MULTILINE)[1]
    if header != meson:
        yield "wsocket.h says %s, meson.build says %s" % (header, meson)
    for path in (["pyproject.toml"] + glob.glob("src/**/*.[ch]", recursive=True) +
                 glob.glob("ext/*.[ch]") + glob.glob("python/wsocket/*.py*")):
        if header in read(path):
            yield "%s repeats the version %s" % (path, header)


def dead_links():
    for path in pages():
        for target in re.findall(r"\]\(([^)#\s]+)", read(path)):
            if "://" in target or target.startswith("mailto:"):
                continue
            if not os.path.exists(os.path.join(os.path.dirname(path), target)):
                yield "%s: the link %s leads nowhere" % (path, target)


def unknown_names():
    header = read("include/wsocket.h")
    known = set(re.findall(r"\bwsk_\w+", header))
    for path in pages():
        for name in sorted(set(re.findall(r"\bwsk_[a-z]\w*", read(path)))):
            family = name.endswith("_") and any(
                k.startswith(name) for k in known)
            if name not in known and not family:
                yield "%s: wsocket.h knows no %s" % (path, name)


def misplaced_rooms():
    text = read("CONTRIBUTING.md").split("src/net  ")[1].split("src/app")[0]
    listed = re.findall(r"^    (\w+) ", text, re.MULTILINE)
    for name in sorted(set(os.listdir("src/net")) ^ set(listed)):
        yield "CONTRIBUTING.md and src/net disagree on the room %s" % name
    for i, upper in enumerate(listed):
        for lower in listed[i + 1:]:
            if "src/net/" + upper in rooms.ROOMS.get("src/net/" + lower, ()):
                yield "CONTRIBUTING.md: %s stands below %s, but knows it" % (
                    lower, upper)


def broken_samples():
    for path in pages():
        for kind, text in re.findall(r"^```(c|python)(?: title=.*?)?\n(.*?)^```$", read(path),
                                     re.DOTALL | re.MULTILINE):
            error = None
            if kind == "python":
                try:
                    ast.parse(text)
                except SyntaxError as found:
                    error = found
            elif "int main" in text:
                error = subprocess.run(
                    ["cc", "-std=c11", "-Wall", "-Werror", "-Iinclude", "-x",
                     "c", "-fsyntax-only", "-"], input=text, text=True,
                    stderr=subprocess.PIPE).stderr
            if error:
                yield "%s: a sample does not compile: %s" % (path, error)


def missing_tests():
    known = {os.path.basename(path)[:-2] for path in glob.glob("fuzz/*.c")}
    paths = [path for kind in ("c", "py") for path in glob.glob(
        "tests/**/test_*." + kind, recursive=True)]
    for path in paths:  # and not the bytecode beside them
        stem = os.path.splitext(os.path.basename(path))[0]
        known |= {"%s.%s" % (stem, name) for name in re.findall(
            r"^(?:TEST\(|def )(\w+)", read(path), re.MULTILINE)}
    for path in sorted(glob.glob("docs/internals/*.md")):
        named = re.findall(r"`(test_\w+\.(?!c`|py`)\w+|(?:fuzz|diff)_\w+)`",
                           read(path))
        for name in sorted(set(named) - known):
            yield "%s: there is no %s" % (path, name)
    for row in re.findall(r"^\| .+ \|$", read(THREATS), re.MULTILINE)[1:]:
        if "test_" not in row:
            yield "%s: no test shows %s" % (THREATS, row.split("|")[1].strip())


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    library = os.path.abspath(sys.argv[1])
    os.chdir(ROOT)
    complaints = [*stale_options(os.path.relpath(library)), *versions(),
                  *dead_links(), *unknown_names(), *broken_samples(),
                  *misplaced_rooms(), *missing_tests()]
    for complaint in complaints:
        print(complaint)
    return len(complaints) > 0


if __name__ == "__main__":
    sys.exit(main())
