"""The shipped profile documents every key there is, with the value it has when nothing is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from runtime.config import PROFILE_DIR, Config, load_config, parse_config
from runtime.errors import ConfigError

EMBEDDED = PROFILE_DIR / "embedded.yaml"


def leaves(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted key -> value of a tree of sections."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def test_the_embedded_profile_lists_every_key_and_no_other_with_its_default() -> None:
    documented = leaves(yaml.safe_load(EMBEDDED.read_text(encoding="utf-8")))
    assert documented.keys() == leaves(msgspec.to_builtins(Config())).keys()
    assert load_config("embedded") == Config()


def test_every_key_of_the_embedded_profile_has_a_comment() -> None:
    lines = EMBEDDED.read_text(encoding="utf-8").splitlines()
    keys = [line for line in lines if ":" in line.split("#")[0] and line.split("#")[0].split(":", 1)[1].strip()]
    assert keys
    assert [line for line in keys if "#" not in line] == []


@pytest.mark.parametrize("path", sorted(PROFILE_DIR.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_profile_loads_by_its_name(path: Path) -> None:
    assert load_config(path.stem) == load_config(str(path))


def test_a_profile_states_only_what_differs() -> None:
    mine = parse_config({"perception": {"sampling": {"base_hz": 2}}}, "mine")
    assert mine.perception.sampling.base_hz == 2
    assert mine.perception.vision == Config().perception.vision
    assert mine.memory == Config().memory


@pytest.mark.parametrize(
    ("profile", "says"),
    [
        ("perception:\n  live:\n    open_s: .inf\n", "perception.live.open_s"),
        ("memory:\n  budget:\n    hot_mib: .inf\n", "memory.budget.hot_mib"),
        ("perception:\n  threads: 99999999999999999999\n", "perception.threads"),
        ("log:\n  level: chatty\n", "log.level: 'chatty' is none of debug, info, warning, error"),
        ("a: " + "[" * 5000 + "]" * 5000, "nested without end"),
        ("a: \0\n", "not YAML"),
        ("a: !!python/object/apply:os.system ['true']\n", "not YAML"),
    ],
)
def test_a_profile_that_means_harm_is_one_line(tmp_path: Path, profile: str, says: str) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text(profile)
    with pytest.raises(ConfigError) as told:
        load_config(str(path))
    assert says in str(told.value) and "\n" not in str(told.value)
