"""Keeping the footage of a live source: a stream's own packets, put into files as they come, nothing encoded anew.

Where private regions are to be blanked, and of cameras and screens, which give no packets, the pictures that are
attended to are encoded instead, small and a few a second; and of microphones the sound, as it is heard. Each file
begins with a picture that can be decoded by itself. A stage it is not: it writes files; nothing of perception depends
on it, and what fails here costs footage only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.audio.frame import AudioFrame
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame

from perception.capture.blank_footage import BlankFootage
from perception.capture.blocks import CHUNK_S, SAMPLE_RATE_HZ, AudioBlock
from perception.capture.file_video import Picture
from runtime.footage import close_abandoned, erase, folder_of, note_blanked, note_keeping, segment_name, trim
from runtime.messages import Keeping, TimeWindow
from runtime.sources import LiveSource, Rect

# A file: long enough to cost little, short enough that forgetting a moment takes little else along.
SEGMENT_S = 10.0
# What is encoded here.
ENCODED_HZ, ENCODED_PX = 5.0, 640
SOUND_BITS_PER_S = 24_000  # of Opus: a quarter of a MiB a minute
_CLOCK_HZ = 1000
_OPTIONS = {"preset": "ultrafast", "tune": "zerolatency", "crf": "28"}


class FootageKeeper:
    """Writes the footage of one source. Its methods may be called from any thread; each returns at once.

    root  the folder of all footage; None keeps none.
    mask  private regions: with any, a stream's own packets are not kept.
    now   gives media seconds.
    """

    def __init__(
        self,
        root: Path | None,
        source: LiveSource,
        keeping: Keeping,
        mask: Sequence[Rect],
        now: Callable[[], float],
        log: Any,
    ) -> None:
        self._root = root
        self._source = source.source
        self._label = source.label
        self._is_stream = source.kind == "stream"
        self._takes_packets = self._is_stream and not mask
        self._keeping = keeping
        self._now = now
        self._log = log
        self._lock = threading.Lock()
        self._file: _File | None = None
        # Nothing that began up to then is kept: it was forgotten while it was being seen.
        self._not_before_s = -1.0
        self._failed = ""
        self._blanking = BlankFootage(root, source.label, self._lock, log) if root is not None else None
        if root is not None:
            close_abandoned(root, source.source)
            if keeping.bytes or root.is_dir():
                with suppress(OSError):  # without room for this there is none for footage
                    note_keeping(root, source.source, keeping)
            trim(root, source.label, keeping, time.time())
            self._blank(mask)

    def _blank(self, mask: Sequence[Rect]) -> None:
        """Have what is kept already be black there; what is to come is from its begin."""
        if self._root is None or self._blanking is None or not mask or not self._root.is_dir():
            return
        own = folder_of(self._root, self._source)
        if not any(own.glob("*.mkv")):
            with suppress(OSError):
                note_blanked(own, mask)
        self._blanking.want(mask)

    def packet(self, packet: Packet[Any], streams: list[Any], stamp_s: float | None, t_s: float) -> None:
        """Keep a packet of a connection with these streams: its time stamp by the sender's clock, which all of them
        share (None where there is none), and media time of that."""
        with self._lock:
            if self._takes_packets:
                self._guarded(self._keep_packet, packet, streams, stamp_s, t_s)

    def picture(self, picture: Picture) -> None:
        """Keep a picture, private regions black; those that come too soon after the one before are let go."""
        with self._lock:
            if not self._takes_packets:
                self._guarded(self._keep_picture, picture)

    def sound(self, block: AudioBlock) -> None:
        """Keep what a microphone heard; blocks follow each other without a hole, or a new file begins."""
        with self._lock:
            self._guarded(self._keep_sound, block)

    def set_mask(self, mask: Sequence[Rect]) -> None:
        """Have other regions be private: what is being written shows them, and goes."""
        with self._lock:
            self._takes_packets = self._is_stream and not mask
            self._abandon(self._now())
        self._blank(mask)

    def discard(self, since_s: float, until_s: float | None = None) -> None:
        """Delete what is being written, if it touches ``since_s`` or later; begin again after ``until_s``."""
        with self._lock:
            until_s = self._now() if until_s is None else until_s
            if self._file is None or (self._file.t1_s >= since_s and self._file.t0_s <= until_s):
                self._abandon(until_s)

    def _abandon(self, until_s: float) -> None:
        """Delete what is being written, and begin again after ``until_s``."""
        self._not_before_s = max(self._not_before_s, until_s)
        if self._file is not None:
            self._file.abandon()
            self._file = None

    def forget(self, windows: tuple[TimeWindow, ...]) -> None:
        """Let go of what is being written and was forgotten. The finished files are memory's to erase; but one that
        was just blanked may have taken the place of an erased one."""
        own = [window for window in windows if window.source == self._source]
        if own and self._root is not None:
            with self._lock:
                erase(self._root, own)
            self.discard(min(window.t0_s for window in own), max(window.t1_s for window in own))

    def close(self) -> None:
        """Finish the file: the source is over, away, or sends something else from now on."""
        with self._lock:
            self._guarded(self._finish)

    def _guarded(self, work: Callable[..., None], *args: Any) -> None:
        """``work``; what goes wrong is logged once, and begins a new file."""
        if self._root is None or not self._keeping.bytes:
            return
        try:
            work(*args)
        except (FFmpegError, OSError, ValueError) as error:
            if str(error) != self._failed:
                self._failed = str(error)
                self._log.warning("footage of %s cannot be kept: %s", self._label, error)
            if self._file is not None:
                self._file.abandon()
                self._file = None

    def _keep_packet(self, packet: Packet[Any], streams: list[Any], stamp_s: float | None, t_s: float) -> None:
        begins = packet.stream.type == "video" and packet.is_keyframe
        if self._file is not None and (
            self._file.streams is not streams or (begins and t_s - self._file.t0_s >= SEGMENT_S)
        ):  # another connection has another clock
            self._finish()
        if self._file is None:
            if not begins or t_s <= self._not_before_s:
                return
            # A picture is shown later than it is decoded where others refer to it.
            ahead_s = 0.0
            if packet.pts is not None and packet.dts is not None and packet.time_base is not None:
                ahead_s = max(0.0, float((packet.pts - packet.dts) * packet.time_base))
            base_s = None if stamp_s is None else stamp_s + ahead_s
            self._file = _File(self._new_path(t_s + ahead_s), t_s + ahead_s, streams, base_s)
        if not self._file.packet(packet, t_s):
            self._finish()

    def _keep_picture(self, picture: Picture) -> None:
        t_s = picture.t_s
        if self._file is not None and (not self._file.encodes or t_s - self._file.t0_s >= SEGMENT_S):
            self._finish()
        if self._file is None:
            if t_s <= self._not_before_s:
                return
            self._file = _File(self._new_path(t_s), t_s)
        if self._file.is_due(t_s):
            self._file.picture(picture.bgr(), t_s)

    def _keep_sound(self, block: AudioBlock) -> None:
        file = self._file
        if file is not None and (abs(block.t0_s - file.t1_s) > CHUNK_S or block.t0_s - file.t0_s >= SEGMENT_S):
            self._finish()
        if self._file is None:
            if block.t0_s <= self._not_before_s:
                return
            self._file = _File(self._new_path(block.t0_s), block.t0_s)
        self._file.sound(block)

    def _new_path(self, t_s: float) -> Path:
        assert self._root is not None
        folder = folder_of(self._root, self._source)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / segment_name(t_s, None)

    def _finish(self) -> None:
        if self._file is None:
            return
        file, self._file = self._file, None
        file.finish()
        assert self._root is not None
        trim(self._root, self._label, self._keeping, time.time())


class _File:
    """One file being written, from media second ``t0_s`` on, which is its own second 0 and ``base_s`` by the sender's
    clock."""

    def __init__(self, path: Path, t0_s: float, streams: list[Any] | None = None, base_s: float | None = None) -> None:
        self._path = path
        self.t0_s = self.t1_s = t0_s
        self.streams = streams
        self.encodes = streams is None
        self._out = av.open(str(path), "w", format="matroska")
        self._streams: dict[int, Any] = {}
        self._base_s = base_s
        self._last: dict[int, int] = {}
        self._encoder: Any = None
        self._shown_s = -1.0
        for stream in streams or ():
            self._streams[stream.index] = self._out.add_stream_from_template(stream)

    def packet(self, packet: Packet[Any], t_s: float) -> bool:
        """Take a packet; whether the file can go on, which it cannot where the sender's clock jumped."""
        stream, index = self._streams.get(packet.stream.index), packet.stream.index
        if stream is None or not packet.size or packet.time_base is None:
            return True
        tick_s = float(packet.time_base)
        stamp = packet.dts if packet.dts is not None else packet.pts
        if self._base_s is None or stamp is None:
            dts = pts = round((t_s - self.t0_s) / tick_s)
        else:
            off = round(self._base_s / tick_s)
            dts, pts = stamp - off, (stamp if packet.pts is None else packet.pts) - off
        last = self._last.get(index)
        if last is None and packet.stream.type == "audio" and dts < 0:
            return True  # sound of before the first picture
        if last is not None and (dts < last - 1.0 / tick_s or dts > last + SEGMENT_S / tick_s):
            return False
        if last is not None and dts <= last:
            pts, dts = pts + last + 1 - dts, last + 1
        self._last[index] = dts
        kept = Packet(bytes(packet))
        kept.is_keyframe, kept.time_base = packet.is_keyframe, packet.time_base
        kept.pts, kept.dts, kept.stream = pts, dts, stream
        self._out.mux(kept)
        self.t1_s = max(self.t1_s, t_s)
        return True

    def is_due(self, t_s: float) -> bool:
        return t_s - self._shown_s >= 1 / ENCODED_HZ - 0.01

    def picture(self, bgr: np.ndarray, t_s: float) -> None:
        self._shown_s = t_s
        scale = min(1.0, ENCODED_PX / max(bgr.shape[:2]))
        size = (max(2, round(bgr.shape[1] * scale) // 2 * 2), max(2, round(bgr.shape[0] * scale) // 2 * 2))
        small = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
        if self._encoder is None:
            self._encoder = self._out.add_stream("libx264", rate=round(ENCODED_HZ), options=_OPTIONS)
            self._encoder.width, self._encoder.height, self._encoder.pix_fmt = *size, "yuv420p"
            self._encoder.codec_context.time_base = Fraction(1, _CLOCK_HZ)
            self._encoder.codec_context.thread_count = 1
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(small, np.uint8), format="bgr24").reformat(
            format="yuv420p"
        )
        frame.pts, frame.time_base = round((t_s - self.t0_s) * _CLOCK_HZ), Fraction(1, _CLOCK_HZ)
        self._out.mux(self._encoder.encode(frame))
        self.t1_s = t_s

    def sound(self, block: AudioBlock) -> None:
        if self._encoder is None:
            self._encoder = self._out.add_stream("libopus", rate=SAMPLE_RATE_HZ, layout="mono")
            self._encoder.bit_rate = SOUND_BITS_PER_S
        frame = AudioFrame.from_ndarray(np.clip(block.samples, -1.0, 1.0)[None], format="flt", layout="mono")
        frame.sample_rate, frame.time_base = SAMPLE_RATE_HZ, Fraction(1, SAMPLE_RATE_HZ)
        frame.pts = round((block.t0_s - self.t0_s) * SAMPLE_RATE_HZ)
        self._out.mux(self._encoder.encode(frame))
        self.t1_s = block.t1_s

    def finish(self) -> None:
        """Close it and give it its name; where it was erased meanwhile nothing is left."""
        with suppress(FFmpegError, OSError):
            if self._encoder is not None:
                self._out.mux(self._encoder.encode(None))
            self._out.close()
        with suppress(FileNotFoundError):
            self._path.rename(self._path.with_name(segment_name(self.t0_s, self.t1_s)))

    def abandon(self) -> None:
        self._path.unlink(missing_ok=True)
        with suppress(FFmpegError, OSError):
            self._out.close()
        self._path.unlink(missing_ok=True)
