"""Several pictures as one, each with its bracket written on it: for models that take few pictures at once."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

# Of one picture on a sheet; three in a row are 1032 pixels wide, which small models still see at full size.
TILE_PX = 336
QUALITY = 80
_GAP_PX, _LABEL_PX = 6, 20


def contact_sheet(pictures: Sequence[tuple[str, bytes]]) -> bytes:
    """One JPEG of (label, JPEG) in reading order, up to three in a row; a picture that cannot be decoded is left out.

    Raises:
        ValueError: none of them can be.
    """
    from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

    tiles = []
    for label, jpeg in pictures:
        try:
            picture = Image.open(io.BytesIO(jpeg)).convert("RGB")
        except (OSError, ValueError, UnidentifiedImageError):
            continue
        scale = TILE_PX / max(picture.size)
        fitted = (max(1, round(picture.size[0] * scale)), max(1, round(picture.size[1] * scale)))
        tiles.append((label, picture.resize(fitted, Image.Resampling.LANCZOS)))
    if not tiles:
        raise ValueError("no picture can be decoded")
    columns = min(3, len(tiles)) if len(tiles) != 4 else 2
    height = max(tile.size[1] for _, tile in tiles)
    rows = math.ceil(len(tiles) / columns)
    size = (columns * TILE_PX + (columns + 1) * _GAP_PX, rows * height + (rows + 1) * _GAP_PX)
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=_LABEL_PX)
    for i, (label, tile) in enumerate(tiles):
        x, y = (_GAP_PX + (i % columns) * (TILE_PX + _GAP_PX), _GAP_PX + (i // columns) * (height + _GAP_PX))
        sheet.paste(tile, (x, y))
        box = draw.textbbox((x + 4, y + 2), label, font=font)
        draw.rectangle((x, y, box[2] + 4, box[3] + 3), fill="black")
        draw.text((x + 4, y + 2), label, font=font, fill="white")
    out = io.BytesIO()
    sheet.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
