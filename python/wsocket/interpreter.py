"""The command that runs another interpreter as this one runs."""

from __future__ import annotations

import sys


def command() -> list[str]:
    """Return the command that runs this interpreter with the flags that it has
    now: ["/usr/bin/python3", "-I", "-X", "dev"]."""
    argv = getattr(sys, "orig_argv", None)  # from Python 3.10 on
    return [sys.executable, *(known_flags() if argv is None else flags(argv))]


def flags(argv: list[str]) -> list[str]:
    """Return the flags in the arguments of an interpreter.

    flags(["python", "-W", "error", "-Im", "wsocket"])  # ["-W", "error", "-I"]
    """
    found = []
    words = iter(argv[1:])
    for word in words:
        if word[:1] != "-" or word in ("-", "--"):
            break
        letters = word[1:] if word[:2] != "--" else ""
        # What stands behind one of these is its value.
        at = min((letters.find(c) for c in "XWcm" if c in letters), default=-1)
        is_last = at >= 0 and letters[at] in "cm"
        kept = letters[:at] if is_last else letters
        if at < 0 or is_last:
            kept = kept.replace("x", "")  # it skips the first line of a file
        if kept or not letters:
            found.append("-" + kept if letters else word)
        if is_last:
            break
        if word == "--check-hash-based-pycs" or at == len(letters) - 1 >= 0:
            found.extend(value for _, value in zip(range(1), words))
    return found


def known_flags() -> list[str]:
    """The same as far as Python 3.9 remembers."""
    from subprocess import _args_from_interpreter_flags as known  # type: ignore

    words = known()
    some = [w for w, before in zip(words, ["", *words]) if "-X" not in (w, before)]
    for name, value in sys._xoptions.items():
        some += ["-X", name if value is True else "%s=%s" % (name, value)]
    return some
