"""Who is told that publications may have been missed.

    import wsocket

    def refetch(topics):
        for topic in topics:
            ...

    wsocket.ongap += refetch

Handlers are called by a thread of their own, one gap after the other, with a
tuple of topics. What is published from then on arrives again.
"""

import logging
import os
import threading
import weakref
from typing import Any, Callable

from ._wsocket import Event, next_gap

__all__ = ["Gaps", "ongap"]


class Gaps:
    """The event ``wsocket.ongap``, and those of all ``WSocketApp``."""

    def __init__(self) -> None:
        self._event = Event()
        self._apps: "weakref.WeakSet[Any]" = weakref.WeakSet()
        self._thread_of = 0  # the process that has the thread
        self._lock = threading.Lock()

    def __iadd__(self, handler: Callable[..., Any]) -> "Gaps":
        self._event += handler
        self._start()
        return self

    def __isub__(self, handler: Callable[..., Any]) -> "Gaps":
        self._event -= handler
        return self

    def watch(self, app: Any) -> None:
        """Call ``app.ongap`` as well."""
        self._apps.add(app)
        self._start()

    def _start(self) -> None:
        with self._lock:
            if self._thread_of == os.getpid():
                return
            if self._thread_of == 0:
                os.register_at_fork(after_in_child=self._after_fork)
            self._thread_of = os.getpid()
            threading.Thread(
                target=self._work, name="wsocket ongap", daemon=True
            ).start()

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self._start()

    def _work(self) -> None:
        while True:
            topics = next_gap()
            for event in [self._event] + [app.ongap for app in self._apps]:
                try:
                    event(topics)
                except Exception:
                    logging.getLogger("wsocket").exception(
                        "error in a handler of ongap"
                    )


#: Called when publications may have been missed.
ongap = Gaps()
