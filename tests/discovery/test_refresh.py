"""Listings are fetched beside the requests; what fails is told, and leaves the last good prices in force."""

import asyncio
import contextlib
import gzip
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from llmrouter.brands import BRANDS
from llmrouter.discovery import refresh as refresh_module
from llmrouter.discovery.kept_listings import load_listings
from llmrouter.discovery.refresh import PriceRefresh, listing_client, listing_places
from llmrouter.routing.price_book import PriceBook
from llmrouter.targets import Target

NOW = 1_795_000_000.0
KEY = SecretStr("key-of-together")


def target(provider: str = "router", brand: str = "openrouter", model: str = "a/m", **fields: Any) -> Target:
    """A target of a real brand at an address of the tests."""
    return Target(provider, model, BRANDS[brand], **({"base_url": f"https://{provider}.test/v1"} | fields))


def listing(prompt: str = "0.000001", model: str = "a/m") -> dict[str, Any]:
    """OpenRouter's listing of one model, at twice its input price for output."""
    pricing = {"prompt": prompt, "completion": str(2 * float(prompt))}
    return {"data": [{"id": model, "pricing": pricing}]}


class Provider:
    """Answers like a provider, or as it is told; keeps the requests."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = listing() if answer is None else answer
        self.requests: list[httpx.Request] = []
        self.asked: asyncio.Queue[httpx.Request] = asyncio.Queue()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.asked.put_nowait(request)
        answer = self.answer(request) if callable(self.answer) else self.answer
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self))


def refresher(*targets: Target, kept: Path | None = None) -> tuple[PriceBook, PriceRefresh]:
    """A book of these targets, and what keeps it up to date."""
    book = PriceBook(targets)
    return book, PriceRefresh(book, lambda: NOW, kept)


def price(book: PriceBook, target: Target) -> float | None:
    """The input price that the book has."""
    sheet = book.sheet(target)
    return None if sheet is None else sheet.input


async def test_a_listing_comes() -> None:
    """It is asked for at the provider's address, and its age is known."""
    one, provider = target(), Provider()
    book, prices = refresher(one)
    assert price(book, one) is None
    assert await prices.refresh(provider.client()) == {}
    sheet = book.sheet(one)
    assert sheet is not None
    assert (sheet.input, sheet.output, sheet.source, sheet.read_at) == (1.0, 2.0, "listed by openrouter", NOW)
    assert [str(request.url) for request in provider.requests] == ["https://router.test/v1/models?limit=1000"]


async def test_each_address_is_asked_once_for_all_its_targets() -> None:
    """Two models, and another provider at the same place."""
    same = {"base_url": "https://router.test/v1/"}
    one, two, other = target(), target(model="a/n"), target("second", **same)
    book, prices = refresher(one, two, other, target("local", "ollama"), target("groq", "groq"))
    provider = Provider()
    await prices.refresh(provider.client())
    assert len(provider.requests) == 1
    assert (price(book, one), price(book, two), price(book, other)) == (1.0, None, 1.0)


def test_places() -> None:
    """A key goes only to a listing that wants one, which is left out without it; the owner's headers go, too."""
    places = listing_places(
        [
            target(credential=KEY, extra_headers={"X-Title": "mine"}),
            target("together", "together", credential=KEY),
            target("keyless", "together"),
            target("deepinfra", "deepinfra"),
            target("huggingface", "huggingface"),
            target("xai", "xai", credential=KEY),
            target("groq", "groq", credential=KEY),
        ]
    )
    assert [(place.provider, place.url.removeprefix("https://"), dict(place.headers)) for place in places] == [
        ("router", "router.test/v1/models?limit=1000", {"X-Title": "mine"}),
        ("together", "together.test/v1/models", {"authorization": "Bearer key-of-together"}),
        ("deepinfra", "deepinfra.test/v1/models?filter=with_meta", {}),
        ("huggingface", "huggingface.test/v1/models", {}),
        ("xai", "xai.test/v1/language-models", {"authorization": "Bearer key-of-together"}),
    ]
    assert "key-of-together" not in repr(places)


def endless(_: httpx.Request) -> httpx.Response:
    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 1024 * 1024

    return httpx.Response(200, content=body())


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (httpx.Response(503, text="key-of-together"), "it answered 503"),
        (httpx.Response(401, json=listing()), "it answered 401"),
        (httpx.Response(302, headers={"location": "https://evil.test"}), "it answered 302"),
        (httpx.Response(200, text="<html>"), "what it answered is no listing"),
        ({"error": {"message": "no"}}, "what it answered is no listing"),
        ({"data": []}, "it lists no prices"),
        (listing("0"), "it lists no prices"),
        (endless, f"it is larger than {16 * 1024 * 1024} bytes"),
        (httpx.ConnectError("key-of-together"), "it could not be reached (ConnectError)"),
        (httpx.LocalProtocolError("Illegal header key-of-together"), "it could not be reached (LocalProtocolError)"),
        (httpx.ReadTimeout("slow"), "it could not be reached (ReadTimeout)"),
        (TimeoutError(), "it took longer than 30 s"),
    ],
)
async def test_what_fails_is_told_and_leaves_the_last_good_prices(answer: Any, problem: str) -> None:
    """In words of ours, which never hold the key; other providers' listings come all the same."""
    one, two = target(), target("second")
    book, prices = refresher(one, two)
    await prices.refresh(Provider().client())
    provider = Provider(
        lambda request: listing("0.000005") if request.url.host == "second.test" else answer_of(answer, request)
    )
    assert await prices.refresh(provider.client()) == {"router": problem}
    assert (price(book, one), price(book, two)) == (1.0, 5.0)


