"""Whether an answer is right, and whether it cites the right place.

An answer is scored without its citation marks. Both sides are normalised: case, accents and punctuation
go, articles, "and" and a plural s go, number words become digits ("twice" is 2). An alternative matches
when its words stand in the answer next to each other; part of a word is no match.

- ``when``: right if any time the answer states, marks included, lies in an evidence interval or within
  2 s of one.
- ``order``: the right alternative must stand before any word that is only in another option of the
  question ("A or B?"), so that "B came before A" is wrong.
- ``absent``: right if the answer abstains or, outside what it quotes, denies ("no", "I did not see ...", a
  published alternative).
- every other kind: any alternative matches. Times the answer states do not count as numbers, unless the
  alternative is itself a time.

An answer that abstains is never right, except for ``absent``. A citation is in the right place if its
interval comes within 1 s of an evidence interval; questions without evidence have no right place.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

WHEN_TOLERANCE_S = 2.0
CITATION_TOLERANCE_S = 1.0

_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
_UNITS += "seventeen eighteen nineteen".split()
_NUMBERS = {word: str(value) for value, word in enumerate(_UNITS)}
_NUMBERS |= {
    word: str(10 * value)
    for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
_NUMBERS |= {"once": "1", "twice": "2", "thrice": "3"}
# An article or the joint of a list is no part of an answer.
_DROPPED = frozenset(("a", "an", "the", "and"))
# Words that do not tell one option of a question from another.
_FILLERS = frozenset("about at by from in is of on to was with".split())

_MARK = re.compile(r"\[[^\]\n]*?\d+:\d\d[^\]\n]*\]")
_CLOCK = r"(?:(?P<h>\d+):)?(?P<m>\d{1,3}):(?P<s>\d\d(?:\.\d+)?)"
_SPAN = (
    r"(?:(?P<minutes>\d+(?:\.\d+)?)\s*(?:minutes?|min)\b(?:\s*(?:and\s*)?(?P<rest>\d+(?:\.\d+)?)\s*(?:seconds?|sec|s)\b)?"
    r"|(?P<seconds>\d+(?:\.\d+)?)\s*(?:seconds?|secs?|s)\b)"
)
_TIME = re.compile(rf"(?<![\w:.]){_CLOCK}(?![\w:])|(?<![\w:.]){_SPAN}", re.IGNORECASE)
# "8 to 12 seconds", "between 8 and 12 s": the first number is a time as well.
_RANGE = re.compile(
    r"(?<![\w:.])(\d+(?:\.\d+)?)(?=\s*(?:to|and|until|-|–)\s*\d+(?:\.\d+)?\s*(?:seconds?|secs?|s)\b)", re.IGNORECASE
)

# What an answer quotes is not its own word.
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”")
_DENIAL_WORDS = frozenset(("no", "none", "never", "nobody", "nothing", "not"))
_DENIAL = re.compile(
    r"\b(?:did not|didn t|does not|doesn t|do not|don t|was not|were not|is not|never|nobody|nothing|no one)\b"
    r"(?: \w+){0,2}? (?:see|seen|saw|hear|heard|read|notice|noticed|find|found|appear|appears|occur|occurs|happen"
    r"|mentioned|said|shown|visible)\b"
)


@dataclass(frozen=True)
class Score:
    """``first_cited`` and ``any_cited`` are None where there is no right place to cite."""

    right: bool
    abstained: bool
    first_cited: bool | None
    any_cited: bool | None

    @property
    def wrong(self) -> bool:
        """Said something, and it was not right."""
        return not self.right and not self.abstained


def words(text: str) -> list[str]:
    """The normalised words of a text."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    found = re.findall(r"\w+", plain.replace("_", " "))
    return [_NUMBERS.get(word, _singular(word)) for word in found if word not in _DROPPED]


