"""What stands in Gemini's answers, whole or streamed: candidates, ends, usage and blocked prompts.

All of it is from the provider reference, section 3.8, 2026-11-23. Every member's type is checked: an answer in another
shape is a bad reply, never a defect of the router.
"""

from typing import Any, NamedTuple

import orjson

from llmrouter.providers.bodies import bad, parsed
from llmrouter.providers.failures import classify_inside
from llmrouter.providers.wire import Job
from llmrouter.replies import Usage

_ENDS = {"STOP": "stop", "MAX_TOKENS": "length", "CONTINUATION": "length"}
_FILTERED = frozenset(
    {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "OTHER", "MODEL_ARMOR"}
)
_FAILED = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
        "TOO_MANY_TOOL_CALLS",
        "UNEXPECTED_TOOL_CALL",
    }
)
_NO_END = "FINISH_REASON_UNSPECIFIED"
_LARGEST_COUNT = 2**53


class Text(NamedTuple):
    """A piece of the answer, with its log probabilities where they were asked for."""

    text: str
    logprobs: dict[str, Any] | None


class Thought(NamedTuple):
    """A piece of what the model thought."""

    text: str


class FunctionCall(NamedTuple):
    """A whole tool call; `arguments` is JSON text. Calls of one candidate are numbered from 0."""

    number: int
    id: str
    name: str
    arguments: str


Piece = Text | Thought | FunctionCall


class Candidate:
    """One choice of an answer as it comes; `finish_reason` is OpenAI's word, None until there is an end.

    Thought signatures are kept for the turn that brings the tool's result.
    """

    __slots__ = ("_calls", "_end", "_job", "_spare_id")

    def __init__(self, index: int, job: Job) -> None:
        self._job = job
        self._calls = 0
        self._end: str | None = None
        self._spare_id = f"call_{job.call.id}_{index}_" if index else f"call_{job.call.id}_"

    @property
    def finish_reason(self) -> str | None:
        return "tool_calls" if self._end == "stop" and self._calls else self._end

    def read(self, fields: dict[str, Any]) -> list[Piece]:
        """The pieces in one candidate object; raises `AttemptFailed` where the model says that it failed."""
        pieces = [piece for part in _parts(fields) if (piece := self._piece(part)) is not None]
        if "logprobsResult" in fields and "logprobs" in self._job.call.members:
            pieces = _with_logprobs(pieces, _logprobs(fields["logprobsResult"]))
        reason = fields.get("finishReason")
        if isinstance(reason, str) and reason and reason != _NO_END:
            self._end = _finish_reason(reason)
        return pieces

    def block(self) -> None:
        """Ends it, because the prompt was blocked after all."""
        self._end = "content_filter"

    def _piece(self, part: Any) -> Piece | None:
        """None for a part that says nothing to a client, or that is one tool call more than it wants."""
        if not isinstance(part, dict):
            raise bad("the provider's answer has a part that is no object")
        if part.get("functionCall") is not None:
            return self._call(part)
        text = part.get("text")
        if text is None or text == "":
            return None
        if not isinstance(text, str):
            raise bad("the provider's answer has a text that is none")
        return Thought(text) if part.get("thought") is True else Text(text, None)

    def _call(self, part: dict[str, Any]) -> FunctionCall | None:
        call = part["functionCall"]
        if not isinstance(call, dict) or not isinstance(name := call.get("name"), str) or not name:
            raise bad("the provider's answer has a function call without a name")
        if self._calls and self._job.call.body.get("parallel_tool_calls") is False:
            return None
        number, id = self._calls, call.get("id")
        self._calls += 1
        id = id if isinstance(id, str) and id else f"{self._spare_id}{number}"
        if isinstance(signature := part.get("thoughtSignature"), str):
            self._job.memory.keep(self._job.call, self._job.target, id, signature)
        return FunctionCall(number, id, name, _arguments(call.get("args")))


def _parts(fields: dict[str, Any]) -> list[Any]:
    content = fields.get("content")
    parts = content.get("parts") if isinstance(content, dict) else content
    if parts is None:
        return []
    if not isinstance(parts, list):
        raise bad("the provider's answer has a content without a list of parts")
    return parts


