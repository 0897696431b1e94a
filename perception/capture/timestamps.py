"""The clock of a container: its packets, stamped so that all tracks share one clock that begins at 0 and never jumps.

Recordings are joined end to end (each part starts its clock anew), their 33-bit clocks wrap after 26.5 hours, cameras
set their clock while they record, cutting tools begin below zero. As players do, the time of a part that jumped goes
on where the part before it ended, by the same amount in every track that jumped with it, so that picture and sound
stay together. It is done to packets, before anything is decoded: whoever reads a track of the file finds the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from copy import copy
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

# A step ahead of all tracks by more than this is a fault of the clock. What is broadcast is joined and cut at will, so
# there it is what FFmpeg takes (-dts_delta_threshold); elsewhere a pause in a recording may be long.
_PAUSE_MAX_S, _PAUSE_MAX_BROADCAST_S = 3600.0, 10.0
JOINED_AT_WILL = 0x0200  # AVFMT_TS_DISCONT
# Of one picture every so many seconds (time lapse), a pause is many pictures long.
_PAUSE_PICTURES = 10
# Muxers shift stamps by a fraction of a packet; a track whose decoding stamps run back by more starts anew.
_BACK_S = 0.1
# Stamps of presentation run back and forth, by up to 16 pictures (H.264, A.3.1: MaxDpbFrames).
_BACK_REORDERED_S, _BACK_REORDERED_PICTURES = 1.0, 16
# Stamps of MPEG streams have 33 bits at 90 kHz (ISO/IEC 13818-1, 2.4.3.7): 26.5 hours.
_WRAP_S = 2**33 / 90_000
# Matroska stores stamps of presentation alone; the others FFmpeg makes up, wrongly beside a jump.
_WITHOUT_DECODING_STAMPS = frozenset({"matroska", "webm"})
_WRAPPING = frozenset({"mpegts", "mpeg"})
# Encoders prime a decoder with sound that is not to be heard: 2112 samples of AAC, 312 of Opus, 1105 of MP3.
_PRIMING_S = 0.1
# How far ahead it is looked where the other tracks jump: in a transport stream they lie less than a second apart.
_LOOK_AHEAD_S, _LOOK_AHEAD_PACKETS = 2.0, 2000
# Parts of a recording end together; tracks that jump by amounts further apart do so for reasons of their own.
_TOGETHER_S = 5.0
# Containers round durations by a packet or two; a track that stops this much earlier was cut off.
_CUT_OFF_S = 1.0
# What is held back of a track while seeking, from a keyframe on: 64 MiB are a minute of 8 Mbit/s.
_HELD_BYTES_MAX = 64 << 20


class _Track:
    """Where the stamps of one stream are; all in seconds."""

    __slots__ = (
        "end_s",
        "is_ordered",
        "last_s",
        "longest_s",
        "next_s",
        "picture_s",
        "raw_end_s",
        "shift_s",
        "tick_s",
        "usual_s",
    )

    def __init__(self, stream: Any, shift_s: float, longest_s: float, is_ordered: bool) -> None:
        self.tick_s = float(stream.time_base)
        self.shift_s = shift_s  # media time = stamp + shift
        self.is_ordered = is_ordered  # packets have stamps of decoding
        rate = stream.average_rate if isinstance(stream, VideoStream) else None
        self.picture_s = 1.0 / float(rate) if rate else 0.0
        self.longest_s = max(longest_s, _PAUSE_PICTURES * self.picture_s)  # of what is a pause and no jump
        self.usual_s = min(self.picture_s, 1.0)  # length of a packet that does not tell
        self.last_s: float | None = None  # media time of the newest packet
        self.next_s = 0.0  # and of the one expected after it
        self.end_s = 0.0  # media time at which the last one shown ends
        self.raw_end_s = 0.0  # how far the stamps themselves have reached from the origin

    def stamp_s(self, packet: Packet[Any]) -> float | None:
        stamp = packet.dts if self.is_ordered and packet.dts is not None else packet.pts
        return None if stamp is None or not packet.size else stamp * self.tick_s

    def advance(self, packet: Packet[Any], stamp_s: float, origin_s: float) -> None:
        length_s = (packet.duration or 0) * self.tick_s
        if not 0 < length_s <= self.longest_s:  # before a jump it may span that
            length_s = self.usual_s
        self.usual_s = length_s
        shown_s = stamp_s if packet.pts is None else packet.pts * self.tick_s
        t_s = stamp_s + self.shift_s
        self.end_s = max(self.end_s, shown_s + self.shift_s + length_s)
        self.raw_end_s = max(self.raw_end_s, shown_s - origin_s + length_s)
        if self.is_ordered or self.last_s is None or t_s < self.last_s - self.back_s:
            self.last_s, self.next_s = t_s, t_s + length_s
        else:
            self.last_s, self.next_s = max(self.last_s, t_s), max(self.next_s, t_s + length_s)

    @property
    def back_s(self) -> float:
        """How much earlier than the newest packet the next one may be."""
        return _BACK_S if self.is_ordered else max(_BACK_REORDERED_S, _BACK_REORDERED_PICTURES * self.picture_s)


class MendedPackets:
    """The packets of an open container in its order, on the media clock.

    end_s  media time at which the last of all tracks ends, as far as they were read.
    """

    def __init__(self, container: InputContainer) -> None:
        self._container = container
        self._origin_s = _origin_s(container)
        formats = set(container.format.name.split(","))
        self._wraps = bool(_WRAPPING & formats)
        self._broadcast = bool(container.format.flags & JOINED_AT_WILL)
        longest_s = _PAUSE_MAX_BROADCAST_S if self._broadcast else _PAUSE_MAX_S
        is_ordered = not _WITHOUT_DECODING_STAMPS & formats
        self._tracks = {
            stream.index: _Track(stream, -self._origin_s, longest_s, is_ordered)
            for stream in (*container.streams.video, *container.streams.audio)
            if stream.codec_context is not None
            and stream.time_base is not None
            and not stream.disposition & Disposition.attached_pic
        }
        self._raw = container.demux([container.streams[index] for index in self._tracks])
        self._ahead: deque[Packet[Any]] = deque()
        self._from_s: float | None = None
        self._is_midway = False

    @property
    def end_s(self) -> float:
        return max((track.end_s for track in self._tracks.values()), default=0.0)

    def how_it_ended(self, stream: Any, end_s: float, what: str) -> str:
        """The word "end", or what broke, where a track was decoded up to ``end_s``: it stops well before its packets
        do, or they before the length the container promised."""
        track = self._tracks[stream.index]
        least_s = max(_CUT_OFF_S, 2 * track.picture_s)
        if end_s < track.end_s - least_s:
            return f"{what} cannot be decoded after {end_s:.1f} s of {track.end_s:.1f} s"
        if self._broadcast:  # nothing is promised: its length is guessed by FFmpeg from the stamps
            return "end"
        promised_s, reached_s = _promised_s(stream, track.is_ordered), track.raw_end_s
        if promised_s is None and self._container.duration:
            promised_s = (self._container.duration + (self._container.start_time or 0)) / av.time_base
            reached_s = max(one.raw_end_s for one in self._tracks.values())
        if promised_s is not None and reached_s < promised_s - self._origin_s - least_s:
            return f"{what} breaks off at {end_s:.1f} s of {promised_s - self._origin_s:.1f} s"
        return "end"

    def read_through(self) -> float:
        """Media seconds that the container lasts, found by reading all of it; a GB takes a second."""
        with suppress(FFmpegError, OSError):
            deque(self._mended(), maxlen=0)
        return self.end_s

    def seek(self, t_s: float) -> None:
        """Begin with what is needed to decode from media second ``t_s`` on; call it before anything is read."""
        self._from_s = t_s
        if self._broadcast:
            return  # a stamp may occur in each of several joined parts: read up to the right one
        try:
            self._container.seek(int((t_s + self._origin_s) * av.time_base), backward=True)
        except FFmpegError:  # no index to seek in: read from the beginning
            return
        self._is_midway = True

    def of(self, stream: Any) -> Iterator[Packet[Any]]:
        """Those of one stream, and after its last an empty one that has the decoder give out what it holds.

        Raises:
            FFmpegError, OSError: the file broke off.
        """
        held: list[Packet[Any]] = []
        held_bytes = 0
        for packet in self._mended():
            if packet.stream.index != stream.index:
                continue
            if self._from_s is None:
                yield packet
                continue
            if packet.is_keyframe:
                held.clear()
                held_bytes = 0
            held.append(packet)
            held_bytes += packet.size
            due = not packet.size or (packet.pts is not None and packet.pts * stream.time_base >= self._from_s)
            if due or held_bytes > _HELD_BYTES_MAX:
                self._from_s = None
                yield from held
                held.clear()

    def _mended(self) -> Iterator[Packet[Any]]:
        while (packet := self._ahead.popleft() if self._ahead else next(self._raw, None)) is not None:
            track = self._tracks[packet.stream.index]
            stamp_s = track.stamp_s(packet)
            if stamp_s is not None:
                if self._jumps(self._tracks, track, stamp_s + track.shift_s):
                    if self._is_stray(track, packet):
                        packet.pts = packet.dts = None
                        yield packet
                        continue
                    track.shift_s = self._new_shift_s(track, stamp_s)
                track.advance(packet, stamp_s, self._origin_s)
                ticks = round(track.shift_s / track.tick_s)
                packet.pts = None if packet.pts is None else packet.pts + ticks
                packet.dts = None if packet.dts is None else packet.dts + ticks
            yield packet

    def _upcoming(self) -> Iterator[Packet[Any]]:
        """The packets after the one in hand, as they come, without taking them."""
        yield from tuple(self._ahead)
        while len(self._ahead) < _LOOK_AHEAD_PACKETS:
            try:
                packet = next(self._raw, None)
            except (FFmpegError, OSError):  # it breaks off there for whoever reads on, too
                return
            if packet is None:
                return
            self._ahead.append(packet)
            yield packet

    def _jumps(self, tracks: dict[int, _Track], track: _Track, t_s: float) -> bool:
        """Whether a packet at this media time is not where the clocks of its track and those beside it have come."""
        known = [one.last_s for one in tracks.values() if one.last_s is not None]
        if (known or not self._is_midway) and t_s > max(known, default=0.0) + track.longest_s:
            return True
        return track.last_s is not None and t_s < track.last_s - track.back_s

    def _is_stray(self, track: _Track, packet: Packet[Any]) -> bool:
        """Whether the next packet of the track goes on as if this one's stamp had not been."""
        for later in self._upcoming():
            later_s = track.stamp_s(later) if later.stream.index == packet.stream.index else None
            if later_s is not None:
                return track.last_s is not None and not self._jumps(self._tracks, track, later_s + track.shift_s)
        return False

    def _new_shift_s(self, track: _Track, stamp_s: float) -> float:
        """What is to be added to the stamps of ``track`` from here on, where they jump."""
        for other in self._tracks.values():  # one that jumped before it
            if other is not track and not self._jumps(self._tracks, track, stamp_s + other.shift_s):
                return other.shift_s
        shift_s = track.next_s - stamp_s
        wraps = round((shift_s - track.shift_s) / _WRAP_S) if self._wraps else 0
        if wraps and abs(shift_s - track.shift_s - wraps * _WRAP_S) < _PAUSE_MAX_BROADCAST_S:
            return track.shift_s + wraps * _WRAP_S
        # No track may overlap what came before, so the longest of those that jump together decides for all.
        return max([shift_s, *(one for one in self._shifts_ahead(track, stamp_s) if abs(one - shift_s) < _TOGETHER_S)])

    def _shifts_ahead(self, track: _Track, stamp_s: float) -> Iterator[float]:
        """By how much the other tracks would have to be shifted to go on without a break where they jump next."""
        tracks = {index: copy(one) for index, one in self._tracks.items()}
        waiting = {index for index, one in self._tracks.items() if one is not track and one.last_s is not None}
        upcoming = self._upcoming()
        while waiting and (later := next(upcoming, None)) is not None:
            other = tracks[later.stream.index]
            later_s = other.stamp_s(later)
            if later_s is None:
                continue
            if self._tracks[later.stream.index] is track and later_s - stamp_s > _LOOK_AHEAD_S:
                return
            if later.stream.index not in waiting:
                continue
            if self._jumps(tracks, other, later_s + other.shift_s):
                yield other.next_s - later_s
                waiting.discard(later.stream.index)
            else:
                other.advance(later, later_s, self._origin_s)


def _origin_s(container: InputContainer) -> float:
    """Container time of media second 0, the same for all tracks.

    Recordings cut from a stream start at an arbitrary time, below zero too, which is taken off; only the priming of an
    encoder of sound stays before the origin.
    """
    start_s = (container.start_time or 0) / av.time_base
    if start_s >= 0:
        return start_s
    pictures = [float(s.start_time * s.time_base) for s in container.streams.video if s.start_time and s.time_base]
    return min([0.0 if start_s >= -_PRIMING_S else start_s, *pictures])


def _promised_s(stream: Any, has_duration: bool) -> float | None:
    """Container time at which a stream is said to end; None where that is not said of it alone: for a track of
    Matroska FFmpeg gives the length of the whole."""
    tagged = stream.metadata.get("DURATION", "")  # Matroska writes "00:00:08.041000000" for each stream
    try:
        hours, minutes, seconds = tagged.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        pass
    if has_duration and stream.duration and stream.time_base is not None:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    return None
