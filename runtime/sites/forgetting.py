"""Forgetting at all sites: their memories, their streams, the hub's copies; and what a site owes that is away."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
import msgspec

from runtime.calls import Caller
from runtime.errors import StoreError
from runtime.messages import ForgetReply, ForgetRequest, TimeWindow, ViewRequest
from runtime.sites import merge
from runtime.sites.asking import Sites
from runtime.sites.copies import erase_matching, follow_origin, proof
from runtime.sites.membership import read_hub
from runtime.sites.names import split
from runtime.sites.owed import Debt, owe
from runtime.sites.server_config import STREAMS_FOLDER
from runtime.sites.stream import SiteStream, without_folder

if TYPE_CHECKING:
    from nats.aio.client import Client as Nats

TALK, HUB = "", "hub"
# What erases a message there overwrites it, as that server says; no file of it can be read from here.
ELSEWHERE = "the copies at the hub: their files are another's NATS server's"
TALK_S = 15.0
FORGET_S = 1800.0
# All of a conversation.
END_S = 1e8


class Forgetting:
    """Carries out what is to be forgotten. ``talk``: the memory of what was talked about, ``folder`` the hub's."""

    def __init__(self, folder: Path, sites: Sites, talk: Caller, connection: Nats) -> None:
        self._folder = folder
        self._sites = sites
        self._talk = talk
        self._connection = connection

    async def forget(self, request: ForgetRequest) -> ForgetReply:
        """Have every site that it concerns forget it, and the hub's copies; who is away owes it."""
        concerned = self._concerned(request)

        def asked(site: str) -> ForgetRequest:
            return msgspec.structs.replace(request, windows=concerned[site], until_s={})

        replies = await self._sites.ask(concerned, asked, None if request.preview else FORGET_S)
        owed = [site for site in concerned if site not in replies]
        if request.text:
            talked = await self._talk.call(msgspec.structs.replace(request, windows=(), until_s={}), FORGET_S)
            replies[TALK] = without_folder(talked, STREAMS_FOLDER)
        elif not request.preview:
            await self._forget_talk(request)
        if not request.preview:
            for site in owed:
                debt = Debt(site=site, request=asked(site), asked_wall_s=time.time())
                await anyio.to_thread.run_sync(owe, self._folder, debt)
            replies[HUB] = await self._erase_copies({site: asked(site) for site in concerned})
        return merge.merge_forgotten(replies, owed)

    def _concerned(self, request: ForgetRequest) -> dict[str, tuple[TimeWindow, ...]]:
        if not request.windows:
            return dict.fromkeys(self._sites.names, ())
        found: dict[str, tuple[TimeWindow, ...]] = {}
        for window in request.windows:
            site, source = split(window.source, self._sites.names)
            if not site:
                raise StoreError(f"there is no source {window.source!r} at any site")
            found[site] = (*found.get(site, ()), msgspec.structs.replace(window, source=source))
        return found

    async def _forget_talk(self, request: ForgetRequest) -> None:
        """What was talked about beside a source that is forgotten in part may tell of it: all of it goes."""
        known = set((await self._talk.call(ViewRequest(), TALK_S)).limits)
        sources = {window.source for window in request.windows} & known
        if sources:
            windows = tuple(TimeWindow(source=source, t0_s=0.0, t1_s=1e8) for source in sorted(sources))
            await self._talk.call(msgspec.structs.replace(request, windows=windows, until_s={}), FORGET_S)

    async def _erase_copies(self, requests: Mapping[str, ForgetRequest]) -> ForgetReply:
        """Take it out of the hub's copies too, whether their sites are here or not; the proof."""
        gone: list[bytes] = []
        for site, request in requests.items():
            copy = SiteStream(self._connection, site)
            if not await copy.is_there():
                continue
            if site in self._sites.away:
                gone += await erase_matching(copy, request)
            else:
                gone += (await follow_origin(copy, SiteStream(self._connection, site, site)))[0]
        if read_hub(self._folder).url:
            return ForgetReply(unsearched=(ELSEWHERE,))
        left = await proof(self._folder / STREAMS_FOLDER, gone)
        return ForgetReply(searched={"copies": sum(left.values())}, traces=left)
