"""The sound of a media file, in order, as 16 kHz mono on the same media clock as the picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer
from av.error import FFmpegError

from perception.capture.blocks import CHUNK_SAMPLES, SAMPLE_RATE_HZ, AudioBlock, Samples, seconds
from perception.capture.channels import MixChannels
from perception.capture.timestamps import MendedPackets

# A quarter of a second: short enough to report a voice at once, long enough to run the models in batches.
BLOCK_SAMPLES = 8 * CHUNK_SAMPLES
# Containers write stamps to the millisecond and muxers shift them by a fraction of a packet (+-11 ms seen); only a
# larger step is a hole in the sound.
_JITTER_S = 0.06
# A damaged file may fail on every packet; after this many in a row it has broken off.
_PACKETS_LOST_MAX = 2000
# Rows of samples: the mix, the left and the right channel (the mix again where there are no such).
_ROWS = 3


class AudioReader:
    """Decodes the sound of an open container into blocks without a hole between them.

    Sound that begins late, and pauses in the stamps, become silence; sound before media second 0 (priming), and what
    overlaps the sound before it, is dropped; damage is decoded through and marked. After the last block ``reason`` is
    "end" or says in one line what broke, and ``end_s`` is the media time reached.
    """

    def __init__(self, container: InputContainer, stream: Any) -> None:
        self._packets = MendedPackets(container)
        self._stream = stream
        self._tick_s = float(stream.time_base)
        self._from = 0
        self._resampler: AudioResampler | None = None
        self._setup: tuple[str, str, int] = ("", "", 0)
        self._samples_in = self._samples_out = 0
        self._mix = MixChannels(())
        self._sides: tuple[int, int] | None = None
        self.reason = "end"
        self.end_s = 0.0

    @property
    def words(self) -> str:
        """The stream in words, e.g. "aac 16000 Hz stereo (stream 4)"."""
        context = self._stream.codec_context
        channels = {1: "mono", 2: "stereo"}.get(context.channels, f"{context.channels} channels")
        return f"{context.name} {context.sample_rate} Hz {channels} (stream {self._stream.index})"

    def seek(self, t_s: float) -> None:
        """Begin at ``t_s``, rounded down to the grid of chunks. The decoder starts a little earlier to settle."""
        self._from = int(max(0.0, t_s) * SAMPLE_RATE_HZ) // CHUNK_SAMPLES * CHUNK_SAMPLES
        self._packets.seek(max(0.0, t_s - 1.0))

    def __iter__(self) -> Iterator[AudioBlock]:
        waiting: list[Samples] = []
        count, start, lost = 0, self._from, False
        for position, samples, damaged in self._placed():
            skip = min(samples.shape[1], max(0, self._from - position))
            samples = samples[:, skip:]
            if damaged != lost and count:
                yield _block(start, waiting, lost)
                start, waiting, count = start + count, [], 0
            lost = damaged
            waiting.append(samples)
            count += samples.shape[1]
            self.end_s = seconds(start + count)
            while count >= BLOCK_SAMPLES:
                rest = samples.shape[1] - (count - BLOCK_SAMPLES)
                waiting[-1] = samples[:, :rest]
                yield _block(start, waiting, lost)
                samples = samples[:, rest:]
                waiting, start, count = [samples], start + BLOCK_SAMPLES, count - BLOCK_SAMPLES
        if count:
            yield _block(start, waiting, lost)
        if self.reason == "end":
            self.reason = self._packets.how_it_ended(self._stream, self.end_s, "the sound")

    def _placed(self) -> Iterator[tuple[int, Samples, bool]]:
        """Consecutive (position, samples, lost), silence filled in, from no later than where to begin."""
        at: int | None = None  # position after the last sample given out
        overlap = 0  # samples that are still to be dropped
        damaged = False
        for frame in self._decode():
            if frame is None:
                damaged = True
                continue
            stamp_s = None if frame.pts is None else frame.pts * self._tick_s
            if at is None:
                at = 0 if stamp_s is None else round(stamp_s * SAMPLE_RATE_HZ)
                if at > self._from:  # begins late
                    yield from _silence(self._from, at, lost=damaged)
            elif stamp_s is not None:
                # Whole samples already in the resampler belong to the time before this frame.
                ahead_s = stamp_s - (at + self._held() - overlap) / SAMPLE_RATE_HZ
                if ahead_s < -_JITTER_S:
                    overlap += round(-ahead_s * SAMPLE_RATE_HZ)
                elif ahead_s > _JITTER_S:
                    for samples in self._flush():
                        yield at, samples, False
                        at += samples.shape[1]
                    until = round(stamp_s * SAMPLE_RATE_HZ)
                    yield from _silence(at, until, lost=damaged)
                    at = max(at, until)
            damaged = False
            for samples in self._resample(frame):
                dropped = min(overlap, samples.shape[1])
                overlap -= dropped
                yield at, samples[:, dropped:], False
                at += samples.shape[1] - dropped
        if at is not None:
            for samples in self._flush():
                yield at, samples, False
                at += samples.shape[1]

    def _decode(self) -> Iterator[AudioFrame | None]:
        """Frames in order; None for each packet that could not be decoded."""
        packets = self._packets.of(self._stream)
        lost_in_a_row = 0
        while lost_in_a_row <= _PACKETS_LOST_MAX:
            try:
                packet = next(packets)
            except StopIteration:
                if lost_in_a_row:
                    self.reason = f"damaged after {self.end_s:.1f} s"
                return
            except (FFmpegError, OSError) as error:
                self.reason = f"the file broke off: {' '.join(str(error).split())}"
                return
            try:
                frames: Any = packet.decode()
            except (FFmpegError, MemoryError):
                lost_in_a_row += 1
                yield None
                continue
            if frames:
                lost_in_a_row = 0
            yield from frames
        self.reason = "damaged: nothing more can be decoded"

    def _resample(self, frame: AudioFrame) -> Iterator[Samples]:
        """``frame`` as 16 kHz mono; a change of format in mid-stream first flushes what is held."""
        setup = (frame.format.name, frame.layout.name, frame.sample_rate)
        if setup != self._setup:
            yield from self._flush()
            self._setup = setup
        if self._resampler is None:
            # Channels are mixed here and not by the resampler: its float mix adds 3 dB and clips loud stereo.
            self._resampler = AudioResampler(format="fltp", layout=frame.layout, rate=SAMPLE_RATE_HZ)
            names = [channel.name for channel in frame.layout.channels]
            self._mix = MixChannels(names)
            # Recordings of two channels may leave them without names.
            named = {"FL", "FR"} <= set(names)
            pair = (names.index("FL"), names.index("FR")) if named else (0, 1)
            self._sides = pair if named or len(names) == 2 else None
            self._samples_in, self._samples_out = 0, 0
        self._samples_in += frame.samples
        frame.pts = None
        for resampled in self._resampler.resample(frame):
            yield self._mixed(resampled)

    def _flush(self) -> Iterator[Samples]:
        if self._resampler is None:
            return
        for resampled in self._resampler.resample(None):
            yield self._mixed(resampled)
        self._resampler = None

    def _held(self) -> int:
        """Samples of 16 kHz that went into the resampler and have not come out yet."""
        if self._resampler is None:
            return 0
        return round(self._samples_in * SAMPLE_RATE_HZ / self._setup[2]) - self._samples_out

    def _mixed(self, frame: AudioFrame) -> Samples:
        self._samples_out += frame.samples
        planes: Any = frame.planes  # memory of its own; reading it is a third of the cost of to_ndarray()
        channels = np.stack([np.frombuffer(plane, np.float32, frame.samples) for plane in planes])
        if not np.isfinite(channels).all():  # float codecs can hold NaN and infinity
            channels = np.nan_to_num(channels, nan=0.0, posinf=0.0, neginf=0.0)
        mix, channels = self._mix.step(channels)
        left, right = (mix, mix) if self._sides is None else (channels[side] for side in self._sides)
        return np.stack((mix, left, right))


def _block(start: int, parts: list[Samples], lost: bool) -> AudioBlock:
    rows = np.concatenate(parts, axis=1)
    return AudioBlock(start, rows[0], lost, None if np.array_equal(rows[1], rows[2]) else rows[1:])


def _silence(start: int, until: int, lost: bool) -> Iterator[tuple[int, Samples, bool]]:
    while start < until:
        count = min(BLOCK_SAMPLES, until - start)
        yield start, np.zeros((_ROWS, count), np.float32), lost
        start += count
