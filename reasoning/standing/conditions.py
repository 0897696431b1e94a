"""Conditions: what a standing query waits for, by which signs, and what of it cannot be sensed.

Pure. A condition is read once, from words; the same sentence gives the same condition, so that only the
sentence is kept. What the agent can sense depends on its encoders, which memory names for each source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from reasoning.answer.draft import join, quote
from reasoning.query.visual_events import (
    BORDER,
    CHANGE,
    CLOTHING,
    LEAVING,
    MOVING,
    PEOPLE,
    ROLES,
    SHOT,
    SOUND,
    VEHICLES,
    WRITING,
    sound_classes,
    vehicle_named,
)
from reasoning.standing.unsupported import EXAMPLES, nothing_in, why_unsupported
from reasoning.understand.lexicon import COLOURS
from reasoning.understand.questions import FRAMING, QUOTED
from reasoning.understand.words import STOP_WORDS, fold, number_value, stem, words

Sign = Literal["voice", "said", "read", "person", "moving", "cut", "dark", "bright", "sound", "thing"]

_MENTIONS = r"(?:mentions?|mentioning|brings? up|refers? to)"
_MENTIONED = (
    r"(?:(?:gets?|is|are|there's) )?(?:an?|any) mentions? (?:(?:is|are) made )?of|gets? an? mention|"
    r"comes? up(?! (?:the|to|from|behind)\b)|(?:is|are|gets?) (?:mentioned|brought up|referred to)"
)
# Who says it stands before, the words after; of what is said or mentioned the words come first.
_SAYS = re.compile(
    rf"\b(?:says?|saying|{_MENTIONS}|(?:speak|talk)(?:s|ing)? (?:of|about)|discuss(?:es)?|asks? (?:for|about)|calls?|"
    # "I hear a dog" is no word that is said.
    r"utters?|announces?|(?:i|you) hear(?! (?:an?|the) (?!words?\b|names?\b|phrases?\b)))\b"
)
_SAID = re.compile(rf"\b(?:{_MENTIONED}|(?:is|are|gets?) (?:said|spoken(?: of)?|discussed|announced|called))\b")
# A caption or a sign may mention something, too, but for a person whoever mentions it is heard.
_MENTION = re.compile(rf"\b(?:{_MENTIONS}|{_MENTIONED})\b|^it says\b")
_BY_SOMEBODY = re.compile(
    r"\b(?:(?:some|any)(?:one|body)|persons?|people|m[ae]n|wom[ae]n|speakers?|he|she|they|i|we|you) "
    rf"(?:\w+ )?{_MENTIONS}\b|\bby (?:(?:some|any)(?:one|body)|him|her|them|(?:the|a) (?:person|man|woman|speaker))\b"
)
_HEARD_OR_READ = re.compile(
    r"\b(?:hear|heard|said|spoken|mentioned) (?:or|and) (?:see|seen|read|written|shown)\b|"
    r"\b(?:see|seen|read|written|shown) (?:or|and) (?:hear|heard|said|spoken|mentioned)\b"
)
_READS = re.compile(
    r"\b(?:reads?|(?:is|are|gets?) (?:written|shown|displayed)|written|appears? on (?:the )?screen|"
    r"on (?:the )?screen|on a (?:sign|slide)|(?:appears? )?(?:in|on) (?:the |a )?(?:captions?|subtitles?)|"
    r"the (?:sign|screen|slide|caption|title|display|page) (?:says?|shows?|reads?)|the words?|the text|you read)\b"
)
_SPOKEN_WORD = re.compile(r"\bthe (?:word|name|phrase)s? ([^,]+?)(?: (?:is|are|gets?|comes?|appears?)\b.*)?$")
_VOICE = re.compile(
    r"^(?:(?:some|any)(?:one|body)|(?:a|the) (?:person|man|woman|voice|speaker)|people|they|he|she|there is)?\s*"
    r"(?:(?:starts?|begins?) (?:to )?)?(?:"
    r"speaks?|talks?|speaking|talking|says? (?:something|anything)|voices?|speech)(?: again)?$"
)
_ARRIVES = frozenset(
    stem(word)
    for word in "appear enter come arrive walk show pass approach visit return join stand sit is step cross run".split()
)
_WHERE = frozenset(stem(word) for word in "left right top bottom side first again below above together".split())
_DARK = re.compile(
    r"\b(?:goes|gets|is|becomes|turns) (?:dark|black)\b|"
    r"\blights? (?:goes?|go|is|are|turned|switched)? ?(?:off|out)\b|\bdarkness\b"
)
_BRIGHT = re.compile(
    r"\b(?:gets|is|becomes|turns|goes) (?:bright|light)\b|"
    r"\blights? (?:goes?|go|comes?|come|is|are|turned|switched)? ?on\b"
)
# What ends, or is not there, is no observation: only beginnings are noticed.
_ENDS = re.compile(
    r"\b(?:stops?|ends?|ceases?|finish(?:es)?|is over|nobody|no one|"
    r"nothing|none|no longer|no more|not|isn't|doesn't|without)\b"
)
ONLY_BEGINS = f"I notice what begins, not what ends or stays away, so I cannot wait for that; I can for {EXAMPLES}."
NO_WORD = 'Which word is to be said? Name it, as in "somebody says Texas".'
# What a sentence about speech may leave open, and what it must not end with.
_OPEN_END = re.compile(r"\b(?:says?|saying|mentions?|mentioning|hear|of|about|for|utters?)$")
_ANYTHING = frozenset("something anything everything anybody somebody someone anyone".split())
_OR = re.compile(r"\bor\b")
_ON_SCREEN = re.compile(r"\b(?:text|screens?|signs?|slides?|captions?|subtitles?|titles?|displays?|pages?)\b")
_SUBJECTS = frozenset(
    stem(word) for word in "someone somebody anyone anybody person people man woman he she they speaker".split()
)
_NOTICED = frozenset(map(stem, ("hear", "see", "notice")))
_WEAK = frozenset(
    stem(word)
    for word in "word name phrase text sign screen slide caption subtitle title page again topic subject".split()
)


class Condition(Struct, frozen=True):
    """What is waited for; without ``signs`` nothing, and ``unsupported`` says why in a line.

    signs    by what it is recognised, surest first.
    words    those that speech or writing must carry: all of them, or one where there is ``any_word``.
    event    of a person or a moving thing: "appears" or "leaves"; ``colours`` it must have and ``sides`` where it must
             come or go ("left", "right", "top", "bottom"), if any.
    sounds   classes of sound, as perception names them. ``names``: stems of things to be recognised by
             name: tags of pictures, labels of sounds.
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
    low = fold(text)
    stems = [stem(word) for word in words(text)]
    asked = frozenset(stems)
    if _ENDS.search(low) and not QUOTED.search(text) and not _tells_words(low):
        return Condition(text, (), unsupported=ONLY_BEGINS)
    if _VOICE.match(low):
        return Condition(text, ("voice",))
    quoted = tuple(word for found in QUOTED.findall(text) for word in words(" ".join(found)))
    if quoted or _tells_words(low) or _READS.search(low) or _SPOKEN_WORD.search(low):
        return _of_words(text, low, quoted)
    if _DARK.search(low) or _BRIGHT.search(low):
        return Condition(text, ("dark",) if _DARK.search(low) else ("bright",))
    if asked & SHOT and asked & CHANGE:
        return Condition(text, ("cut",))
    content = _content(text)
    colours = tuple(word for word in words(text) if word in COLOURS)
    event = "leaves" if asked & LEAVING or re.search(r"\bgoes? away\b|\bgone\b", low) else "appears"
    things = [
        word
        for word in content
        if stem(word) not in PEOPLE | ROLES | MOVING | _ARRIVES | LEAVING and word not in _ANYTHING | COLOURS
    ]
    named = tuple(dict.fromkeys(stem(word) for word in things if stem(word) not in FRAMING))
    if heard := sound_classes(text):
        return Condition(text, ("sound", "thing") if named else ("sound",), sounds=heard, names=named)
    if asked & SOUND and not named:
        return Condition(text, ("sound",))
    sides = tuple(dict.fromkeys(BORDER.findall(low)))
    if asked & (PEOPLE | ROLES) and not [word for word in things if stem(word) not in CLOTHING | _WHERE]:
        roles = tuple(word for word in content if stem(word) in ROLES)
        return Condition(text, ("person",), event=event, colours=colours, sides=sides, beyond=roles)
    if (asked & MOVING or asked & {stem("something"), stem("anything")}) and not named:
        return Condition(text, ("moving",), event=event, colours=colours, sides=sides)
    if asked & VEHICLES:
        vehicle = tuple(word for word in content if stem(word) in VEHICLES)
        return Condition(
            text, ("thing", "moving"), event=event, colours=colours, sides=sides, names=tuple(map(stem, vehicle)),
            beyond=vehicle,
        )  # fmt: skip
    if asked & WRITING and not named:
        return Condition(text, ("read",))
    if colours and not named:
        return Condition(text, ("moving",), event=event, colours=colours, sides=sides)
    if not named:
        return Condition(text, (), unsupported=nothing_in(text))
    told = tuple(dict.fromkeys(word for word in content if stem(word) not in _SUBJECTS | _NOTICED))
    return Condition(text, ("thing", "said", "read"), words=told, names=named, beyond=tuple(things))


