"""What sites owe that were away when something was to be forgotten: kept at the hub until it is paid.

A debt is a file of its own, its owner's alone; it holds what is to go, as only that says what to look for. What was
paid is noted without it.
"""

from __future__ import annotations

import uuid
from pathlib import Path

import msgspec
from msgspec import Struct

from runtime.messages import ForgetReply, ForgetRequest
from runtime.sites.membership import write_private

OWED_FOLDER, PAID_FILE = "owed", "paid.jsonl"
PAID_KEPT = 1000


class Debt(Struct, frozen=True):
    """One site's: to forget ``request``, in its own names, asked for at ``asked_wall_s``."""

    site: str
    request: ForgetRequest
    asked_wall_s: float


class Paid(Struct, frozen=True):
    """A debt that was paid: when, how many observations went, how many traces of them are left there."""

    site: str
    asked_wall_s: float
    paid_wall_s: float
    observations: int
    traces: int


def owe(folder: Path, debt: Debt) -> None:
    """Keep a debt."""
    write_private(folder / OWED_FOLDER / f"{debt.site}-{uuid.uuid4().hex}.json", msgspec.json.encode(debt))


def debts_of(folder: Path, site: str) -> list[tuple[Path, Debt]]:
    """What a site owes, the oldest first."""
    found = [
        (path, msgspec.json.decode(path.read_bytes(), type=Debt)) for path in (folder / OWED_FOLDER).glob("*.json")
    ]
    return sorted((one for one in found if one[1].site == site), key=lambda one: one[1].asked_wall_s)


def settle(folder: Path, path: Path, debt: Debt, reply: ForgetReply, now_wall_s: float) -> Paid:
    """A debt was paid: it is let go of, and that it was paid is noted."""
    paid = Paid(
        site=debt.site,
        asked_wall_s=debt.asked_wall_s,
        paid_wall_s=now_wall_s,
        observations=sum(reply.observations.values()),
        traces=sum(reply.traces.values()),
    )
    kept = [*paid_debts(folder), paid][-PAID_KEPT:]
    write_private(folder / PAID_FILE, b"".join(msgspec.json.encode(one) + b"\n" for one in kept))
    size = path.stat().st_size
    path.write_bytes(b"\0" * size)  # in its place, before it goes
    path.unlink()
    return paid


def paid_debts(folder: Path) -> list[Paid]:
    """The last that were paid."""
    try:
        return [msgspec.json.decode(line, type=Paid) for line in (folder / PAID_FILE).read_bytes().splitlines()]
    except FileNotFoundError:
        return []
