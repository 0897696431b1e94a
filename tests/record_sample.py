"""Make the recordings in `tests/data` anew, after a change that is meant to change what the sample gives.

    python -m tests.record_sample

Look at the difference before committing it: it is what the change does to a memory.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec

from memory.consolidate import Consolidator
from memory.segment import SegmentOptions
from runtime.messages import PERCEIVED_CHANNELS, Message, Observation, SourceEnded, SourceOpened, Span
from runtime.recording import SUFFIX, Recorder, read_recording
from tests.agent_runs import SAMPLE, run

DATA = Path(__file__).resolve().parent / "data"
SPANS = DATA / "sample.spans.json"


def recorded(name: str) -> list[Message]:
    """What the "video" or "audio" process published of the sample, pictures left out."""
    return list(read_recording(DATA / f"sample.{name}{SUFFIX}"))


class Consolidating:
    """`Consolidator` as a stage over one source's observations and its end."""

    def __init__(self) -> None:
        self._consolidator = Consolidator("sample.mp4", SegmentOptions())

    def step(self, message: Any) -> list[Span]:
        if isinstance(message, SourceEnded):
            return self._consolidator.finish(message.t_s)
        return self._consolidator.step(message)


def spans_of_recordings() -> list[Span]:
    """The spans that the recorded observations lead to, released in the order of the media."""
    messages = [*recorded("video"), *recorded("audio")]
    perceived = [m for m in messages if isinstance(m, Observation) and m.channel in PERCEIVED_CHANNELS]
    perceived.sort(key=lambda o: (o.t1_s, o.t0_s, o.channel, o.id))
    end = max((m for m in messages if isinstance(m, SourceEnded)), key=lambda ended: ended.t_s)
    stage = Consolidating()
    return [span for message in (*perceived, end) for span in stage.step(message)]


def _anywhere(message: Message) -> Message:
    """Without pictures, and without where and when the sample lay on this machine."""
    if isinstance(message, SourceOpened):
        return msgspec.structs.replace(message, uri=SAMPLE.name, started_wall_s=0.0)
    return msgspec.structs.replace(message, payload=None) if isinstance(message, Observation) else message


def main() -> None:
    """Replay the sample, keep what was published, and what it leads to."""
    DATA.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        run("replay", SAMPLE, "--memory", Path(folder, "memory"), "--record", folder, "--ask", "what?")
        for name in ("video", "audio"):
            recorder = Recorder(DATA / f"sample.{name}{SUFFIX}")
            for message in read_recording(Path(folder, f"{name}{SUFFIX}")):
                recorder.write(_anywhere(message))
            recorder.close()
    SPANS.write_bytes(msgspec.json.format(msgspec.json.encode(spans_of_recordings()), indent=1) + b"\n")


if __name__ == "__main__":
    main()
