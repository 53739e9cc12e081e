"""``wsocket reload``, ``stop``, ``status`` and ``upgrade``: talk to a supervisor.

    wsocket reload --control /run/shop/control   # waits for the result
    wsocket stop --pid-file /run/shop/pid

Commands and answers are lines of text. The first word of an answer is ``ok`` or
``failed``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Sequence
from typing import Any, Optional

from . import config, pidfile
from .config import UsageError
from .parser import Parser

COMMANDS = {
    "status": "print what runs, as JSON",
    "reload": "replace the workers by ones with the code that is there now",
    "stop": "end the server; running requests are finished",
    "upgrade": "replace the supervisor as well, by its new version",
    "reopen": "reopen the log files",
    "workers": "one worker more, or less: workers +1, workers -1",
}
KNOWN = {"workers +1", "workers -1", *COMMANDS} - {"workers"}
SIGNALS = {
    "reload": "SIGHUP",
    "stop": "SIGTERM",
    "upgrade": "SIGUSR2",
    "reopen": "SIGUSR1",
}
PLACES = "control", "pid_file"  # options that name a server
CLIENTS = 4
LONGEST = 64  # octets of a command
PATIENCE = 2.0  # seconds that a client has to send its command


class Control:
    """The supervisor's side: a listening Unix socket and its clients."""

    def __init__(self, path: str, fd: Optional[int] = None) -> None:
        """Bind the socket, or take ``fd`` over from before an upgrade."""
        self.path = path
        if fd is not None and not os.path.exists(path):
            os.close(fd)  # somebody has removed the socket
            fd = None
        if fd is None:
            self._listener = listener_at(path)
        else:
            os.set_inheritable(fd, False)
            self._listener = socket.socket(fileno=fd)
        self._listener.setblocking(False)
        self._inode = os.stat(path).st_ino
        self._waiting: dict[socket.socket, float] = {}  # since when
        self._asked: dict[str, list[socket.socket]] = {}

    def fileno(self) -> int:
        """Of the listening socket, for an upgrade."""
        return self._listener.fileno()

    def is_quiet(self) -> bool:
        """Return True if no client waits: those that are not accepted yet will
        be, by the next version."""
        return not self._clients()

    def next_time(self) -> Optional[float]:
        """When commands() is due, because a client has said nothing."""
        if not self._waiting:
            return None
        return min(self._waiting.values()) + PATIENCE

    def filenos(self) -> list[int]:
        return [s.fileno() for s in [self._listener, *self._waiting]]

    def close(self, unlink: bool = True) -> None:
        for client in self._clients():
            client.close()
        self._listener.close()
        with contextlib.suppress(OSError):
            if unlink and os.stat(self.path).st_ino == self._inode:
                os.unlink(self.path)

    def _clients(self) -> list[socket.socket]:
        return [*self._waiting, *(c for cs in self._asked.values() for c in cs)]

    def commands(self) -> list[str]:
        """Take what has come. An answer() to each command that is returned must
        follow at some time."""
        now = time.monotonic()
        with contextlib.suppress(OSError):
            while len(self._clients()) < CLIENTS:
                client, _ = self._listener.accept()
                client.setblocking(False)
                self._waiting[client] = now
        found = []
        for client, since in list(self._waiting.items()):
            try:
                text = client.recv(LONGEST).decode("ascii", "replace").strip()
            except BlockingIOError:
                if now - since < PATIENCE:
                    continue
                text = ""
            except OSError:
                text = ""
            del self._waiting[client]
            if text in KNOWN:
                self._asked.setdefault(text, []).append(client)
                found.append(text)
            else:
                reply(
                    client,
                    "failed: a command is one of %s" % ", ".join(sorted(KNOWN)),
                )
        return found

    def answer(self, command: str, text: str) -> None:
        """Answer all clients that have asked for this."""
        for client in self._asked.pop(command, []):
            reply(client, text)


def listener_at(path: str) -> socket.socket:
    refuse_open_folder(path)
    clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    except OSError as exc:
        why = exc.strerror or str(exc)
        listener.close()
        raise UsageError("control: %s: %s" % (path, why)) from None
    finally:
        os.umask(before)
    listener.listen(CLIENTS)
    return listener


def clear(path: str) -> None:
    """Remove a socket at which nobody listens any more."""
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(os.lstat(path).st_mode) and not answers(path):
            os.unlink(path)


