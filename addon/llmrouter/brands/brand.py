"""What a row of the brand table is."""

from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from llmrouter.brands.dialect import Dialect


class Offer(StrEnum):
    """An endpoint that a brand has, named as OpenAI names it; MESSAGES is Anthropic's."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    RESPONSES = "responses"
    MODELS = "models"
    MESSAGES = "messages"


@dataclass(frozen=True, slots=True)
class ModelRule:
    """In what models of these names (globs) differ from their brand's dialect: its fields with other values."""

    models: tuple[str, ...]
    changes: dict[str, Any]


def where(*models: str, **changes: Any) -> ModelRule:
    """A rule for models of these names (globs), with fields of `Dialect`."""
    return ModelRule(models, changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """One company's or server's row.

    `base_url` is None where only the user knows it; `{NAME}` in it stands for an environment variable. `key_env` is the
    usual environment variable of its key, None where there is no usual one. `key_header` carries the key (after
    `Bearer` in `authorization`), `headers` are sent with every request. `rules` are applied in order, so that a
    later one has the last word. `forwards_responses` tells that its Responses are whole: where they are a beta, or made
    of a chat by the server, the router does that itself. `hosts_tools` tells that it runs OpenAI's own tools. `source`
    says where the facts stand and when they were read.
    """

    name: str
    base_url: str | None
    key_env: str | None
    dialect: Dialect
    source: str
    key_required: bool = True
    key_header: str = "authorization"
    headers: tuple[tuple[str, str], ...] = ()
    endpoints: tuple[Offer, ...] = (Offer.CHAT, Offer.MODELS)
    rules: tuple[ModelRule, ...] = ()
    forwards_responses: bool = False
    hosts_tools: bool = False

    def dialect_for(self, model: str) -> Dialect:
        """How this model of the brand wants to be spoken to."""
        name = model.lower()
        dialect = self.dialect
        for rule in self.rules:
            if any(fnmatchcase(name, glob) for glob in rule.models):
                dialect = replace(dialect, **rule.changes)
        return dialect
