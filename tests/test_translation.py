"""Calls on their way through a gateway: what a target does not take is learned, said otherwise, or left to others."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmrouter.brands import BRANDS
from llmrouter.brands.brand import Brand, where
from llmrouter.brands.dialect import Structured
from llmrouter.brands.members import COMPATIBLE, MAX_TOKENS
from tests.fakes.provider import FakeProvider, Raw, Status
from tests.fakes.shapes import completion, sse_chunk
from tests.gateways import gateway, provider

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "number", "schema": SCHEMA}}


def unsupported(member: str) -> Status:
    message = f"Unsupported parameter: '{member}' is not supported with this model."
    error = {"message": message, "type": "invalid_request_error", "param": member, "code": "unsupported_parameter"}
    return Status(400, {"error": error})


def answering(text: str) -> Raw:
    body = json.dumps(completion(text)).encode()
    return Raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


async def test_a_hint_that_is_refused_is_left_out_at_once_and_not_sent_again(tmp_path: Path) -> None:
    async with FakeProvider(unsupported("temperature")) as fake, gateway(tmp_path, provider("a", fake)) as router:
        told = await router.ask(temperature=0.2)
        assert told.answer.status == 200
        assert [("temperature" in seen.json()) for seen in fake.requests] == [True, False]
        first, second = router.decisions[-1].to_record()["attempts"]
        assert (first["outcome"], second["changes"]) == ("unsupported", ["without temperature"])

        await router.ask(temperature=0.2)
        assert router.outcomes == [("a", "success")]
        assert "temperature" not in fake.requests[-1].json()


async def test_a_token_limit_that_is_refused_is_sent_under_its_other_name(tmp_path: Path) -> None:
    async with FakeProvider(unsupported("max_tokens")) as fake, gateway(tmp_path, provider("a", fake)) as router:
        assert (await router.ask(max_tokens=9)).answer.status == 200
        assert fake.requests[-1].json()["max_completion_tokens"] == 9
        assert "max_tokens" not in fake.requests[-1].json()


async def test_what_has_meaning_goes_to_another_and_the_target_is_not_asked_so_again(tmp_path: Path) -> None:
    async with (
        FakeProvider(unsupported("logprobs")) as first,
        FakeProvider() as second,
        gateway(tmp_path, provider("a", first), provider("b", second)) as router,
    ):
        assert (await router.ask(logprobs=True)).answer.status == 200
        assert router.outcomes == [("a", "unsupported"), ("b", "success")]
        assert (await router.ask(logprobs=True)).answer.status == 200
        assert router.outcomes == [("b", "success")]
        left = router.decisions[-1].to_record()["plan"]["left_out"]
        assert left == [{"target": "a/model-of-a", "reason": "it does not take: logprobs"}]
        assert (await router.ask()).answer.headers["x-llmrouter-provider"] == "a"


async def test_a_schema_that_is_refused_is_told_in_the_prompt_and_validated(tmp_path: Path) -> None:
    async with (
        FakeProvider(unsupported("response_format"), answering("no JSON"), answering('{"n": 1}')) as fake,
        gateway(tmp_path, provider("a", fake)) as router,
    ):
        told = await router.ask(response_format=FORMAT)
        assert told.json["choices"][0]["message"]["content"] == '{"n": 1}'
        assert [outcome for _, outcome in router.outcomes] == ["unsupported", "bad_reply", "success"]
        assert "response_format" not in fake.requests[-1].json()
        assert "JSON Schema" in fake.requests[-1].json()["messages"][0]["content"]


async def test_a_custom_tool_goes_to_who_knows_it(tmp_path: Path) -> None:
    tools = [{"type": "custom", "custom": {"name": "sql"}}]
    async with (
        FakeProvider() as first,
        FakeProvider() as second,
        gateway(
            tmp_path,
            provider("a", first, type="groq"),
            provider("b", second, type="openai"),
            environ={"GROQ_API_KEY": "key-of-groq", "OPENAI_API_KEY": "key-of-openai"},
        ) as router,
    ):
        told = await router.ask(tools=tools)
        assert router.outcomes == [("a", "not_translatable"), ("b", "success")]
        assert told.answer.headers["x-llmrouter-attempts"] == "1"
        assert first.requests == []
        assert second.requests[0].json()["tools"] == tools


async def test_what_nobody_can_be_asked_is_told_in_openais_shape(tmp_path: Path) -> None:
    async with (
        FakeProvider() as fake,
        gateway(tmp_path, provider("a", fake, type="groq"), environ={"GROQ_API_KEY": "key-of-groq"}) as router,
    ):
        told = await router.ask(tools=[{"type": "custom", "custom": {"name": "sql"}}])
        assert told.answer.status == 400
        assert told.json["error"]["type"] == "invalid_request_error"
        assert "custom" in told.json["error"]["message"]


async def test_what_is_left_of_a_limit_is_recorded_and_an_empty_one_rests_the_target(tmp_path: Path) -> None:
    headers = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "50s",
        "x-ratelimit-remaining-tokens": "900",
    }
    body = json.dumps(completion("pong"))
    async with (
        FakeProvider(Status(200, body.encode(), headers={"content-type": "application/json", **headers})) as first,
        FakeProvider() as second,
        gateway(tmp_path, provider("a", first), provider("b", second)) as router,
    ):
        assert (await router.ask()).answer.headers["x-llmrouter-provider"] == "a"
        (attempt,) = router.decisions[-1].to_record()["attempts"]
        assert (attempt["requests_left"], attempt["tokens_left"]) == (0, 900)
        assert (await router.ask()).answer.headers["x-llmrouter-provider"] == "b"
        (left,) = router.decisions[-1].to_record()["plan"]["left_out"]
        assert left["reason"] == "it rests (limit used up) for 50 s more"


async def test_an_emulated_stream_that_is_slow_to_become_whole_does_not_time_out(tmp_path: Path) -> None:
    """Content has come, though it is held back: the limit for the first content is kept."""
    chunks = [sse_chunk("", delta={"role": "assistant"}), *(sse_chunk(piece) for piece in ('{"n"', ": 1", "}"))]
    stream = b"".join([*chunks, sse_chunk(finish="stop"), b"data: [DONE]\n\n"])
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(stream)
    async with (
        FakeProvider(Raw(head + stream)) as fake,
        gateway(
            tmp_path, provider("a", fake, type="huggingface"), environ={"HUGGINGFACE_API_TOKEN": "k-of-hf"}
        ) as router,
    ):
        told = await router.ask(stream=True, response_format=FORMAT)
        assert (told.text, told.is_done) == ('{"n": 1}', True)


async def test_an_imaginary_brand_is_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another address, header, names, and models that differ: no code knows of it."""
    row = Brand(
        name="imaginary",
        base_url="http://{IMAGINARY_HOST}/v1",
        key_env="IMAGINARY_KEY",
        key_header="x-imaginary-key",
        headers=(("x-imaginary-version", "7"),),
        dialect=replace(
            COMPATIBLE,
            renames=(*MAX_TOKENS, ("seed", "dice")),
            message_drops=frozenset({"name"}),
            tool_choices=(("required", "must"),),
            structured=Structured.OBJECT,
        ),
        rules=(where("small-*", refuses=frozenset({"tools"})),),
        source="a test",
    )
    monkeypatch.setattr("llmrouter.proxy.runtime.BRANDS", {**BRANDS, "imaginary": row})
    models: list[dict[str, Any]] = [{"id": "small-1", "serves": ["gpt-4o"]}, {"id": "large-1", "serves": ["gpt-4o"]}]
    async with FakeProvider() as fake:
        settings = {"name": "mine", "type": "imaginary", "models": models}
        environ = {"IMAGINARY_KEY": "key-of-imaginary", "IMAGINARY_HOST": fake.base_url.split("/")[2]}
        async with gateway(tmp_path, settings, environ=environ) as router:
            told = await router.ask(
                messages=[{"role": "user", "name": "ann", "content": "ping"}],
                max_completion_tokens=9,
                seed=1,
                user="u",
                tools=[TOOL],
                tool_choice="required",
            )
            (seen,) = fake.requests
            assert told.answer.headers["x-llmrouter-model"] == "large-1"
            assert (seen.headers["x-imaginary-key"], seen.headers["x-imaginary-version"]) == ("key-of-imaginary", "7")
            assert "authorization" not in seen.headers
            assert seen.json() == {
                "model": "large-1",
                "messages": [{"role": "user", "content": "ping"}],
                "stream": False,
                "max_tokens": 9,
                "dice": 1,
                "tools": [TOOL],
                "tool_choice": "must",
            }
            assert router.decisions[-1].to_record()["attempts"][0]["changes"] == ["without user"]


