"""The evidence itself: the picture of a moment, a clip of a stretch, the words that were said in it.

From the recording where it is still there and the same, else from the footage kept of a live source, else from the
pictures memory kept; which of them is always said. What was erased at the user's wish is shown of none of them.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.to_thread
from msgspec import Struct

from runtime.clock import media_time
from runtime.config import Config
from runtime.errors import MediaError, UserError
from runtime.footage import FOOTAGE, Segment, touching
from runtime.interfaces.client import Client
from runtime.messages import ExportRequest, GapFacts, Observation, ScanRequest, SourceRecord, View
from runtime.processes import CLIPS
from runtime.sources import MASKS_NAME, Rect, kept_masks, session_of

# The picture of a moment is not one of long before or after it.
NEAR_S = 60.0
PICTURES_MAX = 600
SPEECH_MAX = 10_000
MadeOf = Literal["recording", "footage", "kept pictures"]


class Shown(Struct, frozen=True):
    """A picture: JPEG, its media time, and where it is from. ``id``: of the frame memory keeps of it, or ""."""

    source: str
    t_s: float
    jpeg: bytes
    made_of: MadeOf
    id: str = ""


class Clip(Struct, frozen=True):
    """A clip that was made. ``note``: what one should know of it, in one line, or ""."""

    source: str
    t0_s: float
    t1_s: float
    duration_s: float
    made_of: MadeOf
    note: str = ""


async def record_of(client: Client, source: str) -> SourceRecord:
    """What memory knows of a source; "" is the one opened last.

    Raises:
        UserError: memory holds none of that name.
    """
    known = [record for record in (await client.status()).sources if source in ("", record.source)]
    if not known:
        raise UserError(f"no source {source!r} in memory" if source else "memory holds no source yet")
    return known[-1]


def footage_of(memory_dir: Path, source: str, t0_s: float, t1_s: float) -> list[Segment]:
    """Files of what a live source sent that touch a stretch, in order; what is being written is not to be shown yet."""
    if not session_of(source)[0]:
        return []
    return [s for s in touching(memory_dir / FOOTAGE, source, t0_s, t1_s) if not s.is_open]


def mask_of(config: Config, memory_dir: Path, source: str) -> tuple[Rect, ...]:
    """Private regions of a source as they are now: they hold for what is shown of earlier, too."""
    label = session_of(source)[0]
    listed = {own.name: own.mask for own in config.perception.live.sources if own.mask}
    return kept_masks(memory_dir / MASKS_NAME).get(label, listed.get(label, config.perception.vision.mask))


def export_request(config: Config, memory_dir: Path, path: Path, footage: bool) -> ExportRequest:
    """What has memory write an archive; of footage only what shows no region that is private by now."""
    root = memory_dir / FOOTAGE
    kept = sorted(folder.name for folder in root.iterdir()) if footage and root.is_dir() else []
    private = {session_of(name)[0]: mask_of(config, memory_dir, name) for name in kept if session_of(name)[0]}
    return ExportRequest(path=str(path), footage=footage, private=private)


async def picture_at(client: Client, config: Config, memory_dir: Path, source: str, t_s: float) -> Shown:
    """What a source showed at a moment.

    Raises:
        UserError: no such source, no picture near that moment, or it was erased.
    """
    record = await record_of(client, source)
    view = await client.view((record.source,))
    if await _erased(client, view, record.source, t_s, t_s):
        raise UserError(f"what {record.source} showed at {media_time(t_s)} was erased at your wish")
    clips: Any = importlib.import_module(CLIPS)
    mask = mask_of(config, memory_dir, record.source)
    if _has_recording(record):
        try:
            order = _order(record.uri, record.fingerprint, t_s, mask)
            jpeg = await anyio.to_thread.run_sync(clips.still, order)
            return Shown(record.source, t_s, jpeg, "recording")
        except MediaError:
            pass  # moved, changed or damaged since: what memory kept is left
    for segment in footage_of(memory_dir, record.source, t_s, t_s):
        try:
            order = _order(str(segment.path), "", t_s, mask, segment.t0_s)
            return Shown(record.source, t_s, await anyio.to_thread.run_sync(clips.still, order), "footage")
        except MediaError:
            continue
    if (kept := await kept_picture(client, view, record.source, t_s)) is None:
        raise UserError(f"no picture is kept of {record.source} at {media_time(t_s)}")
    assert kept.payload is not None
    return Shown(record.source, kept.t0_s, kept.payload, "kept pictures", kept.id)


async def kept_picture(client: Client, view: View, source: str, t_s: float) -> Observation | None:
    """The frame nearest to a moment whose picture memory still has."""
    around = ScanRequest(
        view=view, source=source, channels=("frame",), t0_s=t_s - NEAR_S, t1_s=t_s + NEAR_S, limit=PICTURES_MAX
    )
    near = sorted(await client.scan(around), key=lambda frame: abs(frame.t0_s - t_s))
    for at in range(0, len(near), 8):  # most have their picture
        some = ScanRequest(view=view, ids=tuple(frame.id for frame in near[at : at + 8]), with_payload=True)
        held = [frame for frame in await client.scan(some) if frame.payload]
        if held:
            return min(held, key=lambda frame: abs(frame.t0_s - t_s))
    return None


async def make_clip(
    client: Client, config: Config, memory_dir: Path, source: str, t0_s: float, t1_s: float, out: Path
) -> Clip:
    """Make an MP4 of a stretch of a source.

    Raises:
        UserError: no such source or stretch, or nothing is kept of it.
    """
    clips: Any = importlib.import_module(CLIPS)
    record = await record_of(client, source)
    view = await client.view((record.source,))
    t0_s, t1_s = max(0.0, t0_s), min(t1_s, max([*record.watermarks.values(), view.limits.get(record.source, 0.0)]))
    if not t0_s < t1_s:
        raise UserError(f"{record.source} has nothing there: it goes to {media_time(max(t1_s, 0.0))}")
    erased = await _erased(client, view, record.source, t0_s, t1_s)
    stretches = _without(t0_s, t1_s, erased)
    if not stretches:
        raise UserError(f"{record.source} {media_time(t0_s)}-{media_time(t1_s)} was erased at your wish")
    note = "what was erased at your wish is left out" if erased else ""
    mask = mask_of(config, memory_dir, record.source)
    if _has_recording(record):
        order = clips.ClipOrder(
            stretches=stretches, out=str(out), pieces=(clips.Piece(record.uri),), fingerprint=record.fingerprint,
            mask=mask,
        )  # fmt: skip
        try:
            return await _cut(clips, order, record.source, t0_s, t1_s, "recording", note)
        except MediaError as error:
            note = "; ".join(filter(None, (str(error), note)))
    sound = tuple(clips.Piece(str(s.path), s.t0_s) for s in await _heard_beside(client, memory_dir, record, t0_s, t1_s))
    if kept := footage_of(memory_dir, record.source, t0_s, t1_s):
        pieces = tuple(clips.Piece(str(segment.path), segment.t0_s) for segment in kept)
        order = clips.ClipOrder(
            stretches=_covered(stretches, kept), out=str(out), pieces=pieces, sound=sound, mask=mask
        )
        whole = kept[0].t0_s <= t0_s + 1.0 and kept[-1].t1_s >= t1_s - 1.0
        told = "; ".join(filter(None, (note, "" if whole else "footage is kept of a part of it only")))
        try:
            return await _cut(clips, order, record.source, t0_s, t1_s, "footage", told)
        except MediaError as error:  # it was erased or given up meanwhile
            note = "; ".join(filter(None, (str(error), note)))
    pictures = await _kept_pictures(client, view, record.source, t0_s, t1_s)
    order = clips.ClipOrder(stretches=stretches, out=str(out), pictures=pictures, sound=sound)
    made_of = "made of the pictures memory kept" + ("" if sound else ", without sound")
    note = "; ".join(filter(None, (made_of, note)))
    return await _cut(clips, order, record.source, t0_s, t1_s, "kept pictures", note)


async def _heard_beside(
    client: Client, memory_dir: Path, record: SourceRecord, t0_s: float, t1_s: float
) -> list[Segment]:
    """Footage of the microphone that listened while a camera or screen watched, which have no sound of their own."""
    if record.kind not in ("camera", "screen"):
        return []
    moment = session_of(record.source)[1]
    beside = [other.source for other in (await client.status()).sources if other.kind == "microphone"]
    found = (footage_of(memory_dir, name, t0_s, t1_s) for name in beside if session_of(name)[1] == moment)
    return next(filter(None, found), [])


async def _cut(clips: Any, order: Any, source: str, t0_s: float, t1_s: float, made_of: MadeOf, note: str) -> Clip:
    made = await anyio.to_thread.run_sync(clips.cut, order)
    return Clip(source, t0_s, t1_s, made.duration_s, made_of, note)


async def _kept_pictures(
    client: Client, view: View, source: str, t0_s: float, t1_s: float
) -> tuple[tuple[float, bytes], ...]:
    """What memory kept of a stretch, with the picture that was there when it began."""
    before = await kept_picture(client, view, source, t0_s)
    inside = ScanRequest(
        view=view, source=source, channels=("frame",), t0_s=t0_s, t1_s=t1_s, limit=PICTURES_MAX, with_payload=True
    )
    frames = {frame.id: frame for frame in await client.scan(inside) if frame.payload}
    if before is not None and before.t0_s <= t0_s:
        frames[before.id] = before
    return tuple(sorted((frame.t0_s, frame.payload) for frame in frames.values() if frame.payload))


def _order(path: str, fingerprint: str, t_s: float, mask: tuple[Rect, ...], at_s: float = 0.0) -> Any:
    clips: Any = importlib.import_module(CLIPS)
    return clips.ClipOrder(
        stretches=((t_s, t_s + 1e-3),), out="", pieces=(clips.Piece(path, at_s),), fingerprint=fingerprint, mask=mask
    )


def _covered(stretches: tuple[tuple[float, float], ...], kept: list[Segment]) -> tuple[tuple[float, float], ...]:
    """The stretches as far as there is footage from the first to the last of it."""
    begin_s, end_s = kept[0].t0_s, kept[-1].t1_s
    cut = tuple((max(t0_s, begin_s), min(t1_s, end_s)) for t0_s, t1_s in stretches)
    return tuple(stretch for stretch in cut if stretch[1] - stretch[0] > 0.01) or stretches


def _has_recording(record: SourceRecord) -> bool:
    return record.kind == "file" and bool(record.fingerprint) and Path(record.uri).is_file()


async def _erased(client: Client, view: View, source: str, t0_s: float, t1_s: float) -> list[tuple[float, float]]:
    """Stretches that were erased at the user's wish."""
    request = ScanRequest(view=view, source=source, channels=("gap",), t0_s=t0_s, t1_s=t1_s)
    return [(gap.t0_s, gap.t1_s) for gap in await client.scan(request) if gap.facts(GapFacts).reason == "erased"]


def _without(t0_s: float, t1_s: float, erased: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """What is left of a stretch."""
    left, at_s = [], t0_s
    for begin_s, end_s in sorted(erased):
        if begin_s > at_s:
            left.append((at_s, min(begin_s, t1_s)))
        at_s = max(at_s, end_s)
    if at_s < t1_s:
        left.append((at_s, t1_s))
    return tuple(stretch for stretch in left if stretch[1] - stretch[0] > 0.01)


async def said_in(client: Client, source: str, t0_s: float | None, t1_s: float | None) -> tuple[Observation, ...]:
    """The utterances of a source that touch a stretch, in order; "" is every source."""
    view = await client.view((source,) if source else ())
    request = ScanRequest(view=view, source=source, channels=("speech",), t0_s=t0_s, t1_s=t1_s, limit=SPEECH_MAX)
    return await client.scan(request)
