"""Why a worker or a reload has failed, in a line.

    brief(text)  # "ZeroDivisionError: division by zero (/srv/shop.py, line 2)"
"""

from __future__ import annotations

import os
import re
import sysconfig

PLACE = re.compile(r'File "([^"<][^"]*)", line (\d+)')
TRACEBACK = "Traceback (most recent call last):"

# Folders of what an application imports.
LIBRARIES = tuple(
    {
        os.path.join(sysconfig.get_path(name), "")
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
    }
)


def brief(text: str) -> str:
    """Return the last line of a text. If a traceback stands before it, add the
    innermost place in the application; in a library, if there is none."""
    last = text.rstrip("\n").rpartition("\n")[2]
    if TRACEBACK not in text:
        return last
    places = PLACE.findall(text.rpartition(TRACEBACK)[2])
    own = [place for place in places if not place[0].startswith(LIBRARIES)]
    if not places:
        return last
    return "%s (%s, line %s)" % (last, *(own or places)[-1])
