"""The stock `openai` SDK through the router to aimock, which speaks the formats of OpenAI, Anthropic and Google."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest

from tests.e2e.aimock import Aimock
from tests.e2e.conftest import StartRouter
from tests.e2e.router_process import RouterProcess, app_environment, async_sdk

MESSAGES: Any = [{"role": "user", "content": "hi"}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
TEXT = "Hello from the other side."
KEYS = {
    "OPENAI_API_KEY": "key-of-openai",
    "GROQ_API_KEY": "key-of-groq",
    "ANTHROPIC_API_KEY": "key-of-anthropic",
    "GEMINI_API_KEY": "key-of-gemini",
}
WAYS: dict[str, dict[str, str]] = {
    "openai": {"type": "openai", "path": "/v1", "model": "gpt-4o-mini"},
    "openai by Responses": {"type": "openai", "path": "/v1", "model": "gpt-6-astra"},
    "responses": {"type": "openai_responses", "path": "/v1", "model": "gpt-5.4"},
    "groq": {"type": "groq", "path": "/v1", "model": "llama-3.3-70b-versatile"},
    "anthropic": {"type": "anthropic", "path": "/v1", "model": "claude-opus-5"},
    "gemini": {"type": "gemini", "path": "/v1beta/openai", "model": "gemini-3.5-flash"},
    "ollama": {"type": "ollama", "path": "/v1", "model": "qwen3"},
}


@pytest.fixture(scope="module")
def aimock() -> Iterator[Aimock]:
    """One for all the tests."""
    running = Aimock()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every brand has a key."""
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)


def provider(aimock: Aimock, way: str, **settings: Any) -> dict[str, Any]:
    row = WAYS[way]
    model = {} if "models" in settings else {"model": row["model"]}
    return {"name": "mock", "type": row["type"], "base_url": aimock.url + row["path"], **model, **settings}


@pytest.fixture(params=WAYS)
async def way(
    request: pytest.FixtureRequest, aimock: Aimock, start_router: StartRouter, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[RouterProcess]:
    """Each way to aimock, and a router that takes it."""
    router = await start_router({"providers": [provider(aimock, request.param)]})
    with app_environment(router, monkeypatch):
        yield router


async def test_every_format_from_plain_text_to_tools(way: RouterProcess) -> None:
    """Whole and streamed text, usage, parallel tool calls whole and streamed, and the turn after them."""
    async with async_sdk() as client:
        whole = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        assert (whole.model, whole.choices[0].message.content) == ("gpt-4o", TEXT)
        assert whole.choices[0].finish_reason == "stop"
        assert whole.usage is not None

        async with client.chat.completions.stream(
            model="gpt-4o", messages=MESSAGES, stream_options={"include_usage": True}
        ) as stream:
            streamed = await stream.get_final_completion()
        assert streamed.choices[0].message.content == TEXT
        assert streamed.choices[0].message.role == "assistant"

        called = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, tools=TOOLS)
        assert called.choices[0].finish_reason == "tool_calls"
        calls: Any = called.choices[0].message.tool_calls
        assert [json.loads(call.function.arguments) for call in calls] == [{"city": "Rome"}, {"city": "Oslo"}]
        assert len({call.id for call in calls}) == 2

        async with client.chat.completions.stream(model="gpt-4o", messages=MESSAGES, tools=TOOLS) as stream:
            final: Any = (await stream.get_final_completion()).choices[0]
        assert final.finish_reason == "tool_calls"
        assert [json.loads(call.function.arguments) for call in final.message.tool_calls] == [
            {"city": "Rome"},
            {"city": "Oslo"},
        ]

        results = [{"role": "tool", "tool_call_id": call.id, "content": "sun"} for call in calls]
        turn: Any = [*MESSAGES, called.choices[0].message.model_dump(exclude_none=True), *results]
        answer = await client.chat.completions.create(model="gpt-4o", messages=turn, tools=TOOLS)
        assert answer.choices[0].message.content == "It is sunny in Rome."
    decisions = await asyncio.to_thread(way.decisions, 5)
    assert [decision["result"] for decision in decisions] == ["answered"] * 5


FAILURES = {
    "limited": "rate_limited",
    "failing": "server_error",
    "malformed": "bad_reply",
    "disconnecting": "unreachable",
}


@pytest.mark.parametrize("failing", ["openai", "anthropic"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_what_fails_there_is_answered_by_another(
    aimock: Aimock, start_router: StartRouter, monkeypatch: pytest.MonkeyPatch, failing: str, stream: bool
) -> None:
    """A limit, a failure, malformed JSON and a connection that ends: the app never notices."""
    bad = [
        provider(aimock, failing, name=model, models=[{"id": model, "serves": [model]}], priority=1)
        for model in FAILURES
    ]
    good = provider(aimock, "groq", name="good", priority=2)
    router = await start_router({"providers": [*bad, good], "retry": {"max_wait_seconds": 0}})
    with app_environment(router, monkeypatch):
        async with async_sdk() as client:
            for model in FAILURES:
                if stream:
                    async with client.chat.completions.stream(model=model, messages=MESSAGES) as events:
                        answer: Any = await events.get_final_completion()
                else:
                    answer = await client.chat.completions.create(model=model, messages=MESSAGES)
                assert answer.choices[0].message.content == TEXT
    decisions = await asyncio.to_thread(router.decisions, len(FAILURES))
    outcomes = {decision["model"]: [attempt["outcome"] for attempt in decision["attempts"]] for decision in decisions}
    assert outcomes == {model: [outcome, "success"] for model, outcome in FAILURES.items()}


@pytest.mark.parametrize("failing", ["openai", "anthropic", "gemini"])
async def test_a_stream_that_is_cut_there_is_told_as_cut(
    aimock: Aimock, start_router: StartRouter, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """After content was sent there is no other target: the app gets an error, and never a false end."""
    router = await start_router({"providers": [provider(aimock, failing, model="cut")]})
    with app_environment(router, monkeypatch):
        async with async_sdk() as client:
            text = ""
            with pytest.raises(openai.APIError):
                async for chunk in await client.chat.completions.create(
                    model="gpt-4o", messages=MESSAGES, stream=True, seed=1
                ):
                    text += chunk.choices[0].delta.content or ""
    assert text
    assert "seven" not in text
    (decision,) = await asyncio.to_thread(router.decisions, 1)
    assert decision["result"] == "broken"
