"""What an answer that is no use says it has used: it is paid for all the same."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from llmrouter.brands.dialect import Dialect
from llmrouter.providers.anthropic.answer import usage_of as of_anthropic
from llmrouter.providers.gemini.answer import usage_of as of_gemini
from llmrouter.providers.openai_compatible.usage import usage_in
from llmrouter.replies import Usage


def usage_told(body: bytes, dialect: Dialect) -> Usage | None:
    """The usage in an answer's or an error's JSON, whatever else is wrong with it; None where it tells none."""
    if b"usage" not in body:
        return None
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, dict):
        return None
    readers: tuple[Callable[[Mapping[str, Any]], Usage | None], ...] = (
        lambda told: usage_in(told, dialect),
        lambda told: of_gemini(dict(told)),
        lambda told: of_anthropic(told.get("usage")),
    )
    return next((usage for read in readers if (usage := read(fields)) is not None), None)
