"""The objects of the Assistants API, as openai-python's `types/beta` have them; times are whole Unix seconds."""

from collections.abc import Sequence
from typing import Any

from llmrouter.endpoints.assistants.requests import NewMessage, NewRun

RUN_LASTS_S = 600
"""How long a run may take, waiting for tool outputs included (OpenAI: `expires_at` is ten minutes after creation)."""

type Object = dict[str, Any]

_ASSISTANT: Object = {
    "name": None,
    "description": None,
    "instructions": None,
    "tools": [],
    "metadata": {},
    "temperature": None,
    "top_p": None,
    "response_format": None,
    "reasoning_effort": None,
}
_IF_NULL: Object = {"temperature": 1.0, "top_p": 1.0, "response_format": "auto"}


def assistant(id: str, now: float, model: str, given: Object) -> Object:
    """A new assistant, of what a request sets."""
    made = {"id": id, "object": "assistant", "created_at": int(now), "tool_resources": {}}
    return changed_assistant(made | _ASSISTANT, given | {"model": given.get("model") or model})


def changed_assistant(before: Object, given: Object) -> Object:
    """An assistant after a request that modifies it; a null sets back, but a model must be."""
    after = before | {name: value for name, value in given.items() if value is not None or name != "model"}
    return after | {name: value for name, value in _IF_NULL.items() if after[name] is None}


def thread(id: str, now: float, metadata: dict[str, str]) -> Object:
    """A new thread."""
    return {"id": id, "object": "thread", "created_at": int(now), "metadata": metadata, "tool_resources": {}}


def message(id: str, now: float, thread_id: str, new: NewMessage) -> Object:
    """A message that a client adds: complete as it is."""
    return _message(id, now, thread_id, new.role, "completed") | {
        "completed_at": int(now),
        "content": new.content,
        "metadata": new.metadata,
    }


def _message(id: str, now: float, thread_id: str, role: str, status: str) -> Object:
    return {
        "id": id,
        "object": "thread.message",
        "created_at": int(now),
        "assistant_id": None,
        "thread_id": thread_id,
        "run_id": None,
        "status": status,
        "incomplete_details": None,
        "incomplete_at": None,
        "completed_at": None,
        "role": role,
        "content": [],
        "attachments": [],
        "metadata": {},
    }


def answer(id: str, now: float, run: Object) -> Object:
    """The message that a run begins to write."""
    return _message(id, now, run["thread_id"], "assistant", "in_progress") | {
        "assistant_id": run["assistant_id"],
        "run_id": run["id"],
    }


def run(id: str, now: float, thread_id: str, assistant: Object, new: NewRun) -> Object:
    """A new run: the assistant's members, where the request does not override them."""
    names = ("model", "instructions", "tools", "temperature", "top_p", "response_format", "reasoning_effort")
    members = {name: assistant[name] for name in names} | new.overrides
    parts = [text for text in (members["instructions"], new.additional_instructions) if text]
    return {
        "id": id,
        "object": "thread.run",
        "created_at": int(now),
        "assistant_id": assistant["id"],
        "thread_id": thread_id,
        "status": "queued",
        "started_at": None,
        "expires_at": int(now) + RUN_LASTS_S,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "required_action": None,
        "last_error": None,
        "incomplete_details": None,
        "usage": None,
        **members,
        "instructions": "\n".join(parts),
        **new.settings,
    }


def step(id: str, now: float, run: Object, details: Object) -> Object:
    """A step that a run begins; `details` are its `step_details`."""
    return {
        "id": id,
        "object": "thread.run.step",
        "created_at": int(now),
        "run_id": run["id"],
        "assistant_id": run["assistant_id"],
        "thread_id": run["thread_id"],
        "type": details["type"],
        "status": "in_progress",
        "cancelled_at": None,
        "completed_at": None,
        "expired_at": None,
        "failed_at": None,
        "last_error": None,
        "step_details": details,
        "usage": None,
        "metadata": {},
    }


def ended_step(step: Object, status: str, now: float, error: Object | None = None) -> Object:
    """A step that came to its end; a step's errors know two codes only (openai-python `run_step.py`)."""
    if error is not None and error["code"] != "rate_limit_exceeded":
        error = error | {"code": "server_error"}
    return step | {"status": status, f"{status}_at": int(now), "last_error": error}


def ended_message(message: Object, reason: str | None, now: float) -> Object:
    """A message that is complete, or, for a `reason`, incomplete."""
    if reason is None:
        return message | {"status": "completed", "completed_at": int(now)}
    details = {"incomplete_details": {"reason": reason}}
    return message | {"status": "incomplete", "incomplete_at": int(now)} | details


def page(objects: Sequence[Object], has_more: bool) -> Object:
    """A part of a list."""
    first, last = (objects[0]["id"], objects[-1]["id"]) if objects else (None, None)
    return {"object": "list", "data": list(objects), "first_id": first, "last_id": last, "has_more": has_more}


def deleted(kind: str, id: str) -> Object:
    """What is told of an object that is gone."""
    name = "thread.message" if kind == "message" else kind
    return {"id": id, "object": f"{name}.deleted", "deleted": True}
