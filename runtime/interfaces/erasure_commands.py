"""The commands by which the user rules over memory: forget, export, import."""

from __future__ import annotations

import datetime
import json
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from runtime.agent import find_agent
from runtime.config import Config
from runtime.errors import UserError
from runtime.interfaces.attach import attached
from runtime.interfaces.client import Client
from runtime.interfaces.moments import latest, parse_length_s, parse_moment, stretch
from runtime.interfaces.terminal import OUT, byte_size, media_time, note, observation_line, told_of_pause
from runtime.messages import ArchiveReply, ForgetReply, ForgetRequest, TimeWindow

EXAMPLES_SHOWN = 6


class Wish(msgspec.Struct, frozen=True):
    """What the user wants forgotten, as typed."""

    begin: str = ""
    end: str = ""
    last: str = ""
    text: str = ""
    source: str = ""


async def forget(wish: Wish, config: Config, memory_dir: Path, is_agreed: bool, as_json: bool) -> None:
    """Erase what the user wishes, after showing what would go, and prove that it is gone.

    Raises:
        UserError: the wish makes no sense, was not agreed to, or something of it stands in a file that is not ours.
    """
    if not (wish.begin or wish.end or wish.last or wish.text):
        raise UserError("forget what? give --from and --to, --last 10m, or --text WORDS")
    if wish.last and (wish.begin or wish.end):
        raise UserError("give either --last or --from and --to")
    async with attached(memory_dir, config) as client:
        windows = await _windows(wish, client)
        request = ForgetRequest(windows=windows, text=wish.text, wall_s=round(time.time(), 3))
        found = await client.forget(msgspec.structs.replace(request, preview=True))
        if not found.observations:
            told = f"nothing in memory holds {wish.text!r}" if wish.text else "nothing was perceived in that time"
            if as_json:
                print(_as_json(found, windows, is_done=False), flush=True)
            else:
                OUT.print(f"{told}; nothing to forget", markup=False)
            return
        if not as_json:
            _show_preview(found)
        if not is_agreed and not await _is_agreed_to(as_json):
            raise UserError("nothing was forgotten: that needs your yes, or --yes")
        done = await client.forget(request)
        if as_json:
            print(_as_json(done, windows, is_done=True), flush=True)
        else:
            _show_done(done, wish)
    if done.traces:
        names = ", ".join(done.traces)
        raise UserError(f"forgotten, but it still stands in {names}: that is not memory's own; mend or delete it")


async def export(path: Path, config: Config, memory_dir: Path, as_json: bool) -> None:
    """Write all that memory holds to a folder, or to a zip file."""
    async with attached(memory_dir, config) as client:
        done = await client.export(path)
    _tell_archive(done, f"exported to {done.path}", as_json)


async def import_archive(path: Path, config: Config, memory_dir: Path, trusted: bool, as_json: bool) -> None:
    """Take in an archive, into a new memory or beside what is there.

    Raises:
        UserError: there is no archive.
    """
    if not await anyio.Path(path).exists():
        raise UserError(f"archive {path}: there is no such file or folder")
    async with attached(memory_dir, config, new=True) as client:
        done = await client.import_archive(path, trusted)
    known = f", {done.known} were there already or had been erased" if done.known else ""
    _tell_archive(done, f"imported{known}", as_json)


def _tell_archive(done: ArchiveReply, what: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps(msgspec.structs.asdict(done), ensure_ascii=False), flush=True)
        return
    OUT.print(
        f"{done.observations} observations of {done.sources} sources with {done.pictures} pictures and {done.spans}"
        f" spans {what} ({byte_size(done.bytes)})",
        markup=False,
    )


async def pause(on: bool, config: Config, memory_dir: Path) -> None:
    """Pause what an agent that runs on this memory perceives live, or have it go on.

    Raises:
        UserError: no agent runs, or none that perceives live.
    """
    if find_agent(memory_dir) is None:
        raise UserError(f"no agent runs on {memory_dir}; there is nothing to {'pause' if on else 'resume'}")
    async with attached(memory_dir, config) as client:
        OUT.print(told_of_pause(await client.pause(on), on), markup=False)


async def _windows(wish: Wish, client: Client) -> tuple[TimeWindow, ...]:
    known = (await client.status()).sources
    now = datetime.datetime.now().astimezone()
    if wish.last:
        return latest(parse_length_s(wish.last), wish.source, known, now.timestamp())
    if wish.begin or wish.end or wish.source:
        begin = parse_moment(wish.begin, now) if wish.begin else None
        end = parse_moment(wish.end, now, is_end=True) if wish.end else None
        return stretch(begin, end, wish.source, known, now.timestamp())
    return ()


async def _is_agreed_to(as_json: bool) -> bool:
    if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    OUT.print("Forget all of this, for good? [y/N] ", end="", markup=False)
    said = await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
    return said.strip().lower() in ("y", "yes")


def _show_preview(found: ForgetReply) -> None:
    for observation in found.examples[:EXAMPLES_SHOWN]:
        OUT.print("  " + observation_line(observation), markup=False)
    more = sum(found.observations.values()) - len(found.examples[:EXAMPLES_SHOWN])
    if more > 0:
        OUT.print(f"  and {more} more", markup=False)
    for source, (t0_s, t1_s) in found.extents.items():
        OUT.print(f"{source}: {media_time(t0_s)} to {media_time(t1_s)}", markup=False)
    OUT.print(f"That is {_counted(found)}.", markup=False)


def _show_done(done: ForgetReply, wish: Wish) -> None:
    OUT.print(f"Forgotten: {_counted(done)}; {done.spans} sketches made anew.", markup=False)
    looked = ", ".join(f"{what} {n}" for what, n in done.searched.items())
    OUT.print(f"Searched again, found: {looked}.", markup=False)
    size = byte_size(sum(done.files.values()))
    left = ", ".join(f"{name} ({n})" for name, n in done.traces.items()) or "none"
    OUT.print(f"Looked through the bytes of {len(done.files)} files ({size}), traces: {left}.", markup=False)
    OUT.print(f"Memory was {byte_size(done.bytes_before)}, is {byte_size(done.bytes_after)}.", markup=False)
    note("recordings made with --record and archives made with export are not memory's; delete those yourself")
    if not wish.text:
        note("to have a recording perceived again, erased stretches too: replay FILE --again")


def _counted(found: ForgetReply) -> str:
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
    }
    return json.dumps(built, ensure_ascii=False)
