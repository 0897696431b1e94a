"""Routes that change something: standing queries, forgetting, pausing, private regions, titles; and the archive."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.to_thread
from msgspec import Struct
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from runtime.errors import UserError
from runtime.footage import FOOTAGE, mark_beside, touching
from runtime.interfaces.commands.erasure import Wish, erase, forget_request, preview
from runtime.interfaces.evidence import export_request
from runtime.interfaces.web.api import Endpoint, Query, as_json, body_of, flag, get
from runtime.interfaces.web.remembered import Seen, seen_of, started_walls
from runtime.interfaces.web.served import NotThere, Served
from runtime.messages import ForgetReply, ForgetRequest, MaskRequest, StandingReply, StandingRequest, TimeWindow
from runtime.sources import MASKS_NAME, checked_mask, keep_mask, kept_masks, session_of
from runtime.titles import drop_titles, named, set_title, titles


class Standing(Struct, forbid_unknown_fields=True):
    """A change of the standing queries, as in `StandingRequest`."""

    action: Literal["add", "pause", "resume", "remove", "wrong", "why"]
    text: str = ""
    which: str = ""
    all: bool = False


class Stretch(Struct, forbid_unknown_fields=True):
    """A stretch of a source in media seconds."""

    source: str
    t0_s: float
    t1_s: float


class ForgetWish(Struct, forbid_unknown_fields=True, rename={"begin": "from", "end": "to"}):
    """What to forget: as typed after `forget` (`from`, `to`, `last`, `text`, `source`), or exact ``windows``."""

    begin: str = ""
    end: str = ""
    last: str = ""
    text: str = ""
    source: str = ""
    windows: tuple[Stretch, ...] = ()


class Forgetting(Struct, frozen=True):
    """What would go, or what went, with the proof (`ForgetReply`)."""

    done: bool
    windows: tuple[Stretch, ...]
    observations: dict[str, int]
    frames_bytes: int
    examples: tuple[Seen, ...]
    spans: int
    searched: dict[str, int]
    files: dict[str, int]
    traces: dict[str, int]
    bytes_before: int
    bytes_after: int
    owed: tuple[str, ...]
    unsearched: tuple[str, ...]


class Paused(Struct, frozen=True):
    paused: bool
    processes: tuple[str, ...]


class Mask(Struct, forbid_unknown_fields=True):
    """Private regions [x, y, width, height] in 0..1 of a live source, known by its label."""

    source: str
    mask: tuple[tuple[float, float, float, float], ...] = ()


class Title(Struct, forbid_unknown_fields=True):
    """What to call a source; "" takes its title away."""

    source: str
    title: str = ""


async def standing(served: Served, request: Request) -> Response:
    return as_json(await served.client.standing(StandingRequest()))


async def change_standing(served: Served, request: Request) -> Response:
    wanted = await body_of(request, Standing)
    reply = await served.client.standing(
        StandingRequest(
            action=wanted.action, text=wanted.text, which=wanted.which, all=wanted.all, conversation="page"
        )
    )  # fmt: skip
    if not reply.done:
        raise UserError(reply.said)
    return as_json(reply)


async def forget_preview(served: Served, request: Request) -> Response:
    meant = await _meant(served, request)
    return await _told(served, await preview(meant, served.client), meant, is_done=False)


async def forget(served: Served, request: Request) -> Response:
    meant = await _meant(served, request)
    # Before as well: what was prepared must not outlive what it shows by the time of erasing.
    await served.forgotten()
    done = await erase(meant, served.client)
    await served.forgotten()
    drop_titles(served.memory_dir, (await served.status()).sources)
    return await _told(served, done, meant, is_done=True)


async def _meant(served: Served, request: Request) -> ForgetRequest:
    wish = await body_of(request, ForgetWish)
    source = named(served.memory_dir, wish.source)
    if not wish.windows:
        return await forget_request(Wish(wish.begin, wish.end, wish.last, wish.text, source), served.client)
    if wish.begin or wish.end or wish.last or wish.source:
        raise UserError("give windows, or from, to, last and source; not both")
    for window in wish.windows:
        await served.record(window.source)
        if not 0 <= window.t0_s <= window.t1_s < 1e12:
            raise UserError(f"{window.t0_s:g}..{window.t1_s:g} s is no stretch")
    windows = tuple(TimeWindow(source=w.source, t0_s=w.t0_s, t1_s=w.t1_s) for w in wish.windows)
    return ForgetRequest(windows=windows, text=wish.text, wall_s=round(time.time(), 3))


async def _told(served: Served, reply: ForgetReply, meant: ForgetRequest, is_done: bool) -> Response:
    started = await started_walls(served)
    return as_json(
        Forgetting(
            done=is_done, windows=tuple(Stretch(w.source, w.t0_s, w.t1_s) for w in meant.windows),
            observations=reply.observations, frames_bytes=reply.frames_bytes,
            examples=tuple(seen_of(o, started) for o in reply.examples), spans=reply.spans, searched=reply.searched,
            files=reply.files, traces=reply.traces, bytes_before=reply.bytes_before, bytes_after=reply.bytes_after,
            owed=reply.owed, unsearched=reply.unsearched,
        )
    )  # fmt: skip


async def keep_footage(served: Served, request: Request) -> Response:
    """Have the footage of a stretch outlast the rest."""
    wanted = await body_of(request, Stretch)
    await served.record(wanted.source)
    if not session_of(wanted.source)[0]:
        raise UserError("footage is kept of live sources; a recording is kept where it is")
    if not 0 <= wanted.t0_s <= wanted.t1_s < 1e12:
        raise UserError(f"{wanted.t0_s:g}..{wanted.t1_s:g} s is no stretch")
    root = served.memory_dir / FOOTAGE
    if not touching(root, wanted.source, wanted.t0_s, wanted.t1_s):
        raise NotThere("no footage is kept of that stretch")
    await anyio.to_thread.run_sync(mark_beside, root, wanted.source, wanted.t0_s, wanted.t1_s)
    return as_json(wanted)


async def pause(served: Served, request: Request) -> Response:
    return as_json(Paused(True, await served.client.pause(True)))


async def resume(served: Served, request: Request) -> Response:
    return as_json(Paused(False, await served.client.pause(False)))


async def masks(served: Served, request: Request) -> Response:
    """Private regions of each live source, as they were last set here or stand in the profile."""
    kept = kept_masks(served.memory_dir / MASKS_NAME)
    listed = {own.name: own.mask for own in served.config.perception.live.sources}
    general = served.config.perception.vision.mask
    return as_json([Mask(label, kept.get(label, listed.get(label) or general)) for label in served.client.live_labels])


async def set_mask(served: Served, request: Request) -> Response:
    wanted = await body_of(request, Mask)
    if wanted.source not in served.client.live_labels:
        raise NotThere(f"no live source is called {wanted.source!r}")
    mask = checked_mask(wanted.mask)
    # Kept first: a process that is started again at this moment must not show what is to be private.
    keep_mask(served.memory_dir / MASKS_NAME, wanted.source, mask)
    await served.client.watcher(wanted.source, MaskRequest(mask=mask))
    return as_json(Mask(wanted.source, mask))


async def recordings(served: Served, request: Request) -> Response:
    """Source -> title."""
    return as_json(titles(served.memory_dir))


async def rename(served: Served, request: Request) -> Response:
    wanted = await body_of(request, Title)
    set_title(served.memory_dir, (await served.status()).sources, wanted.source, wanted.title)
    return as_json(titles(served.memory_dir))


async def export(served: Served, request: Request) -> Response:
    """All that memory holds, as the archive `export` writes."""
    path = served.scratch / "mindstream.zip"
    await anyio.Path(path).unlink(missing_ok=True)
    footage = flag(request, "footage")
    wanted = await anyio.to_thread.run_sync(export_request, served.config, served.memory_dir, path, footage)
    await served.client.export(wanted)
    gone = BackgroundTask(_remove, path)
    return FileResponse(path, media_type="application/zip", filename="mindstream.zip", background=gone)


async def _remove(path: Path) -> None:
    await anyio.Path(path).unlink(missing_ok=True)


_POST: dict[str, Any] = {"method": "POST", "group": "rule"}
_PUT: dict[str, Any] = {"method": "PUT", "group": "rule"}
ENDPOINTS = (
    get("/api/standing", "Standing queries and the newest notices", standing, "rule", StandingReply),
    Endpoint(
        path="/api/standing", about="Add, pause, resume or remove a standing query, or call a notice a false alarm",
        handle=change_standing,
        body=Standing, reply=StandingReply, **_POST,
    ),
    Endpoint(
        path="/api/forget/preview", about="What would be erased", handle=forget_preview, body=ForgetWish,
        reply=Forgetting, **_POST,
    ),
    Endpoint(path="/api/forget", about="Erase for good", handle=forget, body=ForgetWish, reply=Forgetting, **_POST),
    Endpoint(
        path="/api/footage/marks", about="Have the footage of a stretch outlast the rest", handle=keep_footage,
        body=Stretch, reply=Stretch, **_POST,
    ),
    Endpoint(path="/api/pause", about="See and hear nothing live for a while", handle=pause, reply=Paused, **_POST),
    Endpoint(path="/api/resume", about="Perceive again", handle=resume, reply=Paused, **_POST),
    get("/api/masks", "Private regions of live sources", masks, "rule", list[Mask]),
    Endpoint(path="/api/masks", about="Set the private regions of one", handle=set_mask, body=Mask, reply=Mask, **_PUT),
    get("/api/titles", "What sources are called, of those that have a title", recordings, "memory", dict[str, str]),
    Endpoint(
        path="/api/titles", about="Call a source something", handle=rename, body=Title, reply=dict[str, str], **_PUT
    ),
    get(
        "/api/export", "All that memory holds, as an archive", export, "memory", "application/zip",
        Query("footage", "with what is kept of live sources to be played", "boolean"),
    ),
)  # fmt: skip
