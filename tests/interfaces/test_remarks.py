"""What is told, live, of sources that go away and come back, and of models that are not what was asked for."""

from __future__ import annotations

from runtime.interfaces.terminal.remarks import Remarks
from runtime.messages import Heartbeat

REFUSED = "http://cam/x cannot be opened: the connection was refused; is it switched on?"


def beat(process: str, *notes: str, idle: bool = False, paused: bool = False, ended: bool = False) -> Heartbeat:
    return Heartbeat(
        process=process, pid=1, rss_bytes=1, data_age_s=0.0, ready=True, idle=idle, paused=paused, ended=ended,
        notes=notes,
    )  # fmt: skip


def away(process: str, verb: str, reason: str = REFUSED) -> Heartbeat:
    return beat(process, f"tv cannot be {verb}: {reason}", idle=True)


def world(*beats: Heartbeat) -> dict[str, Heartbeat]:
    return {beat.process: beat for beat in beats}


def test_a_source_that_is_neither_seen_nor_heard_is_one_line_and_so_is_its_return() -> None:
    remarks = Remarks()
    well = world(beat("video:tv"), beat("audio:tv"))
    assert remarks.step(well, 0.0) == []
    # What befalls the sound follows a moment later.
    assert remarks.step(world(away("video:tv", "seen"), beat("audio:tv")), 10.0) == []
    gone = world(away("video:tv", "seen"), away("audio:tv", "heard"))
    assert remarks.step(gone, 10.4) == [f"tv cannot be seen or heard: {REFUSED}"]
    assert remarks.step(gone, 60.0) == []
    assert remarks.step(well, 75.4) == ["tv is seen and heard again after 1:05"]
    assert remarks.step(well, 76.0) == []


def test_a_track_that_is_away_alone_is_told_before_long_and_another_reason_once_more() -> None:
    remarks = Remarks()
    dark = world(away("video:tv", "seen"), beat("audio:tv"))
    assert remarks.step(dark, 10.0) == []
    assert remarks.step(dark, 12.6) == [f"tv cannot be seen: {REFUSED}"]
    stopped = world(away("video:tv", "seen", "it stopped sending for 5 s"), beat("audio:tv"))
    told = remarks.step(stopped, 20.0) + remarks.step(stopped, 23.0)
    assert told == ["still: tv cannot be seen: it stopped sending for 5 s"]
    well = world(beat("video:tv"), beat("audio:tv"))
    assert remarks.step(well, 32.0) + remarks.step(well, 35.0) == ["tv is seen again after 0:22"]


def test_nothing_is_told_of_a_source_in_a_pause_or_of_a_track_that_has_ended() -> None:
    remarks = Remarks()
    assert remarks.step(world(beat("video:tv", idle=True, paused=True)), 0.0) == []
    # A stream without sound: what is seen of it waits for nobody.
    ended = beat("audio:tv", "tv: no audio track", idle=True, ended=True)
    assert remarks.step(world(beat("video:tv"), ended), 5.0) == ["tv: no audio track"]
    assert remarks.step(world(away("video:tv", "seen"), ended), 9.0) == [f"tv cannot be seen: {REFUSED}"]


def test_a_model_that_is_not_what_was_asked_for_is_told_once_however_many_sources_it_serves() -> None:
    remarks = Remarks()
    lacking = "what is said is not understood: weights whisper/base are not on this machine; run `run_agent.py setup`"
    beats = world(beat("audio:tv", lacking), beat("audio:door", lacking), beat("reasoning", "answers: extractive"))
    assert remarks.step(beats, 0.0) == [lacking]
    assert remarks.step(beats, 1.0) == []
    assert remarks.step(world(beat("audio", lacking)), 2.0) == []


def test_what_a_model_would_bring_is_told_once_and_who_answers_is_not() -> None:
    remarks = Remarks()
    beats = world(beat("reasoning", "answers: extractive", "no language model answers here: get one"), beat("memory"))
    assert remarks.step(beats, 0.0) == ["no language model answers here: get one"]
    assert remarks.step(beats, 1.0) == []