def _singular(word: str) -> str:
    """The word without a plural s, where it could have one."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def position(needle: Sequence[str], haystack: Sequence[str]) -> int | None:
    """Where ``needle`` first stands in ``haystack`` as neighbouring words; None if nowhere."""
    size = len(needle)
    if not size:
        return None
    return next((i for i in range(len(haystack) - size + 1) if list(haystack[i : i + size]) == list(needle)), None)


def times_s(text: str) -> list[float]:
    """Every moment a text states: "0:42", "1:02:03", "12.5 s", "1 minute 17 seconds", "8 to 12 seconds"."""
    spelled = re.sub(r"[A-Za-z]+", lambda match: _NUMBERS.get(match[0].lower(), match[0]), text)
    found = [float(match[1]) for match in _RANGE.finditer(spelled)]
    for match in _TIME.finditer(spelled):
        if match["m"]:
            found.append(3600.0 * float(match["h"] or 0) + 60.0 * float(match["m"]) + float(match["s"]))
        elif match["minutes"]:
            found.append(60.0 * float(match["minutes"]) + float(match["rest"] or 0))
        else:
            found.append(float(match["seconds"]))
    return found


def distance_s(interval: Sequence[float], others: Sequence[Sequence[float]]) -> float:
    """Seconds between an interval and the nearest of others; 0 where they touch, infinite if there is none."""
    t0_s, t1_s = interval[0], interval[-1]
    return min((max(0.0, other[0] - t1_s, t0_s - other[-1]) for other in others), default=float("inf"))


def matches(answer: str, alternatives: Sequence[str]) -> bool:
    """Whether any alternative stands in the answer."""
    text = _MARK.sub(" ", answer)
    said = words(_TIME.sub(" ", _RANGE.sub(" ", text)))
    said_with_times = words(text)
    return any(
        position(words(alternative), said_with_times if times_s(alternative) else said) is not None
        for alternative in alternatives
    )


def names_first(question: str, answer: str, alternatives: Sequence[str]) -> bool:
    """Whether the answer names a right alternative before any other option of an "A or B" question."""
    said = words(_MARK.sub(" ", answer))
    wanted = [words(alternative) for alternative in alternatives]
    places = [place for place in (position(alternative, said) for alternative in wanted) if place is not None]
    if not places:
        return False
    offered = options(question)
    right = [option for option in offered if any(position(alternative, option) is not None for alternative in wanted)]
    shared = {word for option in right for word in option} | {word for option in wanted for word in option} | _FILLERS
    rivals = {word for option in offered for word in option} - shared
    return not any(word in rivals for word in said[: min(places)])


def options(question: str) -> list[list[str]]:
    """The alternatives an "A or B?" question offers, as normalised words; empty if it offers none."""
    if not re.search(r"\bor\b", question):
        return []
    offered = re.split(r"[:,]", question.rstrip("? "))
    start = next((i for i, part in enumerate(offered) if re.search(r"\bor\b", part)), 0)
    parts = [part for piece in offered[max(start - 1, 1) if len(offered) > 1 else 0 :] for part in piece.split(" or ")]
    return [found for found in (words(part) for part in parts) if found]


def denies(answer: str, alternatives: Sequence[str]) -> bool:
    """Whether the answer says that there was no such thing."""
    own = _QUOTED.sub(" ", _MARK.sub(" ", answer))
    said = words(own)
    if said and said[0] in _DENIAL_WORDS:
        return True
    published = [found for found in map(words, alternatives) if found and found[0] not in _DENIAL_WORDS - {"not"}]
    if any(position(found, said) is not None for found in published):
        return True
    return bool(_DENIAL.search(" ".join(re.findall(r"\w+", own.casefold()))))


def score(
    kind: str,
    question: str,
    alternatives: Sequence[str],
    evidence: Sequence[Sequence[float]],
    answer: str,
    abstained: bool,
    citations: Sequence[Sequence[float]],
) -> Score:
    """Score one answer; ``evidence`` and ``citations`` are intervals [t0, t1] in media seconds."""
    if kind == "absent":
        right = abstained or denies(answer, alternatives)
    elif abstained:
        right = False
    elif kind == "when":
        right = any(distance_s([t_s], evidence) <= WHEN_TOLERANCE_S for t_s in times_s(answer))
    elif kind == "order":
        right = names_first(question, answer, alternatives)
    else:
        right = matches(answer, alternatives)
    if not evidence:
        return Score(right, abstained, None, None)
    near = [distance_s(citation, evidence) <= CITATION_TOLERANCE_S for citation in citations]
    return Score(right, abstained, bool(near) and near[0], any(near))
