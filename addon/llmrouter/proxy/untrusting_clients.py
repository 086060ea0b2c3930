"""Clients that come to the proxy but do not trust its CA: who they are, as far as they tell, and what helps.

A client tells its program in the CONNECT request, if anywhere (curl, Go, Java, aiohttp and Node.js's agents do, httpx
and requests do not); its TLS library shows in the alert with which it hangs up (RFC 8446, section 6.2).
"""

import logging
from collections import OrderedDict

from mitmproxy import http, tls
from mitmproxy.connection import Client

logger = logging.getLogger(__name__)

_MOST_REMEMBERED = 1000
_MOST_TOLD = 100
_PYTHON = "set SSL_CERT_FILE and REQUESTS_CA_BUNDLE to certs/ca-bundle.pem"
_NODE = "set NODE_EXTRA_CA_CERTS to certs/mitmproxy-ca-cert.pem before it starts"
_REMEDIES = (
    ("curl", "set CURL_CA_BUNDLE or SSL_CERT_FILE to certs/ca-bundle.pem"),
    ("python", _PYTHON),
    ("aiohttp", _PYTHON),
    ("httpx", _PYTHON),
    ("deno", "set DENO_CERT to certs/mitmproxy-ca-cert.pem"),
    ("node", _NODE),
    ("undici", _NODE),
    ("bun", _NODE),
    ("go-http-client", "on Linux set SSL_CERT_FILE to certs/ca-bundle.pem; elsewhere run `llmrouter ca install`"),
    ("java", "take over JAVA_TOOL_OPTIONS of `llmrouter env`, or import the CA with keytool"),
    ("git", "set GIT_SSL_CAINFO to certs/ca-bundle.pem"),
)
_SHORT = "start it with `llmrouter run -- COMMAND`"
_IN_GENERAL = f"{_SHORT}, or set what `llmrouter env` prints; else `llmrouter ca install`"
# What mitmproxy makes of OpenSSL's names of alerts 42, 46 and 48 (mitmproxy/proxy/layers/tls.py).
_DOES_NOT_TRUST = ("does not trust", "unknown ca", "bad certificate", "certificate unknown")


class UntrustingClients:
    """Tells of each kind of client once, in the log."""

    def __init__(self) -> None:
        self._agents: OrderedDict[str, str] = OrderedDict()
        self._told: set[tuple[str, str]] = set()

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """Notes what the client calls itself."""
        if agent := flow.request.headers.get("user-agent"):
            self._agents[flow.client_conn.id] = agent[:100]
            if len(self._agents) > _MOST_REMEMBERED:
                self._agents.popitem(last=False)

    def client_disconnected(self, client: Client) -> None:
        """Forgets it."""
        self._agents.pop(client.id, None)

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """Says who it was and what to do, where the reason is trust."""
        connection = data.context.client
        reason = (connection.error or "").lower()
        if not any(words in reason for words in _DOES_NOT_TRUST):
            return
        agent = self._agents.get(connection.id)
        host = connection.sni or "a host that it does not name"
        kind = (agent or "", host)
        if kind in self._told or len(self._told) >= _MOST_TOLD:
            return
        self._told.add(kind)
        who = f"The client {agent!r}" if agent else "A client that does not tell its name"
        peer = ":".join(map(str, connection.peername[:2]))
        logger.warning(
            "%s (from %s) does not trust the router's CA for %s, so it got no answer. To help it: %s. Turning"
            " verification off would be worse: then anybody could answer it.",
            *(who, peer, host, remedy(agent)),
        )


def remedy(agent: str | None) -> str:
    """What lets a client of this name trust the CA."""
    name = (agent or "").lower()
    return next((f"{told}, or {_SHORT}" for word, told in _REMEDIES if word in name), _IN_GENERAL)
