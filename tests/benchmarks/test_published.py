"""The tables in the README and docs/ are what was measured last."""

from __future__ import annotations

import re

from benchmarks import published


def test_the_published_tables_are_the_newest_of_the_history() -> None:
    pages = [page.read_text(encoding="utf-8") for page in published.PAGES]
    for page in pages:
        assert published.with_tables(page) == page, "run: python -m benchmarks.published"
    shown = set(re.findall(r"<!-- /(\w+) -->", "".join(pages))) - {"demo"}
    assert shown == set(published.newest())
    assert shown >= set(published.TABLES)
