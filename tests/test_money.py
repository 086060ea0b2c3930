"""What a call cost: all that was paid for, whoever got it, and never a guess that is told as a fact."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from llmrouter.replies import Usage
from tests.fakes.behaviours import Behaviour, Stall, Step
from tests.fakes.provider import PAUSE, RESET, Answer, FakeProvider, Status, StreamSteps, sse, sse_chunk
from tests.fakes.shapes import completion
from tests.gateways import GatewayUnderTest, gateway, provider

PRICE: dict[str, float] = {"input": 1000, "output": 10_000}
KEYS = {"NVIDIA_NIM_KEY": "key-of-nvidia", "OPENROUTER_API_KEY": "key-of-openrouter", "OPENAI_API_KEY": "key-of-openai"}
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "required": ["n"]}}}
LIMITS = {"usd_per_day": 100, "tpd": 1_000_000}
USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
ROLE = sse_chunk("", delta={"role": "assistant"})


def paid(name: str, fake: FakeProvider, price: dict[str, float] | None = PRICE, **more: Any) -> dict[str, Any]:
    """A provider whose model costs a tenth of a cent a token in, a cent out."""
    model = {"id": "m", "serves": ["*"]} | ({} if price is None else {"price": price})
    return provider(name, fake, models=[model], limits=LIMITS, **more)


def premium(fake: FakeProvider) -> dict[str, Any]:
    """What the saving is measured by: the requested model at OpenAI, as dear, and never asked here."""
    return provider("openai", fake, type="openai", models=[{"id": "gpt-4o", "serves": ["none"], "price": PRICE}])


def booked(router: GatewayUnderTest, name: str) -> list[float]:
    """Tokens and dollars of a provider's day."""
    (row,) = [row for row in router.runtime.gateway.quotas.snapshot() if (row.name, row.kind) == (name, "day")]
    return [row.tokens, row.nanodollars / 1e9]


