"""A worker for gunicorn: gunicorn manages processes, wsocket serves requests.

    gunicorn -k wsocket.gunicorn.Worker --workers 4 --threads 64 app:app

gunicorn binds the sockets, forks, monitors and restarts; in each worker wsocket
serves the requests. Options that gunicorn has are set there, all others in the
environment, ``WSOCKET_WS_MAX_SIZE=8m``, or in a subclass:

    class Worker(wsocket.gunicorn.Worker):
        options = {"ws_max_size": "8m"}
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import logging
import os
import re
import select
import sys
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any, Optional

from gunicorn.arbiter import Arbiter
from gunicorn.workers import base

from . import bus, config, log, processes
from .server import Server

Application = Callable[..., Iterable[bytes]]

TICK = 1.0  # maximum seconds between two signs of life to gunicorn

# Settings of gunicorn, and the options with the same meaning.
SAME = {
    "threads": "threads",
    "worker_connections": "max_connections",
    "keepalive": "keep_alive",
    "graceful_timeout": "graceful_timeout",
    "limit_request_line": "max_request_line",
    "limit_request_fields": "max_headers",
    "loglevel": "log_level",
}

# Those of TLS, which count if there is a certfile or a keyfile.
SAME_OF_TLS = ("certfile", "keyfile", "ca_certs", "cert_reqs", "ciphers")

# Options that would let each worker listen at addresses of its own.
PLACES = ("host", "port", "bind", "insecure_bind")

# Settings for which gunicorn takes 0 as "no limit".
LIMITS = {
    "limit_request_line": "max_request_line",
    "limit_request_fields": "max_headers",
    "limit_request_field_size": "max_header_bytes",
}

# gunicorn accepts these in upper case as well, and any other word as info.
LEVELS = ("debug", "info", "warning", "error", "critical")

# The only entry of secure_scheme_headers that is supported here.
SCHEME_FIELD = ("X-FORWARDED-PROTO", "https")

# Settings that gunicorn's own workers obey and this one does not, and the
# warning if one of them differs from its default.
UNHEEDED = {
    "pre_request": "is not called; a middleware of the application can be",
    "post_request": "is not called; a middleware of the application can be",
    "header_map": "has no effect: fields with underscores are dropped",
    "forwarder_headers": "has no effect: SCRIPT_NAME comes from the "
    "environment or X-Forwarded-Prefix",
    "casefold_http_method": "has no effect: methods are taken as they are",
    "permit_unconventional_http_method": "has no effect: every token is one",
    "permit_unconventional_http_version": "has no effect",
    "permit_obsolete_folding": "has no effect: such requests are answered 400",
    "strip_header_spaces": "has no effect: such requests are answered 400",
    "proxy_allow_ips": "has no effect: forwarded_allow_ips counts",
    "tmp_upload_dir": "has no effect: TMPDIR counts",
    "sendfile": "has no effect: the server decides",
    "ssl_version": "has no effect; WSOCKET_TLS_MIN has",
    "do_handshake_on_connect": "has no effect: a handshake never stops others",
    "suppress_ragged_eofs": "has no effect: an end of TLS is an end",
    "protocol": "has no effect: HTTP is spoken",
    "uwsgi_allow_ips": "has no effect: HTTP is spoken",
    "http_protocols": "has no effect: HTTP/1.1 is spoken",
    "http_parser": "has no effect: the server has its own",
    "root_path": "is for ASGI; set SCRIPT_NAME in the environment",
    "asgi_loop": "is for ASGI",
    "asgi_lifespan": "is for ASGI",
    "websocket_max_message_size": "has no effect; WSOCKET_WS_MAX_SIZE has",
    "statsd_host": "counts no requests of this worker",
    "syslog": "has no effect on the access log",
    "logconfig": "has no effect on the access log",
    "logconfig_dict": "has no effect on the access log",
    "logconfig_json": "has no effect on the access log",
    "logger_class": "has no effect on the access log",
}

# Atoms of gunicorn's access_log_format: %(h)s, %({Field}i)s.
ATOM = re.compile(
    r"%\((\{[^{}]+\}[ioe]|[hlutrsmUqHbBfaTDMLp])\)s|%%|%"
)

# The master, which imports this module before it opens its sockets, gets them
# from systemd, or from another master. They may outlive it.
INHERITED = "LISTEN_FDS" in os.environ or "GUNICORN_FD" in os.environ

ALL_FIELDS = 65536  # bytes of all fields together; gunicorn has no such setting


class Worker(base.Worker):  # type: ignore[misc]
    """A worker process of gunicorn; see the module."""

    #: Options of ``wsocket.Server`` that gunicorn has no setting for.
    options: dict[str, Any] = {}

    quick = False  # stops without waiting
    enough = False  # has come to max_requests

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Warn, before the first fork, about settings that have no effect."""
        if is_changed(cfg, "ssl_context"):
            raise RuntimeError(
                "ssl_context: TLS is not Python's in wsocket's worker, so there "
                "is no context to change; certfile, keyfile, ca_certs, "
                "cert_reqs and ciphers count, and WSOCKET_TLS_MIN and the like"
            )
        for theirs, ours in LIMITS.items():
            if getattr(cfg, theirs) == 0:
                log.warning(
                    "%s = 0: nothing is without limit in wsocket's worker, "
                    "which keeps its own; WSOCKET_%s sets another",
                    *(theirs, ours.upper()),
                )
        for name, what in UNHEEDED.items():
            if is_changed(cfg, name):
                log.warning("%s %s in wsocket's worker", name, what)
        others = [
            "%s: %s" % item
            for item in cfg.secure_scheme_headers.items()
            if item != SCHEME_FIELD
        ]
        if others and cfg.forwarded_allow_ips:
            log.warning(
                "secure_scheme_headers: wsocket's worker knows "
                "X-Forwarded-Proto: https, not %s",
                ", ".join(others),
            )
        if log_format(cfg) is None:
            log.warning(
                "access_log_format %r has no effect in wsocket's worker, which "
                "does not know all of it; WSOCKET_ACCESS_LOG_FORMAT has",
                cfg.access_log_format,
            )
        try:
            cls._check_environment(log)
        except config.UsageError as exc:
            raise RuntimeError(str(exc)) from None

    @classmethod
    def _check_environment(cls, log: Any) -> None:
        options, warnings = config.gather({}, os.environ)
        for name in ("app", *PLACES):
            if name in options:
                warnings.append(
                    "%s of the environment has no effect: gunicorn has its own"
                    % name
                )
        if "stop_delay" in options:
            warnings.append(
                "stop_delay of the environment has no effect: gunicorn does "
                "not wait for it"
            )
        for name in sorted(processes.NAMES & set(options)):
            warnings.append(
                "%s of the environment has no effect: gunicorn manages the "
                "processes" % name
            )
        for text in warnings:
            log.warning("%s", text)
        script_name = os.environ.get("SCRIPT_NAME", "").rstrip("/")
        config.check("script_name", script_name, "SCRIPT_NAME")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """In the master, before the fork: what the workers share."""
        super().__init__(*args, **kwargs)
        with contextlib.suppress(config.UsageError):  # run() says it
            given = {**self.options, **config.gather({}, os.environ)[0]}
            bus.begin(given.get("bus"), owner=(self.cfg.uid, self.cfg.gid))
            atexit.unregister(bus.end)
            atexit.register(bus.end)

    def run(self) -> None:
        """Serve until a signal comes, the parent has gone, or max_requests."""
        self._share_log()
        try:
            server = Server(self._app(), **self._options())
        except (TypeError, ValueError) as exc:  # the next worker would fail too
            self.log.error("%s", exc)
            sys.exit(Arbiter.APP_LOAD_ERROR)
        server._server._environ["wsgi.multiprocess"] = self.cfg.workers > 1
        server.start()
        try:
            while self.alive and self.ppid == os.getppid():
                self.notify()
                self._sleep()
        finally:
            self._end(server)

    def handle_quit(self, sig: int, frame: Optional[FrameType]) -> None:
        """Stop on SIGINT and SIGQUIT without waiting for open requests."""
        self.alive = False
        self.quick = True
        self.cfg.worker_int(self)

    def _sleep(self) -> None:
        """Wait for a tick, or less if a signal, the reloader or max_requests
        wakes the worker."""
        tick = min(TICK, self.cfg.timeout / 4) if self.cfg.timeout else TICK
        if select.select([self.PIPE[0]], [], [], tick)[0]:
            os.read(self.PIPE[0], 4096)

    def _end(self, server: Server) -> None:
        if self.quick:
            server.stop(0)
        else:
            server.drain(self.cfg.graceful_timeout, **self._heirs())
        try:
            while not server.join(TICK / 2):
                self.notify()
                if self.quick:
                    server.stop(0)
        except TimeoutError as exc:
            self.log.warning("%s; they are abandoned", exc)

    def _heirs(self) -> dict[str, bool]:
        """Return whether other processes go on to accept at the listeners, as
        arguments of ``Server.drain()``. gunicorn keeps its own when it replaces
        a worker, and closes them before it stops all workers."""
        ours = {
            "socket:[%d]" % os.fstat(listener.fileno()).st_ino
            for listener in self.sockets
        }
        try:
            if ours <= files_of(self.ppid):
                return {"successor": True}
        except OSError:  # no Linux, or a master of another user
            return {"successor": self.enough}
        if INHERITED:
            return {}
        return {"alone": all(self._leaves(pid) for pid in holders_of(ours))}

    def _leaves(self, pid: int) -> bool:
        """Return True if a process that holds the listeners is stopped as well:
        a worker of the same master, which a new master after USR2 is not."""
        try:
            with open("/proc/%d/stat" % pid) as stat:
                parent = int(stat.read().rpartition(")")[2].split()[1])
            with open("/proc/%d/environ" % pid, "rb") as environ:
                return parent == self.ppid and b"GUNICORN_PID=" not in (
                    environ.read()
                )
        except OSError:
            return False

    def _app(self) -> Application:
        if self.cfg.max_requests > 0:
            return _Counted(self.wsgi, self.max_requests, self._enough)
        return self.wsgi  # type: ignore[no-any-return]

    def _enough(self) -> None:
        if self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
            self.enough = True
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
        if cfg.limit_request_field_size > ALL_FIELDS:  # a limit for each field
            options["max_header_bytes"] = (
                ALL_FIELDS + cfg.limit_request_field_size
            )
        level = str(options.get("log_level", "")).lower()
        options["log_level"] = level if level in LEVELS else "info"
        options["access_logfile"] = cfg.accesslog or "none"
        options["access_log_format"] = log_format(cfg)  # None: the default
        options["script_name"] = os.environ.get("SCRIPT_NAME", "").rstrip("/")
        if str(getattr(cfg, "proxy_protocol", "off")) not in ("off", "False"):
            options["proxy_protocol"] = True
        trusted = cfg.forwarded_allow_ips  # a list in newer gunicorns
        if not isinstance(trusted, str):
            trusted = ",".join(map(str, trusted))
        options["trusted_proxies"] = [t for t in trusted.split(",") if t]
        if SCHEME_FIELD not in cfg.secure_scheme_headers.items():
            options["forwarded_fields"] = ["x-forwarded-for"]
        options.update(self._of_tls())
        options.update(self.options)
        options.update(config.gather({}, os.environ)[0])
        for name in ("app", *PLACES, *processes.NAMES):
            options.pop(name, None)
        # The server closes its descriptors, and so does gunicorn.
        options["bind"] = [
            "fd:%d" % os.dup(listener.fileno()) for listener in self.sockets
        ]
        return options

    def _of_tls(self) -> dict[str, Any]:
        """Return the options of TLS; none if gunicorn is to speak none."""
        if not self.cfg.is_ssl:
            return {}
        given = {name: getattr(self.cfg, name) for name in SAME_OF_TLS}
        given["cert_reqs"] = int(given["cert_reqs"])  # ssl.CERT_REQUIRED
        return {k: v for k, v in given.items() if v not in (None, "")}


