"""A picture in a question: what was seen that is most like it."""

from __future__ import annotations

import importlib
from typing import Any

import anyio.to_thread

from runtime.clock import media_time
from runtime.interfaces.web.served import Served
from runtime.messages import RecallRequest
from runtime.processes import LIKENESS

ALIKE = 3


async def likeness(served: Served, picture: bytes) -> tuple[str, list[dict[str, Any]]]:
    """In words and as facts, the moments that look most like a picture.

    Raises:
        UserError: it is no picture.
    """
    embed = importlib.import_module(LIKENESS).embed_picture
    embedded = await anyio.to_thread.run_sync(embed, served.config.perception.vision, picture)
    view = await served.client.view()
    request = RecallRequest(
        query="", view=view, channels=("frame",), limit=ALIKE, vector=embedded.vector, vector_space=embedded.space
    )
    hits = (await served.client.recall(request)).hits
    if not hits:
        return "I remember no picture to compare yours with.", []
    by = "what it shows" if embedded.names_things else "colours and their arrangement, not by what it shows"
    told = ", ".join(
        f"[{media_time(hit.observation.t0_s)}] of {hit.observation.source} ({hit.why.get('vector', hit.score):.2f})"
        for hit in hits
    )
    facts = [
        {
            "source": hit.observation.source, "t0_s": hit.observation.t0_s, "id": hit.observation.id,
            "likeness": round(hit.why.get("vector", hit.score), 3),
        }
        for hit in hits
    ]  # fmt: skip
    return f"Your picture is most like {told}; compared by {by}.", facts
