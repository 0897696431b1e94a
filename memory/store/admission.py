"""What may enter memory, by the bus or by an archive: bounds on names, times, sizes, vectors and pictures.

One word says why something may not. Nothing is repaired, because a repaired time would move a fact. Facts are typed
where they are decoded (`runtime.messages.facts`), so they cannot be nested, and their numbers have 64 bits.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from runtime.messages import TRACKS, Observation, SourceOpened, Span

# A file's name has 255 bytes at most, an id a channel and a time more.
MAX_NAME_CHARACTERS = 512
MAX_TEXT_CHARACTERS = 65536
MAX_FACTS_BYTES = 256 << 10
MAX_PAYLOAD_BYTES = 8 << 20
MAX_EVIDENCE = 4096
MAX_VECTOR_BYTES = 16 << 10
# 32 years of media, and the year 5138 by the clock on the wall.
END_OF_TIME_S, END_OF_WALL_TIME_S = 1e9, 1e11
# More than any camera gives; a decoder asked for more takes gigabytes.
MAX_PICTURE_PIXELS = 64_000_000
_UNIT_LENGTH_TOLERANCE = 0.05
_START_OF_IMAGE = b"\xff\xd8"
_START_OF_SCAN = 0xDA
_NOT_FRAMES = (0xC4, 0xC8, 0xCC)  # of the markers C0 to CF those that do not begin a frame


def find_fault(observation: Observation) -> str:
    """Why this observation cannot be stored, in a word; "" if it can."""
    o = observation
    if not (_is_name(o.id) and _is_name(o.source)):
        return "name"
    if not (is_time(o.t0_s) and is_time(o.t1_s)) or o.t1_s < o.t0_s:
        return "time"
    if len(o.text) > MAX_TEXT_CHARACTERS or len(o.payload or b"") > MAX_PAYLOAD_BYTES:
        return "size"
    if len(msgspec.json.encode(o.data)) > MAX_FACTS_BYTES:
        return "facts"
    if len(o.evidence) > MAX_EVIDENCE or o.id in o.evidence or not all(map(_is_name, o.evidence)):
        return "evidence"
    if o.vector is not None and not _is_vector(o.vector, o.vector_space):
        return "vector"
    if o.payload is not None and not _is_picture(o.payload):
        return "picture"
    if not 0.0 <= o.trust <= 1.0:
        return "trust"
    return ""


def find_fault_of_source(opened: SourceOpened) -> str:
    """Why a track cannot be opened, in a word; "" if it can."""
    told = (opened.uri, opened.missing, *opened.encoders, *opened.encoders.values())
    if not _is_name(opened.source) or len(opened.fingerprint) > MAX_NAME_CHARACTERS:
        return "name"
    if any(len(text) > MAX_TEXT_CHARACTERS for text in told) or len(opened.encoders) > MAX_NAME_CHARACTERS:
        return "size"
    if not 0.0 <= opened.started_wall_s < END_OF_WALL_TIME_S:
        return "time"
    if opened.duration_s is not None and not is_time(opened.duration_s):
        return "time"
    return ""


def find_fault_of_span(span: Span) -> str:
    """Why a span cannot be stored, in a word; "" if it can."""
    if not (_is_name(span.id) and _is_name(span.source)):
        return "name"
    if not (is_time(span.t0_s) and is_time(span.t1_s)) or span.t1_s < span.t0_s:
        return "time"
    if max(len(span.text), len(span.parent), len(span.keyframe), len(span.why)) > MAX_TEXT_CHARACTERS:
        return "size"
    if not 0.0 <= span.trust <= 1.0:
        return "trust"
    return ""


def is_time(t_s: float) -> bool:
    """Whether this is media time."""
    return math.isfinite(t_s) and 0.0 <= t_s < END_OF_TIME_S


def is_track(name: str) -> bool:
    return name in TRACKS


def _is_name(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME_CHARACTERS


def _is_vector(vector: bytes, space: str) -> bool:
    if not _is_name(space) or not 2 <= len(vector) <= MAX_VECTOR_BYTES or len(vector) % 2:
        return False
    values = np.frombuffer(vector, "<f2").astype(np.float32)
    length = float(np.sqrt(values @ values))
    # One of no length is like nothing; all others are of unit length, or one of them would outweigh all.
    return length == 0.0 or abs(length - 1.0) <= _UNIT_LENGTH_TOLERANCE


def _is_picture(data: bytes) -> bool:
    """Whether these are a JPEG's bytes, of a size that can be decoded. Damage further in is its decoder's to tell."""
    if not data.startswith(_START_OF_IMAGE):
        return False
    at = len(_START_OF_IMAGE)
    while at + 9 <= len(data) and data[at] == 0xFF and data[at + 1] != _START_OF_SCAN:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES:  # ITU-T T.81, B.2.2
            height, width = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
            return height * width <= MAX_PICTURE_PIXELS
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return True
