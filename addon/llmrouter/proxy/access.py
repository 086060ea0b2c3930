"""Who may use the router: by which key a client comes in, and what nobody may reach through it."""

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache

from mitmproxy import http
from mitmproxy.connection import Client

from llmrouter.errors import AccessRefused, ForbiddenAddress, RouterError
from llmrouter.proxy import flows
from llmrouter.proxy.metadata_hosts import is_metadata_host
from llmrouter.settings.operating import AccessSettings

HASH_PREFIX = "sha256:"
_KEY_HEADER = "x-llmrouter-key"
_PROXY_HEADER = "proxy-authorization"
_API_HEADERS = ("authorization", "api-key", "x-api-key", _KEY_HEADER)
_USED = "llmrouter_access"
_CHALLENGE = 'Basic realm="llmrouter"'
_PROXY_NEEDS = "This proxy asks for a key: give it as the proxy's password, as in HTTPS_PROXY=http://llmrouter:<key>@<host>:<port>."
_API_NEEDS = (
    "This router asks for a key of its own: give it as the OpenAI key of the app, or in the header x-llmrouter-key."
)


def hash_of_key(key: str) -> str:
    """What the settings keep of a key."""
    return HASH_PREFIX + hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def access_of(request: http.Request) -> str:
    """The hash of the key that let this request in; empty where a credential of the client's own stands beside it."""
    used: str = getattr(request, _USED, "")
    return used


class Access:
    """Lets clients in; `settings` are asked anew each time, `own_ports` are those on which the router listens."""

    def __init__(self, settings: Callable[[], AccessSettings], own_ports: Callable[[], Collection[int]]) -> None:
        self._settings = settings
        self._own_ports = own_ports
        self._admitted: set[str] = set()

    def check_connect(self, flow: http.HTTPFlow) -> None:
        """Answers a CONNECT that may not be: 403 for its address, 407 for its client."""
        keys = list(_keys_in(flow.request, (_PROXY_HEADER,))) if self._settings().keys else []
        _drop(flow.request, _PROXY_HEADER)
        try:
            self._check_client(flow.client_conn, keys, _PROXY_NEEDS)
            self._check_address(flow)
        except RouterError as error:
            flow.response = _refusal(error, is_proxy=True)

    def check_request(self, flow: http.HTTPFlow, *, on_api_port: bool, is_page: bool) -> http.Response | None:
        """The answer to a request that may not be; None where it may. Its access key is taken out of it."""
        request = flow.request
        names = _API_HEADERS if on_api_port else (_PROXY_HEADER, _KEY_HEADER)
        keys = list(_keys_in(request, names)) if self._settings().keys else []
        _drop(request, _PROXY_HEADER, _KEY_HEADER)
        try:
            used = self._check_client(flow.client_conn, keys, _API_NEEDS if on_api_port else _PROXY_NEEDS)
            if not (on_api_port or is_page):
                self._check_address(flow)
        except RouterError as error:
            return _refusal(error, is_proxy=not on_api_port)
        if on_api_port and used:
            self._take_key(request, used)
        return None

    def forget(self, client: Client) -> None:
        """A client that left."""
        self._admitted.discard(client.id)

    def _check_client(self, client: Client, keys: list[str], needed: str) -> str:
        """The hash of the key that lets the client in, empty where it needs none; raises `AccessRefused`."""
        settings = self._settings()
        if settings.open or (settings.local and _is_loopback(client.sockname[0])):
            return self._matching(settings, keys)
        if used := self._matching(settings, keys):
            self._admitted.add(client.id)
            return used
        if client.id in self._admitted and needed is _PROXY_NEEDS:
            return ""
        raise AccessRefused(needed)

    def _matching(self, settings: AccessSettings, keys: list[str]) -> str:
        found = ""
        for key in keys:
            given = hash_of_key(key)
            for known in settings.keys:
                # All are compared, whichever fits: how long that takes tells nothing.
                if hmac.compare_digest(given, known):
                    found = known
        return found

    def _take_key(self, request: http.Request, used: str) -> None:
        """An access key in place of OpenAI's is no credential: nobody else gets to see it."""
        for name in _API_HEADERS:
            if any(hash_of_key(key) == used for key in _keys_in(request, (name,))):
                _drop(request, name)
        if "authorization" not in request.headers:
            setattr(request, _USED, used)

    def _check_address(self, flow: http.HTTPFlow) -> None:
        host, port = flow.request.host, flow.request.port
        if is_metadata_host(host):
            raise ForbiddenAddress(f"The metadata address {host} cannot be reached through this proxy.")
        ours = flow.client_conn.sockname
        if port in self._own_ports() and (_is_this_machine(host) or host == ours[0]):
            raise ForbiddenAddress("The router's own ports cannot be reached through its proxy.")


def _keys_in(request: http.Request, names: Collection[str]) -> Iterator[str]:
    """What may be a key, in whichever form a header gives it."""
    for name in names:
        for value in request.headers.get_all(name):
            scheme, _, rest = value.strip().partition(" ")
            if scheme.lower() == "basic" and rest:
                yield from _password(rest.strip())
            elif scheme.lower() == "bearer" and rest:
                yield rest.strip()
            else:
                yield value.strip()


def _password(encoded: str) -> Iterator[str]:
    try:
        yield base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return


def _refusal(error: RouterError, *, is_proxy: bool) -> http.Response:
    response = flows.error_response(error)
    if isinstance(error, AccessRefused):
        response.headers["proxy-authenticate" if is_proxy else "www-authenticate"] = _CHALLENGE
        if is_proxy:
            response.status_code, response.reason = 407, "Proxy Authentication Required"
    return response


def _drop(request: http.Request, *names: str) -> None:
    given = {name.lower() for name, _ in request.headers.fields}
    for name in names:
        if name.encode() in given:
            del request.headers[name]


@lru_cache(maxsize=64)
def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _is_this_machine(host: str) -> bool:
    """Whether a name or an address is this machine's by itself."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
