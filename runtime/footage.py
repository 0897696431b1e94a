"""Footage: what live sources sent of the last while, as files in the memory folder, `footage/SOURCE/T0-T1.mkv`.

A file's name says what stretch of its source it is of, in media milliseconds, so that any process finds, erases or
marks it without asking another. The one being written is called `T0-open.mkv`: it may be erased too. A mark
(`marks/T0-T1`, an empty file) has what it touches kept beyond the others. `keeping.json` says how much the profile that
recorded it allows, so that it goes in time also where its source is watched no more.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from runtime.messages import Keeping, TimeWindow
from runtime.sources import Rect, session_of

# In the memory folder.
FOOTAGE = "footage"
MARKS = "marks"
KEEPING = "keeping.json"
# In a source's folder: the regions that are black in all finished files of it.
BLANKED = "blanked.json"
OPEN = "open"
# What is to take a file's place, while it is made.
PART = ".part"
_NAME = re.compile(rf"(?P<t0>\d{{9,}})-(?P<t1>\d{{9,}}|{OPEN})(?P<suffix>\.mkv)?")
# A stretch that was marked is kept with as much before and after it.
AROUND_S = 10.0
# A sign is seen between two looks at it, too; a still scene is looked at this often (perception.sampling).
_SEEN, _BETWEEN_LOOKS_S = ("frame", "text", "object"), 10.0


class Segment(Struct, frozen=True):
    """One file; ``t1_s`` is that of the newest moment while it is written."""

    path: Path
    source: str
    t0_s: float
    t1_s: float
    bytes: int
    is_open: bool = False


def folder_of(root: Path, source: str) -> Path:
    """Where the footage of a source lies. Names of live sources hold no path of their own (`runtime.sources`)."""
    label, _ = session_of(source)
    if not label or "/" in source or source.startswith("."):
        raise ValueError(f"{source!r} is no live source")
    return root / source


def around_s(channel: str) -> float:
    """How long before and after it was noticed footage may show what was perceived in this channel."""
    return _BETWEEN_LOOKS_S if channel in _SEEN else 0.0


def segment_name(t0_s: float, t1_s: float | None) -> str:
    end = OPEN if t1_s is None else f"{round(t1_s * 1000):09d}"
    return f"{round(t0_s * 1000):09d}-{end}.mkv"


def segments(root: Path, source: str = "") -> list[Segment]:
    """What there is of one source, or of all, in order of source and time."""
    found = []
    for path in sorted(root.glob(f"{source or '*'}/*.mkv")) if root.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        try:
            status = path.stat()
        except FileNotFoundError:  # it went meanwhile
            continue
        if match is None or (source and path.parent.name != source):
            continue
        t0_s = int(match["t0"]) / 1000
        is_open = match["t1"] == OPEN
        t1_s = max(t0_s, t0_s + time.time() - status.st_ctime) if is_open else int(match["t1"]) / 1000
        found.append(Segment(path, path.parent.name, t0_s, t1_s, status.st_size, is_open))
    return found


def touching(root: Path, source: str, t0_s: float, t1_s: float) -> list[Segment]:
    """What of a source touches a stretch; one being written may go on into it."""
    return [s for s in segments(root, source) if s.t0_s <= t1_s and (s.is_open or s.t1_s >= t0_s)]


def erase(root: Path, windows: Iterable[TimeWindow]) -> int:
    """Delete every file that touches a stretch, whole; how many."""
    gone = 0
    for window in windows:
        for segment in touching(root, window.source, window.t0_s, window.t1_s) if session_of(window.source)[0] else ():
            segment.path.unlink(missing_ok=True)
            segment.path.with_suffix(PART).unlink(missing_ok=True)
            gone += 1
        for mark in _marks(root / window.source) if session_of(window.source)[0] else ():
            if mark[1] <= window.t1_s and mark[2] >= window.t0_s:
                mark[0].unlink(missing_ok=True)
    return gone


def mark(root: Path, source: str, t0_s: float, t1_s: float, around_s: float = AROUND_S) -> None:
    """Have a stretch, and a little around it, outlast what is not marked."""
    folder = folder_of(root, source) / MARKS
    folder.mkdir(parents=True, exist_ok=True)
    t0_s, t1_s = max(0.0, t0_s - around_s), t1_s + around_s
    (folder / segment_name(t0_s, t1_s).removesuffix(".mkv")).touch()


def mark_beside(root: Path, source: str, t0_s: float, t1_s: float) -> None:
    """`mark` of a stretch in all sources of its session that footage is kept of: picture and sound go together."""
    moment = session_of(source)[1]
    for folder in [path for path in root.iterdir() if session_of(path.name)[1] == moment]:
        mark(root, folder.name, t0_s, t1_s)


def _marks(folder: Path) -> list[tuple[Path, float, float]]:
    found = []
    for path in sorted((folder / MARKS).glob("*")) if (folder / MARKS).is_dir() else ():
        if (match := _NAME.fullmatch(path.name)) is not None and match["t1"] != OPEN:
            found.append((path, int(match["t0"]) / 1000, int(match["t1"]) / 1000))
    return found


def held(root: Path, label: str) -> dict[bool, list[tuple[float, Segment]]]:
    """Finished files of all sessions of a source, each with when it was finished: those that are marked, and not."""
    found: dict[bool, list[tuple[float, Segment]]] = {False: [], True: []}
    folders = root.iterdir() if root.is_dir() else ()
    for folder in sorted(path for path in folders if session_of(path.name)[0] == label):
        marks = _marks(folder)
        for segment in segments(root, folder.name):
            if segment.is_open:
                continue
            marked = any(t0_s <= segment.t1_s and t1_s >= segment.t0_s for _, t0_s, t1_s in marks)
            try:
                found[marked].append((segment.path.stat().st_mtime, segment))
            except FileNotFoundError:
                continue
    return found


def trim(root: Path, label: str, keeping: Keeping, now_wall_s: float) -> None:
    """Delete what is too old or too much of all sessions of a source, the oldest first."""
    if not root.is_dir():
        return
    for marked, found in held(root, label).items():
        left = keeping.marked_bytes if marked else keeping.bytes
        for wall_s, segment in sorted(found, key=lambda entry: entry[0], reverse=True):
            left -= segment.bytes
            if left < 0 or (not marked and now_wall_s - wall_s > keeping.age_s):
                segment.path.unlink(missing_ok=True)
    for folder in [path for path in root.iterdir() if session_of(path.name)[0] == label]:
        if not any(folder.glob("*.mkv")) and now_wall_s - folder.stat().st_mtime > keeping.age_s:
            shutil.rmtree(folder, ignore_errors=True)


def note_keeping(root: Path, source: str, keeping: Keeping) -> None:
    """Have a source's footage kept so, from now on, by whoever looks after it."""
    folder = folder_of(root, source)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / KEEPING).write_bytes(msgspec.json.encode(keeping))


def trim_all(root: Path, now_wall_s: float) -> None:
    """`trim` of every source, as its newest session noted."""
    labels: dict[str, Keeping] = {}
    for path in sorted(root.glob(f"*/{KEEPING}")) if root.is_dir() else ():
        with suppress(OSError, msgspec.MsgspecError):
            labels[session_of(path.parent.name)[0]] = msgspec.json.decode(path.read_bytes(), type=Keeping)
    for label, keeping in labels.items():
        trim(root, label, keeping, now_wall_s)


def note_blanked(folder: Path, mask: Iterable[Rect]) -> None:
    """These regions are black in all of a source's footage."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / BLANKED).write_bytes(msgspec.json.encode(sorted(mask)))


def blanked_in(folder: Path) -> frozenset[Rect]:
    """The regions that are black in all of a source's footage."""
    with suppress(OSError, msgspec.MsgspecError):
        return frozenset(msgspec.json.decode((folder / BLANKED).read_bytes(), type=list[Rect]))
    return frozenset()


def close_abandoned(root: Path, source: str) -> None:
    """Delete what a process that died was writing: where it ends is not known."""
    for segment in segments(root, source):
        if segment.is_open:
            segment.path.unlink(missing_ok=True)
