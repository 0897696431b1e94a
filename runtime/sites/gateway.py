"""The gateway process: joins one agent to the hub, beside its perception and its memory.

It runs the site's leaf node, keeps its stream as memory is, and answers what the hub asks of this memory. While the
link is away all of that goes on, and the hub catches up after.
"""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import msgspec

from runtime.errors import CallError, UserError
from runtime.interfaces.attach import client_at
from runtime.interfaces.client import Client
from runtime.messages import (
    ForgetReply,
    ForgetRequest,
    Hello,
    HelloRequest,
    Message,
    RecallRequest,
    ScanRequest,
    SpansRequest,
    StatusRequest,
    Stored,
    TimelineRequest,
    ViewRequest,
    encode,
)
from runtime.service import Service
from runtime.sites.calls import SiteCaller, answer_calls
from runtime.sites.follow import Follower, OtherMemory
from runtime.sites.greeting import differs, last_link_error
from runtime.sites.link import connected, need_nats
from runtime.sites.membership import Membership, new_password, read_membership, write_private
from runtime.sites.names import PROTOCOL, call_subject, hello_subject, stored_subject
from runtime.sites.server import NatsServer, free_port
from runtime.sites.server_config import LEAF_USER, STREAMS_FOLDER, leaf_config
from runtime.sites.stream import SiteStream, StreamFull, traces_in, without_folder
from runtime.version import VERSION

if TYPE_CHECKING:
    from nats.aio.client import Client as Nats

FOLDER, CA_FILE = "site", "hub-ca.pem"
# What memory tells of commits comes at most ten times a second; between them it is looked at this often all the same.
LOOK_S = 30.0
GATHER_S = 0.2
RETRY_S = 2.0
# All of stream and memory is compared this often; after memory let something go sooner, but not with every commit.
RECONCILE_S, LET_GO_S = 3600.0, 20.0
HELLO_S, HELLO_DEADLINE_S = 5.0, 2.0
ANSWER_DEADLINE_S = 60.0
# What the hub may ask of a memory as it is.
READS = (ViewRequest, RecallRequest, ScanRequest, SpansRequest, TimelineRequest, StatusRequest)


