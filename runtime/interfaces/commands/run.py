"""Runs one command: what it needs is imported only then, and however it ends, the user gets a line and an exit code."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Awaitable, Callable

from runtime import program
from runtime.interfaces.commands.parser import build_parser
from runtime.printable import printable, say

EXIT_INTERRUPTED = 130
# What opens no memory, or one of another passphrase.
LOCKED_OUT = ("pause", "resume", "restore", "setup", "doctor")


def main(argv: list[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 failed, 2 the user must mend something, 130 interrupted."""
    from runtime.errors import MindstreamError
    from runtime.interfaces.hidden_arguments import true_arguments
    from runtime.interfaces.terminal.standard_streams import let_go, open_missing

    program.set_name(sys.argv[0])
    open_missing()
    args = build_parser().parse_args(true_arguments() if argv is None else argv)
    try:
        return _run(args)
    except KeyboardInterrupt:
        if args.command == "replay":
            say("stopped; what was perceived is remembered, and the same command goes on from there", sys.stderr)
        return EXIT_INTERRUPTED
    except (MindstreamError, BrokenPipeError, BaseExceptionGroup) as error:
        if _is_unread(error):  # the reader of our output, `head` say, has had enough
            let_go(sys.stdout, sys.stderr)
            return 0
        told = _to_tell(error)
        if told is None:
            raise
        say(printable(f"{program.name()}: {told}", in_line=True), sys.stderr)
        return getattr(told, "exit_code", 1)


def _run(args: argparse.Namespace) -> int:
    """Dispatch to the command; everything heavy is imported only now."""
    import anyio

    from runtime.agent import default_memory_dir, find_agent
    from runtime.config import load_config
    from runtime.interfaces.commands import doors, sites_options
    from runtime.interfaces.commands import erasure as erasure_commands
    from runtime.interfaces.commands import memory as commands
    from runtime.interfaces.commands import replay as replay_command
    from runtime.interfaces.commands import upkeep as upkeep_commands
    from runtime.interfaces.commands.paths import absolute
    from runtime.interfaces.terminal.render import is_interactive
    from runtime.interfaces.terminal.standard_streams import let_go, readable
    from runtime.interfaces.unlock import unlock

    config = load_config(args.config)
    memory_dir = absolute(args.memory or default_memory_dir("hub" if getattr(args, "sites", False) else "memory"))
    if getattr(args, "sites", False):
        sites_options.check_hub(memory_dir)
    # Before any event loop runs, so that Ctrl-C ends the question. Of a memory in use nobody needs the passphrase.
    is_locked_out = args.command in LOCKED_OUT or (args.command == "sites" and args.action != "run")
    if not is_locked_out and find_agent(memory_dir) is None:
        unlock(memory_dir, config)
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
                await commands.ask(" ".join(args.question), config, memory_dir, args.json)

        case "chat":

            async def command() -> None:
                await commands.chat(config, memory_dir)

        case "standing":

            async def command() -> None:
                await commands.standing(args.action, " ".join(args.words), config, memory_dir, args.json)

        case "search":

            async def command() -> None:
                await commands.search(" ".join(args.query), config, memory_dir, args.limit, args.json, args.explain)

        case "forget":
            wish = erasure_commands.Wish(*map(readable, (args.begin, args.end, args.last, args.text, args.source)))

            async def command() -> None:
                await erasure_commands.forget(wish, config, memory_dir, args.yes, args.json)

        case "pause" | "resume":

            async def command() -> None:
                await erasure_commands.pause(args.command == "pause", config, memory_dir)

        case "export":

            async def command() -> None:
                await erasure_commands.export(absolute(args.path), config, memory_dir, args.footage, args.json)

        case "import":

            async def command() -> None:
                await erasure_commands.import_archive(
                    absolute(args.path), config, memory_dir, args.trusted, args.footage, args.json
                )

        case "backup":

            async def command() -> None:
                await upkeep_commands.back_up(absolute(args.path), config, memory_dir, args.json)

        case "restore":
            upkeep_commands.restore(absolute(args.path), config, memory_dir, args.replace, args.json)
            return 0

        case "repair":
            upkeep_commands.repair(memory_dir, args.json)
            return 0

        case "encrypt":
            upkeep_commands.encrypt(config, memory_dir, args.keyring, args.json)
            return 0

        case "decrypt":
            upkeep_commands.decrypt(memory_dir, args.json)
            return 0

        case "status":

            async def command() -> None:
                await commands.status(config, memory_dir, args.json)

        case "reembed":
            from runtime.interfaces.commands.reembed import reembed

            async def command() -> None:
                await reembed(config, memory_dir, args.json)

        case "describe":
            from runtime.interfaces.commands.describe import describe

            async def command() -> None:
                await describe(args.source, args.limit, config, memory_dir, args.json)

        case "setup":
            from runtime.interfaces.commands.setup import set_up

            set_up(config)
            return 0

        case "sites":
            command = sites_options.command_of(args, config, memory_dir)

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
