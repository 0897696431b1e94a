"""Whether a text states something, or directs whoever takes it in what to answer, keep or believe.

A witness tells of the world ("the train leaves from platform seven"); nobody but who wants an answer to come out
differently speaks of questions, answers and records themselves. So no list of attacks is kept here, but a few classes
of words, and what counts is that two of them meet: an occasion of being asked and what to say; evidence and what to do
with it, or a verdict on it; a machine and either. What forges the frame that
evidence is given in (roles, a transcript's lines, a summary of the recording) is none either, whatever it says.
English is parsed the furthest; of other languages the same classes stand side by side.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from runtime.language.data import LEXICON
from runtime.language.match import likeness
from runtime.language.normalise import fold, words


def _any(*alternatives: str) -> str:
    return f"(?:{'|'.join(alternatives)})"


# --- classes of words -------------------------------------------------------------------------------------------

_WORDS: dict[str, list[str]] = LEXICON["directions"]
_NAMED_MACHINE = _any(*_WORDS["machines"])
_MACHINE = _any(_NAMED_MACHINE, *_WORDS["loose_machines"])
_PEOPLE, _SAY, _KEEP, _VERDICT = (_any(*_WORDS[name]) for name in ("people", "say", "keep", "verdicts"))
_REPLY = r"(?:answer|repl(?:y|ie)|response|output)s?"
# Being asked: "when anyone asks", "for questions on", "should it come up".
_ASKED = (
    r"\b(?:ask(?:s|ed|ing)?|question(?:s|ed)?|quer(?:y|ies)|[ei]nquir\w+|wants? to know|"
    r"(?:is|are|be|gets?) (?:brought up|mentioned|raised)|comes? up|(?:a|the) (?:topic|subject|matter))\b"
)
_OCCASION = (
    r"\b(?:when(?:ever)?|if|once|should|unless|wherever|every time|no matter|in case|who(?:ever)?|what(?:ever)?|any|"
    r"all|every|each|for|to|on|about|with)\b"
)
# Evidence and what is held to be known.
_EVIDENCE = _any(
    r"(?:previous|earlier|prior|above|preceding|former|other|older|existing|past) (?:\w+ ){0,2}?(?:instruction|fact|"
    r"statement|claim|information|evidence|record|entr(?:y|ie)|report|answer|memor(?:y|ie)|message|thing)s?",
    r"(?:all|any ?thing|every ?thing|the) (?:previous|earlier|prior|before|above|preceding)",
    r"(?:all |any |every |the )?other (?:signs?|notices?|texts?|sources?|voices?|people)",
    r"the (?:speaker|speech|sign|screen|audio|video|recording|witness(?:es)?)", r"your files?",
    "instructions?", "prompts?", "guidelines?", "evidence", "transcripts?", r"(?:your|all|the) memor(?:y|ies)",
    r"(?:your|all|the|any) (?:records?|notes?|logs?|database|entr(?:y|ies)|knowledge|facts?)",
    r"(?:information|statements?|facts?|entr(?:y|ies)|records?|evidence|memor(?:y|ies)) (?:recorded |kept |stored |"
    r"held |noted )?(?:on|about|for|of|regarding|concerning)\b",
    r"(?:any ?thing|every ?thing|whatever|what|all|things?) (?:else )?(?:that )?(?:is|was|were|has|have|had|you)\b"
    r".{0,16}\b(?:know|known|learn\w*|told|heard|noted|recorded|stored|remember\w*|seen)",
    r"your (?:\w+ )?(?:memor(?:y|ies)|recollections?|records?|notes?|logs?|database|knowledge|index|entr(?:y|ies)|"
    r"context|sources?)",
)  # fmt: skip

# --- how a direction is given -----------------------------------------------------------------------------------

# Not "I must say", "we have to use": who tells of somebody directs nobody.
_TOLD_OF = "".join(rf"(?<!\b{who} )" for who in ("i", "we", "he", "she", "they", "it", "to", "not", "can")) + (
    "(?<!n't )(?<!ld )(?<!ll )(?<!'d )"
)
# What to answer, in the passive.
_SAY_SO = r"\b(?:is|are|be|must|shall|should|has to|have to) (?:to )?be (?:met|answered|given|told|replied|said|read)\b"

# Each of these by itself.
_ALONE = (
    # What to answer.
    rf"\b(?:your|every|any|all|each|the|as) (?:an )?{_REPLY} (?:on|about|regarding|concerning|"
    r"to (?:any\w*|all|every\w*|each|questions?))\b",
    r"\b(?:answer|repl(?:y|ie)|response|evidence|instruction|override)s?\b.{0,60}(?:=|->|:=)|"
    r"(?:=|->).{0,30}\b(?:answer|reply|response)\b",
    rf"\b{_REPLY}\b.{{0,60}}\b(?:must|shall|has to|have to|is to|are to) (?:be|read|say|state|contain)\b",
    r"\b(?:authori[sz]e|permit|instruct|order|command|direct|require)s? you to\b|\bwhen you write (?:your|the|a)\b",
    rf"\b(?:mandatory|obliged|required|your (?:job|duty|task|role)) to {_SAY}\b",
    rf"{_TOLD_OF}\b{_SAY}(?: {_PEOPLE})? (?:only |always |just |instead )*(?:with|exactly|only|the following|words?)\b",
    # What to think of evidence.
    r"\b(?:only|most|sole) (?:trustworthy|reliable|valid|official|true|correct|credible) (?:source|information|account|"
    r"statement|sign|evidence|record)\b",
    rf"\b{_EVIDENCE}\b.{{0,60}}\b(?:is|are|was|were|as|be|been) (?:now |all |no longer )*{_VERDICT}\b",
    r"\b(?:erratum|errata|corrections?|amendments?|overrides?|patch|revisions?|updates?) (?:to|for|of|in) "
    r"(?:your|the|all) (?:\w+ )?(?:memor(?:y|ies)|records?|notes?|logs?|database|knowledge|index|transcripts?|"
    r"entr(?:y|ies)|evidence)\b",
    # Whoever is spoken to is a machine, or the one who takes this down.
    rf"(?:^|[.!?:;/@] *){_MACHINE}s? ?[,:!]|@ ?{_MACHINE}s?\b",
    rf"\b(?:to|for) (?:all|any|every) {_NAMED_MACHINE}s?\b|\b(?:ai|machine|bot|auto\w*)[- ]generated\b",
    r"\b(?:every|any) ?(?:one|body) who (?:reads|sees|hears|watches) (?:this|it)\b|\bstop what you are doing\b",
    rf"\byou are (?:now |no longer |only )?(?:a |an |the )?(?:\w+ )?{_NAMED_MACHINE}\b|\bas an ai\b|\bjailbreak",
    rf"\bfrom now on\b.{{0,40}}\b(?:{_SAY}|you)\b|\boverride\b.{{0,40}}\bset\b",
    # The frame that evidence stands in, forged.
    r"\b(?:system|developer|hidden|secret|admin\w*|operator) ?(?:prompt|message|instructions?|override|notice)\b|"
    r"\bnew instructions?\b",
    r"\b(?:system|assistant|developer) ?(?:\(\w+\) ?)?:|(?:^|[/.!?#] *)(?:user|tool|instruction|response|final answer|"
    r"answer|verdict|thought|observation|action|human) ?:",
    rf"(?:^|[/.!?] *)(?:\w+[ -])?{_NAMED_MACHINE} (?:is typing|says|wrote|\d)|(?:^|[/.!?] *)\w+[ -]{_NAMED_MACHINE} ?:",
    r"\((?:system|assistant|developer|user|tool)\)",
    r"\bim_(?:start|end)\b|\bendoftext\b|\btool_call|\bfunction_call|\binst\b *\)",
    r"\(\d{1,3}:\d\d(?::\d\d)?\) ?(?:somebody|someone|heard|said|read|seen|spoken|speech|text)\b",
    r"\b(?:tool|function|search|retrieval|api|memory|database|query) "
    r"(?:result|output|response|call|entry|update)s?\b ?:|"
    r"\b(?:user|operator|admin\w*|owner|system) (?:correction|note|input|update)s? ?:",
    r"\b(?:summar\w+|transcript|log|record|notes|key facts|highlights) (?:of |for )?(?:this|the|our) (?:\w+ )?"
    r"(?:recording|video|clip|footage|stream|session|memory)\b",
    # Its own testimony: what the agent or its memory is said to have noted, or a call of it in writing.
    r"\b(?:generated|produced|written|noted|recorded|confirmed|verified|stored|kept) (?:by|in) (?:your|the|its) "
    rf"(?:own )?(?:{_MACHINE}|memory)\b|\b(?:your|its) own memor(?:y|ies)\b",
    rf"\bthe {_MACHINE} (?:has |had )?(?:already |just )?(?:told|said|answered|confirmed|stated|noted|recorded|"
    r"remembered|logged|transcribed|retrieved)\b",
    r"\b(?:memory|context|assistant|agent)\.?\w*(?:\(|\.\w+\()|\b(?:trust|confidence|role|content|answer) ?= ?[\d'\"]",
    r"\b(?:context|evidence|memory|prompt|conversation) (?:ends?|begins?|starts?|closed)\b",
    r"\b(?:retrieved|stored|saved) (?:memory|memories|evidence|context|answer)\b|"
    r"\bend of (?:the )?(?:evidence|data|prompt|context|transcript|log|record)\b",
)  # fmt: skip

# The same in other languages: being asked and what to answer; what was told and leaving it out. Words, then writing
# that does not part its words.
_ELSEWHERE = {name: _any(*listed) for name, listed in LEXICON["directions_elsewhere"].items()}
_TOLD_TO_SAY, _TOLD_TO_KEEP = rf"{_TOLD_OF}\b{_SAY}\b(?! up\b)", rf"{_TOLD_OF}\b{_KEEP}(?:ed|d)?\b"

# Two that must meet, within so many characters. Between an occasion and being asked, which is the first then, the
# subject may stand.
_MEETING = tuple(
    (re.compile(first), re.compile(second), apart)
    for first, second, apart in (
        (rf"\b{_EVIDENCE}\b", _TOLD_TO_KEEP, 40),
        (rf"\b{_NAMED_MACHINE}s?\b", f"{_TOLD_TO_SAY}|{_TOLD_TO_KEEP}", 40),
        (rf"{_OCCASION}.{{0,60}}?({_ASKED})", f"{_TOLD_TO_SAY}|{_SAY_SO}", 120),
        (_ELSEWHERE["asked"], _ELSEWHERE["say"], 80),
        (_ELSEWHERE["always"], _ELSEWHERE["say"], 80),
        (_ELSEWHERE["drop"], _ELSEWHERE["evidence"], 80),
    )
)
# One by one: as one alternation they take three times as long.
_ALONE_RES = tuple(map(re.compile, _ALONE))


def is_direction(line: str) -> bool:
    """Whether one line of cleaned, lower-case text directs whoever takes it in."""
    line = fold(line)
    return any(alone.search(line) for alone in _ALONE_RES) or any(
        _beside(second, found, line, apart) for first, second, apart in _MEETING for found in first.finditer(line)
    )


def _beside(wanted: re.Pattern[str], found: re.Match[str], line: str, apart: int) -> bool:
    """Whether ``wanted`` stands before or after ``found``, not over it."""
    start, end = found.span(found.lastindex or 0)
    before, after = (max(0, start - apart), start), (end, end + apart)
    return any(wanted.search(line, *where) for where in (before, after))


# --- what is only spoken about ----------------------------------------------------------------------------------

# Who tells of himself bears witness, whatever he speaks about; not who tells that he tells.
_FIRST_PERSON = re.compile(
    r"\b(?:i|we)(?:'(?:m|re|ve|d|ll))?\b(?! (?:also |now |just |already )?(?:say|said|tell|told|repeat|repeated|ask|"
    r"asked|remind|insist|order)\b)|\b(?:me|my|mine|us|our|ours)\b"
)
# Prepositions that make what follows a subject of talk: a statement of it has it as a part of the sentence. "Of" is
# none: it joins a thing to its own ("the specter of communism"), and is in every other sentence.
_TOPIC = frozenset(
    "about on for regarding concerning re uber zu nach por sobre acerca de per su sur pour op om o para quanto про "
    "о об по для".split()
)
_DETERMINERS = frozenset(
    "the a an this that these those my your his her our their its any all each every some der die das den dem des le "
    "la les l el los las un una une il lo i gli os as".split()
)


def speaks_only_about(text: str, asked: Sequence[str], question: str) -> bool:
    """Whether ``text`` has what is asked (the distinctive words ``asked`` of ``question``) as a mere subject of talk.

    "People who want to know about the conductor shall hear nine" says nothing of the conductor; "the conductor is
    called Ellis" does. So some asked word must stand free of "about", "on", "for" and their like. A preposition
    that the question itself puts there ("What is on the table?") is part of what is asked.
    """
    if _FIRST_PERSON.search(fold(text)):
        return False
    tokens, as_asked = words(text), words(question)
    found = [i for i, token in enumerate(tokens) if any(likeness(word, token) for word in asked)]
    return bool(found) and all(_governed(i, tokens, set(found), as_asked) for i in found)


def _governed(at: int, tokens: Sequence[str], found: set[int], question: Sequence[str]) -> bool:
    """Whether the phrase that ends in the word ``at`` hangs on a preposition of talk that is not the question's own."""
    i = at - 1
    while i >= 0 and (i in found or tokens[i] in _DETERMINERS):
        i -= 1
    if i < 0 or tokens[i] not in _TOPIC:
        return False
    pairs = set(itertools.pairwise(question)) | {
        (a, c) for a, b, c in zip(question, question[1:], question[2:], strict=False) if b in _DETERMINERS
    }
    return not any(
        before == tokens[i] and max(likeness(after, tokens[at]), likeness(after, tokens[min(i + 1, at)]))
        for before, after in pairs
    )
