"""How a site, its subjects and its stream are called, and what its sources and ids are called among those of others.

Of many memories seen as one a source is `SITE/SOURCE` and an id `SITE/ID`; what has no site is of conversations.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from runtime.errors import UserError
from runtime.messages import Observation, Span

# What crosses between machines: another number is another language. Version 1: of 2026-12.
PROTOCOL = 1
SITE_MAX = 24
_SITE = re.compile(rf"[a-z0-9][a-z0-9-]{{0,{SITE_MAX - 1}}}")
# Names that mean something else in subjects.
_TAKEN = ("hub", "mind")
MIRROR_PREFIX = "mirror"


def checked_site(name: str) -> str:
    """``name`` as the name of a site.

    Raises:
        UserError: it is none.
    """
    if not _SITE.fullmatch(name) or name in _TAKEN:
        raise UserError(
            f"{name!r} is no name of a site; use up to {SITE_MAX} small letters, digits and dashes, not {_TAKEN[0]!r}"
        )
    return name


def stream_name(site: str) -> str:
    return f"MIND_{site}"


def log_subjects(site: str) -> str:
    """All that is in the stream of a site."""
    return f"mind.{site}.log.>"


def observation_subject(site: str, seq: int, digest: str) -> str:
    """Of one observation as memory holds it: its number and its digest."""
    return f"mind.{site}.log.o.{seq}.{digest}"


def picture_subject(site: str, seq: int, digest: str) -> str:
    return f"mind.{site}.log.p.{seq}.{digest}"


def state_subject(site: str) -> str:
    """What is known beside the observations: one message, the newest."""
    return f"mind.{site}.log.state"


def seq_of(subject: str) -> int:
    """The number in the subject of an observation or a picture; 0 of others."""
    parts = subject.split(".")
    return int(parts[4]) if len(parts) == 6 and parts[4].isdigit() else 0


def call_subject(site: str) -> str:
    return f"mind.{site}.call"


def stored_subject(site: str) -> str:
    """Where a site tells of what it has stored: heard while there is a link, else not missed."""
    return f"mind.{site}.stored"


def hello_subject(site: str) -> str:
    """Where a site asks whether the hub is there, and is answered."""
    return f"mind.{site}.hello"


# --- among those of others --------------------------------------------------------------------------


def split(name: str, sites: Iterable[str]) -> tuple[str, str]:
    """The site of a source or an id, and what it is called there; ("", name) where it is of none of ``sites``."""
    site, slash, own = name.partition("/")
    return (site, own) if slash and site in sites else ("", name)


def joined(site: str, name: str) -> str:
    return f"{site}/{name}" if name else ""


def observed_at(site: str, o: Observation) -> Observation:
    """An observation of a site as it is known among those of others."""
    return msgspec.structs.replace(
        o, id=joined(site, o.id), source=joined(site, o.source), evidence=tuple(joined(site, id_) for id_ in o.evidence)
    )


def span_at(site: str, span: Span) -> Span:
    return msgspec.structs.replace(
        span,
        id=joined(site, span.id),
        source=joined(site, span.source),
        parent=joined(site, span.parent),
        keyframe=joined(site, span.keyframe),
    )


def limits_at(site: str, limits: Mapping[str, float]) -> dict[str, float]:
    """Of the limits of all, those of a site's sources by their own names."""
    before = f"{site}/"
    return {name.removeprefix(before): limit_s for name, limit_s in limits.items() if name.startswith(before)}
