"""The command `describe`: have a model with eyes describe the pictures in memory that have no caption yet."""

from __future__ import annotations

import json
from contextlib import aclosing
from pathlib import Path

import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from runtime.clock import media_time
from runtime.config import Config
from runtime.interfaces.attach import attached
from runtime.interfaces.terminal.render import ERR, OUT, note, shorten
from runtime.messages import DescribePart, DescribeReply, DescribeRequest
from runtime.printable import say
from runtime.titles import named


async def describe(source: str, limit: int, config: Config, memory_dir: Path, as_json: bool) -> None:
    """Describe what of ``source`` ("" is every one) has no caption, ``limit`` pictures at most, 0 is all.

    What is done is kept, so it may be broken off and begun again at any time.

    Raises:
        UserError: no model that sees answers here, or there is no such source.
    """
    request = DescribeRequest(source=named(memory_dir, source), limit=limit)
    columns = (TextColumn("describing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with attached(memory_dir, config) as client:
        with Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as progress:
            bar = progress.add_task("", total=None)
            async with aclosing(client.describe(request)) as parts:
                async for part in parts:
                    if isinstance(part, DescribePart):
                        progress.update(bar, completed=part.done, total=part.total)
                        _tell(part, as_json)
                    else:
                        _tell_end(part, as_json)


def _tell(part: DescribePart, as_json: bool) -> None:
    if as_json:
        say(json.dumps({"described": msgspec.structs.asdict(part)}, ensure_ascii=False))
        return
    what = "the hour from here" if part.is_hour else "picture"
    OUT.print(f"[{media_time(part.t_s)}] {what}, {part.source}: {shorten(part.text, 400) or 'nothing to be made out'}")


def _tell_end(reply: DescribeReply, as_json: bool) -> None:
    if as_json:
        say(json.dumps(msgspec.structs.asdict(reply), ensure_ascii=False))
        return
    hours = f" and {reply.hours} {'hour' if reply.hours == 1 else 'hours'}" if reply.hours else ""
    left = f"; {reply.left} are left" if reply.left else ""
    pictures = "picture" if reply.captions == 1 else "pictures"
    OUT.print(f"{reply.captions} {pictures}{hours} described by {reply.model}{left}")
    if reply.trouble:
        note(reply.trouble)
