"""What the active encoders can know: by what each source says of itself, never by what an encoder usually is.

A thing that nothing active could have recognised was not "not there".
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from runtime.language import lexicon
from runtime.language.coco import names_of
from runtime.language.vocabulary import load_vocabulary
from runtime.messages import SourceRecord

# What SourceOpened.encoders calls the encoder that names things in pictures, and that which tags them.
NAMING = ("things", "detector", "tags", "tag")
# What is followed by its movement alone, or by its figure, without naming things.
FIGURES = ("person", "face")


class Known(Struct, frozen=True):
    """What can be recognised in some sources.

    names    of things that are recognised; ``by`` which encoders name them, in words.
    sees, hears, reads   whether anything looks, understands speech, reads.
    names_sounds         whether sounds are told by name.
    """

    names: frozenset[str]
    by: str
    sees: bool
    hears: bool
    reads: bool
    names_sounds: bool

    def recognises(self, thing: str) -> bool:
        """Whether a thing of the vocabulary, or one of a kind, would be recognised."""
        thing = lexicon.IMPLIES.get(thing, thing)
        return any(lexicon.is_thing(name, thing) for name in self.names)


def known_of(records: Iterable[SourceRecord]) -> Known:
    """What is recognised in these sources together."""
    encoders: dict[str, str] = {}
    for record in records:
        encoders.update(record.encoders)
    names: set[str] = set()
    vocabulary = load_vocabulary()
    naming = [value for key, value in encoders.items() if key in NAMING]
    for value in naming:
        few = names_of(value, vocabulary)
        names |= set(vocabulary.tags) if few is None else few
    if "object" in encoders:
        names |= set(FIGURES)
    by = encoders.get("object") or "".join(naming[:1])
    return Known(
        names=frozenset(names),
        by=by.partition(" (")[0],
        sees="frame" in encoders or "object" in encoders,
        hears="speech" in encoders,
        reads="text" in encoders,
        names_sounds="events" in encoders or "sound events" in encoders,
    )
