"""Claims about the world that rest on what a sign says or somebody said are told as that, never as what is so.

Anybody can plant a sign or a sentence; that it was written or said is certain, what it claims is not
(`runtime/trust.py`). So such a claim names its channel, unless a witness that cannot be the same trick agrees. A
question for what was said or written asks for nothing else and is answered with the quotation. Applied to every claim
on its way to the asker, whoever composed it: a model that takes planted words for facts cannot leave it out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from reasoning.understand.frame import Frame
from runtime.messages import Observation
from runtime.trust import WORLD_TRUST, Provenance, is_corroborated, provenance_of

# A sentence that names its channel itself. Looked for outside of quotations, which may say anything.
_ATTRIBUTED = re.compile(
    r"\b(?:heard|said|told me|spoken|spoke|speaks|mention(?:s|ed)?|i read|written|writing|signs?|screen|labels?|"
    r"captions?|described|(?:somebody|someone) says)\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r'"[^"]*"|“[^”]*”')
_SO: dict[Provenance, str] = {
    "read": "so it is written",
    "said": "so somebody said",
    "described": "so a model described the picture",
    "imported": "so an imported memory has it",
}
_SO_SEVERAL = "so it was said or written"


def asks_of_world(frame: Frame) -> bool:
    """Whether the question asks for what is so, rather than for what was said or written."""
    if frame.reduce in ("summary", "now") or frame.about:
        return False
    return not (frame.clause or {"speech", "text"} & set(frame.channels))


def is_hearsay(cites: Sequence[Observation]) -> bool:
    """Whether what is cited is words of others alone, with nothing independent beside them."""
    claims = [o for o in cites if _is_claim(o)]
    return bool(claims) and len(claims) == len(cites) and not is_corroborated(claims)


def attribute(text: str, cites: Sequence[Observation], frame: Frame) -> str:
    """The sentence ``text``, with where it comes from if it rests on hearsay and does not say so itself."""
    if not asks_of_world(frame) or not is_hearsay(cites) or _ATTRIBUTED.search(_QUOTED.sub(" ", text)):
        return text
    provenances = {provenance_of(o) for o in cites}
    so = _SO.get(provenances.pop(), _SO_SEVERAL) if len(provenances) == 1 else _SO_SEVERAL
    return re.sub(r"([.!?]?)$", rf" ({so})\1", text.rstrip(), count=1)


def _is_claim(o: Observation) -> bool:
    provenance = provenance_of(o)
    return provenance in _SO or (provenance == "derived" and o.trust < WORLD_TRUST)
