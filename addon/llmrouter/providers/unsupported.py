"""Which member of a request an error calls unsupported, so that the target is not asked so again.

Texts are those of the provider reference, sections 2.3, 3.1 to 3.9 and 5.3, 2026-11-23. Only a member counts that was
sent and is named as a whole: what is wrong inside `tools` or with one value says nothing about the rest.
"""

import re
from collections.abc import Mapping

from llmrouter.providers.error_bodies import Told

_SAYS_SO = re.compile(
    r"unsupported[_ ](?:parameter|value|argument|field|param)"
    r"|extra (?:inputs|fields) (?:are )?not permitted|extra_forbidden|additional properties are not allowed"
    r"|(?:unknown|unrecognized|unexpected) (?:request )?(?:parameter|field|name|argument|keyword|key|property)"
    r"|unexpected keyword argument|unknown_parameter|unknown variant"
    r"|(?:is|are) (?:currently )?(?:not supported|unsupported|deprecated|not allowed|not permitted|not available)"
    r"|(?:does not|doesn't|do not|not) support",
    re.IGNORECASE,
)
_ABOUT_VALUES = re.compile(r"schema|too (?:large|small|long|many)|must be (?:between|less|greater|at)", re.IGNORECASE)
_NEVER = frozenset({"messages", "model", "stream"})
"""Without these there is no request; who refuses one refuses something in it."""

_PROSE = frozenset(
    {"audio", "metadata", "modalities", "moderation", "n", "prediction", "seed", "stop", "store", "user", "verbosity"}
)
"""Names that are words, too: in a text they count only within quotes."""


def named_member(told: Told, members: Mapping[str, str]) -> str | None:
    """The call's member that the error calls unsupported; None where it names none.

    `members` are the names that were sent, and the call's members that they stand for.
    """
    if not members or not _SAYS_SO.search(told.words) or _ABOUT_VALUES.search(told.message):
        return None
    name = told.param if told.param in members else None if told.param else _in_text(told.message, members)
    return None if name is None or members[name] in _NEVER else members[name]


def _in_text(text: str, members: Mapping[str, str]) -> str | None:
    """The first of the names that stands in the text, outside longer names."""
    found: dict[int, str] = {}
    for name in members.keys() - _NEVER:
        quote = "[`'\"]" if name in _PROSE else ""
        if match := re.search(rf"(?<![\w.\-]){quote}{re.escape(name)}{quote}(?![\w\-]|\.\w|\[)", text):
            found.setdefault(match.start(), name)
    return found[min(found)] if found else None
