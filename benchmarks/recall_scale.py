"""Recall in a large memory: `python -m benchmarks.recall_scale [--keys N] [--folder DIR] [--json] [--no-history]
[--without NAME]`.

A memory of N observations (a million by default) with text and a vector of 512 dimensions each is written through the
store, and opened anew; then whole recalls (words, vectors, fusion) are
timed over all of it, within one minute and within one hour, and again in a memory of a tenth. ``open_s`` is right after
it was written, ``open_again_s`` once more; both end with the first answer. Recall@20 is against comparing all vectors.
In the same run, over the lines and vectors of the tenth: sqlite-vec with FTS5 (brute force), LanceDB hybrid and FAISS
(vectors alone), where they are installed; to build their indexes of all would take longer than everything else
(`--rival-keys N` for more). What is stored is told in `benchmarks/scale_inputs.py`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import harness, scale_rivals
from benchmarks.scale_inputs import DIMENSIONS, make_lines, make_queries, make_vectors, read_lines
from memory.recall.rank import Recall, RecallOptions
from memory.store.batch import Batch
from memory.store.database import Store
from memory.store.views import open_view
from runtime.messages import (
    Observation,
    RecallRequest,
    SourceEnded,
    SourceOpened,
    SpeechFacts,
    View,
    ViewRequest,
    observation_id,
)

KEYS = 1_000_000
QUESTIONS = 200
WARM = 10
DEPTH = 20
# A source a week long; so a minute holds about a hundred of a million, an hour six thousand.
WEEK_S = 7 * 86_400.0
WINDOWS_S = (60.0, 3600.0)
SPACE = "made"
SOURCE = "week"
TEXT = harness.DEFAULT_MEDIA.parent / "text"
_AT_ONCE = 10_000


def observations(n: int, seed: int, vectors: NDArray[np.float16]) -> Iterator[Observation]:
    """``n`` utterances over a week; the vectors are written to ``vectors`` as well."""
    at_random = np.random.default_rng(seed)
    lines = make_lines(n, read_lines(TEXT), np.random.default_rng(seed + 1))
    step_s = WEEK_S / n
    i = 0
    for part in make_vectors(n, at_random):
        for vector in part:
            t0_s = round(i * step_s, 3)
            vectors[i] = vector
            yield Observation(
                id=observation_id(SOURCE, "speech", t0_s, k=i), source=SOURCE, channel="speech", t0_s=t0_s,
                t1_s=round(t0_s + 0.9 * step_s, 3), text=next(lines), data=SpeechFacts(speaker=("Anna", "Ben")[i % 2]),
                vector=vector.tobytes(), vector_space=SPACE,
            )  # fmt: skip
            i += 1


def made(directory: Path, n: int) -> tuple[dict[str, float], NDArray[np.float16]]:
    """A memory of ``n`` observations in this folder, written unless one lies there: how fast, and its vectors."""
    known, stored = directory / "made.json", directory / "vectors.npy"
    if known.exists():
        return json.loads(known.read_text(encoding="utf-8")), np.load(stored, mmap_mode="r")
    vectors = np.zeros((n, DIMENSIONS), np.float16)
    figures = fill(directory, n, vectors)
    np.save(stored, vectors)
    known.write_text(json.dumps(figures), encoding="utf-8")
    return figures, vectors


def fill(directory: Path, n: int, vectors: NDArray[np.float16]) -> dict[str, float]:
    """Write a memory and make its index; how fast."""
    store = Store(directory)
    began_s = time.perf_counter()
    waiting: list[Observation] = []
    with store.write() as writing:
        writing.open_track(SourceOpened(source=SOURCE, track="audio", kind="microphone"))
    for i, observation in enumerate(observations(n, 1, vectors), start=1):
        waiting.append(observation)
        if len(waiting) == _AT_ONCE or i == n:
            with store.write() as writing:
                writing.add(Batch(observations=tuple(waiting)))
            waiting.clear()
            if i % 100_000 == 0:
                harness.progress(f"recall_scale: {i:,} written")
    ended = SourceEnded(source=SOURCE, track="audio", t_s=WEEK_S)
    with store.write() as writing:
        writing.add(Batch(watermarks={(SOURCE, ended.track): ended.t_s}, ended={(SOURCE, ended.track): "end"}))
    written_s = time.perf_counter() - began_s
    figures = {"written_per_s": n / written_s, "gigabytes": store.size_bytes() / 1e9}
    store.close()
    return figures


def ask(n: int, vectors: NDArray[np.float16]) -> tuple[list[str], NDArray[np.float16]]:
    """Questions of three to six words of lines that were stored, and their vectors."""
    at_random = np.random.default_rng(9)
    lines = list(make_lines(QUESTIONS + WARM, read_lines(TEXT), np.random.default_rng(2)))
    words = [line.split() for line in lines]
    asked = [" ".join(at_random.choice(line, min(len(line), int(at_random.integers(3, 7))), False)) for line in words]
    return asked, make_queries(vectors[:n], len(asked), at_random)


def true_nearest(vectors: NDArray[np.float16], queries: NDArray[np.float16]) -> list[set[int]]:
    """Rows of the ``DEPTH`` nearest of each query by comparing all."""
    best = np.full((len(queries), 0), 0.0, np.float32)
    rows = np.zeros((len(queries), 0), np.int64)
    for first in range(0, len(vectors), 50_000):
        likeness = queries.astype(np.float32) @ vectors[first : first + 50_000].astype(np.float32).T
        best = np.concatenate([best, likeness], axis=1)
        rows = np.concatenate([rows, np.tile(np.arange(first, first + likeness.shape[1]), (len(queries), 1))], axis=1)
        top = np.argpartition(-best, DEPTH - 1, axis=1)[:, :DEPTH] if best.shape[1] > DEPTH else np.argsort(-best, 1)
        best, rows = np.take_along_axis(best, top, 1), np.take_along_axis(rows, top, 1)
    return [set(row.tolist()) for row in rows]


def timed(call: Callable[[int], Any], n: int) -> tuple[NDArray[np.float64], list[Any]]:
    """Milliseconds of each of ``n`` numbered calls after the first few, and all results."""
    took_ms, results = [], []
    for i in range(n):
        began_s = time.perf_counter()
        results.append(call(i))
        took_ms.append(1e3 * (time.perf_counter() - began_s))
    return np.array(took_ms[WARM:]), results


def measure(directory: Path, n: int) -> tuple[dict[str, float], NDArray[np.float16]]:
    """Figures of one memory of ``n`` observations, and its vectors."""
    figures, vectors = made(directory, n)
    harness.progress(f"recall_scale: {n:,} written")
    asked, queries = ask(n, vectors)
    for name in ("open_s", "open_again_s"):
        began_s = time.perf_counter()
        store = Store(directory)
        reader = store.reader()
        recall = Recall(reader, RecallOptions())
        recall.warm()
        view = open_view(reader, ViewRequest())
        first = recall.recall(request(asked[0], queries[0], view))
        figures[name] = time.perf_counter() - began_s
        assert first.hits
        if name == "open_s":
            reader.close()
            store.close()
    whole, _ = timed(lambda i: recall.recall(request(asked[i], queries[i], view)), len(asked))
    words, _ = timed(lambda i: recall.recall(request(asked[i], None, view)), len(asked))
    near, found = timed(lambda i: recall.recall(request("", queries[i], view)), len(asked))
    truth = true_nearest(vectors[:n], queries)
    ids = {number: i for i, (number,) in enumerate(reader.execute("SELECT id FROM observations ORDER BY seq"))}
    shares = [
        len(true & {ids[hit.observation.id] for hit in reply.hits}) / DEPTH
        for true, reply in zip(truth, found, strict=True)
    ]
    windows = []
    at_random = np.random.default_rng(3)
    for length_s in WINDOWS_S:
        begins = at_random.uniform(0.0, WEEK_S - length_s, len(asked)).tolist()
        inside = [request(asked[i], queries[i], view, (t0_s, t0_s + length_s)) for i, t0_s in enumerate(begins)]
        windows.append(timed(lambda i, inside=inside: recall.recall(inside[i]), len(asked))[0])  # type: ignore[misc]
    figures |= {
        "p50_ms": float(np.median(whole)),
        "p99_ms": float(np.quantile(whole, 0.99)),
        "words_p50_ms": float(np.median(words)),
        "vectors_p50_ms": float(np.median(near)),
        "recall_at_20": float(np.mean(shares)),
        "minute_p99_ms": float(np.quantile(windows[0], 0.99)),
        "hour_p50_ms": float(np.median(windows[1])),
        "hour_p99_ms": float(np.quantile(windows[1], 0.99)),
        "window_p99_ms": float(max(np.quantile(window, 0.99) for window in windows)),
    }
    reader.close()
    store.close()
    return {name: round(value, 4) for name, value in figures.items()}, vectors


def request(
    query: str, vector: NDArray[np.float16] | None, view: View, window: tuple[float, float] | None = None
) -> RecallRequest:
    t0_s, t1_s = window or (None, None)
    return RecallRequest(
        query=query, view=view, vector=None if vector is None else vector.tobytes(),
        vector_space=SPACE if vector is not None else "", limit=DEPTH, t0_s=t0_s, t1_s=t1_s,
    )  # fmt: skip


def compare(n: int, vectors: NDArray[np.float16], without: list[str]) -> dict[str, Any]:
    """The other systems over the same lines and vectors; a row says why where there are no figures."""
    asked, queries = ask(n, vectors)
    truth = true_nearest(vectors[:n], queries)
    rows: dict[str, Any] = {}
    for name, rival in scale_rivals.RIVALS.items():
        if name in without:
            continue
        harness.progress(f"recall_scale: {name}")
        with tempfile.TemporaryDirectory(prefix="mindstream-scale-") as directory:
            try:
                lines = make_lines(n, read_lines(TEXT), np.random.default_rng(2))
                built = rival(Path(directory), vectors[:n], lines)
            except ImportError as error:
                rows[name] = {"absent": str(error)}
                continue
            took_ms, found = timed(lambda i, built=built: built.search(asked[i], queries[i], DEPTH), len(asked))  # type: ignore[misc]
            shares = [len(true & set(near)) / DEPTH for true, near in zip(truth, found, strict=True)]
            rows[name] = {
                "p50_ms": round(float(np.median(took_ms)), 3),
                "p99_ms": round(float(np.quantile(took_ms, 0.99)), 3),
                "recall_at_20": round(float(np.mean(shares)), 4),
                "build_s": round(built.build_s, 1),
                "what": built.what,
            }
    return rows


def as_table(figures: dict[str, Any]) -> str:
    names = [
        "p50_ms",
        "p99_ms",
        "words_p50_ms",
        "vectors_p50_ms",
        "recall_at_20",
        "minute_p99_ms",
        "hour_p50_ms",
        "hour_p99_ms",
        "open_s",
        "open_again_s",
    ]
    rows: list[list[object]] = [["ours", f"{figures['keys']:,}", *(figures.get(name) for name in names)]]
    tenth = figures["tenth"]
    rows.append(["ours", f"{tenth['keys']:,}", *(tenth.get(name) for name in names)])
    text = harness.table(["", "keys", *names], rows)
    others = [
        [
            name,
            f"{figures['rival_keys']:,}",
            row.get("p50_ms"),
            row.get("p99_ms"),
            row.get("recall_at_20"),
            row.get("build_s"),
            row.get("what", row.get("absent")),
        ]
        for name, row in figures["others"].items()
    ]
    columns = ["beside it", "keys", "p50_ms", "p99_ms", "recall_at_20", "build_s", "what"]
    return text + "\n\n" + harness.table(columns, others)


def main(argv: list[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--keys", type=int, default=KEYS, help=f"observations in the memory (default {KEYS:,})")
    parser.add_argument("--rival-keys", type=int, default=0, help="observations the others get (default: a tenth)")
    parser.add_argument("--without", action="append", default=[], choices=scale_rivals.RIVALS, help="leave one out")
    parser.add_argument(
        "--folder", type=Path, default=None, help="keep the memories there, or use those kept (default: none are kept)"
    )
    options = parser.parse_args(argv)
    if options.keys < 10_000:
        print("recall_scale: at least 10000 keys, so that a tenth is still something", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="mindstream-scale-") as directory:
        folder = options.folder or Path(directory)
        tenth, _ = measure(folder / f"{options.keys // 10}-keys", options.keys // 10)
        whole, vectors = measure(folder / f"{options.keys}-keys", options.keys)
        figures: dict[str, Any] = {"keys": options.keys, **whole, "tenth": {"keys": options.keys // 10, **tenth}}
        rival_keys = min(options.rival_keys or options.keys // 10, options.keys)
        figures["others"] = compare(rival_keys, vectors, options.without)
        figures["rival_keys"] = rival_keys
    print(json.dumps(figures) if options.json else as_table(figures))
    if options.keys == KEYS and not options.without and not options.no_history:
        harness.remember("recall_scale", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
