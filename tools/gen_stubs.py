#!/usr/bin/env python3
"""Copy the docstrings of the extension to its stub, where editors read them.

    .venv/bin/python tools/gen_stubs.py [--check]

The types in python/wsocket/_wsocket.pyi are written by hand; the docstrings of
what users meet come from C. --check changes nothing and fails if one is stale.
"""

import ast
import inspect
import os
import sys
import textwrap

from wsocket import _wsocket

STUB = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                    "python", "wsocket", "_wsocket.pyi")
PUBLIC = {"Event", "Listener", "MessageStream", "Response", "WebSocket",
          "WebSocketError", "ProtocolError", "FrameTooLargeException",
          "publish", "count", "disconnect", "listen"}
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


class Text:
    """The lines of the stub, and the edits to make."""

    def __init__(self, source):
        self.lines = source.splitlines(keepends=True)
        self.edits = []

    def offset(self, line, column):
        return sum(map(len, self.lines[:line - 1])) + column

    def replace(self, begin, end, new):
        self.edits.append((begin, end, new))

    def edited(self):
        text = "".join(self.lines)
        for begin, end, new in sorted(self.edits, reverse=True):
            text = text[:begin] + new + text[end:]
        return text


def quoted(doc, indent):
    doc = doc.replace("\\", "\\\\")
    inner = textwrap.indent(doc, " " * indent).strip()
    end = "\n" + " " * indent if "\n" in doc else ""
    return '%s"""%s%s"""' % (" " * indent, inner, end)


def doc_of(thing):
    """The docstring, unless it is one that Python gives to everything."""
    doc = getattr(thing, "__doc__", None)
    inherited = {base.__doc__ for base in (object, OSError, property)}
    if not isinstance(doc, str) or doc in inherited:
        return None
    return inspect.cleandoc(doc)


def is_text(node):
    return (isinstance(node, ast.Expr) and
            isinstance(node.value, ast.Constant) and
            isinstance(node.value.value, str))


def is_dots(node):
    return (isinstance(node, ast.Expr) and
            isinstance(node.value, ast.Constant) and node.value.value is ...)


def of_function(text, node, doc):
    """`def f(): ...` or with the docstring as its body."""
    begin = text.offset(node.body[0].lineno, node.body[0].col_offset)
    end = text.offset(node.body[-1].end_lineno, node.body[-1].end_col_offset)
    head = "".join(text.lines)[:begin]
    begin = len(head.rstrip())
    body = "\n" + quoted(doc, node.col_offset + 4) if doc else " ..."
    text.replace(begin, end, body)


def of_class(text, node, doc):
    first = node.body[0]
    begin = text.offset(first.lineno, first.col_offset)
    begin = len("".join(text.lines)[:begin].rstrip())
    if is_text(first) or is_dots(first):
        end = text.offset(first.end_lineno, first.end_col_offset)
    else:
        end = begin
    body = "\n" + quoted(doc, node.col_offset + 4) if doc else ""
    alone = is_text(first) or is_dots(first)
    text.replace(begin, end,
                 body or (" ..." if alone and len(node.body) == 1 else ""))


def of_attribute(text, node, following, doc):
    begin = text.offset(node.end_lineno, node.end_col_offset)
    end = begin
    if following is not None and is_text(following):
        end = text.offset(following.end_lineno, following.end_col_offset)
    text.replace(begin, end,
                 "\n" + quoted(doc, node.col_offset) if doc else "")


def members(text, node, kind):
    seen = set()
    for at, member in enumerate(node.body):
        following = node.body[at + 1] if at + 1 < len(node.body) else None
        if isinstance(member, FUNCTION):
            special = member.name.startswith("_")
            doc = None if special or member.name in seen else doc_of(
                kind.__dict__.get(member.name))
            seen.add(member.name)
            of_function(text, member, doc)
        elif isinstance(member, ast.AnnAssign):
            of_attribute(text, member, following,
                         doc_of(kind.__dict__.get(member.target.id)))


def stub(source):
    text = Text(source)
    for node in ast.parse(source).body:
        name = getattr(node, "name", None)
        if name not in PUBLIC or not hasattr(_wsocket, name):
            continue
        thing = getattr(_wsocket, name)
        if isinstance(node, FUNCTION):
            of_function(text, node, doc_of(thing))
        elif isinstance(node, ast.ClassDef):
            of_class(text, node, doc_of(thing))
            members(text, node, thing)
    return text.edited()


def main():
    with open(STUB, encoding="utf-8") as file:
        source = file.read()
    made = stub(source)
    if "--check" in sys.argv:
        if made != source:
            sys.exit("_wsocket.pyi is stale: .venv/bin/python "
                     "tools/gen_stubs.py")
        return
    with open(STUB, "w", encoding="utf-8") as file:
        file.write(made)


if __name__ == "__main__":
    main()
