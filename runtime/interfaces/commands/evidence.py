"""The commands that show the evidence itself: `show`, `play`, `clip`, `transcript`, `recordings`."""

from __future__ import annotations

import argparse
import datetime
import io
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn

import anyio
import anyio.to_process
import msgspec

from runtime.clock import media_time
from runtime.config import Config
from runtime.errors import UserError
from runtime.interfaces.attach import attached
from runtime.interfaces.client import Client
from runtime.interfaces.commands.moments import parse_moment, stretch
from runtime.interfaces.commands.paths import absolute
from runtime.interfaces.evidence import Clip, make_clip, picture_at, said_in
from runtime.interfaces.terminal.render import OUT, note
from runtime.interfaces.transcript import FORMATS, Format, transcript
from runtime.messages import SourceRecord, TimeWindow
from runtime.printable import say
from runtime.stretches import Now, known_until_s
from runtime.titles import drop_titles, named, set_title, titles

# A single moment plays for so long, a little before it first.
MOMENT_BEFORE_S, MOMENT_AFTER_S = 2.0, 8.0
# Programs that play a file, by preference, and what they are given beside it.
PLAYERS: dict[str, tuple[str, ...]] = {
    "mpv": ("--really-quiet",),
    "ffplay": ("-autoexit", "-loglevel", "error"),
    "vlc": ("--play-and-exit", "--quiet"),
    "xdg-open": (),
}


async def window_of(typed: str, source: str, client: Client, memory_dir: Path) -> TimeWindow:
    """The stretch that "0:40-0:50", "0:42", "yesterday 14:00 to yesterday 14:05" or "last 30s" means in one source.

    Raises:
        UserError: it is none, or it is in several sources and none was named.
    """
    known = (await client.status()).sources
    clock = datetime.datetime.now().astimezone()
    now = Now(clock.timestamp(), await client.live_media_s())
    wanted = named(memory_dir, source)
    for begin, end in _halves(typed):
        try:
            first = parse_moment(begin, clock)
            last = parse_moment(end, clock, is_end=True) if end else None
        except UserError:
            continue
        if last is None:
            (window, *others) = stretch(first, first, wanted, known, now)
            t0_s, t1_s = max(0.0, window.t0_s - MOMENT_BEFORE_S), window.t0_s + MOMENT_AFTER_S
            window = msgspec.structs.replace(window, t0_s=t0_s, t1_s=t1_s)
        else:
            (window, *others) = stretch(first, last, wanted, known, now)
        if others:
            names = ", ".join(w.source for w in (window, *others))
            raise UserError(f"that was perceived by several sources; give --source ({names})")
        return window
    parse_moment(typed, clock)  # says what is wrong with it
    raise UserError(f"{typed!r} is no stretch; write 0:40-0:50")


def _halves(typed: str) -> list[tuple[str, str]]:
    """Ways to read a text as a moment, or as two with a dash or "to" between them."""
    ways = [(typed, "")]
    for mark in (" to ", "–", "-"):
        at = typed.find(mark)
        while at > 0:
            ways.append((typed[:at].strip(), typed[at + len(mark) :].strip()))
            at = typed.find(mark, at + 1)
    return [(begin, end) for begin, end in ways if begin]


async def show(client: Client, config: Config, memory_dir: Path, typed: str, source: str, out: Path | None) -> None:
    """The picture of a moment: to a file, else into the terminal.

    Raises:
        UserError: there is none, or there is no terminal and no file was named.
    """
    window = await window_of(typed, source, client, memory_dir)
    t_s = window.t0_s if window.t0_s == 0.0 and typed.strip() in ("0", "0:00") else window.t0_s + MOMENT_BEFORE_S
    shown = await picture_at(client, config, memory_dir, window.source, min(t_s, window.t1_s))
    from_what = "the pictures memory kept" if shown.made_of == "kept pictures" else f"the {shown.made_of}"
    about = f"{shown.source} at {media_time(shown.t_s)}, from {from_what}"
    if out is not None:
        await _write(out, shown.jpeg)
        note(f"{out}: {about}")
    elif sys.stdout.isatty():
        OUT.print(_in_blocks(shown.jpeg, OUT.width, max(4, OUT.height - 3)))
        note(about)
    else:
        raise UserError("there is no terminal to show a picture in; name a file with -o")


