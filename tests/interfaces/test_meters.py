"""The status lines of `live` and `replay`: what each source is doing now, and what was lost."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

from runtime.interfaces.terminal.meters import LiveMeter, ReplayMeter
from runtime.messages import AWAY_MARK, Heartbeat


def meter(*beats: Heartbeat) -> LiveMeter:
    stored = SimpleNamespace(bytes=1000, observations=5)
    client: Any = SimpleNamespace(
        heartbeats={beat.process: beat for beat in beats}, watermarks=SimpleNamespace(stored=stored)
    )
    return LiveMeter(client, time.monotonic())


def line(*beats: Heartbeat) -> str:
    return meter(*beats).line()


def test_a_paused_source_is_said_to_be_paused_and_one_that_is_not_perceived_to_be_away() -> None:
    told = line(
        Heartbeat(process="video:door", pid=1, paused=True),
        Heartbeat(process="video:yard", pid=2, notes=(f"yard{AWAY_MARK}seen: it stopped sending",)),
        Heartbeat(process="audio:mic", pid=3, idle=False, data_age_s=0.2),
    )
    assert "door paused" in told
    assert "yard away" in told
    assert "mic heard, 0.2 s old" in told


def test_picture_and_sound_of_a_source_stand_together_and_say_once_what_befell_both() -> None:
    told = line(
        Heartbeat(process="audio:tv", pid=1, idle=False, data_age_s=0.3),
        Heartbeat(process="video:tv", pid=2, idle=False, data_age_s=0.1),
        Heartbeat(process="audio:door", pid=3, paused=True),
        Heartbeat(process="video:door", pid=4, paused=True),
    )
    assert "door paused · tv 0 frames/s, 0.1 s old, heard, 0.3 s old ·" in told


def test_a_track_that_there_is_not_is_not_missed() -> None:
    told = line(
        Heartbeat(process="video:door", pid=1, idle=False),
        Heartbeat(process="audio:door", pid=2, notes=(f"door{AWAY_MARK}heard: no audio track",), ended=True),
    )
    assert "away" not in told


def test_where_nothing_came_from_any_source_it_is_said_why() -> None:
    away = Heartbeat(process="video:yard", pid=1, notes=(f"yard{AWAY_MARK}seen: no camera",))
    assert meter(away).why_nothing() == f"nothing was perceived; yard{AWAY_MARK}seen: no camera"
    assert meter(away, Heartbeat(process="audio:mic", pid=2, counters={"audio_s": 3.0})).why_nothing() == ""
    assert meter(Heartbeat(process="video:yard", pid=1, paused=True)).why_nothing() == ""


def test_what_of_a_recording_was_lost_is_counted_and_not_what_was_of_its_moment_alone() -> None:
    beats = {
        "audio": Heartbeat(process="audio", pid=1, drops={"speech:busy": 2}),
        "reasoning": Heartbeat(process="reasoning", pid=2, drops={"voice:replaced": 3}),
    }
    client: Any = SimpleNamespace(heartbeats=beats, watermarks=SimpleNamespace(stored=SimpleNamespace(watermarks={})))
    assert ReplayMeter(client, ()).drops() == 2
