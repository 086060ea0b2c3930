"""Companies that are reached over the network. Facts are from the provider reference, read 2026-11-23."""

from dataclasses import replace

from llmrouter.brands.brand import Brand, Offer, where
from llmrouter.brands.dialect import Detour, Structured
from llmrouter.brands.members import (
    COMPATIBLE,
    ECHOES,
    ELSEWHERE_REFUSED,
    FORCED_TOOL,
    LOGPROBS,
    MAX_TOKENS,
    MORE_EFFORTS,
    OPENAI_ONLY,
    PENALTIES,
    REASONING_TEXT,
    THREE_EFFORTS,
)
from llmrouter.brands.model_families import (
    ANTHROPIC,
    ANTHROPIC_RULES,
    GEMINI,
    GEMINI_RULES,
    OPENAI,
    OPENAI_RULES,
)
from llmrouter.calls import Need

_CHAT, _COMPLETIONS, _EMBEDDINGS = Offer.CHAT, Offer.COMPLETIONS, Offer.EMBEDDINGS
_RESPONSES, _MODELS, _MESSAGES = Offer.RESPONSES, Offer.MODELS, Offer.MESSAGES

_NO_AUDIO_OR_FILES = frozenset({Need.AUDIO, Need.FILES})

_OPENROUTER = replace(COMPATIBLE, knows_developer=True, tells_cost=True)
# It drops silently what the model behind it does not know, unless it is told not to (section 3.4).
_OPENROUTER_STRICT = replace(_OPENROUTER, extras=(("provider", {"require_parameters": True}),))
_FIREWORKS = replace(
    COMPATIBLE,
    renames=MAX_TOKENS,
    lacks=_NO_AUDIO_OR_FILES,
    tool_choices=(("required", "any"),),
    takes_strict=False,
)

