"""What was said as a transcript: plain text, SubRip, WebVTT or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

from runtime.clock import media_time
from runtime.messages import Observation, SpeechFacts, SpokenWord, no_words

Format = Literal["txt", "srt", "vtt", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)
MEDIA_TYPES: dict[Format, str] = {
    "txt": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "json": "application/json",
}
# Two lines of subtitles as television has them (EBU-TT-D, Netflix: 42 letters a line); a sentence shorter than the
# second goes on with the next.
CUE_LETTERS, SENTENCE_LETTERS, PAUSE_S = 84, 20, 1.0


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
    cues = [cue for o in said if o.text.strip() for cue in _cues(o) if cue[1] > from_s]
    mark = "," if form == "srt" else "."
    blocks = [] if form == "srt" else ["WEBVTT\n"]
    for number, (t0_s, t1_s, text) in enumerate(cues, 1):
        head = f"{number}\n" if form == "srt" else ""
        begin, end = (_stamp(max(0.0, t_s - from_s), mark) for t_s in (t0_s, max(t1_s, t0_s + 0.5)))
        if form == "vtt":  # a tag or an arrow in what was said is text
            text = text.replace("&", "&amp;").replace("<", "&lt;").replace("-->", "--&gt;")
        blocks.append(f"{head}{begin} --> {end}\n{text}\n")
    return "\n".join(blocks)


def _cues(o: Observation) -> Iterator[tuple[float, float, str]]:
    """(t0_s, t1_s, text) of an utterance's subtitles: as much as is read at a glance, sentences apart where they are
    long enough, each from its first word to its last."""
    text, words = _on_one_line(o.text), o.facts(SpeechFacts).words
    if len(text) <= CUE_LETTERS or _on_one_line(" ".join(word.text for word in words)) != text:
        yield o.t0_s, o.t1_s, text
        return
    cue: list[SpokenWord] = []
    for word in words:
        so_far = " ".join(w.text for w in cue)
        if cue and (
            len(so_far) + 1 + len(word.text) > CUE_LETTERS
            or (len(so_far) >= SENTENCE_LETTERS and so_far[-1] in ".?!")
            or word.t0_s - cue[-1].t1_s >= PAUSE_S
        ):
            yield cue[0].t0_s, cue[-1].t1_s, so_far
            cue = []
        cue.append(word)
    yield cue[0].t0_s, cue[-1].t1_s, " ".join(w.text for w in cue)


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _stamp(t_s: float, mark: str) -> str:
    ms = round(t_s * 1000)
    return f"{ms // 3600000:02d}:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d}{mark}{ms % 1000:03d}"
