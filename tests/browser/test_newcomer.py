"""What a newcomer does first: the Flask chat of README.md, in two windows."""

import os
import re

from page import ROOT, Page


def test_the_flask_chat_of_the_readme(browser, serve, tmp_path):
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        section = file.read().split("## Flask")[1]
    code = re.search(r"^```python\n(.*?)^```$", section, re.S | re.M)[1]
    (tmp_path / "app.py").write_text(code, encoding="utf-8")
    site = "http://127.0.0.1:%d/" % serve("app:app", folder=str(tmp_path))
    one = Page(browser, site)
    two = Page(browser, site, tab=True)
    for page, text in ((one, "good morning"), (two, "gr\u00fc\u00df dich <b>")):
        page.type("text", text + "\n")
        one.wait_for("log", re.escape(text))
        two.wait_for("log", re.escape(text))
    one.screenshot("readme-flask.png")
    assert one.complaints() == []
