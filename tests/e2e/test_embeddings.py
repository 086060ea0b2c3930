"""Embeddings with the openai SDK through the real mitmdump."""

import pytest

from tests.e2e.conftest import StartRouter
from tests.e2e.router_process import app_environment, async_sdk
from tests.fakes.embeddings import Embeddings, vector_of
from tests.fakes.provider import FakeProvider, Status

MODEL = "text-embedding-3-small"


async def test_the_sdk_gets_vectors_from_the_provider_that_has_the_model(
    start_router: StartRouter, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK asks for base64 by itself; the provider knows numbers only."""
    fake.default = Embeddings(MODEL)
    settings = {"name": "fake", "type": "openai_compatible", "base_url": fake.base_url}
    router = await start_router({"providers": [settings | {"models": [{"id": MODEL}]}]})
    with app_environment(router, monkeypatch):
        async with async_sdk() as client:
            answers = [await client.embeddings.create(model=MODEL, input=["one", "two"]) for _ in range(2)]
    for answer in answers:
        assert [item.embedding for item in answer.data] == [vector_of(text, MODEL) for text in ("one", "two")]
    assert len(fake.requests) == 1


async def test_a_model_that_nobody_has_goes_to_openai_and_to_no_stand_in(
    start_router: StartRouter,
    fake: FakeProvider,
    fake_openai: tuple[FakeProvider, tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    openai_server, options = fake_openai
    openai_server.default = Embeddings(MODEL, knows_base64=True)
    settings = {"name": "fake", "type": "openai_compatible", "base_url": fake.base_url, "model": "big"}
    router = await start_router({"providers": [settings]}, options=options)
    with app_environment(router, monkeypatch):
        async with async_sdk() as client:
            answer = await client.embeddings.create(model=MODEL, input="one")
    assert answer.data[0].embedding == vector_of("one", MODEL)
    assert fake.requests == []


async def test_errors_are_openais(
    start_router: StartRouter, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.default = Status(400, {"error": {"message": "too many inputs", "type": "invalid_request_error"}})
    settings = {"name": "fake", "type": "openai_compatible", "base_url": fake.base_url}
    router = await start_router({"providers": [settings | {"models": [{"id": MODEL}]}]})
    with app_environment(router, monkeypatch):
        async with async_sdk() as client:
            with pytest.raises(Exception, match="too many inputs"):
                await client.embeddings.create(model=MODEL, input="one")
            with pytest.raises(Exception, match="'input' must hold 1 to 2048 items"):
                await client.embeddings.create(model=MODEL, input=[])
