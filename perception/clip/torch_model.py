"""An open_clip model in torch: loaded from a checkpoint, and its image tower run on a GPU.

The only module of perception that knows torch. The process that watches imports it on a machine with a GPU alone;
elsewhere a short-lived child (perception/clip/export.py) does, once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perception.clip.onnx_model import Preprocessing
from runtime.errors import ConfigError, WeightsError


def load_model(model: str, tag: str, checkpoint: Path) -> tuple[Any, Any, Preprocessing]:
    """The model in evaluation mode with float32 weights on the CPU, its tokenizer, and its preprocessing.

    model       an architecture open_clip knows ("ViT-B-32"), or the path of a JSON file that describes one.
    tag         open_clip's name of the weights, by which it knows their normalisation; others get CLIP's own.

    Raises:
        ConfigError: there is no such architecture.
        WeightsError: the file is damaged or holds another model.
    """
    import open_clip

    logging.getLogger().setLevel(logging.ERROR)  # it warns of every default
    name = Path(model).stem if model.endswith(".json") else model
    if model.endswith(".json"):
        open_clip.add_model_config(model)
    if name not in open_clip.list_models():
        raise ConfigError(f"perception.vision.open_clip.model: open_clip knows no model {model!r}")
    known = open_clip.get_pretrained_cfg(name, tag) or {}
    preprocessing = {key: known[key] for key in ("mean", "std", "interpolation") if key in known}
    try:
        net = open_clip.create_model(
            name,
            pretrained=str(checkpoint),
            precision="fp32",
            device="cpu",
            force_quick_gelu=bool(known.get("quick_gelu")),
            force_preprocess_cfg=preprocessing or None,
        )
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # torch, pickle, safetensors and open_clip each raise their own for the same mistake
        raise WeightsError(f"weights {checkpoint}: {_mismatch(checkpoint, error, name)}") from error
    net.eval()
    cfg = net.visual.preprocess_cfg
    side = cfg["size"] if isinstance(cfg["size"], int) else cfg["size"][0]
    return net, tokenizer, Preprocessing(side, tuple(cfg["mean"]), tuple(cfg["std"]), cfg["interpolation"] == "bicubic")


class GpuImageTower:
    """The image tower on a CUDA device, in bfloat16 where it has it, else in float16."""

    def __init__(self, model: str, tag: str, checkpoint: Path) -> None:
        import torch

        self._torch = torch
        net, _, self.preprocessing = load_model(model, tag, checkpoint)
        self._dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        self._net = net.to("cuda", self._dtype)
        self.meaning = f"{torch.cuda.get_device_name()}, {str(self._dtype).removeprefix('torch.')}"

    def vectors(self, inputs: np.ndarray) -> np.ndarray:
        """float32 (n, dimensions) of unit length from float32 (n, 3, side, side)."""
        torch = self._torch
        with torch.inference_mode():
            pictures = torch.from_numpy(inputs).to("cuda", self._dtype, non_blocking=True)
            vectors = torch.nn.functional.normalize(self._net.encode_image(pictures).float(), dim=-1)
            return np.asarray(vectors.cpu().numpy(), np.float32)


def has_gpu() -> bool:
    """Whether torch can use a CUDA device; torch is imported only where the driver's device files are."""
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        return False
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def reference_vectors(net: Any, tokenizer: Any, inputs: np.ndarray, texts: Sequence[str]) -> tuple[Any, Any]:
    """Unit vectors of pictures and texts as torch computes them in float32, to compare others with."""
    import torch

    with torch.inference_mode():
        pictures = torch.nn.functional.normalize(net.encode_image(torch.from_numpy(inputs)), dim=-1).numpy()
        words = torch.nn.functional.normalize(net.encode_text(tokenizer(list(texts))), dim=-1).numpy()
    return pictures, words


def sees_only_back(net: Any) -> bool:
    """Whether what follows the end of a text, its padding, cannot change the text's vector."""
    return getattr(net, "attn_mask", None) is not None and getattr(net, "text_pool_type", "") in ("argmax", "eos")


def encode_short_text(net: Any, tokens: Any) -> Any:
    """`open_clip.CLIP.encode_text` for rows (n, length) shorter than the model's context."""
    from open_clip.transformer import text_global_pool

    length = tokens.shape[1]
    x = net.token_embedding(tokens) + net.positional_embedding[:length]
    x = net.ln_final(net.transformer(x, attn_mask=net.attn_mask[:length, :length]))
    x = text_global_pool(x, tokens, net.text_pool_type, eos_token_id=getattr(net, "text_eos_id", None))
    if net.text_projection is None:
        return x
    is_layer = callable(net.text_projection)
    return net.text_projection(x) if is_layer else x @ net.text_projection


def _mismatch(checkpoint: Path, error: Exception, model: str) -> str:
    """What is wrong with a checkpoint that could not be loaded, in one line."""
    try:
        from open_clip.factory import load_state_dict

        load_state_dict(str(checkpoint))
    except Exception:  # it cannot even be read
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        return f"not a checkpoint, or damaged ({reason}); fetch it again"
    return f"these are not the weights of open_clip's {model} (layers differ); name the model they belong to"
