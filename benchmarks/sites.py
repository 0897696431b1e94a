"""Many sites against one machine: the same recordings, the same questions; and what kill -9 and cut links cost.

    python -m benchmarks.sites [--counts 1,2,4,8] [--kills 100] [--json] [--no-history]

Twelve pieces of the sample clip are perceived by one agent, and again divided over some sites, in processes of their
own around real NATS servers on loopback. Then, at three sites, something is killed or cut at random, again and again,
while observations are stored and questions asked. Figures:
    sites               how many there were at most
    union_identical     for each number of sites: ids and texts of all sites together are those of the one memory
    recall_vs_single    at most sites: of what one memory finds of its own words among its best ten, the share that the
                        sites find
    search_p50_ms       for each number of sites (0: one memory, asked directly): a search, from the client's call
    overhead_p50_ms     at most sites, over the one memory
    ask_p50_ms, _p99_ms at most sites: a whole answer from the evidence
    kills               how often something was killed or cut: agents, leaf nodes, the hub and its server, links
    lost_acknowledged   observations that a site's memory had acknowledged, and that are not in it or not in the copy
    twice               those that are in the copy more than once
    answered            share of the questions meanwhile that were answered
    catch_up_s          the longest wait, at the end, until the hub's copy of a site was whole
    rebuild_identical   whether a memory made again from the copy exports the same sources, observations and pictures
"""

from __future__ import annotations

import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import anyio
import av
import msgspec

from benchmarks import harness
from benchmarks.sites_world import Site, World, kill
from memory.archive.exporter import export_memory
from memory.store.database import Store
from runtime.config import Config
from runtime.errors import MindstreamError, UserError
from runtime.interfaces.attach import attached
from runtime.interfaces.client import Client
from runtime.messages import AskRequest, ExportRequest, Observation, RememberRequest, SearchRequest, observation_id
from runtime.sites.link import need_nats
from runtime.sites.rebuild import rebuild_memory
from runtime.sites.server import find_server

RECORDINGS, PIECE_S = 12, 5.0
COUNTS, KILLS = (1, 2, 4, 8), 100
KILL_SITES = 3
BEST = 10
REPEATS = 3
QUESTIONS = ("When does the train to London leave?", "What is said about the umbrella?", "When does the bakery open?")
SITES = "abcdefgh"


def cut_pieces(folder: Path) -> list[Path]:
    """Twelve recordings of five seconds each, of the sample clip."""
    found = []
    for number in range(RECORDINGS):
        path = folder / f"piece-{number:02d}.mp4"
        _cut(harness.PROJECT / "examples" / "sample.mp4", path, number * PIECE_S)
        found.append(path)
    return found


def _cut(source: Path, target: Path, t0_s: float) -> None:
    with av.open(str(source)) as came, av.open(str(target), "w") as made:
        picture, sound = came.streams.video[0], came.streams.audio[0]
        video = made.add_stream("libx264", rate=picture.average_rate, options={"preset": "superfast"})
        video.width, video.height, video.pix_fmt = picture.width, picture.height, "yuv420p"
        audio = made.add_stream("aac", rate=sound.rate, layout="mono")
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=sound.rate)
        rate = picture.average_rate or Fraction(25)
        for frame in came.decode(picture, sound):
            assert isinstance(frame, av.VideoFrame | av.AudioFrame)
            if frame.time is None or not t0_s <= frame.time < t0_s + PIECE_S:
                continue
            if isinstance(frame, av.VideoFrame):
                frame.pts, frame.time_base = round((frame.time - t0_s) * rate), 1 / rate
                made.mux(video.encode(frame))
            else:
                for part in resampler.resample(frame):
                    part.pts = None
                    made.mux(audio.encode(part))
        made.mux(video.encode(None))
        made.mux(audio.encode(None))


def contents(memory_dir: Path, site: str = "") -> dict[str, str]:
    """Id -> text of all that a memory perceived."""
    store = Store(memory_dir)
    try:
        with closing(store.reader()) as connection:
            rows = connection.execute(
                "SELECT id, text FROM observations WHERE channel NOT IN ('question', 'answer', 'correction')"
            )
            return dict(rows)
    finally:
        store.close()


def queries_of(memory_dir: Path) -> list[tuple[str, str]]:
    """(words, the id of what holds them) of all that was said and read."""
    return [(text, id_) for id_, text in contents(memory_dir).items() if "/speech/" in id_ or "/text/" in id_ if text]


