"""Pooling: what stays of an event is what tells most, and a picture of what was noticed nowhere else."""

from __future__ import annotations

from msgspec import structs

from memory.budget.compress import Member, Pooling
from runtime.messages import Observation
from tests.fixtures.memory_cases import say, see


def look(n: int = 10, **evidence: tuple[str, ...]) -> list[Observation]:
    """Pictures that all look the same."""
    frames = [see(float(i), "a kitchen", vector=(1.0, 0.001 * i)) for i in range(n)]
    return [structs.replace(frame, evidence=evidence.get(f"at_{i}", ())) for i, frame in enumerate(frames)]


def things(*named: tuple[float, str, float]) -> list[Member]:
    return [Member(say(t_s, t_s, text, channel="object"), rarity) for t_s, text, rarity in named]


def test_a_thing_noticed_nowhere_else_keeps_the_picture_that_shows_it() -> None:
    parrot = say(4.0, 4.0, "a parrot appears", channel="object")
    # It is told of at 0:04 and made out in the picture of 0:06.
    frames = look(at_6=(parrot.id,))
    members = [Member(frame, 0.0) for frame in frames] + [Member(parrot, 2.0)]
    kept = Pooling().compress_seen(members, frames[0].id, "sketch")
    assert kept.pictures == {frames[0].id, frames[6].id} and parrot.id in kept.rows
    assert kept.pictures <= kept.rows
    # Once it has been noticed elsewhere too, the keyframe is enough.
    often = [Member(frame, 0.0) for frame in frames] + [Member(parrot, 0.4)]
    assert Pooling().compress_seen(often, frames[0].id, "sketch").pictures == {frames[0].id}


def test_without_a_picture_that_names_it_the_nearest_in_time_is_kept_and_one_may_show_several() -> None:
    frames = look()
    members = [Member(frame, 0.0) for frame in frames] + things((7.2, "a parrot appears", 2.0))
    assert Pooling().compress_seen(members, frames[0].id, "sketch").pictures == {frames[0].id, frames[7].id}
    parrot, cage = things((4.0, "a parrot appears", 2.0), (4.5, "a cage appears", 1.5))
    frames = look(at_5=(parrot.observation.id, cage.observation.id))
    members = [*(Member(frame, 0.0) for frame in frames), parrot, cage]
    assert Pooling().compress_seen(members, frames[0].id, "sketch").pictures == {frames[0].id, frames[5].id}


def test_a_pointer_has_no_picture_and_its_rarest_things() -> None:
    frames = look()
    named = things((1.0, "a parrot", 3.0), (2.0, "a person", 0.1), (3.0, "a cage", 2.0), (4.0, "a rope", 1.0))
    kept = Pooling().compress_seen([*(Member(f, 0.0) for f in frames), *named], frames[0].id, "pointer")
    assert not kept.pictures
    assert kept.rows == {frames[0].id, *(m.observation.id for m in named if m.rarity >= 1.0)}


def test_of_words_what_tells_next_to_nothing_beside_the_rest_is_left_out_though_there_is_room() -> None:
    told = Member(say(0.0, 2.0, "the porcupine is in the attic"), 2.0)
    also = Member(say(3.0, 5.0, "the attic has been locked"), 1.0)
    stock = Member(say(6.0, 8.0, "thank you for watching"), 0.05)
    missed = Member(say(9.0, 10.0, "nothing could be perceived", channel="gap"), 0.0)
    kept = Pooling().compress_said([told, also, stock, missed])
    assert kept.rows == {m.observation.id for m in (told, also, missed)}
    # Where nothing tells more, there is a line of it.
    assert Pooling().compress_said([stock]).rows == {stock.observation.id}
