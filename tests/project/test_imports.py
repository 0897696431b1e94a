"""Tests stand alone: what they share are fixtures, and what benchmarks are made of is tested where it belongs."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def test_no_test_imports_another_nor_a_benchmark_but_those_of_benchmarks() -> None:
    found = []
    for path in TESTS.rglob("*.py"):
        for name in imported(path):
            shared = name.startswith("tests.fixtures") or not name.startswith("tests")
            its_own = name.partition(".")[0] != "benchmarks" or path.parent.name == "benchmarks"
            if not (shared and its_own):
                found.append(f"{path.relative_to(TESTS)}: {name}")
    assert found == []
