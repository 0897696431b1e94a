"""The Model Context Protocol through the SDK's own client, in process: tools, resources, errors in one line."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from runtime.config import Config
from runtime.titles import set_title
from tests.fixtures.memory_cases import memory_of, say, see, stream
from tests.fixtures.served_agent import StoredClient, answered

mcp = pytest.importorskip("mcp", reason="the extra mcp is not installed")
pytestmark = pytest.mark.anyio

JPEG = b"\xff\xd8jpeg"
SEEN = (
    see(1.0, "a yard"),
    say(2.0, 4.0, "the train leaves at seven"),
    say(9.0, 9.0, "EXIT", channel="text"),
    see(40.0, "a gate"),
)


@asynccontextmanager
async def connected(folder: Path) -> AsyncIterator[tuple[StoredClient, Any]]:
    from runtime.interfaces.mcp.server import build_mcp

    client = StoredClient(memory_of(folder, stream(*SEEN, end_s=60.0)))
    set_title(folder, (await client.status()).sources, "clip", "the yard film")
    async with mcp.Client(build_mcp(client, Config(), folder)) as session:  # type: ignore[arg-type]
        yield client, session
    client.close()


async def text_of(session: Any, tool: str, **arguments: Any) -> str:
    result = await session.call_tool(tool, arguments)
    assert not result.is_error, result
    return "\n".join(part.text for part in result.content if part.type == "text")


async def refused(session: Any, tool: str, **arguments: Any) -> str:
    result = await session.call_tool(tool, arguments)
    assert result.is_error
    return str(result.content[0].text)


async def test_the_tools_are_the_documented_ones_and_say_which_only_read(tmp_path: Path) -> None:
    async with connected(tmp_path) as (_, session):
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        assert set(tools) == {"ask", "search", "timeline", "look", "listen", "now", "watch_for"}
        reading = {name for name, tool in tools.items() if tool.annotations and tool.annotations.read_only_hint}
        assert reading == {"search", "timeline", "look", "listen", "now"}
        assert all(tool.description for tool in tools.values())


async def test_a_question_is_answered_with_the_moments_it_rests_on(tmp_path: Path) -> None:
    async with connected(tmp_path) as (client, session):
        client.answers = [answered("At seven [0:02].", SEEN[1])]
        told = await text_of(session, "ask", question="When does the train leave?")
        assert told.splitlines() == [
            "At seven [0:02].",
            "[0:02] speech, clip: the train leaves at seven (id clip/speech/000002000)",
        ]
        assert client.asked[0].conversation == "mcp"
        assert "given up" in await refused(session, "ask", question="And then?")


async def test_memory_is_searched_listed_and_listened_to(tmp_path: Path) -> None:
    async with connected(tmp_path) as (_, session):
        assert "the train leaves at seven" in await text_of(session, "search", query="train")
        assert await text_of(session, "search", query="giraffe") == "nothing found"
        line = await text_of(session, "timeline", begin="0:05", end="0:20", source="The Yard Film")
        assert line == "[0:09] text, clip: EXIT (id clip/text/000009000)"
        assert await text_of(session, "listen") == "[0:02] the train leaves at seven\n"
        assert "nobody spoke" in await text_of(session, "listen", begin="0:10", end="0:20")


async def test_a_moment_is_looked_at_as_a_picture(tmp_path: Path) -> None:
    async with connected(tmp_path) as (_, session):
        result = await session.call_tool("look", {"when": "0:02"})
        words, picture = result.content
        assert "clip at 0:01, from a kept small picture" in words.text
        assert base64.b64decode(picture.data) == JPEG and picture.mime_type == "image/jpeg"
        assert "no source" in await refused(session, "look", when="0:02", source="attic")
        assert "is no time" in await refused(session, "look", when="whenever")


async def test_now_is_what_cameras_show_or_that_there_are_none(tmp_path: Path) -> None:
    async with connected(tmp_path) as (client, session):
        assert "nothing is perceived live" in await text_of(session, "now")
        client.live = {"door": JPEG}
        result = await session.call_tool("now", {})
        assert [part.type for part in result.content] == ["text", "image"]


async def test_something_is_watched_for_and_no_more(tmp_path: Path) -> None:
    async with connected(tmp_path) as (client, session):
        assert "q1" in await text_of(session, "watch_for", when="when a person appears")
        assert [query.text for query in client.queries] == ["a person appears"]
        assert "cannot tell" in await refused(session, "watch_for", when="nothing")
        await text_of(session, "watch_for", remove="q1")
        assert client.queries == []


async def test_resources_tell_of_sources_and_what_happened(tmp_path: Path) -> None:
    async with connected(tmp_path) as (_, session):
        listed = {str(resource.uri) for resource in (await session.list_resources()).resources}
        assert listed == {"mindstream://sources", "mindstream://events/recent", "mindstream://notices"}
        (sources,) = (await session.read_resource("mindstream://sources")).contents
        assert [(s["source"], s["title"], s["live"]) for s in json.loads(sources.text)] == [
            ("clip", "the yard film", False)
        ]
        (recent,) = (await session.read_resource("mindstream://events/recent")).contents
        assert "EXIT" in recent.text
