"""Forgetting: what goes with a stretch of time or a word, that no byte of it stays, and that it does not come back."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from memory.erasure import forget as forgetting
from memory.erasure.forget import forget, preview, readd
from memory.recall.rank import Recall, RecallOptions
from memory.spans.integrate import Integration
from memory.spans.read_spans import read_spans
from memory.spans.segment import SegmentOptions
from memory.store.batch import Batch, gather
from memory.store.database import Store
from memory.store.reader import scan
from memory.store.views import open_view
from runtime.errors import StoreError
from runtime.messages import (
    AnswerFacts,
    ForgetRequest,
    GapFacts,
    Observation,
    QuestionFacts,
    RecallRequest,
    ScanRequest,
    SourceOpened,
    SpansRequest,
    TimeWindow,
    ViewRequest,
)
from tests.fixtures.memory_cases import memory_of, progress, remember, say, see, send, stream

BYTES = random.Random(5)


def pictured(t_s: float, text: str, *evidence: str, source: str = "clip") -> Observation:
    """A frame whose picture and vector are like no other's."""
    vector = tuple(BYTES.gauss(0, 1) for _ in range(64))
    frame = see(t_s, text, source=source, vector=vector)
    return msgspec.structs.replace(frame, payload=b"\xff\xd8" + BYTES.randbytes(600), evidence=evidence)


def answer(t_s: float, k: int, question: str, told: str, *evidence: str) -> Batch:
    asked = Observation(
        id=f"clip/question/{k}", source="clip", channel="question", t0_s=t_s, t1_s=t_s, text=question,
        data=QuestionFacts(conversation="main"),
    )  # fmt: skip
    given = Observation(
        id=f"clip/answer/{k}", source="clip", channel="answer", t0_s=t_s, t1_s=t_s, text=told, evidence=evidence,
        data=AnswerFacts(conversation="main", question=asked.id, abstained=not evidence),
    )  # fmt: skip
    return Batch(observations=(asked, given))


SECRET = say(20.0, 23.0, "my locker combination is porcupine seven")
SIGN = say(40.0, 40.0, "WAREHOUSE NORTHGATE", channel="text", lines=[["WAREHOUSE NORTHGATE", 0.9, [0, 0, 1, 1]]])


def a_day(directory: Path) -> Store:
    frames = [
        pictured(float(t), f"a corridor with {t} lamps", *([SIGN.id] if 40 <= t < 44 else [])) for t in range(0, 60, 2)
    ]
    return memory_of(
        directory,
        stream(
            *frames, say(5.0, 8.0, "good morning everybody"), SECRET, SIGN, say(50.0, 53.0, "the meeting is at noon"),
            end_s=60.0,
        ),
        answer(60.0, 1, "What is the combination?", 'Somebody said "porcupine seven" [0:20].', SECRET.id),
        answer(60.0, 2, "When is the meeting?", "At noon [0:50].", say(50.0, 53.0, "").id),
        answer(60.0, 3, "Do you like porcupine?", "I cannot tell."),
    )  # fmt: skip


def texts(store: Store) -> list[str]:
    reader = store.reader()
    found = scan(reader, ScanRequest(view=open_view(reader, ViewRequest())))
    reader.close()
    return [o.text for o in found]


def spans(store: Store, level: str) -> list[str]:
    reader = store.reader()
    view = open_view(reader, ViewRequest())
    found = read_spans(reader, SpansRequest(view=view, level=level))  # type: ignore[arg-type]
    reader.close()
    return [span.text for span in found]


