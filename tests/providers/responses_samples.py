"""Responses, their events and jobs for the tests of that wire format."""

import json
from typing import Any

from openai.types.responses import Response

from llmrouter.providers.openai_responses import translate
from llmrouter.providers.wire import ChunkDecoder, Job
from llmrouter.replies import Chunk
from tests.providers.samples import call_of, job_of, target_of

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CREATED = 1_794_999_990


def a_job(
    brand: str = "openai_responses", model: str = "m", unsupported: frozenset[str] = frozenset(), **members: Any
) -> Job:
    """The job of a call with these members for a model that is asked by Responses."""
    job = job_of(call_of(**members), target_of(brand, model=model), unsupported)
    assert job.dialect.wire_format == "openai_responses"
    return job


def text_part(text: str, **members: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], **members}


def message(*parts: dict[str, Any], id: str = "msg_1") -> dict[str, Any]:
    return {"id": id, "type": "message", "role": "assistant", "status": "completed", "content": list(parts)}


def reasoning(*summary: str, id: str = "rs_1", encrypted: str | None = "opaque") -> dict[str, Any]:
    parts = [{"type": "summary_text", "text": text} for text in summary]
    return {"id": id, "type": "reasoning", "summary": parts, "encrypted_content": encrypted, "status": None}


def function_call(id: str, arguments: str = "{}", name: str = "weather") -> dict[str, Any]:
    fixed = {"id": f"fc_{id}", "type": "function_call", "status": "completed"}
    return {**fixed, "call_id": id, "name": name, "arguments": arguments}


def custom_call(id: str, text: str, name: str = "shell") -> dict[str, Any]:
    return {"id": f"ctc_{id}", "type": "custom_tool_call", "call_id": id, "name": name, "input": text}


def response(*output: dict[str, Any], status: str = "completed", **members: Any) -> dict[str, Any]:
    """A response as OpenAI sends it, valid by the types of its SDK."""
    usage = {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 18,
    }
    fields = {
        "id": "resp_1",
        "object": "response",
        "created_at": float(CREATED),
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": "gpt-6-astra",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
        **members,
    }
    Response.model_validate(fields)
    return fields


def event(type: str, **members: Any) -> dict[str, Any]:
    return {"type": type if type == "error" else f"response.{type}", "sequence_number": 0, **members}


def events_of(*output: dict[str, Any], status: str = "completed", **members: Any) -> list[dict[str, Any]]:
    """The whole stream of a response with these items, each text in pieces of three characters."""
    begun = response(status="in_progress", usage=None)
    events = [event("created", response=begun), event("in_progress", response=begun)]
    for place, item in enumerate(output):
        empty = {**item, **{name: type(item[name])() for name in _FILLED & item.keys()}}
        events.append(event("output_item.added", output_index=place, item=empty))
        events += [{**each, "item_id": item["id"], "output_index": place} for each in _events_inside(item)]
        events.append(event("output_item.done", output_index=place, item=item))
    return [*events, event(status, response=response(*output, status=status, **members))]


_FILLED = {"content", "summary", "arguments", "input"}


def _events_inside(item: dict[str, Any]) -> list[dict[str, Any]]:
    if item["type"] == "function_call":
        return _pieces("function_call_arguments", item["arguments"], "arguments")
    if item["type"] == "custom_tool_call":
        return _pieces("custom_tool_call_input", item["input"], "input")
    events = []
    for number, part in enumerate(item.get("summary", ())):
        place = {"summary_index": number}
        events.append(event("reasoning_summary_part.added", part={**part, "text": ""}, **place))
        events += _pieces("reasoning_summary_text", part["text"], "text", **place)
        events.append(event("reasoning_summary_part.done", part=part, **place))
    for number, part in enumerate(item.get("content", ())):
        name = "refusal" if part["type"] == "refusal" else "text"
        kind = {"refusal": "refusal", "output_text": "output_text", "reasoning_text": "reasoning_text"}[part["type"]]
        events.append(event("content_part.added", part={**part, name: ""}, content_index=number))
        events += _pieces(kind, part[name], name, content_index=number)
        events.append(event("content_part.done", part=part, content_index=number))
    return events


def _pieces(kind: str, whole: str, name: str, **place: int) -> list[dict[str, Any]]:
    extra: dict[str, Any] = {"logprobs": []} if kind == "output_text" else {}
    pieces = [whole[start : start + 3] for start in range(0, len(whole), 3)]
    deltas = [event(f"{kind}.delta", delta=piece, **place, **extra) for piece in pieces]
    return [*deltas, event(f"{kind}.done", **{name: whole}, **place, **extra)]


def run(decoder: ChunkDecoder, *parts: bytes) -> list[Chunk]:
    """All chunks of a stream that comes in these parts."""
    chunks = [chunk for part in parts for chunk in decoder.feed(part)]
    return [*chunks, *decoder.finish()]


def joined(job: Job, *parts: bytes) -> dict[str, Any]:
    """What a client makes of a stream: a message with its finish reason, tool calls and annotations."""
    whole: dict[str, Any] = {"content": "", "refusal": "", "reasoning_content": "", "tool_calls": []}
    for chunk in run(translate(job).decoder(), *parts):
        for choice in json.loads(chunk.data or b'{"choices":[]}')["choices"]:
            delta = choice["delta"]
            for name in ("content", "refusal", "reasoning_content"):
                whole[name] += delta.get(name) or ""
            for call in delta.get("tool_calls", ()):
                _join_call(whole["tool_calls"], call)
            whole["annotations"] = whole.get("annotations", []) + delta.get("annotations", [])
            whole["finish_reason"] = choice["finish_reason"]
    return whole


def _join_call(calls: list[dict[str, Any]], call: dict[str, Any]) -> None:
    if call["index"] == len(calls):
        calls.append({"id": call["id"], "type": call["type"], call["type"]: dict(call[call["type"]])})
        return
    known = calls[call["index"]]
    for name, piece in call[known["type"]].items():
        known[known["type"]][name] += piece
