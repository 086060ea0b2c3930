"""Why an operation on a response or a conversation is refused, in OpenAI's words.

Ids that are another caller's look the same as ids that nobody has. All unknown ids are 404, though OpenAI itself
tells an unknown `previous_response_id` by 400; the code, which programs look at, is OpenAI's.
"""

from collections.abc import Sequence

from llmrouter.errors import InvalidRequest, RouterError


class UnknownId(RouterError):
    """Nothing of that id is kept for this caller."""

    status = 404
    type = "invalid_request_error"
    metric = "unknown_id"


class UnknownPreviousResponse(UnknownId):
    """The response that a request goes on from is not kept."""

    code = "previous_response_not_found"


class ConversationLocked(RouterError):
    """Another response is being made in the conversation; OpenAI's SDKs try again by themselves after a 409."""

    status = 409
    type = "invalid_request_error"
    code = "conversation_locked"
    metric = "conversation_locked"


class HostedToolsRefused(InvalidRequest):
    """The request names tools that run at OpenAI, and nowhere else."""

    code = "unsupported_tool"


class HistoryTooLong(InvalidRequest):
    """More turns, items or bytes come before this one than the router puts into one prompt."""

    code = "history_too_long"


class TooManyRuns(RouterError):
    """As many responses as may be are being made in the background."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    metric = "too_many_runs"


class ServedElsewhere(RouterError):
    """The response is being made by another process of the router, which alone has its events."""

    status = 409
    type = "invalid_request_error"
    metric = "served_elsewhere"


def unknown_response(id: str) -> UnknownId:
    """For operations on a response."""
    return UnknownId(f"Response with id '{id}' not found.")


def unknown_previous(id: str) -> UnknownPreviousResponse:
    """For a request that goes on from a response."""
    return UnknownPreviousResponse(f"Previous response with id '{id}' not found.", param="previous_response_id")


def unknown_conversation(id: str, param: str | None = None) -> UnknownId:
    """For operations on a conversation, and for requests in one (`param` is "conversation")."""
    return UnknownId(f"Conversation with id '{id}' not found.", param=param)


def unknown_item(id: str, param: str | None = None) -> UnknownId:
    """For an item of a conversation, or one that a request refers to."""
    return UnknownId(f"Item with id '{id}' not found.", param=param)


def locked() -> ConversationLocked:
    """For whatever would change a conversation while a response is being made in it."""
    message = "Another process is currently operating on this conversation. Please retry in a few seconds."
    return ConversationLocked(message, param="conversation", retry_after_s=2.0)


def hosted_tools(names: Sequence[str]) -> HostedToolsRefused:
    """For a request whose tools run at OpenAI, where it may not be passed to OpenAI."""
    told = ", ".join(f"'{name}'" for name in names)
    return HostedToolsRefused(
        f"The tools {told} run at OpenAI only, and this router may not pass the request to OpenAI. "
        "Leave them out, or let the router pass such requests on with your own OpenAI key.",
        param="tools",
    )


def not_served(path: str) -> UnknownId:
    """For a path of OpenAI's that the router does not serve."""
    return UnknownId(f"The router does not serve {path}; it can only be passed to OpenAI.")
