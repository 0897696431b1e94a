"""A week of stream in a fixed number of bytes: `python -m benchmarks.week [--days N] [--budget-mib N] [--json]`.

A simulated week (`benchmarks.week_stream`) goes through the real write path at full speed, under budgets of 25, 50 and
100 % of ``--budget-mib``, split among the levels as the embedded profile splits its own. After every commit the bytes
on disk are compared with the budget. At the end needles of all ages are asked for: one is found if an observation of it
is among the first ten hits, and one that was seen only if a picture of it is still there.

Ours is compared with first in first out, random choice and exponential forgetting, which drop whole events and have
all bytes for what they keep in full, and with our order without the ladder. Where the whole week would need another
size of budget, the budget is scaled down, not the week: 272 MiB are for a stream that never stands still.
"""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from msgspec import structs

from benchmarks import harness
from benchmarks.week_stream import DAY_S, KINDS, SOURCE, Clips, Week, perceive
from memory.budget.value_density import Policy, RetainedItem, ValueDensity
from memory.recall.rank import Recall, RecallOptions
from memory.store.database import Store
from memory.store.levels import MIB, Budget, budget_of
from memory.store.size_accounting import Stage
from memory.store.views import open_view
from memory.transactions import MemoryWriter
from runtime.config import MemoryConfig, load_config
from runtime.messages import RecallRequest, ViewRequest

SHARES = (0.25, 0.5, 1.0)
DEPTH = 10
WORDS = ("rare", "plain")
AGES = (("last day", 1.0), ("1-3 days", 3.0), ("3-7 days", 1e9))
# Mean life of a memory under exponential forgetting, in days: a week holds several of them.
FORGETTING_DAYS = 2.0
# Resident memory is compared from here on: caches are warm, the budget is used.
SETTLED = 0.4


class _Whole:
    """Drops whole events."""

    def next_stage(self, holding: RetainedItem) -> Stage:
        return "tombstone"


class FirstInFirstOut(_Whole):
    def rate(self, holding: RetainedItem) -> float:
        return holding.begun_wall_s


class AtRandom(_Whole):
    def __init__(self) -> None:
        self._random = random.Random(3)
        self._drawn: dict[str, float] = {}

    def rate(self, holding: RetainedItem) -> float:
        return self._drawn.setdefault(holding.span, self._random.random())


class ExponentialForgetting(_Whole):
    """MemoryBank's R = exp(-t / S), S growing with use: each event is given the moment at which chance forgets it."""

    def __init__(self) -> None:
        self._random = random.Random(4)
        self._lives: dict[str, float] = {}

    def rate(self, holding: RetainedItem) -> float:
        life_s = self._lives.setdefault(holding.span, self._random.expovariate(1.0 / (FORGETTING_DAYS * DAY_S)))
        return holding.begun_wall_s + life_s * (1 + holding.uses)


class ValueWhole(ValueDensity):
    """Our order, but without the ladder."""

    def next_stage(self, holding: RetainedItem) -> Stage:
        return "tombstone"


POLICIES: dict[str, type[Policy]] = {
    "ours": ValueDensity,
    "fifo": FirstInFirstOut,
    "random": AtRandom,
    "exponential": ExponentialForgetting,
    "ours, whole": ValueWhole,
}


def options_for(budget: Budget, policy: str) -> MemoryConfig:
    """The profile's options with this budget; what drops whole events has all levels' bytes in one."""
    hot, events, episodes = budget.hot, budget.events, budget.episodes
    if policy != "ours":
        hot, events, episodes = hot + events + episodes - 2 * MIB // 16, MIB // 16, MIB // 16
    base = load_config("embedded").memory
    mib = structs.replace(
        base.budget,
        hot_mib=hot / MIB,
        events_mib=events / MIB,
        episodes_mib=episodes / MIB,
        words_mib=budget.words / MIB,
    )
    return structs.replace(base, budget=mib)


