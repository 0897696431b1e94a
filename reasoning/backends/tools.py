"""The tools a model may use on memory: search, listen, timeline, count, and those that look (`looking.py`).

All of them only read, and through the View of the question, so that nothing of its future is found and
nothing can be harmed by a call that should not have been made. What they find is data like all evidence:
quoted, between the delimiters of the question, each with a bracket of its own.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Awaitable, Callable
from typing import Any

from reasoning.answer.draft import all_cited
from reasoning.answer.extract import ExtractiveBackend
from reasoning.backends import prompts
from reasoning.backends.brackets import Brackets
from reasoning.backends.chat_model import ToolCall
from reasoning.backends.gather import fold, is_of_world
from reasoning.backends.looking import Looking
from reasoning.backends.told import beside_pictures, span_line, uncoloured
from reasoning.backends.tool_results import BadArguments, ToolResult, enclose, lines_of, time_in
from reasoning.query.context import Context
from reasoning.safety.untrusted import Guard, clean
from reasoning.understand.grammar import parse_question
from runtime.clock import media_time
from runtime.messages import EVIDENCE_CHANNELS, Channel

FOUND_LIMIT = 8
# What is counted is either covered or not.
ABSTAIN_BELOW = 0.5
LINES_LIMIT = 40
_CHANNELS: dict[str, tuple[Channel, ...]] = {name: (name,) for name in ("speech", "text", "object", "sound", "frame")}


class Toolbox:
    """The tools of one question. ``sees``: the model can look at pictures."""

    def __init__(self, context: Context, guard: Guard, brackets: Brackets, sees: bool) -> None:
        self._context = context
        self._guard = guard
        self._brackets = brackets
        self._sees = sees
        self._channels = tuple(c for c in EVIDENCE_CHANNELS if c != "frame") if sees else ()
        looking = Looking(context, guard, brackets, sees)
        self._tools: dict[str, Callable[[dict[str, Any]], Awaitable[ToolResult]]] = {
            "search": self._search,
            "look": looking.look,
            **({"zoom": looking.zoom, "compare": looking.compare} if sees else {}),
            "listen": self._listen,
            "timeline": self._timeline,
            "count": self._count,
        }

    async def use(self, call: ToolCall) -> ToolResult:
        """The result of a call; a bad call gets a line that says what is wrong with it."""
        if call.broken:
            return ToolResult(prompts.BROKEN_CALL.format(broken=clean(call.broken, 120)), "a call that cannot be read")
        tool = self._tools.get(call.name)
        if tool is None:
            return ToolResult(f"There is no such tool; there is {', '.join(self._tools)}.", "no such tool")
        try:
            return await tool(call.arguments)
        except BadArguments as error:
            return ToolResult(f"{call.name}: {error}", str(error))

    async def _search(self, arguments: dict[str, Any]) -> ToolResult:
        text = str(arguments.get("text", "")).strip()
        if not text:
            raise BadArguments('"text" is missing')
        channel = arguments.get("channel")
        if channel and channel not in _CHANNELS:
            raise BadArguments(f'"channel" is one of {", ".join(_CHANNELS)}')
        channels = _CHANNELS.get(str(channel), self._channels)
        hits = await self._window(arguments).recall(text[:300], channels, 2 * FOUND_LIMIT)
        found_here = [hit.observation for hit in hits if is_of_world(hit.observation)]
        told = [uncoloured(o) if self._sees else o for o in found_here]
        found, again = fold(told, {hit.observation.id: hit.score for hit in hits})
        found.sort(key=lambda o: next(-hit.score for hit in hits if hit.observation.id == o.id))
        return lines_of(found[:FOUND_LIMIT], self._guard, self._brackets, again)

    async def _listen(self, arguments: dict[str, Any]) -> ToolResult:
        context = self._window(arguments)
        if context.t0_s is None or context.t1_s is None:
            raise BadArguments('"from" and "to" are needed')
        heard = await context.scan("speech", "sound", "gap", limit=LINES_LIMIT)
        return lines_of(heard, self._guard, self._brackets)

    async def _timeline(self, arguments: dict[str, Any]) -> ToolResult:
        context = self._window(arguments)
        spans = await context.spans("event", LINES_LIMIT + 1)
        if len(spans) > LINES_LIMIT:
            spans = await context.spans("episode", LINES_LIMIT)
        if self._sees:
            spans = tuple(beside_pictures(spans))
        # A span is no observation: what may be cited of it is its keyframe.
        keyframes = {o.id: o for o in await context.by_id(span.keyframe for span in spans if span.keyframe)}
        lines = []
        for span in spans:
            keyframe = keyframes.get(span.keyframe)
            bracket = self._brackets.of(keyframe) if keyframe else media_time(span.t0_s)
            lines.append(span_line(span, self._guard, bracket))
        return ToolResult(enclose(self._guard, lines), f"{len(lines)} stretches of time")

    async def _count(self, arguments: dict[str, Any]) -> ToolResult:
        what = clean(str(arguments.get("what", "")), 100).strip(" ?.")
        if not what:
            raise BadArguments('"what" is missing')
        now = datetime.datetime.fromtimestamp(self._context.now_wall_s).astimezone()
        frame = parse_question(f"How many {re.sub('^(?:how many|number of) ', '', what)} are there?", now)
        draft = await ExtractiveBackend(ABSTAIN_BELOW).draft(frame, self._window(arguments))
        self._brackets.add(all_cited(draft.claims))
        return ToolResult(enclose(self._guard, [claim.text for claim in draft.claims]), clean(draft.text, 80))

    def _window(self, arguments: dict[str, Any]) -> Context:
        t0_s, t1_s = time_in(arguments, "from"), time_in(arguments, "to")
        if t0_s is not None and t1_s is not None and t0_s > t1_s:
            raise BadArguments('"from" is after "to"')
        return self._context if t0_s is None and t1_s is None else self._context.within(t0_s, t1_s)
