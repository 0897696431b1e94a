"""Citations checked: each must be an observation that exists in the View the question was asked in.

What does not exist is struck out and counted, and a `[m:ss]` mark that no remaining citation of its
sentence covers goes with it. A sentence that claimed evidence and has none left is not said at all.

A model only writes marks. `resolve_marks` finds what each stands for among the observations the model was
shown: a mark of anything else is a guess, even where something happens to have been observed at that second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from reasoning.answer.draft import Claim, mark
from reasoning.query.memory_client import MemoryClient
from reasoning.query.rows import unique
from runtime.clock import media_time
from runtime.language.lexicon import STOP_WORDS
from runtime.language.normalise import words
from runtime.language.stem import stem
from runtime.messages import Citation, Observation, ScanRequest, View

# A mark and the little words that lead to it, which would dangle without it.
_MARK = re.compile(r"(?:,|\s+(?:and|at|from|to|until))*\s*\[(?:(\d+):)?(\d{1,3}):(\d{2})\]")

# A mark of any kind, of media time or of the clock ("[today 06:47:20, yard]").
_ANY_MARK = re.compile(r"\[[^\[\]\n]{0,60}\d:\d{2}[^\[\]\n]{0,60}\]")

# What a model writes for a mark: [0:12], (0:12), [0:12-0:15], [0:12, 1:40], [talk.mp4 0:12].
_TIME = re.compile(r"(?:(\d{1,2}):)?(\d{1,3}):(\d{2})(?:\.\d+)?")
_WRITTEN = re.compile(r"\[([^\[\]\n]{0,80}?\d:\d{2}[^\[\]\n]{0,40})\]|\((\d{1,3}:\d{2}(?::\d{2})?)\)")


class Checked(Struct, frozen=True):
    """A claim after the check; ``text`` is "" when nothing of it stands. ``struck`` counts what was removed."""

    text: str
    cites: tuple[Observation, ...] = ()
    struck: int = 0


async def check_claim(
    claim: Claim, view: View, memory: MemoryClient, room_for: int, shown: Mapping[str, Observation] | None = None
) -> Checked:
    """``claim`` with only citations that exist, at most ``room_for`` of them, and only marks these cover.

    ``shown``: by id, what was looked at for the question itself and is newer than its View.
    """
    if not claim.cites:
        unfounded = strike_marks(claim.text, ())[1]
        return Checked("" if unfounded else claim.text, (), unfounded)
    existing = await _existing([o.id for o in claim.cites], view, memory) | dict(shown or {})
    standing = [existing[o.id] for o in claim.cites if o.id in existing]
    missing = len(claim.cites) - len(standing)
    kept = tuple(standing[: max(0, room_for)])
    if not kept:
        return Checked("", (), missing)
    text, unfounded = strike_marks(claim.text, kept)
    return Checked(text, kept, missing + unfounded)


def has_mark(text: str) -> bool:
    """Whether a sentence names a moment it rests on itself."""
    return bool(_ANY_MARK.search(text))


def strike_marks(text: str, cites: Sequence[Observation]) -> tuple[str, int]:
    """``text`` without the marks that no citation covers to the second, and how many those were."""
    struck = 0

    def keep(found: re.Match[str]) -> str:
        nonlocal struck
        t_s = int(found[1] or 0) * 3600 + int(found[2]) * 60 + int(found[3])
        if any(int(o.t0_s) <= t_s <= int(o.t1_s) for o in cites):
            return found[0]
        struck += 1
        return ""

    return _MARK.sub(keep, text), struck


def resolve_marks(sentence: str, shown: Sequence[Observation]) -> Claim:
    """The sentence with its marks written as ours are, resting on the ``shown`` observations they name.

    Of several at that second the one whose words the sentence shares is meant. A mark that names none stays in the
    text, for `check_claim` to strike and count.
    """
    cites: list[Observation] = []
    asked = _content(sentence)

    def named(t_s: int, source: str) -> Observation | None:
        at = [o for o in shown if int(o.t0_s) <= t_s <= int(o.t1_s) and (not source or o.source.startswith(source))]
        return max(at, key=lambda o: (len(asked & _content(o.text)), -abs(o.t0_s - t_s), o.id), default=None)

    def rewrite(found: re.Match[str]) -> str:
        inside = found[1] or found[2]
        # The name of a live source has a time of day in it.
        whole = next((o.source for o in shown if o.source in inside), "")
        inside = inside.replace(whole, " ") if whole else inside
        times = list(_TIME.finditer(inside))
        source = whole or _TIME.sub("", inside).strip(" ,;-–—")
        if source.lower() in ("", "and", "to", "at", "from", "until"):
            source = ""
        elif not any(o.source.startswith(source) for o in shown):
            return found[0]
        ranged = len(times) == 2 and re.search(r"\d\s*(?:[-–—]|to)\s*\d", inside)
        out = []
        for time in times[:1] if ranged else times:
            t_s = int(time[1] or 0) * 3600 + int(time[2]) * 60 + int(time[3])
            if observation := named(t_s, source):
                cites.append(observation)
            out.append(mark(t_s))
        return " ".join(out)

    text = _WRITTEN.sub(rewrite, sentence)
    return Claim(text, unique(cites))


def _content(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in words(text) if word not in STOP_WORDS)


def cite(observations: Iterable[Observation]) -> tuple[Citation, ...]:
    """The citations of an answer, each observation once, in the order the answer mentions them."""
    return tuple(
        Citation(
            source=o.source, t0_s=o.t0_s, t1_s=o.t1_s, channel=o.channel, text=o.text, id=o.id, at=media_time(o.t0_s)
        )
        for o in {o.id: o for o in observations}.values()
    )


async def _existing(ids: list[str], view: View, memory: MemoryClient) -> dict[str, Observation]:
    reply = await memory.scan(ScanRequest(view=view, ids=tuple(dict.fromkeys(ids)), limit=len(ids)))
    return {o.id: o for o in reply.observations}
