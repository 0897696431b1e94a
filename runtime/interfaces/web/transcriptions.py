"""The route that makes words of an uploaded sound file, in the shapes OpenAI's clients know."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

import anyio
import msgspec
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from runtime.errors import MediaError, UserError
from runtime.interfaces.transcript import MEDIA_TYPES, transcript
from runtime.interfaces.web.api import Endpoint, as_json
from runtime.interfaces.web.served import Served
from runtime.messages import Observation
from runtime.processes import TRANSCRIBE

FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
# The recogniser has one core's worth of work in one file; the next waits.
_ONE_AT_A_TIME = anyio.CapacityLimiter(1)


async def transcribe(served: Served, request: Request) -> Response:
    """The words of a sound file, by the agent's recogniser."""
    async with request.form(max_files=1, max_fields=32, max_part_size=1 << 20) as form:
        file = form.get("file")
        form_of = str(form.get("response_format") or "json")
        if not isinstance(file, UploadFile):
            raise UserError("the form has no part 'file'")
        if form_of not in FORMATS:
            raise UserError(f"there is no response_format {form_of!r}; it is {', '.join(FORMATS)}")
        if str(form.get("stream") or "").lower() == "true":
            raise UserError("transcriptions come whole; leave out stream")
        suffix = Path(file.filename or "").suffix[:8]
        with tempfile.NamedTemporaryFile(dir=served.scratch, suffix=suffix if suffix.isascii() else "") as kept:
            while data := await file.read(1 << 20):
                kept.write(data)
            kept.flush()
            language = str(form.get("language") or served.config.perception.hearing.language)
            found = await _words_of(served, Path(kept.name), language)
    spoken = [u for u in found.utterances if u.text]
    text = " ".join(u.text for u in spoken)
    if form_of in ("srt", "vtt"):
        said = [Observation(id="", source="", channel="speech", t0_s=u.t0_s, t1_s=u.t1_s, text=u.text) for u in spoken]
        shape: Any = form_of
        return Response(transcript(said, shape), media_type=MEDIA_TYPES[shape])
    if form_of == "text":
        return Response(text + "\n", media_type="text/plain; charset=utf-8")
    if form_of == "json":
        return as_json({"text": text})
    segments = [
        {"id": n, "start": u.t0_s, "end": u.t1_s, "text": u.text, "confidence": u.confidence}
        for n, u in enumerate(spoken)
    ]
    words = [{"word": w.text, "start": w.t0_s, "end": w.t1_s} for u in spoken for w in u.words]
    language = next((u.language for u in spoken if u.language), "")
    return as_json(
        {
            "task": "transcribe", "language": language, "duration": found.duration_s, "text": text,
            "segments": segments, "words": words, "engine": found.engine,
        }
    )  # fmt: skip


async def _words_of(served: Served, path: Path, language: str) -> Any:
    """What is said in a file.

    Raises:
        UserError: it is no sound file; its name is not told, which is one of ours.
    """
    hearing = msgspec.structs.replace(served.config.perception.hearing, language=language)
    async with _ONE_AT_A_TIME:
        try:
            return await importlib.import_module(TRANSCRIBE).transcribe_file(path, hearing)
        except MediaError as error:
            raise UserError(f"the file: {str(error).removeprefix(f'{path}: ')}") from None


ENDPOINTS = (
    Endpoint(
        method="POST", path="/v1/audio/transcriptions", about="The words of a sound file (multipart form: file, "
        "response_format, language)", handle=transcribe, group="openai", reply=dict[str, Any],
    ),
)  # fmt: skip
