"""Media made for measuring speed: the same on every machine, as long as their sources are the same.

All are H.264 with an AAC track in one MP4 file, so that pictures and sound are both decoded.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.float32]

FPS = 25
SAMPLE_RATE_HZ = 16_000
_BLOCK_SAMPLES = 1024


def make_still(path: Path, duration_s: float, width: int = 1280, height: int = 720) -> None:
    """One picture with a line of text, digitally silent, for ``duration_s``."""
    picture = _backdrop(width, height)
    cv2.putText(picture, "NOTHING MOVES HERE", (width // 6, height // 2), cv2.FONT_HERSHEY_SIMPLEX, 2, (255,) * 3, 4)
    silence = np.zeros(round(duration_s * SAMPLE_RATE_HZ))
    _write(path, (width, height), itertools.repeat(picture, round(duration_s * FPS)), silence)


def make_moving(path: Path, duration_s: float, width: int = 1280, height: int = 720) -> None:
    """Discs and a box that move and turn back at the edges, a cut each 20 s, the hiss of an empty room."""
    hiss = np.random.default_rng(1).normal(0.0, 0.002, round(duration_s * SAMPLE_RATE_HZ))
    _write(path, (width, height), _moving(duration_s, width, height), hiss)


def make_talking(path: Path, speech: Sequence[Path], duration_s: float, width: int = 854, height: int = 480) -> None:
    """Recordings of speech end to end, over and over up to ``duration_s``, each at most 20 s, before a moving scene."""
    pieces = [piece for piece in (_sound(file, 20.0) for file in speech) if piece.size]
    if not pieces:
        raise ValueError("no speech could be decoded")
    length = round(duration_s * SAMPLE_RATE_HZ)
    talk = np.concatenate(pieces)
    _write(path, (width, height), _moving(duration_s, width, height), np.resize(talk, length))


def _backdrop(width: int, height: int) -> Picture:
    across = np.linspace(40, 200, width)[None, :]
    down = np.linspace(0, 50, height)[:, None]
    return np.stack([across - down / 2, across / 2 + down, 150 - down + 0 * across], axis=-1).astype(np.uint8)


def _moving(duration_s: float, width: int, height: int) -> Iterator[Picture]:
    backdrops = [np.roll(_backdrop(width, height), shift, axis=2) for shift in range(3)]
    for index in range(round(duration_s * FPS)):
        t_s = index / FPS
        picture = backdrops[int(t_s // 20) % 3].copy()
        for disc in range(4):
            x = _bounce(t_s * (60 + 35 * disc) + 200 * disc, width)
            y = _bounce(t_s * (45 + 20 * disc) + 90 * disc, height)
            cv2.circle(picture, (x, y), height // 12, ((60 * disc) % 256, 220 - 40 * disc, 90 + 40 * disc), -1)
        x = _bounce(t_s * 80, width - height // 4)
        cv2.rectangle(picture, (x, height // 2), (x + height // 8, height // 2 + height // 3), (20, 30, 160), -1)
        yield picture


def _bounce(travelled: float, size: int) -> int:
    """Position of something that turns back at 0 and ``size``."""
    return int(abs((travelled + size) % (2 * size) - size))


def _sound(path: Path, limit_s: float) -> Samples:
    """The first seconds of a recording, 16 kHz mono; empty if it holds no sound."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
    blocks: list[Samples] = []
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(audio=0):
                blocks += [block.to_ndarray().ravel().astype(np.float32) for block in resampler.resample(frame)]
                if sum(block.size for block in blocks) >= limit_s * SAMPLE_RATE_HZ:
                    break
    except (av.FFmpegError, IndexError):
        return np.zeros(0, np.float32)
    return np.concatenate(blocks)[: round(limit_s * SAMPLE_RATE_HZ)] if blocks else np.zeros(0, np.float32)


def _write(path: Path, size: tuple[int, int], pictures: Iterable[Picture], sound: npt.NDArray[np.floating]) -> None:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "superfast", "threads": "2"})
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        heard = 0
        for index, picture in enumerate(pictures, 1):
            planes: Picture = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420).astype(np.uint8, copy=False)
            container.mux(video.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
            # Sound goes along with the pictures, as in any real file.
            while heard < min(sound.size, index * SAMPLE_RATE_HZ // FPS):
                block = sound[heard : heard + _BLOCK_SAMPLES].astype(np.float32)[None, :]
                piece = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
                piece.sample_rate = SAMPLE_RATE_HZ
                piece.pts = heard
                heard += block.size
                container.mux(audio.encode(piece))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