async def clip(client: Client, config: Config, memory_dir: Path, typed: str, source: str, out: Path) -> Clip:
    """A stretch as an MP4 file.

    Raises:
        UserError: nothing is kept of it, or the file cannot be written.
    """
    window = await window_of(typed, source, client, memory_dir)
    if not out.parent.is_dir():
        raise UserError(f"{out}: there is no folder {out.parent}")
    beside = out.with_name(f".{out.name}.new.mp4")
    try:
        made = await make_clip(client, config, memory_dir, window.source, window.t0_s, window.t1_s, beside)
        beside.replace(out)
    except OSError as error:
        raise UserError(f"{out}: {error.strerror or error}") from None
    finally:
        beside.unlink(missing_ok=True)
    return made


def told_of_clip(made: Clip) -> str:
    """What a clip shows and what it is made of, in one line."""
    stretch_told = f"{made.source} {media_time(made.t0_s)}-{media_time(made.t1_s)}"
    return f"{stretch_told}, from the {made.made_of}" + (f"; {made.note}" if made.note else "")


async def play(client: Client, config: Config, memory_dir: Path, typed: str, source: str) -> None:
    """A stretch, played by a program of this machine.

    Raises:
        UserError: nothing is kept of it, or no program plays it.
    """
    player = next((name for name in PLAYERS if shutil.which(name)), None)
    if player is None:
        raise UserError(f"nothing here plays films ({', '.join(PLAYERS)}); `clip` writes it to a file")
    folder = Path(tempfile.mkdtemp(prefix="mindstream-play-"))
    try:
        out = folder / "clip.mp4"
        await clip(client, config, memory_dir, typed, source, out)
        command = [player, *PLAYERS[player], str(out)]
        ran = await anyio.run_process(command, check=False, stdin=subprocess.DEVNULL, stdout=None, stderr=None)
        if ran.returncode:
            raise UserError(f"{player} ended with {ran.returncode}; `clip` writes it to a file")
        if player == "xdg-open":  # returns at once: the file must be there as long as it plays
            note(f"{out} stays until it is deleted")
            folder = Path()
    finally:
        if folder != Path():
            shutil.rmtree(folder, ignore_errors=True)


async def tell_transcript(
    client: Client, memory_dir: Path, typed: str, source: str, form: Format, out: Path | None
) -> None:
    """What was said, all of it or in a stretch.

    Raises:
        UserError: there is no such source or stretch.
    """
    window = await window_of(typed, source, client, memory_dir) if typed else None
    name = window.source if window else named(memory_dir, source)
    known = {record.source for record in (await client.status()).sources}
    if name and name not in known:
        raise UserError(f"no source {name!r} in memory; there is {', '.join(sorted(known)) or 'none'}")
    t0_s, t1_s = (window.t0_s, window.t1_s) if window else (None, None)
    said = await said_in(client, name, t0_s, t1_s)
    if form in ("srt", "vtt") and len({o.source for o in said}) > 1:
        raise UserError("subtitles are of one source; give --source")
    text = transcript(said, form)
    if out is not None:
        await _write(out, text.encode())
        note(f"{out}: {len(said)} utterances")
    else:
        say((text or "nothing was said").removesuffix("\n"))


async def list_recordings(client: Client, memory_dir: Path, as_json: bool) -> None:
    """All sources with when they were and how long."""
    known, called = (await client.status()).sources, titles(memory_dir)
    now = Now(time.time(), await client.live_media_s())
    rows = [_row(record, called.get(record.source, ""), now) for record in known]
    if as_json:
        say(json.dumps({"recordings": rows}, ensure_ascii=False))
        return
    if not rows:
        OUT.print("memory holds no recording yet")
    for row in rows:
        named_as = f"{row['title']} ({row['source']})" if row["title"] else row["source"]
        began = row["began"].replace("T", " ")[:16] if row["began"] else "at an unknown time"
        state = "" if row["complete"] else ", in part"
        OUT.print(f"{began}  {media_time(row['until_s']):>8}  {row['kind']}{state}  {named_as}")


