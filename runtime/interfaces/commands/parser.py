"""The arguments of every command. docs/cli.md documents them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runtime import program
from runtime.interfaces.commands import doors, sites_options
from runtime.interfaces.commands.forget_options import add_forget_options
from runtime.printable import printable, say
from runtime.version import VERSION

EXAMPLES = """examples:
  {name} replay talk.mp4                        perceive a recording and chat about it
  {name} replay talk.mp4 --ask "What did she say about trains?"
  {name} live                                   the first camera and microphone, with a chat
  {name} live door=rtsp://192.168.1.20/stream   a camera on the network
  {name} ask "Where did I leave my keys?"       from what is remembered
  {name} search keys                            what memory holds, best first
"""


# What arguments are called that take a path: a shell completes names of files there.
_PATHS = {"FILE", "FOLDER", "DIR", "PATH"}


class PrintCompletion(argparse.Action):
    """Prints what a shell completes this program's command lines with, and ends."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        import shtab  # 20 ms that no other command needs

        if values not in shtab.SUPPORTED_SHELLS:
            parser.error(f"no completion for {values!r}; there is one for {', '.join(shtab.SUPPORTED_SHELLS)}")
        (commands,) = (action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))
        for argument in (argument for command in commands.values() for argument in command._actions):
            if argument.metavar and set(re.findall("[A-Z]+", str(argument.metavar))) & _PATHS:
                argument.complete = shtab.FILE
        say(shtab.complete(parser, str(values)))
        parser.exit()


class _Parser(argparse.ArgumentParser):
    """What it says of arguments may hold what is in them."""

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(printable(message), file)


