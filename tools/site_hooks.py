"""What mkdocs asks while it builds the site; see mkdocs.yml.

The documents are written to be read in the repository, too, so they link to files
outside of docs/. The site has a page for each of those: the documents at the top,
the C reference from the header, and every folder of examples with its files.
"""

import os
import posixpath
import re
import sys

from mkdocs.structure.files import File

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import c_reference  # noqa: E402
import plots  # noqa: E402

ROOT = c_reference.ROOT
# From a file of the repository to its page.
PAGES = {
    "README.md": "overview.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "include/wsocket.h": "reference/c.md",
}
LANGUAGES = {".py": "python", ".js": "javascript", ".css": "css", ".c": "c",
             ".html": "html+jinja", ".tpl": "html", ".toml": "toml",
             ".service": "ini", ".yaml": "yaml", ".conf": "nginx",
             ".ipynb": "json", "Dockerfile": "docker", ".sh": "sh"}
HIDDEN = ("__pycache__", ".sqlite3", ".json")
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
PLOTS = re.compile(r"^<!-- plots: (\w+) -->$", re.MULTILINE)
LARGEST = 20000  # octets of a file that is shown


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def example_folders():
    found = sorted(os.listdir(os.path.join(ROOT, "examples")))
    return [name for name in found if name != "static"
            and os.path.isdir(os.path.join(ROOT, "examples", name))]


def files_below(folder):
    for path, folders, names in os.walk(os.path.join(ROOT, folder)):
        folders[:] = sorted(set(folders) - set(HIDDEN))
        for name in sorted(names):
            whole = os.path.relpath(os.path.join(path, name), ROOT)
            if (not name.endswith(HIDDEN) and name != "README.md"
                    and 0 < os.path.getsize(os.path.join(ROOT, whole)) < LARGEST):
                yield whole


def language(path):
    name = os.path.basename(path)
    return LANGUAGES.get(name, LANGUAGES.get(os.path.splitext(name)[1], "text"))


def example(name):
    """The page of a folder of examples: its README, then its files."""
    folder = posixpath.join("examples", name)
    introduction = posixpath.join(folder, "README.md")
    text = (read(introduction) if os.path.exists(os.path.join(ROOT, introduction))
            else "# Examples in %s\n" % name.upper())
    out = [text.rstrip("\n"), ""]
    shared = list(files_below("examples/static")) if "/static/" in text else []
    for path in [*files_below(folder), *shared]:
        out += ["## %s" % posixpath.relpath(path, folder), "",
                "````%s" % language(path), read(path).rstrip("\n"), "````", ""]
    return "\n".join(out)


def sources():
    """From each page that is made here to (the file it comes from, its text)."""
    for path, page in PAGES.items():
        yield page, path, (c_reference.page() if path.endswith(".h") else read(path))
    for name in example_folders():
        yield "examples/%s.md" % name, "examples/%s/README.md" % name, example(name)


def page_of(path):
    """The page of a file or folder of the repository; None when it has none."""
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/"):
        return path[len("docs/"):]
    found = re.match(r"examples/(\w+)(?:/|$)", path)
    if found and found[1] in example_folders():
        return "examples/%s.md" % found[1]
    return None


def on_config(config):
    """Leave out the page for paths that do not exist: its links count from the
    root of a host, and nothing says at which path the site will stand."""
    config.theme.static_templates.discard("404.html")


def on_files(files, config):
    for page, _, text in sources():
        files.append(File.generated(config, page, content=text))
    return files


def origin(page):
    """The file of the repository that a page is made from."""
    for made, path, _ in sources():
        if made == page:
            return path
    return "docs/" + page


def on_page_markdown(markdown, page, config, files):
    here = page.file.src_uri
    folder = posixpath.dirname(origin(here))

    def led(found):
        text, target, anchor = found[1], found[2], found[3] or ""
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        path = posixpath.normpath(posixpath.join(folder, target))
        if path == "docs/" or path == "docs":
            path = "docs/README.md"
        goal = page_of(path)
        if goal is None:
            return "`%s`" % path if text == path else text
        return "[%s](%s%s)" % (
            text, posixpath.relpath(goal, posixpath.dirname(here) or "."), anchor)

    markdown = PLOTS.sub(lambda found: plots.markdown(found[1]), markdown)
    parts = re.split(r"(^ *(`{3,}).*?^ *\2 *$)", markdown,
                     flags=re.DOTALL | re.MULTILINE)
    # Of each fence two groups: the whole, and its marks.
    return "".join(LINK.sub(led, part) if i % 3 == 0 else part if i % 3 == 1 else ""
                   for i, part in enumerate(parts))
