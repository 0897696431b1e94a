"""What a span says of itself to a person: a line made from its members, with nothing added."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runtime.messages import Channel, Observation

SAID_CHARACTERS = 240
READ_CHARACTERS = 160
SEEN_CHARACTERS = 200
EVENT_IN_EPISODE_CHARACTERS = 120
EPISODE_CHARACTERS = 1200
# Of a span that was let go.
GONE_TEXT = "no longer kept"
# Between the parts of a sketch.
_BETWEEN = " | "
_ENTRY = re.compile(r"(?:^|; )\[\d+(?::\d\d){1,2}\] ")


def clock(t_s: float) -> str:
    """Media time as a person reads it: 0:07, 12:31, 1:02:03."""
    minutes, seconds = divmod(int(t_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


_PARTS: tuple[tuple[str, tuple[Channel, ...], int], ...] = (
    ("seen", ("frame", "object"), SEEN_CHARACTERS),
    ("read", ("text",), READ_CHARACTERS),
    ("said", ("speech",), SAID_CHARACTERS),
    ("heard", ("sound",), READ_CHARACTERS),
    ("missed", ("gap",), READ_CHARACTERS),
)


def sketch_event(members: Sequence[Observation]) -> str:
    """Seen, read, said, heard and missed, each once, in the order of their first appearance."""
    parts = []
    for label, channels, limit in _PARTS:
        told = (_as_no_part(o.text.strip()) for o in members if o.channel in channels)
        texts = dict.fromkeys(text for text in told if text)
        if label == "seen":  # pictures of one event say much the same; each thing in them once
            texts = dict.fromkeys(part for text in texts for part in text.split("; "))
        quoted = [f'"{text}"' if label in ("read", "said") else text for text in texts]
        if quoted:
            parts.append(f"{label}: {_fit(quoted, limit)}")
    return _BETWEEN.join(parts)


def without_channel(text: str, channel: Channel) -> str:
    """An event's sketch without what it says of a channel."""
    labels = {label for label, channels, _ in _PARTS if channel in channels}
    begins = [*re.finditer(rf"(?:^|{re.escape(_BETWEEN)})({'|'.join(label for label, *_ in _PARTS)}): ", text)]
    if not begins:  # nothing is told of any: a tombstone, or an event of which nothing is left
        return text
    ends = [*(begin.start() for begin in begins[1:]), len(text)]
    parts = [text[begin.start() : end] for begin, end in zip(begins, ends, strict=True) if begin[1] not in labels]
    return "".join(parts).removeprefix(_BETWEEN)


def episode_without_channel(text: str, channel: Channel) -> str:
    """An episode's sketch without what it says of a channel, whether its events are there still or not."""
    begins = [begin.start() for begin in _ENTRY.finditer(text)]
    entries = [text[begin:end] for begin, end in zip(begins, [*begins[1:], len(text)], strict=True)]
    kept = []
    for entry in entries:
        head, told = entry.removeprefix("; ").split("] ", 1)
        if less := without_channel(told, channel):
            kept.append(f"{head}] {less}")
    return "; ".join(kept) if entries else text


def sketch_episode(events: Sequence[tuple[float, str]]) -> str:
    """The events of an episode, each with its time; (t0_s, text) in order."""
    lines = [f"[{clock(t0_s)}] {_cut(text, EVENT_IN_EPISODE_CHARACTERS)}" for t0_s, text in events if text]
    return _fit(lines, EPISODE_CHARACTERS)


def _as_no_part(text: str) -> str:
    """What was read or said, so that it cannot pass for a part of a sketch: those are taken out by where they begin."""
    return text.replace(_BETWEEN, " / ").replace("; [", "; (")


def _fit(texts: list[str], limit: int) -> str:
    """As many of the texts as fit, the first surely, and how many were left out."""
    kept: list[str] = []
    size = 0
    for text in texts:
        if kept and size + len(text) > limit:
            break
        kept.append(_cut(text, limit))
        size += len(kept[-1]) + 2
    left = len(texts) - len(kept)
    return "; ".join(kept) + (f"; and {left} more" if left else "")


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return text[: limit - 1].rsplit(" ", 1)[0] + "…"
