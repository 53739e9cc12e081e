"""Begins the new version of a supervisor, in the process of the old one.

    python .../again.py FD [arguments of wsocket]

It is run as a file and needs nothing of the package: if that cannot be
imported, or breaks before it has begun, this keeps the listening sockets open and
the workers alive, says so, and passes SIGTERM on to them.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import time
import traceback

EVERY = 10.0  # seconds between two lines about the failure
FAILED = (
    "the upgrade has failed: the workers serve on and nobody replaces them; "
    "install a version that works and send SIGUSR2 to PID %d"
)
PATIENCE, LONGEST = 1.0, 64  # seconds for a command to come, and its octets
# Names the descriptor of the state, and the copies of those in it. The supervisor
# removes it when it has begun.
MARK = "WSOCKET_AGAIN"


def main() -> None:
    state_fd = int(sys.argv[1])
    with os.fdopen(os.dup(state_fd), encoding="ascii") as file:
        file.seek(0)
        state = json.load(file)
    copies = {fd: os.dup(fd) for fd in named(state)}
    os.environ[MARK] = " ".join(map(str, [state_fd, *copies.values()]))
    try:
        # The folder of this file must not hide modules of the application. It
        # is not there with -I or -P.
        if sys.path[0] == os.path.dirname(os.path.realpath(__file__)):
            sys.path[0] = os.getcwd()
        sys.argv = ["wsocket", *sys.argv[2:]]
        from wsocket.cli import main as run

        run()
    except BaseException:
        if MARK not in os.environ:
            raise  # the supervisor has begun, and ended
        traceback.print_exc()
        keep(state, state_fd, copies)


def named(state: dict) -> list:  # type: ignore[type-arg]
    """The descriptors of a state, but for that of the PID file: to close a
    copy of it would free the lock."""
    fds = [state["board"], *state.get("control", {}).values()]
    for found in state["addresses"].values():
        fds += found
    channels = [child["channel"] for child in state["children"]]
    return fds + [fd for fd in channels if fd is not None]


def restore(state: dict, state_fd: int, copies: dict) -> None:  # type: ignore[type-arg]
    """Open all descriptors again for the next version: the one that broke may
    have closed them. Of the PID file there may be none any more."""
    for fd, copy in copies.items():
        os.dup2(copy, fd, inheritable=True)
    for path, fd in list(state.get("pid_file", {}).items()):
        try:
            if not os.path.samestat(os.fstat(fd), os.stat(path)):
                raise FileNotFoundError
            os.set_inheritable(fd, True)
        except OSError:
            del state["pid_file"][path]
    os.ftruncate(state_fd, 0)
    os.pwrite(state_fd, json.dumps(state).encode("ascii"), 0)


def keep(state: dict, state_fd: int, copies: dict) -> None:  # type: ignore[type-arg]
    """Wait until the workers have ended, since nobody can replace them."""
    pids = {worker["pid"] for worker in state["children"]}
    asked = []
    for name in ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR2"):
        number = getattr(signal, name)
        signal.signal(number, lambda number, frame: asked.append(number))
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    listeners = [
        socket.socket(fileno=os.dup(copies[fd]))
        for fd in state.get("control", {}).values()
    ]
    told = 0.0
    while pids:
        if time.monotonic() - told > EVERY:
            told = time.monotonic()
            print("wsocket:", FAILED % os.getpid(), file=sys.stderr, flush=True)
        time.sleep(0.1)
        for listener in listeners:
            refuse(listener)
        while asked:
            number = asked.pop()
            if number in (signal.SIGHUP, signal.SIGUSR2):
                try_again(state, state_fd, copies)
                continue
            for pid in pids:
                os.kill(pid, number)
        for pid in list(pids):
            if os.waitpid(pid, os.WNOHANG)[0]:
                pids.discard(pid)
    sys.exit(1)


def refuse(listener: socket.socket) -> None:
    """Tell a client of the control socket, if one has come, why it gets nothing
    else. What it has sent must be read, or else it loses the answer."""
    listener.setblocking(False)
    with contextlib.suppress(OSError):
        client = listener.accept()[0]
        with client:
            client.settimeout(PATIENCE)
            client.recv(LONGEST)
            client.sendall(b"failed: %s\n" % (FAILED % os.getpid()).encode())


def try_again(state: dict, state_fd: int, copies: dict) -> None:  # type: ignore[type-arg]
    """Execute what is installed now. Returns if that cannot be."""
    restore(state, state_fd, copies)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    args = [__file__, str(state_fd), *sys.argv[1:]]
    try:
        os.execv(sys.executable, [*state["interpreter"], *args])
    except OSError:
        traceback.print_exc()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


if __name__ == "__main__":
    main()
