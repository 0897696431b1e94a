"""What a folder knows of the sites it belongs to: `hub.json` at the hub, `site.json` at a site, each its owner's alone.

A token is what a site needs to join, in one word: made at the hub, good for one site.
"""

from __future__ import annotations

import base64
import os
import secrets
import zlib
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from runtime.agent import HUB_FILE, SITE_FILE
from runtime.errors import UserError
from runtime.sites.names import PROTOCOL, checked_site

# To be said where a memory that is encrypted is a site, or one that is a site is encrypted.
SENT_PLAIN = (
    "this memory is encrypted, what it sends as a site is not: its stream in MEMORY/site, and the hub's copy of it."
    " Have both lie on encrypted disks, or leave (`sites leave`). What is talked about at the hub is encrypted"
    " there by `encrypt --memory HUB`"
)
TOKEN_MARK = "mind1-"  # noqa: S105 - how a token begins

T = TypeVar("T")


class Access(Struct, frozen=True):
    """What a site signs in with. ``pictures``: it was asked to send the pictures that its memory keeps, too."""

    password: str
    pictures: bool = False


class Hub(Struct, frozen=True):
    """hub.json. Of its own server: ``host`` and ``leaf_port`` where sites connect, ``port`` on this machine alone, and
    ``names`` its certificate is for, none without TLS. Of another's: ``url`` for the hub, ``leaf_url`` for sites, and
    ``ca``, the certificate (PEM) that vouches for it, "" where this machine's do."""

    host: str = "127.0.0.1"
    port: int = 4222
    leaf_port: int = 7422
    password: str = ""
    names: tuple[str, ...] = ()
    url: str = ""
    leaf_url: str = ""
    ca: str = ""
    sites: dict[str, Access] = {}

    @property
    def has_tls(self) -> bool:
        return bool(self.names)


class Membership(Struct, frozen=True):
    """site.json, and what a token holds. ``url``: where the hub takes leaf nodes, with user and password; ``ca``: the
    certificate (PEM) that vouches for it, "" without TLS."""

    site: str
    url: str
    ca: str = ""
    pictures: bool = False
    protocol: int = PROTOCOL


def new_password() -> str:
    """One nobody guesses, of letters and digits."""
    return secrets.token_hex(24)


def write_private(path: Path, data: bytes) -> None:
    """Write a file for its owner alone, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    beside.replace(path)


def write_hub(folder: Path, hub: Hub) -> None:
    write_private(folder / HUB_FILE, msgspec.json.format(msgspec.json.encode(hub), indent=1))


def write_membership(folder: Path, membership: Membership) -> None:
    write_private(folder / SITE_FILE, msgspec.json.format(msgspec.json.encode(membership), indent=1))


def read_hub(folder: Path) -> Hub:
    """The hub of this folder.

    Raises:
        UserError: it is none.
    """
    return _read(folder / HUB_FILE, Hub, f"{folder} is no hub; `sites up` makes one, --memory names another folder")


def read_membership(folder: Path) -> Membership:
    """The site that this folder is.

    Raises:
        UserError: it is none.
    """
    return _read(folder / SITE_FILE, Membership, f"the memory in {folder} has joined no hub; `sites join TOKEN` does")


def is_hub(folder: Path) -> bool:
    return (folder / HUB_FILE).exists()


def is_site(folder: Path) -> bool:
    return (folder / SITE_FILE).exists()


def _read(path: Path, kind: type[T], otherwise: str) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        raise UserError(otherwise) from None
    except (OSError, msgspec.DecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def as_token(membership: Membership) -> str:
    """The membership in one word."""
    body = zlib.compress(msgspec.json.encode(membership), 9)
    checked = body + zlib.crc32(body).to_bytes(4, "big")
    return TOKEN_MARK + base64.urlsafe_b64encode(checked).decode().rstrip("=")


def read_token(token: str) -> Membership:
    """The membership a token stands for.

    Raises:
        UserError: it is no token, not a whole one, or of another version.
    """
    wrong = "this is no whole token of `sites invite`; copy it again, all of it"
    try:
        word = token.strip()
        if not word.startswith(TOKEN_MARK):
            raise ValueError(word[:8])
        checked = base64.urlsafe_b64decode(word.removeprefix(TOKEN_MARK) + "=" * (-len(word) % 4 + 2))
        body = checked[:-4]
        if zlib.crc32(body).to_bytes(4, "big") != checked[-4:]:
            raise ValueError("checksum")
        unpacker = zlib.decompressobj()
        membership = msgspec.json.decode(unpacker.decompress(body, 1 << 20), type=Membership)
    except (ValueError, zlib.error, msgspec.DecodeError):
        raise UserError(wrong) from None
    if membership.protocol != PROTOCOL:
        raise UserError(
            f"this token is of another version (protocol {membership.protocol}, this program speaks {PROTOCOL});"
            " have both machines run the same version"
        )
    checked_site(membership.site)
    return membership
