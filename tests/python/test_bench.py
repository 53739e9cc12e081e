"""The rig of bench/: what it counts as CPU time, and what it compares."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

BENCH = os.path.join(os.path.dirname(__file__), "..", "..", "bench")
sys.path.insert(0, BENCH)

import rig  # noqa: E402

# When told, burns 0.2 s of CPU in a thread or a child that ends; then waits.
BURNER = """
import subprocess, sys, threading, time

BURN = '''
import time
end = time.process_time() + 0.2  # beside what the start has taken
while time.process_time() < end:
    pass
'''
sys.stdin.readline()
if sys.argv[1] == "child":
    subprocess.run([sys.executable, "-c", BURN])
else:
    thread = threading.Thread(target=exec, args=(BURN, {}))
    thread.start()
    thread.join()
print("done", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("where", ["thread", "child"])
def test_cpu_time_includes_threads_and_children_that_have_ended(where):
    with subprocess.Popen([sys.executable, "-c", BURNER, where],
                          start_new_session=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        before = rig.cpu_seconds(process.pid)
        print("burn", file=process.stdin, flush=True)
        assert process.stdout.readline() == "done\n"
        used = rig.cpu_seconds(process.pid) - before
        process.stdin.close()
    assert used > 0.15


def test_the_servers_of_a_row_take_turns_forward_and_backward():
    order = []
    rig.in_turn(3, ["a", "b", "c"], order.append)
    assert "".join(order) == "abccbaabc"


def test_a_server_that_dies_ends_neither_the_row_nor_the_others():
    def play(server):
        if server == "mortal":
            raise subprocess.CalledProcessError(1, "load")
        return 1

    assert rig.in_turn(2, ["mortal", "other"], play) == {"other": [1, 1]}


def test_where_nothing_was_answered_there_is_no_ratio():
    assert rig.ratio(costs(float("inf")), costs(2)) == "-"


def costs(*values):
    return [{"cpu_us": value} for value in values]


def test_a_ratio_is_the_median_of_the_rounds_and_not_of_the_sums():
    # The machine slowed down by the round; one cost twice the other in each.
    assert rig.ratio(costs(2, 6, 40), costs(1, 3, 20)) == "2.00 [2.00-2.00]"
    # The medians alone, 3 beside 2, would tell 1.50.
    assert rig.ratio(costs(1, 3, 9), costs(1, 2, 8)) == "1.12 [1.06-1.31]"


def test_a_single_round_has_a_ratio():
    assert rig.ratio(costs(3), costs(2)) == "1.50 [1.50-1.50]"


def test_what_is_recorded_can_be_drawn(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(os.path.join(BENCH, "..", "tools"))
    plots = __import__("plots")
    monkeypatch.setattr(plots, "RESULTS", str(tmp_path))
    results = {
        "null": [{"rate": 90000, "cpu_us": 2.0, "errors": 0}] * 3,
        "wsocket": [{"rate": 50000, "cpu_us": 9.0, "errors": 0}] * 3,
        "<other>": [{"rate": 5000, "cpu_us": 1234.5, "errors": 0}] * 3,
    }
    path = str(tmp_path / "http.json")
    assert "No figures" in plots.markdown("http")
    for row in "hello", "10 KB & more":
        rig.record(path, "http", row, results, "null", "wsocket")
    made = plots.markdown("http")
    pictures = [ElementTree.fromstring(svg) for svg in
                re.findall(r"<svg.*?</svg>", made, re.DOTALL)]
    assert len(pictures) == 2
    assert "10 KB & more" in pictures[1].get("aria-label")
    widths = [float(bar.get("width")) for bar in pictures[0].iter("rect")]
    assert widths == sorted(widths) and widths[1] / widths[2] < 0.01
    assert "| wsocket | 50,000 | 9 | 4.50 [4.50–4.50] | 1.00 [1.00–1.00] |" in made
