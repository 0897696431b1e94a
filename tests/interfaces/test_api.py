"""The API over a real memory: what is read, what is changed, what is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from starlette.testclient import TestClient

from memory.store.database import Store
from perception.capture.file import probe
from runtime.footage import FOOTAGE, folder_of, segment_name
from runtime.interfaces.web.app import ENDPOINTS
from runtime.messages import FrameFacts, Marked, Observation, SourceEnded, SourceOpened
from tests.fixtures.drawn_recording import decoded, draw_recording, second_of, shown_in
from tests.fixtures.memory_cases import gather_all, remember, say, see
from tests.fixtures.served_agent import StoredClient, answered, served
from tests.fixtures.two_sessions import BEGAN_S, LABEL, LASTS_S, SESSIONS, two_sessions

JPEG = b"\xff\xd8 a small picture \xff\xd9"
HELLO = say(4.0, 6.0, "hello <there> & good morning", source="drawn.mp4")
SEEN = (
    see(1.0, "a dark picture", source="drawn.mp4"),
    see(8.0, "a bright picture", source="drawn.mp4"),
    HELLO,
    say(8.0, 8.0, "EXIT", source="drawn.mp4", channel="text"),
)


class World:
    """A page's server on a memory of one recording that is still there."""

    def __init__(self, folder: Path) -> None:
        self.recording = draw_recording(folder / "drawn.mp4")
        info = probe(self.recording)
        (folder / "memory").mkdir()
        store = Store(folder / "memory")
        opened = [
            SourceOpened(
                source="drawn.mp4", track=track, uri=str(self.recording), fingerprint=info.fingerprint,
                started_wall_s=1_700_000_000.0, duration_s=10.0,
            )
            for track in ("video", "audio")
        ]  # fmt: skip
        seen = [msgspec.structs.replace(o, payload=JPEG) if o.channel == "frame" else o for o in SEEN]
        ended = [SourceEnded(source="drawn.mp4", track=track, t_s=10.0) for track in ("video", "audio")]
        remember(store, gather_all(*opened, *seen, *ended))
        self.client: StoredClient
        self.client, self.what, app = served(store, folder / "memory")
        self.memory_dir = folder / "memory"
        self.page = TestClient(app, raise_server_exceptions=False)

    def get(self, path: str, **query: Any) -> Any:
        reply = self.page.get(path, params=query)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def refused(self, method: str, path: str, status: int, **given: Any) -> str:
        reply = self.page.request(method, path, **given)
        assert reply.status_code == status, reply.text
        message = reply.json()["error"]["message"]
        assert "\n" not in message and "Traceback" not in message
        return str(message)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.what.close()
    made.client.close()


def test_sources_status_and_observations_are_told_with_their_time_of_day(world: World) -> None:
    (source,) = world.get("/api/sources")
    assert source["source"] == "drawn.mp4" and source["complete"] and not source["live"]
    state = world.get("/api/status")
    assert state["memory"]["observations"] == {"frame": 2, "speech": 1, "text": 1}
    assert state["memory"]["levels"]["hot"]["budget"] > 0 and state["processes"] == {}
    said = world.get("/api/observations", channels="speech")
    assert [(o["id"], o["wall_s"], o["text"]) for o in said] == [(HELLO.id, 1_700_000_004.0, HELLO.text)]
    assert [o["t0_s"] for o in world.get("/api/observations", t0_s=7, t1_s=9)] == [8.0, 8.0]
    assert world.get(f"/api/observations/{HELLO.id}")["text"] == HELLO.text
    newest = world.get("/api/observations", newest=1, limit=1)
    assert newest[0]["t0_s"] == 8.0 and "payload" not in newest[0] and "vector" not in newest[0]


def test_a_stretch_at_a_glance_has_counts_pictures_and_events(world: World) -> None:
    glance = world.get("/api/timeline", buckets=5)
    assert glance["counts"]["speech"] == [0, 0, 1, 0, 0]
    assert glance["pictures"][0] == "drawn.mp4/frame/000001000"
    assert glance["gaps"] == [] and glance["started_wall_s"] == 1_700_000_000.0
    assert [event["t0_s"] for event in glance["events"]][:1] == [0.0]


