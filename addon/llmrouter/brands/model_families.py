"""Models of OpenAI, Anthropic and Google, which differ among themselves more than companies do.

Facts are from the provider reference, sections 3.1, 3.2, 3.8 and 10.6, read 2026-11-23.
"""

from dataclasses import replace

from llmrouter.brands.brand import where
from llmrouter.brands.dialect import Detour, Dialect, Structured, Thinking
from llmrouter.brands.members import (
    COMPATIBLE,
    ECHOES,
    ELSEWHERE_REFUSED,
    LOGPROBS,
    MAX_COMPLETION_TOKENS,
    OPENAI_ONLY,
    PENALTIES,
    REASONING_TEXT,
    SAMPLING,
    WITHOUT_EFFORT,
)
from llmrouter.calls import Need

_TOOLS = frozenset({"tools"})

OPENAI = Dialect(
    wire_format="openai_compatible",
    knows_developer=True,
    message_drops=REASONING_TEXT,
    takes_custom_tools=True,
    takes_functions=True,
)
_REASONING = replace(OPENAI, renames=MAX_COMPLETION_TOKENS)
# What the Responses API has no member for; what has no meaning to the answer is left out, the rest goes elsewhere.
_OPENAI_RESPONSES = Dialect(
    wire_format="openai_responses",
    knows_developer=True,
    takes_custom_tools=True,
    lacks=frozenset({Need.AUDIO}),
    drops=frozenset({"prediction", "seed"}) | PENALTIES | SAMPLING,
    refuses=frozenset({"audio", "logit_bias", "modalities", "moderation", "n", "stop", "web_search_options"})
    | LOGPROBS,
)
OPENAI_RULES = (
    # What is encrypted is what a model thought; those that do not think refuse to be asked for it.
    where("gpt-3*", "gpt-4*", "chatgpt-4*", drops=frozenset({"include"})),
    where("o1*", "o3*", "o4*", "gpt-5*", "gpt-6*", renames=MAX_COMPLETION_TOKENS),
    where("o3*", "o4-mini*", refuses=frozenset({"stop"})),
    where("gpt-5", "gpt-5-mini*", "gpt-5-nano*", "gpt-5-20*", "o1*", "o3*", "o4*", drops=SAMPLING | PENALTIES),
    where(
        *("gpt-5.4*", "gpt-5.5*", "gpt-5.6*", "gpt-5.7*", "gpt-5.8*", "gpt-5.9*"),
        detours=(Detour(frozenset({"tools", "reasoning_effort"}), _OPENAI_RESPONSES),),
    ),
    where(
        "gpt-6*",
        drops=SAMPLING | PENALTIES,
        refuses=LOGPROBS,
        detours=(
            Detour(_TOOLS, _OPENAI_RESPONSES),
            Detour(frozenset({WITHOUT_EFFORT}), _REASONING),
        ),
    ),
    where(
        *("gpt-6-astra*", "gpt-6.1-sol*", "gpt-6.2*"),
        efforts=(("none", ""),),
        detours=(Detour(_TOOLS, replace(_OPENAI_RESPONSES, efforts=(("none", ""),))),),
    ),
)

_ANTHROPIC_HINTS = frozenset({"metadata", "prediction", "seed", "store", "verbosity"}) | PENALTIES
_ANTHROPIC_CACHE = frozenset({"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"})
_ANTHROPIC_DROPS = _ANTHROPIC_HINTS | _ANTHROPIC_CACHE
ANTHROPIC = Dialect(
    wire_format="anthropic",
    drops=_ANTHROPIC_DROPS | SAMPLING,
    refuses=ELSEWHERE_REFUSED | LOGPROBS | {"logit_bias", "n"},
    lacks=frozenset({Need.AUDIO}),
    thinking=Thinking.LEVEL,
    takes_prefill=False,
    max_output_tokens=32_000,
)

_GEMINI_NATIVE = Dialect(
    wire_format="gemini",
    key_header="x-goog-api-key",
    drops=OPENAI_ONLY,
    refuses=ELSEWHERE_REFUSED | {"logit_bias"},
    thinking=Thinking.ALWAYS,
)
_GEMINI_COMPATIBLE = replace(
    COMPATIBLE, message_drops=ECHOES | REASONING_TEXT, refuses=ELSEWHERE_REFUSED | {"logit_bias"} | LOGPROBS
)


def _gemini(native: Dialect) -> tuple[Detour, ...]:
    """What the compatible route of Gemini loses (section 3.8): thought signatures, logprobs, seed, penalties, n."""
    lost = ("tools", "logprobs", "seed", "frequency_penalty", "presence_penalty", "n")
    return tuple(Detour(frozenset({member}), native) for member in lost)


def _old_gemini(native: Dialect) -> tuple[Detour, ...]:
    """The same for models that do not take tools and a JSON media type together (python-genai issue 867)."""
    both = Detour(frozenset({"tools", "response_format"}), replace(native, structured=Structured.PROMPT))
    return (both, *_gemini(native))


ANTHROPIC_RULES = (
    where(
        *("claude-haiku-4-5*", "claude-sonnet-4-5*", "claude-opus-4-5*"),
        drops=_ANTHROPIC_DROPS,
        thinking=Thinking.BUDGET,
        takes_prefill=True,
    ),
    where("claude-opus-4-6*", "claude-sonnet-4-6*", drops=_ANTHROPIC_DROPS),
    where("claude-fable-5*", "claude-mythos-5*", thinking=Thinking.ALWAYS),
    where(
        *("claude-fable-5-1*", "claude-mythos-5-1*", "claude-opus-5-5*", "claude-sonnet-5-5*"),
        thinking=Thinking.ALWAYS,
        forces_tools=False,
    ),
    where(
        *("claude-3*", "claude-opus-4-1*", "claude-opus-4-2*", "claude-sonnet-4-2*", "claude-*-4-0"),
        drops=_ANTHROPIC_DROPS,
        thinking=Thinking.BUDGET,
        takes_prefill=True,
        structured=Structured.TOOL,
    ),
    where("claude-3-5*", thinking=Thinking.NONE, max_output_tokens=8_192),
    where("claude-3-haiku*", "claude-3-sonnet*", "claude-3-opus*", thinking=Thinking.NONE, max_output_tokens=4_096),
)

GEMINI = replace(
    _GEMINI_COMPATIBLE,
    efforts=(("none", "minimal"), ("xhigh", "high"), ("max", "high")),
    detours=_gemini(_GEMINI_NATIVE),
)
GEMINI_RULES = (
    where(
        "gemini-2.5*",
        efforts=(("xhigh", "high"), ("max", "high")),
        detours=_old_gemini(replace(_GEMINI_NATIVE, thinking=Thinking.BUDGET)),
    ),
    where(
        "gemini-2.5-pro*",
        efforts=(("none", "minimal"), ("xhigh", "high"), ("max", "high")),
        detours=_old_gemini(replace(_GEMINI_NATIVE, thinking=Thinking.BUDGET, efforts=(("none", "minimal"),))),
    ),
    where(
        *("gemini-1*", "gemini-2.0*", "gemma*"),
        drops=OPENAI_ONLY | {"reasoning_effort"},
        detours=_old_gemini(replace(_GEMINI_NATIVE, thinking=Thinking.NONE)),
    ),
    where(
        "gemini-3.1-pro*",
        detours=_gemini(replace(_GEMINI_NATIVE, efforts=(("minimal", "low"),))),
    ),
)
