"""Serving as a user starts it: the doors open, one after the other, and the commands that show evidence."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import httpx2
import openai
import pytest

from tests.fixtures.agent_runs import PROJECT, SAMPLE, child_pid, finish, is_running, run, start
from tests.fixtures.memory_cases import memory_of, see, stream
from tests.fixtures.served_sample import perceive_sample, serving, until_served

QUESTION = "When does the train to London leave?"


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return perceive_sample(tmp_path_factory.mktemp("served") / "memory")


@pytest.fixture(scope="module")
def page(memory: Path) -> Iterator[str]:
    with serving(memory) as (address, _):
        yield address


def test_openais_client_asks_and_lists(page: str) -> None:
    client = openai.OpenAI(base_url=f"{page}v1", api_key="none")
    assert [model.id for model in client.models.list()] == ["mindstream"]
    done = client.chat.completions.create(model="mindstream", messages=[{"role": "user", "content": QUESTION}])
    assert "in the evening" in (done.choices[0].message.content or "")
    cited: Any = done.model_extra and done.model_extra["mindstream"]["citations"]
    assert cited[0]["channel"] == "speech"


def test_what_happens_is_followed_over_the_wire(page: str) -> None:
    with httpx2.stream("GET", f"{page}api/events?kinds=health", timeout=30) as reply:
        for line in reply.iter_lines():
            if line.startswith("data: ") and "processes" in line:
                state = json.loads(line.removeprefix("data: "))
                if {"memory", "reasoning", "server"} <= set(state["processes"]):
                    break
    assert state["processes"]["server"]["ready"]


def test_mcp_over_http_and_over_standard_input(page: str, memory: Path) -> None:
    mcp = pytest.importorskip("mcp", reason="the extra mcp is not installed")
    parameters = mcp.StdioServerParameters(
        command=sys.executable,
        args=[str(PROJECT / "run_agent.py"), "mcp", "--memory", str(memory)],
        env={**os.environ, "OPENAI_BASE_URL": ""},
    )

    async def ask(server: Any) -> str:
        async with mcp.Client(server) as session:
            assert len((await session.list_tools()).tools) == 7
            result = await session.call_tool("ask", {"question": QUESTION})
            return str(result.content[0].text)

    for server in (f"{page}mcp", parameters):
        assert "in the evening" in asyncio.run(ask(server))


def test_the_evidence_is_shown_clipped_and_written_out(page: str, memory: Path, tmp_path: Path) -> None:
    """Beside the running agent, as from another terminal."""
    film, picture = tmp_path / "train.mp4", tmp_path / "bakery.jpg"
    made = run("clip", "0:25-0:30", "-o", film, "--memory", memory, "--json")
    assert made.code == 0, made.err
    assert made.answers[0]["made_of"] == "recording"
    with av.open(str(film)) as container:
        assert float(container.duration or 0) / av.time_base == pytest.approx(5.0, abs=0.1)
    assert run("show", "0:26", "-o", picture, "--memory", memory).code == 0
    assert picture.read_bytes().startswith(b"\xff\xd8")
    told = run("transcript", "--format", "vtt", "--memory", memory)
    assert told.out.startswith("WEBVTT") and "in the evening" in told.out
    renamed = run("recordings", "rename", "sample.mp4", "The house by the river", "--memory", memory)
    assert "The house by the river (sample.mp4)" in renamed.out
    line = run("clip", "9:00-9:10", "-o", film, "--memory", memory).assert_one_clear_line
    assert "nothing was perceived then" in line()


def test_a_second_server_on_a_taken_port_is_one_clear_line(page: str, memory: Path) -> None:
    port = page.rstrip("/").rpartition(":")[2]
    assert "cannot serve on" in run("serve", port, "--memory", memory).assert_one_clear_line()


def test_elsewhere_the_token_is_made_shown_once_and_asked_for(memory: Path) -> None:
    with serving(memory, "--sign-in") as (address, said):
        token = (memory / "serve.token").read_text().strip()
        assert token in said
        assert (memory / "serve.token").stat().st_mode & 0o777 == 0o600
        assert httpx2.get(f"{address}api/sources").status_code == 401
        bearer = {"authorization": f"Bearer {token}"}
        assert httpx2.get(f"{address}api/sources", headers=bearer).status_code == 200
        assert httpx2.get(f"{address}api/sources", headers={**bearer, "host": "evil.example"}).status_code == 421
    with serving(memory, "--sign-in") as (_, said):
        assert token not in said


def test_tls_by_certificate_files(memory: Path, tmp_path: Path) -> None:
    certificate, key = tmp_path / "own.pem", tmp_path / "own.key"
    made = subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate),
        ],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl makes no certificate here")
    with serving(memory, "--certificate", str(certificate), "--key", str(key)) as (address, _):
        assert address.startswith("https://")
        import ssl

        trusting = ssl.create_default_context(cafile=str(certificate))
        assert httpx2.get(f"{address}healthz", verify=trusting).status_code == 200


def test_slow_and_dead_readers_cost_the_others_nothing(page: str) -> None:
    port = int(page.rstrip("/").rpartition(":")[2])
    request = b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
    stuck = [socket.create_connection(("127.0.0.1", port)) for _ in range(12)]
    for connection in stuck:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        connection.sendall(request)  # and never a byte is read
    try:
        for _ in range(20):
            assert httpx2.get(f"{page}api/sources", timeout=10).status_code == 200
        answer = httpx2.post(f"{page}api/ask", json={"question": QUESTION}, timeout=60).json()
        assert "in the evening" in answer["answer"]
    finally:
        for connection in stuck:
            connection.close()


@pytest.mark.parametrize("stop", ["SIGTERM", "SIGKILL"])
def test_a_server_that_dies_is_started_again_and_ends_with_its_agent(tmp_path: Path, stop: str) -> None:
    memory = tmp_path / "memory"
    memory_of(memory, stream(see(1.0, "a yard"), end_s=2.0)).close()
    process = start("serve", "0", "--memory", memory)
    until_served(process)
    first = child_pid(memory, "server")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    deadline_s = time.monotonic() + 60
    while (second := child_pid(memory, "server")) in (None, first):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    process.send_signal(getattr(signal, stop))
    process.communicate(timeout=60)
    assert second is not None
    while is_running(second):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def test_replay_serves_meanwhile_and_after(tmp_path: Path) -> None:
    replay = start("replay", SAMPLE, "--serve", "0", "--memory", tmp_path / "memory")
    address, _ = until_served(replay)
    found = ""
    for _ in range(600):
        found = httpx2.get(f"{address}api/observations?channels=speech", timeout=20).text
        if "train" in found:
            break
        asyncio.run(asyncio.sleep(0.2))
    assert "train" in found
    replay.terminate()
    assert finish(replay).code == 143


def test_serving_nothing_is_one_clear_line(tmp_path: Path) -> None:
    line = run("serve", "0", "--memory", tmp_path / "none").assert_one_clear_line()
    assert "no memory" in line
    line = run("serve", "here:99999", "--memory", tmp_path / "none").assert_one_clear_line()
    assert "no address" in line
