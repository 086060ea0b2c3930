"""Providers that are down, slow, lying, cut or refusing: design 6.2 and 6.3, row by row."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

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
    pytest.param(Reset, "disconnected", id="reset"),
    pytest.param(CloseBeforeReply, "disconnected", id="closed without a reply"),
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


async def test_a_refusal_that_quotes_keys_is_relayed_without_them(tmp_path: Path) -> None:
    """Neither the provider's key nor the app's stands in any member of a relayed error."""
    quoting = {"message": "no: key-of-groq", "type": "key-of-groq", "param": "key-of-the-app", "code": "key-of-groq"}
    async with (
        FakeProvider(default=Status(422, {"error": quoting})) as groq,
        gateway(tmp_path, provider("groq", groq, type="groq"), environ={"GROQ_API_KEY": "key-of-groq"}) as router,
    ):
        told = await router.ask()

        assert told.answer.status == 422
        assert b"key-of" not in told.body


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
        (left,) = router.decisions[-1].to_record()["plan"]["left_out"]
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
        assert router.outcomes == [("only", "disconnected"), ("only", "success")]


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
        assert "breaker is open" in router.decisions[-1].to_record()["plan"]["left_out"][0]["reason"]


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
