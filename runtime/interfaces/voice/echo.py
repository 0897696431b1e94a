"""Telling the agent's own voice from somebody else's, by when it speaks and by what it says.

Without echo cancellation a microphone hears the loudspeaker. A voice that starts where our own sound began after a
pause is ours; words that are those being spoken are ours. Anything else is somebody who talks to us, or over us.
"""

from __future__ import annotations

import re
from collections import deque

from msgspec import Struct

# From the loudspeaker's start to the voice activity model's: the sound card's buffers, the room, 100 ms of detection.
_EARLIEST_S = -0.05
_LATEST_S = 0.7
# What was spoken this long ago may still be being transcribed.
_REMEMBERED_S = 30.0
# Of the words heard, this share is among those spoken at that time: with one word in four misheard, an echo has .75.
_SAME_SHARE = 0.6


class Spoken(Struct, frozen=True):
    """A sentence that was played, from ``t0_s`` on. ``starts_s``: where sound begins in it after silence."""

    text: str
    t0_s: float
    t1_s: float
    starts_s: tuple[float, ...]


class EchoGate:
    """Knows what was spoken when; times are seconds of one clock."""

    def __init__(self) -> None:
        self._spoken: deque[Spoken] = deque(maxlen=64)

    def play(self, spoken: Spoken) -> None:
        """This sentence begins to sound."""
        self._spoken.append(spoken)
        while self._spoken and self._spoken[0].t1_s < spoken.t0_s - _REMEMBERED_S:
            self._spoken.popleft()

    def stopped(self, now_s: float) -> None:
        """The sound was cut off."""
        if self._spoken and self._spoken[-1].t1_s > now_s:
            last = self._spoken.pop()
            self._spoken.append(Spoken(last.text, last.t0_s, now_s, tuple(s for s in last.starts_s if s <= now_s)))

    def starts_voice(self, t_s: float) -> bool:
        """Whether a voice that starts at ``t_s`` is our own."""
        return any(_EARLIEST_S <= t_s - start_s <= _LATEST_S for spoken in self._spoken for start_s in spoken.starts_s)

    def says(self, text: str, t0_s: float, t1_s: float) -> bool:
        """Whether these words, heard from ``t0_s`` to ``t1_s``, are what we said then."""
        ours: set[str] = set()
        for spoken in self._spoken:
            if spoken.t0_s - _LATEST_S < t1_s and t0_s < spoken.t1_s + _LATEST_S:
                ours.update(_words(spoken.text))
        heard = _words(text)
        return bool(ours) and sum(word in ours for word in heard) >= _SAME_SHARE * max(1, len(heard))


def _words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())
