"""Which sources a question is about, resolved before evidence is sought.

Sources are known by their labels ("the yard"), by loose parts of a file's name ("the black journal interview"), by kind
("all cameras"). What names a source is taken out of the question, so that it is not looked for in what was said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from runtime.language import lexicon
from runtime.language.normalise import QUOTED, Token, tokenise
from runtime.language.stem import stem
from runtime.messages import SourceRecord
from runtime.sources import session_of

# Nobody names a source later in a question.
WORDS_READ = 200
# "In the yard", "of the interview": what stands before a name of one word that might be the matter of the question.
_LED = frozenset("in into to from of during at on by near outside past through for about before".split())
_KIND_NOUNS = frozenset(stem(w) for words in lexicon.SOURCE_KINDS.values() for w in words)
# "The telephone call": what else a recording is called by that has such a word in its name.
_CALLED = frozenset(
    map(stem, "call interview trailer talk lecture meeting podcast episode keynote conversation".split())
)
_ENDINGS = ("mp4", "webm", "mkv", "mov", "avi", "wav", "mp3", "flac", "m4a", "ts", "ogg")
_SPARE = frozenset(
    stem(w) for w in "the a an and of in video clip recording camera interview trailer talk scene demo".split()
)


class Scope(Struct, frozen=True):
    """Which sources a question is about.

    sources  by name, none for all there are; ``said`` is how they were named.
    unknown  a name of a place or recording that is none of them. ``every`` all were asked for in words.
    """

    sources: tuple[str, ...] = ()
    said: str = ""
    unknown: str = ""
    every: bool = False


class Named(Struct, frozen=True):
    """What was understood of sources, and the question without it."""

    scope: Scope
    rest: str


def find_scope(text: str, records: Sequence[SourceRecord]) -> Named:
    """The sources that ``text`` names, of those there are."""
    for record in records if len(records) > 1 else ():
        if (at := text.lower().find(record.source.lower())) >= 0 and set(record.source) & set(".@"):
            return _cut(text, at, at + len(record.source), (record.source,))
    tokens = tokenise(text, WORDS_READ)
    quoted = [found.span() for found in QUOTED.finditer(text)]  # of what is said in it no word names a source
    stems = ["" if any(a < t.start < b for a, b in quoted) else stem(t.word) for t in tokens]
    best: tuple[int, int, int, list[str]] = (0, 0, 0, [])
    names = {record.source: _name_stems(record) for record in records}
    for source, parts in names.items():
        for begin, end, weight in _runs(tokens, stems, parts):
            if weight > best[0]:
                best = (weight, begin, end, [source])
            elif weight == best[0] and weight and (begin, end) == best[1:3]:
                best[3].append(source)
    if best[0] and len(records) > 1:
        return _taken(text, tokens, best[1], best[2], tuple(_newest(best[3])))
    for i in range(len(stems)):
        every = lexicon.EVERYTHING.at(stems, i)
        if every is not None and len(records) > 1:
            kinds = set(lexicon.SOURCES.of(text))
            wanted = [r.source for r in records if not kinds or _kind(r) in kinds]
            named = _taken(text, tokens, i, i + every.length, tuple(wanted or names))
            return Named(Scope(named.scope.sources, named.scope.said, every=True), named.rest)
    if unknown := _unknown_name(tokens, stems, records):
        return Named(Scope(unknown=unknown), text)
    return Named(Scope(), text)


def _runs(tokens: Sequence[Token], stems: Sequence[str], parts: Sequence[str]) -> list[tuple[int, int, int]]:
    """Where a source is named, from and to, and how surely: how many of its parts, more with a word for its kind."""
    known = set(parts)
    telling = _telling(parts)
    found = []
    at = 0
    while at < len(stems):
        if stems[at] not in telling:
            at += 1
            continue
        end = at + 1
        while end < len(stems) and stems[end] in known | _SPARE and not _parted(tokens, end - 1):
            if tokens[end].word in _LED and stems[end] not in known:
                break  # "a bicycle in the street video"
            end += 1
        while end > at + 1 and stems[end - 1] in _SPARE and stems[end - 1] not in known | _KIND_NOUNS:
            end -= 1
        hits = len({s for s in stems[at:end] if s in telling})
        led = at > 0 and (
            tokens[at - 1].word in _LED or (at > 1 and tokens[at - 1].word == "the" and tokens[at - 2].word in _LED)
        )
        cued = not (_KIND_NOUNS | _CALLED).isdisjoint(stems[at + 1 : end + 1])
        whole = hits == len(telling)
        if hits > 1 or cued or (whole and led) or (led and at + 1 == len(stems)):
            end += end < len(stems) and stems[end] in _KIND_NOUNS | _CALLED
            found.append((at, end, 2 * hits + cued + whole))
        at = end
    return found


def _taken(text: str, tokens: Sequence[Token], begin: int, end: int, sources: tuple[str, ...]) -> Named:
    """The scope, and the text without the words from ``begin`` to ``end`` and what leads to them."""
    return _cut(text, tokens[begin].start, tokens[end - 1].end, sources)


def _cut(text: str, begin: int, end: int, sources: tuple[str, ...]) -> Named:
    before, leads = text[:begin].rstrip(), _LED | {"the", "a", "this", "that", "my"}
    while before.split() and (last := before.split()[-1]).lower() in leads:
        before = before[: len(before) - len(last)].rstrip()
        leads = leads - {"about"} if last.lower() in _LED else leads  # "what do they talk about in the yard?"
    rest = " ".join(f"{before} {text[end:].lstrip()}".split()).replace(" ?", "?").strip(" ,;:")
    return Named(Scope(sources, text[begin:end]), rest if any(c.isalnum() for c in rest) else text)


def _unknown_name(tokens: Sequence[Token], stems: Sequence[str], records: Sequence[SourceRecord]) -> str:
    """A name before or after "camera", "recording" that is none of the sources'."""
    if len(records) < 2:
        return ""
    for i, word in enumerate(stems):
        if word not in _KIND_NOUNS or i == 0:
            continue
        before = tokens[i - 1].word
        if (
            stems[i - 1] in _SPARE
            or before in lexicon.STOP_WORDS
            or lexicon.colour_of(before)
            or stems[i - 1] in lexicon.FRAMING
        ):
            continue
        if (
            i > 1
            and tokens[i - 2].word in ("the", "my")
            and before not in ("other", "first", "second", "last", "same", "whole")
        ):
            return f"{before} {tokens[i].word}"
    return ""


def _name_stems(record: SourceRecord) -> list[str]:
    name = session_of(record.source)[0] or record.source
    parts = [stem(p) for t in tokenise(name.replace("_", " ").replace("-", " ").replace(".", " ")) for p in [t.word]]
    if record.kind == "microphone":
        parts += ["mic", "microphon"]
    return [p for p in parts if p not in _ENDINGS]


def _telling(parts: Iterable[str]) -> set[str]:
    """The parts of a name that tell it from others; all of them where it has only such as any might have."""
    return set(parts) - _SPARE or set(parts)


def _newest(sources: list[str]) -> list[str]:
    """Of live sources with one label, those of the newest session."""
    moments = {session_of(s)[1] for s in sources}
    if "" in moments or len(moments) < 2:
        return sources
    return [s for s in sources if session_of(s)[1] == max(moments)]


def _kind(record: SourceRecord) -> str:
    return "file" if record.kind == "file" else "microphone" if record.kind == "microphone" else "live"


def _parted(tokens: Sequence[Token], at: int) -> bool:
    return False if at + 1 >= len(tokens) else tokens[at + 1].start - tokens[at].end > 2
