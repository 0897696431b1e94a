"""Moments as people type them: media time, wall-clock time, and one clear line for anything else."""

from __future__ import annotations

import datetime

import pytest

from runtime.errors import UserError
from runtime.interfaces.commands.moments import latest, parse_length_s, parse_moment, stretch
from runtime.language.clock_words import Bound
from runtime.messages import SourceRecord, TimeWindow
from runtime.stretches import Now

NOW = datetime.datetime(2026, 11, 23, 15, 0).astimezone()


def unix_s(month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> float:
    return datetime.datetime(2026, month, day, hour, minute, second).astimezone().timestamp()


def wall(*moment: int) -> Bound:
    return Bound("wall", unix_s(*moment))


def clock(media_s: float, *moment: int) -> Bound:
    """What may be media time as well as a time of day."""
    return Bound("clock", media_s, unix_s(*moment))


def record(
    name: str, watermark_s: float, started_wall_s: float = 0.0, *, kind: str = "file", ended: bool = True
) -> SourceRecord:
    return SourceRecord(
        source=name, kind=kind, uri="", fingerprint=name, started_wall_s=started_wall_s,
        watermarks={"video": watermark_s}, ended={"video": "end"} if ended else {},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("12:31", clock(751.0, 11, 23, 12, 31)),
        ("1:02:03", clock(3723.0, 11, 23, 1, 2, 3)),
        ("0:07.5", clock(7.5, 11, 23, 0, 7)),
        ("14:00", clock(840.0, 11, 23, 14)),
        ("90", Bound("media", 90.0)),
        ("1h 5m", Bound("media", 3900.0)),
        ("now", Bound("wall", NOW.timestamp())),
        ("10 minutes ago", Bound("ago", 600.0)),
        ("today 14:00", wall(11, 23, 14)),
        ("yesterday at 14:00", wall(11, 22, 14)),
        ("Yesterday, 2:30 pm", wall(11, 22, 14, 30)),
        ("12am", wall(11, 23, 0)),
        ("saturday 9:05:30", wall(11, 21, 9, 5, 30)),
        ("monday 2pm", wall(11, 16, 14)),
        ("2026-11-20T08:15", wall(11, 20, 8, 15)),
        ("2026-11-20", wall(11, 20)),
    ],
)
def test_moments(text: str, meant: Bound) -> None:
    assert parse_moment(text, NOW) == meant


def test_a_bare_day_as_the_end_is_its_whole_length() -> None:
    assert parse_moment("yesterday", NOW, is_end=True) == wall(11, 23)


@pytest.mark.parametrize(
    "text",
    ["", "bananas", "25:99", "12:61", "yesterday 25:00", "13pm", "tomorrow", "2026-13-01", "-5", "1:2:3:4"],
)
def test_what_is_no_moment_is_said_in_one_line_that_tells_how_to_write_one(text: str) -> None:
    with pytest.raises(UserError, match=r"is no time: a moment is media time") as caught:
        parse_moment(text, NOW)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("10m", 600), ("90s", 90), ("1h 30m", 5400), ("2 hours", 7200), ("1.5 min", 90)]
)
def test_lengths(text: str, seconds: float) -> None:
    assert parse_length_s(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "soon", "10 parsecs", "0m", "m"])
def test_what_is_no_length_is_said_in_one_line(text: str) -> None:
    with pytest.raises(UserError, match=r"no length of time|no time at all"):
        parse_length_s(text)


@pytest.mark.usefixtures("berlin")
def test_an_hour_that_the_clock_gives_twice_is_meant_whole() -> None:
    begin = parse_moment("2026-10-25 02:30", NOW)
    end = parse_moment("2026-10-25 02:45", NOW, is_end=True)
    assert end.s - begin.s == 75 * 60
    second_s = datetime.datetime(2026, 10, 25, 2, 35, fold=1).astimezone().timestamp()
    (window,) = stretch(begin, end, "", [record("night", 4.0, second_s)], Now(NOW.timestamp()))
    assert (window.t0_s, window.t1_s) == (0.0, 4.0)


def test_a_time_of_day_is_meant_of_a_camera_and_media_time_of_a_recording() -> None:
    camera = record("cam", 7200.0, unix_s(11, 23, 13), kind="camera", ended=False)
    (live,) = stretch(parse_moment("14:00", NOW), parse_moment("14:10", NOW), "", [camera], Now(NOW.timestamp()))
    assert (live.t0_s, live.t1_s) == (3600.0, 4200.0)
    film = record("film.mp4", 7200.0, unix_s(11, 23, 13))
    (seen,) = stretch(parse_moment("14:00", NOW), parse_moment("14:10", NOW), "", [film], Now(NOW.timestamp()))
    assert (seen.t0_s, seen.t1_s) == (840.0, 850.0)


