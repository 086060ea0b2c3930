"""The model index: which model is offered where, under which id; one JSON file, read and written as frozen values.

The file is made by `scripts/build_free_model_catalog.py`, ships with the package (`llmrouter/data/model_index.json`)
and may be fetched from LLMROUTER_MODEL_INDEX_URL. Keys that are not known are ignored, so that a newer file stays
readable; another `version` is refused.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from llmrouter.calls import Need

MAX_BYTES = 8 * 1024 * 1024
"""The largest index that is read; one of every model of twelve providers has under one MiB."""
MOST_MODELS = 10_000
"""The most models that an index may have; one of every model of twelve providers has fewer than half as many."""
_MOST_PROBLEMS = 10
_LONGEST_NAME = 256


class ModelIndexError(Exception):
    """A file that is no model index; the message names every place that is wrong, up to ten."""


def is_name(name: str) -> bool:
    """Whether a model may be called so: signs that cannot be seen, or turn the text around, are in no name."""
    return 0 < len(name) <= _LONGEST_NAME and name.isprintable() and " " not in name


def _check_name(name: str) -> str:
    if not is_name(name):
        raise ValueError(f"a name of 1 to {_LONGEST_NAME} characters without spaces is needed")
    return name


type Name = Annotated[str, Field(strict=True), AfterValidator(_check_name)]
type ProviderName = Annotated[str, Field(strict=True, pattern=r"^[a-z0-9][a-z0-9_]*$")]
type Tokens = Annotated[int, Field(ge=1, le=1_000_000_000, strict=True)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


class ModelOffer(_Frozen):
    """A model at one provider, under the provider's `id`.

    `free`: nothing is taken for it, by the provider's own prices or within its free tier. Windows are in tokens.
    `capabilities` is everything beyond plain chat that the provider says it can do there; None where it does not say.
    """

    provider: ProviderName
    id: Name
    free: Annotated[bool, Field(strict=True)]
    context_window: Tokens | None = None
    max_output_tokens: Tokens | None = None
    capabilities: tuple[Need, ...] | None = None


class IndexedModel(_Frozen):
    """A model under its canonical name, the other names that ask for it, and who offers it.

    `context_window` is the largest and `capabilities` the union of what its providers tell; None where none does.
    `quality` is a rough rank from 0 to 1, by the rule in `llmrouter.discovery.quality`.
    """

    name: Name
    aliases: tuple[Name, ...] = ()
    context_window: Tokens | None = None
    capabilities: tuple[Need, ...] | None = None
    quality: Annotated[float, Field(ge=0, le=1)] | None = None
    offers: Annotated[tuple[ModelOffer, ...], Field(min_length=1)]

    def offer_of(self, provider: str) -> ModelOffer | None:
        """What a provider offers of it: there is one offer of each at most."""
        return next((offer for offer in self.offers if offer.provider == provider), None)

    @model_validator(mode="after")
    def _check_offers(self) -> Self:
        if twice := _repeated(offer.provider for offer in self.offers):
            raise ValueError(f"the model {self.name!r} has more than one offer of {twice}")
        return self


class ModelIndex(_Frozen):
    """The whole index; `source` tells in words where it comes from."""

    version: Literal[1]
    generated_at: AwareDatetime
    source: str = ""
    models: tuple[IndexedModel, ...]

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        if twice := _repeated(name.lower() for model in self.models for name in dict.fromkeys(_names(model))):
            raise ValueError(f"more than one model answers to {twice}")
        return self


def _names(model: IndexedModel) -> Iterable[str]:
    return (model.name, *model.aliases)


def _repeated(names: Iterable[str]) -> str:
    return ", ".join(sorted(name for name, times in Counter(names).items() if times > 1))


def parse_index(text: bytes) -> ModelIndex:
    """The index in a file's bytes; raises `ModelIndexError` where it is too large, no JSON or no index.

    Too large is what has more than `MAX_BYTES` or `MOST_MODELS`.
    """
    if len(text) > MAX_BYTES:
        raise ModelIndexError(f"the file has {len(text)} bytes, and {MAX_BYTES} are the most that is read")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ModelIndexError(f"the file is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise ModelIndexError("the file is no model index: a JSON object is needed")
    if isinstance(models := value.get("models"), list) and len(models) > MOST_MODELS:
        raise ModelIndexError(f"the index has {len(models)} models, and {MOST_MODELS} are the most that is read")
    try:
        return ModelIndex.model_validate(value | {"generated_at": _moment(value.get("generated_at"))})
    except ValidationError as error:
        raise ModelIndexError("; ".join(_problems(error))) from error


def _moment(value: Any) -> Any:
    """A date in ISO 8601; pydantic alone would take a number for seconds, too."""
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return value


def _problems(error: ValidationError) -> Iterable[str]:
    """Where and what, without the values: a fetched file may hold anything."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    for problem in found[:_MOST_PROBLEMS]:
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in problem["loc"]).lstrip(".")
        yield f"{place or 'file'}: {problem['msg'].removeprefix('Value error, ')}"
    if len(found) > _MOST_PROBLEMS:
        yield f"and {len(found) - _MOST_PROBLEMS} more"


def encode_index(index: ModelIndex, *, pretty: bool = False) -> bytes:
    """The index as JSON text with a line end; what is not known is left out."""
    value = index.model_dump(mode="json", exclude_none=True)
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE | (orjson.OPT_INDENT_2 if pretty else 0))
