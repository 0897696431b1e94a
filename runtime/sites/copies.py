"""The hub's copies of the sites' streams: kept as those are, and never emptied after a memory that was lost."""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread

from runtime.messages import ForgetRequest, Observation, decode
from runtime.sites.names import seq_of
from runtime.sites.stream import SiteStream, traces_in


def _digests(subjects: set[str]) -> set[str]:
    """The digests of observations in their subjects, whatever their numbers."""
    return {subject.rpartition(".")[2] for subject in subjects if ".log.o." in subject}


async def follow_origin(copy: SiteStream, origin: SiteStream) -> tuple[list[bytes], str]:
    """Take out of the copy what its origin let go of; what that was, and in a line why it is left as it is.

    A copy outlives its origin: where a site's stream has begun anew, its machine was lost or its memory deleted, and
    the copy is all there is. It is given up for the new one once that holds all that the copy does.
    """
    in_copy = await copy.subjects()
    if not in_copy:
        return [], ""
    state, in_origin = await origin.read_state(), await origin.subjects()
    copied = await copy.read_state()
    is_same = state.place >= copied.place and (bool(in_copy & in_origin) or not in_origin)
    if is_same:
        return await copy.erase(sorted(in_copy - in_origin)), ""
    if in_origin and _digests(in_copy) <= _digests(in_origin):  # rebuilt, and numbered anew
        await copy.delete()
        await copy.make_mirror()
        return [], ""
    site = copy.site
    return [], (
        f"{site}: its memory is another than the one that was copied here; `sites rebuild {site}` brings that back,"
        f" `sites invite {site} --anew` gives it up"
    )


async def erase_matching(copy: SiteStream, request: ForgetRequest) -> list[bytes]:
    """Take out of a copy whose site is away what a wish is about: all of its stretches, or what holds its words. What
    rests on that goes when the site has paid."""
    words = request.text.casefold()
    numbers: set[int] = set()
    ids: set[str] = set()
    async for message in copy.messages():
        if ".log.o." not in (message.subject or ""):
            continue
        o = decode(message.data or b"")
        assert isinstance(o, Observation)
        inside = not request.windows or any(
            o.source == w.source and o.t0_s <= w.t1_s and o.t1_s >= w.t0_s for w in request.windows
        )
        if inside and words in (message.data or b"").decode("utf-8", "replace").casefold():
            numbers.add(seq_of(message.subject or ""))
            ids.add(o.id)
        elif o.channel == "frame" and ids.intersection(o.evidence):  # a picture of the forgotten words
            numbers.add(seq_of(message.subject or ""))
    return await copy.erase(sorted(subject for subject in await copy.subjects() if seq_of(subject) in numbers))


async def proof(folder: Path, gone: list[bytes]) -> dict[str, int]:
    """Which of the files in ``folder`` still hold some of this."""
    traces = await anyio.to_thread.run_sync(traces_in, folder, gone)
    return {name: n for name, n in traces.items() if n}
