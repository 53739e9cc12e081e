"""The logger ``wsocket``: errors of applications, with their tracebacks."""

from __future__ import annotations

import logging
import logging.handlers
import re
import sys
import traceback
from typing import Any

logger = logging.getLogger("wsocket")


def log_traceback(exc: BaseException) -> str:
    """Log an exception and return its traceback as text.

        try:
            1 / 0
        except ZeroDivisionError as exc:
            page = log_traceback(exc)
    """
    text = "".join(
        traceback.format_exception(type(exc), exc, exc.__traceback__)
    )
    logger.error("%s", text)
    return text


# Controls (of C1, too) but tab and newline, the separators of lines and
# paragraphs, what turns the direction of text, and surrogates.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return "\\x%02x" % code if code < 0x100 else "\\u%04x" % code


class _Formatter(logging.Formatter):
    """Entries as the server's own log has them. What a peer has sent may stand
    in a message or in an exception: no character of it steers a terminal, and
    only an entry begins with a bracket."""

    def format(self, record: logging.LogRecord) -> str:
        text = _STEERING.sub(_escaped, super().format(record))
        return text.replace("\n[", "\n [")


def show(level: Any = None, path: Any = None) -> None:
    """Show the logger where the server's own log is, and as it looks, unless
    the program has set up its logging. Both are options: ``log_level`` and
    ``error_logfile``."""
    if logger.hasHandlers():
        return
    handler: logging.Handler
    if path in (None, "", "stderr"):
        handler = logging.StreamHandler()
    elif path == "-":
        handler = logging.StreamHandler(sys.stdout)
    elif path == "none":
        handler = logging.NullHandler()
    else:  # looks whether the file was moved away
        handler = logging.handlers.WatchedFileHandler(path)
    handler.setFormatter(
        _Formatter(
            "[%(asctime)s] [%(process)d] %(levelname)s: %(message)s"
        )
    )
    logger.addHandler(handler)
    logger.setLevel((level or "info").upper())
