"""For an interpreter under ASan: a fork waits until the other threads sleep.

The allocator of ASan takes no notice of a fork before GCC 14. A child whose
parent had another thread inside malloc() finds the allocator locked for ever.
The allocator of glibc has no such fault, so the product needs no wait.
"""

import os
import threading
import time

PATIENCE = 5.0  # seconds; a thread that computes all the time never sleeps


def is_awake(task):
    try:
        with open("/proc/self/task/%s/stat" % task, encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "S"
    except OSError:  # it ended
        return False


def wait_for_threads():
    deadline = time.monotonic() + PATIENCE
    own = str(threading.get_native_id())
    while time.monotonic() < deadline:
        others = set(os.listdir("/proc/self/task")) - {own}
        if not any(is_awake(task) for task in others):
            return
        time.sleep(0.001)


os.register_at_fork(before=wait_for_threads)
