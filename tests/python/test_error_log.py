"""Errors of applications reach a log, however the program logs."""

import calendar
import io
import logging
import logging.config
import os
import re
import signal
import socketserver
import subprocess
import sys
import threading
import time
import wsgiref.simple_server

import pytest
from conftest import Site
from patience import PATIENCE

import wsocket
from wsocket import log
from wsocket.middleware import Middleware


class Result(list):
    def close(self):
        raise ValueError("broken close")


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/ws":
        environ["wsgi.websocket"].accept()
        raise ValueError("broken handler")
    if path == "/close":
        start_response("200 OK", [])
        return Result([b"x"])
    raise ValueError("broken view")


def fail_everywhere(site):
    assert site.get("/")[0] == 500
    with site.ws("/ws") as client:
        with pytest.raises(Exception):
            client.recv()
    assert site.get("/close")[0] == 200


ALL = ["broken view", "broken handler", "broken close"]


class Handlers(list):
    """Without those that newer versions of pytest add to every logger."""

    def append(self, handler):
        if type(handler).__module__ != "_pytest.logging":
            super().append(handler)


@pytest.fixture
def logger(monkeypatch):
    """The logger, which is set up anew for each test, and has no handler."""
    ours = logging.getLogger("wsocket")
    for name, value in {
        "handlers": Handlers(),
        "filters": [],
        "propagate": False,
        "disabled": False,
    }.items():
        monkeypatch.setattr(ours, name, value)
    level = ours.level
    yield ours
    logging.disable(logging.NOTSET)
    ours.setLevel(level)
    vars(ours).pop("error", None)


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


def disable(logger):
    logger.addHandler(Kept())
    logger.disabled = True


def disable_all(logger):
    logger.addHandler(Kept())
    logging.disable(logging.CRITICAL)


def raise_level(logger):
    logger.addHandler(Kept())
    logger.setLevel(logging.CRITICAL)


def raise_handler(logger):
    handler = Kept()
    handler.setLevel(logging.CRITICAL)
    logger.addHandler(handler)


def filter_logger(logger):
    logger.addHandler(Kept())
    logger.addFilter(lambda record: False)


def filter_handler(logger):
    handler = Kept()
    handler.addFilter(lambda record: False)
    logger.addHandler(handler)


def silence(logger):
    logger.addHandler(logging.NullHandler())


def close_stream(logger):
    stream = io.StringIO()
    logger.addHandler(logging.StreamHandler(stream))
    stream.close()


def break_handler(logger):
    handler = Kept()
    handler.emit = lambda record: 1 / 0
    logger.addHandler(handler)


def break_logger(logger):
    logger.addHandler(Kept())
    logger.error = lambda *args, **kwargs: 1 / 0


def configure(logger):
    logger.addHandler(Kept())
    logging.config.dictConfig({"version": 1})


def configure_file(logger):
    logger.addHandler(Kept())
    logging.config.fileConfig(
        io.StringIO(
            "[loggers]\nkeys=root\n[handlers]\nkeys=\n[formatters]\nkeys=\n"
            "[logger_root]\nhandlers=\n"
        )
    )


@pytest.fixture
def own_root(monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging, "_handlers", {})
    monkeypatch.setattr(logging, "_handlerList", [])
    others = logging.root.manager.loggerDict.values()
    was = {o: o.disabled for o in others if isinstance(o, logging.Logger)}
    level = logging.root.level
    yield
    logging.root.setLevel(level)
    for other, disabled in was.items():
        other.disabled = disabled


@pytest.mark.parametrize(
    "swallow",
    [
        disable,
        disable_all,
        raise_level,
        raise_handler,
        filter_logger,
        filter_handler,
        silence,
        close_stream,
        break_handler,
        break_logger,
        configure,
        configure_file,
        lambda logger: None,
    ],
)
def test_what_the_logger_writes_nowhere_is_in_the_servers_log_once(
    serve, tmp_path, eventually, logger, own_root, swallow
):
    path = tmp_path / "error.log"
    site = serve(app, error_logfile=str(path))
    swallow(logger)
    fail_everywhere(site)
    for what in ALL:
        eventually(lambda: "ValueError: %s\n" % what in path.read_text())
    text = path.read_text()
    assert [text.count("ValueError: " + what) for what in ALL] == [1, 1, 1]
    entry = (
        r"(?m)^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000\] \[%d\] error: "
        r"error in the application: GET /\nTraceback \(most recent call last\):"
    )
    assert len(re.findall(entry % os.getpid(), text)) == 1


def test_an_event_that_fails_is_in_the_servers_log(
    serve, tmp_path, eventually, logger
):
    events = wsocket.WSocketApp()

    def on_message(message, client):
        raise ValueError("broken event")

    def on_close(message, client):
        raise ValueError("broken end")

    events.onmessage += on_message
    events.onclose += on_close
    path = tmp_path / "error.log"
    site = serve(events, error_logfile=str(path))
    logger.disabled = True
    with site.ws() as client:
        client.send("x")
        with pytest.raises(Exception):
            client.recv()
    eventually(lambda: "ValueError: broken end\n" in path.read_text())
    assert path.read_text().count("ValueError: broken event\n") == 1


