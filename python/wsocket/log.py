"""The logger ``wsocket``: errors of applications, with their tracebacks."""

from __future__ import annotations

import logging
import traceback

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


def show(level: str = "info") -> None:
    """Show the logger on standard error, as the server's own log looks,
    unless the program has set up its logging."""
    if logger.hasHandlers():
        return
    handler = logging.StreamHandler()
    handler.setFormatter(
        logging.Formatter(
            "[%(asctime)s] [%(process)d] %(levelname)s: %(message)s"
        )
    )
    logger.addHandler(handler)
    logger.setLevel(level.upper())
