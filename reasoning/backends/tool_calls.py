"""Calls of tools as models and their servers write them: in pieces, under one index, as text, in broken JSON."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from reasoning.backends.chat_model import ToolCall
from reasoning.backends.refusals import TooMuch

# No tool takes more than a few hundred characters, and no round asks for more than a handful.
MAX_CALLS, MAX_ARGUMENTS_CHARACTERS = 32, 64 << 10
# Mending looks at a text again and again; no call that is meant is as long.
MENDED_CHARACTERS = 4000
BROKEN_CHARACTERS = 120

_NAMES = ("name", "tool", "tool_name", "function_name", "function", "recipient_name")
_ARGUMENTS = ("arguments", "parameters", "args", "input", "tool_input", "kwargs")
_BEFORE_ARGUMENTS = re.compile(r"[^{}()\w]*(?:(?:json|args|arguments)[^{}()\w]*)?")
_SPECIAL = re.compile(r"<\|[^|<>\n]{1,40}\|>")
_PARAMETER = re.compile(r"<parameter(?:=|\s+name=)\"?(\w+)\"?[^>]*>(.*?)</parameter>", re.DOTALL)
_PAIR = re.compile(r"<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>", re.DOTALL)


class CallPieces:
    """Tool calls put together from the pieces a server streams.

    Some servers leave out the index and send each call whole, some give every call the index 0: a piece belongs to
    the newest call of its index unless it has another id, or a name after arguments that are whole.
    """

    def __init__(self) -> None:
        # [id, name, arguments] of each, and the newest of each index.
        self._calls: list[list[str]] = []
        self._newest: dict[int, list[str]] = {}
        self._characters = 0

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, deltas: Any) -> None:
        """Take in what a piece of a reply says of calls.

        Raises:
            TypeError: it is not in the form of the API.
            TooMuch: no answer needs as many.
        """
        for delta in deltas or ():
            index = len(self._calls) if delta.index is None else delta.index
            if not isinstance(index, int):
                raise TypeError("the index of a call is no number")
            identity = text_of(delta.id)
            function = delta.function
            name = text_of(function.name) if function is not None else ""
            arguments = _written(function.arguments) if function is not None else ""
            parts = self._newest.get(index)
            if parts is None or _is_another(parts, identity, name):
                if len(self._calls) == MAX_CALLS:
                    raise TooMuch(f"over {MAX_CALLS} calls of tools")
                parts = self._newest[index] = ["", "", ""]
                self._calls.append(parts)
            self._characters += len(name) + len(arguments)
            if self._characters > MAX_ARGUMENTS_CHARACTERS:
                raise TooMuch(f"over {MAX_ARGUMENTS_CHARACTERS} characters of arguments")
            parts[0] = identity or parts[0]
            parts[1] += "" if name == parts[1] else name
            parts[2] += arguments

    def complete(self) -> list[ToolCall]:
        """The calls, in the order in which they began; none has the id of another."""
        calls: list[ToolCall] = []
        taken: set[str] = set()
        for number, (identity, name, arguments) in enumerate(self._calls):
            identity = identity if identity and identity not in taken else f"call_{number}"
            taken.add(identity)
            calls.append(ToolCall(identity, name, *read_arguments(arguments)))
        return calls


def _is_another(parts: Sequence[str], identity: str, name: str) -> bool:
    if identity and parts[0] and identity != parts[0]:
        return True
    return bool(name and parts[2]) and _parsed(parts[2]) is not None


def read_arguments(written: str) -> tuple[dict[str, Any], str]:
    """The arguments a model wrote, mended where they are broken; and, where that is in vain, how they begin."""
    if not written.strip():
        return {}, ""
    parsed = _parsed(written)
    if isinstance(parsed, str):  # JSON within JSON
        parsed = _parsed(parsed)
    if parsed is None and len(written) <= MENDED_CHARACTERS:
        parsed = _mended(written)
    return (parsed, "") if isinstance(parsed, dict) else ({}, written[:BROKEN_CHARACTERS])


def calls_in_text(text: str, names: Sequence[str]) -> list[ToolCall]:
    """The calls of tools of these names that a model wrote into its words: as JSON, as XML, or like a function."""
    calls = [call for written in _objects(text) for call in _calls_of(written, names)]
    if not calls:
        calls = list(_named_calls(text, names))
    return [ToolCall(f"call_{number}", call.name, call.arguments) for number, call in enumerate(calls[:MAX_CALLS])]


def text_of(value: object) -> str:
    """A piece of text that a server sent; "" for none.

    Raises:
        TypeError: it is no text.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where text belongs")
    return value


def _written(arguments: object) -> str:
    """Arguments as text; some servers send them as an object."""
    return json.dumps(arguments) if isinstance(arguments, dict) else text_of(arguments)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _mended(text: str) -> Any:
    import json_repair  # few models need it

    try:
        return json_repair.loads(text)
    except (ValueError, RecursionError):
        return None


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The outermost JSON objects in a text, each mended where it is broken."""
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        try:
            found, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            until = re.compile(r"</|<\||\Z").search(text, at)
            end = until.start() if until else len(text)
            found = _mended(text[at:end]) if end - at <= MENDED_CHARACTERS else None
        at = max(end, at + 1)
        for each in found if isinstance(found, list) else (found,):
            if isinstance(each, dict):
                yield each


def _calls_of(written: dict[str, Any], names: Sequence[str]) -> Iterator[ToolCall]:
    """The calls that an object states: itself one, or a list of them."""
    inner = written.get("tool_calls")
    if isinstance(inner, list):
        for each in inner:
            if isinstance(each, dict):
                yield from _calls_of(each, names)
        return
    if isinstance(function := written.get("function"), dict):
        yield from _calls_of(function, names)
        return
    name = next((value for key in _NAMES if isinstance(value := written.get(key), str)), "").rpartition(".")[2]
    if name in names:
        arguments: Any = next((written[key] for key in _ARGUMENTS if key in written), {})
        if isinstance(arguments, str):
            arguments, _ = read_arguments(arguments)
        yield ToolCall("", name, arguments if isinstance(arguments, dict) else {})


def _named_calls(text: str, names: Sequence[str]) -> Iterator[ToolCall]:
    """Calls whose arguments follow the name of the tool."""
    text = _SPECIAL.sub(" ", text)
    found = list(re.finditer(rf"\b({'|'.join(map(re.escape, names))})\b", text)) if names else []
    for name, following in zip(found, [*found[1:], None], strict=False):
        rest = text[name.end() : following.start() if following else len(text)]
        begin = _BEFORE_ARGUMENTS.match(rest)
        after = rest[begin.end() :] if begin else rest
        pairs = {key.strip(): value.strip() for key, value in _PARAMETER.findall(rest) or _PAIR.findall(rest)}
        if pairs:
            yield ToolCall("", name[1], pairs)
        elif after.startswith("{"):
            for arguments in _objects(after):
                yield ToolCall("", name[1], arguments)
                break
        elif after.startswith("(") and (named := _keywords(text[name.start() :])) is not None:
            yield ToolCall("", name[1], named)


def _keywords(text: str) -> dict[str, Any] | None:
    """The arguments of the function call that ``text`` begins with, all of them plain values by name."""
    for close in (at for at, c in enumerate(text[:MENDED_CHARACTERS]) if c == ")"):
        try:
            call = ast.parse(text[: close + 1], mode="eval").body
            if isinstance(call, ast.Call) and not call.args:
                return {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg}
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None
