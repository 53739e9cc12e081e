"""TLS of ``connect("wss://...")``: whom it trusts, and why a connection failed.

    security = secured(True, ca_certs="company.pem")
    sock = security.wrap(socket.create_connection(("h", 443)), "h")
"""

from __future__ import annotations

import os
import re
import socket
import ssl as tls
from typing import Any, Optional, Union

Path = Union[str, "os.PathLike[str]"]

# X509_V_ERR_... of OpenSSL, which ssl.SSLCertVerificationError has as numbers.
NOT_YET_VALID = 9
EXPIRED = 10
SIGNED_BY_ITSELF = 18
NO_ISSUER = (2, 19, 20, 21)
OTHER_NAME = (62, 64)

SHOWN_NAMES = 5  # names of a certificate in a message
SHOWN = 100  # characters of one of them

# What OpenSSL calls an error, and what it means to the caller of connect(). A
# server that asks for a certificate says so after the handshake of TLS 1.3.
REASONS = {
    "CERTIFICATE_REQUIRED": "the server asks for a certificate; give certfile "
    "and keyfile",
    "ALERT_HANDSHAKE_FAILURE": "the server refuses the handshake: it may ask "
    "for a certificate (certfile and keyfile), or shares no cipher with this "
    "client",
    "ALERT_UNKNOWN_CA": "the server does not trust the issuer of certfile",
    "ALERT_BAD_CERTIFICATE": "the server does not take the certificate of "
    "certfile",
    "ALERT_CERTIFICATE_EXPIRED": "the certificate of certfile has expired",
    "ALERT_CERTIFICATE_REVOKED": "the certificate of certfile is revoked",
    "UNRECOGNIZED_NAME": "the server knows no such name; server_hostname gives "
    "another",
    "WRONG_VERSION_NUMBER": "the server does not speak TLS there; is it ws://?",
    "HTTP_REQUEST": "the server does not speak TLS there; is it ws://?",
    "ALERT_PROTOCOL_VERSION": "the server has no version of TLS that this "
    "client takes",
    "UNSUPPORTED_PROTOCOL": "the server has no version of TLS that this client "
    "takes",
    "UNEXPECTED_EOF_WHILE_READING": "the server has closed the connection "
    "during the TLS handshake",
}


class Security:
    """How a connection is secured: a context, and the name that the server has
    to show, if that is not the host of the URL."""

    def __init__(
        self,
        context: Any,
        name: Optional[str] = None,
        trusted: str = "",
    ) -> None:
        if name is not None and not name:
            raise ValueError("connect: server_hostname is a name, not empty")
        self._context = context
        self._name = name
        # Where the trusted issuers are. "": the context is the caller's, and
        # may do its own work within wrap_socket().
        self._trusted = trusted

    def wrap(self, sock: socket.socket, host: str) -> Any:
        """Return the socket with TLS on it. ssl.SSLError says why not."""
        name = self._name or host
        if name.endswith("."):  # of the root, which no certificate has
            name = name[:-1]
        if not self._trusted:
            return self._context.wrap_socket(sock, server_hostname=name)
        wrapped = self._context.wrap_socket(
            sock, server_hostname=name, do_handshake_on_connect=False
        )
        try:
            wrapped.do_handshake()
        except BaseException as exc:
            shown = certificate_of(wrapped)
            wrapped.close()
            if isinstance(exc, tls.SSLCertVerificationError):
                why = self._why_not_trusted(exc, name, shown)
                raise with_text(exc, why) from None
            raise
        return wrapped

    def _why_not_trusted(
        self, exc: tls.SSLCertVerificationError, name: str, shown: Any
    ) -> str:
        code = exc.verify_code
        if code in OTHER_NAME:
            names = names_in(shown)
            return (
                "the certificate of the server is %s, not for %s; connect to a "
                "name that it has, or give that as server_hostname"
                % ("for " + names if names else "for other names", name)
            )
        if code == SIGNED_BY_ITSELF:
            return (
                "the certificate of %s is signed by itself and not in %s; give "
                "it as ca_certs (--ca-certs) if it is the right one"
                % (name, self._trusted)
            )
        if code in NO_ISSUER:
            issuer = person(shown.get("issuer"))
            return (
                "the certificate of %s is issued by %s, whose own is not in "
                "%s; give that as ca_certs (--ca-certs), or let the server "
                "send all certificates between the two"
                % (name, issuer or "an authority", self._trusted)
            )
        if code in (EXPIRED, NOT_YET_VALID):
            return (
                "the certificate of %s, or one of its issuers, %s%s; is the "
                "clock of this machine right?"
                % (
                    name,
                    "has expired" if code == EXPIRED else "is not valid yet",
                    validity(shown),
                )
            )
        return "the certificate of %s is refused: %s" % (
            name,
            exc.verify_message,
        )


class Insecure:
    """Given as ``ssl``, takes every certificate: for the command line, which
    has no other way to say so."""


def secured(
    secure: bool,
    ssl: Union[tls.SSLContext, Insecure, None] = None,
    ca_certs: Optional[Path] = None,
    server_hostname: Optional[str] = None,
    certfile: Optional[Path] = None,
    keyfile: Optional[Path] = None,
) -> Optional[Security]:
    """Return how to do what ``connect()`` is told about TLS; None for ``ws:``.
    Raise ValueError for arguments that contradict each other or the URL,
    OSError for a file that cannot be read."""
    insecure = isinstance(ssl, Insecure)
    context = None if insecure else ssl
    given = {
        "ca_certs": ca_certs,
        "server_hostname": server_hostname,
        "certfile": certfile,
        "keyfile": keyfile,
        "insecure": insecure or None,
    }
    check(secure, context, [k for k, v in given.items() if v is not None])
    if not secure:
        return None
    if context is not None:
        return Security(context)
    trusted = "the trust store of the system"
    if ca_certs is None:
        context = tls.create_default_context()
    else:
        trusted = os.fspath(ca_certs)
        context = trusting(trusted)
    if insecure:
        context.check_hostname = False
        context.verify_mode = tls.CERT_NONE
    if certfile is not None:
        load_pair(context, certfile, keyfile)
    return Security(context, server_hostname, trusted)


