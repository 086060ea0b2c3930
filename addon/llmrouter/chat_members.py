"""The members of a chat completion request, as OpenAI defines them (its API reference, chat completions, 2026-11)."""

from collections.abc import Mapping
from typing import Any

DEFAULTS: Mapping[str, Any] = {
    "frequency_penalty": 0,
    "function_call": "auto",
    "functions": [],
    "logit_bias": {},
    "logprobs": False,
    "modalities": ["text"],
    "n": 1,
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "response_format": {"type": "text"},
    "service_tier": "auto",
    "stop": [],
    "store": False,
    "stream": False,
    "temperature": 1,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1,
    "verbosity": "medium",
}
"""What OpenAI does anyway: to ask for it is to ask for nothing."""

WITHOUT_INFLUENCE = frozenset(
    {
        "metadata",  # labels of stored completions, for the owner of the account
        "prompt_cache_key",  # finds the provider's own prompt cache
        "prompt_cache_options",  # as above
        "prompt_cache_retention",  # as above
        "safety_identifier",  # who asks, for reports of abuse
        "service_tier",  # how soon and at what price
        "store",  # whether OpenAI keeps the answer
        "stream",  # how the answer comes
        "stream_options",  # as above
        "user",  # who asks
    }
)
"""Members that say how an answer is delivered, billed or filed, and change nothing in it."""

TEXT_ONLY = frozenset({"best_of", "echo", "suffix"})
"""Members of a text completion (/v1/completions) that no chat completion has."""

SEVERAL_PROMPTS, TOKEN_PROMPT = "prompt:several", "prompt:tokens"
"""Stand among the members of a text completion whose prompt is not one text."""

NATIVE_TEXT_ONLY = TEXT_ONLY | {SEVERAL_PROMPTS, TOKEN_PROMPT}
"""What a target can only do that has text completions itself."""

NATIVE_TEXT, NATIVE_RESPONSES = "completions", "responses"
"""Stand for the endpoints themselves: a target that has one, but not for this model, is asked by chat."""

IN_OWN_ACCOUNT = frozenset(
    {"code_interpreter with files", "file_search", "input_file by file_id", "input_image by file_id", "prompt"}
)
"""What of a Responses request is found only with a key of the account in which the app put it."""
