"""What of the command line serves an agent and shows its evidence: the options, and which function each calls."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.interfaces.commands.sites_options import add_sites_option
from runtime.printable import say

if TYPE_CHECKING:
    from runtime.config import Config, ServeConfig

COMMANDS = ("serve", "mcp", "show", "play", "clip", "transcript", "recordings")


def add_serve_option(command: argparse.ArgumentParser) -> None:
    """`--serve` of a command that perceives."""
    command.add_argument(
        "--serve",
        nargs="?",
        const="",
        metavar="[HOST:]PORT",
        help="serve the page, the API and MCP meanwhile (default: the profile's, 127.0.0.1:8420)",
    )


def add_commands(
    commands: Any, common: argparse.ArgumentParser, as_json: argparse.ArgumentParser, words: Callable[[str], str]
) -> None:
    """Have the parser know these commands."""
    serve = commands.add_parser("serve", parents=[common], help="serve a page, an API and MCP on this memory")
    add_sites_option(serve)
    serve.add_argument("address", nargs="?", default="", metavar="[HOST:]PORT", help="default: 127.0.0.1:8420")
    serve.add_argument("--certificate", default="", metavar="FILE", help="TLS: certificate chain (PEM)")
    serve.add_argument("--key", default="", metavar="FILE", help="TLS: its private key")
    serve.add_argument("--sign-in", action="store_true", help="ask for the token on this machine too")
    serve.add_argument("--open", action="store_true", help="open the page where there is a desktop")
    serve.add_argument("--chat", action="store_true", help="with a chat in this terminal; leaving it ends both")
    commands.add_parser("mcp", parents=[common], help="speak the Model Context Protocol on standard input and output")

    of = argparse.ArgumentParser(add_help=False)
    of.add_argument("--source", default="", type=words, metavar="S", help="of this source")
    show = commands.add_parser("show", parents=[common, of], help="show the picture of a moment")
    show.add_argument("when", type=words, metavar="T")
    show.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it as JPEG")
    play = commands.add_parser("play", parents=[common, of], help="play a stretch")
    play.add_argument("when", type=words, metavar="T[-T]")
    clip = commands.add_parser("clip", parents=[common, of, as_json], help="write a stretch as MP4")
    clip.add_argument("when", type=words, metavar="T[-T]")
    clip.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    transcript = commands.add_parser("transcript", parents=[common, of], help="what was said, as text or subtitles")
    transcript.add_argument("when", nargs="?", default="", type=words, metavar="T[-T]")
    transcript.add_argument("--format", choices=("txt", "srt", "vtt", "json"), default="txt")
    transcript.add_argument("-o", "--output", type=Path, metavar="FILE")
    recordings = commands.add_parser(
        "recordings", parents=[common, as_json], help="list what was perceived; give one a title, or forget one"
    )
    recordings.add_argument("action", nargs="?", default="list", choices=("list", "rename", "forget"))
    recordings.add_argument("words", nargs="*", type=words, metavar="RECORDING [TITLE]")
    recordings.add_argument("--yes", action="store_true", help="forget without being asked")


def wanted_serve(args: argparse.Namespace, config: Config) -> ServeConfig | None:
    """How to serve beside perceiving, where `--serve` is given."""
    if args.serve is None:
        return None
    from runtime.interfaces.commands.serving import ServeWish, serve_options

    return serve_options(config.serve, ServeWish(address=args.serve))


def command_of(args: argparse.Namespace, config: Config, memory_dir: Path) -> Callable[[], Awaitable[object]]:
    """The command that was given; everything heavy is imported only now."""
    if args.command in ("serve", "mcp"):
        from runtime.interfaces.commands import serving

        if args.command == "mcp":
            return lambda: serving.speak_mcp(config, memory_dir)
        wish = serving.ServeWish(
            args.address, certificate=args.certificate, key=args.key, sign_in=args.sign_in, opens=args.open
        )
        return lambda: serving.serve(config, memory_dir, wish, args.chat)
    from runtime.interfaces.attach import attached
    from runtime.interfaces.commands import evidence
    from runtime.interfaces.commands.paths import absolute

    if args.command == "recordings":
        return lambda: evidence.recordings(args.action, args.words, config, memory_dir, args.yes, args.json)
    out = absolute(args.output) if getattr(args, "output", None) else None

    async def on_memory() -> None:
        async with attached(memory_dir, config) as client:
            match args.command:
                case "show":
                    await evidence.show(client, config, memory_dir, args.when, args.source, out)
                case "play":
                    await evidence.play(client, config, memory_dir, args.when, args.source)
                case "clip":
                    assert out is not None
                    made = await evidence.clip(client, config, memory_dir, args.when, args.source, out)
                    if args.json:
                        import msgspec

                        say(msgspec.json.encode(made).decode())
                    else:
                        say(f"{out}: {evidence.told_of_clip(made)}")
                case _:
                    await evidence.tell_transcript(client, memory_dir, args.when, args.source, args.format, out)

    return on_memory