def answer_of(answer: Any, request: httpx.Request) -> Any:
    return answer(request) if callable(answer) else answer


async def test_a_packed_listing_counts_as_large_as_it_is() -> None:
    """A small body may hold a large one."""
    packed = gzip.compress(b" " * 20 * 1024 * 1024)
    provider = Provider(httpx.Response(200, content=packed, headers={"content-encoding": "gzip"}))
    _, prices = refresher(target())
    assert await prices.refresh(provider.client()) == {"router": f"it is larger than {16 * 1024 * 1024} bytes"}


async def test_a_defect_of_ours_hurts_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with its trace."""

    def fail(*_: object) -> None:
        raise KeyError("defect")

    monkeypatch.setattr(refresh_module, "_parse", fail)
    _, prices = refresher(target())
    assert await prices.refresh(Provider().client()) == {"router": "the router could not make sense of it"}
    assert "KeyError" in caplog.text


async def test_a_start_without_a_network(tmp_path: Path) -> None:
    """The kept listing and the library are there before anybody is asked."""
    kept = tmp_path / "state" / "listings.json"
    _, first = refresher(target(), kept=kept)
    await first.refresh(Provider().client())

    one, renamed = target(), target("renamed", base_url="https://router.test/v1")
    priced = target("openai", "openai", "gpt-4o", base_url="https://api.openai.com/v1")
    book, prices = refresher(one, renamed, priced, kept=kept)
    await prices.load()
    sheets = [book.sheet(each) for each in (one, renamed, priced)]
    assert [sheet and sheet.source.split(" ")[0] for sheet in sheets] == ["listed", "listed", "genai-prices"]
    assert book.baseline("gpt-4o-mini") is not None


async def test_only_what_came_is_kept(tmp_path: Path) -> None:
    """A failure does not touch the file, and a provider that is gone leaves it with the next listing."""
    kept = tmp_path / "listings.json"
    book, prices = refresher(target(), target("gone"), kept=kept)
    await prices.refresh(Provider().client())
    assert len(load_listings(kept)) == 2
    prices.take(book.for_targets([target()]))
    before = kept.read_bytes()
    assert await prices.refresh(Provider(httpx.Response(500)).client())
    assert kept.read_bytes() == before
    await prices.refresh(Provider().client())
    assert list(load_listings(kept)) == ["https://router.test/v1/models?limit=1000"]


@contextlib.asynccontextmanager
async def running(prices: PriceRefresh, provider: Provider) -> AsyncIterator[None]:
    """It runs in the background, and is cancelled at the end."""
    task = asyncio.create_task(prices.run(provider.client))
    async with asyncio.timeout(10):
        yield
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_runs_in_the_background() -> None:
    """It begins with what is at hand, and goes on with the book of newer settings at once."""
    one, two = target(), target("second")
    book, prices = refresher(one)
    newer = book.for_targets([two])
    provider = Provider()
    async with running(prices, provider):
        assert (await provider.asked.get()).url.host == "router.test"
        prices.take(newer)
        assert (await provider.asked.get()).url.host == "second.test"
        assert (price(book, one), price(newer, two)) == (1.0, None)
        prices.take(newer)
        await provider.asked.get()
        assert price(newer, two) == 1.0


async def test_a_failure_is_told_once_and_tried_again_sooner(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Until it is over; then the next one is news."""
    monkeypatch.setattr(refresh_module, "_AGAIN_S", 0.001)
    monkeypatch.setattr(refresh_module, "_EVERY_S", 0.001)
    provider: Provider = Provider(lambda _: listing() if len(provider.requests) == 3 else httpx.Response(500))
    _, prices = refresher(target())
    with caplog.at_level(logging.WARNING):
        async with running(prices, provider):
            for _ in range(6):
                await provider.asked.get()
    assert caplog.text.count("The prices of router could not be read: it answered 500. The last ones are used.") == 2


async def test_the_real_client_asks_a_real_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by way of the environment's proxy."""
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    body = json.dumps(listing()).encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        one = target(base_url=f"http://127.0.0.1:{port}/v1")
        book, prices = refresher(one)
        async with listing_client() as client:
            assert await prices.refresh(client) == {}
    assert price(book, one) == 1.0
