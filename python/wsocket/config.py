"""Options from a file, the environment and the command line.

    [wsocket]
    app = "site:app"
    bind = ["127.0.0.1:8000", "unix:/run/site.sock"]
    keep_alive = 30

An option of the command line wins over ``WSOCKET_KEEP_ALIVE=30`` in the
environment, that over the file, and the file over the default.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import stat
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Optional

from . import _wsocket
from ._hints import hint_for

PREFIX = "WSOCKET_"
STORED = "wsocket-"  # begins the names of sockets that systemd keeps for us
NAMES = [name for name, *_ in _wsocket.options()]
WHAT = ["app", "app_dir", "factory"]  # of the command alone, in any source
OTHERS = [*WHAT, "config"]  # variables of the environment, besides the options
OURS = ["AGAIN", "FOLDER", "WORKER"]  # what the server itself puts there
# uvicorn's names of options, which are taken everywhere.
SPELLINGS = {
    "ssl_certfile": "certfile",
    "ssl_keyfile": "keyfile",
    "ssl_keyfile_password": "keyfile_password",
    "ssl_ca_certs": "ca_certs",
    "ssl_cert_reqs": "cert_reqs",
    "ssl_ciphers": "ciphers",
}
SECRETS = {"keyfile_password"}  # the values may be no one else's to see
LONGEST = 64  # characters of an unknown name to compare and show
# Words for the value of a switch, and what they mean.
SWITCHES = {
    **dict.fromkeys(("on", "true", "yes", "1"), True),
    **dict.fromkeys(("off", "false", "no", "0"), False),
}
DEFAULTS = {name: default for name, _, default, _ in _wsocket.options()}
KINDS = {name: kind for name, kind, *_ in _wsocket.options()}


class UsageError(Exception):
    """The options or arguments of the user are wrong; the text says why."""


def gather(
    command_line: Mapping[str, Any],
    environ: Mapping[str, str],
    names: Optional[Collection[str]] = None,
) -> tuple[dict[str, Any], list[str]]:
    """Return all options that are set, or those of ``names``, and warnings.

    gather({"port": "80"}, {"WSOCKET_THREADS": "4"})[0]

    A value is used and checked only if it is asked for, and no stronger source
    has another.
    """
    given = {k: v for k, v in command_line.items() if v is not None}
    outer, warnings = from_environment(environ)
    refuse_secrets(given, "the command line")
    refuse_secrets(outer, "the environment")
    path = given.pop("config", None) or outer.get("config")
    outer.pop("config", None)
    layers = [Layer("the command line", given), Layer("the environment", outer)]
    for name in outer:
        layers[1].places[name] = PREFIX + name.upper()
    if path:
        layers.append(from_file(path))
    taken: set[str] = set()
    for layer in layers:
        if names is not None:
            layer.keep(names)
        layer.shield(taken)
        layer.check()
    options: dict[str, Any] = {}
    for layer in reversed(layers):
        options.update(layer.options)
    return options, warnings


def application(
    options: dict[str, Any],
) -> tuple[Optional[str], Optional[str], bool]:
    """Take what names the application out of ``options``: its text, the folder
    to import it from, and whether it is a factory."""
    spec, folder, factory = (options.pop(name, None) for name in WHAT)
    return spec, folder, SWITCHES.get(str(factory).lower(), False)


class Layer:
    """The options of one source, and for error messages the place of each
    option that must be checked."""

    def __init__(self, source: str, options: dict[str, Any]) -> None:
        self.source = source
        self.options = options
        self.places: dict[str, str] = {}

    def shield(self, taken: set[str]) -> None:
        """Drop the options that stronger sources have set (``taken``), and add
        the rest to ``taken``. ``bind`` replaces ``host`` and ``port``, and they
        replace ``bind``."""
        self.options = {k: v for k, v in self.options.items() if k not in taken}
        place = {"host", "port"} & set(self.options)
        if place and "bind" in self.options:
            raise UsageError(
                "%s gives bind and %s: bind takes the place of host and port"
                % (self.source, " and ".join(sorted(place)))
            )
        taken.update(self.options)
        if place:
            taken.add("bind")
        if "bind" in self.options:
            taken.update({"host", "port"})

    def keep(self, names: Collection[str]) -> None:
        self.options = {k: v for k, v in self.options.items() if k in names}

    def check(self) -> None:
        for name, value in self.options.items():
            if name not in self.places:
                continue
            if name not in WHAT:
                check(name, value, self.places[name])
            elif name == "app" and not isinstance(value, str):
                raise UsageError("%s: app takes 'module:app'" % self.places[name])
            elif name == "app_dir" and not isinstance(value, str):
                raise UsageError("%s: app_dir takes a folder" % self.places[name])
            elif name == "factory" and str(value).lower() not in SWITCHES:
                raise UsageError("%s: factory takes on or off" % self.places[name])


# Variables that Kubernetes and Docker set in each container if a service or a
# container is called "wsocket", or "wsocket-" and more.
LINK = re.compile(
    r"(.+_)?(SERVICE_(HOST|PORT(_.+)?)"
    r"|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?|ENV_.+)"
)
LINK_VALUE = re.compile(r"(tcp|udp|sctp)://[^ ]+")


def is_link(name: str, value: str) -> bool:
    """is_link("PORT", "tcp://10.0.0.1:80")  # True"""
    if re.fullmatch("(.+_)?PORT", name) and LINK_VALUE.fullmatch(value):
        return True
    if name == "NAME":
        return value.startswith("/")
    return name.lower() not in NAMES and bool(LINK.fullmatch(name))


