"""The tables of README.md and docs/benchmarks.md, kept equal to the newest lines of benchmarks/history.jsonl.

    python -m benchmarks.published        write them (`make bench` does so at its end)

A table stands between `<!-- NAME -->` and `<!-- /NAME -->`, as it was printed, with what it was measured on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from benchmarks import clips, harness, hearing, locomo, recall_scale, replay_speed, seeing, segmentation, week

PAGES = (harness.PROJECT / "README.md", harness.PROJECT / "docs" / "benchmarks.md")
# The others are figures with names.
TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "clips": clips.as_table,
    "hearing": hearing.as_table,
    "locomo": locomo.as_table,
    "recall_scale": recall_scale.as_table,
    "replay_speed": replay_speed.as_table,
    "seeing": seeing.as_table,
    "segmentation": segmentation.as_table,
    "week": week.as_table,
}


def newest() -> dict[str, dict[str, Any]]:
    """Benchmark -> its last line in the history."""
    if not harness.HISTORY.exists():
        return {}
    lines = [json.loads(line) for line in harness.HISTORY.read_text(encoding="utf-8").splitlines()]
    return {line["benchmark"]: line for line in lines}


def figures_table(figures: dict[str, Any]) -> str:
    """Figures with their names; one level of groups is named with what it groups."""
    rows: list[tuple[str, object]] = []
    for name, value in figures.items():
        if isinstance(value, dict):
            rows += [(f"{name}: {part}", own) for part, own in value.items() if not isinstance(own, dict | list)]
        else:
            rows.append((name, value))
    return harness.table(("figure", "value"), rows)


def block(line: dict[str, Any]) -> str:
    """What stands on a page for a line of the history."""
    on = line["machine"]
    made = f"{line['date'][:10]}, commit {line['commit']}{' with changes' if line['dirty'] else ''}"
    where = f"{on['cores']} cores of {on['cpu']}, {on['memory_gb']:.0f} GB, Python {on['python']}"
    if on.get("load_before", 0.0) > 0.5:
        where += f", with a load of {on['load_before']} from other programs"
    table = TABLES.get(line["benchmark"], figures_table)(line["figures"])
    return f"```text\n{table}\n```\n\nMeasured {made}, on {where}."


def with_tables(text: str) -> str:
    """A page's text with every table on it as measured last."""
    for name, line in newest().items():
        before, after = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if before in text:
            head, rest = text.split(before, 1)
            text = f"{head}{before}{block(line)}\n{after}{rest.split(after, 1)[1]}"
    return text


def main() -> int:
    for page in PAGES:
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
