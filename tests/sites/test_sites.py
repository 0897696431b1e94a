"""Sites and their hub over real NATS servers: nothing is lost, nothing is twice, and what is forgotten is gone."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memory.archive.exporter import export_memory
from runtime.interfaces.commands.sites import invite
from runtime.messages import (
    ExportRequest,
    ForgetRequest,
    ImportRequest,
    JournalRequest,
    MemoryStatus,
    RecallRequest,
    RememberRequest,
    ScanRequest,
    StatusRequest,
    TimeWindow,
    View,
    ViewRequest,
)
from runtime.sites.certificates import ensure_certificate
from runtime.sites.hub import joined_hub
from runtime.sites.link import connected
from runtime.sites.membership import new_password, read_token, write_hub
from runtime.sites.owed import debts_of, paid_debts
from runtime.sites.rebuild import write_archive
from runtime.sites.server_config import LEAF_USER
from runtime.sites.stream import SiteStream
from tests.fixtures.memory_cases import gather_all, progress, say, see, stream
from tests.fixtures.sites_world import OneMemory, OneSite, QuietService, World, until, world

pytestmark = [pytest.mark.anyio, pytest.mark.processes, pytest.mark.usefixtures("quick_looks")]

KEYS = stream(
    see(0.0, "a grey picture", source="door", vector=(1.0, 0.0)),
    say(1.0, 3.0, "The keys are on the kitchen table", source="door"),
    say(5.0, 7.0, "The umbrella is in the hall", source="door"),
    source="door",
    end_s=12.0,
)
TRAIN = stream(
    see(0.0, "a blue picture", source="hall", vector=(0.0, 1.0)),
    say(2.0, 4.0, "The train to London leaves at seven", source="hall"),
    say(6.0, 8.0, "Somebody left an umbrella in the train", source="hall"),
    source="hall",
    end_s=12.0,
)


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks now and then looks often."""
    monkeypatch.setattr("runtime.sites.hub.LOOK_S", 0.1)
    monkeypatch.setattr("runtime.sites.gateway.HELLO_S", 0.3)
    monkeypatch.setattr("runtime.sites.gateway.RETRY_S", 0.3)


async def running(made: World, *names: str) -> list[OneSite]:
    """The hub and these sites, with something in their memories, copied."""
    await made.start_hub()
    sites = [await made.start_site(name) for name in names]
    for site, batch in zip(sites, (KEYS, TRAIN), strict=False):
        await site.remember(batch)
    for site in sites:
        await made.until_copied(site)
    return sites


async def held(made: World, site: str) -> set[str]:
    async with joined_hub(made.hub_dir) as connection:
        return await SiteStream(connection, site).subjects()


async def test_what_memory_stores_is_copied_once_though_it_is_sent_twice(tmp_path: Path) -> None:
    async with world(tmp_path, "shop") as made:
        (shop,) = await running(made, "shop")
        follower = shop.gateway._follower
        entries = shop.memory.answerer.journal(JournalRequest(limit=1000)).entries
        await follower._stream.send(entries)
        await follower._stream.send(entries, again=True)
        await shop.remember(gather_all(say(9.0, 10.0, "That is all", source="door"), first=20))
        await made.until_copied(shop)
        assert len(await held(made, "shop")) == len(entries) + 1


async def test_a_site_works_on_while_the_hub_is_away_and_is_joined_again(tmp_path: Path) -> None:
    async with world(tmp_path, "shop") as made:
        hub = await made.start_hub()
        shop = await made.start_site("shop")
        await shop.remember(KEYS)
        await made.until_copied(shop)
        hub.cancel()
        await until(lambda: _is_noted(shop, "the hub is away"), "the site notes that the hub is away")
        await shop.remember(gather_all(say(9.0, 10.0, "Nobody hears this yet", source="door"), first=20))
        await until(lambda: _has_sent(shop), "the site's own stream holds it")
        await made.start_hub()
        await until(lambda: _is_noted(shop, ""), "nothing is wrong any more")
        assert shop.gateway._follower.place == 4  # how soon the copy has it is NATS's: benchmarks.sites


async def test_a_leaf_node_that_is_killed_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    async with world(tmp_path, "shop") as made:
        shop = await made.start_site("shop")
        await shop.remember(KEYS)
        for round_ in range(3):
            pid = shop.gateway._server.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            t_s = 9.0 + round_ / 2
            await shop.remember(gather_all(say(t_s, t_s + 0.4, f"word {round_}", source="door"), first=20 + round_))
            await until(lambda: _has_sent(shop), "its own stream holds it")
        assert await shop.gateway._follower._stream.size() == (7, pytest.approx(2000, abs=1500))