class Gateway:
    """One site's end. ``notes`` says what is wrong, in lines."""

    def __init__(self, service: Service, membership: Membership, client: Client) -> None:
        self._service = service
        self._membership = membership
        self._client = client
        self._memory = service.caller("memory")
        self._news = anyio.Event()
        self._turn = anyio.Lock()
        self._notes: dict[str, str] = {}
        self._let_go = ""
        self._follower: Follower
        self._server: NatsServer
        self.folder = service.folder / FOLDER

    async def run(self) -> None:
        """Be joined until the process is to stop."""
        password, port = new_password(), free_port()
        ca_file = None
        if self._membership.ca:
            ca_file = self.folder / CA_FILE
            write_private(ca_file, self._membership.ca.encode())
        config = leaf_config(self._membership, port, password, self.folder, ca_file)
        self._server = NatsServer(self.folder, config, port, self._service.log.warning)
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._server.run)
            async with connected(f"nats://127.0.0.1:{port}", LEAF_USER, password) as connection:
                stream = SiteStream(connection, self._membership.site)
                self._follower = Follower(
                    stream, self._memory, self._service.config.memory.budget, self._membership.pictures
                )
                await answer_calls(connection, call_subject(self._membership.site), self._answer, tasks)
                tasks.start_soon(self._hear_of_commits, connection)
                tasks.start_soon(self._follow_forever)
                tasks.start_soon(self._greet_forever, connection)
                self._service.report(idle=True)
                self._service.ready()
                await self._service.stopping.wait()
                with anyio.move_on_after(GATHER_S):  # what came last; else it is sent at the next start
                    await self._follow()
                tasks.cancel_scope.cancel()

    # --- the stream ---------------------------------------------------------------------------------

    async def _hear_of_commits(self, connection: Nats) -> None:
        async for delivery in self._service.subscribe("stored"):
            if isinstance(delivery.message, Stored):
                with suppress(Exception):  # who does not hear it asks
                    await connection.publish(stored_subject(self._membership.site), encode(delivery.message))
                self._news.set()

    async def _follow_forever(self) -> None:
        is_open = False
        reconciled_s = time.monotonic()
        while True:
            self._news = anyio.Event()
            try:
                if not is_open:
                    async with self._turn:
                        await self._follower.open()
                    is_open = True
                await self._follow()
                if time.monotonic() - reconciled_s >= (LET_GO_S if self._follower.has_let_go else RECONCILE_S):
                    reconciled_s = time.monotonic()
                    await self._reconcile()
                self._note("stream", "")
            except OtherMemory as error:
                self._note("stream", str(error))
                return
            except StreamFull as error:
                self._note("stream", str(error))
                with suppress(Exception):  # what memory has let go makes room
                    await self._reconcile()
                await anyio.sleep(RETRY_S)
                continue
            except Exception as error:  # the leaf node is being started again, or memory is: nothing is lost
                self._service.log.info("the stream waits: %s", error or type(error).__name__)
                await anyio.sleep(RETRY_S)
                continue
            with anyio.move_on_after(LET_GO_S if self._follower.has_let_go else LOOK_S):
                await self._news.wait()
            await anyio.sleep(GATHER_S)

    async def _follow(self) -> None:
        async with self._turn:
            sent = await self._follower.follow()
        self._service.report(counters={"sent": self._follower.place}, idle=True)
        if sent:
            self._service.progressed()

    async def _reconcile(self) -> list[bytes]:
        async with self._turn:
            self._follower.has_let_go = False
            gone = await self._follower.reconcile()
            await self._follower.follow()
        if gone:
            self._let_go = uuid.uuid4().hex
        return gone

    # --- what the hub asks --------------------------------------------------------------------------

    async def _answer(self, request: Message, deadline_s: float) -> Message:
        if isinstance(request, HelloRequest):
            return self._hello()
        if isinstance(request, ForgetRequest):
            return await self._forget(request)
        if not isinstance(request, READS):
            raise UserError(f"a site answers no {type(request).__name__}")
        reply: Message = await self._memory.call(request, deadline_s)
        return reply

    async def _forget(self, request: ForgetRequest) -> ForgetReply:
        """Erase it here as a user of this machine would, then from the stream, and prove both."""
        until_s = await self._client.live_media_s() if self._client.perceives_live else {}
        reply = await self._client.forget(msgspec.structs.replace(request, until_s=until_s))
        if request.preview:
            return reply
        reply = without_folder(reply, FOLDER)
        gone = await self._reconcile()
        traces = await anyio.to_thread.run_sync(traces_in, self.folder, gone)
        streams = self.folder / STREAMS_FOLDER
        size = sum(path.stat().st_size for path in streams.rglob("*") if path.is_file())
        return msgspec.structs.replace(
            reply,
            searched={**reply.searched, "stream": sum(n for n in traces.values())},
            files={**reply.files, "stream": size},
            traces={**reply.traces, **{f"{FOLDER}/{name}": n for name, n in traces.items() if n}},
        )

    def _hello(self) -> Hello:
        return Hello(
            name=self._membership.site,
            version=VERSION,
            protocol=PROTOCOL,
            wall_s=time.time(),
            notes=tuple(note for key, note in self._notes.items() if key != "link"),
            let_go=self._let_go,
        )

    # --- the link -----------------------------------------------------------------------------------

    async def _greet_forever(self, connection: Nats) -> None:
        """Ask now and then whether the hub is there, and say why not."""
        caller = SiteCaller(connection)
        await caller.open()
        while True:
            began_s = time.time()
            try:
                hello = await caller.call(hello_subject(self._membership.site), self._hello(), HELLO_DEADLINE_S)
            except CallError:
                self._note("link", await anyio.to_thread.run_sync(self._why_away))
            else:
                self._note("link", differs(hello, began_s, time.time()) if isinstance(hello, Hello) else "")
            await anyio.sleep(HELLO_S)

    def _why_away(self) -> str:
        last = last_link_error(self._server.log_path)
        if "uthorization" in last or "uthentication" in last:
            site = self._membership.site
            return f"the hub refuses the token of this site; have it make another: `sites invite {site}`"
        if "x509" in last or "certificate" in last or "tls" in last.lower():
            return f"the hub is not the one that the token vouches for ({last})"
        why = f" ({last})" if last else ""
        return f"the hub is away{why}; this site works on alone, and the hub catches up when it is back"

    def _note(self, what: str, line: str) -> None:
        if self._notes.get(what, "") != line:
            if line:
                self._service.log.warning("%s", line)
            self._notes[what] = line
            self._notes = {key: told for key, told in self._notes.items() if told}
            self._service.report(notes=tuple(self._notes.values()))


async def main(service: Service) -> None:
    """Be the gateway of the agent whose memory is in this folder.

    Raises:
        UserError: it has joined no hub, or what that needs is not installed.
    """
    need_nats()
    membership = read_membership(service.folder)
    async with client_at(service.run_dir, service.members, ANSWER_DEADLINE_S) as client:
        await Gateway(service, membership, client).run()