def check(secure: bool, context: object, given: list[str]) -> None:
    """Raise ValueError if something ``given`` would have no effect."""
    names = " and ".join(given)
    if given and not secure:
        raise ValueError(
            "connect: %s has no meaning for ws://, where nothing is "
            "encrypted; use wss://" % names
        )
    if given and context is not None:
        raise ValueError(
            "connect: a context given as ssl has its own; %s cannot be given "
            "with it" % names
        )
    if "keyfile" in given and "certfile" not in given:
        raise ValueError("connect: keyfile takes certfile")
    if "insecure" in given and "ca_certs" in given:
        raise ValueError("connect: insecure trusts more than ca_certs says")


def trusting(path: str) -> tls.SSLContext:
    """Return a context that trusts the authorities in a file or folder, and no
    others."""
    if not os.path.isdir(path):
        with open(path, "rb"):  # the error of ssl names no file
            pass
        try:
            return tls.create_default_context(cafile=path)
        except tls.SSLError:
            raise ValueError(
                "ca_certs: %s holds no certificate in PEM" % path
            ) from None
    names = sorted(os.listdir(path))
    if any(re.fullmatch(r"[0-9a-f]{8}\.[0-9]+", name) for name in names):
        return tls.create_default_context(capath=path)
    # OpenSSL looks only for names that are hashes, as `openssl rehash` makes.
    text = "".join(
        certificates_in(os.path.join(path, name))
        for name in names
        if name.endswith((".pem", ".crt", ".cer"))
    )
    if not text:
        raise ValueError(
            "ca_certs: no file of %s, *.pem or *.crt, holds a certificate in "
            "PEM" % path
        )
    try:
        return tls.create_default_context(cadata=text)
    except tls.SSLError:
        raise ValueError(
            "ca_certs: a file of %s holds a broken certificate" % path
        ) from None


def certificates_in(path: str) -> str:
    """Return the certificates of a file in PEM; "" if there are none. A private
    key may lie beside them."""
    with open(path, encoding="latin-1") as file:
        found = re.findall(
            "-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----",
            file.read(),
        )
    return "".join(text + "\n" for text in found)


def load_pair(
    context: tls.SSLContext, certfile: Path, keyfile: Optional[Path]
) -> None:
    """Load the certificate of the client, and its key."""
    key = certfile if keyfile is None else keyfile
    for path in (certfile, key):
        with open(path, "rb"):  # the error of ssl names no file
            pass

    def refuse() -> str:  # the default would ask on the terminal
        raise ValueError(
            "connect: the key in %s is encrypted; load it into a context and "
            "give that as ssl" % os.fspath(key)
        )

    try:
        context.load_cert_chain(certfile, keyfile, refuse)
    except tls.SSLError as exc:
        if exc.reason == "KEY_VALUES_MISMATCH":
            text = "the key in %s does not belong to the certificate in %s"
        else:
            text = "no key, or no certificate, in PEM: keyfile %s, certfile %s"
        raise ValueError(
            "connect: " + text % (os.fspath(key), os.fspath(certfile))
        ) from None


def explained(exc: tls.SSLError) -> tls.SSLError:
    """Return an error of TLS with a text that says what to do, if known."""
    if isinstance(exc, tls.SSLCertVerificationError):
        return exc
    said = str(exc).upper().replace(" ", "_")  # if Python has no name for it
    for word, text in REASONS.items():
        if word in (exc.reason or "") or word in said:
            return with_text(exc, text)
    return exc


def with_text(exc: Any, text: str) -> Any:
    """Return an error of the same class and details with another text."""
    said = type(exc)(exc.errno, "connect: " + text)
    for name in ("library", "reason", "verify_code", "verify_message"):
        if hasattr(exc, name):
            setattr(said, name, getattr(exc, name))
    return said


def certificate_of(sock: Any) -> dict[str, Any]:
    """Return the certificate of the server, as ``getpeercert()`` would if it
    were trusted; {} if this Python does not tell."""
    try:
        return dict(sock._sslobj.get_unverified_chain()[0].get_info())
    except Exception:  # no public method has it before the handshake is over
        return {}


def names_in(shown: dict[str, Any]) -> str:
    """names_in({"subjectAltName": (("DNS", "a.example"),)})  # "a.example" """
    names = [safe(value) for _, value in shown.get("subjectAltName", ())]
    more = len(names) - SHOWN_NAMES
    text = ", ".join(names[:SHOWN_NAMES])
    return "%s and %d more" % (text, more) if more > 0 else text


def person(parts: Any) -> str:
    """person(((("commonName", "R11"),),))  # "R11" """
    fields = dict(pair for group in parts or () for pair in group)
    for name in ("commonName", "organizationName", "organizationalUnitName"):
        if name in fields:
            return safe(fields[name])
    return ""


def validity(shown: dict[str, Any]) -> str:
    """validity({"notBefore": a, "notAfter": b})  # " (valid from a to b)" """
    if "notAfter" not in shown:
        return ""
    return " (valid from %s to %s)" % (
        safe(shown.get("notBefore", "")),
        safe(shown["notAfter"]),
    )


def safe(text: object) -> str:
    """Make the text of a stranger fit for a terminal."""
    shown = str(text)[:SHOWN]
    return "".join(c if c.isprintable() else "?" for c in shown)
