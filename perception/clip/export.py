"""Exports an open_clip checkpoint to ONNX, once, and checks that what was exported says the same as torch.

    python -m perception.clip_export MODEL TAG CHECKPOINT FOLDER PRECISION

A program of its own: it needs torch, takes a minute and 3 GB, and leaves nothing of that in the process that watches.
The folder appears only when every check has passed.
"""

from __future__ import annotations

import functools
import shutil
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from perception.clip.onnx_model import (
    MANIFEST,
    Manifest,
    TextTower,
    open_session,
    open_tokenizer,
    prepare_pictures,
    tokenize,
)
from perception.clip.spaces import clip_space
from perception.clip.torch_model import encode_short_text, load_model, reference_vectors, sees_only_back
from runtime.errors import UserError, WeightsError
from runtime.service import USER_ERROR_MARK

AGREEMENT_MIN = 0.99
# Vectors of one model lie close together whatever they show (Liang et al., "Mind the Gap", 2022), so that a wrong one
# may still be near: what remains of them without their mean must agree as well.
CENTRED_AGREEMENT_MIN = 0.95
_CHECK_TEXTS = (
    "a photo of a cat",
    "Two people, walking in the rain; it's 3.5 km!",
    "ein großer grüner Baum  neben dem Haus",
    "一辆红色的汽车",
    "who left the keys on the kitchen table, and when?",
    "x " * 200,
)


