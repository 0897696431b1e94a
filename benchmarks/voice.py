"""Talking with the agent, with real parts: Whisper's words in, a model's answer out through Piper's voice.

    python -m benchmarks.voice [--questions N] [--json] [--no-history]

The whole agent of the embedded profile listens to a virtual microphone (benchmarks/voice_devices.py) in real time:
Silero finds the voice, Whisper base its words, a scripted model server answers at once in three sentences that cite
what was heard, and Piper speaks them into a virtual loudspeaker, which the microphone hears ten times quieter, 120 ms
later and with the sound of a room. Questions are spoken by Piper too.
Figures, seconds (medians, and 90th percentiles where it says p90):
    heard_as_asked   share of the questions that arrived word for word
    first_sound_s, first_sound_p90_s   from the last sound of a question to the first of the answer; of that
    asked_s          until the question is asked: the pause that ends it, and Whisper
    answered_s       until its first sentence is there: evidence, the model's own time being nil, and the check
    spoken_s         until that sounds: Piper on the first sentence
    barge_in_s, barge_in_p90_s         from the first sound of who interrupts to silence, while an answer sounds in a
                                       headset, so that the microphone does not hear it; interrupted, missed: answers
                                       that were stopped so, and that were not
    barge_in_echo_s, ...               the same with the loudspeaker that the microphone hears
    stopped_by_itself                  answers stopped by nobody but the agent's own voice in the microphone
    echo_0.1, echo_0.3   by how loud the echo is, with the canceller and, "plain", without (voice_echo.py): of ten
                     answers, own_starts, in which the own voice seemed somebody's, and noticed, who spoke over it
    file_words_s, file_answer_s, file_voice_s   the same over files: a question's file to words, words to the whole
                                       answer, answer to a sound file
"""

from __future__ import annotations

import importlib.util
import os
import random
import re
import sys
import tempfile
import time
import wave
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import numpy as np

from benchmarks import harness, voice_devices
from benchmarks.voice_devices import SAMPLE_RATE_HZ, VirtualLoudspeaker, put_sound, resampled
from benchmarks.voice_echo import measure_echo
from perception.speech.transcribe_file import transcribe_file
from runtime.agent import Agent, open_agent
from runtime.bus import Subscription
from runtime.config import Config, ModelConfig, load_config
from runtime.errors import MindstreamError
from runtime.interfaces.attach import client_of
from runtime.interfaces.client import Client
from runtime.interfaces.voice.addressed import Addressed, AddressOptions
from runtime.interfaces.voice.converse import VoiceConversation
from runtime.interfaces.voice.player import ToldPlayer
from runtime.interfaces.voice.synthesis import Piper, Speech, Synthesizer
from runtime.language.normalise import words
from runtime.messages import Answer, AnswerPart, AskRequest, Message
from runtime.pcm import encoded
from runtime.plan import PerceiveLive
from runtime.processes import member
from runtime.sources import begin_session, parse_source
from tests.fixtures.chat_server import Json, Reply, serve_chat
from tests.fixtures.model_turns import prompt

QUESTIONS = 6
MICROPHONE = member("audio", "mic")
HEARD = "The train to London leaves from platform nine at seven in the evening."
ASKED = (
    "When does the train to London leave?",
    "Where does the train to London leave from?",
    "Which platform does the train leave from?",
    "What did you hear about the train?",
)
SENTENCES = ("The train leaves at seven in the evening {}.", "It goes to London, from platform nine {}.",
             "That is all that was said about the train before you asked {}.")  # fmt: skip
MORE = ("The keys are on the kitchen table, beside a red cup.", "I did not hear anything about the elephant.",
        "At half past nine somebody came in from the left and went to the window.")  # fmt: skip
# Seconds: until what is said first is in memory, of silence that ends an answer, and an answer is waited for.
HEARD_S, REST_S, ANSWER_S = 9.0, 1.5, 20.0
# Who interrupts may be heard only when his words are known.
HEARD_LATE_S = 3.0


async def answer_at_once(request: Json, reply: Reply) -> None:
    """The model: three sentences that cite the first moment of the evidence."""
    bracket = re.search(r"^\[[^\]\n]*\d:\d\d\]", prompt(request), re.MULTILINE)
    await reply.say(*(f"{text.format(bracket[0] if bracket else '')} " for text in SENTENCES))