WITH_USAGE: dict[str, tuple[Behaviour, bool]] = {
    "no choices": (Status(200, {"choices": [], "usage": USAGE}), False),
    "a message that is none": (Status(200, {"choices": [{"message": 1}], "usage": USAGE}), False),
    "an error within": (Status(200, {"error": {"message": "broke down", "code": 500}, "usage": USAGE}), False),
    "a refusal": (Status(400, {"error": {"message": "no JSON"}, "usage": USAGE}), False),
    "a stream without content": (StreamSteps([ROLE, sse_chunk(usage=USAGE), RESET]), True),
    "an error in a stream": (StreamSteps([ROLE + sse_chunk(usage=USAGE) + sse({"error": {"message": "x"}})]), True),
    "a whole answer to a stream": (Status(200, completion("Hi") | {"usage": USAGE}), True),
    "Gemini's words": (Status(500, {"usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 10}}), False),
}


@pytest.mark.parametrize(("behaviour", "stream"), WITH_USAGE.values(), ids=WITH_USAGE)
async def test_an_answer_that_is_no_use_is_paid_for(tmp_path: Path, behaviour: Behaviour, stream: bool) -> None:
    """In its attempt, in the sum of the decision, and in the provider's quota."""
    async with (
        FakeProvider(default=behaviour) as bad,
        FakeProvider() as good,
        gateway(tmp_path, paid("bad", bad), paid("good", good), premium(good), environ=KEYS) as router,
    ):
        told = await router.ask(stream=stream)
        decision = router.decisions[-1]
        assert decision.answered_by == "good/m"
        assert decision.attempts[0].usage == Usage(100, 10)
        assert decision.attempts[0].cost_usd == pytest.approx(0.2)
        assert decision.cost_usd == pytest.approx(0.2 + 0.027)
        assert decision.usage == Usage(7, 2)
        assert booked(router, "bad") == pytest.approx([110, 0.2])
        record = decision.to_record()["attempts"]
        assert [one["cost_source"] for one in record] == ["configured", "configured"]
        assert record[0]["usage"]["input_tokens"] == 100
        if not stream:
            assert told.answer.headers["x-llmrouter-cost-usd"] == "0.227"
            assert told.answer.headers["x-llmrouter-saved-usd"] == "-0.2"


@pytest.mark.parametrize("stream", [False, True])
async def test_json_that_does_not_fit_is_paid_for(tmp_path: Path, stream: bool) -> None:
    """A stream tells its usage after its text, and is read that far."""
    async with (
        FakeProvider(default=Answer("Sure, here it is!")) as bad,
        FakeProvider(default=Answer('{"n":1}')) as good,
    ):
        providers = paid("bad", bad, type="nvidia_nim"), paid("good", good)
        async with gateway(tmp_path, *providers, environ=KEYS, retry={"max_attempts": 2}) as router:
            told = await router.ask(stream=stream, response_format=FORMAT)
            assert (told.text if stream else told.json["choices"][0]["message"]["content"]) == '{"n":1}'
            discarded, answered = router.decisions[-1].attempts
            assert "asked for JSON" in (discarded.message or "")
            if stream:
                # This brand is not asked for a usage in streams, and tells none.
                assert (discarded.usage, discarded.is_unpriced) == (None, True)
            else:
                assert discarded.usage == Usage(7, 4)
                assert router.decisions[-1].cost_usd == pytest.approx(0.047 + (answered.cost_usd or 0))


async def test_what_nobody_knows_is_not_zero(tmp_path: Path) -> None:
    """Of an answer without a usage that was thrown away the cost is unknown, and so is that of the call."""
    silent = Status(200, {key: value for key, value in completion("No JSON").items() if key != "usage"})
    async with FakeProvider(default=silent) as bad, FakeProvider(default=Answer('{"n":1}')) as good:
        providers = paid("bad", bad, type="nvidia_nim"), paid("good", good)
        async with gateway(tmp_path, *providers, environ=KEYS, retry={"max_attempts": 2}) as router:
            told = await router.ask(response_format=FORMAT)
            decision = router.decisions[-1]
            assert (decision.cost_usd, decision.saved_usd) == (None, None)
            assert decision.known_cost_usd == pytest.approx(0.017)
            record = decision.to_record()
            assert (record["cost_usd"], record["known_cost_usd"]) == (None, pytest.approx(0.017))
            assert record["attempts"][0]["cost_usd"] is None
            assert "x-llmrouter-cost-usd" not in told.answer.headers


async def test_a_failure_of_which_nothing_came_costs_nothing(tmp_path: Path) -> None:
    async with (
        FakeProvider(default=Status(500)) as bad,
        FakeProvider() as good,
        gateway(tmp_path, paid("bad", bad), paid("good", good), retry={"max_attempts": 2}) as router,
    ):
        await router.ask()
        assert router.decisions[-1].cost_usd == pytest.approx(0.027)
        assert "cost_usd" not in router.decisions[-1].to_record()["attempts"][0]


async def test_a_call_that_nobody_answers_may_have_cost_something(tmp_path: Path) -> None:
    empty = Status(200, {"choices": [], "usage": USAGE})
    async with (
        FakeProvider(default=empty) as bad,
        gateway(tmp_path, paid("bad", bad), retry={"max_attempts": 1}) as router,
    ):
        told = await router.ask()
        assert router.decisions[-1].cost_usd == pytest.approx(0.2)
        assert told.answer.headers["x-llmrouter-cost-usd"] == "0.2"


async def test_what_is_free_costs_nothing_whatever_it_used(tmp_path: Path) -> None:
    silent = Status(200, {key: value for key, value in completion("Hi").items() if key != "usage"})
    async with (
        FakeProvider(default=silent) as free,
        gateway(tmp_path, paid("free", free, {"input": 0, "output": 0})) as router,
    ):
        await router.ask()
        assert (router.decisions[-1].cost_usd, router.decisions[-1].usage) == (0.0, None)


@pytest.mark.parametrize("place", ["alone", "with the last choice"])
async def test_the_cost_that_openrouter_tells_is_the_cost(tmp_path: Path, place: str) -> None:
    """Whatever the price says, and wherever it stands in the stream; the record says who told it."""
    usage = USAGE | {"cost": 0.0125}
    last = (
        [sse_chunk(finish="stop"), sse_chunk(usage=usage)]
        if place == "alone"
        else [sse_chunk(finish="stop", usage=usage)]
    )
    async with (
        FakeProvider(default=StreamSteps([ROLE, sse_chunk("Hi"), *last, sse("[DONE]")])) as one,
        gateway(tmp_path, paid("one", one, type="openrouter"), environ=KEYS) as router,
    ):
        told = await router.ask(stream=True, stream_options={"include_usage": True})
        assert told.is_done and told.events[-1]["usage"]["cost"] == 0.0125
        (attempt,) = router.decisions[-1].to_record()["attempts"]
        assert (attempt["cost_usd"], attempt["cost_source"]) == (0.0125, "told by the provider")
        assert router.decisions[-1].cost_usd == 0.0125
        assert booked(router, "one") == pytest.approx([110, 0.0125])


async def test_a_client_that_leaves_pays_for_what_has_passed(tmp_path: Path) -> None:
    """Not for all that it would have allowed; the record says that it is a guess, and no cost is told."""
    words = [sse_chunk("twelve chars") for _ in range(10)]
    async with (
        FakeProvider(default=StreamSteps([ROLE, *words, PAUSE])) as one,
        gateway(tmp_path, paid("one", one)) as router,
    ):
        answer = await router.open(stream=True, max_tokens=5_000)
        assert answer.frames is not None
        seen = b""
        while seen.count(b"twelve chars") < 10:
            seen += await anext(answer.frames)
        await answer.frames.aclose()

        decision = router.decisions[-1]
        (attempt,) = decision.attempts
        assert attempt.guessed_usage is not None
        assert attempt.guessed_usage.output_tokens == 30
        assert 5 < attempt.guessed_usage.input_tokens < 20
        assert (decision.result, decision.cost_usd, decision.usage) == ("client_gone", None, None)
        assert decision.to_record()["attempts"][0]["guessed_usage"]["output_tokens"] == 30
        tokens, usd = booked(router, "one")
        assert tokens == attempt.guessed_usage.input_tokens + 30
        assert 0.3 < usd < 0.33


async def test_a_client_that_leaves_before_a_whole_answer_came_pays_for_a_usual_one(tmp_path: Path) -> None:
    """Nothing has passed, and the provider may well go on; but nobody expects all that was allowed."""
    stalled = Stall()
    async with FakeProvider(default=stalled) as one, gateway(tmp_path, paid("one", one)) as router:
        asking = asyncio.create_task(router.ask(max_tokens=5_000))
        await stalled.reached.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        decision = router.decisions[-1]
        (attempt,) = decision.attempts
        assert attempt.guessed_usage is not None
        assert attempt.guessed_usage.output_tokens == 500
        assert (decision.result, decision.cost_usd, attempt.is_unpriced) == ("client_gone", None, True)
        assert booked(router, "one")[0] == attempt.guessed_usage.input_tokens + 500


async def test_a_stream_that_breaks_is_booked_by_what_has_passed(tmp_path: Path) -> None:
    async with (
        FakeProvider(default=StreamSteps([ROLE, *[sse_chunk('four "')] * 20, RESET])) as one,
        gateway(tmp_path, paid("one", one)) as router,
    ):
        assert not (await router.ask(stream=True, max_tokens=5_000)).is_done
        (attempt,) = router.decisions[-1].attempts
        assert attempt.guessed_usage is not None
        assert attempt.guessed_usage.output_tokens == 35
        assert booked(router, "one")[0] < 60


async def test_a_usage_that_was_told_before_the_client_left_is_no_guess(tmp_path: Path) -> None:
    steps: list[bytes | Step] = [ROLE, sse_chunk("a "), sse_chunk(usage=USAGE), PAUSE]
    async with FakeProvider(default=StreamSteps(steps)) as one, gateway(tmp_path, paid("one", one)) as router:
        answer = await router.open(stream=True, stream_options={"include_usage": True})
        assert answer.frames is not None
        seen = b""
        while b"a " not in seen:
            seen += await anext(answer.frames)
        await answer.frames.aclose()
        (attempt,) = router.decisions[-1].attempts
        assert (attempt.usage, attempt.guessed_usage) == (Usage(100, 10), None)
        assert router.decisions[-1].cost_usd == pytest.approx(0.2)


USED_UP = {
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-limit-requests": "30",
    "x-ratelimit-reset-requests": "20s",
}
ODD = [
    {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "soon"},
    {"x-ratelimit-remaining-requests": "none", "x-ratelimit-reset-requests": "20s"},
    {"x-ratelimit-remaining-requests": "0", "x-ratelimit-limit-requests": "0", "x-ratelimit-reset-requests": "20s"},
    {"x-ratelimit-remaining-requests": "-5", "x-ratelimit-reset-requests": "20s"},
]


def refusing(headers: dict[str, str]) -> Status:
    return Status(400, {"error": {"message": "no"}}, headers)


@pytest.mark.parametrize("answer", [Answer("Hi", USED_UP), refusing(USED_UP)], ids=["answered", "refused"])
async def test_a_provider_whose_limit_is_used_up_rests_without_limits_of_ours(
    tmp_path: Path, answer: Behaviour
) -> None:
    """It says so with its answer, whatever that is."""
    async with (
        FakeProvider(default=answer) as full,
        FakeProvider() as other,
        gateway(tmp_path, provider("full", full), provider("other", other)) as router,
    ):
        await router.ask()
        await router.ask()
        assert router.outcomes == [("other", "success")]
        left = router.decisions[-1].to_record()["plan"]["left_out"]
        assert left[0]["reason"].startswith("it rests (limit used up) for ")
        assert len(full.requests) == 1


@pytest.mark.parametrize("headers", ODD, ids=json.dumps)
async def test_headers_that_make_no_sense_shut_nobody_out(tmp_path: Path, headers: dict[str, str]) -> None:
    async with (
        FakeProvider(default=Answer("Hi", headers)) as odd,
        FakeProvider() as other,
        gateway(tmp_path, provider("odd", odd), provider("other", other)) as router,
    ):
        for _ in range(3):
            await router.ask()
            assert router.outcomes == [("odd", "success")]
