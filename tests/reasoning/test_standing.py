"""Standing queries: the sentences, the gate, what is told once or each time, the book, webhooks."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from reasoning.standing.commands import StandingCommand, parse_command
from reasoning.standing.conditions import account, parse_condition
from reasoning.standing.gate import Gate, GateOptions
from reasoning.standing.store import StandingQueryStore
from reasoning.standing.watch import Standing
from reasoning.standing.webhook import Webhook, WebhookSender
from runtime.errors import StoreError
from runtime.messages import DerivedFacts, Notice, Observation, PartialTranscript, SpeechStarted, StandingRequest
from tests.fixtures.listed_memory import SOURCE, appears, frame, observe, said, written
from tests.fixtures.standing_world import Says, Stores, person, standing


@pytest.mark.parametrize(
    ("text", "condition", "every"),
    [
        ("tell me when the door opens", "the door opens", False),
        ("Whenever someone speaks of the budget, let me know.", "someone speaks of the budget", True),
        ("let me know if a person appears", "a person appears", False),
        ("Could you tell me as soon as somebody says Texas?", "somebody says Texas", False),
        ("When it gets dark, tell me", "it gets dark", False),
        ("always tell me when a car passes", "a car passes", True),
        ("keep an eye out for a red jacket", "a red jacket", False),
        ("tell me when the left door is opened", "the left door is opened", False),
    ],
)
def test_a_sentence_that_gives_a_query(text: str, condition: str, every: bool) -> None:
    assert parse_command(text) == StandingCommand("add", condition=condition, every=every)


@pytest.mark.parametrize(
    "text",
    [
        "Tell me when the door opened",
        "tell me when he said Texas",
        "Tell me about the door",
        "When does the door open?",
        "Is anybody watching for the train?",
        "What happened when the light went out?",
    ],
)
def test_a_question_about_the_past_is_no_order(text: str) -> None:
    assert parse_command(text) is None


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("What are you watching for?", StandingCommand("list")),
        ("pause q2", StandingCommand("pause", which="q2")),
        ("resume the one about the door", StandingCommand("resume", which="the door")),
        ("stop telling me about the budget", StandingCommand("remove", which="the budget")),
        ("cancel q3", StandingCommand("remove", which="q3")),
        ("remove all", StandingCommand("remove", all=True)),
    ],
)
def test_a_sentence_that_changes_queries(text: str, order: StandingCommand) -> None:
    assert parse_command(text) == order


EMBEDDED = {"frame": "layout-v1", "sound": "levels and spectral peaks"}


def test_what_cannot_be_sensed_is_said_and_what_is_done_instead() -> None:
    said_of = account(parse_condition("the kettle boils"), EMBEDDED, every=False)
    assert said_of == (
        "With the encoders I have I cannot see or hear it when the kettle boils. I will tell you once, when I hear "
        '"kettle" and "boils" said or I read "kettle" and "boils" on screen.'
    )
    assert "cannot tell a car from other moving things" in account(parse_condition("a car comes"), EMBEDDED, every=True)
    assert "what begins" in account(parse_condition("the music stops"), EMBEDDED, every=False)
    person = account(parse_condition("a person in red enters"), EMBEDDED, every=True)
    assert person == "I will tell you each time I see a person in red come into view."


def fires(condition: str, *observations: Observation, **options: float) -> list[str]:
    """Ids of what a gate with this one condition lets through; each is told at once."""
    gate = Gate(GateOptions(**options))  # type: ignore[arg-type]
    gate.watch({"q1": parse_condition(condition)})
    found = []
    for observation in observations:
        for candidate in gate.step(observation):
            gate.told(candidate)
            found.append(observation.id)
    return found


RED, BLUE = person(2.0, "red", 1), person(50.0, "blue", 2)
SPOKEN = said(4.0, 6.0, "the budgets are too small")
SIGN = written(9.0, "EXIT", "TO PARIS")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("a person appears", [RED, BLUE]),
        ("a person in blue appears", [BLUE]),
        ("a person leaves", []),
        ("someone speaks of the budget", [SPOKEN]),
        ("someone speaks of the weather", []),
        ("someone says weather or budget", [SPOKEN]),
        ("someone says weather and budget", []),
        ("the word exit appears on screen", [SIGN]),
        ("somebody says exit", []),
        ("somebody speaks", [SPOKEN]),
        ("something moves", [RED, BLUE]),
        ("a car comes", []),
        ("the door opens", []),
    ],
)
def test_the_gate_lets_through_what_shows_the_sign(condition: str, expected: list[Observation]) -> None:
    assert fires(condition, RED, SPOKEN, SIGN, BLUE) == [o.id for o in expected]


def test_dark_and_bright_are_turns_of_the_picture_not_states() -> None:
    frames = [frame(float(t), brightness=b) for t, b in enumerate((0.5, 0.01, 0.02, 0.09, 0.4, 0.5, 0.03))]
    assert fires("it gets dark", *frames, cool_down_s=0.0) == [frames[1].id, frames[6].id]
    assert fires("the lights go on", *frames, cool_down_s=0.0) == [frames[4].id]


def test_a_scene_that_is_dim_from_its_beginning_does_not_get_dark() -> None:
    """A cut to a dim hall that drifts under the mark of darkness is none; that its lights go out is."""
    cut_to = frame(1.0, brightness=0.066, cut=True)
    drifts = [frame(2.0, brightness=0.062), frame(3.0, brightness=0.055)]
    out = frame(4.0, brightness=0.01)
    assert fires("it gets dark", frame(0.0, brightness=0.4), cut_to, *drifts, out) == [out.id]


def test_a_vehicle_rolls_straight_and_is_no_hand_of_somebody_close() -> None:
    def thing(t_s: float, straight: float, size: str = "") -> Observation:
        return appears(t_s, "moving", "a moving thing", shape="", size=size, straight=straight, track=int(t_s))

    car, hand, speck, gesture = thing(1.0, 0.95), thing(2.0, 0.5), thing(3.0, 0.95, "small"), thing(5.0, 0.85)
    seen = (car, hand, speck, frame(4.0, faces=1), gesture)
    assert fires("a car comes", *seen, cool_down_s=0.0) == [car.id]
    assert fires("something moves", *seen, cool_down_s=0.0) == [car.id, hand.id, speck.id, gesture.id]


def test_tags_and_labels_name_things_where_there_are_encoders_for_them() -> None:
    door = frame(3.0, tags=[["door", 0.4], ["table", 0.3]])
    bark = observe("sound", 5.0, "a dog", labels=[["Dog bark", 0.9]])
    gate = Gate(GateOptions())
    gate.watch({"door": parse_condition("the door opens"), "dog": parse_condition("the dog barks")})
    seen = [(c.query, c.sure) for o in (door, bark) for c in gate.step(o)]
    assert seen == [("door", False), ("dog", True)]  # that the door opens a tag does not say


def test_what_stays_is_told_once_and_a_query_cools_down() -> None:
    signs = [written(float(t), "SALE", k=t) for t in (0, 10, 20, 90)]
    assert fires("I read sale", *signs, duplicate_s=60.0, cool_down_s=0.0) == [signs[0].id, signs[3].id]
    people = [person(t, "red", int(t)) for t in (0.0, 5.0, 25.0, 30.0)]
    assert fires("a person appears", *people, cool_down_s=20.0) == [people[0].id, people[2].id]


async def perceive(watch: Standing, memory: Stores, *observations: Observation) -> None:
    watch.hear_of(memory.perceive(*observations))
    await watch.catch_up()


@pytest.mark.anyio
async def test_only_what_comes_after_a_query_was_made_is_told_with_its_evidence(tmp_path: Path) -> None:
    memory = Stores()
    watch, told = standing(memory, tmp_path)
    await perceive(watch, memory, person(2.0, "red", 1))
    answer = await watch.order("Whenever a person appears, tell me", "main")
    assert answer is not None
    assert answer.text == "All right, that is q1. I will tell you each time I see a person come into view."
    assert told == []
    later = person(40.0, "blue", 2)
    await perceive(watch, memory, later)
    assert [(notice.citation.id, notice.known_s) for notice in told] == [(later.id, 40.0)]
    assert told[0].text == "A person in blue [0:40]. You asked me to tell you when a person appears."
    assert memory.remembered[-1].evidence == (later.id,)
    assert memory.remembered[-1].facts(DerivedFacts).kind == "notice"
    await perceive(watch, memory, person(90.0, "green", 3))
    assert told[1].text == "A person in green [1:30] (q1: a person appears)."


@pytest.mark.anyio
async def test_a_query_to_be_told_once_is_done_and_its_state_survives_a_restart(tmp_path: Path) -> None:
    memory = Stores()
    watch, told = standing(memory, tmp_path)
    await watch.order("tell me when somebody speaks", "main")
    await watch.order("tell me whenever a person appears", "main")
    await watch.order("pause q2", "main")
    await perceive(watch, memory, said(3.0, 4.0, "hello"), person(5.0, "red", 1), said(90.0, 91.0, "hello again"))
    assert [notice.query for notice in told] == ["q1"]
    again, told_later = standing(memory, tmp_path)
    listed = (await again.serve(StandingRequest())).queries
    assert [(query.id, query.state, query.told) for query in listed] == [("q1", "done", 1), ("q2", "paused", 0)]
    await again.order("resume the one about a person", "main")
    await perceive(again, memory, person(4503.0, "red", 2))
    assert [notice.query for notice in told_later] == ["q2"]
    assert told_later[0].citation.t0_s == 4503.0
    listing = (await again.serve(StandingRequest())).said
    assert "q2: each time a person appears; told once, last at 1:15:03 of clip" in listing


@pytest.mark.anyio
async def test_what_came_while_the_process_was_away_is_told_when_it_is_back(tmp_path: Path) -> None:
    memory = Stores()
    watch, _ = standing(memory, tmp_path)
    await perceive(watch, memory, said(1.0, 2.0, "hello"))
    await watch.order("tell me when a person appears", "main")
    newest = memory.perceive(person(5.0, "red", 1))
    again, told = standing(memory, tmp_path)
    again.hear_of(newest)
    await again.catch_up()
    assert [notice.citation.t0_s for notice in told] == [5.0]


@pytest.mark.anyio
async def test_speech_is_told_when_it_begins_and_cited_when_it_is_stored(tmp_path: Path) -> None:
    memory = Stores()
    watch, told = standing(memory, tmp_path)
    await perceive(watch, memory, said(1.0, 2.0, "hello"))
    await watch.order("whenever somebody speaks, tell me", "main")
    await watch.order("tell me when somebody says lighthouse", "main")
    watch.hear(SpeechStarted(source=SOURCE, t_s=20.1, known_s=20.3))
    watch.follow(PartialTranscript(source=SOURCE, t0_s=20.0, t_s=21.0, text="the lighthouse"))
    await watch.look_at_speech()
    assert [n.query for n in told] == ["q1"]  # the last word of a hypothesis may be half a word
    watch.follow(PartialTranscript(source=SOURCE, t0_s=20.0, t_s=22.0, text="the lighthouse is"))
    await watch.look_at_speech()
    assert [n.known_s for n in told] == [20.3, 22.0]
    assert [(n.query, n.citation.id) for n in told] == [("q1", ""), ("q2", "")]
    utterance = said(20.0, 24.0, "the lighthouse is closed today")
    await perceive(watch, memory, utterance)
    assert len(told) == 2
    assert [o.evidence for o in memory.remembered] == [(utterance.id,), (utterance.id,)]
    kept = (await watch.serve(StandingRequest())).notices
    assert [notice.citation.id for notice in kept] == [utterance.id, utterance.id]


@pytest.mark.anyio
async def test_a_model_confirms_or_refuses_and_is_not_asked_beyond_its_budget(tmp_path: Path) -> None:
    memory, model = Stores(), Says("No, that is a coat.", "Yes, a person comes in.")
    watch, told = standing(memory, tmp_path, model, confirmations_per_h=2, cool_down_s=0.0)
    await watch.order("whenever a person appears, tell me", "main")
    people = [person(t, "red", int(t)) for t in (10.0, 20.0, 30.0, 3700.0)]
    await perceive(watch, memory, *people[:3])
    assert len(model.asked) == 2
    assert [(n.citation.t0_s, n.confirmed) for n in told] == [(20.0, True), (30.0, False)]
    model.answers.append("Yes.")
    await perceive(watch, memory, people[3])
    assert told[-1].confirmed


@pytest.mark.anyio
async def test_sentences_list_and_take_back_queries(tmp_path: Path) -> None:
    watch, _ = standing(Stores(), tmp_path, limit=2)
    await watch.order("tell me when the door opens", "main")
    same = await watch.order("Tell me when the door opens.", "main")
    await watch.order("tell me when the phone rings", "main")
    full = await watch.order("tell me when it gets dark", "main")
    assert same is not None
    assert full is not None
    assert same.text == "I am already waiting for that: q1: when the door opens."
    assert full.abstained
    listed = await watch.order("what are you waiting for?", "main")
    assert listed is not None
    assert listed.text == "q1: when the door opens. q2: when the phone rings."
    which = await watch.serve(StandingRequest(action="remove"))
    assert (which.done, which.said.splitlines()[0]) == (False, "Which one? There are 2.")
    gone = await watch.order("stop telling me about the door", "main")
    assert gone is not None
    assert gone.text == "I no longer wait for q1: when the door opens."
    assert [q.id for q in (await watch.serve(StandingRequest())).queries] == ["q2"]
    assert await watch.order("What did he say about the door?", "main") is None


def test_a_damaged_book_is_told_in_one_line_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "standing.json"
    path.write_text("{not json", encoding="utf-8")
    with pytest.raises(StoreError, match="damaged"):
        StandingQueryStore(tmp_path)
    assert path.read_text(encoding="utf-8") == "{not json"


@pytest.mark.anyio
async def test_a_webhook_is_tried_again_and_given_up_without_holding_anybody_up() -> None:
    arrived: list[dict[str, Any]] = []
    answers = [503, None, 200, 400]
    done = anyio.Event()

    def receive(request: httpx2.Request) -> httpx2.Response:
        status = answers.pop(0)
        if not answers:
            done.set()
        if status is None:
            raise httpx2.ConnectError("refused", request=request)
        arrived.append(json.loads(request.content))
        return httpx2.Response(status)

    notices = [_notice("q1"), _notice("q2")]
    hook = Webhook("http://127.0.0.1:9/hook", private=True, pauses_s=(0.0, 0.0))
    sender = WebhookSender(hook, logging.getLogger("test"), httpx2.MockTransport(receive))
    async with anyio.create_task_group() as tasks:
        for notice in notices:
            sender.offer(notice)
        tasks.start_soon(sender.run)
        await done.wait()
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert [body["query"] for body in arrived] == ["q1", "q1", "q2"]
    assert arrived[0]["citation"]["t0_s"] == 2.0
    assert sender.counters == {"webhook_sent": 1, "webhook_failed": 1, "webhook_dropped": 0}
    for _ in range(100):
        sender.offer(notices[0])
    assert sender.counters["webhook_dropped"] == 100 - 64


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.7", "192.168.1.1", "169.254.169.254", "[::1]"])
async def test_a_webhook_reaches_this_machine_and_its_network_only_where_the_profile_says_so(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    arrived: list[str] = []

    def receive(request: httpx2.Request) -> httpx2.Response:
        arrived.append(str(request.url))
        return httpx2.Response(200)

    for private in (False, True):
        hook = Webhook(f"http://me:hunter2@{host}:8/hooks/s3cret?t=s3cret", private=private, pauses_s=())
        sender = WebhookSender(hook, logging.getLogger("test"))
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(receive)) as client:
            await sender._deliver(client, _notice("q1"))
        assert (len(arrived), sender.counters["webhook_failed"]) == ((1, 0) if private else (0, 1))
    assert "webhook_private" in caplog.text and "hunter2" not in caplog.text and "s3cret" not in caplog.text


@pytest.mark.anyio
async def test_a_webhook_is_sent_to_the_address_that_was_found_fit_and_follows_none_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[httpx2.Request] = []

    async def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(0, 0, 0, "", ("93.184.215.14", port))]

    def receive(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(307, headers={"Location": "http://127.0.0.1/"})

    monkeypatch.setattr("reasoning.standing.webhook.anyio.getaddrinfo", resolve)
    sender = WebhookSender(Webhook("https://hooks.example/x", pauses_s=()), logging.getLogger("test"), None)
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(receive)) as client:
        assert await sender._post(client, _notice("q1")) == 307
    (request,) = asked
    assert (str(request.url), request.headers["host"]) == ("https://93.184.215.14/x", "hooks.example")
    assert request.extensions["sni_hostname"] == "hooks.example"


@pytest.mark.anyio
async def test_of_a_webhooks_reply_nothing_but_the_status_is_read() -> None:
    class Endless(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            raise AssertionError("it was read")
            yield b""

    def receive(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, stream=Endless())

    sender = WebhookSender(Webhook("http://127.0.0.1/x", private=True, pauses_s=()), logging.getLogger("test"))
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(receive)) as client:
        assert await sender._post(client, _notice("q1")) == 200


def _notice(query: str) -> Notice:
    from reasoning.answer.citations import cite

    return Notice(id=f"{query}/x", query=query, text="A person appears [0:02].", citation=cite([RED])[0])


def test_an_object_that_appears_is_no_person_unless_it_is_one() -> None:
    thing = appears(3.0, "moving", "a moving thing", shape="wide", colours=["red"], track=9)
    assert fires("a person appears", thing) == []
    assert fires("a red car comes", thing) == [thing.id]


def named(t_s: float, label: str, text: str, event: str = "appears", **facts: Any) -> Observation:
    """Something with a name that comes, or goes."""
    return observe("object", t_s, text, kind="thing", label=label, event=event, track=int(t_s), **facts)


CAR = named(1.0, "car", "a white car enters from the left", colours=["white"], side="left")
CUP = named(2.0, "cup", "a blue cup on a table at the centre", colours=["blue"], side="centre")
GONE = named(3.0, "car", "the white car leaves at the right", "leaves", colours=["white"], side="right")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("a car appears", [CAR]),
        ("an automobile appears", [CAR]),
        ("a vehicle enters", [CAR]),
        ("a white car appears", [CAR]),
        ("a red car appears", []),
        ("a car comes from the left", [CAR]),
        ("a car comes from the right", []),
        ("a car leaves", [GONE]),
        ("a vehicle departs", [GONE]),
        ("my mug appears", [CUP]),
        ("a red mug appears", []),
        ("a dog appears", []),
    ],
)
def test_what_has_a_name_is_waited_for_by_any_word_for_it_in_its_colour_and_on_its_way(
    condition: str, expected: list[Observation]
) -> None:
    assert fires(condition, CAR, CUP, GONE, cool_down_s=0.0, duplicate_s=0.0) == [o.id for o in expected]


def test_of_a_thing_by_name_it_is_told_what_it_does() -> None:
    gate = Gate(GateOptions())
    gate.watch({"q1": parse_condition("a car appears")})
    assert [candidate.said for candidate in gate.step(CAR)] == ["a white car enters from the left [0:01]"]
    promise = account(parse_condition("a red cup leaves"), {"things": "COCO"}, every=False)
    assert promise == 'I will tell you once, when I recognise "cup" in red and see it leave.'
