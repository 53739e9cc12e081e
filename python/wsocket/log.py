"""The logger ``wsocket``: errors of applications, with their tracebacks."""

from __future__ import annotations

import logging
import logging.handlers
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any, Optional, TextIO

from . import _wsocket

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
    report(text)
    return text


# Control characters (C0 and C1) except tab and newline, separators of lines and
# paragraphs, characters that change the direction of text, and surrogates.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return "\\x%02x" % code if code < 0x100 else "\\u%04x" % code


class _Formatter(logging.Formatter):
    """Format entries as the server's own log does. A message or an exception
    may hold text that a peer has sent: its control characters are escaped, and
    only an entry begins with a bracket."""

    converter = time.gmtime
    default_time_format = "%Y-%m-%d %H:%M:%S +0000"
    default_msec_format = None  # type: ignore[assignment]

    def format(self, record: logging.LogRecord) -> str:
        level, text = record.levelname.lower(), super().format(record)
        head = "[%s] [%s] " % (self.formatTime(record), record.process)
        return head + self.escape("%s: %s" % (level, text))

    @staticmethod
    def escape(text: str) -> str:
        return _STEERING.sub(_escaped, text).replace("\n[", "\n [")


# ------------------------------------------------------------------- errors


class _Relay:
    """A handler of the logger; `took` is true once it has written a record."""

    def __init__(self, handler: logging.Handler) -> None:
        self.handler = handler
        self.level = handler.level
        self.took = False
        self.failure: Optional[Exception] = None

    def handle(self, record: logging.LogRecord) -> None:
        stream = getattr(self.handler, "stream", None)
        if getattr(stream, "closed", False) is True:
            return
        try:
            # True if no filter has refused; None from a NullHandler.
            self.took = bool(self.handler.handle(record)) or _is_none(
                self.handler
            )
        except Exception as exc:
            self.failure = exc


WHOLE = 4096  # bytes that a pipe takes whole, whatever other processes write


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]
    """Write entries so that other processes may write to the same pipe: at
    once only whole lines, and at most WHOLE bytes of them."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            for lines in _pieces(self.format(record)):
                self.stream.write(lines)
                self.flush()
        except Exception:
            self.handleError(record)

    def move(self, stream: TextIO) -> None:
        """Write to another stream from now on."""
        before = self.setStream(stream)
        if before not in (None, sys.stderr, sys.stdout):
            before.close()


class _FileHandler(logging.handlers.WatchedFileHandler):
    """The same for a file, which is opened anew if it was moved."""


def _pieces(text: str) -> Iterator[str]:
    """Yield the lines of a text, several at once where they are short."""
    piece, size = "", 0
    for line in (text + "\n").splitlines(keepends=True):
        length = len(line.encode("utf-8", "backslashreplace"))
        if size and size + length > WHOLE:
            yield piece
            piece, size = "", 0
        piece += line
        size += length
    yield piece


def _is_none(handler: logging.Handler) -> bool:
    """Return True if the handler stands for the error_logfile "none"."""
    ours = isinstance(handler.formatter, _Formatter)
    return ours and isinstance(handler, logging.NullHandler)


def _handlers() -> Iterator[logging.Handler]:
    """Yield the handlers that get the records of our logger."""
    at: Optional[logging.Logger] = logger
    while at is not None:
        yield from at.handlers
        at = at.parent if at.propagate else None


def _deliver(level: int, what: str, exc: Optional[BaseException]) -> str:
    """Log as the logger is set up. Return "" if a handler has written it, else
    the text that is still to be written.

    A copy of the logger does this, with its class, filters and level, and with
    handlers that remember if they have written.
    """
    relays = [_Relay(handler) for handler in _handlers()]
    failures: list[tuple[object, Exception]] = []
    if relays:
        twin = logger.__class__.__new__(logger.__class__)
        vars(twin).update(
            vars(logger),
            _cache={},
            handlers=relays,
            level=logger.getEffectiveLevel(),
            parent=None,
        )
        log = twin.error if level == logging.ERROR else twin.warning
        try:
            log("%s", what, exc_info=exc)
        except Exception as failure:
            failures.append((logger, failure))
    if any(relay.took for relay in relays):
        return ""
    parts = [what, *_lines_of(exc)]
    failures += [(r.handler, r.failure) for r in relays if r.failure]
    for broken, failure in failures:
        parts += ["and %r failed:" % (broken,), *_lines_of(failure)]
    return "\n".join(parts)


def _lines_of(exc: Optional[BaseException]) -> list[str]:
    if exc is None:
        return []
    lines = traceback.format_exception(type(exc), exc, exc.__traceback__)
    return ["".join(lines).rstrip("\n")]


def report(
    what: str,
    exc: Optional[BaseException] = None,
    errors: Any = None,
    level: int = logging.ERROR,
) -> None:
    """Log an error so that it appears in some log. An application may disable
    our logger, raise its level or remove its handlers: an error that no handler
    writes goes to ``wsgi.errors``, which is the server's own log. That is
    ``errors``, or the stream of the server that this thread belongs to.
    """
    text = _deliver(level, what, exc)
    if not text:
        return
    if errors is None:
        errors = _wsocket.error_stream()
    if errors is None or not _write(errors, text, level):
        now = time.strftime(_Formatter.default_time_format, time.gmtime())
        _write(sys.stderr, text, level, "[%s] [%d] " % (now, os.getpid()))


def _write(stream: Any, text: str, level: int, head: str = "") -> bool:
    name = logging.getLevelName(level).lower()
    try:
        if hasattr(stream, "entry"):  # our own, which escapes by itself
            if level < logging.ERROR:
                return bool(stream.warn(text))
            return bool(stream.entry("%s: %s" % (name, text)))
        text = _Formatter.escape("%s: %s" % (name, text))
        stream.write(head + text + "\n")
        stream.flush()
    except Exception:  # None, or closed
        return False
    return True


def warn(what: str, exc: None = None, errors: Any = None) -> None:
    """Log a warning like report() does, if the logger's level allows it."""
    if logger.getEffectiveLevel() <= logging.WARNING:
        report(what, exc, errors, logging.WARNING)


