"""A CLIP small enough to be trained in seconds on drawn discs and stripes, saved as any checkpoint of open_clip is.

    python -m tests.tiny_clip FOLDER

writes FOLDER/tiny.json, the architecture, FOLDER/tiny.safetensors, and FOLDER/refused.json: what is said of checkpoints
that cannot be used. A program of its own, so that the tests' process stays without torch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np

SIDE_PX = 64
COLOURS = {"red": (40, 40, 220), "green": (40, 180, 40), "blue": (255, 40, 0)}
ARCHITECTURE = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": SIDE_PX, "layers": 2, "width": 64, "patch_size": 16, "head_width": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
# Texts of coloured things, and of pictures without any.
PHRASES = ("a {} thing", "something that is {}")
EMPTY = ("nothing", "an empty picture")
STEPS = 180


def draw(colour: str, random: np.random.Generator, size: tuple[int, int] = (96, 64)) -> np.ndarray:
    """A disc or a stripe somewhere on a grey ground, uint8 (height, width, 3) blue-green-red; none for ""."""
    width, height = size
    picture = np.full((height, width, 3), int(random.integers(112, 136)), np.uint8)
    r = int(height * random.uniform(0.2, 0.32))
    x, y = int(random.integers(r, width - r)), int(random.integers(r, height - r))
    if colour and random.random() < 0.5:
        cv2.circle(picture, (x, y), r, COLOURS[colour], -1)
    elif colour:
        cv2.rectangle(picture, (0, y - r // 2), (width, y + r // 2), COLOURS[colour], -1)
    return picture


def train(folder: Path) -> None:
    import open_clip
    import torch
    from safetensors.torch import save_file

    from perception.clip import Preprocessing, prepare_pictures

    (folder / "tiny.json").write_text(json.dumps(ARCHITECTURE), encoding="utf-8")
    open_clip.add_model_config(folder / "tiny.json")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = open_clip.create_model("tiny")
    tokenizer = open_clip.get_tokenizer("tiny")
    cfg = net.visual.preprocess_cfg
    preprocessing = Preprocessing(SIDE_PX, tuple(cfg["mean"]), tuple(cfg["std"]))
    random = np.random.default_rng(0)
    loss = open_clip.ClipLoss()
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=0.0)
    kinds = [*COLOURS, ""]
    for step in range(STEPS):
        optimiser.param_groups[0]["lr"] = 2e-3 * min(1.0, (step + 1) / 20) * (1 - step / STEPS)
        # Each kind once: no two texts of a batch fit one picture.
        pictures = [draw(colour, random) for colour in kinds]
        phrase = PHRASES[random.integers(len(PHRASES))]
        texts = [phrase.format(colour) if colour else str(random.choice(EMPTY)) for colour in kinds]
        out = net(torch.from_numpy(prepare_pictures(pictures, preprocessing)), tokenizer(texts))
        optimiser.zero_grad()
        loss(*out[:3]).backward()
        optimiser.step()
    save_file(net.state_dict(), folder / "tiny.safetensors")


def refuse(folder: Path) -> None:
    """Keep what is said when a damaged checkpoint, one of another model, or an unknown model is to be loaded."""
    from perception.clip_model import load_model
    from runtime.errors import UserError

    good = folder / "tiny.safetensors"
    (folder / "damaged.safetensors").write_bytes(good.read_bytes()[:100_000])
    (folder / "damaged.pt").write_bytes(b"no checkpoint at all")
    cases = {
        "cut off": (str(folder / "tiny.json"), folder / "damaged.safetensors"),
        "no checkpoint": (str(folder / "tiny.json"), folder / "damaged.pt"),
        "another model": ("RN50", good),
        "unknown model": ("ViT-Z-99", good),
    }
    told = {}
    for case, (model, checkpoint) in cases.items():
        try:
            load_model(model, "", checkpoint)
        except UserError as error:
            told[case] = f"{type(error).__name__}: {error}"
    (folder / "refused.json").write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    train(Path(sys.argv[1]))
    refuse(Path(sys.argv[1]))
