"""However the clock of a file runs, each picture and sound is told at its second, and none is lost."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest

from perception.capture.file import probe
from perception.capture.file_video import Picture, hold
from tests.fixtures.clocked_clips import CLOCK_HZ, RATE_HZ, Restamp, clocked_clip, heard, restamp, seen

# A 33-bit clock of 90 kHz begins anew after this.
WRAP_S = 2**33 / CLOCK_HZ
HOUR = 3600 * CLOCK_HZ


def at(seconds: float) -> int:
    return round(seconds * CLOCK_HZ)


def written(folder: Path, data: bytes, kind: str = "ts") -> Path:
    path = folder / f"clip.{kind}"
    path.write_bytes(data)
    return path


def is_of(second: int | None, t_s: float, tolerance_s: float) -> bool:
    """Whether a fifth of a second of sound may be of this second: within the tolerance of a whole one, of either."""
    return second in {int(max(0.0, t_s + by)) for by in (-tolerance_s, 0.1, 0.2 + tolerance_s)}


def assert_in_place(path: Path, seconds: int, tolerance_s: float = 0.2, sound: bool = True) -> None:
    """Every picture and every sound of every second is there, at its time."""
    pictures, reader = seen(path)
    assert len(pictures) == seconds * RATE_HZ
    for number, (t_s, second) in enumerate(pictures):
        assert second == number // RATE_HZ
        assert t_s == pytest.approx(number / RATE_HZ, abs=tolerance_s)
    assert (reader.reason, reader.end_s) == ("end", pytest.approx(seconds, abs=tolerance_s))
    if not sound:
        return
    sounds, listener = heard(path)
    assert all(is_of(second, t_s, tolerance_s) for t_s, second in sounds)
    assert {second for _, second in sounds} == set(range(seconds))
    assert (listener.reason, listener.end_s) == ("end", pytest.approx(seconds, abs=tolerance_s))


JOINED = {
    "each part begins at 0": [0.0, 0.0, 0.0],
    "parts begin anywhere": [5000.0, 90_000.0, 20.0],
    "the second begins where FFmpeg takes it for wrapped": [100.0, 0.0],
    "each part wraps": [WRAP_S - 2, WRAP_S - 2, WRAP_S - 2],
}


@pytest.mark.parametrize("offsets_s", JOINED.values(), ids=JOINED)
@pytest.mark.parametrize("part_s", [2, 5])
def test_parts_that_begin_their_clock_anew_follow_each_other(
    tmp_path: Path, offsets_s: list[float], part_s: int
) -> None:
    parts = [clocked_clip(part_s, k * part_s, offset_s=offset_s) for k, offset_s in enumerate(offsets_s)]
    path = written(tmp_path, b"".join(parts))
    assert_in_place(path, part_s * len(parts))
    assert probe(path).duration_s == pytest.approx(part_s * len(parts), abs=0.2)


@pytest.mark.parametrize("kind", ["matroska", "vob"])
def test_parts_in_other_containers_follow_each_other_too(tmp_path: Path, kind: str) -> None:
    assert_in_place(written(tmp_path, clocked_clip(4, 0, kind) + clocked_clip(4, 4, kind), kind), 8, 0.25)


def test_many_short_parts_stay_together_in_picture_and_sound(tmp_path: Path) -> None:
    """Their sound is a packet longer than their picture each time: both are late by the same."""
    parts = [clocked_clip(1, k) for k in range(20)]
    path = written(tmp_path, b"".join(parts))
    pictures, sounds = seen(path)[0], heard(path)[0]
    for second in range(20):
        picture_s = min(t_s for t_s, k in pictures if k == second)
        sound_s = min(t_s for t_s, k in sounds if k == second)
        assert picture_s == pytest.approx(sound_s, abs=0.3)


def test_parts_whose_sound_or_picture_is_shorter_begin_together(tmp_path: Path) -> None:
    parts = [clocked_clip(5, 0, sound_s=3), clocked_clip(5, 5, picture_s=3), clocked_clip(5, 10)]
    path = written(tmp_path, b"".join(parts))
    pictures, sounds = seen(path)[0], heard(path)[0]
    for second in (0, 1, 2, 5, 6, 7, 10, 14):
        assert next(t_s for t_s, k in pictures if k == second) == pytest.approx(second, abs=0.2)
        assert next(t_s for t_s, k in sounds if k == second) == pytest.approx(second, abs=0.2)


def test_a_clock_that_wraps_is_no_break(tmp_path: Path) -> None:
    for before_s in (0.5, 5.0):
        assert_in_place(written(tmp_path, clocked_clip(10, offset_s=WRAP_S - before_s)), 10)


JUMPS: dict[str, Restamp] = {
    "back": lambda _, t: t if t < at(7) else t - at(5),
    "hours ahead": lambda _, t: t if t < at(7) else t + 5 * HOUR,
    "20 s ahead": lambda _, t: t if t < at(7) else t + at(20),
    "ahead and back": lambda _, t: t if t < at(4) else t + 2 * HOUR if t < at(8) else t - at(3),
    "back again and again": lambda _, t: t % at(3) + at(30),
    "sound alone begins anew": lambda picture, t: t if picture or t < at(7) else t - at(6),
    "picture alone begins anew": lambda picture, t: t if not picture or t < at(7) else t - at(6),
    "sound alone hours ahead": lambda picture, t: t if picture or t < at(7) else t + 2 * HOUR,
    "picture hours ahead of the sound from the start": lambda picture, t: t + 5 * HOUR if picture else t,
    "single stamps astray": lambda _, t: t + at(50) if at(7) <= t < at(7.05) else t,
    "below zero": lambda _, t: t - at(10),
}


@pytest.mark.parametrize("shift", JUMPS.values(), ids=JUMPS)
def test_a_clock_that_jumps_moves_nothing(tmp_path: Path, shift: Restamp) -> None:
    assert_in_place(written(tmp_path, restamp(clocked_clip(12), shift)), 12)


@pytest.mark.parametrize("kind", ["matroska", "mov"])
def test_a_jump_of_hours_moves_nothing_in_containers_with_an_index(tmp_path: Path, kind: str) -> None:
    data = clocked_clip(12, kind=kind, shift=lambda _, t: t if t < at(7) else t + 2 * HOUR)
    assert_in_place(written(tmp_path, data, kind), 12)


def test_a_pause_of_minutes_stays_a_pause(tmp_path: Path) -> None:
    data = clocked_clip(6, kind="matroska", shift=lambda _, t: t if t < at(3) else t + at(300))
    path = written(tmp_path, data, "mkv")
    pictures, sounds = seen(path)[0], heard(path)[0]
    assert next(t_s for t_s, k in pictures if k == 3) == pytest.approx(303.0, abs=0.1)
    assert max(t_s for t_s, k in sounds if k == 3) == pytest.approx(303.8, abs=0.2)
    assert {k for t_s, k in sounds if 4 < t_s < 302} == {None}


def test_a_picture_that_waits_while_sound_goes_on_has_not_jumped(tmp_path: Path) -> None:
    """15 s without a picture: its next stamp is where the sound has come to."""
    data = clocked_clip(20, picture_s=4, shift=lambda picture, t: t + at(15) if picture and t >= at(3) else t)
    path = written(tmp_path, data)
    pictures, _ = seen(path)
    assert next(t_s for t_s, k in pictures if k == 3) == pytest.approx(18.0, abs=0.1)


STOPS: dict[str, Restamp] = {
    "stand still": lambda picture, t: at(4) if picture and at(4) <= t < at(8) else t,
    "hardly move": lambda picture, t: at(4) + (t - at(4)) // 1000 if picture and at(4) <= t < at(8) else t,
}


@pytest.mark.parametrize("shift", STOPS.values(), ids=STOPS)
def test_stamps_that_stand_still_leave_pictures_at_their_pace(tmp_path: Path, shift: Restamp) -> None:
    assert_in_place(written(tmp_path, restamp(clocked_clip(12), shift)), 12, 0.5)


def test_stamps_of_one_moment_throughout_are_a_recording_at_its_rate(tmp_path: Path) -> None:
    path = written(tmp_path, restamp(clocked_clip(6, sound_s=0), lambda _, t: at(2) + t // 100_000))
    pictures, _ = seen(path)
    assert len(pictures) == 60
    assert min(later[0] - earlier[0] for earlier, later in pairwise(pictures)) > 0.03
    assert 3.0 < pictures[-1][0] < 6.5


@pytest.mark.parametrize("from_s", [3.2, 8.5, 13.0])
def test_whoever_goes_on_in_a_joined_recording_finds_the_same(tmp_path: Path, from_s: float) -> None:
    path = written(tmp_path, b"".join(clocked_clip(5, 5 * k, keyframe_s=2.0) for k in range(3)))
    whole, later = seen(path)[0], seen(path, from_s)[0]
    assert later == whole[len(whole) - len(later) :]
    assert from_s - 2.5 <= later[0][0] <= from_s
    sounds = heard(path, from_s)[0]
    assert sounds[0][0] == pytest.approx(from_s, abs=0.05)
    assert all(is_of(second, t_s, 0.15) for t_s, second in sounds)


def test_the_last_picture_lasts_to_the_end_of_the_sound(tmp_path: Path) -> None:
    for kind in ("matroska", "mov"):
        pictures, reader = seen(written(tmp_path, clocked_clip(12, kind=kind, picture_s=2), kind))
        assert (len(pictures), reader.reason) == (20, "end")
        assert reader.end_s == pytest.approx(12.0, abs=0.1)


def test_a_picture_is_shown_again_until_the_next_one_comes() -> None:
    class Shown:
        lost_s = 0.0

        def __init__(self, t_s: float, name: str) -> None:
            self.t_s, self.name = t_s, name

        def again(self, t_s: float) -> Shown:
            return Shown(t_s, f"{self.name} again")

    def held(pictures: list[Shown], end_s: float) -> list[tuple[float, str]]:
        return [(p.t_s, p.name) for p in cast(list[Shown], hold(cast(list[Picture], pictures), lambda: end_s))]

    pictures = [Shown(0.0, "a"), Shown(0.1, "b"), Shown(3.0, "c")]
    assert held(pictures, 5.5) == [
        (0.0, "a"),
        (0.1, "b"), (1.1, "b again"), (2.1, "b again"), (2.96, "b again"),
        (3.0, "c"), (4.0, "c again"), (5.0, "c again"), (5.46, "c again"),
    ]  # fmt: skip
    pictures[2].lost_s = 2.9
    assert held(pictures, 3.04) == [(0.0, "a"), (0.1, "b"), (3.0, "c")]


def test_a_start_without_keyframe_is_lost_up_to_the_first(tmp_path: Path) -> None:
    whole = clocked_clip(10, keyframe_s=5.0)
    packets = [whole[k : k + 188] for k in range(0, len(whole), 188)]
    path = written(tmp_path, b"".join(packets[:3] + packets[len(packets) // 5 :]))  # with its tables, from 2 s or so on
    pictures, reader = seen(path)
    first_s, second = pictures[0]
    assert second == 5
    assert 2.0 < first_s < 4.5
    assert reader.reason == "end"
    sounds, _ = heard(path)
    assert sounds[0][1] in (1, 2, 3)
    assert next(t_s for t_s, k in sounds if k == 5) == pytest.approx(first_s, abs=0.3)
    assert seen(path, from_s=0.5)[0] == pictures


def test_a_piece_without_any_keyframe_is_heard(tmp_path: Path) -> None:
    whole = clocked_clip(10, keyframe_s=20.0)
    packets = [whole[k : k + 188] for k in range(0, len(whole), 188)]
    path = written(tmp_path, b"".join(packets[:3] + packets[len(packets) // 2 :]))
    info = probe(path)
    assert (info.has_audio, info.has_video) == (True, True)
    assert "cannot be decoded" in info.missing
    pictures, reader = seen(path)
    assert pictures == []
    assert "cannot be decoded" in reader.reason
    assert {k for _, k in heard(path)[0]} >= {6, 7, 8}
