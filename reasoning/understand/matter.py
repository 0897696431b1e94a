"""What a question is about: the words that its reading left over, things among them, two that are to be compared."""

from __future__ import annotations

from collections.abc import Sequence

from reasoning.understand.frame import AUXILIARY, Role, Term
from reasoning.understand.reading import MEDIA, Reading
from runtime.language import lexicon
from runtime.language.numbers import ordinal_value
from runtime.named_sources import Scope

_ARTICLES = frozenset(("a", "an", "the"))
# "Which of the cameras": the question word is sought so far before its noun.
WHICH_WITHIN = 3


def options(reading: Reading, begin: int) -> tuple[str, ...]:
    """The two of "A or B", each without what stands before the first and after the second."""
    joint = next((i for i in range(begin + 1, len(reading) - 1) if reading.word(i) == "or"), None)
    if joint is None:
        return ()
    left, right = joint, joint + 1
    while left > begin and not (reading.is_parted(left - 1) or _is_before_option(reading, left - 1)):
        left -= 1
    while right < len(reading) and reading.word(right) not in AUXILIARY:
        right += 1
        if reading.is_parted(right - 1):
            break
    if all(reading.is_framing(i) for i in (*range(left, joint), *range(joint + 1, right))):
        return ()  # "see or hear"
    for i in range(left, right):
        reading.roles.setdefault(i, "subject")
    first, second = reading.between(left, joint), reading.between(joint + 1, right)
    return (first, second) if first and second else ()


def _is_before_option(reading: Reading, at: int) -> bool:
    """Whether a word is none of what is compared: it has done its work, or tells what is done."""
    word = reading.word(at)
    done = at in reading.taken and word not in _ARTICLES
    return done or word in AUXILIARY or reading.roles.get(at) == "predicate"


def terms(reading: Reading, counting: set[int], is_seen_to_do: bool) -> tuple[Term, ...]:
    """The content words and what each is for. ``is_seen_to_do``: what is asked about can be seen to be done."""
    locating = ""
    found: list[Term] = []
    for i, token in enumerate(reading.tokens):
        word = token.word
        in_clause = reading.clause_at is not None and i > reading.clause_at
        if word in lexicon.LOCATING:
            locating = word
            continue
        if word in AUXILIARY:
            locating = ""
        role = reading.roles.get(i)
        if (i in reading.taken and role is None) or reading.is_empty(i) or (locating and word in lexicon.HERE):
            continue
        if role is None and not in_clause:
            does = is_seen_to_do and not locating and reading.roles.get(i + 1) == "predicate"
            if does and reading.stems[i] in MEDIA:
                role = "subject"  # "when is the film coming out?"
            elif not reading.is_matter(i) or (ordinal_value(word) and word != "second"):
                continue
            is_head = i in counting or _is_type_of_another(reading, i)
            role = "head" if is_head else role or _role(reading, i, locating)
        found.append(Term(word, role or "subject", token.start, token.end))
    return tuple(found)


def _role(reading: Reading, at: int, locating: str) -> Role:
    word = reading.word(at)
    pointed_at = locating and "text" in reading.channels  # "beside the orange arrow"
    if lexicon.colour_of(word) and not pointed_at:
        return "colour"
    worn = locating == "in" and lexicon.CLOTHES.of(word)  # "in a red top", and not "at the top"
    return "place" if locating and not worn else "subject"


def _is_type_of_another(reading: Reading, at: int) -> bool:
    """Whether a word is only what another one is: "the city of London"."""
    kind = lexicon.TYPES.at(reading.stems, at)
    if kind is None or reading.word(at + 1) != "of":
        return False
    return bool(set(lexicon.places_in(kind.value, reading.text)) - {reading.word(at)})


def things(reading: Reading, expects: str) -> tuple[str, ...]:
    """Things named as the matter of the question, not as who speaks; of a kind that is asked for, the kind."""
    found = lexicon.KINDS.of(reading.text)[:1] if expects == "kind" else []
    for thing in lexicon.THINGS.find(reading.stems):
        if reading.word(thing.start - 1) == "being":
            continue  # "what is being built?" asks for no building
        at = range(thing.start, thing.start + thing.length)
        roles = {i: reading.roles.get(i) for i in at}
        if all(role == "head" or (role != "speaker" and i not in reading.taken) for i, role in roles.items()):
            found.append(thing.value)
    if not (found or expects) and reading.clause_at is None:  # "how many vehicles", "name all the animals"
        free_kinds = (kind for kind in lexicon.KINDS.find(reading.stems) if kind.start not in reading.taken)
        found = [kind.value for kind in free_kinds][:1]
    return tuple(dict.fromkeys(found))


def sides(found: Sequence[Term]) -> tuple[str, ...]:
    """Sides of the picture that are named; "top" and "bottom" are clothes where no place is told."""
    named = [t for t in found if t.role == "place" or not lexicon.CLOTHES.of(t.word)]
    return tuple(dict.fromkeys(side for t in named for side in lexicon.SIDES.of(t.word)))


def about_sources(reading: Reading, reduce: str, expects: str, begin: int, scope: Scope) -> str:
    """Whether it asks of recordings and cameras as such ("sources"), or whether they were there ("presence")."""
    found = {i: part for i in range(begin, len(reading)) if (part := lexicon.PRESENCE.at(reading.stems, i))}
    present = {i + k for i, part in found.items() for k in range(part.length)}
    missed = any(part.value == "missed" for part in found.values())
    content = [i for i in range(begin, len(reading)) if i in present or not reading.is_empty(i)]
    kinds = [i for i in content if lexicon.SOURCES.at([reading.stems[i]], 0)]
    matter = [i for i in content if reading.is_matter(i)]
    if present and (scope.sources or kinds or missed) and set(matter) <= present | set(kinds):
        return "presence"
    asked = {token.word for token in reading.tokens}
    if set(matter) - set(kinds) or "about" in asked or expects == "title":
        return ""
    if expects == "duration":
        return "sources" if kinds or scope.sources or {"it", "this", "that"} & asked else ""
    before = {reading.word(i) for i in range(kinds[0] - WHICH_WITHIN, kinds[0])} if kinds else set()
    if kinds and (reduce in ("count", "list") or {"which", "what"} & before):
        return "sources"
    return "sources" if "record" in reading.stems and expects in ("moment", "date", "hour") else ""