def _row(record: SourceRecord, title: str, now: Now) -> dict[str, Any]:
    until_s = known_until_s(record, now)
    began = record.started_wall_s

    def clock(wall_s: float) -> str:
        return datetime.datetime.fromtimestamp(wall_s).astimezone().isoformat(timespec="seconds") if began else ""

    return {
        "source": record.source, "title": title, "kind": record.kind, "began": clock(began),
        "ended": clock(began + until_s), "until_s": round(until_s, 3), "duration_s": record.duration_s,
        "complete": bool(record.ended) and set(record.watermarks) <= set(record.ended), "uri": record.uri,
        "recording_is_there": record.kind == "file" and Path(record.uri).is_file(),
    }  # fmt: skip


async def recordings(
    action: str, words: list[str], config: Config, memory_dir: Path, agreed: bool, as_json: bool
) -> None:
    """List recordings, give one a title, or forget one.

    Raises:
        UserError: there is no such recording; see the messages.
    """
    if action == "forget":
        await _forget_recording(words, config, memory_dir, agreed, as_json)
        return
    async with attached(memory_dir, config) as client:
        if action == "rename":
            if len(words) != 2:
                raise UserError('recordings rename takes a recording and its title: rename talk.mp4 "The talk"')
            set_title(memory_dir, (await client.status()).sources, named(memory_dir, words[0]), words[1])
        elif words:
            raise UserError("recordings list takes nothing more")
        await list_recordings(client, memory_dir, as_json)


async def _forget_recording(words: list[str], config: Config, memory_dir: Path, agreed: bool, as_json: bool) -> None:
    from runtime.interfaces.commands.erasure import Wish, forget

    if len(words) != 1:
        raise UserError("recordings forget takes one recording")
    source = named(memory_dir, words[0])
    await forget(Wish(source=source), config, memory_dir, agreed, as_json)
    async with attached(memory_dir, config) as client:
        known = [record for record in (await client.status()).sources if record.source != source]
    drop_titles(memory_dir, known)


class _Options(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; /help shows how it is typed")


def evidence_talk(config: Config, memory_dir: Path) -> Callable[[Client, str, str], Awaitable[None]]:
    """`/show`, `/play`, `/clip`, `/transcript` and `/recordings` of a chat, typed as the commands of these names are;
    the file may stand without `-o`."""

    async def hear(client: Client, name: str, typed: str) -> None:
        options = _Options(prog=f"/{name}", add_help=False)
        options.add_argument("words", nargs="*")
        options.add_argument("-o", "--output", default="")
        options.add_argument("--source", default="")
        options.add_argument("--format", choices=FORMATS, default="txt")
        try:
            args = options.parse_args(shlex.split(typed))
        except ValueError as error:
            raise UserError("a quotation mark is missing") from error
        when, *rest = args.words or [""]
        out = absolute(Path(args.output or rest[0])) if args.output or rest else None
        if name in ("show", "play", "clip") and not when:
            raise UserError(f"/{name} what? give a moment, such as 0:42")
        match name:
            case "show":
                await show(client, config, memory_dir, when, args.source, out)
            case "play":
                await play(client, config, memory_dir, when, args.source)
            case "clip":
                if out is None:
                    raise UserError("/clip needs a file: /clip 0:40-0:50 x.mp4")
                made = await clip(client, config, memory_dir, when, args.source, out)
                OUT.print(f"{out}: {told_of_clip(made)}")
            case "transcript":
                await tell_transcript(client, memory_dir, when, args.source, args.format, out)
            case _:
                if args.words:
                    raise UserError("/recordings lists them; rename and forget are commands: `recordings --help`")
                await list_recordings(client, memory_dir, as_json=False)

    return hear


async def _write(path: Path, data: bytes) -> None:
    try:
        await anyio.Path(path).write_bytes(data)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


def _in_blocks(jpeg: bytes, columns: int, rows: int) -> Any:
    """A picture as coloured half blocks: two pixels a character, one above the other."""
    from PIL import Image
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    with Image.open(io.BytesIO(jpeg)) as image:
        scale = min(columns / image.width, 2 * rows / image.height)
        size = (max(1, int(image.width * scale)), max(2, int(image.height * scale) // 2 * 2))
        small = image.convert("RGB").resize(size)
    pixels: Any = small.load()
    text = Text(no_wrap=True, overflow="crop")
    for y in range(0, size[1], 2):
        for x in range(size[0]):
            text.append("▀", Style(color=Color.from_rgb(*pixels[x, y]), bgcolor=Color.from_rgb(*pixels[x, y + 1])))
        text.append("\n")
    return text
