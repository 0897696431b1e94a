"""Finding a server that speaks OpenAI's API: the one that is named, else a local one on its usual port.

Nothing but this machine is ever searched: memory is private, so a server elsewhere must be named, in the
profile or by OPENAI_BASE_URL. An empty OPENAI_BASE_URL says that there is none and nothing is to be searched.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio

from reasoning.backends.chat_model import Abilities
from runtime.addresses import is_local, shown
from runtime.config import ModelConfig
from runtime.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from reasoning.backends.openai_server import OpenAIServer

BASE_URL_VARIABLE, KEY_VARIABLE = "OPENAI_BASE_URL", "OPENAI_API_KEY"
# Where each listens unless told otherwise, in the order they are preferred.
LOCAL_PORTS = {11434: "Ollama", 8080: "llama.cpp", 8000: "vLLM", 1234: "LM Studio"}
# A local connection is made or refused in well under a millisecond; a busy machine may take longer.
CONNECT_S = 0.25
ASK_S = 3.0
# A server started after the agent is found this soon.
SEARCH_AGAIN_S = 5.0
NONE_FOUND = f"none listens on its usual port here; start one, or set reasoning.model.base_url or {BASE_URL_VARIABLE}"
# Ollama's own default, the smallest of the usual servers, where nothing says more.
UNKNOWN_CONTEXT_TOKENS = 4096
# A server that claims more is not believed.
MOST_CONTEXT_TOKENS = 100_000_000
# Accounts of the system, under which it runs services, have numbers below this; people's are above.
FIRST_PERSON = 1000
_LISTENS = "0A"
# "qwen2.5vl:7b", "gemma-3-4b-it", "SmolVLM-500M-Instruct", "mixtral-8x7b" (its experts' size: small enough to tell).
_SIZE = re.compile(r"(?<![a-zA-Z0-9.])(?:\d+x|e)?(\d{1,4}(?:\.\d+)?)([bBmM])(?![a-zA-Z0-9])")
_NO_CHAT = re.compile(r"embed|rerank|whisper|\btts\b|\bbge\b|moderation|dall-e|transcribe|speech", re.IGNORECASE)


class ServerFinder:
    """Finds the server once, and again after it was lost; called for every question.

    ``required``: having none is an error, else an answer without one.

    Raises:
        ConfigError: what is named is no address.
    """

    def __init__(self, config: ModelConfig, required: bool) -> None:
        self.waiting = "the model server has not said yet which models it has"
        self._config = config
        self._required = required
        self._server: OpenAIServer | None = None
        self._search_from_s = 0.0
        if named := config.base_url or os.environ.get(BASE_URL_VARIABLE):
            _checked(named)

    async def __call__(self) -> OpenAIServer | None:
        """The server; None where none is required and none is there.

        Raises:
            ModelError: there is none, or the one that is named does not answer.
        """
        if self._server is not None and not self._server.lost:
            return self._server
        self._server = None
        if anyio.current_time() >= self._search_from_s:
            self._server = await find_server(self._config)
            self._search_from_s = anyio.current_time() + SEARCH_AGAIN_S
        if self._server is None and is_gguf(self._config.name):
            raise ModelError(serve_gguf(self._config.name))
        if self._server is None and self._required:
            raise ModelError(f"no model server: {NONE_FOUND}")
        return self._server


async def find_server(config: ModelConfig) -> OpenAIServer | None:
    """The server to use, with its model chosen; None if none is named and none listens here.

    Raises:
        ModelError: the named one does not answer, or has no such model.
        ConfigError: what is named is no address.
    """
    named = config.base_url or os.environ.get(BASE_URL_VARIABLE)
    if named == "":
        return None
    if named is not None:
        return await _open(_checked(named), config, os.environ.get(KEY_VARIABLE, ""))
    for port in await _listening():
        try:
            return await _open(f"http://127.0.0.1:{port}/v1", config, key="")
        except ModelError:
            continue  # these ports are popular, and what listens may be anything
    return None


def choose_model(listed: list[dict[str, Any]], config: ModelConfig, base_url: str) -> dict[str, Any]:
    """The entry of the model to use among those a server lists.

    Raises:
        ModelError: it has not the one that is named, none that chats, or, far away, too many to choose from.
    """
    names = [str(entry.get("id", "")) for entry in listed]
    if config.name:
        # Ollama's "llama3" is listed as "llama3:latest". Some servers load what is not listed yet.
        for entry, name in zip(listed, names, strict=True):
            if name in (config.name, f"{config.name}:latest"):
                return entry
        if names and not is_local(base_url):
            raise ModelError(f"the server at {shown(base_url)} has no model {config.name!r}")
        return {"id": config.name}
    chats = [entry for entry, name in zip(listed, names, strict=True) if name and not _NO_CHAT.search(name)]
    if not chats:
        raise ModelError(f"the server at {shown(base_url)} has no model that chats")
    if len(chats) > 1 and not is_local(base_url):
        raise ModelError(f"the server at {shown(base_url)} has {len(chats)} models; say which: reasoning.model.name")
    return chats[0]


def context_of(entry: dict[str, Any]) -> int:
    """How many tokens the model takes, where its server's list says so (vLLM, llama.cpp and others); else 0."""
    meta = entry.get("meta")
    told = [entry.get(key) for key in ("max_model_len", "context_length", "context_window", "max_context_length")]
    if isinstance(meta, dict):
        told.append(meta.get("n_ctx"))
    return next((int(value) for value in told if isinstance(value, int) and 0 < value < MOST_CONTEXT_TOKENS), 0)


