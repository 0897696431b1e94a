"""Things that an encoder with weights recognises: the tags of pictures, as times at which they come into view.

Without such an encoder no frame has tags, nothing is named, and what a question asks stays beyond us.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from reasoning.answer.draft import Draft, join, mark, one, unique
from reasoning.query.context import Context
from reasoning.query.visual_events import VisualEvent, unknown_nouns
from reasoning.understand.words import stem, words
from runtime.messages import FrameFacts, Observation

# A thing not named for this long has been away; less is the recogniser's hesitation.
AWAY_S = 5.0
NAMED = 4


def tags_of(frame: Observation) -> list[tuple[str, float]]:
    """What is recognised in a frame: (name, score 0..1), surest first."""
    return [(str(entry[0]), float(entry[1])) for entry in frame.facts(FrameFacts).tags]


async def things(context: Context, wanted: Iterable[str]) -> list[VisualEvent]:
    """When things of these names come into view, in order of time: a "small dog" is a dog, a "dog house" is none."""
    stems = {stem(word) for word in wanted}
    found: list[VisualEvent] = []
    last_s: dict[tuple[str, str], float] = {}
    for frame in await context.frames():
        for name, _ in tags_of(frame):
            if not stems & _names(name):
                continue
            key = (frame.source, name)
            if frame.t0_s - last_s.get(key, -AWAY_S) >= AWAY_S:
                found.append(VisualEvent(frame.t0_s, frame, with_article(name)))
            last_s[key] = frame.t0_s
    return found


async def beyond(context: Context, text: str, roles_known: bool = False) -> list[str]:
    """Words of ``text`` that name something neither the plain encoders nor the tags of the window can tell."""
    unknown = unknown_nouns(text, roles_known)
    if not unknown:
        return []
    known = {name for frame in await context.frames() for tag, _ in tags_of(frame) for name in _names(tag)}
    return [word for word in unknown if stem(word) not in known]


async def name_things(context: Context) -> Draft | None:
    """What can be named in the pictures of the window, each at the moment it is surest; None without tags."""
    seen: Counter[str] = Counter()
    best: dict[str, tuple[float, Observation]] = {}
    for frame in await context.frames():
        for name, score in tags_of(frame):
            seen[name] += 1
            if score > best.get(name, (0.0, frame))[0]:
                best[name] = (score, frame)
    if not seen:
        return None
    told = [(name, best[name][1]) for name, _ in seen.most_common(NAMED) if name in best]
    text = f"What I can name in the picture: {join(f'{with_article(name)} {mark(o.t0_s)}' for name, o in told)}"
    return one(text, *unique(o for _, o in told), confidence=0.45)


def with_article(name: str) -> str:
    """ "a dog", "an apple"; a plural stays as it is."""
    last = name.split()[-1] if name.split() else name
    if last.endswith("s") and not last.endswith("ss"):
        return name
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _names(tag: str) -> set[str]:
    spoken = words(tag)
    return {stem(spoken[-1]), stem("".join(spoken))} if spoken else set()
