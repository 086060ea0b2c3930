"""Providers are asked over HTTP, and what they say becomes one index; one that fails keeps what it had."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from llmrouter.brands import BRANDS
from llmrouter.calls import Need
from llmrouter.discovery.advertised import Advertised
from llmrouter.discovery.asking import ask_providers
from llmrouter.discovery.builder import Answer, Choice, build_index
from llmrouter.discovery.curation import CuratedModel, Curation
from tests.fakes.provider import FakeProvider, Stall, Status

NOW = datetime(2026, 11, 23, tzinfo=UTC)
FREE_ONLY = Choice(Curation())
GROQ = Answer("groq", (Advertised("llama-3.3-70b-versatile", True, 131072), Advertised("llama-3.1-8b-instant", True)))
OPENROUTER = Answer(
    "openrouter",
    (
        Advertised("meta-llama/llama-3.3-70b-instruct", False, 100),
        Advertised("meta-llama/llama-3.3-70b-instruct:free", True, 200, None, frozenset({Need.TOOLS})),
        Advertised("meta-llama/llama-3.1-8b-instruct", False),
    ),
)


def offers(index: Any) -> dict[str, dict[str, str]]:
    return {model.name: {offer.provider: offer.id for offer in model.offers} for model in index.models}


def test_models_are_merged_by_canonical_name_and_free_ones_are_preferred() -> None:
    index = build_index([GROQ, OPENROUTER], None, FREE_ONLY, NOW)
    assert offers(index) == {
        "llama-3.3-70b": {"groq": "llama-3.3-70b-versatile", "openrouter": "meta-llama/llama-3.3-70b-instruct:free"},
        "llama-3.1-8b": {"groq": "llama-3.1-8b-instant"},
    }
    best = index.models[0]
    assert (best.context_window, best.capabilities, best.quality) == (131072, (Need.TOOLS,), 0.7)
    assert "llama-3.3-70b-versatile" in best.aliases and "meta-llama/llama-3.3-70b-instruct:free" in best.aliases


def test_a_listed_model_may_be_paid_where_no_free_one_is_advertised() -> None:
    curation = Curation(
        models={"llama-3.1-8b": CuratedModel(allow_paid=True), "llama-3.3-70b": CuratedModel(allow_paid=True)}
    )
    index = build_index([GROQ, OPENROUTER], None, Choice(curation), NOW)
    free = {offer.id: offer.free for model in index.models for offer in model.offers if offer.provider == "openrouter"}
    assert free == {"meta-llama/llama-3.3-70b-instruct:free": True, "meta-llama/llama-3.1-8b-instruct": False}


def test_everything_is_taken_where_paid_is_included() -> None:
    index = build_index([OPENROUTER], None, Choice(Curation(), include_paid=True), NOW)
    assert set(offers(index)) == {"llama-3.3-70b", "llama-3.1-8b"}


def test_a_provider_that_failed_keeps_its_earlier_offers_and_the_others_lose_theirs() -> None:
    earlier = build_index([GROQ, OPENROUTER], None, FREE_ONLY, NOW)
    later = build_index([Answer("groq", error="HTTP 500"), Answer("openrouter")], earlier, FREE_ONLY, NOW)
    assert offers(later) == {
        "llama-3.3-70b": {"groq": "llama-3.3-70b-versatile"},
        "llama-3.1-8b": {"groq": "llama-3.1-8b-instant"},
    }


def test_the_curation_gives_aliases_capabilities_and_quality() -> None:
    curated = CuratedModel(aliases=("big-llama",), capabilities=(Need.SEED,), quality=0.9)
    model = build_index([GROQ], None, Choice(Curation(models={"llama-3.3-70b": curated})), NOW).models[0]
    assert (model.aliases[0], model.capabilities, model.quality) == ("big-llama", (Need.SEED,), 0.9)


def test_a_name_that_two_models_would_answer_to_goes_to_one() -> None:
    curation = Curation(
        models={name: CuratedModel(aliases=("llama", "llama-3.1-8b")) for name in ("llama-3.3-70b", "llama-3.1-8b")}
    )
    index = build_index([GROQ], None, Choice(curation), NOW)
    names = [name for model in index.models for name in (model.name, *model.aliases)]
    assert sorted(names).count("llama") == 1 and names.count("llama-3.1-8b") == 1


@contextlib.asynccontextmanager
async def stubs(**replies: Any) -> AsyncIterator[tuple[dict[str, FakeProvider], dict[str, str]]]:
    """A fake provider for each name, and the environment that leads to them."""
    keys = {"GROQ_API_KEY": "key-of-groq", "OPENROUTER_API_KEY": "key-of-openrouter"}
    async with contextlib.AsyncExitStack() as stack:
        fakes = {name: await stack.enter_async_context(FakeProvider(default=it)) for name, it in replies.items()}
        yield fakes, keys | {f"LLMROUTER_{name.upper()}_BASE_URL": fake.base_url for name, fake in fakes.items()}


async def test_each_provider_gets_its_own_key_and_answers_as_it_is_there() -> None:
    listing = Status(200, {"data": [{"id": "gpt-oss-20b"}]})
    heard: list[str] = []
    async with stubs(groq=listing, openrouter=listing, nvidia_nim=listing) as (fakes, environ):
        answers = await ask_providers(list(fakes), BRANDS, environ, 5.0, lambda answer: heard.append(answer.provider))
    assert [answer.error for answer in answers] == [None, None, None]
    assert sorted(heard) == ["groq", "nvidia_nim", "openrouter"]
    sent = {name: fake.requests[0].headers.get("authorization") for name, fake in fakes.items()}
    assert sent == {"groq": "Bearer key-of-groq", "openrouter": "Bearer key-of-openrouter", "nvidia_nim": None}
    assert fakes["groq"].requests[0].path == "/v1/models"


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Status(401), "HTTP 401: is GROQ_API_KEY right?"),
        (Status(503), "HTTP 503"),
        (Status(302, b"", {"location": "http://127.0.0.1:1/models"}), "HTTP 302"),
        (Status(200, b"<html>"), "no JSON"),
        (Status(200, {"models": None}), "no list of models"),
        (Status(200, {"data": []}), "no chat models"),
    ],
)
async def test_what_goes_wrong_at_one_provider_is_told_and_hurts_no_other(reply: Status, told: str) -> None:
    fine = Status(200, {"data": [{"id": "gpt-oss-20b"}]})
    async with stubs(groq=reply, nvidia_nim=fine) as (_, environ):
        groq, nvidia = await ask_providers(["groq", "nvidia_nim"], BRANDS, environ, 5.0)
    assert groq.error is not None and told in groq.error and "key-of-groq" not in groq.error
    assert nvidia.error is None


async def test_a_provider_that_is_silent_or_away_is_told() -> None:
    async with stubs(groq=Stall()) as (_, environ):
        async with FakeProvider() as closed:
            environ["LLMROUTER_NVIDIA_NIM_BASE_URL"] = closed.base_url
        silent, away = await ask_providers(["groq", "nvidia_nim"], BRANDS, environ, 0.2)
    assert silent.error is not None and ("0.2 s" in silent.error or "Timeout" in silent.error)
    assert away.error


async def test_a_key_that_is_missing_is_told_and_nothing_is_asked() -> None:
    async with stubs(groq=Status(200, {"data": []})) as (fakes, environ):
        (answer,) = await ask_providers(["groq"], BRANDS, environ | {"GROQ_API_KEY": " "}, 5.0)
    assert answer.error == "GROQ_API_KEY is not set"
    assert fakes["groq"].requests == []


async def test_pages_are_followed_at_the_same_place_only() -> None:
    def page(id: str, following: str | None) -> Status:
        return Status(200, {"data": [{"id": id}], "links": {"next": following}})

    async with stubs(openrouter=Status(500)) as (fakes, environ), FakeProvider() as elsewhere:
        fakes["openrouter"].script(page("one", "/v1/models?offset=1"), page("two", f"{elsewhere.base_url}/models"))
        (answer,) = await asyncio.wait_for(ask_providers(["openrouter"], BRANDS, environ, 5.0), 10)
    assert [model.id for model in answer.models] == ["one", "two"]
    assert [seen.path for seen in fakes["openrouter"].requests] == ["/v1/models?limit=1000", "/v1/models?offset=1"]
    assert elsewhere.requests == []
