#!/usr/bin/env python3
"""The modules of the package import each other in one direction only.

    tools/check_imports.py [--list]

Imports inside functions count as well: to delay an import hides a circle and
does not end it. Of the extension there is only the stub, so the modules that it
imports when it needs them are not seen.

--list prints every import of one module of the package by another.
"""

import ast
import glob
import os
import sys

import check_calls

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCE = "python"


def module_of(path):
    """python/wsocket/django/__init__.py -> wsocket.django"""
    names = os.path.splitext(os.path.relpath(path, SOURCE))[0].split(os.sep)
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def absolute(node, package):
    """The module that a `from ... import` names, without dots in front."""
    if not node.level:
        return node.module
    parents = package.split(".")
    parents = parents[:len(parents) - node.level + 1]
    return ".".join(parents + ([node.module] if node.module else []))


def named(tree, package, known):
    """The modules of `known` that a module's import statements name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = absolute(node, package)
            for alias in node.names:
                inner = "%s.%s" % (origin, alias.name)
                yield inner if inner in known else origin
        elif isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "attr", getattr(node.func, "id", None))
            given = getattr(node.args[0], "value", None)
            if name in ("import_module", "__import__") and given:
                yield given


def imports():
    """(module, module that it imports), for all of the package."""
    paths = glob.glob(SOURCE + "/**/*.py*", recursive=True)
    known = {module_of(path): path for path in paths
             if path.endswith((".py", ".pyi"))}
    found = set()
    for module, path in known.items():
        package = (module if os.path.basename(path) == "__init__.py"
                   else module.rpartition(".")[0])
        with open(path, encoding="utf-8") as file:
            tree = ast.parse(file.read(), path)
        found |= {(module, other) for other in named(tree, package, known)
                  if other in known}
    return found


def main():
    os.chdir(ROOT)
    found = imports()
    if "--list" in sys.argv:
        for module, other in sorted(found):
            print("%s imports %s" % (module, other))
    itself = [[module] for module, other in sorted(found) if module == other]
    closed = check_calls.circles(found) + itself
    for circle in closed:
        print("import each other in a circle: " + " ".join(circle))
        for module, other in sorted(found):
            if module in circle and other in circle:
                print("    %s imports %s" % (module, other))
    return closed != []


if __name__ == "__main__":
    sys.exit(main())
