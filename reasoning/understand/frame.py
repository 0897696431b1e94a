"""A Frame: what a question asks, in the terms that evidence is sought and judged by."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from runtime.language.lists import join, quote
from runtime.language.normalise import fold
from runtime.language.times import TimeWords
from runtime.messages import Channel
from runtime.named_sources import Scope

# A phrase of the question is taken up in an answer up to so many characters.
LONGEST = 60
AUXILIARY = frozenset("is are was were be been do does did has have had can could will would should may must s".split())
_ARTICLES = frozenset("a an the any his her their my your this that".split())

# Predicates that eyes tell of.
VISIBLE = frozenset(("enter", "leave", "pass", "move", "stay", "wear", "hold"))
Reduce = Literal["exists", "first", "last", "list", "count", "order", "value", "summary", "now"]
# What of a question a word is: its matter, what is done, where, the noun that asks for a value, who speaks, a colour.
Role = Literal["subject", "predicate", "place", "head", "speaker", "colour"]


class Term(Struct, frozen=True):
    """A content word, folded, and where it stands in the question."""

    word: str
    role: Role
    start: int
    end: int


class Frame(Struct, frozen=True):
    """A question as it is understood.

    text        as asked, or in full where it was a follow-up.
    reduce      what is made of the evidence; ``expects`` the type of a value ("moment", "colour", "city", ...).
    channels    where the wording points; none where it does not.
    predicate   what is done, by the lexicon's name ("enter", "say"); "" where nothing is.
    things      what it is about by the names that detectors give; colours and sides of it.
    options     the two of an "A or B"; ``phrases`` what stands in quotation marks.
    ordinal     the nth of several, -1 for the last, 0 where none is meant. ``extreme`` "most" or "least" at once.
    about       "sources" where it asks of the recordings and cameras as such, "presence" whether they were there,
                "transcript" for all that was said.
    clause      it asks whether certain words were said ("did anybody say that ..."): they are all needed.
    offset      how many of a list were told already ("what else?").
    fragment    no question by itself, such as "the red one" or "yesterday".
    """

    text: str
    reduce: Reduce
    times: TimeWords
    expects: str = ""
    channels: tuple[Channel, ...] = ()
    predicate: str = ""
    terms: tuple[Term, ...] = ()
    things: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    ordinal: int = 0
    extreme: Literal["", "most", "least"] = ""
    about: Literal["", "sources", "presence", "transcript"] = ""
    scope: Scope = Scope()
    clause: bool = False
    still: bool = False
    offset: int = 0
    fragment: bool = False
    language: str = ""

    def of(self, *roles: Role) -> tuple[str, ...]:
        """The content words of these roles, in order."""
        return tuple(dict.fromkeys(term.word for term in self.terms if term.role in roles))

    @property
    def matter(self) -> tuple[str, ...]:
        """What evidence in words has to carry."""
        return self.of("subject", "predicate", "colour")

    @property
    def is_bare(self) -> bool:
        """Whether it says nothing of what is asked."""
        said = (
            self.expects or self.terms or self.things or self.phrases or self.channels or self.predicate or self.about
        )
        return self.reduce == "value" and not said

    @property
    def subject(self) -> str:
        """What it is about, in its own words; "" where it names nothing."""
        if self.phrases:
            return join(quote(phrase) for phrase in self.phrases)
        terms = [term for term in self.terms if term.role in ("subject", "colour", "place")]
        if not terms:
            return ""
        rest, begin, end = self.times.rest, terms[0].start, terms[-1].end
        if fold(rest[begin : terms[0].end]).startswith(terms[0].word) and end - begin <= LONGEST:
            before = rest[:begin].split()[-1:]
            article = f"{before[0]} " if before and before[0].lower() in _ARTICLES else ""
            named = rest[begin:end].split()  # it ends before a verb: "the gear does he wear"
            verb = next((i for i, word in enumerate(named) if i and word.lower() in AUXILIARY), len(named))
            return f"{article}{' '.join(named[:verb])}"
        told = " ".join(dict.fromkeys(term.word for term in terms))
        return told if told.endswith("s") else f"the {told}"

    @property
    def query(self) -> str:
        """What to search memory for."""
        found = " ".join((*self.phrases, *self.matter, *self.of("place")))
        return found or " ".join(self.of("head", "speaker"))

    @property
    def often(self) -> bool:
        """Whether it asks how many times."""
        return self.text.lower().startswith(("how often", "how many times", "how frequently"))

    @property
    def is_now(self) -> bool:
        """Whether the moment of asking is meant."""
        return self.reduce == "now" or self.times.now
