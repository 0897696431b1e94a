"""The brackets of a question's evidence: what a model copies to cite, each of one observation and of no other.

A bracket is a moment, `[2:05]`, told apart where several things lie in one second (`[2:05.4]`); or a number, `[3]`,
for small models, which copy numbers better than times. What a model writes is resolved to what it was shown: a moment
of anything else is a guess, even where something happens to have been observed at that second.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from reasoning.answer.draft import Claim, mark
from reasoning.query.rows import unique
from runtime.clock import media_time
from runtime.language.lexicon import STOP_WORDS
from runtime.language.normalise import words
from runtime.language.stem import stem
from runtime.messages import Observation

# What a model writes for a mark: [0:12], (0:12), 【0:12】, [0:12-0:15], [0:12, 1:40], [talk.mp4 0:12], [0:12†source].
_TIME = re.compile(r"(?:(\d{1,2}):)?(\d{1,3}):(\d{2})(?:\.\d+(?:[a-z]|\d*)?)?")
_WRITTEN = re.compile(
    r"[\[【]([^\[\]【】\n]{0,80}?\d:\d{2}[^\[\]【】\n]{0,40})[\]】]|\((\d{1,3}:\d{2}(?::\d{2})?(?:\.\d+[a-z]?)?)\)"
)
# [3], [1, 4], [2-5], [line 3], 【3】
_NUMBERS = re.compile(
    r"[\[【]\s*(?:(?:lines?|evidence|pictures?|no\.?|#)\s*)?(\d{1,3}(?:\s*(?:,|;|and|&|[-–—]|to)\s*#?\d{1,3})*)(?:†[^\]】]*)?\s*[\]】]"
)
_NUMBER_AND_TIME = re.compile(r"[\[【]\s*(\d{1,3})\s*(?:[\]】]\s*\(\d{1,3}:\d{2}(?::\d{2})?\)|\(\d[\d:]*\)\s*[\]】])")
_AGAIN = re.compile(r"(\[[^\[\]]+\])(?:\s*\1)+")


class Brackets:
    """``named``: a moment needs its source beside it, as there are several; ``numbered``: they are numbers."""

    def __init__(self, named: bool = False, numbered: bool = False) -> None:
        self.numbered = numbered
        self._named = named
        self._by_label: dict[str, Observation] = {}
        self._labels: dict[str, str] = {}

    @property
    def shown(self) -> tuple[Observation, ...]:
        """What has a bracket, and may be cited."""
        return tuple(self._by_label.values())

    def __contains__(self, o: Observation) -> bool:
        return o.id in self._labels

    def of(self, o: Observation) -> str:
        """What stands between the brackets of ``o``; the same each time."""
        self.add((o,))
        return self._labels[o.id]

    def time_of(self, o: Observation) -> str:
        """When it was, to stand behind a number; "" where the bracket says so itself."""
        return f" ({moment(o.t0_s, o.source if self._named else '')})" if self.numbered else ""

    def add(self, observations: Iterable[Observation]) -> None:
        """These may be cited, too. Of several in one second none is called by that second alone."""
        new = {o.id: o for o in observations if o.id not in self._labels}
        shared = Counter(self._second(o) for o in new.values())
        for o in new.values():
            label = str(len(self._by_label) + 1) if self.numbered else self._moment(o, shared[self._second(o)] > 1)
            self._labels[o.id], self._by_label[label] = label, o

    def _second(self, o: Observation) -> str:
        return moment(o.t0_s, o.source if self._named else "")

    def _moment(self, o: Observation, is_shared: bool) -> str:
        plain = self._second(o)
        tenths = f"{plain}.{int(round(o.t0_s % 1, 3) * 10)}"
        lettered = (f"{tenths}{letter}" for letter in "bcdefghijklmnopqrstuvwxyz")
        labels = (*(() if is_shared else (plain,)), tenths, *lettered)
        return next((label for label in labels if label not in self._by_label), f"{tenths}{len(self._by_label)}")

    def _exact(self, label: str, asked: frozenset[str]) -> Observation | None:
        """What has this bracket; of a second in which something else has come to light since, what fits ``asked``."""
        exact = self._by_label.get(label)
        if exact is None or self._second(exact) != label:
            return exact
        beside = [o for o in self.shown if self._second(o) == label]
        return max(beside, key=lambda o: (len(asked & _content(o.text)), o.id == exact.id))

    def claim(self, sentence: str) -> Claim:
        """The sentence with its marks written as ours are, resting on what they name.

        Of several things at a moment that is no bracket, the one whose words the sentence shares is meant. A mark that
        names nothing stays in the text, for `check_claim` to strike and count.
        """
        cites: list[Observation] = []
        asked = _content(sentence)

        def at(t_s: int, source: str) -> Observation | None:
            near = [
                o
                for o in self.shown
                if int(o.t0_s) <= t_s <= int(o.t1_s) and (not source or o.source.startswith(source))
            ]
            return max(near, key=lambda o: (len(asked & _content(o.text)), -abs(o.t0_s - t_s), o.id), default=None)

        def numbers(found: re.Match[str]) -> str:
            named = [self._by_label.get(n) for n in re.findall(r"\d+", found[1])]
            cites.extend(o for o in named if o)
            return " ".join(mark(o.t0_s) for o in named if o)

        def moments(found: re.Match[str]) -> str:
            inside = (found[1] or found[2]).strip()
            if exact := self._exact(inside, asked):
                cites.append(exact)
                return mark(exact.t0_s)
            # The name of a live source has a time of day in it.
            whole = next((o.source for o in self.shown if o.source in inside), "")
            inside = inside.replace(whole, " ") if whole else inside
            times = list(_TIME.finditer(inside))
            source = whole or re.sub(r"†.*", "", _TIME.sub("", inside)).strip(" ,;-–—")
            if source.lower() in ("", "and", "to", "at", "from", "until", "picture"):
                source = ""
            elif not any(o.source.startswith(source) for o in self.shown):
                return found[0]
            ranged = len(times) == 2 and re.search(r"\d\s*(?:[-–—]|to)\s*\d", inside)
            out = []
            for time in times[:1] if ranged else times:
                t_s = int(time[1] or 0) * 3600 + int(time[2]) * 60 + int(time[3])
                label = f"{source} {time[0]}" if source else time[0]
                if observation := self._exact(label, asked) or at(t_s, source):
                    cites.append(observation)
                    t_s = t_s if int(observation.t0_s) <= t_s <= int(observation.t1_s) else int(observation.t0_s)
                out.append(mark(t_s))
            return " ".join(out)

        if self.numbered:  # "[3 (0:18)]", "[3] (0:18)"
            sentence = _NUMBER_AND_TIME.sub(r"[\1]", sentence)
        text = _WRITTEN.sub(moments, sentence)
        if self.numbered:
            text = _NUMBERS.sub(numbers, text)
        return Claim(_AGAIN.sub(r"\1", text), unique(cites))


def moment(t_s: float, source: str = "") -> str:
    """The time, with the source where there are several."""
    time = media_time(t_s)
    return f"{source} {time}" if source else time


def _content(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in words(text) if word not in STOP_WORDS)
