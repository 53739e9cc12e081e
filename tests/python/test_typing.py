"""What mypy and pyright say of programs that use the package."""

import os
import pathlib
import shutil
import subprocess
import sys
import typing

import pytest

import wsocket.typing
from wsocket import _wsocket

heavy = pytest.mark.heavy

GOOD = '''
from collections.abc import Iterable
from typing import Any, cast

from wsocket import Server, make_server, run
from wsocket.typing import Environ, RunOptions, StartResponse


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    ws = environ.get("wsgi.websocket")
    if ws is not None:
        message = ws.receive(timeout=1)
        ws.send(message or "")
        return []
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


def view(request: Any) -> str:
    return cast(Environ, request.environ)["wsgi.url_scheme"]


def from_here(origin: str, environ: dict[str, Any]) -> bool:
    return origin == "https://example.com"


options: RunOptions = {"threads": 16, "workers": "auto", "max_body": "16m"}
run(app, keep_alive=2.5, bind=["127.0.0.1:0"], cert_reqs="optional")
run("", 8000, app, log_level="debug", static={"/s": "folder"})
run("module:app", workers=4, reload=True, ssl_certfile="cert.pem")
run(app, **options)
Server(app, ws_origins=from_here, certfile=None, ws_compression_level=3)
make_server("", 80, app, threads=3)
'''

# Each line is an error by itself, behind the good part.
BAD = [
    "run(app, prot=8080)",
    'run(app, threads="many")',
    'run(app, log_level="loud")',
    "run(app, keep_alive=[1])",
    'run("module:app", worker=4)',
    "Server(app, workers=2)",
    "make_server('', 80, app, thread=3)",
    'app({}, lambda status, headers: print)["wsgi.nothing"]',
    'mistyped: RunOptions = {"bind": 80}',
]


def judged(tmp_path, *command):
    """The lines of the program that a checker finds at fault."""
    path = tmp_path / "program.py"
    path.write_text(GOOD + "\n".join(BAD) + "\n")
    done = subprocess.run(
        [*command, "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "MYPY_CACHE_DIR": str(tmp_path / "cache")},
    )
    found = set()
    for line in done.stdout.splitlines():
        place, _, text = line.partition("error")
        if text and "program.py:" in place:
            found.add(int(place.split("program.py:")[1].split(":")[0]))
    assert found or done.returncode == 0, done.stdout + done.stderr
    return found


def bad_lines():
    first = GOOD.count("\n") + 1
    return set(range(first, first + len(BAD)))


@heavy
def test_mypy_strict_finds_each_wrong_option_and_nothing_else(tmp_path):
    pytest.importorskip("mypy")
    assert judged(tmp_path, sys.executable, "-m", "mypy", "--strict") == (
        bad_lines()
    )


@heavy
def test_pyright_finds_each_wrong_option_and_nothing_else(tmp_path):
    pytest.importorskip("pyright")
    if not shutil.which("node"):
        pytest.skip("pyright needs node")
    (tmp_path / "pyrightconfig.json").write_text(
        '{"typeCheckingMode": "strict", "reportMissingModuleSource": "none"}'
    )
    found = judged(
        tmp_path, sys.executable, "-m", "pyright",
        "--pythonpath", sys.executable,
    )
    assert found == bad_lines()


def test_every_option_has_a_type():
    named = set(typing.get_type_hints(wsocket.typing.RunOptions))
    listed = {name for name, *_ in _wsocket.options()}
    assert listed - named == {"host", "port"}
    assert set(_wsocket.PROCESS_OPTIONS.split()) <= named
    of_server = set(wsocket.typing.ServerOptions.__annotations__)
    assert not of_server & set(_wsocket.PROCESS_OPTIONS.split())


def test_a_choice_is_typed_as_its_words():
    hints = typing.get_type_hints(wsocket.typing.ServerOptions)
    for name, *_ in _wsocket.options():
        words = _wsocket.choices(name)
        if words and name in hints:
            literal = typing.get_args(hints[name])[0]
            assert set(words) <= set(typing.get_args(literal)), name


def test_the_keys_of_an_environ_are_typed(serve):
    seen = {}

    def app(environ, start_response):
        seen.update(environ)
        start_response("200 OK", [("Content-Length", "0")])
        return []

    assert serve(app).get("/")[0] == 200
    known = typing.get_type_hints(wsocket.typing.Environ)
    clients = {"HTTP_ACCEPT_ENCODING", "HTTP_CONNECTION"}
    assert set(seen) - clients <= set(known)
    assert wsocket.typing.Environ.__required_keys__ <= set(seen)


def test_the_stub_has_the_docstrings_of_the_extension():
    root = pathlib.Path(__file__).parents[2]
    assert subprocess.run(
        [sys.executable, str(root / "tools" / "gen_stubs.py"), "--check"]
    ).returncode == 0
