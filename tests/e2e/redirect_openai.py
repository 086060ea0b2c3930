"""Loaded into mitmproxy beside the router: what connects to api.openai.com comes to a fake on loopback.

mitmproxy itself sees the real address, and uses a connection again for it; a changed one it would not know.
"""

import asyncio
import os
from typing import Any

_open_connection = asyncio.open_connection


async def _redirected(host: str | None = None, port: int | str | None = None, **options: Any) -> Any:
    if host == "api.openai.com":
        host, port = "127.0.0.1", os.environ["FAKE_OPENAI_PORT"]
    return await _open_connection(host, port, **options)


asyncio.open_connection = _redirected
