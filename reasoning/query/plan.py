"""The plan of a question: a table of what is made of evidence by what it is about.

`matters` says where the answer may lie, in the order in which it is looked for; the table says of each pair of
reduction and matter how rows are gathered and put in order, and how much of the question each has to cover.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from reasoning.query import pictured, sightings
from reasoning.query.context import Context
from reasoning.query.known import Known
from reasoning.query.passages import passages
from reasoning.query.rows import Row, best_first
from reasoning.understand.frame import VISIBLE, Frame, Reduce
from runtime.language import lexicon
from runtime.messages import Channel

Matter = Literal["words", "things", "sounds", "changes", "light", "colours"]
# How rows are put in order: the best first, or in order of time.
Order = Literal["best", "first", "last"]
# What a row must cover: every content word, or so much that it is no chance (`reasoning.abstain_below`).
Need = Literal["all", "most"]
Gather = Callable[[Frame, Context], Awaitable[list[Row]]]


async def _words(frame: Frame, context: Context) -> list[Row]:
    channels: tuple[Channel, ...] = ("speech", "text")
    pointed: tuple[Channel, ...] = tuple(c for c in frame.channels if c in channels)
    if not (pointed or frame.clause or frame.phrases or frame.reduce == "count"):
        channels = (*channels, "derived")  # what a picture was described as; how often is no number of what is there
    if pointed and (frame.reduce == "exists" or not frame.matter) and not (frame.expects and len(pointed) > 1):
        channels = pointed[:1] if frame.reduce != "exists" else pointed
    return await passages(frame, context, channels)


GATHER: dict[Matter, Gather] = {
    "words": _words,
    "things": sightings.seen_rows,
    "sounds": pictured.sounds,
    "changes": pictured.changes,
    "light": pictured.light,
    "colours": pictured.colours,
}
# Reduction -> (order, need), for rows of words; rows of everything else are in order of time, and cover all.
PLAN: dict[Reduce, tuple[Order, Need]] = {
    "exists": ("best", "all"),
    "first": ("best", "all"),
    "last": ("last", "all"),
    "list": ("first", "most"),
    "count": ("first", "all"),
    "value": ("best", "most"),
}


def step(frame: Frame, matter: Matter) -> tuple[Order, Need]:
    """One cell of the table."""
    order, need = PLAN[frame.reduce]
    return (order, need) if matter == "words" else ("last" if order == "last" else "first", "all")


def matters(frame: Frame) -> tuple[Matter, ...]:
    """Where the answer may lie, in the order in which it is sought."""
    pointed, pictures = set(frame.channels), set(lexicon.PICTURES.of(frame.text))
    if frame.expects == "colour":
        return ("colours", "words")
    if frame.clause or frame.phrases or (pointed & {"speech", "text"} and "object" not in pointed):
        return ("words",)
    if "sound" in pointed and not frame.things and "object" not in pointed:
        return ("sounds", "words")
    if frame.predicate == "change" and (pictures or not frame.matter):
        return ("changes",)
    if "shot" in pictures and not frame.things and (frame.reduce == "count" or frame.predicate == "begin"):
        return ("changes",)
    if pictures & {"dark", "bright"} and not frame.things and "frame" in pointed:
        return ("light",)
    who = frame.expects == "name" and not (frame.matter or frame.of("head"))
    if frame.things or frame.predicate in VISIBLE or who:
        return ("things", "words")
    return ("words",)


async def gather(frame: Frame, matter: Matter, context: Context) -> list[Row]:
    """The rows of one cell of the table, in its order."""
    rows, order = await GATHER[matter](frame, context), step(frame, matter)[0]
    if order == "best":
        return best_first(rows)
    return sorted(rows, key=lambda row: row.t_s, reverse=order == "last")


def recognisable(frame: Frame, matter: Matter, known: Known) -> str:
    """The thing asked about that nothing active can recognise; "" where it would have been."""
    if matter not in ("things", "colours") or not frame.things:
        return ""
    return "" if known.recognises(frame.things[0]) else frame.things[0]
