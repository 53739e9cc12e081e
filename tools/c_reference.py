#!/usr/bin/env python3
"""The C reference of the site, in Markdown, from include/wsocket.h.

    tools/c_reference.py > page.md

Every declaration stands under its section of the header, as it is written there,
followed by its comment: paragraphs, and lists of parameters with their meaning.
"""

import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HEADER = os.path.join(ROOT, "include", "wsocket.h")
SECTION = re.compile(r"^/\* -+ (.+?) -+ \*/$", re.MULTILINE)
COMMENT = re.compile(r"/\*(.*?)\*/", re.DOTALL)
# A parameter, or several, and what it means, two blanks or more apart.
TERM = re.compile(r"^(\S+(?:, \S+)*(?: (?:on|< 0|-?\d+)\b[^ ]*)?) {2,}(\S.*)$")
NAME = re.compile(r"\b(wsk_\w+)(?=\()|\b(wsk_\w+|WSK_\w+)\b")
STATUS = re.compile(r'X\((WSK_\w+), +"(.*?)"\)')
# How the lists of options grow: docs/reference/options.md is about them.
INSIDE = re.compile(r"WSK_(?:FIELD|\w+_OPTIONS|STATUS_LIST|API)|WSOCKET_H|X\(")


def lines_of(comment):
    """The lines of a comment without the stars in front."""
    return [re.sub(r"^ *\*? ?", "", line, count=1).rstrip() if i else
            line.strip(" *") for i, line in enumerate(comment.split("\n"))]


def prose(comment):
    """A comment as Markdown: its paragraphs, terms as lists."""
    out = []
    for block in re.split(r"\n{2,}", "\n".join(lines_of(comment)).strip("\n")):
        listed, plain = [], []
        for line in block.split("\n"):
            line, term = line.rstrip(), TERM.match(line.lstrip(" "))
            if term and not plain:
                listed.append("- `%s`: %s" % (term[1], marked(term[2])))
            elif listed and line.startswith(" "):
                listed[-1] += " " + marked(line.strip(" -"))
            else:
                plain.append(marked(line.strip()))
        out += ["\n".join(listed)] * bool(listed)
        out += [" ".join(plain)] * bool(plain)
    return "\n\n".join(out)


