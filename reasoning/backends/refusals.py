"""What went wrong with a server, from its client's errors: one line each, and whether asking again can help.

Servers agree on status codes at most. What they say in words was collected from vLLM, Ollama, llama.cpp,
`transformers serve` and OpenAI; what fits none of it is told as the server told it.
"""

from __future__ import annotations

import json
import re

import httpx2
import openai

from runtime.addresses import shown, without_credentials
from runtime.errors import ContextTooLong, InputRefused, ModelError, TooManyPictures

# First wait before asking again where the server names none; it doubles.
BACK_OFF_S = 0.5
LONGEST_WAIT_S = 3600.0
_SHOWN = 160
_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|maximum context length|context (?:size|length|window)|"
    r"prompt is too long|too many tokens|reduce the length|exceeds? the (?:available|maximum|model)",
    re.IGNORECASE,
)
_LIMIT = re.compile(r"(?:maximum context length (?:is|of)|context (?:size|length|window)(?: is| of)?)\D{0,12}(\d{3,7})")
_FEWER = re.compile(
    r"(?:at most|only supports?|maximum (?:of|is)|up to|limit(?:ed)? (?:of|to|is)|more than) "
    r"(?P<n>\d{1,2}|an?|one|single)(?: single)? (?:image|picture)|single image|one image|multiple images",
    re.IGNORECASE,
)
_IMAGES = re.compile(r"\b(?:image|images|image_url|vision|multi-?modal|mmproj|picture)\b", re.IGNORECASE)
_TOOLS = re.compile(r"\btools?\b|tool_choice|tool[- ]call|--jinja|function call", re.IGNORECASE)
_REFUSING = (400, 404, 413, 415, 422, 500, 501)


class TooMuch(ValueError):
    """A reply without end: what of it is too much, in a few words."""


class EventOfError(ValueError):
    """The server says in the middle of a stream that it failed: in its own words."""


# What a client meets in a reply that is none, of ours and of the libraries below it.
UNREADABLE = (openai.OpenAIError, httpx2.HTTPError, ValueError, TypeError, AttributeError, LookupError, RecursionError)


def explain(error: Exception, base_url: str, model: str) -> ModelError:
    """The error as one of ours. ``retry_after_s`` is set where asking again can help."""
    where = f"the server at {shown(base_url)}"
    if too_much := next((e for e in (error, error.__cause__) if isinstance(e, TooMuch)), None):
        return ModelError(f"{where} sends more than an answer can be: {too_much}")
    if isinstance(error, openai.APIStatusError):
        return _explain_status(error, where, model)
    if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException):
        return ModelError(f"{where} is too slow: it was silent for longer than reasoning.model.quiet_s")
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__
        broke = cause is not None and "Connect" not in type(cause).__name__
        return ModelError(f"{where} {'dropped the connection' if broke else 'does not answer'}", BACK_OFF_S)
    if isinstance(error, httpx2.HTTPError):
        return ModelError(f"{where} dropped the connection", BACK_OFF_S)
    if isinstance(error, openai.APIResponseValidationError):
        return ModelError(f"{where} sent what is no answer", BACK_OFF_S)
    if isinstance(error, openai.APIError | EventOfError):  # in the middle of a stream
        said = _in_json(str(error.message if isinstance(error, openai.APIError) else error))
        return _by_words(said, where) or ModelError(f"{where} failed: {_short(said)}", BACK_OFF_S)
    # What a library says of it is of no use to whoever asked.
    no_json = isinstance(error, ValueError) and not isinstance(error, UnicodeError)
    kind = "it is no JSON" if no_json else "it is not in the form of OpenAI's API"
    return ModelError(f"{where} sent what is no answer: {kind}", BACK_OFF_S)


def _in_json(said: str) -> str:
    """The message in an error object."""
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        return said
    inner = found.get("error", found) if isinstance(found, dict) else found
    return str(inner.get("message", said)) if isinstance(inner, dict) else str(inner)


def _explain_status(error: openai.APIStatusError, where: str, model: str) -> ModelError:
    status, said = error.status_code, str(error.message)
    if 300 <= status < 400:
        return ModelError(f"{where} sends on to another address, which is not followed; name that in base_url")
    if status in (401, 403):
        return ModelError(f"{where} refuses the key; set OPENAI_API_KEY to one it takes")
    if status == 402 or "insufficient_quota" in said:
        return ModelError(f"{where} wants to be paid first: {_short(said)}")
    if status == 429:
        wait_s = _retry_after_s(error)
        return ModelError(f"{where} limits how often it may be asked", BACK_OFF_S if wait_s is None else wait_s)
    if status in _REFUSING and (problem := _by_words(said, where)):
        return problem
    if status == 404:
        return ModelError(f"{where} has no model {model!r}" if model else f"{where} speaks no OpenAI API (404)")
    if status >= 500 or status in (408, 409):
        wait_s = _retry_after_s(error)
        return ModelError(f"{where} failed ({status}): {_short(said)}", BACK_OFF_S if wait_s is None else wait_s)
    return ModelError(f"{where} refuses the question ({status}): {_short(said)}")


def _by_words(said: str, where: str) -> ModelError | None:
    if _TOO_LONG.search(said):
        limit = _LIMIT.search(said.lower())
        return ContextTooLong(
            f"the question with its evidence is too long for {where}", int(limit[1]) if limit else None
        )
    if fewer := _FEWER.search(said):
        most = int(fewer["n"]) if (fewer["n"] or "").isdigit() else 1
        if most:
            return TooManyPictures(f"{where} takes no more than {most} picture{'s' * (most > 1)} at once", most)
    if _IMAGES.search(said):
        return InputRefused(f"{where} takes no pictures", "images")
    if _TOOLS.search(said):
        return InputRefused(f"{where} offers its model no tools", "tools")
    return None


def _retry_after_s(error: openai.APIStatusError) -> float | None:
    """Seconds the server asks to wait (RFC 9110, 10.2.3); a date counts as not said."""
    try:
        return min(LONGEST_WAIT_S, max(0.0, float(error.response.headers.get("retry-after", ""))))
    except ValueError:
        return None


def _short(text: str) -> str:
    line = " ".join(text[: 4 * _SHOWN].split())
    line = without_credentials(line)
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
