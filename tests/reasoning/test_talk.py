"""What is said beside questions, and to those in other languages."""

from __future__ import annotations

import pytest

from reasoning.understand.talk import says_foreign, small_talk
from runtime.language import lexicon


@pytest.mark.parametrize("language", [*lexicon.LANGUAGES, "a language without a name"])
def test_a_question_in_another_language_announces_what_was_found_only_where_something_was(language: str) -> None:
    assert says_foreign(language, found=True).rstrip()[-1] in ":："
    alone = says_foreign(language, found=False)
    assert alone[-1] in ".。" and ":" not in alone and "：" not in alone
    assert says_foreign(language, found=True).startswith(alone[:-1])


@pytest.mark.parametrize(
    ("said", "reply"),
    [("no", "Then tell me what is right"), ("Wrong!", "Then tell me what is right"), ("yes", "All right."),
     ("ok, thanks", "You are welcome.")],
)  # fmt: skip
def test_what_asks_nothing_is_answered_in_kind(said: str, reply: str) -> None:
    draft = small_talk(said)
    assert draft is not None and draft.text.startswith(reply)
