"""Only what exists in the View is cited, and only marks that a citation covers are left standing."""

from __future__ import annotations

import pytest

from reasoning.answer.citations import check_claim, cite, strike_marks
from reasoning.answer.draft import Claim, mark
from runtime.messages import View
from tests.fixtures.listed_memory import SOURCE, ListedMemory, observe, said

pytestmark = pytest.mark.anyio

VIEW = View(generation=1, limits={SOURCE: 60.0}, source=SOURCE, as_of_s=60.0)


async def test_an_existing_observation_is_cited_with_its_own_facts() -> None:
    spoken = said(12.0, 14.0, "good morning")
    checked = await check_claim(Claim('I heard: "good morning" [0:12].', (spoken,)), VIEW, ListedMemory(spoken), 4)
    assert (checked.text, checked.cites, checked.struck) == ('I heard: "good morning" [0:12].', (spoken,), 0)
    (citation,) = cite(checked.cites)
    assert (citation.id, citation.t0_s, citation.t1_s, citation.channel) == (spoken.id, 12.0, 14.0, "speech")


async def test_a_claim_on_what_does_not_exist_is_not_said() -> None:
    invented = said(20.0, 22.0, "never happened")
    checked = await check_claim(Claim("I heard this [0:20].", (invented,)), VIEW, ListedMemory(), 4)
    assert (checked.text, checked.cites, checked.struck) == ("", (), 1)


async def test_one_missing_citation_loses_its_mark_and_is_counted() -> None:
    real, invented = said(3.0, 4.0, "one"), said(9.0, 10.0, "two")
    claim = Claim("I heard it at [0:03] and at [0:09].", (real, invented))
    checked = await check_claim(claim, VIEW, ListedMemory(real), 4)
    assert checked.text == "I heard it at [0:03]."
    assert (checked.cites, checked.struck) == ((real,), 2)


async def test_nothing_after_the_question_is_cited() -> None:
    later = said(70.0, 72.0, "later")
    checked = await check_claim(Claim("I heard it [1:10].", (later,)), VIEW, ListedMemory(later), 4)
    assert checked.cites == ()


async def test_no_more_citations_than_allowed() -> None:
    first, second = said(1.0, 2.0, "a"), said(5.0, 6.0, "b")
    claim = Claim("Heard [0:01] and [0:05].", (first, second))
    checked = await check_claim(claim, VIEW, ListedMemory(first, second), 1)
    assert checked.cites == (first,)
    assert "[0:05]" not in checked.text


def test_a_mark_may_lie_inside_a_long_citation() -> None:
    spoken = said(70.0, 82.0, "a long utterance")
    assert strike_marks("At [1:17] I heard it.", [spoken]) == ("At [1:17] I heard it.", 0)
    assert strike_marks("At [1:27] I heard it.", [spoken]) == ("At I heard it.", 1)


def test_marks_of_hours() -> None:
    assert mark(59.9) == "[0:59]"
    assert mark(3723.4) == "[1:02:03]"
    assert strike_marks(f"Seen {mark(3723.4)}.", [observe("frame", 3723.4)])[1] == 0