def test_what_the_logger_writes_is_not_in_the_servers_log(
    serve, tmp_path, eventually, logger
):
    path, handler = tmp_path / "error.log", Kept()
    logger.addHandler(logging.NullHandler())
    logger.addHandler(handler)
    site = serve(app, error_logfile=str(path))
    fail_everywhere(site)
    eventually(lambda: len(handler.records) == 3)
    wrong = [str(record.exc_info[1]) for record in handler.records]
    assert sorted(wrong) == sorted(ALL)
    assert {record.name for record in handler.records} == {"wsocket"}
    site.server.stop()
    assert site.server.join()
    assert "ValueError" not in path.read_text()


def test_a_filter_sees_a_record_once(serve, logger):
    """One that lets the first of its kind pass must not be asked before."""
    handler, seen = Kept(), []

    def first(record):
        seen.append(record)
        return len(seen) == 1

    handler.addFilter(first)
    logger.addHandler(handler)
    assert serve(app, error_logfile="none").get("/")[0] == 500
    assert handler.records == seen


def test_each_server_has_its_own_log(serve, tmp_path, eventually, logger):
    paths = [tmp_path / "one.log", tmp_path / "two.log"]
    sites = [serve(app, error_logfile=str(path)) for path in paths]
    for site, path, n in (*zip(sites, paths, (1, 1)), (sites[0], paths[0], 2)):
        site.get("/")
        eventually(lambda: path.read_text().count("ValueError: ") == n)
    assert paths[1].read_text().count("ValueError: ") == 1


def test_a_thread_of_the_application_reports_to_the_newest_server(
    serve, tmp_path, eventually, logger
):
    path = tmp_path / "error.log"
    serve(app, error_logfile="none")
    serve(app, error_logfile=str(path))
    thread = threading.Thread(target=log.report, args=("in a\n[1] thread",))
    thread.start()
    thread.join()
    eventually(lambda: "error: in a\n [1] thread\n" in path.read_text())


def test_a_traceback_is_logged_whatever_log_level_is(
    serve, tmp_path, eventually, logger
):
    path = tmp_path / "error.log"
    site = serve(app, error_logfile=str(path), log_level="critical")
    logger.setLevel("CRITICAL")
    fail_everywhere(site)
    eventually(lambda: all(what in path.read_text() for what in ALL))


def test_log_traceback_reaches_a_log(serve, tmp_path, eventually, logger):
    path = tmp_path / "error.log"

    def app(environ, start_response):
        try:
            raise ValueError("told")
        except ValueError as exc:
            wsocket.log_traceback(exc)
        start_response("204 No Content", [])
        return []

    logger.disabled = True
    assert serve(app, error_logfile=str(path)).get()[0] == 204
    eventually(lambda: "ValueError: told\n" in path.read_text())


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *args):
        pass


def test_on_another_server_it_is_in_that_servers_log(logger, monkeypatch):
    said = io.StringIO()

    class Handler(Quiet):
        def get_stderr(self):
            return said

    logger.disabled = True
    server = wsgiref.simple_server.make_server(
        "127.0.0.1", 0, Middleware(app), handler_class=Handler
    )
    thread = threading.Thread(target=server.handle_request)
    thread.start()

    class Here:
        port = server.server_port

    with Site(Here()).ws("/ws") as client:
        with pytest.raises(Exception):
            client.recv()
    thread.join()
    server.server_close()
    assert said.getvalue().count("ValueError: broken handler\n") == 1


def test_an_error_between_the_classes_and_the_application_is_shown(
    capsys, logger
):
    logger.disabled = True
    server = wsocket.ThreadingWSGIServer.__new__(wsocket.ThreadingWSGIServer)
    assert isinstance(server, socketserver.BaseServer)
    try:
        raise ValueError("broken class")
    except ValueError:
        server.handle_error(None, None)
    said = capsys.readouterr().err
    assert re.match(r"\[[-\d]+ [:\d]+ \+0000\] \[\d+\] error: error in", said)
    assert said.endswith("ValueError: broken class\n")


SET_UP_LATE = """
import logging.config
from wsocket import logger

def app(environ, start_response):
    logging.config.dictConfig({
        "version": 1, "disable_existing_loggers": False,
        "handlers": {"file": {"class": "logging.FileHandler",
                              "filename": "app.log"}},
        "root": {"handlers": ["file"], "level": "INFO"},
    })
    logger.info("said")
    raise ValueError("broken")
"""


def test_what_is_set_up_later_takes_the_place_of_the_servers_log(
    program, tmp_path
):
    (tmp_path / "late_app.py").write_text(SET_UP_LATE)
    started = program("late_app:app", "--port=0").wait_started()
    with started.raw() as client:
        client.send(b"GET / HTTP/1.0\r\nHost: t\r\n\r\n")
        assert client.response()[0] == 500
    started.signal(signal.SIGTERM)
    assert started.wait() == 0
    text = (tmp_path / "app.log").read_text()
    assert text.count("ValueError: broken\n") == 1 and "said\n" in text
    assert "ValueError" not in started.said and "said" not in started.said


