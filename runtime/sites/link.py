"""A connection to a NATS server that comes back by itself, and what goes wrong with one in a line."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import anyio

from runtime.addresses import with_masked_password
from runtime.errors import CallError, UserError

if TYPE_CHECKING:
    from nats.aio.client import Client as Nats

# A reply to a scan with pictures goes in pieces of half a MiB; the largest message is one kept picture.
MAX_PAYLOAD_BYTES = 8 << 20
CONNECT_S, GIVE_UP_S = 5.0, 15.0
CLOSE_S = 2.0
RECONNECT_S = 0.25
_UNVOUCHED = "certificate verify failed"


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


async def need_jetstream(connection: Nats, url: str) -> None:
    """Say so where a server that is not ours cannot keep what sites send.

    Raises:
        UserError: it keeps no streams for this user, or takes only smaller messages.
    """
    from nats.errors import Error

    shown = with_masked_password(url)
    try:
        await connection.jetstream().account_info()
    except Error as error:
        raise UserError(f"the NATS server at {shown} keeps no streams for this user; enable JetStream there") from error
    if connection.max_payload < MAX_PAYLOAD_BYTES:
        raise UserError(
            f"the NATS server at {shown} takes messages of up to {connection.max_payload >> 10} KiB;"
            f" set max_payload: {MAX_PAYLOAD_BYTES >> 20}MB there"
        )


def _why_not(shown: str, problems: list[str]) -> str:
    """One line for what went wrong, try by try."""
    told = " ".join(problems)
    if _UNVOUCHED in told:
        return f"nothing here vouches for the NATS server at {shown}; name its authority with --ca"
    if "uthorization" in told or "uthentication" in told:
        return f"the NATS server at {shown} refuses this user and password"
    if all("Broken pipe" in problem or "reset by peer" in problem for problem in problems):
        return f"the NATS server at {shown} hangs up: it refuses this user and password, or takes no clients there"
    return f"no NATS server answers at {shown} ({problems[-1]}); `sites up` starts one"


def _vouched_by(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError) as error:
        raise UserError("the authority's certificate is none; give a PEM file with --ca") from error


@asynccontextmanager
async def connected(url: str, user: str = "", password: str = "", ca: str = "") -> AsyncIterator[Nats]:
    """A connection to ``url``, which is taken up again for as long as it is wanted. ``ca``: the certificate (PEM) that
    vouches for a server with TLS, where this machine's do not.

    Raises:
        UserError: there is no server, it refuses this user, or nothing vouches for it.
    """
    need_nats()
    import nats
    from nats.errors import Error, NoServersError

    problems: list[str] = []

    trying = anyio.CancelScope(deadline=anyio.current_time() + GIVE_UP_S)

    async def note(error: Exception) -> None:
        problems[:] = [*problems[-9:], " ".join(str(error).split()) or type(error).__name__]
        if _UNVOUCHED in problems[-1]:  # nats-py would try for ever
            trying.cancel()

    shown, parts = with_masked_password(url), urlsplit(url)
    if not user and parts.username is not None:  # nats-py takes what stands there as it is written
        user, password = unquote(parts.username), unquote(parts.password or "")
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    options: dict[str, Any] = {"user": user, "password": password} if user else {}
    if ca:
        options["tls"] = _vouched_by(ca)
    connection: Nats | None = None
    try:
        with trying:
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
        raise UserError(_why_not(shown, problems or [str(error)])) from error
    if connection is None:
        raise UserError(_why_not(shown, problems or ["no answer"]))
    # From here on it is known to be right, and any absence is one that ends.
    connection.options["max_reconnect_attempts"] = -1
    try:
        yield connection
    finally:
        # Shielded: nats-py goes on where it is cancelled. It may be gone already.
        with anyio.move_on_after(CLOSE_S, shield=True), suppress(Exception):
            await connection.close()