def test_a_camera_at_a_glance_joins_its_sessions_by_the_clock(tmp_path: Path) -> None:
    client, what, app = served(two_sessions(tmp_path / "memory"), tmp_path / "memory")
    page = TestClient(app)
    glance = page.get("/api/timeline", params={"camera": LABEL, "buckets": 3}).json()
    assert (glance["t0_s"], glance["t1_s"], glance["source"]) == (BEGAN_S[0], BEGAN_S[1] + LASTS_S, SESSIONS[1])
    assert glance["counts"]["speech"] == [1, 0, 1]
    assert glance["gaps"] == [[BEGAN_S[0] + LASTS_S, BEGAN_S[1], "not watched"]]
    firsts = {event["source"]: event["t0_s"] for event in reversed(glance["events"])}
    assert firsts == dict(zip(SESSIONS, BEGAN_S, strict=True))
    only_first = page.get("/api/timeline", params={"camera": LABEL, "t1_s": BEGAN_S[0] + 300, "buckets": 1}).json()
    assert only_first["counts"]["speech"] == [1] and only_first["gaps"] == []
    assert page.get("/api/timeline", params={"camera": "cellar"}).status_code == 404
    # Not all live sources have a session in their name.
    opened = SourceOpened(source="hall", track="audio", uri="hall", kind="microphone", started_wall_s=BEGAN_S[0])
    remember(client.store, gather_all(opened, SourceEnded(source="hall", track="audio", t_s=9.0), first=70))
    what._status = None
    assert page.get("/api/timeline", params={"camera": "hall"}).json()["source"] == "hall"
    what.close()
    client.close()


def test_a_search_says_why_only_where_that_is_asked(world: World) -> None:
    (hit, *_) = world.get("/api/search", q="hello", explain=1)["hits"]
    assert hit["seen"]["id"] == HELLO.id and hit["why"]["bm25"] > 0
    assert world.get("/api/search", q="hello")["hits"][0]["why"] is None
    assert world.get("/api/search", q="hello", channels="text")["hits"] == []


def test_a_picture_is_the_kept_one_by_its_id_and_the_recordings_own_by_its_time(world: World) -> None:
    kept = world.page.get("/api/frame", params={"id": "drawn.mp4/frame/000001000"})
    assert kept.content == JPEG and kept.headers["content-type"] == "image/jpeg"
    whole = world.page.get("/api/frame", params={"t_s": 7.4})
    assert second_of(decoded(whole.content)) == 7 and whole.headers["x-made-of"] == "recording"
    near = world.page.get("/api/frame", params={"t_s": 7.4, "kept": 1})
    assert near.content == JPEG and near.headers["x-media-time"] == "8.000"


def test_a_clip_is_cut_from_the_recording_and_may_be_fetched_in_parts(world: World, tmp_path: Path) -> None:
    facts = world.get("/api/clip/facts", t0_s=3, t1_s=7)
    assert facts["made_of"] == "recording" and [said["id"] for said in facts["said"]] == [HELLO.id]
    whole = world.page.get(facts["url"])
    (tmp_path / "clip.mp4").write_bytes(whole.content)
    assert {second_of(image) for _, image in shown_in(tmp_path / "clip.mp4")} == {3, 4, 5, 6}
    part = world.page.get(facts["url"], headers={"range": "bytes=0-9"})
    assert part.status_code == 206 and part.content == whole.content[:10]


def test_a_clip_of_a_recording_that_is_gone_is_made_of_kept_pictures_and_says_so(world: World) -> None:
    import cv2

    world.recording.unlink()
    jpeg = bytes(cv2.imencode(".jpg", np.full((90, 160, 3), 200, np.uint8))[1].tobytes())
    real = see(5.0, "a wall", source="drawn.mp4")
    remember(world.client.store, gather_all(msgspec.structs.replace(real, payload=jpeg), first=50))
    facts = world.get("/api/clip/facts", t0_s=5, t1_s=7)
    assert facts["made_of"] == "kept pictures" and "without sound" in facts["note"]


def test_transcripts_come_in_every_form(world: World) -> None:
    def text(form: str) -> str:
        return str(world.page.get("/api/transcript", params={"format": form}).text)

    assert text("txt") == "[0:04] hello <there> & good morning\n"
    assert text("srt") == "1\n00:00:04,000 --> 00:00:06,000\nhello <there> & good morning\n"
    assert text("vtt") == "WEBVTT\n\n00:00:04.000 --> 00:00:06.000\nhello &lt;there> &amp; good morning\n"
    assert world.get("/api/transcript", format="json")["utterances"][0]["t0_s"] == 4.0