def depart(what: str, exc: BaseException, errors: Any = None) -> None:
    """Log for debugging an exception that only says that the peer has left."""
    logger.debug("%s", what, exc_info=exc)


class Repeated:
    """A count of something that a client can cause as often as it likes, and
    the limit of log lines about it: one in ``interval`` seconds.

        refused = Repeated()
        count = refused.add()
        if count is not None:
            warn("refused: %d since the start" % count)
    """

    def __init__(self, interval: float = 1.0) -> None:
        self._interval = interval
        self._lock = threading.Lock()
        self._count = 0
        self._last = -interval  # time.monotonic() of the last line

    def add(self) -> Optional[int]:
        """Count one more. Return the count if a line is due, else None."""
        with self._lock:
            self._count += 1
            now = time.monotonic()
            if now - self._last < self._interval:
                return None
            self._last = now
            return self._count


# --------------------------------------------------------------- by default


def _is_set_up() -> bool:
    """Return True if the program has handlers of its own for our logger."""
    return any(
        not isinstance(handler.formatter, _Formatter)
        and not isinstance(handler, logging.NullHandler)
        for handler in _handlers()
    )


def _is_alone(record: logging.LogRecord) -> bool:
    """Return True if the program has added no handler of its own since."""
    return not _is_set_up()


def show(level: Any = None, path: Any = None) -> None:
    """Write our logger's records to the server's own log, in its format, unless
    the program has set up logging or does so later. ``level`` and ``path`` are
    the options ``log_level`` and ``error_logfile``."""
    if logger.hasHandlers():
        return
    handler: logging.Handler
    if path in (None, "", "stderr"):
        handler = _Handler()
    elif path == "-":
        handler = _Handler(sys.stdout)
    elif path == "none":
        handler = logging.NullHandler()
    elif path.startswith("fd:"):
        handler = _Handler(_stream(int(path[3:])))
    else:
        handler = _FileHandler(path)
    _add(handler)
    logger.setLevel((level or "info").upper())


def is_apart(path: Any) -> bool:
    """Return True if the option ``error_logfile`` names a log that is not
    standard error: what is printed there is not in the log."""
    if path in (None, "", "none", "stderr"):
        return False
    number = str(path)[3:] if str(path).startswith("fd:") else ""
    file = 1 if path == "-" else int(number) if number.isdecimal() else path
    try:
        return not os.path.samestat(os.stat(file), os.fstat(2))
    except OSError:
        return True


def _add(handler: logging.Handler) -> None:
    handler.setFormatter(_Formatter())
    handler.addFilter(_is_alone)
    logger.addHandler(handler)


def _stream(file: Any) -> TextIO:
    """Return a stream for a copy of a file or descriptor."""
    fd = file if isinstance(file, int) else file.fileno()
    return open(os.dup(fd), "w", encoding="utf-8", errors="backslashreplace")


def move(file: Any) -> None:
    """Let what ``show()`` has set up go on in another file or descriptor."""
    for handler in list(logger.handlers):
        if isinstance(handler, _Handler):
            handler.move(_stream(file))
        elif isinstance(handler, _FileHandler):
            _add(_Handler(_stream(file)))
            logger.removeHandler(handler)
            handler.close()
