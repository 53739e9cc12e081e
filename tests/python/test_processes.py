"""The options of worker processes: values and contradictions."""

import pytest

import wsocket
from wsocket import _wsocket, cli, processes


def test_without_workers_and_reload_there_is_no_supervisor():
    assert processes.split({"port": 80, "reload": False}) == ({"port": 80}, None)


def test_the_options_of_processes_are_taken_out_and_have_values():
    server, found = processes.split({
        "port": "80", "workers": "3", "boot_timeout": "1.5",
        "max_memory": "2m", "max_requests": 7, "reload_patterns": "*.py,*.html",
    })
    assert server == {"port": "80"}
    assert (found.workers, found.boot_timeout, found.max_memory) == (
        3, 1.5, 2 << 20,
    )
    assert found.max_requests == 7 and found.worker_timeout == 30
    assert found.reload_patterns == ["*.py", "*.html"]
    assert found.max_jitter == 10 and found.retire_timeout == 300


def test_every_such_option_has_a_value_by_default():
    for name in processes.NAMES:
        processes.value(name, {})


@pytest.mark.parametrize(
    "options, text",
    [
        ({"reload": True, "workers": 2}, "one worker"),
        ({"workers": 2, "worker_timeout": 2.9}, "at least 3 seconds"),
        ({"max_requests": 5}, "max_requests takes workers"),
        ({"pid_file": "x"}, "pid_file takes workers"),
        ({"reload_dirs": ["x"]}, "reload_dirs takes reload"),
    ],
)
def test_what_contradicts_itself_is_refused(options, text):
    with pytest.raises(ValueError, match=text):
        processes.split(options)


@pytest.mark.parametrize("number", [0, 513, "two", -1, ""])
def test_a_number_of_workers_that_cannot_be_is_refused(number):
    with pytest.raises(ValueError, match="auto or a number from 1 to 512"):
        processes.split({"workers": number})


def test_a_server_of_one_process_says_who_takes_workers():
    with pytest.raises(TypeError, match=r"workers is for wsocket.run\(\)"):
        wsocket.Server(None, workers=2)


def test_run_takes_the_application_as_a_text_with_workers():
    with pytest.raises(TypeError, match="module:app"):
        wsocket.run(lambda environ, start_response: [], workers=2)
    with pytest.raises(TypeError, match="on_handshake"):
        wsocket.run("a:b", workers=2, on_handshake=print)


@pytest.mark.parametrize(
    "words, found",
    [
        (["--reload", "a:b"], ["--reload=on", "a:b"]),
        (["a:b", "--reload"], ["a:b", "--reload=on"]),
        (["--reload", "off", "a:b"], ["--reload", "off", "a:b"]),
        (["--reload", "yes"], ["--reload", "yes"]),
        (["--reload=off"], ["--reload=off"]),
        (["--reload", "--port", "1"], ["--reload=on", "--port", "1"]),
        (["--date-header", "--", "on"], ["--date-header=on", "--", "on"]),
        (["--", "--reload"], ["--", "--reload"]),
    ],
)
def test_a_switch_stands_alone_or_takes_on_or_off(words, found):
    assert cli.switched(words) == found


def test_auto_is_one_for_each_core_that_may_be_used():
    assert processes.split({"workers": "auto"})[1].workers == _wsocket.cpus()
