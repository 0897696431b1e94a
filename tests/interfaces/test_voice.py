"""Talking with the agent: what is meant for it, how answers are cut into sentences, and who interrupts whom."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from runtime.errors import ConfigError, MindstreamError
from runtime.interfaces.voice import synthesis
from runtime.interfaces.voice.addressed import Addressed, AddressOptions, after_phrase, asks
from runtime.interfaces.voice.converse import VoiceConversation
from runtime.interfaces.voice.echo import EchoGate, Spoken
from runtime.interfaces.voice.phonemes import load_phonemizer, phonemes
from runtime.interfaces.voice.player import Loudspeaker, ToldPlayer
from runtime.interfaces.voice.sentences import SentenceSplitter
from runtime.interfaces.voice.synthesis import Speech, load_synthesizer, sound_starts_s
from runtime.messages import Answer, AnswerPart, AskRequest, Message, PartialTranscript, Sounding, SpeechStarted

# --- sentences ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It fell 3.5 metres. Nobody saw it.", ["It fell 3.5 metres.", "Nobody saw it."]),
        ("Dr. Smith came in. He sat down!", ["Dr. Smith came in.", "He sat down!"]),
        ("Some tools, e.g. a saw, lie there. Why?", ["Some tools, e.g. a saw, lie there.", "Why?"]),
        ("J. Doe spoke. See no. 5 on the list.", ["J. Doe spoke.", "See no. 5 on the list."]),
        ('He said "stop." Then he left [0:12].', ['He said "stop."', "Then he left."]),
        ("The train leaves [today 06:47:20, yard]. It rains.", ["The train leaves.", "It rains."]),
        ("He said [sic] no.", ["He said [sic] no."]),
        ("One line\nanother line", ["One line", "another line"]),
        ("Well... maybe. ", ["Well... maybe."]),
    ],
)
def test_sentences_end_where_they_end(text: str, sentences: list[str]) -> None:
    for size in (1, 3, 1000):
        splitter = SentenceSplitter()
        out = [s for i in range(0, len(text), size) for s in splitter.feed(text[i : i + size])]
        assert out + splitter.end() == sentences


def test_a_sentence_is_given_as_soon_as_the_next_begins() -> None:
    splitter = SentenceSplitter()
    assert splitter.feed("The door is open. ") == []
    assert splitter.feed("It") == ["The door is open."]


# --- who is meant ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "what did the sign say",
        "where is my red cup",
        "okay tell me when the dog comes back",
        "can you see anybody outside",
        "did you hear what she said",
        "is the door open?",
        "how many people came in",
    ],
)
def test_questions_and_instructions_ask(text: str) -> None:
    assert asks(text)


@pytest.mark.parametrize(
    "text",
    [
        "hmm",
        "okay yeah",
        "i went to the market yesterday",
        "are you coming home tonight",
        "what are you doing later",
        "that was really nice",
        "mum where is my cup",
        "the answer is what we expected",
    ],
)
def test_talk_among_people_does_not(text: str) -> None:
    assert not asks(text)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Hey Mindstream, what is that?", "what is that?"),
        ("hey mind stream what is that", "what is that"),
        ("hey mine stream what is that", "what is that"),
        ("um hey mindstreams what is that", "what is that"),
        ("hey mindstream", ""),
        ("what a fine stream that is", None),
        ("my mind is a stream", None),
    ],
)
def test_the_wake_phrase_is_known_through_a_recognisers_spelling(text: str, rest: str | None) -> None:
    assert after_phrase(text, "hey mindstream") == rest


def test_after_the_phrase_alone_or_an_answer_a_question_needs_none() -> None:
    addressed = Addressed(AddressOptions(mode="wake", follow_s=8.0))
    assert addressed.step("what is that", 0.9, 0.0, 1.0) is None
    assert addressed.step("hey mindstream", 0.9, 2.0, 3.0) is None
    assert addressed.step("hmm okay", 0.9, 4.0, 5.0) is None
    assert addressed.step("what is that", 0.9, 6.0, 7.0) == "what is that"
    assert addressed.step("what is that", 0.9, 12.0, 13.0) is None
    addressed.answered(20.0)
    assert addressed.step("and where is it", 0.9, 24.0, 25.0) == "and where is it"
    assert addressed.step("and where is it", 0.2, 24.0, 25.0) is None  # understood too badly to be sure


def test_push_to_talk_takes_the_next_words_whatever_they_are_but_no_hum() -> None:
    addressed = Addressed(AddressOptions(mode="push"))
    assert addressed.step("where is it", 0.9, 0.0, 1.0) is None
    addressed.push()
    assert addressed.step("hmm", 0.9, 1.0, 2.0) is None
    assert addressed.step("the red cup on the table", 0.3, 3.0, 4.0) == "the red cup on the table"
    assert addressed.step("where is it", 0.9, 5.0, 6.0) is None


# --- its own voice --------------------------------------------------------------------------------


def test_its_own_voice_is_known_by_when_and_by_what() -> None:
    gate = EchoGate()
    gate.play(Spoken("The red cup is on the table.", 10.0, 12.0, (10.05, 11.4)))
    assert gate.starts_voice(10.2)
    assert gate.starts_voice(11.6)
    assert not gate.starts_voice(10.9)
    assert gate.says("the read cup is on table", 10.2, 12.1)
    assert not gate.says("stop that please", 10.2, 12.1)
    assert not gate.says("the red cup is on the table", 20.0, 22.0)
    gate.stopped(10.5)
    assert not gate.starts_voice(11.6)


def test_sound_begins_after_silence_only() -> None:
    sound = np.zeros(16_000, np.float32)
    sound[1600:4800] = sound[5600:6400] = sound[12_000:] = 0.5
    assert sound_starts_s(Speech(sound, 16_000)) == pytest.approx((0.1, 0.74), abs=0.021)


# --- conversations --------------------------------------------------------------------------------

pytestmark = pytest.mark.anyio


class Agent:
    """Answers with given parts; each waits until it is let go."""

    def __init__(self, *parts: str) -> None:
        self.parts = parts
        self.asked: list[AskRequest] = []
        self.interrupted: list[str] = []

    async def ask(self, request: AskRequest) -> AsyncIterator[AnswerPart | Answer]:
        self.asked.append(request)
        for part in self.parts:
            yield AnswerPart(text=part)
        yield Answer(
            question=request.question,
            answer="".join(self.parts),
            abstained=False,
            as_of_s=0.0,
            citations=(),
            latency_s={},
            backend="test",
        )

    def interrupt(self, conversation: str = "") -> None:
        self.interrupted.append(conversation)


class Loud:
    """A loudspeaker and a voice: each sentence sounds for a second, until ``done`` is set or it is stopped."""

    name = "loud"

    def __init__(self) -> None:
        self.spoken: list[str] = []
        self.stops = self.plays = 0
        self.done = anyio.Event()

    def speak(self, sentence: str) -> Speech:
        self.spoken.append(sentence)
        return Speech(np.full(16_000, 0.5, np.float32), 16_000)

    async def play(self, speech: Speech) -> None:
        self.plays += 1
        await self.done.wait()

    def stop(self) -> None:
        self.stops += 1


Script = Callable[[Callable[[Message], None]], AsyncIterator[Callable[[], bool]]]


async def talk(agent: Agent, loud: Loud, script: Script) -> list[str]:
    """Run a conversation at media second 10 through ``script``, which says what to wait for; what was shown."""
    shown: list[str] = []
    addressed = Addressed(AddressOptions(mode="any"))
    conversation = VoiceConversation(
        agent, addressed, loud, loud, lambda who, text: shown.append(f"{who}: {text}"), clock=lambda: 10.0
    )
    send, receive = anyio.create_memory_object_stream[Message](10)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(conversation.run, receive)
            async with send:
                async for happened in script(send.send_nowait):
                    while not happened():
                        await anyio.lowlevel.checkpoint()
                    await anyio.wait_all_tasks_blocked()
    return shown


def said(text: str, t0_s: float = 8.0, t_s: float = 9.0, over: bool = True) -> PartialTranscript:
    return PartialTranscript(source="mic", t0_s=t0_s, t_s=t_s, text=text, confidence=0.9, over=over)


async def test_a_question_is_asked_and_its_answer_spoken_sentence_by_sentence() -> None:
    agent, loud = Agent("It is 3.5 metres ", "long [0:02]. It is red."), Loud()

    async def script(say: Callable[[Message], None]) -> AsyncIterator[Callable[[], bool]]:
        say(said("hmm"))
        say(said("how long is the table"))
        loud.done.set()
        yield lambda: loud.plays == 2

    shown = await talk(agent, loud, script)
    assert [(r.question, r.conversation) for r in agent.asked] == [("how long is the table", "voice")]
    assert loud.spoken == ["It is 3.5 metres long.", "It is red."]
    assert shown == ["you: how long is the table", "agent: It is 3.5 metres long [0:02]. It is red."]


async def test_its_own_voice_neither_interrupts_nor_asks() -> None:
    agent, loud = Agent("What is on the table is a red cup."), Loud()

    async def script(say: Callable[[Message], None]) -> AsyncIterator[Callable[[], bool]]:
        say(said("what is on the table"))
        yield lambda: loud.plays == 1
        stops = loud.stops
        say(SpeechStarted(source="mic", t_s=10.2))
        say(said("what is on the table is a", 10.2, 11.0, over=False))
        say(said("what is on the table is a red cup", 10.2, 11.2))
        yield lambda: True
        assert loud.stops == stops
        loud.done.set()
        yield lambda: True

    await talk(agent, loud, script)
    assert len(agent.asked) == 1
    assert agent.interrupted == []


async def test_whoever_begins_to_speak_stops_the_sound_and_the_model() -> None:
    agent, loud = Agent("A red cup. ", "A blue cup. ", "A green cup."), Loud()

    async def script(say: Callable[[Message], None]) -> AsyncIterator[Callable[[], bool]]:
        say(said("what is on the table"))
        yield lambda: loud.plays == 1
        before = loud.stops
        say(SpeechStarted(source="mic", t_s=12.9))
        yield lambda: True
        assert loud.stops > before

    await talk(agent, loud, script)
    assert agent.interrupted == ["voice"]
    assert "A green cup." not in loud.spoken


async def test_words_over_its_own_voice_interrupt_too() -> None:
    agent, loud = Agent("A red cup. ", "A blue cup. ", "A green cup."), Loud()

    async def script(say: Callable[[Message], None]) -> AsyncIterator[Callable[[], bool]]:
        say(said("what is on the table"))
        yield lambda: loud.plays == 1
        say(said("stop that please now", 10.2, 11.5, over=False))
        yield lambda: True

    await talk(agent, loud, script)
    assert agent.interrupted == ["voice"]


async def test_whoever_listens_is_told_what_sounds_and_when_it_was_cut_off() -> None:
    told: list[Sounding] = []
    loud, clock = Loud(), iter((4.0, 4.25))

    async def sounds(sounding: Sounding) -> None:
        told.append(sounding)

    async with anyio.create_task_group() as tasks:
        player = ToldPlayer(loud, sounds, tasks, lambda: next(clock))
        loud.done.set()
        await player.play(Speech(np.array([0.5, -2.0], np.float32), 22_050))
        player.stop()
    assert loud.plays == loud.stops == 1
    played, cut = told
    assert (played.t0_s, played.sample_rate_hz, cut) == (4.0, 22_050, Sounding(t0_s=4.25))
    assert np.frombuffer(played.samples, np.int16).tolist() == [16383, -32767]


async def test_a_voice_that_fails_leaves_the_answer_written_and_is_told_once() -> None:
    agent, loud = Agent("A red cup. ", "A blue cup. ", "A green cup."), Loud()

    async def play(speech: Speech) -> None:
        loud.plays += 1
        raise MindstreamError("the loudspeaker failed (unplugged)")

    loud.play = play  # type: ignore[method-assign]

    async def script(say: Callable[[Message], None]) -> AsyncIterator[Callable[[], bool]]:
        say(said("what is on the table"))
        yield lambda: loud.plays == 1

    shown = await talk(agent, loud, script)
    assert shown[0] == "you: what is on the table"
    assert sorted(shown[1:]) == [
        "agent: A red cup. A blue cup. A green cup.",
        "agent: from here on answers are written, not spoken: the loudspeaker failed (unplugged)",
    ]
    assert loud.plays == 1


async def test_a_loudspeaker_that_fails_says_so_in_our_words(monkeypatch: pytest.MonkeyPatch) -> None:
    class PortAudioError(Exception):
        pass

    def play(*_: object, **__: object) -> None:
        raise PortAudioError("Error opening OutputStream: Device unavailable [PaErrorCode -9985]")

    portaudio = SimpleNamespace(
        PortAudioError=PortAudioError, check_output_settings=lambda device: None, play=play, stop=lambda: None
    )
    monkeypatch.setitem(sys.modules, "sounddevice", portaudio)
    with pytest.raises(MindstreamError, match=r"the loudspeaker failed .*Device unavailable"):
        await Loudspeaker("").play(Speech(np.zeros(160, np.float32), 16_000))


# --- synthesis ------------------------------------------------------------------------------------


@pytest.fixture
def piper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> synthesis.Piper:
    """A voice of Piper's signature that gives each phoneme's id as a sample, times the length scale, and half of it."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: it builds the voice")
    from onnx import TensorProto, helper

    def spoken(name: str, kind: int, shape: list[str | int]) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["input"], ["ids"], to=TensorProto.FLOAT),
            helper.make_node("Constant", [], ["second"], value_ints=[1]),
            helper.make_node("Gather", ["scales", "second"], ["length"]),
            helper.make_node("Mul", ["ids", "length"], ["scaled"]),
            helper.make_node("Cast", ["input_lengths"], ["count"], to=TensorProto.FLOAT),
            helper.make_node("Div", ["scaled", "count"], ["row"]),
            helper.make_node("Constant", [], ["axis"], value_ints=[1]),
            helper.make_node("Unsqueeze", ["row", "axis"], ["output"]),
        ],
        "voice",
        [
            spoken("input", TensorProto.INT64, ["batch", "phonemes"]),
            spoken("input_lengths", TensorProto.INT64, ["batch"]),
            spoken("scales", TensorProto.FLOAT, [3]),
        ],
        [spoken("output", TensorProto.FLOAT, ["batch", 1, "time"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "voice.onnx")
    known = "_^$ ,.?:həlˈowɜːldæɪsɹaɛnbt"
    config = {
        "audio": {"sample_rate": 22050},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "num_speakers": 1,
        "phoneme_id_map": {phoneme: [k] for k, phoneme in enumerate(known)} | {"\u0303": [99]},
    }
    (tmp_path / "voice.onnx.json").write_text(json.dumps(config), encoding="utf-8")
    monkeypatch.setattr(synthesis, "require", lambda name: (tmp_path / "voice.onnx", tmp_path / "voice.onnx.json"))
    monkeypatch.setattr(synthesis, "load_phonemizer", lambda: lambda voice, clause: "hə")
    return synthesis.Piper()


def test_piper_is_given_marks_between_clauses_and_neither_flags_of_languages_nor_whole_accents(
    piper: synthesis.Piper,
) -> None:
    given = {"Hello,": "həlˈoʊ\n", "3.5 worlds:": "3 wɜːld\n", 'it is "Dr. Blanc"?': "ɪt ɪz\n(fr)blˈɑ̃(en-us)\n"}
    said = phonemes(lambda voice, clause: given[clause], "en-us", 'Hello, 3.5 worlds: it is "Dr. Blanc"?')
    assert said == "həlˈoʊ, 3 wɜːld: ɪt ɪz blˈɑ\u0303?"
    # Begin and a pad, each known phoneme and a pad, the end; what the voice does not know is left out.
    assert piper.phoneme_ids("ha\u0303ʊ?") == [1, 0, 8, 0, 22, 0, 99, 0, 6, 0, 2]


def test_piper_speaks_the_ids_of_a_sentence_at_the_rate_of_its_voice(piper: synthesis.Piper) -> None:
    speech = piper.speak("Huh.")
    ids = np.array([1, 0, 8, 0, 9, 0, 5, 0, 2], np.float32)
    assert speech.sample_rate_hz == 22050
    assert speech.samples == pytest.approx(ids / ids.max())  # as loud as may be


def test_espeaks_library_gives_phonemes_of_all_of_a_clause_and_refuses_no_voice_it_has() -> None:
    pytest.importorskip("espeakng_loader", reason="no package carries espeak-ng's library here")
    phonemize = load_phonemizer()
    assert phonemes(phonemize, "en-us", "The train leaves, at seven.") == "ðə tɹˈeɪn lˈiːvz, æt sˈɛvən."
    said = phonemes(phonemize, "en-us", 'It is "Dr. Blanc"!')
    assert "dˈɑːktɚ" in said and said.endswith("!")
    with pytest.raises(MindstreamError, match="no voice 'nobody'"):
        phonemize("nobody", "one")


def test_without_espeaks_library_its_command_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(MindstreamError, match="espeak-ng is not installed"):
        load_phonemizer()


def test_a_piper_voice_that_is_damaged_is_told_in_one_line(piper: synthesis.Piper, tmp_path: Path) -> None:
    (tmp_path / "voice.onnx").write_bytes(b"no network")
    synthesizer, why = load_synthesizer("piper")
    assert synthesizer is None
    assert "damaged, or no Piper voice" in why and "\n" not in why


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_espeak_speaks_a_sentence_and_takes_nothing_in_it_for_an_option() -> None:
    speaker = synthesis.EspeakNg()
    speech = speaker.speak("--help is what you say when you are lost.")
    assert 1.0 < len(speech.samples) / speech.sample_rate_hz < 6.0
    assert 0.05 < float(np.abs(speech.samples).max()) <= 1.0


def test_without_anything_to_speak_with_it_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    synthesizer, why = load_synthesizer("auto")
    assert synthesizer is None
    assert "espeak-ng is not installed" in why
    assert load_synthesizer("none") == (None, "")
    with pytest.raises(ConfigError, match=r"voice\.synthesis"):
        load_synthesizer("festival")
    with pytest.raises(MindstreamError):
        synthesis.EspeakNg()
