"""A Responses request for a target that speaks Responses itself: forwarded as it was sent, but for what must change.

The history goes along, for the router keeps it and not the provider. Ids of items are the router's own, and are left
out; what a model thought is encrypted for its provider alone, so that it is marked with who made it. The answer is read
as a chat completion, too, for the cache, the quotas and the prices; beside it stands what the provider said.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import orjson

from llmrouter.brands.dialect import Structured
from llmrouter.calls import Need, ResponsesRequest
from llmrouter.chat_members import NATIVE_RESPONSES
from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.headers import headers_for, url_for
from llmrouter.providers.openai_responses.reply import read_reply
from llmrouter.providers.openai_responses.stream import StreamDecoder
from llmrouter.providers.structured import Emulation
from llmrouter.providers.wire import Job, UpstreamRequest
from llmrouter.replies import Chunk, Reply

_PATH = "/responses"
_ENCRYPTED = "reasoning.encrypted_content"
_OF_THE_ROUTER = frozenset({"background", "conversation", "previous_response_id", "stream"})
"""What the router does itself; the provider keeps nothing, and knows no ids of ours."""

_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "input": "messages",
        "max_output_tokens": "max_completion_tokens",
        "reasoning": "reasoning_effort",
        "text": "response_format",
    }
)
"""Members that a chat calls otherwise: by these names a dialect leaves them out, and refusals are learned."""

_PLAIN = frozenset(
    {
        *("function_call", "function_call_output", "message", "reasoning"),
        *("custom_tool_call", "custom_tool_call_output"),
    }
)
"""Items that every model makes or gets; all others are of OpenAI's own tools."""

# What the app sent without an id, of a kind that the router does not know.
_GIVEN_BY_ROUTER = "item_"
_MARK = "llmrouter:"


def speaks(job: Job) -> bool:
    """Whether this call can be forwarded to its target as the Responses request that it was."""
    asked, dialect = job.call.responses, job.dialect
    if asked is None or not job.target.has_responses or NATIVE_RESPONSES in job.unsupported:
        return False
    if asked.has_custom_tools and not dialect.takes_custom_tools:
        return False
    return not job.call.needs & {Need.JSON_OBJECT, Need.JSON_SCHEMA} or dialect.structured is Structured.SCHEMA


class ForwardedTranslation:
    """A Responses request, forwarded."""

    __slots__ = ("_job", "changes", "emulation", "members", "request")

    def __init__(self, job: Job, asked: ResponsesRequest) -> None:
        without = _left_out(job, asked)
        self._job = job
        self.emulation: Emulation | None = None
        self.changes: tuple[str, ...] = tuple(f"without {name}" for name in sorted(without))
        names = {name: _NAMES.get(name, name) for name in (*asked.fields, "input", "include", "store")}
        self.members: Mapping[str, str] = MappingProxyType({**names, NATIVE_RESPONSES: NATIVE_RESPONSES})
        told = {
            "model": job.target.model,
            "input": [told for item in asked.items if (told := _as_input(item, job)) is not None],
            "store": False,
        }
        if "store" in job.unsupported:
            del told["store"]
        if include := _include(job, asked):
            told["include"] = include
        if job.call.stream:
            told["stream"] = True
        self.request = UpstreamRequest(
            method="POST",
            url=url_for(job.target.base_url, _PATH),
            headers=headers_for(job),
            body=_encoded(asked, told, _OF_THE_ROUTER | without | {"include", "store"}),
            stream=job.call.stream,
        )

    def read_reply(self, data: bytes) -> Reply:
        """The complete answer in this body; raises `AttemptFailed` where there is none."""
        return replace(read_reply(data, self._job), native=_marked(data, self._job.target.provider))

    def decoder(self) -> "ForwardedDecoder":
        """A decoder for one stream."""
        return ForwardedDecoder(self._job)


class ForwardedDecoder(StreamDecoder):
    """Decodes one stream of Responses events, and hands each of them on beside the chunks that it makes."""

    __slots__ = ()

    def _read(self, data: bytes, name: str) -> list[Chunk]:
        chunks = super()._read(data, name)
        native = _marked(data, self._job.target.provider)
        if not chunks:
            return [Chunk(b"", is_content=_is_work(data), native=native)]
        return [replace(chunks[0], native=native), *chunks[1:]]


def _is_work(data: bytes) -> bool:
    """Whether an event tells that one of OpenAI's own tools is at work: nobody else may be asked from then on."""
    if b'"response.output_item.added"' not in data:
        return False
    item = orjson.loads(data).get("item")
    return isinstance(item, dict) and item.get("type") not in _PLAIN


def translate(job: Job, asked: ResponsesRequest) -> ForwardedTranslation:
    """The request in its own words; raises `AttemptFailed` with NOT_TRANSLATABLE where it cannot be written."""
    return ForwardedTranslation(job, asked)


def _left_out(job: Job, asked: ResponsesRequest) -> frozenset[str]:
    """Members that the target must not be told, or has refused before."""
    withheld = job.dialect.drops | job.unsupported
    return frozenset(name for name in asked.fields if _NAMES.get(name, name) in withheld) - {"include", "store"}


def _include(job: Job, asked: ResponsesRequest) -> list[str]:
    """What is told beside the answer: always what the model thought, for a later turn."""
    if "include" in job.unsupported:
        return []
    wanted = asked.fields.get("include") or []
    if "include" in job.dialect.drops:
        return [name for name in wanted if name != _ENCRYPTED]
    return list(dict.fromkeys([*wanted, _ENCRYPTED]))


def _as_input(item: Mapping[str, Any], job: Job) -> dict[str, Any] | None:
    """An item as this target can read it; None for thoughts that another provider encrypted, or nobody did."""
    kind = item.get("type", "message")
    told = dict(item)
    if kind in _PLAIN or str(item.get("id")).startswith(_GIVEN_BY_ROUTER):
        told.pop("id", None)
    if kind != "reasoning":
        return told
    thought = _unmarked(item.get("encrypted_content"), job)
    if thought is None:
        return None
    # Parts that were told in words are no part of what went in.
    return {"type": "reasoning", "summary": item.get("summary") or [], "encrypted_content": thought}


def _unmarked(thought: Any, job: Job) -> str | None:
    if not isinstance(thought, str) or not thought:
        return None
    if not thought.startswith(_MARK):
        # An app that spoke to OpenAI before it spoke to the router still has OpenAI's own.
        return thought if job.target.brand.hosts_tools else None
    provider, _, rest = thought.removeprefix(_MARK).partition(":")
    return rest if provider == job.target.provider else None


def _marked(data: bytes, provider: str) -> bytes:
    """An event or a response with who made what is encrypted in it."""
    if b'"encrypted_content"' not in data:
        return data
    return orjson.dumps(_with_marks(orjson.loads(data), provider))


def _with_marks(value: Any, provider: str) -> Any:
    if isinstance(value, list):
        return [_with_marks(item, provider) for item in value]
    if not isinstance(value, dict):
        return value
    told = {name: _with_marks(inner, provider) for name, inner in value.items()}
    if isinstance(thought := told.get("encrypted_content"), str) and thought:
        told["encrypted_content"] = f"{_MARK}{provider}:{thought}"
    return told


def _encoded(asked: ResponsesRequest, told: dict[str, Any], without: frozenset[str]) -> bytes:
    try:
        return asked.fields.encode(told, without | frozenset(n for n in asked.fields if asked.fields.is_null(n)))
    except (orjson.JSONEncodeError, ValueError) as error:
        message = "it holds objects inside objects that are too many to write"
        raise AttemptFailed(Outcome.NOT_TRANSLATABLE, message) from error
