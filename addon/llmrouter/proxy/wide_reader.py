"""What a client sends, in pieces as large as they came: mitmproxy asks for 64 KiB at a time, and each piece costs as
much as a hook. One mebibyte then comes in some four pieces, and not in twenty."""

import asyncio
from collections.abc import Awaitable

# What asyncio's transports read at once (`_SelectorSocketTransport.max_size`).
_MOST_BYTES = 256 * 1024


class WideReader:
    """In place of a connection's `StreamReader`, of which mitmproxy uses `read` alone."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    def read(self, n: int) -> Awaitable[bytes]:
        """All that is there, whatever `n` is."""
        return self._reader.read(max(n, _MOST_BYTES))
