"""Sound out: a loudspeaker through PortAudio, stopped within one of its buffers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import anyio.abc
import anyio.to_thread

from runtime.errors import MindstreamError
from runtime.interfaces.voice.synthesis import Speech
from runtime.messages import Sounding
from runtime.pcm import encoded


class Player(Protocol):
    async def play(self, speech: Speech) -> None:
        """Return when it has been heard, or was stopped.

        Raises:
            MindstreamError: the loudspeaker cannot be used any more.
        """
        ...

    def stop(self) -> None:
        """Silence, now."""
        ...


class ToldPlayer:
    """A player beside a microphone: whoever listens to that is told what sounds, to take it out of what is heard.

    sounds  tells them, in a task of ``tasks``; ``now`` gives media seconds.
    """

    def __init__(
        self,
        player: Player,
        sounds: Callable[[Sounding], Coroutine[Any, Any, None]],
        tasks: anyio.abc.TaskGroup,
        now: Callable[[], float],
    ) -> None:
        self._player = player
        self._sounds = sounds
        self._tasks = tasks
        self._now = now

    async def play(self, speech: Speech) -> None:
        samples = encoded(speech.samples)
        self._tell(Sounding(t0_s=self._now(), sample_rate_hz=speech.sample_rate_hz, samples=samples))
        await self._player.play(speech)

    def stop(self) -> None:
        self._player.stop()
        self._tell(Sounding(t0_s=self._now()))

    def _tell(self, sounding: Sounding) -> None:
        self._tasks.start_soon(self._sounds, sounding)


class Loudspeaker:
    """``device``: part of its name, or "" for the system's default.

    Raises:
        MindstreamError: there is no PortAudio or no such loudspeaker; one line.
    """

    def __init__(self, device: str) -> None:
        try:
            import sounddevice
        except (ImportError, OSError) as error:
            raise MindstreamError("loudspeakers need PortAudio (Debian, Ubuntu: apt install libportaudio2)") from error
        self._sounddevice: Any = sounddevice
        self._device = device or None
        try:
            sounddevice.check_output_settings(device=self._device)
        except (ValueError, sounddevice.PortAudioError) as error:
            named = f" called {device!r}" if device else ""
            raise MindstreamError(f"no loudspeaker{named} ({' '.join(str(error).split())[:80]})") from error

    async def play(self, speech: Speech) -> None:
        try:
            self._sounddevice.play(speech.samples, speech.sample_rate_hz, device=self._device, blocksize=512)
            await anyio.to_thread.run_sync(self._sounddevice.wait, abandon_on_cancel=True)
        except (ValueError, self._sounddevice.PortAudioError) as error:
            raise MindstreamError(f"the loudspeaker failed ({' '.join(str(error).split())[:80]})") from error
        finally:
            self.stop()

    def stop(self) -> None:
        self._sounddevice.stop()
