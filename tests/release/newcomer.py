"""What somebody does first: install a file of a release, and README's chat.

    python3 newcomer.py README FILE [--no-compiler]

Makes an empty environment, installs FILE (a wheel or the source archive) and
Flask with pip, serves the chat room of README.md, loads its page and lets two
clients talk. Prints the seconds that each step took.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

TALK = """
import sys
from wsocket import connect
url = sys.argv[1].replace("http", "ws") + "chat"
with connect(url, timeout=30) as one, connect(url, timeout=30) as two:
    two.send("are you there?")
    # The other may subscribe after the first message has passed.
    while True:
        one.send("hello")
        if two.receive(timeout=30) == "hello":
            break
"""


def chat(readme):
    with open(readme, encoding="utf-8") as file:
        text = file.read()
    [code] = [found for found in re.findall(r"^```python\n(.*?)^```$", text,
                                            re.DOTALL | re.MULTILINE)
              if "import Flask" in found and "publish" in found]
    return code


def has_compiler():
    return any(shutil.which(name) for name in ("cc", "gcc", "clang", "tcc"))


def main():
    readme, release, *more = sys.argv[1:]
    if "--no-compiler" in more and has_compiler():
        sys.exit("there is a compiler here")
    folder = tempfile.mkdtemp()
    with open(os.path.join(folder, "app.py"), "w", encoding="utf-8") as file:
        file.write(chat(readme))
    subprocess.check_call([sys.executable, "-m", "venv", folder + "/venv"])
    inside = folder + "/venv/bin/python"
    began = time.monotonic()
    subprocess.check_call([inside, "-m", "pip", "-q", "install",
                           "--disable-pip-version-check", release, "flask"])
    installed = time.monotonic()
    server = subprocess.Popen(
        [folder + "/venv/bin/wsocket", "--port", "0", "app:app"], cwd=folder,
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        line = server.stderr.readline()
        found = re.search(r"http://\S+:\d+/", line)
        if not found:
            sys.exit("it does not serve: " + line + server.stderr.read())
        page = urllib.request.urlopen(found[0], timeout=60).read()
        assert b"<title>Chat" in page, page
        served = time.monotonic()
        subprocess.check_call([inside, "-c", TALK, found[0]], timeout=120)
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    finally:
        server.kill()
    print("     Python %d.%d, %s: installed in %.1f s, page %.1f s later" % (
        *sys.version_info[:2], os.path.basename(release).split("-", 2)[-1],
        installed - began, served - installed))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
