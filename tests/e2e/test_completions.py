"""Text completions with the openai SDK through the real mitmdump: an old app works on any provider."""

import pytest

from tests.e2e.conftest import StartRouter, routed_to
from tests.e2e.router_process import app_environment, async_sdk
from tests.fakes.provider import Answer, FakeProvider

MODEL = "gpt-3.5-turbo-instruct"


async def test_an_old_app_gets_texts(
    start_router: StartRouter, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.default = Answer("there was a router")
    router = await start_router(routed_to(fake))
    with app_environment(router, monkeypatch):
        async with async_sdk() as client:
            whole = await client.completions.create(model=MODEL, prompt="Once", max_tokens=9)
            stream = await client.completions.create(model=MODEL, prompt="Once", stream=True)
            pieces = [piece async for piece in stream]
            with pytest.raises(Exception, match="it has no text completions, which echo need"):
                await client.completions.create(model=MODEL, prompt="Once", echo=True)
    assert (whole.choices[0].text, whole.object) == ("there was a router", "text_completion")
    assert "".join(choice.text for piece in pieces for choice in piece.choices) == "there was a router"
    assert {piece.object for piece in pieces} == {"text_completion"}
    assert [seen.path for seen in fake.requests] == ["/v1/chat/completions"] * 2
