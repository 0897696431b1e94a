"""An archive made of what a memory told of itself, entry by entry, to whoever followed it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from memory.archive.exporter import archived, seal, writing_to
from memory.archive.format import ERASURES, OBSERVATIONS, SOURCES, SPANS, ArchivedErasure, ArchivedObservation
from runtime.messages import Observation, SourceRecord, Tombstone


def unfold(
    path: Path,
    sources: Iterable[SourceRecord],
    observations: Iterable[Observation],
    erasures: Iterable[Tombstone],
) -> None:
    """Write the folder ``path``. ``observations`` are in the order in which they were stored, with their pictures;
    spans are made anew by whoever imports it, since they follow from them."""
    counts = {"pictures": 0}
    with writing_to(path, as_zip=False) as target:

        def lines() -> Iterator[ArchivedObservation]:
            for number, o in enumerate(observations, start=1):
                if o.payload is not None:
                    target.write(f"pictures/{number}.jpg", o.payload)
                    counts["pictures"] += 1
                yield archived(o, number, o.payload)

        counts["sources"] = target.write_lines(SOURCES, sources)
        counts["observations"] = target.write_lines(OBSERVATIONS, lines())
        counts["spans"] = target.write_lines(SPANS, ())
        stones = (ArchivedErasure(e.source, e.channel, e.t0_s, e.t1_s, e.erased_wall_s) for e in erasures)
        target.write_lines(ERASURES, stones)
        seal(target, counts)
