"""What follows from all that was read of a question together: what is really made of the evidence."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from reasoning.understand.frame import VISIBLE, Frame, Reduce
from runtime.language.normalise import words
from runtime.language.numbers import number_value

_SIGHT = frozenset(("object", "frame"))
_ANYTHING = frozenset(("anything", "something", "everything", "nothing"))


def settle(frame: Frame, marks: Collection[str]) -> Frame:
    """The Frame with its ``reduce`` and ``expects`` as they are meant; ``marks`` are those of the question."""
    reduce: Reduce = frame.reduce
    expects = frame.expects
    if not frame.matter and "text" not in frame.channels and expects not in ("name", "kind"):
        # "What is on the kitchen table?": the place is all there is to go by.
        terms = tuple(msgspec.structs.replace(t, role="subject") if t.role == "place" else t for t in frame.terms)
        frame = msgspec.structs.replace(frame, terms=terms)
    if frame.about == "transcript":
        reduce = "list"
    numbers = {t for t in frame.terms if t.role == "subject" and number_value(t.word) is not None}
    if reduce == "exists" and numbers and frame.things and not set(frame.channels) - _SIGHT:
        reduce = "count"  # "were there two dogs?": as many as there were are told
        frame = msgspec.structs.replace(frame, terms=tuple(t for t in frame.terms if t not in numbers))
    matter = bool(frame.matter or frame.phrases or frame.things)
    if frame.options and (set(marks) & {"first", "last"} or frame.predicate in ("begin", "end")) and reduce != "count":
        reduce = "order"
    elif frame.times.anchor is not None and reduce == "exists" and frame.times.anchor.relation != "during" and matter:
        reduce = "order"  # "did the car come before the bus?"
    elif (
        reduce == "value"
        and expects in ("name", "thing", "")
        and not frame.of("head")
        and (frame.predicate in VISIBLE if frame.ordinal > 1 else frame.predicate in VISIBLE | {"say", "speak"})
        and frame.ordinal
    ):
        reduce = "last" if frame.ordinal < 0 else "first"
    elif reduce == "value" and not expects and frame.predicate == "happen" and not frame.of("subject"):
        reduce = "summary"
    elif (
        reduce in ("value", "list", "exists")
        and not (expects or matter or frame.of("place") or set(frame.channels) - _SIGHT)
        and (frame.channels if reduce != "exists" else _ANYTHING & set(words(frame.text)))
    ):
        reduce = "summary"  # "what was seen in the last hour?", "was there anything?"
    elif reduce == "summary" and frame.of("subject") and frame.about == "":
        reduce = "value" if frame.predicate == "happen" and "to" in words(frame.text) else "list"
    elif _is_bare(frame) and "about" in words(frame.text):
        reduce = "summary"  # "what was it all about?"
    elif reduce == "first" and frame.ordinal < 0:
        reduce = "last"
    elif reduce == "now" and frame.of("subject"):
        reduce = "value"
    if (
        reduce in ("exists", "value", "summary", "list")
        and frame.is_now
        and not matter
        and (set(frame.channels) <= _SIGHT or (frame.channels == ("text",) and not frame.predicate))
        and expects in ("", "thing", "name")
    ):
        reduce = "now"
    return msgspec.structs.replace(frame, reduce=reduce, expects=expects)


def _is_bare(frame: Frame) -> bool:
    """Whether nothing is said of what is asked."""
    said = frame.expects or frame.terms or frame.things or frame.phrases or frame.channels or frame.predicate
    return frame.reduce == "value" and not (said or frame.fragment)
