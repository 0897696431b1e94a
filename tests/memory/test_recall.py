"""Recall: the right moment is found by its words, its neighbours', and near spellings; time comes first."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from memory.index.analysis import terms
from memory.index.keys import day_of, day_span, day_terms, query_terms, sound_of
from memory.index.vocabulary import near_terms
from memory.recall.rank import Recall, RecallOptions
from memory.store.database import Store
from memory.store.views import open_view
from runtime.language.stem import term_stem as stem
from runtime.messages import Hit, Observation, RecallRequest, SourceOpened, SpeechFacts, ViewRequest
from tests.fixtures.memory_cases import memory_of, say, see, stream


def recall(store: Store, query: str, **request: object) -> list[Hit]:
    reader = store.reader()
    view = open_view(reader, ViewRequest())
    reply = Recall(reader, RecallOptions()).recall(RecallRequest(query=query, view=view, **request))  # type: ignore[arg-type]
    reader.close()
    return list(reply.hits)


def texts(hits: list[Hit]) -> list[str]:
    return [hit.observation.text for hit in hits]


def spoken(*lines: str, every_s: float = 30.0) -> list[Observation]:
    """Utterances too far apart to be neighbours."""
    return [say(every_s * i, every_s * i + 2.0, line) for i, line in enumerate(lines)]


def store_of(directory: Path, *observations: Observation, end_s: float = 10_000.0) -> Store:
    return memory_of(directory, stream(*observations, end_s=end_s))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("colour", "color"), ("organised", "organizing"), ("theatre", "theaters"), ("travelling", "traveled"),
        ("grey", "gray"), ("seven", "7"), ("twenty-three", "23"), ("twenty three", "23"), ("3,500", "3500"),
        ("two hundred and five", "205"), ("Café", "cafe"), ("the man's", "the man"), ("children", "child"),
        ("went", "go"), ("ponies", "pony"), ("cut", "cuts"), ("STRASSE", "straße"), ("ﬁle", "file"),
    ],
)  # fmt: skip
def test_two_ways_of_writing_meet_in_one_term(a: str, b: str) -> None:
    assert terms(a) == terms(b)


def test_numbers_that_follow_each_other_stay_apart() -> None:
    assert terms("seven seven, nine") == ["7", "7", "9"]
    assert terms("twenty nineteen") == ["20", "19"]


def test_a_compound_is_found_by_its_parts_and_as_a_whole() -> None:
    assert terms("clean-room") == [*terms("clean"), "room", "cleanroom"]


def test_scripts_without_spaces_give_pairs() -> None:
    assert terms("今天天气") == ["今天", "天天", "天气"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("caresses", "caress"), ("relational", "relat"), ("hopping", "hop"), ("hoping", "hope"), ("sky", "sky"),
        ("controlling", "control"), ("happy", "happi"), ("electricity", "electr"), ("adjustment", "adjust"),
        ("generalization", "gener"),
    ],
)  # fmt: skip
def test_stems_are_porters(word: str, expected: str) -> None:
    assert stem(word) == expected


def test_a_query_keeps_its_content_words_unless_it_has_none() -> None:
    assert [t.term for t in query_terms("What did the man say about telescopes?")] == ["man", "telescop"]
    assert [t.term for t in query_terms("who is it?")] == ["who", "be", "it"]
    assert [t.term for t in query_terms("Summarize the discussion about solar cells")] == ["solar", "cell"]
    assert [t.term for t in query_terms("what did they talk about?")][-2:] == ["talk", "about"]


def test_the_observation_with_the_words_comes_first_and_others_not_at_all(tmp_path: Path) -> None:
    store = store_of(tmp_path, *spoken("the telescope is gold", "we had lunch", "it rained"))
    hits = recall(store, "Which telescope was it?")
    assert texts(hits) == ["the telescope is gold"]
    assert hits[0].why["coverage"] == hits[0].why["exact"] == 1.0
    assert 0.0 < hits[0].score <= 1.0
    store.close()


def test_coverage_tells_how_much_of_the_question_was_met(tmp_path: Path) -> None:
    store = store_of(tmp_path, *spoken("the telescope is gold", "we had lunch", "a gold ring"))
    (hit,) = [h for h in recall(store, "gold submarine") if "ring" in h.observation.text]
    # The submarine was never met, so it weighs more than the gold that was.
    assert 0.0 < hit.why["coverage"] < 0.5
    assert recall(store, "submarine") == []
    store.close()


def test_an_answer_is_found_by_the_words_of_its_question(tmp_path: Path) -> None:
    talk = [
        say(0.0, 2.0, "where do you keep the ladder?"),
        say(2.5, 4.0, "behind the shed"),
        say(60.0, 62.0, "good night"),
    ]
    hits = recall(store := store_of(tmp_path, *talk), "where is the ladder")
    assert texts(hits) == ["behind the shed", "where do you keep the ladder?"]
    assert (hits[0].why["coverage"], hits[0].why["coverage_neighbours"]) == (0.0, 1.0)
    store.close()


def test_who_only_nods_is_not_listed_before_who_says_something(tmp_path: Path) -> None:
    talk = [
        say(0.0, 2.0, "the battery costs two euros more"),
        say(2.0, 3.0, "mm-hmm"),
        say(3.0, 5.0, "and a solar cell would cost even more"),
        say(100.0, 104.0, "the supplier of the cheapest one was closed all through last week"),
        say(104.0, 106.0, "so nobody knows what a battery costs"),
    ]
    hits = recall(store := store_of(tmp_path, *talk), "battery costs")
    # Two neighbours of the nod fit, and only one of the supplier.
    assert texts(hits)[-1] == "mm-hmm"
    assert "the supplier of the cheapest one was closed all through last week" in texts(hits)
    store.close()


def test_many_words_find_the_middle_of_the_talk_about_them_and_few_the_utterance(tmp_path: Path) -> None:
    told = ["alpha beta gamma", "delta epsilon zeta", "eta theta iota", "kappa lambda sigma", "omega rho tau"]
    alone = "alpha beta delta epsilon eta theta kappa lambda sigma omega rho tau"
    lines = [say(10.0 + 3.0 * i, 12.0 + 3.0 * i, line) for i, line in enumerate(told)]
    store = store_of(tmp_path, *lines, say(300.0, 302.0, alone))
    assert texts(recall(store, " ".join(told)))[0] == "eta theta iota"
    assert texts(recall(store, alone))[0] == alone


def test_neighbours_farther_than_the_window_lend_nothing(tmp_path: Path) -> None:
    talk = [say(0.0, 2.0, "where do you keep the ladder?"), say(15.0, 17.0, "behind the shed")]
    store = store_of(tmp_path, *talk)
    assert texts(recall(store, "where is the ladder")) == ["where do you keep the ladder?"]
    store.close()


def test_what_was_said_raises_a_picture_but_does_not_make_it_a_hit(tmp_path: Path) -> None:
    frames = [see(10.0, "a red car"), see(11.0, "a blue van"), see(500.0, "a red car")]
    store = store_of(tmp_path, *frames, say(10.0, 12.0, "look at the flood"))
    hits = recall(store, "red car in the flood", channels=("frame",))
    assert [(h.observation.text, h.observation.t0_s) for h in hits] == [("a red car", 10.0), ("a red car", 500.0)]
    assert hits[0].score > hits[1].score
    store.close()


def test_channels_and_sources_narrow_what_is_found(tmp_path: Path) -> None:
    a = stream(
        say(1.0, 2.0, "ship", source="a"), say(3.0, 3.0, "SHIP", source="a", channel="text"), source="a", end_s=9.0
    )
    b = stream(
        say(1.0, 2.0, "ship", source="b"),
        say(4.0, 5.0, "a ship?", source="b", channel="question"),
        source="b",
        end_s=9.0,
    )
    store = memory_of(tmp_path, a, b)
    assert {h.observation.id for h in recall(store, "ship")} == {
        "a/speech/000001000",
        "a/text/000003000",
        "b/speech/000001000",
    }
    assert [h.observation.channel for h in recall(store, "ship", channels=("question",))] == ["question"]
    assert {h.observation.source for h in recall(store, "ship", source="b")} == {"b"}
    assert recall(store, "ship", source="c") == []
    store.close()


@pytest.mark.parametrize(
    ("asked", "stored"),
    [("cleanroom", "one of the largest clean rooms"), ("clean room", "one of the largest cleanrooms"),
     ("clean-room", "in the clean room"), ("3 bottles", "three bottles"), ("colour", "the color of it")],
)  # fmt: skip
def test_other_ways_of_writing_are_matches(tmp_path: Path, asked: str, stored: str) -> None:
    store = store_of(tmp_path, *spoken(stored, "nothing of the kind"))
    hits = recall(store, asked)
    assert texts(hits) == [stored]
    assert hits[0].why["exact"] == pytest.approx(1.0)
    store.close()


@pytest.mark.parametrize(("asked", "stored"), [("Goddard", "at the godard center"), ("openvino", "0PENVIN0 toolkit")])
def test_a_misheard_or_misread_word_is_found_but_counts_less(tmp_path: Path, asked: str, stored: str) -> None:
    store = store_of(tmp_path, *spoken(stored, "nothing of the kind"))
    (hit,) = recall(store, asked)
    assert hit.observation.text == stored
    assert 0.3 < hit.why["coverage"] < 0.7
    assert hit.why["exact"] == 0.0
    store.close()


def test_another_word_that_only_rhymes_is_no_match(tmp_path: Path) -> None:
    store = store_of(tmp_path, *spoken("it is in my pocket", "a boat"))
    assert recall(store, "rocket") == []
    assert recall(store, "goat") == []
    store.close()


def test_near_spellings_are_not_used_while_the_word_itself_is_there(tmp_path: Path) -> None:
    store = store_of(tmp_path, *spoken("goddard center", "godard center"))
    assert [h.why["exact"] for h in recall(store, "goddard")] == [1.0]
    store.close()


def test_who_speaks_and_the_day_help_to_find_it(tmp_path: Path) -> None:
    lines = [
        say(0.0, 2.0, "I like tea", speaker="Anna"), say(100.0, 102.0, "I like tea", speaker="Ben"),
        say(86_400.0 * 40, 86_400.0 * 40 + 2.0, "I like tea", speaker="Anna"),
    ]  # fmt: skip
    batch = stream(*lines, end_s=86_400.0 * 41)
    # Noon of 10 May 2023 wherever this runs.
    opened = tuple(
        SourceOpened(source=o.source, track=o.track, kind=o.kind, started_wall_s=1_683_720_000.0) for o in batch.opened
    )
    store = memory_of(
        tmp_path, type(batch)(**{f: getattr(batch, f) for f in batch.__struct_fields__} | {"opened": opened})
    )
    assert next(h.observation.facts(SpeechFacts).speaker for h in recall(store, "does Ben like tea")) == "Ben"
    assert recall(store, "tea in June")[0].observation.t0_s == 86_400.0 * 40
    assert recall(store, "tea in May")[0].observation.t0_s == 0.0
    store.close()


@pytest.mark.usefixtures("berlin")
def test_an_evening_after_the_clock_was_set_back_is_of_its_own_day(tmp_path: Path) -> None:
    """A camera since Saturday 24 October 2026, 20:00; on Sunday at 3:00 it is 2:00 once more."""
    began_s = 1_792_864_800.0
    sunday_s, monday_s = 28.5 * 3600, 42.0 * 3600  # Sunday 23:30, Monday 13:00
    batch = stream(
        say(sunday_s, sunday_s + 2.0, "I like tea"), say(monday_s, monday_s + 2.0, "I like tea"), end_s=50.0 * 3600
    )  # fmt: skip
    opened = tuple(msgspec.structs.replace(o, kind="camera", started_wall_s=began_s) for o in batch.opened)
    store = memory_of(tmp_path, msgspec.structs.replace(batch, opened=opened))
    assert recall(store, "tea on Sunday")[0].observation.t0_s == sunday_s
    assert recall(store, "tea on Monday")[0].observation.t0_s == monday_s
    store.close()
    begin_s, end_s = day_span(day_of(began_s + sunday_s))
    assert end_s - begin_s == 25 * 3600


def test_a_day_is_named_by_its_month_weekday_and_number() -> None:
    assert day_terms(19_487) == {*terms("May"), *terms("Wednesday"), "10", "2023"}


def test_the_event_a_match_lies_in_lifts_it_above_an_equal_match_alone(tmp_path: Path) -> None:
    rich = [
        say(1000.0 + 16.0 * i, 1001.0 + 16.0 * i, line) for i, line in enumerate(["a ship", "the ship again", "ship"])
    ]
    store = store_of(tmp_path, say(0.0, 1.0, "a ship"), *rich)
    same = [h for h in recall(store, "ship") if h.observation.text == "a ship"]
    assert [h.observation.t0_s for h in same] == [1000.0, 0.0]
    assert same[0].why["parent"] > same[1].why["parent"]
    store.close()


def test_a_picture_that_stood_long_does_not_fill_the_list(tmp_path: Path) -> None:
    frames = [see(float(t), "a red car") for t in range(40)]
    store = store_of(tmp_path, *frames, see(100.0, "a red bus and a car and a tree"))
    assert texts(recall(store, "red car", limit=2))[1] == "a red bus and a car and a tree"
    store.close()


def test_vectors_of_the_same_space_are_compared_exactly(tmp_path: Path) -> None:
    store = store_of(tmp_path, see(1.0, "a", vector=(1.0, 0.0)), see(2.0, "b", vector=(0.6, 0.8)), see(3.0, "c"))
    query = np.array([0.6, 0.8], "<f2").tobytes()
    hits = recall(store, "", vector=query, vector_space="test")
    assert [(h.observation.text, h.why["vector"]) for h in hits] == [
        ("b", pytest.approx(1.0, abs=1e-3)),
        ("a", pytest.approx(0.6, abs=1e-3)),
    ]
    assert recall(store, "", vector=query, vector_space="other") == []
    store.close()


def test_trust_and_all_else_of_an_observation_is_kept_in_a_hit(tmp_path: Path) -> None:
    sign = Observation(
        id="x", source="clip", channel="text", t0_s=1.0, t1_s=1.0, text="OBEY", trust=0.25, evidence=("y",)
    )
    store = store_of(tmp_path, sign)
    assert recall(store, "obey")[0].observation == sign
    store.close()


def test_however_much_was_planted_it_takes_only_its_share_of_the_list(tmp_path: Path) -> None:
    planted = [
        Observation(
            id=f"p{i}",
            source="clip",
            channel="derived",
            t0_s=60.0 * i,
            t1_s=60.0 * i + 1,
            text="the key code is 9",
            trust=0.2,
        )
        for i in range(30)
    ]
    store = store_of(tmp_path, *planted, say(3000.0, 3002.0, "we talked for long about the key and where it is kept"))
    hits = recall(store, "key code", channels=("speech", "derived"), limit=8)
    assert [h.observation.trust < 0.5 for h in hits] == [True, True, False]
    assert len(recall(store, "key code", channels=("derived",), limit=1)) == 1
    store.close()


def test_a_text_vector_finds_pictures_of_its_space_only_and_words_raise_them(tmp_path: Path) -> None:
    """A paired space made by hand: the first axis is dogs, the second boats."""
    dog, boat = (0.9, 0.1, 0.4), (0.1, 0.9, 0.4)
    frames = [see(10.0, "a dog", vector=dog), see(200.0, "", vector=dog), see(400.0, "a boat", vector=boat)]
    store = store_of(tmp_path, *frames)
    asked = np.array([1.0, 0.0, 0.0], "<f2").tobytes()
    hits = recall(store, "dog", vector=asked, vector_space="test")
    assert [h.observation.t0_s for h in hits] == [10.0, 200.0, 400.0]
    assert hits[0].why["vector"] == hits[1].why["vector"] > 0.8 > 0.2 > hits[2].why["vector"]
    assert hits[0].why["bm25"] > hits[1].why["bm25"] == 0.0
    assert recall(store, "dog", vector=asked, vector_space="other") == recall(store, "dog")
    store.close()


def test_nothing_asked_and_nothing_stored_find_nothing(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    assert recall(store, "anything") == recall(store, "") == recall(store, '"*^') == []
    store.close()


def test_query_text_is_never_query_syntax(tmp_path: Path) -> None:
    store = store_of(tmp_path, *spoken('he said "stop" AND went'))
    for query in ('own:"x" OR y', 'stop" NEAR(', "a*b^c {col}:", "stop'; DROP TABLE observations; --"):
        recall(store, query)
    assert texts(recall(store, "stop")) == ['he said "stop" AND went']
    store.close()


def test_two_recalls_and_another_order_of_storing_agree(tmp_path: Path) -> None:
    lines = spoken("a ship", "a ship", "the harbour", "a ship and a harbour", every_s=5.0)
    one, other = (
        memory_of(tmp_path / "a", stream(*lines, end_s=99.0)),
        memory_of(tmp_path / "b", stream(*lines[::-1], end_s=99.0)),
    )
    assert recall(one, "ship harbour") == recall(one, "ship harbour") == recall(other, "ship harbour")
    one.close()
    other.close()


def test_what_is_stored_later_is_found_by_the_same_recall(tmp_path: Path) -> None:
    store = store_of(tmp_path, say(1.0, 2.0, "a ship"))
    reader = store.reader()
    recaller = Recall(reader, RecallOptions())
    for t_s in (5.0, 3.0):  # in time after the first, then before the second
        with store.write() as writing:
            writing.add_observation(say(t_s, t_s + 0.5, "a ship"))
        view = open_view(reader, ViewRequest())
        assert t_s in [h.observation.t0_s for h in recaller.recall(RecallRequest(query="ship", view=view)).hits]
    reader.close()
    store.close()


def test_where_too_many_hold_a_word_those_that_hold_the_others_too_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory.recall.candidates.CANDIDATES", 3)
    monkeypatch.setattr("memory.recall.candidates.SCORED", 3)
    lines = ["the boat left the harbour", *(f"a boat {n}" for n in range(6)), *(f"the harbour {n}" for n in range(6))]
    hits = recall(store_of(tmp_path, *spoken(*lines)), "harbour boat")
    assert texts(hits)[0] == "the boat left the harbour"
    assert len(hits) == 3


def test_where_a_rare_word_names_enough_what_holds_more_of_the_query_is_looked_at_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory.recall.candidates.CANDIDATES", 3)
    monkeypatch.setattr("memory.recall.candidates.SCORED", 2)
    lines = [*(f"an anchor {n}" for n in range(4)), *(f"a boat {n}" for n in range(6))]
    lines += [*(f"the harbour {n}" for n in range(6)), "the boat left the harbour"]
    hits = recall(store_of(tmp_path, *spoken(*lines)), "anchor boat harbour")
    assert [text.split()[:2] for text in texts(hits)] == [["the", "boat"], ["an", "anchor"]]


def test_where_many_match_a_word_that_answers_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memory.recall.candidates.SCORED", 2)
    talk = [say(0.0, 2.0, "where is the old ladder?"), say(2.0, 3.0, "upstairs")]
    talk += [say(30.0 * n, 30.0 * n + 2.0, f"a ladder {n}") for n in range(1, 9)]
    assert "upstairs" in texts(recall(store_of(tmp_path, *talk), "where is the old ladder"))


def test_words_are_alike_by_sound_or_but_for_a_letter_or_letters_that_look_alike(tmp_path: Path) -> None:
    store = store_of(tmp_path, *spoken("godard night 0range knave labour orangutan form"))
    reader = store.reader()
    assert near_terms(reader, "goddard") == [("godard", pytest.approx(6 / 7))]
    assert near_terms(reader, "knight") == [("night", pytest.approx(5 / 6))]
    assert near_terms(reader, "orange") == [("0range", 1.0)]
    assert near_terms(reader, "harbour") == near_terms(reader, "form") == []
    assert near_terms(reader, "from") == [("form", pytest.approx(3 / 4))]  # a swap of neighbours is one edit
    reader.close()
    store.close()


def test_words_sound_alike_by_their_consonants() -> None:
    assert sound_of("goddard") == sound_of("godard") == sound_of("cotart")
