"""The embedding process: turns questions into vectors of the space the pictures' vectors lie in.

It runs only where the profile's encoder has a text tower. Without it, and until its model is loaded, pictures are
found by the words that describe them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from runtime.config import VisionConfig
from runtime.errors import UserError, WeightsError
from runtime.messages import EmbedReply, EmbedRequest
from runtime.service import Service

if TYPE_CHECKING:
    from perception.clip.onnx_model import TextTower

TEXTS_MAX = 64
_THREADS = 2


class TextEmbedder:
    """Stage: texts in, vectors out."""

    def __init__(self, tower: TextTower, space: str) -> None:
        self._tower = tower
        self._space = space

    def step(self, request: EmbedRequest) -> EmbedReply:
        vectors = self._tower.vectors(request.texts[:TEXTS_MAX])
        return EmbedReply(vectors=tuple(row.astype("<f2").tobytes() for row in vectors), space=self._space)


async def main(service: Service) -> None:
    """Serve `EmbedRequest` until stopping: from when the model is loaded, or with the reason why it cannot be."""
    loaded = anyio.Event()
    embedder: TextEmbedder | None = None
    refusal = ""

    async def load() -> None:
        nonlocal embedder, refusal
        try:
            embedder = await service.in_thread(load_embedder, service.config.perception.vision)
            service.report(notes=("questions are compared with pictures too",))
        except UserError as error:
            refusal = f"questions are compared by words alone: {error}"
            service.log.warning(refusal)
            service.report(notes=(refusal,))
        loaded.set()

    async def embed(request: EmbedRequest) -> EmbedReply:
        await loaded.wait()
        if embedder is None:
            raise WeightsError(refusal)
        return await service.in_thread(embedder.step, request)

    # Ready before the model is: exporting one takes minutes, the first time.
    service.ready()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(load)
        await service.serve({EmbedRequest: embed})
        tasks.cancel_scope.cancel()


def load_embedder(vision: VisionConfig) -> TextEmbedder:
    """The text tower of the profile's model.

    Raises:
        ConfigError, WeightsError: see `perception.clip.files`.
    """
    from perception.clip.files import exported
    from perception.clip.onnx_model import TextTower

    folder, manifest = exported(vision.open_clip)
    return TextEmbedder(TextTower(folder, manifest, _THREADS), manifest.space)
