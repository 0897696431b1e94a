"""The names of things: one vocabulary for what pictures are tagged with, detectors name and questions ask for.

A file in `configs/tags/` is the data; `configs/tags/everyday.yaml` documents its keys. A thing has one name, by which
it is told, and synonyms, by which people and other programs call it ("tv", "couch"). Some are of a kind ("a vehicle"),
which has synonyms too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated

import msgspec
import yaml
from msgspec import Meta, Struct

from runtime import program
from runtime.errors import ConfigError

EVERYDAY = "everyday"
VOCABULARIES = program.ROOT / "configs" / "tags"

Score = Annotated[float, Meta(ge=0, le=1)]
Texts = Annotated[tuple[str, ...], Meta(min_length=1)]


class Thing(Struct, frozen=True, forbid_unknown_fields=True):
    """A thing with more to it than its descriptions.

    descriptions  texts that an open_clip model compares pictures with.
    synonyms      other words for the same thing.
    kind          what it is one of, a key of ``kinds``; "" if it is of none.
    threshold     least score of its tag, where it is not the vocabulary's.
    """

    descriptions: Texts
    synonyms: tuple[str, ...] = ()
    kind: str = ""
    threshold: Score | None = None


class Kind(Struct, frozen=True, forbid_unknown_fields=True):
    """What several things are.

    synonyms  other words for it.
    moves     whether such a thing gets about by itself.
    """

    synonyms: tuple[str, ...] = ()
    moves: bool = False


class Vocabulary(Struct, frozen=True, dict=True, forbid_unknown_fields=True):
    """What is sought in pictures, and what it is called."""

    tags: Annotated[dict[str, Texts | Thing], Meta(min_length=1)]
    neutral: Texts = ("a photo.",)
    templates: Texts = ("{}",)
    threshold: Score = 0.9
    kinds: dict[str, Kind] = {}

    def thing(self, name: str) -> Thing:
        entry = self.tags[name]
        return entry if isinstance(entry, Thing) else Thing(entry)

    def descriptions(self, name: str) -> list[str]:
        """All texts that stand for a thing: each description in each template."""
        said = self.thing(name).descriptions
        return [template.replace("{}", words) for template in self.templates for words in said]

    def threshold_of(self, name: str) -> float:
        own = self.thing(name).threshold
        return self.threshold if own is None else own

    def key(self) -> str:
        """16 hex digits of all that the vectors of its tags depend on."""
        texts = [list(self.neutral), *([name, *self.descriptions(name)] for name in self.tags)]
        return hashlib.sha256(msgspec.json.encode(texts)).hexdigest()[:16]

    def words_for(self, name: str) -> tuple[str, ...]:
        """The name and its synonyms; of a name that is not here, itself."""
        return (name, *self.thing(name).synonyms) if name in self.tags else (name,)

    def name_of(self, word: str) -> str | None:
        """The name of the thing a word stands for, in whatever case: "Couch" is a sofa; None if it stands for none."""
        return self._by_word.get(_plain(word))

    def kind_of(self, name: str) -> str:
        """What kind of thing a name stands for; "" where that is not known."""
        return self.thing(name).kind if name in self.tags else ""

    def things_of(self, word: str) -> tuple[str, ...]:
        """The names of all that a word, singular or plural, may stand for: one thing, or all of a kind ("vehicles")."""
        for form in _singulars(_plain(word)):
            kind = next((k for k, entry in self.kinds.items() if form in map(_plain, (k, *entry.synonyms))), "")
            if kind:
                return tuple(name for name in self.tags if self.kind_of(name) == kind)
            if (name := self._by_word.get(form)) is not None:
                return (name,)
        return ()

    def moves(self, name: str) -> bool:
        """Whether such a thing gets about by itself."""
        kind = self.kinds.get(self.kind_of(name))
        return kind is not None and kind.moves

    @cached_property
    def _by_word(self) -> dict[str, str]:
        return {_plain(word): name for name in self.tags for word in self.words_for(name)}


@cache
def load_vocabulary(name_or_path: str = EVERYDAY) -> Vocabulary:
    """A vocabulary by its name in `configs/tags/` or by its path; read once.

    Raises:
        ConfigError: there is no such file, or it is not a vocabulary.
    """
    named = VOCABULARIES / f"{name_or_path}.yaml"
    path = named if named.is_file() else Path(name_or_path).expanduser()
    try:
        vocabulary = msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), Vocabulary)
    except OSError as error:
        raise ConfigError(f"perception.vision.tags: {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"perception.vision.tags: {path}: not YAML") from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"perception.vision.tags: {path}: {error}") from error
    for problem in _problems(vocabulary):
        raise ConfigError(f"perception.vision.tags: {path}: {problem}")
    return vocabulary


def _problems(vocabulary: Vocabulary) -> Iterator[str]:
    """What would leave it open which thing a word stands for."""
    meant: dict[str, str] = {}
    for name in vocabulary.tags:
        for word in vocabulary.words_for(name):
            other = meant.setdefault(_plain(word), name)
            if other != name:
                yield f"{word!r} stands for both {other!r} and {name!r}"
        kind = vocabulary.kind_of(name)
        if kind and kind not in vocabulary.kinds:
            yield f"{name!r} is of kind {kind!r}, which is none of kinds ({', '.join(vocabulary.kinds)})"


def _plain(word: str) -> str:
    return " ".join(word.casefold().replace("-", " ").replace("_", " ").split())


def _singulars(word: str) -> Iterator[str]:
    """The word as it is, then without the ending of a regular plural: what else a plural may be is a synonym."""
    yield word
    if word.endswith("s"):
        yield word[:-1]
    if word.endswith("es"):
        yield word[:-2]
