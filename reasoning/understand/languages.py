"""Which language a question is asked in, as far as it is needed: the rules that read questions know English alone.

Function words tell a language from five words on, and mostly from two. Words that English has as well ("die", "man",
"on") are no sign of another.
"""

from __future__ import annotations

import unicodedata

from reasoning.understand.words import STOP_WORDS, fold, split_words, words

_FUNCTION_WORDS = {
    "German": """der das den dem des und ist sind nicht ein eine einen wer wie wo wann warum welche welcher welches wen
        wem hat haben habe wird wurde auf im mit von zu zum zur fur es sieht steht gesagt jemand ich du er sie wir ihr
        was war man die an in so am noch schon passiert passierte gerade jetzt viele gibt auch sich dass wieviel
        wieviele bitte hast jemanden niemand gesehen gehort gab kommt kam sagt sagte geht worum wovon handelt
        kannst wieder""",
    "French": """le la les du des est sont qui quoi que qu quand comment pourquoi combien quel quelle quels quelles il
        elle ils elles dans sur avec pour une un et dit voit ecrit passe aux ce cette c'est qu'est y de l'on""",
    "Spanish": """el la los las un una que quien quienes donde cuando como cuantos cuantas cual por porque esta estan
        hay dice dijo se ve en del y de al lo""",
    "Italian": """il lo la gli le un una che chi cosa dove quando come quanti quante perche sono e c'e ci dice detto nel
        della sul di del si vede""",
    "Portuguese": """os as um uma que quem onde quando como quantos quantas qual esta ha diz disse dos das da de em
        voce foi""",
    "Dutch": """het een wie wat waar wanneer hoe hoeveel waarom zijn er staat van met niet de en dat wordt gezegd""",
}
_WORDS = {language: frozenset(split_words(listed)) for language, listed in _FUNCTION_WORDS.items()}
_ENGLISH = STOP_WORDS | frozenset(split_words("say said see seen saw show shown there happen happened happens people"))
# "De Niro?", "La Traviata?", "a comment": by themselves these are no sign.
_AMBIGUOUS = frozenset(
    split_words("comment man die war hat de la le el von du des los las al il der das den van het da dos das lo del di")
)
ANOTHER = "another language"
# Names and titles have letters of other scripts; a question in one is written in it throughout.
_OTHER_SCRIPT = 0.6


def foreign_language(text: str) -> str:
    """The language of ``text`` where that is not English ("German", `ANOTHER` where it has no name here), else
    ""."""
    letters = [character for character in text if character.isalpha()]
    other = [character for character in letters if not unicodedata.name(character, "").startswith("LATIN")]
    said = words(text)
    if letters and len(other) >= _OTHER_SCRIPT * len(letters) and not any(word in _ENGLISH for word in said):
        return ANOTHER
    found = {language: [word for word in said if word in listed] for language, listed in _WORDS.items()}
    language = max(found, key=lambda name: len(found[name]))
    signs = [word for word in found[language] if word not in _ENGLISH]
    english = sum(word in _ENGLISH and word not in _WORDS[language] for word in said)
    enough = len(signs) > 1 or (not english and len(said) > 1 and any(word not in _AMBIGUOUS for word in signs))
    return language if enough and len(found[language]) > english else ""


def without_function_words(asked: tuple[str, ...], language: str) -> tuple[str, ...]:
    """The words (folded) that are left of a question in ``language``."""
    listed = _WORDS.get(language, frozenset())
    return tuple(word for word in asked if fold(word) not in listed)
