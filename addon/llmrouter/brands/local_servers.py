"""Servers that people run themselves, the mock, and types for what is no brand. Facts as in `companies.py`."""

from dataclasses import replace

from llmrouter.brands.brand import Brand, Offer
from llmrouter.brands.dialect import Dialect
from llmrouter.brands.members import COMPATIBLE, ELSEWHERE_REFUSED, FORCED_TOOL, MAX_TOKENS
from llmrouter.calls import Need

_ALL = (Offer.CHAT, Offer.COMPLETIONS, Offer.EMBEDDINGS, Offer.RESPONSES, Offer.MODELS, Offer.MESSAGES)
_RENAMED = replace(COMPATIBLE, renames=MAX_TOKENS)

LOCAL_SERVERS = (
    Brand(
        name="ollama",
        base_url="http://localhost:11434/v1",
        key_env=None,
        key_required=False,
        endpoints=_ALL,
        dialect=replace(
            _RENAMED,
            refuses=ELSEWHERE_REFUSED | {FORCED_TOOL, "logit_bias", "n"},
            lacks=frozenset({Need.AUDIO, Need.FILES}),
            efforts=(("minimal", "low"), ("xhigh", "max")),
        ),
        source="sections 3.20 and 15; what it ignores is refused here",
    ),
    Brand(
        name="vllm",
        base_url="http://localhost:8000/v1",
        key_env=None,
        key_required=False,
        endpoints=_ALL,
        dialect=replace(COMPATIBLE, knows_developer=True),
        forwards_responses=True,
        source="sections 3.21 and 15",
    ),
    Brand(
        name="llama_cpp",
        base_url="http://localhost:8080/v1",
        key_env=None,
        key_required=False,
        endpoints=_ALL,
        dialect=_RENAMED,
        source="sections 3.22 and 15; max_completion_tokens only since PR 19831 of 2026-02",
    ),
    Brand(
        name="lm_studio",
        base_url="http://localhost:1234/v1",
        key_env=None,
        key_required=False,
        endpoints=_ALL,
        dialect=_RENAMED,
        forwards_responses=True,
        source="sections 3.23 and 15",
    ),
    Brand(
        name="openai_compatible",
        base_url=None,
        key_env=None,
        key_required=False,
        endpoints=(Offer.CHAT, Offer.EMBEDDINGS, Offer.MODELS),
        dialect=COMPATIBLE,
        source="section 15; an unknown server: only what OpenAI alone knows is left out",
    ),
    Brand(
        name="openai_responses",
        base_url=None,
        key_env=None,
        key_required=False,
        endpoints=(Offer.RESPONSES,),
        dialect=Dialect(
            wire_format="openai_responses",
            lacks=frozenset({Need.AUDIO}),
            takes_custom_tools=True,
            refuses=ELSEWHERE_REFUSED | {"logit_bias", "n", "stop"},
        ),
        forwards_responses=True,
        source="section 10; an unknown server that speaks OpenAI's Responses",
    ),
    Brand(
        name="echo",
        base_url=None,
        key_env=None,
        key_required=False,
        endpoints=(Offer.CHAT,),
        dialect=Dialect(wire_format="echo"),
        source="part of llmrouter",
    ),
)