class TimedClient:
    """A client that notes when a question is asked and when the first words of its answer are there."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.asked: list[tuple[float, str]] = []
        self.began_s: list[float] = []

    async def ask(self, request: AskRequest) -> AsyncIterator[AnswerPart | Answer]:
        self.asked.append((time.monotonic(), request.question))
        begun = False
        async for part in self._client.ask(request):
            if isinstance(part, AnswerPart) and part.text and not begun:
                begun = True
                self.began_s.append(time.monotonic())
            yield part

    def interrupt(self, conversation: str = "") -> None:
        self._client.interrupt(conversation)


class Talk:
    """Somebody who talks with the agent, by sounds alone."""

    def __init__(
        self,
        agent: Agent,
        conversation: VoiceConversation,
        client: TimedClient,
        loud: VirtualLoudspeaker,
        asked: Sequence[Speech],
    ) -> None:
        self._conversation = conversation
        self._run_dir = agent.run_dir
        self._client = client
        self._loud = loud
        self._asked = [resampled(speech) for speech in asked]
        self.figures: dict[str, list[float]] = {}

    def _say(self, number: int) -> tuple[float, float]:
        """Say a question: when its first and its last sound are."""
        samples = self._asked[number % len(self._asked)]
        begin_s = time.monotonic() + 0.2
        put_sound(self._run_dir, samples, begin_s)
        loud = np.flatnonzero(np.abs(samples) > 0.02)
        return begin_s + loud[0] / SAMPLE_RATE_HZ, begin_s + loud[-1] / SAMPLE_RATE_HZ

    async def ask(self, number: int) -> bool:
        """Ask, and note how long each step took; False where no answer sounded."""
        n_asked, n_begun, n_sounded = len(self._client.asked), len(self._client.began_s), len(self._loud.sounded_s)
        _, end_s = self._say(number)
        with anyio.move_on_after(ANSWER_S):
            while len(self._loud.sounded_s) == n_sounded:
                await anyio.sleep(0.005)
        if len(self._loud.sounded_s) == n_sounded:
            return False
        sounded_s, begun_s, asked_s = (
            self._loud.sounded_s[n_sounded], self._client.began_s[n_begun], self._client.asked[n_asked][0],
        )  # fmt: skip
        steps = {"first_sound": sounded_s - end_s, "asked": asked_s - end_s, "answered": begun_s - asked_s,
                 "spoken": sounded_s - begun_s}  # fmt: skip
        for name, took_s in steps.items():
            self.figures.setdefault(name, []).append(took_s)
        return True

    async def over(self) -> None:
        """Wait until the agent has said all."""
        quiet_s = 0.0
        while quiet_s < REST_S:
            await anyio.sleep(0.05)
            quiet_s = 0.0 if self._conversation.is_answering else quiet_s + 0.05

    async def interrupt(self, number: int, after_s: float) -> bool:
        """Speak while the agent does, ``after_s`` seconds on or once it sounds again; whether that silenced it."""
        await anyio.sleep(after_s)
        while not self._loud.playing:  # between two sentences
            if not self._conversation.is_answering:
                return False
            await anyio.sleep(0.005)
        n_stopped = len(self._loud.stopped_s)
        begin_s, end_s = self._say(number)
        while time.monotonic() < end_s + HEARD_LATE_S and len(self._loud.stopped_s) == n_stopped:
            await anyio.sleep(0.005)
        if len(self._loud.stopped_s) == n_stopped:
            return False
        name = "barge_in_echo" if self._loud.echo_gain else "barge_in"
        self.figures.setdefault(name, []).append(self._loud.stopped_s[n_stopped] - begin_s)
        return True


async def measure_devices(agent: Agent, client: Client, voice: Synthesizer, epoch_s: float, n: int) -> dict[str, Any]:
    """Questions answered in full, then as many interrupted, at random instants of the answer."""
    timed, loud = TimedClient(client), VirtualLoudspeaker(agent.run_dir)
    shown = lambda who, text: harness.progress(f"{who}: {text}")  # noqa: E731
    news = Subscription(agent.context, agent.run_dir, agent.members, ("voice", "partial"))

    async def messages() -> AsyncIterator[Message]:
        async for delivery in news:
            yield delivery.message

    asked = [await anyio.to_thread.run_sync(voice.speak, text) for text in ASKED]
    put_sound(agent.run_dir, resampled(await anyio.to_thread.run_sync(voice.speak, HEARD)), time.monotonic() + 0.5)
    await anyio.sleep(HEARD_S)
    instants = random.Random(4)
    answered = itself = 0
    stopped: dict[str, int] = dict.fromkeys(("interrupted", "missed", "interrupted_echo", "missed_echo"), 0)
    async with anyio.create_task_group() as tasks:
        told = ToldPlayer(loud, client.sounds, tasks, lambda: time.monotonic() - epoch_s)
        told.stop()  # whoever listens makes ready
        conversation = VoiceConversation(timed, Addressed(AddressOptions(mode="any")), voice, told, shown, epoch_s)
        talk = Talk(agent, conversation, timed, loud, asked)
        tasks.start_soon(news.pump)
        tasks.start_soon(conversation.run, messages())
        for i in range(n):
            answered += await talk.ask(i)
            n_stopped = len(loud.stopped_s)
            await talk.over()
            itself += len(loud.stopped_s) - n_stopped
        heard = sum(words(text) == words(ASKED[i % len(ASKED)]) for i, (_, text) in enumerate(timed.asked[:n]))
        for echo_gain, named in ((0.0, ""), (voice_devices.ECHO_GAIN, "_echo")):
            loud.echo_gain = echo_gain
            for i in range(n):
                if await talk.ask(i):
                    was_stopped = await talk.interrupt(i + 1, instants.uniform(0.2, 3.0))
                    stopped[f"{'interrupted' if was_stopped else 'missed'}{named}"] += 1
                await talk.over()
        tasks.cancel_scope.cancel()
    figures: dict[str, Any] = {"questions": n, "answered": answered, "heard_as_asked": round(heard / n, 3)}
    for name in ("first_sound", "asked", "answered", "spoken", "barge_in", "barge_in_echo"):
        if not (took := talk.figures.get(name)):
            continue
        figures[f"{name}_s"] = round(float(np.median(took)), 3)
        if name in ("first_sound", "barge_in", "barge_in_echo"):
            figures[f"{name}_p90_s"] = round(float(np.percentile(took, 90)), 3)
    return figures | stopped | {"stopped_by_itself": itself}


async def measure_files(client: Client, voice: Synthesizer, config: Config, folder: Path) -> dict[str, Any]:
    """The same over files: each question's sound file to words, to an answer, to a sound file."""
    took: dict[str, list[float]] = {}
    for i, text in enumerate(ASKED):
        path = folder / f"question-{i}.wav"
        write_wave(path, await anyio.to_thread.run_sync(voice.speak, text))
        began_s = time.monotonic()
        transcript = await transcribe_file(path, config.perception.hearing)
        heard_s = time.monotonic()
        answer = await client.answer(AskRequest(question=" ".join(u.text for u in transcript.utterances)))
        answered_s = time.monotonic()
        write_wave(folder / f"answer-{i}.wav", await anyio.to_thread.run_sync(voice.speak, answer.answer))
        for name, step_s in (
            ("words", heard_s - began_s), ("answer", answered_s - heard_s), ("voice", time.monotonic() - answered_s),
        ):  # fmt: skip
            took.setdefault(name, []).append(step_s)
    return {f"file_{name}_s": round(float(np.median(of)), 3) for name, of in took.items()}