def bytes_of(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


def stands_in(directory: Path, *pieces: bytes) -> list[bytes]:
    data = bytes_of(directory)
    return [piece for piece in pieces if piece in data]


def test_a_word_goes_with_the_answers_and_questions_about_it(tmp_path: Path) -> None:
    store = a_day(tmp_path)
    assert stands_in(tmp_path, b"porcupine")
    reply = forget(store, ForgetRequest(text="porcupine"))
    assert reply.observations == {"speech": 1, "question": 2, "answer": 2}
    assert reply.traces == {} and set(reply.searched.values()) == {0}
    assert reply.files["memory.db"] == store.path.stat().st_size
    assert "At noon [0:50]." in texts(store) and "When is the meeting?" in texts(store)
    assert not any("porcupine" in text for text in texts(store) + spans(store, "event") + spans(store, "episode"))
    assert not stands_in(tmp_path, b"porcupine", b"porcupin", b"locker", b"combination")
    store.close()
    assert not stands_in(tmp_path, b"porcupine", b"porcupin", b"locker", b"combination")


def test_a_word_read_on_a_sign_goes_with_the_pictures_it_stands_in(tmp_path: Path) -> None:
    store = a_day(tmp_path)
    reader = store.reader()
    shown = [
        (bytes(jpeg)[300:340], bytes(vector)[40:80])
        for jpeg, vector in reader.execute(
            "SELECT jpeg, vector FROM links JOIN payloads ON seq=from_seq JOIN vectors USING (seq) WHERE to_id=?",
            (SIGN.id,),
        )
    ]
    reader.close()
    assert len(shown) == 2 and stands_in(tmp_path, *shown[0])
    reply = forget(store, ForgetRequest(text="northgate"))
    assert reply.observations == {"text": 1, "frame": 2} and reply.traces == {}
    assert not stands_in(tmp_path, b"NORTHGATE", b"northgat", *shown[0], *shown[1])
    assert any("a corridor with 38 lamps" in text for text in texts(store))
    store.close()


def test_a_stretch_of_time_goes_whole_and_leaves_a_gap_that_says_only_when(tmp_path: Path) -> None:
    store = a_day(tmp_path)
    reply = forget(store, ForgetRequest(windows=(TimeWindow(source="clip", t0_s=21.0, t1_s=30.0),), wall_s=7.0))
    assert reply.observations == {"speech": 1, "frame": 5, "question": 1, "answer": 1}
    assert reply.extents == {"clip": (20.0, 30.0)} and reply.traces == {} and set(reply.searched.values()) == {0}
    reader = store.reader()
    gap = scan(reader, ScanRequest(view=open_view(reader, ViewRequest()), channels=("gap",)))
    assert [(o.t0_s, o.t1_s, o.text, o.facts(GapFacts).reason) for o in gap] == [
        (21.0, 30.0, "erased at your wish", "erased")
    ]
    assert reader.execute("SELECT channel, t0_s, t1_s, erased_wall_s FROM erasures").fetchall() == [("", 21, 30, 7)]
    events = reader.execute("SELECT t0_s, t1_s FROM spans WHERE level='event' ORDER BY t0_s").fetchall()
    assert events[0][0] == 0 and events[-1][1] == 60  # the time itself is still covered
    reader.close()
    assert not stands_in(tmp_path, b"combination", b"with 24 lamps")
    assert any("erased at your wish" in text for text in spans(store, "event"))
    store.close()


def test_a_preview_says_what_would_go_and_changes_nothing(tmp_path: Path) -> None:
    store = a_day(tmp_path)
    reader = store.reader()
    before = bytes_of(tmp_path)
    reply = preview(reader, ForgetRequest(text="porcupine", preview=True))
    assert reply.observations == {"speech": 1, "question": 2, "answer": 2}
    assert SECRET.text in [o.text for o in reply.examples]
    assert bytes_of(tmp_path) == before
    reader.close()
    store.close()


def test_what_was_forgotten_does_not_come_back_when_it_is_perceived_again(tmp_path: Path) -> None:
    store = a_day(tmp_path)
    forget(store, ForgetRequest(windows=(TimeWindow(source="clip", t0_s=19.0, t1_s=30.0),)))
    forget(store, ForgetRequest(text="northgate"))
    kept = texts(store)
    with store.write() as writing:
        writing.add(Batch(observations=(SECRET, SIGN, say(50.0, 53.0, "the meeting is at noon"))))
        assert (writing.stored, writing.erased) == (0, 2)
    with store.write() as writing:  # a turn that was under way when its evidence went
        writing.add(answer(60.0, 9, "And the sign?", "NORTHGATE", SIGN.id))
        assert writing.erased == 1
    assert "NORTHGATE" not in texts(store)
    assert [text for text in texts(store) if text != "And the sign?"] == kept
    store.close()


def test_a_source_can_be_perceived_again_when_the_user_wants_it_back(tmp_path: Path) -> None:
    store = a_day(tmp_path)
    everything = texts(store)
    reader = store.reader()
    perceived = scan(reader, ScanRequest(view=open_view(reader, ViewRequest()), with_payload=True))
    reader.close()
    before = spans(store, "event")
    forget(store, ForgetRequest(windows=(TimeWindow(source="clip", t0_s=19.0, t1_s=30.0),)))
    readd(store, "clip")
    again = [o for o in perceived if o.channel not in ("question", "answer")]
    remember(store, stream(*again, end_s=60.0))
    assert set(everything) - set(texts(store)) == {
        "What is the combination?",
        'Somebody said "porcupine seven" [0:20].',
    }
    assert spans(store, "event") == before
    with pytest.raises(StoreError, match="no source 'nothing' in memory"):
        readd(store, "nothing")
    store.close()


def test_an_event_that_is_still_open_forgets_too(tmp_path: Path) -> None:
    store, integration = Store(tmp_path), Integration(SegmentOptions())
    opened = [SourceOpened(source="clip", track=track, kind="camera") for track in ("video",)]
    frames = [pictured(float(t), f"a hallway, {t} steps") for t in range(0, 70, 2)]
    remember(store, gather(send("v", *opened, *frames, progress(69.0, "video"))), integration=integration)
    remember(
        store, gather(send("v", say(70.0, 72.0, "the passphrase is tangerine"), progress(75.0, "video"), first=90)),
        integration=integration,
    )  # fmt: skip
    reply = forget(store, ForgetRequest(text="tangerine"))
    integration.forget_unsaved()
    assert reply.observations == {"speech": 1} and reply.traces == {}
    remember(store, gather(send("v", progress(200.0, "video"), first=95)), integration=integration)
    assert not any("tangerine" in text for text in spans(store, "event") + spans(store, "moment"))
    assert not stands_in(tmp_path, b"tangerine", b"passphrase")
    store.close()


def test_a_search_through_an_index_that_was_open_finds_nothing(tmp_path: Path) -> None:
    store = a_day(tmp_path)
    reader = store.reader()
    recall = Recall(reader, RecallOptions())
    ask = RecallRequest(query="porcupine combination", view=open_view(reader, ViewRequest()))
    assert recall.recall(ask).hits[0].observation.text == SECRET.text
    forget(store, ForgetRequest(text="porcupine"))
    found = recall.recall(msgspec.structs.replace(ask, view=open_view(reader, ViewRequest()))).hits
    assert not [hit for hit in found if "porcupine" in hit.observation.text]
    reader.close()
    store.close()


def test_equal_pictures_that_stay_are_no_traces(tmp_path: Path) -> None:
    same = pictured(1.0, "an empty room")
    frames = [
        msgspec.structs.replace(
            see(float(t), "an empty room"), payload=same.payload, vector=same.vector, vector_space="test"
        )
        for t in range(1, 9)
    ]
    store = memory_of(tmp_path, stream(*frames, end_s=9.0))
    reply = forget(store, ForgetRequest(windows=(TimeWindow(source="clip", t0_s=1.0, t1_s=3.0),)))
    assert reply.observations == {"frame": 3} and reply.traces == {}
    store.close()


def test_log_lines_that_repeat_it_are_blotted_out_and_other_files_reported(tmp_path: Path) -> None:
    store = a_day(tmp_path / "memory")
    logs = tmp_path / "run"
    logs.mkdir()
    line = '{"message": "odd: my locker combination is porcupine seven"}\n{"message": "all is well"}\n'
    (logs / "audio.log").write_text(line)
    (tmp_path / "memory" / "diary.txt").write_text("my locker combination is porcupine seven")
    reply = forget(store, ForgetRequest(text="porcupine"), (logs,))
    written = (logs / "audio.log").read_text()
    assert "porcupine" not in written and "all is well" in written and len(written) == len(line)
    assert list(reply.traces) == ["diary.txt"]
    store.close()


def test_a_crash_between_erasing_and_scrubbing_is_made_good_at_the_next_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = a_day(tmp_path)

    def die(rewrite: bool = False) -> None:
        raise RuntimeError("killed here")

    monkeypatch.setattr(store, "scrub", die)
    with pytest.raises(RuntimeError):
        forget(store, ForgetRequest(text="porcupine"))
    assert stands_in(tmp_path, b"porcupine")  # in the write-ahead log at least
    os.close(store._lock)
    again = Store(tmp_path)
    assert not stands_in(tmp_path, b"porcupine", b"porcupin")
    again.close()


def test_a_reader_elsewhere_that_holds_the_log_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = a_day(tmp_path)
    store._connection.execute("PRAGMA busy_timeout=10")
    with sqlite3.connect(store.path) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM observations").fetchone()
        with pytest.raises(StoreError, match=r"another program is reading it.*forget once more"):
            forget(store, ForgetRequest(text="porcupine"))
        other.rollback()
    assert forget(store, ForgetRequest(text="porcupine")).traces == {}
    assert not stands_in(tmp_path, b"porcupine")
    store.close()


@pytest.mark.processes
def test_a_program_that_looks_into_the_file_after_it_was_searched_does_not_take_the_log_away(tmp_path: Path) -> None:
    store = a_day(tmp_path)
    assert forget(store, ForgetRequest(text="porcupine")).traces == {}
    look = "import sqlite3, sys; print(list(sqlite3.connect(sys.argv[1]).execute('SELECT text FROM observations')))"

    def seen_elsewhere() -> str:
        return subprocess.check_output([sys.executable, "-c", look, store.path], text=True)

    assert "the meeting is at noon" in seen_elsewhere()
    remember(store, stream(say(70.0, 72.0, "the parcel is at the gate"), end_s=80.0))
    assert "the parcel is at the gate" in seen_elsewhere()
    store.close()


def test_a_trace_the_scrubbing_missed_is_found_and_the_file_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = a_day(tmp_path)
    rewritten: list[bool] = []
    scrub = store.scrub

    def careless(rewrite: bool = False) -> None:
        rewritten.append(rewrite)
        if rewrite:
            store._connection.execute("DELETE FROM left_over")
            scrub(rewrite)

    store._connection.execute("CREATE TABLE left_over (text TEXT)")
    store._connection.execute("INSERT INTO left_over VALUES ('the word was porcupine')")
    monkeypatch.setattr(store, "scrub", careless)
    reply = forgetting.forget(store, ForgetRequest(text="porcupine"))
    assert rewritten == [False, True] and reply.traces == {}
    store.close()


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (ForgetRequest(), "give a stretch of time or a text"),
        (ForgetRequest(text="  ?! "), "no word in it"),
        (ForgetRequest(windows=(TimeWindow(source="nothing", t0_s=0.0, t1_s=1.0),)), "no source 'nothing'"),
        (ForgetRequest(windows=(TimeWindow(source="clip", t0_s=5.0, t1_s=1.0),)), "no stretch of time"),
        (ForgetRequest(windows=(TimeWindow(source="clip", t0_s=float("nan"), t1_s=1.0),)), "no stretch of time"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_line(tmp_path: Path, request_: ForgetRequest, says: str) -> None:
    store = a_day(tmp_path)
    before = texts(store)
    with pytest.raises(StoreError, match=says):
        forget(store, request_)
    assert texts(store) == before
    store.close()


def test_traces_are_found_across_the_pieces_a_file_is_read_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from memory.erasure import residue as traces

    monkeypatch.setattr(traces, "_CHUNK_BYTES", 1000)
    data = np.random.default_rng(3).integers(0, 256, 5000, np.uint8).tobytes()
    pieces = frozenset(data[at : at + 32] for at in (0, 700, 980, 999, 1990, 4968))
    (tmp_path / "file").write_bytes(data)
    with (tmp_path / "file").open("rb") as file:
        found = traces.find_residue(file, pieces)
    assert found == dict.fromkeys(pieces, 1)
