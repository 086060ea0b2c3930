"""One name for one model, whatever each provider calls it.

Providers add a vendor, a price variant, a precision or the word "instruct"; the canonical name is what is left, in
lower case: `deepseek-r1-distill-llama-70b` for `deepseek/deepseek-r1-distill-llama-70b:free`. Dates and versions stay,
since they are other models. The rules are for models with open weights; what only its maker offers keeps its name.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from llmrouter.brands.model_names import bare_name

# What only its maker sells: "turbo", "chat" and "instruct" are other models there.
_MAKERS_OWN = re.compile(r"(gpt-\d|o\d|chatgpt|claude|gemini|grok|command|compound|palmyra|sonar)")
# Words that say how a model is served or that it answers chats, not which model it is.
_SERVING = frozenset({"instruct", "it", "chat", "hf", "fp8", "fp4", "nvfp4", "bf16", "int4", "int8", "awq"})
_SERVING_AT: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "groq": frozenset({"versatile", "instant", "specdec"}),
        "together": frozenset({"turbo", "lite", "free", "tput"}),
        "deepinfra": frozenset({"turbo"}),
    }
)
_SPELLINGS = (
    (re.compile(r"^(meta|nvidia|mistralai)-(?=(llama|nemotron|mistral|mixtral))"), ""),
    # llama3.1-8b and qwen-3-32b: half of the providers join the family and its version, and half do not.
    (re.compile(r"^llama-?v?(?=\d)"), "llama-"),
    (re.compile(r"^qwen-(?=\d)"), "qwen"),
    (re.compile(r"^zai-(?=glm)"), ""),
    (re.compile(r"(?<=\d)p(?=\d)"), "."),
    (re.compile(r"-(8192|32768|128k)$"), ""),
)
_EXCEPTIONS: Mapping[str, str] = MappingProxyType(
    {
        # Only some providers write the size and the experts of these.
        "llama-4-maverick-17b-128e": "llama-4-maverick",
        "llama-4-scout-17b-16e": "llama-4-scout",
        "mistral-large-3-675b-2512": "mistral-large-2512",
        "mistral-small-3.1-24b-2503": "mistral-small-3.1-24b",
        "mistral-small-3.2-24b-2506": "mistral-small-3.2-24b",
        "mistral-nemo-2407": "mistral-nemo",
        "nemotron-nano-3-30b-a3b": "nemotron-3-nano-30b-a3b",
    }
)


def canonical_name(provider: str, id: str) -> str:
    """The canonical name of what a provider calls `id`."""
    name = bare_name(id)
    if not name or _MAKERS_OWN.match(name):
        return name
    for pattern, spelling in _SPELLINGS:
        name = pattern.sub(spelling, name)
    first, *words = name.split("-")
    dropped = _SERVING | _SERVING_AT.get(provider, frozenset())
    kept = [word for word in words if word not in dropped]
    # Without a version or size left, the word was the model's name: `deepseek-chat` is not `deepseek`.
    if any(re.search(r"\d", word) for word in (first, *kept)):
        name = "-".join([first, *kept])
    return _EXCEPTIONS.get(name, name)
