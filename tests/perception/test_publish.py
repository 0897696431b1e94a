"""What was heard is told in order, also at the end, when the recogniser has not finished."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any, cast

import anyio
import numpy as np
import pytest

from perception.audio.vad import Utterance
from perception.speech import publish as heard
from perception.speech.publish import COUNTED, AudioPublisher
from perception.speech.recogniser import Recogniser
from perception.speech.transcript import Transcript
from runtime.config import Config
from runtime.messages import Message, Observation, Progress, SpeechFacts
from runtime.service import Service

pytestmark = pytest.mark.anyio


class Told:
    """The part of Service that telling uses."""

    def __init__(self) -> None:
        self.config = Config()
        self.outbox = self
        self.sent: list[Message] = []
        self.dropped: list[str] = []

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    def publish(self, topic: str, message: Message) -> None: ...

    def progressed(self) -> None: ...

    def may_take(self, limit_s: float) -> AbstractContextManager[None]:
        return nullcontext()

    def report(self, **_: Any) -> None: ...

    def drop(self, what: str) -> None:
        self.dropped.append(what)


class Endless(Recogniser):
    """A recogniser that never comes to an end."""

    loaded = free = True

    def __init__(self) -> None:
        super().__init__("endless", None)

    async def transcribe(self, *_: Any, **__: Any) -> Transcript:
        await anyio.sleep_forever()
        raise AssertionError


def said(t0_s: float, t1_s: float) -> Utterance:
    return Utterance(t0_s, t1_s, np.zeros(512, np.float32), np.ones(1, np.float32))


async def test_what_a_live_source_said_last_goes_without_its_words_rather_than_not_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heard, "_LAST_WORDS_S", 0.05)
    service = Told()
    teller = AudioPublisher(cast(Service, service), "mic", Endless(), 0.0, dict.fromkeys(COUNTED, 0.0), waits=False)
    hearing = SimpleNamespace(open_s=4.0, foreseen=lambda: None, so_far=lambda: said(4.0, 5.5))
    with anyio.fail_after(20):
        async with teller.telling():
            await teller.take(said(1.0, 2.0), 2.5)
            await teller.send(Progress(source="mic", track="audio", t_s=2.0))
            teller.follow(cast(Any, hearing), 5.5)  # a hypothesis of it never comes either
    speech, progress = service.sent
    assert isinstance(speech, Observation)
    assert (speech.channel, speech.t0_s, speech.text) == ("speech", 1.0, "")
    assert (speech.facts(SpeechFacts).understood, speech.facts(SpeechFacts).unheard) == (False, "stopped")
    assert isinstance(progress, Progress)
    assert service.dropped == ["speech:stopped meanwhile"]


async def test_what_finds_the_recogniser_busy_is_told_as_not_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heard, "_LAST_WORDS_S", 0.05)
    monkeypatch.setattr(heard, "_UTTERANCES_AHEAD", 0)
    service = Told()
    teller = AudioPublisher(cast(Service, service), "mic", Endless(), 0.0, dict.fromkeys(COUNTED, 0.0), waits=False)
    with anyio.fail_after(20):
        async with teller.telling():
            await teller.take(said(1.0, 2.0), 2.5)
    (speech,) = service.sent
    assert isinstance(speech, Observation)
    assert (speech.text, speech.facts(SpeechFacts).unheard) == ("", "busy")
    assert service.dropped == ["speech:recogniser busy"]
