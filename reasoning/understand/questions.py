"""What a question asks: its kind, the words that must be evidenced, and the type of answer expected.

By rule and pure. `parse_question` reads the time words first, then decides the kind from the question's
opening and its verbs, then keeps the content words. Words that merely frame a question ("narrator",
"video", "shown") are weak: they help to choose a channel, they are not evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from reasoning.understand.alternatives import alternatives_in, precedence
from reasoning.understand.time_words import TimeWords, parse_time_words
from reasoning.understand.wording import plain_wording
from reasoning.understand.words import STOP_WORDS, fold, number_value, ordinal_value, split_words, stem, words

Kind = Literal[
    "when", "spoken", "read", "count", "order", "presence", "colour", "who", "where", "now", "summary", "what"
]
AnswerType = Literal[
    "", "name", "number", "time", "duration", "web address", "colour", "place", "state", "city", "country",
    "language", "question", "title", "date",
]  # fmt: skip

# Words that say how something is told, seen or framed; evidence never has to contain them.
FRAMING = frozenset(
    stem(word)
    for word in split_words(
        """
    narrator speaker voice somebody someone anybody anyone person people man woman boy girl lady guy presenter
    host guest interviewer actor actress character user viewer audience video clip film movie trailer
    recording footage scene excerpt picture image screen frame shot camera audio sound say tell speak talk
    mention name ask answer call describe state explain announce discuss hear listen see show visible appear
    occur happen write read display stand lie sit text word letter caption subtitle kind type sort thing
    something anything total overall different according look like exactly take place given moment time part
    begin start end finish first last young old tall big small large little bearded many much often long which
    way one ones demo page sign watermark title logo card label front back top bottom left right side beside
    corner row middle centre upper lower next really come enter pass go put number smallest largest several
    question colour color wide close change ask thing things shown itself trying try other many use time
    bright dark visible
    act acting star starring cast
    heading headline slide poster banner author cover notice board ticket credit
    """
    )
)
_SPOKEN = re.compile(
    r"\b(?:say|says|said|saying|tells?|told|telling|talk(?:s|ed|ing)?|speak(?:s|ing)?|spoke|spoken|mention(?:s|ed|ing)?|"
    r"asks?|asked|asking|answers|answered|replie[sd]|reply|announce[sd]?|narrat\w+|explain(?:s|ed)?|describe[sd]?|"
    r"discuss(?:es|ed)?|argue[sd]?|claim(?:s|ed)?|hear|heard|voice|speaker|according to (?:him|her|them|the (?:"
    r"narrator|speaker|man|woman|voice|lecturer|presenter|reporter|host|guest|teacher|author))|quote[sd]?|"
    r"(?:does|did|do) (?:\w+ ){1,3}answer|"
    r"sentence|lecturer|speech|sings?|sang|lyrics|utter(?:s|ed)?|promise[sd]?|request(?:s|ed)?)\b"
)
_READ = re.compile(
    r"\b(?:written|writing|read|reads|text|captions?|subtitles?|signs?|watermark|titles?|logo|labels?|headline|"
    r"letters?|on[- ]screen|buttons?|credits?|card|banner|poster|slide|number ?plate|licen[cs]e plate|printed|"
    r"displayed|menu|page|heading|words? (?:is|are|stands?|appears?|can be|shown|on)|presents?|headlines?|"
    r"brand|website shown|screen say|address)\b"
)
_SIGN_SAYS = re.compile(
    r"\bdoes it say on\b|"
    r"\b(?:does|do|did) (?:the|this|that|these|those) (?:\w+ ){0,3}?(?:signs?|slides?|labels?|captions?|subtitles?|"
    r"texts?|titles?|cards?|posters?|screens?|banners?|pages?|watermarks?|logos?|headlines?|buttons?|letters?|covers?|"
    r"notices?|boards?|displays?|notes?|tickets?|credits|answers?|messages?|"
    r"paragraphs?|articles?|websites?) (?:say|read|show|mean)\b"
)
_NAMED = re.compile(r"\b(?:named|shown|given)\b")
_SEEN = re.compile(
    r"\b(?:see|seen|saw|shown|visible|appears?|appeared|look(?:s|ed)? like|wear(?:s|ing)?|drive[sn]?|drives|"
    r"walk(?:s|ed|ing)?|enters?|entered|leaves?|pass(?:es|ed)?|moves?|moved|moving|picture|on screen|in view)\b"
)
_AUXILIARY = re.compile(
    r"^(?:and |so |but )?(?:is|are|was|were|am|do|does|did|has|have|had|can|could|will|would|should|isn't|"
    r"aren't|wasn't|weren't|don't|doesn't|didn't|hasn't|haven't)\b"
)
_COUNT = re.compile(
    r"\b(?:how many|how often|how frequently|(?:the )?(?:total |smallest |largest |greatest |maximum |minimum )?"
    r"number of|count (?:the|how|of|all)|^count)\b"
)
_WHEN = re.compile(
    r"^(?:since |until |from |and |at |in |around )?(?:when|(?:what|which) (?:time|moment|second|minute|point)|"
    r"(?:what|which) (?:point|moment) in time)\b"
)
_ORDER = re.compile(r"\b(?:first|earlier|sooner|before|last|later|latest|earliest|after)\b")
_SUMMARY = re.compile(
    r"\b(?:summari[sz]e|summary|recap|overview|what (?:has )?happen(?:s|ed|ing)?(?: (?:in|here|there|then|next|"
    r"so far|today|in the (?:video|clip|film)))?\s*[?.!]*$|what (?:is|was|were|are) (?:happening|going on)|"
    r"what did i miss|what (?:has |have )?changed\s*[?.!]*$|describe (?:the|this|what)|"
    r"what (?:is|was) (?:the |this |that |all )?(?:video|clip|film|movie|recording|talk|it|this|that)(?: all)? about|"
    r"what have you (?:seen|heard)|what did you see|what do you see\s*[?.!]*$|"
    r"what can you (?:see|hear)(?: and (?:see|hear))?\s*[?.!]*$|"
    r"tl;?dr|\bgist\b|in a nutshell|\b(?:sum|wrap) (?:it|this|that|everything|things) up\b|"
    r"\b(?:run|walk|talk) me through|"
    r"^(?:is|are|was|were|do|does|did|has) (?:there )?(?:anything|something)(?: (?:else|\w+ly))?"
    r"(?: (?:happen\w*|go(?:es|ing) on|takes? place|took place)| "
    r"(?:interesting|unusual|special|notable|new|exciting|worth \w+))|"
    r"^any(?:thing)? (?:interesting|unusual|special|notable|new|exciting|happen\w*|going on)\b)"
)  # fmt: skip
# Of these the present is asked, where anything goes on.
_GOES_ON = re.compile(r"\b(?:what (?:is|are) (?:\w+ )?(?:happening|going on)|what do you see)\b")
_COLOUR = re.compile(r"\b(?:what|which) colou?rs?\b|\bcolou?r of\b")
# What stands in quotation marks; an apostrophe is none.
QUOTED = re.compile(r"[\"“”„«»]([^\"“”„«»]{1,80})[\"“”«»]|(?<!\w)['‘]([^'‘’]{2,80})['’](?!\w)")


# Of what is told back to the asker; a longer "word" is a slip of the keyboard.
PHRASE_CHARACTERS = 60


class Term(Struct, frozen=True):
    """A content word of the question and how much of the evidence hangs on it (0..1)."""

    word: str
    weight: float


class Question(Struct, frozen=True):
    """A parsed question.

    text          as asked, in plain wording.
    body          without its time words.
    kind          what family of answers it wants; ``now`` questions keep their own kind in ``inner``.
    terms         content words in order, strong (weight 1) and weak (0.25).
    phrases       quoted strings and runs of capitals: to be found as they are.
    expects       type of the answer, "" when open; ``several`` when more than one is wanted.
    wanted        how many are wanted ("two actors"), or None.
    head          the noun asked for ("telescope" in "which telescope"), "".
    alternatives  the two things of an "A or B" question.
    spoken/read/seen  whether the wording points to that channel.
    ongoing       a summary in the present tense: of what goes on now, where anything does.
    """

    text: str
    body: str
    kind: Kind
    time: TimeWords
    inner: Kind = "what"
    terms: tuple[Term, ...] = ()
    phrases: tuple[str, ...] = ()
    expects: AnswerType = ""
    several: bool = False
    wanted: int | None = None
    head: str = ""
    alternatives: tuple[str, ...] = ()
    spoken: bool = False
    read: bool = False
    seen: bool = False
    ongoing: bool = False

    @property
    def strong(self) -> tuple[str, ...]:
        """The content words that evidence has to carry."""
        return tuple(term.word for term in self.terms if term.weight >= 1.0)

    @property
    def query(self) -> str:
        """What to search memory for: the content words, strong ones if there are any."""
        return " ".join((*self.phrases, *(self.strong or tuple(term.word for term in self.terms))))

    def has(self, *candidates: str) -> bool:
        """Whether one of these words (any inflection) is in the question."""
        stems = {stem(word) for word in candidates}
        return any(stem(word) in stems for word in words(self.text))


def parse_question(text: str, as_of_s: float, start_s: float = 0.0) -> Question:
    """Parse ``text``, asked when ``as_of_s`` seconds of media had been seen."""
    text = plain_wording(text)
    precedes = precedence(text)
    # "Did the car come before the bus?": the bus bounds no window then.
    time = TimeWords(text) if precedes else parse_time_words(text, as_of_s, start_s)
    low = fold(text)
    body = time.rest
    low_body = fold(body)
    alternatives = (precedes[0], precedes[2]) if precedes else alternatives_in(text)
    inner = _kind(low, low_body, alternatives)
    expects, several, wanted, head = _expected(low, inner)
    phrases = _phrases(body)
    ongoing = inner == "summary" and bool(_GOES_ON.search(low))
    return Question(
        text=text,
        body=body,
        kind="now" if time.now and (inner != "summary" or ongoing) else inner,
        time=time,
        inner=inner,
        terms=content_terms(body, phrases, head),
        phrases=phrases,
        expects=expects,
        several=several,
        wanted=wanted,
        head=head,
        alternatives=alternatives,
        spoken=bool(_SPOKEN.search(low)),
        read=bool(_READ.search(low)) or bool(_NAMED.search(low) and expects in ("name", "title")),
        seen=bool(_SEEN.search(low)),
        ongoing=ongoing and not time.bounded,
    )


def content_terms(text: str, phrases: tuple[str, ...] = (), head: str = "") -> tuple[Term, ...]:
    """The content words of ``text`` with their weights; ``head`` is the noun asked for, which counts half."""
    quoted = set(words(" ".join(phrases)))
    terms: dict[str, Term] = {}
    for word in words(text):
        if word in terms or "'" in word or (len(word) < 2 and not word.isdigit()):
            continue
        if word in STOP_WORDS and word not in quoted:
            continue
        weak = stem(word) in FRAMING or ordinal_value(word) is not None or number_value(word) is not None
        weak = weak and word not in quoted
        weight = 0.25 if weak else 1.0
        terms[word] = Term(word, weight)
    return tuple(terms.values())


def _kind(low: str, low_body: str, alternatives: tuple[str, ...]) -> Kind:
    opening = re.sub(r"^[,\s]+", "", low_body)
    opening = re.sub(r"^(?:please |can you tell me |could you tell me |tell me |do you know )+", "", opening)
    if _SUMMARY.search(opening) or _SUMMARY.search(low):
        return "summary"
    if _COUNT.search(low):
        return "count"
    if _WHEN.search(opening) or _WHEN.search(low):
        return "when"
    if alternatives and _ORDER.search(low):  # `precedence`, too
        return "order"
    if _AUXILIARY.search(opening) or opening.startswith(("if ", "whether ")):
        return "presence"
    if _COLOUR.search(low):
        return "colour"
    if opening.startswith(("where", "on which side", "on what side", "from which side", "from which direction")):
        return "read" if _READ.search(low) and "according to" in low else "where"
    by_text = re.search(
        r"according to (?:the|this) (?:\w+ )?(?:text|answer|caption|slide|page|label|sign|card|title|poster)", low
    )
    if by_text:
        return "read"
    if opening.startswith(("who ", "whose", "whom", "who's")) and not re.search(
        r"\b(?:written|caption|title|credits)\b", low
    ):
        return "who"
    if _SIGN_SAYS.search(low):
        return "read"
    read, spoken = _READ.search(low), _SPOKEN.search(low)
    if spoken and not read:
        return "spoken"
    if read and not (spoken and re.search(r"\b(?:says?|said|narrator|speaker|told|tells?|heard)\b", low)):
        return "read"
    if spoken:
        return "spoken"
    return "what"


_NOUN_TYPES: tuple[tuple[str, AnswerType], ...] = (
    (r"web ?(?:site|page|address)|url|link|site|domain|internet address", "web address"),
    (r"languages?", "language"),
    (r"states?", "state"),
    (r"cit(?:y|ies)|towns?", "city"),
    (r"countr(?:y|ies)|nations?", "country"),
    (r"places?|locations?|addresses|venues?", "place"),
    (r"names?|actors?|actress(?:es)?|authors?|directors?|presidents?|persons?|writers?|composers?|singers?", "name"),
    (r"questions?", "question"),
    (r"titles?", "title"),
    (r"years?|numbers?|price|prices|amount|age|percentage|phone numbers?|score|temperature", "number"),
    (r"dates?|day|days|month|months", "date"),
)


def _expected(low: str, kind: Kind) -> tuple[AnswerType, bool, int | None, str]:
    """(type of answer, several wanted, how many, head noun)."""
    head, wanted = _head(low)
    several = bool(head) and head.endswith("s") and not head.endswith("ss")
    asked = re.search(r"\b(?:which|what)(?:\s+(?:is|are|was|were))?(?:\s+the)?((?:\s+[a-z0-9'-]+){1,4})", low)
    if re.search(r"\bhow long\b", low):
        return "duration", False, None, ""
    if kind == "when":
        return "time", False, None, ""
    if kind == "colour":
        return "colour", False, None, ""
    if kind == "count" or re.search(r"\bhow (?:much|old|far|big|tall|high|fast)\b", low):
        counted = re.search(r"\bhow many (?:different |other |more )?(\w+)|\bnumber of (?:different )?(\w+)", low)
        return "number", False, None, next(filter(None, counted.groups())) if counted else head
    if asked:
        phrase = asked[1].strip()
        for pattern, kind_of in _NOUN_TYPES:
            if head and (re.fullmatch(pattern, head) or re.match(rf"(?:{pattern})\b", phrase)):
                return kind_of, several or (wanted or 1) > 1, wanted, head
    if kind == "who" and re.search(
        r"\b(?:wrote|written|acts?|acted|acting|stars?|starring|directed|produced|made|named|called|is named|"
        r"(?:author|actor|director|producer|composer|writer|singer|editor)s?|actress(?:es)?)\b",
        low,
    ):
        return "name", False, None, ""
    if kind == "where":
        return "place", False, None, ""
    return "", several, wanted, head


def _head(low: str) -> tuple[str, int | None]:
    """The noun a "which/what" question asks for, and how many of it.

    "Which NASA centre does", "what kind of room", "which two actors are", "which project presents", "what is the
    title of" give centre, room, actors, project, title; "what stands on" asks for no noun.
    """
    kind_of = re.search(r"\b(?:kind|type|sort)s? of ([a-z-]+)", low)
    asked = re.search(r"\b(?:which|what)\s+((?:is|are|was|were)\s+)?((?:[a-z0-9'-]+\s*)+)", low)
    if not asked:
        return "", None
    wanted: int | None = None
    run: list[str] = []
    ended_by_verb = False
    for word in asked[2].split():
        value = number_value(word)
        if value is not None and not run:
            wanted = int(value)
        elif word in ("the", "a", "an") and not run:
            continue
        elif word in STOP_WORDS or ordinal_value(word) is not None:
            ended_by_verb = bool(_AUXILIARY.match(word))
            break
        else:
            run.append(word)
    counted = re.search(r"\bof the (\w+) ", low)
    if wanted is None and counted and number_value(counted[1]) is not None:
        wanted = int(number_value(counted[1]) or 0)
    if kind_of:
        return kind_of[1], wanted
    if not run or (not asked[1] and len(run) == 1 and not ended_by_verb):
        return "", wanted
    if asked[1] and re.search(r"(?:ing|ed|en|wn)$", run[0]):
        return "", wanted
    if ended_by_verb or asked[1]:
        return run[-1], wanted
    return (run[1] if len(run) > 2 and any(re.fullmatch(p, run[1]) for p, _ in _NOUN_TYPES) else run[0]), wanted


def _phrases(text: str) -> tuple[str, ...]:
    """Quoted strings and runs of capital words, as they are; an all-capital question has none."""
    out = [next(filter(None, found.groups())).strip() for found in QUOTED.finditer(text)]
    if not text.isupper():
        out += [
            run for run in re.findall(r"\b[^\W\d_a-zß-ÿ]{3,}(?:[\s-]+[^\W\d_a-zß-ÿ]{2,})*\b", text) if run.isupper()
        ]
    return tuple(dict.fromkeys(phrase for phrase in out if phrase))


def noun_phrases(text: str, wanted: Iterable[str]) -> list[str]:
    """Runs of ``wanted`` words (folded) as ``text`` writes them, each with its article: "a dog", "the launch date".

    What is no name and has no article is put in quotation marks, as a word.
    """
    chosen = set(wanted)
    out: list[str] = []
    run: list[str] = []
    before: list[str] = []
    for token in [*re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text), ""]:
        if token and words(token) and words(token)[0] in chosen:
            run.append(re.sub(r"['’]s$", "", token))
            continue
        if run:
            # "the right bottle": a framing word between the article and the noun belongs to the phrase.
            between = [before.pop()] if before and stem(fold(before[-1])) in FRAMING else []
            article = before[-1].lower() if before and before[-1].lower() in ("a", "an", "the", "any") else ""
            named = " ".join([*between, *run] if article else run)
            named = named if len(named) <= PHRASE_CHARACTERS else f"{named[: PHRASE_CHARACTERS - 3]}..."
            out.append(f"{article} {named}" if article else named if named[0].isupper() else f'"{named}"')
            before += run
            run = []
        before.append(token)
    return list(dict.fromkeys(out))
