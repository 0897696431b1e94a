#!/usr/bin/env python3
"""Mindstream's command line. `run_agent.py --help` lists the commands; docs/cli.md documents them."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

EXIT_INTERRUPTED = 130

EXAMPLES = """examples:
  run_agent.py replay talk.mp4                        perceive a recording and chat about it
  run_agent.py replay talk.mp4 --ask "What did she say about trains?"
  run_agent.py live                                   the first camera and microphone, with a chat
  run_agent.py live door=rtsp://192.168.1.20/stream   a camera on the network
  run_agent.py ask "Where did I leave my keys?"       from what is remembered
  run_agent.py search keys                            what memory holds, best first
"""


def build_parser() -> argparse.ArgumentParser:
    from runtime.interfaces.commands import doors
    from runtime.interfaces.commands.forget_options import add_forget_options

    parser = argparse.ArgumentParser(
        prog="run_agent.py",
        description="Mindstream: an agent that sees, hears and remembers, and answers while it does.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    ask.add_argument("question", type=_words, metavar="Q")

    commands.add_parser("chat", parents=[common], help="chat about what is remembered, or with a running agent")

    standing = commands.add_parser(
        "standing", parents=[common, as_json], help='what to speak up about ("tell me when")'
    )
    standing.add_argument("action", nargs="?", default="list", choices=("list", "add", "pause", "resume", "remove"))
    standing.add_argument(
        "words", nargs="*", type=_words, metavar="WHEN|ID", help="what to wait for; or an id (q1), words of one, all"
    )

    search = commands.add_parser("search", parents=[common, as_json], help="show what memory holds, best first")
    search.add_argument("query", type=_words, metavar="Q")
    search.add_argument("--limit", type=_count, default=10, metavar="N", help="hits shown (default: 10)")
    search.add_argument("--explain", action="store_true", help="show why each hit ranks where it does")

    forget = commands.add_parser("forget", parents=[common, as_json], help="erase a stretch of time or words, for good")
    add_forget_options(forget)

    commands.add_parser("pause", parents=[common], help="have a running agent see and hear nothing for a while")
    commands.add_parser("resume", parents=[common], help="have it perceive again")
    export = commands.add_parser("export", parents=[common, as_json], help="write all of memory to a portable archive")
    export.add_argument("path", type=Path, metavar="DIR|FILE.zip")
    take_in = commands.add_parser("import", parents=[common, as_json], help="take in what export wrote")
    take_in.add_argument("path", type=Path, metavar="DIR|FILE.zip")
    take_in.add_argument("--trusted", action="store_true", help="it is your own: its records keep their trust")

    commands.add_parser("status", parents=[common, as_json], help="what runs and what is remembered")
    commands.add_parser("setup", parents=[common], help="fetch the weights that the profile names, and check them")
    commands.add_parser(
        "reembed", parents=[common, as_json], help="describe remembered pictures anew, with the profile's encoder"
    )
    doors.add_commands(commands, common, as_json, _words)
    commands.add_parser("doctor", parents=[common], help="what works on this machine, and what each absence costs")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 failed, 2 the user must mend something, 130 interrupted."""
    from runtime.errors import MindstreamError
    from runtime.interfaces.terminal.standard_streams import let_go, open_missing

    open_missing()
    args = build_parser().parse_args(argv)
    try:
        return _run(args)
    except KeyboardInterrupt:
        if args.command == "replay":
            print("stopped; what was perceived is remembered, and the same command goes on from there", file=sys.stderr)
        return EXIT_INTERRUPTED
    except (MindstreamError, BrokenPipeError, BaseExceptionGroup) as error:
        if _is_unread(error):  # the reader of our output, `head` say, has had enough
            let_go(sys.stdout, sys.stderr)
            return 0
        told = _to_tell(error)
        if told is None:
            raise
        print(f"run_agent.py: {told}", file=sys.stderr)
        return getattr(told, "exit_code", 1)


