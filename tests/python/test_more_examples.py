"""The examples that are no chat: events, Celery, a notebook."""

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys

import documents
import pytest

import wsocket

EXAMPLES = os.path.join(documents.ROOT, "examples")

pytestmark = [pytest.mark.plain, pytest.mark.heavy]


def load(name):
    path = os.path.join(EXAMPLES, name, "app.py")
    spec = importlib.util.spec_from_file_location("example_" + name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_events_reach_a_browser(serve, eventually):
    pytest.importorskip("flask")
    site = serve(load("sse").app)
    assert b"EventSource" in site.get()[2]
    with site.raw() as client:
        client.send(b"GET /events HTTP/1.1\r\nHost: test\r\n\r\n")
        status, headers = client.head()
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        assert client.chunk() == b": open\n\n"
        assert site.get("/news", method="POST", body=b"one\ntwo")[0] == 204
        assert client.chunk() == b"data: one\ndata: two\n\n"

    def it_has_seen_that_the_client_left():
        wsocket.publish("news", "more")
        return not wsocket.count("news")

    eventually(it_has_seen_that_the_client_left)


def test_a_task_tells_how_far_it_is(serve, monkeypatch, tmp_path):
    """With a broker in memory, and Celery's worker in a thread."""
    signals = pytest.importorskip("celery.signals")
    worker = pytest.importorskip("celery.contrib.testing.worker")
    monkeypatch.setenv("REDIS", "memory://")
    example = load("celery")
    example.tasks.conf.update(result_backend="cache+memory://")

    def leave_logging_alone(**_):
        """Celery would set the level of the root logger."""

    signals.setup_logging.connect(leave_logging_alone)
    with contextlib.ExitStack() as stack:
        stack.enter_context(worker.start_worker(
            example.tasks, perform_ping_check=False, pool="solo"))
        site = serve(example.app)
        assert site.get("/task")[0] == 426
        with site.ws("/task?steps=3") as client:
            told = [json.loads(text) for text in client]
    assert told[-1] == {"state": "SUCCESS", "done": 3, "of": 3}
    assert [one["done"] for one in told] == sorted(one["done"] for one in told)


def test_the_cells_of_the_notebook_run():
    with open(os.path.join(EXAMPLES, "notebook", "server.ipynb"),
              encoding="utf-8") as file:
        cells = json.load(file)["cells"]
    names = {"__name__": "__main__"}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    assert names["heard"] == "and from a client"
    assert names["server"].join(0)


FROZEN = """
import sys
from wsocket import WSocketApp, cli, connect, run

if len(sys.argv) > 1:
    cli.main(sys.argv[1:])
else:
    run(WSocketApp(), port=0)
"""


@pytest.mark.slow
def test_a_frozen_program_serves(program, tmp_path):
    """PyInstaller finds the hook by itself."""
    pytest.importorskip("PyInstaller")
    (tmp_path / "shop.py").write_text(FROZEN)
    made = subprocess.run(
        [sys.executable, "-m", "PyInstaller", "--log-level", "ERROR", "--distpath",
         "dist", "shop.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert made.returncode == 0, made.stderr
    frozen = str(tmp_path / "dist" / "shop" / "shop")
    for args in (), ("--port", "0"):
        site = program(*args, command=(), executable=frozen).wait_started()
        with site.raw() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            status, _, body = client.response()
        assert status == 200 and b"wsocket works." in body
        with wsocket.connect("ws://127.0.0.1:%d/" % site.port) as ws:
            ws.send("frozen")
            assert ws.receive(20) == "frozen"
        with wsocket.connect("ws://127.0.0.1:%d/?frames=%s" % (
                site.port, "0" * 16)) as ws:  # a module that the extension imports
            ws.send("frozen")
            assert ws.receive(20) == "frozen"
        site.signal(signal.SIGTERM)
        assert site.wait() == 0, site.said