def export(model: str, tag: str, checkpoint: Path, folder: Path, precision: str) -> Manifest:
    """Write the export of ``checkpoint`` into ``folder``.

    precision  "fp32", or "int8" for dynamically quantised weights of the matrix products.

    Raises:
        ConfigError: there is no such model.
        WeightsError: the file is damaged or of another model, its tokenizer is not CLIP's, or vectors disagree.
    """
    net, tokenizer, preprocessing = load_model(model, tag, checkpoint)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        pictures = check_pictures(preprocessing.side_px)
        inputs = prepare_pictures(pictures, preprocessing)
        _write_towers(net, tokenizer, inputs, scratch)
        _write_tokenizer(tokenizer, scratch)
        if precision == "int8":
            _quantise(scratch / "image.onnx")
        image_vectors, text_vectors = reference_vectors(net, tokenizer, inputs, _CHECK_TEXTS)
        name = Path(model).stem if model.endswith(".json") else model
        manifest = Manifest(
            model=name,
            weights=tag,
            space=clip_space(model, checkpoint),
            dimensions=int(image_vectors.shape[1]),
            preprocessing=preprocessing,
            precision=precision,
            agreement={},
            logit_scale=float(net.logit_scale.detach().exp()),
            context=int(tokenizer.context_length),
            start=int(tokenizer.sot_token_id),
            end=int(tokenizer.eot_token_id),
        )
        agreement = _check(scratch, manifest, inputs, image_vectors, tokenizer, text_vectors)
        manifest = msgspec.structs.replace(manifest, agreement=agreement)
        (scratch / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        if folder.exists():
            shutil.rmtree(folder)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return manifest


def check_pictures(side_px: int) -> list[np.ndarray]:
    """Pictures that vary in colour, brightness, texture and content, the same every time."""
    random = np.random.default_rng(7)
    pictures = []
    for k in range(8):
        coarse = random.integers(0, 256, (3 + 2 * k, 4 + 2 * k, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (side_px * 2, side_px), interpolation=cv2.INTER_CUBIC)
        colour = tuple(int(value) for value in random.integers(0, 256, 3))
        cv2.circle(picture, (side_px, side_px // 2), side_px // (2 + k % 3), colour, -1)
        cv2.putText(picture, f"STOP {k}", (5, side_px - 9), cv2.FONT_HERSHEY_SIMPLEX, side_px / 100, (255, 255, 255), 2)
        pictures.append(picture)
    return pictures


def _write_towers(net: Any, tokenizer: Any, inputs: np.ndarray, folder: Path) -> None:
    """image.onnx and text.onnx, any number of rows to unit vectors.

    Where the text tower sees only back, it takes texts of any length: a description of 10 tokens in a seventh of the
    time that its 77 tokens with padding take, and to the same vector.
    """
    import torch

    class Tower(torch.nn.Module):  # type: ignore[misc]
        def __init__(self, encode: Any) -> None:
            super().__init__()
            self.net, self.encode = net, encode

        def forward(self, rows: Any) -> Any:
            return torch.nn.functional.normalize(self.encode(rows), dim=-1)

    rows = torch.export.Dim("rows", min=1, max=1024)
    tokens = tokenizer(list(_CHECK_TEXTS[:2]))
    text_axes: dict[int, Any] = {0: rows}
    encode_text = net.encode_text
    if sees_only_back(net):
        # Three: start, one token, end.
        text_axes[1] = torch.export.Dim("length", min=3, max=int(tokenizer.context_length))
        tokens, encode_text = tokens[:, :12], functools.partial(encode_short_text, net)
    towers = (
        ("image.onnx", net.encode_image, "pixels", torch.from_numpy(inputs[:2]), {0: rows}),
        ("text.onnx", encode_text, "tokens", tokens, text_axes),
    )
    for name, encode, given, example, axes in towers:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                Tower(encode).eval(),
                (example,),
                folder / name,
                input_names=[given],
                output_names=["vectors"],
                dynamic_shapes={"rows": axes},
                dynamo=True,
                external_data=False,
                verbose=False,
            )


def _write_tokenizer(tokenizer: Any, folder: Path) -> None:
    """CLIP's byte-pair encoding as the `tokenizers` package reads it, which needs no torch.

    The text is cleaned as open_clip does, but for the repair of wrongly decoded characters (ftfy) and HTML entities.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    if not hasattr(tokenizer, "bpe_ranks"):
        raise WeightsError("this model's texts are not cut as CLIP's are; take a model with CLIP's tokenizer")
    built = Tokenizer(
        models.BPE(
            vocab=tokenizer.encoder,
            merges=list(tokenizer.bpe_ranks),
            end_of_word_suffix="</w>",
            continuing_subword_prefix="",
        )
    )
    built.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip(), normalizers.Lowercase()]
    )
    words = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    built.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    built.save(str(folder / "tokenizer.json"))


def _quantise(path: Path) -> None:
    """Replace a model by one whose matrix products take 8-bit weights; what runs through them is scaled as it comes."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    exact = path.with_suffix(".fp32.onnx")
    path.rename(exact)
    quantize_dynamic(exact, path, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8, per_channel=True)
    exact.unlink()


def _check(
    folder: Path, manifest: Manifest, inputs: np.ndarray, pictures: Any, tokenizer: Any, texts: Any
) -> dict[str, float]:
    """Least cosine of pictures and of texts with torch's vectors.

    Raises:
        WeightsError: it is below `AGREEMENT_MIN`, or the tokens differ.
    """
    tokens = tokenize(open_tokenizer(folder), _CHECK_TEXTS, manifest)
    if not np.array_equal(tokens, tokenizer(list(_CHECK_TEXTS)).numpy()):
        raise WeightsError(f"the export of {manifest.model} cuts texts otherwise than open_clip; it is not used")
    found_pictures = open_session(folder / "image.onnx", 2).run(None, {"pixels": inputs})[0]
    found_texts = TextTower(folder, manifest, 2).vectors(_CHECK_TEXTS)
    return {
        "image": check_agreement(f"{manifest.precision} image tower of {manifest.model}", found_pictures, pictures),
        "text": check_agreement(f"text tower of {manifest.model}", found_texts, texts),
    }


def check_agreement(what: str, found: np.ndarray, wanted: np.ndarray) -> float:
    """Least cosine of rows with those wanted, both (n, dimensions) of unit length.

    Raises:
        WeightsError: it, or that of the rows without their mean, is too low.
    """
    least = _least_cosine(found, wanted)
    centred = _least_cosine(found - found.mean(axis=0), wanted - wanted.mean(axis=0))
    if least < AGREEMENT_MIN or centred < CENTRED_AGREEMENT_MIN:
        raise WeightsError(
            f"the exported {what} disagrees with torch (cosine {least:.3f}, centred {centred:.3f}; at least "
            f"{AGREEMENT_MIN} and {CENTRED_AGREEMENT_MIN} are needed); it is not used"
        )
    return round(least, 5)


def _least_cosine(found: np.ndarray, wanted: np.ndarray) -> float:
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
    return float(((found * wanted).sum(axis=1) / np.maximum(lengths, 1e-12)).min())


def main(argv: Sequence[str]) -> int:
    model, tag, checkpoint, folder, precision = argv
    try:
        export(model, tag, Path(checkpoint), Path(folder), precision)
    except UserError as error:
        sys.stderr.write(f"{USER_ERROR_MARK}{type(error).__name__}: {error}\n")
        return UserError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
