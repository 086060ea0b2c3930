"""Which connections are read and which are tunnelled byte for byte: only the intercepted hosts are ever decrypted."""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

LOCAL_HOST = "llmrouter.local"
_HTTPS_PORT = 443


def is_intercepted(host: str | None, hosts: Collection[str]) -> bool:
    """Whether a host name is one of ours."""
    return host is not None and host.rstrip(".").lower() in hosts


def is_tunnelled(host: str, port: int, hosts: Collection[str]) -> bool:
    """Whether a CONNECT to this address can be tunnelled without a look at what is in it.

    An IP address at the HTTPS port may turn out to be one of our hosts once the client names it in its TLS hello.
    """
    if is_intercepted(host, hosts) or host == LOCAL_HOST:
        return False
    return not (port == _HTTPS_PORT and _is_ip_address(host))


def is_foreign_page(origin: str | None, fetch_site: str | None) -> bool:
    """Whether a browser sends this for a page that is not of this machine, as its Origin or Sec-Fetch-Site says.

    Without this any web page could spend the owner's keys through the API port: a text/plain POST needs no preflight
    (Fetch standard, "CORS-safelisted request-header").
    """
    if origin is None:
        return fetch_site == "cross-site"
    return urlsplit(origin).hostname not in ("localhost", "127.0.0.1", "::1")


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
