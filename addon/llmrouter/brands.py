"""The table of provider brands: what differs between companies that speak the same wire format, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Brand:
    """One company's or server's row.

    `wire_format` names the module in `providers/`. `base_url` is None where only the user knows it. `key_env` is the
    usual environment variable of its key, None where there is no usual one. `renames` and `drops` are request members
    that the provider knows by another name, or refuses though they have no meaning to the answer. `asks_for_usage`
    tells whether it takes `stream_options`, `knows_developer` whether it takes messages of the role `developer`.
    `source` says where the facts stand and when they were read.
    """

    name: str
    wire_format: str
    base_url: str | None
    key_env: str | None
    source: str
    key_required: bool = True
    renames: tuple[tuple[str, str], ...] = ()
    drops: frozenset[str] = frozenset()
    asks_for_usage: bool = True
    knows_developer: bool = False


_OPENAI_ONLY = frozenset(
    {
        "metadata",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
    }
)
"""What only OpenAI acts on (storage, billing, abuse and speed hints). `verbosity` and `moderation`, which only OpenAI
knows too, are sent on: they change what the client gets. Source: reference, section 15, 2026-11-23."""

_MAX_TOKENS = (("max_completion_tokens", "max_tokens"),)

_ROWS = (
    Brand("echo", "echo", None, None, "part of llmrouter", key_required=False),
    Brand(
        "openai",
        "openai_compatible",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        "reference, sections 2 and 3.1, 2026-11-23",
        knows_developer=True,
    ),
    Brand(
        "groq",
        "openai_compatible",
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
        "reference, sections 3.3 and 15, 2026-11-23",
        drops=_OPENAI_ONLY,
    ),
    Brand(
        "openrouter",
        "openai_compatible",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        "reference, sections 3.4 and 15, 2026-11-23; usage always comes, stream_options is ignored",
        drops=_OPENAI_ONLY,
        knows_developer=True,
    ),
    Brand(
        "nvidia_nim",
        "openai_compatible",
        "https://integrate.api.nvidia.com/v1",
        "NVIDIA_NIM_KEY",
        "reference, sections 3.5 and 15, 2026-11-23; stream_options is not in the accepted set",
        renames=_MAX_TOKENS,
        drops=_OPENAI_ONLY,
        asks_for_usage=False,
    ),
    Brand(
        "huggingface",
        "openai_compatible",
        "https://router.huggingface.co/v1",
        "HUGGINGFACE_API_TOKEN",
        "reference, sections 3.6 and 15, 2026-11-23; the provider behind it decides, max_tokens is what all know",
        renames=_MAX_TOKENS,
        drops=_OPENAI_ONLY,
    ),
    Brand(
        "together",
        "openai_compatible",
        "https://api.together.ai/v1",
        "TOGETHER_API_KEY",
        "reference, sections 3.7 and 15, 2026-11-23; usage comes on the last chunk without being asked for",
        renames=_MAX_TOKENS,
        drops=_OPENAI_ONLY,
        asks_for_usage=False,
    ),
    Brand(
        "mistral",
        "openai_compatible",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        "reference, sections 3.9 and 15, 2026-11-23; unknown members are refused with 422, usage comes unasked",
        renames=(*_MAX_TOKENS, ("seed", "random_seed")),
        drops=_OPENAI_ONLY,
        asks_for_usage=False,
    ),
    Brand(
        "deepseek",
        "openai_compatible",
        "https://api.deepseek.com",
        "DEEPSEEK_API_KEY",
        "reference, sections 3.10 and 15, 2026-11-23",
        renames=_MAX_TOKENS,
        drops=_OPENAI_ONLY,
    ),
    Brand(
        "cerebras",
        "openai_compatible",
        "https://api.cerebras.ai/v1",
        "CEREBRAS_API_KEY",
        "reference, sections 3.11 and 15, 2026-11-23",
        drops=_OPENAI_ONLY,
        knows_developer=True,
    ),
    Brand(
        "fireworks",
        "openai_compatible",
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY",
        "reference, sections 3.12 and 15, 2026-11-23",
        renames=_MAX_TOKENS,
        drops=_OPENAI_ONLY,
    ),
    Brand(
        "deepinfra",
        "openai_compatible",
        "https://api.deepinfra.com/v1/openai",
        "DEEPINFRA_API_KEY",
        "reference, sections 3.13 and 15, 2026-11-23",
        renames=_MAX_TOKENS,
        drops=_OPENAI_ONLY,
    ),
    Brand(
        "xai",
        "openai_compatible",
        "https://api.x.ai/v1",
        "XAI_API_KEY",
        "reference, sections 3.15 and 15, 2026-11-23",
        drops=_OPENAI_ONLY,
    ),
    Brand(
        "gemini",
        "openai_compatible",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "GEMINI_API_KEY",
        "reference, sections 3.8 and 15, 2026-11-23; the compatible route",
        drops=_OPENAI_ONLY,
    ),
    Brand(
        "ollama",
        "openai_compatible",
        "http://localhost:11434/v1",
        None,
        "reference, sections 3.20 and 15, 2026-11-23",
        key_required=False,
        renames=_MAX_TOKENS,
        drops=_OPENAI_ONLY,
    ),
    Brand(
        "vllm",
        "openai_compatible",
        "http://localhost:8000/v1",
        None,
        "reference, sections 3.21 and 15, 2026-11-23",
        key_required=False,
        drops=_OPENAI_ONLY,
        knows_developer=True,
    ),
    Brand(
        "llama_cpp",
        "openai_compatible",
        "http://localhost:8080/v1",
        None,
        "reference, sections 3.22 and 15, 2026-11-23; max_completion_tokens only since PR 19831 of 2026-02",
        key_required=False,
        renames=_MAX_TOKENS,
        drops=_OPENAI_ONLY,
    ),
    Brand(
        "lm_studio",
        "openai_compatible",
        "http://localhost:1234/v1",
        None,
        "reference, sections 3.23 and 15, 2026-11-23",
        key_required=False,
        renames=_MAX_TOKENS,
        drops=_OPENAI_ONLY,
    ),
    Brand(
        "openai_compatible",
        "openai_compatible",
        None,
        None,
        "reference, section 15, 2026-11-23; an unknown server: only OpenAI's own members are left out",
        key_required=False,
        drops=_OPENAI_ONLY,
    ),
)

BRANDS: Mapping[str, Brand] = MappingProxyType({brand.name: brand for brand in _ROWS})
"""Every brand by its name, the word that stands as `type` in the settings."""
