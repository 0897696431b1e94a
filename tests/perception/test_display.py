"""Pictures come as players show them: turned, mirrored, and with square pixels."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base

from perception.capture.display import with_square_pixels
from perception.capture.file import open_container, probe, video_stream
from perception.capture.file_video import FrameReader, Picture
from tests.fixtures.drawn_clips import plain, write_clip

SIZE = (320, 192)  # width, height
# a, b, c, d of the display matrix: a stored pixel (p, q) is shown at (a p + c q, b p + d q).
MATRICES = {
    "as stored": (1, 0, 0, 1),
    "mirrored": (-1, 0, 0, 1),
    "upside down": (1, 0, 0, -1),
    "turned by 180": (-1, 0, 0, -1),
    "turned by 90": (0, 1, -1, 0),
    "turned by 270": (0, -1, 1, 0),
    "turned by 90 and mirrored": (0, 1, 1, 0),
    "turned by 270 and mirrored": (0, -1, -1, 0),
}


def quarters() -> np.ndarray:
    """Four quarters of four grey levels, so that no two orientations look alike."""
    picture = plain((40, 40, 40), SIZE)
    picture[: SIZE[1] // 2, SIZE[0] // 2 :] = 100
    picture[SIZE[1] // 2 :, : SIZE[0] // 2] = 160
    picture[SIZE[1] // 2 :, SIZE[0] // 2 :] = 220
    return picture


def with_matrix(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """The MP4 file with this display matrix in the header of its first track (ISO/IEC 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd") + 4
    at += 40 if data[at] == 0 else 52
    a, b, c, d = (65536 * value for value in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def shown(stored: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """What the standard says, a pixel at a time."""
    a, b, c, d = matrix
    q, p = np.indices(stored.shape)
    x, y = a * p + c * q, b * p + d * q
    picture = np.zeros((np.ptp(y) + 1, np.ptp(x) + 1), stored.dtype)
    picture[y - y.min(), x - x.min()] = stored
    return picture


def first_picture(path: Path) -> Picture:
    with open_container(path) as container:
        stream = video_stream(container)
        assert stream is not None
        return next(iter(FrameReader(container, stream)))


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_a_display_matrix_is_followed_in_all_its_eight_ways(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    path = with_matrix(write_clip(tmp_path / "clip.mp4", [(0.0, quarters()), (0.1, quarters())], size=SIZE), matrix)
    expected = shown(quarters()[:, :, 0], matrix)
    picture = first_picture(path)
    seen = picture.bgr()[:, :, 0]
    assert seen.shape == expected.shape
    assert float(np.abs(seen.astype(int) - expected).mean()) < 8
    assert picture.luma.shape == expected.shape
    assert float(np.abs(picture.luma.astype(int) - expected).mean()) < 25  # of limited range
    info = probe(path)
    assert (info.width, info.height) == (expected.shape[1], expected.shape[0])


@pytest.mark.parametrize(("orientation", "turned"), [(1, "as stored"), (3, "turned by 180"), (6, "turned by 90"),
                                                     (8, "turned by 270")])  # fmt: skip
def test_a_photo_is_turned_as_its_exif_says(tmp_path: Path, orientation: int, turned: str) -> None:
    photo = Image.fromarray(quarters())
    exif = photo.getexif()
    exif[Base.Orientation], exif[Base.Make] = orientation, "a camera"
    photo.save(tmp_path / "photo.jpg", exif=exif, quality=95)
    expected = shown(quarters()[:, :, 0], MATRICES[turned])
    seen = first_picture(tmp_path / "photo.jpg").bgr()[:, :, 0]
    assert seen.shape == expected.shape and float(np.abs(seen.astype(int) - expected).mean()) < 8
    assert (probe(tmp_path / "photo.jpg").width, probe(tmp_path / "photo.jpg").height) == seen.shape[::-1]


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(4, 3), (427, 192)), (Fraction(1, 2), (320, 384))])
def test_pixels_are_made_square(tmp_path: Path, aspect: Fraction, size: tuple[int, int]) -> None:
    path = write_clip(tmp_path / "wide.mp4", [(0.0, quarters()), (0.1, quarters())], size=SIZE, aspect=aspect)
    picture = first_picture(path)
    assert picture.bgr().shape[:2] == size[::-1]
    assert picture.luma.shape[1] / picture.luma.shape[0] == pytest.approx(size[0] / size[1], rel=0.02)
    info = probe(path)
    assert (info.width, info.height) == size


def test_no_pixel_is_lost_by_it() -> None:
    assert with_square_pixels(720, 576, 64 / 45) == (1024, 576)
    assert with_square_pixels(320, 200, 5 / 6) == (320, 240)
