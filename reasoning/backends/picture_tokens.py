"""What a picture costs a model, by its size: about what today's vision models make of it."""

from __future__ import annotations

import io

# Qwen's models make a token of 28x28 or 32x32 pixels, Anthropic's of 750; those that bring every picture to one size
# take 64 to 256 of it (Gemma 256, SmolVLM 64), up to 576 (LLaVA).
PIXELS_PER_TOKEN = 750
LEAST_TOKENS = 200
UNKNOWN_TOKENS = 300


def estimate_tokens(jpeg: bytes) -> int:
    """Tokens of a JPEG."""
    size = size_of(jpeg)
    return max(LEAST_TOKENS, size[0] * size[1] // PIXELS_PER_TOKEN) if size else UNKNOWN_TOKENS


def size_of(jpeg: bytes) -> tuple[int, int] | None:
    """Width and height in pixels, from its head; None of what is no picture."""
    from PIL import Image, UnidentifiedImageError  # only where a model takes pictures

    try:
        with Image.open(io.BytesIO(jpeg)) as picture:
            return picture.size
    except (OSError, ValueError, UnidentifiedImageError):
        return None
