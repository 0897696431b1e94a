"""Whisper as small as it gets: the real architecture, tokens and file format, random weights."""

from __future__ import annotations

from pathlib import Path

# Wide enough that 8-bit integers do not drown the signal; a real model has 384 and more.
_WIDTH = 64


def save_tiny_whisper(path: Path, seed: int = 0, n_vocab: int = 51865) -> None:
    """A checkpoint of 2 + 2 layers as openai writes them; 51865 tokens are multilingual, 51864 English only."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    torch.manual_seed(seed)
    model = Whisper(ModelDimensions(80, 1500, _WIDTH, 2, 2, n_vocab, 448, _WIDTH, 2, 2))
    # Left as allocated by its constructor; and strong enough that not every token is followed by itself.
    torch.nn.init.normal_(model.decoder.positional_embedding, 0.0, 0.3)
    torch.save({"dims": model.dims.__dict__, "model_state_dict": model.state_dict()}, path)
