"""Routes that show the evidence itself: pictures, clips, transcripts, what is before a camera now."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from runtime.errors import UserError
from runtime.interfaces.evidence import kept_picture, picture_at, said_in
from runtime.interfaces.transcript import FORMATS, MEDIA_TYPES, transcript
from runtime.interfaces.web.api import FROM, SOURCE, TO, Query, as_json, get, number
from runtime.interfaces.web.remembered import Seen, one, seen_of, started_walls
from runtime.interfaces.web.served import NotThere, Served


async def frame(served: Served, request: Request) -> Response:
    """A kept frame by its id, or what a source showed at a moment."""
    if id_ := request.query_params.get("id", ""):
        found = await one(served, id_, with_payload=True)
        if not found.payload:
            raise NotThere(f"no picture is kept of {id_!r}")
        return Response(found.payload, media_type="image/jpeg")
    record = await served.record(request.query_params.get("source", ""))
    if request.query_params.get("kept", "") in ("1", "true"):
        view = await served.client.view((record.source,))
        kept = await kept_picture(served.client, view, record.source, number(request, "t_s"))
        if kept is None or kept.payload is None:
            raise NotThere(f"no picture is kept of {record.source} around that moment")
        headers = {"x-made-of": "kept pictures", "x-media-time": f"{kept.t0_s:.3f}"}
        return Response(kept.payload, media_type="image/jpeg", headers=headers)
    try:
        shown = await picture_at(served.client, served.config, served.memory_dir, record.source, number(request, "t_s"))
    except UserError as error:
        raise NotThere(str(error)) from None
    headers = {"x-made-of": shown.made_of, "x-media-time": f"{shown.t_s:.3f}"}
    return Response(shown.jpeg, media_type="image/jpeg", headers=headers)


async def clip(served: Served, request: Request) -> Response:
    """An MP4 of a stretch; parts of it may be asked for, as players do."""
    record = await served.record(request.query_params.get("source", ""))
    t0_s, t1_s = number(request, "t0_s"), number(request, "t1_s")
    path, made = await served.clip(record.source, t0_s, t1_s)
    headers = {
        "x-made-of": made.made_of,
        "x-note": made.note.encode("ascii", "replace").decode(),
        "x-begins-at": f"{made.t0_s:.3f}",
    }
    return FileResponse(path, media_type="video/mp4", headers=headers, content_disposition_type="inline")


class ClipFacts(Struct, frozen=True):
    """What a clip will show, before its bytes are fetched from ``url``."""

    source: str
    t0_s: float
    t1_s: float
    duration_s: float
    made_of: str
    note: str
    url: str
    said: tuple[Seen, ...]


async def clip_facts(served: Served, request: Request) -> Response:
    """Make a clip, and say what it is made of, with what is said in it."""
    record = await served.record(request.query_params.get("source", ""))
    _, made = await served.clip(record.source, number(request, "t0_s"), number(request, "t1_s"))
    said = await said_in(served.client, record.source, made.t0_s, made.t1_s)
    started = await started_walls(served)
    url = request.url_for("/api/clip").include_query_params(source=record.source, t0_s=made.t0_s, t1_s=made.t1_s)
    return as_json(
        ClipFacts(
            source=record.source, t0_s=made.t0_s, t1_s=made.t1_s, duration_s=made.duration_s, made_of=made.made_of,
            note=made.note, url=f"{url.path}?{url.query}", said=tuple(seen_of(o, started) for o in said),
        )
    )  # fmt: skip


async def words(served: Served, request: Request) -> Response:
    """What was said, as a file."""
    form: Any = request.query_params.get("format", "json")
    if form not in FORMATS:
        raise UserError(f"there is no format {form!r}; it is {', '.join(FORMATS)}")
    record = await served.record(request.query_params.get("source", ""))
    t0_s, t1_s = number(request, "t0_s", 0.0), number(request, "t1_s", 1e12)
    said = await said_in(served.client, record.source, t0_s, t1_s)
    return Response(transcript(said, form, t0_s), media_type=MEDIA_TYPES[form])


ENDPOINTS = (
    get(
        "/api/frame", "A picture: a kept one by its id, or of a moment", frame, "evidence", "image/jpeg",
        Query("id", "id of a frame"), SOURCE, Query("t_s", "media seconds", "number"),
    ),
    get("/api/clip", "A stretch as MP4", clip, "evidence", "video/mp4", SOURCE, FROM, TO),
    get(
        "/api/clip/facts", "What a clip is made of, and what is said in it", clip_facts, "evidence", ClipFacts,
        SOURCE, FROM, TO,
    ),
    get(
        "/api/transcript", "What was said", words, "evidence", "text/plain",
        SOURCE, FROM, TO, Query("format", "json, txt, srt or vtt"),
    ),
)  # fmt: skip
