"""Pictures at full size, out of recordings that are still on disk and still those that were perceived."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from runtime.messages import SourceRecord
from runtime.sources import Rect
from runtime.stills import StillsOrder, decode_stills


class Recordings:
    """Decodes them. ``mask``: private regions, which are black in what is shown of earlier, too."""

    def __init__(self, mask: Sequence[Rect] = ()) -> None:
        self._mask = tuple(mask)

    async def decode(self, record: SourceRecord, moments: Sequence[float]) -> dict[float, bytes]:
        """JPEGs by moment (media seconds); those that cannot be had are left out, and none where it is another
        recording by now, or none at all."""
        if record.kind != "file" or not record.fingerprint or not await anyio.Path(record.uri).is_file():
            return {}
        order = StillsOrder(record.uri, record.fingerprint, tuple(moments), self._mask)
        return await decode_stills(order)
