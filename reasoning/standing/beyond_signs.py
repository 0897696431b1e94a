"""Which conditions no sign tells all of, so that a model with eyes has to look. Pure."""

from __future__ import annotations

import msgspec

from reasoning.query.known import Known
from reasoning.standing.conditions import GOING, NO_WORD, Condition
from reasoning.standing.unsupported import why_unsupported
from runtime.language import lexicon
from runtime.language.normalise import words
from runtime.language.stem import stem


def with_eyes(condition: Condition, known: Known) -> Condition:
    """The condition for who has a model that sees: what no sign tells all of is also looked at now and then.

    No sign does where there is none; where a thing, or what it does, goes by no name that is recognised; and where
    somebody does something with a thing ("someone leaves a bag").
    """
    if not condition.signs:
        refused = why_unsupported(condition.text) or condition.unsupported == NO_WORD
        return condition if refused else msgspec.structs.replace(condition, signs=("look",), unsupported="")
    named = all(known.recognises(name) for name in condition.names or condition.beyond)
    if not condition.beyond or (named and not _has_object(condition)):
        return condition
    return msgspec.structs.replace(condition, signs=(*condition.signs, "look"))


def _has_object(condition: Condition) -> bool:
    """Whether what is named stands after what is done: it is not what comes or goes itself."""
    said = [stem(w) for w in words(condition.text)]
    does = [p.start for p in lexicon.PREDICATES.find(said) if p.value in GOING]
    named = [said.index(stem(w)) for w in condition.beyond if stem(w) in said]
    return bool(does and named) and min(named) > max(does)
