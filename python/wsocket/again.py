"""Begins the new version of a supervisor, in the process of the old one.

    python .../again.py FD [arguments of wsocket]

It is run as a file and needs nothing of the package: if that cannot be
imported, this keeps the listening sockets open and the workers alive, says so,
and passes SIGTERM on to them.
"""

import json
import os
import signal
import sys
import time
import traceback

EVERY = 10.0  # seconds between two lines about the failure
MARK = "WSOCKET_AGAIN"  # names the descriptor; the supervisor removes it


def main() -> None:
    state_fd = int(sys.argv[1])
    with os.fdopen(os.dup(state_fd), encoding="ascii") as file:
        file.seek(0)
        state = json.load(file)
    os.environ[MARK] = str(state_fd)
    try:
        # The folder of this file must not hide modules of the application. It
        # is not there with -I or -P.
        if sys.path[0] == os.path.dirname(__file__):
            sys.path[0] = os.getcwd()
        sys.argv = ["wsocket", *sys.argv[2:]]
        from wsocket.cli import main as run

        run()
    except BaseException:
        if MARK not in os.environ:
            raise  # the supervisor has begun, and ended
        traceback.print_exc()
        keep(state)


def keep(state: dict) -> None:  # type: ignore[type-arg]
    """Wait until the workers have ended, since nobody can replace them."""
    pids = {worker["pid"] for worker in state["children"]}
    asked = []
    for name in ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR2"):
        number = getattr(signal, name)
        signal.signal(number, lambda number, frame: asked.append(number))
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    told = 0.0
    while pids:
        if time.monotonic() - told > EVERY:
            told = time.monotonic()
            print(
                "wsocket: the upgrade has failed: the workers serve on and "
                "nobody replaces them; install a version that works and send "
                "SIGUSR2 to PID %d" % os.getpid(),
                file=sys.stderr,
                flush=True,
            )
        time.sleep(0.1)
        while asked:
            number = asked.pop()
            if number in (signal.SIGHUP, signal.SIGUSR2):
                signal.pthread_sigmask(
                    signal.SIG_BLOCK, signal.valid_signals()
                )
                args = [__file__, os.environ[MARK], *sys.argv[1:]]
                os.execv(sys.executable, [*state["interpreter"], *args])
            for pid in pids:
                os.kill(pid, number)
        for pid in list(pids):
            if os.waitpid(pid, os.WNOHANG)[0]:
                pids.discard(pid)
    sys.exit(1)


if __name__ == "__main__":
    main()
