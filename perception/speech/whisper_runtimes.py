"""The Whisper network in two runtimes that take the same checkpoint: torch, and CTranslate2 without torch.

Both give the same four things: encoded sound, the language, tokens, and where the tokens lie in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from perception.speech.whisper_features import Mel, tokenizer

# Beam search as in the paper (section 4.5); a hypothesis of unfinished speech is not worth its cost.
BEAM_SIZE = 5
# How it is decoded where that search repeated itself or was unsure.
_TEMPERATURE = 0.4
_NO_REPEAT = 3
# Tokens of sound, and the width of the filter that smooths attention over them before it is aligned.
_TOKENS_PER_S = 50
_MEDIAN_FILTER = 7


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the decoder wrote.

    tokens          text tokens only.
    mean_logprob    natural logarithm, mean over the tokens and the end.
    no_speech_prob  0..1, of the token that says that nobody speaks.
    """

    tokens: tuple[int, ...]
    mean_logprob: float
    no_speech_prob: float


@dataclass(frozen=True, slots=True)
class TokenTime:
    """Where a text token lies, in seconds of the window, and its probability 0..1."""

    t0_s: float
    t1_s: float
    probability: float


class WhisperRuntime(Protocol):
    """Whisper on one window. ``n_mels`` 80 or 128; ``encode`` gives what the other three take.

    ``shorter_windows``: whether a window may be shorter than the 30 s of training.
    """

    shorter_windows: bool
    n_mels: int
    multilingual: bool
    num_languages: int

    def encode(self, mel: Mel) -> Any:
        """``mel`` (n_mels, 3000) float32; or fewer frames, an even number, where `shorter_windows`."""
        ...

    def languages(self, encoded: Any) -> dict[str, float]:
        """Probability of each language by its code ("en"), multilingual models only."""
        ...

    def decode(self, encoded: Any, language: str, *, beam_size: int, max_tokens: int, again: bool = False) -> Decoded:
        """The most probable tokens, without time stamps, by a search with ``beam_size`` beams.

        ``again``: another way to decode, for where the first repeated itself or was unsure; as repeatable as that.
        """
        ...

    def align(self, encoded: Any, language: str, tokens: Sequence[int], frames: int) -> list[TokenTime]:
        """Times of ``tokens`` by dynamic time warping of the cross attention, within ``frames`` of 10 ms."""
        ...


class TorchWhisper:
    """openai-whisper; on a GPU in float16, else in float32. Its encoder takes the whole window only."""

    shorter_windows = False

    def __init__(self, checkpoint: Path, threads: int) -> None:
        import torch

        self._torch = torch
        torch.set_num_threads(threads)
        self.model = load_checkpoint(checkpoint)
        if torch.cuda.is_available():
            self.model = self.model.cuda().half()
        self.n_mels = int(self.model.dims.n_mels)
        self.multilingual = bool(self.model.is_multilingual)
        self.num_languages = int(self.model.num_languages)
        self._unspoken = unspoken_tokens(tokenizer(self.multilingual, self.num_languages))

    def encode(self, mel: Mel) -> Any:
        """(1500, width) tensor on the model's device."""
        half = self.model.encoder.conv1.weight.dtype
        with self._torch.inference_mode():
            return self.model.encoder(self._torch.from_numpy(mel)[None].to(self.model.device, half))[0]

    def languages(self, encoded: Any) -> dict[str, float]:
        import whisper

        with self._torch.inference_mode():
            _, probabilities = whisper.detect_language(self.model, encoded, tokenizer(True, self.num_languages))
        return dict(probabilities)

    def decode(self, encoded: Any, language: str, *, beam_size: int, max_tokens: int, again: bool = False) -> Decoded:
        """``again``: drawn, as in the paper (section 4.5), always with the same seed."""
        import whisper

        self._torch.manual_seed(0)
        options = whisper.DecodingOptions(
            language=language or None,
            temperature=_TEMPERATURE if again else 0.0,
            beam_size=beam_size if beam_size > 1 and not again else None,
            sample_len=max_tokens,
            suppress_tokens=self._unspoken,
            without_timestamps=True,
            fp16=encoded.dtype == self._torch.float16,
        )
        result = whisper.decode(self.model, encoded, options)
        return Decoded(tuple(result.tokens), float(result.avg_logprob), float(result.no_speech_prob))

    def align(self, encoded: Any, language: str, tokens: Sequence[int], frames: int) -> list[TokenTime]:
        from whisper.timing import find_alignment

        split = _OneTokenAWord(tokenizer(self.multilingual, self.num_languages, language))
        timings = find_alignment(_EncodedModel(self.model), split, list(tokens), encoded, frames)
        return [TokenTime(float(t.start), float(t.end), float(t.probability)) for t in timings]


