"""Clips: exact in time, made of what is there, private regions black, nothing that was left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from perception.capture.clip import ClipOrder, Piece, cut, still
from perception.capture.file import probe
from perception.capture.file_video import Rect
from runtime.errors import MediaError
from tests.fixtures.drawn_recording import decoded, draw_recording, grey_of, loud_in, second_of, shown_in


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_recording(tmp_path_factory.mktemp("media") / "drawn.mp4")


def at(path: Path, t_s: float, fingerprint: str, mask: tuple[Rect, ...] = ()) -> ClipOrder:
    return ClipOrder(
        stretches=((t_s, t_s + 1e-3),), out="", pieces=(Piece(str(path)),), fingerprint=fingerprint, mask=mask
    )


def test_a_clip_begins_and_ends_where_it_was_asked_for_also_between_key_pictures(
    recording: Path, tmp_path: Path
) -> None:
    out = tmp_path / "clip.mp4"
    made = cut(ClipOrder(stretches=((3.5, 7.0),), out=str(out), pieces=(Piece(str(recording)),)))
    shown = shown_in(out)
    assert made.duration_s == pytest.approx(3.5, abs=0.1)
    assert shown[0][0] == 0.0 and second_of(shown[0][1]) == 3
    assert second_of(shown[-1][1]) == 6
    assert {second_of(image) for t_s, image in shown if 0.55 < t_s < 1.45} == {4}
    begins_s, ends_s = loud_in(out)
    assert (begins_s, ends_s) == pytest.approx((0.5, 2.5), abs=0.08)


def test_stretches_follow_each_other_without_what_lies_between(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    made = cut(ClipOrder(stretches=((1.0, 2.0), (8.0, 9.0)), out=str(out), pieces=(Piece(str(recording)),)))
    assert made.duration_s == pytest.approx(2.0, abs=0.1)
    assert {second_of(image) for _, image in shown_in(out)} == {1, 8}
    assert loud_in(out) == (0.0, 0.0)


def test_private_regions_are_black_in_clips_and_stills(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    left_half = ((0.0, 0.0, 0.5, 1.0),)
    cut(ClipOrder(stretches=((5.0, 6.0),), out=str(out), pieces=(Piece(str(recording)),), mask=left_half))
    for _, image in shown_in(out):
        assert image[:, :72].max() < 16 and image[:, 88:].min() > 100
    info = probe(recording)
    picture = decoded(still(at(recording, 5.2, info.fingerprint, left_half)))
    assert picture[:, :72].max() < 8
    assert abs(int(picture[45, 120].mean()) - grey_of(5.2)) < 4


def test_pieces_of_a_stream_make_one_clip_on_its_clock(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    pieces = (Piece(str(recording), 100.0), Piece(str(recording), 110.0))
    made = cut(ClipOrder(stretches=((108.0, 112.0),), out=str(out), pieces=pieces))
    assert made.duration_s == pytest.approx(4.0, abs=0.1)
    assert [second_of(image) for t_s, image in shown_in(out) if t_s % 1 == 0.5] == [8, 9, 0, 1]


def test_kept_pictures_are_shown_until_the_next_and_there_is_no_sound(tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"

    def jpeg(second: int) -> bytes:
        coded = cv2.imencode(".jpg", np.full((90, 160, 3), 20 + 20 * second, np.uint8))[1]
        return bytes(coded.tobytes())

    kept = ((0.0, jpeg(0)), (4.0, jpeg(4)), (30.0, jpeg(9)))
    made = cut(ClipOrder(stretches=((2.0, 8.0),), out=str(out), pictures=kept))
    assert not made.has_sound and made.duration_s == pytest.approx(6.0, abs=0.1)
    shown = shown_in(out)
    assert {second_of(image) for t_s, image in shown if t_s < 1.9} == {0}
    assert {second_of(image) for t_s, image in shown if t_s > 2.1} == {4}
    # A player can jump into the still scene.
    assert len(shown) >= 6


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ({}, "nothing is kept"),
        ({"pieces": (Piece("gone.mp4"),), "fingerprint": "0123456789abcdef"}, "cannot be read"),
        ({"pieces": (Piece("gone.mp4"),)}, "not a media file"),
    ],
)
def test_what_is_not_there_is_one_line_and_leaves_no_file(tmp_path: Path, order: dict[str, Any], why: str) -> None:
    out = tmp_path / "clip.mp4"
    with pytest.raises(MediaError, match=why):
        cut(ClipOrder(stretches=((0.0, 1.0),), out=str(out), **order))
    assert not out.exists()


def test_a_recording_that_is_another_by_now_is_not_shown(recording: Path) -> None:
    with pytest.raises(MediaError, match="another recording"):
        still(at(recording, 1.0, "0123456789abcdef"))
