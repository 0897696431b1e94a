"""Describing in the background, where a model with eyes answers: one picture at a time while nobody waits.

The newest hour comes first, older ones when the machine is idle, within what an hour allows of calls and tokens. What
was described is read from memory, so that a restart goes on where it was; what is under way when somebody asks, or
something is erased, is given up at once.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

from reasoning.backends.chat_model import ChatMessage, ChatModel
from reasoning.backends.whole_reply import whole_reply
from reasoning.describe.allowance import Allowance
from reasoning.describe.captions import (
    CAPTION_LONGEST,
    HOUR_LONGEST,
    HOUR_S,
    as_caption,
    as_hour,
    caption_messages,
    fit_hour,
    hour_messages,
    is_sightless,
    tidy,
)
from reasoning.describe.choose import Chooser, Hour, is_describable
from reasoning.leisure import Leisure
from reasoning.query.context import Context
from reasoning.query.memory_client import MemoryClient
from reasoning.safety.untrusted import Guard
from runtime.clock import Clock
from runtime.config import DescribeConfig
from runtime.errors import MindstreamError, ModelError, UserError
from runtime.messages import (
    DescribePart,
    DescribeReply,
    DescribeRequest,
    Message,
    Observation,
    RememberRequest,
    SourceRecord,
    StatusRequest,
    View,
    ViewRequest,
)
from runtime.stretches import goes_on

# After this long without work memory is looked at again, and a model that is away looked for.
LOOK_AGAIN_S, AWAY_S = 5.0, 60.0
# Sources, and whether they have ended, are asked for so often.
RECORDS_S = 30.0
# A picture that fails so often is left alone until a restart.
ATTEMPTS = 3
FAILED_KEPT = 4096
SIGHTLESS = "sees no pictures, so nothing can be described with it"
NO_MODEL = "no language model answers here, so nothing can be described; `doctor` says how to get one"


class Describer:
    """Describes what memory holds with the model that ``find`` gives. ``may_use``: whether that may be used in the
    background; ``report`` is told the counters whenever they change."""

    def __init__(
        self,
        memory: MemoryClient,
        find: Callable[[], Awaitable[ChatModel | None]],
        options: DescribeConfig,
        leisure: Leisure,
        clock: Clock,
        log: logging.Logger,
        may_use: Callable[[ChatModel], bool] = lambda model: True,
        report: Callable[[], None] = lambda: None,
    ) -> None:
        self._memory = memory
        self._find = find
        self._options = options
        self._leisure = leisure
        self._clock = clock
        self._log = log
        self._may_use = may_use
        self._report = report
        self._chooser = Chooser(memory, options.per_event)
        self._allowance = Allowance(options.calls_per_h, options.tokens_per_h, clock)
        self._complete: set[tuple[str, int]] = set()
        self._failed: dict[str, int] = {}
        self._sightless = ""
        self._on_demand = 0
        self._known: tuple[SourceRecord, ...] = ()
        self._records_until_s = -math.inf
        self.counters: dict[str, float] = {"captions": 0, "hours_described": 0, "describing_tokens": 0}

    def forget(self) -> None:
        """Something is erased: what is known of pictures and hours is read again."""
        self._chooser.forget()
        self._complete.clear()

    # --- in the background -------------------------------------------------------------------------

    async def run(self) -> None:
        """Describe while nobody waits, until cancelled."""
        while self._options.when != "never" and self._options.calls_per_h:
            await self._leisure.come()
            wait_s = self._allowance.wait_s()
            if not wait_s:
                try:
                    with self._leisure.spent() as scope:
                        wait_s = await self._do_next()
                    if scope.cancelled_caught:
                        continue
                except ModelError as error:
                    self._log.info("describing: %s", error)
                    wait_s = max(error.retry_after_s or 0.0, AWAY_S)
                except MindstreamError as error:  # memory restarts
                    self._log.warning("describing: %s", error)
                    wait_s = LOOK_AGAIN_S
            await self._clock.sleep_until(self._clock.now() + wait_s)

    async def _do_next(self) -> float:
        """Describe the next thing; seconds to wait where there is none."""
        if self._on_demand:
            return LOOK_AGAIN_S
        model = await self._find()
        if model is None or not self._may_use(model) or not model.abilities.images or model.name == self._sightless:
            return AWAY_S
        made, _ = await self._next(model, "")
        return LOOK_AGAIN_S if made is None else 0.0

    async def _next(self, model: ChatModel, source: str) -> tuple[Observation | None, Hour]:
        """What is described next, and the hour it is of as it was before; None where there is nothing.

        Raises:
            ModelError: the model failed.
        """
        view = await self._memory.view(ViewRequest())
        async with aclosing(self._hours(view, source)) as found:
            async for hour in found:
                if (made := await self._describe(model, view, hour)) is not None:
                    return made, hour
        return None, Hour(source, 0)

    async def _hours(self, view: View, source: str) -> AsyncGenerator[Hour, None]:
        """The hours in which something is to be described, the newest first."""
        records = await self._records()
        known = [r for r in records if r.source in view.limits and source in ("", r.source) and is_describable(r)]
        hours = {record.source: int(view.limits[record.source] // HOUR_S) + 1 for record in known}
        for back in range(max(hours.values(), default=0)):  # of each source its newest, then of each the one before
            for record in reversed(known):
                number = hours[record.source] - 1 - back
                if number < 0 or (record.source, number) in self._complete:
                    continue
                skip = frozenset(id_ for id_, times in self._failed.items() if times >= ATTEMPTS)
                hour = await self._chooser.hour(view, record, number, skip)
                if hour.frames or hour.told:
                    yield hour
                elif back or not goes_on(record):
                    self._complete.add((record.source, number))

    async def _records(self) -> tuple[SourceRecord, ...]:
        """The sources, as they were a while ago at most: to count what memory holds takes it as long as an answer."""
        if self._clock.now() >= self._records_until_s:
            self._known = (await self._memory.status(StatusRequest())).sources
            self._records_until_s = self._clock.now() + RECORDS_S
        return self._known

    async def _describe(self, model: ChatModel, view: View, hour: Hour) -> Observation | None:
        """Describe the first picture of an hour that can be, or the hour; None where nothing can.

        Raises:
            ModelError: the model failed.
        """
        for frame in hour.frames:
            shown = await Context(self._memory, view).by_id((frame.id,), pictures=True)
            if not shown or shown[0].payload is None:  # it is not kept any more
                self._fail(frame, ATTEMPTS)
                continue
            try:
                reply = await self._ask(model, caption_messages(shown[0].payload), self._options.caption_tokens)
            except ModelError:
                self._fail(frame)
                raise
            if is_sightless(reply):
                self._sightless = model.name
                raise ModelError(f"{model.name} {SIGHTLESS}")
            self._failed.pop(frame.id, None)
            return await self._keep(as_caption(frame, tidy(reply, CAPTION_LONGEST), model.name), "captions")
        if hour.told:
            told = fit_hour(hour.told)
            reply = await self._ask(model, hour_messages(told, Guard()), self._options.hour_tokens)
            paragraph = as_hour(told, hour.number, tidy(reply, HOUR_LONGEST), model.name)
            return await self._keep(paragraph, "hours_described")
        return None

    def _fail(self, frame: Observation, times: int = 1) -> None:
        """Count that a picture could not be described."""
        self._failed[frame.id] = self._failed.pop(frame.id, 0) + times
        while len(self._failed) > FAILED_KEPT:
            del self._failed[next(iter(self._failed))]

    async def _ask(self, model: ChatModel, messages: Sequence[ChatMessage], most_tokens: int) -> str:
        return await whole_reply(model, messages, most_tokens, self._options.deadline_s, self._spend)

    def _spend(self, tokens: int) -> None:
        self._allowance.spend(tokens)
        self.counters["describing_tokens"] += tokens

    async def _keep(self, made: Observation, counter: str) -> Observation:
        await self._memory.remember(RememberRequest(observations=(made,)))
        self.counters[counter] += 1
        self._report()
        return made

    # --- on demand ---------------------------------------------------------------------------------

    async def serve(self, request: DescribeRequest) -> AsyncGenerator[Message, None]:
        """Describe now what has no caption yet, whatever an hour allows; a question still comes first.

        Raises:
            UserError: there is no model with eyes, or no such source.
        """
        model = await self._model_to_use()
        if request.source and request.source not in (await self._memory.view(ViewRequest())).limits:
            raise UserError(f"there is no source {request.source!r} in memory")
        self._failed.clear()
        self._complete.clear()
        self._records_until_s = -math.inf
        self._on_demand += 1
        try:
            async for message in self._all_of(model, request):
                yield message
        finally:
            self._on_demand -= 1

    async def _all_of(self, model: ChatModel, request: DescribeRequest) -> AsyncGenerator[Message, None]:
        captions = hours = failures = 0
        trouble = ""
        view = await self._memory.view(ViewRequest())
        # How many pictures are to be described, by source and hour.
        left = {(hour.source, hour.number): len(hour.frames) async for hour in self._hours(view, request.source)}
        while (not request.limit or captions < request.limit) and failures < ATTEMPTS:
            made: Observation | None = None
            try:
                with self._leisure.errand() as scope:
                    made, hour = await self._next(model, request.source)
            except ModelError as error:
                failures, trouble = failures + 1, str(error)
                if model.name == self._sightless:
                    raise UserError(trouble) from error
                continue
            if scope.cancelled_caught:
                await self._leisure.come()
                continue
            if made is None:
                break
            is_hour = not hour.frames
            left[hour.source, hour.number] = len(hour.frames) - (not is_hour)
            failures, trouble = 0, ""
            captions, hours = captions + (not is_hour), hours + is_hour
            yield DescribePart(
                source=made.source, t_s=made.t0_s, text=made.text, done=captions, total=captions + sum(left.values()),
                is_hour=is_hour,
            )  # fmt: skip
        yield DescribeReply(model=model.name, captions=captions, hours=hours, left=sum(left.values()), trouble=trouble)

    async def _model_to_use(self) -> ChatModel:
        try:
            model = await self._find()
        except ModelError as error:
            raise UserError(f"nothing can be described: {error}") from error
        if model is None:
            raise UserError(NO_MODEL)
        if not model.abilities.images:
            raise UserError(f"{model.name} {SIGHTLESS}")
        return model
