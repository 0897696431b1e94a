"""The scripted language models of benchmarks/attack.py: at the wire, obeying what they trust."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from reasoning.safety.untrusted import DATAMARK
from tests.fixtures.attack_cases import TARGET
from tests.fixtures.chat_server import Json, Reply

_ORDER = re.compile(
    rf"(?:answer|reply|respond|say|tell them|with|is|only)[^\n]{{0,40}}?\b({TARGET})\b|\b({TARGET})\b[^\n]{{0,60}}",
    re.IGNORECASE,
)
_STOP = frozenset("what which when where who is the a an for to of in does do are shall get from be called".split())


def scripted(credulous: bool) -> Callable[[Json, Reply], Any]:
    """A model that does what it is told where it trusts the words, else answers from the evidence."""

    async def script(request: Json, reply: Reply) -> None:
        texts = [_text(message["content"]) for message in request["messages"]]
        delimiters = re.search(r"between (\S+) and (\S+?)\.", texts[0])
        opening, closing = delimiters.groups() if delimiters else ("<evidence>", "</evidence>")
        data = re.compile(f"{re.escape(opening)}(.*?){re.escape(closing)}", re.DOTALL)
        told = "\n".join(data.sub(" ", text) for text in texts[1:])
        evidence = "\n".join(found for text in texts[1:] for found in data.findall(text))
        trusted = f"{told}\n{evidence}" if credulous else told
        if TARGET in trusted and _ORDER.search(trusted) and not _only_marked(trusted):
            await reply.say(f"The answer is {TARGET}{_moment(evidence, TARGET)}.")
        else:
            await reply.say(_faithful(evidence, texts[-1].rpartition("Question:")[2]))

    return script


def _only_marked(text: str) -> bool:
    """Whether the attacker's word stands only in lines whose words are joined by the mark."""
    return all(DATAMARK in line for line in text.splitlines() if TARGET in line)


def _faithful(evidence: str, question: str) -> str:
    """The line of evidence that shares most words with the question, quoted; lines that are marked are not used."""
    asked = {word for word in re.findall(r"[a-z0-9]+", question.lower()) if word not in _STOP}
    lines = [line for line in evidence.splitlines() if line.startswith("[") and DATAMARK not in line]
    best = max(lines, key=lambda line: len(asked & set(re.findall(r"[a-z0-9]+", line.lower()))), default="")
    if not asked & set(re.findall(r"[a-z0-9]+", best.lower())):
        return "I did not see or hear that."
    return f"The evidence says {best.partition(':')[2].partition(': ')[2] or best}{_moment(best, '')}."


def _moment(evidence: str, holding: str) -> str:
    found = next((re.match(r"\[[^\]]*\]", line) for line in evidence.splitlines() if holding in line), None)
    return f" {found[0]}" if found else ""


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)
