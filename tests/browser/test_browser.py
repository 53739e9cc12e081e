"""A real browser on the other side: the demo page, and who comes and goes."""

import os

import pytest
from page import ROOT, Page, look
from selenium.webdriver.common.keys import Keys
from test_examples import enter

import wsocket

# Texts whose contrast (WCAG 2.2, 1.4.3) is below 4.5.
FAINT = """
const rgb = text => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
  .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
function below(element) {
  for (let one = element; one; one = one.parentElement) {
    const color = rgb(getComputedStyle(one).backgroundColor);
    if (color.length === 3 || color[3] > 0) return color;
  }
  return [255, 255, 255];
}
return [...document.querySelectorAll("main *")].filter(one =>
  one.checkVisibility() && !one.disabled &&
  [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim())
).filter(one => {
  const [a, b] = [light(rgb(getComputedStyle(one).color)), light(below(one))];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
}).map(one => one.outerHTML);
"""
# What scrolls inside of the page.
NESTED = """
return [...document.querySelectorAll("main *")].filter(one =>
  one.localName !== "input" && one.scrollHeight > one.clientHeight + 1 &&
  /auto|scroll/.test(getComputedStyle(one).overflowY)).map(one => one.outerHTML);
"""


FRAME = r"\n%s frame, opcode %d, %d octets"


def open_demo(browser, serve, *options):
    page = Page(browser, "http://127.0.0.1:%d/" % serve(*options))
    page.wait_for("state", "^open$")
    return page


def test_the_demo_page_shows_messages_and_their_frames(browser, serve):
    page = open_demo(browser, serve)
    page.type("text", "gr\u00fc\u00dfe, browser")
    page.click("send")
    frame = FRAME % ("text", 1, 16)
    echo = r"\s*gr\u00fc\u00dfe, browser.*"  # Chromium compresses it all the same
    page.wait_for("log", r"(?s)\u2192%s\ntext frame, opcode 1, \d+ octets.*\u2190%s%s"
                  % (echo, echo, frame))
    page.type("text", "abc")
    page.click("binary")
    page.wait_for("log", r"(?s)\u2190\s*3 octets: 61 62 63.*" + FRAME % ("binary", 2, 3))
    page.type("text", "x" * 500)
    page.click("send")
    page.wait_for("log", r"(?s)\u2190\s*x{500}.*text frame, opcode 1, \d+ octets, "
                  "compressed from 500")
    page.click("ping")
    page.wait_for("log", r"(?s)\u2190\s*ping frame, 14 octets.*\u2192\s*pong frame, 14 octets")
    page.wait_for("latency", r"\d ms")
    page.screenshot("demo-open.png")
    page.browser.find_element("tag name", "summary").click()
    page.type("code", "4001")
    page.type("reason", "enough")
    page.click("close")
    page.wait_for("state", r"closed \(4001\)")
    said = page.wait_for("log", r"(?s)closed: 4001.*close frame, 8 octets|"
                         r"close frame, 8 octets.*closed: 4001")
    assert "not clean" not in said
    page.screenshot("demo-closed.png")
    assert page.complaints() == []


def test_the_demo_page_says_what_it_is(browser, serve):
    page = open_demo(browser, serve)
    said = page.browser.find_element("tag name", "main").text
    assert "Version " + wsocket.__version__ in said
    assert "wsocket --reload app:app" in said and "ws://127.0.0.1" in said


def test_a_stop_is_shown_as_one(browser, serve, stop):
    page = open_demo(browser, serve)
    stop()
    page.wait_for("log", "closed: 1001(?! .*not clean)")


def keys(browser, *pressed):
    for key in pressed:
        browser.switch_to.active_element.send_keys(key)


def test_two_rooms_by_the_keyboard_alone(browser, serve):
    page = open_demo(browser, serve)
    for _ in range(20):
        if browser.switch_to.active_element.get_attribute("id") == "tab-echo":
            break
        keys(browser, Keys.TAB)
    keys(browser, Keys.ARROW_RIGHT)
    assert browser.switch_to.active_element.get_attribute("id") == "tab-rooms"
    keys(browser, Keys.TAB)
    keys(browser, Keys.CONTROL + "a", "Ann", Keys.TAB)
    keys(browser, Keys.ENTER)  # joins the lobby
    page.wait_for("room-lobby", "here")
    keys(browser, Keys.TAB, "good morning", Keys.ENTER)
    page.wait_for("room-lobby", r"Ann:\s*good morning")
    keys(browser, Keys.TAB, Keys.TAB, Keys.ENTER)  # and the garden
    page.wait_for("room-garden", "here")
    keys(browser, Keys.TAB, "in the garden", Keys.ENTER)
    page.wait_for("room-garden", r"Ann:\s*in the garden")
    assert "garden" not in page.text("room-lobby").replace("lobby", "")
    page.screenshot("demo-rooms.png")
    assert page.complaints() == []


def test_a_second_window_hears_the_room(browser, serve):
    one = open_demo(browser, serve)
    two = Page(browser, browser.current_url, tab=True)
    for page in one, two:
        page.click("tab-rooms")
        page.element("room-lobby").find_element("class name", "join").click()
        page.wait_for("room-lobby", "here")
    box = one.element("room-lobby")
    box.find_element("css selector", "form input").send_keys("hello\n")
    two.wait_for("room-lobby", r"guest \d+:\s*hello")
    one.element("room-lobby").find_element("class name", "join").click()
    one.wait_for("room-lobby", r"outside \(1000\)")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_demo_page_is_readable(browser, serve, width, dark):
    look(browser, width, dark)
    page = open_demo(browser, serve)
    for n in range(30):
        page.browser.execute_script("send('message number %d')" % n)
    page.wait_for("log", "(?s)\u2190\\s*message number 29")
    assert browser.execute_script(  # the end of the list was followed
        "return innerHeight + scrollY > document.documentElement.scrollHeight - 60")
    for name in "echo", "rooms":
        page.click("tab-" + name)
        page.screenshot("demo-%s-%d-%s.png" % (name, width, "dark" if dark else "light"))
        assert browser.execute_script(FAINT) == []
        assert browser.execute_script(
            "return document.documentElement.scrollWidth") <= width
        assert browser.execute_script(NESTED) == []
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
