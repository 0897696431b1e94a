"""The models of seeing: loaded once a process, shared by all that it watches."""

from __future__ import annotations

from perception.vision.describe import ENCODERS, check_encoder
from perception.vision.description import Encoder
from perception.vision.detector import Detector, check_detector, load_detector
from perception.vision.ocr import TEXT_ENGINES, TextEngine
from perception.vision.pipeline import FrameAnalyser
from runtime.config import PerceptionConfig
from runtime.errors import WeightsError


class VisionModels:
    """What `FrameAnalyser` looks with, as the profile names it; ``opencv_threads`` are OpenCV's.

    Raises:
        ConfigError: the profile names an encoder or a detector that there is not.
    """

    def __init__(self, perception: PerceptionConfig, opencv_threads: int = 1) -> None:
        check_encoder(perception.vision.describe)
        check_detector(perception.vision.detect)
        self._perception = perception
        self._opencv_threads = opencv_threads
        self._loaded: tuple[Encoder, TextEngine | None, Detector | None] | None = None
        self._nameless = ""

    def load(self) -> dict[str, str]:
        """Load the models, the first time; what they are, by channel, and what "things" they name.

        Takes seconds: run it in the model thread.
        """
        import cv2

        vision = self._perception.vision
        if self._loaded is None:
            cv2.setNumThreads(self._opencv_threads)
            # The decoder is the other thread that wants a core.
            threads = max(1, self._perception.threads - 1)
            encoder = ENCODERS[vision.describe](vision, threads)
            engine = TEXT_ENGINES["rapidocr"](threads) if vision.read_text else None
            try:
                detector = load_detector(vision, threads)
            except WeightsError as error:
                detector, self._nameless = None, f"things have no names: {error}"
            self._loaded = (encoder, engine, detector)
        encoder, engine, detector = self._loaded
        meanings = {"frame": encoder.meaning}
        if engine is not None:
            meanings["text"] = engine.meaning
        kinds = [detector.meaning] if detector is not None else []
        kinds += ["Haar faces"] * vision.faces + ["background model"] * vision.motion
        if kinds:
            meanings["object"] = ", ".join(kinds)
        if detector is not None:
            meanings["things"] = detector.things
        return meanings

    @property
    def lacking(self) -> tuple[str, ...]:
        """Why less is seen than the profile would rather have, if so; the models must be loaded."""
        assert self._loaded is not None
        return tuple(why for why in (self._loaded[0].lacking, self._nameless) if why)

    @property
    def batch(self) -> int:
        """How many looks a stage gains from being given at once; the models must be loaded."""
        assert self._loaded is not None
        return self._loaded[0].batch

    def sight(self, source: str) -> FrameAnalyser:
        """A stage that looks at ``source``; the models must be loaded."""
        assert self._loaded is not None
        return FrameAnalyser(source, self._perception.vision, *self._loaded)
