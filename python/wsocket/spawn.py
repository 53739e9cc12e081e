"""Makes worker processes: by fork, or as programs of their own."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable

from . import interpreter, worker
from .channel import Channel

PROGRAM = (
    "import sys; from wsocket.worker import attend; attend(int(sys.argv[1]))"
)

# Options that may name a descriptor, besides bind.
INHERITED = ("metrics_bind", "access_logfile", "error_logfile")


def by_fork(
    task: worker.Task, close_ours: Callable[[], None]
) -> tuple[int, Channel]:
    """Fork a worker. Return its PID, and the supervisor's end of the channel.
    In the child ``close_ours()`` closes what is the supervisor's alone."""
    sys.stdout.flush()
    sys.stderr.flush()
    ours, theirs = Channel.pair()
    # No signal may run the supervisor's handlers in the child.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            try:
                ours.close()
                close_ours()
                worker.main(task, theirs)
            finally:  # main() has ended the process, unless it failed early
                os._exit(worker.BOOT_FAILED)
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid, ours


def as_program(task: worker.Task) -> tuple[int, Channel]:
    """Start a worker as a program, with its descriptors under the numbers that
    the task names. It takes longer than a fork, but does not inherit the locks
    that threads of the supervisor may hold."""
    ours, theirs = Channel.pair()
    wanted = [theirs.fileno(), task.board]
    inherited = [task.options.get(name) for name in INHERITED]
    sockets = task.options["bind"] + task.options["insecure_bind"]
    for text in sockets + inherited:
        if str(text).startswith("fd:"):
            wanted.append(int(text[3:]))
    try:
        if not ours.send(worker.task_message(task)):
            raise OSError(errno.EMSGSIZE, "the options are too long")
        pid = os.posix_spawn(
            sys.executable,
            [*interpreter.command(), "-c", PROGRAM, str(theirs.fileno())],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, fd) for fd in wanted],
            # Until the worker has its handlers, they would end it.
            setsigmask=worker.UNHEEDED,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return pid, ours


def threads_besides() -> list[str]:
    """The names of this process' threads besides the main one."""
    names = []
    with contextlib.suppress(OSError):
        for thread in os.listdir("/proc/self/task"):
            if int(thread) != os.getpid():
                with contextlib.suppress(OSError), open(
                    "/proc/self/task/%s/comm" % thread, encoding="utf-8"
                ) as file:
                    names.append(file.read().strip())
    return names


def ended(status: int) -> str:
    """ended(256)  # "with status 1" """
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        with contextlib.suppress(ValueError):
            return "by %s" % signal.Signals(number).name
        return "by signal %d" % number
    return "with status %d" % os.WEXITSTATUS(status)
