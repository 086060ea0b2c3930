"""Loaded into mitmproxy beside the router: sends connections for api.openai.com to a fake on loopback."""

import os

from mitmproxy.proxy.server_hooks import ServerConnectionHookData


def server_connect(data: ServerConnectionHookData) -> None:
    """The name for TLS stays; only the address changes."""
    if data.server.address and data.server.address[0] == "api.openai.com":
        data.server.address = ("127.0.0.1", int(os.environ["FAKE_OPENAI_PORT"]))
