"""The vector of a picture from outside, to find what was seen that is like it."""

from __future__ import annotations

import io

import cv2
import numpy as np
from msgspec import Struct
from PIL import Image

from perception.vision.describe import ENCODERS
from runtime.config import VisionConfig
from runtime.errors import MediaError

PIXELS_MAX = 50_000_000


class Embedded(Struct, frozen=True):
    """``vector`` float16 little-endian of unit length, in ``space``; ``names_things``: likeness is of things, not only
    of colours and their arrangement."""

    vector: bytes
    space: str
    names_things: bool


def embed_picture(vision: VisionConfig, data: bytes) -> Embedded:
    """The vector of a picture, in the space of the profile's encoder.

    Raises:
        MediaError: it is no picture, or too large.
        WeightsError: the encoder's weights are not here.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:  # reads the head alone
            width, height = image.size
    except Exception as error:  # whatever a decoder says of bytes that are none
        raise MediaError("that is no picture that can be decoded") from error
    if width * height > PIXELS_MAX:
        raise MediaError(f"a picture may have {PIXELS_MAX / 1e6:g} million pixels at most")
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise MediaError("that is no picture that can be decoded")
    encoder = ENCODERS[vision.describe](vision, 1)
    (description,) = encoder.describe([bgr])
    return Embedded(description.vector, encoder.space, encoder.names_things)
