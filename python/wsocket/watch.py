"""``--reload``: watches the files of the application in the worker.

With the package watchfiles the system tells what changes; without it the files
are looked at twice a second.
"""

from __future__ import annotations

import fnmatch
import html
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Optional

from . import log

Changed = Callable[[str], None]

EVERY = 0.5  # seconds between two looks
QUIET = 0.05  # seconds without a change, so that an editor can finish
MOST_FILES = 2000
MOST_ENTRIES = 20000  # names that a look reads at most
SKIPPED = {
    ".git", ".hg", ".svn", ".tox", ".nox", ".mypy_cache", ".pytest_cache",
    "__pycache__", "node_modules", "site-packages",
}

PAGE = """\
<!doctype html>
<meta charset="utf-8">
<title>The application cannot be imported</title>
<h1>The application cannot be imported</h1>
<p>The server waits for a change of its files, and tries again.</p>
<pre>%s</pre>
"""


class Watcher:
    """Call ``changed("a.py and 2 more")`` in a thread each time that files whose
    names match have changed, appeared or gone since this was made."""

    def __init__(
        self, dirs: Sequence[str], patterns: Sequence[str], changed: Changed
    ) -> None:
        self._dirs = [os.path.realpath(d) for d in dirs]
        self._patterns = patterns
        self._changed = changed
        self._over = threading.Event()
        self._before = self._look()

    def start(self) -> None:
        threading.Thread(
            target=self._watch, name="wsocket-watch", daemon=True
        ).start()

    def stop(self) -> None:
        """End the thread, soon."""
        self._over.set()

    def _watch(self) -> None:
        try:
            import watchfiles  # type: ignore[import-not-found, unused-ignore]

            self._be_told(watchfiles)
        except ImportError:
            self._ask()
        except Exception as exc:
            # The system watches no more files, or a folder is missing.
            log.warn("watchfiles has failed: %s; files are looked at" % exc)
            self._ask()

    def _ask(self) -> None:
        while not self._over.wait(EVERY):
            now = self._look()
            if now == self._before:
                continue
            while True:  # until nothing changes any more
                time.sleep(QUIET)
                later = self._look()
                if later == now:
                    break
                now = later
            self._tell(difference(self._before, now))
            self._before = now

    def _be_told(self, watchfiles: Any) -> None:
        is_first = True
        for changes in watchfiles.watch(
            *self._dirs,
            watch_filter=lambda change, path: self._is_wanted(path),
            debounce=int(QUIET * 1000),
            step=int(QUIET * 1000),
            rust_timeout=int(EVERY * 1000),
            yield_on_timeout=True,
            raise_interrupt=False,
            stop_event=self._over,
        ):
            paths = sorted(path for _, path in changes)
            if is_first and not paths:
                # A change before the system began to watch is seen by a look.
                paths = difference(self._before, self._look())
            is_first = False
            if paths:
                self._tell(paths)

    def _tell(self, paths: Sequence[str]) -> None:
        self._changed(named(paths))

    def _is_wanted(self, path: str) -> bool:
        folder, name = os.path.split(path)
        if not self._matches(name):
            return False
        while folder not in self._dirs:  # the folders above do not count
            above, name = os.path.split(folder)
            if name in SKIPPED or is_venv(folder) or above == folder:
                return False
            folder = above
        return True

    def _matches(self, name: str) -> bool:
        return any(fnmatch.fnmatch(name, p) for p in self._patterns)

    def _look(self) -> dict[str, tuple[int, int, int]]:
        """Return what tells the versions of all files apart."""
        found: dict[str, tuple[int, int, int]] = {}
        entries = 0
        todo = list(self._dirs)
        while todo and entries < MOST_ENTRIES and len(found) < MOST_FILES:
            for entry in entries_of(todo.pop()):
                entries += 1
                if is_folder(entry):
                    if entry.name not in SKIPPED and not is_venv(entry.path):
                        todo.append(entry.path)
                elif self._matches(entry.name):
                    version = version_of(entry)
                    if version is not None:
                        found[entry.path] = version
        return found


def entries_of(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def is_venv(path: str) -> bool:
    return os.path.exists(os.path.join(path, "pyvenv.cfg"))


def version_of(entry: os.DirEntry[str]) -> Optional[tuple[int, int, int]]:
    try:
        at = entry.stat()
    except OSError:
        return None
    return at.st_mtime_ns, at.st_size, at.st_ino


def difference(
    before: dict[str, tuple[int, int, int]],
    now: dict[str, tuple[int, int, int]],
) -> list[str]:
    paths = set(before) | set(now)
    return sorted(p for p in paths if before.get(p) != now.get(p))


def named(paths: Sequence[str]) -> str:
    """named(["/srv/a.py", "/srv/b.py"])  # "a.py and 1 more", in /srv """
    text = os.path.relpath(paths[0]) if paths else "files"
    return text + (" and %d more" % (len(paths) - 1) if len(paths) > 1 else "")


def broken(text: str) -> Callable[..., Iterable[bytes]]:
    """Return an application that answers every request with a traceback."""
    page = (PAGE % html.escape(text)).encode("utf-8", "replace")

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response(
            "500 Internal Server Error",
            [
                ("Content-Type", "text/html; charset=utf-8"),
                ("Content-Length", str(len(page))),
                ("Cache-Control", "no-store"),
            ],
        )
        return [page]

    return app