async def found_ids(client: Client, words: str) -> list[str]:
    return [hit.observation.id for hit in (await client.search(SearchRequest(query=words, limit=BEST))).hits]


async def search_ms(client: Client, queries: list[tuple[str, str]]) -> list[float]:
    took: list[float] = []
    for _ in range(REPEATS):
        for words, _ in queries:
            began_s = time.perf_counter()
            await client.search(SearchRequest(query=words, limit=BEST))
            took.append(1000 * (time.perf_counter() - began_s))
    return took


async def ask_ms(client: Client) -> list[float]:
    took = []
    for _ in range(REPEATS * 4):
        for question in QUESTIONS:
            began_s = time.perf_counter()
            request = AskRequest(question=question, asked_wall_s=time.time(), asked_s=time.monotonic())
            await client.answer(request)
            took.append(1000 * (time.perf_counter() - began_s))
    return took


async def compare(folder: Path, counts: tuple[int, ...], pieces: list[Path]) -> dict[str, Any]:
    """The same recordings in one memory and over sites."""
    config = Config()
    single = folder / "single"
    _perceive(pieces, single)
    alone, queries = contents(single), queries_of(single)
    async with attached(single, config) as client:
        expected = {words: await found_ids(client, words) for words, _ in queries}
        figures: dict[str, Any] = {"sites": max(counts), "search_p50_ms": {0: _p(await search_ms(client, queries), 50)}}
        asked_alone = await ask_ms(client)
    identical = {}
    for count in counts:
        harness.progress(f"{count} sites")
        at = folder / f"over-{count}"
        for k in range(count):
            _perceive(pieces[k::count], at / SITES[k])
        union = {id_: text for k in range(count) for id_, text in contents(at / SITES[k]).items()}
        identical[count] = union == alone
        async with anyio.create_task_group() as tasks:
            world = World(at, SITES[:count], tasks)
            try:
                await world.start()
                async with attached(world.hub_dir, config) as client:
                    figures["search_p50_ms"][count] = _p(await search_ms(client, queries), 50)
                    if count == max(counts):
                        figures |= await _recall(client, queries, expected)
                        asked = await ask_ms(client)
                        figures |= {"ask_p50_ms": _p(asked, 50), "ask_p99_ms": _p(asked, 99)}
            finally:
                world.stop()
            tasks.cancel_scope.cancel()
    most = figures["search_p50_ms"][max(counts)]
    figures["overhead_p50_ms"] = round(most - figures["search_p50_ms"][0], 1)
    figures["ask_alone_p50_ms"] = _p(asked_alone, 50)
    return {**figures, "union_identical": identical}


async def _recall(client: Client, queries: list[tuple[str, str]], expected: dict[str, list[str]]) -> dict[str, float]:
    held = alone = 0
    for words, evidence in queries:
        if evidence not in expected[words]:
            continue
        alone += 1
        held += evidence in [id_.partition("/")[2] for id_ in await found_ids(client, words)]
    return {"recall_vs_single": round(held / max(1, alone), 4), "queries": alone}


def _perceive(files: list[Path], memory_dir: Path) -> None:
    run = harness.replay(files, memory_dir)
    if run.code:
        raise SystemExit(run.errors)


# --- kills --------------------------------------------------------------------------------------------


async def remember(site: Site, number: int) -> str | None:
    """Store something at a site; its id once memory has acknowledged it."""
    t_s = number / 1000  # within the recording
    o = Observation(
        id=observation_id("sample.mp4", "derived", t_s, number + 1), source="sample.mp4", channel="derived", t0_s=t_s,
        t1_s=t_s, text=f"number {number} of {site.name}",
    )  # fmt: skip
    try:
        async with attached(site.memory_dir, Config()) as client:
            await client._memory.call(RememberRequest(observations=(o,)), 5.0)
    except (MindstreamError, OSError, BaseExceptionGroup):
        return None
    return o.id


async def harm(world: World, chance: random.Random) -> str:
    """Kill or cut something; what."""
    site = chance.choice(world.sites)
    what = chance.choice(("agent", "leaf node", "link", "hub server", "hub"))
    if what == "agent" and site.process is not None:
        kill(site.process.pid)
    elif what == "leaf node":
        kill(site.leaf_pid)
    elif what == "link":
        await site.link.cut()
    elif what == "hub server":
        kill(world.hub_server_pid)
    elif world.hub is not None:
        kill(world.hub.pid)
    return f"{what} of {site.name}" if what in ("agent", "leaf node", "link") else what


