"""`sites`: make a hub, invite sites to it and join it; see who is there; bring back a memory that was lost."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import msgspec

from runtime.agent import HUB_FILE, SITE_FILE, find_agent, has_memory, open_agent, prepare_memory_dir
from runtime.config import Config
from runtime.encryption import lock_of
from runtime.errors import CallError, MindstreamError, UserError
from runtime.interfaces.attach import attached, tell_working
from runtime.interfaces.terminal.render import OUT, byte_size, note
from runtime.messages import HelloRequest
from runtime.printable import say
from runtime.sites.calls import SiteCaller
from runtime.sites.certificates import ensure_certificate
from runtime.sites.gateway import FOLDER
from runtime.sites.hub import RunningHub, joined_hub, told_of
from runtime.sites.link import need_nats
from runtime.sites.membership import (
    SENT_PLAIN,
    Access,
    Hub,
    Membership,
    as_token,
    is_hub,
    is_site,
    new_password,
    read_hub,
    read_membership,
    read_token,
    write_hub,
    write_membership,
)
from runtime.sites.names import call_subject, checked_site
from runtime.sites.owed import debts_of, paid_debts
from runtime.sites.rebuild import rebuild_memory
from runtime.sites.server import find_server
from runtime.sites.stream import SiteStream
from runtime.supervisor import ProcessEvent

HEARD_S = 2.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SCHEMES = ("nats", "tls", "nats-leaf", "ws", "wss")


class HubWish(msgspec.Struct, frozen=True):
    """What a command line says of the hub; "" and 0 leave it as it was."""

    host: str = ""
    port: int = 0
    local_port: int = 0
    url: str = ""
    leaf_url: str = ""
    ca: Path | None = None


async def up(hub_dir: Path, new_sites: Sequence[str], wish: HubWish) -> None:
    """Be the hub of this folder, made where it is none, until stopped.

    Raises:
        UserError: a server does not start, or an address is none.
    """
    need_nats()
    prepare_memory_dir(hub_dir)
    if is_site(hub_dir):
        raise UserError(f"{hub_dir} is a site; give another folder with --hub")
    hub = _changed(read_hub(hub_dir) if is_hub(hub_dir) else Hub(password=new_password()), wish)
    write_hub(hub_dir, hub)
    for site in new_sites:
        say(f"{site} {invite(hub_dir, site, False)}")
    if not (hub.sites or new_sites):
        note("no site was invited yet; `sites invite SITE` makes a token, meanwhile too")
    async with anyio.create_task_group() as tasks:
        await tasks.start(RunningHub(hub_dir, note).run)
        note(f"the hub: {hub.leaf_url or f'{hub.host}:{hub.leaf_port}'}{' with TLS' if hub.has_tls else ''}")


def _changed(hub: Hub, wish: HubWish) -> Hub:
    for url in filter(None, (wish.url, wish.leaf_url)):
        _check_address(url)
    if bool(wish.url) != bool(wish.leaf_url):
        raise UserError("give both --url, for the hub, and --leaf-url, for its sites")
    if wish.ca and not wish.url:
        raise UserError("--ca vouches for the server of --url; the hub's own has an authority of its own")
    changes: dict[str, Any] = {"url": wish.url, "leaf_url": wish.leaf_url, "ca": ""} if wish.url else {}
    if wish.ca:
        try:
            changes["ca"] = wish.ca.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{wish.ca} cannot be read as a certificate: {error}") from error
    if wish.host:
        names = () if wish.host in _LOOPBACK else (wish.host, "127.0.0.1", "localhost")
        changes |= {"host": wish.host, "names": names}
    changes |= {key: value for key, value in (("leaf_port", wish.port), ("port", wish.local_port)) if value}
    changed = msgspec.structs.replace(hub, **changes)
    if changed != hub and hub.sites:
        note("the hub is elsewhere now: sites need new tokens (`sites invite SITE`)")
    return changed


def _check_address(url: str) -> None:
    if urlsplit(url).scheme not in _SCHEMES or not urlsplit(url).hostname:
        raise UserError("that is no address of a NATS server; write nats://USER:PASSWORD@HOST:PORT")


def invite(hub_dir: Path, site: str, pictures: bool, leaf_url: str = "") -> str:
    """A new token for a site; of a server that is not the hub's own, with a ``leaf_url`` of its own where one is given.

    Raises:
        UserError: there is no hub, the name is none, or the address is not to be given.
    """
    hub = read_hub(hub_dir)
    if leaf_url:
        _check_address(leaf_url)
        if not hub.leaf_url:
            raise UserError("the hub's own server gives each site a user of its own; --leaf-url is for that of --url")
    access = Access(password=new_password(), pictures=pictures)
    write_hub(hub_dir, msgspec.structs.replace(hub, sites={**hub.sites, checked_site(site): access}))
    if hub.leaf_url:
        return as_token(Membership(site=site, url=leaf_url or hub.leaf_url, ca=hub.ca, pictures=pictures))
    ca = ensure_certificate(hub_dir, hub.names) if hub.has_tls else ""
    host = f"[{hub.host}]" if ":" in hub.host else hub.host
    url = f"{'tls' if hub.has_tls else 'nats-leaf'}://{site}:{access.password}@{host}:{hub.leaf_port}"
    return as_token(Membership(site=site, url=url, ca=ca, pictures=pictures))


async def give_up_copy(hub_dir: Path, site: str) -> None:
    """Delete the hub's copy of a site's stream; where it is a site still, another is begun."""
    async with joined_hub(hub_dir) as connection:
        await SiteStream(connection, site).delete()


def join(memory_dir: Path, token: str) -> None:
    """Have the memory in a folder be a site.

    Raises:
        UserError: it is no token, or what joining needs is not installed.
    """
    membership = read_token(token)
    need_nats()
    find_server()
    prepare_memory_dir(memory_dir)
    if is_hub(memory_dir):
        raise UserError(f"{memory_dir} is a hub; give the folder of a site's memory with --memory")
    if is_site(memory_dir) and (known := read_membership(memory_dir)).site != membership.site:
        raise UserError(f"this memory is site {known.site!r} already; `sites leave` first")
    write_membership(memory_dir, membership)
    pictures = ", and sends the pictures it keeps" if membership.pictures else ""
    note(f"this memory is site {membership.site!r} from the next start of its agent on{pictures}")
    if lock_of(memory_dir) is not None:
        note(SENT_PLAIN)


async def run(memory_dir: Path, config: Config) -> None:
    """Run the agent of a site, perceiving nothing, until stopped.

    Raises:
        UserError: the folder is no site.
    """
    site = read_membership(memory_dir).site

    def tell(event: ProcessEvent) -> None:
        tell_working(event)
        if event.kind in ("died", "lost"):
            note(event.text)
        elif event.kind == "ready" and event.role == "gateway":
            note(f"site {site} runs")

    async with open_agent(memory_dir, config, tell, perceivers=()) as agent:
        await agent.until_ready()
        await anyio.sleep_forever()


async def status(hub_dir: Path, memory_dir: Path, config: Config, as_json: bool) -> None:
    """Who is there: at a site of itself, at the hub of all sites.

    Raises:
        UserError: neither a hub nor a site is here.
    """
    if (memory_dir / SITE_FILE).exists():
        told, lines = await _status_of_site(memory_dir, config)
    elif (hub_dir / HUB_FILE).exists():
        told, lines = await _status_of_hub(hub_dir)
    else:
        raise UserError("neither a hub nor a site is here; `sites up` makes a hub, `sites join TOKEN` joins one")
    if as_json:
        say(json.dumps(told, ensure_ascii=False))
        return
    for line in lines:
        OUT.print(line)


async def _status_of_site(memory_dir: Path, config: Config) -> tuple[dict[str, Any], list[str]]:
    site = read_membership(memory_dir).site
    if find_agent(memory_dir) is None:
        return {"site": site, "running": False, "notes": []}, [f"site {site}: no agent runs on this memory"]
    async with attached(memory_dir, config) as client:
        await client.hear_from(("gateway",))
        beat = client.heartbeats.get("gateway")
    notes = list(beat.notes) if beat is not None else ["its gateway is not heard from"]
    notes += [SENT_PLAIN] if lock_of(memory_dir) is not None else []
    sent = int(beat.counters.get("sent", 0)) if beat is not None else 0
    lines = [f"site {site}: all up to observation {sent} is in its stream", *(f"  {told}" for told in notes)]
    return {"site": site, "running": True, "sent": sent, "notes": notes}, lines


async def _status_of_hub(hub_dir: Path) -> tuple[dict[str, Any], list[str]]:
    found: dict[str, Any] = {}
    lines = []
    async with joined_hub(hub_dir) as connection:
        caller = SiteCaller(connection)
        await caller.open()
        for site in sorted(read_hub(hub_dir).sites):
            began_s = time.time()
            try:
                hello = await caller.call(call_subject(site), HelloRequest(), HEARD_S)
                is_here, notes = True, told_of(hello, began_s)
            except CallError as error:
                is_here, notes = False, [str(error)]
            copy = SiteStream(connection, site)
            copied, size = await copy.size() if await copy.is_there() else (0, 0)
            owed = len(debts_of(hub_dir, site))
            found[site] = {"here": is_here, "notes": notes, "copied": copied, "copied_bytes": size, "owed": owed}
            debt = f"; owes {owed} that it was to forget" if owed else ""
            where = "here" if is_here else "away"
            lines.append(f"{site}: {where}; {copied} messages copied, {byte_size(size)}{debt}")
            lines += [f"  {told}" for told in notes if is_here]
    paid = [msgspec.structs.asdict(one) for one in paid_debts(hub_dir)[-10:]]
    return {"sites": found, "paid": paid}, lines or ["no site was invited; `sites invite SITE` makes a token"]


async def leave(hub_dir: Path, memory_dir: Path, site: str) -> None:
    """At the hub have a site leave, with its copy; at a site leave, with its stream. Its memory stays.

    Raises:
        UserError: there is no such site, or its agent runs.
    """
    if not site:
        name = read_membership(memory_dir).site
        if find_agent(memory_dir) is not None:
            raise UserError("an agent runs on this memory; stop it first")
        (memory_dir / SITE_FILE).unlink()
        shutil.rmtree(memory_dir / FOLDER, ignore_errors=True)
        note(f"this memory is no site any more; at the hub: `sites leave {name}`")
        return
    hub = read_hub(hub_dir)
    if site not in hub.sites:
        raise UserError(f"there is no site {site!r} at this hub; there are: {', '.join(sorted(hub.sites)) or 'none'}")
    others = {name: access for name, access in hub.sites.items() if name != site}
    write_hub(hub_dir, msgspec.structs.replace(hub, sites=others))
    try:
        await give_up_copy(hub_dir, site)
    except MindstreamError:
        write_hub(hub_dir, hub)
        raise
    void = "its token is void" if not hub.url else "take its user from the NATS server"
    note(f"site {site!r} has left: {void}, and the copy of its memory is gone")


async def rebuild(hub_dir: Path, memory_dir: Path, site: str, config: Config, as_json: bool) -> None:
    """Make the memory of a lost site again, from the hub's copy of its stream, in a folder that holds none.

    Raises:
        UserError: there is no such site, no copy, or a memory in the folder already.
    """
    if has_memory(memory_dir):
        raise UserError(f"there is a memory in {memory_dir}; name another folder with --memory")
    rebuilt = await rebuild_memory(hub_dir, memory_dir, site, config)
    if as_json:
        say(json.dumps(msgspec.structs.asdict(rebuilt) | {"site": site, "path": str(memory_dir)}))
        return
    OUT.print(f"{site}: {rebuilt.observations} observations, {rebuilt.pictures} pictures of {rebuilt.sources} sources.")
    note(f"to have it be the site again: `sites invite {site}`, and `sites join TOKEN --memory {memory_dir}`")
