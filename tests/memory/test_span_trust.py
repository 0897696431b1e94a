"""Summaries inherit the least trust: of moments, events, episodes, sketches, and of what is made of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
from msgspec import structs

from memory.archive.exporter import export_memory
from memory.archive.importer import import_memory
from memory.budget.compress import Kept, Member, Pooling
from memory.budget.enforce import BudgetEnforcer
from memory.budget.retention import remove_with_sketches
from memory.erasure.forget import forget
from memory.recall.rank import Recall, RecallOptions
from memory.recall.selection import LOW_TRUST_SHARE
from memory.spans.integrate import Integration
from memory.spans.read_spans import read_spans
from memory.spans.segment import SegmentOptions
from memory.store.batch import Batch
from memory.store.database import Store
from memory.store.levels import MIB, Budget
from memory.store.migrations import MIGRATIONS, migrate
from memory.store.views import open_view
from reasoning.backends.brackets import Brackets
from reasoning.backends.gather import Gathered
from reasoning.backends.pack import pack
from reasoning.safety.untrusted import Guard
from runtime.messages import (
    DerivedFacts,
    ExportRequest,
    ForgetRequest,
    Hit,
    ImportRequest,
    Observation,
    RecallRequest,
    SourceOpened,
    Span,
    SpansRequest,
    ViewRequest,
)
from runtime.trust import TRUST
from tests.fixtures.memory_cases import memory_of, say, see, stream
from tests.fixtures.model_costs import ByLetter

SIGHTS = (1.0, 0.0), (0.0, 1.0)
DOUBTED = 0.3


def a_stretch(t0_s: float, sight: tuple[float, float], *, trust: float = 1.0) -> list[Observation]:
    """Ten seconds that are an event of their own; the third picture is believed as far as ``trust``."""
    frames = [see(t0_s + i, f"a hall, {t0_s + i:.0f}", vector=sight, cut=i == 0) for i in range(10)]
    frames[3] = structs.replace(frames[3], trust=trust)
    return frames


def three_events(second: Sequence[Observation]) -> Batch:
    """An event of pictures, one of ``second``, one of pictures."""
    return stream(*a_stretch(0.0, SIGHTS[0]), *second, *a_stretch(20.0, SIGHTS[0]), end_s=30.0)


def spans(store: Store, level: Literal["moment", "event", "episode"] = "event") -> tuple[Span, ...]:
    reader = store.reader()
    found = read_spans(reader, SpansRequest(view=open_view(reader, ViewRequest()), level=level))
    reader.close()
    return found


def trusts(store: Store, level: Literal["moment", "event", "episode"] = "event") -> list[float]:
    return [span.trust for span in spans(store, level)]


def test_an_event_is_believed_as_the_least_of_its_members_and_an_episode_as_its_least_event(tmp_path: Path) -> None:
    spoken = say(14.0, 16.0, "the car is mine")
    store = memory_of(tmp_path, three_events([*a_stretch(10.0, SIGHTS[1], trust=DOUBTED), spoken]))
    assert trusts(store) == [1.0, DOUBTED, 1.0]
    assert trusts(store, "episode") == [DOUBTED]
    # A moment is one picture or one utterance, whatever stands beside it.
    assert [span.t0_s for span in spans(store, "moment") if span.trust == DOUBTED] == [13.0]
    assert [span.text for span in spans(store, "moment") if span.trust == TRUST["said"]] == ["the car is mine"]
    store.close()


def test_what_has_not_ended_yet_is_believed_no_more(tmp_path: Path) -> None:
    opened = tuple(SourceOpened(source="clip", track=track, kind="camera") for track in ("video", "audio"))
    seen = (*a_stretch(0.0, SIGHTS[0]), say(4.0, 6.0, "the car is mine"))
    marks = {("clip", "video"): 9.0, ("clip", "audio"): 9.0}
    store = memory_of(tmp_path, Batch(opened=opened, observations=seen, watermarks=marks))
    assert trusts(store) == trusts(store, "episode") == [TRUST["said"]]
    store.close()


@pytest.mark.parametrize("fresh_process", [False, True])
def test_an_episode_remembers_its_least_event_over_a_restart(tmp_path: Path, fresh_process: bool) -> None:
    store = Store(tmp_path)
    whole = three_events(a_stretch(10.0, SIGHTS[1], trust=DOUBTED))
    parts = (
        structs.replace(
            whole,
            observations=whole.observations[:25],
            ended={},
            watermarks=dict.fromkeys(whole.watermarks, 24.0),
        ),
        structs.replace(whole, opened=(), observations=whole.observations[25:]),
    )
    integration = Integration(SegmentOptions())
    for part in parts:
        if fresh_process:
            integration = Integration(SegmentOptions())
        with store.write() as writing:
            writing.add(part)
            integration.advance(writing, writing.media_sources())
    assert trusts(store, "episode") == [DOUBTED]
    store.close()


def test_a_sketch_stays_as_doubtful_as_what_it_was_made_of(tmp_path: Path) -> None:
    """Step by step down to tombstones, which are joined: no step makes anything more believed."""
    budget = Budget(hot=MIB, events=MIB, episodes=MIB, words=MIB)
    store = Store(tmp_path, budget)
    enforcer, integration = BudgetEnforcer(budget), Integration(SegmentOptions())
    with store.write() as writing:
        writing.add(three_events(a_stretch(10.0, SIGHTS[1], trust=DOUBTED)))
        enforcer.keep(writing, integration.advance(writing, writing.media_sources()))
    stages = []
    for _ in range(9):
        with store.write() as writing:
            any(enforcer._step_down(writing, level) for level in ("hot", "events", "episodes"))
        held = next(span for span in spans(store) if span.t0_s <= 10.0 < span.t1_s)
        stages.append(held.stage)
        assert held.trust == DOUBTED
    assert {"full", "sketch", "pointer", "tombstone"} == set(stages)
    store.close()


class Telling(Pooling):
    """Says in a sentence of its own what it leaves out, as a learned compressor would."""

    def compress_seen(
        self, members: Sequence[Member], keyframe: str, stage: Literal["full", "sketch", "pointer"]
    ) -> Kept:
        kept = super().compress_seen(members, keyframe, stage)
        if stage != "sketch":
            return kept
        frames = tuple(member.observation for member in members if member.observation.channel == "frame")
        told = structs.replace(
            frames[0], id=f"clip/derived/{frames[0].t0_s:.0f}", channel="derived", text="people in a hall",
            data=DerivedFacts(), vector=None, vector_space="", payload=None,
            evidence=tuple(frame.id for frame in frames),
        )  # fmt: skip
        return structs.replace(kept, made=(told,))


def test_what_a_compressor_makes_of_an_event_is_believed_as_the_least_of_it(tmp_path: Path) -> None:
    budget = Budget(hot=MIB, events=MIB, episodes=MIB, words=MIB)
    store = Store(tmp_path, budget)
    enforcer, integration = BudgetEnforcer(budget, Telling()), Integration(SegmentOptions())
    with store.write() as writing:
        writing.add(three_events(a_stretch(10.0, SIGHTS[1], trust=DOUBTED)))
        enforcer.keep(writing, integration.advance(writing, writing.media_sources()))
        while enforcer._step_down(writing, "hot"):
            pass
    reader = store.reader()
    told = reader.execute("SELECT t0_s, trust FROM observations WHERE channel='derived' ORDER BY t0_s").fetchall()
    assert told == [(0.0, 1.0), (10.0, DOUBTED), (20.0, 1.0)]
    reader.close()
    store.close()


def test_when_the_doubtful_part_is_erased_at_the_users_wish_the_rest_is_believed_again(tmp_path: Path) -> None:
    spoken = say(14.0, 16.0, "the porcupine is mine")
    store = memory_of(tmp_path, three_events([*a_stretch(10.0, SIGHTS[1]), spoken]))
    assert trusts(store) == [1.0, TRUST["said"], 1.0]
    forget(store, ForgetRequest(text="porcupine"))
    assert trusts(store) == [1.0, 1.0, 1.0] and trusts(store, "episode") == [1.0]
    store.close()


def test_a_channel_that_is_kept_for_a_while_only_leaves_its_doubt_behind(tmp_path: Path) -> None:
    spoken = say(14.0, 16.0, "the car is mine")
    store = memory_of(tmp_path, three_events([*a_stretch(10.0, SIGHTS[1]), spoken]))
    with store.write() as writing:
        remove_with_sketches(writing, "speech", [spoken.id])
    assert trusts(store) == [1.0, TRUST["said"], 1.0]
    store.close()


@pytest.mark.parametrize("trusted", [False, True])
def test_an_archive_carries_the_trust_of_spans_and_an_import_caps_it(tmp_path: Path, trusted: bool) -> None:
    first = memory_of(tmp_path / "first", three_events(a_stretch(10.0, SIGHTS[1], trust=DOUBTED)))
    reader = first.reader()
    export_memory(reader, ExportRequest(path=str(tmp_path / "archive")))
    reader.close()
    second = Store(tmp_path / "second")
    import_memory(second, ImportRequest(path=str(tmp_path / "archive"), trusted=trusted))
    most = 1.0 if trusted else TRUST["imported"]
    assert trusts(second) == [most, DOUBTED, most]
    assert trusts(second, "episode") == [DOUBTED]
    first.close()
    second.close()


def recall(store: Store, query: str, limit: int, as_of_s: float | None = None) -> list[Hit]:
    reader = store.reader()
    view = open_view(reader, ViewRequest(source="clip" if as_of_s else "", as_of_s=as_of_s))
    reply = Recall(reader, RecallOptions()).recall(RecallRequest(query=query, view=view, limit=limit))
    reader.close()
    return list(reply.hits)


def test_a_hit_says_how_far_it_and_its_event_are_believed_but_nothing_of_its_future(tmp_path: Path) -> None:
    spoken = say(14.0, 16.0, "the porcupine is mine")
    store = memory_of(tmp_path, three_events([*a_stretch(10.0, SIGHTS[1], trust=DOUBTED), spoken]))
    assert [(h.why["trust"], h.why["event_trust"]) for h in recall(store, "porcupine", 5)] == [(TRUST["said"], DOUBTED)]
    # At 0:17 the event was going on: that it would be believed so little is not to be known.
    assert [h.why["event_trust"] for h in recall(store, "porcupine", 5, as_of_s=17.0)] == [1.0]
    store.close()


def test_what_owes_its_place_to_a_doubtful_event_is_under_the_quota_too(tmp_path: Path) -> None:
    """Signs of one common word of the question, lifted by what was planted beside them."""
    planted = [say(10.0 + i, 10.0 + i, f"porcupine quartz zeppelin {i}", channel="text") for i in range(2)]
    signs = [say(float(i), float(i), f"hall {i}", channel="text") for i in range(30)]
    others = [o for o in three_events(a_stretch(10.0, SIGHTS[1])).observations if o.channel == "frame"]
    inside: dict[float, int] = {}
    for trust in (0.2, TRUST["read"]):
        doubted = [structs.replace(o, trust=trust, id=f"{o.id}.1") for o in planted]
        store = memory_of(tmp_path / str(trust), stream(*others, *signs, *doubted, end_s=30.0))
        hits = recall(store, "porcupine quartz zeppelin hall", 8)
        assert len(hits) == 8
        inside[trust] = sum(10.0 <= h.observation.t0_s < 20.0 for h in hits)
        store.close()
    assert inside == {0.2: 8 * LOW_TRUST_SHARE, TRUST["read"]: 8}


def test_a_memory_from_before_spans_had_trust_gets_it_from_what_is_there_and_from_what_its_sketches_quote() -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript("".join(MIGRATIONS[:7]))
    db.execute("INSERT INTO sources(source, name, kind) VALUES (1, 'clip', 'file')")
    fact = "INSERT INTO observations VALUES (?,?,1,1,?,?,?,0,'','{}','[]',?)"
    db.execute(fact, (1, "a", "frame", 1.0, 1.0, 1.0))
    db.execute(fact, (2, "b", "frame", 11.0, 11.0, 0.4))
    span = "INSERT INTO spans(id, generation, source, level, t0_s, t1_s, text) VALUES (?,1,1,?,?,?,?)"
    db.execute(span, ("clip/event/0", "event", 0.0, 9.0, "seen: a hall"))
    db.execute(span, ("clip/event/1", "event", 10.0, 19.0, "seen: a hall"))
    db.execute(span, ("clip/event/2", "event", 20.0, 29.0, 'seen: a hall | said: "the car is mine"'))
    db.execute(span, ("clip/moment/000020000.1", "moment", 20.0, 29.0, "the car is mine"))
    db.execute(span, ("clip/episode/0", "episode", 0.0, 29.0, "a hall"))
    migrate(db, 7)
    told = dict(db.execute("SELECT id, trust FROM spans"))
    assert list(told.values()) == [0.4, 1.0, 0.4, 0.6, 0.6], told


def test_a_model_is_told_which_stretch_is_not_confirmed() -> None:
    sure = Span(id="a", source="clip", level="event", t0_s=0.0, t1_s=9.0, text="a hall")
    doubted = Span(id="b", source="clip", level="event", t0_s=9.0, t1_s=19.0, text="a yard", trust=DOUBTED)
    (shown,) = pack(Gathered((), (sure, doubted)), Guard("key"), Brackets(), 500, ByLetter()).content
    lines = [line for line in str(shown).splitlines() if "event from" in line]
    assert ["not confirmed" in line for line in lines] == [False, True]
