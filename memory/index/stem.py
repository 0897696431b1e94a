"""The Porter stemmer (M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980), with the
irregular verbs and plurals of English looked up first, because no suffix rule joins "went" to "go".
"""

from __future__ import annotations

from functools import lru_cache

# Base form: its irregular forms. Forms whose base is ambiguous ("saw", "left", "felt", "ground") stay out.
_IRREGULAR = """
be: am is are was were been; go: went gone goes; do: did done does; have: has had; get: got gotten; make: made;
take: took taken; give: gave given; buy: bought; bring: brought; think: thought; teach: taught; catch: caught;
fight: fought; seek: sought; see: seen; eat: ate eaten; drink: drank drunk; run: ran; swim: swam swum; sing:
sang sung; begin: began begun; ring: rang rung; write: wrote written; drive: drove driven; ride: rode ridden;
rise: rose risen; speak: spoke spoken; break: broke broken; choose: chose chosen; wake: woke woken; steal: stole
stolen; freeze: froze frozen; forget: forgot forgotten; hide: hid hidden; bite: bit bitten; fall: fell fallen;
grow: grew grown; know: knew known; throw: threw thrown; fly: flew flown; draw: drew drawn; blow: blew blown;
show: shown; come: came; become: became; tell: told; sell: sold; hold: held; say: said; pay: paid; hear: heard;
keep: kept; sleep: slept; meet: met; feed: fed; lead: led; read: reads; send: sent; spend: spent; build: built;
lend: lent; bend: bent; lose: lost; shoot: shot; sit: sat; stand: stood; understand: understood; win: won; wear:
wore worn; tear: tore torn; swear: swore sworn; dig: dug; hang: hung; stick: stuck; strike: struck; shake: shook
shaken; mean: meant; dream: dreamt; learn: learnt; burn: burnt; spell: spelt; deal: dealt; find: found; shine:
shone; light: lit; child: children; person: people persons; man: men; woman: women; foot: feet; tooth: teeth;
mouse: mice; goose: geese; knife: knives; wife: wives; life: lives; leaf: leaves; half: halves; shelf: shelves;
wolf: wolves; loaf: loaves
"""
_BASE = {
    form: base.strip()
    for entry in _IRREGULAR.replace("\n", " ").split(";")
    for base, _, forms in (entry.partition(":"),)
    for form in forms.split()
}

_STEP2 = (
    ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"), ("bli", "ble"),
    ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous"), ("ization", "ize"), ("ation", "ate"),
    ("ator", "ate"), ("alism", "al"), ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"),
    ("iviti", "ive"), ("biliti", "ble"), ("logi", "log"),
)  # fmt: skip
_STEP3 = (("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", ""))
_STEP4 = (
    "ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ism", "ate", "iti", "ous", "ive", "ize", "al", "er",
    "ic", "ou",
)  # fmt: skip


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """The stem of a lower-case English word of letters; words of other scripts come back unchanged."""
    word = _BASE.get(word, word)
    if len(word) <= 2 or not word.isascii() or not word.isalpha():
        return word
    return _step5(_step4(_step3(_step2(_step1(word)))))


def _shape(word: str) -> str:
    """The word as a string of c (consonant) and v (vowel); y after a consonant is a vowel."""
    shape = ""
    for i, letter in enumerate(word):
        vowel = letter in "aeiou" or (letter == "y" and i > 0 and shape[-1] == "c")
        shape += "v" if vowel else "c"
    return shape


def _measure(word: str) -> int:
    """Porter's m: how many vowel-consonant sequences the word holds."""
    return _shape(word).replace("cc", "c").count("vc")


def _ends_cvc(word: str) -> bool:
    return len(word) >= 3 and _shape(word)[-3:] == "cvc" and word[-1] not in "wxy"


def _step1(word: str) -> str:
    if word.endswith(("sses", "ies")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    if word.endswith("eed"):
        if _measure(word[:-3]) > 0:
            word = word[:-1]
    else:
        for suffix in ("ed", "ing"):
            base = word[: -len(suffix)]
            if word.endswith(suffix) and "v" in _shape(base):
                word = _restore(base)
                break
    if word.endswith("y") and "v" in _shape(word[:-1]):
        word = word[:-1] + "i"
    return word


def _restore(base: str) -> str:
    """What stands before a removed -ed or -ing, as it would be written alone."""
    if base.endswith(("at", "bl", "iz")):
        return base + "e"
    if len(base) >= 2 and base[-1] == base[-2] and base[-1] not in "aeioulsz":
        return base[:-1]
    if _measure(base) == 1 and _ends_cvc(base):
        return base + "e"
    return base


def _step2(word: str) -> str:
    return _replace(word, _STEP2)


def _step3(word: str) -> str:
    return _replace(word, _STEP3)


def _replace(word: str, rules: tuple[tuple[str, str], ...]) -> str:
    for suffix, replacement in rules:
        if word.endswith(suffix):
            base = word[: -len(suffix)]
            return base + replacement if _measure(base) > 0 else word
    return word


def _step4(word: str) -> str:
    if word.endswith(("sion", "tion")):
        return word[:-3] if _measure(word[:-3]) > 1 else word
    for suffix in _STEP4:
        if word.endswith(suffix):
            base = word[: -len(suffix)]
            return base if _measure(base) > 1 else word
    return word


def _step5(word: str) -> str:
    if word.endswith("e"):
        m = _measure(word[:-1])
        if m > 1 or (m == 1 and not _ends_cvc(word[:-1])):
            word = word[:-1]
    if word.endswith("ll") and _measure(word[:-1]) > 1:
        word = word[:-1]
    return word