def account(condition: Condition, encoders: Mapping[str, str], every: bool, has_model: bool = False) -> str:
    """What the agent will do about it and what it cannot, for the one who asked; a sentence or two."""
    if not condition.signs:
        return condition.unsupported
    goes = "leave" if condition.event == "leaves" else "come into view"
    if condition.sides:
        goes += f" at the {join(condition.sides, 'or')}"
    wanted = _as_written(condition.text, condition.words, "or" if condition.any_word else "and")
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
        "thing": f"I recognise {_as_written(condition.text, condition.beyond) or join(condition.names)}",
    }
    knows_things = recognises_things(encoders)
    signs = [sign for sign in condition.signs if sign != "thing" or (knows_things and condition.beyond)]
    promise = f"I will tell you {'each time' if every else 'once, when'} {join([by[sign] for sign in signs], 'or')}."
    if "thing" in condition.signs and condition.beyond:
        if "moving" in condition.signs and not knows_things:
            return f"{promise} I cannot tell {vehicle_named(condition.beyond[0])} from other moving things."
        if not knows_things:
            return f"With the encoders I have I cannot see or hear it when {condition.text}. {promise}"
        if len(condition.names) > 1 and not has_model:
            return f"{promise} I recognise things by name; what they do I cannot tell without a language model."
    if condition.beyond and "person" in condition.signs:
        return f"{promise} I see people, not what they are: I cannot tell a {condition.beyond[0]} from others."
    return promise


