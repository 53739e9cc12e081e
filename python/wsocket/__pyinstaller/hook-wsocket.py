"""For PyInstaller: what it cannot see. The extension imports modules of the
package by name, and the demo reads its page from a file. What other servers and
frameworks need is left to programs that import it."""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

OTHERS = ("wsocket.django", "wsocket.gunicorn", "wsocket.fixtures",
          "wsocket.testing", "wsocket.__pyinstaller")

hiddenimports = collect_submodules(
    "wsocket", filter=lambda name: not name.startswith(OTHERS))
datas = collect_data_files("wsocket", includes=["*.html"])
