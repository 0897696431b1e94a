"""The voice conversation of a live agent, with what this machine has to speak with."""

from __future__ import annotations

import functools
import importlib.util
import time
from collections.abc import AsyncIterator, Callable

import anyio
import anyio.abc

from runtime.agent import Agent
from runtime.bus import Subscription
from runtime.config import Config
from runtime.errors import MindstreamError
from runtime.interfaces.client import Client
from runtime.interfaces.terminal.render import note
from runtime.interfaces.voice.addressed import Addressed, AddressOptions
from runtime.interfaces.voice.converse import VoiceConversation
from runtime.interfaces.voice.player import Loudspeaker, Player, ToldPlayer
from runtime.interfaces.voice.synthesis import Synthesizer, load_synthesizer
from runtime.messages import Message

NO_ECHO_CANCELLING = (
    "beside a loudspeaker you can hardly interrupt by voice: the microphone hears the answer too; a headset helps, or"
    " pip install 'mindstream[echo]'"
)


def start_voice(
    agent: Agent, client: Client, config: Config, mode: str | None, epoch_s: float, tasks: anyio.abc.TaskGroup
) -> Callable[[], str]:
    """Start talking in ``tasks`` as the profile, or ``mode``, says; what comes back is push-to-talk.

    What this machine cannot do is said once, and the rest goes on.

    Raises:
        ConfigError: there is no such synthesizer.
    """
    voice = config.voice
    options = AddressOptions(
        mode=mode or voice.mode,  # type: ignore[arg-type] # one of the modes: checked by the command line and the profile
        phrase=voice.phrase,
        follow_s=voice.follow_s,
        least_confidence=voice.least_confidence,
    )
    if options.mode == "off":
        return lambda: "talking is switched off; start with --voice push, wake or any"
    synthesizer, player = _speakers(config)
    if player is not None:
        player = ToldPlayer(player, client.sounds, tasks, lambda: time.monotonic() - epoch_s)
        player.stop()  # whoever listens makes ready
        if importlib.util.find_spec("livekit") is None:
            note(NO_ECHO_CANCELLING)
    addressed = Addressed(options)
    conversation = VoiceConversation(client, addressed, synthesizer, player, _show, epoch_s)
    subscription = Subscription(agent.context, agent.run_dir, agent.members, ("voice", "partial"))
    tasks.start_soon(subscription.pump)
    tasks.start_soon(conversation.run, _messages(subscription))
    how = {"push": "/talk, then speak", "wake": f'say "{voice.phrase}" and your question', "any": "just ask"}
    note(f"voice: {how[options.mode]}")
    return functools.partial(_push, addressed)


def _speakers(config: Config) -> tuple[Synthesizer | None, Player | None]:
    synthesizer, why = load_synthesizer(config.voice.synthesis)
    if synthesizer is not None:
        try:
            return synthesizer, Loudspeaker(config.voice.loudspeaker)
        except MindstreamError as error:
            why = f"answers are written, not spoken: {error}"
    if why:
        note(why)
    return None, None


def _push(addressed: Addressed) -> str:
    addressed.push()
    return "go ahead"


def _show(who: str, text: str) -> None:
    note(f"{who}: {text}")


async def _messages(subscription: Subscription) -> AsyncIterator[Message]:
    async for delivery in subscription:
        yield delivery.message
