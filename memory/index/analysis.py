"""Text to index terms: what makes two ways of writing one word meet.

Case and accents are folded, possessives cut, words stemmed (`runtime.language.stem`), British spelling turned into
American, number words into digits ("twenty-three" -> 23), hyphenated words kept both apart and joined
("clean-room" -> clean, room, cleanroom). Scripts without spaces become overlapping pairs of characters.
The same analysis serves the index and the query, so what it changes it changes on both sides.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from runtime.language.stem import term_stem

MAX_TERM_LENGTH = 40

_TOKEN = re.compile(r"\d+(?:[.,:]\d+)*(?!\w)|\w+(?:[-'’]\w+)*", re.UNICODE)
_UNSPACED = re.compile(r"[぀-ヿ㐀-䶿一-鿿豈-﫿฀-๿]+")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_PARTS = re.compile(r"[-'’_]")

_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
_UNITS += "seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_NUMBERS = {word: n for n, word in enumerate(_UNITS.split())}
_NUMBERS |= {word: 10 * (n + 2) for n, word in enumerate(_TENS.split())}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1000000}

# Spelling: British to American, as suffix rules where the rule is safe and as a list where it is not.
_SPELLING = {
    "grey": "gray", "programme": "program", "centre": "center", "theatre": "theater", "metre": "meter",
    "litre": "liter", "fibre": "fiber", "aeroplane": "airplane", "tyre": "tire", "cheque": "check",
    "defence": "defense", "offence": "offense", "licence": "license", "practise": "practice",
    "jewellery": "jewelry", "moustache": "mustache", "pyjamas": "pajamas", "plough": "plow",
    "sceptical": "skeptical", "storey": "story", "mum": "mom", "mummy": "mommy", "dialogue": "dialog",
    "catalogue": "catalog", "analogue": "analog", "okay": "ok", "photo": "photograph", "tv": "television",
    "fridge": "refrigerator", "phone": "telephone", "bike": "bicycle", "pic": "picture", "kid": "child",
    "kids": "child",
}  # fmt: skip
_OUR = re.compile(
    r"^(col|fav|hon|harb|lab|neighb|behavi|hum|rum|vap|arm|sav|endeav|od|glam|vig|cand|parl|splend)our(?=$|[a-z])"
)
_YSE = re.compile(r"(?<=[a-z]{4})is(e|es|ed|ing|ation|ations)$|(?<=ly)s(e|es|ed|ing)$")
_NOT_ISE = re.compile(
    r"(?:wise|prise|vise|cise|mise|oise|raise|praise|rise|guise|tise|arise|expertise|"
    r"(?:ex|ad|re|super|im|tele)?(?:ver|mis|vis|pris|cis|tis|rais|ois|ris)(?:e|es|ed|ing))$"
)
_DOUBLED = re.compile(r"^([a-z]{2,}[aeiou])ll(ed|ing|er|ers)$")

# Words of a question that say how it is asked, not what it is about.
QUESTION_WORDS = frozenset(
    """
    a about again all also am an and any anybody anyone anything are aren as at be because been before being but
    by can could d did do does doing don during each either else etc ever every for from get gets getting got
    had has have having he her here hers him his how i if in into is isn it its itself just let ll m many me
    might more most much my of off on once one only or other our out over own please re s said say says seem
    seems shall she should so some somebody someone something such t tell than that the their them then there
    these they this those though through to too up us ve very was wasn we were what whatever when where whether
    which while who whom whose why will with without would yes you your yours happen happens happened occur
    occurs occurred kind sort type thing things describe mention mentioned mentions called video clip recording
    scene show shows shown seen see saw hear heard visible appear appears audible discuss discussed discusses
    discussing discussion elaborate elaborated explain explained opinion opinions summarise summarize summary
    talk talked talking talks think thinks thought
    """.split()
)


def terms(text: str) -> list[str]:
    """The index terms of a text, in order; a word may give more than one."""
    return [term for word in words(text) for term in word_terms(word)]


def words(text: str) -> list[str]:
    """Lower-case words without accents, in order, number words joined into digits; nothing is dropped."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    folded = "".join(c for c in folded if not unicodedata.combining(c))
    return _join_numbers(_TOKEN.findall(folded))


@lru_cache(maxsize=65536)
def word_terms(word: str) -> tuple[str, ...]:
    """The terms of one word of `words`: usually one; parts and whole for a compound; pairs for unspaced script."""
    word = word[:MAX_TERM_LENGTH]
    if _NUMBER.fullmatch(word):
        return (word.replace(",", ""),)
    if _UNSPACED.search(word):
        return tuple(_pairs(word))
    parts = [part for part in _PARTS.split(word) if part]
    if "'" in word or "’" in word:
        # "man's" is man; "don't" and "we'll" leave crumbs that say nothing
        parts = [part for part in parts if len(part) > 2 or part.isdigit()] or parts[:1]
        return tuple(_normal(part) for part in parts)
    if len(parts) > 1:
        return (*(_normal(part) for part in parts), _normal("".join(parts)))
    return (_normal(parts[0]),) if parts else ()


def _normal(word: str) -> str:
    word = _SPELLING.get(word, word)
    word = _OUR.sub(r"\1or", word)
    if not _NOT_ISE.search(word):
        word = _YSE.sub(lambda m: f"iz{m[1]}" if m[1] else f"z{m[2]}", word)
    word = _DOUBLED.sub(r"\1l\2", word)
    return term_stem(word)


def _pairs(word: str) -> list[str]:
    out: list[str] = []
    at = 0
    for run in _UNSPACED.finditer(word):
        if run.start() > at:
            out.append(_normal(word[at : run.start()]))
        script = run[0]
        out.extend(script[i : i + 2] for i in range(max(1, len(script) - 1)))
        at = run.end()
    if at < len(word):
        out.append(_normal(word[at:]))
    return out


def _join_numbers(tokens: list[str]) -> list[str]:
    """Runs of number words as one number in digits: "two hundred and five" -> 205."""
    out: list[str] = []
    i = 0
    while i < len(tokens):
        parts = tokens[i].split("-")
        if parts[0] not in _NUMBERS or not all(p in _NUMBERS or p in _SCALES for p in parts):
            out.append(tokens[i])
            i += 1
            continue
        total, group, last = 0, 0, 0
        while i < len(tokens):
            parts = tokens[i].split("-")
            if parts == ["and"] and last >= 100 and i + 1 < len(tokens) and tokens[i + 1].split("-")[0] in _NUMBERS:
                i += 1
                continue
            if not all(p in _NUMBERS or p in _SCALES for p in parts):
                break
            value = _NUMBERS.get(parts[0], _SCALES.get(parts[0], 0))
            # "seven seven" and "twenty nineteen" are two numbers, "twenty three" is one
            if last and parts[0] in _NUMBERS and not (last >= 100 or (last >= 20 and value < 10)):
                break
            for part in parts:
                if part in _SCALES:
                    group = max(group, 1) * _SCALES[part]
                    if _SCALES[part] >= 1000:
                        total, group = total + group, 0
                    last = _SCALES[part]
                else:
                    group += _NUMBERS[part]
                    last = _NUMBERS[part] or 1
            i += 1
        out.append(str(total + group))
    return out
