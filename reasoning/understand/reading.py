"""The words of one question while it is read: which are taken, and by what role."""

from __future__ import annotations

from collections.abc import Collection

from reasoning.understand.frame import Role
from runtime.language import lexicon
from runtime.language.normalise import Token, tokenise
from runtime.language.stem import stem

# What is watched or listened to as such is no matter of a question.
MEDIA = frozenset(map(stem, "video clip recording film movie footage trailer audio audiobook excerpt".split()))
# "The left bottle": what stands before the left that is not right.
_BEFORE_SIDE = frozenset("the a upper lower far his her my top bottom".split())
# Nobody asks for more; of a pasted page the begin is read.
WORDS_READ = 120


def plain_text(text: str) -> str:
    """``text`` with contractions written out."""
    out, at = "", 0
    for token in tokenise(text, WORDS_READ):
        if written_out := lexicon.CONTRACTIONS.get(token.text.replace("’", "'").lower()):
            out += text[at : token.start] + (written_out.capitalize() if token.text[0].isupper() else written_out)
            at = token.end
    return out + text[at:]


class Reading:
    """``text`` without its words of time, word by word. Places of words outside of it hold "".

    taken       the places of words that have done their work; ``roles`` what the others are for.
    channels    what was pointed to, by the lexicon's names. ``clause_at`` where what was said, as is claimed, begins.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[Token] = tokenise(text, WORDS_READ)
        self.stems = [stem(token.word) for token in self.tokens]
        self.taken: set[int] = set()
        self.roles: dict[int, Role] = {}
        self.channels: list[str] = []
        self.clause_at: int | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def word(self, at: int) -> str:
        return self.tokens[at].word if 0 <= at < len(self.tokens) else ""

    def skip(self, at: int, words: Collection[str]) -> int:
        """Take these words from ``at`` on; the place after them."""
        while self.word(at) in words:
            self.taken.add(at)
            at += 1
        return at

    def take(self, at: int, length: int) -> None:
        self.taken |= set(range(at, at + length))

    def point(self, channel: str) -> None:
        if channel not in self.channels:
            self.channels.append(channel)

    def is_empty(self, at: int) -> bool:
        """Whether a word carries nothing that a question could be about."""
        token = self.tokens[at]
        bare = len(token.word) < 2 and not token.word.isdigit() and not token.text.isupper()
        return bare or token.word in lexicon.STOP_WORDS

    def is_framing(self, at: int) -> bool:
        """Whether a word only frames the question."""
        return self.stems[at] in lexicon.FRAMING or self.is_empty(at)

    def is_matter(self, at: int) -> bool:
        """Whether a word is left over that the question may be about."""
        return not self.is_framing(at) and at not in self.taken and self.stems[at] not in MEDIA

    def is_side(self, at: int) -> bool:
        """Whether it is the left that is not right: "the left bottle", "on the left"."""
        return self.word(at) == "left" and self.word(at - 1) in _BEFORE_SIDE

    def is_parted(self, at: int) -> bool:
        """Whether a comma or colon stands between this word and the next."""
        if at + 1 >= len(self.tokens):
            return True
        return bool(set(self.text[self.tokens[at].end : self.tokens[at + 1].start]) & set(",;:?!("))

    def between(self, begin: int, end: int) -> str:
        """What is written from one word to before another."""
        return self.text[self.tokens[begin].start : self.tokens[end - 1].end] if begin < end else ""
