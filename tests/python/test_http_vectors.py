"""tests/vectors/http.md over sockets: every block is played to a server, whole
and octet by octet; what its engine makes of the octets is what a client sees."""

import pathlib
import re
import socket
import threading
from wsgiref.simple_server import make_server

import pytest
import secure
from patience import PATIENCE

import wsocket

ROOT = pathlib.Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors" / "http.md"
LITERAL = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def octets(text):
    """TEXT of the vectors, its escapes and repetitions undone."""
    times = re.match(r"(.*?)(?<!\\)\{(\d+)\*", text, re.DOTALL)
    if times:
        inside, _, rest = text[times.end() :].partition("}")
        return (
            octets(times[1]) + int(times[2]) * octets(inside) + octets(rest)
        )
    out = b""
    for plain, escape in re.findall(
        r"([^\\]+)|\\(x..|.)", text, re.DOTALL
    ):
        out += plain.encode()
        if escape:
            out += LITERAL.get(escape) or bytes([int(escape[1:], 16)])
    return out


class Block:
    def __init__(self, name, lines):
        self.name = name
        self.input = b""
        self.limits = {}
        self.eof = False
        self.log = []
        for line in lines:
            if line[:1] in ("|", "<"):
                self.input += octets(line[2:])
                self.input += b"\r\n" if line[0] == "|" else b""
            elif line.startswith("limit "):
                _, option, value = line.split(" ")
                self.limits[option] = int(value)
            elif line == "eof":
                self.eof = True
            elif line != "fields":
                self.log.append(line)
        self.refusal = [
            int(line[7:]) for line in self.log if line.startswith("failed ")
        ]
        # of the requests that are complete, in their order
        heads = [line.split() for line in self.log if line[:5] == "head "]
        self.heads = heads[: self.log.count("end")]


def blocks():
    text = VECTORS.read_text(encoding="utf-8")
    found = re.findall(r"^### ([^\n]*)\n\n```\n(.*?)^```$", text, re.M | re.S)
    return [Block(name, body.split("\n")[:-1]) for name, body in found]


@pytest.fixture(scope="module")
def ports():
    """ports(options): a server with them, one for all blocks that want it."""
    servers = {}

    def app(environ, start_response):
        environ["wsgi.input"].read()
        start_response("204 No Content", [])
        return []

    def start(options):
        key = tuple(options.items())
        if key not in servers:
            servers[key] = wsocket.Server(
                app, port=0, access_logfile="none", log_level="critical",
                **(secure.options() if secure.IS_ON else {}), **options
            ).start()
        return servers[key].port

    yield start
    for server in servers.values():
        server.stop()
        assert server.join(PATIENCE)


def play(port, block, piece):
    """The answers of a server: status, fields by lower-case name, body. It has
    closed, or answers one more request, as the block has it."""
    with secure.connected(port, secure.IS_ON, PATIENCE) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = block.input
        stays = block.log[-1:] == ["end"] and not block.eof
        if stays:  # which the next answer shows
            data += GET
        try:
            for at in range(0, len(data), piece):
                client.sendall(data[at : at + piece])
            if block.eof:
                client.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has seen enough
        with client.makefile("rb") as file:
            answers = [
                read_answer(file) for _ in range(len(block.heads) + stays)
            ]
            if block.refusal:
                answers.append(read_answer(file))
            if block.log[-1:] == ["over"]:
                assert what_follows(file, block) == b""
    return answers


def what_follows(file, block):
    """What is sent after a close that was asked for may be answered by a reset,
    behind the answer; that of a refusal lingers (RFC 9112 9.6)."""
    try:
        return file.read()
    except ConnectionResetError:
        assert not block.refusal
        return b""


def read_answer(file):
    line = file.readline()
    assert line.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")), line
    fields = {}
    for field in iter(file.readline, b"\r\n"):
        name, _, value = field.decode("latin-1").partition(":")
        assert name.lower() not in fields
        fields[name.lower()] = value.strip()
    status = int(line.split()[1])
    if status == 100:
        return read_answer(file)
    return status, fields, file.read(int(fields.get("content-length", 0)))


@pytest.mark.parametrize("buffer_body", ["auto", "never"])
@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.name)
def test_a_client_sees_what_the_engine_makes_of(block, buffer_body, ports):
    port = ports(dict(block.limits, buffer_body=buffer_body))
    for piece in (len(block.input) or 1, 1):
        if piece == 1 and len(block.input) > 2000:
            continue
        answers = play(port, block, piece)
        if block.refusal:
            status, fields, body = answers.pop()
            assert status == block.refusal[0]
            assert fields["connection"] == "close"
            assert int(fields["content-length"]) > 0
            assert fields["content-type"] == "text/plain"
            assert "date" in fields and "server" in fields
            if body or b"HEAD " not in block.input:
                assert body.startswith(b"%d " % status)
        for head, (status, _, _) in zip(block.heads, answers):
            assert status == (400 if "websocket" in head else 204)


@pytest.fixture(scope="module")
def handlers():
    """handlers(limits): a server of wsgiref's with FixedHandler and those."""
    servers = {}

    def app(environ, start_response):
        environ["wsgi.input"].read()
        start_response("204 No Content", [])
        return []

    def start(limits):
        key = tuple(limits.items())
        if key not in servers:
            quiet = {"log_message": lambda *args: None}
            handler = type("Limited", (wsocket.FixedHandler,), {**quiet, **limits})
            server = make_server(
                "127.0.0.1", 0, app, wsocket.ThreadingWSGIServer, handler
            )
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            servers[key] = server, thread
        return servers[key][0].server_port

    yield start
    for server, thread in servers.values():
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)


@pytest.mark.plain
@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.name)
def test_the_classes_of_wsgiref_read_by_the_same_rules(block, handlers):
    if not all(hasattr(wsocket.FixedHandler, limit) for limit in block.limits):
        pytest.skip("the classes have no such limit")
    port = handlers(block.limits)
    for piece in (len(block.input) or 1, 1):
        if piece == 1 and len(block.input) > 2000:
            continue
        answers = play(port, block, piece)
        if block.refusal:
            status, fields, _ = answers.pop()
            assert status == block.refusal[0]
            assert fields["connection"] == "close"
        for head, (status, _, _) in zip(block.heads, answers):
            assert status == (400 if "websocket" in head else 204)


def test_every_line_of_the_table_of_rules_names_what_exists():
    table = (ROOT / "docs" / "internals" / "http.md").read_text("utf-8")
    table = table.partition("## Rule")[2].partition("## ")[0]
    titles = [re.sub(r" \([^()]*\)$", "", block.name) for block in blocks()]
    tests = {}
    for path in [*(ROOT / "tests").glob("*/test_*.[cp]*")]:
        found = re.findall(r"^(?:TEST\(|def )(\w+)", path.read_text(), re.M)
        tests.setdefault(path.stem, set()).update(found)
    rows = re.findall(r"^\| .* \| .* \| (.+) \|$", table, re.M)
    assert len(rows) > 50
    for row in rows[1:]:
        vectors = re.findall(r'"([^"]+)"', row)
        named = re.findall(r"`(test_\w+)\.(\w+)`", row)
        assert vectors or named, row
        for name in vectors:
            if name.endswith("\u2026"):
                assert any(title.startswith(name[:-1]) for title in titles), name
            else:
                assert name in titles, name
        for module, name in named:
            assert name in tests[module], (module, name)
