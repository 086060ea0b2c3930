"""What providers say that they offer: their `GET /models` answers, read into one shape.

The shapes are those of the provider reference, sections 1, 3 and 6. Whatever an entry has wrong, it alone is left out
or not known; a whole answer of another shape raises `ListingError`. What is no chat model is left out.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from llmrouter.calls import Need
from llmrouter.discovery.model_index import is_name

_LONGEST_PRICE = 40
_NO_CHAT = re.compile(
    r"whisper|tts|orpheus|embed|rerank|retriev|guard|safety|safeguard|moderation|reward|ocr|transcri|"
    r"imagen|lyria|flux|stable-?diffusion|sdxl|bge-|e5-|gte-|nv-?clip|neva|vila|deplot|kosmos|fuyu|"
    r"(^|[-_/])(aqa|parse|veo|translate|speech|audio|image|video|live|asr|robotics|detector|topic-control)([-_/.]|$)"
)
FREE_TIERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "groq": ("*",),
        "nvidia_nim": ("*",),
        "cerebras": ("*",),
        "mistral": ("*",),
        "gemini": ("gemini-*flash*", "gemma-*"),
    }
)
"""Providers with a standing free tier and its models (globs): the provider reference, section 7. Their listings tell no
prices, so that an account which pays there is charged all the same."""


class ListingError(ValueError):
    """An answer that is no list of models."""


@dataclass(frozen=True, slots=True)
class Advertised:
    """One chat model as a provider lists it; tokens, and None for what the listing does not tell.

    `capabilities` is everything beyond plain chat that the provider says this model can do there.
    """

    id: str
    is_free: bool = False
    context_window: int | None = None
    max_output_tokens: int | None = None
    capabilities: frozenset[Need] | None = None


type Entry = Mapping[str, Any]
type Reader = Callable[[Entry], Advertised | None]


def read_advertised(provider: str, document: Any) -> tuple[Advertised, ...]:
    """The chat models in a provider's `GET /models` answer; raises `ListingError`."""
    read = _READERS.get(provider, _plain)
    found: dict[str, Advertised] = {}
    for entry in _entries(document):
        model = read(entry)
        if model is not None and is_name(model.id) and not _NO_CHAT.search(model.id.lower()):
            found.setdefault(model.id, model)
    return tuple(found.values())


def _entries(document: Any) -> Iterable[Entry]:
    """`{"data": [...]}` at most, a bare list at Together, `{"models": [...]}` in Gemini's own listing."""
    listed = document
    if isinstance(document, Mapping):
        listed = document.get("data", document.get("models"))
    if not isinstance(listed, list):
        raise ListingError("the answer is no list of models")
    return [entry for entry in listed if isinstance(entry, Mapping)]


def is_in_free_tier(provider: str, id: str) -> bool:
    """Whether a provider's standing free tier has the model."""
    return any(fnmatchcase(id.rpartition("/")[2].lower(), glob) for glob in FREE_TIERS.get(provider, ()))


def _plain(entry: Entry) -> Advertised | None:
    return Advertised(_text(entry, "id"), context_window=_first_tokens(entry, "context_window", "context_length"))


def _groq(entry: Entry) -> Advertised | None:
    if entry.get("active") is False:
        return None
    return Advertised(
        id := _text(entry, "id"),
        is_in_free_tier("groq", id),
        _tokens(entry.get("context_window")),
        _tokens(entry.get("max_completion_tokens")),
    )


def _in_tier(provider: str) -> Reader:
    def read(entry: Entry) -> Advertised | None:
        id = _text(entry, "id")
        window = _first_tokens(entry, "context_window", "context_length", "max_context_length")
        return Advertised(id, is_in_free_tier(provider, id), window)

    return read


# `supported_parameters` and `architecture.input_modalities`: the provider reference, section 6.
_OPENROUTER_PARAMETERS = (
    ("tools", Need.TOOLS),
    ("parallel_tool_calls", Need.PARALLEL_TOOLS),
    ("response_format", Need.JSON_OBJECT),
    ("structured_outputs", Need.JSON_SCHEMA),
    ("logprobs", Need.LOGPROBS),
    ("seed", Need.SEED),
)
_MODALITIES = (("image", Need.VISION), ("audio", Need.AUDIO), ("file", Need.FILES))


def _openrouter(entry: Entry) -> Advertised | None:
    id = _text(entry, "id")
    # Its own routers (openrouter/auto, openrouter/free) answer with whatever model they choose.
    if id.startswith("openrouter/") or "text" not in _outputs(entry):
        return None
    top = _mapping(entry, "top_provider")
    return Advertised(
        id,
        id.endswith(":free") or _costs_nothing(_mapping(entry, "pricing"), "prompt", "completion"),
        _tokens(top.get("context_length")) or _tokens(entry.get("context_length")),
        _tokens(top.get("max_completion_tokens")),
        _openrouter_capabilities(entry),
    )


