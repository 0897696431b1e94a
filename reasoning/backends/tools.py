"""The tools a model may use on memory: search, look, listen, timeline, count.

All of them only read, and through the View of the question, so that nothing of its future is found and
nothing can be harmed by a call that should not have been made. What they find is data like all evidence:
quoted, between the delimiters of the question.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec import Struct

from reasoning.answer.draft import all_cited, mark
from reasoning.answer.extract import ExtractiveBackend
from reasoning.backends.chat_model import Picture, ToolCall
from reasoning.backends.evidence import doubt, moment, observation_line
from reasoning.query.context import Context
from reasoning.query.evicted import span_text, why_no_picture
from reasoning.safety.untrusted import Guard, clean
from reasoning.understand.grammar import parse_question
from runtime.clock import media_time
from runtime.messages import Channel, Observation

FOUND_LIMIT = 8
# What is counted is either covered or not.
ABSTAIN_BELOW = 0.5
LINES_LIMIT = 40
# One result may not fill a small model's context.
RESULT_CHARACTERS = 4000
LINE_CHARACTERS = 300
# A picture further from the moment asked for is only the nearest that is left.
SAME_MOMENT_S = 1.0
NO_PICTURE = "The picture itself is no longer kept."
_CHANNELS: dict[str, tuple[Channel, ...]] = {name: (name,) for name in ("speech", "text", "object", "sound", "frame")}


class ToolResult(Struct, frozen=True):
    """What a tool found. ``text`` is for the model, with ``pictures`` after it; ``shown`` may be cited from now on;
    ``found`` says it in a few words for the trace."""

    text: str
    found: str
    shown: tuple[Observation, ...] = ()
    pictures: tuple[Picture, ...] = ()


class BadArguments(Exception):
    """A call whose arguments cannot be used; the message tells the model why."""


class Toolbox:
    """The tools of one question. ``with_pictures``: the model can look at them."""

    def __init__(self, context: Context, guard: Guard, with_pictures: bool) -> None:
        self._context = context
        self._guard = guard
        self._with_pictures = with_pictures
        self._named = len(context.view.limits) > 1
        self._tools: dict[str, Callable[[dict[str, Any]], Awaitable[ToolResult]]] = {
            "search": self._search,
            "look": self._look,
            "listen": self._listen,
            "timeline": self._timeline,
            "count": self._count,
        }

    async def use(self, call: ToolCall) -> ToolResult:
        """The result of a call; a bad call gets a line that says what is wrong with it."""
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
        hits = await self._window(arguments).recall(text[:300], _CHANNELS.get(str(channel), ()))
        return self._lines([hit.observation for hit in hits[:FOUND_LIMIT]])

    async def _look(self, arguments: dict[str, Any]) -> ToolResult:
        t_s = _time(arguments, "time")
        if t_s is None:
            raise BadArguments('"time" is missing')
        if t_s > self._context.view.as_of_s:
            raise BadArguments(f"that is not over yet; it is {media_time(self._context.view.as_of_s)}")
        frame = await self._context.frame_at(t_s)
        if frame is None:
            why = await why_no_picture(self._context, t_s)
            return ToolResult(why or "There is no picture of that time.", "no picture")
        visible = await self._context.by_id(frame.evidence)
        told = self._lines([frame, *visible])
        pictures = (Picture(frame.payload),) if frame.payload and self._with_pictures else ()
        lost = "" if frame.payload else NO_PICTURE
        if lost or abs(frame.t0_s - t_s) > SAME_MOMENT_S:
            lost = await why_no_picture(self._context, t_s) or lost
        return ToolResult(f"{told.text}\n{lost}".strip(), f"the picture of {mark(frame.t0_s)}", told.shown, pictures)

    async def _listen(self, arguments: dict[str, Any]) -> ToolResult:
        context = self._window(arguments)
        if context.t0_s is None or context.t1_s is None:
            raise BadArguments('"from" and "to" are needed')
        return self._lines(await context.scan("speech", "sound", "gap", limit=LINES_LIMIT))

    async def _timeline(self, arguments: dict[str, Any]) -> ToolResult:
        context = self._window(arguments)
        spans = await context.spans("event", LINES_LIMIT + 1)
        if len(spans) > LINES_LIMIT:
            spans = await context.spans("episode", LINES_LIMIT)
        lines = [
            f"[{moment(span.t0_s, span.source if self._named else '')}] until {media_time(span.t1_s)}: "
            f"{self._guard.quote(span_text(span), LINE_CHARACTERS)}{doubt(span.trust)}"
            for span in spans
        ]
        # A span is no observation: what may be cited of it is its keyframe.
        keyframes = await context.by_id(span.keyframe for span in spans if span.keyframe)
        return ToolResult(self._enclose(lines), f"{len(lines)} stretches of time", keyframes)

    async def _count(self, arguments: dict[str, Any]) -> ToolResult:
        what = clean(str(arguments.get("what", "")), 100).strip(" ?.")
        if not what:
            raise BadArguments('"what" is missing')
        now = datetime.datetime.fromtimestamp(self._context.now_wall_s).astimezone()
        frame = parse_question(f"How many {re.sub('^(?:how many|number of) ', '', what)} are there?", now)
        draft = await ExtractiveBackend(ABSTAIN_BELOW).draft(frame, self._window(arguments))
        told = self._enclose([claim.text for claim in draft.claims])
        return ToolResult(told, clean(draft.text, 80), all_cited(draft.claims))

    def _window(self, arguments: dict[str, Any]) -> Context:
        t0_s, t1_s = _time(arguments, "from"), _time(arguments, "to")
        if t0_s is not None and t1_s is not None and t0_s > t1_s:
            raise BadArguments('"from" is after "to"')
        return self._context if t0_s is None and t1_s is None else self._context.within(t0_s, t1_s)

    def _lines(self, observations: Sequence[Observation]) -> ToolResult:
        """The observations as evidence, in the order given."""
        lines = [observation_line(o, self._guard, self._named, LINE_CHARACTERS) for o in observations]
        fitting = [line for i, line in enumerate(lines) if sum(map(len, lines[: i + 1])) <= RESULT_CHARACTERS]
        shown = tuple(observations[: len(fitting)])
        return ToolResult(self._enclose(fitting), f"{len(shown)} observations" if shown else "nothing", shown)

    def _enclose(self, lines: Sequence[str]) -> str:
        return self._guard.enclose(*lines) if lines else "Nothing was found."


def _time(arguments: dict[str, Any], name: str) -> float | None:
    """Seconds of a moment as models write it: "12:31", "[1:02:03]", 72, "72", "72 s"; None where there is none."""
    value = arguments.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadArguments(f'"{name}" is no moment')
    found = re.fullmatch(
        r"\s*\[?(?:(\d{1,3}):)?(?:(\d{1,3}):)?(\d{1,7}(?:\.\d+)?)\]?\s*(?:s|sec|seconds)?\s*", str(value)
    )
    if not found:
        raise BadArguments(f'"{name}" is no moment like "12:31"')
    first, second, seconds = found.groups()
    if second is None:
        return int(first or 0) * 60 + float(seconds)
    return int(first) * 3600 + int(second) * 60 + float(seconds)
