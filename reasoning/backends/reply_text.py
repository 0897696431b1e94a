"""What a model writes, sorted as it streams: the words of its answer, its thinking aloud, calls of tools as text.

Models mark these in many ways, and servers pass on what they do not know. Some chat templates open the thinking
themselves, so that a reply has only its end: everything before such a lone `</think>` is thinking. So the words of a
model that has not yet shown how it writes are held back until its reply ends.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from reasoning.backends.chat_model import ToolCall
from reasoning.backends.tool_calls import BROKEN_CHARACTERS, calls_in_text

_THOUGHT = r"(?:think(?:ing)?|thoughts?|thought_process|reason(?:ing)?|reflection|analysis|scratchpad|seed:think)"
_MARKER = re.compile(
    rf"""
    (?P<open><\s*{_THOUGHT}\b[^<>\n]*>|\[THINK\]|◁think▷|<\|begin_of_thought\|>|<\|channel\|>\s*(?:analysis|thought))
    |(?P<close></\s*{_THOUGHT}\s*>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>|<\|channel\|>\s*final|<\|begin_of_solution\|>
        |<(?:final_?)?(?:answer|response)>)
    |(?P<call><\|?tool_?calls?\|?>|<\|?function_?calls?\|?>|<function=|<invoke\b|<\|python_tag\|>|\[TOOL_CALLS?\]
        |functools\[|<｜tool▁calls?▁begin｜>|<\|channel\|>\s*commentary|```tool_(?:calls?|code))
    |(?P<strip></(?:final_?)?(?:answer|response)>|<\|(?!channel\|)[^|<>\n]{{1,40}}\|>|</?s>)
    """,
    re.IGNORECASE | re.VERBOSE,
)
# The end of what is here may be the begin of a marker.
_HALF = re.compile(
    r"(?:[<\[◁`][^<>\[\]▷\n]{0,40}|f(?:u(?:n(?:c(?:t(?:o(?:o(?:l(?:s)?)?)?)?)?)?)?)?|<\|channel\|>\w*)\Z"
)
# A reply that begins like this may be a call of a tool and nothing else.
_MAY_BE_CALL = re.compile(r"\s*(?:\{|\[\s*\{|```)")


class ReplyText:
    """One reply. ``holds``: nothing is certain to be said before the reply ends or its thinking does.

    tools   names of the tools that were offered.
    thought whether some of it was thinking aloud; ``is_thinking``: it still is.
    lone    whether its thinking had an end and no begin.
    """

    def __init__(self, holds: bool, tools: Sequence[str] = ()) -> None:
        self.thought = False
        self.is_thinking = False
        self.lone = False
        self._holds = holds
        self._tools = tuple(tools)
        self._raw = ""
        self._held = ""
        self._call: str | None = None
        self._begun = False
        self._like_call = re.compile(
            rf"\s*\[?\s*(?:{'|'.join(map(re.escape, self._tools))})\s*\(" if self._tools else r"(?!)"
        )

    def feed(self, text: str) -> str:
        """What is certain to be said after ``text``."""
        if self._call is not None:
            self._call += text
            return ""
        self._raw += text
        if not self._begun and not self._begins_with_words():
            return ""
        said = ""
        while found := _MARKER.search(self._raw):
            before, self._raw = self._raw[: found.start()], self._raw[found.end() :]
            if found["open"]:
                said += "" if self.is_thinking else before
                self.thought = self.is_thinking = True
            elif found["close"]:
                if not self.is_thinking:
                    self.lone = self.lone or found[0].startswith(("</", "[/"))
                    said = self._held = ""
                self.thought, self.is_thinking = self.thought or found[0].startswith(("</", "[/")), False
                self._holds = False
            elif not self.is_thinking:
                said += before
                if found["call"] and self._tools:
                    self._call, self._raw = found[0] + self._raw, ""
                    break
        said += self._certain()
        if not self._holds:
            said, self._held = self._held + said, ""
            return said
        self._held += said
        return ""

    def end(self) -> tuple[str, list[ToolCall]]:
        """What is said besides, and the calls of tools that were written as text.

        What was marked as a call and cannot be read is a call of no name: whoever runs it tells the model so.
        """
        said, self._held = self._held, ""
        if self.is_thinking:
            return said, []
        if self._begun and self._call is None:
            return said + self._raw, []
        written = self._raw if self._call is None else self._call
        if calls := calls_in_text(written, self._tools) if self._tools else []:
            return said, calls
        if marker := _MARKER.match(written):
            broken = written[marker.end() :].strip()[:BROKEN_CHARACTERS]
            return said, [ToolCall("call_0", "", {}, broken or written[:BROKEN_CHARACTERS])]
        return said + written, []

    def _begins_with_words(self) -> bool:
        """Whether enough is here to tell that the reply begins with words, and not with a call."""
        begin = self._raw.lstrip()
        if begin in ("", "`", "``", "["):
            return False
        if self._tools and (_MAY_BE_CALL.match(begin) or self._like_call.match(begin)):
            if not _MARKER.match(begin):
                self._call, self._raw, self._begun = self._raw, "", True
                return False
        elif self._tools and any(f"{name}(".startswith(begin.lstrip("[ ")) for name in self._tools):
            return False
        self._begun = True
        return True

    def _certain(self) -> str:
        """What of the words that are here can be no part of a marker; none while it thinks."""
        half = _HALF.search(self._raw)
        at = half.start() if half else len(self._raw)
        said, self._raw = self._raw[:at], self._raw[at:]
        return "" if self.is_thinking else said
