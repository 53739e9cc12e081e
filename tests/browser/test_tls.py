"""The demo page and a chat in a real browser, over TLS."""

import os
import shutil
import subprocess

import conftest
import pytest
from page import ROOT, Page
from selenium import webdriver
from test_examples import talk


@pytest.fixture
def trusting_browser(tmp_path, monkeypatch):
    """trusting_browser(file): Chromium that trusts an authority, or none. It
    reads those of a user from a database below the home."""
    certutil = shutil.which("certutil")
    if not (conftest.BROWSER and conftest.DRIVER and certutil):
        pytest.skip("no chromium with chromedriver and certutil here")
    opened = []

    def start(authority):
        home = tmp_path / "home"
        database = home / ".pki" / "nssdb"
        database.mkdir(parents=True)
        where = ["-d", "sql:%s" % database]
        subprocess.run([certutil, "-N", *where, "--empty-password"], check=True)
        if authority:
            subprocess.run([certutil, "-A", *where, "-t", "C,,", "-n", "dev",
                            "-i", authority], check=True)
        monkeypatch.setenv("HOME", str(home))
        options = webdriver.ChromeOptions()
        options.binary_location = conftest.BROWSER
        profile = "--user-data-dir=%s" % (tmp_path / "profile")
        for flag in [*conftest.FLAGS, profile]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(
            options=options, service=webdriver.ChromeService(conftest.DRIVER))
        driver.set_page_load_timeout(30)
        opened.append(driver)
        return driver

    yield start
    for driver in opened:
        driver.quit()


@pytest.fixture
def authority(tmp_path, monkeypatch):
    """Where `certfile dev` keeps its authority."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("CAROOT", str(tmp_path / "no-mkcert"))
    return str(tmp_path / "state" / "wsocket" / "tls" / "ca.pem")


def test_the_demo_page_opens_without_a_warning(
    trusting_browser, serve, authority
):
    port = serve("--certfile", "dev")
    page = Page(trusting_browser(authority), "https://localhost:%d/" % port)
    page.wait_for("state", "^open$")
    page.type("text", "over wss")
    page.click("send")
    page.wait_for("log", "←\\s*over wss")
    assert page.browser.execute_script("return window.isSecureContext")
    assert page.browser.current_url.startswith("https://")
    assert page.complaints() == []


def test_two_pages_chat_over_wss(trusting_browser, serve, authority):
    folder = os.path.join(ROOT, "examples", "flask")
    port = serve("--certfile", "dev", "app:app", folder=folder)
    browser = trusting_browser(authority)
    assert talk(browser, port, "https://localhost:%d").complaints() == []


def test_who_does_not_trust_it_is_warned(trusting_browser, serve, authority):
    port = serve("--certfile", "dev")
    browser = trusting_browser(None)
    browser.get("https://localhost:%d/" % port)
    assert "ERR_CERT_AUTHORITY_INVALID" in browser.page_source