async def survive(folder: Path, kills: int) -> dict[str, Any]:
    """Kill, cut, heal; store and ask meanwhile; then count."""
    chance = random.Random(16)
    acknowledged: dict[str, list[str]] = {name: [] for name in SITES[:KILL_SITES]}
    answered = asked = 0
    async with anyio.create_task_group() as tasks:
        world = World(folder, SITES[:KILL_SITES], tasks)
        try:
            _perceive([harness.PROJECT / "examples" / "sample.mp4"], folder / "sample")
            for site in world.sites:
                shutil.copytree(folder / "sample", site.memory_dir)
            await world.start()
            for number in range(kills):
                what = await harm(world, chance)
                await anyio.sleep(chance.uniform(0.1, 1.5))
                for site in world.sites:  # as whoever watches over services does
                    if site.process is not None and site.process.poll() is not None:
                        site.start()
                        await site.until_up()
                    site.link.heal()
                world.start_hub()
                site = chance.choice(world.sites)
                id_ = await remember(site, number)
                if id_ is not None:
                    acknowledged[site.name].append(id_)
                if number % 5 == 0:
                    asked += 1
                    answered += await _is_answered(world)
                    harness.progress(f"{number + 1} of {kills}: {what}")
            waited_s = [await world.until_copied(site) for site in world.sites]
            lost = twice = 0
            for site in world.sites:
                copied = await world.copied(site)
                twice += sum(n > 1 for n in copied.values())
                lost += sum(id_ not in copied for id_ in acknowledged[site.name])
            rebuilt = await _rebuild(world, folder)
        finally:
            world.stop()
        for site in world.sites:
            held = contents(site.memory_dir)
            lost += sum(id_ not in held for id_ in acknowledged[site.name])
        identical = _exported(rebuilt, folder / "after") == _exported(world.sites[0].memory_dir, folder / "before")
        tasks.cancel_scope.cancel()
    return {
        "kills": kills,
        "acknowledged": sum(map(len, acknowledged.values())),
        "lost_acknowledged": lost,
        "twice": twice,
        "answered": round(answered / max(1, asked), 3),
        "catch_up_s": round(max(waited_s), 1),
        "rebuild_identical": identical,
    }


async def _is_answered(world: World) -> bool:
    """Whether a question asked of all sites is answered by what is there."""
    for _ in range(3):  # the hub's server may be starting: whoever asks asks again
        try:
            async with attached(world.hub_dir, Config()) as client:
                request = AskRequest(question=QUESTIONS[0], asked_wall_s=time.time(), asked_s=time.monotonic())
                return "7" in (await client.answer(request)).answer
        except (MindstreamError, OSError, BaseExceptionGroup):
            await anyio.sleep(1.0)
    return False


async def _rebuild(world: World, folder: Path) -> Path:
    rebuilt = folder / "rebuilt"
    await rebuild_memory(world.hub_dir, rebuilt, world.sites[0].name, Config())
    return rebuilt


def _exported(memory_dir: Path, archive: Path) -> list[object]:
    """Sources, spans and observations of an archive, pictures by their checksums."""
    store = Store(memory_dir)
    try:
        with closing(store.reader()) as connection:
            export_memory(connection, ExportRequest(path=str(archive)))
    finally:
        store.close()
    return [
        *_lines(archive / "sources.jsonl"),
        *_lines(archive / "spans.jsonl"),
        *_lines(archive / "observations.jsonl"),
    ]


def _lines(path: Path) -> Iterator[object]:
    for line in path.read_bytes().splitlines():
        yield {key: value for key, value in msgspec.json.decode(line).items() if key != "picture"}


def _p(values: list[float], percent: int) -> float:
    return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1], 1)


async def measure(counts: tuple[int, ...], kills: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="mindstream-sites-") as scratch:
        folder = Path(scratch)
        (folder / "pieces").mkdir()
        figures = await compare(folder, counts, cut_pieces(folder / "pieces")) if counts else {}
        return figures | (await survive(folder / "kills", kills) if kills else {})


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--counts", default=",".join(map(str, COUNTS)), help="numbers of sites; empty for none")
    parser.add_argument("--kills", type=int, default=KILLS)
    args = parser.parse_args()
    try:
        need_nats()
        find_server()
    except UserError as error:
        harness.progress(str(error))
        raise SystemExit(UserError.exit_code) from None
    counts = tuple(int(count) for count in args.counts.split(",") if count)
    figures = anyio.run(measure, counts, args.kills)
    harness.report("sites", figures, args, is_whole=counts == COUNTS and args.kills == KILLS)


if __name__ == "__main__":
    main()
