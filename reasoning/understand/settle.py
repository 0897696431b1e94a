"""What follows from all that was read of a question together: what is really made of the evidence."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from reasoning.understand.frame import VISIBLE, Frame, Reduce
from runtime.language import lexicon
from runtime.language.clock_words import Bound
from runtime.language.normalise import words
from runtime.language.numbers import number_value

# How much of a recording is its begin, or its end.
EDGE_SHARE = 0.12
_SIGHT = frozenset(("object", "frame"))
_IN_WORDS = frozenset(("speech", "text"))
_MORE = frozenset(("more", "fewer", "less"))
_SPOKEN = frozenset(("say", "speak"))


def settle(frame: Frame, marks: Collection[str]) -> Frame:
    """The Frame with its ``reduce`` as it is meant; ``marks`` are those of the question."""
    reduce: Reduce = frame.reduce
    terms, expects, asked = frame.terms, frame.expects, words(frame.text)
    if expects == "thing" and frame.channels and set(frame.channels) <= _IN_WORDS:
        expects = ""  # "the last thing he said" is no object
        terms = tuple(t for t in terms if t.role != "head")
    if not frame.matter and "text" not in frame.channels and expects not in ("name", "kind") and reduce != "count":
        # "What is on the kitchen table?": the place is all there is to go by.
        terms = tuple(msgspec.structs.replace(t, role="subject") if t.role == "place" else t for t in terms)
    more = _MORE if "than" in asked else frozenset()
    numbers = [t for t in terms if number_value(t.word) is not None or t.word in more]
    if reduce == "exists" and numbers and frame.things and not set(frame.channels) - _SIGHT:
        reduce = "count"  # "were there two dogs, or more than one?": as many as there were are told
        terms = tuple(t for t in terms if t not in numbers)
    frame = msgspec.structs.replace(frame, terms=terms)
    subject, anchor = frame.of("subject"), frame.times.anchor
    matter = bool(frame.matter or frame.phrases or frame.things)
    nameless = not (expects or matter or frame.of("place") or set(frame.channels) - _SIGHT)
    fullest = frame.extreme or ("least" if lexicon.EMPTY & set(asked) else "")
    if fullest and reduce in ("exists", "first", "last", "value") and not frame.is_now and _is_of_anybody(frame):
        # "When was it busiest?", "was there ever nobody?": how many people were there is told.
        of = {"extreme": fullest, "things": (lexicon.PERSON,), "channels": ()}
        return msgspec.structs.replace(frame, reduce="count", expects="", **of)
    edge = {"begin": 0.0, "end": 1.0 - EDGE_SHARE}.get(frame.predicate)
    if edge is not None and reduce == "value" and expects == "manner" and not matter:  # "how does it end?"
        begin, end = Bound("share", edge), Bound("share", edge + EDGE_SHARE)
        times = msgspec.structs.replace(frame.times, begin=begin, end=end)
        return msgspec.structs.replace(frame, reduce="summary", expects="", times=times)
    if frame.about == "transcript":
        reduce = "list"
    elif frame.options and {"first", "last"} & set(marks):
        reduce = "order"
    elif reduce == "exists" and anchor is not None and anchor.relation != "during":
        reduce = "order"  # "did the car come before the bus?"
    elif reduce == "value" and frame.ordinal and expects in ("name", "thing", "") and not frame.of("head"):
        if frame.predicate in VISIBLE or (frame.ordinal in (1, -1) and frame.predicate in _SPOKEN):
            reduce = "last" if frame.ordinal < 0 else "first"
    elif reduce in ("value", "list") and nameless and frame.channels:
        reduce = "summary"  # "what was seen in the last hour?"
    elif reduce == "exists" and nameless and "anything" in asked:
        reduce = "summary"  # "was there anything?"
    elif reduce == "value" and "about" in asked and not (expects or frame.terms or set(frame.channels) - {"speech"}):
        reduce = "summary"  # "what was it all about?", "what do they talk about?"
    elif reduce == "summary" and subject and not frame.about:
        reduce = "value" if frame.predicate == "happen" and "to" in asked else "list"
    elif reduce == "first" and frame.ordinal < 0:
        reduce = "last"
    elif reduce == "now" and subject:
        reduce = "value"
    seen = expects in ("", "thing", "name") and not set(frame.channels) - _SIGHT - {"text"}
    if seen and frame.is_now and not matter and reduce in ("exists", "value", "summary", "list"):
        reduce = "now"
    return msgspec.structs.replace(frame, reduce=reduce, expects=expects)


def _is_of_anybody(frame: Frame) -> bool:
    """Whether nothing is named but that somebody, or nobody, is there: before the camera, whatever that place is."""
    named = set(frame.of("subject", "colour", "place")) - lexicon.EMPTY
    here = {word for word in named if lexicon.TYPES.of(word) == ["place"]}
    seen = not set(frame.channels) - _SIGHT and frame.predicate in ("", "stay")
    return seen and not (named - here or frame.phrases or set(frame.things) - here - {lexicon.PERSON})
