"""One worker process of a supervisor.

    from wsocket import worker

    if worker.first():      # in exactly one of the processes that serve
        scheduler.start()
    worker.current().slot   # 1 to N; None without a supervisor
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import itertools
import os
import random
import resource
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any, Optional

from . import _wsocket, log
from .app import WSocketApp
from .channel import Channel
from .config import UsageError
from .loader import import_module, load, why_not_loaded
from .server import Server, asked
from .watch import Watcher, broken

Application = Callable[..., Iterable[bytes]]

BOOT_FAILED = 3  # exit status of a worker that never got ready
STUCK = 1  # handlers still ran after graceful_timeout
LAST_SECONDS = 5  # that functions of atexit may take while handlers are stuck
LOOK = 10000  # milliseconds between two looks at memory and age

# A worker heeds orders of its channel. These signals reach it only because a
# terminal sends them to the whole group, or by mistake. They get an empty
# handler and are not ignored, which programs that it starts would inherit.
UNHEEDED = (
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTTIN,
    signal.SIGTTOU,
)


@dataclass
class Task:
    """What a worker has to do; it can be written as JSON."""

    app: Optional[str]  # "module:app"; None: the demo
    options: dict[str, Any]  # of the server; bind names inherited sockets
    slot: int
    generation: int
    reason: str
    board: int = -1  # its descriptor
    place: int = -1  # on the board
    hooks: Optional[str] = None
    max_requests: int = 0
    max_memory: int = 0
    max_age: float = 0.0
    max_jitter: int = 0  # per cent
    watch: Optional[dict[str, list[str]]] = None  # dirs, patterns of --reload


@dataclass(frozen=True)
class Info:
    """A worker, as hooks and applications see it."""

    id: int
    generation: int
    pid: int
    reason: str


_running: Optional[Worker] = None
_stacks: Any = None  # where SIGABRT shows them: a file or a descriptor


def current() -> Optional[Info]:
    """Return the worker that this process is; None without a supervisor."""
    return None if _running is None else _running.info


def first() -> bool:
    """Return True in exactly one of the processes that serve. If that one ends,
    the next process that asks is the first. True without a supervisor."""
    return True if _running is None else _running.is_first()


def attend(fd: int) -> None:
    """Be a worker in a process of its own: its task is the first message."""
    channel = Channel.of(fd)
    message = channel.receive()
    if message is not None:
        main(Task(**message), channel)


def task_message(task: Task) -> dict[str, Any]:
    return asdict(task)


def main(task: Task, channel: Channel) -> None:
    """Serve until the supervisor says otherwise, and end the process."""
    global _running
    _show_stacks(task.options)
    _heed_signals()
    os.environ["WSOCKET_WORKER"] = str(task.slot)
    os.environ.pop("NOTIFY_SOCKET", None)
    _running = Worker(task, channel)
    status = BOOT_FAILED
    try:
        status = _running.run()
    except BaseException as exc:
        text = why_not_loaded(exc)
        if isinstance(exc, UsageError):
            text = "error: " + text
        channel.send({"is": "failed", "text": text})
    finally:
        _leave(status)


def _show_stacks(options: Mapping[str, Any]) -> None:
    """Let SIGABRT show where each thread is, in the error log."""
    global _stacks
    path = options.get("error_logfile")
    file: Any = sys.stderr
    if str(path).startswith("fd:"):
        file = int(str(path)[3:])
    elif path not in (None, "", "stderr", "-", "none"):
        try:
            file = open(str(path), "ab", buffering=0)
        except OSError:  # told by the start, or by the reopening
            return
    faulthandler.enable(file)
    _stacks = file  # which closes the one before


def _heed_signals() -> None:
    signal.set_wakeup_fd(-1)
    _wsocket.unheed(UNHEEDED)
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _leave(status: int) -> None:
    """End the process as the interpreter would: threads, functions of atexit,
    buffers. A forked process cannot return to where the supervisor was."""
    if status == STUCK:
        faulthandler.dump_traceback(_stacks or sys.stderr)
        faulthandler.dump_traceback_later(LAST_SECONDS, exit=True)
    try:
        if status != STUCK:
            threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(status)


class Worker:
    def __init__(self, task: Task, channel: Channel) -> None:
        self.task = task
        self.info = Info(task.slot, task.generation, os.getpid(), task.reason)
        self.server: Optional[Server] = None
        self._channel = channel
        self._hooks: Optional[ModuleType] = None
        self._board: Optional[_wsocket.Board] = None
        self._watcher: Optional[Watcher] = None
        self._probe: Optional[socket.socket] = None  # what the loop answers
        self._leaving = False
        self._reopen_due = False
        self._ready = threading.Event()
        self._began = time.monotonic()
        self._limits = self._varied()

    def run(self) -> int:
        """Import the application and serve it. Return the exit status."""
        threading.Thread(
            target=self._keep, name="wsocket-keeper", daemon=True
        ).start()
        if self.task.hooks:
            self._hooks = import_module(self.task.hooks)
        self._call_hook("post_fork")
        log.show(
            self.task.options.get("log_level"),
            self.task.options.get("error_logfile"),
        )
        server = self._make_server()
        # In a copy of the descriptor: a forked worker has the supervisor's own.
        self._board = _wsocket.Board(fd=os.dup(self.task.board))
        server._server.set_board(
            self._board, self.task.place, self.task.generation
        )
        try:
            server.start()
        except OSError as exc:
            raise UsageError(exc.strerror or str(exc)) from None
        with asked(server) as answer:
            answer.recv(1)  # the loop has closed a connection: it turns
        self._attend(server)
        ready = getattr(self._hooks, "ready", None)
        if ready is not None:
            ready(self.info)  # an exception here is a failed start
        server._server.accept(True)
        # By hand: the supervisor will replace this worker.
        signal.signal(
            signal.SIGTERM,
            lambda number, frame: self._drain({"successor": True}),
        )
        signal.signal(signal.SIGQUIT, lambda number, frame: self._quit())
        self._channel.send({"is": "ready"})
        self._ready.set()
        status = 0
        try:
            server.join()
        except TimeoutError as exc:
            log.warn("%s; this is where they are:" % exc)
            status = STUCK
        self._call_hook("exit")
        return status

    def _application(self) -> Application:
        """Import the application. With --reload one that cannot be imported is
        a page that says why, and is tried again after a change."""
        if self.task.watch is None:
            return self._load()
        sys.dont_write_bytecode = True  # it knows files by the second only
        self._watcher = watcher = Watcher(
            self.task.watch["dirs"], self.task.watch["patterns"], self._changed
        )
        try:
            return self._load()
        except (Exception, SystemExit) as exc:
            text = why_not_loaded(exc)
            log.logger.error("the application cannot be imported: %s", text)
            return broken(text)
        finally:
            watcher.start()

    def _load(self) -> Application:
        if self.task.app is None:
            return WSocketApp()
        return load(self.task.app)  # type: ignore[no-any-return]

    def _changed(self, text: str) -> None:
        self._ready.wait()
        if not self._leaving and self.server is not None:
            # Requests wait for the new code. Who is connected has the old.
            self.server._server.accept(False)
            self._channel.send({"is": "changed", "text": text})

    def _make_server(self) -> Server:
        app = self._application()
        if self._limits["requests"]:
            app = _Counted(app, int(self._limits["requests"]), self._enough)
        try:
            server = Server(app, **self.task.options)
        except (TypeError, ValueError) as exc:
            raise UsageError(str(exc)) from None
        server._server.set_worker(self.task.slot)
        environ = server._server._environ
        # Even one worker serves beside its successor during a reload. That of
        # --reload accepts nothing once there is new code.
        environ["wsgi.multiprocess"] = self.task.watch is None
        environ["wsocket.worker"] = self.task.slot
        return server

    # --------------------------------------------------------------- channel

    def _keep(self) -> None:
        """Heed the supervisor's orders. Its end of the channel closes with it:
        then drain, and leave the port to others."""
        patience = LOOK if self.task.max_age or self.task.max_memory else None
        while True:
            poll = select.poll()
            poll.register(self._channel, select.POLLIN)
            if self._probe is not None:
                poll.register(self._probe, select.POLLIN)
            found = [fd for fd, _ in poll.poll(patience)]
            if not found:
                self._look()
            if self._probe is not None and self._probe.fileno() in found:
                self._probe.close()
                self._probe = None
                self._channel.send({"is": "alive", "what": "loop"})
            if self._channel.fileno() not in found:
                continue
            received = self._channel.receive()
            if received is None:
                break
            order = received.get("order")
            if order == "drain":
                self._drain(received)
            elif order == "quit":
                self._quit()
            elif order == "probe":
                self._answer_probe()
            elif order == "reopen":
                self._reopen()
            elif order == "accept" and self.server and not self._leaving:
                self.server._server.accept(True)
        if self.server is None:
            os._exit(BOOT_FAILED)  # it has never served
        log.warn("the supervisor has gone: this worker ends its work, and ends")
        self._drain({})

    def _answer_probe(self) -> None:
        """This thread needs the interpreter, so its answer shows that others
        can have it as well."""
        self._channel.send({"is": "alive", "what": "interpreter"})
        if self.server is not None and self._probe is None:
            try:
                self._probe = asked(self.server)
            except (OSError, RuntimeError):
                # Out of descriptors, for example: nothing is known of the loop.
                self._channel.send({"is": "alive", "what": "loop"})
        self._look()

    def _drain(self, how: dict[str, Any]) -> None:
        server = self.server
        if self._leaving or server is None:
            return
        self._leave()
        threading.Thread(
            target=self._call_hook, args=("draining",), daemon=True
        ).start()
        successor = bool(how.get("successor"))
        server.drain(
            how.get("seconds"),
            spread=None if how.get("spread", True) else 0,
            delay=how.get("delay", 0),
            part=how.get("part", 0),
            parts=how.get("parts", 1),
            successor=successor,
            alone=bool(how.get("alone")),
        )

    def _leave(self) -> None:
        self._leaving = True
        if self._watcher is not None:
            self._watcher.stop()

    def _quit(self) -> None:
        self._leave()
        if self.server is None:
            os._exit(0)
        self.server.stop(0)

    def _attend(self, server: Server) -> None:
        """From now on orders reach the server. One to reopen the logs may have
        come after it has opened them."""
        self.server = server
        if self._reopen_due:
            self._reopen()

    def _reopen(self) -> None:
        self._reopen_due = True  # before the look, as _attend() looks at it
        if self.server is not None:
            with contextlib.suppress(OSError):  # the server has logged it
                self.server.reopen_logs()
        _show_stacks(self.task.options)

    # ----------------------------------------------------------------- limits

    def _varied(self) -> dict[str, float]:
        """The limits, each varied at random, so that workers that began
        together do not reach them together."""
        task = self.task
        jitter = task.max_jitter / 100
        limits = {
            "requests": task.max_requests,
            "memory": task.max_memory,
            "age": task.max_age,
        }
        source = random.Random(os.urandom(8))
        return {
            name: limit * (1 + source.uniform(-jitter, jitter))
            for name, limit in limits.items()
        }

    def _look(self) -> None:
        """Ask to be replaced if this process has become too large or too old."""
        age = time.monotonic() - self._began
        if self._limits["age"] and age >= self._limits["age"]:
            self._enough("age")
        if self._limits["memory"] and rss() >= self._limits["memory"]:
            self._enough("memory")

    def _enough(self, why: str = "requests") -> None:
        if not self._leaving:
            self._channel.send({"is": "worn", "why": why})

    # ------------------------------------------------------------ hooks, first

    def _call_hook(self, name: str) -> None:
        hook = getattr(self._hooks, name, None)
        if hook is None:
            return
        try:
            hook(self.info)
        except Exception:
            log.logger.exception("the hook %s has failed", name)

    def is_first(self) -> bool:
        return self._board is not None and self._board.take_first(
            self.task.place
        )


def rss() -> int:
    """Return the resident memory of this process in bytes."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class _Counted:
    """An application that calls ``enough()`` at its last wanted request."""

    def __init__(
        self, app: Application, most: int, enough: Callable[[], None]
    ) -> None:
        self.app = app
        self.most = max(1, most)
        self.enough = enough
        self.count = itertools.count(1)

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        if next(self.count) == self.most:
            self.enough()
        return self.app(environ, start_response)
