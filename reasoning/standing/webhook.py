"""Notices to another program: POST of one JSON object each, tried again, never waited for.

What is sent goes where the profile says and nowhere else: to no address that a redirect names, to none of this machine
or its network unless the profile says that it may, whatever the name resolves to by then, and nothing of the reply is
read but its status.
"""

from __future__ import annotations

import ipaddress
import logging
import socket

import anyio
import httpx2
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from msgspec import Struct

from runtime.addresses import origin
from runtime.errors import UserError
from runtime.messages import Notice, notice_json

# Notices that may wait for a slow receiver; what finds no room is dropped and counted.
WAITING = 64
PAUSES_S = (0.5, 2.0, 8.0)


class Webhook(Struct, frozen=True):
    """Where to and how patiently: seconds for one attempt. After each pause of ``pauses_s`` it is tried again.
    ``private``: it may be an address of this machine or its network."""

    url: str
    timeout_s: float = 5.0
    private: bool = False
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
        trouble = ""
        for pause_s in (*self._webhook.pauses_s, None):
            try:
                # The whole of an attempt has its time: a receiver that trickles would never be too slow.
                with anyio.fail_after(self._webhook.timeout_s):
                    status = await self._post(client, notice)
                if 200 <= status < 300:
                    self.counters["webhook_sent"] += 1
                    return
                trouble = f"status {status}"
                if status < 500 and status not in (408, 425, 429):
                    break  # it will not do better the next time
            except UserError as error:
                trouble = str(error)
                break
            except (httpx2.HTTPError, OSError, TimeoutError) as error:
                trouble = type(error).__name__
            if pause_s is not None:
                await anyio.sleep(pause_s)
        self.counters["webhook_failed"] += 1
        where = origin(self._webhook.url)
        self._log.warning("the webhook at %s did not take notice %s: %s", where, notice.id, trouble)

    async def _post(self, client: httpx2.AsyncClient, notice: Notice) -> int:
        """Send it once; the status of the reply, of which nothing else is read."""
        url = httpx2.URL(self._webhook.url)
        headers = {"content-type": "application/json", "idempotency-key": notice.id}
        extensions = {}
        if not self._webhook.private:
            # To the very address that was found fit, so that the name cannot lead elsewhere a moment later.
            headers["host"], extensions["sni_hostname"] = url.netloc.decode(), url.host
            url = url.copy_with(
                host=await _public_address(url.host, url.port or (443 if url.scheme == "https" else 80))
            )
        body = msgspec.json.encode(notice_json(notice))
        async with client.stream("POST", url, content=body, headers=headers, extensions=extensions) as response:
            return response.status_code


async def _public_address(host: str, port: int) -> str:
    """A numeric address of a host that is of no private network.

    Raises:
        UserError: it has others.
        OSError: it cannot be resolved.
    """
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(sockaddr[0]) for *_, sockaddr in found]
    for address in addresses:
        if not ipaddress.ip_address(address.partition("%")[0]).is_global:
            raise UserError(
                "it is of this machine or its network; reasoning.standing.webhook_private: true allows that"
            )
    return addresses[0]