def recognises_things(encoders: Mapping[str, str]) -> bool:
    """Whether things, pictures or sounds get names with these encoders (as memory names them)."""
    return (
        any(key in encoders for key in ("things", "tags", "tag", "labels"))
        or "tag" in " ".join(encoders.values()).lower()
    )


_SOUNDS = {
    "impulse": "a bang or a knock",
    "steady noise": "a steady noise",
    "music-like": "music",
    "silence": "silence",
}


def _tells_words(low: str) -> bool:
    return bool(_SAYS.search(low) or _SAID.search(low) or _HEARD_OR_READ.search(low))


def _of_words(text: str, low: str, quoted: tuple[str, ...]) -> Condition:
    says, reads = _tells_words(low), bool(_READS.search(low))
    named = _SPOKEN_WORD.search(low)
    rest = " ".join(quoted) or (named[1] if named else _READS.sub(" ", _SAID.sub(" ", low)))
    wanted = _telling(_SAYS.split(rest)[-1]) or _telling(_SAYS.sub(" ", rest)) or quoted
    if not wanted:  # a number, a letter or nothing
        wanted = tuple(word for word in words(rest) if number_value(word) is not None)
    if not wanted and says:
        open_end = _OPEN_END.search(low.rstrip(" .,;:!\"'“”‘’"))
        others = {word for word in words(_SAYS.sub(" ", rest)) if stem(word) not in _SUBJECTS} - _ANYTHING
        return Condition(text, (), unsupported=NO_WORD) if open_end or others else Condition(text, ("voice",))
    if not wanted:
        return Condition(text, ("read",))
    on_screen = (reads and not says) or bool(_ON_SCREEN.search(low))
    either = _HEARD_OR_READ.search(low) or (_MENTION.search(low) and not _BY_SOMEBODY.search(low))
    signs: tuple[Sign, ...] = ("said", "read") if either else ("said",) if says else ("said", "read")
    any_word = bool(_OR.search(_HEARD_OR_READ.sub(" ", QUOTED.sub(" ", rest if named else low))))
    return Condition(text, ("read",) if on_screen else signs, words=wanted, any_word=any_word)


def _telling(text: str) -> tuple[str, ...]:
    """The words of ``text`` that are to be said or read, each once."""
    found = (word for word in _content(text) if word not in _ANYTHING and stem(word) not in _SUBJECTS | _WEAK)
    return tuple(dict.fromkeys(found))


def _content(text: str) -> list[str]:
    return [
        word for word in words(text)
        if word not in STOP_WORDS and number_value(word) is None and (len(word) > 1 or word.isdigit())
    ]  # fmt: skip


def _coloured(before: str, condition: Condition) -> str:
    return f"{before} {join(condition.colours)}" if condition.colours else ""


def _like_one(condition: Condition) -> str:
    return f" as {vehicle_named(condition.beyond[0])} does" if condition.names and condition.beyond else ""


def _as_written(text: str, wanted: tuple[str, ...], last: str = "and") -> str:
    """The wanted words, quoted, with the capitals they have in ``text``."""
    written = {word: token for token in re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text) for word in words(token)}
    return join((quote(written.get(word, word)) for word in wanted), last)
