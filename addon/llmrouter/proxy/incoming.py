"""A client's request as a call: its body, its credential, and what it asks of the router by headers."""

import uuid
from typing import Protocol

from mitmproxy import http
from pydantic import SecretStr

from llmrouter.caching.wishes import read_wishes
from llmrouter.calls import Call, Caller, Preferences
from llmrouter.endpoints import chat, completions, embeddings
from llmrouter.errors import InvalidRequest
from llmrouter.proxy import flows
from llmrouter.proxy.exchange import Exchange


class _Endpoint(Protocol):
    """What each module of a routed endpoint offers."""

    PATH: str

    def parse(self, body: bytes, default_model: str, *, id: str, caller: Caller, preferences: Preferences) -> Call:
        """The call that a request's body makes; raises `InvalidRequest`."""
        ...


_MODULES: tuple[_Endpoint, ...] = (chat, completions, embeddings)
_ENDPOINTS = {endpoint.PATH: endpoint for endpoint in _MODULES}
_OPENAI_HEADERS = ("openai-organization", "openai-project")


def read_call(flow: http.HTTPFlow, exchange: Exchange, body: bytes, default_model: str) -> Call:
    """The call of a client's request; raises `InvalidRequest` where its body or a header of ours makes no sense."""
    headers = flow.request.headers
    authorization = next(iter(exchange.credentials.get("authorization", ())), None)
    openai = {name: headers[name] for name in _OPENAI_HEADERS if name in headers}
    caller = Caller(SecretStr(authorization) if authorization else None, openai)
    asked = {
        name.lower().removeprefix(flows.ROUTER_HEADER_PREFIX): value
        for name, value in headers.items()
        if name.lower().startswith(flows.ROUTER_HEADER_PREFIX)
    }
    preferences = _read_preferences(asked, headers.get("cache-control"))
    id = f"req-{uuid.uuid4().hex}"
    endpoint = _ENDPOINTS[path_of(flow.request)]
    return endpoint.parse(body, default_model, id=id, caller=caller, preferences=preferences)


def is_routed(request: http.Request) -> bool:
    """Whether the router answers such requests itself."""
    return request.method == "POST" and path_of(request) in _ENDPOINTS


def path_of(request: http.Request) -> str:
    """The path without a query."""
    return request.path.split("?", 1)[0]


def _read_preferences(asked: dict[str, str], cache_control: str | None) -> Preferences:
    cost = asked.get("max-cost-usd")
    try:
        max_cost_usd = None if cost is None else float(cost)
    except ValueError:
        raise InvalidRequest(f"'x-llmrouter-max-cost-usd' must be a number of US dollars, not {cost!r}.") from None
    cache = read_wishes(asked.get("cache"), cache_control)
    return Preferences(asked.get("provider"), asked.get("policy"), cache, max_cost_usd)