def write_wave(path: Path, speech: Speech) -> None:
    """Speech as a sound file, 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(speech.sample_rate_hz)
        file.writeframes(encoded(speech.samples))


async def measure(folder: Path, n: int) -> dict[str, Any]:
    """All figures of one run."""
    voice = await anyio.to_thread.run_sync(Piper)
    voice_devices.stand_in()
    async with serve_chat(answer_at_once, [{"id": "instant", "object": "model", "max_model_len": 16384}]) as server:
        plain = load_config()
        model = ModelConfig(base_url=server.base_url, max_steps=0)
        reasoning = msgspec.structs.replace(plain.reasoning, backend="openai", model=model)
        config = msgspec.structs.replace(plain, reasoning=reasoning)
        epoch_s = time.monotonic()
        source = begin_session(parse_source("mic=mic"), time.time(), ())
        async with (
            open_agent(folder / "memory", config, perceivers=(MICROPHONE,)) as agent,
            client_of(agent) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(agent.perceive, {MICROPHONE.name: PerceiveLive(source=source, epoch_s=epoch_s)})
            await agent.until_ready()
            await client.hear_from((MICROPHONE.name,))
            await anyio.sleep(3.0)  # Whisper is loaded
            figures = await measure_devices(agent, client, voice, epoch_s, n)
            harness.progress("over files")
            figures |= await measure_files(client, voice, config, folder)
            tasks.cancel_scope.cancel()
    if importlib.util.find_spec("livekit") is not None:
        harness.progress("echo")
        spoken = [voice.speak(text.format("")) for text in (*SENTENCES, HEARD, *MORE)]
        figures |= measure_echo(spoken, [resampled(voice.speak(text)) for text in ASKED])
    return figures


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--questions", type=int, default=QUESTIONS, metavar="N", help=f"default: {QUESTIONS}")
    args = parser.parse_args(argv)
    if args.questions < 1:
        parser.error("--questions: at least 1")
    os.environ.pop("OPENAI_BASE_URL", None)  # the server is named in the profile
    with tempfile.TemporaryDirectory(prefix="mindstream-voice-") as folder:
        try:
            figures = anyio.run(measure, Path(folder), args.questions)
        except MindstreamError as error:
            harness.progress(str(error))
            return 2  # the weights are not here
    harness.report("voice", figures, args, args.questions == QUESTIONS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
