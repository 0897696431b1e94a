"""The lexicon: phrases by what they do in a question, names of things, words that mean the same.

Phrases are found by stems, longest first, each position once, so that reading a question takes time in proportion to
its length. `lexicon.yaml` holds the data and says what each section is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from msgspec import Struct

from runtime.language.data import LEXICON, PLACES
from runtime.language.normalise import words
from runtime.language.stem import stem
from runtime.language.vocabulary import load_vocabulary


class Phrase(Struct, frozen=True):
    """A phrase of a section, found at ``start``, over ``length`` words."""

    value: str
    start: int
    length: int


class PhraseTable:
    """Phrases of the lexicon -> what they stand for."""

    def __init__(self, phrases: Iterable[tuple[str, str]]) -> None:
        self._by_first: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        for phrase, value in phrases:
            stems = tuple(stem(word) for word in words(phrase))
            if stems:
                self._by_first.setdefault(stems[0], []).append((stems, value))
        for listed in self._by_first.values():
            listed.sort(key=lambda entry: -len(entry[0]))

    def at(self, stems: Sequence[str], start: int) -> Phrase | None:
        """The longest phrase that begins at ``start``."""
        for wanted, value in self._by_first.get(stems[start], ()):
            if tuple(stems[start : start + len(wanted)]) == wanted:
                return Phrase(value, start, len(wanted))
        return None

    def leading(self, stems: Sequence[str]) -> int:
        """How many of the first words are phrases of it."""
        at = 0
        while at < len(stems) and (found := self.at(stems, at)) is not None:
            at += found.length
        return at

    def find(self, stems: Sequence[str]) -> Iterator[Phrase]:
        """All phrases of it, in order, none over another."""
        at = 0
        while at < len(stems):
            found = self.at(stems, at)
            if found is not None:
                yield found
            at += found.length if found is not None else 1

    def of(self, text: str) -> list[str]:
        """What the phrases in ``text`` stand for, each once, in order."""
        return list(dict.fromkeys(found.value for found in self.find([stem(word) for word in words(text)])))


def table(section: Mapping[str, Iterable[str]]) -> PhraseTable:
    """A section whose values are lists of phrases."""
    return PhraseTable((str(phrase), value) for value, phrases in section.items() for phrase in phrases)


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in text.split())


STOP_WORDS: frozenset[str] = frozenset(LEXICON["stop"].split())
FRAMING = _stems(LEXICON["framing"])
LEADS = table({"": LEXICON["leads"]})
OPENINGS = table(LEXICON["openings"])
MARKS = table(LEXICON["marks"])
POINTS = table(LEXICON["points"])
PREDICATES = table(LEXICON["predicates"])
TYPES = table(LEXICON["types"])
LIGHT_VERBS = _stems(LEXICON["light_verbs"])
MEASURED = frozenset(LEXICON["measured"])
_VOCABULARY = load_vocabulary()
PERSON = "person"
THINGS = PhraseTable(
    [(word, name) for name in _VOCABULARY.tags for word in _VOCABULARY.words_for(name)]
    + [(word, PERSON) for word in LEXICON["people"]]
)
KINDS = PhraseTable((word, name) for name, kind in _VOCABULARY.kinds.items() for word in (name, *kind.synonyms))
SOUNDS = table(LEXICON["sounds"])
PICTURES = table(LEXICON["pictures"])
SIDES = table(LEXICON["sides"] | {side: [*LEXICON["sides"][side], side] for side in ("top", "bottom")})
NOT_NAMES = frozenset(LEXICON["not_names"].split())
ORGANISATIONS = frozenset(LEXICON["organisations"])
CREDITS = frozenset(LEXICON["credits"])
SPECIFIC = frozenset(LEXICON["specific"])
ON_FOOT: frozenset[str] = frozenset(LEXICON["on_foot"])
IMPLIES: dict[str, str] = LEXICON["implies"]
RECALLED = table(LEXICON["recalled"])
STEPS = table(LEXICON["steps"])
REJECTING = table({"": LEXICON["rejecting"]})
TELLING = table({"": LEXICON["telling"]})
TALK = table(LEXICON["talk"])
LANGUAGES: dict[str, dict[str, str]] = LEXICON["languages"]
PRESENCE = table(LEXICON["presence"])
SOURCE_KINDS: dict[str, list[str]] = LEXICON["sources"]
SOURCES = table(SOURCE_KINDS)
EVERYTHING = table({"": LEXICON["everything"]})
EMPTY: frozenset[str] = frozenset(LEXICON["empty"])
CALLED: frozenset[str] = frozenset(LEXICON["called"])
HERE: frozenset[str] = frozenset(LEXICON["here"])
OF_SCENE: frozenset[str] = frozenset(LEXICON["of_scene"])
LOCATING: frozenset[str] = frozenset(LEXICON["locating"])
CONTRACTIONS: dict[str, str] = LEXICON["contractions"]
CLOTHES = table(LEXICON["clothes"])
WORN: frozenset[str] = frozenset(LEXICON["worn"])
COLOURS: tuple[str, ...] = tuple(LEXICON["colours"])
_COLOUR_NAMES: dict[str, str] = LEXICON["colour_names"]
_PLACES = {kind: PhraseTable((entry, entry) for entry in entries) for kind, entries in PLACES.items()}


def colour_of(word: str) -> str:
    """The colour a folded word names, in the words that perception uses; "" where it names none."""
    word = _COLOUR_NAMES.get(word, word)
    return word if word in COLOURS else ""


def colours_in(text: str) -> tuple[str, ...]:
    """The colours that ``text`` names, each once, in order."""
    return tuple(dict.fromkeys(colour for word in words(text) if (colour := colour_of(word))))


@lru_cache(maxsize=8192)
def is_thing(named: str, asked: str) -> bool:
    """Whether what a detector or tagger names so is what is asked for, by another name or as one of its kind."""
    known = _VOCABULARY.name_of(named) or named
    return known == asked or asked in known.split() or _VOCABULARY.kind_of(known) == asked


def places_in(kind: str, text: str) -> list[str]:
    """The entries of a list of `places.yaml` ("city") that ``text`` names, in order."""
    kinds = ("state", "country", "city") if kind == "place" else (kind,)
    return list(dict.fromkeys(found for name in kinds if name in _PLACES for found in _PLACES[name].of(text)))


def _groups() -> dict[str, frozenset[int]]:
    groups: dict[str, set[int]] = {}
    for number, (head, others) in enumerate(LEXICON["related"].items()):
        for word in others.split():
            groups.setdefault(stem(word), set()).add(2 * number)
        groups.setdefault(stem(head), set()).add(2 * number + 1)
    return {word: frozenset(numbers) for word, numbers in groups.items()}


_GROUPS = _groups()


@lru_cache(maxsize=65536)
def is_related(asked: str, found: str) -> bool:
    """Whether two stems belong to one everyday subject, one of them being its name ("price", "dollar")."""
    a, b = _GROUPS.get(asked), _GROUPS.get(found)
    return bool(a and b) and any(number ^ 1 in b for number in a)  # type: ignore[operator, union-attr]
