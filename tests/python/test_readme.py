"""The samples of README.md, as they stand there."""

import os
import re

import pytest

README = os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..", "README.md"
)


def sample(*words):
    """The first Python sample with all these words."""
    with open(README, encoding="utf-8") as file:
        text = file.read()
    for code in re.findall(r"^```python\n(.*?)^```$", text, re.S | re.M):
        if all(word in code for word in words):
            return code
    raise AssertionError("README.md has no sample with %s" % (words,))


def run_sample(code):
    names = {"__name__": __name__}
    exec(compile(code, README, "exec"), names)
    return names


def check_echo(site, path):
    with site.ws(path) as client:
        for message in ("gr\u00fc\u00dfe", b"\0\1"):
            client.send(message)
            assert client.recv() == message


@pytest.mark.parametrize("framework", ["pyramid", "bottle"])
def test_frameworks_echo(serve, framework):
    pytest.importorskip(framework)
    code = sample("from %s" % framework)
    site = serve(run_sample(code)["app"])
    check_echo(site, "/echo")
    assert site.get("/echo")[0] == 426


def test_a_function_echoes(serve):
    site = serve(run_sample(sample("def app(environ"))["app"])
    assert site.get()[2] == b"Connect here with a WebSocket.\n"
    check_echo(site, "/")


def test_events(serve):
    with serve(run_sample(sample("WSocketApp"))["app"]).ws() as client:
        assert client.recv() == "welcome"
        client.send("hi")
        assert client.recv() == "you said: hi"


def test_a_room_in_flask(serve):
    pytest.importorskip("flask")
    site = serve(run_sample(sample("from flask"))["app"])
    assert b"new WebSocket" in site.get()[2]
    assert site.get("/chat")[0] == 426
    with site.ws("/chat") as one:
        one.send("alone")
        assert one.recv() == "alone"
        with site.ws("/chat") as two:
            two.send("both")
            assert one.recv() == two.recv() == "both"
        one.send("alone again")
        assert one.recv() == "alone again"


def test_django_echoes(serve):
    django = pytest.importorskip("django")
    conf = pytest.importorskip("django.conf")
    if not conf.settings.configured:
        conf.settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF="nowhere")
        django.setup()
    from django.core.wsgi import WSGIHandler
    from django.test import override_settings
    from django.urls import path

    class Urls:
        urlpatterns = [path("echo", run_sample(sample("django"))["echo"])]

    with override_settings(ROOT_URLCONF=Urls, ALLOWED_HOSTS=["*"]):
        check_echo(serve(WSGIHandler()), "/echo")


def test_the_room_works_behind_tls():
    pytest.importorskip("flask")
    page = sample("from flask")
    assert "location.protocol" in page and '"ws://"' not in page


def test_a_plain_request_of_a_sample_is_no_500(serve):
    pytest.importorskip("pyramid")
    site = serve(run_sample(sample("from pyramid"))["app"])
    assert site.get("/echo")[0] == 426