COMPANIES = (
    Brand(
        name="openai",
        base_url="https://api.openai.com/v1",
        key_env="OPENAI_API_KEY",
        endpoints=(_CHAT, _EMBEDDINGS, _RESPONSES, _MODELS),
        dialect=OPENAI,
        rules=OPENAI_RULES,
        forwards_responses=True,
        hosts_tools=True,
        source="sections 2, 3.1 and 10.6",
    ),
    Brand(
        name="azure",
        base_url="https://{AZURE_OPENAI_RESOURCE}.openai.azure.com/openai/v1",
        key_env="AZURE_OPENAI_API_KEY",
        endpoints=(_CHAT, _COMPLETIONS, _EMBEDDINGS, _RESPONSES, _MODELS),
        key_header="api-key",
        dialect=OPENAI,
        rules=OPENAI_RULES,
        forwards_responses=True,
        source="section 3.16; the rules of OpenAI hold for deployments that are called like their model",
    ),
    Brand(
        name="anthropic",
        base_url="https://api.anthropic.com/v1",
        key_env="ANTHROPIC_API_KEY",
        key_header="x-api-key",
        headers=(("anthropic-version", "2023-06-01"),),
        endpoints=(_MESSAGES, _MODELS),
        dialect=ANTHROPIC,
        rules=ANTHROPIC_RULES,
        source="sections 3.2 and 9",
    ),
    Brand(
        name="groq",
        base_url="https://api.groq.com/openai/v1",
        key_env="GROQ_API_KEY",
        endpoints=(_CHAT, _RESPONSES, _MODELS),
        dialect=replace(
            COMPATIBLE,
            refuses=ELSEWHERE_REFUSED | LOGPROBS | {"logit_bias", "n"},
            lacks=_NO_AUDIO_OR_FILES,
            message_drops=ECHOES | REASONING_TEXT | {"name"},
            structured=Structured.OBJECT,
        ),
        rules=(
            where("openai/gpt-oss*", "moonshotai/kimi-k2*", "meta-llama/llama-4*", structured=Structured.SCHEMA),
            where("openai/gpt-oss*", efforts=(("none", ""), *THREE_EFFORTS)),
            where("qwen/qwen3-*", efforts=tuple((e, "default") for e in (*MORE_EFFORTS, "low", "medium", "high"))),
        ),
        source="sections 3.3 and 15; json_schema is known of a subset of models only",
    ),
    Brand(
        name="openrouter",
        base_url="https://openrouter.ai/api/v1",
        key_env="OPENROUTER_API_KEY",
        endpoints=(_CHAT, _COMPLETIONS, _EMBEDDINGS, _RESPONSES, _MODELS, _MESSAGES),
        dialect=replace(
            _OPENROUTER,
            detours=tuple(
                Detour(frozenset({member}), _OPENROUTER_STRICT)
                for member in ("tools", "response_format", "logprobs", "logit_bias", "n")
            ),
        ),
        source="sections 3.4 and 15; usage always comes, stream_options is ignored",
    ),
    Brand(
        name="nvidia_nim",
        base_url="https://integrate.api.nvidia.com/v1",
        key_env="NVIDIA_NIM_KEY",
        endpoints=(_CHAT, _COMPLETIONS, _EMBEDDINGS, _MODELS),
        dialect=replace(
            COMPATIBLE,
            renames=MAX_TOKENS,
            drops=OPENAI_ONLY | {"reasoning_effort"},
            refuses=ELSEWHERE_REFUSED | LOGPROBS | {"logit_bias", "n"},
            asks_for_usage=False,
            structured=Structured.OBJECT,
        ),
        source="sections 3.5 and 15; what is not in its accepted set is refused",
    ),
    Brand(
        name="huggingface",
        base_url="https://router.huggingface.co/v1",
        key_env="HUGGINGFACE_API_TOKEN",
        endpoints=(_CHAT, _RESPONSES, _MODELS),
        dialect=replace(COMPATIBLE, renames=MAX_TOKENS, structured=Structured.OBJECT),
        source="sections 3.6 and 15; the provider behind it decides, max_tokens is what all know",
    ),
    Brand(
        name="together",
        base_url="https://api.together.ai/v1",
        key_env="TOGETHER_API_KEY",
        endpoints=(_CHAT, _COMPLETIONS, _EMBEDDINGS, _MODELS),
        dialect=replace(
            COMPATIBLE,
            renames=MAX_TOKENS,
            drops=OPENAI_ONLY | {"parallel_tool_calls"},
            efforts=(("none", ""), *THREE_EFFORTS),
            # Its `logprobs` is a number, and its answer another object than OpenAI's.
            refuses=ELSEWHERE_REFUSED | LOGPROBS,
            asks_for_usage=False,
        ),
        source="sections 3.7 and 15; usage comes on the last chunk without being asked for",
    ),
    Brand(
        name="gemini",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        key_env="GEMINI_API_KEY",
        endpoints=(_CHAT, _EMBEDDINGS, _MODELS),
        dialect=GEMINI,
        rules=GEMINI_RULES,
        source="sections 3.8 and 15; its own format for what its compatible route loses",
    ),
    Brand(
        name="mistral",
        base_url="https://api.mistral.ai/v1",
        key_env="MISTRAL_API_KEY",
        endpoints=(_CHAT, _EMBEDDINGS, _MODELS),
        dialect=replace(
            COMPATIBLE,
            renames=(*MAX_TOKENS, ("seed", "random_seed")),
            refuses=ELSEWHERE_REFUSED | {"logit_bias"},
            asks_for_usage=False,
            message_drops=ECHOES | REASONING_TEXT | {"name"},
            tool_id_length=9,
        ),
        source="sections 3.9 and 15; unknown members are refused with 422, usage comes unasked",
    ),
    Brand(
        name="deepseek",
        base_url="https://api.deepseek.com",
        key_env="DEEPSEEK_API_KEY",
        dialect=replace(
            COMPATIBLE,
            renames=MAX_TOKENS,
            drops=OPENAI_ONLY | PENALTIES | {"parallel_tool_calls", "seed"},
            refuses=ELSEWHERE_REFUSED | {"logit_bias", "n"},
            lacks=_NO_AUDIO_OR_FILES | {Need.VISION},
            flattens=True,
            takes_strict=False,
            structured=Structured.OBJECT,
            wants_reasoning_back=True,
            efforts=(("minimal", "high"), ("low", "high"), ("medium", "high"), ("xhigh", "max"), ("none", "")),
            no_thinking=(("thinking", {"type": "disabled"}),),
        ),
        source="sections 3.10 and 15",
    ),
    Brand(
        name="cerebras",
        base_url="https://api.cerebras.ai/v1",
        key_env="CEREBRAS_API_KEY",
        endpoints=(_CHAT, _COMPLETIONS, _MODELS),
        dialect=replace(COMPATIBLE, knows_developer=True, lacks=_NO_AUDIO_OR_FILES, efforts=THREE_EFFORTS),
        source="sections 3.11 and 15; which members a model honours is learned",
    ),
    Brand(
        name="fireworks",
        base_url="https://api.fireworks.ai/inference/v1",
        key_env="FIREWORKS_API_KEY",
        endpoints=(_CHAT, _COMPLETIONS, _EMBEDDINGS, _RESPONSES, _MODELS),
        dialect=replace(
            _FIREWORKS,
            # It does not take tools and `response_format` together.
            detours=(
                Detour(frozenset({"tools", "response_format"}), replace(_FIREWORKS, structured=Structured.PROMPT)),
            ),
        ),
        forwards_responses=True,
        source="sections 3.12 and 15",
    ),
    Brand(
        name="deepinfra",
        base_url="https://api.deepinfra.com/v1/openai",
        key_env="DEEPINFRA_API_KEY",
        endpoints=(_CHAT, _COMPLETIONS, _EMBEDDINGS, _MODELS),
        dialect=replace(COMPATIBLE, renames=MAX_TOKENS, refuses=ELSEWHERE_REFUSED | {FORCED_TOOL}, flattens=True),
        source="sections 3.13 and 15",
    ),
    Brand(
        name="sambanova",
        base_url="https://api.sambanova.ai/v1",
        key_env="SAMBANOVA_API_KEY",
        endpoints=(_CHAT, _EMBEDDINGS, _MODELS),
        dialect=replace(
            COMPATIBLE,
            renames=MAX_TOKENS,
            drops=OPENAI_ONLY | PENALTIES | {"seed"},
            refuses=ELSEWHERE_REFUSED | LOGPROBS | {"logit_bias", "n"},
            lacks=_NO_AUDIO_OR_FILES,
            flattens=True,
        ),
        source="sections 3.14 and 15",
    ),
    Brand(
        name="xai",
        base_url="https://api.x.ai/v1",
        key_env="XAI_API_KEY",
        endpoints=(_CHAT, _RESPONSES, _MODELS),
        dialect=replace(COMPATIBLE, message_drops=ECHOES | REASONING_TEXT | {"name"}, takes_strict=False),
        rules=(
            where(
                *("grok-3-mini*", "grok-4*", "grok-code-fast*"),
                drops=OPENAI_ONLY | PENALTIES,
                refuses=ELSEWHERE_REFUSED | {"stop"},
            ),
        ),
        forwards_responses=True,
        source="sections 3.15 and 15",
    ),
    Brand(
        name="cohere",
        base_url="https://api.cohere.ai/compatibility/v1",
        key_env="COHERE_API_KEY",
        endpoints=(_CHAT, _EMBEDDINGS),
        dialect=replace(
            COMPATIBLE,
            renames=MAX_TOKENS,
            drops=OPENAI_ONLY | {"parallel_tool_calls"},
            refuses=ELSEWHERE_REFUSED | LOGPROBS | {"logit_bias", "n", FORCED_TOOL},
            lacks=_NO_AUDIO_OR_FILES,
            asks_for_usage=False,
            flattens=True,
            efforts=tuple((effort, "high") for effort in ("minimal", "low", "medium", "xhigh", "max")),
        ),
        source="sections 3.17 and 15; its compatible route",
    ),
    Brand(
        name="cloudflare",
        base_url="https://api.cloudflare.com/client/v4/accounts/{CLOUDFLARE_ACCOUNT_ID}/ai/v1",
        key_env="CLOUDFLARE_API_TOKEN",
        endpoints=(_CHAT, _EMBEDDINGS),
        dialect=replace(
            COMPATIBLE,
            renames=MAX_TOKENS,
            refuses=ELSEWHERE_REFUSED | LOGPROBS | {"logit_bias", "n"},
            lacks=_NO_AUDIO_OR_FILES,
        ),
        source="section 3.18",
    ),
)
