"""Which encoder describes pictures, by the name that a profile gives.

`layout` needs no weights: it knows colours and their arrangement, not objects. `open_clip` knows things by name, where
its weights are here; `auto` takes it then.
"""

from __future__ import annotations

from collections.abc import Callable

from perception.vision.description import Encoder
from perception.vision.layout import LayoutEncoder
from runtime.config import VisionConfig
from runtime.errors import ConfigError, WeightsError


def _load_open_clip(vision: VisionConfig, threads: int) -> Encoder:
    from perception.clip.encoder import load_clip_encoder

    return load_clip_encoder(vision, threads)


def _load_best(vision: VisionConfig, threads: int) -> Encoder:
    """open_clip where its weights can be used, else layout, which says why."""
    try:
        return _load_open_clip(vision, threads)
    except WeightsError as error:
        return LayoutEncoder(f"pictures by colours and arrangement alone: {error}")


# Each loader takes the profile and the threads it may use, and raises WeightsError where it cannot be had.
ENCODERS: dict[str, Callable[[VisionConfig, int], Encoder]] = {
    "layout": lambda vision, threads: LayoutEncoder(),
    "open_clip": _load_open_clip,
    "auto": _load_best,
}


def check_encoder(name: str) -> None:
    """Raise ConfigError if there is no encoder of that name; loads nothing."""
    if name not in ENCODERS:
        known = ", ".join(sorted(ENCODERS))
        raise ConfigError(f"perception.vision.describe: no encoder {name!r}; known: {known}")
