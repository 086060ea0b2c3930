"""Who answers a routed request: the gateway, a surface that keeps state, or OpenAI after all."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from mitmproxy import http

from llmrouter import surfaces
from llmrouter.calls import Call, JsonObject, Preferences
from llmrouter.operations import Operation, Result
from llmrouter.proxy.call_notes import expect_calls
from llmrouter.proxy.exchange import Exchange
from llmrouter.proxy.incoming import is_call, read_call, read_operation
from llmrouter.proxy.runtime import Runtime
from llmrouter.telling import tell


class Work(NamedTuple):
    """What answers a request; None from `answer` means that OpenAI has to say it."""

    name: str
    answer: Callable[[], Awaitable[Result | None]]


def asked(
    flow: http.HTTPFlow, exchange: Exchange, runtime: Runtime, body: bytes, *, passes_on_failure: bool = False
) -> Work | None:
    """What answers a request, None where it is to be passed through; raises `RouterError` where it is not begun.

    `passes_on_failure` leaves a call to OpenAI that the router itself cannot answer.
    """
    if is_call(flow.request):
        return _call(read_call(flow, exchange, body, runtime.default_model), runtime, passes_on_failure)
    expect_calls(flow)
    return _operation(read_operation(flow, exchange, body), runtime)


def _call(call: Call, runtime: Runtime, passes_on_failure: bool) -> Work | None:
    runtime.check_targets()
    if _may_pass(call.preferences, runtime) and not runtime.serves(call):
        return None

    may_pass = passes_on_failure and not demands_of_router(call.preferences)

    async def answer() -> Result:
        return tell(call, await runtime.gateway.answer(call, may_pass=may_pass))

    return Work(f"call {call.id}", answer)


def _operation(operation: Operation, runtime: Runtime) -> Work | None:
    makes_calls = surfaces.makes_calls(operation.method, operation.path)
    if makes_calls:
        runtime.check_targets()
    may_pass = _may_pass(operation.preferences, runtime)
    if may_pass and _wants_another_model(operation, runtime):
        return None
    if makes_calls:
        runtime.gateway.capacity.check_calls()
    return Work(f"operation {operation.id}", lambda: runtime.surfaces.answer(operation, may_pass=may_pass))


def _may_pass(asked: Preferences, runtime: Runtime) -> bool:
    """Whether OpenAI may be asked for what nobody here is meant for."""
    return runtime.settings.unmatched == "passthrough" and not demands_of_router(asked)


def demands_of_router(asked: Preferences) -> bool:
    """Whether the client wants what OpenAI would not heed."""
    return (asked.provider, asked.policy, asked.max_cost_usd) != (None, None, None) or asked.cache.only_if_cached


def _wants_another_model(operation: Operation, runtime: Runtime) -> bool:
    """Whether a new response is to come from a model that nobody here is meant for.

    One that goes on from something is looked at first: that may be the router's own, of which OpenAI knows nothing.
    """
    if (operation.method, operation.path) != ("POST", surfaces.RESPONSES):
        return False
    try:
        fields = JsonObject(operation.body)
        goes_on = fields.get("previous_response_id") or fields.get("conversation")
        model = fields.get("model") or runtime.default_model
    except ValueError:
        return False
    return not goes_on and isinstance(model, str) and not runtime.serves_model(model)