def test_a_question_is_answered_whole_or_as_it_comes(world: World) -> None:
    world.client.answers = [answered('Somebody said "hello" [0:04].', HELLO)] * 2
    whole = world.page.post("/api/ask", json={"question": "What was said?"}).json()
    assert whole["answer"].startswith("Somebody") and whole["citations"][0]["id"] == HELLO.id
    assert whole["notice"] == "" and whole["trace"] == []
    with world.page.stream("POST", "/api/ask", json={"question": "And then?", "stream": True}) as reply:
        text = "".join(reply.iter_text())
    events = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    assert events == ["part"] * 4 + ["answer"]
    assert [asked.conversation for asked in world.client.asked] == ["page", "page"]
    with world.page.stream("POST", "/api/ask", json={"question": "And?", "stream": True}) as reply:
        assert "event: error" in "".join(reply.iter_text())


def test_what_is_forgotten_is_shown_first_then_gone_from_memory_clips_and_pictures(world: World) -> None:
    world.get("/api/clip/facts", t0_s=3, t1_s=7)
    wish = {"windows": [{"source": "drawn.mp4", "t0_s": 4.0, "t1_s": 6.0}]}
    shown = world.page.post("/api/forget/preview", json=wish).json()
    assert not shown["done"] and shown["observations"] == {"speech": 1}
    assert [seen["text"] for seen in shown["examples"]] == [HELLO.text]
    assert world.get("/api/search", q="hello")["hits"]
    done = world.page.post("/api/forget", json=wish).json()
    assert done["done"] and done["traces"] == {} and set(done["searched"].values()) == {0}
    assert done["owed"] == done["unsearched"] == []
    assert world.get("/api/search", q="hello")["hits"] == []
    assert not list(world.what.scratch.glob("*.mp4"))
    # The recording is the user's own and still there; what was erased is shown of it no more.
    assert "erased at your wish" in world.refused("GET", "/api/frame", 404, params={"t_s": 5.0})
    assert "erased" in world.refused("GET", "/api/clip", 400, params={"t0_s": 4.5, "t1_s": 5.5})
    facts = world.get("/api/clip/facts", t0_s=3, t1_s=7)
    assert facts["duration_s"] == pytest.approx(2.0, abs=0.1) and "left out" in facts["note"]


def test_standing_queries_are_added_listed_and_removed(world: World) -> None:
    added = world.page.post("/api/standing", json={"action": "add", "text": "when a person appears"}).json()
    assert [query["text"] for query in added["queries"]] == ["a person appears"] and added["notices"] == []
    assert world.get("/api/standing")["queries"] == added["queries"]
    assert "cannot tell" in world.refused("POST", "/api/standing", 400, json={"action": "add", "text": "nothing"})
    world.page.post("/api/standing", json={"action": "remove", "which": "q1"})
    assert world.get("/api/standing")["queries"] == []


def test_a_source_has_a_title_until_it_is_taken_away_or_forgotten(world: World) -> None:
    def put(**given: str) -> Any:
        return world.page.put("/api/titles", json=given)

    assert put(source="drawn.mp4", title=" The  grey film ").json() == {"drawn.mp4": "The grey film"}
    assert put(source="drawn.mp4", title="").json() == {}
    assert "no source" in world.refused("PUT", "/api/titles", 400, json={"source": "x", "title": "y"})
    assert "one line" in world.refused("PUT", "/api/titles", 400, json={"source": "drawn.mp4", "title": "a\x1b[0m"})


def test_live_sources_show_pictures_are_masked_and_paused(world: World) -> None:
    assert "nothing is perceived live" in world.refused("POST", "/api/pause", 400)
    world.client.live = {"door": JPEG}
    world.client.marked = (Marked("Tür", (0.1, 0.2, 0.3, 0.4)),)
    for _ in range(3):
        shown = world.page.get("/api/look", params={"source": "door"})
        assert shown.content == JPEG
        assert json.loads(shown.headers["x-marked"]) == [["Tür", 0.1, 0.2, 0.3, 0.4]]
    assert world.client.previews == 1, "within half a second one picture serves all"
    world.refused("GET", "/api/look", 404, params={"source": "attic"})
    mask = {"source": "door", "mask": [[0.0, 0.0, 0.5, 1.0]]}
    assert world.page.put("/api/masks", json=mask).json() == mask
    assert [request.mask for request in world.client.masks] == [((0.0, 0.0, 0.5, 1.0),)]
    assert world.get("/api/masks") == [mask]
    for wrong in ([0, 0, 0, 0], [0, 0, 2, 1], [0, 0, -1, 1]):
        world.refused("PUT", "/api/masks", 400, json={"source": "door", "mask": [wrong]})
    assert world.page.post("/api/pause").json()["paused"] is True
    assert world.page.post("/api/resume").json()["paused"] is False
    assert world.client.paused == [True, False]


