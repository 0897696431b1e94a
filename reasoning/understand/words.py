"""Words compared as a listener would: spelling, inflection, mishearing and run-together lines forgiven.

One word in nine is misheard and on-screen text loses its spaces, so a question's
word is sought by stem, by compound, by small spelling distance and by consonant skeleton. How sure
each of these is, is a weight in 0..1 that ends up in the confidence of the answer.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

EXACT = 1.0
COMPOUND = 0.9
PART = 0.5
RELATED = 0.6
NEAR = 0.7
ALIKE = 0.55


def split_words(text: str) -> list[str]:
    """A word list written as running text."""
    return text.split()


_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_NUMBERS = {
    word: value
    for value, word in enumerate(
        split_words(
            """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen
    """
        )
    )
} | {
    word: 10 * tens for tens, word in enumerate(split_words("twenty thirty forty fifty sixty seventy eighty ninety"), 2)
}
_COUNTED = {"once": 1, "twice": 2, "both": 2, "pair": 2, "couple": 2, "dozen": 12, "single": 1, "nobody": 0, "none": 0}
_ORDINALS = {
    word: value
    for value, word in enumerate(split_words("first second third fourth fifth sixth seventh eighth ninth tenth"), 1)
}

STOP_WORDS = frozenset(
    split_words(
        """
    a an the this that these those there here it its it's he she they them his her hers their him i you we us
    me my your our who whom whose which what when where why how is are was were be been being am do does did
    doing done has have had having can could will would shall should may might must of in on at to from by for
    with without into onto about over under up down out off and or but nor so if than then as not no yes any
    some all each every ever never also too very just only own same such both either neither now please tell
    exactly actually really anywhere somewhere s t ll re ve d m let's lets
    """
    )
)

# Everyday subjects, the word that names the subject first: asking for it, any of the others will do, and the reverse.
_RELATED = """
announce: new introduce launch present unveil reveal
product: new introduce launch announce
copyright: public domain rights licence license copyrighted licensed
website: site web internet dot www address
price: cost dollar euro pound cent pay cheap expensive worth
write: author written writer
movie: film trailer
doctor: physician dr
car: automobile
begin: start commence
end: finish stop
big: large huge great
small: little tiny
quick: fast rapid
buy: purchase
speak: talk say
picture: photo photograph image
weather: rain sunny cloud wind snow storm temperature degree
phone: telephone
money: dollar euro pound fund
job: work profession
child: kid boy girl
date: january february march april june july august september october november december
day: monday tuesday wednesday thursday friday saturday sunday
"""
_IRREGULAR = {
    "said": "say", "told": "tell", "spoke": "speak", "spoken": "speak", "went": "go", "gone": "go", "seen": "see",
    "saw": "see", "heard": "hear", "wrote": "write", "written": "write", "took": "take", "taken": "take",
    "came": "come", "began": "begin", "begun": "begin", "left": "left", "men": "man", "women": "woman",
    "children": "child", "people": "person", "feet": "foot", "gave": "give", "given": "give", "made": "make",
    "thought": "think", "found": "find", "bought": "buy", "fell": "fall", "fallen": "fall", "ran": "run",
    "drove": "drive", "driven": "drive", "rode": "ride", "wore": "wear", "worn": "wear", "shown": "show",
    "held": "hold",
    "stood": "stand", "knew": "know", "known": "know", "got": "get", "thing": "thing", "something": "something",
    "nothing": "nothing", "spring": "spring", "string": "string", "king": "king", "ring": "ring", "sing": "sing",
    "bring": "bring", "during": "during", "morning": "morning", "evening": "evening", "lies": "lie", "lying": "lie",
    "news": "news", "always": "always", "centre": "center", "knives": "knife", "wives": "wife", "wolves": "wolf",
    "halves": "half", "shelves": "shelf", "thieves": "thief", "loaves": "loaf", "calves": "calf", "teeth": "tooth",
    "mice": "mouse", "geese": "goose", "dying": "die", "tying": "tie", "used": "use", "using": "use",
    "agreed": "agree", "freed": "free",
}  # fmt: skip


def fold(text: str) -> str:
    """``text`` in lower case, without accents and compatibility forms."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).lower().replace("’", "'")


def words(text: str) -> list[str]:
    """The words of ``text``, folded, in order; possessive 's dropped."""
    return [re.sub(r"'s$", "", token) for token in _TOKEN.findall(fold(text))]


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """The word without its commonest English endings, American spelling; ``word`` is folded."""
    if word in _IRREGULAR:
        word = _IRREGULAR[word]
    for ending, instead in (("ies", "i"), ("ied", "i"), ("sses", "ss"), ("ches", "ch"), ("shes", "sh"), ("xes", "x")):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            return word[: -len(ending)] + instead
    if word.endswith("s") and len(word) > 3 and word[-2] not in "sui":
        word = word[:-1]
    for ending in ("ing", "ed") if word not in _IRREGULAR.values() else ():
        base = word[: -len(ending)]
        if word.endswith(ending) and len(base) >= 3 and re.search("[aeiouy]", base):
            word = base[:-1] if len(base) > 3 and base[-1] == base[-2] and base[-1] not in "lsz" else base
            break
    if word.endswith("e") and len(word) > 3:
        word = word[:-1]
    word = re.sub(r"(?<=[^aeiou])y$", "i", word)
    word = re.sub(r"our$", "or", word) if len(word) > 4 else word
    word = re.sub(r"tr$", "ter", word) if len(word) > 4 else word
    word = re.sub(r"isation", "ization", word)
    return re.sub(r"is$", "iz", word) if len(word) > 5 else word


