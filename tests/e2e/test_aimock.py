"""The stock `openai` SDK through the router to aimock, which speaks the formats of OpenAI, Anthropic and Google."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
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
# Calls with a seed would be answered from it, whoever was to be tried.
NO_CACHE: Any = {"cache": {"backend": "off"}}
TEXT = "Hello from the other side."
WHOLE = "one two three four five six seven"
KEYS = {
    "OPENAI_API_KEY": "key-of-openai",
    "GROQ_API_KEY": "key-of-groq",
    "ANTHROPIC_API_KEY": "key-of-anthropic",
    "GEMINI_API_KEY": "key-of-gemini",
}
CHAT, RESPONSES, MESSAGES_PATH = "/v1/chat/completions", "/v1/responses", "/v1/messages"
GEMINI = "/v1beta/models/gemini-3.5-flash"


@dataclass(frozen=True)
class Way:
    """A provider's type, base path and model, and where it is asked for text, and with tools, whole and streamed."""

    type: str
    model: str
    text: str
    tools: str
    streamed_tools: str
    base: str = "/v1"


WAYS = {
    "openai": Way("openai", "gpt-4o-mini", CHAT, CHAT, CHAT),
    "openai by Responses": Way("openai", "gpt-6-astra", CHAT, RESPONSES, RESPONSES),
    "responses": Way("openai_responses", "gpt-5.4", RESPONSES, RESPONSES, RESPONSES),
    "groq": Way("groq", "llama-3.3-70b-versatile", CHAT, CHAT, CHAT),
    "anthropic": Way("anthropic", "claude-opus-5", MESSAGES_PATH, MESSAGES_PATH, MESSAGES_PATH),
    "gemini": Way(
        "gemini",
        "gemini-3.5-flash",
        "/v1beta/openai/chat/completions",
        f"{GEMINI}:generateContent",
        f"{GEMINI}:streamGenerateContent?alt=sse",
        base="/v1beta/openai",
    ),
    "openai_compatible": Way("openai_compatible", "qwen3", CHAT, CHAT, CHAT),
    "ollama": Way("ollama", "qwen3", CHAT, CHAT, CHAT),
}


@pytest.fixture(scope="session")
def shared_aimock() -> Iterator[Aimock]:
    """One for all the tests."""
    running = Aimock()
    yield running
    running.stop()


