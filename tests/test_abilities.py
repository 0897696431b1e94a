"""What `doctor` says the agent can do here, and what `setup` is to fetch for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.chat_server import Json, Reply, serve_chat
from reasoning.backends import examine
from runtime.config import Config, ModelConfig, ReasoningConfig, parse_config
from runtime.interfaces.abilities import abilities
from runtime.interfaces.setup import wanted_weights


@pytest.fixture(autouse=True)
def nothing_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("OPENAI_BASE_URL", "")


def profile(**sections: object) -> Config:
    return parse_config(sections, "test")


def found(config: Config) -> dict[str, tuple[str, str]]:
    return {finding.what: (finding.state, finding.text) for finding in abilities(config)}


def test_the_embedded_profile_lacks_nothing_it_asks_for() -> None:
    can = found(profile(voice={"synthesis": "none"}))
    assert can["sees"] == ("ok", "change, motion, colours, layout, people and faces; not things by name")
    assert can["hears"] == ("ok", "PocketSphinx: English speech, about one word in four misheard")
    assert can["answers"][0] == "ok"
    assert can["answers"][1].startswith("quotes its evidence, no language model")


def test_what_the_profile_would_rather_have_is_named_with_the_remedy() -> None:
    can = found(profile(perception={"vision": {"describe": "auto"}, "hearing": {"transcribe": "auto"}}))
    for what in ("sees", "hears"):
        state, text = can[what]
        assert state == "ok"
        assert "`run_agent.py setup`" in text or "not installed" in text


def test_what_the_profile_insists_on_and_cannot_have_is_broken(tmp_path: Path) -> None:
    vision = {"describe": "open_clip", "open_clip": {"weights": str(tmp_path / "gone.pt")}}
    hearing = {"transcribe": "whisper", "whisper": str(tmp_path / "gone.pt")}
    can = found(profile(perception={"vision": vision, "hearing": hearing}, voice={"synthesis": "festival"}))
    assert {can[what][0] for what in ("sees", "hears", "speaks")} == {"broken"}
    assert "gone.pt" in can["sees"][1]


def test_a_transformers_model_that_is_not_here_is_told_with_what_answers_instead() -> None:
    state, text = found(profile(reasoning={"backend": "transformers", "model": {"name": "made/up"}}))["answers"]
    assert state == "absent"
    assert text.startswith("quotes its evidence") and "made/up is not on this machine; run `run_agent.py setup`" in text


@pytest.mark.anyio
async def test_the_model_of_a_server_is_named_and_a_server_that_is_down_too() -> None:
    async def silent(request: Json, reply: Reply) -> None: ...

    async with serve_chat(silent) as server:
        named = ReasoningConfig(model=ModelConfig(base_url=server.base_url))
        assert await examine(named) == (True, f"a language model: openai:tiny at {server.base_url}")
    able, text = await examine(named)
    assert not able
    assert text.startswith("quotes its evidence") and server.base_url in text


@pytest.mark.parametrize(
    ("sections", "names"),
    [
        ({}, []),
        ({"voice": {"mode": "wake"}}, ["piper/en_US-lessac-medium"]),
        ({"voice": {"mode": "wake", "synthesis": "espeak-ng"}}, []),
        ({"voice": {"synthesis": "piper"}}, ["piper/en_US-lessac-medium"]),
        ({"perception": {"hearing": {"sound_events": "auto"}}}, ["yamnet"]),
        ({"perception": {"hearing": {"transcribe": "auto", "whisper": "tiny"}}}, ["whisper/tiny"]),
    ],
)
def test_setup_fetches_whatever_the_profile_would_use(sections: dict[str, object], names: list[str]) -> None:
    assert [row.name for row in wanted_weights(profile(**sections))] == names
