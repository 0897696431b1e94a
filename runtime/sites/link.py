"""A connection to a NATS server that comes back by itself, and what goes wrong with one in a line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio

from runtime.addresses import with_masked_password
from runtime.errors import CallError, UserError

if TYPE_CHECKING:
    from nats.aio.client import Client as Nats

CONNECT_S = 5.0
CLOSE_S = 2.0
RECONNECT_S = 0.25


class Away(CallError):
    """Nobody is there to answer."""


def need_nats() -> None:
    """Say so where the package is missing.

    Raises:
        UserError: it is.
    """
    try:
        import nats  # noqa: F401
    except ModuleNotFoundError:
        raise UserError(
            "the package nats-py is not installed; install the extra: pip install 'mindstream[sites]'"
        ) from None


@asynccontextmanager
async def connected(url: str, user: str = "", password: str = "") -> AsyncIterator[Nats]:
    """A connection to ``url``, which is taken up again for as long as it is wanted.

    Raises:
        UserError: there is no server, or it refuses this user.
    """
    need_nats()
    import nats
    from nats.errors import Error, NoServersError

    problems: list[str] = []

    async def note(error: Exception) -> None:
        problems[:] = [" ".join(str(error).split()) or type(error).__name__]

    options: dict[str, Any] = {"user": user, "password": password} if user else {}
    shown = with_masked_password(url)
    try:
        connection = await nats.connect(
            url,
            error_cb=note,
            connect_timeout=CONNECT_S,
            allow_reconnect=True,
            max_reconnect_attempts=2,
            reconnect_time_wait=RECONNECT_S,
            **options,
        )
    except (NoServersError, OSError, Error, ValueError) as error:
        why = problems[0] if problems else str(error)
        if "uthorization" in why or "uthentication" in why:
            raise UserError(f"the NATS server at {shown} refuses this user and password") from error
        raise UserError(f"no NATS server answers at {shown} ({why}); `sites up` starts one") from error
    # From here on it is known to be right, and any absence is one that ends.
    connection.options["max_reconnect_attempts"] = -1
    try:
        yield connection
    finally:
        # Shielded: nats-py goes on where it is cancelled. It may be gone already.
        with anyio.move_on_after(CLOSE_S, shield=True), suppress(Exception):
            await connection.close()
