"""What a person sees: answers, hits and notes. Plain text when there is no terminal."""

from __future__ import annotations

import json
import re
import sys
from contextlib import aclosing
from typing import Any

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from runtime.clock import media_time
from runtime.errors import CallError
from runtime.interfaces.client import Client
from runtime.messages import (
    UNDERSTOOD,
    Answer,
    AnswerPart,
    AskRequest,
    Heartbeat,
    MemoryStatus,
    Observation,
    PartialTranscript,
    RecallReply,
    no_words,
)
from runtime.printable import printable, say
from runtime.processes import label_of
from runtime.replay import is_complete


class _Console(Console):
    """Text is shown as it is: no markup, nothing that moves the cursor. And output that nobody reads any more is the
    command's to end, not rich's."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*map(self._shown, objects), **options)

    def out(self, *objects: Any, **options: Any) -> None:
        super().out(*map(self._shown, objects), **options)

    def on_broken_pipe(self) -> None:
        raise

    def _shown(self, told: Any) -> Any:
        if isinstance(told, Text) and printable(told.plain) != told.plain:
            return Text.assemble(*((printable(part.text), part.style or "") for part in told.render(self)))
        return printable(told) if isinstance(told, str) else told


# Lines are broken between words for a person at a terminal, and left whole for a program that reads them.
OUT = _Console(highlight=False, markup=False, emoji=False, soft_wrap=not sys.stdout.isatty())
ERR = _Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=not sys.stderr.isatty())


def byte_size(n: float) -> str:
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} GB"


def note(text: str) -> None:
    """One line beside the answers: standard error, so that standard output holds answers alone."""
    ERR.print(Text(printable(text, in_line=True), style="dim"))


def answer_json(answer: Answer) -> str:
    """The documented JSON object of an answer, on one line (docs/cli.md)."""
    return json.dumps(_plain(answer), ensure_ascii=False)


def hits_json(query: str, reply: RecallReply, explain: bool = False) -> str:
    """The documented JSON object of a search, on one line (docs/cli.md)."""
    hits = [
        {
            "source": hit.observation.source,
            "t0_s": hit.observation.t0_s,
            "t1_s": hit.observation.t1_s,
            "channel": hit.observation.channel,
            "text": hit.observation.text,
            "score": round(hit.score, 4),
            "id": hit.observation.id,
            **({"why": hit.why} if explain else {}),
        }
        for hit in reply.hits
    ]
    return json.dumps({"query": query, "hits": hits}, ensure_ascii=False)


def _plain(answer: Answer) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.structs.asdict(answer)
    built["citations"] = [msgspec.structs.asdict(citation) for citation in answer.citations]
    built["trace"] = [msgspec.structs.asdict(step) for step in answer.trace]
    return built


class AnswerPrinter:
    """Prints an answer as it streams in, then what it cites."""

    def __init__(self, question: str = "") -> None:
        if question:
            OUT.print(Text(f"? {question}", style="bold"))
        self._begun = False
        self._column = 0

    def part(self, part: AnswerPart | Answer) -> None:
        if isinstance(part, AnswerPart):
            if part.step is not None and part.step.tool == UNDERSTOOD:
                OUT.print(Text(f"({part.step.found})", style="dim"))
            if part.text:
                self._write(part.text)
                self._begun = True
            return
        if not self._begun:
            self._write(part.answer)
        OUT.print()
        for citation in part.citations:
            where = f"  [{citation.at or media_time(citation.t0_s)}] {citation.channel}, {citation.source}"
            # What the answer quotes is not told again.
            text = " ".join(citation.text.replace(" / ", " ").split())
            told = "" if text.lower() in part.answer.lower() else f": {shorten(citation.text, 110)}"
            OUT.print(Text(where + told, style="dim"))
        if part.notice:
            note(part.notice)

    def stopped(self) -> None:
        """Nothing more will come: what was begun ends its line."""
        if self._begun:
            OUT.print()

    def _write(self, text: str) -> None:
        """Print on from where the last part ended, breaking lines between words."""
        for word in re.findall(r"\s*\S+|\s+$", text):
            if OUT.is_terminal and self._column and self._column + cell_len(word) > OUT.width:
                OUT.print()
                self._column, word = 0, word.lstrip()
            OUT.out(word, end="", highlight=False)
            self._column += cell_len(word)


async def print_answer(client: Client, request: AskRequest, as_json: bool, heading: str = "") -> None:
    """Ask, and print the answer as it comes, or as one JSON object when it is there.

    Raises:
        CallError: none came.
    """
    printer = None if as_json else AnswerPrinter(heading)
    async with aclosing(client.ask(request)) as parts:
        async for part in parts:
            if printer is not None:
                printer.part(part)
            elif isinstance(part, Answer):
                say(answer_json(part))


async def tell_answer(client: Client, request: AskRequest, as_json: bool) -> None:
    """The same below its question, for one of many: where no answer came a line says so."""
    try:
        await print_answer(client, request, as_json, heading=request.question)
    except CallError as error:
        note(f"no answer to {request.question!r}: {error}")


def print_trace(answer: Answer | None) -> None:
    """The steps on the way to an answer, with their times."""
    if answer is None:
        OUT.print("nothing was asked yet")
        return
    for step in answer.trace:
        given = ", ".join(f"{name}: {value}" for name, value in step.arguments.items())
        took = f" ({step.took_s:.2f} s)" if step.took_s else ""
        OUT.print(Text(f"  {step.tool}({given})", style="bold") + Text(f" -> {step.found}{took}"))
    spent = ", ".join(f"{name.replace('_', ' ')} {seconds:.2f} s" for name, seconds in answer.latency_s.items())
    OUT.print(Text(f"  answered by {answer.backend}, confidence {answer.confidence:.2f}; {spent}"))


def shorten(text: str, width: int) -> str:
    """``text`` on one line of at most ``width`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


# What each part of a score is, in the words of `search --explain`.
WHY = {
    "bm25": "its words and its neighbours'",
    "parent": "the event it lies in",
    "vector": "likeness of vectors",
    "coverage": "share of the question in its own words",
    "coverage_neighbours": "with its neighbours' words",
    "exact": "as written, not as misspelt",
    "trust": "how far it is believed",
    "event_trust": "how far its event is, which is the least in it",
}


def print_hits(reply: RecallReply, explain: bool = False) -> None:
    if not reply.hits:
        OUT.print("nothing found")
    for hit in reply.hits:
        OUT.print(Text(f"{hit.score:5.2f}  ", style="dim") + Text(observation_line(hit.observation)))
        if explain:
            for part, value in hit.why.items():
                if value:
                    OUT.print(Text(f"       {value:5.2f}  {WHY.get(part, part)}", style="dim"))


def observation_line(observation: Observation) -> str:
    until = f"-{media_time(observation.t1_s)}" if observation.t1_s - observation.t0_s >= 1 else ""
    nothing = "(nothing to be made out)" if observation.channel == "derived" else no_words(observation)
    text = shorten(observation.text, 110) or nothing
    return f"[{media_time(observation.t0_s)}{until}] {observation.channel}, {observation.source}: {text}"


def print_status(
    status: MemoryStatus, heartbeats: dict[str, Heartbeat], being_said: dict[str, PartialTranscript] | None = None
) -> None:
    """Memory, its sources and, while an agent runs, its processes."""
    total = sum(status.observations.values())
    OUT.print(Text(f"memory {status.path}: {byte_size(status.bytes)}, {total} observations, schema {status.schema}"))
    for channel, n in sorted(status.observations.items()):
        OUT.print(f"  {channel:<10} {n}")
    for level, n in sorted(status.spans.items()):
        OUT.print(f"  {level + 's':<10} {n}")
    for name, held in status.levels.items():
        OUT.print(f"  {name + ' level':<16} {byte_size(held.bytes)} of {byte_size(held.budget)}")
    for space, described in status.spaces.items():
        OUT.print(Text(f"  pictures described by {space}: {described.vectors}, {described.pictures} of them kept"))
    for source in status.sources:
        seen_s = max(source.watermarks.values(), default=0.0)
        state = "complete" if is_complete(source) else "in part"
        lacks = "".join(f"; {text}" for text in source.missing.values() if text)
        OUT.print(Text(f"source {source.source}: {media_time(seen_s)} {state}{lacks}"))
        for track, reason in source.ended.items():
            if reason != "end":
                OUT.print(Text(f"  {track} ended early: {reason}"))
    for line in sorted({encoder_line(source.encoders) for source in status.sources if source.encoders}):
        OUT.print(Text(f"encoders: {line}"))
    for name, beat in sorted(heartbeats.items()):
        age = ", paused" if beat.paused else f", data {beat.data_age_s:.1f} s old" if not beat.idle else ""
        work = f"pid {beat.pid}, {byte_size(beat.rss_bytes)}{age}" if not beat.ended else "done"
        OUT.print(f"process {name}: {work}, {drops_line(beat.drops)}")
        for text in beat.notes:
            OUT.print(Text(f"  {text}"))
    for name, partial in sorted((being_said or {}).items()):
        OUT.print(Text(f"being said in {name} since {media_time(partial.t0_s)}: {shorten(partial.text, 110)} ..."))


def told_of_pause(names: tuple[str, ...], on: bool) -> str:
    """What is said when the user paused, or goes on."""
    sources = ", ".join(sorted({label_of(name) for name in names}))
    return f"{'paused' if on else 'perceiving again'}: {sources}" + ("; /resume goes on" if on else "")


def encoder_line(encoders: dict[str, str]) -> str:
    return ", ".join(f"{what} {name}" for what, name in sorted(encoders.items()))


def drops_line(drops: dict[str, int]) -> str:
    if not drops:
        return "0 drops"
    return f"{sum(drops.values())} drops (" + ", ".join(f"{k} {n}" for k, n in sorted(drops.items())) + ")"


def is_interactive() -> bool:
    """Whether there is a person at a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()