def from_environment(
    environ: Mapping[str, str],
) -> tuple[dict[str, Any], list[str]]:
    """Return ``WSOCKET_PORT=80`` as {"port": "80"}, and warnings. An unknown
    name is no error, because another program may use it."""
    options: dict[str, Any] = {}
    warnings, links = [], []
    for variable in sorted(environ):
        name = variable[len(PREFIX) :]
        if not variable.startswith(PREFIX) or name in OURS:
            continue
        if is_link(name, environ[variable]):
            links.append(variable)
        elif name.lower() in NAMES + OTHERS or name.lower() in SPELLINGS:
            options[name.lower()] = environ[variable]
        else:
            text = "%s in the environment is no option" % shown(variable)
            near = nearest(name.lower(), NAMES + OTHERS)
            hint = hint_for(name.lower())
            if hint:
                text += ": " + hint
            elif near:
                text += "; did you mean %s%s?" % (PREFIX, near.upper())
            warnings.append(text)
    if links:
        warnings.append(
            "%s in the environment: written by Kubernetes or Docker for a "
            "service called wsocket, and no option" % ", ".join(links)
        )
    return spelled(options, "the environment"), warnings


def spelled(options: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return options under their names here; UsageError if two are the same.

    spelled({"ssl_certfile": "a.pem"}, "a.toml")  # {"certfile": "a.pem"}
    """
    found = {}
    for name, value in options.items():
        ours = SPELLINGS.get(name, name)
        if ours != name and ours in options:
            raise UsageError(
                "%s gives %s and %s, which are the same" % (source, ours, name)
            )
        found[ours] = value
    return found


def keywords(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of a call under their names here. TypeError: one is
    given twice."""
    try:
        return spelled(options, "the call")
    except UsageError as exc:
        raise TypeError(str(exc)) from None


def refuse_secrets(options: Mapping[str, Any], source: str) -> None:
    """Raise UsageError for a password where others may see it, as in the list
    of processes."""
    for name in SECRETS & set(options):
        if not str(options[name]).startswith(("file:", "env:")):
            raise UsageError(
                "%s: %s takes file:PATH or env:NAME; the password itself may "
                "only stand in a file of options" % (source, name)
            )


def from_file(path: str) -> Layer:
    """Return the table ``[wsocket]`` of a TOML file. ``Layer.check()`` finds
    unknown names in it."""
    try:
        with open(path, encoding="utf-8-sig") as file:  # as Windows writes it
            text = file.read()
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise UsageError("cannot read %s: %s" % (path, why)) from None
    tables = parse(text, path)
    options = tables.get("wsocket")
    if not isinstance(options, dict):
        raise UsageError("%s has no table [wsocket]" % path)
    layer = Layer(path, spelled(options, path))
    for written in options:
        name = SPELLINGS.get(written, written)
        layer.places[name] = path + line_of(text, written)
    return layer


def parse(text: str, path: str) -> dict[str, Any]:
    try:
        import tomllib as toml
    except ImportError:  # Python 3.9 and 3.10
        try:
            import tomli as toml  # type: ignore[no-redef, import-not-found]
        except ImportError:
            raise UsageError(
                "reading %s takes Python 3.11 or the package tomli: "
                "pip install tomli" % path
            ) from None
    try:
        return toml.loads(text)
    except toml.TOMLDecodeError as exc:
        raise UsageError("%s: %s" % (path, exc)) from None


def line_of(text: str, name: str) -> str:
    """Return ", line 3" for the line that sets ``name``, or ""."""
    key = re.compile(
        r"\s*[\"']?%s[\"']?\s*[=.\]]" % re.escape(name)
    )
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([^\]]*)", line)
        if header:
            table = header[1].strip()
            line = re.sub(r"^\s*\[+\s*wsocket\s*\.", "", line)
        elif table != "wsocket":
            line = re.sub(r"^\s*wsocket\s*\.", "", line) if not table else ""
        if key.match(line):
            return ", line %d" % number
    return ""


def check(name: str, value: object, where: str) -> None:
    if isinstance(value, (list, dict)) and KINDS.get(name, "list") != "list":
        raise UsageError("%s: %s takes one value" % (where, name))
    try:
        refuse_foreign([name])
        _wsocket.Server.check(name, value)
    except (TypeError, ValueError) as exc:
        raise UsageError("%s: %s" % (where, exc)) from None


