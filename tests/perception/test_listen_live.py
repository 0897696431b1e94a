"""Listening live, to a stream on the loopback network and to microphones through a stand-in for PortAudio."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import msgspec
import numpy as np
import pytest

from perception.capture import footage
from perception.capture import microphone as live_sound
from perception.capture.blocks import AudioBlock
from perception.capture.file_tracks import open_sound
from perception.capture.footage import FootageKeeper
from perception.capture.microphone import Microphone
from perception.capture.reopening import CaptureFailed
from perception.processes import listen
from perception.speech.recogniser import Recogniser
from runtime.config import LiveConfig, parse_config
from runtime.footage import segments
from runtime.messages import Keeping, SoundFacts, SourceEnded, SourceOpened, TimeWindow
from runtime.service import Service
from runtime.sources import parse_source
from tests.fixtures.live_world import FILMED, QUICK, World
from tests.fixtures.loopback import SOUND_RATE_HZ, Loopback, moving_square

pytestmark = pytest.mark.anyio
RATE_HZ = 16_000


class PortAudio:
    """Stands in for the sounddevice module: one microphone, whose driver's thread is the test's own.

    rates_hz  those at which it can be opened; its own is the last.
    """

    PortAudioError = type("PortAudioError", (Exception,), {})

    def __init__(self, rates_hz: tuple[int, ...] = (RATE_HZ,), names: tuple[str, ...] = ("USB Audio",)) -> None:
        self.rates_hz = rates_hz
        self.names = names
        self.streams: list[Any] = []
        self.opened = threading.Event()

    def _initialize(self) -> None: ...
    def _terminate(self) -> None: ...

    def query_devices(self, which: Any = None, kind: str | None = None) -> Any:
        found: list[dict[str, Any]] = [
            {"name": name, "index": k, "max_input_channels": 1, "default_samplerate": float(self.rates_hz[-1])}
            for k, name in enumerate(self.names)
        ]
        if kind is None:
            return found
        fitting = [device for device in found if which in (None, device["index"]) or str(which) in device["name"]]
        if not fitting:
            raise ValueError(f"no input device matching {which!r}")
        return fitting[0]

    def InputStream(self, *, samplerate: int, blocksize: int, callback: Callable[..., None], **_: Any) -> Any:
        if samplerate not in self.rates_hz:
            raise self.PortAudioError("Invalid sample rate")
        stream = SimpleNamespace(rate_hz=samplerate, size=blocksize, callback=callback, closed=False)
        stream.start = lambda: (self.streams.append(stream), self.opened.set())
        stream.close = lambda ignore_errors: setattr(stream, "closed", True)
        return stream

    def record(self, samples: np.ndarray, at_s: float = 0.0) -> None:
        """Have the driver hand over one block that ended just now."""
        stream = self.streams[-1]
        times = SimpleNamespace(currentTime=at_s, inputBufferAdcTime=at_s - len(samples) / stream.rate_hz)
        stream.callback(samples.reshape(-1, 1).astype(np.float32), len(samples), times, None)


def microphone(
    monkeypatch: pytest.MonkeyPatch, portaudio: PortAudio, which: str = "", stall_s: float = 5.0
) -> Microphone:
    monkeypatch.setattr(live_sound, "load_sounddevice", lambda: portaudio)
    return Microphone(which, LiveConfig(stall_s=stall_s), lambda: 7.0)


def test_what_a_microphone_records_comes_in_order_with_the_count_of_its_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    portaudio = PortAudio()
    mic = microphone(monkeypatch, portaudio)
    for k in range(3):
        portaudio.record(np.resize(np.array([0.1 * k, -0.1 * k], np.float32), 512))  # a constant would be an offset
    pieces = [mic.read() for _ in range(3)]
    assert [piece.device_s for piece in pieces] == [512 / RATE_HZ, 1024 / RATE_HZ, 1536 / RATE_HZ]
    assert [float(piece.samples[0]) for piece in pieces] == pytest.approx([0.0, 0.1, 0.2])
    assert {piece.arrival_s for piece in pieces} == {7.0}
    assert mic.about == "USB Audio, 16000 Hz"


def test_a_microphone_of_another_rate_is_heard_at_16_khz(monkeypatch: pytest.MonkeyPatch) -> None:
    portaudio = PortAudio(rates_hz=(48_000,))
    mic = microphone(monkeypatch, portaudio)
    assert portaudio.streams[-1].rate_hz == 48_000
    t_s = np.arange(48_000) / 48_000
    for block in np.split(np.sin(2 * np.pi * 440 * t_s), 10):
        portaudio.record(block)
    samples = np.concatenate([mic.read().samples for _ in range(10)])
    assert abs(len(samples) - RATE_HZ) < 64
    spectrum = np.abs(np.fft.rfft(samples))
    assert int(np.argmax(spectrum)) * RATE_HZ / len(samples) == pytest.approx(440, abs=2)


def test_blocks_that_nobody_took_are_missing_from_the_count_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    portaudio = PortAudio()
    mic = microphone(monkeypatch, portaudio)
    for _ in range(70):  # six more than there is room for
        portaudio.record(np.zeros(512, np.float32))
    for _ in range(64):
        last = mic.read()
    portaudio.record(np.zeros(512, np.float32))
    after = mic.read()
    assert after.device_s - last.device_s == pytest.approx(7 * 512 / RATE_HZ)


def test_an_unplugged_microphone_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    mic = microphone(monkeypatch, PortAudio(), stall_s=0.01)
    with pytest.raises(CaptureFailed, match="'USB Audio' stopped sending; was it unplugged"):
        mic.read()
    mic.close()


def test_a_microphone_that_is_not_there_names_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CaptureFailed, match="no microphone called 'webcam'; connected: USB Audio"):
        microphone(monkeypatch, PortAudio(), "webcam")


def knocks(seconds: float, at_s: list[float]) -> np.ndarray:
    """Bursts of noise that ring off, float32 at 48 kHz."""
    sound = np.zeros(round(seconds * SOUND_RATE_HZ), np.float32)
    t_s = np.arange(SOUND_RATE_HZ // 10) / SOUND_RATE_HZ
    knock = np.random.default_rng(3).uniform(-0.8, 0.8, t_s.size) * np.exp(-t_s / 0.015)
    for start_s in at_s:
        start = round(start_s * SOUND_RATE_HZ)
        sound[start : start + knock.size] = knock
    return sound


def knocks_heard(world: World) -> list[float]:
    return [sound.t0_s for sound in world.observations("sound") if sound.facts(SoundFacts).kind == "impulse"]


async def listening(where: str, then: Callable[[World], Any], kept_in: Path | None = None) -> World:
    world = World(where, parse_config(QUICK, "test"), kept_in)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen.main, cast(Service, world))
            await then(world)
            world.stopping.set()
    return world


async def test_the_sound_of_a_stream_is_heard_when_it_sounds() -> None:
    with Loopback(moving_square((160, 120)), rate_hz=10.0, clip_s=4.0, sound=knocks(4.0, [0.5, 2.5])) as camera:

        async def then(world: World) -> None:
            await world.until(lambda: len(knocks_heard(world)) >= 3)

        world = await listening(camera.url("ts"), then)
    opened, ended = world.sent[0], world.sent[-1]
    assert isinstance(opened, SourceOpened)
    assert (opened.track, opened.kind) == ("audio", "stream")
    assert isinstance(ended, SourceEnded)
    assert np.diff(knocks_heard(world)[:3]) == pytest.approx([2.0, 2.0], abs=0.08)


async def test_in_a_pause_the_microphone_is_closed_and_then_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    portaudio = PortAudio()
    monkeypatch.setattr(live_sound, "load_sounddevice", lambda: portaudio)

    async def then(world: World) -> None:
        async def sound_for(seconds: float) -> None:
            """The microphone's driver, as long as it is wanted."""
            upto_s = world.clock.now() + seconds
            while world.clock.now() < upto_s:
                portaudio.record(np.random.default_rng(1).normal(0, 0.01, 512).astype(np.float32))
                await anyio.sleep(512 / RATE_HZ)

        await world.until(lambda: portaudio.streams)
        await sound_for(1.0)
        await world.until(lambda: world.counters.get("audio_s", 0.0) > 0.5)
        world.paused = True
        while not portaudio.streams[0].closed:  # it is closed when the read under way is over
            await sound_for(0.1)
        before_s = world.clock.now()
        await world.until(lambda: any(p.t_s > before_s + 1.0 for p in world.progress()))
        world.paused = False
        await world.until(lambda: len(portaudio.streams) == 2)
        await sound_for(0.5)

    world = await listening("mic", then)
    assert not [note for note in world.notes if "cannot be heard" in note]
    assert not [gap for gap in world.observations("gap") if "stopped sending" in gap.text]


