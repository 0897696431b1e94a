"""Whether erasing leaves anything: rounds of it on a memory at its budget, every byte of every file read after each.

    python -m benchmarks.erasure [--rounds N] [--seed N] [--json] [--no-history]

Each observation has words and a picture that stand nowhere else. A round perceives a minute of them, so that the budget
lets others go, and then erases in one of these ways: a stretch of time, a word, the latest, by age (retention), or it
takes in an archive that proves damaged at its end. Then the bytes of all files in the memory folder are searched,
without any code of memory's, for everything that was erased in this round and before. Figures:
    rounds          how often something was erased
    left_behind     words and pieces of pictures that still stood in a file though they had been erased
    unowned         words and pieces of pictures in the files that no row of the database holds
    disproved       rounds whose own proof found no trace where this search found one
    erased          words and pieces of pictures erased in all
    at_budget       rounds before which the budget had let observations go
    erase_p50_ms, erase_p95_ms   how long erasing took, proof included
"""

from __future__ import annotations

import hashlib
import random
import re
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct, field

from benchmarks import harness
from memory.archive.exporter import export_memory
from memory.store.batch import Batch
from memory.store.database import Store
from memory.transactions import MemoryWriter
from runtime.config import BudgetConfig, MemoryConfig, RetentionConfig
from runtime.errors import StoreError
from runtime.messages import (
    FACTS,
    Channel,
    ExportRequest,
    ForgetRequest,
    ImportRequest,
    Observation,
    SourceOpened,
    TimeWindow,
    observation_id,
)

# A couple of minutes; the whole campaign is of 500.
ROUNDS, ROUNDS_IN_FULL = 100, 500
# So many rounds are made on one memory, then a new one begins: budgets, tombstones and reuse of pages all play a part.
ROUNDS_A_MEMORY = 50
SOURCE = "door"
STEP_S = 2.0
STEPS_A_ROUND = 90
WINDOW_S = (4.0, 60.0)
# Below the budgets of a profile: a round has to be short.
MIB_A_LEVEL = 1.0
HOUR_S, DAY_S = 3600, 86400
# The longest episode: sixteen events of a minute.
EPISODE_S = 16 * 64.0
MAX_AGE = RetentionConfig(max_age_days={"speech": 7.0})
_CONSONANTS = "bcdfghjklmnprtvwx"  # no stemming, no near spelling, and nothing a word begins with
TOKEN = re.compile(rb"zq[a-y]{9}", re.IGNORECASE)
MARK = re.compile(rb"\x01\xf5\xf7MK([\x80-\xbf]{6})")
MARK_EVERY_BYTES = 192
PAGE_BYTES = 4096
KINDS = ("stretch", "word", "latest", "age", "import")


class Tally(Struct):
    rounds: int = 0
    left_behind: int = 0
    unowned: int = 0
    disproved: int = 0
    erased: int = 0
    at_budget: int = 0
    took_s: list[float] = field(default_factory=list)


