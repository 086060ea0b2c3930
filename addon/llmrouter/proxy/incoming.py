"""A client's request as a call: its body, its credential, and what it asks of the router by headers."""

import uuid
from typing import Protocol
from urllib.parse import parse_qsl

from mitmproxy import http
from pydantic import SecretStr

from llmrouter.caching.wishes import read_wishes
from llmrouter.calls import Call, Caller, Endpoint, Preferences
from llmrouter.endpoints import chat, completions, embeddings
from llmrouter.errors import InvalidRequest
from llmrouter.operations import Operation
from llmrouter.proxy import flows
from llmrouter.proxy.access import access_of
from llmrouter.proxy.exchange import Exchange


class _Endpoint(Protocol):
    """What each module of a routed endpoint offers."""

    PATH: str

    def parse(self, body: bytes, default_model: str, *, id: str, caller: Caller, preferences: Preferences) -> Call:
        """The call that a request's body makes; raises `InvalidRequest`."""
        ...


_MODULES: tuple[_Endpoint, ...] = (chat, completions, embeddings)
_ENDPOINTS = {endpoint.PATH: endpoint for endpoint in _MODULES}
_NAMES = {
    chat.PATH: Endpoint.CHAT_COMPLETIONS,
    completions.PATH: Endpoint.COMPLETIONS,
    embeddings.PATH: Endpoint.EMBEDDINGS,
}
_OPENAI_HEADERS = ("openai-organization", "openai-project")
# As long as they may be (W3C Trace Context, sections 3.2 and 3.3.1.5); longer ones are nobody's trace.
_TRACE_HEADERS = {"traceparent": 64, "tracestate": 512}
_READ = frozenset({b"cache-control", *(name.encode() for name in (*_OPENAI_HEADERS, *_TRACE_HEADERS))})
_OUR_PREFIX = flows.ROUTER_HEADER_PREFIX.encode()


def read_call(flow: http.HTTPFlow, exchange: Exchange, body: bytes, default_model: str) -> Call:
    """The call of a client's request; raises `InvalidRequest` where its body or a header of ours makes no sense."""
    caller, preferences = asker(flow.request, exchange)
    endpoint = _ENDPOINTS[path_of(flow.request)]
    return endpoint.parse(body, default_model, id=new_id(), caller=caller, preferences=preferences)


def read_operation(flow: http.HTTPFlow, exchange: Exchange, body: bytes) -> Operation:
    """The operation of a client's request; raises `InvalidRequest` where a header of ours makes no sense."""
    request = flow.request
    caller, preferences = asker(request, exchange)
    query = dict(parse_qsl(request.path.partition("?")[2], keep_blank_values=True))
    return Operation(new_id(), request.method, path_of(request), query, body, caller, preferences)


def read_recorded(request: http.Request, default_model: str) -> Call:
    """The call of a recorded request of a client, of whom nothing is known; raises `InvalidRequest`."""
    body = request.get_content(strict=False) or b""
    endpoint = _ENDPOINTS[path_of(request)]
    return endpoint.parse(body, default_model, id=new_id(), caller=Caller(), preferences=Preferences())


def is_call(request: http.Request) -> bool:
    """Whether this is one call of a model, and no operation on what is kept."""
    return request.method == "POST" and path_of(request) in _ENDPOINTS


def endpoint_of(path: str) -> Endpoint | None:
    """The endpoint of a call by its path; None where that is none."""
    return _NAMES.get(path)


def is_websocket(request: http.Request) -> bool:
    """Whether the client wants to speak WebSocket from here on."""
    return str(request.headers.get("upgrade", "")).strip().lower() == "websocket"


def asker(request: http.Request, exchange: Exchange) -> tuple[Caller, Preferences]:
    """Who asks, and for what by headers."""
    told = _told(request)
    authorization = next(iter(exchange.credentials.get("authorization", ())), None)
    openai = {name: told[name] for name in _OPENAI_HEADERS if name in told}
    trace = {name: told[name] for name, most in _TRACE_HEADERS.items() if name in told and len(told[name]) <= most}
    caller = Caller(SecretStr(authorization) if authorization else None, openai, trace, access_of(request))
    return caller, _read_preferences(told)


def new_id() -> str:
    """A request's own id."""
    return f"req-{uuid.uuid4().hex}"


def path_of(request: http.Request) -> str:
    """The path without a query."""
    return request.path.split("?", 1)[0]


def _told(request: http.Request) -> dict[str, str]:
    """The headers that say something to the router, by their lower-case names."""
    told: dict[str, str] = {}
    for name, value in request.headers.fields:
        lower = name.lower()
        if lower in _READ or lower.startswith(_OUR_PREFIX):
            key, text = lower.decode("ascii", "replace"), value.decode("utf-8", "surrogateescape")
            told[key] = f"{told[key]}, {text}" if key in told else text
    return told


def _read_preferences(told: dict[str, str]) -> Preferences:
    cost = told.get("x-llmrouter-max-cost-usd")
    try:
        max_cost_usd = None if cost is None else float(cost)
    except ValueError:
        raise InvalidRequest(f"'x-llmrouter-max-cost-usd' must be a number of US dollars, not {cost!r}.") from None
    cache = read_wishes(told.get("x-llmrouter-cache"), told.get("cache-control"))
    return Preferences(told.get("x-llmrouter-provider"), told.get("x-llmrouter-policy"), cache, max_cost_usd)
