"""Live sources: what may be perceived as it happens, how it is written, and what it is called.

A source is written `[NAME=]WHERE`. WHERE is a camera (`0`, `1`, ... or a path such as /dev/video2), the address of a
stream (`rtsp://`, `http://`, ...), `screen` (`screen:2` is the second), or `mic` (`mic:WORDS` has these words in its
name, `mic:3` is the third device).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from runtime.addresses import shown, with_encoded_credentials, without_credentials
from runtime.errors import UserError
from runtime.messages import TRACKS, Track

Kind = Literal["camera", "stream", "screen", "microphone"]
KIND_TRACKS: dict[str, tuple[Track, ...]] = {
    "camera": ("video",),
    "stream": TRACKS,
    "screen": ("video",),
    "microphone": ("audio",),
}
STREAM_SCHEMES = ("http", "https", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp")
# Part of socket names, whose length is limited.
LABEL_MAX = 24
# Private regions of one source.
MASK_MAX = 64
# In the memory folder: private regions that were set while watching, by label; they win over the profile's.
MASKS_NAME = "masks.json"
# What `begin_session` calls the sources of one session: their labels, and the moment they all began at.
_SESSION = re.compile(r"(?P<label>.+)@(?P<moment>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)")
_FORMS = "a camera (0, /dev/video2), the address of a stream (rtsp://...), screen, or mic"

Rect = tuple[float, float, float, float]


class LiveSource(Struct, frozen=True):
    """One live source.

    label           what people call it: "front-door".
    kind, address   camera (device path), stream (URL), screen (its number), microphone (words of its name, or "").
    mask            private regions [x, y, width, height] in 0..1, blanked before anything looks.
    source          what memory calls this session of it, see `begin_session`.
    started_wall_s  Unix seconds of its media second 0.
    """

    label: str
    kind: Kind
    address: str
    mask: tuple[Rect, ...] = ()
    source: str = ""
    started_wall_s: float = 0.0

    @property
    def tracks(self) -> tuple[Track, ...]:
        return KIND_TRACKS[self.kind]

    @property
    def shown(self) -> str:
        """The address as it may be shown and kept: without user name, password and query."""
        return shown(self.address) if self.kind == "stream" else self.address


def checked_mask(mask: Iterable[Iterable[float]]) -> tuple[Rect, ...]:
    """``mask`` as private regions.

    Raises:
        UserError: one of them is no part of a picture, or there are too many.
    """
    found: list[Rect] = []
    for rect in mask:
        numbers = tuple(float(number) for number in rect)
        if len(numbers) != 4 or not all(0 <= number <= 1 for number in numbers) or not (numbers[2] and numbers[3]):
            raise UserError(f"a private region is [x, y, width, height] in 0..1 of the picture, not {list(numbers)}")
        found.append((numbers[0], numbers[1], numbers[2], numbers[3]))
    if len(found) > MASK_MAX:
        raise UserError(f"a source has at most {MASK_MAX} private regions")
    return tuple(found)


def kept_masks(path: Path) -> dict[str, tuple[Rect, ...]]:
    """Label -> private regions that were set while watching; nothing where the file is not there or no such file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, tuple[Rect, ...]])
    except (OSError, msgspec.DecodeError):
        return {}


def keep_mask(path: Path, label: str, mask: tuple[Rect, ...]) -> None:
    """Have the private regions of a source hold from its next start on, too."""
    beside = path.with_suffix(".new")
    beside.write_bytes(msgspec.json.encode({**kept_masks(path), label: mask}))
    beside.replace(path)


def parse_source(text: str, mask: tuple[Rect, ...] = ()) -> LiveSource:
    """The source that `[NAME=]WHERE` writes.

    Raises:
        UserError: it is none.
    """
    name, where = "", text
    if (match := re.match(r"([\w.-]+)=(.+)$", text)) is not None:
        name, where = match[1], match[2]
    try:
        where = with_encoded_credentials(where) if "://" in where else where
        parts = urlsplit(where if "://" in where else "")
        _ = parts.port
    except ValueError as error:
        raise UserError(f"source {shown(text)!r} is no address: {shown(str(error))}") from error
    if scheme := parts.scheme:
        if scheme not in STREAM_SCHEMES:
            known = ", ".join(STREAM_SCHEMES)
            raise UserError(f"source {shown(text)!r}: {scheme}:// is no stream that can be watched; known are {known}")
        if not parts.hostname:
            raise UserError(f"source {shown(text)!r}: the address names no host")
        return LiveSource(as_label(name or parts.hostname), "stream", where, mask)
    kind, _, which = where.partition(":")
    if kind == "screen" and (not which or which.isdigit()):
        return LiveSource(as_label(name or where), "screen", which or "1", mask)
    if kind == "mic":
        return LiveSource(as_label(name or which or "mic"), "microphone", which)
    if where.isdigit():
        return LiveSource(as_label(name or f"camera-{where}"), "camera", f"/dev/video{where}", mask)
    if where.startswith("/dev/"):
        return LiveSource(as_label(name or where.rpartition("/")[2]), "camera", where, mask)
    raise UserError(f"source {without_credentials(text)!r} is not known; give {_FORMS}. Recordings are for `replay`")


def as_label(text: str) -> str:
    """``text`` as a label: short, lower case, letters, digits, dots and dashes only."""
    label = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:LABEL_MAX].strip("-.")
    return label or "source"


def distinct(sources: Iterable[LiveSource]) -> list[LiveSource]:
    """The sources with labels that differ: the second "door" is "door-2".

    Raises:
        UserError: one source is given twice.
    """
    found: list[LiveSource] = []
    for source in sources:
        if any((other.kind, other.address) == (source.kind, source.address) for other in found):
            raise UserError(f"{source.kind} {source.shown or source.label} is given twice")
        label, number = source.label, 2
        while any(other.label == label for other in found):
            label = f"{source.label[: LABEL_MAX - len(str(number)) - 1]}-{number}"
            number += 1
        found.append(replace(source, label=label))
    return found


def begin_session(source: LiveSource, now_wall_s: float, known: Iterable[str]) -> LiveSource:
    """The source as memory will know it from now on: its label and the local time, a name never used before."""
    taken = set(known)
    moment_s = now_wall_s
    while (name := f"{source.label}@{time.strftime('%Y-%m-%dT%H:%M:%S', time.localtime(moment_s))}") in taken:
        moment_s += 1.0
    return replace(source, source=name, started_wall_s=round(now_wall_s, 3))


def session_of(source: str) -> tuple[str, str]:
    """Label and moment in the name of a live source; sources of one moment share their clock. ("", "") of others."""
    match = _SESSION.fullmatch(source)
    return (match["label"], match["moment"]) if match else ("", "")
