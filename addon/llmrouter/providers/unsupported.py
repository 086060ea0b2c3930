"""Which member of a request an error calls unsupported, so that the target is not asked so again.

Sentences are those of the provider reference, sections 2.3, 3 and 5.3, 2026-11-23. Only a member counts that was sent
and is named as a whole: what is wrong with one message, one tool or one value says nothing about the rest. Every
repetition in a pattern is bounded, so that a search takes linear time.
"""

import re
from collections.abc import Iterator, Mapping

from llmrouter.brands.members import DISPENSABLE
from llmrouter.providers.error_bodies import Told

_LONGEST_TEXT = 400
"""What comes later in a message may be a quotation of the prompt."""

_NEVER = frozenset({"messages", "model", "stream"})
"""Without these there is no request; who refuses one refuses something in it."""

_PROSE = frozenset(
    {"audio", "metadata", "modalities", "moderation", "n", "prediction", "seed", "stop", "store", "user", "verbosity"}
)
"""Names that are words, too: in a text they count only within quotes, or where the text says that they are names."""

_CODES = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter"})
_CODES_OF_VALUES = re.compile(
    r"invalid_(?:value|type|json|function|schema)|_(?:above|below)_|^missing|too_(?:long|large)"
)
_VALUES = re.compile(
    r"\bschema\b|too (?:large|small|long|many)|out of range|must be (?:between|less|greater|at)", re.IGNORECASE
)
_ITEM = re.compile(r"\b(?:messages|contents|input|tools|system)(?:\[|\.)\d", re.IGNORECASE)

_ALIASES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(rf"\b(?:{words})\b", re.IGNORECASE), member)
    for words, member in (
        (r"parallel (?:tool|function) call(?:s|ing)", "parallel_tool_calls"),
        (r"(?:\"auto\" )?tool choice requires", "tools requires"),
        (r"tool[ -]choice", "tool_choice"),
        (r"tool (?:use|calling|calls)|function[ -]call(?:s|ing)|function tools", "tools"),
        (r"response[ -]formats?|json[ -]mode|structured outputs?", "response_format"),
        (r"reasoning efforts?", "reasoning_effort"),
        (r"log[ -]probabilities", "logprobs"),
        (r"stop sequences?", "stop"),
        (r"web search", "web_search_options"),
        (r"penalty", "frequency_penalty, presence_penalty"),
    )
)
"""Ways in which prose speaks of members."""

_PLAIN = r"[A-Za-z_][\w.\[\]-]{0,79}"
_NAME = rf"(?:[`'\"]{{1,2}}{_PLAIN}[`'\"]{{1,2}}|(?<![\w.'\"`-]){_PLAIN})"
_LIST = rf"(?P<names>{_NAME}(?:(?:, | and |, and ){_NAME}){{0,9}})"
_NOUN = r"(?:parameter|param|argument|field|property|option|key|name|input|member)"
_NOT_SUPPORTED = (
    r"(?:not (?:yet |currently )?(?:supported|available|enabled)|unsupported|deprecated|no longer supported"
    r"|not (?:allowed|permitted)(?! to))"
)
_VALUE = r"(?:[=: ]{1,3}(?:(?:of )?(?:type|value) )?[`'\"][\w.-]{1,40}[`'\"])?"


