"""The models of seeing: loaded once a process, shared by all that it watches."""

from __future__ import annotations

from perception.vision.describe import ENCODERS, Encoder, check_encoder
from perception.vision.ocr import TEXT_ENGINES, TextEngine
from perception.vision.pipeline import FrameAnalyser
from runtime.config import PerceptionConfig


class VisionModels:
    """What `FrameAnalyser` looks with, as the profile names it.

    Raises:
        ConfigError: the profile names an encoder that there is not.
    """

    def __init__(self, perception: PerceptionConfig) -> None:
        check_encoder(perception.vision.describe)
        self._perception = perception
        self._loaded: tuple[Encoder, TextEngine | None] | None = None

    def load(self) -> dict[str, str]:
        """Load the models, the first time; what they are, by channel. Takes seconds: run it in the model thread."""
        import cv2

        vision = self._perception.vision
        if self._loaded is None:
            cv2.setNumThreads(1)  # two threads work already, and one core each is what they have
            # The decoder is the other thread that wants a core.
            threads = max(1, self._perception.threads - 1)
            encoder = ENCODERS[vision.describe](vision, threads)
            engine = TEXT_ENGINES["rapidocr"](vision.read_text_max_side_px, threads) if vision.read_text else None
            self._loaded = (encoder, engine)
        encoder, engine = self._loaded
        meanings = {"frame": encoder.meaning}
        if engine is not None:
            meanings["text"] = engine.meaning
        kinds = [
            words
            for wanted, words in (
                (vision.people, "HOG people"),
                (vision.faces, "Haar faces"),
                (vision.motion, "background model"),
            )
            if wanted
        ]
        if kinds:
            meanings["object"] = ", ".join(kinds)
        return meanings

    @property
    def lacking(self) -> tuple[str, ...]:
        """Why pictures are not described as the profile would rather have it, if so; the models must be loaded."""
        assert self._loaded is not None
        return (self._loaded[0].lacking,) if self._loaded[0].lacking else ()

    @property
    def batch(self) -> int:
        """How many looks a stage gains from being given at once; the models must be loaded."""
        assert self._loaded is not None
        return self._loaded[0].batch

    def sight(self, source: str) -> FrameAnalyser:
        """A stage that looks at ``source``; the models must be loaded."""
        assert self._loaded is not None
        return FrameAnalyser(source, self._perception.vision, *self._loaded)
