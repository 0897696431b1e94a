"""An openai-whisper checkpoint as a CTranslate2 model: made once, checked against torch, used without.

CTranslate2's own converters take Hugging Face models; the network is the same, so its tensors are put into
CTranslate2's specification under the names openai gave them.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perception.speech.whisper_features import WINDOW_FRAMES, tokenizer
from perception.speech.whisper_runtimes import CTranslate2Whisper, load_checkpoint, unspoken_tokens
from runtime.weights.known import cache_dir, digest

# Cosine of torch's encoder output and the converted model's, at the worst moment with float32 arithmetic and on average
# with 8-bit integers. Measured with random weights of base's size: 0.9999998 and .980; what 8 bits cost a trained
# network is less, and where it is more than this they are not used.
_SAME = 0.999
_CLOSE = 0.97
_MARK = "made.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Converted:
    """A CTranslate2 model, and the arithmetic to use it with on a processor: "int8" or "float32"."""

    folder: Path
    compute_type: str


def converted(checkpoint: Path) -> Converted:
    """The CTranslate2 model of ``checkpoint``, made now if there is none yet of a file with this content.

    Takes a few seconds and torch the first time; processes that ask at once wait for the one that makes it.

    Raises:
        ValueError: the file is damaged or no Whisper checkpoint, or the converted model does not agree with it.
        WeightsError: it cannot be read.
    """
    folder = cache_dir() / "ctranslate2" / f"{checkpoint.stem}-{digest(checkpoint)[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        compute_type = _made(folder)
        if not compute_type:
            fresh = folder.with_suffix(".part")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            try:
                compute_type = _convert(checkpoint, fresh)
                (fresh / _MARK).write_text(json.dumps({"format": _FORMAT, "compute_type": compute_type}))
                shutil.rmtree(folder, ignore_errors=True)
                fresh.rename(folder)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    return Converted(folder, compute_type)


def _made(folder: Path) -> str:
    try:
        made = json.loads((folder / _MARK).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return ""
    return str(made["compute_type"]) if made.get("format") == _FORMAT else ""


def _convert(checkpoint: Path, folder: Path) -> str:
    model = load_checkpoint(checkpoint)
    write_model(model, folder)
    same, _ = agreement(model, folder, "float32")
    if not same >= _SAME:
        raise ValueError(f"{checkpoint}: converted for CTranslate2 it hears something else (cosine {same:.3f})")
    _, close = agreement(model, folder, "int8")
    return "int8" if close >= _CLOSE else "float32"


def write_model(model: Any, folder: Path) -> None:
    """Openai's ``model`` as a CTranslate2 model in ``folder``: float16, to be used with any arithmetic."""
    spec = _specification(model)
    spec.validate()
    spec.optimize(quantization="float16")
    spec.save(str(folder))


