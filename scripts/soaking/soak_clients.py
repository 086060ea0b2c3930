"""The apps of the soak: how they ask, by which surface, and what they take an answer for."""

import json
import random
import ssl
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.faults.told import heard
from tests.faults.truth import events_of

MODEL = "gpt-4o-mini"
_PATHS = {"chat": "chat/completions", "responses": "responses"}
_ASK_S = aiohttp.ClientTimeout(total=60)


@dataclass(frozen=True, slots=True)
class Wish:
    """One request: by its number, which is its prompt; `leaves_after` is the piece of the answer at which the client
    hangs up."""

    number: int
    surface: str
    stream: bool
    by_proxy: bool
    leaves_after: int | None = None

    @property
    def kind(self) -> str:
        return f"{self.surface}{' stream' if self.stream else ''}{' by proxy' if self.by_proxy else ''}"

    def body(self) -> dict[str, Any]:
        """What is sent."""
        if self.surface == "responses":
            return {"model": MODEL, "input": str(self.number), "stream": self.stream, "store": self.number % 4 == 0}
        messages = [{"role": "user", "content": str(self.number)}]
        return {"model": MODEL, "messages": messages, "stream": self.stream}


def wish(number: int, chance: random.Random) -> Wish:
    """The next request."""
    leaves_after = chance.randrange(4) if chance.random() < 0.05 else None
    surface = "responses" if chance.random() < 0.3 else "chat"
    return Wish(number, surface, chance.random() < 0.7, chance.random() < 0.5, leaves_after)


@dataclass(frozen=True, slots=True)
class Told:
    """What a client was told: the text, whether it was told that this is all of it, or what went wrong."""

    text: str = ""
    is_whole: bool = False
    failure: str | None = None


class SoakClient:
    """One app with connections of its own, straight to the API port and over the proxy."""

    def __init__(self, port: int, api_port: int, tls: ssl.SSLContext) -> None:
        self._proxy = f"http://127.0.0.1:{port}"
        self._api = f"http://127.0.0.1:{api_port}/v1"
        self._tls = tls
        self._session = aiohttp.ClientSession(timeout=_ASK_S, headers={"authorization": "Bearer key-of-the-app"})

    async def close(self) -> None:
        """Closes its connections."""
        await self._session.close()

    async def ask(self, wish: Wish) -> Told | None:
        """What it is told; None where it hangs up."""
        path = _PATHS[wish.surface]
        options: dict[str, Any] = {"proxy": self._proxy, "ssl": self._tls} if wish.by_proxy else {}
        url = f"https://api.openai.com/v1/{path}" if wish.by_proxy else f"{self._api}/{path}"
        try:
            async with self._session.post(url, json=wish.body(), **options) as reply:
                data = await self._read(reply, wish)
        except (aiohttp.ClientError, TimeoutError) as error:
            return Told(failure=f"{type(error).__name__}: {error}")
        if data is None:
            return None
        if reply.status != 200:
            return Told(failure=f"HTTP {reply.status}: {data[:300].decode('utf-8', 'replace')}")
        return _told(data, wish)

    @staticmethod
    async def _read(reply: aiohttp.ClientResponse, wish: Wish) -> bytes | None:
        data, pieces = b"", 0
        async for piece in reply.content.iter_any():
            if pieces == wish.leaves_after:
                reply.close()
                return None
            data += piece
            pieces += 1
        return data


def _told(data: bytes, wish: Wish) -> Told:
    if wish.surface == "responses":
        return _told_by_responses(data) if wish.stream else _response(json.loads(data))
    if not wish.stream:
        choice = json.loads(data)["choices"][0]
        return Told(choice["message"]["content"], choice["finish_reason"] == "stop")
    text, reasons, is_error, is_done = heard(data)
    if is_error or not is_done:
        return Told(text, bool(reasons), failure=f"the stream broke off: {data[-300:].decode('utf-8', 'replace')}")
    return Told(text, is_whole=True)


def _told_by_responses(data: bytes) -> Told:
    text, last = "", {}
    for event in events_of(data):
        last = json.loads(event)
        if last["type"] == "response.output_text.delta":
            text += last["delta"]
    if last.get("type") != "response.completed":
        return Told(text, failure=f"the response ended with {json.dumps(last)[:300]}")
    whole = _response(last["response"])
    if whole.text != text:
        return Told(whole.text, failure=f"the pieces say {text!r}, and the whole says {whole.text!r}")
    return whole


def _response(response: dict[str, Any]) -> Told:
    parts = [part for item in response["output"] for part in item.get("content") or ()]
    return Told("".join(part.get("text", "") for part in parts), response["status"] == "completed")
