"""The commands by which the user rules over memory: forget, export, import."""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import sys
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any, NoReturn

import anyio
import anyio.to_thread
import msgspec

from runtime.agent import find_agent
from runtime.clock import media_time
from runtime.config import Config
from runtime.errors import UserError
from runtime.interfaces.attach import attached
from runtime.interfaces.client import Client
from runtime.interfaces.commands.forget_options import add_forget_options
from runtime.interfaces.commands.moments import latest, parse_length_s, parse_moment, stretch
from runtime.interfaces.evidence import export_request
from runtime.interfaces.terminal.render import OUT, byte_size, note, observation_line, told_of_pause
from runtime.interfaces.terminal.standard_streams import typed_lines
from runtime.messages import ArchiveReply, ForgetReply, ForgetRequest, ImportRequest, TimeWindow, round_time
from runtime.printable import say
from runtime.stretches import Now, goes_on, known_until_s

EXAMPLES_SHOWN = 6
USAGE = "give --from and --to, --last 10m, --text WORDS, or --source S for all of it"
STANDING = "standing.json"


class Wish(msgspec.Struct, frozen=True):
    """What the user wants forgotten, as typed."""

    begin: str = ""
    end: str = ""
    last: str = ""
    text: str = ""
    source: str = ""


class _Options(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; {USAGE}")


def parse_wish(typed: str) -> tuple[Wish, bool]:
    """The wish typed after `/forget`, with the options of the command, and whether it was agreed to with --yes.

    Raises:
        UserError: these are no such options.
    """
    options = _Options(prog="/forget", add_help=False)
    add_forget_options(options)
    try:
        args = options.parse_args(shlex.split(typed))
    except ValueError as error:
        raise UserError(f"a quotation mark is missing; {USAGE}") from error
    return Wish(args.begin, args.end, args.last, args.text, args.source), args.yes


async def forget(wish: Wish, config: Config, memory_dir: Path, is_agreed: bool, as_json: bool) -> None:
    """Erase what the user wishes, after showing what would go, and prove that it is gone.

    Raises:
        UserError: the wish makes no sense, was not agreed to, or something of it stands in a file that is not ours.
    """
    _check(wish)
    async with attached(memory_dir, config) as client:
        request = await _preview(wish, client, as_json)
        if request is None:
            return
        if not is_agreed and not await _is_agreed_to(as_json):
            raise UserError("nothing was forgotten: that needs your yes, or --yes")
        await _erase(wish, request, client, as_json)


class ForgetTalk:
    """`/forget` in a chat: shows what would go, and erases it when the user says `/forget yes`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._pending: tuple[Wish, ForgetRequest] | None = None

    async def hear(self, typed: str) -> None:
        """What follows `/forget`.

        Raises:
            UserError: as `forget`.
        """
        pending, self._pending = self._pending, None
        is_agreed = typed.strip().lower() in ("yes", "y")
        if is_agreed and pending is None:
            raise UserError(f"forget what? {USAGE}")
        if not is_agreed:
            wish, is_agreed = parse_wish(typed)
            _check(wish)
            request = await _preview(wish, self._client)
            if request is None:
                return
            pending = wish, request
        assert pending is not None
        if not is_agreed:
            self._pending = pending
            OUT.print("/forget yes erases all of this, for good.")
            return
        await _erase(*pending, self._client)


async def export(path: Path, config: Config, memory_dir: Path, footage: bool, as_json: bool) -> None:
    """Write all that memory holds to a folder, or to a zip file; with the footage of live sources, if so."""
    request = await anyio.to_thread.run_sync(export_request, config, memory_dir, path, footage)
    async with attached(memory_dir, config) as client:
        done = await client.export(request)
    _tell_archive(done, f"exported to {done.path}", as_json)


async def import_archive(
    path: Path, config: Config, memory_dir: Path, trusted: bool, footage: bool, as_json: bool
) -> None:
    """Take in an archive, into a new memory or beside what is there.

    Raises:
        UserError: there is no archive, or footage is wanted of which the profile keeps none.
    """
    if not await anyio.Path(path).exists():
        raise UserError(f"archive {path}: there is no such file or folder")
    keeping = config.perception.live.footage.keeping()
    if footage and not keeping.bytes:
        raise UserError("the profile keeps no footage (perception.live.footage.mib: 0); import without --footage")
    async with attached(memory_dir, config, new=True) as client:
        request = ImportRequest(path=str(path), trusted=trusted, footage=keeping if footage else None)
        done = await client.import_archive(request)
    known = f", {done.known} were there already or had been erased" if done.known else ""
    _tell_archive(done, f"imported{known}", as_json)


def _tell_archive(done: ArchiveReply, what: str, as_json: bool) -> None:
    if as_json:
        say(json.dumps(msgspec.structs.asdict(done), ensure_ascii=False))
        return
    left = ", ".join(f"{n} {kind}" for kind, n in done.left_out.items())
    footage = f", {done.footage} files of footage" if done.footage else ""
    OUT.print(
        f"{done.observations} observations of {done.sources} sources with {done.pictures} pictures{footage} and"
        f" {done.spans} spans {what} ({byte_size(done.bytes)}){f', not taken: {left}' if left else ''}",
    )


async def pause(on: bool, config: Config, memory_dir: Path) -> None:
    """Pause what an agent that runs on this memory perceives live, or have it go on.

    Raises:
        UserError: no agent runs, or none that perceives live.
    """
    if find_agent(memory_dir) is None:
        raise UserError(f"no agent runs on {memory_dir}; there is nothing to {'pause' if on else 'resume'}")
    async with attached(memory_dir, config) as client:
        OUT.print(told_of_pause(await client.pause(on), on))


def _check(wish: Wish) -> None:
    if not (wish.begin or wish.end or wish.last or wish.text or wish.source):
        raise UserError(f"forget what? {USAGE}")
    if wish.last and (wish.begin or wish.end):
        raise UserError("give either --last or --from and --to")


def _check_residue(done: ForgetReply) -> None:
    if STANDING in done.traces:
        raise UserError("forgotten, but a standing query names it; remove that too (`standing remove ID`)")
    if done.traces:
        names = ", ".join(done.traces)
        raise UserError(f"forgotten, but it still stands in {names}: that is not memory's own; mend or delete it")


async def forget_request(wish: Wish, client: Client) -> ForgetRequest:
    """What a wish means in the sources memory knows.

    Raises:
        UserError: it makes no sense, or there is no such stretch or source.
    """
    _check(wish)
    known = (await client.status()).sources
    clock = datetime.datetime.now().astimezone()
    now = Now(clock.timestamp(), await client.live_media_s())
    windows: tuple[TimeWindow, ...] = ()
    if wish.last:
        windows = latest(parse_length_s(wish.last), wish.source, known, now)
    elif wish.begin or wish.end or wish.source:
        begin = parse_moment(wish.begin, clock) if wish.begin else None
        end = parse_moment(wish.end, clock, is_end=True) if wish.end else None
        windows = stretch(begin, end, wish.source, known, now)
    return ForgetRequest(windows=windows, text=wish.text, wall_s=round(now.wall_s, 3))


async def preview(request: ForgetRequest, client: Client) -> ForgetReply:
    """What would go, and nothing changed."""
    return await client.forget(msgspec.structs.replace(request, preview=True))


async def erase(request: ForgetRequest, client: Client) -> ForgetReply:
    """Erase it, and what of it is on its way by now; the proof."""
    now = Now(time.time(), await client.live_media_s())
    known = (await client.status()).sources
    until_s = {record.source: round_time(known_until_s(record, now)) for record in known if goes_on(record)}
    return await client.forget(msgspec.structs.replace(request, until_s=until_s))


async def _preview(wish: Wish, client: Client, as_json: bool = False) -> ForgetRequest | None:
    """What is meant, after what of it is there was shown; None where there is nothing to forget, which is told.

    Raises:
        UserError: no such stretch or source.
    """
    request = await forget_request(wish, client)
    found = await preview(request, client)
    is_there = bool(found.observations or found.spans) or client.perceives_live
    if as_json:
        if not is_there:
            say(_as_json(found, request.windows, is_done=False))
    elif is_there:
        _show_preview(found, wish)
    else:
        OUT.print(f"{_nothing_found(wish)}; nothing to forget")
    return request if is_there else None


async def _erase(wish: Wish, request: ForgetRequest, client: Client, as_json: bool = False) -> None:
    """What was shown is agreed to: erase it and show the proof.

    Raises:
        UserError: something of it stands in a file that is not ours.
    """
    done = await erase(request, client)
    if as_json:
        say(_as_json(done, request.windows, is_done=True))
    else:
        _show_done(done, wish)
    _check_residue(done)


async def _is_agreed_to(as_json: bool) -> bool:
    if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    OUT.print("Forget all of this, for good? [y/N] ", end="")
    async with aclosing(typed_lines()) as lines:
        async for said in lines:
            return said.strip().lower() in ("y", "yes")
    return False


def _nothing_found(wish: Wish) -> str:
    return f"nothing in memory holds {wish.text!r}" if wish.text else "nothing was perceived in that time"


def _show_preview(found: ForgetReply, wish: Wish) -> None:
    if not found.observations:
        told = f"{_nothing_found(wish)} yet; what is still on its way there goes"
        if found.spans:
            told = f"{found.spans} sketches of what is no longer kept in full tell of it"
        OUT.print(told)
        return
    for observation in found.examples[:EXAMPLES_SHOWN]:
        OUT.print("  " + observation_line(observation))
    more = sum(found.observations.values()) - len(found.examples[:EXAMPLES_SHOWN])
    if more > 0:
        OUT.print(f"  and {more} more")
    for source, (t0_s, t1_s) in found.extents.items():
        OUT.print(f"{source}: {media_time(t0_s)} to {media_time(t1_s)}")
    OUT.print(f"That is {_counted(found)}.")


def _show_done(done: ForgetReply, wish: Wish) -> None:
    OUT.print(f"Forgotten: {_counted(done)}; {done.spans} sketches made anew.")
    looked = ", ".join(f"{what} {n}" for what, n in done.searched.items())
    OUT.print(f"Searched again, found: {looked}.")
    size = byte_size(sum(done.files.values()))
    left = ", ".join(f"{name} ({n})" for name, n in done.traces.items()) or "none"
    OUT.print(f"Looked through the bytes of {len(done.files)} files ({size}), traces: {left}.")
    OUT.print(f"Memory was {byte_size(done.bytes_before)}, is {byte_size(done.bytes_after)}.")
    for where in done.unsearched:
        note(f"erased, but not looked through: {where}")
    for site in done.owed:
        note(f"{site} is away: it forgets when it is back (`sites status`)")
    note("recordings made with --record and archives made with export are not memory's; delete those yourself")
    if not wish.text:
        note("to have a recording perceived again, erased stretches too: replay FILE --again")


def _counted(found: ForgetReply) -> str:
    if not found.observations:
        return "nothing that was in memory"
    parts = [
        f"{n} {channel}{'s' if n > 1 and channel not in ('speech',) else ''}"
        for channel, n in found.observations.items()
    ]
    pictures = f" ({byte_size(found.frames_bytes)} of pictures)" if found.frames_bytes else ""
    return ", ".join(parts) + pictures


def _as_json(found: ForgetReply, windows: tuple[TimeWindow, ...], is_done: bool) -> str:
    built: dict[str, Any] = {
        "done": is_done,
        "windows": [{"source": w.source, "t0_s": w.t0_s, "t1_s": w.t1_s} for w in windows],
        "observations": found.observations,
        "spans": found.spans,
        "searched": found.searched,
        "files": found.files,
        "traces": found.traces,
        "bytes_before": found.bytes_before,
        "bytes_after": found.bytes_after,
        "owed": list(found.owed),
        "unsearched": list(found.unsearched),
    }
    return json.dumps(built, ensure_ascii=False)
