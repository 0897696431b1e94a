"""How a decoded frame is shown: turned and mirrored as its display matrix says, with square pixels."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from av.video.frame import VideoFrame

# Pixels further from square are a fault in a header; those closer to it are square by intent.
_ASPECT_MAX, _ASPECT_SQUARE = 4.0, 0.02


class Orientation(NamedTuple):
    """What brings a stored picture into that to be shown, in this order."""

    transposed: bool = False
    flipped_x: bool = False
    flipped_y: bool = False

    @property
    def rotation_deg(self) -> int:
        """Degrees counter-clockwise that the picture is turned by: 0, 90, 180, 270; after it is mirrored, if it is."""
        if self.transposed:
            return 90 if self.flipped_y else 270
        return 180 if self.flipped_y else 0


# By quarters counter-clockwise.
_TURNED = (
    Orientation(), Orientation(True, False, True), Orientation(False, True, True), Orientation(True, True, False),
)  # fmt: skip


def orientation_of(frame: VideoFrame) -> Orientation:
    """From the display matrix, as of a phone's recording, or that of a selfie camera or a scanner, which mirror.

    Its first two columns map a stored pixel (p, q) to (a p + c q, b p + d q) (ISO/IEC 14496-12, 6.2.2).
    """
    try:
        matrix: Any = frame.side_data.get("DISPLAYMATRIX", None)
    except ValueError:  # FFmpeg 8 brings EXIF of a photo, which PyAV 18 has no name for; the turn it tells all the same
        return _TURNED[frame.rotation % 360 // 90]
    if matrix is None:
        return Orientation()
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, c < 0, b < 0)
    return Orientation(False, a < 0, d < 0)


def upright(image: np.ndarray, orientation: Orientation) -> np.ndarray:
    """The picture as it is shown."""
    transposed, flipped_x, flipped_y = orientation
    if transposed:
        image = cv2.transpose(image)
    if flipped_x or flipped_y:
        image = cv2.flip(image, -1 if flipped_x and flipped_y else int(flipped_x))
    return image


def pixel_aspect(stream: Any) -> float:
    """Width of a stored pixel by its height: 1.07 of PAL, 1.33 of anamorphic HDV; 1 if it is not said, or absurd."""
    aspect = float(stream.sample_aspect_ratio or 1.0)
    if not 1 / _ASPECT_MAX <= aspect <= _ASPECT_MAX or abs(aspect - 1) < _ASPECT_SQUARE:
        return 1.0
    return aspect


def with_square_pixels(width: int, height: int, aspect: float) -> tuple[int, int]:
    """Size that a stored picture has with square pixels; nothing of it is made smaller."""
    return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))
