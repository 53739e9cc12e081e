#!/usr/bin/env python3
"""The documents as a site.

    tools/website.py build    build/site/VERSION, strictly, and what lists versions
    tools/website.py serve    on http://127.0.0.1:8000, and again after each change

`build` fails for a warning of mkdocs, and for a page that would load anything from
another host. build/site can be copied to any web server as it is: a folder for
each version that was built, versions.json that the pages choose from, and an
index.html that leads to the newest.
"""

import html.parser
import json
import os
import re
import sys

import run

SITE = os.path.join("build", "site")
REQUIREMENTS = "docs/requirements.txt"
# What a browser fetches without being asked.
FETCHED = {"img": "src", "script": "src", "link": "href", "iframe": "src",
           "source": "src", "video": "src", "audio": "src"}
ENTRY = """<!doctype html>
<meta charset="utf-8"><title>wsocket</title>
<meta http-equiv="refresh" content="0; url=%s/">
<a href="%s/">wsocket %s</a>
"""


class Fetches(html.parser.HTMLParser):
    """The addresses that a page loads by itself."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        relation = attrs.get("rel") or ""
        if tag in FETCHED and not re.search("canonical|prev|next", relation):
            self.found.append(attrs.get(FETCHED[tag]) or "")


def version():
    with open("include/wsocket.h", encoding="utf-8") as file:
        return re.search(r'#define WSK_VERSION "(.*)"', file.read())[1]


def files(folder, kind):
    for path, _, names in os.walk(folder):
        for name in names:
            if name.endswith(kind):
                yield os.path.join(path, name)


def foreign(folder):
    """What the pages and their styles would load from elsewhere."""
    for path in files(folder, ".html"):
        page = Fetches()
        page.feed(run.read(path))
        for address in page.found:
            if re.match("(?:https?:)?//", address):
                yield "%s loads %s" % (path, address)
    for path in files(folder, ".css"):
        for address in re.findall(r"url\([\"']?((?:https?:)?//[^)]*)", run.read(path)):
            yield "%s loads %s" % (path, address)


def environment():
    inside = run.environment(os.path.join("build", "venv-docs"),
                             requirements=REQUIREMENTS)
    if not run.install(inside, *run.QUICK_BUILD):
        sys.exit(1)
    return inside


def build():
    name = version()
    folder = os.path.join(SITE, name)
    run.must([environment(), "-m", "mkdocs", "build", "--strict",
              "--site-dir", folder])
    complaints = sorted(foreign(folder))
    for complaint in complaints:
        print(complaint)
    listed = sorted((entry for entry in os.listdir(SITE)
                     if os.path.isdir(os.path.join(SITE, entry))), reverse=True)
    with open(os.path.join(SITE, "versions.json"), "w", encoding="utf-8") as file:
        json.dump([{"version": entry, "title": entry, "aliases": []}
                   for entry in listed], file)
    with open(os.path.join(SITE, "index.html"), "w", encoding="utf-8") as file:
        file.write(ENTRY % (name, name, name))
    pages = len(list(files(folder, ".html")))
    print("%s has %d pages" % (folder, pages))
    print("%d passed, %d failed" % (pages - bool(complaints), bool(complaints)))
    return bool(complaints)


def serve():
    os.execv(environment(), [environment(), "-m", "mkdocs", "serve",
                             "--dev-addr", "127.0.0.1:8000"])


if __name__ == "__main__":
    os.chdir(run.ROOT)
    if sys.argv[1:] not in (["build"], ["serve"]):
        sys.exit(__doc__)
    sys.exit({"build": build, "serve": serve}[sys.argv[1]]())
