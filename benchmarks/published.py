"""The tables of the README, kept equal to the newest lines of benchmarks/history.jsonl.

    python -m benchmarks.published        write them (`make bench` does so at its end)

A table stands between `<!-- NAME -->` and `<!-- /NAME -->`, as it was printed, with what it was measured on.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any

from benchmarks import clips, harness, replay_speed

README = harness.PROJECT / "README.md"
TABLES: dict[str, Callable[[dict[str, Any]], str]] = {"clips": clips.as_table, "replay_speed": replay_speed.as_table}


def newest() -> dict[str, dict[str, Any]]:
    """Benchmark -> its last line in the history."""
    if not harness.HISTORY.exists():
        return {}
    lines = [json.loads(line) for line in harness.HISTORY.read_text(encoding="utf-8").splitlines()]
    return {line["benchmark"]: line for line in lines}


def block(line: dict[str, Any]) -> str:
    """What stands in the README for a line of the history."""
    on = line["machine"]
    made = f"{line['date'][:10]}, commit {line['commit']}{' with changes' if line['dirty'] else ''}"
    where = f"{on['cores']} cores of {on['cpu']}, {on['memory_gb']:.0f} GB, Python {on['python']}"
    if on.get("load_before", 0.0) > 0.5:
        where += f", with a load of {on['load_before']} from other programs"
    return f"```text\n{TABLES[line['benchmark']](line['figures'])}\n```\n\nMeasured {made}, on {where}."


def with_tables(text: str) -> str:
    """The README's text with every table as measured last."""
    for name, line in newest().items():
        if name in TABLES:
            marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
            found = block(line)
            text = marked.sub(lambda match, found=found: f"{match[1]}{found}\n{match[2]}", text)  # type: ignore[misc]
    return text


def main() -> int:
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
