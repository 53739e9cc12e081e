"""Every expression of the package takes time in proportion to its input.

They are found in the modules and their sources, so a new one is tried, too. An
input keeps one repetition of the expression busy for long and then fails; eight
times as long, it may take eight times the time of the processor, not sixty-four.
"""

import ast
import importlib
import os
import pkgutil
import re
import subprocess
import sys
import time

import pytest

import wsocket
from wsocket import usage

pytestmark = pytest.mark.heavy

try:
    from re import _parser as sre
except ImportError:  # Python 3.9 and 3.10
    import sre_parse as sre

SMALL, LARGE = 2000, 16000
AT_ONCE = 0.02  # seconds of the processor; a quadratic one takes longer
SAMPLES = "a0 \t\"'\\\n\r\x00\x85é:;=%/?#[.-"

# Expressions that the source makes of parts, as one instance of each.
MADE = {
    ("usage", "add_option"): [pattern for _, pattern in usage.GROUPS],
    ("config", "line_of"): [r"\s*[\"']?%s[\"']?\s*[=.\]]" % "port"],
}


# ------------------------------------------------------------ collecting ---


def modules():
    for found in pkgutil.walk_packages(wsocket.__path__, "wsocket."):
        name = found.name
        if "__main__" in name or name.startswith("wsocket.django."):
            continue
        if name.startswith("wsocket.__pyinstaller."):
            continue  # for PyInstaller, which may not be there
        if name.endswith(("gunicorn", "_wsocket")):
            continue  # gunicorn may not be there; the other is in C
        yield name.partition(".")[2], importlib.import_module(name)


def sources():
    folder = os.path.dirname(wsocket.__file__)
    for where, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".py"):
                with open(os.path.join(where, name), encoding="utf-8") as file:
                    yield name[: -len(".py")], ast.parse(file.read())


def uses(tree):
    """Each call of re.FUNCTION(pattern, ...) and of PATTERN.FUNCTION(...): the
    function around it, what stands before the dot, its name, and the first
    argument."""
    for scope in ast.walk(tree):
        if not isinstance(scope, (ast.FunctionDef, ast.Module)):
            continue
        inner = scope.body if isinstance(scope, ast.Module) else [scope]
        for top in inner:
            if isinstance(scope, ast.Module) and isinstance(
                top, (ast.FunctionDef, ast.ClassDef)
            ):
                continue
            for node in ast.walk(top):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and isinstance(node.func.value, ast.Name)
                    and node.args
                ):
                    name = getattr(scope, "name", "")
                    function = node.func
                    yield name, function.value.id, function.attr, node.args[0]


def expressions():
    """(where, compiled, method) of every expression of the package."""
    loaded = dict(modules())
    for module, tree in sources():
        scope = vars(loaded.get(module, object())) if module in loaded else {}
        for function, left, method, first in uses(tree):
            where = "%s %s" % (module, function)
            if left == "re" and method in ("escape", "compile") and not function:
                continue
            if left == "re" and method != "escape":
                if isinstance(first, ast.Constant):
                    patterns = [first.value]
                elif isinstance(first, ast.Name) and first.id in scope:
                    patterns = [scope[first.id]]
                else:
                    patterns = MADE[module, function]
                for pattern in patterns:
                    yield where, re.compile(pattern), method
            elif isinstance(scope.get(left), re.Pattern):
                yield "%s %s" % (module, left), scope[left], method


def test_every_expression_is_found():
    found = {where for where, *_ in expressions()}
    constants = {
        "%s %s" % (module, name)
        for module, loaded in modules()
        for name, value in vars(loaded).items()
        if isinstance(value, re.Pattern)
    }
    assert "handlers LF_LINE" in constants
    assert constants <= found


# --------------------------------------------------------------- inputs ---


def member(kinds):
    """A character of a set."""
    negated = kinds[0][0] is sre.NEGATE
    for char in map(chr, (97, 48, 32, 47, 58, 59, 34, 9, *range(33, 256))):
        matched = any(
            (op is sre.LITERAL and chr(value) == char)
            or (op is sre.RANGE and value[0] <= ord(char) <= value[1])
            or (op is sre.CATEGORY and in_category(value, char))
            for op, value in kinds
            if op is not sre.NEGATE
        )
        if matched is not negated:
            return char
    raise AssertionError("no member of %r" % (kinds,))


