"""The gateway against providers that are down, slow, lying, cut or refusing: design 6.2 and 6.3, row by row."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llmrouter.errors import Outcome
from tests.fakes.certificates import own_tls
from tests.fakes.provider import (
    CUT,
    END,
    PAUSE,
    RESET,
    Behaviour,
    CloseBeforeReply,
    FakeProvider,
    Raw,
    Reset,
    Stall,
    Status,
    StreamSteps,
    sse,
    sse_chunk,
)
from tests.gateways import Told, gateway, provider

JSON_REPLY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
NO_RETRY = {"max_attempts": 1}
ROLE = sse_chunk("", delta={"role": "assistant"})


def reply_of(body: bytes) -> Raw:
    return Raw(JSON_REPLY % (len(body), body))


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


FAILURES: list[Any] = [
    pytest.param(lambda: Status(500), "server_error", id="500"),
    pytest.param(lambda: Status(503, b"<html>down</html>"), "server_error", id="503 with HTML"),
    pytest.param(lambda: Status(529), "server_error", id="529"),
    pytest.param(lambda: Status(408), "server_error", id="408"),
    pytest.param(lambda: Status(429), "rate_limited", id="429 without headers"),
    pytest.param(lambda: Status(429, headers={"retry-after": "3"}), "rate_limited", id="429 with retry-after"),
    pytest.param(lambda: Status(402), "out_of_credit", id="402"),
    pytest.param(
        lambda: Status(429, {"error": {"message": "no money", "type": "insufficient_quota", "code": None}}),
        "out_of_credit",
        id="429 insufficient_quota",
    ),
    pytest.param(lambda: Status(401), "unauthorized", id="401"),
    pytest.param(lambda: Status(403), "unauthorized", id="403"),
    pytest.param(lambda: Status(404), "model_gone", id="404"),
    pytest.param(
        lambda: Status(400, {"error": {"message": "too long", "code": "context_length_exceeded"}}),
        "context_exceeded",
        id="context length",
    ),
    pytest.param(lambda: Status(400), "refused", id="400"),
    pytest.param(lambda: Status(422, {"detail": [{"loc": ["body"], "msg": "no"}]}), "refused", id="422"),
    pytest.param(Reset, "unreachable", id="reset"),
    pytest.param(CloseBeforeReply, "unreachable", id="closed without a reply"),
    pytest.param(lambda: Raw(b"no HTTP at all\r\n\r\n"), "bad_reply", id="no HTTP"),
    pytest.param(lambda: Status(200, {"error": {"message": "oops", "code": 500}}), None, id="error inside 200"),
    pytest.param(lambda: reply_of(b""), "bad_reply", id="empty body"),
    pytest.param(lambda: Status(200, b"<html>login</html>"), "bad_reply", id="HTML with 200"),
    pytest.param(lambda: reply_of(b'{"choices": []}'), "bad_reply", id="no choices"),
    pytest.param(lambda: reply_of(b'{"choices": [{"mess'), "bad_reply", id="JSON cut short"),
    pytest.param(lambda: Raw(JSON_REPLY % (500, b'{"choices":')), "bad_reply", id="body cut short"),
    pytest.param(lambda: Status(302, headers={"location": "http://elsewhere.example/"}), "bad_reply", id="redirect"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("make", "outcome"), FAILURES)
async def test_the_next_target_answers_after(tmp_path: Path, make: Any, outcome: str | None, stream: bool) -> None:
    """Every failure before content leads to the next target, and the client sees none of it."""
    behaviour: Behaviour = make()
    async with (
        FakeProvider(behaviour) as bad,
        FakeProvider() as good,
        gateway(tmp_path, provider("bad", bad), provider("good", good)) as router,
    ):
        told = await router.ask(stream=stream)

        text = told.text if stream else told.json["choices"][0]["message"]["content"]
        assert (told.answer.status, text) == (200, "hello there")
        assert told.answer.headers["x-llmrouter-provider"] == "good"
        assert told.answer.headers["x-llmrouter-attempts"] == "2"
        (first, second) = router.outcomes
        assert second == ("good", "success")
        assert first[0] == "bad"
        if outcome is not None:
            assert first[1] == outcome


STREAM_FAILURES: list[Any] = [
    pytest.param(lambda: StreamSteps([CUT]), id="cut before the first event"),
    pytest.param(lambda: StreamSteps([ROLE, CUT]), id="cut after the role"),
    pytest.param(lambda: StreamSteps([ROLE, RESET]), id="reset after the role"),
    pytest.param(lambda: StreamSteps([END]), id="empty stream"),
    pytest.param(lambda: StreamSteps([sse("[DONE]"), END]), id="nothing but DONE"),
    pytest.param(lambda: StreamSteps([ROLE, sse("{not json"), END]), id="malformed event"),
    pytest.param(lambda: StreamSteps([sse({"error": {"message": "overloaded", "code": 503}}), END]), id="error event"),
    pytest.param(lambda: StreamSteps([b": hello\n\n", END]), id="comments only"),
]


@pytest.mark.parametrize("make", STREAM_FAILURES)
async def test_failover_is_invisible_until_the_first_content(tmp_path: Path, make: Any) -> None:
    """A stream that fails before its first content is replaced by another, whole one."""
    async with (
        FakeProvider(make()) as bad,
        FakeProvider() as good,
        gateway(tmp_path, provider("bad", bad), provider("good", good)) as router,
    ):
        told = await router.ask(stream=True)

        assert (told.text, told.is_done) == ("hello there", True)
        assert [event["choices"][0]["delta"].get("role") for event in told.events].count("assistant") == 1
        assert [name for name, _ in router.outcomes] == ["bad", "good"]


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param([CUT], id="cut"),
        pytest.param([RESET], id="reset"),
        pytest.param([END], id="clean end without finish reason"),
        pytest.param([sse("[DONE]"), END], id="DONE without finish reason"),
        pytest.param([sse("{broken"), END], id="malformed event"),
        pytest.param([sse({"error": {"message": "overloaded"}}), END], id="error event"),
    ],
)
async def test_a_stream_that_breaks_after_content_ends_with_an_error_and_no_done(
    tmp_path: Path, ending: list[Any]
) -> None:
    """Never a false `[DONE]`, never a clean end: OpenAI's clients raise on the error event."""
    steps = StreamSteps([ROLE, sse_chunk("half an "), PAUSE, *ending])
    async with FakeProvider(steps) as bad, gateway(tmp_path, provider("bad", bad)) as router:
        answer = await router.open(stream=True)
        assert answer.frames is not None
        first = await anext(answer.frames)
        steps.resume.set()
        told = Told(answer, first + b"".join([frame async for frame in answer.frames]))

        assert told.is_done is False
        assert told.text == "half an "
        assert told.events[-1]["error"]["code"] == "stream_broken"
        assert router.outcomes == [("bad", "broken_stream")]
        assert router.decisions[-1].result == "broken"