@pytest.fixture
def aimock(shared_aimock: Aimock) -> Aimock:
    """The shared one, which has not been asked anything yet."""
    shared_aimock.forget()
    return shared_aimock


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every brand has a key."""
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)


def provider(aimock: Aimock, way: str, **settings: Any) -> dict[str, Any]:
    row = WAYS[way]
    model = {} if "models" in settings else {"model": row.model}
    return {"name": "mock", "type": row.type, "base_url": aimock.url + row.base, **model, **settings}


@pytest.fixture(params=WAYS)
async def way(
    request: pytest.FixtureRequest, aimock: Aimock, start_router: StartRouter, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Way, RouterProcess]]:
    """Each way to aimock, and a router that takes it."""
    router = await start_router({"providers": [provider(aimock, request.param)]})
    with app_environment(router, monkeypatch):
        yield WAYS[request.param], router


async def test_every_format_from_plain_text_to_tools(way: tuple[Way, RouterProcess], aimock: Aimock) -> None:
    """Whole and streamed text, usage, parallel tool calls whole and streamed, and the turn after them."""
    taken, router = way
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
        assert streamed.usage is not None

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
    decisions = await asyncio.to_thread(router.decisions, 5)
    assert [decision["result"] for decision in decisions] == ["answered"] * 5
    assert aimock.paths() == [taken.text, taken.text, taken.tools, taken.streamed_tools, taken.tools]


FAILURES = {
    "limited": "rate_limited",
    "failing": "server_error",
    "malformed": "bad_reply",
    "disconnecting": "disconnected",
}
# Native Gemini has no event before the first text, so that aimock cannot cut it there.
CUT_BEFORE_CONTENT = ["openai", "anthropic", "responses"]


@pytest.mark.parametrize("failing", ["openai", "anthropic", "gemini", "responses"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_what_fails_there_is_answered_by_another(
    aimock: Aimock, start_router: StartRouter, monkeypatch: pytest.MonkeyPatch, failing: str, stream: bool
) -> None:
    """A limit, a failure, malformed JSON and a connection that ends: the app never notices."""
    expected = dict(FAILURES)
    if stream and failing in CUT_BEFORE_CONTENT:
        expected["opened"] = "bad_reply"
    bad = [
        provider(aimock, failing, name=model, models=[{"id": model, "serves": [model]}], priority=1)
        for model in expected
    ]
    good = provider(aimock, "groq", name="good", priority=2)
    router = await start_router({"providers": [*bad, good], "retry": {"max_wait_seconds": 0}, **NO_CACHE})
    with app_environment(router, monkeypatch):
        async with async_sdk() as client:
            for model in expected:
                assert await ask(client, model, stream=stream) == TEXT
    decisions = await asyncio.to_thread(router.decisions, len(expected))
    outcomes = {decision["model"]: [attempt["outcome"] for attempt in decision["attempts"]] for decision in decisions}
    assert outcomes == {model: [outcome, "success"] for model, outcome in expected.items()}


async def ask(client: openai.AsyncOpenAI, model: str, *, stream: bool = False) -> str | None:
    """The whole text; the seed makes Gemini be asked in its own format."""
    options: Any = {"model": model, "messages": MESSAGES, "seed": 1}
    if stream:
        async with client.chat.completions.stream(**options) as events:
            answer: Any = await events.get_final_completion()
    else:
        answer = await client.chat.completions.create(**options)
    text: str | None = answer.choices[0].message.content
    return text


@pytest.mark.parametrize("limiting", ["openai", "anthropic", "gemini", "responses"])
async def test_a_limit_there_is_kept(
    aimock: Aimock, start_router: StartRouter, monkeypatch: pytest.MonkeyPatch, limiting: str
) -> None:
    """After a 429 with `retry-after: 40` the next call goes to another at once; a call with no other hears of it."""
    limited = provider(
        aimock, limiting, name="limited", models=[{"id": "limited", "serves": ["both", "alone"]}], priority=1
    )
    good = provider(aimock, "groq", name="good", models=[{"id": "good", "serves": ["both"]}], priority=2)
    router = await start_router({"providers": [limited, good], "retry": {"deadline_seconds": 5}, **NO_CACHE})
    with app_environment(router, monkeypatch):
        async with async_sdk() as client:
            assert [await ask(client, "both"), await ask(client, "both")] == [TEXT, TEXT]
            with pytest.raises(openai.RateLimitError) as told:
                await ask(client, "alone")
    decisions = await asyncio.to_thread(router.decisions, 3)
    tried = [[attempt["target"] for attempt in decision["attempts"]] for decision in decisions]
    assert tried == [["limited/limited", "good/good"], ["good/good"], ["limited/limited"]]
    assert 30 <= int(told.value.response.headers["retry-after"]) <= 40


async def test_a_short_limit_is_waited_out(
    aimock: Aimock, start_router: StartRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no other target, `retry-after: 2` costs the app two seconds and no error."""
    router = await start_router({"providers": [provider(aimock, "anthropic", model="limited-once")]})
    with app_environment(router, monkeypatch):
        async with async_sdk() as client:
            assert await ask(client, "gpt-4o") == TEXT
    (decision,) = await asyncio.to_thread(router.decisions, 1)
    assert [attempt["outcome"] for attempt in decision["attempts"]] == ["rate_limited", "success"]
    assert 2 <= decision["seconds"] < 10


@pytest.mark.parametrize("failing", ["openai", "anthropic", "gemini", "responses"])
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
    assert text != WHOLE
    assert WHOLE.startswith(text)
    (decision,) = await asyncio.to_thread(router.decisions, 1)
    assert decision["result"] == "broken"
