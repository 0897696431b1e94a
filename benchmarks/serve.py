"""What being looked at costs, and how quickly a day is shown: `python -m benchmarks.serve [--seconds 20] [--json]`.

capture_ratio_served  a stream of 720p at 30 pictures a second is perceived by `live --serve`; pictures attended to a
                      second while two browsers show the live page and a wall of four MJPEG viewers is open, by those
                      while nobody looks. Turn about, three times each, medians. Without chromium each browser is played
                      by a client that follows the events and asks for pictures as the page does.
timeline_p99_ms       of a memory of one day (`benchmarks.day`: some 55,000 observations): the timeline of all of it in
                      96 buckets, over HTTP, 99th percentile of 100.
first_paint_ms        that day's timeline page until its first contentful paint, in a browser with nothing cached,
                      median of 3; None without chromium. ``first_strip_ms``: until its strip is there.
ask_overhead_p50_ms   a question of that memory through POST /api/ask, beyond what the agent's own account of the
                      answer says it took, median of 30.
"""

from __future__ import annotations

import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from benchmarks import harness
from benchmarks.day import remember_day
from tests.fixtures.browser import ARGUMENTS
from tests.fixtures.loopback import Loopback, beeps, moving_square

DAY_S = 86_400.0
WALL, BROWSERS = 4, 2
# Not counted: the agent starts, a browser opens its page.
SETTLE_S, OPENING_S = 12.0, 5.0
ROUNDS, TIMELINES, PAINTS, QUESTIONS = 3, 100, 3, 30
QUESTION = "When was the word badago spoken?"


@contextmanager
def served(*arguments: str) -> Iterator[str]:
    """`run_agent.py` with these arguments; the address of its page."""
    command = [sys.executable, str(harness.PROJECT / "run_agent.py"), *arguments]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = next((line for line in process.stderr if "the page: " in line), "")
        if not line:
            raise RuntimeError("it ended without serving")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield line.partition("the page: ")[2].split()[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def attended(address: str) -> tuple[float, float]:
    """When it was asked, and how many pictures were attended to by then."""
    state = httpx2.get(f"{address}api/status", timeout=20).json()
    time_s = time.monotonic()
    return time_s, state["processes"]["video:door"]["counters"]["frames"]


def rate_hz(address: str, seconds: float) -> float:
    begun_s, before = attended(address)
    time.sleep(seconds)
    ended_s, after = attended(address)
    return (after - before) / (ended_s - begun_s)


@contextmanager
def viewers(address: str) -> Iterator[None]:
    """Two browsers on the live page, and a wall of four viewers."""
    over = threading.Event()

    def read(path: str) -> None:
        while not over.is_set():
            try:
                with httpx2.stream("GET", address + path, timeout=20) as reply:
                    for _ in reply.iter_bytes():
                        if over.is_set():
                            return
            except httpx2.HTTPError:
                time.sleep(0.2)

    def browse() -> None:
        threading.Thread(target=read, args=("api/events?kinds=notice,health,observation,partial",), daemon=True).start()
        while not over.wait(0.5):
            httpx2.get(f"{address}api/look?source=door&width=1280", timeout=20)

    with ExitStack() as stack:
        for _ in range(WALL):
            threading.Thread(target=read, args=("api/live.mjpeg?source=door&width=640",), daemon=True).start()
        for _ in range(BROWSERS):
            page = stack.enter_context(browser_page())
            if page is None:
                threading.Thread(target=browse, daemon=True).start()
            else:
                page.goto(address)
        time.sleep(OPENING_S)
        yield
        over.set()


@contextmanager
def browser_page() -> Iterator[Any]:
    """A tab of a browser of its own; None without chromium."""
    program = shutil.which("chromium")
    if program is None:
        yield None
        return
    from playwright.sync_api import sync_playwright

    global _driver
    if _driver is None:
        _driver = sync_playwright().start()
    browser = _driver.chromium.launch(executable_path=program, args=list(ARGUMENTS))
    try:
        yield browser.new_page(viewport={"width": 1280, "height": 800})
    finally:
        browser.close()


_driver: Any = None


def capture_ratio(seconds: float) -> dict[str, float]:
    """Pictures a second with and without anybody looking."""
    alone, looked_at = [], []
    with (
        Loopback(moving_square((1280, 720)), rate_hz=30.0, clip_s=4.0, sound=beeps(4.0)) as camera,
        tempfile.TemporaryDirectory(prefix="mindstream-serve-") as memory,
        served("live", f"door={camera.url('ts')}", "--serve", "0", "--memory", memory) as address,
    ):
        time.sleep(SETTLE_S)
        for _ in range(ROUNDS):
            alone.append(rate_hz(address, seconds))
            with viewers(address):
                looked_at.append(rate_hz(address, seconds))
    ratio = statistics.median(looked_at) / statistics.median(alone)
    return {
        "capture_ratio_served": round(ratio, 3),
        "attended_hz_alone": round(statistics.median(alone), 2),
        "attended_hz_served": round(statistics.median(looked_at), 2),
    }


def day(directory: Path) -> dict[str, float | None]:
    """How quickly a day is shown and asked."""
    took_ms, overhead_ms, painted_ms, shown_ms = [], [], [], []
    with served("serve", "0", "--memory", str(directory)) as address:
        query = f"api/timeline?t0_s=0&t1_s={DAY_S:.0f}&buckets=96"
        with httpx2.Client(base_url=address, timeout=60) as client:
            for _ in range(TIMELINES):
                begun_s = time.monotonic()
                reply = client.get(query)
                took_ms.append(1000 * (time.monotonic() - begun_s))
                assert len(reply.json()["pictures"]) == 96
            for n in range(QUESTIONS + 1):
                body = {"question": QUESTION, "conversation": f"b{n}"}
                begun_s = time.monotonic()
                answer = client.post("api/ask", json=body).json()
                if n:  # the first one warms the agent
                    overhead_ms.append(1000 * (time.monotonic() - begun_s - answer["latency_s"]["total"]))
        for _ in range(PAINTS):
            with browser_page() as page:
                if page is not None:
                    page.goto(f"{address}timeline")
                    page.wait_for_selector(".cell")
                    shown_ms.append(float(page.evaluate("performance.now()")))
                    script = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
                    painted_ms.append(float(page.evaluate(script)))
    return {
        "timeline_p99_ms": round(float(np.percentile(took_ms, 99)), 1),
        "timeline_p50_ms": round(statistics.median(took_ms), 1),
        "first_paint_ms": round(statistics.median(painted_ms), 1) if painted_ms else None,
        "first_strip_ms": round(statistics.median(shown_ms), 1) if shown_ms else None,
        "ask_overhead_p50_ms": round(statistics.median(overhead_ms), 1),
    }


def main() -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each stretch that pictures are counted in")
    parser.add_argument("--only", choices=("day", "capture"))
    options = parser.parse_args()
    figures: dict[str, Any] = {"browsers": "chromium" if shutil.which("chromium") else "played"}
    try:
        if options.only != "capture":
            with tempfile.TemporaryDirectory(prefix="mindstream-day-") as directory:
                harness.progress("a day is remembered ...")
                for _ in remember_day(Path(directory)):
                    pass
                harness.progress("and shown ...")
                figures |= day(Path(directory))
        if options.only != "day":
            harness.progress("a stream is perceived, and looked at ...")
            figures |= capture_ratio(options.seconds)
    finally:
        if _driver is not None:
            _driver.stop()
    whole = options.only is None and options.seconds >= parser.get_default("seconds")
    harness.report("serve", figures, options, whole)
    return 0


if __name__ == "__main__":
    sys.exit(main())
