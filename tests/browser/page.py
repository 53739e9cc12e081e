"""A page in the browser, and what a person does on it."""

import os
import re

import pytest
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
ARTIFACTS = os.path.join(ROOT, "artifacts")


def look(browser, width, dark=False):
    """The browser as a window of that width, or a phone."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
        {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 844, "deviceScaleFactor": 1,
        "mobile": width < 500})


class Page:
    """What a person does on a page, by the ids of its elements."""

    def __init__(self, browser, url, tab=False):
        self.browser = browser
        if tab:
            browser.switch_to.new_window("tab")
        self.window = browser.current_window_handle
        browser.get(url)

    def show(self):
        """Bring its tab to the front."""
        self.browser.switch_to.window(self.window)

    def element(self, name):
        self.show()
        return self.browser.find_element(By.ID, name)

    def text(self, name):
        return self.element(name).text

    def wait_for(self, name, pattern):
        """Until the element's text matches; the text."""
        try:
            WebDriverWait(self.browser, 15).until(
                lambda _: re.search(pattern, self.text(name)))
        except TimeoutException:
            pytest.fail("#%s says %r, not %r" % (name, self.text(name),
                                                 pattern))
        return self.text(name)

    def click(self, name):
        self.element(name).click()

    def type(self, name, text):
        self.element(name).clear()
        self.element(name).send_keys(text)

    def screenshot(self, name):
        self.show()
        os.makedirs(ARTIFACTS, exist_ok=True)
        assert self.browser.save_screenshot(os.path.join(ARTIFACTS, name))

    def complaints(self):
        """Errors on the console, but that there is no favicon."""
        return [entry["message"] for entry in self.browser.get_log("browser")
                if entry["level"] == "SEVERE"
                and "favicon" not in entry["message"]]
