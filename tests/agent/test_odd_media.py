"""Broken and unusual media: what decodes is replayed and what it lacks is said; the rest gets one clear line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fixtures.agent_runs import SHARED_MEDIA, Run, run

FILES: dict[str, dict[str, object]] = {}
if (SHARED_MEDIA / "INDEX.json").is_file():
    FILES = {
        entry["file"]: entry
        for entry in json.loads((SHARED_MEDIA / "INDEX.json").read_text())["files"]
        if entry["kind"] == "odd"
    }
# ffprobe calls this one readable, but its header promises a megahertz of sample rate and holds 440 samples.
NO_SOUND_IN_IT = {"odd/real/sphinx_awful.wav", "odd/real/sphinx_null.wav"}


def decodes(entry: dict[str, object]) -> bool:
    probed = entry["ffprobe"]
    assert isinstance(probed, dict)
    return bool(probed["probe_ok"]) and bool(probed["streams"])


GOOD = sorted(name for name, entry in FILES.items() if decodes(entry) and name not in NO_SOUND_IN_IT)
BAD = sorted(name for name, entry in FILES.items() if not decodes(entry))
absent = pytest.mark.skipif(not FILES, reason="the annotated media are not on this machine (../shared/media)")


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """All odd files that decode, replayed one after another into one memory."""
    memory = tmp_path_factory.mktemp("odd") / "memory"
    return memory, run("replay", *(SHARED_MEDIA / name for name in GOOD), "--memory", memory, "--ask", "what?")


@absent
def test_whatever_decodes_is_replayed_to_its_end(replayed: tuple[Path, Run]) -> None:
    memory, result = replayed
    assert result.code == 0, result.err
    result.assert_nothing_left()
    assert "Traceback" not in result.err
    status = json.loads(run("status", "--memory", memory, "--json").out)
    known = {source["source"].split("~")[0] for source in status["sources"]}
    # Some are byte copies of others under another name; each content is replayed once.
    assert len(status["sources"]) >= len(GOOD) - 2
    assert known <= {Path(name).name for name in GOOD}
    for source in status["sources"]:
        assert set(source["ended"]) == {"video", "audio"}, source


@absent
@pytest.mark.parametrize(
    ("name", "lacking"),
    [
        ("video_only.mp4", "no audio"),
        ("opencast_silent.mp4", "no picture"),
        ("mulaw_8k.wav", "no picture"),
        ("freeze_10s.mp4", "no audio"),
    ],
)
def test_what_a_file_lacks_is_said(replayed: tuple[Path, Run], name: str, lacking: str) -> None:
    line = next(line for line in replayed[1].err.splitlines() if line.startswith(name))
    assert lacking in line


@absent
@pytest.mark.parametrize("name", BAD)
def test_what_does_not_decode_gets_one_clear_line(name: str, tmp_path: Path) -> None:
    line = run("replay", SHARED_MEDIA / name, "--memory", tmp_path / "m").assert_one_clear_line()
    assert Path(name).name in line
    assert not (tmp_path / "m").exists()


@absent
@pytest.mark.parametrize("name", sorted(NO_SOUND_IN_IT))
def test_a_header_without_sound_does_no_harm_either_way(name: str, tmp_path: Path) -> None:
    result = run("replay", SHARED_MEDIA / name, "--memory", tmp_path / "m", "--ask", "what?")
    assert result.code in (0, 2)
    assert "Traceback" not in result.err
    result.assert_nothing_left()
