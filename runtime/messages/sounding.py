"""What the agent itself lets be heard: a call to the processes that listen to a microphone beside its loudspeaker."""

from __future__ import annotations

from runtime.messages.base import Message


class Sounding(Message, frozen=True, tag="sounding"):
    """From ``t0_s`` on, media seconds, ``samples`` sound: 16 bits, mono, at ``sample_rate_hz``. Without any, what
    sounded was cut off then. -> `Done`"""

    t0_s: float
    sample_rate_hz: int = 0
    samples: bytes = b""
