"""Addresses as they may be shown, logged and kept: a password, a token or a query in one is nobody else's."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

# Of anything like an address, well formed or not: what stands before an @ in it.
_CREDENTIALS = re.compile(r"(?<=//)[^/\s@]*(?:@[^/\s@]*)*@")


def without_credentials(text: str) -> str:
    """A text in which no address, also none that is malformed, tells a user's name and password."""
    return _CREDENTIALS.sub("", text)


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
