"""Draws and speaks the sample clip: a minute of small scenes, each for something the agent perceives.

    python examples/make_sample.py [OUT.mp4]

A title, a room whose red door opens, a street with a sign and a passing car, a night in which nothing moves and
nothing sounds, a bell with a melody, and an end card. The voices are flite's (`apt install flite`), needed only
to make the clip anew; pictures, bell and melody are computed here. The clip it writes is ours to give away.
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT, FPS = 854, 480, 12
RATE_HZ = 16_000
LENGTH_S = 62.0

# When somebody speaks, with which voice, and what.
SPEECH: tuple[tuple[float, str, str], ...] = (
    (1.0, "rms", "Welcome to the house by the river."),
    (8.0, "rms", "The keys are on the kitchen table."),
    (13.0, "rms", "Somebody is opening the red door."),
    (20.5, "rms", "Grandmother has forgotten her umbrella."),
    (26.0, "rms", "The train to London leaves at seven in the evening."),
    (35.0, "rms", "The bread in the bakery is still warm."),
    (56.5, "rms", "My sister will come home on Friday."),
)
DOOR_S = (13.0, 15.0)  # it opens
BALL_S = (16.0, 20.0)  # it rolls through the room
CAR_S = (29.5, 33.5)
NIGHT_S = (40.0, 50.0)  # still and silent
BELL_S = (50.8,)
MELODY_S = 52.5

Colour = tuple[int, int, int]
RED, GREEN, BLUE, YELLOW = (200, 30, 30), (40, 150, 60), (40, 70, 190), (250, 215, 60)
WHITE, BLACK, BROWN, CREAM = (250, 250, 250), (20, 20, 20), (120, 80, 45), (240, 228, 200)


class Canvas:
    """An RGB picture to draw on."""

    def __init__(self, colour: Colour) -> None:
        self.image = Image.new("RGB", (WIDTH, HEIGHT), colour)
        self._draw = ImageDraw.Draw(self.image)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        self._draw.rectangle((x, y, x + width, y + height), fill=colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def shape(self, points: list[tuple[float, float]], colour: Colour) -> None:
        self._draw.polygon(points, fill=colour)

    def text(self, y: float, words: str, size: int, colour: Colour, x: float = WIDTH / 2) -> None:
        """One line, centred on ``x``."""
        self._draw.text((x, y), words, font=ImageFont.load_default(size), fill=colour, anchor="ma")


def title(t_s: float) -> Canvas:
    canvas = Canvas((25, 45, 90))
    canvas.text(150, "THE HOUSE BY THE RIVER", 56, WHITE)
    canvas.text(260, "A short story in six scenes", 34, YELLOW)
    return canvas


def room(t_s: float) -> Canvas:
    canvas = Canvas(CREAM)
    canvas.box(0, 370, WIDTH, 110, (150, 110, 70))  # floor
    canvas.box(90, 80, 190, 140, (150, 200, 235))  # window
    canvas.box(181, 80, 8, 140, WHITE)
    canvas.box(90, 146, 190, 8, WHITE)
    canvas.box(120, 300, 240, 16, BROWN)  # table
    canvas.box(140, 316, 14, 90, BROWN)
    canvas.box(326, 316, 14, 90, BROWN)
    canvas.disc(230, 292, 8, YELLOW)  # keys
    canvas.box(230, 289, 34, 6, YELLOW)
    opened = float(np.clip((t_s - DOOR_S[0]) / (DOOR_S[1] - DOOR_S[0]), 0.0, 1.0))
    canvas.box(560, 70, 190, 330, (90, 60, 40))  # frame
    canvas.box(572, 82, 166, 318, (255, 245, 190))  # evening light behind the door
    hinge, edge = 572.0, 572.0 + 166.0 * (1.0 - 0.82 * opened)
    lean = 26.0 * opened
    canvas.shape([(hinge, 82), (edge, 82 + lean), (edge, 400 + lean / 2), (hinge, 400)], RED)
    canvas.disc(edge - 14 * (1 - 0.6 * opened), 250 + lean / 2, 7, YELLOW)
    if BALL_S[0] <= t_s <= BALL_S[1]:
        share = (t_s - BALL_S[0]) / (BALL_S[1] - BALL_S[0])
        canvas.disc(-40 + share * (WIDTH + 80), 425, 36, GREEN)
    return canvas


def street(t_s: float) -> Canvas:
    canvas = Canvas((175, 210, 235))
    canvas.box(0, 380, WIDTH, 100, (95, 95, 100))  # road
    canvas.box(60, 60, 520, 320, (205, 170, 130))  # bakery
    canvas.box(90, 90, 460, 170, WHITE)  # its sign
    canvas.text(100, "RIVERSIDE BAKERY", 44, BLACK, x=320)
    canvas.text(160, "Open 8 am to 6 pm", 36, BLACK, x=320)
    canvas.text(210, "Phone 555 0192", 36, BLACK, x=320)
    canvas.box(420, 285, 90, 95, BROWN)
    if CAR_S[0] <= t_s <= CAR_S[1]:
        x = -220 + (t_s - CAR_S[0]) / (CAR_S[1] - CAR_S[0]) * (WIDTH + 260)
        canvas.box(x, 350, 210, 56, BLUE)
        canvas.shape([(x + 40, 350), (x + 70, 310), (x + 150, 310), (x + 180, 350)], BLUE)
        canvas.disc(x + 50, 408, 24, BLACK)
        canvas.disc(x + 160, 408, 24, BLACK)
    return canvas


def night(t_s: float) -> Canvas:
    canvas = Canvas((12, 14, 40))
    canvas.disc(640, 120, 50, (235, 235, 210))
    canvas.shape([(0, 480), (0, 380), (260, 260), (520, 390), (854, 320), (854, 480)], (8, 30, 20))
    return canvas


def tower(t_s: float) -> Canvas:
    canvas = Canvas((245, 190, 120))
    canvas.box(340, 60, 175, 420, (150, 140, 135))
    swing = (
        34.0 * float(np.exp(-(t_s - BELL_S[0]) / 1.5) * np.sin(5.0 * (t_s - BELL_S[0]))) if t_s >= BELL_S[0] else 0.0
    )
    x = 427 + swing
    canvas.shape([(x - 16, 130), (x + 16, 130), (x + 52, 235), (x - 52, 235)], (190, 150, 40))
    canvas.disc(x, 243, 13, BROWN)
    return canvas


def end(t_s: float) -> Canvas:
    canvas = Canvas((245, 245, 240))
    canvas.text(140, "THE END", 64, BLACK)
    canvas.text(250, "Written by Anna Fischer", 38, (150, 20, 20))
    return canvas


# (begins at, how it is drawn); the street is cut short by the night, the night by the bell tower.
SCENES: tuple[tuple[float, Callable[[float], Canvas]], ...] = (
    (0.0, title),
    (6.0, room),
    (25.0, street),
    (NIGHT_S[0], night),
    (NIGHT_S[1], tower),
    (56.0, end),
)


def draw(t_s: float) -> np.ndarray:
    """The picture at a moment, uint8 (HEIGHT, WIDTH, 3), red-green-blue, edges smoothed."""
    scene = next(paint for begins_s, paint in reversed(SCENES) if t_s >= begins_s)
    return cv2.GaussianBlur(np.asarray(scene(t_s).image), (3, 3), 0.6)


def speak(voice: str, words: str) -> np.ndarray:
    """The words as float64 samples of 16 kHz."""
    command = ["flite", "-voice", voice, "-t", words, "-o", "/dev/stdout"]
    wav = subprocess.run(command, check=True, capture_output=True).stdout
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
    with av.open(io.BytesIO(wav), "r") as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float64)


def tones(hz: list[float], length_s: float, decay: float) -> np.ndarray:
    t_s = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    sound = sum(np.sin(2 * np.pi * f * t_s) / (i + 1) for i, f in enumerate(hz))
    return np.asarray(sound * np.exp(-decay * t_s) * np.minimum(1.0, t_s * 400))


def sound() -> np.ndarray:
    """The whole track, float64 samples of 16 kHz; between its sounds it is digitally silent."""
    track = np.zeros(round(LENGTH_S * RATE_HZ))

    def mix(t_s: float, samples: np.ndarray, gain: float) -> None:
        start = round(t_s * RATE_HZ)
        part = track[start : start + len(samples)]
        part += gain * samples[: len(part)]

    for t_s, voice, words in SPEECH:
        spoken = speak(voice, words)
        mix(t_s, spoken, 0.5 / float(np.abs(spoken).max()))
    for t_s in BELL_S:  # partials of a church bell: hum, prime, tierce, quint, nominal
        mix(t_s, tones([220.0, 440.0, 523.0, 660.0, 880.0, 1320.0], 1.2, 5.0), 0.35)
    for i, note in enumerate((392.0, 440.0, 494.0, 587.0, 494.0, 440.0)):
        mix(MELODY_S + 0.5 * i, tones([note, 2 * note, 3 * note], 0.5, 1.5), 0.15)
    return track


def write(path: Path) -> None:
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        picture = container.add_stream("libx264", rate=FPS)
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        picture.options = {"crf": "26", "preset": "slow", "g": str(FPS * 5)}
        voice = container.add_stream("aac", rate=RATE_HZ, layout="mono")
        voice.bit_rate = 48_000
        for i in range(round(LENGTH_S * FPS)):
            frame = av.VideoFrame.from_ndarray(draw(i / FPS), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, FPS)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        track = sound().astype(np.float32)
        for start in range(0, len(track), 1024):
            audio = av.AudioFrame.from_ndarray(track[None, start : start + 1024], format="fltp", layout="mono")
            audio.sample_rate, audio.pts, audio.time_base = RATE_HZ, start, Fraction(1, RATE_HZ)
            container.mux(voice.encode(audio))
        container.mux(voice.encode(None))


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("sample.mp4"))
