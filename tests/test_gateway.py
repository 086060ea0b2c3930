"""What the gateway sends, returns and books, and how it follows its settings."""

import asyncio
import json
from pathlib import Path

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llmrouter.errors import Outcome
from tests.fakes.provider import (
    END,
    PAUSE,
    CloseBeforeReply,
    FakeProvider,
    Raw,
    Status,
    StreamSteps,
    sse,
    sse_chunk,
)
from tests.gateways import gateway, provider

NO_RETRY = {"max_attempts": 1}
ROLE = sse_chunk("", delta={"role": "assistant"})


async def test_connections_are_used_again(tmp_path: Path) -> None:
    """Calls one after the other share a connection, streams included."""
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good)) as router:
        for stream in (False, True, True, False):
            await router.ask(stream=stream)
            await asyncio.sleep(0)

        assert good.connections == 1


async def test_a_connection_that_went_stale_is_no_failure(tmp_path: Path) -> None:
    """A provider that closes an idle connection as it is used again loses neither the call nor its good name."""
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good)) as router:
        await router.ask()
        good.script(CloseBeforeReply())
        told = await router.ask()

        assert told.answer.status == 200
        assert router.outcomes == [("good", "success")]
        assert good.connections == 2


async def test_every_field_reaches_the_provider_as_it_was_sent(tmp_path: Path) -> None:
    """Only the model's name changes; unknown members, number forms and nested orders stay."""
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good)) as router:
        await router.ask(temperature=1.0, some_new_field={"b": 1, "a": [2.50]}, seed=12345678901234567890123)

        sent = good.requests[0]
        assert sent.path == "/v1/chat/completions"
        assert sent.json()["model"] == "model-of-good"
        assert b'"some_new_field":{"b": 1, "a": [2.5]}' in sent.body
        assert b"12345678901234567890123" in sent.body


async def test_nothing_of_the_client_but_its_request_reaches_another_company(tmp_path: Path) -> None:
    """Neither its key nor its organisation; the provider gets its own key."""
    async with (
        FakeProvider() as groq,
        gateway(
            tmp_path,
            provider("groq", groq, type="groq"),
            environ={"GROQ_API_KEY": "key-of-groq"},
        ) as router,
    ):
        await router.ask()

        headers = groq.requests[0].headers
        assert headers["authorization"] == "Bearer key-of-groq"
        assert "key-of-the-app" not in str(headers)
        assert "openai-organization" not in headers
        assert headers["user-agent"].startswith("llmrouter/")


async def test_the_callers_key_goes_to_openai(tmp_path: Path) -> None:
    """`api_key: caller` sends what the app sent, organisation included."""
    async with (
        FakeProvider() as openai,
        gateway(tmp_path, provider("openai", openai, type="openai", api_key="caller")) as router,
    ):
        await router.ask()

        headers = openai.requests[0].headers
        assert headers["authorization"] == "Bearer key-of-the-app"
        assert headers["openai-organization"] == "org-1"


async def test_a_wrong_key_of_the_app_is_told_to_the_app(tmp_path: Path) -> None:
    """OpenAI's own 401 reaches the client, which then asks for a better key."""
    refusal = Status(401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}})
    async with (
        FakeProvider(default=refusal) as openai,
        gateway(tmp_path, provider("openai", openai, type="openai", api_key="caller")) as router,
    ):
        told = await router.ask()

        assert told.answer.status == 401


@pytest.mark.parametrize("stream", [False, True])
async def test_usage_and_cost_are_booked(tmp_path: Path, stream: bool) -> None:
    """Usage is always asked of the provider; the client that did not ask does not see the extra chunk."""
    price = {"models": [{"id": "m", "serves": ["*"], "price": {"input": 1000, "output": 10000}}]}
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good, **price)) as router:
        told = await router.ask(stream=stream)

        decision = router.decisions[-1]
        assert decision.usage is not None
        assert (decision.usage.input_tokens, decision.usage.output_tokens) == (7, 2)
        assert decision.cost_usd == pytest.approx(0.027)
        if stream:
            assert good.requests[0].json()["stream_options"] == {"include_usage": True}
            assert all(event.get("usage") is None for event in told.events)
        else:
            assert told.answer.headers["x-llmrouter-cost-usd"] == "0.027"


async def test_usage_reaches_a_client_that_asked(tmp_path: Path) -> None:
    """With `include_usage` the last chunk has no choices and the usage."""
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good)) as router:
        told = await router.ask(stream=True, stream_options={"include_usage": True})

        assert told.events[-1]["choices"] == []
        assert told.events[-1]["usage"]["completion_tokens"] == 2