@lru_cache(maxsize=8192)
def sound_of(word: str) -> str:
    """Consonant skeleton of an English word: alike for words a recogniser confuses (voicing, vowels)."""
    word = re.sub(r"[^a-z]", "", word)
    for spelled, heard in (("ph", "f"), ("gh", ""), ("ck", "k"), ("tch", "x"), ("ch", "x"), ("sh", "x"), ("th", "t"),
                           ("kn", "n"), ("wr", "r"), ("qu", "kw"), ("ce", "se"), ("ci", "si"), ("cy", "si"),
                           ("tion", "xn"), ("dge", "x")):  # fmt: skip
        word = word.replace(spelled, heard)
    word = word.translate(str.maketrans("cqgjzvdb", "kkkxsftp"))
    first = "a" if word[:1] and word[0] in "aeiouy" else ""
    skeleton = re.sub(r"[aeiouyhw]", "", word)
    return first + re.sub(r"(.)\1+", r"\1", skeleton)


def edit_distance(a: str, b: str, at_most: int) -> int:
    """Insertions, deletions, substitutions and swaps between ``a`` and ``b``; ``at_most`` + 1 if more."""
    if abs(len(a) - len(b)) > at_most:
        return at_most + 1
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, ca in enumerate(a, 1):
        last, before, row = before, row, [i] + [0] * len(b)
        for j, cb in enumerate(b, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (ca != cb))
            if last and j > 1 and ca == b[j - 2] and a[i - 2] == cb:
                row[j] = min(row[j], last[j - 2] + 1)
        if min(row) > at_most:
            return at_most + 1
    return row[-1]


@lru_cache(maxsize=65536)
def likeness(asked: str, found: str) -> float:
    """How surely ``found`` is the word ``asked``, 0..1; both folded."""
    a, b = stem(asked), stem(found)
    if asked == found or a == b:
        return EXACT
    if number_value(asked) is not None or number_value(found) is not None:
        return EXACT if number_value(asked) == number_value(found) else 0.0
    shorter = min(len(a), len(b))
    if shorter >= 5 and a[:shorter] == b[:shorter] and abs(len(a) - len(b)) <= 4:
        return NEAR
    if shorter >= 4 and len(b) > len(a) and (b.endswith((a, asked)) or found.startswith(asked)):
        return COMPOUND
    if len(found) >= 4 and len(asked) >= 7 and asked.endswith(found):
        return PART
    if not (asked.isascii() and found.isascii()):
        return NEAR if shorter >= 5 and edit_distance(a, b, 1) <= 1 else 0.0
    if shorter >= 5 and a[0] == b[0] and edit_distance(a, b, 1) <= 1:
        return NEAR
    if shorter >= 8 and edit_distance(a, b, 2) <= 2:
        return NEAR
    sa, sb = sound_of(asked), sound_of(found)
    if len(sa) >= 4 and sa == sb:
        return ALIKE
    return 0.0


def related(asked: str, found: str) -> float:
    """`RELATED` if the two words belong to one everyday subject ("price", "dollar"), else 0."""
    a, b = stem(asked), stem(found)
    for group in _RELATED_STEMS:
        if (a == group[0] and b in group) or (a in group and b == group[0]):
            return RELATED
    return 0.0


def match(asked: str, among: list[str], compact: bool = False) -> float:
    """How surely the word ``asked`` is one of ``among``, 0..1.

    Two neighbours may make one compound ("audio book"); with ``compact`` (text read on screen, where
    spaces get lost) a word inside a longer run counts too.
    """
    best = 0.0
    for i, found in enumerate(among):
        best = max(best, likeness(asked, found))
        if best == EXACT:
            return best
        if i + 1 < len(among) and asked == found + among[i + 1]:
            return COMPOUND
        if compact and len(asked) >= 4 and len(found) > len(asked) and asked in found:
            best = max(best, COMPOUND)
    if not best:
        best = max((related(asked, found) for found in among), default=0.0)
    return best


def number_value(word: str) -> float | None:
    """The number a word stands for ("12", "2.5", "twelve", "twice"), or None."""
    if re.fullmatch(r"\d+(?:\.\d+)?", word):
        return float(word)
    if word in _NUMBERS:
        return float(_NUMBERS[word])
    if word in _COUNTED:
        return float(_COUNTED[word])
    tens, _, unit = word.partition("-")
    if tens in _NUMBERS and unit in _NUMBERS:
        return float(_NUMBERS[tens] + _NUMBERS[unit])
    return None


def ordinal_value(word: str) -> int | None:
    """3 for "third" or "3rd", or None."""
    if word in _ORDINALS:
        return _ORDINALS[word]
    numbered = re.fullmatch(r"(\d+)(?:st|nd|rd|th)", word)
    return int(numbered[1]) if numbered else None


def number_in_words(value: int) -> str:
    """Small numbers as a sentence writes them ("two", "13")."""
    names = {v: k for k, v in _NUMBERS.items() if v <= 12}
    return names.get(value, str(value))


_RELATED_STEMS = tuple(
    tuple(stem(word) for word in line.replace(":", " ").split()) for line in _RELATED.strip().splitlines()
)