async def test_what_a_microphone_hears_is_kept_to_be_played_and_forgotten(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    portaudio = PortAudio()
    monkeypatch.setattr(live_sound, "load_sounddevice", lambda: portaudio)
    monkeypatch.setattr(footage, "SEGMENT_S", 1.0)
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(512 * 80) / RATE_HZ)

    async def then(world: World) -> None:
        await world.until(lambda: portaudio.streams)
        for block in np.split(tone, 80):
            portaudio.record(block)
            await anyio.sleep(512 / RATE_HZ)
        await world.until(lambda: [s for s in segments(tmp_path) if not s.is_open])

    world = await listening("mic", then, tmp_path)
    kept = segments(tmp_path)
    assert {segment.source for segment in kept} == {world.work.source.source} and not any(s.is_open for s in kept)
    with open_sound(kept[0].path) as reader:
        sound = np.concatenate([block.samples for block in reader])
    assert len(sound) / RATE_HZ == pytest.approx(kept[0].t1_s - kept[0].t0_s, abs=0.1)
    loudest = np.argmax(np.abs(np.fft.rfft(sound))) * RATE_HZ / len(sound)
    assert loudest == pytest.approx(440, abs=5)


def test_a_hole_in_the_sound_begins_a_new_file_and_what_is_forgotten_goes(tmp_path: Path) -> None:
    source = msgspec.structs.replace(parse_source("door=mic"), source=FILMED)
    keeper = FootageKeeper(tmp_path, source, Keeping(bytes=1 << 20, age_s=1e9), (), lambda: 9.0, logging.getLogger())
    block = np.zeros(RATE_HZ, np.float32)
    keeper.sound(AudioBlock(0, block))
    keeper.sound(AudioBlock(RATE_HZ, block))
    keeper.sound(AudioBlock(5 * RATE_HZ, block))
    assert [(s.t0_s, s.is_open) for s in segments(tmp_path)] == [(0.0, False), (5.0, True)]
    keeper.forget((TimeWindow(source=FILMED, t0_s=5.5, t1_s=6.0),))
    keeper.sound(AudioBlock(6 * RATE_HZ, block))
    keeper.close()
    assert [(s.t0_s, s.t1_s) for s in segments(tmp_path)] == [(0.0, 2.0)]


async def test_a_source_is_heard_while_its_recogniser_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = anyio.Event()

    async def load_late(recogniser: Recogniser) -> None:
        await loads.wait()

    monkeypatch.setattr(Recogniser, "load", load_late)
    with Loopback(moving_square((160, 120)), rate_hz=10.0, clip_s=4.0, sound=knocks(4.0, [0.5, 2.5])) as camera:

        async def then(world: World) -> None:
            await world.until(lambda: knocks_heard(world))
            assert "whisper base is being loaded" in world.notes[-1]
            loads.set()
            await anyio.wait_all_tasks_blocked()
            told = len(world.notes)
            await world.until(lambda: len(knocks_heard(world)) >= 2)
            assert len(world.notes) == told  # nothing is being loaded any more

        world = await listening(camera.url("ts"), then)
    assert [told.encoders["speech"] for told in opened(world)] == ["whisper base"]


def opened(world: World) -> list[SourceOpened]:
    return [message for message in world.sent if isinstance(message, SourceOpened)]
