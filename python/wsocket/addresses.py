"""The listening sockets of a supervisor: bound once, used by all workers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Optional

from . import _wsocket, config

METRICS = "metrics "  # begins the key of metrics_bind
INSECURE = "insecure "  # may begin one of insecure_bind


class Addresses:
    """Sockets by the text that asks for them, such as "unix:/run/app.sock".

        addresses = Addresses()
        wanted = addresses.open({"port": 8000})
        addresses.fds(wanted)  # ["fd:5"]

    That of ``metrics_bind`` is among them, but has methods of its own.
    """

    def __init__(self) -> None:
        # Each is bound by a server that never starts: by the same code as one
        # that does, with the same options of sockets and the same errors.
        self._held: dict[str, _wsocket.Server] = {}
        self._files: dict[str, tuple[str, int]] = {}  # of adopted Unix sockets

    def adopt(self, known: Mapping[str, list[int]]) -> None:
        """Take sockets over that the process before an upgrade has bound."""
        for key, fds in known.items():
            where = {"bind": ["fd:%d" % fd for fd in fds]}
            self._held[key] = bound(where, {})
            path = self._held[key].urls[0]
            ours = key[len(METRICS) :] if key.startswith(METRICS) else key
            if ours.startswith("unix:") and path.startswith("unix:"):
                with contextlib.suppress(OSError):
                    self._files[key] = (path[5:], os.stat(path[5:]).st_ino)

    def to_store(self) -> dict[str, list[int]]:
        """What may be stored with systemd, by names. It has its own anyway."""
        found = {}
        for key, server in self._held.items():
            name = config.name_of_stored(key)
            where = key.replace(METRICS, "")
            if name is not None and not where.startswith("fd:"):
                found[name] = server.fds
        return found

    def all_fds(self) -> dict[str, list[int]]:
        return {key: server.fds for key, server in self._held.items()}

    def open(self, options: Mapping[str, Any]) -> list[str]:
        """Bind what the options ask for and is not bound yet. Return the keys
        of all. OSError: one is refused, and none has been bound."""
        added: list[str] = []
        keys = []
        try:
            for key, where in places(options) + metrics(options):
                keys.append(key)
                if key not in self._held:
                    self._held[key] = bound(where, options)
                    added.append(key)
        except BaseException:
            for key in added:
                del self._held[key]
            raise
        return keys

    def keep(self, keys: Iterable[str]) -> None:
        """Close all others; the files of their Unix sockets are removed."""
        wanted = set(keys)
        for key in set(self._held) - wanted:
            del self._held[key]
            self._unlink(key)

    def refuse(self) -> None:
        """Let no new client connect, and leave the sockets to the workers. A
        copy that stayed open here would take in connections that nobody
        accepts."""
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for key, server in self._held.items():
            if key.startswith(METRICS):
                continue  # to the end one can ask how it goes
            server.refuse_new()
            self._unlink(key)
            for fd in server.fds:
                with contextlib.suppress(OSError):
                    os.dup2(null, fd, inheritable=False)
        os.close(null)

    def are_ours(self, keys: Iterable[str]) -> bool:
        """Return True if no other program has the sockets."""
        return not any(key.startswith("fd:") for key in keys)

    def close_except(self, wanted: Collection[object]) -> None:
        """In a worker: close the sockets that are not in ["fd:5", ...]. The
        servers that hold them live as long as the process, so that none closes
        a descriptor twice."""
        for server in self._held.values():
            for fd in server.fds:
                if "fd:%d" % fd not in wanted:
                    os.close(fd)

    def _unlink(self, key: str) -> None:
        path, inode = self._files.pop(key, ("", 0))
        with contextlib.suppress(OSError):
            if path and os.stat(path).st_ino == inode:
                os.unlink(path)

    def fds(self, keys: Iterable[str]) -> list[str]:
        """Return the public sockets as items of bind, ["fd:5", ...]."""
        fds = [fd for key in _public(keys) for fd in self._held[key].fds]
        return ["fd:%d" % fd for fd in fds]

    def metrics_fd(self, keys: Iterable[str]) -> Optional[int]:
        """The socket of metrics_bind; None without that option."""
        for key in set(keys) - set(_public(keys)):
            return self._held[key].fds[0]
        return None

    def metrics_url(self, keys: Iterable[str]) -> Optional[str]:
        for key in set(keys) - set(_public(keys)):
            return self._held[key].urls[0]
        return None

    def urls(self, keys: Iterable[str]) -> list[str]:
        return [url for key in _public(keys) for url in self._held[key].urls]


def _public(keys: Iterable[str]) -> list[str]:
    return [key for key in keys if not key.startswith(METRICS)]


def places(options: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return (key, options of a server) for each place to listen.

    places({"port": 80})  # [("127.0.0.1:80", {"host": ..., "port": 80})]
    """
    found = []
    bind = config.listed(options.get("bind"))
    if not bind:
        host = options.get("host")
        host = config.DEFAULTS["host"] if host is None else host
        port = options.get("port")
        port = config.DEFAULTS["port"] if port is None else port
        found = [("%s:%s" % (host, port), {"host": host, "port": port})]
    found += [(item, {"bind": [item]}) for item in bind]
    keys = insecure(options)
    both = sorted({key for key, _ in found} & set(keys))
    if both:
        raise config.UsageError(
            "%s is without TLS by insecure_bind, and another place has it"
            % both[0]
        )
    listed = config.listed(options.get("insecure_bind"))
    return found + [(k, {"bind": [item]}) for k, item in zip(keys, listed)]


def insecure(options: Mapping[str, Any]) -> list[str]:
    """Return the keys of insecure_bind. An address has the same one in bind, so
    that it may be moved, unless it is any free port.

    insecure({"insecure_bind": ":80, :0"})  # [":80", "insecure :0"]
    """
    return [
        INSECURE + item if item.endswith(":0") else item
        for item in config.listed(options.get("insecure_bind"))
    ]


def metrics(options: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The same for metrics_bind."""
    where = options.get("metrics_bind")
    return [(METRICS + where, {"bind": [where]})] if where else []


def bound(where: dict[str, Any], options: Mapping[str, Any]) -> _wsocket.Server:
    quiet = {"access_logfile": "none", "error_logfile": "none"}
    server = _wsocket.Server(
        nobody, backlog=options.get("backlog"), **where, **quiet
    )
    server.listen()
    return server


def nobody(environ: Any, start_response: Any) -> list[bytes]:
    raise RuntimeError("this server is never started")
