"""The configuration of a NATS server, as text: the hub's, and the leaf node's of a site.

A site signs in at the hub with a user of its own, which may publish what begins with its name, and answers to what it
was asked. It hears what it is called for, and nothing of other sites.
"""

from __future__ import annotations

import json
from pathlib import Path

from runtime.sites.certificates import CERTIFICATE_FILE, KEY_FILE
from runtime.sites.link import MAX_PAYLOAD_BYTES
from runtime.sites.membership import Hub, Membership
from runtime.sites.names import MIRROR_PREFIX, call_subject

# In the folder of a hub or of a gateway: what its server keeps.
STREAMS_FOLDER = "streams"
HUB_USER, LEAF_USER = "mind", "site"
HUB_DOMAIN = "hub"
ACCOUNT = "MIND"
# What is acknowledged reaches the disk within this time; the death of a process loses nothing, the death of a machine
# these seconds of a copy of what memory holds.
SYNC_INTERVAL = "5s"


def may_publish(site: str) -> tuple[str, ...]:
    """The subjects a site may publish at the hub: its own; its JetStream's, to which the hub's mirror listens; and
    answers, whose subjects are random."""
    return (f"mind.{site}.>", f"$JS.{site}.>", f"{MIRROR_PREFIX}.{site}.>", "$JSC.R.>", "_INBOX.>")


def may_hear(site: str) -> tuple[str, ...]:
    return (call_subject(site), f"$JS.{site}.API.>", "$JS.FC.>", "_INBOX.>")


def hub_config(hub: Hub, folder: Path) -> str:
    """The configuration of the hub's server. Its clients' port is open to this machine alone."""
    users = [f"{{ user: {HUB_USER}, password: {_quoted(hub.password)} }}"]
    for site, access in sorted(hub.sites.items()):
        users.append(
            f"{{ user: {_quoted(site)}, password: {_quoted(access.password)}, permissions: {{"
            f" publish: {{ allow: {_listed(may_publish(site))} }},"
            f" subscribe: {{ allow: {_listed(may_hear(site))} }} }} }}"
        )
    tls = ""
    if hub.has_tls:
        files = f"cert_file: {_quoted(folder / CERTIFICATE_FILE)}, key_file: {_quoted(folder / KEY_FILE)}"
        tls = f"  tls {{ {files} }}\n"
    return (
        "server_name: hub\n"
        f"listen: {_quoted(f'127.0.0.1:{hub.port}')}\n"
        f"max_payload: {MAX_PAYLOAD_BYTES}\n"
        f"jetstream {{ store_dir: {_quoted(folder / STREAMS_FOLDER)}, domain: {HUB_DOMAIN},"
        f" sync_interval: {_quoted(SYNC_INTERVAL)} }}\n"
        f"leafnodes {{\n  listen: {_quoted(_host_and_port(hub.host, hub.leaf_port))}\n{tls}}}\n"
        f"accounts {{ {ACCOUNT} {{ jetstream: enabled, users: [\n  " + "\n  ".join(users) + "\n] } }\n"
    )


def leaf_config(membership: Membership, port: int, password: str, folder: Path, ca_file: Path | None) -> str:
    """The configuration of a site's leaf node; ``port`` on this machine alone."""
    tls = f", tls: {{ ca_file: {_quoted(ca_file)} }}" if ca_file is not None else ""
    return (
        f"server_name: {_quoted(membership.site)}\n"
        f"listen: {_quoted(f'127.0.0.1:{port}')}\n"
        f"max_payload: {MAX_PAYLOAD_BYTES}\n"
        f"jetstream {{ store_dir: {_quoted(folder / STREAMS_FOLDER)}, domain: {_quoted(membership.site)},"
        f" sync_interval: {_quoted(SYNC_INTERVAL)} }}\n"
        f"accounts {{ {ACCOUNT} {{ jetstream: enabled, users: [\n"
        f"  {{ user: {LEAF_USER}, password: {_quoted(password)} }}\n] }} }}\n"
        f"leafnodes {{ reconnect: 1, remotes: [ {{ url: {_quoted(membership.url)}, account: {ACCOUNT}{tls} }} ] }}\n"
    )


def _host_and_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listed(subjects: tuple[str, ...]) -> str:
    return "[" + ", ".join(map(_quoted, subjects)) + "]"


def _quoted(value: object) -> str:
    return json.dumps(str(value))