@pytest.mark.parametrize(
    "members",
    [
        {"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": 5}}},
        {"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": [{"function": 1}]}}},
        {"functions": [1], "messages": [{"role": "user", "content": "a", "function_call": 5}]},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"$ref": "#"}}}},
    ],
)
async def test_a_request_that_nobody_thought_of_harms_no_target(tmp_path: Path, members: dict[str, Any]) -> None:
    """Nothing was sent, so no breaker opens, and the client is told that it is its own request."""
    async with (
        FakeProvider() as fake,
        gateway(tmp_path, provider("a", fake, type="groq"), environ={"GROQ_API_KEY": "key-of-groq"}) as router,
    ):
        for _ in range(6):
            told = await router.ask(**members)
        if told.answer.status != 200:
            assert (told.answer.status, fake.requests) == (400, [])
            assert told.answer.headers["x-llmrouter-attempts"] == "0"
        assert (await router.ask()).answer.status == 200
        assert router.outcomes == [("a", "success")]


async def test_the_providers_own_word_for_the_wait_counts_more_than_its_reset(tmp_path: Path) -> None:
    """OpenAI tells when to come back, and when the whole limit will be there again."""
    headers = {"retry-after-ms": "40", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m0s"}
    limited = Status(429, {"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}, headers=headers)
    async with FakeProvider(limited) as fake, gateway(tmp_path, provider("a", fake)) as router:
        assert (await router.ask()).answer.status == 200
        assert router.outcomes == [("a", "rate_limited"), ("a", "success")]


async def test_headers_of_ours_that_hold_a_key_are_not_told(tmp_path: Path) -> None:
    refused = Status(400, {"error": {"message": "bad header own-secret-of-mine"}})
    settings = {"extra_headers": {"x-key": "own-secret-of-mine"}}
    async with FakeProvider(refused) as fake, gateway(tmp_path, provider("a", fake, **settings)) as router:
        told = await router.ask()
        assert told.json["error"]["message"] == "bad header ***"
