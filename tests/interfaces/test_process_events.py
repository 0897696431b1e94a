"""What is told of processes that die, and that memory learns which tracks will not go on."""

from __future__ import annotations

from typing import cast

import anyio
import pytest

from runtime.errors import DeadlineExceeded, ProcessFailed
from runtime.interfaces.client import Client
from runtime.interfaces.commands import process_events
from runtime.interfaces.commands.process_events import tell_events
from runtime.messages import Track
from runtime.supervisor import ProcessEvent

pytestmark = pytest.mark.anyio
Perceived = dict[str, list[tuple[Track, tuple[str, ...]]]]


class Memory:
    """Answers that a track is lost from the third time on."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.lost_tracks: list[tuple[str, str, tuple[str, ...]]] = []

    async def lost(self, track: Track, reason: str, sources: tuple[str, ...]) -> None:
        if self.failures:
            self.failures -= 1
            raise DeadlineExceeded("memory did not answer within 15 s")
        self.lost_tracks.append((track, reason, sources))


async def tell(memory: Memory, perceived: Perceived, *lost: str) -> None:
    give, take = anyio.create_memory_object_stream[ProcessEvent](10)
    with give:
        for process in lost:
            give.send_nowait(ProcessEvent("lost", process, process.partition(":")[0], f"{process} is gone"))
    with take, anyio.fail_after(5):
        await tell_events(take, cast(Client, memory), perceived)


async def test_memory_is_told_again_until_it_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(process_events, "RETRY_S", 0.0)
    memory = Memory(failures=2)
    await tell(memory, {"video": [("video", ("a.mp4", "b.mp4"))]}, "video")
    assert memory.lost_tracks == [("video", "video is gone", ("a.mp4", "b.mp4"))]
    shown = capsys.readouterr()
    assert (shown.out + shown.err).count("memory did not answer") == 1


async def test_a_live_source_that_is_lost_ends_alone() -> None:
    memory = Memory()
    perceived: Perceived = {"video:door": [("video", ("door@now",))], "audio:mic": [("audio", ("mic@now",))]}
    await tell(memory, perceived, "video:door", "audio:mic", "embedding")
    assert [(track, sources) for track, _, sources in memory.lost_tracks] == [
        ("video", ("door@now",)),
        ("audio", ("mic@now",)),
    ]


async def test_a_replay_of_which_nothing_can_be_perceived_any_more_ends() -> None:
    memory = Memory()
    with pytest.raises(ProcessFailed, match="neither picture nor sound"):
        await tell(memory, {"video": [("video", ("a",))], "audio": [("audio", ("a",))]}, "audio", "video")
    assert len(memory.lost_tracks) == 2
