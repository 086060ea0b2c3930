"""A real Redis on loopback, that keeps nothing on disk and can be killed and started again."""

import asyncio
import shutil
import socket
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import ConnectionError, RedisError


class RedisServer:
    """`redis-server` on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        """Starts it, and waits until it answers."""
        program = shutil.which("redis-server")
        assert program is not None, "redis-server is missing: scripts/test installs it on Debian"
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        self._process = await asyncio.create_subprocess_exec(
            program, *options, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(20), Redis.from_url(self.url) as client:
            while True:
                try:
                    await client.ping()
                except (ConnectionError, RedisError, OSError):
                    assert self._process.returncode is None, "redis-server did not start"
                    # It tells nobody when it is ready.
                    await asyncio.sleep(0.02)
                else:
                    return

    async def kill(self) -> None:
        """Ends it at once; what it knew is gone."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None

    async def pause(self, milliseconds: int = 60_000) -> None:
        """Lets it answer nobody for so long, while its port stays open."""
        async with Redis.from_url(self.url) as client:
            await client.client_pause(milliseconds, all=True)

    async def flush(self) -> None:
        """Lets it forget everything."""
        async with Redis.from_url(self.url) as client:
            await client.flushall()
