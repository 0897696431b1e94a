"""What benchmarks share: the agent run as a user runs it and watched from outside, tables, and the history.

Nothing here imports the agent's own code: a benchmark sees the command line, the memory file and the
processes, as anybody could.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

PROJECT = Path(__file__).resolve().parent.parent
HISTORY = PROJECT / "benchmarks" / "history.jsonl"
DEFAULT_MEDIA = PROJECT.parent / "shared" / "media"
DEADLINE_S = 900.0
MEMORY_FILE = "memory.db"
# How often a watched run is looked at: finer than its commits (a quarter second), coarse enough to cost nothing.
WATCH_S = 0.05
# What else the machine was doing, before the benchmark began to: speeds under load are not to be compared.
LOAD_BEFORE = os.getloadavg()[0]
# Figures are of the embedded answerer, whatever model server runs on this machine (reasoning/backends/find_server.py).
os.environ["OPENAI_BASE_URL"] = ""


@dataclass(frozen=True)
class AgentRun:
    """How one `replay` went. Seconds count from the spawn of the command.

    ``first_frame_s`` and ``complete_s`` are when the first frame observation and the end of every track
    were durable in memory; None if that never happened. ``peak_rss_bytes`` is the largest sum of resident
    memory over the command and all its processes, pages they share counted once for each.
    """

    code: int
    wall_s: float
    answers: list[dict[str, Any]] = field(default_factory=list)
    errors: str = ""
    first_frame_s: float | None = None
    complete_s: float | None = None
    peak_rss_bytes: int = 0


def replay(
    files: Sequence[Path], memory_dir: Path, questions: Sequence[Mapping[str, Any]] = (), profile: str = ""
) -> AgentRun:
    """Replay files at full speed into ``memory_dir``, asking ``questions`` (objects of a questions file). ``profile``:
    YAML of one, in place of the default."""
    command = [sys.executable, str(PROJECT / "run_agent.py"), "replay", *(str(file) for file in files)]
    command += ["--memory", str(memory_dir), "--json"]
    with tempfile.TemporaryDirectory(prefix="mindstream-questions-") as scratch:
        if profile:
            path = Path(scratch, "profile.yaml")
            path.write_text(profile, encoding="utf-8")
            command += ["--config", str(path)]
        if questions:
            path = Path(scratch, "questions.jsonl")
            path.write_text("".join(json.dumps(question) + "\n" for question in questions), encoding="utf-8")
            command += ["--questions", str(path)]
        began_s = time.monotonic()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        watcher = _Watcher(process.pid, memory_dir, began_s)
        with watcher:
            try:
                out, err = process.communicate(timeout=DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.terminate()
                out, err = process.communicate()
                err += f"\nstopped after {DEADLINE_S:.0f} s"
            wall_s = time.monotonic() - began_s
    answers = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    return AgentRun(
        process.returncode, wall_s, answers, err, watcher.first_frame_s, watcher.complete_s, watcher.peak_rss_bytes
    )


class _Watcher:
    """Looks at a run from a thread until it is over: its memory file and the size of its processes."""

    def __init__(self, pid: int, memory_dir: Path, began_s: float) -> None:
        self._pid = pid
        self._path = memory_dir / MEMORY_FILE
        self._began_s = began_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.first_frame_s: float | None = None
        self.complete_s: float | None = None
        self.peak_rss_bytes = 0

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(WATCH_S):
            self.peak_rss_bytes = max(self.peak_rss_bytes, _family_rss_bytes(self._pid))
            if self.complete_s is None and self._path.exists():
                self._look_at_memory()

    def _look_at_memory(self) -> None:
        try:
            connection = sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, timeout=0.0)
        except sqlite3.Error:
            return
        try:
            now_s = time.monotonic() - self._began_s
            if self.first_frame_s is None:
                seen = connection.execute("SELECT 1 FROM observations WHERE channel = 'frame' LIMIT 1").fetchone()
                self.first_frame_s = now_s if seen else None
            tracks, ended = connection.execute("SELECT count(*), count(ended) FROM tracks").fetchone()
            # Both tracks are opened before either ends: the shortest file still takes longer than that.
            self.complete_s = now_s if tracks >= 2 and tracks == ended else None
        except sqlite3.Error:
            pass  # the file is being made
        finally:
            connection.close()


def _family_rss_bytes(pid: int) -> int:
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return 0
    for process in family:
        try:
            total += int(process.memory_info().rss)
        except psutil.Error:
            continue
    return total


# --- reporting ------------------------------------------------------------------------------------


def parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments every benchmark takes."""
    built = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    built.add_argument("--json", action="store_true", help="print one JSON object of figures instead of a table")
    built.add_argument("--no-history", action="store_true", help="do not add a line to benchmarks/history.jsonl")
    return built


def progress(text: str) -> None:
    """A line of progress, beside the results."""
    print(text, file=sys.stderr, flush=True)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Plain text columns: the first aligned left, the others right; floats with two digits, None as "-"."""
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = []
    for row in cells:
        first, *others = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join((first, *others)).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
        model = found[1] if found else model
    except OSError:
        pass
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "python": platform.python_version(),
        "load_before": round(LOAD_BEFORE, 1),
    }


def commit() -> tuple[str, bool]:
    """The checked-out commit, and whether tracked files differ from it (the history itself aside)."""

    def git(*args: str) -> str:
        ran = subprocess.run(["git", *args], cwd=PROJECT, capture_output=True, text=True, check=False)
        return ran.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", f":!{HISTORY.relative_to(PROJECT)}")
    return git("rev-parse", "--short", "HEAD") or "unknown", bool(changed)


def report(benchmark: str, figures: Mapping[str, Any], args: argparse.Namespace, is_whole: bool) -> None:
    """Print the figures as ``args`` of `parser` want it; of a run of the usual size (``is_whole``) they are kept."""
    print(json.dumps(figures) if args.json else table(("figure", "value"), list(figures.items())))
    if is_whole and not args.no_history:
        remember(benchmark, figures)


def remember(benchmark: str, figures: Mapping[str, Any]) -> None:
    """Add a line to the history: what was measured, when, of which commit, on what machine."""
    sha, dirty = commit()
    line = {
        "benchmark": benchmark,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": sha,
        "dirty": dirty,
        "machine": machine(),
        "figures": figures,
    }
    with HISTORY.open("a", encoding="utf-8") as history:
        history.write(json.dumps(line, ensure_ascii=False) + "\n")
