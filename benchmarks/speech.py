"""How soon a voice is noticed, and how long its words take.

    python -m benchmarks.speech [--json] [--media DIR] [--model tiny|base|small] [--utterances N]

Voice start, in milliseconds of *audio* time from the true onset to the end of the 32 ms block in which the voice is
told, through the stage that live sources use: recordings of speech cut at their onset and put behind room noise 40,
20 and 10 dB below it, at four places within a block; and a clip whose word times are known. Nothing else is in that
time: what the event loop and the socket add to it is measured by `benchmarks.interference`.

Transcripts, as seconds of work for each second of an utterance (target .15 with Whisper base on two cores): the
utterances that are cut out of the recordings, one at a time, on both runtimes and PocketSphinx. Whisper has RANDOM
weights of the true size, so its speed is the true one and its words are none; such weights never end an answer, so
as many tokens are decoded as real speech has, 3.5 a second. A first try that has to be decoded again, which random
weights would always need, is not counted. ``transcript_ratio`` is all of that work, though live some of it is done in
the pause that ends an utterance; ``transcript_after_ratio`` is what is left once its end is told, a quarter second
after its padding. Windows are fitted to the utterance but where a row says otherwise; rows that are there to compare
with take fewer utterances.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np

from benchmarks import harness
from perception.audio.blocks import CHUNK_SAMPLES, SAMPLE_RATE_HZ, AudioBlock, Samples
from perception.audio.pipeline import Hearing
from perception.audio.vad import SpeechModel, Utterance, VoiceStart, load_silero
from perception.capture.file import audio_stream, open_container
from perception.capture.file_audio import AudioReader
from perception.speech.whisper import fitted_frames
from perception.speech.whisper_features import HOP_SAMPLES, WINDOW_FRAMES, log_mel
from runtime.config import HearingConfig

CORES = 2
# As shipped on two cores: each of two workers has one thread (decision 14).
SHIPPED = "whisper CTranslate2 int8, 1 thread"
# Of rows to compare with.
FEW = 6
ALL = sys.maxsize
TOKENS_PER_S = 3.5
SNR_DB = (40, 20, 10)
SHIFTS = (0, 128, 256, 384)
LEAD_S = 3.0
KNOWN_WORDS = "audio/speech/librivox_sense_0870"
# Whisper's sizes (Radford et al. 2022, table 1): layers, width, heads.
SIZES = {"tiny": (4, 384, 6), "base": (6, 512, 8), "small": (12, 768, 12)}


def main() -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--media", type=Path, default=harness.DEFAULT_MEDIA, help="folder of test media")
    parser.add_argument("--model", choices=sorted(SIZES), default="base", help="size of Whisper")
    parser.add_argument("--utterances", type=int, default=24, help="utterances transcribed by each, at most")
    options = parser.parse_args()
    recordings = sorted(path for path in (options.media / "audio" / "speech").glob("*.*") if sound_of(path).size)
    if not recordings:
        print(f"no speech in {options.media / 'audio' / 'speech'}", file=sys.stderr)
        return 2
    model = load_silero()
    silent = without_speech(options.media)
    starts = voice_starts([path for path in recordings if path not in silent], options.media, model)
    utterances = list(utterances_of(recordings, model))[: options.utterances]
    works = {name: work_s(run, utterances[:most]) for name, run, most in transcribers(options.model)}
    lengths_s = [u.t1_s - u.t0_s for u in utterances]
    ratios = {name: sum(work) / sum(lengths_s[: len(work)]) for name, work in works.items()}
    best = works[SHIPPED]
    head_start_s = HearingConfig().min_silence_s - HearingConfig().pad_s
    figures = {
        "voice_start_ms": round(statistics.median(starts), 1),
        "voice_start_p90_ms": round(float(np.percentile(starts, 90)), 1),
        "voices_missed": sum(start == np.inf for start in starts),
        "transcript_ratio": round(ratios[SHIPPED], 3),
        "transcript_after_ratio": round(sum(max(0.0, s - head_start_s) for s in best) / sum(lengths_s), 3),
        "whisper": f"{options.model}, random weights, {TOKENS_PER_S} tokens a second",
        "ratios": {name: round(value, 3) for name, value in ratios.items()},
        "utterances": len(utterances),
        "utterance_s": round(statistics.mean(u.t1_s - u.t0_s for u in utterances), 2),
    }
    if options.json:
        print(json.dumps(figures))
    else:
        print(harness.table(("voice start, ms of audio", "n", "p50", "p90"), [
            ("all onsets", len(starts), figures["voice_start_ms"], figures["voice_start_p90_ms"]),
        ]))  # fmt: skip
        print()
        rows = [(name, value) for name, value in sorted(ratios.items(), key=lambda item: item[1])]
        print(harness.table((f"transcript, s per s ({figures['whisper']})", "ratio"), rows))
        print(f"{len(utterances)} utterances of {figures['utterance_s']} s on average; threads as named")
    if not options.no_history and options.model == "base" and options.media == harness.DEFAULT_MEDIA:
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
        with open_container(path) as container:
            stream = audio_stream(container)
            blocks = [block.samples for block in AudioReader(container, stream)] if stream is not None else []
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


# --- transcripts ----------------------------------------------------------------------------------


def utterances_of(recordings: list[Path], model: SpeechModel) -> Iterator[Utterance]:
    for path in recordings:
        hearing = Hearing(HearingConfig(sounds=False), model)
        heard = hearing.step(AudioBlock(0, sound_of(path)))
        yield from (event for event in heard + hearing.finish() if isinstance(event, Utterance))


def work_s(transcribe: Callable[[Utterance], object], utterances: list[Utterance]) -> list[float]:
    """Seconds of work for each utterance, one at a time, warm."""
    transcribe(utterances[0])
    work = []
    for utterance in utterances:
        began_s = time.perf_counter()
        transcribe(utterance)
        work.append(time.perf_counter() - began_s)
    return work


def transcribers(size: str) -> Iterator[tuple[str, Callable[[Utterance], object], int]]:
    """What turns an utterance into words, by name (runtime, arithmetic, threads), and how many it is given at most."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    from perception.speech.pocketsphinx import PocketSphinx
    from perception.speech.whisper_conversion import write_model
    from perception.speech.whisper_runtimes import BEAM_SIZE, CTranslate2Whisper, TorchWhisper, WhisperRuntime

    def on(runtime: WhisperRuntime, beam_size: int = BEAM_SIZE, fit: bool = True) -> Callable[[Utterance], object]:
        def transcribe(utterance: Utterance) -> object:
            fitted = fit and runtime.shorter_windows
            frames = fitted_frames(len(utterance.samples)) if fitted else WINDOW_FRAMES
            encoded = runtime.encode(log_mel(utterance.samples, runtime.n_mels, frames))
            runtime.languages(encoded)
            count = max(1, round(TOKENS_PER_S * (utterance.t1_s - utterance.t0_s)))
            runtime.decode(encoded, "en", beam_size=beam_size, max_tokens=count)
            tokens = tuple(range(1000, 1000 + count))
            return runtime.align(encoded, "en", tokens, len(utterance.samples) // HOP_SAMPLES)

        return transcribe

    layers, width, heads = SIZES[size]
    torch.manual_seed(0)
    model = Whisper(ModelDimensions(80, 1500, width, heads, layers, 51865, 448, width, heads, layers))
    torch.nn.init.normal_(model.decoder.positional_embedding, 0.0, 0.1)
    with tempfile.TemporaryDirectory(prefix="mindstream-speech-") as scratch:
        checkpoint, folder = Path(scratch, "random.pt"), Path(scratch, "ctranslate2")
        torch.save({"dims": model.dims.__dict__, "model_state_dict": model.state_dict()}, checkpoint)
        folder.mkdir()
        write_model(model, folder)
        runtime = CTranslate2Whisper(folder, 1, "int8")
        yield SHIPPED, on(runtime), ALL
        yield f"{SHIPPED}, greedy", on(runtime, 1), FEW
        yield f"{SHIPPED}, windows of 30 s", on(runtime, fit=False), FEW
        two = CTranslate2Whisper(folder, CORES, "int8")
        yield f"whisper CTranslate2 int8, {CORES} threads", on(two), ALL
        yield "whisper CTranslate2 float32, 1 thread", on(CTranslate2Whisper(folder, 1, "float32")), FEW
        yield f"whisper torch float32, {CORES} threads, windows of 30 s", on(TorchWhisper(checkpoint, CORES)), FEW
    sphinx = PocketSphinx()
    yield "pocketsphinx, 1 thread", lambda utterance: sphinx.transcribe(utterance.samples), FEW


if __name__ == "__main__":
    sys.exit(main())
