"""A provider that breaks off in the middle of an answer, and an unmodified app that sees nothing of it."""

from typing import Any

import openai
import pytest

from tests.e2e.conftest import StartRouter
from tests.e2e.router_process import app_environment, async_sdk
from tests.fakes.provider import RESET, Answer, FakeProvider, Stall, Status, StreamSteps, sse_chunk
from tests.test_continuing import WHOLE, GoesOn, words

MESSAGES: Any = [{"role": "user", "content": "ping"}]
ROLE = sse_chunk("", delta={"role": "assistant"})


async def test_the_sdk_reads_one_unbroken_stream(
    start_router: StartRouter, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = words(WHOLE)
    breaks = [StreamSteps([ROLE, *pieces[:count], RESET]) for count in (2, 7, len(pieces) - 1)]
    fake.script(*breaks)
    async with FakeProvider(default=GoesOn(WHOLE)) as good:
        common = {"type": "openai_compatible", "model": "fake-model"}
        router = await start_router(
            {
                "providers": [
                    {"name": "fake", "base_url": fake.base_url, "priority": 0} | common,
                    {"name": "good", "base_url": good.base_url, "priority": 1} | common,
                ]
            }
        )
        with app_environment(router, monkeypatch):
            async with async_sdk() as client:
                for _ in breaks:
                    stream = client.chat.completions.stream(model="gpt-4o", messages=MESSAGES)
                    async with stream as events:
                        final = await events.get_final_completion()
                    assert final.choices[0].message.content == WHOLE
                    assert final.choices[0].finish_reason == "stop"

                fake.script(StreamSteps([ROLE, *pieces[:4], RESET]))
                good.script(Status(400))
                with pytest.raises(openai.APIError, match="broke off"):
                    async for _ in await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True):
                        pass


async def test_the_sdk_does_not_wait_for_a_target_that_is_late(
    start_router: StartRouter, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hedging, through the proxy: after twenty answers what is late is known, and the next target is asked, too."""
    async with FakeProvider(default=Answer("from the second")) as other:
        common = {"type": "openai_compatible", "model": "fake-model"}
        router = await start_router(
            {
                "providers": [
                    {"name": "fake", "base_url": fake.base_url, "priority": 0} | common,
                    {"name": "other", "base_url": other.base_url, "priority": 1} | common,
                ],
                "hedge": {"max_share": 0.01},
                "cache": {"when": "never"},
            }
        )
        with app_environment(router, monkeypatch):
            async with async_sdk() as client:

                async def ask() -> str | None:
                    reply = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
                    return reply.choices[0].message.content

                # The hundredth call is the first one that may be hedged.
                assert {await ask() for _ in range(99)} == {"hello there"}
                assert other.requests == []
                stall = Stall()
                fake.script(stall)
                assert await ask() == "from the second"
                await stall.client_left.wait()
                assert await ask() == "hello there"
