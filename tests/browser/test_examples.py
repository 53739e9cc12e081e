"""The chat rooms of examples/: two pages that talk, in each framework."""

import os

import pytest
from page import ROOT, Page

# Where it listens is said on standard output, which a pipe buffers.
MANAGE = ("-u", "manage.py", "runserver", "--noreload", "127.0.0.1:0")
CHATS = {
    "flask": ("app:app",),
    "bottle": ("app:app",),
    "pyramid": ("app:app",),
    "django": ("mysite.wsgi:application",),
}


def enter(browser, url, name, tab=False):
    page = Page(browser, url, tab)
    page.wait_for("status", "^outside$")
    page.type("name", name)
    page.click("enter")
    page.wait_for("status", "^here$")
    return page


def talk(browser, port, site="http://127.0.0.1:%d"):
    """Two pages of one room, a third of another."""
    site = site % port
    ann = enter(browser, site + "/", "Ann")
    assert ann.text("room") == "lobby"
    ann.wait_for("log", "Ann has come")
    bob = enter(browser, site + "/room/lobby", "B\u00f6b <b>", tab=True)
    eve = enter(browser, site + "/room/other", "Eve", tab=True)
    ann.wait_for("people", "^Ann, B\u00f6b <b>$")
    ann.type("text", "good morning")
    ann.click("send")
    bob.wait_for("log", "Ann says: good morning")
    bob.type("text", "gr\u00fc\u00dfe & <i>more</i>")
    bob.click("send")
    ann.wait_for("log", "B\u00f6b <b> says: gr\u00fc\u00dfe & <i>more</i>")
    assert eve.wait_for("people", "^Eve$") == "Eve"
    assert "says" not in eve.text("log")
    bob.click("leave")
    bob.wait_for("status", r"^gone \(1000\)$")
    ann.wait_for("log", "B\u00f6b <b> has left")
    assert ann.wait_for("people", "^Ann$") == "Ann"
    eve.show()
    browser.close()  # a page that is shut leaves, too
    ann.show()
    return ann


@pytest.mark.parametrize("name", CHATS)
def test_two_pages_chat(browser, serve, name):
    folder = os.path.join(ROOT, "examples", name)
    ann = talk(browser, serve(*CHATS[name], folder=folder))
    ann.screenshot("chat-%s.png" % name)
    assert ann.complaints() == []


def test_two_pages_chat_by_djangos_runserver(browser, serve):
    folder = os.path.join(ROOT, "examples", "django")
    ann = talk(browser, serve(folder=folder, command=MANAGE))
    assert ann.complaints() == []
