"""A worker for people who keep gunicorn as their process manager.

    gunicorn -k wsocket.gunicorn.Worker --workers 4 --threads 64 app:app

gunicorn binds, forks, watches and restarts; the requests of each worker are
served by wsocket. What gunicorn has a setting for is set there; everything else
by the environment, ``WSOCKET_WS_MAX_SIZE=8m``, or in a subclass:

    class Worker(wsocket.gunicorn.Worker):
        options = {"ws_max_size": "8m"}
"""

from __future__ import annotations

import itertools
import logging
import os
import select
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, Optional

from gunicorn.workers import base

from . import config, log
from .server import Server

Application = Callable[..., Iterable[bytes]]

TICK = 1.0  # seconds between two signs of life to gunicorn, at most

# Settings of gunicorn, and the options that are the same.
SAME = {
    "threads": "threads",
    "worker_connections": "max_connections",
    "keepalive": "keep_alive",
    "graceful_timeout": "graceful_timeout",
    "limit_request_line": "max_request_line",
    "limit_request_fields": "max_headers",
    "loglevel": "log_level",
}

# Where 0 is without limit in gunicorn.
LIMITS = {
    "limit_request_line": "max_request_line",
    "limit_request_fields": "max_headers",
    "limit_request_field_size": "max_header_bytes",
}

# gunicorn takes them in capitals, too, and any other word for info.
LEVELS = ("debug", "info", "warning", "error", "critical")

ALL_FIELDS = 65536  # octets of all fields together, without a word of gunicorn


class Worker(base.Worker):  # type: ignore[misc]
    """One process of gunicorn; see the module."""

    #: Options of ``wsocket.Server`` that gunicorn has no setting for.
    options: dict[str, Any] = {}

    quick = False

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Before the first fork: say what this worker does otherwise."""
        if cfg.is_ssl:
            raise RuntimeError(
                "wsocket's worker speaks no TLS; let a proxy do that"
            )
        for theirs, ours in LIMITS.items():
            if getattr(cfg, theirs) == 0:
                log.warning(
                    "%s = 0: nothing is without limit in wsocket's worker, "
                    "which keeps its own; WSOCKET_%s sets another",
                    *(theirs, ours.upper()),
                )

    def run(self) -> None:
        """Serve until a signal, a parent that is gone, or max_requests."""
        self._share_log()
        server = Server(self._app(), **self._options())
        server._server._environ["wsgi.multiprocess"] = self.cfg.workers > 1
        server.start()
        try:
            while self.alive and self.ppid == os.getppid():
                self.notify()
                self._sleep()
        finally:
            self._end(server)

    def handle_quit(self, sig: int, frame: Optional[FrameType]) -> None:
        """SIGINT and SIGQUIT: do not wait for open requests."""
        self.alive = False
        self.quick = True
        self.cfg.worker_int(self)

    def _sleep(self) -> None:
        """A tick; signals, the reloader and max_requests cut it short."""
        tick = min(TICK, self.cfg.timeout / 4) if self.cfg.timeout else TICK
        if select.select([self.PIPE[0]], [], [], tick)[0]:
            os.read(self.PIPE[0], 4096)

    def _end(self, server: Server) -> None:
        server.stop(0 if self.quick else self.cfg.graceful_timeout)
        try:
            while not server.join(TICK / 2):
                self.notify()
                if self.quick:
                    server.stop(0)
        except TimeoutError as exc:
            self.log.warning("%s; they are abandoned", exc)

    def _app(self) -> Application:
        if self.cfg.max_requests > 0:
            return _Counted(self.wsgi, self.max_requests, self._enough)
        return self.wsgi  # type: ignore[no-any-return]

    def _enough(self) -> None:
        if self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
            os.write(self.PIPE[1], b"1")

    def _share_log(self) -> None:
        ours = log.logger
        ours.handlers = self.log.error_log.handlers
        ours.setLevel(self.log.error_log.level or logging.INFO)
        ours.propagate = False

    def _options(self) -> dict[str, Any]:
        cfg = self.cfg
        options: dict[str, Any] = {
            ours: getattr(cfg, theirs)
            for theirs, ours in SAME.items()
            if getattr(cfg, theirs) != 0 or theirs == "keepalive"
        }
        if cfg.limit_request_field_size > ALL_FIELDS:  # there, of each
            options["max_header_bytes"] = (
                ALL_FIELDS + cfg.limit_request_field_size
            )
        level = str(options.get("log_level", "")).lower()
        options["log_level"] = level if level in LEVELS else "info"
        options["access_logfile"] = cfg.accesslog or "none"
        trusted = cfg.forwarded_allow_ips  # a list in newer gunicorns
        if not isinstance(trusted, str):
            trusted = ",".join(map(str, trusted))
        options["trusted_proxies"] = [t for t in trusted.split(",") if t]
        options.update(self.options)
        options.update(config.gather({}, os.environ)[0])
        options.pop("app", None)
        # The server closes what it is given, and so does gunicorn.
        options["bind"] = [
            "fd:%d" % os.dup(listener.fileno()) for listener in self.sockets
        ]
        return options


class _Counted:
    """An application that tells when it was called often enough."""

    def __init__(
        self, app: Application, most: int, enough: Callable[[], None]
    ) -> None:
        self.app = app
        self.most = most
        self.enough = enough
        self.count = itertools.count(1)

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        if next(self.count) >= self.most:
            self.enough()
        return self.app(environ, start_response)
