"""What is being said and is in no memory yet: looked at at once, and cited when memory has the utterance."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from runtime.messages import Notice, Observation, PartialTranscript, SpeechFacts, SpeechStarted

# Utterances that began and wait to be looked at; how far the stored one may begin from what was told.
KEPT = 32
SAME_UTTERANCE_S = 1.5


class BeingSaid:
    """Speech that goes on, as observations without an id, and the notices that rest on it."""

    def __init__(self) -> None:
        self._begun: deque[Observation] = deque(maxlen=KEPT)
        self._awaited: dict[tuple[str, str], Notice] = {}

    def hear(self, voice: SpeechStarted) -> None:
        """Somebody began to speak."""
        known_s = max(voice.known_s, voice.t_s)
        self._begun.append(_speech(voice.source, voice.t_s, voice.t_s, known_s, ""))

    def follow(self, partial: PartialTranscript) -> None:
        """What is understood of an utterance that goes on, but for its last word: that is often cut off."""
        text = " ".join(partial.text.split()[:-1])
        if text and not partial.over:
            self._begun.append(_speech(partial.source, partial.t0_s, partial.t_s, partial.t_s, text))

    def take(self) -> Iterator[Observation]:
        """What has not been looked at, oldest first."""
        while self._begun:
            yield self._begun.popleft()

    def forget(self) -> None:
        """Nothing of it is to be told any more."""
        self._begun.clear()
        self._awaited.clear()

    def told(self, notice: Notice) -> None:
        """The notice waits for its utterance to be in memory."""
        self._awaited[notice.query, notice.citation.source] = notice

    def found(self, o: Observation) -> list[Notice]:
        """Notices that waited for this observation."""
        if o.channel != "speech":
            return []
        same = [
            key
            for key, notice in self._awaited.items()
            if key[1] == o.source and o.t0_s - SAME_UTTERANCE_S <= notice.citation.t0_s <= o.t1_s + SAME_UTTERANCE_S
        ]
        return [self._awaited.pop(key) for key in same]


def _speech(source: str, t0_s: float, t1_s: float, known_s: float, text: str) -> Observation:
    return Observation(
        id="", source=source, channel="speech", t0_s=t0_s, t1_s=t1_s, text=text, data=SpeechFacts(known_s=known_s)
    )