async def test_a_site_publishes_and_hears_nothing_of_others(tmp_path: Path) -> None:
    async with world(tmp_path, "shop", "lab") as made:
        shop, _ = await running(made, "shop", "lab")
        conf = (shop.gateway.folder / "server.conf").read_text(encoding="utf-8")
        password = conf.split("password: ")[1].split('"')[1]
        before = await held(made, "lab")
        heard: list[bytes] = []
        async with (
            connected(f"nats://127.0.0.1:{shop.gateway._server.port}", LEAF_USER, password) as leaf,
            joined_hub(made.hub_dir) as hub,
        ):

            async def hear(message: Any) -> None:
                heard.append(message.data)

            await leaf.subscribe("mind.lab.>", cb=hear)
            await leaf.subscribe("$JS.lab.>", cb=hear)
            await leaf.publish("mind.lab.log.o.9.aa", b"forged")
            await leaf.publish("$JS.hub.API.STREAM.DELETE.MIND_lab", b"")
            await leaf.publish("$JS.lab.API.STREAM.PURGE.MIND_lab", b"")
            await leaf.flush()
            await hub.publish("mind.lab.call", b"for lab alone")
            await hub.flush()
            await leaf.flush()
        assert await held(made, "lab") == before
        assert b"for lab alone" not in heard


async def test_what_is_forgotten_at_a_site_leaves_its_stream_and_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.sites.gateway.LET_GO_S", 0.0)
    async with world(tmp_path, "shop") as made:
        (shop,) = await running(made, "shop")
        await shop.forget(ForgetRequest(text="umbrella"))
        await made.until_copied(shop)
        assert _files_holding(tmp_path, b"umbrella") == []


async def test_a_lost_memory_is_made_again_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.sites.gateway.LET_GO_S", 0.0)
    async with world(tmp_path, "shop", pictures=True) as made:
        (shop,) = await running(made, "shop")
        await shop.forget(ForgetRequest(windows=(TimeWindow(source="door", t0_s=5.0, t1_s=7.0),)))
        await made.until_copied(shop)
        export_memory(shop.memory.store.reader(), ExportRequest(path=str(tmp_path / "before")))
        shop.stop()
        async with joined_hub(made.hub_dir) as connection:
            await write_archive(SiteStream(connection, "shop"), tmp_path / "archive")
        again = OneMemory(tmp_path / "again", made.config)
        again.writer.import_archive(ImportRequest(path=str(tmp_path / "archive"), trusted=True))
        again.writer.catch_up()
        export_memory(again.store.reader(), ExportRequest(path=str(tmp_path / "after")))
        again.close()
        for name in ("sources", "spans", "erasures"):
            assert (tmp_path / "after" / f"{name}.jsonl").read_bytes() == (
                tmp_path / "before" / f"{name}.jsonl"
            ).read_bytes(), name
        assert _rows(tmp_path / "after") == _rows(tmp_path / "before")
        assert _rows(tmp_path / "after")[0]["picture_sha256"]


def _rows(archive: Path) -> list[dict[str, object]]:
    """All of its observations but the names of their pictures, which are numbers that were free."""
    lines = (archive / "observations.jsonl").read_bytes().splitlines()
    return [{key: value for key, value in msgspec.json.decode(line).items() if key != "picture"} for line in lines]


async def test_two_sites_find_what_one_memory_would_in_the_same_order(tmp_path: Path) -> None:
    async with world(tmp_path, "shop", "lab") as made:
        await running(made, "shop", "lab")
        await made.start_mind()
        whole = OneMemory(tmp_path / "whole", made.config)
        for batch in (KEYS, TRAIN):
            whole.writer.commit(batch)
        for query in ("umbrella", "where are the keys", "train to London", "kitchen umbrella train"):
            view: View = await made.ask(ViewRequest())
            found = await made.ask(RecallRequest(query=query, view=view))
            alone = whole.answerer.recall(RecallRequest(query=query, view=whole.answerer.view(ViewRequest())))
            assert [hit.observation.id.partition("/")[2] for hit in found.hits] == [
                hit.observation.id for hit in alone.hits
            ], query
            assert [hit.score for hit in found.hits] == [hit.score for hit in alone.hits]
        assert {hit.observation.source for hit in found.hits} == {"shop/door", "lab/hall"}
        whole.close()


async def test_scans_ids_and_pictures_are_of_the_site_they_name(tmp_path: Path) -> None:
    async with world(tmp_path, "shop", "lab") as made:
        await running(made, "shop", "lab")
        await made.start_mind()
        view: View = await made.ask(ViewRequest())
        assert set(view.limits) == {"shop/door", "lab/hall"}
        everything = (await made.ask(ScanRequest(view=view))).observations
        assert len(everything) == 6
        wanted = ("lab/hall/frame/000000000", "shop/door/speech/000001000")
        found = (await made.ask(ScanRequest(view=view, ids=wanted, with_payload=True))).observations
        assert {o.id for o in found} == set(wanted)
        assert [o.payload for o in found if o.channel == "frame"] == [b"\xff\xd8jpeg"]
        status: MemoryStatus = await made.ask(StatusRequest())
        assert {record.source for record in status.sources} == {"shop/door", "lab/hall"}
        assert not status.away