def run_week(memory: str, settings: dict[str, Any], policy: str, share: float) -> dict[str, Any]:
    """One week under one policy and budget, in a process of its own."""
    week = Week(Clips(Path(memory)), settings["days"], settings["an_hour"], settings["still_s"], settings["needles"])
    whole = budget_of(load_config("embedded").memory)
    scale = settings["budget_mib"] * MIB * share / whole.total
    scaled = Budget(*(int(getattr(whole, level) * scale) for level in ("hot", "events", "episodes", "words")))
    options = options_for(scaled, policy)
    budget = budget_of(options)
    over, resident, began_s, commits, stored = 0, [], time.monotonic(), 0, 0
    own = psutil.Process()
    with tempfile.TemporaryDirectory() as directory:
        store = Store(Path(directory), budget)
        recorder = MemoryWriter(store, options, POLICIES[policy]())
        settled: int | None = None
        for batch in week.batches():
            committed = recorder.commit(batch)
            commits, stored = commits + 1, stored + committed.stored
            over = max(over, store.size_bytes() - budget.total)
            resident.append(own.memory_info().rss)
            if settled is None and batch.watermarks[SOURCE, "video"] >= SETTLED * week.end_s:
                settled = commits
        took_s = time.monotonic() - began_s
        found = ask(store, week, options)
        stages = dict(store.reader().execute("SELECT stage, count(*) FROM spans WHERE level='event' GROUP BY stage"))
        size_bytes = store.size_bytes()
        store.close()
    late = resident[settled or 0 :]
    quarter = max(1, len(late) // 4)
    growth = statistics.median(late[-quarter:]) - statistics.median(late[:quarter])
    return {
        "policy": policy, "share": share, "over_budget_bytes": over, "rss_growth_mb": round(growth / 1e6, 2),
        "rss_mb": round(max(resident) / 1e6, 1), "budget_bytes": budget.total, "bytes": size_bytes, "commits": commits,
        "observations": stored, "wall_s": round(took_s, 1), "events": stages, **found,
    }  # fmt: skip


def ask(store: Store, week: Week, options: MemoryConfig) -> dict[str, Any]:
    """How many needles are found, by kind and by age; and at how many ordinary moments there is still a picture."""
    reader = store.reader()
    recall = Recall(reader, RecallOptions(options.parent_weight, options.vector_weight, options.neighbour_window_s))
    view = open_view(reader, ViewRequest())
    by_kind: dict[str, list[bool]] = {}
    by_age: dict[str, list[bool]] = {name: [] for name, _ in AGES}
    for needle in week.needles:
        hits = recall.recall(RecallRequest(query=needle.query, view=view, limit=DEPTH)).hits
        found = any(hit.observation.id in needle.ids for hit in hits)
        if needle.frames:
            marks = ",".join("?" * len(needle.frames))
            pictures = f"SELECT count(*) FROM payloads JOIN observations USING (seq) WHERE id IN ({marks})"
            found = found and reader.execute(pictures, needle.frames).fetchone()[0] > 0
        by_kind.setdefault(needle.kind, []).append(found)
        by_kind.setdefault("rare" if needle.is_rare else "plain", []).append(found)
        by_age[_age(week.end_s - needle.t_s)].append(found)
    ordinary: dict[str, list[bool]] = {name: [] for name, _ in AGES}
    for t_s in week.ordinary:
        row = reader.execute(
            "SELECT 1 FROM observations JOIN payloads USING (seq) WHERE t0_s BETWEEN ? AND ? LIMIT 1",
            (t_s - 5, t_s + 5),
        ).fetchone()
        ordinary[_age(week.end_s - t_s)].append(row is not None)
    reader.close()
    everything = [found for some in by_age.values() for found in some]
    return {
        "recall": _share(everything),
        "by_age": {name: _share(some) for name, some in by_age.items()},
        "by_kind": {kind: _share(some) for kind, some in by_kind.items()},
        "ordinary_by_age": {name: _share(some) for name, some in ordinary.items()},
    }


def _age(seconds: float) -> str:
    return next(name for name, days in AGES if seconds <= days * DAY_S)


def _share(found: list[bool]) -> float | None:
    return round(sum(found) / len(found), 3) if found else None


def measure(
    memory: Path, settings: dict[str, Any], policies: list[str], shares: list[float], workers: int
) -> dict[str, Any]:
    """All weeks, two at a time; figures of all and the table."""
    jobs = [(policy, share) for share in shares for policy in policies]
    rows: list[dict[str, Any]] = []
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context, max_tasks_per_child=1) as pool:
        running = {pool.submit(run_week, str(memory), settings, *job): job for job in jobs}
        for done in concurrent.futures.as_completed(running):
            rows.append(done.result())
            policy, share = running[done]
            harness.progress(f"{policy} at {share:.0%}: recall {rows[-1]['recall']}, {rows[-1]['wall_s']} s")
    rows.sort(key=lambda row: (row["share"], policies.index(row["policy"])))
    ours = [row for row in rows if row["policy"] == "ours"]
    best = {
        share: max(
            (row for row in rows if row["share"] == share), key=lambda row: (row["recall"], row["policy"] == "ours")
        )
        for share in shares
    }
    return {
        "max_bytes_over_budget": max(row["over_budget_bytes"] for row in rows),
        "rss_growth_mb": max((row["rss_growth_mb"] for row in ours), default=None),
        **settings,
        "best": {f"{share:.0%}": row["policy"] for share, row in best.items()},
        "table": rows,
    }


