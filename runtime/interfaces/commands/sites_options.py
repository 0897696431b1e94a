"""What of the command line joins the agents of several machines: the options, and which function each calls."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.printable import say

if TYPE_CHECKING:
    from runtime.config import Config


def add_sites_option(command: argparse.ArgumentParser) -> None:
    """`--sites` of a command that asks a memory."""
    command.add_argument(
        "--sites", action="store_true", help="of all sites: run at the hub, whose folder --memory names then"
    )


def add_command(commands: Any, common: argparse.ArgumentParser, as_json: argparse.ArgumentParser) -> None:
    """Have the parser know `sites`."""
    sites = commands.add_parser("sites", help="join the agents of several machines, and ask them as one")
    actions = sites.add_subparsers(dest="action", metavar="ACTION", required=True)
    hub = argparse.ArgumentParser(add_help=False)
    hub.add_argument("--hub", type=Path, metavar="DIR", help="folder of the hub (default: in your data folder)")

    up = actions.add_parser("up", parents=[common, hub], help="be the hub, until stopped; prints tokens of new sites")
    up.add_argument("new_sites", nargs="*", metavar="SITE", help="sites to invite")
    up.add_argument("--host", default="", metavar="HOST", help="address that sites connect to (default: this machine)")
    up.add_argument("--port", type=_port, default=0, metavar="N", help="port that sites connect to (default: 7422)")
    up.add_argument("--local-port", type=_port, default=0, metavar="N", help="port for this machine (default: 4222)")
    up.add_argument(
        "--url", default="", metavar="URL", help="use the NATS server there: nats://USER:PASSWORD@HOST:PORT"
    )
    up.add_argument("--leaf-url", default="", metavar="URL", help="where that takes leaf nodes: nats-leaf://...")
    up.add_argument("--ca", type=Path, metavar="FILE", help="certificate (PEM) of the authority that vouches for that")

    invite = actions.add_parser("invite", parents=[common, hub], help="make a site's token; the one before is void")
    invite.add_argument("site", metavar="SITE")
    invite.add_argument("--pictures", action="store_true", help="the pictures its memory keeps come to the hub, too")
    invite.add_argument(
        "--leaf-url", default="", metavar="URL", help="with a user of its own, where `up` was given --url"
    )
    invite.add_argument("--anew", action="store_true", help="give up the copy of its memory that the hub has")

    join = actions.add_parser(
        "join", parents=[common], help="have this memory be a site of the hub that made the token"
    )
    join.add_argument("token", metavar="TOKEN")
    actions.add_parser("run", parents=[common], help="run a site that perceives nothing new, until stopped")
    actions.add_parser("status", parents=[common, hub, as_json], help="which sites are there, and what is wrong")
    leave = actions.add_parser("leave", parents=[common, hub], help="leave the hub; at the hub: have SITE leave")
    leave.add_argument("site", nargs="?", default="", metavar="SITE")
    rebuild = actions.add_parser("rebuild", parents=[common, hub, as_json], help="make a lost site's memory again")
    rebuild.add_argument("site", metavar="SITE")


def command_of(args: argparse.Namespace, config: Config, memory_dir: Path) -> Callable[[], Awaitable[object]]:
    """The action that was given; everything heavy is imported only now."""
    from runtime.agent import default_memory_dir
    from runtime.interfaces.commands import sites
    from runtime.interfaces.commands.paths import absolute

    hub_dir = absolute(getattr(args, "hub", None) or default_memory_dir("hub"))

    async def command() -> None:
        match args.action:
            case "up":
                wish = sites.HubWish(args.host, args.port, args.local_port, args.url, args.leaf_url, args.ca)
                await sites.up(hub_dir, args.new_sites, wish)
            case "invite":
                token = sites.invite(hub_dir, args.site, args.pictures, args.leaf_url)
                if args.anew:
                    await sites.give_up_copy(hub_dir, args.site)
                say(token)
            case "join":
                sites.join(memory_dir, args.token)
            case "run":
                await sites.run(memory_dir, config)
            case "status":
                await sites.status(hub_dir, memory_dir, config, args.json)
            case "leave":
                await sites.leave(hub_dir, memory_dir, args.site)
            case "rebuild":
                await sites.rebuild(hub_dir, memory_dir, args.site, config, args.json)

    return command


def check_hub(folder: Path) -> None:
    """Have a question of all sites be asked at their hub.

    Raises:
        UserError: this folder is none.
    """
    from runtime.agent import HUB_FILE
    from runtime.errors import UserError

    if not (folder / HUB_FILE).exists():
        raise UserError(f"{folder} is no hub of sites; `sites up` makes one, --memory names another folder")


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)
