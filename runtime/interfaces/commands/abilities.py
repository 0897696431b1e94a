"""What the agent can do here under a profile: see, read, hear, answer, speak; and what each lack costs."""

from __future__ import annotations

import importlib
import importlib.util

import anyio
from msgspec import Struct

from runtime.config import Config
from runtime.errors import MindstreamError, UserError
from runtime.interfaces.voice.player import Loudspeaker
from runtime.interfaces.voice.synthesis import load_synthesizer
from runtime.processes import ANSWERS, DETECT, PREPARE, PREPARE_HEARING
from runtime.weights.checkpoints import check_checkpoint


class Finding(Struct, frozen=True):
    """One line: ``state`` is "ok", "absent" (optional, at a cost) or "broken" (the agent cannot work as told)."""

    state: str
    what: str
    text: str


def abilities(config: Config) -> list[Finding]:
    return [_sees(config), _reads(config), _hears(config), _answers(config), _speaks(config)]


def _sees(config: Config) -> Finding:
    vision = config.perception.vision
    can, by_name, lacks = "change, motion, colours, layout, people and faces", "", ""
    if vision.detect == "off":
        lacks = "; not things by name"
    else:
        try:
            detector = importlib.import_module(DETECT).load_detector(vision, 1)
            by_name = f"things by {detector.meaning}, "
        except UserError as error:
            if vision.detect != "ssd":
                return Finding("broken", "sees", f"nothing: {error}")
            lacks = f"; not things by name: {error}"
    if vision.describe != "layout":
        try:
            checkpoint = importlib.import_module(PREPARE).usable_checkpoint(vision.open_clip)
            looked = check_checkpoint(checkpoint, "open_clip")
            by_name += f"what pictures show (open_clip {vision.open_clip.model}), "
            lacks += f"; {checkpoint}: {looked}"
        except UserError as error:
            if vision.describe != "auto":
                return Finding("broken", "sees", f"nothing: {error}")
            lacks += f": {error}"
    return Finding("ok", "sees", f"{by_name}{can}{lacks}")


def _reads(config: Config) -> Finding:
    reads = config.perception.vision.read_text
    return Finding("ok" if reads else "absent", "reads", "RapidOCR" if reads else "switched off")


def _hears(config: Config) -> Finding:
    """Whether speech becomes words: the model's files are looked for and, where their checksum is known, checked."""
    try:
        recogniser = importlib.import_module(PREPARE_HEARING).choose_recogniser(config.perception.hearing, 1)
    except UserError as error:
        return Finding("broken", "hears", f"nothing: {error}")
    if not recogniser.there_is:
        return Finding("absent", "hears", f"voices and sounds, no words: {recogniser.lacking or 'switched off'}")
    return Finding("ok", "hears", f"what is said, by {recogniser.engine}; voices, sounds by kind")


def _answers(config: Config) -> Finding:
    try:
        able, text = anyio.run(importlib.import_module(ANSWERS).examine, config.reasoning)
    except UserError as error:
        return Finding("broken", "answers", str(error))
    return Finding("ok" if able else "absent", "answers", text)


def _speaks(config: Config) -> Finding:
    """Whether answers could be spoken, live; most who watch and listen never want that."""
    switched = "" if config.voice.mode != "off" else " (with --voice)"
    try:
        synthesizer, why = load_synthesizer(config.voice.synthesis)
        if synthesizer is None:
            return Finding("absent", "speaks", why or "answers are written, not spoken: switched off")
        Loudspeaker(config.voice.loudspeaker)
    except UserError as error:
        return Finding("broken", "speaks", str(error))
    except MindstreamError as error:
        return Finding("absent", "speaks", f"answers are written, not spoken: {error}")
    echo = (
        "" if importlib.util.find_spec("livekit") else "; its echo stays: pip install 'mindstream[echo]', or a headset"
    )
    return Finding("ok", "speaks", f"by {synthesizer.name}{switched}{echo}")