class Perceived:
    """Makes observations of which every word and every piece of a picture is unique, and knows which are whose."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.t_s = 0.0
        self.owned: dict[str, set[bytes]] = {}
        self.begins_s: dict[str, tuple[float, float]] = {}
        self.words: dict[str, str] = {}
        self._marks = self.random.randrange(1 << 34)

    def word(self) -> str:
        return "zq" + "".join(self.random.choices(_CONSONANTS, k=9))

    def picture(self) -> tuple[bytes, set[bytes]]:
        self._marks += 1
        name = bytes(0x80 + (self._marks >> shift & 63) for shift in (30, 24, 18, 12, 6, 0))
        parts = [b"\xff\xd8\xff\xda"]
        # Sizes around what fits on a page, and pictures of several pages.
        for _ in range(self.random.choice((2, 8, 18, 24, 60))):
            parts += [self.random.randbytes(MARK_EVERY_BYTES), b"\x01\xf5\xf7MK" + name]
        return b"".join(parts), {name}

    def observation(self, channel: Channel, text: str, evidence: tuple[str, ...] = (), **data: object) -> Observation:
        id_ = observation_id(SOURCE, channel, self.t_s)
        payload, own = self.picture() if channel == "frame" else (None, set[bytes]())
        told = text.encode() + msgspec.json.encode(data)
        self.owned[id_] = own | {found.group().lower() for found in TOKEN.finditer(told)}
        t1_s = self.t_s + (1.0 if channel == "speech" else 0.0)
        self.begins_s[id_] = (self.t_s, t1_s)
        vector = np.frombuffer(self.random.randbytes(256), np.uint8).astype(np.float32) - 128
        return Observation(
            id=id_, source=SOURCE, channel=channel, t0_s=self.t_s, t1_s=t1_s, text=text, evidence=evidence,
            data=msgspec.convert(data, FACTS[channel]), payload=payload, vector_space="bench" if payload else "",
            vector=(vector / np.linalg.norm(vector)).astype("<f2").tobytes() if payload else None,
        )  # fmt: skip

    def steps(self, n: int) -> Iterator[Batch]:
        """``n`` steps of time, each with a picture and something said, read or noticed."""
        for _ in range(n):
            words = [self.word() for _ in range(4)]
            kind = self.random.randrange(5)
            seen: list[Observation] = []
            if kind == 0:
                lines = [[" ".join(words[:2]).upper(), 0.9, [0.1, 0.1, 0.2, 0.1]]]
                seen.append(self.observation("text", " ".join(words[:2]).upper(), lines=lines))
            elif kind == 1:
                seen.append(self.observation("object", f"a {words[0]} appears", kind=words[1]))
            elif kind < 4:
                timed = [[word, self.t_s, self.t_s + 1, 0.9] for word in words]
                seen.append(self.observation("speech", "he said " + " ".join(words), words=timed, speaker=words[0]))
            else:
                seen.append(self.observation("sound", f"a sound like {words[0]}", labels=[[words[1], 0.5]]))
            self.words[seen[0].id] = words[0]
            shown = tuple(o.id for o in seen if o.channel in ("text", "object"))
            frame = self.observation("frame", f"a {self.word()} wall", shown, tags=[[self.word(), 0.5]])
            if self.random.random() < 0.1:
                asked = self.observation("question", f"what about {words[0]}?", conversation="main")
                answer = self.observation(
                    "answer", f'somebody mentioned "{words[0]}"', (seen[0].id,), question=asked.id, conversation="main"
                )
                seen += [asked, answer]
            yield Batch(observations=(*seen, frame), watermarks={(SOURCE, "video"): self.t_s})
            self.t_s = round(self.t_s + STEP_S, 3)


class Campaign:
    """Rounds on one memory."""

    def __init__(self, folder: Path, seed: int, tally: Tally) -> None:
        self.directory = folder / "memory"
        self.archive = folder / "archive"
        self.tally = tally
        self.perceived = Perceived(seed)
        self.erased: set[bytes] = set()
        self.store = Store(self.directory)
        self.options = MemoryConfig(
            budget=BudgetConfig(
                hot_mib=MIB_A_LEVEL, events_mib=MIB_A_LEVEL, episodes_mib=MIB_A_LEVEL, words_mib=MIB_A_LEVEL
            )
        )
        self.writer = MemoryWriter(self.store, self.options)
        opened = SourceOpened(source=SOURCE, track="video", kind="camera", started_wall_s=time.time())
        self.writer.commit(Batch(opened=(opened,)))

    def close(self) -> None:
        self.store.close()
        self.search("close", 0)

    def round(self, kind: str) -> None:
        for batch in self.perceived.steps(STEPS_A_ROUND):
            self.writer.commit(batch)
        kept = self.ids()
        self.tally.at_budget += len(kept) < len(self.perceived.owned)
        gone, traces, took_s = getattr(self, kind)()
        held = set[bytes]().union(*(self.perceived.owned[id_] for id_ in self.ids()))
        fresh = set[bytes]().union(*(self.perceived.owned[id_] for id_ in gone)) - held - self.erased
        self.erased |= fresh
        self.tally.erased += len(fresh)
        self.tally.rounds += 1
        self.tally.took_s.append(took_s)
        self.search(kind, traces)

    # --- ways to erase: (ids that are erased whether they were kept until now or not, traces told of, seconds) ------

    def stretch(self) -> tuple[set[str], int, float]:
        length_s = self.perceived.random.uniform(*WINDOW_S)
        begin_s = self.perceived.random.uniform(0.0, self.perceived.t_s - length_s)
        return self._forget_window(round(begin_s, 3), round(begin_s + length_s, 3))

    def latest(self) -> tuple[set[str], int, float]:
        return self._forget_window(max(0.0, self.perceived.t_s - 30.0), self.perceived.t_s)

    def word(self) -> tuple[set[str], int, float]:
        known = sorted(self.ids() & self.perceived.words.keys())
        id_ = self.perceived.random.choice(known)
        traces, took_s = self._forget(ForgetRequest(text=self.perceived.words[id_]))
        return {id_}, traces, took_s

    def age(self) -> tuple[set[str], int, float]:
        """The older half of what was said is older than it may be."""
        ids = [id_ for id_ in self.perceived.owned if "/speech/" in id_]
        said = [id_ for id_ in ids if id_ in self.ids()]
        if len(said) < 2:
            return set(), 0, 0.0
        middle = said[len(said) // 2]
        cut = self._rows("SELECT seq FROM observations WHERE id=?", middle)[0][0]
        began_s = time.perf_counter()
        with self.store.write() as writing:
            hour = int(time.time() // HOUR_S * HOUR_S)
            writing.connection.execute("DELETE FROM hours")  # also where the clock came into another hour since
            writing.connection.execute(
                "INSERT OR REPLACE INTO hours VALUES (?,0), (?,?)", (hour - 30 * DAY_S, hour, cut)
            )
        strict = MemoryWriter(self.store, msgspec.structs.replace(self.options, retention=MAX_AGE))
        strict.catch_up()
        self.writer = MemoryWriter(self.store, self.options)
        self.store.scrub()
        # What reaches over the limit is told of until it is past it as a whole.
        before_s = self.perceived.begins_s[middle][0] - EPISODE_S
        gone = {id_ for id_ in ids if self.perceived.begins_s[id_][1] < before_s}
        return gone, 0, time.perf_counter() - began_s

    def _forget_window(self, t0_s: float, t1_s: float) -> tuple[set[str], int, float]:
        window = TimeWindow(source=SOURCE, t0_s=t0_s, t1_s=t1_s)
        began = self.perceived.begins_s.items()
        inside = {id_ for id_, (begin_s, end_s) in began if begin_s <= t1_s and end_s >= t0_s}
        return inside, *self._forget(ForgetRequest(windows=(window,), wall_s=time.time()))

    def _forget(self, request: ForgetRequest) -> tuple[int, float]:
        began_s = time.perf_counter()
        reply = self.writer.forget(request, ())
        took_s = time.perf_counter() - began_s
        self.writer.catch_up()
        return sum(reply.traces.values()), took_s

    def import_(self) -> tuple[set[str], int, float]:
        """An archive of things never perceived here, with a line at its end that cannot be taken in."""
        other = Store(self.archive.with_name("other"))
        writer = MemoryWriter(other, self.options)
        stranger = Perceived(self.perceived.random.randrange(1 << 30))
        writer.commit(Batch(opened=(SourceOpened(source="elsewhere", track="video"),)))
        for batch in stranger.steps(STEPS_A_ROUND):
            moved = tuple(msgspec.structs.replace(o, source="elsewhere", id="x" + o.id) for o in batch.observations)
            writer.commit(Batch(observations=moved))
        reader = other.reader()
        export_memory(reader, ExportRequest(path=str(self.archive)))
        reader.close()
        other.close()
        lines = self.archive / "observations.jsonl"
        with lines.open("ab") as file:
            file.write(b'{"id":"x","source":"elsewhere","channel":"text","t0_s":5,"t1_s":1}\n')
        manifest = msgspec.json.decode((self.archive / "manifest.json").read_bytes())
        manifest["files"]["observations.jsonl"] = hashlib.sha256(lines.read_bytes()).hexdigest()
        (self.archive / "manifest.json").write_bytes(msgspec.json.encode(manifest))
        began_s = time.perf_counter()
        try:
            self.writer.import_archive(ImportRequest(path=str(self.archive), trusted=True))
        except StoreError:
            pass
        else:
            raise AssertionError("a damaged archive was taken in")
        took_s = time.perf_counter() - began_s
        for own in stranger.owned.values():
            self.erased |= own
        shutil.rmtree(self.archive)
        shutil.rmtree(self.archive.with_name("other"))
        return set(), 0, took_s

    # --- the search -------------------------------------------------------------------------------------------------

    def ids(self) -> set[str]:
        return {id_ for (id_,) in self._rows("SELECT id FROM observations") if id_ in self.perceived.owned}

    def search(self, kind: str, traces: int) -> None:
        """Everything that stands in a file, against what was erased and against what rows hold."""
        left = self._stands() & self.erased
        if kind != "close":
            # What the budget let go since is gone for good when the file is scrubbed, as in the hourly self-check.
            self.store.scrub()
        held: set[bytes] = set()
        for (table,) in self._rows("SELECT name FROM sqlite_master WHERE type='table'"):
            for row in self._rows(f"SELECT * FROM {table}"):
                for value in row:
                    if isinstance(value, str | bytes):
                        held |= pieces_of(value.encode() if isinstance(value, str) else value)
        unowned = self._stands() - held
        self.tally.left_behind += len(left)
        self.tally.unowned += len(unowned)
        self.tally.disproved += bool(left and not traces)
        if left or unowned:
            harness.progress(f"{kind}: {len(left)} left, {len(left & held)} of them in rows; {len(unowned)} unowned")

    def _stands(self) -> set[bytes]:
        found: set[bytes] = set()
        for path in self.directory.rglob("*"):
            data = path.read_bytes() if path.is_file() else b""
            # Pages that lie side by side in a database are not read on from one into the other.
            page = PAGE_BYTES if path.suffix == ".db" else max(1, len(data))
            for at in range(0, len(data), page):
                found |= pieces_of(data[at : at + page])
        return found

    def _rows(self, sql: str, *values: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(f"{self.store.path.as_uri()}?mode=ro", uri=True)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()


def pieces_of(data: bytes) -> set[bytes]:
    """The unique words and pieces of pictures in some bytes."""
    return {found.group().lower() for found in TOKEN.finditer(data)} | set(MARK.findall(data))


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"how often (default: {ROUNDS})")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of everything random (default: 1)")
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"only these ways (default: {','.join(KINDS)})")
    args = parser.parse_args(argv)
    tally = Tally()
    at_random = random.Random(args.seed)
    kinds = args.kinds.split(",")
    if not set(kinds) <= set(KINDS):
        parser.error(f"--kinds: there are {', '.join(KINDS)}")
    while tally.rounds < args.rounds:
        with tempfile.TemporaryDirectory(prefix="mindstream-erasure-") as folder:
            campaign = Campaign(Path(folder), at_random.randrange(1 << 30), tally)
            for _ in range(min(ROUNDS_A_MEMORY, args.rounds - tally.rounds)):
                kind = at_random.choice(kinds)
                campaign.round("import_" if kind == "import" else kind)
            campaign.close()
        harness.progress(f"{tally.rounds} of {args.rounds} rounds, {tally.left_behind} left, {tally.unowned} unowned")
    took_ms = [1000 * s for s in tally.took_s]
    figures = {
        "rounds": tally.rounds, "left_behind": tally.left_behind, "unowned": tally.unowned,
        "disproved": tally.disproved, "erased": tally.erased, "at_budget": tally.at_budget,
        "erase_p50_ms": round(statistics.median(took_ms), 1),
        "erase_p95_ms": round(statistics.quantiles(took_ms, n=20)[18], 1) if len(took_ms) > 1 else 0.0,
    }  # fmt: skip
    harness.report("erasure", figures, args, args.rounds >= ROUNDS_IN_FULL)
    return 1 if tally.left_behind or tally.unowned else 0


if __name__ == "__main__":
    sys.exit(main())
