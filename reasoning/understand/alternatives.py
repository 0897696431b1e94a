"""The two things that a question sets beside each other: "A or B", "did A come before B?"."""

from __future__ import annotations

import re

_PRECEDES = re.compile(
    r"^(?:did|does|do|was|were|is|are|has|have) "
    r"(?!(?:i|you|he|she|it|they|we|any\w*|some(?:one|body|thing)|that|this)\b)"
    r"(?:there )?(?P<one>.{2,60}?) (?:been )?(?:(?:come|appear|arrive|enter|leave|happen|say|said|mention|show|see|go|"
    r"start|begin|follow|drive|walk|pass|read)\w* (?:\w+ )?)?(?P<relation>before|after)(?P<both> or (?:before|after))? "
    r"(?!(?:that|this|it|he|she|they|i|you|we)\b)(?P<other>(?!\d)[^,;?]{2,60}?)\s*[?.!]*$",
    re.IGNORECASE,
)


def precedence(text: str) -> tuple[str, str, str] | None:
    """The first thing, "before", "after" or "" (which of both is asked), and the second of "did A come before B?"."""
    found = _PRECEDES.match(" ".join(text.split()))
    if not found:
        return None
    first, second = (re.sub(r"^(?:the|a|an)\s+", "", found[part], flags=re.IGNORECASE) for part in ("one", "other"))
    return first, "" if found["both"] else found["relation"].lower(), second


def alternatives_in(text: str) -> tuple[str, ...]:
    """The two things of an "A or B" question; none in any other."""
    found = re.search(
        r"^(.*?)(?:[:,]|\bfirst\b|\blast\b|\bearlier\b|\blater\b)\s*([^:,?]+?),?\s+or\s+([^:,?]+?)\s*[?.!]*$",
        text,
        re.IGNORECASE,
    )
    if not found:
        found = re.search(
            r"^(.*?\b(?:is|are|was|were|do|does|did|with|by)\b)\s+([^:,?]+?),?\s+or\s+([^:,?]+?)\s*[?.!]*$",
            text,
            re.IGNORECASE,
        )
    if not found:
        return ()
    first, second = (
        re.sub(
            r"^(?:(?:is|was) )?(?:it|he|she|they|this|that|there|about|the|a|an)\s+",
            "",
            part.strip(),
            flags=re.IGNORECASE,
        )
        for part in found.groups()[1:]
    )
    return (first, second) if first and second else ()
