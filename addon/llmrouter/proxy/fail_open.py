"""Whether a request that the router itself cannot answer may go to OpenAI after all, with the app's own key.

Only `on_internal_error: passthrough` allows it: it spends the caller's own money. And only as the request was sent, to
where it was sent: an intercepted host, over TLS.
"""

from mitmproxy import http

from llmrouter import surfaces
from llmrouter.calls import JsonObject
from llmrouter.errors import ROUTERS_OWN, InvalidRequest, RouterError
from llmrouter.proxy import tunnels
from llmrouter.proxy.asking import demands_of_router
from llmrouter.proxy.exchange import Exchange
from llmrouter.proxy.incoming import asker, is_call, path_of
from llmrouter.proxy.runtime import Runtime


def is_allowed(flow: http.HTTPFlow, runtime: Runtime) -> bool:
    """Whether the settings allow it at all, and the request would go to where its key belongs."""
    settings, request = runtime.settings, flow.request
    if settings.on_internal_error != "passthrough" or request.scheme != "https":
        return False
    return any(tunnels.is_intercepted(name, settings.intercept) for name in (request.host, flow.client_conn.sni))


def may_pass(flow: http.HTTPFlow, exchange: Exchange, runtime: Runtime, error: RouterError) -> bool:
    """Whether this request, which was not begun, goes on to OpenAI in spite of the error."""
    if not isinstance(error, ROUTERS_OWN) or not is_allowed(flow, runtime):
        return False
    try:
        _, preferences = asker(flow.request, exchange)
    except InvalidRequest:
        return False
    return not demands_of_router(preferences) and _says_all(flow.request)


def _says_all(request: http.Request) -> bool:
    """Whether OpenAI can answer it without what the router alone keeps."""
    if is_call(request):
        return True
    if (request.method, path_of(request)) != ("POST", surfaces.RESPONSES):
        return False
    try:
        fields = JsonObject(request.get_content(strict=False) or b"")
        return not (fields.get("previous_response_id") or fields.get("conversation"))
    except ValueError:
        return False
