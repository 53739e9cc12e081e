"""Command lines: one line says what is wrong with them."""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import os
import sys
from collections.abc import Collection
from typing import NoReturn, Optional

from .terminal import RED, styled

# Words that are commands of other programs.
OTHERS = {
    "restart": "near: reload, which loses no request, and upgrade",
    "start": "wsocket module:app starts a server",
    "run": "wsocket module:app starts a server",
    "serve": "wsocket module:app starts a server",
    "quit": "near: stop",
    "exit": "near: stop",
    "kill": "near: stop",
    "shutdown": "near: stop",
    "terminate": "near: stop",
    "scale": "near: workers",
    "rotate": "near: reopen",
    "help": "near: --help",
    "version": "near: --version",
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are lines, without the usage before them."""

    def error(self, message: str) -> NoReturn:
        error = styled("error:", RED, sys.stderr)
        self.exit(2, "%s: %s %s\n" % (self.prog, error, message))


def mistaken(word: str, commands: Collection[str]) -> Optional[str]:
    """Return what is wrong with a word that stands for an application, and was
    rather meant as a command; None if a module has that name.

    mistaken("restart", ["reload"])  # "restart is no command; near: reload..."
    """
    if not word.isalpha() or _is_module(word):
        return None
    if word in commands:
        return "%s comes first: wsocket %s [options]" % (word, word)
    hint = OTHERS.get(word)
    if hint is None:
        near = difflib.get_close_matches(word, commands, 1, 0.7)
        if not near:
            return None
        hint = "near: " + near[0]
    return "%s is no command; %s" % (word, hint)


def _is_module(name: str) -> bool:
    if os.path.isdir(name) or os.path.exists(name + ".py"):
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return True  # it is there, in some form