def test_footage_is_marked_where_there_is_some(world: World) -> None:
    stretch = {"source": "drawn.mp4", "t0_s": 1.0, "t1_s": 2.0}
    assert "live sources" in world.refused("POST", "/api/footage/marks", 400, json=stretch)
    door = "door@2026-11-30T10:00:00"
    remember(world.client.store, gather_all(SourceOpened(source=door, track="video", kind="camera"), first=70))
    world.what._status = None
    stretch["source"] = door
    assert "no footage" in world.refused("POST", "/api/footage/marks", 404, json=stretch)
    folder = folder_of(world.memory_dir / FOOTAGE, door)
    folder.mkdir(parents=True)
    (folder / segment_name(0.0, 10.0)).touch()
    assert world.page.post("/api/footage/marks", json=stretch).json() == stretch
    assert [path.name for path in (folder / "marks").iterdir()] == ["000000000-000012000"]


@pytest.mark.parametrize(
    ("path", "query", "why"),
    [
        ("/api/timeline", {"t0_s": "x"}, "no number"),
        ("/api/timeline", {"t0_s": "inf"}, "no number"),
        ("/api/timeline", {"t0_s": 5, "t1_s": 5}, "not after"),
        ("/api/timeline", {"buckets": 100000}, "whole number"),
        ("/api/observations", {"channels": "smell"}, "no channel"),
        ("/api/observations", {"limit": -1}, "whole number"),
        ("/api/search", {}, "search for what"),
        ("/api/spans", {"level": "era"}, "no level"),
        ("/api/clip", {"t0_s": 0}, "missing"),
        ("/api/clip", {"t0_s": 0, "t1_s": 100000}, "long at most"),
        ("/api/clip", {"t0_s": 50, "t1_s": 60}, "has nothing there"),
        ("/api/transcript", {"format": "doc"}, "no format"),
        ("/api/events", {"kinds": "gossip"}, "no kind"),
    ],
)
def test_what_makes_no_sense_is_told_in_one_line(world: World, path: str, query: dict[str, Any], why: str) -> None:
    assert why in world.refused("GET", path, 400, params=query)


@pytest.mark.parametrize(
    "path",
    ["/api/observations/nothing", "/api/frame?id=nothing", "/api/timeline?source=../../etc/passwd", "/v1/models/gpt"],
)
def test_what_is_not_there_is_not_found(world: World, path: str) -> None:
    world.refused("GET", path, 404)


@pytest.mark.parametrize("source", ["/etc/passwd", "../../../etc/passwd", "file:///etc/passwd", "drawn.mp4/../x"])
def test_no_name_of_a_file_leads_out_of_memory(world: World, source: str) -> None:
    for path in ("/api/clip", "/api/frame", "/api/clip/facts"):
        world.refused("GET", path, 404, params={"source": source, "t0_s": 0, "t1_s": 1, "t_s": 0})


@pytest.mark.parametrize("body", ["", "null", "[]", '{"question": 1}', '{"question": "x", "odd": 1}', "{" * 2000])
def test_bodies_that_are_none_are_told_in_one_line(world: World, body: str) -> None:
    world.refused("POST", "/api/ask", 400, content=body)


def test_the_archive_is_handed_out_and_not_kept(world: World) -> None:
    assert world.page.get("/api/export").content == b"PK archive"
    assert not list(world.what.scratch.glob("*.zip"))


def test_the_description_names_every_route_and_its_types(world: World) -> None:
    described = world.get("/openapi.json")
    assert described["openapi"].startswith("3.1")
    assert {(method, path) for path, of in described["paths"].items() for method in of} == {
        (e.method.lower(), e.path.replace(":path", "")) for e in ENDPOINTS
    }
    assert "ForgetWish" in described["components"]["schemas"]
    refs = [part for part in str(described).split("'") if part.startswith("#/components/schemas/")]
    assert {ref.rpartition("/")[2] for ref in refs} <= set(described["components"]["schemas"])


def test_metrics_are_what_prometheus_reads(world: World) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    reply = world.page.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(reply.text)}
    counted = {sample.labels["channel"]: sample.value for sample in families["mindstream_observations"].samples}
    assert counted == {"frame": 2.0, "speech": 1.0, "text": 1.0}
    assert families["mindstream_memory_bytes"].samples[0].value > 0
    assert reply.headers["content-type"].startswith("text/plain")


def test_facts_of_an_observation_come_through(world: World) -> None:
    dark = Observation(
        id="drawn.mp4/frame/000009000", source="drawn.mp4", channel="frame", t0_s=9.0, t1_s=9.0,
        data=FrameFacts(people=2),
    )  # fmt: skip
    remember(world.client.store, gather_all(dark, first=60))
    assert world.get(f"/api/observations/{dark.id}")["data"]["people"] == 2
