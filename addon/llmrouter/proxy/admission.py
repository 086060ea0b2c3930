"""Which requests are taken on at all, and the record of those that are not."""

import logging

from mitmproxy import http

from llmrouter import surfaces
from llmrouter.calls import Call, Caller, Endpoint, JsonObject, Preferences
from llmrouter.errors import ROUTERS_OWN, InternalError, InvalidRequest, Overloaded, RouterError, ShuttingDown
from llmrouter.proxy import fail_open, flows
from llmrouter.proxy.asking import Work, asked
from llmrouter.proxy.call_notes import note
from llmrouter.proxy.exchange import Exchange
from llmrouter.proxy.incoming import asker, endpoint_of, new_id, path_of
from llmrouter.proxy.runtime import Runtime

logger = logging.getLogger(__name__)

_RECORDED = (*ROUTERS_OWN, ShuttingDown)
_AGAIN_S = 5.0
_NOTHING = JsonObject(b"{}")


def refused_at_the_end(flow: http.HTTPFlow) -> Exchange:
    """What becomes of a request that comes after the router began to end: it goes nowhere, and is told so."""
    exchange = Exchange(flow.client_conn.id, is_routed=True)
    exchange.refusal = ShuttingDown("The router is shutting down. Try again in a moment.", retry_after_s=_AGAIN_S)
    exchange.credentials = flows.take_credentials(flow.request)
    flow.request.stream = False
    return exchange


def why_not(request: http.Request, runtime: Runtime) -> RouterError | None:
    """Why a routed request is refused by its head alone, before its body comes; None where it is taken on."""
    capacity = runtime.gateway.capacity
    if not capacity.held_bytes:
        return None
    length = request.headers.get("content-length", "")
    try:
        capacity.check_bytes(int(length) if length.isdecimal() else 0)
    except Overloaded as error:
        return error
    return None


def taken_on(flow: http.HTTPFlow, exchange: Exchange, runtime: Runtime) -> Work | None:
    """What answers a request that is there as a whole, None where it is passed through; raises `RouterError`."""
    try:
        body = flows.decoded_body(flow.request, exchange.max_body_bytes)
        unpacked = len(body) - len(flow.request.raw_content or b"")
        if unpacked > 0 and exchange.share is not None:
            exchange.share.grow(unpacked)
        return asked(flow, exchange, runtime, body, passes_on_failure=fail_open.is_allowed(flow, runtime))
    except RouterError as error:
        exchange.refusal = error
    except Exception:
        logger.exception("the router failed on a request, which was not sent anywhere")
        exchange.refusal = failed()
    if fail_open.may_pass(flow, exchange, runtime, exchange.refusal):
        return None
    raise exchange.refusal


def failed() -> InternalError:
    """A defect, in words for the client."""
    return InternalError("The router failed on this request. Its log says why.")


def record_refusal(flow: http.HTTPFlow, exchange: Exchange, runtime: Runtime, error: RouterError) -> None:
    """Publishes the decision on a request that was not begun as a call; which model it wants is not known then."""
    path = path_of(flow.request)
    endpoint, surface = endpoint_of(path), surfaces.name_of(path)
    if not isinstance(error, _RECORDED) or (endpoint is None and not surface):
        return
    try:
        caller, preferences = asker(flow.request, exchange)
    except InvalidRequest:
        caller, preferences = Caller(), Preferences()
    call = Call(
        new_id(),
        endpoint or Endpoint.CHAT_COMPLETIONS,
        _NOTHING,
        model="",
        caller=caller,
        preferences=preferences,
        surface=surface,
    )
    note(flow, runtime.gateway.refuse(call, error, may_pass=not exchange.is_routed))