async def test_a_stalled_stream_breaks_after_the_idle_time(tmp_path: Path) -> None:
    """Silence after content ends in an error event, and the provider's stream is closed."""
    stalled = StreamSteps([ROLE, sse_chunk("half"), PAUSE])
    async with (
        FakeProvider(stalled) as bad,
        gateway(tmp_path, provider("bad", bad, timeouts={"idle": 0.05})) as router,
    ):
        told = await router.ask(stream=True)
        await asyncio.wait_for(stalled.client_left.wait(), 5)

        assert told.events[-1]["error"]["code"] == "stream_broken"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("after_headers", [False, True])
async def test_silence_before_the_first_content_leads_to_the_next_target(
    tmp_path: Path, stream: bool, after_headers: bool
) -> None:
    """`first_byte` bounds the wait for content, whether or not the head has come."""
    stall = Stall(after_headers=after_headers)
    async with (
        FakeProvider(stall) as slow,
        FakeProvider() as good,
        gateway(tmp_path, provider("slow", slow, timeouts={"first_byte": 0.05}), provider("good", good)) as router,
    ):
        told = await router.ask(stream=stream)
        await asyncio.wait_for(stall.client_left.wait(), 5)

        assert told.answer.headers["x-llmrouter-provider"] == "good"
        assert router.outcomes == [("slow", "timed_out"), ("good", "success")]


async def test_the_deadline_bounds_all_attempts(tmp_path: Path) -> None:
    """No call outlives `deadline_seconds`, however many targets are left."""
    async with (
        FakeProvider(default=Stall()) as slow,
        gateway(tmp_path, provider("slow", slow), provider("next", slow), retry={"deadline_seconds": 0.1}) as router,
    ):
        told = await asyncio.wait_for(router.ask(), 5)

        assert told.answer.status == 503
        assert router.outcomes == [("slow", "timed_out")]


async def test_a_provider_that_is_down_is_passed_over(tmp_path: Path) -> None:
    """A refused connection is a failure like any other."""
    async with (
        FakeProvider() as good,
        gateway(tmp_path, provider("down", closed_port()), provider("good", good)) as router,
    ):
        told = await router.ask()

        assert told.answer.headers["x-llmrouter-provider"] == "good"
        assert router.outcomes[0] == ("down", "unreachable")


async def test_an_unknown_certificate_is_refused(tmp_path: Path) -> None:
    """TLS to providers is verified: a self-signed one gets neither key nor prompt."""
    async with (
        FakeProvider(tls=own_tls("127.0.0.1", tmp_path)) as imposter,
        gateway(tmp_path, provider("imposter", imposter)) as router,
    ):
        told = await router.ask()

        assert told.answer.status == 503
        assert "certificate" in told.json["error"]["message"]
        assert imposter.requests == []


async def test_two_refusals_end_the_call_with_the_first_one(tmp_path: Path) -> None:
    """A request that two providers refuse is the client's own fault, and told in the first one's words."""
    first = Status(400, {"error": {"message": "temperature is too high", "type": "invalid_request_error"}})
    async with (
        FakeProvider(first) as one,
        FakeProvider(default=Status(422)) as two,
        FakeProvider() as three,
        gateway(tmp_path, provider("one", one), provider("two", two), provider("three", three)) as router,
    ):
        told = await router.ask()

        assert told.answer.status == 400
        assert told.json["error"]["message"] == "temperature is too high"
        assert three.requests == []


