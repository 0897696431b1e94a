"""The topic table: what is published, by whom, how often, and what a slow reader loses.

``latest`` keeps the newest message of each publisher and counts what it replaced. ``every`` loses
none: messages carry a sequence number, a hole in it is a fault, and what memory has not acknowledged
is sent again.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from runtime import messages as m

Policy = Literal["latest", "every"]


class Topic(Struct, frozen=True):
    """One row.

    roles    the process roles that publish it.
    rate_hz  what to expect of each of them.
    key      field of the message that separates slots of a `latest` topic (an Ack to one publisher
             never replaces an Ack to another).
    repeated the newest message of each slot is sent again with every heartbeat, so that whoever
             joins late, or lost one, knows it within half a second.
    """

    name: str
    types: tuple[type[m.Message], ...]
    roles: tuple[str, ...]
    rate_hz: float
    policy: Policy
    recorded: bool
    key: str = ""
    repeated: bool = False


_PERCEIVED = (m.Observation, m.SourceOpened, m.Progress, m.SourceEnded)
_PERCEIVING = ("video", "audio")
_ALL = ("video", "audio", "memory", "reasoning", "embedding", "server", "sites", "talk", "gateway")

TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        Topic("perceived", _PERCEIVED, _PERCEIVING, 4.0, "every", True),
        Topic("voice", (m.SpeechStarted,), ("audio",), 0.2, "latest", True, key="source"),
        Topic("partial", (m.PartialTranscript,), ("audio",), 0.5, "latest", False, key="source"),
        Topic("ack", (m.Ack,), ("memory",), 10.0, "latest", False, key="publisher", repeated=True),
        Topic("stored", (m.Stored,), ("memory", "sites"), 10.0, "latest", False, repeated=True),
        Topic("notice", (m.Notice,), ("reasoning",), 0.1, "latest", False, key="id"),
        Topic("heartbeat", (m.Heartbeat,), _ALL, 2.0, "latest", False),
    )
}
