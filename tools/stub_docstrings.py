"""For the site's reference of Python: docstrings of the extension.

The types stand in python/wsocket/_wsocket.pyi, the docstrings in the extension
itself; this gives the ones the others. In all docstrings, a line with indented
lines below it is a term and its meaning; indented paragraphs and lines with >>> are
samples.
"""

import importlib
import inspect
import re
import textwrap

import griffe

TERM = re.compile(r"^(?! |>>>|\.\.\.)(\S.*)\n((?: {4}\S.*(?:\n|\Z))+)", re.MULTILINE)
SAMPLE = re.compile(r"^>>> (?:.+(?:\n|\Z))+", re.MULTILINE)
BLOCK = re.compile(r"(?:(?<=\n\n)|\A)(?: {4}.*(?:\n|\Z)|\n(?= {4}))+", re.MULTILINE)


def as_markdown(text):
    text = BLOCK.sub(lambda m: "```python\n%s\n```\n" % textwrap.dedent(m[0]).strip("\n"),
                     text)
    text = SAMPLE.sub(lambda m: "\n```pycon\n%s\n```\n" % m[0].rstrip("\n"), text)
    parts = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if part.startswith("```") else TERM.sub(definition, part)
                   for part in parts)


def definition(found):
    lines = [line.strip() for line in found[2].rstrip("\n").split("\n")]
    return "\n%s\n:   %s\n" % (found[1], "\n    ".join(lines))


class StubDocstrings(griffe.Extension):
    """Runs once the package is loaded."""

    def on_package(self, *, pkg, **_):
        stub = pkg.members.get("_wsocket")
        if stub is not None:
            self.fill(stub, importlib.import_module(stub.path))
        self.tidy(pkg)

    def fill(self, described, real):
        for name, member in described.members.items():
            found = getattr(real, name, None)
            if member.is_alias or found is None:
                continue
            if member.docstring is None and not inspect.ismodule(found):
                text = getattr(found, "__doc__", None)
                if text and text != type(found).__doc__:
                    member.docstring = griffe.Docstring(
                        inspect.cleandoc(text), parent=member)
            if member.is_class:
                self.fill(member, found)

    def tidy(self, thing):
        for member in thing.members.values():
            if member.is_alias:
                continue
            self.tidy(member)
            if member.docstring is not None:
                member.docstring.value = as_markdown(member.docstring.value)