def build_parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog=program.name(),
        description="Mindstream: an agent that sees, hears and remembers, and answers while it does.",
        epilog=EXAMPLES.format(name=program.name()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mindstream {VERSION}")
    parser.add_argument(
        "--print-completion",
        action=PrintCompletion,
        metavar="SHELL",
        help="a script for bash, zsh, fish or tcsh",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", default="embedded", metavar="NAME|PATH", help="profile (default: embedded)")
    common.add_argument("--memory", type=Path, metavar="DIR", help="memory folder (default: in your data folder)")
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="one JSON object a line on standard output")

    replay = commands.add_parser("replay", parents=[common, as_json], help="perceive recorded files and ask about them")
    replay.add_argument("files", nargs="+", metavar="FILE|FOLDER", help="video or audio, in this order")
    replay.add_argument("--speed", type=_speed, default="max", metavar="max|N", help="N times real time (default: max)")
    replay.add_argument(
        "--ask", action="append", type=_words, default=[], metavar="Q", help="ask at the end; may be repeated"
    )
    replay.add_argument(
        "--questions", type=Path, metavar="FILE", help='JSON lines {"question", "at_s"?}, each asked at its media time'
    )
    replay.add_argument("--chat", action="store_true", help="chat while and after replaying, besides other questions")

    replay.add_argument(
        "--tell-me",
        action="append",
        type=_words,
        default=[],
        metavar="WHEN",
        help='speak up, e.g. "when a person appears"; repeatable',
    )
    replay.add_argument("--record", type=Path, metavar="DIR", help="keep what the perceiving processes published")

    doors.add_serve_option(replay)
    replay.add_argument("--again", action="store_true", help="perceive what memory holds once more, erased parts too")

    live = commands.add_parser("live", parents=[common, as_json], help="perceive cameras, microphones, streams, live")
    live.add_argument(
        "sources",
        nargs="*",
        type=_words,
        metavar="[NAME=]SOURCE",
        help="camera (0, /dev/video2), stream (rtsp://...), screen",
    )
    live.add_argument(
        "--mic", type=_words, metavar="NAME|off", help="microphone (default: the system's, with a camera)"
    )
    live.add_argument("--screen", action="store_true", help="watch the screen too")
    live.add_argument("--questions", type=Path, metavar="FILE", help="JSON lines, each asked at its time")
    live.add_argument("--for", dest="for_s", type=_seconds, metavar="S", help="end after S seconds, without a chat")
    doors.add_serve_option(live)
    live.add_argument(
        "--voice", choices=("off", "push", "wake", "any"), help="talk with the agent: what is meant for it"
    )

    ask = commands.add_parser("ask", parents=[common, as_json], help="ask one question about what is remembered")
    sites_options.add_sites_option(ask)
    ask.add_argument("question", nargs="+", type=_words, metavar="Q")

    chat = commands.add_parser("chat", parents=[common], help="chat about what is remembered, or with a running agent")
    sites_options.add_sites_option(chat)

    standing = commands.add_parser(
        "standing", parents=[common, as_json], help='what to speak up about ("tell me when")'
    )
    sites_options.add_sites_option(standing)
    standing.add_argument(
        "action", nargs="?", default="list", choices=("list", "add", "pause", "resume", "remove", "wrong", "why")
    )
    standing.add_argument(
        "words", nargs="*", type=_words, metavar="WHEN|ID", help="what to wait for; or an id (q1), words of one, all"
    )

    search = commands.add_parser("search", parents=[common, as_json], help="show what memory holds, best first")
    sites_options.add_sites_option(search)
    search.add_argument("query", nargs="+", type=_words, metavar="Q")
    search.add_argument("--limit", type=_count, default=10, metavar="N", help="hits shown (default: 10)")
    search.add_argument("--explain", action="store_true", help="show why each hit ranks where it does")

    forget = commands.add_parser("forget", parents=[common, as_json], help="erase a stretch of time or words, for good")
    add_forget_options(forget)
    sites_options.add_sites_option(forget)

    commands.add_parser("pause", parents=[common], help="have a running agent see and hear nothing for a while")
    commands.add_parser("resume", parents=[common], help="have it perceive again")
    export = commands.add_parser("export", parents=[common, as_json], help="write all of memory to a portable archive")
    export.add_argument("path", type=Path, metavar="DIR|FILE.zip")
    export.add_argument("--footage", action="store_true", help="with what is kept of live sources to be played")
    take_in = commands.add_parser("import", parents=[common, as_json], help="take in what export wrote")
    take_in.add_argument("path", type=Path, metavar="DIR|FILE.zip")
    take_in.add_argument("--footage", action="store_true", help="the footage in it too, as far as the profile keeps it")
    take_in.add_argument("--trusted", action="store_true", help="it is your own: its records keep their trust")
    backup = commands.add_parser("backup", parents=[common, as_json], help="copy memory, in use or not, to a file")
    backup.add_argument("path", type=Path, metavar="FILE")
    restore = commands.add_parser("restore", parents=[common, as_json], help="put a backup where memory is")
    restore.add_argument("path", type=Path, metavar="FILE")
    restore.add_argument("--replace", action="store_true", help="delete the memory that is there for it")
    commands.add_parser("repair", parents=[common, as_json], help="save what can be saved of a damaged memory")
    encrypt = commands.add_parser(
        "encrypt", parents=[common, as_json], help="encrypt memory by a passphrase, or change that"
    )
    encrypt.add_argument("--keyring", action="store_true", help="keep the passphrase in the system's keyring too")
    commands.add_parser("decrypt", parents=[common, as_json], help="write an encrypted memory as a plain one")

    commands.add_parser("status", parents=[common, as_json], help="what runs and what is remembered")
    commands.add_parser("setup", parents=[common], help="fetch the weights that the profile names, and check them")
    commands.add_parser(
        "reembed", parents=[common, as_json], help="describe remembered pictures anew, with the profile's encoder"
    )
    describe = commands.add_parser(
        "describe", parents=[common, as_json], help="have a model that sees describe the pictures in memory"
    )
    describe.add_argument("source", nargs="?", type=_words, default="", metavar="SOURCE", help="only this one")
    describe.add_argument("--limit", type=_count, default=0, metavar="N", help="pictures described, at most")
    doors.add_commands(commands, common, as_json, _words)
    sites_options.add_command(commands, common, as_json)
    commands.add_parser("doctor", parents=[common], help="what works on this machine, and what each absence costs")
    return parser


def _words(text: str) -> str:
    from runtime.interfaces.terminal.standard_streams import readable

    return readable(text)


def _speed(text: str) -> float | str:
    if text == "max":
        return text
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is neither 'max' nor a number above 0")
    return speed


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def _count(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000")
    return int(text)
