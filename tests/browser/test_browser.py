"""A real browser on the other side: the demo page, and who comes and goes."""

import os

from page import ROOT, Page
from test_examples import enter


def test_the_demo_page_echoes_and_closes(browser, serve):
    page = Page(browser, "http://127.0.0.1:%d/" % serve())
    page.wait_for("state", "^open$")
    page.type("text", "grüße, browser")
    page.click("send")
    page.wait_for("log", "(?s)←\\s*grüße, browser.*→\\s*grüße, browser")
    page.type("text", "abc")
    page.click("binary")
    page.wait_for("log", "←\\s*3 octets: 61 62 63")
    page.wait_for("latency", r"\d ms")
    page.screenshot("demo-open.png")
    page.type("code", "4001")
    page.type("reason", "enough")
    page.click("close")
    page.wait_for("state", r"closed \(4001\)")
    said = page.wait_for("log", "closed: 4001")
    assert "not clean" not in said
    page.screenshot("demo-closed.png")
    assert page.complaints() == []


def test_idle_connections_disturb_nobody(browser, serve, idle_sockets):
    port = serve("--threads", "2")
    for _ in range(50):
        idle_sockets(port)
    for _ in range(10):
        idle_sockets(port, b"GET / HTTP/1.1\r\nHost: loc")
    page = Page(browser, "http://127.0.0.1:%d/" % port)
    page.wait_for("state", "^open$")
    page.type("text", "still here")
    page.click("send")
    page.wait_for("log", "←\\s*still here")


def test_a_page_that_is_left_closes_its_socket(browser, serve):
    """Each is alone in the room, on the one thread there is."""
    folder = os.path.join(ROOT, "examples", "flask")
    port = serve("--threads", "1", "app:app", folder=folder)
    for name in "ABC":
        enter(browser, "http://127.0.0.1:%d/" % port, name).wait_for(
            "people", "^%s$" % name)
    browser.get("about:blank")
