"""Clients of others, a hundred messages each; ``tests/interop/run.py`` plays
ten thousand, with more of them and a browser."""

import os
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "interop"))

import clients  # noqa: E402
import echoes  # noqa: E402
from plan import plan  # noqa: E402

MODULES = {
    "websockets": "websockets",
    "websocket-client": "websocket",
    "aiohttp": "aiohttp",
}


@pytest.mark.parametrize("name", MODULES)
def test_what_others_send_comes_back_as_it_went(serve, name):
    pytest.importorskip(MODULES[name])
    messages = plan(100)
    assert clients.play(name, serve(echoes.app).port, messages) == len(messages)