def agreement(model: Any, folder: Path, compute_type: str) -> tuple[float, float]:
    """Least and mean cosine, over the moments of 15 s of noise and 15 s of silence, between the encoder output of
    openai's ``model`` and of the converted one in ``folder``."""
    import ctranslate2
    import torch

    runtime = CTranslate2Whisper(folder, threads=2, compute_type=compute_type)
    mel = np.random.default_rng(0).uniform(-1.0, 1.5, (runtime.n_mels, WINDOW_FRAMES)).astype(np.float32)
    mel[:, WINDOW_FRAMES // 2 :] = -1.0
    with torch.inference_mode():
        expected = model.encoder(torch.from_numpy(mel)[None]).numpy()[0]
    encoded = runtime.encode(mel).to_device(ctranslate2.Device.cpu).to(ctranslate2.DataType.float32)
    found = np.array(encoded)[0]
    lengths = np.linalg.norm(expected, axis=1) * np.linalg.norm(found, axis=1)
    cosines = np.sum(expected * found, axis=1) / np.maximum(lengths, 1e-9)
    return float(cosines.min()), float(cosines.mean())


def _specification(model: Any) -> Any:
    from ctranslate2.specs import WhisperSpec

    dims = model.dims
    spec = WhisperSpec(dims.n_audio_layer, dims.n_audio_head, dims.n_text_layer, dims.n_text_head)
    tensors = {name: tensor.detach().float().numpy() for name, tensor in model.state_dict().items()}
    weights = _Weights(tensors)
    weights.linear(spec.encoder.conv1, "encoder.conv1")
    weights.linear(spec.encoder.conv2, "encoder.conv2")
    spec.encoder.position_encodings.encodings = tensors["encoder.positional_embedding"]
    weights.norm(spec.encoder.layer_norm, "encoder.ln_post")
    for index, layer in enumerate(spec.encoder.layer):
        weights.block(layer, f"encoder.blocks.{index}")
    spec.decoder.embeddings.weight = spec.decoder.projection.weight = tensors["decoder.token_embedding.weight"]
    spec.decoder.position_encodings.encodings = tensors["decoder.positional_embedding"]
    weights.norm(spec.decoder.layer_norm, "decoder.ln")
    for index, layer in enumerate(spec.decoder.layer):
        weights.block(layer, f"decoder.blocks.{index}")
    _describe(spec, model)
    return spec


class _Weights:
    """Tensors of an openai checkpoint put into layers of a CTranslate2 specification."""

    def __init__(self, tensors: dict[str, Any]) -> None:
        self._tensors = tensors

    def linear(self, spec: Any, *names: str) -> None:
        """The layers called ``names`` as one, their outputs one after the other. Keys have no bias: zeros."""
        weights = [self._tensors[f"{name}.weight"] for name in names]
        spec.weight = np.concatenate(weights)
        spec.bias = np.concatenate(
            [
                self._tensors.get(f"{name}.bias", np.zeros(len(weight), np.float32))
                for name, weight in zip(names, weights, strict=True)
            ]
        )

    def norm(self, spec: Any, name: str) -> None:
        spec.gamma = self._tensors[f"{name}.weight"]
        spec.beta = self._tensors[f"{name}.bias"]

    def block(self, layer: Any, name: str) -> None:
        attention = f"{name}.attn"
        self.linear(layer.self_attention.linear[0], *(f"{attention}.{part}" for part in ("query", "key", "value")))
        self.linear(layer.self_attention.linear[1], f"{attention}.out")
        self.norm(layer.self_attention.layer_norm, f"{name}.attn_ln")
        if f"{name}.cross_attn_ln.weight" in self._tensors:
            attention = f"{name}.cross_attn"
            self.linear(layer.attention.linear[0], f"{attention}.query")
            self.linear(layer.attention.linear[1], f"{attention}.key", f"{attention}.value")
            self.linear(layer.attention.linear[2], f"{attention}.out")
            self.norm(layer.attention.layer_norm, f"{name}.cross_attn_ln")
        self.linear(layer.ffn.linear_0, f"{name}.mlp.0")
        self.linear(layer.ffn.linear_1, f"{name}.mlp.2")
        self.norm(layer.ffn.layer_norm, f"{name}.mlp_ln")


def _describe(spec: Any, model: Any) -> None:
    """Vocabulary and the tokens that decoding treats apart; texts of ordinary tokens are never asked of the model.

    CTranslate2 tells a multilingual model by its empty token, which only that vocabulary has (src/models/whisper.cc).
    """
    words = tokenizer(model.is_multilingual, model.num_languages)
    names = [f"token{number}" for number in range(model.dims.n_vocab)]
    if model.is_multilingual:
        names[words.eot - 1] = ""
    for name, number in words.special_tokens.items():
        names[number] = name
    spec.register_vocabulary(names)
    config = spec.config
    config.suppress_ids = unspoken_tokens(words)
    config.suppress_ids_begin = [words.encode(" ")[0], words.eot]
    config.lang_ids = list(words.all_language_tokens) if model.is_multilingual else []
    config.alignment_heads = model.alignment_heads.indices().T.tolist()
