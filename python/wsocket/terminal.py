"""Colours where a terminal shows them.

    print(paint("wsocket serves http://127.0.0.1:8080/", sys.stderr))
"""

from __future__ import annotations

import os
import re
from typing import TextIO

BOLD, RED, YELLOW, CYAN = "1", "1;31", "1;33", "1;36"
URL = re.compile(r"\b(?:https?|wss?)://[^\s,)]+")


def has_colours(stream: TextIO) -> bool:
    """Return True for a terminal with colours. A variable NO_COLOR that is not
    empty turns them off, FORCE_COLOR on; the first wins."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # no stream, or a closed one
        return False


def styled(text: str, style: str, stream: TextIO) -> str:
    if not has_colours(stream):
        return text
    return "\033[%sm%s\033[0m" % (style, text)


def paint(line: str, stream: TextIO) -> str:
    """Make the URLs of a line stand out."""
    return URL.sub(lambda found: styled(found[0], CYAN, stream), line)
