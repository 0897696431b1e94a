"""What every route works with: the client of the agent, its profile, and what is prepared for browsers."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from runtime.config import Config
from runtime.errors import UserError
from runtime.interfaces.client import Client
from runtime.interfaces.evidence import Clip, make_clip
from runtime.interfaces.web.access import Access
from runtime.messages import MemoryStatus, SourceRecord

STATUS_KEPT_S = 1.0
CLIPS_KEPT = 24


class NotThere(UserError):
    """Something by that name is not there; status 404."""


class Served:
    """One served agent. ``scratch`` is a private folder of this process."""

    def __init__(self, client: Client, config: Config, memory_dir: Path, access: Access) -> None:
        self.client = client
        self.config = config
        self.memory_dir = memory_dir
        self.access = access
        self.started_s = time.monotonic()
        self.scratch = Path(tempfile.mkdtemp(prefix="mindstream-page-"))
        self._status: tuple[float, MemoryStatus] | None = None
        self._asking = anyio.Lock()
        self._clips: OrderedDict[str, Clip] = OrderedDict()
        self._cutting = anyio.Lock()
        # What is to be let go when something is forgotten.
        self.on_forgotten: list[Callable[[], Awaitable[None]]] = [self.drop_clips]

    async def status(self) -> MemoryStatus:
        """What memory holds, at most a second old, however many ask."""
        async with self._asking:
            if self._status is None or time.monotonic() - self._status[0] > STATUS_KEPT_S:
                self._status = (time.monotonic(), await self.client.status())
            return self._status[1]

    async def record(self, source: str) -> SourceRecord:
        """What memory knows of a source; "" is the one opened last.

        Raises:
            NotThere: memory holds no source of that name.
        """
        known = [record for record in (await self.status()).sources if source in ("", record.source)]
        if not known:
            raise NotThere(f"no source {source!r} in memory" if source else "memory holds no source yet")
        return known[-1]

    async def clip(self, source: str, t0_s: float, t1_s: float) -> tuple[Path, Clip]:
        """A clip of a stretch, made now or a short while ago. One is made at a time: perception has the cores."""
        if t1_s - t0_s > self.config.serve.clip_max_s:
            raise UserError(f"a clip is {self.config.serve.clip_max_s:g} s long at most; `clip` makes longer ones")
        key = hashlib.sha256(f"{source}\0{t0_s:.3f}\0{t1_s:.3f}".encode()).hexdigest()[:32]
        path = self.scratch / f"{key}.mp4"
        async with self._cutting:
            if key not in self._clips:
                self._clips[key] = await make_clip(self.client, self.config, self.memory_dir, source, t0_s, t1_s, path)
            self._clips.move_to_end(key)
            while len(self._clips) > CLIPS_KEPT:
                old, _ = self._clips.popitem(last=False)
                (self.scratch / f"{old}.mp4").unlink(missing_ok=True)
            return path, self._clips[key]

    async def drop_clips(self) -> None:
        """Delete what was made so far: it may show what was forgotten."""
        async with self._cutting:
            self._clips.clear()
            for path in self.scratch.glob("*.mp4"):
                path.unlink(missing_ok=True)

    async def forgotten(self) -> None:
        """Have everything that was prepared let go."""
        self._status = None
        for let_go in self.on_forgotten:
            await let_go()

    def close(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)
