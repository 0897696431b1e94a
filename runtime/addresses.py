"""Addresses as they may be shown, logged and kept: a password, a token or a query in one is nobody else's."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import quote, unquote, urlsplit

# What follows the // of anything like an address, well formed or not.
_AFTER_SLASHES = re.compile(r"(?<=//)\S+")


def _credentials_end(rest: str) -> tuple[int, bool]:
    """Where the credentials end that ``rest``, what follows the // of an address, begins with (after their @; 0 where
    there are none), and whether that is certain.

    People write passwords as they are, with / # ? and @ in them, so the first of these is not always their end.
    """
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    within, last = authority.rfind("@") + 1, rest.rfind("@") + 1
    if within == last:
        return within, True
    if within:
        return last, False  # of the password, or of the path?
    name, colon, after = authority.partition(":")
    if not colon or name.startswith("[") or (after.isdigit() and ("." in name or name == "localhost")):
        return 0, True  # a host; the @ is of its path
    return last, not after.isdigit() and rest.count("@") == 1


def without_credentials(text: str) -> str:
    """A text in which no address, also none that is malformed, tells a user's name and password."""
    return _AFTER_SLASHES.sub(lambda found: found[0][_credentials_end(found[0])[0] :], text)


def with_masked_password(text: str) -> str:
    """A text in which of the credentials of addresses only the user's name is told."""

    def masked(found: re.Match[str]) -> str:
        end = _credentials_end(found[0])[0]
        name, colon, _ = found[0][:end].partition(":")
        return f"{name}:***@{found[0][end:]}" if colon else found[0]

    return _AFTER_SLASHES.sub(masked, text)


def with_encoded_credentials(address: str) -> str:
    """An address whose user name and password are percent-encoded, as FFmpeg wants them, so that none of their
    characters is taken for the end of them.

    Raises:
        ValueError: it is not certain where they end.
    """
    scheme, slashes, rest = address.partition("//")
    end, is_certain = _credentials_end(rest)
    if not is_certain:
        raise ValueError(
            "it cannot be told where its password ends; write an @ in it as %40, a / as %2F, a ? as %3F and a # as %23"
        )
    if not end:
        return address
    name, colon, password = rest[: end - 1].partition(":")
    encoded = colon.join(quote(unquote(part), safe="") for part in ((name, password) if colon else (name,)))
    return f"{scheme}{slashes}{encoded}@{rest[end:]}"


def shown(address: str) -> str:
    """An address without user name, password, query and fragment."""
    bare = without_credentials(address)
    return re.split(r"[?#]", bare, maxsplit=1)[0]


def origin(address: str) -> str:
    """Scheme, host and port of an address: the path of a webhook is its password."""
    return "/".join(shown(address).split("/")[:3])


def is_local(address: str) -> bool:
    """Whether an address is this machine's own."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
