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
ALIVE = 1.0  # seconds between two signs of life for a service manager
FAILED = (
    "the upgrade has failed: the workers serve on and nobody replaces them; "
    "install a version that works and send SIGUSR2 to PID %d; SIGTERM ends it "
    "and the workers" % os.getpid()
)
PATIENCE, LONGEST = 1.0, 64  # seconds for a command to come, and its octets
# Signals that are passed on, and as what; those that try again; and the others
# that a supervisor heeds: their default would end or stop this process.
PASSED: dict[int, int] = {
    signal.SIGTERM: signal.SIGTERM,
    signal.SIGINT: signal.SIGTERM,
    signal.SIGQUIT: signal.SIGQUIT,
}
AGAIN = signal.SIGHUP, signal.SIGUSR2
OTHERS = signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU
# Names the descriptor of the state, and the copies of those in it. The supervisor
# removes it when it has begun.
MARK = "WSOCKET_AGAIN"


def main() -> None:
    environ = dict(os.environ)
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
        say(traceback.format_exc())
        Keeper(state, state_fd, copies, environ).keep()


def say(text: str) -> None:
    """Write to stderr, whose reader may have gone."""
    with contextlib.suppress(OSError):
        os.write(2, text.encode(errors="backslashreplace"))


def named(state: dict) -> list:  # type: ignore[type-arg]
    """The descriptors of a state, but for that of the PID file: to close a
    copy of it would free the lock."""
    fds = [state["board"], *state.get("control", {}).values()]
    for found in state["addresses"].values():
        fds += found
    channels = [child["channel"] for child in state["children"]]
    return fds + [fd for fd in channels if fd is not None]


class Keeper:
    """Keeps the listening sockets open and the workers alive.

    ``copies`` are the descriptors of ``state`` under other numbers, and
    ``environ`` is what the next version begins with: the one that broke may
    have closed the former and changed the latter.
    """

    def __init__(
        self,
        state: dict,  # type: ignore[type-arg]
        state_fd: int,
        copies: dict,  # type: ignore[type-arg]
        environ: dict,  # type: ignore[type-arg]
    ) -> None:
        self.state, self.state_fd = state, state_fd
        self.copies, self.environ = copies, environ
        self.asked: list = []  # type: ignore[type-arg]
        self.listeners = []
        for fd in state.get("control", {}).values():
            with contextlib.suppress(OSError):
                listener = socket.socket(fileno=copies[fd])
                listener.setblocking(False)
                self.listeners.append(listener)

    def keep(self) -> None:
        """Wait until the workers have ended, since nobody can replace them."""
        for number in (*PASSED, *AGAIN, *OTHERS):
            signal.signal(number, lambda got, frame: self.asked.append(got))
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        pids = {worker["pid"] for worker in self.state["children"]}
        told = alive = 0.0
        while pids:
            now = time.monotonic()
            if now - told > EVERY:
                told = now
                say("wsocket: %s\n" % FAILED)
            if now - alive > ALIVE:
                alive = now
                self.tell_manager()
            time.sleep(0.1)
            self.answer()
            while self.asked:
                self.heed(self.asked.pop(0), pids)
            for pid in list(pids):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    pids.discard(pid)
        sys.exit(1)

    def heed(self, number: int, pids: set) -> None:  # type: ignore[type-arg]
        if number in AGAIN:
            self.try_again()
        elif number in PASSED:
            for pid in pids:
                os.kill(pid, PASSED[number])

    def tell_manager(self) -> None:
        """Tell systemd that this process lives: its watchdog would end the
        workers, too."""
        path = self.environ.get("NOTIFY_SOCKET", "")
        if not path:
            return
        text = "WATCHDOG=1\nSTATUS=" + FAILED
        with contextlib.suppress(OSError), socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM
        ) as manager:
            manager.setblocking(False)
            if path.startswith("@"):
                path = "\0" + path[1:]
            manager.sendto(text.encode(), path)

    def answer(self) -> None:
        """Answer a client of each control socket, if one has come, with the
        failure. The command is read first: a close with unread data would
        discard the answer."""
        for listener in self.listeners:
            with contextlib.suppress(OSError):
                client = listener.accept()[0]
                with client:
                    client.settimeout(PATIENCE)
                    client.recv(LONGEST)
                    client.sendall(("failed: %s\n" % FAILED).encode())

    def restore(self) -> None:
        """Open all descriptors again for the next version. Of the PID file
        there may be none any more."""
        for fd, copy in self.copies.items():
            os.dup2(copy, fd, inheritable=True)
        for path, fd in list(self.state.get("pid_file", {}).items()):
            try:
                if not os.path.samestat(os.fstat(fd), os.stat(path)):
                    raise FileNotFoundError
                os.set_inheritable(fd, True)
            except OSError:
                del self.state["pid_file"][path]
        os.ftruncate(self.state_fd, 0)
        os.pwrite(self.state_fd, json.dumps(self.state).encode("ascii"), 0)

    def try_again(self) -> None:
        """Execute what is installed now. Returns if that cannot be."""
        self.restore()
        before = signal.pthread_sigmask(
            signal.SIG_BLOCK, signal.valid_signals()
        )
        args = [__file__, str(self.state_fd), *sys.argv[1:]]
        command = [*self.state["interpreter"], *args]
        try:
            os.execve(sys.executable, command, self.environ)
        except OSError:
            say(traceback.format_exc())
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


if __name__ == "__main__":
    main()
