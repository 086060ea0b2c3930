"""What is in a response: its text, reasoning and tool calls, its end, and what it cost (section 10.3)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmrouter.errors import AttemptFailed, Outcome
from llmrouter.providers.bodies import bad
from llmrouter.providers.failures import classify_inside
from llmrouter.providers.wire import Job
from llmrouter.replies import Usage

BETWEEN_THOUGHTS = "\n\n"
_FARTHEST = 2**53
"""Numbers from here on are no counts, places or dates, and too large for JSON once they are added up."""


_ENDS = {"content_filter": "content_filter", "max_output_tokens": "length"}
_FAULTS_OF_THE_CALL = frozenset(
    {
        "bio_policy",
        "image_content_policy_violation",
        "invalid_prompt",
        "misalignment_policy_violation",
        *("empty_image_file", "failed_to_download_image", "image_file_not_found", "image_file_too_large"),
        *("image_parse_error", "image_too_large", "image_too_small", "invalid_base64_image", "invalid_image"),
        *("invalid_image_format", "invalid_image_mode", "invalid_image_url", "unsupported_image_media_type"),
    }
)
"""Codes of a failed response that blame what was asked (`ResponseError` of OpenAI's SDK 3.54): as HTTP 400 does."""


def failed(error: Any) -> AttemptFailed:
    """What the error of a failed response, or of an error event, means."""
    if isinstance(error, dict) and isinstance(code := error.get("code"), str) and code in _FAULTS_OF_THE_CALL:
        error = {**error, "status": 400}
    return classify_inside({"error": error} if error else None)


def without_output(fields: Any) -> AttemptFailed:
    """What JSON means that is no response: an error in some other shape, or a bad reply."""
    failure = classify_inside(fields)
    if failure.outcome is Outcome.BAD_REPLY:
        failure.message = f"the provider sent an answer without output: {failure.message}"
    return failure


@dataclass(slots=True)
class ToolCall:
    """A call of a function, or of a custom tool, whose `arguments` are plain text; `reasoning` are the items that led
    to it."""

    id: str
    name: str
    arguments: str
    is_custom: bool
    reasoning: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Answer:
    """The output of a response, its items joined."""

    text: str = ""
    refusal: str = ""
    thoughts: list[str] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    reasoning: list[dict[str, Any]] = field(default_factory=list)

    def read(self, item: Mapping[str, Any]) -> None:
        """Adds an output item; what chat completions have no place for is passed over."""
        kind = item.get("type")
        if kind == "message":
            for part in objects(item.get("content")):
                self._read_part(part)
        elif kind == "reasoning":
            self.thoughts += thoughts_of(item)
            self.reasoning += kept_reasoning(item)
        elif (call := tool_call_of(item)) is not None:
            call.reasoning, self.reasoning = self.reasoning, []
            self.calls.append(call)

    def _read_part(self, part: Mapping[str, Any]) -> None:
        text, refusal = part.get("text"), part.get("refusal")
        if part.get("type") == "output_text" and isinstance(text, str):
            self.annotations += _annotations(part.get("annotations"), len(self.text))
            self.logprobs += logprobs_of(part.get("logprobs"))
            self.text += text
        elif part.get("type") == "refusal" and isinstance(refusal, str):
            self.refusal += refusal


def answer_of(output: Any, job: Job) -> Answer:
    """What these output items say; only the first tool call where the client wants no parallel ones."""
    answer = Answer()
    for item in objects(output):
        answer.read(item)
    if wants_one_call(job):
        del answer.calls[1:]
    return answer


def wants_one_call(job: Job) -> bool:
    """Whether the client wants one tool call at most; what the target did not heed is put right here."""
    return job.call.body.get("parallel_tool_calls") is False


def remember(calls: list[ToolCall], job: Job) -> None:
    """Keeps the reasoning that led to tool calls for the turn that brings their results."""
    for call in calls:
        if call.reasoning:
            job.memory.keep(job.call, job.target, call.id, call.reasoning)


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """The objects in a list; none where it is no list."""
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def tool_call_of(item: Mapping[str, Any]) -> ToolCall | None:
    """The tool call that an output item is; None where it is something else. Its arguments may be yet to come."""
    is_custom = item.get("type") == "custom_tool_call"
    if not is_custom and item.get("type") != "function_call":
        return None
    id, name = item.get("call_id") or item.get("id"), item.get("name")
    arguments = item.get("input" if is_custom else "arguments")
    if not isinstance(id, str) or not isinstance(name, str):
        raise bad("the provider's answer has a tool call without id or name")
    return ToolCall(id, name, arguments if isinstance(arguments, str) else "", is_custom)


def thoughts_of(item: Mapping[str, Any]) -> list[str]:
    """The parts of a reasoning item's summary, and of the reasoning itself where it is told."""
    parts = [*objects(item.get("summary")), *objects(item.get("content"))]
    return [part["text"] for part in parts if isinstance(part.get("text"), str) and part["text"]]


def kept_reasoning(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The reasoning item as it may be sent again, which needs what it holds: by its id alone nobody finds it.

    Without `status`, which OpenAI gives as null and does not take back.
    """
    id, encrypted, content = item.get("id"), item.get("encrypted_content"), _kept_parts(item.get("content"))
    kept: dict[str, Any] = {"type": "reasoning", "summary": _kept_parts(item.get("summary"))}
    if isinstance(id, str):
        kept["id"] = id
    if content:
        kept["content"] = content
    if isinstance(encrypted, str) and encrypted:
        kept["encrypted_content"] = encrypted
    return [kept] if kept.keys() & {"content", "encrypted_content"} else []


def _kept_parts(value: Any) -> list[dict[str, Any]]:
    parts = ({name: part.get(name) for name in ("type", "text")} for part in objects(value))
    return [part for part in parts if all(isinstance(member, str) for member in part.values())]


def logprobs_of(value: Any) -> list[dict[str, Any]]:
    """Log probabilities of tokens in the shape of chat completions."""
    return [
        {**_token(entry), "top_logprobs": [_token(other) for other in objects(entry.get("top_logprobs"))]}
        for entry in objects(value)
    ]


def _token(entry: Mapping[str, Any]) -> dict[str, Any]:
    token, logprob = entry.get("token"), entry.get("logprob")
    if not isinstance(token, str) or not isinstance(logprob, int | float):
        raise bad("the provider's answer has log probabilities without token or number")
    spelt = entry.get("bytes")
    is_spelt = isinstance(spelt, list) and all(isinstance(byte, int) for byte in spelt)
    return {"token": token, "bytes": spelt if is_spelt else None, "logprob": logprob}


def _annotations(value: Any, offset: int) -> list[dict[str, Any]]:
    """Citations of web pages, which are all that chat completions have, placed in the joined text."""
    return [_citation(entry, offset) for entry in objects(value) if entry.get("type") == "url_citation"]


def _citation(entry: Mapping[str, Any], offset: int) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in ("start_index", "end_index"):
        place = entry.get(name)
        if not isinstance(place, int) or not 0 <= place < _FARTHEST:
            raise bad("the provider's answer has a citation without a place")
        told[name] = place + offset
    for name in ("title", "url"):
        text = entry.get(name)
        told[name] = text if isinstance(text, str) else ""
    return {"type": "url_citation", "url_citation": told}


def finish_reason(response: Mapping[str, Any], status: Any, has_calls: bool) -> str:
    """OpenAI's word for how a response with this status ended; raises `AttemptFailed` where it did not end."""
    if status == "failed" or response.get("error"):
        raise failed(response.get("error"))
    if status == "incomplete":
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        return _ENDS.get(reason, "length") if isinstance(reason, str) else "length"
    if status not in ("completed", None):
        raise bad("the provider's answer has no end")
    return "tool_calls" if has_calls else "stop"


def usage_of(response: Mapping[str, Any]) -> Usage | None:
    """The tokens of a response, which OpenAI counts here as in chat completions, under other names."""
    usage = response.get("usage")
    if not isinstance(usage, dict):
        return None
    names = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"}
    details = {f"{name}_details": f"{other}_details" for name, other in names.items()}
    read = Usage.from_openai({other: usage.get(name) for name, other in {**names, **details}.items()})
    return read if read is not None and read.input_tokens + read.output_tokens < _FARTHEST else None


def created_of(response: Mapping[str, Any], otherwise: int) -> int:
    """The response's date in whole Unix seconds, which the wire gives as a number with a fraction."""
    created = response.get("created_at")
    if isinstance(created, bool) or not isinstance(created, int | float) or not 0 < created < _FARTHEST:
        return otherwise
    return int(created)
