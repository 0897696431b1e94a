"""What a language model is to the back ends: messages in, streamed parts out; tools, images, cancelling.

One Protocol for a server and for a model in this process. A message's content is text and pictures in the
order they are read. A model says what it can take as far as it knows: a server tells some of it, and the
rest is learned from what it refuses.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

Role = Literal["system", "user", "assistant", "tool"]


class Picture(Struct, frozen=True):
    """A JPEG as it lies in memory."""

    jpeg: bytes


class ToolCall(Struct, frozen=True):
    """The model asks for a tool. ``arguments`` are as it wrote them: parsed JSON, nothing checked yet.

    ``broken``: how its arguments begin, where they could not be read at all.
    """

    id: str
    name: str
    arguments: dict[str, Any]
    broken: str = ""


class ChatMessage(Struct, frozen=True):
    """One message. ``calls`` are an assistant's; ``answers`` is the id of the call a tool's result belongs to."""

    role: Role
    content: tuple[str | Picture, ...]
    calls: tuple[ToolCall, ...] = ()
    answers: str = ""

    @property
    def text(self) -> str:
        return "".join(part for part in self.content if isinstance(part, str))


class Tool(Struct, frozen=True):
    """A tool the model may call. ``parameters`` is a JSON schema of its arguments."""

    name: str
    description: str
    parameters: dict[str, Any]


class Finish(Struct, frozen=True):
    """The end of one reply: said all, out of room for more (``max_tokens``), or waiting for tools.

    ``thought``: it thought aloud, which took tokens of the reply and is no part of what was said.
    """

    reason: Literal["stop", "length", "tools"]
    thought: bool = False


class Abilities(Struct, frozen=True):
    """What a model takes, as far as is known.

    context_tokens  prompt and reply together.
    most_images     pictures it takes at once; 0 where that is not known.
    thinks          it has been seen to think aloud, which takes tokens of its replies.
    billions        of its parameters; 0 where that is not known.
    schema          its replies can be held to a JSON schema.
    """

    context_tokens: int
    images: bool
    tools: bool
    most_images: int = 0
    thinks: bool = False
    billions: float = 0.0
    schema: bool = False


class ChatModel(Protocol):
    """A model that chats. Cancelled by closing the generator or cancelling the task that iterates it."""

    name: str

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine, so that what it is shown stays here."""
        ...

    @property
    def abilities(self) -> Abilities:
        """What it takes; may change with what it refused."""
        ...

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text``: by the model's own tokenizer, else an estimate that errs upward."""
        ...

    def count_picture(self, jpeg: bytes) -> int:
        """Tokens of a picture, about."""
        ...

    def stream(
        self,
        messages: Sequence[ChatMessage],
        tools: Sequence[Tool],
        max_tokens: int,
        schema: dict[str, Any] | None = None,
    ) -> AsyncGenerator[str | ToolCall | Finish, None]:
        """The reply as it is made: pieces of text and calls of tools, then one `Finish`.

        Only what it says is given: its thinking aloud is left out, calls it wrote as text are calls. ``schema``: of
        the JSON object that the reply has to be, where ``abilities`` say that it can be held to one.

        Raises:
            ModelError: no reply, or it broke off; one line says why. `ContextTooLong` and `InputRefused`
                say what to leave out, and ``abilities`` tells it from then on.
        """
        ...
