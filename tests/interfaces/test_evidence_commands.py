"""show, clip, transcript, recordings over a real memory; what they say of what they made, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memory.store.database import Store
from perception.capture.blocks import SAMPLE_RATE_HZ, level_db
from perception.capture.file import probe
from perception.capture.file_tracks import open_sound
from runtime.config import Config
from runtime.errors import UserError
from runtime.footage import FOOTAGE, folder_of, segment_name
from runtime.interfaces.commands.evidence import (
    clip,
    evidence_talk,
    list_recordings,
    show,
    tell_transcript,
    told_of_clip,
    window_of,
)
from runtime.interfaces.transcript import transcript
from runtime.messages import SourceEnded, SourceOpened, Track
from runtime.sources import MASKS_NAME, keep_mask
from runtime.titles import drop_titles, named, set_title, titles
from tests.fixtures.drawn_recording import decoded, draw_recording, second_of, shown_in
from tests.fixtures.memory_cases import gather_all, progress, remember, say
from tests.fixtures.served_agent import StoredClient

pytestmark = pytest.mark.anyio
SAID = (say(2.0, 3.0, "good morning", source="a.mp4"), say(7.0, 7.5, "good night", source="a.mp4"))


@asynccontextmanager
async def remembered(folder: Path, *others: str) -> AsyncIterator[StoredClient]:
    """A memory of the recording a.mp4, and of sources that were perceived elsewhere."""
    recording = draw_recording(folder / "a.mp4")
    store = Store(folder)
    for n, name in enumerate(("a.mp4", *others)):
        is_file = name == "a.mp4"
        opened = [
            SourceOpened(
                source=name, track=track, uri=str(recording) if is_file else "",
                fingerprint=probe(recording).fingerprint if is_file else name, started_wall_s=1_700_000_000.0 + 60 * n,
            )
            for track in ("video", "audio")
        ]  # fmt: skip
        ended = [SourceEnded(source=name, track=track, t_s=10.0) for track in ("video", "audio")]
        remember(store, gather_all(*opened, *(SAID if is_file else ()), *ended, first=1 + 100 * n))
    client = StoredClient(store)
    yield client
    client.close()


@pytest.mark.parametrize(
    ("typed", "t0_s", "t1_s"),
    [
        ("0:02-0:05", 2.0, 5.0),
        ("2s to 5s", 2.0, 5.0),
        ("0:02 – 0:05", 2.0, 5.0),
        ("0:04", 2.0, 10.0),
        ("0:01", 0.0, 9.0),
        ("0:08-0:50", 8.0, 10.0),
    ],
)
async def test_a_stretch_is_two_moments_or_what_surrounds_one(
    tmp_path: Path, typed: str, t0_s: float, t1_s: float
) -> None:
    async with remembered(tmp_path) as client:
        window = await window_of(typed, "", client, tmp_path)  # type: ignore[arg-type]
        assert (window.source, window.t0_s) == ("a.mp4", t0_s)
        assert min(window.t1_s, 10.0) == t1_s


@pytest.mark.parametrize("typed", ["whenever", "0:05-0:02", "2:00-3:00", "-", ""])
async def test_what_is_no_stretch_of_it_is_told_in_one_line(tmp_path: Path, typed: str) -> None:
    async with remembered(tmp_path) as client:
        with pytest.raises(UserError):
            await window_of(typed, "", client, tmp_path)  # type: ignore[arg-type]


async def test_media_time_of_several_sources_needs_one_named_also_by_its_title(tmp_path: Path) -> None:
    async with remembered(tmp_path, "b.mp4") as client:
        with pytest.raises(UserError, match="whose media time"):
            await window_of("0:02-0:05", "", client, tmp_path)  # type: ignore[arg-type]
        set_title(tmp_path, (await client.status()).sources, "a.mp4", "Breakfast")
        window = await window_of("0:02-0:05", "breakfast", client, tmp_path)  # type: ignore[arg-type]
        assert window.source == "a.mp4"


async def test_a_picture_goes_to_a_file_and_says_what_it_is_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with remembered(tmp_path) as client:
        out = tmp_path / "shown.jpg"
        await show(client, Config(), tmp_path, "0:07", "", out)  # type: ignore[arg-type]
        assert second_of(decoded(out.read_bytes())) == 7
        assert "a.mp4 at 0:07, from the recording" in capsys.readouterr().err
        with pytest.raises(UserError, match="name a file with -o"):
            await show(client, Config(), tmp_path, "0:07", "", None)  # type: ignore[arg-type]
        with pytest.raises(UserError, match="cannot be written"):
            await show(client, Config(), tmp_path, "0:07", "", tmp_path / "no" / "x.jpg")  # type: ignore[arg-type]


async def test_a_clip_goes_to_a_file_whole_or_not_at_all(tmp_path: Path) -> None:
    async with remembered(tmp_path) as client:
        out = tmp_path / "out.mp4"
        made = await clip(client, Config(), tmp_path, "0:03-0:05", "", out)  # type: ignore[arg-type]
        assert {second_of(image) for _, image in shown_in(out)} == {3, 4}
        assert "a.mp4 0:03-0:05, from the recording" in told_of_clip(made)
        (tmp_path / "a.mp4").unlink()
        with pytest.raises(UserError):
            await clip(client, Config(), tmp_path, "0:03-0:05", "", tmp_path / "other.mp4")  # type: ignore[arg-type]
        assert sorted(path.name for path in tmp_path.glob("*.mp4")) == ["out.mp4"]
        with pytest.raises(UserError, match="no folder"):
            await clip(client, Config(), tmp_path, "0:03-0:05", "", tmp_path / "no" / "x.mp4")  # type: ignore[arg-type]


async def test_transcripts_are_of_all_or_of_a_stretch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with remembered(tmp_path) as client:
        await tell_transcript(client, tmp_path, "", "", "txt", None)  # type: ignore[arg-type]
        assert capsys.readouterr().out == "[0:02] good morning\n[0:07] good night\n"
        await tell_transcript(client, tmp_path, "0:05-0:09", "", "srt", tmp_path / "x.srt")  # type: ignore[arg-type]
        assert "00:00:07,000 --> 00:00:07,500\ngood night" in (tmp_path / "x.srt").read_text()
        with pytest.raises(UserError, match="no source"):
            await tell_transcript(client, tmp_path, "", "b.mp4", "txt", None)  # type: ignore[arg-type]


def test_long_utterances_become_subtitles_that_are_read_at_a_glance() -> None:
    spoken = "The train to London leaves at seven. My sister will come home on Friday and bring the bread".split()
    words = [[word, 2.0 + k / 2, 2.4 + k / 2, 0.9] for k, word in enumerate(spoken)]
    one = say(2.0, 11.0, " ".join(spoken), source="a.mp4", words=words)
    srt = transcript((one,), "srt").split("\n\n")
    assert srt == [
        "1\n00:00:02,000 --> 00:00:05,400\nThe train to London leaves at seven.",
        "2\n00:00:05,500 --> 00:00:10,900\nMy sister will come home on Friday and bring the bread\n",
    ]
    # Words that do not make up the text say nothing of its parts.
    other = say(2.0, 11.0, " ".join(spoken), source="a.mp4", words=words[1:])
    assert transcript((other,), "vtt").count("-->") == 1


def test_of_words_without_an_end_each_cue_is_short_and_a_pause_parts_them() -> None:
    words = [["word", k + (5.0 if k >= 6 else 0.0), k + 0.9 + (5.0 if k >= 6 else 0.0), 0.9] for k in range(40)]
    one = say(0.0, 60.0, " ".join(["word"] * 40), source="a.mp4", words=words)
    lines = transcript((one,), "vtt").splitlines()
    shown = [line for line in lines if line.startswith("word")]
    assert " ".join(shown) == one.text and all(len(line) <= 84 for line in shown)
    assert shown[0] == " ".join(["word"] * 6)


async def test_recordings_are_listed_with_their_times_and_titles(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with remembered(tmp_path, "b.mp4") as client:
        known = (await client.status()).sources
        set_title(tmp_path, known, "a.mp4", "Breakfast")
        await list_recordings(client, tmp_path, as_json=True)  # type: ignore[arg-type]
        rows = json.loads(capsys.readouterr().out)["recordings"]
        assert [(row["source"], row["title"], row["until_s"], row["complete"]) for row in rows] == [
            ("a.mp4", "Breakfast", 10.0, True),
            ("b.mp4", "", 10.0, True),
        ]
        assert rows[0]["recording_is_there"] and not rows[1]["recording_is_there"]
        await list_recordings(client, tmp_path, as_json=False)  # type: ignore[arg-type]
        assert "0:10  file  Breakfast (a.mp4)" in capsys.readouterr().out


async def test_of_a_live_source_what_was_kept_of_it_is_shown_on_its_clock_and_masked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    door = "door@2026-11-30T10:00:00"
    store = Store(tmp_path)
    opened = SourceOpened(source=door, track="video", kind="camera", started_wall_s=1_700_000_000.0)
    remember(store, gather_all(opened, progress(60.0, "video", door)))
    folder = folder_of(tmp_path / FOOTAGE, door)
    folder.mkdir(parents=True)
    draw_recording(folder / "x.mp4").rename(folder / segment_name(20.0, 30.0))
    client: Any = StoredClient(store)
    out = tmp_path / "out.mp4"
    made = await clip(client, Config(), tmp_path, "0:23-0:25", "", out)
    assert made.made_of == "footage" and made.note == ""
    assert {second_of(image) for _, image in shown_in(out)} == {3, 4}
    made = await clip(client, Config(), tmp_path, "0:28-0:35", "", out)
    assert "a part of it only" in made.note and made.duration_s == pytest.approx(2.0, abs=0.1)
    await show(client, Config(), tmp_path, "0:27", "", tmp_path / "shown.jpg")
    assert second_of(decoded((tmp_path / "shown.jpg").read_bytes())) == 7
    assert "from the footage" in capsys.readouterr().err
    # A region that became private meanwhile is private in what was kept before, too.
    keep_mask(tmp_path / MASKS_NAME, "door", ((0.0, 0.0, 1.0, 1.0),))
    await clip(client, Config(), tmp_path, "0:23-0:25", "", out)
    assert max(image.max() for _, image in shown_in(out)) < 24
    client.close()


async def test_a_camera_without_sound_is_shown_with_what_the_microphone_beside_it_heard(tmp_path: Path) -> None:
    moment = "2026-11-30T10:00:00"
    store = Store(tmp_path)
    kinds: tuple[tuple[str, Track, Any], ...] = (("door", "video", "camera"), ("mic", "audio", "microphone"))
    for label, track, kind in kinds:
        source = f"{label}@{moment}"
        opened = SourceOpened(source=source, track=track, kind=kind, started_wall_s=1_700_000_000.0)
        remember(store, gather_all(opened, progress(60.0, track, source)))
        folder_of(tmp_path / FOOTAGE, source).mkdir(parents=True)
    door, mic = (folder_of(tmp_path / FOOTAGE, f"{label}@{moment}") for label in ("door", "mic"))
    draw_recording(door / "x.mp4", tone_s=(0.0, 0.0)).rename(door / segment_name(20.0, 30.0))
    draw_recording(mic / "x.mp4", tone_s=(4.0, 5.0)).rename(mic / segment_name(21.0, 31.0))
    client: Any = StoredClient(store)
    out = tmp_path / "out.mp4"
    await clip(client, Config(), tmp_path, "0:24-0:26", f"door@{moment}", out)
    assert {second_of(image) for _, image in shown_in(out)} == {4, 5}
    with open_sound(out) as reader:
        sound = np.concatenate([block.samples for block in reader])
    before, after = np.split(sound[: 2 * SAMPLE_RATE_HZ], 2)
    assert level_db(before) < -60 < -20 < level_db(after)
    client.close()


async def test_in_a_chat_they_are_typed_likewise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with remembered(tmp_path) as client:
        hear: Any = evidence_talk(Config(), tmp_path)
        await hear(client, "transcript", "0:05-0:09 --format json")
        assert json.loads(capsys.readouterr().out)["utterances"][0]["text"] == "good night"
        await hear(client, "show", f"0:07 '{tmp_path}/at seven.jpg'")
        assert second_of(decoded((tmp_path / "at seven.jpg").read_bytes())) == 7
        await hear(client, "recordings", "")
        assert "a.mp4" in capsys.readouterr().out
        for name, typed in (("show", ""), ("clip", "0:03-0:05"), ("transcript", "--format doc"), ("show", "'0:07")):
            with pytest.raises(UserError):
                await hear(client, name, typed)


async def test_titles_are_unique_plain_and_gone_with_their_source(tmp_path: Path) -> None:
    async with remembered(tmp_path, "b.mp4") as client:
        known = (await client.status()).sources
        set_title(tmp_path, known, "a.mp4", "Breakfast")
        for title in ("Breakfast", "a.mp4", "x" * 81, "a\x1b[31m"):
            with pytest.raises(UserError):
                set_title(tmp_path, known, "b.mp4", title)
        assert named(tmp_path, "BREAKFAST") == "a.mp4" and named(tmp_path, "b.mp4") == "b.mp4"
        drop_titles(tmp_path, [record for record in known if record.source != "a.mp4"])
        assert titles(tmp_path) == {}
