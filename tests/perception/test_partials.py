"""What is being said: told while it is said, withdrawn when it is known, never in anybody's way."""

from __future__ import annotations

import itertools
from typing import cast

import anyio
import numpy as np
import pytest

from perception.audio.pipeline import Hearing
from perception.audio.vad import Probabilities, Utterance
from perception.speech.language import NOTHING_KNOWN, Spoken
from perception.speech.partials import Partials
from perception.speech.recogniser import Recogniser
from perception.speech.transcript import NO_VOICE_KNOWN, Transcript, Word
from runtime.messages import Message, PartialTranscript
from runtime.service import Service

pytestmark = pytest.mark.anyio


class Published:
    """The part of Service that hypotheses use."""

    def __init__(self) -> None:
        self.told: list[PartialTranscript] = []

    def publish(self, topic: str, message: Message) -> None:
        assert topic == "partial"
        self.told.append(cast(PartialTranscript, message))


class Answers(Recogniser):
    """A recogniser whose hypothesis is how many chunks it got, once ``answer`` is set."""

    def __init__(self) -> None:
        super().__init__("answers", None)
        self.answer = anyio.Event()
        self.asked = 0
        self._lock = anyio.Lock()

    @property
    def free(self) -> bool:
        return not self._lock.locked()

    async def transcribe(
        self, samples: np.ndarray, voice: Probabilities = NO_VOICE_KNOWN, spoken: Spoken = NOTHING_KNOWN
    ) -> Transcript:
        async with self._lock:
            self.asked += 1
            await self.answer.wait()
        return Transcript((Word(f"{len(voice)} chunks", 0.0, 1.0, 0.5),), 0.5, True)


def said(t0_s: float, t1_s: float) -> Utterance:
    chunks = round((t1_s - t0_s) / 0.032)
    return Utterance(t0_s, t1_s, np.zeros(512 * chunks, np.float32), np.ones(chunks, np.float32))


class Heard:
    """The part of Hearing that hypotheses use: an utterance that began at ``open_s``, in a pause since ``pause_s``."""

    def __init__(self, open_s: float | None, now_s: float, pause_s: float | None = None) -> None:
        self.open_s, self._now_s, self._pause_s = open_s, now_s, pause_s

    def so_far(self) -> Utterance:
        return said(cast(float, self.open_s), self._now_s)

    def foreseen(self) -> Utterance | None:
        return None if self._pause_s is None else said(cast(float, self.open_s), self._pause_s)


async def follow(
    partials: Partials,
    tasks: anyio.abc.TaskGroup,
    open_s: float | None,
    now_s: float,
    pause_s: float | None = None,
) -> None:
    partials.follow(cast(Hearing, Heard(open_s, now_s, pause_s)), now_s, NOTHING_KNOWN, tasks)
    await anyio.wait_all_tasks_blocked()


async def test_hypotheses_come_while_somebody_speaks_and_go_when_the_words_are_known() -> None:
    service, recogniser = Published(), Answers()
    recogniser.answer.set()
    partials = Partials(cast(Service, service), "mic", recogniser)
    async with anyio.create_task_group() as tasks:
        for now_s in np.arange(1.0, 4.2, 0.032):
            await follow(partials, tasks, 1.0, round(float(now_s), 3))
        assert 3 <= len(service.told) <= 4  # the first after 0.8 s, then each 0.8 s
        assert all((p.source, p.t0_s, p.over) == ("mic", 1.0, False) for p in service.told)
        assert service.told[0].text == "25 chunks"
        assert [p.t_s for p in service.told] == sorted(p.t_s for p in service.told)
        partials.ended(1.0)
        await follow(partials, tasks, None, 4.8)
        assert not service.told[-1].over  # it stands until the utterance is transcribed
        partials.over(1.0)
    assert service.told[-1] == PartialTranscript(source="mic", t0_s=1.0, t_s=1.0, over=True)


async def test_what_a_hypothesis_cost_is_rested_for_in_the_next_utterance_too(monkeypatch: pytest.MonkeyPatch) -> None:
    service, recogniser = Published(), Answers()
    recogniser.answer.set()
    ticks = itertools.count()
    monkeypatch.setattr(anyio, "current_time", lambda: float(next(ticks)))  # each hypothesis takes a second
    partials = Partials(cast(Service, service), "mic", recogniser)
    async with anyio.create_task_group() as tasks:
        await follow(partials, tasks, 1.0, 2.0)
        await follow(partials, tasks, None, 3.0)
        for now_s in np.arange(4.0, 12.0, 0.032):
            await follow(partials, tasks, 3.5, round(float(now_s), 3))
    assert [p.t_s for p in service.told if not p.over] == [2.0, pytest.approx(10.0, abs=0.04)]


async def test_a_hypothesis_that_comes_too_late_is_not_told() -> None:
    service, recogniser = Published(), Answers()
    partials = Partials(cast(Service, service), "mic", recogniser)
    async with anyio.create_task_group() as tasks:
        await follow(partials, tasks, 1.0, 2.0)
        partials.ended(1.0)
        await follow(partials, tasks, None, 3.0)
        recogniser.answer.set()
        await anyio.wait_all_tasks_blocked()
        partials.over(1.0)
    assert recogniser.asked == 1
    assert service.told == []


async def test_what_turns_out_to_be_no_utterance_is_withdrawn() -> None:
    service, recogniser = Published(), Answers()
    recogniser.answer.set()
    partials = Partials(cast(Service, service), "mic", recogniser)
    async with anyio.create_task_group() as tasks:
        await follow(partials, tasks, 1.0, 2.0)
        await follow(partials, tasks, None, 3.0)
    assert [p.over for p in service.told] == [False, True]


async def test_an_utterance_that_ends_in_its_pause_is_transcribed_once_and_before_it_is_over() -> None:
    service, recogniser = Published(), Answers()
    partials = Partials(cast(Service, service), "mic", recogniser)
    async with anyio.create_task_group() as tasks:
        for now_s in (1.5, 1.6, 1.7):
            await follow(partials, tasks, 1.0, now_s, pause_s=1.48)
        partials.ended(1.0)
        await follow(partials, tasks, None, 1.8)
        assert recogniser.asked == 1
        recogniser.answer.set()
        known = await partials.words(said(1.0, 1.48))
    assert known is not None
    assert known.text == "15 chunks"
    assert recogniser.asked == 1
    assert await partials.words(said(2.0, 2.48)) is None


async def test_words_foreseen_in_a_pause_are_a_hypothesis_where_somebody_speaks_on() -> None:
    service, recogniser = Published(), Answers()
    recogniser.answer.set()
    partials = Partials(cast(Service, service), "mic", recogniser)
    async with anyio.create_task_group() as tasks:
        await follow(partials, tasks, 1.0, 1.6, pause_s=1.48)
        await follow(partials, tasks, 1.0, 1.7)
        assert [p.text for p in service.told] == ["15 chunks"]
        assert await partials.words(said(1.0, 3.0)) is None
        await follow(partials, tasks, 1.0, 3.2, pause_s=3.0)
        known = await partials.words(said(1.0, 3.0))
    assert known is not None
    assert known.text == "62 chunks"


async def test_only_a_recogniser_that_nobody_needs_is_asked() -> None:
    service, recogniser = Published(), Answers()
    partials = Partials(cast(Service, service), "mic", recogniser)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(recogniser.transcribe, np.zeros(512, np.float32))  # an utterance that has ended
        await anyio.wait_all_tasks_blocked()
        await follow(partials, tasks, 1.0, 2.0)
        assert recogniser.asked == 1
        recogniser.answer.set()
    assert service.told == []
