"""Asks providers for their lists of models now and then: whether they can be reached, without spending a token.

A list that can be had does not prove that the models answer. So a good one only lets the next call try a target whose
breaker is open, sooner than it would; what cannot be reached at all counts as a failure, so that a breaker may be open
before a call has to find out.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

import httpx

from llmrouter.errors import Outcome
from llmrouter.targets import Target

logger = logging.getLogger(__name__)

_TIMEOUT = httpx.Timeout(10, connect=5)
_MOST_AT_ONCE = 8
_MOCK = "echo"


class Health(Protocol):
    """Where it is noted how probes went."""

    def let_probe(self, target: Target, now: float) -> None:
        """The target's provider can be reached."""

    def record(self, target: Target, outcome: Outcome, wait_s: float | None, answered: None, now: float) -> None:
        """It cannot."""


def probed(targets: Iterable[Target]) -> dict[str, list[Target]]:
    """The targets that can be asked with a key of the router's own, by provider."""
    found: dict[str, list[Target]] = {}
    for target in targets:
        if target.brand.name != _MOCK and not target.uses_caller_key:
            found.setdefault(target.provider, []).append(target)
    return found


def probe_client() -> httpx.AsyncClient:
    """A client for probes; the environment's proxy is not used, for it may well be the router itself."""
    return httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False, follow_redirects=False)


_NO_SUCH_LIST = httpx.codes.NOT_IMPLEMENTED


async def probe(client: httpx.AsyncClient, targets: Iterable[Target], health: Health, now: Callable[[], float]) -> None:
    """Asks every provider once, some at a time, and notes what came of it; `now` tells monotonic seconds."""
    places = asyncio.Semaphore(_MOST_AT_ONCE)

    async def ask(models: list[Target]) -> None:
        async with places:
            is_there = await _is_there(client, models[0])
        for target in models:
            if is_there:
                health.let_probe(target, now())
            else:
                health.record(target, Outcome.UNREACHABLE, None, None, now())

    await asyncio.gather(*map(ask, probed(targets).values()))


def probe_headers(target: Target) -> dict[str, str]:
    """What a provider wants to be sent with each request: the router's own key, too."""
    brand = target.brand
    headers = {**dict(brand.headers), **target.extra_headers}
    if target.credential is not None:
        key = target.credential.get_secret_value()
        headers[brand.key_header] = f"Bearer {key}" if brand.key_header == "authorization" else key
    return headers


async def _is_there(client: httpx.AsyncClient, target: Target) -> bool:
    """Whether anything but a failure of its own comes back; a refusal does, too, and so does having no such list."""
    try:
        async with client.stream(
            "GET", f"{target.base_url.rstrip('/')}/models", headers=probe_headers(target)
        ) as reply:
            return reply.status_code < httpx.codes.INTERNAL_SERVER_ERROR or reply.status_code == _NO_SUCH_LIST
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        # Only its kind: httpx quotes a header that cannot be sent, and one of them holds the key.
        logger.info("%s could not be reached by a probe (%s).", target.provider, type(error).__name__)
        return False
