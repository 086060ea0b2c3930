"""The client's own request behind a flow, whose recorded one is what the provider got: kept, read and sent again."""

import uuid

from mitmproxy import exceptions, http

from llmrouter.calls import Call
from llmrouter.proxy.incoming import is_call, read_recorded

# Long agents' contexts are kept, too; what is larger is told to be missing rather than kept twice.
_MOST_BYTES = 1024 * 1024
_ASKED = "llmrouter_asked"
_HEADERS_KEPT = ("content-type", "content-encoding")


def keep_asked(flow: http.HTTPFlow) -> None:
    """Keeps the client's request in the flow's metadata, without headers that may hold a credential."""
    request, body = flow.request, flow.request.raw_content
    if body is not None and len(body) <= _MOST_BYTES:
        headers = {name: request.headers[name] for name in _HEADERS_KEPT if name in request.headers}
        flow.metadata[_ASKED] = {"host": request.host, "path": request.path, "body": body, "headers": headers}


def asked_request(flow: http.HTTPFlow) -> http.Request:
    """The client's request as it came, without credentials; raises `CommandError` where it is not kept."""
    asked = flow.metadata.get(_ASKED)
    if not isinstance(asked, dict):
        text = "The client's request is not kept for this flow: the router did not answer it, or it is over 1 MiB."
        raise exceptions.CommandError(text)
    return http.Request.make("POST", f"https://{asked['host']}{asked['path']}", asked["body"], asked["headers"])


def asked_call(flow: http.HTTPFlow, default_model: str) -> Call:
    """The call that a flow began with; raises `CommandError` where it was none that is planned for."""
    request = asked_request(flow)
    if not is_call(request):
        raise exceptions.CommandError("Only chat completions, completions and embeddings are explained.")
    return read_recorded(request, default_model)


def pinned_to(flow: http.HTTPFlow, provider: str, host: str) -> http.HTTPFlow:
    """A new flow that asks the same again of one provider, past the cache; the router answers for `host`."""
    again: http.HTTPFlow = flow.copy()
    again.id = str(uuid.uuid4())
    again.request = asked_request(flow)
    again.request.host, again.request.port, again.request.scheme = host, 443, "https"
    again.request.headers["host"] = host
    again.request.headers["x-llmrouter-provider"] = provider
    again.request.headers["x-llmrouter-cache"] = "no-cache"
    again.response = again.error = None
    again.comment = again.marked = ""
    again.metadata = {}
    return again
