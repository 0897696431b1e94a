"""A lost site's memory, made again from the hub's copy of its stream."""

from __future__ import annotations

import importlib
import shutil
import tempfile
from pathlib import Path

import anyio.to_thread
import msgspec

from runtime.agent import prepare_memory_dir
from runtime.config import Config
from runtime.errors import UserError
from runtime.interfaces.attach import attached
from runtime.messages import ArchiveReply, ImportRequest, Observation, decode
from runtime.processes import UNFOLD
from runtime.sites.hub import joined_hub
from runtime.sites.names import seq_of
from runtime.sites.stream import SiteState, SiteStream


async def rebuild_memory(hub_dir: Path, memory_dir: Path, site: str, config: Config) -> ArchiveReply:
    """The memory of ``site`` in a folder that holds none, whole or not at all.

    Raises:
        UserError: the hub has no copy of it.
        StoreError: it cannot be written.
    """
    prepare_memory_dir(memory_dir)
    folder = Path(tempfile.mkdtemp(prefix=".rebuild-", dir=memory_dir))
    try:
        async with joined_hub(hub_dir) as connection:
            copy = SiteStream(connection, site)
            if not await copy.is_there():
                raise UserError(f"the hub has no copy of a site {site!r}; `sites status` lists those it has")
            state = await write_archive(copy, folder / "archive")
        async with attached(memory_dir, config, new=True) as client:
            reply = await client.import_archive(ImportRequest(path=str(folder / "archive"), trusted=True))
        return msgspec.structs.replace(reply, sources=len(state.sources))
    finally:
        await anyio.to_thread.run_sync(shutil.rmtree, folder, True)


async def write_archive(copy: SiteStream, path: Path) -> SiteState:
    """All of a stream as an archive of memory; what the stream tells beside observations.

    Raises:
        UserError: nothing has come to the stream yet.
    """
    state = await copy.read_state()
    rows: dict[int, Observation] = {}
    pictures: dict[int, bytes] = {}
    async for message in copy.messages():
        subject, data = message.subject or "", message.data or b""
        if ".log.p." in subject:
            pictures[seq_of(subject)] = data
        elif ".log.o." in subject:
            rows[seq_of(subject)] = decode(data)
    if not rows and not state.place:
        raise UserError(f"the hub has a copy of {copy.site}, to which nothing has come yet")
    observations = (msgspec.structs.replace(rows[seq], payload=pictures.get(seq)) for seq in sorted(rows))
    unfold = importlib.import_module(UNFOLD).unfold
    await anyio.to_thread.run_sync(unfold, path, state.sources, observations, state.erasures)
    return state
