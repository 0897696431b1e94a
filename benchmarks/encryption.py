"""What encryption costs: a plain and an encrypted memory, side by side, given the same and asked the same.

    python -m benchmarks.encryption [--frames N] [--json] [--no-history]

Both are written by the writing half of the memory process in batches of a quarter second of a busy camera (a picture of
10 KB and a vector of 512 numbers a second, a sentence every other), in turns, then opened anew and asked, in turns,
then words are forgotten of both. Times are of the processor. Figures, each of the plain one and of the encrypted:
    commit_ms   a batch made durable, with its spans and the budget
    open_ms     opening: the first second of looking for damage, the index
    recall_ms   the 20 best for a few words, median
    page_ms     the newest 200 observations with their pictures, median
    forget_ms   a word erased and proved gone: the plain file is scrubbed in place, the encrypted one written anew
    mb          bytes on disk
    key_ms      once at the start of a program, from the passphrase to the key
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.scale_inputs import make_lines, make_vectors
from memory.recall.rank import Recall, RecallOptions
from memory.store.batch import Batch, gather
from memory.store.database import Store
from memory.store.reader import scan
from memory.store.views import open_view
from memory.transactions import MemoryWriter
from runtime.config import MemoryConfig
from runtime.encryption import Key, new_lock
from runtime.messages import (
    ForgetRequest,
    FrameFacts,
    Message,
    Observation,
    Progress,
    RecallRequest,
    ScanRequest,
    SourceOpened,
    SpeechFacts,
    ViewRequest,
    observation_id,
)

FRAMES = 6000
BATCH = 4
PICTURE_BYTES = 10_000
QUERIES = 200
KINDS = ("plain", "encrypted")


class _Sent:
    def __init__(self, seq: int, message: Message) -> None:
        self.publisher, self.epoch, self.seq, self.message = "camera", 1, seq, message


def batches(frames: int) -> list[Batch]:
    """What a busy camera sends."""
    at_random = np.random.default_rng(7)
    vectors = np.concatenate(list(make_vectors(frames, at_random)))
    lines = list(make_lines(frames, [], at_random))
    messages: list[Message] = [
        SourceOpened(source="camera", track=track, kind="camera") for track in ("video", "audio")
    ]
    for i in range(frames):
        messages.append(
            Observation(
                id=observation_id("camera", "frame", i), source="camera", channel="frame", t0_s=i, t1_s=i, text="yard",
                data=FrameFacts(), payload=b"\xff\xd8" + at_random.bytes(PICTURE_BYTES), vector=vectors[i].tobytes(),
                vector_space="made",
            )
        )  # fmt: skip
        if i % 2:
            messages.append(
                Observation(
                    id=observation_id("camera", "speech", i), source="camera", channel="speech", t0_s=i, t1_s=i + 0.5,
                    text=lines[i], data=SpeechFacts(),
                )
            )  # fmt: skip
        if i % BATCH == BATCH - 1:
            messages += [Progress(source="camera", track=track, t_s=i) for track in ("video", "audio")]
    sent = [_Sent(n, message) for n, message in enumerate(messages, 1)]
    return [gather(sent[n : n + 2 * BATCH]) for n in range(0, len(sent), 2 * BATCH)]


def taken_ms(work: Callable[[], object]) -> float:
    began_s = time.process_time()
    work()
    return 1000 * (time.process_time() - began_s)


def measure(folder: Path, frames: int) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    found: list[Key] = []
    figures["key_ms"] = taken_ms(lambda: found.append(new_lock("seven blue lamps")[1]))
    keys: dict[str, Key | None] = {"plain": None, "encrypted": found[0]}
    took: dict[str, dict[str, list[float]]] = {}

    def note(what: str, kind: str, work: Callable[[], object]) -> None:
        took.setdefault(what, {}).setdefault(kind, []).append(taken_ms(work))

    stores = {kind: Store(folder / kind, key=keys[kind]) for kind in KINDS}
    writers = {kind: MemoryWriter(stores[kind], MemoryConfig()) for kind in KINDS}
    for n, batch in enumerate(batches(frames)):
        for kind in KINDS if n % 2 else reversed(KINDS):
            note("commit_ms", kind, lambda kind=kind, batch=batch: writers[kind].commit(batch))  # type: ignore[misc]
    harness.progress("written")
    for store in stores.values():
        store.close()
    for _ in range(5):
        for kind in KINDS:
            note("open_ms", kind, lambda kind=kind: Store(folder / kind, key=keys[kind]).close())  # type: ignore[misc]
    stores = {kind: Store(folder / kind, key=keys[kind]) for kind in KINDS}
    writers = {kind: MemoryWriter(stores[kind], MemoryConfig()) for kind in KINDS}
    readers = {kind: stores[kind].reader() for kind in KINDS}
    recalls = {kind: Recall(readers[kind], RecallOptions()) for kind in KINDS}
    views = {kind: open_view(readers[kind], ViewRequest()) for kind in KINDS}
    for kind in KINDS:
        recalls[kind].warm()
    queries = list(make_lines(QUERIES, [], np.random.default_rng(7)))
    for n, query in enumerate(queries):
        words = " ".join(query.split()[:5])
        for kind in KINDS if n % 2 else reversed(KINDS):
            request = RecallRequest(query=words, view=views[kind], limit=20)
            note("recall_ms", kind, lambda kind=kind, request=request: recalls[kind].recall(request))  # type: ignore[misc]
            page = ScanRequest(view=views[kind], newest_first=True, limit=200, with_payload=True)
            note("page_ms", kind, lambda kind=kind, page=page: scan(readers[kind], page))  # type: ignore[misc]
    for kind in KINDS:
        readers[kind].close()
        figures[f"mb {kind}"] = round(stores[kind].size_bytes() / 1e6, 1)
    for word in queries[0].split()[:3]:
        for kind in KINDS:
            request_ = ForgetRequest(text=word)
            note("forget_ms", kind, lambda kind=kind, request=request_: writers[kind].forget(request, ()))  # type: ignore[misc]
    for store in stores.values():
        store.close()
    for what, by_kind in took.items():
        middle = statistics.fmean if what == "commit_ms" else statistics.median
        plain, encrypted = (middle(by_kind[kind]) for kind in KINDS)
        figures |= {f"{what} plain": plain, f"{what} encrypted": encrypted, f"{what} ratio": encrypted / plain}
    return {name: round(value, 2) for name, value in figures.items()}


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--frames", type=int, default=FRAMES, metavar="N", help=f"how many (default: {FRAMES})")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="mindstream-encryption-") as folder:
        figures = measure(Path(folder), args.frames)
    harness.report("encryption", figures, args, args.frames == FRAMES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
