"""CPython's own tests of wsgiref, with our classes in place of its own."""

import importlib.util
import re
import subprocess
import sys

import pytest

# They compare an answer with one of HTTP/1.0, octet by octet.
LITERAL = {
    "test_plain_hello",
    "test_validated_hello",
    "test_bytes_validation",
    "test_cp1252_url",
}

PROGRAM = """
import unittest, wsgiref.simple_server, wsocket
wsgiref.simple_server.WSGIRequestHandler = wsocket.FixedHandler
wsgiref.simple_server.ServerHandler = wsocket.FixedServerHandler
from test import test_wsgiref
assert test_wsgiref.WSGIRequestHandler is wsocket.FixedHandler
unittest.main(module=test_wsgiref, argv=["test_wsgiref"])
"""


def there_is(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.skipif(
    not there_is("test.test_wsgiref"),
    reason="this interpreter comes without its tests",
)
def test_only_what_compares_http_1_0_literally_differs(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
    )
    failed = re.findall(r"^(?:FAIL|ERROR): (\w+)", done.stderr, re.MULTILINE)
    assert set(failed) <= LITERAL, done.stderr
    ran = re.search(r"^Ran (\d+) tests", done.stderr, re.MULTILINE)
    assert int(ran[1]) >= 30