def _sentence(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


_CALLED_NAMES = (
    _sentence(
        rf"(?:unsupported|unknown|unrecognized|unexpected)(?: request)?(?: keyword)? {_NOUN}(?:s|\(s\))?"
        rf"(?: supplied| found| specified)?:? {_LIST}(?: at '(?P<place>[\w.\[\]]{{1,80}})')?"
    ),
    _sentence(rf"{_LIST}(?:: |\n\s{{0,8}})extra (?:inputs|fields) (?:are )?not permitted"),
    _sentence(rf"^{_LIST}: (?:this|the) model does(?: not|n't) support"),
    _sentence(rf"extra (?:inputs|fields) (?:are )?not permitted, field: {_LIST}"),
    _sentence(rf"^\[?\{{'type': 'extra_forbidden', 'loc': \('body', {_LIST}\)"),
    _sentence(rf"(?:properties|fields) are not allowed \({_LIST} (?:was|were) unexpected\)(?! - )"),
    _sentence(rf"not supported (?:on|by|for|with) [^:.\n]{{1,60}}: {_LIST}"),
    _sentence(rf"{_NOUN} {_LIST} (?:is|are) {_NOT_SUPPORTED}"),
    _sentence(rf"{_LIST} {_NOUN}s? (?:is|are) {_NOT_SUPPORTED}"),
    _sentence(rf"(?:not|n't|cannot) (?:support|accept|take|allow) (?:the |request )?{_NOUN}s?:? {_LIST}"),
    _sentence(rf"(?:not|n't|cannot) (?:support|accept|take|allow) (?:the )?{_LIST} {_NOUN}"),
    _sentence(rf"{_LIST} param requires --"),
)
"""Sentences in which the names are surely meant as names."""

_MAY_BE_PROSE = (
    _sentence(rf"unsupported value: {_LIST} does not support"),
    _sentence(rf"{_LIST}{_VALUE} (?:is|are) {_NOT_SUPPORTED}"),
    _sentence(rf"(?:not|n't|cannot) (?:currently )?(?:support|accept|take|allow) (?:the |use of |using )?{_LIST}"),
    _sentence(rf"{_LIST} does(?: not|n't) support"),
    _sentence(rf"no endpoints found that support {_LIST}"),
    _sentence(rf"{_LIST} type is unavailable"),
    _sentence(rf"{_LIST} requires --"),
)
"""Sentences whose names may as well be words."""

_CONDITION = _sentence(
    r"\b(?:when|while|together|combined|combination|streaming|stream|custom)\b|at the same time|for this request"
    r"|\bwith (?!(?:this |the |that )?(?:model|endpoint|provider)\b)"
)
"""Words of a complaint about a member in some company, not about the member."""

_SAYS_SO = _sentence(rf"{_NOT_SUPPORTED}|(?:not|n't) support|extra (?:inputs|fields)|(?:unknown|unrecognized) ")
_WRAPPERS = frozenset({"body", "request", "params", "generationconfig", "chatcompletionrequest"})


def named_member(told: Told, members: Mapping[str, str]) -> str | None:
    """The call's member that the error calls unsupported; None where it names none.

    `members` are the names that were sent, and the call's members that they stand for. A name inside one of them, as
    `output_config.effort`, stands for the longest that is known. A member that cannot be done without must be refused
    as such, and neither one value of it nor together with something else: the target would be left out for nothing.
    """
    member = _named(told, members)
    if member is None or member in DISPENSABLE:
        return member
    text = told.message[:_LONGEST_TEXT]
    is_partial = _CONDITION.search(text) or re.search(rf"\b{re.escape(member)}\b[`'\"]?[:= ]{{0,2}}[`'\"]\w", text)
    return None if is_partial else member


def _named(told: Told, members: Mapping[str, str]) -> str | None:
    known = _Known(members)
    if told.extra:
        return next((member for place in told.extra if (member := known.member(place))), None)
    if any(_CODES_OF_VALUES.search(code) for code in told.codes) or _VALUES.search(told.message):
        return None
    if told.param:
        is_meant = not _CODES.isdisjoint(told.codes) or _SAYS_SO.search(told.message)
        return known.member(told.param) if is_meant else None
    return next((member for text in told.texts if (member := _in_text(text, known))), None)


class _Known:
    """The names that were sent, however they are spelt: xAI's errors write `presencePenalty`."""

    def __init__(self, members: Mapping[str, str]) -> None:
        self._by_name = {_plain(member): member for member in members.values()}
        self._by_name |= {_plain(name): member for name, member in members.items()}

    def member(self, name: str) -> str | None:
        """The call's member of this name; None for what is no name, and for one item of a list."""
        parts = _plain(name.replace("[", ".").replace("]", "")).split(".")
        while len(parts) > 1 and parts[0] in _WRAPPERS:
            del parts[0]
        if any(part.isdecimal() for part in parts):
            return None
        places = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
        places += [".".join(parts[start:]) for start in range(1, len(parts))]
        member: str | None = next((self._by_name[place] for place in places if place in self._by_name), None)
        return None if member in _NEVER else member


def _plain(name: str) -> str:
    return name.strip("`'\" .").replace("_", "").lower()


def _in_text(text: str, known: _Known) -> str | None:
    """The first member of which the text says that it is not supported."""
    text = text[:_LONGEST_TEXT]
    if _ITEM.search(text):
        return None
    for words, member in _ALIASES:
        text = words.sub(member, text)
    return next((found for name in _names(text) if (found := known.member(name))), None)


def _names(text: str) -> Iterator[str]:
    for sentence in _CALLED_NAMES:
        for found in sentence.finditer(text):
            place = found.groupdict().get("place")
            yield from (f"{place}.{_plain(name)}" if place else name for name in _split(found["names"]))
    for sentence in _MAY_BE_PROSE:
        for found in sentence.finditer(text):
            yield from (name for name in _split(found["names"]) if name not in _PROSE)


def _split(names: str) -> list[str]:
    return re.split(r", and | and |, ", names)
