"""`live` as a user runs it: a camera on the loopback network that goes away and comes back, and nothing at all."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
import pytest

from perception.capture import devices
from runtime.config import Config
from runtime.errors import UserError
from runtime.interfaces.commands.live import chosen_sources
from tests.fixtures.agent_runs import remembered, run, start, wait_for
from tests.fixtures.chat_server import Json, Reply, serve_chat
from tests.fixtures.drawn_clips import decoded
from tests.fixtures.loopback import Loopback, moving_square
from tests.fixtures.model_turns import pictures, prompt


def until_told(agent: subprocess.Popen[str], words: str) -> str:
    """What the agent says on standard error up to the line with ``words``."""
    assert agent.stderr
    said = ""
    for line in agent.stderr:
        said += line
        if words in line:
            return said
    raise AssertionError(f"ended without saying {words!r}:\n{said}")


def test_with_nothing_connected_there_is_one_clear_line(tmp_path: Path) -> None:
    if list(Path("/dev").glob("video*")):
        pytest.skip("this machine has a camera")
    line = run("live", "--mic", "off", "--memory", tmp_path / "memory").assert_one_clear_line()
    assert "no camera is connected" in line


def test_a_recording_or_a_wrong_address_is_refused_in_one_line(tmp_path: Path) -> None:
    assert "replay" in run("live", "talk.mp4", "--memory", tmp_path / "memory").assert_one_clear_line()


@pytest.mark.parametrize(
    ("named", "mic", "kinds"),
    [
        ((), None, ["camera", "microphone"]),
        (("0",), None, ["camera", "microphone"]),
        (("door=rtsp://x/", "0"), None, ["stream", "camera", "microphone"]),
        (("door=rtsp://x/",), None, ["stream"]),
        (("door=rtsp://x/", "0"), "off", ["stream", "camera"]),
        (("0", "mic:USB"), None, ["camera", "microphone"]),
        (("mic:USB",), None, ["microphone"]),
    ],
)
def test_the_microphone_goes_with_a_camera_and_a_stream_brings_its_own_sound(
    named: tuple[str, ...], mic: str | None, kinds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "cameras", lambda: ["/dev/video0"])
    monkeypatch.setattr(devices, "why_no_microphone", lambda: "")
    assert [source.kind for source in chosen_sources(named, mic, False, Config())] == kinds


def test_without_a_display_the_screen_is_left_out_and_alone_it_is_nothing_to_watch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("XDG_SESSION_TYPE", raising=False)
    assert [s.kind for s in chosen_sources(("door=rtsp://x/",), "off", True, Config())] == ["stream"]
    assert capsys.readouterr().err == "not watching the screen: there is no screen here: DISPLAY is not set\n"
    with pytest.raises(UserError, match="DISPLAY is not set"):
        chosen_sources(("screen",), "off", False, Config())


def test_a_camera_that_goes_away_is_a_gap_its_return_is_told_and_so_is_what_was_waited_for(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    profile = tmp_path / "quick.yaml"
    profile.write_text("perception: {live: {stall_s: 1.0, reopen_max_s: 0.5}, vision: {read_text: false}}")
    frames = "SELECT count(*) FROM observations WHERE channel = 'frame'"
    assert run("standing", "add", "it gets dark", "--memory", memory).code == 0
    with Loopback(moving_square((320, 240)), rate_hz=10.0, clip_s=1.0) as camera:
        # No terminal and no input: it perceives until it is stopped.
        agent = start("live", f"door={camera.url('mjpeg')}", "--memory", memory, "--config", profile)
        wait_for(memory, frames, 2)
        camera.refusing = True
        camera.disconnect()
        wait_for(
            memory, "SELECT count(*) FROM observations WHERE channel = 'gap' AND text LIKE '%nothing was seen%'", 2
        )
        err = until_told(agent, "door cannot be seen")
        camera.show(lambda t_s: np.zeros((240, 320, 3), np.uint8))
        camera.refusing = False
        wait_for(memory, frames, remembered(memory, frames) + 2)
        err += until_told(agent, "door is seen again")
        agent.terminate()
        out, rest = agent.communicate(timeout=60)
        err += rest
    assert agent.returncode == 143, err
    assert "! " in out and "You asked me to tell you when it gets dark" in out
    assert "Traceback" not in err
    assert remembered(memory, "SELECT count(*) FROM tracks WHERE track = 'audio' AND missing = 'no audio track'") == 1
    assert remembered(memory, "SELECT count(*) FROM tracks WHERE ended IS NULL") == 0


@pytest.mark.anyio
async def test_now_is_asked_of_every_camera_that_runs_and_of_none_in_a_pause(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    profile = tmp_path / "quick.yaml"
    requests: list[list[tuple[int, int]]] = []

    async def script(request: Json, reply: Reply) -> None:
        shown = [decoded(jpeg).shape for jpeg in pictures(request)]
        requests.append([(width, height) for height, width, _ in shown])
        # Each before its picture, or those of one sheet in a row.
        moments = re.findall(r"\[([^\]]*)\](?: picture|,? [\d.]+ s old)", prompt(request))
        await reply.say(f"I see a square [{moments[-1]}].")

    def ask() -> dict[str, Any]:
        found: dict[str, Any] = run("ask", "What do you see now?", "--memory", memory, "--json").answers[0]
        return found

    with (
        Loopback(moving_square((800, 600)), rate_hz=10.0, clip_s=1.0) as door,
        Loopback(moving_square((800, 480)), rate_hz=10.0, clip_s=1.0) as garden,
    ):
        async with serve_chat(script) as server:
            named = (f"door={door.url('mjpeg')}", f"garden={garden.url('mjpeg')}")
            model = f"{{backend: openai, model: {{base_url: '{server.base_url}'}}, describe: {{when: never}}}}"
            profile.write_text(f"perception: {{vision: {{read_text: false}}}}\nreasoning: {model}")
            agent = start("live", *named, "--memory", memory, "--config", profile)
            query = "SELECT count(DISTINCT source) FROM observations WHERE channel = 'frame'"
            await anyio.to_thread.run_sync(wait_for, memory, query, 2)
            answer = await anyio.to_thread.run_sync(ask)
            (cited,) = answer["citations"]
            known = f"SELECT count(*) FROM observations WHERE id = '{cited['id']}'"
            await anyio.to_thread.run_sync(wait_for, memory, known, 1)
            await anyio.to_thread.run_sync(lambda: run("pause", "--memory", memory))
            paused = await anyio.to_thread.run_sync(ask)
            agent.terminate()
            err = await anyio.to_thread.run_sync(lambda: agent.communicate(timeout=60)[1])
    assert "Traceback" not in err
    assert sorted(requests[0]) == [(800, 480), (800, 600)], "whole pictures, not what is kept of them"
    assert paused["answer"].startswith("Watching is paused since ")
    assert not {(800, 480), (800, 600)} & set(requests[1]), "what is kept of them, 768 px wide at most"