def marked(text):
    """Names of C as code; what Markdown would read as its own, as it stands."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if part.startswith("`") else
        re.sub(r"(?<!\w)\*?(?:wsk_\w+(?:\*|\([^()]*\))?|WSK_\w+|[a-z_]+\(\)|"
               r"\*[a-z]+\b|errno|NULL|\w+_ms\b)",
               lambda found: "`%s`" % found[0], part).replace("<", "&lt;")
        for part in parts)


def declarations(text):
    """(comment or None, code) of each declaration of a section; (comment, "")
    for a comment of its own."""
    comment, code = None, []
    depth = 0
    for piece in re.split(r"(/\*.*?\*/)", text, flags=re.DOTALL):
        if piece.startswith("/*") and depth == 0 and not "".join(code).strip():
            if comment:
                yield comment, ""
            comment, code = piece[2:-2], []
            continue
        if piece.startswith("/*"):
            code.append(piece)
            continue
        for line in piece.splitlines(keepends=True):
            if not line.strip() and not "".join(code).strip():
                if comment and not comment.startswith("*"):
                    yield comment, ""
                    comment = None
                continue
            code.append(line)
            said = "".join(code).lstrip()
            depth += line.count("{") - line.count("}")
            if said.startswith("#"):
                ends = not line.rstrip("\n").endswith("\\") and "\n" in line
            else:
                ends = depth == 0 and line.rstrip().endswith(";")
            if ends:
                yield comment, said.rstrip()
                comment, code = None, []
    if comment:
        yield comment, "".join(code).strip()


def is_about_layout(comment):
    return comment.strip() in ("clang-format off", "clang-format on")


def with_rest(text):
    """A comment that follows on the line of a declaration stays with it."""
    return re.sub(r";( +/\*[^\n]*?\*/)$", r"\1;", text, flags=re.MULTILINE)


def name_of(code):
    """What a declaration declares."""
    end = re.search(r"\}\s*(wsk_\w+);\Z", code)
    if end:
        return end[1]
    define = re.match(r"#define (\w+)", code)
    if define:
        return define[1]
    found = NAME.search(re.sub(r"^(?:typedef|WSK_API)\b.*?(?=\bwsk_\w+\()", "", code,
                               flags=re.DOTALL))
    names = [a or b for a, b in NAME.findall(code) if (a or b) != "WSK_API"]
    if code.startswith("typedef"):
        return names[-1] if "(" not in code else (found[1] or found[2])
    return next((a for a, _ in NAME.findall(code) if a), names[0] if names else None)


def tidy(code):
    if code.startswith("WSK_API "):
        code = code[len("WSK_API "):].replace("\n" + 8 * " ", "\n")
    code = re.sub(r"(?: *WSK_\w+_OPTIONS\([^)]*\)\n)+",
                  "    /* a field for each option of the list */\n", code)
    return re.sub(r"( +/\*[^\n]*?\*/);$", r";\1", code, flags=re.MULTILINE)


def section(title, text):
    out = ["## %s" % (title[0].upper() + title[1:]), ""]
    for comment, code in declarations(with_rest(text)):
        if not code:
            out += [] if is_about_layout(comment) else [prose(comment), ""]
        elif "WSK_STATUS_LIST" in code and "enum" in code:
            continue
        elif INSIDE.search(code.split("\n")[0]) and code.startswith("#"):
            continue
        elif re.match(r"#(?!define)|extern|#undef", code):
            continue
        else:
            name = name_of(code)
            if name:
                out += ["### `%s`" % name, ""]
            out += ["```c", tidy(code), "```", ""]
            if comment:
                out += [prose(comment), ""]
    return out


def status_table(text):
    rows = STATUS.findall(text)
    return ["### `wsk_status`", "", "| status | meaning |", "|---|---|",
            *("| `%s` | %s |" % row for row in rows), ""]


def page():
    with open(HEADER, encoding="utf-8") as file:
        text = file.read()
    head, *rest = SECTION.split(text)
    text_of_head = COMMENT.search(head)[1]
    out = ["# C reference", "",
           "`#include <wsocket.h>`, and link with what `pkg-config --cflags --libs "
           "wsocket` says. The page is made from the header; "
           "[complete programs](../examples/c/) use it.", "",
           introduction(text_of_head), ""]
    for title, body in zip(rest[::2], rest[1::2]):
        lines = section(title, body)
        if title == "status":
            lines[2:2] = status_table(body)
        if title == "options":
            lines = options_section(lines)
        out += lines
    made = "\n".join(out) + "\n"
    lost = [name for name in re.findall(r"^WSK_API [^;(]*?\b(wsk_\w+)\(", text,
                                        re.MULTILINE)
            if "### `%s`\n" % name not in made]
    if lost:
        raise ValueError("wsocket.h declares what is not understood: %s" % lost)
    return made


def introduction(comment):
    """The first comment: its picture and its rules are lists."""
    lines = lines_of(comment)
    text = "\n".join(lines).strip("\n")
    text = re.sub(r"^wsocket\.h: .*\n", "", text)
    text = re.sub(r"^ {2}(wsk_\S+(?:, wsk_\S+)*) {2,}", r"- `\1`: ", text,
                  flags=re.MULTILINE)
    text = re.sub(r"^ {2}- ", "- ", text, flags=re.MULTILINE)
    return re.sub(r"^ {4,}(?=\S)", "  ", text, flags=re.MULTILINE)


def options_section(lines):
    """Without the comment on how the list is written down."""
    first = next(i for i, line in enumerate(lines) if line.startswith("###"))
    lines = [line for line in lines if not line.startswith("Options of a program")]
    return [*lines[:2],
            "Every option is a field of `wsk_server_config` or of its `limits`: "
            "[options](options.md).", "", *lines[first:]]


if __name__ == "__main__":
    print(page(), end="")
