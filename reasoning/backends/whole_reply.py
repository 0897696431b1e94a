"""A model's reply in one piece, for what asks it beside the answers: captions, and looks for standing queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing

import anyio

from reasoning.backends.chat_model import ChatMessage, ChatModel, Finish, Picture
from runtime.errors import ModelError


async def whole_reply(
    model: ChatModel,
    messages: Sequence[ChatMessage],
    most_tokens: int,
    deadline_s: float,
    spent: Callable[[int], None] = lambda tokens: None,
) -> str:
    """What the model says, up to ``most_tokens``. ``spent`` is told how many tokens were read and written, by estimate,
    also where the reply was given up half-way.

    Raises:
        ModelError: it failed, or took longer than ``deadline_s``.
    """
    reply = ""
    try:
        with anyio.fail_after(deadline_s):
            async with aclosing(model.stream(messages, (), most_tokens)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Finish):
                        break
                    reply += piece if isinstance(piece, str) else ""
    except TimeoutError:
        raise ModelError(f"{model.name} did not reply within {deadline_s:g} s") from None
    finally:
        parts = [part for message in messages for part in message.content]
        read = (model.count_picture(p.jpeg) if isinstance(p, Picture) else model.count_tokens(p) for p in parts)
        spent(sum(read) + model.count_tokens(reply))
    return reply
