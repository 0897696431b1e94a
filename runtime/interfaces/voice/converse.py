"""A conversation by voice: utterances that are meant for the agent are asked, answers are spoken sentence by sentence.

Whoever begins to speak stops the sound and the model at once; the agent's own voice does neither (`echo`).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import anyio
import anyio.abc
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from runtime.errors import CallError, MindstreamError
from runtime.interfaces.voice.addressed import Addressed
from runtime.interfaces.voice.echo import EchoGate, Spoken
from runtime.interfaces.voice.player import Player
from runtime.interfaces.voice.sentences import SentenceSplitter
from runtime.interfaces.voice.synthesis import Synthesizer, sound_starts_s
from runtime.messages import Answer, AnswerPart, AskRequest, Message, PartialTranscript, SpeechStarted

CONVERSATION = "voice"
# One sentence sounds, one is ready; more would only be thrown away when somebody interrupts.
_SENTENCES_AHEAD = 1
# A hypothesis of fewer words may be anything.
_WORDS_TO_INTERRUPT = 2


class Asked(Protocol):
    """The part of `Client` that a conversation uses."""

    def ask(self, request: AskRequest) -> AsyncIterator[AnswerPart | Answer]: ...

    def interrupt(self, conversation: str = "") -> None: ...


class VoiceConversation:
    """``epoch_s``: the monotonic time at which media time began. ``tell(who, text)``: what was said, to be shown.

    Without a ``synthesizer`` and a ``player`` answers are only shown.
    """

    def __init__(
        self,
        client: Asked,
        addressed: Addressed,
        synthesizer: Synthesizer | None,
        player: Player | None,
        tell: Callable[[str, str], None],
        epoch_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self.addressed = addressed
        self._synthesizer = synthesizer
        self._player = player
        self._tell = tell
        self._clock = clock
        self._epoch_s = epoch_s
        self._gate = EchoGate()
        self._turn: anyio.CancelScope | None = None

    async def run(self, events: AsyncIterator[Message]) -> None:
        """Talk until ``events`` (voice starts and transcripts) end."""
        async with anyio.create_task_group() as tasks:
            async for event in events:
                if isinstance(event, SpeechStarted):
                    if self._turn is not None and not self._gate.starts_voice(event.t_s):
                        self.barge_in()
                elif isinstance(event, PartialTranscript):
                    self._hear(event, tasks)

    @property
    def is_answering(self) -> bool:
        """Whether an answer is being made or spoken."""
        return self._turn is not None

    def barge_in(self) -> None:
        """Somebody talks: stop the sound, then the model."""
        if self._player is not None:
            self._player.stop()
        self._gate.stopped(self._now())
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
            self._client.interrupt(CONVERSATION)

    def _now(self) -> float:
        """Media seconds."""
        return self._clock() - self._epoch_s

    def _hear(self, heard: PartialTranscript, tasks: anyio.abc.TaskGroup) -> None:
        if not heard.text or self._gate.says(heard.text, heard.t0_s, heard.t_s):
            return
        if not heard.over:  # it began in the middle of our own voice, which no voice start tells
            if self._turn is not None and len(heard.text.split()) >= _WORDS_TO_INTERRUPT:
                self.barge_in()
            return
        question = self.addressed.step(heard.text, heard.confidence, heard.t0_s, heard.t_s)
        if question is None:
            return
        self.barge_in()
        self._tell("you", question)
        scope = self._turn = anyio.CancelScope()
        tasks.start_soon(self._answer, question, scope)

    async def _answer(self, question: str, scope: anyio.CancelScope) -> None:
        give, take = anyio.create_memory_object_stream[str](_SENTENCES_AHEAD)
        with scope:
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._speak, take)
                    await self._ask(question, give)
                self.addressed.answered(self._now())
            except* (CallError, MindstreamError) as errors:
                self._tell("agent", f"no answer: {errors.exceptions[0]}")
        if self._turn is scope:
            self._turn = None

    async def _ask(self, question: str, give: MemoryObjectSendStream[str]) -> None:
        splitter = SentenceSplitter()
        async with give:
            async for part in self._client.ask(AskRequest(question=question, conversation=CONVERSATION)):
                if isinstance(part, AnswerPart):
                    for sentence in splitter.feed(part.text):
                        await give.send(sentence)
                else:
                    self._tell("agent", part.answer)
            for sentence in splitter.end():
                await give.send(sentence)

    async def _speak(self, take: MemoryObjectReceiveStream[str]) -> None:
        async with take:
            async for sentence in take:
                if self._synthesizer is None or self._player is None:
                    continue
                try:
                    await self._say(sentence, self._synthesizer, self._player)
                except MindstreamError as error:
                    self._synthesizer = None
                    self._tell("agent", f"from here on answers are written, not spoken: {error}")

    async def _say(self, sentence: str, synthesizer: Synthesizer, player: Player) -> None:
        speech = await anyio.to_thread.run_sync(synthesizer.speak, sentence, abandon_on_cancel=True)
        now_s = self._now()
        starts_s = tuple(now_s + start_s for start_s in sound_starts_s(speech))
        until_s = now_s + len(speech.samples) / speech.sample_rate_hz
        self._gate.play(Spoken(sentence, now_s, until_s, starts_s))
        await player.play(speech)
