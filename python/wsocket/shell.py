"""``wsocket publish`` and ``wsocket listen``: topics from a shell.

    wsocket publish orders '{"id": 1}'
    tail -f news.txt | wsocket publish news
    wsocket listen orders news

The exit status is 0; 1 if no server can be reached.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence

from .bus import Publisher
from .parser import Parser

COMMANDS = {
    "publish": "publish a text, or each line of standard input",
    "listen": "print what is published, a line for each message",
}


def main(words: Sequence[str]) -> int:
    """Run the command and return its exit status."""
    given = make_parser(words[0]).parse_args(words[1:])
    try:
        with Publisher(given.broker or given.bus) as out:
            return publish(out, given) if "text" in given else listen(out, given)
    except (ConnectionError, ValueError) as exc:
        print("wsocket: %s" % exc, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


def make_parser(command: str) -> argparse.ArgumentParser:
    parser = Parser(
        prog="wsocket " + command,
        description=COMMANDS[command].capitalize() + ".",
        allow_abbrev=False,
    )
    if command == "publish":
        parser.add_argument("topic", metavar="TOPIC")
        parser.add_argument(
            "text",
            metavar="TEXT",
            nargs="?",
            help="the message; without it each line of standard input is one",
        )
    else:
        parser.add_argument("topics", metavar="TOPIC", nargs="+")
    parser.add_argument(
        "--bus",
        metavar="FOLDER",
        help="the folder of the server's bus (default: WSOCKET_BUS, else that "
        "of the only server of this user that has one)",
    )
    parser.add_argument(
        "--broker",
        metavar="URL",
        help="the server's broker, instead of a bus (default: WSOCKET_BROKER)",
    )
    return parser


def publish(out: Publisher, given: argparse.Namespace) -> int:
    if given.text is not None:
        return sent(out, given.topic, given.text)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    for line in sys.stdin:
        if sent(out, given.topic, line.rstrip("\r\n")) != 0:
            return 1
    return 0


def sent(out: Publisher, topic: str, text: str) -> int:
    if out.publish(topic, text):
        return 0
    print("wsocket: the broker cannot be reached", file=sys.stderr)
    return 1


def listen(out: Publisher, given: argparse.Namespace) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    with out.listen(*given.topics) as messages:
        while True:
            try:
                for message in messages:
                    show(message)
                return 0
            except OverflowError as exc:
                print("wsocket: %s" % exc, file=sys.stderr)


def show(message: object) -> None:
    """Print a message; octets that are no text as a Python literal."""
    print(message if isinstance(message, str) else ascii(message), flush=True)