def _arguments(args: Any) -> str:
    if args is None:
        return "{}"
    try:
        if isinstance(args, dict):
            return orjson.dumps(args).decode()
    except orjson.JSONEncodeError:
        pass
    raise bad("the provider's answer has a function call whose arguments are no object")


def _finish_reason(reason: str) -> str:
    if reason in _FAILED:
        raise bad(f"the provider ended its answer with {reason}")
    if reason in _FILTERED or reason.startswith("IMAGE_"):
        return "content_filter"
    return _ENDS.get(reason, "stop")


def _with_logprobs(pieces: list[Piece], logprobs: dict[str, Any] | None) -> list[Piece]:
    """The pieces with the log probabilities at the first text, or at an empty one where there is none."""
    if logprobs is None:
        return pieces
    for place, piece in enumerate(pieces):
        if isinstance(piece, Text):
            return [*pieces[:place], Text(piece.text, logprobs), *pieces[place + 1 :]]
    return [*pieces, Text("", logprobs)]


def _logprobs(result: Any) -> dict[str, Any] | None:
    """A `logprobsResult` in OpenAI's shape: the chosen tokens, each with those that were likely in its place."""
    chosen = result.get("chosenCandidates") if isinstance(result, dict) else None
    if not isinstance(chosen, list) or not chosen:
        return None
    steps = result.get("topCandidates")
    steps = steps if isinstance(steps, list) else []
    content = []
    for place, token in enumerate(chosen):
        step = steps[place] if place < len(steps) else None
        others = step.get("candidates") if isinstance(step, dict) else None
        top = [_token(other) for other in others] if isinstance(others, list) else []
        content.append({**_token(token), "top_logprobs": top})
    return {"content": content, "refusal": None}


def _token(token: Any) -> dict[str, Any]:
    text = token.get("token") if isinstance(token, dict) else None
    logprob = token.get("logProbability", 0.0) if isinstance(token, dict) else None
    if not isinstance(text, str) or not isinstance(logprob, int | float):
        raise bad("the provider's answer has log probabilities of another shape")
    return {"token": text, "logprob": float(logprob), "bytes": list(text.encode())}


def indexed(candidates: Any) -> list[tuple[int, dict[str, Any]]]:
    """The candidates of an answer or event with their indexes, which default to their places."""
    if candidates is None:
        return []
    if not isinstance(candidates, list) or not all(isinstance(candidate, dict) for candidate in candidates):
        raise bad("the provider's answer has candidates that are no list of objects")
    return [(_index(candidate, place), candidate) for place, candidate in enumerate(candidates)]


def _index(candidate: dict[str, Any], place: int) -> int:
    return place if (index := _count(candidate, "index")) is None else index


def refusal_of(fields: dict[str, Any]) -> str | None:
    """What a client is told where the prompt was blocked; None where it was not."""
    feedback = fields.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    if not isinstance(reason, str) or not reason or reason == "BLOCK_REASON_UNSPECIFIED":
        return None
    return f"The prompt was blocked by the provider: {reason}."


def usage_of(fields: dict[str, Any]) -> Usage | None:
    """The counts so far: cached tokens are part of the prompt, thoughts are not part of the candidates."""
    counts = fields.get("usageMetadata")
    if not isinstance(counts, dict) or _count(counts, "promptTokenCount") is None:
        return None
    thoughts = _count(counts, "thoughtsTokenCount") or 0
    return Usage(
        input_tokens=(_count(counts, "promptTokenCount") or 0) + (_count(counts, "toolUsePromptTokenCount") or 0),
        output_tokens=(_count(counts, "candidatesTokenCount") or 0) + thoughts,
        cached_tokens=_count(counts, "cachedContentTokenCount") or 0,
        reasoning_tokens=thoughts,
    )


def _count(fields: dict[str, Any], name: str) -> int | None:
    value = fields.get(name)
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST_COUNT
    return value if is_count else None


def objects_in(data: bytes) -> list[dict[str, Any]]:
    """The answers in a body or event: mostly one, but Gemini wraps some in a list.

    Raises `AttemptFailed` for what is empty, a web page or no JSON, and for an error, what that tells.
    """
    value = parsed(data)
    objects = value if isinstance(value, list) else [value]
    for fields in objects:
        if not isinstance(fields, dict) or fields.get("error"):
            raise classify_inside(fields)
    return objects
