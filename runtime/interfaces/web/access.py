"""Who may come in: the token of a memory, and what a browser that signed in with it carries."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
import socket
from pathlib import Path

from msgspec import Struct

from runtime.config import ServeConfig
from runtime.errors import StoreError, UserError

# In the memory folder.
TOKEN_NAME = "serve.token"  # noqa: S105 - the name of a file
# In the run directory: where the page is.
ADDRESS_NAME = "page.address"
COOKIE = "mindstream"
COOKIE_DAYS = 30
_TOKEN_BYTES = 24


class Access(Struct, frozen=True):
    """What is asked of whoever comes.

    token  to be shown by all; "" asks for none.
    names  host names, in lower case and without a port, under which this server may be addressed besides numbers.
    """

    token: str = ""
    names: tuple[str, ...] = ()
    is_tls: bool = False

    def is_bearer(self, shown: str) -> bool:
        """Whether ``shown`` is the token."""
        return hmac.compare_digest(shown.encode(), self.token.encode())

    @property
    def cookie(self) -> str:
        """What a browser carries that signed in: made of the token, so that a new token ends it, and not the token."""
        return hmac.new(self.token.encode(), b"mindstream page", hashlib.sha256).hexdigest()

    def is_cookie(self, shown: str) -> bool:
        return hmac.compare_digest(shown.encode(), self.cookie.encode())

    def is_own_name(self, host: str) -> bool:
        """Whether a request for ``host`` (without its port) is meant for this server. A name that another site lets
        point here is not; a number cannot be pointed."""
        bare = host.strip("[]").lower().rstrip(".")
        try:
            ipaddress.ip_address(bare)
            return True
        except ValueError:
            return bare in self.names


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def needs_token(serve: ServeConfig) -> bool:
    return serve.sign_in == "always" or not is_loopback(serve.host)


def open_access(serve: ServeConfig, memory_dir: Path) -> Access:
    """The access a profile asks for, to a memory.

    Raises:
        StoreError: the token cannot be read or made.
    """
    own = socket.gethostname().lower()
    names = ("localhost", own, f"{own}.local", *(name.lower() for name in serve.names))
    token = ensure_token(memory_dir)[0] if needs_token(serve) else ""
    return Access(token, names, bool(serve.certificate))


def ensure_token(memory_dir: Path) -> tuple[str, bool]:
    """The token of a memory, and whether it was made now; readable by its owner alone.

    Raises:
        StoreError: it cannot be read or made, or others may read it.
    """
    path = memory_dir / TOKEN_NAME
    try:
        memory_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            if path.stat().st_mode & 0o077:
                raise StoreError(
                    f"{path} can be read by others; run chmod 600 on it, or delete it for a new one"
                ) from None
            token = path.read_text(encoding="ascii").strip()
            if len(token) < _TOKEN_BYTES:
                raise StoreError(f"{path} holds no token; delete it, and a new one is made") from None
            return token, False
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        with os.fdopen(made, "w", encoding="ascii") as file:
            file.write(token + "\n")
        return token, True
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def bind(host: str, port: int) -> socket.socket:
    """A listening socket there.

    Raises:
        UserError: the address is not to be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise UserError(f"cannot serve on {host}: {error.strerror or error}; give another address") from None
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise UserError(
            f"cannot serve on {host}:{port}: {error.strerror}; choose another with --serve or --port"
        ) from None
    listening.set_inheritable(False)
    return listening
