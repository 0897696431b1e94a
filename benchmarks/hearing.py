"""How much of speech is misheard, what is heard where nobody speaks, and what hearing costs.

    python -m benchmarks.hearing [--json] [--media DIR] [--each]

All recordings of English with known words go through the stages of the embedded profile, as the audio process runs
them: decoding, voice activity, sounds, utterances, Whisper. Beside it, in the same run, the same weights through plain
faster-whisper (`WhisperModel.transcribe` on the whole file, as it comes).

wer                     words misheard (replaced, left out, put in) of those said. Aim: .13, and never more than .01
                        above plain faster-whisper
wer_film                of recordings with music, laughter or noise under the speech alone
invented_words_per_min  words heard in a minute of recordings in which nobody speaks. Aim: 1
cpu_ratio               processor time by the length of the sound, of the recordings with words. Aim: .12

``--each`` tells them by recording, with what was heard.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from msgspec import Struct

from benchmarks import harness
from benchmarks.known_words import english, misheard, without_speech, words_of
from perception.audio.pipeline import Hearing
from perception.audio.vad import Utterance, load_silero
from perception.capture.blocks import SAMPLE_RATE_HZ, Samples
from perception.capture.file_tracks import open_sound
from perception.speech.language import NOTHING_KNOWN
from perception.speech.models import find_whisper, load_whisper
from perception.speech.whisper import Whisper
from runtime.config import HearingConfig
from runtime.errors import MediaError, NoSoundError


class Heard(Struct, frozen=True):
    """What one way of hearing made of a recording: its words, its length and what it cost, in seconds."""

    text: str
    length_s: float
    cpu_s: float


Hear = Callable[[Path], Heard]


def pipeline(whisper: Whisper) -> Hear:
    """As the audio process hears a file."""
    config, model = HearingConfig(), load_silero()

    def hear(path: Path) -> Heard:
        began_s = time.process_time()
        hearing, spoken, texts, end_s = Hearing(config, model), NOTHING_KNOWN, [], 0.0
        utterances: list[Utterance] = []
        with suppress(NoSoundError), open_sound(path) as reader:
            for block in reader:
                utterances += [event for event in hearing.step(block) if isinstance(event, Utterance)]
                end_s = block.t1_s
        utterances += [event for event in hearing.finish() if isinstance(event, Utterance)]
        for utterance in utterances:
            transcript = whisper.transcribe(utterance.samples, utterance.voice, spoken)
            spoken = transcript.spoken if transcript.understood else spoken
            texts.append(transcript.text)
        return Heard(" ".join(texts), end_s, time.process_time() - began_s)

    return hear


def plain(whisper: Whisper) -> Hear:
    """The same weights through faster-whisper alone."""

    def hear(path: Path) -> Heard:
        began_s = time.process_time()
        sound = sound_of(path)
        segments, _ = whisper.model.transcribe(sound) if len(sound) else ((), None)
        text = " ".join(segment.text for segment in segments)
        return Heard(text, len(sound) / SAMPLE_RATE_HZ, time.process_time() - began_s)

    return hear


def sound_of(path: Path) -> Samples:
    blocks: list[Samples] = []
    with suppress(NoSoundError), open_sound(path) as reader:
        blocks = [block.samples for block in reader]
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def measure(hear: Hear, name: str, media: Path, each: bool) -> dict[str, float]:
    """The figures of one way of hearing."""
    wrong, said = {False: 0, True: 0}, {False: 0, True: 0}
    cpu_s = length_s = silent_s = 0.0
    invented = 0
    for recording in english(media):
        heard, words = hear(recording.path), words_of(recording.words)
        errors = misheard(words, words_of(heard.text))
        wrong[recording.film] += errors
        said[recording.film] += len(words)
        cpu_s, length_s = cpu_s + heard.cpu_s, length_s + heard.length_s
        if each:
            harness.progress(f"{name} {recording.path.name}: {errors} of {len(words)} misheard: {heard.text}")
    for path in without_speech(media):
        try:
            heard = hear(path)
        except MediaError:  # it is told to hold no sound, and may hold nothing at all
            continue
        invented, silent_s = invented + len(words_of(heard.text)), silent_s + heard.length_s
        if each and heard.text.strip():
            harness.progress(f"{name} {path.name}: invented: {heard.text}")
    return {
        "wer": round(sum(wrong.values()) / max(1, sum(said.values())), 4),
        "wer_film": round(wrong[True] / max(1, said[True]), 4),
        "invented_words_per_min": round(60 * invented / max(1.0, silent_s), 2),
        "cpu_ratio": round(cpu_s / max(1.0, length_s), 4),
        "words": sum(said.values()),
        "minutes_without_speech": round(silent_s / 60, 1),
    }


def as_table(figures: dict[str, float]) -> str:
    """Both ways side by side."""
    keys = ("wer", "wer_film", "invented_words_per_min", "cpu_ratio")
    header = ("figure", "pipeline", "plain faster-whisper")
    rows: Sequence[Sequence[object]] = [(key, f"{figures[key]:.3f}", f"{figures[f'plain_{key}']:.3f}") for key in keys]
    told = f"{figures['words']} words, {figures['minutes_without_speech']} minutes without speech"
    return f"{harness.table(header, rows)}\n\n{told}"


def main(argv: list[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--media", type=Path, default=harness.DEFAULT_MEDIA, help="folder of test media")
    parser.add_argument("--each", action="store_true", help="tell what was heard of each recording")
    options = parser.parse_args(argv)
    if not english(options.media):
        print(f"hearing: no speech with known words in {options.media}", file=sys.stderr)
        return 2
    whisper = load_whisper(find_whisper(HearingConfig()), "", 1)
    figures = measure(pipeline(whisper), "pipeline", options.media, options.each)
    beside = measure(plain(whisper), "plain", options.media, options.each)
    figures |= {f"plain_{key}": beside[key] for key in ("wer", "wer_film", "invented_words_per_min", "cpu_ratio")}
    print(json.dumps(figures) if options.json else as_table(figures))
    if not options.no_history and options.media == harness.DEFAULT_MEDIA:
        harness.remember("hearing", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
