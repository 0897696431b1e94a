"""Whisper: two runtimes of one checkpoint agree, what they write becomes words, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from perception.audio.blocks import Samples
from perception.speech.pool import TranscriberPool
from perception.speech.recognisers import ALWAYS, Recogniser, choose_recogniser, prepare
from perception.speech.whisper import Whisper, fitted_frames
from perception.speech.whisper_features import Mel, log_mel, tokenizer
from perception.speech.whisper_runtimes import CTranslate2Whisper, Decoded, TokenTime, TorchWhisper
from runtime.config import HearingConfig
from runtime.errors import ConfigError, WeightsError
from tests.fixtures.tiny_whisper import save_tiny_whisper

whisper = pytest.importorskip("whisper", reason="openai-whisper is not installed")
ctranslate2 = pytest.importorskip("ctranslate2", reason="CTranslate2 is not installed")

from perception.speech.whisper_conversion import converted  # noqa: E402 - needs both


def noise(duration_s: float) -> Samples:
    return (0.1 * np.random.default_rng(3).standard_normal(round(16_000 * duration_s))).astype(np.float32)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def checkpoint(cache: Path) -> Path:
    path = cache / "random.pt"
    save_tiny_whisper(path)
    return path


@pytest.mark.parametrize("duration_s", [0.0, 0.004, 2.0, 30.0, 31.0])
def test_features_are_those_of_openai(duration_s: float) -> None:
    expected = whisper.log_mel_spectrogram(whisper.pad_or_trim(noise(duration_s)), 80).numpy()
    assert np.abs(log_mel(noise(duration_s), 80) - expected).max() < 1e-4


def test_both_runtimes_hear_the_same(checkpoint: Path) -> None:
    made = converted(checkpoint)
    torch_runtime = TorchWhisper(checkpoint, threads=1)
    runtime = CTranslate2Whisper(made.folder, threads=1, compute_type="float32")
    assert (runtime.n_mels, runtime.multilingual, runtime.num_languages) == (80, True, 99)
    mel = log_mel(noise(3.0), 80)
    expected, encoded = torch_runtime.encode(mel), runtime.encode(mel)
    assert np.abs(np.asarray(encoded)[0] - expected.numpy()).max() < 1e-2
    shares, found_shares = torch_runtime.languages(expected), runtime.languages(encoded)
    assert found_shares == pytest.approx(shares, abs=1e-3)
    assert len(shares) == 99
    for beam_size in (1, 5):
        wrote = torch_runtime.decode(expected, "en", beam_size=beam_size, max_tokens=6)
        found = runtime.decode(encoded, "en", beam_size=beam_size, max_tokens=6)
        assert found.tokens == wrote.tokens
        assert found.mean_logprob == pytest.approx(wrote.mean_logprob, abs=5e-3)
        assert found.no_speech_prob == pytest.approx(wrote.no_speech_prob, abs=1e-4)
    times = torch_runtime.align(expected, "en", (1000, 2000, 3000), frames=300)
    found_times = runtime.align(encoded, "en", (1000, 2000, 3000), frames=300)
    assert [(t.t0_s, t.t1_s) for t in found_times] == [(t.t0_s, t.t1_s) for t in times]
    assert len(times) == 3


def test_a_second_way_to_decode_is_as_repeatable_as_the_first(checkpoint: Path) -> None:
    runtimes = (
        TorchWhisper(checkpoint, threads=1),
        CTranslate2Whisper(converted(checkpoint).folder, threads=1, compute_type="int8"),
    )
    for runtime in runtimes:
        encoded = runtime.encode(log_mel(noise(2.0), 80))
        first = runtime.decode(encoded, "en", beam_size=5, max_tokens=8, again=True)
        assert runtime.decode(encoded, "en", beam_size=5, max_tokens=8, again=True) == first


def test_a_checkpoint_is_converted_once_and_again_when_it_changes(checkpoint: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    save_tiny_whisper(other, seed=1, n_vocab=51864)
    made = converted(other)
    stamp = (made.folder / "model.bin").stat().st_mtime_ns
    assert converted(other) == made
    assert (made.folder / "model.bin").stat().st_mtime_ns == stamp
    assert converted(checkpoint).folder != made.folder
    assert not CTranslate2Whisper(made.folder, 1, "int8").multilingual


class Writes:
    """A runtime that writes given words, each token 0.3 s long, from 0.2 s on."""

    shorter_windows, n_mels, multilingual, num_languages = True, 80, True, 99

    def __init__(
        self, *texts: str, language: str = "en", logprob: float = -0.3, no_speech: float = 0.01, t0_s: float = 0.2
    ) -> None:
        self._texts = list(texts)
        self._language = language
        self._logprob, self._no_speech, self._t0_s = logprob, no_speech, t0_s
        self.windows: list[int] = []
        self.most_tokens: list[int] = []

    def encode(self, mel: Mel) -> Any:
        self.windows.append(mel.shape[1])
        return mel

    def languages(self, encoded: Any) -> dict[str, float]:
        return {"en": 0.1, self._language: 0.8}

    def decode(self, encoded: Any, language: str, *, beam_size: int, max_tokens: int, again: bool = False) -> Decoded:
        assert language == self._language
        self.most_tokens.append(max_tokens)
        text = self._texts[-1 if again else 0]
        return Decoded(tuple(tokenizer(True, 99, language).encode(text)), self._logprob, self._no_speech)

    def align(self, encoded: Any, language: str, tokens: Sequence[int], frames: int) -> list[TokenTime]:
        return [TokenTime(self._t0_s + 0.3 * i, self._t0_s + 0.3 * (i + 1), 0.9) for i in range(len(tokens))]


VOICE = np.full(100, 0.9, np.float32)
SPEECH = np.zeros(100 * 512, np.float32)


def test_words_carry_their_punctuation_times_and_language() -> None:
    heard = Whisper(Writes(" The door is open, isn't it?"), "w").transcribe(SPEECH, VOICE)
    assert heard.text == "The door is open, isn't it?"
    assert [word.text for word in heard.words] == ["The", "door", "is", "open,", "isn't", "it?"]
    assert (heard.words[1].t0_s, heard.words[1].t1_s) == (0.5, 0.8)
    assert (heard.language, heard.understood, heard.confidence, heard.doubt) == ("en", True, 0.9, "")


def test_languages_without_spaces_are_joined_without() -> None:
    heard = Whisper(Writes("你好世界", language="zh"), "w").transcribe(SPEECH, VOICE)
    assert (heard.text, heard.language) == ("你好世界", "zh")


def test_times_never_lie_outside_the_utterance() -> None:
    heard = Whisper(Writes(" one two three four five six seven eight nine ten eleven twelve"), "w").transcribe(SPEECH)
    assert heard.words[-1].t1_s == 3.2


def test_a_loop_is_decoded_again_and_let_go_if_it_stays_one() -> None:
    loop = " and then and then" * 12
    assert Whisper(Writes(loop, " and then he left"), "w").transcribe(SPEECH, VOICE).text == "and then he left"
    lost = Whisper(Writes(loop), "w").transcribe(SPEECH, VOICE)
    assert (lost.words, lost.understood, lost.doubt) == ((), False, "repeats itself")


def test_a_window_is_as_long_as_the_utterance_and_whole_where_that_was_no_good() -> None:
    fine = Writes(" The door is open")
    Whisper(fine, "w").transcribe(SPEECH, VOICE)
    assert fine.windows == [320 + 256]  # 3.2 s and a margin of silence
    loop = Writes(" and then and then" * 12, " and then he left")
    assert Whisper(loop, "w").transcribe(SPEECH, VOICE).text == "and then he left"
    assert loop.windows == [576, 3000]
    whole = Writes(" The door is open")
    Whisper(whole, "w", fit=False).transcribe(SPEECH, VOICE)
    assert whole.windows == [3000]


def test_no_more_is_written_than_can_have_been_said() -> None:
    english, thai = Writes(" yes"), Writes(" ใช่", language="th")
    for runtime in (english, thai):
        for duration_s in (1.0, 30.0):
            Whisper(runtime, "w").transcribe(np.zeros(round(16_000 * duration_s), np.float32))
    assert english.most_tokens == [28, 224]
    assert thai.most_tokens == [64, 224]  # up to three tokens a letter


@pytest.mark.parametrize("duration_s", [2.0, 9.0])
def test_a_shorter_window_is_the_encoder_of_openai_with_fewer_positions(checkpoint: Path, duration_s: float) -> None:
    frames = fitted_frames(round(16_000 * duration_s))
    mel = log_mel(noise(duration_s), 80, frames)
    assert mel.shape == (80, frames)
    assert np.abs(mel - log_mel(noise(duration_s), 80)[:, :frames]).max() < 1e-6
    runtime = CTranslate2Whisper(converted(checkpoint).folder, threads=1, compute_type="float32")
    torch = pytest.importorskip("torch")
    model = TorchWhisper(checkpoint, threads=1).model
    positions = model.encoder.positional_embedding
    model.encoder.positional_embedding = positions[: frames // 2]
    with torch.inference_mode():
        expected = model.encoder(torch.from_numpy(mel)[None])[0].numpy()
    assert np.abs(np.asarray(runtime.encode(mel))[0] - expected).max() < 1e-2


def test_a_long_utterance_is_heard_in_windows_with_times_that_go_on() -> None:
    sound, voice = np.zeros(16_000 * 40, np.float32), np.full(1250, 0.9, np.float32)
    heard = Whisper(Writes(" good morning"), "w").transcribe(sound, voice)
    assert heard.text == "good morning good morning"
    assert [word.t0_s for word in heard.words] == pytest.approx([0.2, 0.5, 30.16, 30.46], abs=0.05)


def test_whisper_is_chosen_where_its_weights_are_and_named_where_they_are_not(
    cache: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Path, tmp_path: Path
) -> None:
    auto, given = HearingConfig(transcribe="auto"), HearingConfig(transcribe="auto", whisper=str(checkpoint), workers=1)
    recogniser, lacking = choose_recogniser(auto, 2)
    assert recogniser == ALWAYS
    assert "whisper/base" in lacking
    assert "setup" in lacking
    assert choose_recogniser(given, 2) == (Recogniser("whisper", str(checkpoint), threads=2), "")
    with pytest.raises(WeightsError, match="setup"):
        choose_recogniser(HearingConfig(transcribe="whisper"), 2)
    damaged = cache / "mindstream" / "weights" / "whisper" / "base" / "base.pt"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"half of a file")
    assert "checksum" in choose_recogniser(auto, 2)[1]
    monkeypatch.setitem(sys.modules, "whisper", None)
    monkeypatch.setattr("perception.speech.recognisers.find_spec", lambda name: None)
    assert "not installed" in choose_recogniser(given, 2)[1]
    with pytest.raises(ConfigError, match="full profile"):
        choose_recogniser(HearingConfig(transcribe="whisper-torch"), 2)


@pytest.mark.processes
def test_what_is_said_while_whisper_loads_waits_for_it(checkpoint: Path) -> None:
    async def hear() -> tuple[bool, bool, object, str, int]:
        async with TranscriberPool(Recogniser("whisper", str(checkpoint), language="en"), 2) as pool:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(pool.check)
                await anyio.wait_all_tasks_blocked()
                loading, free = pool.loading, pool.free
                partial = await pool.transcribe_partial(noise(1.0), VOICE)
                heard = await pool.transcribe(noise(1.0))
            return loading, free, partial, heard.language, len(pool.pids)

    assert anyio.run(hear) == (True, False, None, "en", 1)


def test_setup_prepares_what_the_first_start_would_have_to(
    checkpoint: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said = prepare(HearingConfig(transcribe="whisper", whisper=str(checkpoint)))
    assert said.startswith("random: converted for CTranslate2 (")
    assert len(list(tmp_path.rglob("model.bin"))) == 1
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(WeightsError, match=r"damaged\.pt"):
        prepare(HearingConfig(transcribe="whisper", whisper=str(damaged)))


@pytest.mark.processes
def test_a_damaged_checkpoint_is_told_in_one_line_and_pocketsphinx_takes_over(cache: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(b"PK\x03\x04 and nothing more")

    async def check() -> tuple[str, str]:
        async with TranscriberPool(Recogniser("whisper", str(damaged)), 1) as pool:
            return await pool.check(), pool.engine

    why, engine = anyio.run(check)
    assert engine == "pocketsphinx"
    assert "damaged.pt" in why
    assert "\n" not in why


@pytest.mark.processes
def test_workers_run_the_quicker_runtime_without_torch(checkpoint: Path) -> None:
    converted(checkpoint)  # else a worker would need torch to

    async def hear() -> tuple[str, str, bool]:
        async with TranscriberPool(Recogniser("whisper", str(checkpoint), language="en"), 1) as pool:
            problem = await pool.check()
            heard = await pool.transcribe(noise(1.0))
            maps = Path(f"/proc/{pool.pids[0]}/maps")
            return problem + pool.engine, heard.language, maps.exists() and "libtorch" in maps.read_text()

    assert anyio.run(hear) == ("whisper-ctranslate2", "en", False)
