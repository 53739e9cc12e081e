"""The logger ``wsocket``: errors of applications, with their tracebacks."""

from __future__ import annotations

import logging
import logging.handlers
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
        logging.Formatter(
            "[%(asctime)s] [%(process)d] %(levelname)s: %(message)s"
        )
    )
    logger.addHandler(handler)
    logger.setLevel((level or "info").upper())