def billions_of(entry: dict[str, Any], name: str) -> float:
    """How many billions of parameters a model has, by what its server says of it or by its name; 0 where neither
    does. A mixture of experts counts whole."""
    meta = entry.get("meta")
    count = meta.get("n_params") if isinstance(meta, dict) else None
    if isinstance(count, int) and not isinstance(count, bool) and count > 0:
        return count / 1e9
    sizes = [float(n) / (1.0 if unit in "bB" else 1000.0) for n, unit in _SIZE.findall(name)]
    return max(sizes, default=0.0)


def is_gguf(name: str) -> bool:
    """Whether a model is named by a file for llama.cpp."""
    return name.lower().endswith(".gguf")


def serve_gguf(name: str) -> str:
    """What to do with such a file, in one line."""
    if not Path(name).is_file():
        return f"reasoning.model.name: there is no file {name}"
    return (
        f"{name} is a model for llama.cpp, which runs it in a server: start `llama-server -m {name}` (one that sees"
        " needs --mmproj, too), and it is found here"
    )


def _checked(base_url: str) -> str:
    parts = urlsplit(base_url if "//" in base_url else f"http://{base_url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"reasoning.model.base_url: {shown(base_url)!r} is no address; it looks like http://127.0.0.1:11434"
        )
    if parts.path in ("", "/"):
        parts = parts._replace(path="/v1")
    return parts.geturl().rstrip("/")


async def _open(base_url: str, config: ModelConfig, key: str) -> OpenAIServer:
    from reasoning.backends.ollama import ask_ollama
    from reasoning.backends.openai_server import OpenAIServer  # a second to import
    from reasoning.backends.server_client import list_models, open_client

    client = open_client(base_url, key, config.quiet_s, is_local(base_url))
    with anyio.move_on_after(ASK_S):
        entry = choose_model(await list_models(client, base_url), config, base_url)
        name = str(entry["id"])
        told = await ask_ollama(base_url, name) if entry.get("owned_by") == "library" else None
        listed = context_of(entry) or (told.context_tokens if told else 0) or UNKNOWN_CONTEXT_TOKENS
        abilities = Abilities(
            context_tokens=config.context_tokens or listed,
            images=told is None or told.sees is not False,
            tools=told is None or told.tools is not False,
            billions=(told.billions if told else 0.0) or billions_of(entry, name),
            schema=True,
        )
        note = told.told if told and not config.context_tokens else ""
        return OpenAIServer(client, base_url, name, abilities, config.image_tokens, note)
    raise ModelError(f"the server at {shown(base_url)} does not say which models it has (waited {ASK_S:g} s)", 1.0)


async def _listening() -> list[int]:
    """The usual ports on which something listens, in order of preference."""
    found: set[int] = set()

    async def knock(port: int) -> None:
        with anyio.move_on_after(CONNECT_S):
            try:
                stream = await anyio.connect_tcp("127.0.0.1", port)
            except OSError:
                return
            found.add(port)
            await stream.aclose()

    async with anyio.create_task_group() as tasks:
        for port in LOCAL_PORTS:
            tasks.start_soon(knock, port)
    return [port for port in LOCAL_PORTS if port in found and is_ours(port)]


def is_ours(port: int, tables: tuple[str, ...] = ("/proc/net/tcp", "/proc/net/tcp6")) -> bool:
    """Whether only this user and the system itself listen on a port of this machine; another user's program there would
    get to read what is remembered. Where the system does not tell, all are."""
    for table in tables:
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            listens = len(fields) > 7 and fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port
            if listens and FIRST_PERSON <= int(fields[7]) != os.getuid():
                return False
    return True
