"""A question as people type it, put as the rules read it: contractions, polite and terse forms, slips of the fingers.

`plain_wording` leaves what is asked as it is ("what's there?", "tell me who came", "any cars?") and is part of every
parse. `mend_slips` guesses at misspelt words of the question's frame ("waht", "hapened"), so the asker is shown what
was made of it. What a question is about is touched by neither: names and things are sought as they are spelt, and near
spellings of them where the evidence is (`words.likeness`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from reasoning.understand.words import edit_distance, split_words, stem

_WH = r"(?:what|who|whose|whom|where|when|why|how|which)"
_HAS = r"(?=\s+(?:happened|been|changed|gone|come|become|got|left)\b)"
_PLAIN: tuple[tuple[str, str], ...] = (
    (rf"\b({_WH}|there)['’]?s\b{_HAS}", r"\1 has"),
    (rf"\b({_WH}|there)['’]s\b|\b(what|who|where|when|how|there)s\b(?=\s)", r"\1\2 is"),
    (rf"\b({_WH})['’]re\b", r"\1 are"),
    (rf"\b({_WH})['’]d\b|\b(where|how|who)d\b(?=\s)", r"\1\2 did"),
    (r"\b(he|she)s\b(?=\s)", r"\1 is"),
    (r"\b(is|are|was|were|do|does|did|has|have|ca|could|would)nt\b", r"\1n't"),
    (rf"\b({_WH} )(?-i:r)\b(?= )|\b(?-i:r)(?= (?:u|you|they|there|we|these|those)\b)", r"\1are"),
    # As one types to friends: a single small letter, not "U.S." or "the letter U".
    (r"\b(?-i:u)\b(?!\.)", "you"),
    (r"\b(?-i:ur)\b", "your"),
    (r"\babt\b", "about"),
    (r"\bsb\b", "somebody"),
    (r"\b(any|some|every)1\b", r"\1one"),
    (r"\bb4\b", "before"),
    (r"\b1st\b", "first"),
    (r"\bwats\b(?=\s)", "what is"),
    (r"^(is|are|was|were|do|does|did|has|have|could|would)n['’]t(?= \w)", r"\1"),
    (r"\b(\d+ ?(?:s|secs?|seconds?|mins?|minutes?)) in(?:to (?:it|the \w+))?(?=\s*[?.!]*$)", r"at \1"),
    (r"\bgimme\b", "give me"),
    (r"\bppl\b", "people"),
    (r"\b(?:pls|plz)\b", "please"),
    (
        r"^(?:tell|show) me (?:everything|all)(?: (?:that )?(?:happened|you (?:know|saw|heard|remember)))?\s*[?.!]*$",
        "what happened",
    ),
    # How one asks to be told says nothing of what is asked.
    (r"^(?:(?:hi|hello|hey)(?:\s+(?:there|mindstream))?|please|ok(?:ay)?|so|um+|uh+|erm?|hm+)[\s,.!:]+(?=\w)", ""),
    (
        r"^(?:(?:can|could|would|will) you (?:please )?)?(?:tell me|what (?:can|could|do) you "
        r"(?:tell|say|know|remember)(?: me)?)(?: (?:something|more|everything|all))? about (?=\w)",
        "what is there about ",
    ),
    (r"^(?:(?:can|could|would|will) you (?:please )?)?(?:tell|let) me(?: please)?,? (?:know )?(?=\w)", ""),
    (
        r"^(?:do you (?:happen to )?(?:know|remember|recall)|did you (?:notice|see)|can you (?:remember|say|see)|"
        rf"i (?:want|need|would like|wonder|am wondering)(?: to know)?|i'd like to know),? (?=(?:{_WH}|if|whether)\b)",
        "",
    ),
    (r"\s+(?:a lot|lots|at all)(?=\s*[?.!]*$)", ""),
    (r"[,\s]+(?:please|thanks|thank you|thx)\s*([?.!]*)$", r"\1"),
    # "Describe the woman" asks of her; "describe the scene" is a summary.
    (
        r"^describe (?=(?:the |this |that )?(?:\w+ )?"
        r"(?:m[ae]n|wom[ae]n|person|people|boys?|girls?|lady|guy|child(?:ren)?)\b)",
        "what is there about ",
    ),
    (r"^how (?:does|did|do) (?:it|this|that|the \w+|things) (?:end|finish|stop)\b", "what happens at the end"),
    (r"^how (?:does|did|do) (?:it|this|that|the \w+|things) (?:begin|start)\b", "what happens at the beginning"),
    (
        r"^what (?:is|was) the (first|last) thing (?:(?:that|which) )?(?:happen(?:s|ed)|you (?:saw|noticed))\b",
        r"what happened \1",
    ),
    (r"^(?:at|from) (?:what|which) (?:point|moment|second|minute|time)(?: in time)?\b", "when"),
    (r"^how (?:dark|bright) (?:is|was) (?:it|the \w+)\b", "is the picture bright or dark"),
    (r"^what am i (?:looking at|seeing|watching)\b", "what do you see"),
    (r"^what (is|was) on (?:the |my )?(screen|slide|sign|board|page)\b(?!.*\bnow\b)", r"what \1 written on the \2"),
    (
        r"^what (?:is|was) (?:the|this|that) (film|movie|book|video|song|show|game|app|programme) (?:called|named)\b",
        r"what is the title of the \1",
    ),
    # "A button called submit": the word itself is meant.
    (
        r"\b(called|named|labell?ed|titled) (?!(?:by|for|before|again|now|then|here|there|out|in|up|first|last|"
        r"later|today|it|him|her|them)\b)([^\W\d_]+)(?=\s*[?.!]*$)",
        r'\1 "\2"',
    ),
    (r"^(?:if|whether) there (is|are|was|were)\b", r"\1 there"),
    # Terse: "any cars?", "anybody there?", "anything about London?".
    (
        r"^(?:(?:is|are|was|were) there )?any(?:thing|body|one)? (?:(?:said|mentioned|written) )?about\b",
        "is there any mention of",
    ),
    (r"^(any(?:one|body)?\b (?!(?:of|who|way|more|else|longer)\b)\w+(?: \w+){0,3}\s*[?.!]*)$", r"is there \1"),
)
_PLAIN_RES = tuple((re.compile(pattern, re.IGNORECASE), instead) for pattern, instead in _PLAIN)

# Words that ask, sought only where a question begins: "Wen" and "wat" inside it may be names.
_ASKING = split_words("what where when which whose who how")
_OPENING = re.compile(r"^(?:(?:and|but|so|in|at|on|from|to|for|with|by|ok|please|hi|hello|hey)\W+)*$", re.IGNORECASE)
# "Hwo" is as near to "how" as to "who".
_HOW = re.compile(r"\s+(?:many|much|often|long|far|old|big|tall|fast|did|do|does|was|were|come|can)\b", re.IGNORECASE)
# Short words of the frame: two letters swapped, no more.
_SHORT = split_words("the does did many said says sign show there from this that was with they last about")
# Long ones: a letter left out, one typed twice, two swapped. Another letter makes another word ("waiting").
_LONG = split_words(
    """
    happened happening happens happen people person written writing between before during colour picture screen
    summary summarise summarize someone somebody anyone anybody minute minutes second seconds beginning mentioned
    speaking describe language caption appears appeared visible movement
    """
)
# Words of their own that are a slip away from one of those.
_OWN = frozenset(
    split_words(
        """
        hat hen here were whos any man may say sad aid doe dose odes sing sin fist three thee form saw saws host hose
        shoe shoo shows color colors colours tree their wheel wheat whit whoa hoe hew owe own wish witch hitch whale
        peaking minuets minuet happy mention wit lats salt slat
        """
    )
)


def plain_wording(text: str) -> str:
    """``text`` with its contractions written out, and without what only asks to be told."""
    text = " ".join(text.split())
    for pattern, instead in _PLAIN_RES:
        text = pattern.sub(instead, text, count=1)
    return text


def mend_slips(text: str) -> str:
    """``text`` with misspelt words of a question's frame as they should be; ``text`` itself where there are none."""

    def mended(found: re.Match[str]) -> str:
        word = found[0].lower()
        is_opening = bool(_OPENING.match(text[: found.start()]))
        # A capital inside a sentence is a name's.
        if word in _OWN or word in _KNOWN or (found[0][0].isupper() and not is_opening):
            return found[0]
        asking = ["how", *_ASKING] if _HOW.match(text[found.end() :]) else _ASKING
        fitting = _near(word, asking, _is_slip) if is_opening else ""
        fitting = fitting or _near(word, _SHORT, _is_swap) or _near(word, _LONG, _is_slip)
        if not fitting:
            return found[0]
        return fitting.capitalize() if found[0][0].isupper() else fitting

    return re.sub(r"(?<![\w'’\"“.@/-])[A-Za-z]{3,}(?![\w'’\"”@/-])", mended, text)


def _near(word: str, among: list[str], is_slip: Callable[[str, str], bool]) -> str:
    def is_another(target: str) -> bool:
        """Not an inflection of it: those end otherwise ("happens", but "begining" and "befor")."""
        return stem(word) != stem(target) or word[-3:] == target[-3:] or f"{word}e" == target

    return next((target for target in among if is_another(target) and is_slip(word, target)), "")


def _is_swap(word: str, target: str) -> bool:
    """Whether two neighbouring letters changed places."""
    return len(word) == len(target) and sorted(word) == sorted(target) and edit_distance(word, target, 1) == 1


def _is_slip(word: str, target: str) -> bool:
    """A swap, a letter left out of four or more, or one typed twice."""
    if _is_swap(word, target):
        return True
    if len(word) == len(target) - 1 and len(target) > 3:
        return edit_distance(word, target, 1) == 1
    return len(word) == len(target) + 1 and any(
        word[i] == word[i + 1] and word[:i] + word[i + 1 :] == target for i in range(len(target))
    )


_KNOWN = frozenset([*_ASKING, *_SHORT, *_LONG])
