"""A checkpoint of openai-whisper as a folder for faster-whisper: made once, with torch; used without.

CTranslate2's own converters take Hugging Face models; the network is the same, so its tensors are put into
CTranslate2's specification under the names openai gave them.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from runtime.errors import ConfigError
from runtime.weights.checkpoints import check_checkpoint
from runtime.weights.known import cache_dir, digest


def converted(checkpoint: Path) -> Path:
    """The folder made of ``checkpoint``, now if there is none yet of a file with this content.

    Takes a few seconds and the full profile's packages the first time; processes that ask at once wait for the one
    that makes it.

    Raises:
        ConfigError: those packages are not installed.
        WeightsError: the file is damaged, no Whisper checkpoint, or cannot be read.
    """
    check_checkpoint(checkpoint, "Whisper")
    folder = cache_dir() / "ctranslate2" / f"{checkpoint.stem}-{digest(checkpoint)[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            fresh = folder.with_suffix(".part")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            try:
                write_model(checkpoint, fresh)
                fresh.rename(folder)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    return folder


def write_model(checkpoint: Path, folder: Path) -> None:
    """The model of ``checkpoint`` in ``folder``, float16, to be used with any arithmetic, with its tokenizer.

    Raises:
        ConfigError: the packages that read it are not installed, or it is damaged.
    """
    try:
        import whisper
        from transformers.convert_slow_tokenizer import TikTokenConverter
    except ImportError as error:
        raise ConfigError(
            f"perception.hearing.whisper: to read {checkpoint} takes torch, openai-whisper and transformers, which the "
            f"full profile installs ({error})"
        ) from error
    try:
        model = whisper.load_model(str(checkpoint), device="cpu").float()
        heads = whisper._ALIGNMENT_HEADS.get(checkpoint.stem)
        if heads is not None:  # they do not fit a model of another size
            model.set_alignment_heads(heads)
    except Exception as error:  # zip, pickle and shape errors of torch, none with a base of its own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"perception.hearing.whisper: {checkpoint} is damaged, or not the model it is called ({reason[:120]})"
        ) from error
    words = whisper.tokenizer.get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
    ranks = Path(whisper.__file__).with_name("assets") / words.encoding.name
    special = sorted(words.special_tokens, key=lambda name: words.special_tokens[name])
    tokenizer = TikTokenConverter(str(ranks), words.encoding._pat_str, extra_special_tokens=special).converted()
    tokenizer.save(str(folder / "tokenizer.json"))
    features = {"feature_size": model.dims.n_mels}
    (folder / "preprocessor_config.json").write_text(json.dumps(features), encoding="ascii")
    spec = _specification(model)
    by_number = {number: name for name, number in tokenizer.get_vocab().items()}
    spec.register_vocabulary([by_number[number] for number in range(model.dims.n_vocab)])
    config = spec.config
    config.suppress_ids = sorted(
        {*words.non_speech_tokens}
        # All that steers the decoder but the end and the time stamps.
        | {number for number in words.special_tokens.values() if words.eot < number < words.timestamp_begin}
    )
    config.suppress_ids_begin = [words.encode(" ")[0], words.eot]
    config.lang_ids = list(words.all_language_tokens) if model.is_multilingual else []
    config.alignment_heads = model.alignment_heads.indices().T.tolist()
    spec.validate()
    spec.optimize(quantization="float16")
    spec.save(str(folder))


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
