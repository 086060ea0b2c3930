"""The router's own pages at the edge: which requests ask for one, and who may read it."""

import ipaddress

from mitmproxy import http

from llmrouter.dashboard.page import Page
from llmrouter.dashboard.pages import error_page, moved
from llmrouter.errors import ForeignPage, InternalError, RouterError
from llmrouter.proxy import flows, tunnels
from llmrouter.proxy.incoming import path_of
from llmrouter.proxy.runtime import Runtime

_ROOT = "/llmrouter"
_ASKED_HOST = "llmrouter_asked_host"
# Names that no web site can have: RFC 6761 and RFC 6762, and `internal`, which ICANN reserved for private use.
_PRIVATE_ENDS = (".localhost", ".local", ".internal")
_NOT_READY = "The router has no valid configuration. Its log says what is wrong."


def note_asked_host(request: http.Request) -> None:
    """Keeps the Host that a client named, before mitmproxy puts that of the server behind the API port in its place."""
    setattr(request, _ASKED_HOST, request.host_header)


def is_local(request: http.Request, on_api_port: bool) -> bool:
    """Whether this asks for a page of the router's own, which is never forwarded."""
    return request.host == tunnels.LOCAL_HOST or (on_api_port and f"{path_of(request)}/".startswith(f"{_ROOT}/"))


def show(flow: http.HTTPFlow, runtime: Runtime | None, on_api_port: bool) -> None:
    """Answers a request for a local page; its credentials are not kept."""
    request = flow.request
    flows.take_credentials(request)
    page = _page(request, runtime, on_api_port)
    response = flows.make_response(page.status, page.headers, page.sent)
    response.headers["content-length"] = str(page.length)
    flow.response = response


def _page(request: http.Request, runtime: Runtime | None, on_api_port: bool) -> Page:
    try:
        _check_reader(request, on_api_port)
        if runtime is None:
            raise InternalError(_NOT_READY)
    except RouterError as error:
        return error_page(error)
    path, _, query = request.path.partition("?")
    if on_api_port:
        path = path.removeprefix(_ROOT)
        if not path:
            return moved(f"{_ROOT}/")
    return runtime.pages.answer(request.method, path, query)


def _check_reader(request: http.Request, on_api_port: bool) -> None:
    """Refuses web pages of other sites, also those whose name was made to lead to this machine (DNS rebinding).

    To the browser such a page and ours are one site, so only the name in Host tells them apart.
    """
    origin = request.headers.get("origin")
    is_our_own = origin == f"http://{tunnels.LOCAL_HOST}"
    if not is_our_own and tunnels.is_foreign_page(origin, request.headers.get("sec-fetch-site")):
        raise ForeignPage("Web pages of other sites may not read this router's pages.")
    if on_api_port and not is_private_name(getattr(request, _ASKED_HOST, None)):
        raise ForeignPage(
            "This router's pages are read by an address, by localhost, or by a name of the local network."
        )


def is_private_name(host: str | None) -> bool:
    """Whether a Host header holds an address, or a name that no site of the internet can have; none is a script's."""
    if host is None:
        return True
    name = host.rsplit(":", 1)[0] if host.rpartition(":")[2].isdecimal() else host
    name = name.strip("[]").rstrip(".").lower()
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return bool(name) and ("." not in name or name.endswith(_PRIVATE_ENDS))
    return True