async def test_a_site_that_is_away_is_named_and_the_others_answer(tmp_path: Path) -> None:
    async with world(tmp_path, "shop", "lab") as made:
        _, lab = await running(made, "shop", "lab")
        await made.start_mind()
        lab.stop()
        await until(lambda: _is_away(made, "lab"), "the site is known to be away")
        view: View = await made.ask(ViewRequest())
        assert set(view.limits) == {"shop/door"}
        found = await made.ask(RecallRequest(query="umbrella", view=view))
        assert {hit.observation.source for hit in found.hits} == {"shop/door"}
        assert (await made.ask(StatusRequest())).away == {"lab": "is away"}


async def test_what_is_forgotten_is_in_no_byte_of_any_stream(tmp_path: Path) -> None:
    async with world(tmp_path, "shop", "lab") as made:
        await running(made, "shop", "lab")
        await made.start_mind()
        preview = await made.ask(ForgetRequest(text="umbrella", preview=True))
        assert preview.observations == {"speech": 2}
        done = await made.ask(ForgetRequest(text="umbrella"))
        assert done.observations == {"speech": 2}
        assert done.traces == {}
        assert not any(done.searched.values())
        assert done.searched.keys() >= {"shop/stream", "lab/stream", "hub/copies"}
        assert _files_holding(tmp_path, b"umbrella") == []


async def test_what_an_absent_site_owes_is_paid_when_it_returns(tmp_path: Path) -> None:
    async with world(tmp_path, "shop", "lab") as made:
        _, lab = await running(made, "shop", "lab")
        await made.start_mind()
        lab.stop()
        await until(lambda: _is_away(made, "lab"), "the site is known to be away")
        done = await made.ask(ForgetRequest(text="umbrella"))
        assert done.owed == ("lab",)
        assert _files_holding(made.hub_dir / "streams", b"umbrella") == []
        assert len(debts_of(made.hub_dir, "lab")) == 1
        await made.start_site("lab")
        await until(lambda: _is_told(made, "lab has forgotten what it owed"), "that is told")
        (paid,) = paid_debts(made.hub_dir)
        assert (paid.site, paid.observations, paid.traces) == ("lab", 1, 0)
        assert not debts_of(made.hub_dir, "lab")
        assert _files_holding(tmp_path / "lab", b"umbrella") == []


async def test_a_copy_outlives_a_memory_that_was_lost(tmp_path: Path) -> None:
    async with world(tmp_path, "shop") as made:
        (shop,) = await running(made, "shop")
        before = await held(made, "shop")
        shop.stop()
        await shop.ended.wait()
        (tmp_path / "shop").rename(tmp_path / "lost")
        another = await made.start_site("shop")
        await another.remember(TRAIN)
        await until(lambda: _has_sent(another), "its own stream holds it")
        made.running._compared_s.clear()
        await until(lambda: _is_told(made, "another than the one that was copied"), "the hub says so")
        assert await held(made, "shop") >= before


async def test_a_stream_is_not_mixed_with_another_memory(tmp_path: Path) -> None:
    async with world(tmp_path, "shop") as made:
        (shop,) = await running(made, "shop")
        shop.stop()
        await shop.ended.wait()
        for file in (tmp_path / "shop").glob("memory.db*"):
            file.unlink()
        another = await made.start_site("shop")
        await until(lambda: _is_noted(another, "is of another memory"), "the site says so")


async def test_a_stream_that_is_full_says_so_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    async with world(tmp_path, "shop") as made:
        (shop,) = await running(made, "shop")
        js = shop.gateway._follower._stream._js
        config = (await js.stream_info("MIND_shop")).config
        size = (await js.stream_info("MIND_shop")).state.bytes
        await js.update_stream(config.evolve(max_bytes=size + 10))
        await shop.remember(gather_all(say(9.0, 10.0, "One too many", source="door"), first=20))
        await until(lambda: _is_noted(shop, "the stream is full"), "the site says so")
        await js.update_stream(config)
        await made.until_copied(shop)
        await until(lambda: _is_noted(shop, ""), "nothing is wrong any more")


async def test_a_token_that_is_void_is_told_in_one_line(tmp_path: Path) -> None:
    async with world(tmp_path, "shop") as made:
        await made.start_hub()
        wrong = msgspec.structs.replace(
            made.membership("shop"), url=f"nats-leaf://shop:{new_password()}@127.0.0.1:{made.hub.leaf_port}"
        )
        shop = await made.start_site("shop", wrong)
        await until(lambda: _is_noted(shop, "refuses the token"), "the site says so")
        assert len(shop.service.notes) == 1
        assert "\n" not in shop.service.notes[0]