def _run(args: argparse.Namespace) -> int:
    """Dispatch to the command; everything heavy is imported only now."""
    import anyio

    from runtime.agent import default_memory_dir
    from runtime.config import load_config
    from runtime.interfaces.commands import doors
    from runtime.interfaces.commands import erasure as erasure_commands
    from runtime.interfaces.commands import memory as commands
    from runtime.interfaces.commands import replay as replay_command
    from runtime.interfaces.commands.paths import absolute
    from runtime.interfaces.terminal.render import is_interactive
    from runtime.interfaces.terminal.standard_streams import let_go

    config = load_config(args.config)
    memory_dir = absolute(args.memory or default_memory_dir())
    command: Callable[[], Awaitable[object]]
    match args.command:
        case "replay":
            questions = replay_command.read_questions(args.questions) if args.questions else []
            questions += [replay_command.TimedQuestion(question=question, conversation="main") for question in args.ask]
            record_dir = absolute(args.record) if args.record else None
            chat = args.chat or (not questions and not args.tell_me and not args.json and is_interactive())

            async def command() -> None:
                await replay_command.replay(
                    args.files,
                    config,
                    memory_dir,
                    args.speed,
                    questions,
                    args.json,
                    chat,
                    record_dir,
                    args.again,
                    args.tell_me,
                    doors.wanted_serve(args, config),
                )

        case "live":
            from runtime.interfaces.commands import live as live_command

            questions = replay_command.read_questions(args.questions) if args.questions else []
            serve = doors.wanted_serve(args, config)
            sources = live_command.chosen_sources(args.sources, args.mic, args.screen, config)

            async def command() -> None:
                await live_command.live(
                    sources, config, memory_dir, questions, args.json, args.for_s, args.voice, serve
                )

        case "ask":

            async def command() -> None:
                await commands.ask(args.question, config, memory_dir, args.json)

        case "chat":

            async def command() -> None:
                await commands.chat(config, memory_dir)

        case "standing":

            async def command() -> None:
                await commands.standing(args.action, " ".join(args.words), config, memory_dir, args.json)

        case "search":

            async def command() -> None:
                await commands.search(args.query, config, memory_dir, args.limit, args.json, args.explain)

        case "forget":
            wish = erasure_commands.Wish(*map(_words, (args.begin, args.end, args.last, args.text, args.source)))

            async def command() -> None:
                await erasure_commands.forget(wish, config, memory_dir, args.yes, args.json)

        case "pause" | "resume":

            async def command() -> None:
                await erasure_commands.pause(args.command == "pause", config, memory_dir)

        case "export":

            async def command() -> None:
                await erasure_commands.export(absolute(args.path), config, memory_dir, args.json)

        case "import":

            async def command() -> None:
                await erasure_commands.import_archive(absolute(args.path), config, memory_dir, args.trusted, args.json)

        case "status":

            async def command() -> None:
                await commands.status(config, memory_dir, args.json)

        case "reembed":
            from runtime.interfaces.commands.reembed import reembed

            async def command() -> None:
                await reembed(config, memory_dir, args.json)

        case "setup":
            from runtime.interfaces.commands.setup import set_up

            set_up(config)
            return 0

        case name if name in doors.COMMANDS:
            command = doors.command_of(args, config, memory_dir)

        case "doctor":
            from runtime.interfaces.commands.doctor import examine

            return examine(config, memory_dir)

    ended_by = 0
    ending = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
        ending.append(signal.SIGHUP)

    async def guarded() -> None:
        """The command, ended in order by SIGTERM, and when its terminal is closed."""
        async with anyio.create_task_group() as tasks:

            async def end_on_signal() -> None:
                nonlocal ended_by
                with anyio.open_signal_receiver(*ending) as signals:
                    async for number in signals:
                        ended_by = 128 + number
                        if number == signal.SIGHUP:  # what is left to say has nowhere to go
                            let_go(*(stream for stream in (sys.stdout, sys.stderr) if stream.isatty()))
                        tasks.cancel_scope.cancel()

            tasks.start_soon(end_on_signal)
            await command()
            tasks.cancel_scope.cancel()

    try:
        anyio.run(guarded)
    except (OSError, BaseExceptionGroup):
        if ended_by != 128 + signal.SIGHUP:  # what was being drawn had nowhere to go
            raise
    return ended_by


def _is_unread(error: BaseException) -> bool:
    """Whether all that went wrong is that nobody reads what we say."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_unread(inner) for inner in error.exceptions)
    return isinstance(error, BrokenPipeError)


def _to_tell(error: BaseException) -> BaseException | None:
    """The error of ours the user should read, out of a group; None when there is a bug among them."""
    from runtime.errors import MindstreamError, UserError

    if not isinstance(error, BaseExceptionGroup):
        return error if isinstance(error, MindstreamError) else None
    found = [_to_tell(inner) for inner in error.exceptions]
    if None in found:
        return None
    return next((inner for inner in found if isinstance(inner, UserError)), found[0])


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


if __name__ == "__main__":
    from runtime.interfaces.hidden_arguments import true_arguments

    sys.exit(main(true_arguments()))
