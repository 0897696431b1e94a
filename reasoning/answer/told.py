"""What has been told of an answer while it is made, and the answer it comes to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from reasoning.answer.citations import cite
from reasoning.answer.draft import Verdict
from runtime.language.lists import join
from runtime.messages import Answer, AnswerPart, AskRequest, Observation, TraceStep, View
from runtime.moments import Moments, label

UNSUPPORTED = "I cannot support an answer with anything I remember."


class Told:
    """What has been told of an answer. ``since_s`` gives the seconds since the question."""

    def __init__(self, tell: Callable[[AnswerPart], None], since_s: Callable[[], float]) -> None:
        self.cited: dict[str, Observation] = {}
        self.latency_s: dict[str, float] = {}
        self.verdict = Verdict(0.0, abstained=True)
        self._tell = tell
        self._since_s = since_s
        self._said: list[str] = []
        self._trace: list[TraceStep] = []

    def step(self, step: TraceStep) -> None:
        self._trace.append(step)
        self._tell(AnswerPart(text="", step=step))

    def say(self, text: str, cites: Sequence[Observation] = ()) -> None:
        text = text if not self._said or text.startswith("\n") else f" {text}"
        self._tell(AnswerPart(text=text))
        self._said.append(text)
        self.cited.update((o.id, o) for o in cites)
        self.latency_s.setdefault("first_part", self._since_s())

    def say_away(self, away: Mapping[str, str]) -> None:
        """Name the sites that could not be asked, and why."""
        if away:
            if not self._said:
                self.say(UNSUPPORTED)
            self.say(f"Without {join(f'{site}, which {why}' for site, why in away.items())}.")

    def answer(self, request: AskRequest, in_full: str, view: View, backend: str, moments: Moments) -> Answer:
        """The whole; one that nothing was said of says so."""
        if not self._said:
            self.say(UNSUPPORTED)
            self.verdict = Verdict(0.0, True, self.verdict.backend, self.verdict.notice)
        total_s = self._since_s()
        took_s = {name: self.latency_s.get(name, total_s) for name in ("recall", "first_part", "total")}
        return Answer(
            question=request.question,
            answer="".join(self._said),
            abstained=self.verdict.abstained,
            as_of_s=max([view.as_of_s, *(o.t1_s for o in self.cited.values() if o.source == view.source)]),
            citations=tuple(
                msgspec.structs.replace(c, at=moments.mark(self.cited[c.id])) for c in cite(self.cited.values())
            ),
            latency_s={name: round(seconds, 4) for name, seconds in took_s.items()},
            backend=self.verdict.backend or backend,
            confidence=round(self.verdict.confidence, 4),
            trace=tuple(self._trace),
            notice=self.verdict.notice,
            understood=in_full,
        )


def name_source(text: str, cites: Sequence[Observation], moments: Moments) -> str:
    """``text`` with the recording it is of, where there are several; of a live source its moments say which."""
    sources = {o.source for o in cites}
    if not moments.several or len(sources) != 1 or moments.is_live(name := sources.pop()) or label(name) in text:
        return text
    return re.sub(r"([.!?]?)$", rf" (in {label(name)})\1", text, count=1)
