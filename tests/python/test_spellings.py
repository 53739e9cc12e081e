"""docs/reference/options.md: each way to write an option, as it stands there."""

import re
import shlex

import documents
import pytest

from wsocket import _wsocket, cli, config

ROW = re.compile(r"^\| (Python|command line|environment|file) \| `(.*)` \|$",
                 re.MULTILINE)
SECTIONS = re.split(r"^## (\w+)$", documents.read("docs/reference/options.md"),
                    flags=re.MULTILINE)
SPELLED = dict(zip(SECTIONS[1::2], SECTIONS[2::2]))


def ways(name):
    return dict(ROW.findall(SPELLED[name]))


def told(name, way):
    """The value as the way that the page shows it makes it."""
    text = ways(name)[way]
    if way == "Python":
        return eval("dict(%s)" % text)[name]
    if way == "command line":
        return cli.parse(cli.make_parser(), shlex.split(text))[name]
    if way == "environment":
        key, _, value = shlex.split(text)[0].partition("=")
        return config.from_environment({key: value})[0][name]
    toml = pytest.importorskip("tomllib")
    return toml.loads("[wsocket]\n" + text)["wsocket"][name]


def test_all_options_are_there():
    assert list(SPELLED) == [name for name, *_ in _wsocket.options()]


@pytest.mark.parametrize("way", ["Python", "command line", "environment", "file"])
def test_every_spelling_is_taken(way):
    for name in SPELLED:
        config.check(name, told(name, way), name)


def test_those_of_a_file_and_of_the_environment_mean_the_same():
    for name, kind, *_ in _wsocket.options():
        if kind != "list":
            said = str(told(name, "file")).replace("True", "on").replace("False", "off")
            assert said == told(name, "environment")