async def test_replies_are_what_the_sdk_expects_under_the_requested_name(tmp_path: Path) -> None:
    """The `model` of reply and chunks is the requested one; the real one stands in the header."""
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good)) as router:
        told = await router.ask()
        assert ChatCompletion.model_validate_json(told.body).model == "gpt-4o"
        assert told.answer.headers["x-llmrouter-model"] == "model-of-good"

        chunks = [ChatCompletionChunk.model_validate(event) for event in (await router.ask(stream=True)).events]
        assert {chunk.model for chunk in chunks} == {"gpt-4o"}


async def test_a_key_in_a_providers_error_is_not_repeated(tmp_path: Path) -> None:
    """A provider that quotes the key back does not get it into the answer or the record."""
    leak = Status(500, {"error": {"message": "bad key key-of-groq given"}})
    async with (
        FakeProvider(default=leak) as groq,
        gateway(
            tmp_path, provider("groq", groq, type="groq"), environ={"GROQ_API_KEY": "key-of-groq"}, retry=NO_RETRY
        ) as router,
    ):
        told = await router.ask()

        assert b"key-of-groq" not in told.body
        assert "key-of-groq" not in json.dumps(router.decisions[-1].to_record())


async def test_echo_fails_and_waits_as_told(tmp_path: Path) -> None:
    """`mock_failure_rate: 1` always fails, `mock_latency_seconds` beyond `first_byte` times out."""
    dead = {"name": "dead", "type": "echo", "mock_failure_rate": 1.0}
    slow = {"name": "slow", "type": "echo", "mock_latency_seconds": 9, "timeouts": {"first_byte": 0.01}}
    good = {"name": "good", "type": "echo"}
    async with gateway(tmp_path, dead, slow, good) as router:
        told = await router.ask()

        assert told.json["choices"][0]["message"]["content"] == "ping"
        assert router.outcomes == [
            ("dead", Outcome.SERVER_ERROR),
            ("slow", Outcome.TIMED_OUT),
            ("good", Outcome.SUCCESS),
        ]


async def test_a_reload_keeps_calls_under_way_and_what_is_known(tmp_path: Path) -> None:
    """The settings change under a running stream, which ends well; rests of providers that stay are kept."""
    steps = StreamSteps(
        [ROLE, sse_chunk("one "), PAUSE, sse_chunk("two"), sse_chunk(finish="stop"), sse("[DONE]"), END]
    )
    limited = Status(429, headers={"retry-after": "60"})
    async with (
        FakeProvider(limited) as first,
        FakeProvider(steps) as second,
        gateway(tmp_path, provider("first", first), provider("second", second)) as router,
    ):
        answer = await router.open(stream=True)
        assert answer.frames is not None
        frames = [await anext(answer.frames)]
        file = tmp_path / "providers.yaml"
        file.write_text(file.read_text().replace("priority: 1", "priority: 7"))
        assert router.runtime.reload_if_changed() is True
        router.runtime.gateway.observers = [router.decisions.append]
        await asyncio.wait_for(steps.reached.wait(), 5)
        steps.resume.set()
        frames += [frame async for frame in answer.frames]

        assert b"".join(frames).endswith(b"[DONE]\n\n")
        assert (await router.ask()).answer.headers["x-llmrouter-provider"] == "second"
        assert len(first.requests) == 1


async def test_a_bad_reload_keeps_the_old_settings(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A typo in the file is reported by line, and answers go on as before."""
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good)) as router:
        (tmp_path / "providers.yaml").write_text("providers:\n  - typ: echo\n")

        assert router.runtime.reload_if_changed() is False
        assert ":2:5: " in caplog.text
        assert (await router.ask()).answer.status == 200


async def test_a_whole_answer_may_take_longer_than_the_start_of_a_stream(tmp_path: Path) -> None:
    """Without `first_byte` a whole answer may take `total`: the model thinks and writes before the first byte."""
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good, timeouts={"total": 90})) as router:
        (target,) = router.runtime.gateway.router.catalogue.targets

        assert target.timeouts.until_content(is_stream=True) == 30
        assert target.timeouts.until_content(is_stream=False) == 90


async def test_the_deadline_ends_a_whole_answer_that_trickles(tmp_path: Path) -> None:
    """A body that comes byte by byte does not outlive `deadline_seconds`."""
    slow = Raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{", then_close=False)
    async with (
        FakeProvider(slow) as bad,
        gateway(tmp_path, provider("bad", bad), retry={"deadline_seconds": 0.1}) as router,
    ):
        told = await asyncio.wait_for(router.ask(), 5)

        assert told.answer.status == 503
        assert router.outcomes == [("bad", "timed_out")]
