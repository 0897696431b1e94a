"""What Ollama says of a model beside the list it shares with other servers: its size, its context, whether it sees.

Ollama gives a model the context it was started with (4,096 tokens, unless OLLAMA_CONTEXT_LENGTH or the model's own
parameters say more), however much the model takes, and cuts a longer prompt in silence. A request in OpenAI's form
cannot ask for more. So what it gives is found out, and prompts are made to fit it.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import httpx2
from msgspec import Struct

ASK_S = 2.0
DEFAULT_CONTEXT_TOKENS = 4096
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([BbMm])")


class OllamaModel(Struct, frozen=True):
    """``context_tokens``: what it is given; ``takes_tokens``: what it could take, 0 unknown. ``sees`` and ``tools``:
    whether it can, None unknown."""

    context_tokens: int
    takes_tokens: int = 0
    billions: float = 0.0
    sees: bool | None = None
    tools: bool | None = None

    @property
    def told(self) -> str:
        """What a user should know of its context; "" where it is as much as it takes."""
        if self.takes_tokens <= self.context_tokens:
            return ""
        return (
            f"Ollama gives it {self.context_tokens} of the {self.takes_tokens} tokens it takes; start Ollama with"
            " OLLAMA_CONTEXT_LENGTH=16384 for more"
        )


async def ask_ollama(base_url: str, name: str) -> OllamaModel | None:
    """What the server says of a model; None where it is no Ollama, or does not say it in time."""
    parts = urlsplit(base_url)
    root = f"{parts.scheme}://{parts.netloc}"
    try:
        async with httpx2.AsyncClient(timeout=ASK_S, trust_env=False, follow_redirects=False) as client:
            shown = await client.post(f"{root}/api/show", json={"model": name})
            if shown.status_code != 200:
                return None
            running = await client.get(f"{root}/api/ps")
            return read_model(name, shown.json(), running.json() if running.status_code == 200 else {})
    except (httpx2.HTTPError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def read_model(name: str, shown: Any, running: Any) -> OllamaModel:
    """A model by what `/api/show` says of it and `/api/ps` of those that are loaded.

    Raises:
        AttributeError, TypeError: these are none.
    """
    loaded = [m.get("context_length") for m in running.get("models") or () if name in (m.get("name"), m.get("model"))]
    own = re.search(r"^num_ctx\s+(\d{1,8})\s*$", str(shown.get("parameters") or ""), re.MULTILINE)
    given = next((n for n in loaded if isinstance(n, int) and n > 0), int(own[1]) if own else DEFAULT_CONTEXT_TOKENS)
    info = shown.get("model_info") or {}
    takes = next((n for key, n in info.items() if key.endswith(".context_length") and isinstance(n, int)), 0)
    size = _SIZE.match(str((shown.get("details") or {}).get("parameter_size") or ""))
    billions = float(size[1]) / (1.0 if size[2] in "Bb" else 1000.0) if size else 0.0
    able = shown.get("capabilities")
    sees, tools = ("vision" in able, "tools" in able) if isinstance(able, list) else (None, None)
    return OllamaModel(given, takes, billions, sees, tools)
