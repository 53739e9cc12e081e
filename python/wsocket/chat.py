"""``wsocket connect``: send lines of standard input as messages, and print the
messages that come.

    wsocket connect ws://127.0.0.1:8080/
    echo hello | wsocket connect ws://127.0.0.1:8080/

The exit status is 0 after a normal end (1000, 1001, or no code), 1 after any
other close code, 2 if no WebSocket was opened, and 130 if it was interrupted
before one was open.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import threading
from collections.abc import Sequence
from typing import Any

from .client import connect
from .client_tls import Insecure
from .exceptions import WebSocketError
from .parser import Parser

AS_ASKED = (1000, 1005)  # close codes that need no word
NORMAL = (*AS_ASKED, 1001)


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit status."""
    given = make_parser().parse_args(argv)
    headers = [tuple(text.split(":", 1)) for text in given.header]
    insecure: Any = Insecure() if given.insecure else None
    try:
        ws = connect(
            given.url,
            subprotocols=given.subprotocol,
            headers=[(name.strip(), value.strip()) for name, value in headers],
            origin=given.origin,
            compression=not given.no_compression,
            timeout=given.timeout,
            max_size=given.max_size,
            ssl=insecure,
            ca_certs=given.ca_certs,
            server_hostname=given.server_hostname,
            certfile=given.certfile,
            keyfile=given.keyfile,
        )
    except (OSError, ValueError) as exc:
        print("wsocket: %s" % exc, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    threading.Thread(
        target=send_lines, args=(ws, given.wait), daemon=True
    ).start()
    with contextlib.suppress(KeyboardInterrupt):
        show_all(ws)
    with contextlib.suppress(WebSocketError):
        ws.close()
    code = ws.close_code
    if code not in AS_ASKED:
        reason = ws.close_reason
        print(
            "wsocket: closed with %s%s" % (code, reason and ": " + reason),
            file=sys.stderr,
        )
    return 0 if code in NORMAL else 1


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="wsocket connect",
        description="Send each line of standard input as a message, and print "
        "each message that comes as a line. At the end of the input, close the "
        "WebSocket.",
    )
    parser.add_argument("url", help="ws://host:port/path, or wss://")
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="NAME:VALUE",
        type=header,
        help="header field to send; may be repeated",
    )
    parser.add_argument(
        "--subprotocol",
        action="append",
        default=[],
        metavar="NAME",
        help="subprotocol to offer; may be repeated",
    )
    parser.add_argument("--origin", help="value of the Origin field")
    parser.add_argument(
        "--timeout",
        type=float,
        default=10,
        metavar="SECONDS",
        help="seconds that connecting may take (default: 10)",
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=0.5,
        metavar="SECONDS",
        help="seconds to wait for messages after the input has ended "
        "(default: 0.5)",
    )
    parser.add_argument(
        "--max-size",
        metavar="SIZE",
        help="maximum size of a message in bytes, such as 16m",
    )
    parser.add_argument(
        "--no-compression", action="store_true", help="offer no compression"
    )
    add_tls(parser.add_argument_group("TLS, for wss://"))
    return parser


def add_tls(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--ca-certs",
        metavar="PATH",
        help="file or folder with the certificates of the authorities to "
        "trust, instead of the system's",
    )
    group.add_argument(
        "--insecure",
        action="store_true",
        help="take every certificate: whoever is between may read and change "
        "everything",
    )
    group.add_argument(
        "--certfile", metavar="FILE", help="certificate of this client, in PEM"
    )
    group.add_argument(
        "--keyfile", metavar="FILE", help="its key, if not in the same file"
    )
    group.add_argument(
        "--server-hostname",
        metavar="NAME",
        help="name that the certificate must be for, instead of the URL's",
    )


def header(text: str) -> str:
    if ":" not in text:
        raise argparse.ArgumentTypeError("a header is NAME:VALUE")
    return text


def send_lines(ws: Any, wait: float) -> None:
    """Send each line as a message, and close at the end of the input."""
    code = 1000
    with contextlib.suppress(WebSocketError):
        try:
            for line in sys.stdin or ():
                ws.send(line.rstrip("\r\n"))
        except UnicodeError:
            print("wsocket: the input is not UTF-8", file=sys.stderr)
            code = 1011
        threading.Event().wait(wait)
        ws.close(code)


def show_all(ws: Any) -> None:
    """Print messages until the WebSocket or the reader of the output ends."""
    try:
        for message in ws:
            show(message)
    except BrokenPipeError:
        # Python flushes the buffer at its end: let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show(message: Any) -> None:
    if isinstance(message, str):
        print(message, flush=True)
    else:
        print("<binary> " + message.hex(), flush=True)