def refuse_foreign(names: Iterable[str]) -> None:
    """Raise TypeError for an option of another server, with the one to use."""
    for name in names:
        hint = hint_for(name)
        if hint and name not in NAMES:
            raise TypeError("unknown option '%s': %s" % (name, hint))


def listed(value: object) -> list[str]:
    """listed("a, b")  # ["a", "b"]; so are ["a", "b"] and "a\\nb" """
    if isinstance(value, (list, tuple)):
        return [str(item) for item in value]
    return items(str(value or "").replace("\n", ","))


def items(text: str) -> list[str]:
    """items("a, b,")  # ["a", "b"]"""
    return [item.strip() for item in text.split(",") if item.strip()]


def nearest(name: str, names: Iterable[str]) -> Optional[str]:
    """Return the name that is most similar to ``name``; None if none is.

        nearest("prot", ["port", "host"])  # "port"
    """
    near = difflib.get_close_matches(name[:LONGEST], list(names), 1)
    return near[0] if near else None


def shown(text: str) -> str:
    """Cut a long text, so that it fits into a line."""
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def inherited(environ: Any, pid: Optional[int] = None) -> list[str]:
    """Return the sockets that systemd has opened for this process
    (sd_listen_fds(3)), and remove them from the environment of its children.

        inherited({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
        # ["fd:3"]
    """
    if environ.get("LISTEN_PID") != str(pid or os.getpid()):
        return []
    kept = {fd for fds in stored(environ, pid).values() for fd in fds}
    count = environ.get("LISTEN_FDS", "0")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(name, None)
    if not re.fullmatch("[0-9]{1,6}", count):
        raise UsageError("LISTEN_FDS takes a number, not %r" % count)
    fds = range(3, 3 + int(count))
    return ["fd:%d" % fd for fd in fds if fd not in kept]


def stored(environ: Any, pid: Optional[int] = None) -> dict[str, list[int]]:
    """Return the sockets that a supervisor which was killed has stored with
    systemd (FDSTORE in sd_notify(3)), by the address that they are for.

        stored({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1",
                "LISTEN_FDNAMES": "wsocket-127.0.0.1|80"})
        # {"127.0.0.1:80": [3]}
    """
    found: dict[str, list[int]] = {}
    if environ.get("LISTEN_PID") == str(pid or os.getpid()):
        names = environ.get("LISTEN_FDNAMES", "").split(":")
        for fd, name in enumerate(names, 3):
            if name.startswith(STORED):
                key = name[len(STORED) :].replace("|", ":")
                found.setdefault(key, []).append(fd)
    return found


def name_of_stored(key: str) -> Optional[str]:
    """Return the name under which systemd stores sockets; None: it cannot. A
    name may hold no colon."""
    name = STORED + key.replace(":", "|")
    fits = len(name) < 256 and name.isascii() and name.isprintable()
    return name if fits and "|" not in key else None


def add_inherited(options: dict[str, Any], environ: Any) -> list[str]:
    """Listen on the sockets that systemd has opened, unless ``options`` say
    where to listen. Then close the sockets that they leave out, so that clients
    are refused instead of waiting, and return a warning."""
    insecure = listed(options.get("insecure_bind"))
    found = [fd for fd in inherited(environ) if fd not in insecure]
    if not {"bind", "host", "port"} & set(options):
        if found:
            options["bind"] = found
        return []
    left = [fd for fd in found if fd not in listed(options.get("bind"))]
    for fd in left:
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(int(fd[3:])).st_mode):
                os.close(int(fd[3:]))
    if not left:
        return []
    return [
        "LISTEN_FDS: %s, inherited from systemd, closed and not served: %s "
        "says where to listen"
        % (
            shown(", ".join(left)),
            " and ".join(sorted({"bind", "host", "port"} & set(options))),
        )
    ]


def as_toml(options: Mapping[str, Any]) -> str:
    """Return options as the text of a configuration file.

    print(as_toml({"port": "80", "bind": ["[::1]:80"]}))
    """
    lines = ["[wsocket]"]
    for name, value in options.items():
        if name in SECRETS and not str(value).startswith(("file:", "env:")):
            lines.append("# %s = (set, and not shown)" % name)
            continue
        if isinstance(value, dict):
            value = ["%s=%s" % item for item in value.items()]
        if isinstance(value, bool):
            value = str(value).lower()
        elif isinstance(value, (list, tuple)):
            value = "[%s]" % ", ".join(quote(str(item)) for item in value)
        elif isinstance(value, str) and not re.fullmatch(
            r"0|[1-9][0-9]*", value
        ):
            value = quote(value)
        lines.append("%s = %s" % (name, value))
    return "\n".join(lines)


def quote(text: str) -> str:
    """A basic string of TOML."""
    escaped = re.sub(
        r'["\\\x00-\x1f\x7f]', lambda m: "\\u%04x" % ord(m[0]), text
    )
    return '"%s"' % escaped
