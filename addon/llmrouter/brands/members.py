"""Sets of request members that many brands leave out, refuse or rename."""

from llmrouter.brands.dialect import Dialect
from llmrouter.chat_members import NATIVE_RESPONSES, NATIVE_TEXT

OPENAI_ONLY = frozenset(
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
        "verbosity",
    }
)
"""What only OpenAI acts on: storage, billing, abuse, speed and style hints (provider reference, section 15)."""

ELSEWHERE_REFUSED = frozenset({"audio", "modalities", "moderation", "web_search_options"})
"""What changes the answer and only OpenAI knows, so that a call which asks for it goes nowhere else (sections 2.1,
15)."""

SAMPLING = frozenset({"temperature", "top_p"})
PENALTIES = frozenset({"frequency_penalty", "presence_penalty"})
LOGPROBS = frozenset({"logprobs", "top_logprobs"})

REASONING_TEXT = frozenset({"reasoning", "reasoning_content", "reasoning_details"})
"""Members of assistant messages that hold what a model thought, and that OpenAI's own schema does not know."""

MAX_TOKENS = (("max_completion_tokens", "max_tokens"),)
MAX_COMPLETION_TOKENS = (("max_tokens", "max_completion_tokens"),)

DISPENSABLE = (
    OPENAI_ONLY
    | SAMPLING
    | PENALTIES
    | {
        *("max_completion_tokens", "max_tokens", "parallel_tool_calls", "reasoning_effort"),
        *("include", "response_format", "seed", "stream_options", NATIVE_TEXT, NATIVE_RESPONSES),
    }
)
"""What a target that calls it unsupported is asked without, or in another way: it steers how an answer is made and not
what is asked (provider reference, section 5.3), or the router can do it itself."""

MORE_EFFORTS = ("minimal", "xhigh", "max")
THREE_EFFORTS = (("minimal", "low"), ("xhigh", "high"), ("max", "high"))
"""Values of `reasoning_effort` for those who know low, medium and high alone (sections 3.3, 3.7, 3.11 and 3.20)."""

FORCED_TOOL = "tool_choice:forced"
"""Stands among a call's members where it demands a tool, which is more than to offer one."""

WITHOUT_EFFORT = "reasoning_effort:none"
"""Stands among a call's members where it wants no reasoning at all."""

ECHOES = frozenset({"annotations", "audio", "refusal"})
"""Members of OpenAI's answers that its SDK sends back in the next turn, and that Mistral and Groq refuse."""

COMPATIBLE = Dialect(
    wire_format="openai_compatible", drops=OPENAI_ONLY, refuses=ELSEWHERE_REFUSED, message_drops=ECHOES
)
"""What copies of OpenAI's API have in common; the rows differ from it."""
