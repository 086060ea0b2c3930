"""Streams that break off after content, and the next target that goes on: what the client gets, and what is booked."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from llmrouter.calls import Caller, Preferences
from llmrouter.endpoints import completions
from tests.fakes.behaviours import Exchange
from tests.fakes.provider import CUT, END, PAUSE, RESET, Answer, FakeProvider, Status, StreamSteps, sse, sse_chunk
from tests.fakes.shapes import answer_events, usage_of
from tests.gateways import GatewayUnderTest, Told, gateway, provider

WHOLE = "The cat sat on the mat, and the cat slept.\n\nThen it woke up: déjà vu, 猫が好き, 1, 2, 3."
ROLE = sse_chunk("", delta={"role": "assistant"})


def words(text: str) -> list[bytes]:
    return answer_events(text, with_usage=False)[1:-2]


@dataclass(eq=False)
class GoesOn:
    """Goes on with what was said of a text, as a model does that was told to repeat the last words."""

    whole: str
    repeats: bool = True
    orders: list[str] = field(default_factory=list)

    async def perform(self, exchange: Exchange) -> None:
        messages = exchange.seen.json()["messages"]
        said, order = messages[-2]["content"], messages[-1]["content"]
        self.orders.append(order)
        anchor = order.split("<last_words>")[1].split("</last_words>")[0]
        assert said.endswith(anchor)
        assert self.whole.startswith(said)
        rest = self.whole[len(said) - len(anchor) if self.repeats else len(said) :]
        await Answer(rest).perform(exchange)


async def told_after(router: GatewayUnderTest, **options: Any) -> Told:
    return await asyncio.wait_for(router.ask(stream=True, **options), 10)


def assert_unbroken(told: Told, whole: str = WHOLE) -> None:
    assert told.is_done
    assert told.text == whole
    chunks = [event for event in told.events if event["choices"]]
    assert len({(event["id"], event["created"], event["model"]) for event in told.events}) == 1
    assert [chunk["choices"][0]["delta"].get("role") for chunk in chunks].count("assistant") == 1
    ends = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert [end for end in ends if end] == ["stop"]
    assert ends[-1] == "stop"


async def test_a_stream_cut_after_any_chunk_goes_on_without_a_seam(tmp_path: Path) -> None:
    pieces = words(WHOLE)
    cuts = [StreamSteps([ROLE, *pieces[:count], CUT]) for count in range(1, len(pieces))]
    async with FakeProvider() as bad, FakeProvider(default=GoesOn(WHOLE)) as good:
        for number, cut in enumerate(cuts):
            folder = tmp_path / str(number)
            folder.mkdir()
            bad.script(cut)
            async with gateway(folder, provider("bad", bad), provider("good", good)) as router:
                assert_unbroken(await told_after(router))


@pytest.mark.parametrize("at", range(160, 1600, 90))
async def test_a_stream_cut_at_any_byte_goes_on_without_a_seam(tmp_path: Path, at: int) -> None:
    data = b"".join([ROLE, *words(WHOLE)])
    async with (
        FakeProvider(StreamSteps([data[: at + 300], RESET])) as bad,
        FakeProvider(default=GoesOn(WHOLE)) as good,
        gateway(tmp_path, provider("bad", bad), provider("good", good)) as router,
    ):
        assert_unbroken(await told_after(router))


async def test_both_parts_are_booked_and_the_record_tells_of_both(tmp_path: Path) -> None:
    half = StreamSteps([ROLE, sse_chunk("The cat sat "), sse_chunk(usage=usage_of("The cat sat")), CUT])
    async with (
        FakeProvider(half) as bad,
        FakeProvider(default=GoesOn(WHOLE)) as good,
        gateway(tmp_path, provider("bad", bad), provider("good", good)) as router,
    ):
        told = await told_after(router, stream_options={"include_usage": True})

        assert_unbroken(told)
        decision = router.decisions[-1]
        first, second = (attempt.usage for attempt in decision.attempts)
        assert first is not None
        assert second is not None
        assert decision.usage is not None
        assert decision.usage.output_tokens == first.output_tokens + second.output_tokens
        usage = told.events[-1]["usage"]
        assert usage["completion_tokens"] == decision.usage.output_tokens
        assert usage["prompt_tokens"] == 14
        assert router.outcomes == [("bad", "broken_stream"), ("good", "success")]
        assert (decision.result, decision.answered_by) == ("answered", "good/model-of-good")
        assert decision.to_record()["continuations"] == 1
        assert told.answer.headers["x-llmrouter-provider"] == "bad"


async def test_a_usage_that_one_part_did_not_tell_is_not_made_up(tmp_path: Path) -> None:
    async with (
        FakeProvider(StreamSteps([ROLE, sse_chunk("The cat "), CUT])) as bad,
        FakeProvider(default=GoesOn(WHOLE)) as good,
        gateway(tmp_path, provider("bad", bad), provider("good", good)) as router,
    ):
        told = await told_after(router, stream_options={"include_usage": True})

        assert_unbroken(told)
        assert not [event for event in told.events if event.get("usage")]
        assert router.decisions[-1].usage is None
        assert router.decisions[-1].attempts[0].guessed_usage is not None


async def test_a_continuation_that_breaks_or_fails_is_gone_on_with_by_the_next(tmp_path: Path) -> None:
    again = StreamSteps([ROLE, sse_chunk("The cat sat on "), sse_chunk("the "), CUT])
    async with (
        FakeProvider(StreamSteps([ROLE, sse_chunk("The cat "), CUT])) as one,
        FakeProvider(Status(500)) as two,
        FakeProvider(again) as three,
        FakeProvider(default=GoesOn(WHOLE)) as four,
        gateway(
            tmp_path, provider("one", one), provider("two", two), provider("three", three), provider("four", four)
        ) as router,
    ):
        assert_unbroken(await told_after(router))
        assert [outcome for _, outcome in router.outcomes] == [
            "broken_stream",
            "server_error",
            "broken_stream",
            "success",
        ]


@pytest.mark.parametrize(
    ("body", "retry"),
    [
        pytest.param({}, {"continue_streams": False}, id="switched off"),
        pytest.param({}, {"max_attempts": 1}, id="no attempt left"),
        pytest.param({"tools": [{"type": "function", "function": {"name": "f"}}]}, {}, id="tools"),
        pytest.param({"response_format": {"type": "json_object"}}, {}, id="JSON"),
        pytest.param({"logprobs": True}, {}, id="logprobs"),
        pytest.param({"n": 2}, {}, id="n"),
    ],
)
async def test_what_cannot_be_gone_on_with_ends_with_an_error(
    tmp_path: Path, body: dict[str, Any], retry: dict[str, Any]
) -> None:
    async with (
        FakeProvider(StreamSteps([ROLE, sse_chunk("half an "), CUT])) as bad,
        FakeProvider() as good,
        gateway(tmp_path, provider("bad", bad), provider("good", good), retry=retry) as router,
    ):
        told = await told_after(router, **body)

        assert not told.is_done
        assert told.events[-1]["error"]["code"] == "stream_broken"
        assert good.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(StreamSteps([ROLE, sse_chunk(finish="stop"), sse("[DONE]")]), id="nothing"),
        pytest.param(Answer("half an"), id="the last words alone"),
    ],
)
async def test_a_continuation_without_text_is_no_end_within_a_sentence(tmp_path: Path, answer: Any) -> None:
    async with (
        FakeProvider(StreamSteps([ROLE, sse_chunk("half an "), CUT])) as bad,
        FakeProvider(answer) as empty,
        gateway(tmp_path, provider("bad", bad), provider("empty", empty), retry={"max_attempts": 2}) as router,
    ):
        told = await told_after(router)

        assert (told.text, told.is_done) == ("half an ", False)
        assert told.events[-1]["error"]["code"] == "stream_broken"
        assert router.outcomes[-1] == ("empty", "bad_reply")


async def test_an_answer_that_has_told_its_end_is_whole(tmp_path: Path) -> None:
    """Only the usage was lost: to go on would be wrong, and an error, too."""
    async with (
        FakeProvider(StreamSteps([ROLE, *words(WHOLE), sse_chunk(finish="stop"), CUT])) as bad,
        FakeProvider() as good,
        gateway(tmp_path, provider("bad", bad), provider("good", good)) as router,
    ):
        assert_unbroken(await told_after(router))
        assert good.requests == []
        assert router.decisions[-1].result == "answered"


async def test_thoughts_of_the_next_target_are_not_told_after_those_of_the_first(tmp_path: Path) -> None:
    thinking = sse_chunk(None, delta={"reasoning_content": "hm"})
    other = StreamSteps([ROLE, sse_chunk(None, delta={"reasoning_content": "well"}), *words(WHOLE)])
    async with (
        FakeProvider(StreamSteps([ROLE, thinking, CUT])) as bad,
        FakeProvider(StreamSteps([*other.steps, sse_chunk(finish="stop"), sse("[DONE]")])) as good,
        gateway(tmp_path, provider("bad", bad), provider("good", good)) as router,
    ):
        told = await told_after(router)

        assert_unbroken(told)
        deltas = [event["choices"][0]["delta"] for event in told.events]
        assert [delta["reasoning_content"] for delta in deltas if delta.get("reasoning_content")] == ["hm"]
        assert good.requests[0].json()["messages"] == bad.requests[0].json()["messages"]


async def test_no_stream_outlives_the_deadline_and_its_provider_is_not_blamed(tmp_path: Path) -> None:
    steps = StreamSteps([ROLE, sse_chunk("half "), PAUSE])
    async with (
        FakeProvider(steps) as slow,
        FakeProvider() as good,
        gateway(tmp_path, provider("slow", slow), provider("good", good), retry={"deadline_seconds": 0.2}) as router,
    ):
        told = await told_after(router)
        await asyncio.wait_for(steps.client_left.wait(), 5)

        assert "0.2 s" in told.events[-1]["error"]["message"]
        assert not told.is_done
        assert router.outcomes == [("slow", "out_of_time")]
        assert good.requests == []


async def test_a_client_that_leaves_during_a_continuation_closes_it(tmp_path: Path) -> None:
    rest = StreamSteps([ROLE, PAUSE])
    async with (
        FakeProvider(StreamSteps([ROLE, sse_chunk("half "), CUT])) as bad,
        FakeProvider(rest) as good,
        gateway(tmp_path, provider("bad", bad), provider("good", good)) as router,
    ):
        client = asyncio.ensure_future(router.ask(stream=True))
        await asyncio.wait_for(rest.reached.wait(), 5)
        client.cancel()
        await asyncio.wait_for(rest.client_left.wait(), 5)
        with pytest.raises(asyncio.CancelledError):
            await client

        assert router.decisions[-1].result == "client_gone"
        assert router.outcomes == [("bad", "broken_stream"), ("good", "client_gone")]


async def test_an_answer_of_two_parts_is_not_kept(tmp_path: Path) -> None:
    async with (
        FakeProvider(StreamSteps([ROLE, sse_chunk("The cat "), CUT])) as bad,
        FakeProvider(GoesOn(WHOLE), default=Answer("another")) as good,
        gateway(tmp_path, provider("bad", bad), provider("good", good)) as router,
    ):
        assert_unbroken(await told_after(router, temperature=0))
        bad.script(Status(500))
        told = await told_after(router, temperature=0)

        assert told.text == "another"
        assert told.answer.headers["x-llmrouter-cache"] == "miss"


async def test_what_was_said_counts_towards_the_limit_of_the_client(tmp_path: Path) -> None:
    async with (
        FakeProvider(StreamSteps([ROLE, *words(WHOLE)[:6], CUT])) as bad,
        FakeProvider(default=GoesOn(WHOLE)) as good,
        gateway(tmp_path, provider("bad", bad), provider("good", good)) as router,
    ):
        assert_unbroken(await told_after(router, max_tokens=100))
        assert 80 < good.requests[0].json()["max_tokens"] < 100


async def test_a_slow_reader_at_the_deadline_is_no_fault_of_the_provider(tmp_path: Path) -> None:
    """All was sent in time, and the client did not read it: the call ends, and the breaker does not mind."""
    text = "word " * 40_000
    async with (
        FakeProvider(StreamSteps([ROLE, *[sse_chunk(text[:1000]) for _ in range(200)]])) as quick,
        gateway(tmp_path, provider("quick", quick), retry={"deadline_seconds": 0.3}) as router,
    ):
        answer = await router.open(stream=True)
        assert answer.frames is not None
        await anext(answer.frames)
        loop = asyncio.get_running_loop()
        late = loop.create_future()
        loop.call_later(0.35, late.set_result, None)
        await late
        rest = b"".join([frame async for frame in answer.frames])

        assert b"stream_broken" in rest
        assert b"[DONE]" not in rest
        assert router.outcomes == [("quick", "out_of_time")]


@pytest.mark.parametrize(
    ("model", "is_given"), [("claude-3-5-sonnet-20241022", True), ("claude-opus-4-6", False)], ids=["takes", "refuses"]
)
async def test_a_beginning_is_given_to_models_that_take_one(tmp_path: Path, model: str, is_given: bool) -> None:
    async with (
        FakeProvider(StreamSteps([ROLE, sse_chunk("The cat "), CUT])) as bad,
        FakeProvider(default=Status(500)) as claude,
        gateway(
            tmp_path,
            provider("bad", bad),
            {
                "name": "claude",
                "type": "anthropic",
                "base_url": claude.base_url,
                "api_key_env": "CLAUDE_KEY",
                "model": model,
            },
            environ={"CLAUDE_KEY": "key-of-claude"},
            retry={"max_attempts": 2},
        ) as router,
    ):
        await told_after(router)
        last = claude.requests[0].json()["messages"][-1]

        assert last["role"] == ("assistant" if is_given else "user")
        if is_given:
            assert "The cat" in str(last["content"])
            assert "The cat " not in str(last["content"])


async def test_an_answer_that_the_client_began_is_gone_on_with_in_one_message(tmp_path: Path) -> None:
    async with (
        FakeProvider(StreamSteps([ROLE, sse_chunk(" there was"), CUT])) as bad,
        FakeProvider(default=Answer("there was a cat")) as good,
        gateway(tmp_path, provider("bad", bad), provider("good", good)) as router,
    ):
        began = [{"role": "user", "content": "Tell."}, {"role": "assistant", "content": "Once"}]
        told = await told_after(router, messages=began)

        assert told.text == " there was a cat"
        sent = good.requests[0].json()["messages"]
        assert [message["role"] for message in sent] == ["user", "assistant", "user"]
        assert sent[1]["content"] == "Once there was"


async def test_a_text_completion_is_gone_on_with(tmp_path: Path) -> None:
    body = {"model": "gpt-3.5-turbo-instruct", "prompt": "Tell.", "stream": True}
    call = completions.parse(json.dumps(body).encode(), "", id="req-1", caller=Caller(), preferences=Preferences())
    async with (
        FakeProvider(StreamSteps([ROLE, sse_chunk("The cat "), CUT])) as bad,
        FakeProvider(default=GoesOn(WHOLE)) as good,
        gateway(tmp_path, provider("bad", bad), provider("good", good)) as router,
    ):
        told = await router.tell(call)

        assert told.is_done
        assert "".join(choice["text"] for event in told.events for choice in event["choices"]) == WHOLE


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param([PAUSE], id="stall"),
        pytest.param([END], id="clean end without finish reason"),
        pytest.param([sse("[DONE]"), END], id="DONE without finish reason"),
        pytest.param([sse("{broken"), END], id="malformed event"),
        pytest.param([sse({"error": {"message": "overloaded"}}), END], id="error event"),
    ],
)
async def test_however_a_stream_breaks_it_is_gone_on_with(tmp_path: Path, ending: list[Any]) -> None:
    steps = StreamSteps([ROLE, sse_chunk("The cat sa"), PAUSE, *ending])
    async with (
        FakeProvider(steps) as bad,
        FakeProvider(default=GoesOn(WHOLE)) as good,
        gateway(
            tmp_path,
            provider("bad", bad, timeouts={"idle": 0.2}),
            provider("good", good, timeouts={"idle": 5}),
        ) as router,
    ):
        answer = await router.open(stream=True)
        assert answer.frames is not None
        first = await anext(answer.frames)
        steps.resume.set()
        assert_unbroken(Told(answer, first + b"".join([frame async for frame in answer.frames])))
        assert router.outcomes == [("bad", "broken_stream"), ("good", "success")]


async def test_a_stream_that_is_too_long_to_be_gone_on_with_is_not_kept_in_memory(tmp_path: Path) -> None:
    async with (
        FakeProvider(StreamSteps([ROLE, *[sse_chunk("word " * 2000)] * 14, CUT])) as bad,
        FakeProvider() as good,
        gateway(tmp_path, provider("bad", bad), provider("good", good)) as router,
    ):
        told = await told_after(router)

        assert told.events[-1]["error"]["code"] == "stream_broken"
        assert good.requests == []
