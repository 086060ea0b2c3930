"""Asks providers for their models over HTTP, all at once; what goes wrong at one is told and hurts no other.

Keys come from the environment and go to the provider's own address only: redirects are not followed. Providers whose
list is public (provider reference, section 1) are asked without a key, too.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import orjson

from llmrouter.brands.brand import Brand
from llmrouter.discovery.advertised import Advertised, ListingError, read_advertised
from llmrouter.discovery.builder import Answer
from llmrouter.discovery.places import base_url_of, key_of

_PUBLIC = frozenset({"openrouter", "nvidia_nim", "huggingface", "sambanova", "deepinfra"})
# DeepInfra tells windows only when asked for them, OpenRouter gives up to 1000 models a page (section 6).
_QUERIES: Mapping[str, str] = {"deepinfra": "?filter=with_meta", "openrouter": "?limit=1000"}
_MOST_BYTES = 64 * 1024 * 1024
_MOST_PAGES = 20


async def ask_providers(
    providers: Sequence[str],
    brands: Mapping[str, Brand],
    environ: Mapping[str, str],
    timeout_s: float,
    on_answer: Callable[[Answer], None] = lambda answer: None,
) -> list[Answer]:
    """The answers in the order of `providers`; `on_answer` hears each one as it comes."""
    # trust_env stays off: the environment's HTTPS_PROXY may well be the router itself.
    async with httpx.AsyncClient(trust_env=False, timeout=timeout_s) as client:

        async def ask(name: str) -> Answer:
            try:
                async with asyncio.timeout(timeout_s):
                    answer = Answer(name, await _ask(client, brands[name], environ))
            except TimeoutError:
                answer = Answer(name, error=f"it did not answer within {timeout_s:g} s")
            except httpx.HTTPError as error:
                # Only its kind: httpx quotes a header that cannot be sent, and one of them holds the key.
                answer = Answer(name, error=f"it could not be asked ({type(error).__name__})")
            except (httpx.InvalidURL, ValueError) as error:
                answer = Answer(name, error=str(error))
            on_answer(answer)
            return answer

        return await asyncio.gather(*map(ask, providers))


async def _ask(client: httpx.AsyncClient, brand: Brand, environ: Mapping[str, str]) -> tuple[Advertised, ...]:
    """The models of all pages; raises `ValueError`, `httpx.HTTPError` and `httpx.InvalidURL`."""
    key = key_of(brand, environ)
    if not key and brand.key_required and brand.name not in _PUBLIC:
        raise ListingError(f"{brand.key_env} is not set")
    headers = dict(brand.headers)
    if key:
        headers[brand.key_header] = f"Bearer {key}" if brand.key_header == "authorization" else key
    url = f"{base_url_of(brand, environ)}/models{_QUERIES.get(brand.name, '')}"
    models: dict[str, Advertised] = {}
    for _ in range(_MOST_PAGES):
        document = await _get(client, url, headers, brand)
        models |= {model.id: model for model in read_advertised(brand.name, document)}
        following = _next_page(document, url)
        if following is None:
            break
        url = following
    if not models:
        raise ListingError("it lists no chat models")
    return tuple(models.values())


async def _get(client: httpx.AsyncClient, url: str, headers: Mapping[str, str], brand: Brand) -> Any:
    async with client.stream("GET", url, headers=headers) as reply:
        if reply.status_code != 200:
            hint = f": is {brand.key_env} right?" if reply.status_code in (401, 403) and brand.key_env else ""
            raise ListingError(f"HTTP {reply.status_code}{hint}")
        body = bytearray()
        async for piece in reply.aiter_bytes():
            body += piece
            if len(body) > _MOST_BYTES:
                raise ListingError(f"its answer has more than {_MOST_BYTES} bytes")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ListingError("its answer is no JSON") from error


def _next_page(document: Any, url: str) -> str | None:
    """OpenRouter's `links.next`; a page elsewhere is not asked for, since the key would go there."""
    links = document.get("links") if isinstance(document, dict) else None
    following = links.get("next") if isinstance(links, dict) else None
    if not isinstance(following, str) or not following:
        return None
    whole = urljoin(url, following)
    here, there = urlsplit(url), urlsplit(whole)
    is_same_place = (here.scheme, here.netloc) == (there.scheme, there.netloc)
    return whole if is_same_place and whole != url else None
