"""The words in which OpenAI would tell a refusal, for errors that the client gets to see.

Provider reference, sections 2.3, 3.4, 3.16 and 9.6, 2026-11-23.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from llmrouter.providers.error_bodies import Told

REFUSAL = "invalid_request_error"
"""The type of what is wrong with a request; all words for it that are not OpenAI's become this one."""

_TYPES = frozenset({REFUSAL, "image_generation_user_error", "insufficient_quota", "permission_error"})
_TYPE_BY_STATUS: Mapping[int, str] = MappingProxyType({403: "permission_error"})

_CODE = re.compile(r"[a-z]{1,30}(?:_[a-z0-9]{1,30}){0,6}")
_CODES: Mapping[str, str] = MappingProxyType(
    {
        "ResponsibleAIPolicyViolation": "content_filter",
        "content_policy_violation": "content_policy_violation",
        "enum": "invalid_value",
        "extra_forbidden": "unknown_parameter",
        "flagged_input": "content_policy_violation",
        "greater_than": "invalid_value",
        "greater_than_equal": "invalid_value",
        "image_too_large": "image_too_large",
        "image_too_small": "image_too_small",
        "invalid_prompt": "invalid_prompt",
        "less_than": "invalid_value",
        "less_than_equal": "invalid_value",
        "literal_error": "invalid_value",
        "missing": "missing_required_parameter",
        "model_not_found": "model_not_found",
        "payload_too_large": "request_too_large",
        "request_too_large": "request_too_large",
        "string_too_long": "string_above_max_length",
        "string_too_short": "string_below_min_length",
        "unsupported_image_format": "unsupported_image_media_type",
    }
)
"""Codes, types and reasons, and OpenAI's code for the same thing."""

_VALIDATOR = re.compile(r"(?:bool|dict|float|int|list|string)_(?:type|parsing)")
_UNSUPPORTED = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter"})


def type_of(told: Told, status: int | None) -> str:
    """OpenAI's type for an error that refuses a request."""
    if told.type in _TYPES:
        return told.type
    return _TYPE_BY_STATUS.get(status or 0, REFUSAL)


def code_of(told: Told) -> str | None:
    """OpenAI's code for it, the provider's own where it might be one of OpenAI's; None for numbers and kinds."""
    for word in (*told.codes, *told.texts[1:]):
        if (known := _CODES.get(word)) is not None:
            return known
        if _VALIDATOR.fullmatch(word):
            return "invalid_type"
    code = told.code
    return code if code is not None and code not in _TYPES and _CODE.fullmatch(code) else None


def unsupported_code_of(told: Told) -> str:
    """OpenAI's code for a member that is not supported: the provider's own where it is one of OpenAI's."""
    return told.code if told.code in _UNSUPPORTED else "unsupported_parameter"