def test_media_time_needs_to_be_told_whose_where_there_are_several_sources() -> None:
    known = [record("a.mp4", 60.0), record("b.mp4", 90.0)]
    with pytest.raises(UserError, match=r"whose media time\? give --source \(a.mp4, b.mp4\)"):
        stretch(Bound("media", 5.0), None, "", known, Now(0.0))
    assert stretch(Bound("media", 5.0), None, "b.mp4", known, Now(0.0)) == (
        TimeWindow(source="b.mp4", t0_s=5.0, t1_s=90.0),
    )


def test_wall_clock_time_reaches_every_source_that_was_perceived_then() -> None:
    known = [record("early", 60.0, 1000.0), record("late", 100.0, 1050.0), record("unknown", 50.0)]
    assert stretch(Bound("wall", 1040.0), Bound("wall", 1055.0), "", known, Now(9e9)) == (
        TimeWindow(source="early", t0_s=40.0, t1_s=55.0), TimeWindow(source="late", t0_s=0.0, t1_s=5.0),
    )  # fmt: skip


def test_a_stretch_in_which_nothing_was_perceived_names_what_there_is() -> None:
    with pytest.raises(UserError, match=r"nothing was perceived then; in memory: early 0:00-1:00 from"):
        stretch(Bound("wall", 5.0), Bound("wall", 6.0), "", [record("early", 60.0, 1000.0)], Now(9e9))
    with pytest.raises(UserError, match="end of that stretch is before its begin"):
        stretch(Bound("media", 9.0), Bound("media", 6.0), "", [record("early", 60.0)], Now(9e9))
    with pytest.raises(UserError, match="no source 'x' in memory; there is early"):
        stretch(None, None, "x", [record("early", 60.0)], Now(0.0))
    with pytest.raises(UserError, match="memory holds no source yet"):
        stretch(None, None, "", [], Now(0.0))


def test_the_last_minutes_of_what_comes_live_are_those_of_the_clock_with_what_is_on_its_way() -> None:
    known = [record("cam", 995.0, 10_000.0, kind="camera", ended=False), record("talk.mp4", 300.0, 5.0)]
    now = Now(11_000.0, {"cam": 1000.0})
    assert latest(60.0, "", known, now) == (TimeWindow(source="cam", t0_s=940.0, t1_s=1000.0),)


def test_the_last_minutes_of_recordings_are_of_the_one_going_on_else_of_the_one_opened_last() -> None:
    going = [record("a.mp4", 300.0, 5.0, ended=False), record("b.mp4", 90.0)]
    assert latest(60.0, "", going, Now(9e9)) == (TimeWindow(source="a.mp4", t0_s=240.0, t1_s=300.0),)
    over = [record("a.mp4", 300.0, 5.0), record("b.mp4", 40.0)]
    assert latest(60.0, "", over, Now(9e9)) == (TimeWindow(source="b.mp4", t0_s=0.0, t1_s=40.0),)


@pytest.mark.parametrize("set_by_s", [-86_400.0, -60.0, 60.0, 86_400.0])
def test_the_last_minutes_of_what_comes_live_are_the_same_however_the_clock_was_set(set_by_s: float) -> None:
    known = [record("cam", 995.0, 10_000.0, kind="camera", ended=False)]
    now = Now(11_000.0 + set_by_s, {"cam": 1000.0})
    assert latest(60.0, "", known, now) == (TimeWindow(source="cam", t0_s=940.0, t1_s=1000.0),)
    # An hour is named as the clock has it now, and no stretch reaches beyond what there is.
    asked = Bound("wall", now.wall_s - 30.0)
    assert stretch(asked, None, "", known, now) == (TimeWindow(source="cam", t0_s=970.0, t1_s=1000.0),)


def test_the_last_minutes_of_what_has_ended_reach_no_further_back_because_the_clock_was_set_back() -> None:
    known = [record("cam", 1000.0, 10_000.0, kind="camera")]
    assert latest(60.0, "", known, Now(11_020.0)) == (TimeWindow(source="cam", t0_s=960.0, t1_s=1000.0),)
    assert latest(60.0, "", known, Now(10_500.0)) == (TimeWindow(source="cam", t0_s=940.0, t1_s=1000.0),)


def test_a_live_source_of_an_agent_that_was_killed_reaches_as_far_as_memory_holds_it() -> None:
    known = [record("cam", 995.0, 10_000.0, kind="camera", ended=False)]
    assert latest(60.0, "", known, Now(90_000.0)) == (TimeWindow(source="cam", t0_s=935.0, t1_s=995.0),)


@pytest.mark.parametrize(
    "text",
    ["9999-12-31", "9999-12-31 23:59", "0001-01-01", "99999999999d ago", "9" * 400, "9" * 400 + "d ago", "00-00hour"],
)
def test_a_time_that_no_calendar_has_is_one_line(text: str) -> None:
    with pytest.raises(UserError) as told:
        parse_moment(text, NOW, is_end=True)
    assert "\n" not in str(told.value)
    with pytest.raises(UserError):
        parse_length_s("9" * 400 + "d")
