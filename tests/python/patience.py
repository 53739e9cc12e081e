"""Waiting for what another thread, process or machine brings about."""

import time

PATIENCE = 60  # seconds until something that must happen counts as lost


def until(condition, patience=PATIENCE, why=lambda: "it did not happen"):
    """Wait for a condition, and return what it says."""
    deadline = time.monotonic() + patience
    while True:
        got = condition()
        if got:
            return got
        assert time.monotonic() < deadline, why()
        time.sleep(0.005)
