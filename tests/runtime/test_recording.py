"""Recordings: what was published is read back exactly, and replays through a stage exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import DecodeError
from runtime.messages import Message, Progress, SourceEnded
from runtime.recording import Recorder, read_recording

MESSAGES: list[Message] = [
    Progress(source="clip", track="video", t_s=1.0),
    Progress(source="clip", track="video", t_s=2.5),
    SourceEnded(source="clip", track="video", t_s=2.5),
]


class Steps:
    """Says how much media time passed since the last message."""

    def __init__(self) -> None:
        self._last_s = 0.0

    def step(self, message: Message) -> list[float]:
        assert isinstance(message, Progress | SourceEnded)
        passed_s, self._last_s = message.t_s - self._last_s, message.t_s
        return [passed_s] if passed_s else []


def record(path: Path, messages: list[Message]) -> None:
    recorder = Recorder(path)
    for message in messages:
        recorder.write(message)
    recorder.close()


def test_a_recording_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    record(tmp_path / "new" / "video.recording", MESSAGES)
    assert list(read_recording(tmp_path / "new" / "video.recording")) == MESSAGES


def test_a_recorded_input_through_a_stage_gives_the_same_output_each_time(tmp_path: Path) -> None:
    record(tmp_path / "r", MESSAGES)
    outputs = []
    for stage in (Steps(), Steps()):
        outputs.append([said for message in read_recording(tmp_path / "r") for said in stage.step(message)])
    assert outputs == [[1.0, 1.5], [1.0, 1.5]]


@pytest.mark.parametrize("cut", [1, 3, 10])
def test_a_recording_cut_off_in_a_message_is_said_to_be(tmp_path: Path, cut: int) -> None:
    record(tmp_path / "r", MESSAGES)
    whole = (tmp_path / "r").read_bytes()
    (tmp_path / "r").write_bytes(whole[:-cut])
    with pytest.raises(DecodeError, match="cut off"):
        list(read_recording(tmp_path / "r"))
