"""Pictures in memory that another encoder described than the profile's: saying so, and describing them anew."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio.to_thread
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from runtime import program
from runtime.config import Config
from runtime.interfaces.attach import attached
from runtime.interfaces.client import Client
from runtime.interfaces.terminal.render import ERR, OUT, note
from runtime.messages import ForeignRequest, Observation, SpaceRecord
from runtime.printable import say
from runtime.processes import REDESCRIBE, SPACES


async def tell_mismatch(client: Client, config: Config) -> None:
    """Say in one line where memory holds pictures that the profile's encoder did not describe."""
    configured = await anyio.to_thread.run_sync(configured_space, config)
    if line := mismatch((await client.status()).spaces, configured):
        note(line)


def configured_space(config: Config) -> str:
    """The vector space of the profile's encoder; "" where it cannot be used. May read a checkpoint through."""
    return str(importlib.import_module(SPACES).configured_space(config.perception.vision))


def mismatch(spaces: Mapping[str, SpaceRecord], configured: str) -> str:
    """What it means that memory holds vectors of other spaces than the configured one; "" if it holds none."""
    foreign = {space: held for space, held in spaces.items() if space != configured}
    if not foreign or not configured:
        return ""
    n, pictures = (sum(getattr(held, of) for held in foreign.values()) for of in ("vectors", "pictures"))
    names = ", ".join(f"{space} ({held.vectors})" for space, held in foreign.items())
    remedy = f"`{program.name()} reembed` describes anew the {pictures} whose picture is kept" if pictures else (
        "none of them is kept as a picture that could be described anew"
    )  # fmt: skip
    return (
        f"memory holds {n} pictures described by {names}, and this profile describes by {configured}: those are found"
        f" by words, not by meaning; {remedy}"
    )


async def reembed(config: Config, memory_dir: Path, as_json: bool) -> None:
    """Describe the pictures that memory keeps with the profile's encoder, those of others anew.

    What is done is kept, so it may be broken off and begun again at any time.

    Raises:
        ConfigError, WeightsError: the encoder cannot be used.
    """
    stage = await anyio.to_thread.run_sync(importlib.import_module(REDESCRIBE).load_redescriber, config.perception)
    async with attached(memory_dir, config) as client:
        spaces = (await client.status()).spaces
        foreign = {space: held for space, held in spaces.items() if space != stage.space}
        total = sum(held.pictures for held in foreign.values())
        done, unreadable = await _redescribe(client, stage, total)
    without = sum(held.vectors for held in foreign.values()) - total
    if as_json:
        told = {"space": stage.space, "redescribed": done, "unreadable": unreadable, "without_picture": without}
        say(json.dumps(told))
        return
    OUT.print(f"{done} pictures described anew by {stage.space}")
    if unreadable:
        OUT.print(f"{unreadable} could not be read and stay as they were")
    if without:
        OUT.print(f"{without} have no picture any more: they keep their words, and what vector they had")


async def _redescribe(client: Client, stage: Any, total: int) -> tuple[int, int]:
    """(how many were described anew, how many pictures could not be read)."""
    done = unreadable = after = 0
    columns = (TextColumn("describing anew"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as progress:
        bar = progress.add_task("", total=total)
        while (found := await client.foreign(ForeignRequest(space=stage.space, after=after))).frames:
            described: list[Observation] = await anyio.to_thread.run_sync(stage.step, found.frames)
            unreadable += len(found.frames) - len(described)
            if described:
                done += await client.redescribe(described)
            after = found.last
            progress.update(bar, completed=done + unreadable)
    return done, unreadable
