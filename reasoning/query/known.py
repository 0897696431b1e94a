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
    """What can be recognised in some sources: the ``names`` of things, and ``by`` which encoder, in words; whether
    ``sounds`` are told by name."""

    names: frozenset[str]
    by: str
    sounds: bool = False

    def recognises(self, thing: str) -> bool:
        """Whether a thing of the vocabulary, or one of a kind, would be recognised."""
        thing = lexicon.IMPLIES.get(thing, thing)
        return any(lexicon.is_thing(name, thing) for name in self.names)


def known_of(records: Iterable[SourceRecord]) -> Known:
    """What is recognised in these sources together."""
    encoders = {name: told for record in records for name, told in record.encoders.items()}
    vocabulary = load_vocabulary()
    naming = [told for name, told in encoders.items() if name in NAMING]
    names = set(FIGURES) if "object" in encoders else set()
    for told in naming:
        few = names_of(told, vocabulary)
        names |= set(vocabulary.tags) if few is None else few
    by = encoders.get("object") or "".join(naming[:1])
    return Known(frozenset(names), by.partition(" (")[0], "," in encoders.get("sound", ""))
