"""The video process, driven at its lowest seam: a service without sockets."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from runtime.config import parse_config
from runtime.messages import FrameFacts, Message, Observation, Progress, SourceEnded, SourceOpened, SourceRecord, encode
from tests.fixtures.clocked_clips import clocked_clip
from tests.fixtures.drawn_clips import at_rate, decoded, plain, street, with_text, write_clip
from tests.fixtures.watched_files import observations, perceive

SIZE = (320, 240)


def scene(t: float) -> np.ndarray:
    """A street with a title from 3 s on, and something red that crosses it between 6 and 11 s."""
    picture = street(SIZE)
    if t >= 3.0:
        picture = with_text(picture, "MAIN STREET", (40, 60))
    if 6.0 <= t < 11.0:
        x = round((t - 6.0) / 5.0 * 360) - 40
        picture[150:176, max(0, x) : max(0, x + 40)] = (30, 30, 200)
    return picture


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "street.mp4", at_rate(10, 30, scene), size=SIZE)


@pytest.fixture(scope="module")
def watched(clip: Path) -> list[Message]:
    return perceive(clip).outbox.sent


def test_a_source_is_opened_told_and_ended_in_the_order_of_time(watched: list[Message]) -> None:
    opened, ended = watched[0], watched[-1]
    assert isinstance(opened, SourceOpened)
    assert (opened.source, opened.track, opened.missing) == ("street.mp4", "video", "")
    assert opened.duration_s == pytest.approx(30.0, abs=0.2)
    assert {"frame", "text", "object"} <= set(opened.encoders)
    assert isinstance(ended, SourceEnded)
    assert (ended.track, ended.reason) == ("video", "end")
    assert ended.t_s == pytest.approx(30.0, abs=0.15)
    passed = [m.t_s for m in watched if isinstance(m, Progress)]
    assert all(0.5 < later - earlier <= 1.2 for earlier, later in pairwise(passed))
    assert passed[-1] > 28.5
    watermark = 0.0
    for message in watched:
        if isinstance(message, Progress):
            watermark = message.t_s
        elif isinstance(message, Observation):
            assert message.t1_s >= watermark


def test_what_happens_is_observed_with_its_evidence(watched: list[Message]) -> None:
    [title] = observations(watched, "text")
    assert title.text == "MAIN STREET"
    assert title.t0_s == pytest.approx(3.0, abs=1.1)
    comes, goes = observations(watched, "object")
    assert "red moving thing enters from the left" in comes.text
    assert "leaves at the right" in goes.text
    frames = observations(watched, "frame")
    assert frames[0].facts(FrameFacts).reason == "first"
    assert all(frame.payload and frame.payload[:2] == b"\xff\xd8" and frame.vector for frame in frames)
    assert {frame.vector_space for frame in frames} == {"layout-v1"}
    showing_title = [frame.t0_s for frame in frames if title.id in frame.evidence]
    assert showing_title[0] == title.t0_s
    assert showing_title[-1] > 28
    showing_thing = [frame.t0_s for frame in frames if comes.id in frame.evidence]
    assert 7 < showing_thing[0] < showing_thing[-1] < 13
    still = [frame for frame in frames if frame.facts(FrameFacts).still]
    assert still
    assert "nothing moves" in still[0].text


def test_every_id_is_unique_and_every_evidence_was_told_before(watched: list[Message]) -> None:
    told: set[str] = set()
    for observation in observations(watched):
        assert observation.id not in told
        assert set(observation.evidence) <= told
        told.add(observation.id)


def test_two_replays_give_the_same_messages_byte_for_byte(clip: Path, watched: list[Message]) -> None:
    again = perceive(clip).outbox.sent
    assert [encode(message) for message in again] == [encode(message) for message in watched]


def test_after_a_restart_only_what_is_new_is_told(clip: Path, watched: list[Message]) -> None:
    record = SourceRecord(
        source="street.mp4", kind="file", uri="", fingerprint="", started_wall_s=0.0, watermarks={"video": 8.5}
    )
    resumed = perceive(clip, records=(record,)).outbox.sent
    frames = [observation for observation in observations(resumed) if observation.channel == "frame"]
    assert frames == [frame for frame in observations(watched, "frame") if frame.t0_s > 8.5]
    assert next(m for m in resumed if isinstance(m, Progress)).t_s > 8.5
    known = {observation.id for observation in observations(watched)}
    assert {observation.id for observation in observations(resumed)} <= known
    assert any("leaves at the right" in observation.text for observation in observations(resumed, "object"))


def test_after_a_restart_before_anything_was_in_memory_what_begins_at_0_is_told(
    clip: Path, watched: list[Message]
) -> None:
    """A track is known with a watermark of 0.0 as soon as it was opened."""
    record = SourceRecord(
        source="street.mp4", kind="file", uri="", fingerprint="", started_wall_s=0.0, watermarks={"video": 0.0}
    )
    resumed = perceive(clip, records=(record,)).outbox.sent
    assert [encode(message) for message in resumed] == [encode(message) for message in watched]


def test_a_source_that_memory_has_to_its_end_is_not_watched_again(clip: Path) -> None:
    record = SourceRecord(
        source="street.mp4", kind="file", uri="", fingerprint="", started_wall_s=0.0, ended={"video": "end"}
    )
    assert perceive(clip, records=(record,)).outbox.sent == []


def test_a_resumed_long_source_is_not_decoded_from_the_beginning(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "long.mp4", at_rate(5, 120, scene), size=SIZE, options={"g": "25"})
    record = SourceRecord(
        source="long.mp4", kind="file", uri="", fingerprint="", started_wall_s=0.0, watermarks={"video": 100.0}
    )
    service = perceive(path, records=(record,))
    assert service.counters["frames"] < 250  # of 600: 20 s of warm-up, 20 s that are new, and up to a group before
    assert all(observation.t1_s > 100 for observation in observations(service.outbox.sent, "frame"))
    shown = {identity for frame in observations(service.outbox.sent, "frame") for identity in frame.evidence}
    assert shown <= {observation.id for observation in observations(service.outbox.sent)}


def test_sound_alone_is_opened_and_ended_at_once(media: Path) -> None:
    opened, ended = perceive(media / "odd" / "made" / "audio_only.mp4").outbox.sent
    assert isinstance(opened, SourceOpened)
    assert isinstance(ended, SourceEnded)
    assert opened.missing == "no picture"
    assert ended.reason == "end"


def test_a_file_that_went_away_ends_with_its_reason(tmp_path: Path) -> None:
    opened, ended = perceive(tmp_path / "gone.mp4").outbox.sent
    assert isinstance(opened, SourceOpened)
    assert isinstance(ended, SourceEnded)
    assert "no such file" in opened.missing
    assert "no such file" in ended.reason


def test_a_cut_off_file_is_told_up_to_the_break(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    noise = [random.integers(0, 255, (240, 320, 3), dtype=np.uint8) for _ in range(60)]
    faststart = {"movflags": "faststart"}
    path = write_clip(tmp_path / "cut.mp4", [(k / 10, noise[k]) for k in range(60)], container_options=faststart)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    sent = perceive(path).outbox.sent
    ended = sent[-1]
    assert isinstance(ended, SourceEnded)
    assert ended.reason != "end"
    assert 1.5 < ended.t_s < 5.0
    assert observations(sent, "frame")[-1].t0_s == pytest.approx(ended.t_s, abs=0.3)


def test_the_last_picture_is_looked_at_for_as_long_as_the_sound_lasts(tmp_path: Path) -> None:
    path = tmp_path / "still.mkv"
    path.write_bytes(clocked_clip(25, kind="matroska", picture_s=2))
    sent = perceive(path).outbox.sent
    times = [frame.t0_s for frame in observations(sent, "frame")]
    assert times[-1] == pytest.approx(25.0, abs=0.2)
    assert all(later - earlier <= 11.0 for earlier, later in pairwise(times))
    ended = sent[-1]
    assert isinstance(ended, SourceEnded)
    assert (ended.reason, ended.t_s) == ("end", pytest.approx(25.0, abs=0.1))
    assert not observations(sent, "gap")


@pytest.mark.parametrize(("keyframe_s", "from_packet"), [(5.0, 0.2), (30.0, 0.5)])
def test_a_start_that_cannot_be_decoded_is_a_gap(tmp_path: Path, keyframe_s: float, from_packet: float) -> None:
    whole = clocked_clip(10, keyframe_s=keyframe_s)
    packets = [whole[k : k + 188] for k in range(0, len(whole), 188)]
    path = tmp_path / "cut.ts"
    path.write_bytes(b"".join(packets[:3] + packets[round(len(packets) * from_packet) :]))
    sent = perceive(path).outbox.sent
    [gap] = observations(sent, "gap")
    assert gap.t0_s == 0.0
    assert "no picture can be decoded" in gap.text
    frames, ended = observations(sent, "frame"), sent[-1]
    assert isinstance(ended, SourceEnded)
    assert gap.t1_s == (frames[0].t0_s if frames else ended.t_s) > 2.0


def test_a_joined_recording_is_looked_at_throughout(tmp_path: Path) -> None:
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(clocked_clip(6, 6 * k) for k in range(3)))
    times = [frame.t0_s for frame in observations(perceive(path).outbox.sent, "frame")]
    assert times[-1] == pytest.approx(18.0, abs=0.3)
    assert all(later - earlier <= 3.0 for earlier, later in pairwise(times))


@pytest.mark.parametrize(
    "name",
    [
        "odd/made/one_frame.mp4",
        "odd/made/animated.gif",
        "odd/made/tiny_16x16.mp4",
        "odd/made/odd_size_321x181.mp4",
        "odd/made/hdr10_flagged_hevc10.mp4",
        "odd/made/rotated_90_metadata.mp4",
        "odd/real/-moviepy-dash-name-.mp4",
        "odd/real/minicpm_2x2_pixels.mp4",
        "odd/real/decord_unordered.mov",
    ],
)
def test_odd_pictures_are_watched_to_their_end(media: Path, name: str) -> None:
    sent = perceive(media / name).outbox.sent
    ended = sent[-1]
    assert isinstance(ended, SourceEnded)
    assert ended.reason == "end"
    frames = observations(sent, "frame")
    assert frames[0].t0_s == 0.0
    assert all(encode(frame) for frame in frames)


def test_private_regions_are_kept_out_of_all_that_is_told(tmp_path: Path) -> None:

    path = write_clip(tmp_path / "title.mp4", at_rate(10, 5, scene), size=SIZE)
    config = parse_config({"perception": {"vision": {"mask": [[0.0, 0.0, 1.0, 0.4]]}}}, "test")
    sent = perceive(path, config=config).outbox.sent
    assert not observations(sent, "text")
    for frame in observations(sent, "frame"):
        kept = decoded(frame.payload)
        assert kept[: int(0.38 * kept.shape[0])].max() < 30
        assert frame.facts(FrameFacts).regions["top"] == "black"


def test_stopping_ends_the_process_soon(clip: Path) -> None:
    sent = perceive(clip, stop_after=8).outbox.sent
    assert len(sent) < 40
    assert not [message for message in sent if isinstance(message, SourceEnded)]


def test_stages_can_be_switched_off(clip: Path) -> None:
    off = {"read_text": False, "detect": "off", "faces": False, "motion": False}
    sent = perceive(clip, config=parse_config({"perception": {"vision": off}}, "test"), stop_after=60).outbox.sent
    assert {observation.channel for observation in observations(sent)} == {"frame"}
    assert isinstance(sent[0], SourceOpened)
    assert set(sent[0].encoders) == {"frame"}


def test_the_picture_that_begins_a_shot_is_kept_large_and_those_like_it_small(tmp_path: Path) -> None:
    size = (1280, 720)
    first, second = street(size), plain((30, 160, 60), size)
    clip = write_clip(tmp_path / "two.mp4", at_rate(5, 6, lambda t_s: first if t_s < 3 else second), size=size)
    seeing = {"read_text": False, "faces": False, "detect": "off"}
    sent = perceive(clip, config=parse_config({"perception": {"vision": seeing}}, "test")).outbox.sent
    frames = observations(sent, "frame")
    assert {decoded(frame.payload).shape[1] for frame in frames} == {768, 384}
    for frame in frames:
        assert frame.facts(FrameFacts).large == (decoded(frame.payload).shape[1] == 768)
    assert [frame.t0_s for frame in frames if frame.facts(FrameFacts).large] == [0.0, 3.0]
