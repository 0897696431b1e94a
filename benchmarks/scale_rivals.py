"""Other stores that find by words and vectors, over what `benchmarks/recall_scale.py` stores, each in its usual way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 10_000
_RANK = 60.0


class Rival(Protocol):
    """``build_s``: seconds to fill it and make its indexes."""

    what: str
    build_s: float

    def search(self, query: str, vector: NDArray[np.float16], n: int) -> list[int]:
        """Do a whole search; the rows of the ``n`` nearest vectors."""
        ...


class SqliteVec:
    """sqlite-vec compares all vectors; FTS5 ranks the words; both ranks fused."""

    what = "sqlite-vec brute force (float32) + FTS5"

    def __init__(self, directory: Path, vectors: NDArray[np.float16], lines: Iterable[str]) -> None:
        import apsw  # Python's own sqlite3 is often built without extensions
        import sqlite_vec

        began_s = time.perf_counter()
        self._connection: Any = apsw.Connection(str(directory / "rival.db"))
        self._connection.enable_load_extension(True)
        self._connection.load_extension(sqlite_vec.loadable_path())
        self._connection.execute("BEGIN")
        self._connection.execute(f"CREATE VIRTUAL TABLE v USING vec0(vector float[{vectors.shape[1]}])")
        self._connection.execute("CREATE VIRTUAL TABLE t USING fts5(line)")
        self._connection.executemany("INSERT INTO t(rowid, line) VALUES (?,?)", enumerate(lines))
        for first in range(0, len(vectors), _AT_ONCE):
            part = vectors[first : first + _AT_ONCE].astype(np.float32)
            self._connection.executemany(
                "INSERT INTO v(rowid, vector) VALUES (?,?)", ((first + i, row.tobytes()) for i, row in enumerate(part))
            )
        self._connection.execute("COMMIT")
        self.build_s = time.perf_counter() - began_s

    def search(self, query: str, vector: NDArray[np.float16], n: int) -> list[int]:
        near = self._rows(
            "SELECT rowid FROM v WHERE vector MATCH ? AND k = ? ORDER BY distance",
            (vector.astype(np.float32).tobytes(), n),
        )
        match = " OR ".join('"' + word.replace('"', "") + '"' for word in query.split())
        fuse(near, self._rows("SELECT rowid FROM t WHERE t MATCH ? ORDER BY rank LIMIT ?", (match, n)))
        return near

    def _rows(self, sql: str, values: tuple[Any, ...]) -> list[int]:
        return [row[0] for row in self._connection.execute(sql, values)]


class LanceDb:
    """LanceDB: an inverted file of whole vectors (with product quantisation it took minutes to build where this takes
    seconds), its own full-text index, both ranks fused."""

    what = "LanceDB IVF_FLAT, 1/25 of the cells + full text"

    def __init__(self, directory: Path, vectors: NDArray[np.float16], lines: Iterable[str]) -> None:
        import lancedb
        import pyarrow as pa

        began_s = time.perf_counter()
        text = pa.array(lines, pa.string())
        flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float32).reshape(-1)), vectors.shape[1])
        data = pa.table({"row": pa.array(np.arange(len(vectors))), "line": text, "vector": flat})
        self._table: Any = lancedb.connect(str(directory)).create_table("t", data)
        cells = max(16, int(2 * len(vectors) ** 0.5))
        self._probes = max(1, cells // 25)
        self._table.create_index(
            metric="cosine", vector_column_name="vector", index_type="IVF_FLAT", num_partitions=cells
        )
        self._table.create_fts_index("line")
        self.build_s = time.perf_counter() - began_s

    def search(self, query: str, vector: NDArray[np.float16], n: int) -> list[int]:
        near = (
            self._table.search(vector.astype(np.float32), vector_column_name="vector")
            .select(["row", "_distance"]).limit(n).nprobes(self._probes).to_arrow()
        )  # fmt: skip
        words = self._table.search(query, query_type="fts").select(["row", "_score"]).limit(n).to_arrow()
        fuse(near["row"].to_pylist(), words["row"].to_pylist())
        found: list[int] = near["row"].to_pylist()
        return found


class Faiss:
    """FAISS: an inverted file of int8 vectors; no words."""

    what = "FAISS IVF SQ8, 1/25 of the cells; vectors alone"

    def __init__(self, directory: Path, vectors: NDArray[np.float16], lines: Iterable[str]) -> None:
        import faiss

        began_s = time.perf_counter()
        cells = max(16, int(4 * len(vectors) ** 0.5))
        self._index: Any = faiss.index_factory(vectors.shape[1], f"IVF{cells},SQ8", faiss.METRIC_INNER_PRODUCT)
        self._index.train(vectors[:: max(1, len(vectors) // (40 * cells))].astype(np.float32))
        for first in range(0, len(vectors), _AT_ONCE):
            self._index.add(vectors[first : first + _AT_ONCE].astype(np.float32))
        faiss.ParameterSpace().set_index_parameter(self._index, "nprobe", max(1, cells // 25))
        self.build_s = time.perf_counter() - began_s

    def search(self, query: str, vector: NDArray[np.float16], n: int) -> list[int]:
        _, rows = self._index.search(vector.astype(np.float32)[None], n)
        found: list[int] = rows[0].tolist()
        return found


def fuse(*rankings: list[int]) -> list[int]:
    """Reciprocal rank fusion (Cormack, Clarke and Buettcher, 2009)."""
    score: dict[int, float] = {}
    for ranking in rankings:
        for rank, row in enumerate(ranking, start=1):
            score[row] = score.get(row, 0.0) + 1.0 / (_RANK + rank)
    return sorted(score, key=lambda row: -score[row])


RIVALS: dict[str, Callable[[Path, NDArray[np.float16], Iterable[str]], Rival]] = {
    "sqlite-vec": SqliteVec,
    "lancedb": LanceDb,
    "faiss": Faiss,
}