def files_of(pid: int) -> set[str]:
    """files_of(1)  # {"socket:[123]", "/dev/null"}"""
    files = set()
    for entry in os.scandir("/proc/%d/fd" % pid):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            files.add(os.readlink(entry.path))
    return files


def holders_of(files: set[str]) -> Iterator[int]:
    """All processes that hold one of the files, and may be seen."""
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with contextlib.suppress(OSError):
            if files & files_of(pid):
                yield pid


def is_changed(cfg: Any, name: str) -> bool:
    """Return True if a setting is there and differs from its default."""
    if name not in cfg.settings:
        return False
    setting = cfg.settings[name]
    return bool(setting.get() != type(setting)().get())


def log_format(cfg: Any) -> Optional[str]:
    """Return gunicorn's access_log_format as ours; None if an atom is unknown.

    "%(h)s %({Accept}i)s"  # "%h %{Accept}i"
    """
    unknown = []

    def ours(atom: re.Match[str]) -> str:
        if atom[0] == "%":
            unknown.append(atom[0])
        return "%" + atom[1] if atom[1] else atom[0]

    text = ATOM.sub(ours, cfg.access_log_format)
    try:
        config.check("access_log_format", text, "access_log_format")
    except config.UsageError:
        return None
    return None if unknown else text


class _Counted:
    """An application that calls ``enough()`` at its last allowed request."""

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
