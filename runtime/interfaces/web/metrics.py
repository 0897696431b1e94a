"""What runs, in the format Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from runtime.interfaces.web.api import get
from runtime.interfaces.web.remembered import State, state_of
from runtime.interfaces.web.served import Served


class _Agent(Collector):
    """Metrics of one agent at one moment."""

    def __init__(self, state: State, readers: int, notices: int) -> None:
        self._state = state
        self._readers = readers
        self._notices = notices

    def collect(self) -> Iterator[Metric]:
        memory = self._state.memory
        yield _gauge("memory_bytes", "size of memory's files", memory.bytes)
        levels = GaugeMetricFamily("mindstream_level_bytes", "bytes of a level of memory", labels=("level",))
        budgets = GaugeMetricFamily("mindstream_level_budget_bytes", "what the level may weigh", labels=("level",))
        for level, held in memory.levels.items():
            levels.add_metric((level,), held.bytes)
            budgets.add_metric((level,), held.budget)
        observations = GaugeMetricFamily("mindstream_observations", "observations in memory", labels=("channel",))
        for channel, n in memory.observations.items():
            observations.add_metric((channel,), n)
        yield from (levels, budgets, observations)
        yield _gauge("sources", "sources in memory", len(memory.sources))
        yield _gauge("event_readers", "browsers and programs that follow the events", self._readers)
        yield CounterMetricFamily("mindstream_notices", "notices told since the server began", self._notices)
        yield from self._processes()

    def _processes(self) -> Iterator[Metric]:
        by = ("process",)
        resident = GaugeMetricFamily("mindstream_process_resident_bytes", "resident memory", labels=by)
        age = GaugeMetricFamily("mindstream_process_data_age_seconds", "age of what was last worked on", labels=by)
        up = GaugeMetricFamily("mindstream_process_ready", "1 while the process is ready", labels=by)
        paused = GaugeMetricFamily("mindstream_process_paused", "1 while the user has it paused", labels=by)
        drops = CounterMetricFamily("mindstream_drops", "things lost", labels=("process", "what"))
        counted = GaugeMetricFamily("mindstream_counter", "totals a process counts", labels=("process", "what"))
        for name, process in self._state.processes.items():
            resident.add_metric((name,), process.rss_bytes)
            age.add_metric((name,), process.data_age_s)
            up.add_metric((name,), float(process.ready and not process.ended))
            paused.add_metric((name,), float(process.paused))
            for what, n in process.drops.items():
                drops.add_metric((name, what), n)
            for what, total in process.counters.items():
                counted.add_metric((name, what), total)
        yield from (resident, age, up, paused, drops, counted)


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"mindstream_{name}", about, value)


async def metrics(served: Served, request: Request) -> Response:
    state = state_of(served, await served.status())
    registry = CollectorRegistry()
    registry.register(_Agent(state, request.app.state.news.readers, request.app.state.news.notices_told))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


ENDPOINTS = (get("/metrics", "Metrics for Prometheus", metrics, "state", "text/plain"),)