def reply(client: socket.socket, text: str) -> None:
    with contextlib.suppress(OSError):
        client.sendall(text.encode("utf-8", "replace") + b"\n")
    client.close()


def refuse_open_folder(path: str) -> None:
    """Who may write to the folder could put another socket in its place."""
    folder = os.path.dirname(os.path.abspath(path))
    try:
        mode = os.stat(folder).st_mode
    except OSError as exc:
        raise UsageError("control: %s: %s" % (folder, exc.strerror)) from None
    if mode & 0o022 and not mode & stat.S_ISVTX:
        raise UsageError(
            "control: others may write to %s; a folder of its own such as "
            "/run/shop, with mode 0755, is safe" % folder
        )


def answers(path: str) -> bool:
    """Return True if a server listens at a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True


# ------------------------------------------------------------------- client


def main(argv: Sequence[str]) -> int:
    """Run ``wsocket reload`` and the like. Return the exit status: 0, or 1 if
    the supervisor says that it failed or cannot be reached."""
    parser = Parser(
        prog="wsocket",
        description="Talk to a running `wsocket --workers ...`.",
        epilog="; ".join("%s: %s" % item for item in COMMANDS.items()),
    )
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument(
        "change", nargs="*", metavar="+1|-1", help="of workers"
    )
    parser.add_argument("--control", metavar="PATH", help="its control socket")
    parser.add_argument("--pid-file", "--pid", metavar="FILE")
    parser.add_argument("--config", metavar="FILE", help="its options")
    given = vars(parser.parse_args(argv))
    command, words = given.pop("command"), given.pop("change")
    if command == "workers" and words not in (["+1"], ["-1"]):
        parser.error("workers takes +1 or -1")
    if command != "workers" and words:
        parser.error("%s takes no word behind it" % command)
    change = words[0] if words else None
    try:
        found = server_of(given)
    except UsageError as exc:
        parser.error(str(exc))
    if found.get("control"):
        text = command + (" " + change if change else "")
        return ask(str(found["control"]), text)
    if found.get("pid_file"):
        return send_signal(str(found["pid_file"]), command, change)
    parser.error(
        "give --control PATH or --pid-file FILE, as the server was started with"
    )


def server_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options that name the running server. The file may have faults
    elsewhere, which are for the server to tell, and is read only if it has to
    be. If nothing names a server, UsageError tells a fault that may be why."""
    named = {name: given[name] for name in PLACES if given[name]}
    outer, _ = config.from_environment(os.environ)
    if named or outer.get("control"):
        return named or {"control": outer["control"]}
    found, _ = config.gather(given, os.environ, PLACES)
    if not found:
        config.gather(given, os.environ)
    return found


def ask(path: str, command: str) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        try:
            server.connect(path)
            server.sendall(command.encode() + b"\n")
            text = b"".join(iter(lambda: server.recv(4096), b"")).decode()
        except (FileNotFoundError, ConnectionRefusedError):
            print("wsocket: no server runs: %s" % path, file=sys.stderr)
            return 1
        except OSError as exc:
            print("wsocket: %s: %s" % (path, exc.strerror), file=sys.stderr)
            return 1
    if not text:
        text = "failed: the server has ended without an answer"
    failed = text.startswith("failed")
    print(text.rstrip("\n"), file=sys.stderr if failed else sys.stdout)
    return int(failed)


def send_signal(path: str, command: str, change: Optional[str]) -> int:
    try:
        pid = pidfile.running(path)
    except OSError as exc:
        print("wsocket: %s: %s" % (path, exc.strerror), file=sys.stderr)
        return 1
    if pid is None:
        print("wsocket: no server runs: %s" % path, file=sys.stderr)
        return 1
    if command == "status":
        print("ok: a server runs, with PID %d" % pid)
        return 0
    name = SIGNALS.get(command) or ("SIGTTIN" if change == "+1" else "SIGTTOU")
    try:
        os.kill(pid, getattr(signal, name))
    except OSError as exc:
        print("wsocket: PID %d: %s" % (pid, exc.strerror), file=sys.stderr)
        return 1
    if command == "stop":
        # The lock goes with the server; its process may be a zombie for long.
        with contextlib.suppress(OSError):
            while pidfile.running(path) == pid:
                time.sleep(0.05)
        print("ok: stopped")
    else:
        print("ok: %s was sent to PID %d; its log has the result" % (name, pid))
    return 0
