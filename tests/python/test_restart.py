"""Restarts lose nothing: tests/restart has the clients and the rig, and here it
is shown that they find what is lost."""

import json
import os
import subprocess
import sys

import pytest
from patience import PATIENCE

RESTART = os.path.join(os.path.dirname(__file__), "..", "restart")
sys.path.insert(0, RESTART)

import restarts  # noqa: E402

pytestmark = [pytest.mark.heavy, pytest.mark.programs]


@pytest.fixture
def lossy():
    """lossy(way, *words): what the load counts with a server of lossy.py; with
    `path`, at a Unix socket."""
    servers = []

    def play(way, *words, path=None):
        server = subprocess.Popen(
            [sys.executable, os.path.join(RESTART, "lossy.py"), way,
             *([str(path)] if path else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        servers.append(server)
        port = server.stdout.readline().strip()
        said = subprocess.run(
            [restarts.build_load(), port, "seconds=30", *words],
            stdout=subprocess.PIPE,
            timeout=3 * PATIENCE,
            check=True,
        )
        return json.loads(said.stdout)

    yield play
    for server in servers:
        server.kill()
        server.communicate()


def lost(said):
    return restarts.by_kind([said], "lost")


def violations(said):
    return dict(restarts.merged([said], "websockets", "violations"))


ONCE = "connect=10", "connections=10"
KEPT = "keep=10", "connections=10"
PIPELINED = "pipeline=1", "connections=1"


@pytest.mark.parametrize(
    "way, words, counts",
    [
        ("closed", ONCE, {"closed": 10}),
        ("resets", ONCE, {"reset": 10}),
        ("truncated", ONCE, {"truncated": 10}),
        ("truncated_head", ONCE, {"truncated": 10}),
        ("silent", (*ONCE, "timeout=1"), {"timeout": 10}),
        ("refuses", ONCE, {"status": 10}),
        ("wrong", ONCE, {"wrong": 10}),
        ("used", KEPT, {"closed": 10}),
        ("used_unread", KEPT, {"reset": 10}),
        ("cuts_pipeline", PIPELINED, {"closed": 2}),
    ],
)
def test_each_way_to_lose_a_request_is_found(lossy, way, words, counts):
    said = lossy(way, *words)
    assert lost(said) == counts
    assert said["lost"] == sum(counts.values())
    assert said["balanced"]


@pytest.mark.parametrize(
    "way, words, counts",
    [
        ("closed", ONCE, {"closed": 10}),
        ("truncated", ONCE, {"truncated": 10}),
        ("silent", (*ONCE, "timeout=1"), {"timeout": 10}),
        ("wrong", ONCE, {"wrong": 10}),
        ("used", KEPT, {"closed": 10}),
        ("cuts_pipeline", PIPELINED, {"closed": 2}),
        ("fair", ("keep=4", "pause=4", "seconds=1"), {}),
    ],
)
def test_a_loss_at_a_unix_socket_is_found(lossy, tmp_path, way, words, counts):
    said = lossy(way, *words, path=tmp_path / "sock")
    assert lost(said) == counts
    assert said["balanced"]


def test_an_unread_request_at_a_unix_socket_is_a_loss(lossy, tmp_path):
    """The look for an end may take the error, which is told once."""
    said = lossy("used_unread", *KEPT, path=tmp_path / "sock")
    assert said["lost"] == 10
    assert lost(said)["reset"] > 0


def test_an_end_before_the_client_of_a_unix_socket_has_spoken_is_a_loss(
    lossy, tmp_path
):
    said = lossy("unspoken", "hesitate=20", "connections=20",
                 path=tmp_path / "sock")
    assert said["lost"] == 20
    assert lost(said)["unspoken"] > 0


def test_a_websocket_of_a_unix_socket_that_just_ends_is_found(lossy, tmp_path):
    said = lossy("ws_closed", "echo=10", "connections=10", "timeout=1",
                 path=tmp_path / "sock")
    assert violations(said) == {"closed": 10}


def test_a_unix_socket_without_a_server_refuses_and_loses_nothing(tmp_path):
    said = subprocess.check_output([
        restarts.build_load(), str(tmp_path / "sock"), "connect=5",
        "connections=50",
    ])
    said = json.loads(said)
    assert (said["refused"], said["lost"], said["sent"]) == (50, 0, 0)


def test_a_supervisor_that_grows_is_found():
    sizes = [(5 << 20, 20), (6 << 20, 24), (6 << 20, 24), (8 << 20, 25)]
    assert restarts.grown(sizes) == (2 << 20, 1)
    assert restarts.grown(sizes[:2]) is None


def test_what_waits_in_the_queue_of_a_closed_listener_is_lost(lossy):
    said = lossy("listener_first", "connect=20", "connections=20")
    assert lost(said) == {"reset": 20}
    assert said["refused"] == 0


def test_an_end_before_the_client_has_spoken_is_a_loss(lossy):
    unspoken = 0
    for _ in range(50):  # a server without a processor comes too late
        said = lossy("unspoken", "hesitate=20", "connections=20")
        assert said["lost"] == 20
        unspoken += lost(said).get("unspoken", 0)
        if unspoken > 0:
            break
    assert unspoken > 0


def test_an_end_while_idle_is_no_loss(lossy):
    said = lossy("idle", "keep=2", "connections=20")
    assert said["kinds"]["keep"]["idle_closed"] == 20
    assert (said["lost"], said["answered"]) == (0, 20)


def test_a_request_that_the_fin_crossed_is_a_race_and_no_loss(lossy):
    said = lossy("crossing", *KEPT)
    assert (said["lost"], said["race"], said["answered"]) == (0, 10, 10)


def test_what_is_pipelined_behind_the_last_answer_is_no_loss(lossy):
    said = lossy("says_close", *PIPELINED)
    assert said["kinds"]["pipeline"]["unprocessed"] == 2
    assert (said["lost"], said["answered"]) == (0, 2)


def test_a_port_without_a_server_refuses_and_loses_nothing():
    said = subprocess.check_output(
        [restarts.build_load(), "1", "connect=5", "connections=50"]
    )
    said = json.loads(said)
    assert (said["refused"], said["lost"], said["sent"]) == (50, 0, 0)


@pytest.mark.parametrize(
    "way, found",
    [
        ("ws_closed", {"closed": 10}),
        ("ws_resets", {"reset": 10}),
        ("ws_wrong", {"wrong": 10}),
        ("ws_mute", {"stalled": 10}),
    ],
)
def test_a_websocket_that_ends_without_a_close_is_found(lossy, way, found):
    said = lossy(way, "echo=10", "connections=10", "timeout=1")
    assert violations(said) == found
    assert said["violations"] == 10


@pytest.mark.parametrize("way, code", [("ws_code", 1012), ("ws_no_code", 1005)])
def test_a_close_has_a_code(lossy, way, code):
    said = lossy(way, "echo=10", "connections=10")
    assert said["websockets"]["codes"] == {str(code): 10}
    assert (said["violations"], said["lost"]) == (0, 0)


def test_a_fair_server_loses_nothing(lossy):
    said = lossy("fair", "keep=4", "pause=4", "pipeline=2", "seconds=1")
    assert (said["lost"], said["race"], said["refused"]) == (0, 0, 0)
    assert said["answered"] == said["sent"] > 0
    said = lossy("ws_fair", "echo=10", "idle=10", "seconds=1")
    assert said["websockets"]["closed_by_us"] == 20
    assert (said["lost"], said["violations"]) == (0, 0)


# ------------------------------------------------------------ the server ---


def restart(server, action, rounds):
    """The exit status of the rig, and what it said."""
    said = subprocess.run(
        [
            *(sys.executable, os.path.join(RESTART, "restarts.py")),
            *("--server", server, "--action", action),
            *("--rounds", str(rounds)),
        ],
        stdout=subprocess.PIPE,
        timeout=600,
        text=True,
    )
    return said.returncode, said.stdout


@pytest.mark.parametrize(
    "action",
    ["held", *(pytest.param(action, marks=pytest.mark.slow)
               for action in ("alone", "queue", "last"))],
)
def test_stops_of_a_single_process_lose_nothing(action):
    status, said = restart("wsocket", action, 3)
    assert status == 0, said


def test_reloads_of_workers_lose_nothing():
    why = restarts.prepare("wsocket, 2 workers")
    if why:
        pytest.skip(why)
    status, said = restart("wsocket, 2 workers", "hup", 3)
    assert status == 0, said
