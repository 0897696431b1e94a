"""All tracks of a recording that are its own sound, heard at once: recorders write a microphone on its own track."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import numpy as np
from av.container import InputContainer

from perception.capture.blocks import SAMPLE_RATE_HZ, AudioBlock, Samples
from perception.capture.channels import MixChannels
from perception.capture.file import FOR_OTHERS, audio_stream, open_container
from perception.capture.file_audio import AudioReader
from runtime.errors import NoSoundError

# Tracks whose first seconds agree so far, at a delay of up to a tenth of a second, are renditions of one sound.
COMPARED_S, SAME = 30.0, 0.8
_DELAY_SAMPLES = SAMPLE_RATE_HZ // 10
# What programs write where they know no language.
_UNTOLD = frozenset({"", "und", "mul", "zxx"})


class SoundReader(Protocol):
    """Blocks of sound without a hole between them; see `AudioReader`."""

    reason: str
    end_s: float

    @property
    def words(self) -> str:
        """What is heard, for the log."""

    def seek(self, t_s: float) -> None: ...

    def __iter__(self) -> Iterator[AudioBlock]: ...


@contextmanager
def open_sound(path: str | os.PathLike[str]) -> Iterator[SoundReader]:
    """The sound of a file, all its tracks at once that are not another's language or commentary.

    Raises:
        MediaError: it cannot be opened.
        NoSoundError: it has no sound that can be decoded.
    """
    with ExitStack() as stack:
        container = stack.enter_context(open_container(path))
        streams = own_tracks(container)
        if not streams:
            raise NoSoundError("no decoder for its sound" if container.streams.audio else "no audio track")
        readers = [AudioReader(container, streams[0])]
        heard = _begin_of(path, streams[0].index) if len(streams) > 1 else None
        for stream in streams[1:]:
            if heard is not None and _is_same(heard, _begin_of(path, stream.index)):
                continue
            again = stack.enter_context(open_container(path))  # each is read at its own pace
            readers.append(AudioReader(again, again.streams[stream.index]))
        yield readers[0] if len(readers) == 1 else MixedTracks(readers)


def own_tracks(container: InputContainer) -> list[Any]:
    """`audio_stream` and the tracks beside it: a dub has another language, commentary and descriptions are marked."""
    first = audio_stream(container)
    if first is None:
        return []
    language = _language(first)
    beside = [
        stream
        for stream in container.streams.audio
        if stream is not first
        and stream.codec_context is not None
        and not stream.disposition & FOR_OTHERS
        and _language(stream) == language
    ]
    return [first, *beside]


def _begin_of(path: str | os.PathLike[str], index: int) -> Samples:
    """The first half minute of a track."""
    with open_container(path) as container:
        blocks = itertools.takewhile(
            lambda block: block.t0_s < COMPARED_S, AudioReader(container, container.streams[index])
        )
        return np.concatenate([np.zeros(0, np.float32), *(block.samples for block in blocks)])


def _is_same(one: Samples, other: Samples) -> bool:
    """Whether two tracks are one sound, coded twice: each alone is as good, and both together ring. Of silence that is
    not known: who speaks on one of them later must be heard."""
    energy = float(np.sqrt(np.sum(one * one, dtype=np.float64) * np.sum(other * other, dtype=np.float64)))
    if energy <= 0.0:
        return False
    size = 1 << (len(one) + len(other)).bit_length()
    agreement = np.fft.irfft(np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size)), size)
    near = np.concatenate((agreement[-_DELAY_SAMPLES:], agreement[: _DELAY_SAMPLES + 1]))
    return float(near.max()) >= SAME * energy


def _language(stream: Any) -> str:
    told = str(stream.metadata.get("language", "")).lower()
    return "" if told in _UNTOLD else told


class MixedTracks:
    """Several tracks of one recording as one sound, mixed as channels are: a silent one takes nothing from the other.

    Of two, each is a side of the blocks, so that who speaks on both at once is heard twice.
    """

    def __init__(self, readers: Sequence[AudioReader]) -> None:
        self._readers = readers
        self._mix = MixChannels(["FC"] * len(readers))
        self.reason = "end"
        self.end_s = 0.0

    @property
    def words(self) -> str:
        return " and ".join(reader.words for reader in self._readers)

    def seek(self, t_s: float) -> None:
        for reader in self._readers:
            reader.seek(t_s)

    def __iter__(self) -> Iterator[AudioBlock]:
        tracks = [iter(reader) for reader in self._readers]
        ahead = [next(track, None) for track in tracks]
        while starts := [block.start for block in ahead if block is not None]:
            start = min(starts)
            # Up to where the first of them changes: it ends, or another begins.
            until = min(
                block.start if block.start > start else block.start + len(block.samples)
                for block in ahead
                if block is not None
            )
            rows = np.zeros((len(ahead), until - start), np.float32)
            heard = [block is not None and block.start <= start and not block.lost for block in ahead]
            for n, block in enumerate(ahead):
                if block is None or block.start > start:
                    continue
                rows[n] = block.samples[: until - start]
                rest = block.samples[until - start :]
                ahead[n] = AudioBlock(until, rest, block.lost) if len(rest) else next(tracks[n], None)
            mix, rows = self._mix.step(rows)
            self.end_s = max(self.end_s, AudioBlock(start, mix).t1_s)
            yield AudioBlock(start, mix, not any(heard), rows if len(rows) == 2 else None)
        self.reason = next((reader.reason for reader in self._readers if reader.reason != "end"), "end")
