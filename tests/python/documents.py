"""The samples of the documents, for the tests that run them."""

import glob
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FENCE = re.compile(
    r'^```python(?: title="(.*?)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)


def read(page):
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        return file.read()


def pages():
    found = glob.glob(os.path.join(ROOT, "docs", "**", "*.md"), recursive=True)
    return sorted(os.path.relpath(path, ROOT) for path in found) + ["README.md"]


def samples(page):
    """(title or "", code) of each sample in Python."""
    return FENCE.findall(read(page))


def files(page):
    """The files that a page tells to save: {name: text}."""
    return dict(re.findall(r'^```\w+ title="([^/].*?)"\n(.*?)^```$', read(page),
                           re.DOTALL | re.MULTILINE))


def of(page, *numbers):
    """The code of samples of a page, joined."""
    return "\n".join(samples("docs/" + page)[n][1] for n in numbers)


def run(code, **names):
    """What the code has defined, given these names."""
    names.setdefault("__name__", "sample")
    exec(compile(code, "sample", "exec"), names)
    return names
