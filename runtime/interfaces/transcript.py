"""What was said as a transcript: plain text, SubRip, WebVTT or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal, get_args

from runtime.clock import media_time
from runtime.messages import Observation, SpeechFacts, no_words

Format = Literal["txt", "srt", "vtt", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)
MEDIA_TYPES: dict[Format, str] = {
    "txt": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "json": "application/json",
}


def transcript(said: Sequence[Observation], form: Format, from_s: float = 0.0) -> str:
    """Utterances as a file of ``form``, which ends with a line break. ``from_s``: the media second its clock begins at,
    where it goes with a clip that begins there.
    """
    if form == "json":
        lines = [
            {
                "source": o.source, "t0_s": o.t0_s, "t1_s": o.t1_s, "text": o.text, "id": o.id,
                "words": o.facts(SpeechFacts).words, "confidence": o.facts(SpeechFacts).confidence,
            }
            for o in said
        ]  # fmt: skip
        return json.dumps({"utterances": lines}, ensure_ascii=False) + "\n"
    if form == "txt":
        several = len({o.source for o in said}) > 1
        return "".join(
            f"[{media_time(o.t0_s)}] {f'{o.source}: ' if several else ''}{_on_one_line(o.text) or no_words(o)}\n"
            for o in said
        )
    # Subtitles show only what was understood.
    cues = [o for o in said if o.text.strip() and o.t1_s > from_s]
    mark = "," if form == "srt" else "."
    blocks = [] if form == "srt" else ["WEBVTT\n"]
    for number, o in enumerate(cues, 1):
        head = f"{number}\n" if form == "srt" else ""
        begin, end = (_stamp(max(0.0, t_s - from_s), mark) for t_s in (o.t0_s, max(o.t1_s, o.t0_s + 0.5)))
        text = _on_one_line(o.text)
        if form == "vtt":  # a tag or an arrow in what was said is text
            text = text.replace("&", "&amp;").replace("<", "&lt;").replace("-->", "--&gt;")
        blocks.append(f"{head}{begin} --> {end}\n{text}\n")
    return "\n".join(blocks)


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _stamp(t_s: float, mark: str) -> str:
    ms = round(t_s * 1000)
    return f"{ms // 3600000:02d}:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d}{mark}{ms % 1000:03d}"
