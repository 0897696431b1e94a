"""Several pictures as one, each with its bracket written on it: for models that take few pictures at once."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

# The sheet's width, which small models see at full size, and the longest side of one picture on it: three lie in a row,
# or five that stand upright; of up to four pictures two.
SHEET_PX = 1048
TILE_PX, FEW_TILE_PX, FEW = 336, 512, 4
QUALITY = 80
_GAP_PX, _LABEL_PX = 6, 20


def contact_sheet(pictures: Sequence[tuple[str, bytes]]) -> bytes:
    """One JPEG of (label, JPEG) in reading order; a picture that cannot be decoded is left out.

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
        scale = (TILE_PX if len(pictures) > FEW else FEW_TILE_PX) / max(picture.size)
        fitted = (max(1, round(picture.size[0] * scale)), max(1, round(picture.size[1] * scale)))
        tiles.append((label, picture.resize(fitted, Image.Resampling.LANCZOS)))
    if not tiles:
        raise ValueError("no picture can be decoded")
    width, height = (max(tile.size[k] for _, tile in tiles) for k in (0, 1))
    columns = min(len(tiles), max(1, (SHEET_PX - _GAP_PX) // (width + _GAP_PX)))
    columns = math.ceil(len(tiles) / math.ceil(len(tiles) / columns))  # rows of one length
    rows = math.ceil(len(tiles) / columns)
    size = (columns * width + (columns + 1) * _GAP_PX, rows * height + (rows + 1) * _GAP_PX)
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=_LABEL_PX)
    for i, (label, tile) in enumerate(tiles):
        x, y = (_GAP_PX + (i % columns) * (width + _GAP_PX), _GAP_PX + (i // columns) * (height + _GAP_PX))
        sheet.paste(tile, (x, y))
        box = draw.textbbox((x + 4, y + 2), label, font=font)
        draw.rectangle((x, y, box[2] + 4, box[3] + 3), fill="black")
        draw.text((x + 4, y + 2), label, font=font, fill="white")
    out = io.BytesIO()
    sheet.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
