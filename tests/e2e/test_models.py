"""GET /v1/models through the real mitmdump, with the openai SDK."""

import openai
import pytest

from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import app_environment, async_sdk
from tests.fakes.provider import FakeProvider, Status

MODELS = [{"id": "small", "serves": ["gpt-4o-mini", "team/gpt"]}]


async def test_the_sdk_lists_and_gets_models(
    start_router: StartRouter, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with the targets behind it; a name with a slash, too; an unknown one is OpenAI's 404."""
    provider = routed_to(fake)["providers"][0] | {"models": MODELS}
    del provider["model"]
    router = await start_router({"providers": [provider], "unmatched": "reject"})
    with app_environment(router, monkeypatch):
        async with async_sdk() as client:
            listed = [model async for model in client.models.list()]
            one = await client.models.retrieve("team/gpt")
            with pytest.raises(openai.NotFoundError) as told:
                await client.models.retrieve("gpt-9")
            assert [model.id for model in listed] == ["gpt-4o-mini", "team/gpt"]
            assert one.to_dict()["llmrouter"] == {"targets": ["fake/small"], "resting": []}
            assert (one.owned_by, told.value.code) == ("fake", "model_not_found")

            fake.script(Status(401))
            with pytest.raises(openai.APIStatusError):
                await client.chat.completions.create(
                    model="gpt-4o-mini", messages=[{"role": "user", "content": "ping"}]
                )
            assert [model async for model in client.models.list()] == []
    assert "key-of-groq" not in "".join(router.log)


async def test_what_the_router_does_not_know_is_asked_of_openai(
    start_router: StartRouter,
    fake: FakeProvider,
    fake_openai: tuple[FakeProvider, tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    openai_server, options = fake_openai
    openai_server.default = Status(200, {"id": "gpt-9", "object": "model", "created": 1, "owned_by": "openai"})
    provider = routed_to(fake)["providers"][0] | {"models": MODELS}
    del provider["model"]
    router = await start_router({"providers": [provider]}, options=options)
    with app_environment(router, monkeypatch):
        async with async_sdk() as client:
            assert (await client.models.retrieve("gpt-9")).owned_by == "openai"
            assert [model.id async for model in client.models.list()] == ["gpt-4o-mini", "team/gpt"]
    assert [seen.path for seen in openai_server.requests] == ["/v1/models/gpt-9"]
