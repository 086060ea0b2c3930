"""A recorded request as the call that the router would have made of it."""

from dataclasses import dataclass, replace

from llmrouter.calls import Call, Preferences
from llmrouter.endpoints import chat, completions, embeddings
from llmrouter.endpoints.responses import request as responses
from llmrouter.endpoints.responses.chat_request import chat_body
from llmrouter.errors import InvalidRequest
from llmrouter.hindsight.exchanges import RecordedExchange

RESPONSES = "/v1/responses"
PATHS = frozenset({chat.PATH, completions.PATH, embeddings.PATH, RESPONSES})
"""What the router answers in place of OpenAI."""

_MODULES = {chat.PATH: chat, completions.PATH: completions, embeddings.PATH: embeddings}


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call; `goes_on` tells that its prompt goes on from a response that only OpenAI has."""

    call: Call
    goes_on: bool = False


class OnlyOpenAI(Exception):
    """Only OpenAI can answer the request, and why."""


def call_of(exchange: RecordedExchange, default_model: str) -> RecordedCall:
    """The call of a request to one of `PATHS`; raises `InvalidRequest` and `OnlyOpenAI`."""
    if exchange.path == RESPONSES:
        return _call_of_response(exchange, default_model)
    parse = _MODULES[exchange.path].parse
    call = parse(exchange.body, default_model, id="", caller=exchange.caller, preferences=Preferences())
    return RecordedCall(call)


def _call_of_response(exchange: RecordedExchange, default_model: str) -> RecordedCall:
    request = responses.parse(exchange.body, default_model)
    if request.hosted_tools:
        raise OnlyOpenAI(f"only OpenAI has: {', '.join(request.hosted_tools)}")
    goes_on = request.previous_response_id is not None or request.conversation is not None
    if not request.input and not request.instructions:
        raise InvalidRequest("its prompt is not in the recording")
    body = chat_body(replace(request, background=False), [])
    call = chat.parse(body, default_model, id="", caller=exchange.caller, preferences=Preferences())
    return RecordedCall(replace(call, surface="responses"), goes_on)