def in_category(category, char):
    classes = {
        sre.CATEGORY_DIGIT: r"\d",
        sre.CATEGORY_SPACE: r"\s",
        sre.CATEGORY_WORD: r"\w",
        sre.CATEGORY_NOT_DIGIT: r"\D",
        sre.CATEGORY_NOT_SPACE: r"\S",
        sre.CATEGORY_NOT_WORD: r"\W",
    }
    return re.match(classes[category], char) is not None


def shortest(parts):
    """A short text that the parts match; repetitions run once."""
    return "".join(map(shortest_of, parts))


def shortest_of(part):
    op, value = part
    if op is sre.LITERAL:
        return chr(value)
    if op is sre.NOT_LITERAL:
        return "a" if value != 97 else "b"
    if op is sre.ANY:
        return "a"
    if op is sre.IN:
        return member(value)
    if op is sre.BRANCH:
        return shortest(value[1][0])
    if op is sre.SUBPATTERN:
        return shortest(value[3])
    if op in REPEATS:
        return shortest(value[2]) * max(1, value[0])
    return ""  # an anchor, or a look-ahead


REPEATS = {
    getattr(sre, name)
    for name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
    if hasattr(sre, name)
}


def pumps(parts, before="", after=""):
    """(before, repeated, after) for every repetition without an end."""
    for number, (op, value) in enumerate(parts):
        left = before + shortest(parts[:number])
        right = shortest(parts[number + 1 :]) + after
        if op is sre.BRANCH:
            for branch in value[1]:
                yield from pumps(branch, left, right)
        elif op is sre.SUBPATTERN:
            yield from pumps(value[3], left, right)
        elif op in REPEATS:
            yield from pumps(value[2], left, right)
            if value[1] >= sre.MAXREPEAT:
                for each in {shortest(value[2]), *SAMPLES}:
                    yield left, each, right


def inputs(pattern, size):
    """Texts of about that size: what is repeated, and then an end of each
    kind that does not fit."""
    as_bytes = isinstance(pattern.pattern, bytes)
    text = pattern.pattern.decode("latin-1") if as_bytes else pattern.pattern
    parts = list(sre.parse(text, pattern.flags & ~re.UNICODE))
    seen = set()
    for before, each, after in pumps(parts):
        long = before + each * (size // len(each))
        for tail in ("\x00", "\n", "/\n", "?\n", after + "\x00", " \x00"):
            key = (before, each, tail)
            if key not in seen:
                seen.add(key)
                made = long + tail
                yield key, made.encode("latin-1") if as_bytes else made


# ------------------------------------------------------------ measuring ---


def processor_time(run, argument):
    begin = time.process_time()
    run(argument)
    return time.process_time() - begin


def is_linear(run, small, large):
    """Whether eight times the input takes about eight times the time."""
    for _ in range(3):
        took = processor_time(run, large)
        if took < AT_ONCE or took < 24 * processor_time(run, small):
            return True
    return False


def faults():
    """What is not linear, as text."""
    for where, pattern, method in expressions():
        if method in ("sub", "split", "findall", "finditer"):
            method = "search"  # from one place to the next, as these
        elif method == "compile":
            method = "match"
        run = getattr(pattern, method)
        print("trying", where, flush=True)
        for (key, small), (_, large) in zip(
            inputs(pattern, SMALL), inputs(pattern, LARGE)
        ):
            if not is_linear(run, small, large):
                yield "%s: %s of %r and so on" % (where, method, key)
                break


def test_every_expression_is_linear():
    # In a child, for one that is worse than quadratic would not end.
    child = subprocess.run(
        [sys.executable, __file__],
        stdout=subprocess.PIPE,
        text=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.returncode == 0, child.stdout[-2000:]


@pytest.mark.parametrize(
    "pattern",
    [
        r"[-!#$%&'*+.^_`|~0-9A-Za-z]+ https?://[^/?#\s]+[!-\"$-~]* HTTP/\d",
        "https?://([^/?]+)(.*)",
    ],
)
def test_what_is_quadratic_is_found(pattern):
    old = re.compile(pattern)
    assert any(
        not is_linear(old.fullmatch, small, large)
        for (_, small), (_, large) in zip(
            inputs(old, SMALL), inputs(old, LARGE)
        )
    )


if __name__ == "__main__":
    wrong = list(faults())
    print("\n".join(wrong))
    sys.exit(bool(wrong))
