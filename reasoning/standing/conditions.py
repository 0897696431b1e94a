"""Conditions: what a standing query waits for, by which signs, and what of it cannot be sensed.

Pure. A condition is read once, as the Frame of its sentence; the same sentence gives the same condition, so that only
the sentence is kept. What the agent can sense depends on its encoders, which memory names for each source.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from reasoning.query.known import NAMING
from reasoning.standing.unsupported import EXAMPLES, nothing_in, why_unsupported
from reasoning.understand.frame import Frame
from reasoning.understand.grammar import parse_question
from runtime.language import lexicon
from runtime.language.lists import join, quote, with_article
from runtime.language.normalise import QUOTED, fold, words
from runtime.language.numbers import number_value
from runtime.language.stem import stem

Sign = Literal["voice", "said", "read", "person", "moving", "cut", "dark", "bright", "sound", "thing", "look"]

# What ends, or is not there, is no observation: only beginnings are noticed.
_ENDS = re.compile(
    r"\b(?:stops?|ends?|ceases?|finish(?:es)?|is over|nobody|no one|"
    r"nothing|none|no longer|no more|not|isn't|doesn't|without)\b"
)
ONLY_BEGINS = f"I notice what begins, not what ends or stays away, so I cannot wait for that; I can for {EXAMPLES}."
NO_WORD = 'Which word is to be said? Name it, as in "somebody says Texas".'
# After these a sentence about speech is not finished.
_OPEN_END = frozenset(map(stem, "say mention hear of about for utter".split()))
_ANYTHING = frozenset("something anything everything anybody somebody someone anyone everybody".split())
_NAMES_WORD = frozenset(map(stem, "word name phrase".split()))
# What tells of a condition and is no part of what is to be said, read or seen.
_WEAK = _NAMES_WORD | frozenset(
    map(stem, "again topic subject mention notice come go happen there first together hear see read".split())
)
_MOVES = frozenset(map(stem, "move movement motion moving".split()))
_SENSES = r"(?:hear|heard|see|seen|read|said|written|shown|mentioned)"
_EITHER = re.compile(rf"\b{_SENSES} (?:or|and) {_SENSES}\b")
_NEVER = datetime.datetime.fromtimestamp(0, datetime.UTC)


class Condition(Struct, frozen=True):
    """What is waited for; without ``signs`` nothing, and ``unsupported`` says why in a line.

    signs    by what it is recognised, surest first.
    words    those that speech or writing must carry: all of them, or one where there is ``any_word``.
    event    of a person or a moving thing: "appears" or "leaves"; ``colours`` it must have and ``sides`` where it must
             come or go ("left", "right", "top", "bottom"), if any.
    sounds   classes of sound, as perception names them. ``names``: things to be recognised, by the vocabulary's names
             where it has them: detections, tags of pictures, labels of sounds.
    beyond   words of it that need an encoder that may not be there ("kettle").
    """

    text: str
    signs: tuple[Sign, ...]
    words: tuple[str, ...] = ()
    any_word: bool = False
    event: str = "appears"
    colours: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()
    sounds: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()
    unsupported: str = ""


def parse_condition(text: str) -> Condition:
    """The condition a sentence names: "somebody speaks of the budget", "a person in red enters"."""
    if unsupported := why_unsupported(text):
        return Condition(text, (), unsupported=unsupported)
    written, text = text, _departing(text)
    condition = _read(text)
    return condition if written == text else msgspec.structs.replace(condition, text=written)


def _departing(text: str) -> str:
    """ "A car leaves" has no foliage in it: after what can go the word is a verb, put so that nobody mistakes it."""
    tokens = text.split()
    for i, token in enumerate(tokens[1:], 1):
        if fold(token).strip(".,;:!") == "leaves" and (
            lexicon.THINGS.of(tokens[i - 1]) or lexicon.KINDS.of(tokens[i - 1])
        ):
            tokens[i] = "departs"
    return " ".join(tokens)


def _read(text: str) -> Condition:
    frame = parse_question(text, _NEVER)
    stems = [stem(word) for word in words(text)]
    pointed = _pointed(stems)
    quoted = tuple(word for found in QUOTED.findall(text) for word in words(" ".join(found)))
    tells = bool(pointed & {"speech", "told", "text"}) or bool(quoted) or bool(_NAMES_WORD & set(stems))
    if _ENDS.search(fold(text)) and not quoted and not (pointed & {"speech", "told"} and frame.matter):
        return Condition(text, (), unsupported=ONLY_BEGINS)
    pictures = set(lexicon.PICTURES.of(text))
    sounds = tuple(lexicon.SOUNDS.of(text))
    if sounds and not quoted and not _NAMES_WORD & set(stems) and not pointed & {"told", "text"} and "say" not in stems:
        named = _names(text)
        beyond = tuple(n for n in named if not lexicon.SOUNDS.of(n))
        return Condition(text, ("sound", "thing") if beyond else ("sound",), sounds=sounds, names=beyond)
    if tells and not _only_heard(stems, quoted):
        return _of_words(text, frame, pointed, quoted)
    if pictures & {"dark", "bright"} and not frame.things and not _names(text):
        return Condition(text, ("dark",) if "dark" in pictures else ("bright",))
    if frame.predicate == "change" and pictures:
        return Condition(text, ("cut",))
    return _of_things(text, frame, stems)


def _pointed(stems: list[str]) -> set[str]:
    return {found.value for found in lexicon.POINTS.find(stems)}


def _only_heard(stems: list[str], quoted: tuple[str, ...]) -> bool:
    """ "I hear the doorbell" waits for a sound, "I hear Texas" for a word."""
    if quoted or "hear" not in stems or _NAMES_WORD & set(stems):
        return False
    at = stems.index("hear") + 1
    return at < len(stems) and stems[at] in ("a", "an", "the") and not {"say", "mention"} & set(stems)


def _of_words(text: str, frame: Frame, pointed: set[str], quoted: tuple[str, ...]) -> Condition:
    wanted = quoted or tuple(dict.fromkeys(w for w in _content(frame) if stem(w) not in _WEAK and w not in _ANYTHING))
    if not wanted:  # a number or nothing
        wanted = tuple(w for w in words(text) if number_value(w) is not None and w not in ("one", "once"))
    says = bool(pointed & {"speech", "told"})
    if not wanted and says:
        said = [stem(w) for w in words(text)]
        left = [w for w in words(text) if stem(w) not in lexicon.FRAMING and w not in _ANYTHING | lexicon.STOP_WORDS]
        unfinished = (
            said[-1] in _OPEN_END
            or said[-1] in ("the", "a")
            or (left and frame.predicate == "say")
            or "'" in text
            or '"' in text
        )
        return Condition(text, (), unsupported=NO_WORD) if unfinished else Condition(text, ("voice",))
    if not wanted:
        return Condition(text, ("read",))
    either = bool(_EITHER.search(fold(text))) or ("told" in pointed and not _by_somebody(frame, text))
    signs: tuple[Sign, ...] = ("said", "read") if either or not (says or "text" in pointed) else ("said",)
    if "text" in pointed and not _EITHER.search(fold(text)):
        signs = ("read",)
    return Condition(text, signs, words=wanted, any_word=" or " in _EITHER.sub(" ", QUOTED.sub(" ", fold(text))))


def _by_somebody(frame: Frame, text: str) -> bool:
    """Whether a person mentions it: what is heard, then, and not read."""
    by = fold(text).partition(" by ")[2]
    who = " ".join((*frame.of("speaker"), by))
    return lexicon.PERSON in lexicon.THINGS.of(who)


def _of_things(text: str, frame: Frame, stems: list[str]) -> Condition:
    event = "leaves" if frame.predicate == "leave" else "appears"
    sides = tuple(side for side in frame.sides if side in ("left", "right", "top", "bottom") and stem(side) in stems)
    sides = tuple(side for side in sides if not (side == "top" and frame.colours))
    things = [name for name in frame.things if not lexicon.CLOTHES.of(name)]
    named = tuple(n for n in _names(text) if lexicon.PERSON not in lexicon.THINGS.of(n) and not lexicon.CLOTHES.of(n))
    if things[:1] == [lexicon.PERSON] and not named:
        roles = tuple(w for w in words(text) if w in lexicon.SPECIFIC)
        return Condition(text, ("person",), event=event, colours=frame.colours, sides=sides, beyond=roles)
    if not named and (_MOVES & set(stems) or frame.colours or {"something", "anything"} & set(words(text))):
        return Condition(text, ("moving",), event=event, colours=frame.colours, sides=sides)
    if not named:
        return Condition(text, (), unsupported=nothing_in(text))
    told = tuple(dict.fromkeys(w for w in _content(frame) if stem(w) not in _WEAK and w not in _ANYTHING))
    names = tuple(
        dict.fromkeys(name for n in named for name in (lexicon.THINGS.of(n) or lexicon.KINDS.of(n) or [stem(n)]))
    )
    moving: tuple[Sign, ...] = ("thing", "moving")
    if any(lexicon.is_thing(name, "vehicle") for name in names):
        return Condition(text, moving, event=event, colours=frame.colours, sides=sides, names=names, beyond=named)
    # What is said and written tells of no going, and of no colour or side that is to be seen.
    only_seen = event == "leaves" or bool(frame.colours or sides)
    signs: tuple[Sign, ...] = ("thing",) if only_seen else ("thing", "said", "read")
    return Condition(
        text, signs, words=told, event=event, colours=frame.colours, sides=sides, names=names, beyond=named
    )


def _content(frame: Frame) -> list[str]:
    return [
        t.word for t in frame.terms
        if t.role != "speaker" and t.word not in lexicon.STOP_WORDS | _ANYTHING
        and (len(t.word) > 1 or t.word.isdigit())
    ]  # fmt: skip


def _names(text: str) -> tuple[str, ...]:
    """What of the condition names a thing, or tells what it does beyond coming and going."""
    stems = [stem(w) for w in words(text)]
    going = [p for p in lexicon.PREDICATES.find(stems) if p.value in GOING]
    weak = {stems[i] for p in going for i in range(p.start, p.start + p.length)} | _WEAK | _MOVES | _PICTURE_WORDS
    return tuple(
        w
        for w in dict.fromkeys(words(text))
        if len(w) > 1
        and w not in lexicon.STOP_WORDS | _ANYTHING
        and stem(w) not in weak
        and not (lexicon.SIDES.of(w) or lexicon.colour_of(w) or number_value(w) is not None)
    )


GOING = frozenset(("enter", "leave", "pass", "move", "stay"))
_PICTURE_WORDS = frozenset(map(stem, "picture image screen scene light dark black bright thing".split()))


def account(condition: Condition, encoders: Mapping[str, str], every: bool, has_model: bool = False) -> str:
    """What the agent will do about it and what it cannot, for the one who asked; a sentence or two."""
    if not condition.signs:
        return condition.unsupported
    goes = "leave" if condition.event == "leaves" else "come into view"
    if condition.sides:
        goes += f" at the {join(condition.sides, 'or')}"
    wanted = _as_written(condition.text, condition.words, "or" if condition.any_word else "and")
    recognised = _as_written(condition.text, condition.beyond) or join(condition.names)
    by = {
        "voice": "I hear somebody speak",
        "said": f"I hear {wanted} said",
        "read": f"I read {wanted} on screen" if wanted else "I read something on screen",
        "person": f"I see {_coloured('a person in', condition) or 'a person'} {goes}",
        "moving": f"I see something{_coloured('', condition)} that moves{_like_one(condition)} {goes}",
        "cut": "I see the picture change to another",
        "dark": "I see the picture go dark",
        "bright": "I see a dark picture become bright",
        "sound": f"I hear {join(_SOUNDS.get(kind, kind) for kind in condition.sounds) or 'a sound'}",
        "thing": f"I recognise {recognised}{_coming(condition)}",
        "look": "a language model that I show the picture to, now and then, says that it is so",
    }
    knows_things = recognises_things(encoders)
    signs = [sign for sign in condition.signs if sign != "thing" or (knows_things and condition.beyond)]
    promise = f"I will tell you {'each time' if every else 'once, when'} {join([by[sign] for sign in signs], 'or')}."
    if "look" in condition.signs:
        return promise
    if "thing" in condition.signs and condition.beyond:
        if "moving" in condition.signs and not knows_things:
            return f"{promise} I cannot tell {with_article(condition.names[0])} from other moving things."
        if not knows_things:
            return f"With the encoders I have I cannot see or hear it when {condition.text}. {promise}"
        if len(condition.names) > 1 and not has_model:
            return f"{promise} I recognise things by name; what they do I cannot tell without a language model."
    if condition.beyond and "person" in condition.signs:
        return f"{promise} I see people, not what they are: I cannot tell a {condition.beyond[0]} from others."
    return promise


def recognises_things(encoders: Mapping[str, str]) -> bool:
    """Whether things, pictures or sounds get names with these encoders (as memory names them)."""
    return any(key in encoders for key in (*NAMING, "labels")) or any(
        word in " ".join(encoders.values()) for word in ("tag", "COCO")
    )


_SOUNDS = {
    "impulse": "a bang or a knock",
    "steady noise": "a steady noise",
    "music-like": "music",
    "silence": "silence",
}


def _coloured(before: str, condition: Condition) -> str:
    return f"{before} {join(condition.colours)}" if condition.colours else ""


def _coming(condition: Condition) -> str:
    """How what is recognised must come or go, where that matters."""
    colour = f" in {join(condition.colours)}" if condition.colours else ""
    if condition.event == "leaves" or condition.sides:
        side = f" at the {join(condition.sides, 'or')}" if condition.sides else ""
        return f"{colour} and see it {'leave' if condition.event == 'leaves' else 'come'}{side}"
    return colour


def _like_one(condition: Condition) -> str:
    return f" as {with_article(condition.names[0])} does" if condition.names and condition.beyond else ""


def _as_written(text: str, wanted: tuple[str, ...], last: str = "and") -> str:
    """The wanted words, quoted, with the capitals they have in ``text``."""
    written = {word: token for token in re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text) for word in words(token)}
    return join((quote(written.get(word, word)) for word in wanted), last)
