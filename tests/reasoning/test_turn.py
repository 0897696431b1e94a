"""Turns: streamed parts, the stored pair, interruption by a new question or by hand, deadlines."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator

import anyio
import anyio.to_thread
import msgspec
import pytest

from reasoning.answer.draft import Claim, Draft
from reasoning.answer.told import UNSUPPORTED
from reasoning.backends import Verdict
from reasoning.query.context import Context
from reasoning.turn import Turns
from reasoning.understand.frame import Frame
from runtime.errors import CallCancelled, DeadlineExceeded, RemoteError, UserError
from runtime.messages import (
    Answer,
    AnswerFacts,
    AnswerPart,
    AskRequest,
    Interrupt,
    Message,
    Observation,
    PartialTranscript,
    SpeechStarted,
    TraceStep,
)
from tests.fixtures.listed_memory import ListedMemory, recording, said
from tests.fixtures.turns import make

pytestmark = pytest.mark.anyio

MORNING = said(3.0, 5.0, "good morning everybody")
LIGHT = said(6.0, 9.0, "the lighthouse is closed")


class Scripted:
    """A back end that says the given pieces."""

    name = "scripted"

    def __init__(self, *pieces: Claim | TraceStep | Verdict) -> None:
        self.pieces = pieces
        self.max_citations = 3

    async def respond(self, frame: Frame, context: Context) -> AsyncIterator[Claim | TraceStep | Verdict]:
        for piece in self.pieces:
            yield piece


async def collect(turns: Turns, question: str, conversation: str = "main") -> list[Message]:
    return [m async for m in turns.ask(AskRequest(question=question, conversation=conversation))]


async def test_parts_stream_and_join_to_the_answer() -> None:
    memory = ListedMemory(MORNING, LIGHT)
    async with anyio.create_task_group() as tasks:
        *parts, answer = await collect(make(tasks, memory), "What is said about the lighthouse?")
    assert isinstance(answer, Answer)
    assert "".join(part.text for part in parts if isinstance(part, AnswerPart)) == answer.answer
    assert answer.answer == 'Somebody said: "the lighthouse is closed" [0:06].'
    assert [c.id for c in answer.citations] == [LIGHT.id]
    assert set(answer.latency_s) == {"recall", "first_part", "total"}
    assert (answer.backend, answer.abstained, answer.as_of_s) == ("extractive", False, 9.0)


async def test_question_and_answer_are_remembered_and_are_no_evidence() -> None:
    memory = ListedMemory(MORNING, LIGHT)
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)
        await collect(turns, "What is said about the lighthouse?")
        await turns.settle()
        asked, answered = memory.remembered
        assert (asked.channel, answered.channel) == ("question", "answer")
        assert asked.text == "What is said about the lighthouse?"
        assert answered.data == AnswerFacts(conversation="main", turn=1, question=asked.id)
        assert answered.evidence == (LIGHT.id,)
        memory.observations += [asked, answered]
        answer = (await collect(turns, "Is a lighthouse question mentioned?"))[-1]
    assert isinstance(answer, Answer)
    assert not {c.channel for c in answer.citations} & {"question", "answer"}


async def test_a_pasted_book_is_refused_in_one_line_and_gives_up_no_turn() -> None:
    memory = ListedMemory(MORNING, LIGHT)
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)
        with pytest.raises(UserError, match="a question of 70000 characters is too long; 10000 are the most"):
            await collect(turns, "lorem i" * 10_000)
        assert turns.counters["turns"] == 0
        assert isinstance((await collect(turns, "What is said about the lighthouse?"))[-1], Answer)


async def test_small_talk_belongs_to_no_conversation() -> None:
    memory = ListedMemory(MORNING, LIGHT)
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)
        await collect(turns, "What is said about the lighthouse?")
        thanked = (await collect(turns, "ok, thanks"))[-1]
        before = (await collect(turns, "and before that?"))[-1]
        await turns.settle()
    assert isinstance(thanked, Answer) and isinstance(before, Answer)
    assert (thanked.answer, thanked.abstained, thanked.citations) == ("You are welcome.", False, ())
    assert "good morning" in before.answer
    assert [o.text for o in memory.remembered if o.channel == "question"] == [
        "What is said about the lighthouse?",
        "and before that?",
    ]


def two_sources(*observations: Observation) -> ListedMemory:
    """A memory of two recordings, the second of which was opened last."""
    return ListedMemory(*observations, records=(recording("clip", 9.0), recording("yard.mp4", 5.0)))


async def test_a_question_that_names_a_recording_is_asked_of_that_one() -> None:
    other = msgspec.structs.replace(said(1.0, 3.0, "the gate is open"), source="yard.mp4", id="yard.mp4/speech/1")
    memory = two_sources(MORNING, LIGHT, other)
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)
        first = (await collect(turns, "What was said last?"))[-1]
        named = (await collect(turns, "What was said last in yard.mp4?"))[-1]
        again = (await collect(turns, "and in the clip recording?"))[-1]
    assert isinstance(first, Answer) and isinstance(named, Answer) and isinstance(again, Answer)
    assert [c.source for c in named.citations] == ["yard.mp4"] and "the gate is open" in named.answer
    assert [c.source for c in again.citations] == ["clip"] and "lighthouse" in again.answer


async def test_a_session_reaches_the_other_recordings_where_a_question_is_about_them() -> None:
    other = msgspec.structs.replace(said(1.0, 3.0, "the gate is open"), source="yard.mp4", id="yard.mp4/speech/1")
    memory = two_sources(MORNING, LIGHT, other)
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)

        async def ask(question: str) -> Answer:
            request = AskRequest(question=question, conversation="main", sources=("yard.mp4",))
            answer = [m async for m in turns.ask(request)][-1]
            assert isinstance(answer, Answer)
            return answer

        assert (await ask("What is said about the lighthouse?")).abstained
        assert [c.source for c in (await ask("What was said last in the clip recording?")).citations] == ["clip"]
        asked = await ask("In which video is the lighthouse mentioned?")
        assert [c.source for c in asked.citations] == ["clip"] and "(in clip)" in asked.answer


async def test_a_new_question_gives_up_the_running_one_of_its_conversation_only() -> None:
    memory = ListedMemory(MORNING, LIGHT)
    memory.gate = anyio.Event()
    ended: dict[str, str] = {}

    async def ask(turns: Turns, question: str, conversation: str) -> None:
        try:
            answer = (await collect(turns, question, conversation))[-1]
            ended[f"{conversation} {question}"] = answer.answer  # type: ignore[attr-defined]
        except CallCancelled as error:
            ended[f"{conversation} {question}"] = str(error)

    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)
        tasks.start_soon(ask, turns, "What is said about the lighthouse?", "a")
        tasks.start_soon(ask, turns, "What is said about the lighthouse?", "b")
        await memory.waiting.wait()
        tasks.start_soon(ask, turns, "What is said about the morning?", "a")
        while not ended:
            await anyio.lowlevel.checkpoint()
        memory.gate.set()
    assert ended["a What is said about the lighthouse?"] == "given up: a new question in the same conversation"
    assert "lighthouse is closed" in ended["b What is said about the lighthouse?"]
    assert "good morning" in ended["a What is said about the morning?"]


async def test_an_interruption_ends_the_turn_at_once() -> None:
    memory = ListedMemory(MORNING)
    memory.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)

        async def interrupt() -> None:
            await memory.waiting.wait()
            turns.interrupt(Interrupt(conversation="another"))
            turns.interrupt(Interrupt(conversation="main"))

        tasks.start_soon(interrupt)
        with pytest.raises(CallCancelled, match="interrupted"):
            await collect(turns, "What is said about the morning?")
        assert memory.remembered == []
        assert turns.counters["given_up"] == 1


class Stuck:
    """A back end that says a word and is then stuck: waiting, or blocking a worker thread like a model."""

    name = "stuck"
    max_citations = 4

    def __init__(self, blocking: bool) -> None:
        self.blocking = blocking
        self.begun = anyio.Event()
        self.let_go = threading.Event()

    async def respond(self, frame: Frame, context: Context) -> AsyncIterator[Claim | Verdict]:
        yield Claim("Let me see.")
        self.begun.set()
        if self.blocking:
            await anyio.to_thread.run_sync(self.let_go.wait, abandon_on_cancel=True)
        else:
            await anyio.sleep_forever()
        yield Claim("Never said.")


@pytest.mark.parametrize("stage", ["view", "recall", "thinking", "blocking"])
async def test_an_interruption_silences_a_turn_at_any_stage(stage: str) -> None:
    memory = ListedMemory(MORNING)
    backend = Stuck(blocking=stage == "blocking") if stage in ("thinking", "blocking") else None
    if backend is None:
        memory.gate = anyio.Event()
        memory.gated = stage
    said_after: list[Message] = []
    try:
        async with anyio.create_task_group() as tasks:
            turns = make(tasks, memory, backend)

            async def interrupt() -> None:
                await (backend.begun if backend else memory.waiting).wait()
                turns.interrupt(Interrupt(conversation="main"))
                said_after.clear()

            tasks.start_soon(interrupt)
            with pytest.raises(CallCancelled, match="interrupted"):
                async for message in turns.ask(AskRequest(question="What is said about the morning?")):
                    said_after.append(message)
    finally:
        if backend:
            backend.let_go.set()
    assert said_after == []
    assert turns.counters["given_up"] == 1


async def test_what_was_made_but_not_yet_said_is_not_said_after_an_interruption() -> None:
    backend = Scripted(Claim("One."), Claim("Two."), Claim("Three."), Verdict(0.9, abstained=False))
    heard: list[str] = []
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, ListedMemory(MORNING), Stuck(blocking=False))
        turns._composer._backend = backend  # type: ignore[assignment]
        with pytest.raises(CallCancelled):
            async for message in turns.ask(AskRequest(question="What was said?")):
                assert isinstance(message, AnswerPart)
                heard.append(message.text)
                await anyio.wait_all_tasks_blocked()  # by then the whole answer lies in the stream, unread
                turns.interrupt(Interrupt())
        assert turns.counters["given_up"] == 1
    assert heard == ["One."]


async def test_an_interruption_that_overtakes_its_question_holds_for_it_and_for_no_later_one() -> None:
    memory = ListedMemory(MORNING)
    asked = AskRequest(question="What is said about the morning?", asked_s=10.0)
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)
        for conversation in ("another", "main"):
            turns.interrupt(Interrupt(conversation=conversation, sent_s=10.5))
        said_after: list[Message] = []
        with pytest.raises(CallCancelled, match="interrupted"):
            async for message in turns.ask(asked):
                said_after.append(message)
        assert (said_after, memory.remembered) == ([], [])
        again = AskRequest(question=asked.question, asked_s=11.0)
        answer = [message async for message in turns.ask(again)][-1]
        assert isinstance(answer, Answer) and not answer.abstained


async def test_an_interruption_that_comes_late_leaves_the_question_asked_since() -> None:
    memory = ListedMemory(MORNING)
    memory.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)

        async def interrupt() -> None:
            await memory.waiting.wait()
            turns.interrupt(Interrupt(conversation="main", sent_s=10.0))
            memory.gate.set()  # type: ignore[union-attr]

        tasks.start_soon(interrupt)
        request = AskRequest(question="What is said about the morning?", asked_s=10.1)
        assert isinstance([message async for message in turns.ask(request)][-1], Answer)


async def test_what_was_interrupted_when_all_but_told_is_not_remembered() -> None:
    memory = ListedMemory(MORNING)
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory, Scripted(Claim("One."), Claim("Two."), Verdict(0.9, abstained=False)))
        with pytest.raises(CallCancelled):
            async for _ in turns.ask(AskRequest(question="What was said?")):
                await anyio.wait_all_tasks_blocked()
                turns.interrupt(Interrupt())
        await turns.settle()
        follow_up = (await collect(turns, "And before that?"))[-1]
    assert all(o.text != "What was said?" for o in memory.remembered)
    assert isinstance(follow_up, Answer) and not follow_up.understood


async def test_only_the_voice_it_is_talked_to_through_interrupts_a_turn() -> None:
    memory = ListedMemory(MORNING)
    memory.gate = anyio.Event()
    ended: dict[str, str] = {}

    async def ask(turns: Turns, conversation: str, interrupted_by: str) -> None:
        request = AskRequest(
            question="What is said about the morning?", conversation=conversation, interrupted_by=interrupted_by
        )
        try:
            ended[conversation] = [m async for m in turns.ask(request)][-1].answer  # type: ignore[attr-defined]
        except CallCancelled as error:
            ended[conversation] = str(error)

    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)
        tasks.start_soon(ask, turns, "spoken", "microphone")
        tasks.start_soon(ask, turns, "typed", "")
        await memory.waiting.wait()
        turns.hear(SpeechStarted(source="film.mp4", t_s=3.0))
        await anyio.wait_all_tasks_blocked()
        assert ended == {}
        turns.hear(SpeechStarted(source="microphone", t_s=4.0))
        while not ended:
            await anyio.lowlevel.checkpoint()
        memory.gate.set()
    assert ended["spoken"] == "given up: somebody began to speak"
    assert "good morning" in ended["typed"]


async def test_a_follow_up_is_answered_from_what_came_before_it() -> None:
    memory = ListedMemory(MORNING, LIGHT, said(12.0, 14.0, "we open again on monday"))
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)
        await collect(turns, "What is said about the lighthouse?")
        before = (await collect(turns, "And before that?"))[-1]
        await collect(turns, "What is said about the lighthouse?")
        after = (await collect(turns, "and after?"))[-1]
        when = (await collect(turns, "When was that?"))[-1]
        why = (await collect(turns, "How do you know?"))[-1]
    assert isinstance(before, Answer)
    assert isinstance(after, Answer)
    assert isinstance(when, Answer)
    assert isinstance(why, Answer)
    assert before.understood == "What was said before 0:06?"
    assert "good morning everybody" in before.answer
    assert "we open again on monday" in after.answer
    assert when.answer == "That was at 0:12 [0:12]."
    assert why.answer == 'I go by what I heard at 0:12: "we open again on monday" [0:12].'


async def test_a_conversation_goes_on_after_a_restart() -> None:
    memory = ListedMemory(MORNING, LIGHT)
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)
        await collect(turns, "What is said about the lighthouse?")
        await turns.settle()
        memory.observations += memory.remembered
        restarted = make(tasks, memory)
        answer = (await collect(restarted, "And before that?"))[-1]
        other = (await collect(restarted, "And before that?", "another"))[-1]
    assert isinstance(answer, Answer)
    assert isinstance(other, Answer)
    assert "good morning everybody" in answer.answer
    assert other.abstained
    assert "refers to" in other.answer


async def test_a_question_about_an_earlier_time_does_not_know_a_later_turn() -> None:
    memory = ListedMemory(MORNING, LIGHT)
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)
        await collect(turns, "What is said about the lighthouse?")
        request = AskRequest(question="And before that?", as_of_s=5.5)
        answer = [m async for m in turns.ask(request)][-1]
    assert isinstance(answer, Answer)
    assert answer.abstained


async def test_a_turn_past_its_deadline_fails_with_one_line() -> None:
    memory = ListedMemory(MORNING)
    memory.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory, deadline_s=20.0)

        async def let_time_pass() -> None:
            await memory.waiting.wait()
            turns.clock.advance(20.0)  # type: ignore[attr-defined]

        tasks.start_soon(let_time_pass)
        with pytest.raises(DeadlineExceeded, match="no answer within 20 s"):
            await collect(turns, "What is said about the morning?")


async def test_a_failure_of_memory_reaches_the_asker() -> None:
    memory = ListedMemory(MORNING)
    memory.failing = RemoteError("StoreError", "the store is damaged")
    async with anyio.create_task_group() as tasks:
        with pytest.raises(RemoteError, match="the store is damaged"):
            await collect(make(tasks, memory), "What is said about the morning?")


async def test_what_a_back_end_invents_is_struck_out_and_counted() -> None:
    invented = said(50.0, 52.0, "never said")
    backend = Scripted(Claim("It was said [0:50].", (invented,)), Verdict(0.9, abstained=False))
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, ListedMemory(MORNING), backend)
        answer = (await collect(turns, "What was said?"))[-1]
    assert isinstance(answer, Answer)
    assert (answer.answer, answer.abstained, answer.citations) == (UNSUPPORTED, True, ())
    assert turns.counters["citations_struck"] == 1


async def test_what_is_being_said_answers_now_and_is_never_cited_or_kept() -> None:
    memory = ListedMemory(MORNING)
    saying = PartialTranscript(source=MORNING.source, t0_s=5.5, t_s=7.0, text="the ferry leaves at")
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)
        turns.follow(saying)
        *_, now = await collect(turns, "What is being said right now?")
        *_, past = await collect(turns, "What was said about the ferry?")
        turns.follow(PartialTranscript(source=MORNING.source, t0_s=5.5, t_s=5.5, over=True))
        *_, after = await collect(turns, "What is being said right now?", "later")
    assert isinstance(now, Answer) and isinstance(past, Answer) and isinstance(after, Answer)
    assert "the ferry leaves at" in now.answer
    assert "not finished" in now.answer
    assert now.citations == ()
    assert "ferry leaves" not in past.answer
    assert "ferry" not in after.answer


async def test_steps_are_told_as_they_are_taken_and_kept_with_the_answer() -> None:
    step = TraceStep(tool="search", arguments={"text": "light"}, found="1 observation", took_s=0.01)
    verdict = Verdict(0.8, abstained=False, backend="openai:tiny", notice="the model took no pictures")
    async with anyio.create_task_group() as tasks:
        backend = Scripted(step, Claim("It is closed [0:06].", (LIGHT,)), verdict)
        *parts, answer = await collect(make(tasks, ListedMemory(LIGHT), backend), "Is it open?")
    assert [part.step for part in parts if isinstance(part, AnswerPart)] == [step, None]
    assert isinstance(answer, Answer)
    assert (answer.trace, answer.backend, answer.confidence) == ((step,), "openai:tiny", 0.8)
    assert answer.notice == "the model took no pictures"


async def test_citations_stay_within_their_number() -> None:
    spoken = [said(float(t), t + 0.5, f"word {t}") for t in range(6)]
    claims = [Claim(f"Heard [0:0{int(o.t0_s)}].", (o,)) for o in spoken]
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, ListedMemory(*spoken), Scripted(*claims, Verdict(0.9, abstained=False)))
        answer = (await collect(turns, "What was said?"))[-1]
    assert isinstance(answer, Answer)
    assert len(answer.citations) == 3
    assert "[0:03]" not in answer.answer


async def test_a_turn_under_way_when_something_is_erased_is_given_up_and_its_conversation_let_go() -> None:
    memory = ListedMemory(MORNING, LIGHT)
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)
        await collect(turns, "What is said about the lighthouse?")
        memory.gate = anyio.Event()
        failed: list[BaseException] = []

        async def ask() -> None:
            try:
                await collect(turns, "What is said in the morning?")
            except CallCancelled as error:
                failed.append(error)
            tasks.cancel_scope.cancel()

        tasks.start_soon(ask)
        await memory.waiting.wait()
        assert turns._composer.conversations._open
        turns.forget()
        assert not turns._composer.conversations._open
    assert "erased" in str(failed[0])


async def test_a_follow_up_leans_on_the_question_before_an_order_and_not_on_the_order() -> None:
    async def orders(text: str, conversation: str) -> Draft | None:
        return Draft((Claim("I will tell you."),)) if text.startswith("Tell me when") else None

    memory = ListedMemory(MORNING, LIGHT)
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)
        turns._composer._orders = orders
        await collect(turns, "What is said about the lighthouse?")
        await collect(turns, "Tell me when a ship comes in")
        answer = (await collect(turns, "When was that?"))[-1]
    assert isinstance(answer, Answer)
    assert "[0:06]" in answer.answer
    assert "ship" not in answer.understood