def shares_of(figures: dict[str, Any]) -> list[float]:
    """The budgets of the table, the least first."""
    return sorted({row["share"] for row in figures["table"]})


def as_table(figures: dict[str, Any]) -> str:
    """The figures as the tables that are printed."""
    header = ("budget, policy", "found", *(name for name, _ in AGES), *KINDS, *WORDS, "any moment", "over")
    cells = [
        (
            f"{row['share']:.0%} {row['policy']}",
            row["recall"],
            *row["by_age"].values(),
            *(row["by_kind"].get(kind) for kind in (*KINDS, *WORDS)),
            " ".join("-" if found is None else f"{found:.2f}" for found in row["ordinary_by_age"].values()),
            max(0, row["over_budget_bytes"]),
        )
        for row in figures["table"]
    ]
    observations = figures["table"][0]["observations"]
    budgets = ", ".join(f"{share * figures['budget_mib']:g}" for share in shares_of(figures))
    best = ", ".join(f"{share} {policy}" for share, policy in figures["best"].items())
    return (
        f"{figures['days']:g} days, {observations} observations, {figures['needles']} needles, budgets of {budgets} MiB"
        f"\n\n{harness.table(header, cells)}\n\nmax_bytes_over_budget {figures['max_bytes_over_budget']},"
        f" rss_growth_mb {figures['rss_growth_mb']}, best by budget: {best}"
    )


def plot(figures: dict[str, Any], path: Path) -> None:
    """Needles found by age, one panel a budget, one line a policy."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    drawing, panels = pyplot.subplots(
        1, len(shares_of(figures)), figsize=(11, 4), sharey=True, layout="constrained", squeeze=False
    )
    names = [name for name, _ in AGES]
    for panel, share in zip(panels[0], shares_of(figures), strict=True):
        for row in figures["table"]:
            if row["share"] == share:
                panel.plot(
                    names, [row["by_age"][name] for name in names], marker="o", label=row["policy"],
                    linewidth=3 if row["policy"] == "ours" else 1.5, zorder=3 if row["policy"] == "ours" else 2,
                )  # fmt: skip
        panel.set_title(f"{share:.0%} of the bytes ({share * figures['budget_mib']:g} MiB)")
        panel.set_xlabel("age of the needle")
        panel.set_ylim(-0.04, 1.04)
        panel.grid(alpha=0.3)
    panels[0, 0].set_ylabel("needles found, pictures there")
    lines, labels = panels[0, 0].get_legend_handles_labels()
    drawing.legend(lines, labels, loc="outside lower center", ncols=len(labels))
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, dpi=110)
    pyplot.close(drawing)


def main(argv: list[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--media", type=Path, default=harness.DEFAULT_MEDIA, help="the folder of clips")
    parser.add_argument("--cache", type=Path, help="where perceived clips are kept")
    parser.add_argument("--days", type=float, default=7.0)
    parser.add_argument("--an-hour", type=float, default=1.2, help="how often an hour something happens")
    parser.add_argument("--still-s", type=float, default=90.0, help="seconds between frames while nothing does")
    parser.add_argument("--needles", type=int, default=96, help="things that happen once")
    parser.add_argument("--budget-mib", type=float, default=10.0, help="the budget at 100 %%")
    parser.add_argument("--policies", nargs="+", default=list(POLICIES), choices=list(POLICIES))
    parser.add_argument("--shares", nargs="+", type=float, default=list(SHARES), help="of the budget")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--plot", type=Path, default=harness.PROJECT / "docs" / "week.png", help="where the plot goes")
    given = parser.parse_args(argv)
    try:
        memory = perceive(given.media, given.cache)
    except FileNotFoundError as error:
        print(f"week: {error}; give a folder of clips with --media", file=sys.stderr)
        return 2
    settings = {name: getattr(given, name) for name in ("days", "an_hour", "still_s", "needles", "budget_mib")}
    figures = measure(memory, settings, given.policies, given.shares, given.workers)
    plot(figures, given.plot)
    print(json.dumps(figures) if given.json else as_table(figures))
    is_default = all(getattr(given, name) == parser.get_default(name) for name in (*settings, "policies", "shares"))
    if is_default and not given.no_history:
        harness.remember("week", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
