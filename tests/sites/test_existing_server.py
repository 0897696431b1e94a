"""A hub on a NATS server that is there already: joined with user, password and TLS, and what is wrong with it told."""

from __future__ import annotations

import re
from pathlib import Path

import anyio
import msgspec
import pytest

from runtime.errors import UserError
from runtime.interfaces.commands.sites import HubWish, _changed, invite
from runtime.messages import ForgetRequest, RecallRequest, ViewRequest
from runtime.sites.certificates import CERTIFICATE_FILE, KEY_FILE, ensure_certificate
from runtime.sites.hub import RunningHub, joined_hub
from runtime.sites.membership import Hub, read_token, write_hub
from runtime.sites.server import NatsServer, free_port
from runtime.sites.stream import SiteStream
from tests.fixtures.memory_cases import say, see, stream
from tests.fixtures.sites_world import World, until, world

pytestmark = [pytest.mark.anyio, pytest.mark.processes]

KEYS = stream(
    see(0.0, "a grey picture", source="door", vector=(1.0, 0.0)),
    say(1.0, 3.0, "The keys are on the kitchen table", source="door"),
    source="door",
    end_s=12.0,
)


class Existing:
    """Somebody's NATS server, as an operator would set it up: TLS for all, a user for the hub, one for each site."""

    def __init__(self, folder: Path, more: str = "max_payload: 8MB", jetstream: bool = True) -> None:
        self.port, self.leaf_port = free_port(), free_port()
        self.ca = ensure_certificate(folder, ("127.0.0.1", "localhost"))
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_text(self.ca)
        tls = f'tls {{ cert_file: "{folder / CERTIFICATE_FILE}", key_file: "{folder / KEY_FILE}" }}'
        store = f'jetstream {{ store_dir: "{folder / "store"}" }}' if jetstream else ""
        account = "jetstream: enabled," if jetstream else ""
        config = f"""
            listen: "127.0.0.1:{self.port}"
            {more}
            {tls}
            {store}
            leafnodes {{ listen: "127.0.0.1:{self.leaf_port}", {tls} }}
            accounts {{ HOUSE {{ {account} users: [
                {{ user: hub, password: "of the hub" }}, {{ user: shop, password: "of the shop" }} ] }} }}
        """
        self.server = NatsServer(folder / "server", config, self.port)

    def url(self, password: str = "of%20the%20hub") -> str:
        return f"tls://hub:{password}@127.0.0.1:{self.port}"

    def leaf_url(self, password: str = "of%20the%20shop") -> str:
        return f"tls://shop:{password}@127.0.0.1:{self.leaf_port}"

    def wish(self, **other: object) -> HubWish:
        return msgspec.structs.replace(HubWish(url=self.url(), leaf_url=self.leaf_url(), ca=self.ca_file), **other)


def make_hub(made: World, there: Existing, **other: object) -> None:
    made.hub = _changed(Hub(password="unused"), there.wish(**other))
    write_hub(made.hub_dir, made.hub)


async def test_a_site_joins_over_a_server_that_is_there_and_is_asked_and_forgets(tmp_path: Path) -> None:
    there = Existing(tmp_path / "existing")
    async with anyio.create_task_group() as tasks:
        await tasks.start(there.server.run)
        async with world(tmp_path) as made:
            make_hub(made, there)
            await made.start_hub()
            shop = await made.start_site("shop", read_token(invite(made.hub_dir, "shop", False)))
            await shop.remember(KEYS)
            await made.until_copied(shop)
            await made.start_mind()
            view = await made.ask(ViewRequest())
            hits = (await made.ask(RecallRequest(query="keys", view=view, limit=3))).hits
            assert [hit.observation.source for hit in hits][:1] == ["shop/door"]
            proof = await made.ask(ForgetRequest(text="kitchen"))
            assert proof.traces == {} and "hub/copies" not in proof.searched
            assert proof.unsearched == ("the copies at the hub: their files are another's NATS server's",)

            async def is_gone() -> bool:
                async with joined_hub(made.hub_dir) as connection:
                    return len([name for name in await SiteStream(connection, "shop").subjects() if ".o." in name]) == 1

            await until(is_gone, "the copy has let go of it")
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("more", "jetstream", "wrong", "says"),
    [
        ("max_payload: 8MB", True, {"url": "wrong password"}, "refuses this user and password"),
        ("max_payload: 8MB", True, {"ca": None}, "nothing here vouches for the NATS server"),
        ("max_payload: 8MB", False, {}, "keeps no streams for this user; enable JetStream"),
        ("", True, {}, "takes messages of up to 1024 KiB; set max_payload: 8MB there"),
    ],
)
async def test_what_is_wrong_with_a_server_is_one_line_without_its_password(
    tmp_path: Path, more: str, jetstream: bool, wrong: dict[str, object], says: str
) -> None:
    there = Existing(tmp_path / "existing", more, jetstream)
    if "url" in wrong:
        wrong = {"url": there.url("guessed")}
    async with anyio.create_task_group() as tasks:
        await tasks.start(there.server.run)
        write_hub(tmp_path / "hub", _changed(Hub(password="unused"), there.wish(**wrong)))
        told = ""
        try:
            await RunningHub(tmp_path / "hub", lambda line: None).run()
        except* UserError as errors:
            told = str(errors.exceptions[0])
        tasks.cancel_scope.cancel()
    assert re.search(says, told)
    assert "\n" not in told and "guessed" not in told and "of the hub" not in told


def test_each_site_may_have_a_user_of_its_own(tmp_path: Path) -> None:
    there = Existing(tmp_path)
    write_hub(tmp_path, _changed(Hub(password="unused"), there.wish()))
    own = "tls://lab:secret@127.0.0.1:7422"
    assert read_token(invite(tmp_path, "lab", False, own)).url == own
    assert read_token(invite(tmp_path, "lab", False)).ca == there.ca
    with pytest.raises(UserError, match="no address of a NATS server"):
        invite(tmp_path, "lab", False, "http://elsewhere")
    write_hub(tmp_path, Hub(password="own"))
    with pytest.raises(UserError, match="--leaf-url is for that of --url"):
        invite(tmp_path, "lab", False, own)


def test_an_authority_is_read_when_it_is_given(tmp_path: Path) -> None:
    there = Existing(tmp_path)
    assert _changed(Hub(), there.wish()).ca == there.ca
    with pytest.raises(UserError, match="cannot be read"):
        _changed(Hub(), there.wish(ca=tmp_path / "none.pem"))
    with pytest.raises(UserError, match="--ca vouches for the server of --url"):
        _changed(Hub(), there.wish(url="", leaf_url=""))
