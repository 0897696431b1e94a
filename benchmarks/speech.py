"""How soon a voice is noticed: `python -m benchmarks.speech [--json] [--media DIR]`.

In milliseconds of *audio* time from the true onset to the end of the 32 ms block in which the voice is told, through
the stage that live sources use: recordings of speech cut at their onset and put behind room noise 40, 20 and 10 dB
below it, at four places within a block; and a clip whose word times are known. Nothing else is in that time: what the
event loop and the socket add to it is measured by `benchmarks.interference`. How well it is understood, and what that
costs, is measured by `benchmarks.hearing`.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import av
import numpy as np

from benchmarks import harness
from perception.audio.pipeline import Hearing
from perception.audio.vad import SpeechModel, VoiceStart, load_silero
from perception.capture.blocks import CHUNK_SAMPLES, SAMPLE_RATE_HZ, AudioBlock, Samples
from perception.capture.file_tracks import open_sound
from runtime.config import HearingConfig

SNR_DB = (40, 20, 10)
SHIFTS = (0, 128, 256, 384)
LEAD_S = 3.0
KNOWN_WORDS = "audio/speech/librivox_sense_0870"


def main() -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--media", type=Path, default=harness.DEFAULT_MEDIA, help="folder of test media")
    options = parser.parse_args()
    recordings = sorted(path for path in (options.media / "audio" / "speech").glob("*.*") if sound_of(path).size)
    if not recordings:
        print(f"no speech in {options.media / 'audio' / 'speech'}", file=sys.stderr)
        return 2
    model = load_silero()
    silent = without_speech(options.media)
    starts = voice_starts([path for path in recordings if path not in silent], options.media, model)
    figures = {
        "voice_start_ms": round(statistics.median(starts), 1),
        "voice_start_p90_ms": round(float(np.percentile(starts, 90)), 1),
        "voices_missed": sum(start == np.inf for start in starts),
    }
    if options.json:
        print(json.dumps(figures))
    else:
        print(harness.table(("voice start, ms of audio", "n", "p50", "p90"), [
            ("all onsets", len(starts), figures["voice_start_ms"], figures["voice_start_p90_ms"]),
        ]))  # fmt: skip
    if not options.no_history and options.media == harness.DEFAULT_MEDIA:
        harness.remember("speech", figures)
    return 0


def without_speech(media: Path) -> set[Path]:
    """Recordings whose transcript, by the index of the media, is empty: their loudest noise is no voice to notice."""
    index = media / "INDEX.json"
    files = json.loads(index.read_text(encoding="utf-8"))["files"] if index.is_file() else []
    return {media / row["file"] for row in files if row.get("transcript") == ""}


def sound_of(path: Path) -> Samples:
    """All of a recording, 16 kHz mono; empty if it holds no sound."""
    try:
        with open_sound(path) as reader:
            blocks = [block.samples for block in reader]
    except (OSError, ValueError, av.FFmpegError):
        return np.zeros(0, np.float32)
    except Exception as error:  # a side file is no media, which is no news
        if type(error).__name__ != "MediaError":
            raise
        return np.zeros(0, np.float32)
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


# --- voice start ----------------------------------------------------------------------------------


def voice_starts(recordings: list[Path], media: Path, model: SpeechModel) -> list[float]:
    """Milliseconds of audio from each onset to the block in which it is told; infinite if it never is."""
    noise = np.random.default_rng(0)
    found = []
    for path in recordings:
        speech = from_onset(sound_of(path))[: 3 * SAMPLE_RATE_HZ]
        level = float(np.sqrt(np.mean(speech**2))) if speech.size else 0.0
        if not speech.size:
            continue
        for snr_db in SNR_DB:
            for shift in SHIFTS:
                lead = round(LEAD_S * SAMPLE_RATE_HZ) + shift
                sound = np.concatenate([np.zeros(lead, np.float32), speech])
                sound = sound + level * 10 ** (-snr_db / 20) * noise.standard_normal(len(sound))
                found.append(told_after_ms(sound.astype(np.float32), lead, model))
    words = media / f"{KNOWN_WORDS}.align.json"
    if words.is_file():
        first = next(w for w in json.loads(words.read_text(encoding="utf-8"))["w"] if not w["t"].startswith("<"))
        sound = sound_of(media / f"{KNOWN_WORDS}.wav")
        found.append(told_after_ms(sound, round(first["b"] * SAMPLE_RATE_HZ), model))
    return found


def from_onset(sound: Samples) -> Samples:
    """``sound`` from where speech begins: the first 10 ms within 25 dB of its loud parts that stay so for 150 ms."""
    frame = SAMPLE_RATE_HZ // 100
    power = np.mean(sound[: len(sound) // frame * frame].reshape(-1, frame) ** 2, axis=1)
    level_db = 10 * np.log10(power + 1e-12)
    loud = level_db > np.percentile(level_db, 90) - 25.0
    for i in np.flatnonzero(loud[:-15]):
        if loud[i : i + 15].mean() > 0.9:
            return sound[i * frame :]
    return sound[:0]


def told_after_ms(sound: Samples, onset: int, model: SpeechModel) -> float:
    hearing = Hearing(HearingConfig(sounds=False), model)
    for i in range(0, len(sound) - CHUNK_SAMPLES, CHUNK_SAMPLES):
        events = hearing.step(AudioBlock(i, sound[i : i + CHUNK_SAMPLES]))
        if i + CHUNK_SAMPLES > onset and any(isinstance(event, VoiceStart) for event in events):
            return (i + CHUNK_SAMPLES - onset) * 1000 / SAMPLE_RATE_HZ
    return float("inf")


if __name__ == "__main__":
    sys.exit(main())
