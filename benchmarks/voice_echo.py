"""Part of `benchmarks.voice`: who speaks over the agent beside its loudspeaker, heard with and without its echo.

The sound alone, faster than it sounds: answers of four sentences, spoken by Piper, played into a room and mixed into a
microphone with somebody who speaks over them, then the canceller, Silero and the gate that knows the own voice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.voice_devices import HISS, SAMPLE_RATE_HZ, Samples, in_room, resampled
from perception.audio.echo import CancelEcho, WebRtcCanceller
from perception.audio.pipeline import Hearing
from perception.audio.vad import VoiceStart, load_silero
from perception.capture.blocks import CHUNK_SAMPLES, AudioBlock
from runtime.config import HearingConfig
from runtime.interfaces.voice.echo import EchoGate, Spoken
from runtime.interfaces.voice.synthesis import Speech, sound_starts_s

ANSWERS, SENTENCES = 10, 4
GAINS = (0.1, 0.3)  # of the echo: ten times quieter, and a loud loudspeaker near the microphone
BEGIN_S, PAUSE_S, END_S = 1.0, 0.15, 2.0
# Nobody speaks over what the room is still learned from; whoever is noticed later than this was not.
OVER_FROM_S, NOTICED_S = 4.5, 3.0
LOUD = 0.02


class Scene:
    """One answer, and who speaks over it at ``over_s``, if anybody."""

    def __init__(
        self, answer: Sequence[Speech], over: Samples | None, gain: float, random: np.random.Generator
    ) -> None:
        self.gate = EchoGate()
        self.played: list[tuple[int, Samples]] = []
        t_s = BEGIN_S
        for speech in answer:
            samples = resampled(speech)
            self.played.append((round(t_s * SAMPLE_RATE_HZ), samples))
            end_s = t_s + len(samples) / SAMPLE_RATE_HZ
            self.gate.play(Spoken("", t_s, end_s, tuple(t_s + start_s for start_s in sound_starts_s(speech))))
            t_s = end_s + PAUSE_S
        self.heard = random.normal(0.0, HISS, round((t_s + END_S) * SAMPLE_RATE_HZ)).astype(np.float32)
        for begun, samples in self.played:
            self._mix(gain * in_room(samples), begun)
        self.over_s = float("inf")
        if over is not None:
            begun = round(random.uniform(OVER_FROM_S, t_s - 2.0) * SAMPLE_RATE_HZ)
            self._mix(over, begun)
            self.over_s = (begun + int(np.flatnonzero(np.abs(over) > LOUD)[0])) / SAMPLE_RATE_HZ

    def _mix(self, samples: Samples, begun: int) -> None:
        room = len(self.heard) - begun
        self.heard[begun : begun + len(samples)] += samples[:room]

    def starts(self, cancels: bool) -> tuple[int, float | None]:
        """How often the own voice seemed somebody's, and after how long who spoke over it was noticed."""
        hearing, echo = Hearing(HearingConfig(), load_silero()), CancelEcho(WebRtcCanceller()) if cancels else None
        for begun, samples in self.played if echo is not None else ():
            assert echo is not None
            echo.play(begun, samples)
        own, noticed_s = 0, None
        for at in range(0, len(self.heard), CHUNK_SAMPLES):
            block = AudioBlock(at, self.heard[at : at + CHUNK_SAMPLES])
            for left in [block] if echo is None else echo.step(block):
                for event in hearing.step(left):
                    if isinstance(event, VoiceStart) and not self.gate.starts_voice(event.t_s):
                        own += left.t1_s < self.over_s
                        if left.t1_s >= self.over_s and noticed_s is None:
                            noticed_s = left.t1_s - self.over_s
        return own, noticed_s


def measure_echo(sentences: Sequence[Speech], over: Sequence[Samples]) -> dict[str, Any]:
    """Figures by how loud the echo is: own_starts, answers in which the own voice seemed somebody's; noticed, of
    ANSWERS people who spoke over it, and how long that took (median s); each with the canceller, and "plain" without.
    """
    figures: dict[str, Any] = {}
    for gain in GAINS:
        random = np.random.default_rng(8)
        for named, cancels in (("", True), ("_plain", False)):
            own, took = 0, []
            for _ in range(ANSWERS):
                answer = [sentences[i] for i in random.permutation(len(sentences))[:SENTENCES]]
                own += Scene(answer, None, gain, random).starts(cancels)[0] > 0
                scene = Scene(answer, over[int(random.integers(len(over)))], gain, random)
                noticed_s = scene.starts(cancels)[1]
                took += [noticed_s] if noticed_s is not None and noticed_s <= NOTICED_S else []
            part = figures.setdefault(f"echo_{gain}", {})
            part |= {f"own_starts{named}": own, f"noticed{named}": len(took)}
            if took:
                part[f"noticed{named}_s"] = round(float(np.median(took)), 3)
    return figures