FROM_THE_EAST = """
from wsocket import logger

def app(environ, start_response):
    environ["wsgi.errors"].write("of the application\\n")
    logger.warning("of the logger")
    raise ValueError("broken")
"""


def test_all_lines_of_a_log_have_one_clock_and_one_form(
    program, tmp_path, monkeypatch
):
    monkeypatch.setenv("TZ", "XYZ-9")
    (tmp_path / "east_app.py").write_text(FROM_THE_EAST)
    started = program("east_app:app", "--port=0").wait_started()
    with started.raw() as client:
        client.send(b"GET / HTTP/1.0\r\nHost: t\r\n\r\n")
        assert client.response()[0] == 500
    started.signal(signal.SIGTERM)
    assert started.wait() == 0
    entries = re.findall(r"(?m)^\[([^]]*)\] \[\d+\] (.*)$", started.said)
    assert sorted(words for _, words in entries) == [
        "error: error in the application: GET /",
        "of the application",
        "warning: of the logger",
    ]
    for stamp, _ in entries:
        assert stamp.endswith(" +0000")
        said = time.strptime(stamp, "%Y-%m-%d %H:%M:%S +0000")
        assert abs(calendar.timegm(said) - time.time()) < 4 * 3600



@pytest.mark.parametrize("level, logged", [("info", True), ("error", False)])
@pytest.mark.parametrize("disabled", [False, True])
def test_warnings_are_for_log_level_to_decide(
    serve, tmp_path, eventually, logger, level, logged, disabled
):
    path = tmp_path / "error.log"

    def app(environ, start_response):
        log.warn("a\nwarning")
        log.report("an error")
        start_response("204 No Content", [])
        return []

    logger.disabled = disabled
    assert serve(app, error_logfile=str(path), log_level=level).get()[0] == 204
    eventually(lambda: "error: an error\n" in path.read_text())
    assert ("] warning: a\\x0awarning\n" in path.read_text()) is logged


@pytest.mark.parametrize("level", ["ERROR", "CRITICAL"])
def test_a_warning_that_the_logger_is_not_to_show_is_not_shown(
    serve, tmp_path, capfd, logger, level
):
    path = tmp_path / "error.log"
    serve(lambda environ, start_response: [], error_logfile=str(path))
    logger.setLevel(level)
    log.warn("unwanted")
    assert "unwanted" not in path.read_text() + capfd.readouterr().err


def test_what_is_repeated_is_counted_and_due_once_an_interval(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(log.time, "monotonic", lambda: now[0])
    refused = log.Repeated(interval=1.0)
    assert [refused.add(), refused.add(), refused.add()] == [1, None, None]
    now[0] = 0.99
    assert refused.add() is None
    now[0] = 1.0
    assert [refused.add(), refused.add()] == [5, None]


def test_the_loggers_records_go_to_a_descriptor(tmp_path, logger):
    """A worker has the error log as a descriptor that its parent has opened."""
    with open(tmp_path / "one", "ab") as one, open(tmp_path / "two", "ab") as two:
        log.show(None, "fd:%d" % one.fileno())
        logger.error("first")
        log.move(two)
        logger.error("second")
        log.move(one.fileno())
        logger.error("third")
    said = re.findall(r"error: (\w+)", (tmp_path / "one").read_text())
    assert said == ["first", "third"]
    assert (tmp_path / "two").read_text().endswith("error: second\n")


def test_a_log_that_moves_leaves_a_file_behind(tmp_path, logger):
    log.show(None, str(tmp_path / "one"))
    logger.error("first")
    with open(tmp_path / "two", "ab") as two:
        log.move(two)
    logger.error("second")
    assert (tmp_path / "one").read_text().endswith("error: first\n")
    assert (tmp_path / "two").read_text().endswith("error: second\n")
    log.show(None, "none")


def test_a_long_record_is_written_in_pieces_that_a_pipe_takes_whole(logger):
    class Stream(list):
        def flush(self):
            pass

        write = list.append

    log.show()
    handler = logger.handlers[0]
    pieces = Stream()
    handler.setStream(pieces)
    lines = ["x" * 999, "\xe9" * 1500, "y" * 5000, "z"]
    logger.error("\n".join(lines))
    assert "".join(pieces).split("error: ")[1] == "\n".join(lines) + "\n"
    assert all(piece.endswith("\n") for piece in pieces)
    assert [len(piece.encode()) <= 4096 for piece in pieces].count(False) == 1
    assert len(pieces) == 3


FORKED = """
import os, urllib.request, wsocket

def app(environ, start_response):
    environ["wsgi.errors"].write("of the application\\n")
    start_response("200 OK", [])
    return [b""]

server = wsocket.Server(app, port=0, access_logfile="none")
assert len(os.listdir("/proc/self/task")) == 1, "it has a thread already"
if os.fork():
    os.wait()
else:
    server.start()
    urllib.request.urlopen("http://127.0.0.1:%d/" % server.port).read()
    server.stop()
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="Linux")
def test_a_server_that_was_made_before_a_fork_logs_errors():
    done = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert "of the application" in done.stderr
