"""Words of known type: colours, languages, places, months; and what an address or a name looks like.

The embedded answerer has no model of the world. These short lists let it recognise that an utterance
holds the *kind* of thing a question asks for ("which language?", "in which state?").
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reasoning.understand.words import fold, number_value, split_words, words

COLOURS = frozenset(
    split_words(
        """
    red orange yellow green blue purple violet pink brown black white grey gray gold golden silver beige
    turquoise teal cyan magenta navy maroon cream tan
    """
    )
)
LANGUAGES = frozenset(
    split_words(
        """
    english french german italian spanish portuguese dutch flemish danish swedish norwegian finnish russian
    polish czech greek turkish arabic hebrew hindi bengali urdu chinese mandarin cantonese japanese korean
    latin welsh irish gaelic hungarian romanian ukrainian vietnamese thai swahili persian farsi catalan
    """
    )
)
_STATES = """alabama alaska arizona arkansas california colorado connecticut delaware florida georgia hawaii idaho
    illinois indiana iowa kansas kentucky louisiana maine maryland massachusetts michigan minnesota mississippi
    missouri montana nebraska nevada ohio oklahoma oregon pennsylvania tennessee texas utah vermont virginia
    washington wisconsin wyoming|new york|new jersey|new mexico|new hampshire|north carolina|south carolina|
    north dakota|south dakota|rhode island|west virginia"""
_COUNTRIES = """england scotland wales ireland britain france germany italy spain portugal netherlands belgium denmark
    sweden norway finland russia poland austria switzerland greece turkey egypt israel iran iraq india pakistan china
    japan korea vietnam thailand indonesia australia canada mexico brazil argentina chile peru colombia cuba nigeria
    kenya ethiopia ghana america ukraine hungary romania|united states|united kingdom|new zealand|south africa|
    saudi arabia"""
_CITIES = """london paris berlin rome madrid amsterdam brussels vienna moscow tokyo beijing shanghai delhi mumbai cairo
    sydney melbourne toronto montreal chicago boston seattle houston dallas denver miami atlanta philadelphia detroit
    washington oxford cambridge dublin edinburgh manchester athens istanbul jerusalem stockholm oslo copenhagen prague
    warsaw budapest zurich geneva munich hamburg milan venice florence barcelona lisbon singapore seoul|new york|
    los angeles|san francisco|hong kong|las vegas|new orleans"""
MONTHS = frozenset(
    split_words(
        """
    january february march april may june july august september october november december
    """
    )
)
DAYS = frozenset(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"])


def _split(text: str) -> frozenset[str]:
    first, *others = text.split("|")
    singles = first.split()
    return frozenset(singles) | {" ".join(entry.split()) for entry in others}


STATES = _split(_STATES)
COUNTRIES = _split(_COUNTRIES)
CITIES = _split(_CITIES)
PLACES = STATES | COUNTRIES | CITIES

_WEB = re.compile(
    r"(?:https?\s*:\s*/\s*/\s*|www\s*[.,]\s*)[\w.-]+(?:/[\w./-]*)?|\b[a-z0-9][\w-]*\.(?:com|org|net|edu|gov|io|tv|info|co\.uk|de|fr|eu)\b(?:/[\w./-]*)?",
    re.IGNORECASE,
)
_HEARD_WEB = re.compile(
    r"\b(?:w w w|www|double u|triple w)\b|\bdot (?:com|org|net|co|edu|gov|calm|come)\b|\bweb ?site\b"
)
_NAME_TOKEN = re.compile(r"[^\W\d_][^\W\d_'’.-]*(?:[-'’][^\W\d_]+)*\.?")
_RUN_TOGETHER = re.compile(r"\b([A-Z][a-z]{3,})([A-Z][a-z]{3,})\b")
_NOT_IN_NAMES = frozenset(
    split_words(
        """
    the a an of and or to in on at for with by from is are was were be this that these those it its as not no
    new open coming soon presents present produced created directed project movie film foundation institute
    company source copyright rights reserved all press enter send input image video examples text clear
    history question answer click page home menu search free free/open what why how who when where which you
    your we our they their please manifesto party support realized music studio studios university department
    school city street road avenue january february march april june july august september october november
    december monday tuesday wednesday thursday friday saturday sunday
    """
    )
)


def web_addresses(text: str) -> list[str]:
    """Web addresses as written in ``text``."""
    return [found[0] for found in _WEB.finditer(text)]


def mentions_web_address(text: str) -> bool:
    """Whether ``text`` has a web address, written or as it sounds ("w w w ... dot org")."""
    return bool(_WEB.search(text) or _HEARD_WEB.search(fold(text)))


def found_of(kind: frozenset[str], text: str) -> list[str]:
    """The entries of a word list that ``text`` names, in order."""
    spoken = words(text)
    padded = " ".join(spoken)
    out = [word for word in spoken if word in kind]
    out += [entry for entry in kind if " " in entry and re.search(rf"\b{entry}\b", padded)]
    return list(dict.fromkeys(out))


def numbers_in(text: str) -> list[str]:
    """The words of ``text`` that are numbers ("two", "1972", "3.5")."""
    digits = re.findall(r"\d+(?:[.,]\d+)*", text)
    return digits + [word for word in words(text) if not word[0].isdigit() and number_value(word) is not None]


def names_in(line: str) -> list[str]:
    """Runs of two to four capitalised words of one written line that can be a person's name.

    Speech has no capitals, so this is for on-screen text only.
    """
    # A long word with a capital inside is two words that lost their space: "MarxFriedrich".
    parted = _RUN_TOGETHER.sub(r"\1 | \2", line)
    return [" ".join(run) for run in _runs_of_capitals(parted) if 2 <= len(run) <= 4]


def _runs_of_capitals(line: str) -> Iterator[list[str]]:
    run: list[str] = []
    end = 0
    for token in _NAME_TOKEN.finditer(line):
        between = line[end : token.start()]
        fits = token[0][0].isupper() and len(token[0]) > 1 and fold(token[0]).rstrip(".") not in _NOT_IN_NAMES
        if run and (not fits or between.strip()):
            yield run
            run = []
        if fits:
            run.append(token[0])
        end = token.end()
    if run:
        yield run