def _outputs(entry: Entry) -> list[Any]:
    told = _mapping(entry, "architecture").get("output_modalities")
    return told if isinstance(told, list) else ["text"]


def _openrouter_capabilities(entry: Entry) -> frozenset[Need] | None:
    parameters = entry.get("supported_parameters")
    modalities = _mapping(entry, "architecture").get("input_modalities")
    if not isinstance(parameters, list) or not isinstance(modalities, list):
        return None
    needs = {need for word, need in _OPENROUTER_PARAMETERS if word in parameters}
    needs |= {need for word, need in _MODALITIES if word in modalities}
    return frozenset(needs)


def _huggingface(entry: Entry) -> Advertised | None:
    listed = entry.get("providers")
    live = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    live = [one for one in live if one.get("status") == "live"]
    if not live:
        return None
    # The router there takes the fastest, so that a model is free only where all who serve it are.
    is_free = all(one.get("is_free") is True for one in live)
    windows = [window for one in live if (window := _tokens(one.get("context_length"))) is not None]
    return Advertised(_text(entry, "id"), is_free, max(windows, default=None))


def _together(entry: Entry) -> Advertised | None:
    if entry.get("type") not in (None, "chat", "language", "code"):
        return None
    id = _text(entry, "id")
    # Prices of 0 alone also stand with what is not sold by the token.
    is_free = id.lower().endswith("-free") and _costs_nothing(_mapping(entry, "pricing"), "input", "output")
    return Advertised(id, is_free, _tokens(entry.get("context_length")))


_MISTRAL_CAPABILITIES = (("function_calling", (Need.TOOLS, Need.PARALLEL_TOOLS)), ("vision", (Need.VISION,)))
# What its API does with every chat model (the provider reference, section 3.9).
_MISTRAL_ALWAYS = frozenset({Need.JSON_OBJECT, Need.JSON_SCHEMA, Need.SEVERAL_CHOICES, Need.SEED})


def _mistral(entry: Entry) -> Advertised | None:
    told = _mapping(entry, "capabilities")
    if told.get("completion_chat") is False:
        return None
    able = frozenset(need for word, needs in _MISTRAL_CAPABILITIES if told.get(word) is True for need in needs)
    id = _text(entry, "id")
    window = _tokens(entry.get("max_context_length"))
    return Advertised(id, is_in_free_tier("mistral", id), window, None, able | _MISTRAL_ALWAYS if told else None)


def _deepinfra(entry: Entry) -> Advertised | None:
    metadata = _mapping(entry, "metadata")
    window, output = _tokens(metadata.get("context_length")), _tokens(metadata.get("max_tokens"))
    return Advertised(_text(entry, "id"), False, window, output)


def _sambanova(entry: Entry) -> Advertised | None:
    window, output = _tokens(entry.get("context_length")), _tokens(entry.get("max_completion_tokens"))
    return Advertised(_text(entry, "id"), False, window, output)


def _fireworks(entry: Entry) -> Advertised | None:
    if entry.get("supports_chat") is False:
        return None
    return Advertised(_text(entry, "id"), False, _tokens(entry.get("context_length")))


def _gemini(entry: Entry) -> Advertised | None:
    """Both listings: `id` on the compatible route, `name` with limits in Google's own."""
    methods = entry.get("supportedGenerationMethods")
    if isinstance(methods, list) and "generateContent" not in methods:
        return None
    id = (_text(entry, "id") or _text(entry, "name")).removeprefix("models/")
    window, output = _tokens(entry.get("inputTokenLimit")), _tokens(entry.get("outputTokenLimit"))
    return Advertised(id, is_in_free_tier("gemini", id), window, output)


_READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "groq": _groq,
        "openrouter": _openrouter,
        "nvidia_nim": _in_tier("nvidia_nim"),
        "huggingface": _huggingface,
        "together": _together,
        "mistral": _mistral,
        "cerebras": _in_tier("cerebras"),
        "deepinfra": _deepinfra,
        "sambanova": _sambanova,
        "fireworks": _fireworks,
        "gemini": _gemini,
    }
)


def _text(entry: Entry, name: str) -> str:
    value = entry.get(name)
    return value.strip() if isinstance(value, str) else ""


def _mapping(entry: Entry, name: str) -> Entry:
    value = entry.get(name)
    return value if isinstance(value, Mapping) else {}


def _tokens(value: Any) -> int | None:
    is_count = isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= 1_000_000_000
    return int(value) if is_count else None


def _first_tokens(entry: Entry, *names: str) -> int | None:
    return next((tokens for name in names if (tokens := _tokens(entry.get(name))) is not None), None)


def _costs_nothing(prices: Entry, *names: str) -> bool:
    """Whether all these prices are there and zero; "0", "0.0" and 0 are the same, a missing one is not known."""
    return all(_price(prices.get(name)) == 0 for name in names)


def _price(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or len(str(value)) > _LONGEST_PRICE:
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None