async def test_a_prompt_too_long_goes_to_a_larger_window_only(tmp_path: Path) -> None:
    """After an overflow, targets whose window is no larger are not asked."""
    overflow = Status(400, {"error": {"message": "maximum context length is 10 tokens", "code": None}})

    def model(window: int) -> dict[str, Any]:
        return {"models": [{"id": "m", "serves": ["*"], "context_window": window}]}

    async with (
        FakeProvider(overflow) as small,
        FakeProvider() as same,
        FakeProvider() as large,
        gateway(
            tmp_path,
            provider("small", small, **model(1000)),
            provider("same", same, **model(1000)),
            provider("large", large, **model(9000)),
        ) as router,
    ):
        told = await router.ask()

        assert told.answer.headers["x-llmrouter-provider"] == "large"
        assert same.requests == []


async def test_the_final_error_says_when_to_come_back(tmp_path: Path) -> None:
    """All rate-limited: 429, `x-should-retry: false`, and the provider's own time."""
    async with (
        FakeProvider(Status(429, headers={"retry-after": "40"})) as limited,
        gateway(tmp_path, provider("limited", limited)) as router,
    ):
        told = await router.ask()

        assert told.answer.status == 429
        assert told.answer.headers["x-should-retry"] == "false"
        assert int(told.answer.headers["retry-after"]) in (39, 40)
        assert told.json["error"]["code"] == "rate_limit_exceeded"


async def test_a_short_rest_is_waited_for(tmp_path: Path) -> None:
    """One target, a rest of milliseconds: the client waits instead of failing."""
    async with (
        FakeProvider(Status(429, headers={"retry-after-ms": "30"})) as limited,
        gateway(tmp_path, provider("limited", limited)) as router,
    ):
        told = await router.ask()

        assert told.answer.status == 200
        assert router.outcomes == [("limited", "rate_limited"), ("limited", "success")]


async def test_a_resting_target_is_left_alone_by_other_calls(tmp_path: Path) -> None:
    """What one call learned of a provider spares the next one the attempt."""
    async with (
        FakeProvider(Status(429, headers={"retry-after": "60"})) as limited,
        FakeProvider() as good,
        gateway(tmp_path, provider("limited", limited), provider("good", good)) as router,
    ):
        await router.ask()
        told = await router.ask()

        assert told.answer.headers["x-llmrouter-attempts"] == "1"
        assert len(limited.requests) == 1
        (left,) = router.decisions[-1].plan["left_out"]
        assert left["target"] == "limited/model-of-limited"
        assert "rate limited" in left["reason"]


async def test_the_last_resort_is_tried_when_all_rest(tmp_path: Path) -> None:
    """A wrong key rests until the settings change, and is tried all the same when nothing else is there."""
    async with (
        FakeProvider(Status(401)) as provider_with_new_key,
        gateway(tmp_path, provider("only", provider_with_new_key), retry=NO_RETRY) as router,
    ):
        assert (await router.ask()).answer.status == 503
        told = await router.ask()

        assert told.answer.status == 200


async def test_one_transient_failure_of_the_only_target_is_tried_again(tmp_path: Path) -> None:
    """The SDK would have tried again; since the router forbids it that, it does so itself."""
    async with FakeProvider(Reset()) as only, gateway(tmp_path, provider("only", only)) as router:
        told = await router.ask()

        assert told.answer.status == 200
        assert router.outcomes == [("only", "unreachable"), ("only", "success")]


async def test_the_breaker_opens_and_spares_the_dead_target(tmp_path: Path) -> None:
    """After the threshold the dead target is not asked any more, and the plan says why."""
    rule = {"failure_threshold": 2, "recovery_seconds": 60}
    async with (
        FakeProvider(default=Status(500)) as dead,
        FakeProvider() as good,
        gateway(tmp_path, provider("dead", dead, circuit_breaker=rule), provider("good", good)) as router,
    ):
        for _ in range(4):
            assert (await router.ask()).answer.status == 200

        assert len(dead.requests) == 2
        assert "breaker is open" in router.decisions[-1].plan["left_out"][0]["reason"]


@pytest.mark.parametrize("moment", ["before the head", "before content", "after content"])
async def test_a_client_that_hangs_up_closes_the_providers_stream(tmp_path: Path, moment: str) -> None:
    """The provider's connection is closed at once, and the breaker does not mind."""
    steps = {
        "before the head": Stall(),
        "before content": Stall(after_headers=True),
        "after content": StreamSteps([ROLE, sse_chunk("one"), PAUSE]),
    }
    behaviour = steps[moment]
    async with FakeProvider(behaviour) as slow, gateway(tmp_path, provider("slow", slow)) as router:
        client = asyncio.ensure_future(router.ask(stream=True))
        await asyncio.wait_for(behaviour.reached.wait(), 5)
        client.cancel()
        await asyncio.wait_for(behaviour.client_left.wait(), 5)
        with pytest.raises(asyncio.CancelledError):
            await client

        assert router.decisions[-1].result == "client_gone"
        assert router.outcomes == [("slow", "client_gone")]


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