async def test_a_site_that_was_made_to_leave_is_a_site_no_more(tmp_path: Path) -> None:
    async with world(tmp_path, "shop", "lab") as made:
        shop, _ = await running(made, "shop", "lab")
        write_hub(made.hub_dir, msgspec.structs.replace(made.hub, sites={"lab": made.hub.sites["lab"]}))
        await until(lambda: _is_noted(shop, "refuses the token"), "the site says so")


async def test_with_tls_a_site_joins_the_hub_its_token_vouches_for_and_no_other(tmp_path: Path) -> None:
    async with world(tmp_path, "shop", "lab") as made:
        made.hub = msgspec.structs.replace(made.hub, names=("127.0.0.1", "localhost"))
        write_hub(made.hub_dir, made.hub)
        await made.start_hub()
        joined = read_token(invite(made.hub_dir, "shop", False))
        assert joined.url.startswith("tls://shop:")
        shop = await made.start_site("shop", joined)
        await shop.remember(KEYS)
        await made.until_copied(shop)
        other = ensure_certificate(tmp_path / "other", ("127.0.0.1",))
        stranger = msgspec.structs.replace(read_token(invite(made.hub_dir, "lab", False)), ca=other)
        lab = await made.start_site("lab", stranger)
        await until(lambda: _is_noted(lab, "is not the one that the token vouches for"), "the site says so")


async def test_questions_and_answers_are_kept_beside_the_sites(tmp_path: Path) -> None:
    async with world(tmp_path, "shop", "lab") as made:
        shop, _ = await running(made, "shop", "lab")
        await made.start_mind()
        asked = say(3.0, 3.0, "Where?", source="shop/door", channel="question")
        await made.ask(RememberRequest(observations=(asked,)))
        view: View = await made.ask(ViewRequest())
        found = (await made.ask(ScanRequest(view=view, channels=("question",)))).observations
        assert [o.text for o in found] == ["Where?"]
        assert shop.memory.answerer.status(StatusRequest()).observations.get("question") is None


async def test_a_conversation_about_what_is_forgotten_goes_and_the_next_is_kept(tmp_path: Path) -> None:
    async with world(tmp_path, "shop", "lab") as made:
        await running(made, "shop", "lab")
        await made.start_mind()

        async def talk(t_s: float, text: str) -> list[str]:
            cited = ("shop/door/speech/000001000",)
            o = msgspec.structs.replace(say(t_s, t_s, text, source="shop/door", channel="answer"), evidence=cited)
            await made.ask(RememberRequest(observations=(o,)))
            view = await made.ask(ViewRequest())
            return [o.text for o in (await made.ask(ScanRequest(view=view, channels=("answer",)))).observations]

        assert await talk(3.0, "The keys are on the table") == ["The keys are on the table"]
        done = await made.ask(ForgetRequest(windows=(TimeWindow(source="shop/door", t0_s=5.0, t1_s=7.0),)))
        assert done.observations == {"speech": 1}
        assert await talk(4.0, "They were on the table") == ["They were on the table"]


async def test_what_is_new_at_a_site_is_announced_and_found_as_what_is_new(tmp_path: Path) -> None:
    async with world(tmp_path, "shop", "lab") as made:
        shop, _ = await running(made, "shop", "lab")
        mind = await made.start_mind()
        before: View = await made.ask(ViewRequest())
        said = say(14.0, 15.0, "The bread has come", source="door")
        await shop.remember(
            gather_all(said, progress(16.0, "audio", "door"), progress(16.0, "video", "door"), first=20)
        )
        await until(lambda: _is_announced(mind), "it is announced")
        after: View = await made.ask(ViewRequest())
        found = await made.ask(ScanRequest(view=after, after_generation=before.generation))
        assert [o.text for o in found.observations] == ["The bread has come"]
        assert mind.published[-1].generation > before.generation


async def _is_announced(mind: QuietService) -> bool:
    return any(stored.watermarks.get("shop/door") == 16.0 for stored in mind.published)


async def _is_noted(site: OneSite, words: str) -> bool:
    return any(words in note for note in site.service.notes) if words else not site.service.notes


async def _has_sent(site: OneSite) -> bool:
    last = site.memory.answerer.journal(JournalRequest(limit=1, whole=False)).last
    return site.gateway._follower.place == last > 0


async def _is_away(made: World, site: str) -> bool:
    await made.ask(ViewRequest())
    return site in (await made.ask(StatusRequest())).away


async def _is_told(made: World, words: str) -> bool:
    return any(words in line for line in made.told)


def _files_holding(folder: Path, word: bytes) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if word in path.read_bytes()]
