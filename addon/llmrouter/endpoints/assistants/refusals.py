"""What the Assistants API refuses, in OpenAI's words."""

from typing import Any

from llmrouter.errors import InvalidRequest

_SHOWN_ID_CHARACTERS = 100

NAMES = {
    "assistant": "assistant",
    "thread": "thread",
    "message": "message",
    "run": "run",
    "run_step": "run step",
}
"""How OpenAI calls the kinds of objects in its errors."""


class NotFound(InvalidRequest):
    """There is no such object, or it is another caller's: both look the same."""

    status = 404

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(f"No {NAMES[kind]} found with id '{id[:_SHOWN_ID_CHARACTERS]}'.")


class ActiveRun(InvalidRequest):
    """A thread takes one run at a time."""

    status = 409

    def __init__(self, thread_id: str, run_id: str) -> None:
        super().__init__(f"Thread {thread_id} already has an active run {run_id}.")


class NotAllowed(InvalidRequest):
    """The path is known, but not with this method."""

    status = 405

    def __init__(self, method: str, path: str) -> None:
        super().__init__(f"Not allowed to {method} on {path[:_SHOWN_ID_CHARACTERS]}.")


def thread_is_busy(thread_id: str, run_id: str) -> InvalidRequest:
    """Messages of a thread stay as they are while a run reads them."""
    return InvalidRequest(f"Can't add messages to {thread_id} while a run {run_id} is active.")


def takes_no_outputs(status: str) -> InvalidRequest:
    """Outputs come only while they are waited for."""
    return InvalidRequest(f'Runs in status "{status}" do not accept tool outputs.')


def wrong_outputs(wanted: list[str], given: list[str]) -> InvalidRequest:
    """All pending calls are answered at once."""
    message = f"Expected tool outputs for call_ids {wanted}, got {given}."
    return InvalidRequest(message[:2000], param="tool_outputs")


def cannot_cancel(status: str) -> InvalidRequest:
    """What has ended cannot be cancelled."""
    return InvalidRequest(f"Cannot cancel run with status '{status}'.")


def hosted_tool(kind: str, param: str) -> InvalidRequest:
    """A tool that ran on OpenAI's own machines."""
    return InvalidRequest(
        f"The tool '{kind}' is not available: it ran on OpenAI's own servers, which no longer offer it to the "
        "Assistants API, and the router has nothing to stand in for it. Use tools of type 'function'.",
        param=param,
    )


def hosted_files(param: str) -> InvalidRequest:
    """Files that lie at OpenAI."""
    return InvalidRequest(
        f"'{param}' is not available: it refers to files at OpenAI, which the router cannot read, for "
        "'code_interpreter' or 'file_search', which OpenAI no longer offers to the Assistants API. "
        "Send text, or images as 'image_url'.",
        param=param,
    )


def wrong_type(param: str, wanted: str, got: str) -> InvalidRequest:
    """A member of another JSON type."""
    return InvalidRequest(f"Invalid type for '{param}': expected {wanted}, but got {got} instead.", param=param)


def wrong_value(param: str, value: Any, wanted: str) -> InvalidRequest:
    """A member with a value out of its range."""
    return InvalidRequest(f"Invalid value for '{param}': expected {wanted}, but got {str(value)[:100]!r}.", param=param)


def missing(param: str) -> InvalidRequest:
    """A member that must be there."""
    return InvalidRequest(f"Missing required parameter: '{param}'.", param=param)