class _EncodedModel:
    """A Whisper model that takes encoded sound where `find_alignment` gives it a spectrum: encoding is most of
    the work, and it has been done."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, encoded: Any, tokens: Any) -> Any:
        return self._model.decoder(tokens, encoded)


class _OneTokenAWord:
    """A tokenizer for which each token is a word, so that `find_alignment` times tokens."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def split_to_word_tokens(self, tokens: list[int]) -> tuple[list[str], list[list[int]]]:
        return ["" for _ in tokens], [[token] for token in tokens]


class CTranslate2Whisper:
    """A model that `whisper_conversion` made of the checkpoint; on a GPU in float16, else with ``compute_type``."""

    shorter_windows = True

    def __init__(self, folder: Path, threads: int, compute_type: str) -> None:
        import ctranslate2

        self._library: Any = ctranslate2
        gpu = ctranslate2.get_cuda_device_count() > 0
        self._model: Any = ctranslate2.models.Whisper(
            str(folder),
            device="cuda" if gpu else "cpu",
            compute_type="float16" if gpu else compute_type,
            intra_threads=threads,
            inter_threads=1,
        )
        self.n_mels = int(self._model.n_mels)
        self.multilingual = bool(self._model.is_multilingual)
        self.num_languages = int(self._model.num_languages)

    def encode(self, mel: Mel) -> Any:
        """(1, frames / 2, width) StorageView on the model's device."""
        features = self._library.StorageView.from_array(np.ascontiguousarray(mel[None]))
        return self._model.encode(features, to_cpu=False)

    def languages(self, encoded: Any) -> dict[str, float]:
        return {token.strip("<|>"): float(share) for token, share in self._model.detect_language(encoded)[0]}

    def decode(self, encoded: Any, language: str, *, beam_size: int, max_tokens: int, again: bool = False) -> Decoded:
        """``again``: searched without repeating three tokens. (Draws cannot be repeated: a seed counts for the first
        use of a thread only.)"""
        words = tokenizer(self.multilingual, self.num_languages, language)
        prompt = list(words.sot_sequence_including_notimestamps)
        (result,) = self._model.generate(
            encoded,
            [prompt],
            beam_size=beam_size,
            no_repeat_ngram_size=_NO_REPEAT if again else 0,
            max_length=2 * max_tokens,  # a half of it is for what was said before
            return_scores=True,
            return_no_speech_prob=True,
        )
        tokens = tuple(result.sequences_ids[0])
        # A score is the mean over the tokens; Whisper counts the end among them.
        mean_logprob = float(result.scores[0]) * len(tokens) / (len(tokens) + 1)
        return Decoded(tokens, mean_logprob, float(result.no_speech_prob))

    def align(self, encoded: Any, language: str, tokens: Sequence[int], frames: int) -> list[TokenTime]:
        words = tokenizer(self.multilingual, self.num_languages, language)
        (result,) = self._model.align(
            encoded, list(words.sot_sequence), [list(tokens)], [frames], median_filter_width=_MEDIAN_FILTER
        )
        text, time = np.array(result.alignments).T
        jumps = np.pad(np.diff(text), (1, 0), constant_values=1).astype(bool)
        starts = time[jumps] / _TOKENS_PER_S
        return [
            TokenTime(float(t0), float(t1), float(p))
            for t0, t1, p in zip(starts[:-1], starts[1:], result.text_token_probs, strict=False)
        ]


def unspoken_tokens(words: Any) -> list[int]:
    """Tokens never written: annotations such as music notes, and all that steers the decoder but the end.
    Time stamps among them, as they are not asked for: words are aligned instead."""
    return sorted({*words.non_speech_tokens, *(token for token in words.special_tokens.values() if token != words.eot)})


def load_checkpoint(checkpoint: Path) -> Any:
    """The openai-whisper model of a checkpoint file, on the CPU in float32.

    The heads whose attention follows the words are known by the model's name, which is the file's ("base.pt");
    of other models the heads of the later half of the layers serve.

    Raises:
        ValueError: the file is damaged, or no Whisper checkpoint; one line.
    """
    import whisper

    try:
        model = whisper.load_model(str(checkpoint), device="cpu").float()
        heads = whisper._ALIGNMENT_HEADS.get(checkpoint.stem)
        if heads is not None:  # they do not fit a model of another size
            model.set_alignment_heads(heads)
    except Exception as error:  # zip, pickle and shape errors of torch, none with a base of its own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{checkpoint}: damaged, or not the Whisper model it is called ({reason[:120]})") from error
    return model
