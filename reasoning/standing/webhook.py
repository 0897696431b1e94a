"""Notices to another program: POST of one JSON object each, tried again, never waited for."""

from __future__ import annotations

import logging

import anyio
import httpx2
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from msgspec import Struct

from runtime.messages import Notice, notice_json

# Notices that may wait for a slow receiver; what finds no room is dropped and counted.
WAITING = 64
PAUSES_S = (0.5, 2.0, 8.0)


class Webhook(Struct, frozen=True):
    """Where to and how patiently: seconds for one attempt. After each pause of ``pauses_s`` it is tried again."""

    url: str
    timeout_s: float = 5.0
    pauses_s: tuple[float, ...] = PAUSES_S


class WebhookSender:
    """Hands notices over to a task of its own. ``run()`` must run in the owner's task group."""

    def __init__(
        self, webhook: Webhook, log: logging.Logger, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._webhook = webhook
        self._log = log
        self._transport = transport
        self._send: MemoryObjectSendStream[Notice]
        self._receive: MemoryObjectReceiveStream[Notice]
        self._send, self._receive = anyio.create_memory_object_stream[Notice](WAITING)
        self.counters: dict[str, float] = {"webhook_sent": 0, "webhook_failed": 0, "webhook_dropped": 0}

    def offer(self, notice: Notice) -> None:
        """Take a notice, or drop it where too many wait. Never blocks."""
        try:
            self._send.send_nowait(notice)
        except anyio.WouldBlock:
            self.counters["webhook_dropped"] += 1

    async def run(self) -> None:
        """Send what comes, in order, until cancelled."""
        # A redirect could lead anywhere; whoever gives an address gives the right one.
        async with httpx2.AsyncClient(
            timeout=self._webhook.timeout_s, follow_redirects=False, transport=self._transport
        ) as client:
            async for notice in self._receive:
                await self._deliver(client, notice)

    async def _deliver(self, client: httpx2.AsyncClient, notice: Notice) -> None:
        body = msgspec.json.encode(notice_json(notice))
        headers = {"content-type": "application/json", "idempotency-key": notice.id}
        trouble = ""
        for pause_s in (*self._webhook.pauses_s, None):
            try:
                response = await client.post(self._webhook.url, content=body, headers=headers)
                if response.is_success:
                    self.counters["webhook_sent"] += 1
                    return
                trouble = f"status {response.status_code}"
                if response.status_code < 500 and response.status_code not in (408, 425, 429):
                    break  # it will not do better the next time
            except httpx2.HTTPError as error:
                trouble = f"{type(error).__name__}: {error}"
            if pause_s is not None:
                await anyio.sleep(pause_s)
        self.counters["webhook_failed"] += 1
        self._log.warning("webhook %s did not take notice %s: %s", self._webhook.url, notice.id, trouble)
