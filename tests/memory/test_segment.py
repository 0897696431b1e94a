"""Events end where the picture surprises, where speech pauses, and after the longest time."""

from __future__ import annotations

import msgspec

from memory.spans.segment import Segmenter, SegmentOptions, SegmentState
from runtime.messages import Observation
from tests.fixtures.memory_cases import say, see

EAST, NORTH = (1.0, 0.0), (0.0, 1.0)


def boundaries(*observations: Observation, **options: float) -> list[float]:
    segmenter = Segmenter(SegmentOptions(**options))  # type: ignore[arg-type]
    return [t_s for observation in observations for t_s in segmenter.step(observation)]


def frames(*scenes: tuple[int, tuple[float, ...]], first_s: int = 0) -> list[Observation]:
    """One frame a second: (count, vector) scene by scene, each frame a little different."""
    out: list[Observation] = []
    for count, vector in scenes:
        for _ in range(count):
            t_s = first_s + len(out)
            wobble = 0.01 * (t_s % 3)
            out.append(see(float(t_s), vector=(vector[0] + wobble, vector[1] + wobble)))
    return out


def test_an_event_ends_at_the_frame_that_is_unlike_it() -> None:
    assert boundaries(*frames((10, EAST), (10, NORTH), (10, EAST))) == [10.0, 20.0]


def test_a_still_scene_is_one_event_however_its_noise_spreads() -> None:
    assert boundaries(*frames((60, EAST))) == []


def test_a_cut_said_by_perception_ends_the_event_even_between_like_pictures() -> None:
    seen = frames((10, EAST))
    seen[6] = see(6.0, vector=EAST, cut=True)
    assert boundaries(*seen) == [6.0]


def test_an_event_is_no_shorter_than_the_least_and_the_short_piece_joins_what_follows() -> None:
    # The flash at 10 s lasts one frame: its boundary counts, the way back a second later does not.
    assert boundaries(*frames((10, EAST), (1, NORTH), (10, EAST)), min_s=3.0) == [10.0]


def test_an_event_is_no_longer_than_the_most() -> None:
    assert boundaries(*frames((150, EAST)), max_s=64.0) == [64.0, 128.0]


def test_a_higher_gamma_asks_for_more_surprise() -> None:
    slowly = [see(float(i), vector=(1.0, 0.0 if i % 7 else 0.5)) for i in range(60)]
    assert len(boundaries(*slowly, gamma=0.5)) > len(boundaries(*slowly, gamma=5.0)) == 0


def test_without_a_picture_an_event_ends_at_a_long_pause_in_speech() -> None:
    heard = [say(t, t + 1.8, "words") for t in (0.0, 2.0, 4.0, 6.0, 20.0, 22.0, 24.0)]
    assert boundaries(*heard) == [20.0]


def test_with_a_picture_a_pause_in_speech_ends_nothing() -> None:
    heard = [say(t, t + 1.8, "words") for t in (0.0, 2.0, 4.0, 20.0)]
    seen = frames((24, EAST))
    assert boundaries(*sorted([*heard, *seen], key=lambda o: (o.t1_s, o.t0_s))) == []


def test_hours_without_any_observation_are_one_event() -> None:
    assert boundaries(say(0.0, 2.0, "good night"), say(30000.0, 30002.0, "good morning")) == [64.0, 30000.0]


def test_frames_of_another_vector_space_start_a_new_average() -> None:
    other = [see(float(i), vector=(0.0, 1.0, 0.0)) for i in range(10, 20)]
    assert boundaries(*frames((10, EAST)), *other) == []


def test_a_segmenter_goes_on_from_its_saved_state_exactly() -> None:
    seen = frames((10, EAST), (10, NORTH), (7, EAST), (40, NORTH))
    whole = boundaries(*seen)
    for cut in range(0, len(seen), 5):
        first = Segmenter(SegmentOptions())
        before = [t_s for o in seen[:cut] for t_s in first.step(o)]
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(first.state), type=SegmentState)
        second = Segmenter(SegmentOptions(), state)
        assert before + [t_s for o in seen[cut:] for t_s in second.step(o)] == whole
