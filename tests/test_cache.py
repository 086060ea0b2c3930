"""The response cache between clients and providers: what is answered from it, what is kept, and what is shared."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from llmrouter.calls import CacheWishes, Preferences
from llmrouter.errors import Outcome
from llmrouter.settings.model import RetrySettings
from llmrouter.telemetry.decisions import CacheUse
from tests.fakes.provider import (
    CUT,
    END,
    PAUSE,
    Answer,
    FakeProvider,
    Reset,
    Status,
    StreamSteps,
    completion,
    sse,
    sse_chunk,
)
from tests.gateways import GatewayUnderTest, Told, gateway, provider

ROLE = sse_chunk("", delta={"role": "assistant"})
END_OF_ANSWER: list[Any] = [sse_chunk(finish="stop"), sse("[DONE]"), END]
PRICES = {"models": [{"id": "gpt-4o", "serves": ["*"], "price": {"input": 1, "output": 2}}]}


def steps(*words: Any) -> StreamSteps:
    """A stream of these words; anything else in it is done as it is."""
    return StreamSteps([ROLE, *(sse_chunk(word) if isinstance(word, str) else word for word in words), *END_OF_ANSWER])


def wishing(**wishes: Any) -> Preferences:
    return Preferences(cache=CacheWishes(**wishes))


async def read(frames: AsyncGenerator[bytes] | None) -> bytes:
    assert frames is not None
    return b"".join([frame async for frame in frames])


def cache_header(told: Told) -> str:
    return told.answer.headers["x-llmrouter-cache"]


@pytest.mark.parametrize(("first", "second"), [(False, False), (True, True), (False, True), (True, False)])
async def test_a_repeated_request_is_answered_at_once_in_whichever_way(
    first: bool, second: bool, tmp_path: Path
) -> None:
    """Equal content, own id, the age, the price saved; and no second request to the provider."""
    async with (
        FakeProvider(default=Answer("one two three four")) as good,
        gateway(tmp_path, provider("good", good)) as router,
    ):
        made = await router.ask(stream=first, temperature=0)
        kept = await router.ask(stream=second, temperature=0)

        assert len(good.requests) == 1
        assert (cache_header(made), cache_header(kept)) == ("miss", "hit")
        assert kept.answer.headers["age"] == "0"
        assert kept.answer.headers["x-llmrouter-provider"] == "good"
        assert (kept.answer.headers["x-llmrouter-attempts"], kept.answer.headers["x-llmrouter-cost-usd"]) == ("0", "0")
        text = kept.text if second else kept.json["choices"][0]["message"]["content"]
        assert text == "one two three four"
        ids = [
            told.events[0]["id"] if is_stream else told.json["id"]
            for told, is_stream in ((made, first), (kept, second))
        ]
        assert ids[0] != ids[1]
        assert kept.is_done == second
        decision = router.decisions[-1]
        assert (decision.cache, decision.result, decision.answered_by) == (
            CacheUse.HIT,
            "answered",
            "good/model-of-good",
        )
        assert (decision.cost_usd, decision.attempts, decision.usage) == (0.0, [], router.decisions[0].usage)
        assert decision.to_record()["cache"] == "hit"


async def test_a_hit_saves_the_full_price(tmp_path: Path) -> None:
    openai = {"type": "openai", "name": "openai", **PRICES}
    async with FakeProvider() as good:
        settings = openai | {"base_url": good.base_url}
        async with gateway(tmp_path, settings, environ={"OPENAI_API_KEY": "key"}) as router:
            made, kept = [await router.ask(temperature=0) for _ in range(2)]
    assert float(made.answer.headers["x-llmrouter-cost-usd"]) > 0
    assert made.answer.headers["x-llmrouter-saved-usd"] == "0"
    assert kept.answer.headers["x-llmrouter-saved-usd"] == made.answer.headers["x-llmrouter-cost-usd"]


async def test_a_replayed_stream_has_usage_where_it_is_asked_for(tmp_path: Path) -> None:
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good)) as router:
        await router.ask(temperature=0)
        plain = await router.ask(temperature=0, stream=True)
        counted = await router.ask(temperature=0, stream=True, stream_options={"include_usage": True})
        assert len(good.requests) == 1
    assert not any(event.get("usage") for event in plain.events)
    assert counted.events[-1]["usage"]["completion_tokens"] == router.decisions[0].usage.output_tokens  # type: ignore[union-attr]  # it has one
    assert len(counted.events) > 3


@pytest.mark.parametrize("when", [{"temperature": 0.7}, {}, {"seed": None}])
async def test_requests_that_are_not_deterministic_pass_by(when: dict[str, Any], tmp_path: Path) -> None:
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good)) as router:
        told = [await router.ask(**when) for _ in range(2)]
        assert len(good.requests) == 2
    assert [cache_header(one) for one in told] == ["bypass", "bypass"]


async def test_settings_and_routes_say_when(tmp_path: Path) -> None:
    routes = [{"model": "gpt-4o", "cache": "never"}, {"model": "plain", "cache": "deterministic"}]
    async with (
        FakeProvider() as good,
        gateway(tmp_path, provider("good", good), cache={"when": "always"}, routes=routes) as router,
    ):
        for model, expected in (("gpt-4o", 2), ("plain", 2), ("other", 1)):
            before = len(good.requests)
            for _ in range(2):
                await router.ask(model=model)
            assert len(good.requests) - before == expected, model


async def test_callers_are_apart_unless_they_share(tmp_path: Path) -> None:
    for scope, expected in (("caller", 2), ("shared", 1)):
        async with FakeProvider() as good, gateway(tmp_path, provider("good", good), cache={"scope": scope}) as router:
            for key in ("one", "two", "one"):
                await router.ask(temperature=0, key=key)
            assert len(good.requests) == expected


async def test_clients_can_refuse_renew_and_limit_the_age(tmp_path: Path) -> None:
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good)) as router:
        asked: list[tuple[dict[str, Any], str, int]] = [
            ({"no_store": True}, "bypass", 1),
            ({}, "miss", 2),
            ({}, "hit", 2),
            ({"no_store": True}, "bypass", 3),
            ({"max_age_s": 3600}, "hit", 3),
            ({"max_age_s": 0}, "miss", 4),
            ({"no_cache": True}, "miss", 5),
            ({"only_if_cached": True}, "hit", 5),
        ]
        for wishes, header, requests in asked:
            told = await router.ask(temperature=0, preferences=wishing(**wishes))
            assert (cache_header(told), len(good.requests)) == (header, requests), wishes


async def test_a_renewed_answer_is_the_one_that_is_kept(tmp_path: Path) -> None:
    async with FakeProvider(Answer("old"), Answer("new")) as good, gateway(tmp_path, provider("good", good)) as router:
        await router.ask(temperature=0)
        await router.ask(temperature=0, preferences=wishing(no_cache=True))
        kept = await router.ask(temperature=0)
    assert (cache_header(kept), kept.json["choices"][0]["message"]["content"]) == ("hit", "new")


@pytest.mark.parametrize("members", [{"temperature": 0}, {"temperature": 1}])
async def test_only_if_cached_never_asks_a_provider(members: dict[str, Any], tmp_path: Path) -> None:
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good)) as router:
        told = await router.ask(**members, preferences=wishing(only_if_cached=True))
        assert good.requests == []
    assert (told.answer.status, told.json["error"]["code"]) == (504, "not_cached")
    assert cache_header(told) == "miss"
    assert told.answer.headers["x-should-retry"] == "false"


async def test_only_if_cached_asks_nobody_while_the_cache_is_off(tmp_path: Path) -> None:
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good), cache={"backend": "off"}) as router:
        told = await router.ask(temperature=0, preferences=wishing(only_if_cached=True))
        assert (told.answer.status, good.requests) == (504, [])


async def test_an_entry_of_a_target_that_rests_serves(tmp_path: Path) -> None:
    async with (
        FakeProvider(Answer("kept")) as first,
        FakeProvider(Answer("other")) as second,
        gateway(tmp_path, provider("first", first), provider("second", second)) as router,
    ):
        await router.ask(temperature=0)
        first.script(Status(401))
        await router.ask()
        assert router.outcomes[0] == ("first", Outcome.UNAUTHORIZED)
        kept = await router.ask(temperature=0)
        assert (cache_header(kept), kept.json["choices"][0]["message"]["content"]) == ("hit", "kept")


async def test_an_entry_of_a_target_that_must_not_answer_does_not(tmp_path: Path) -> None:
    """A client that pins another provider, and a route that forbids it."""
    routes = [{"model": "only-second", "use": ["second/*"]}]
    async with (
        FakeProvider(default=Answer("one")) as first,
        FakeProvider(default=Answer("two")) as second,
        gateway(tmp_path, provider("first", first), provider("second", second), routes=routes) as router,
    ):
        await router.ask(temperature=0)
        for options in ({"preferences": Preferences(provider="second")}, {"model": "only-second"}):
            told = await router.ask(temperature=0, **options)
            assert told.json["choices"][0]["message"]["content"] == "two"
        assert (len(first.requests), len(second.requests)) == (1, 1)
        told = await router.ask(temperature=0)
        assert told.json["choices"][0]["message"]["content"] == "one", "the better target's answer is preferred"


async def test_the_requested_model_is_named_in_the_reply(tmp_path: Path) -> None:
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good)) as router:
        await router.ask(temperature=0, model="gpt-4o")
        kept = await router.ask(temperature=0, model="gpt-4o-mini")
        streamed = await router.ask(temperature=0, model="o9", stream=True)
        assert len(good.requests) == 1
    assert kept.json["model"] == "gpt-4o-mini"
    assert {event["model"] for event in streamed.events} == {"o9"}


BAD_ANSWERS = [
    StreamSteps([ROLE, sse_chunk("half of"), CUT]),
    StreamSteps([ROLE, sse_chunk("half"), sse_chunk(finish="content_filter"), sse("[DONE]"), END]),
    StreamSteps([ROLE, sse_chunk("half"), sse_chunk(finish="length"), sse("[DONE]"), END]),
    StreamSteps([ROLE, sse_chunk("", delta={"refusal": "I will not"}), sse_chunk(finish="stop"), sse("[DONE]"), END]),
]


@pytest.mark.parametrize("word", ["sensitive", "blocked", "content_filtered", "guardrail_intervened", "weird", None])
@pytest.mark.parametrize("stream", [False, True])
async def test_ends_that_nobody_knows_are_not_kept(word: str | None, stream: bool, tmp_path: Path) -> None:
    """What a provider calls so may be half an answer."""
    whole = completion("half")
    whole["choices"][0]["finish_reason"] = word
    bad = StreamSteps([ROLE, sse_chunk("half"), sse_chunk(finish=word), sse("[DONE]"), END])
    default = bad if stream and word else Status(200, whole)
    async with FakeProvider(default=default) as good, gateway(tmp_path, provider("good", good)) as router:
        told = [await router.ask(temperature=0, stream=stream and bool(word)) for _ in range(2)]
    assert [cache_header(one) for one in told] == ["miss", "miss"]


@pytest.mark.parametrize("bad", BAD_ANSWERS, ids=["cut", "filtered", "too short", "refused"])
async def test_bad_answers_are_never_kept(bad: StreamSteps, tmp_path: Path) -> None:
    async with FakeProvider(bad, Answer("good")) as good, gateway(tmp_path, provider("good", good)) as router:
        await router.ask(temperature=0, stream=True)
        second = await router.ask(temperature=0, stream=True)
        third = await router.ask(temperature=0, stream=True)
    assert [cache_header(second), cache_header(third)] == ["miss", "hit"]
    assert third.text == "good"


async def test_errors_are_never_kept(tmp_path: Path) -> None:
    bad = Status(400, {"error": {"message": "no such thing", "type": "invalid_request_error"}})
    async with FakeProvider(bad, Answer("good")) as good, gateway(tmp_path, provider("good", good)) as router:
        assert (await router.ask(temperature=0)).answer.status == 400
        assert cache_header(await router.ask(temperature=0)) == "miss"
        assert cache_header(await router.ask(temperature=0)) == "hit"


async def test_bad_headers_are_refused_with_and_without_a_kept_answer(tmp_path: Path) -> None:
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good)) as router:
        await router.ask(temperature=0)
        for preferences in (Preferences(provider="nobody"), Preferences(policy="luck")):
            assert (await router.ask(temperature=0, preferences=preferences)).answer.status == 400


# Shared calls


async def opened(router: GatewayUnderTest, count: int, **options: Any) -> list[asyncio.Task[Told]]:
    """So many calls that have all begun to wait."""
    tasks = [asyncio.ensure_future(router.ask(temperature=0, **options)) for _ in range(count)]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


@pytest.mark.parametrize("stream", [False, True])
async def test_identical_calls_share_one_request(stream: bool, tmp_path: Path) -> None:
    async with FakeProvider(default=Answer("shared")) as good, gateway(tmp_path, provider("good", good)) as router:
        told = await asyncio.gather(*await opened(router, 20, stream=stream))
        assert len(good.requests) == 1
        uses = sorted(decision.cache for decision in router.decisions)
        assert uses == [CacheUse.MISS] + [CacheUse.SHARED] * 19
        assert sum(decision.cost_usd is None for decision in router.decisions) == 1
    texts = {one.text if stream else one.json["choices"][0]["message"]["content"] for one in told}
    assert texts == {"shared"}
    assert sorted(map(cache_header, told)) == ["hit"] * 19 + ["miss"]
    assert all(one.is_done for one in told) == stream


async def test_other_calls_do_not_share(tmp_path: Path) -> None:
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good)) as router:
        others: list[dict[str, Any]] = [{}, {"key": "other"}, {"seed": 1}, {"preferences": wishing(no_store=True)}]
        await asyncio.gather(*(router.ask(temperature=0, **other) for other in others))
        assert len(good.requests) == len(others)


async def test_one_who_comes_late_gets_what_has_passed_and_then_the_rest_live(tmp_path: Path) -> None:
    script = steps("one ", PAUSE, "two")
    async with FakeProvider(script) as good, gateway(tmp_path, provider("good", good)) as router:
        first = await router.open(temperature=0, stream=True)
        assert first.frames is not None
        began = await anext(first.frames)
        late = await router.open(temperature=0, stream=True)
        assert late.frames is not None
        assert b"one " in await anext(late.frames)
        whole = asyncio.ensure_future(router.ask(temperature=0))
        counted = asyncio.ensure_future(router.ask(temperature=0, stream=True, stream_options={"include_usage": True}))
        await asyncio.wait_for(script.reached.wait(), 5)
        script.resume.set()
        rest = await read(late.frames)
        assert b"two" in rest
        assert rest.endswith(b"[DONE]\n\n")
        assert (began + await read(first.frames)).endswith(b"[DONE]\n\n")
        assert (await whole).json["choices"][0]["message"]["content"] == "one two"
        assert (await counted).text == "one two"
        assert len(good.requests) == 1


async def test_the_call_goes_on_when_the_first_client_leaves(tmp_path: Path) -> None:
    script = steps("one ", PAUSE, "two")
    async with FakeProvider(script) as good, gateway(tmp_path, provider("good", good)) as router:
        first = await router.open(temperature=0, stream=True)
        assert first.frames is not None
        await anext(first.frames)
        (late,) = await opened(router, 1, stream=True)
        await first.frames.aclose()
        await asyncio.wait_for(script.reached.wait(), 5)
        script.resume.set()
        assert (await late).text == "one two"
        assert not good.client_left.is_set()
        left, stayed = sorted(router.decisions, key=lambda decision: decision.result, reverse=True)
        assert (left.result, left.cache, len(left.attempts)) == ("client_gone", CacheUse.MISS, 1)
        assert (stayed.result, stayed.cache, stayed.attempts) == ("answered", CacheUse.SHARED, [])


async def test_a_client_that_leaves_before_the_first_content_takes_nobody_along(tmp_path: Path) -> None:
    script = StreamSteps([PAUSE, ROLE, sse_chunk("all"), *END_OF_ANSWER])
    async with FakeProvider(script) as good, gateway(tmp_path, provider("good", good)) as router:
        first, second = await opened(router, 2, stream=True)
        await asyncio.wait_for(script.reached.wait(), 5)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert router.decisions == []
        script.resume.set()
        assert (await second).text == "all"
        assert sorted(decision.result for decision in router.decisions) == ["answered", "client_gone"]
        assert len(good.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_when_all_have_left_the_provider_is_left(stream: bool, tmp_path: Path) -> None:
    script = StreamSteps([ROLE, PAUSE, sse_chunk("all"), *END_OF_ANSWER])
    async with FakeProvider(script) as good, gateway(tmp_path, provider("good", good)) as router:
        tasks = await opened(router, 3, stream=stream)
        await asyncio.wait_for(script.reached.wait(), 5)
        for task in tasks:
            task.cancel()
        assert [type(e) for e in await asyncio.gather(*tasks, return_exceptions=True)] == [asyncio.CancelledError] * 3
        await asyncio.wait_for(good.client_left.wait(), 5)
        assert [decision.result for decision in router.decisions] == ["client_gone"] * 3
        assert router.runtime.gateway.cache is not None
        told = await router.ask(temperature=0, stream=stream)
        assert (told.answer.status, cache_header(told)) == (200, "miss")


async def test_when_the_shared_call_fails_one_of_the_others_asks_again_for_all(tmp_path: Path) -> None:
    """No stampede: two requests for ten clients, whose first one alone sees the failure."""
    async with (
        FakeProvider(Reset(), default=Answer("good")) as good,
        gateway(tmp_path, provider("good", good), retry={"max_attempts": 1}) as router,
    ):
        told = await asyncio.gather(*await opened(router, 10))
        assert sorted(one.answer.status for one in told) == [200] * 9 + [503]
        assert len(good.requests) == 2


async def test_a_follower_that_asks_itself_in_the_end_is_no_hit(tmp_path: Path) -> None:
    async with (
        FakeProvider(Reset(), default=Answer("good")) as good,
        gateway(tmp_path, provider("good", good), retry={"max_attempts": 1}) as router,
    ):
        told = await asyncio.gather(*await opened(router, 2))
        assert sorted((one.answer.status, cache_header(one)) for one in told) == [(200, "miss"), (503, "miss")]


async def test_a_follower_waits_no_longer_than_its_own_deadline(tmp_path: Path) -> None:
    script = StreamSteps([ROLE, sse_chunk("one"), PAUSE, *END_OF_ANSWER])
    async with (
        FakeProvider(script) as good,
        gateway(tmp_path, provider("good", good)) as router,
    ):
        first = await router.open(temperature=0, stream=True)
        assert first.frames is not None
        await anext(first.frames)
        router.runtime.gateway.retry = RetrySettings(deadline_seconds=0.2)
        told = await asyncio.wait_for(router.ask(temperature=0), 5)
        assert told.answer.status == 503
        await first.frames.aclose()


async def test_a_stream_that_cannot_be_put_together_is_shared_all_the_same(tmp_path: Path) -> None:
    """Live by those who want it in the same way; the others ask once more, together."""
    odd = [sse_chunk("", delta={"unheard_of": {"n": number}}) for number in range(2)]
    script = StreamSteps([ROLE, *odd, sse_chunk("one "), PAUSE, sse_chunk("two"), *END_OF_ANSWER])
    again = StreamSteps([ROLE, *odd, sse_chunk("one two"), *END_OF_ANSWER])
    async with FakeProvider(script, default=again) as good, gateway(tmp_path, provider("good", good)) as router:
        same = await opened(router, 4, stream=True)
        await asyncio.wait_for(script.reached.wait(), 5)
        others = await opened(router, 6, stream=True, stream_options={"include_usage": True})
        script.resume.set()
        assert [(await one).text for one in (*same, *others)] == ["one two"] * 10
        assert len(good.requests) == 2
        assert {decision.result for decision in router.decisions} == {"answered"}


async def test_an_older_answer_never_replaces_a_renewed_one(tmp_path: Path) -> None:
    slow = steps("old", PAUSE)
    async with FakeProvider(slow, Answer("new")) as good, gateway(tmp_path, provider("good", good)) as router:
        (first,) = await opened(router, 1, stream=True)
        await asyncio.wait_for(slow.reached.wait(), 5)
        await router.ask(temperature=0, preferences=wishing(no_cache=True))
        slow.resume.set()
        assert (await first).text == "old"
        kept = await router.ask(temperature=0)
        assert (cache_header(kept), kept.json["choices"][0]["message"]["content"]) == ("hit", "new")


async def test_where_nobody_can_answer_everybody_is_told_so_without_a_stampede(tmp_path: Path) -> None:
    async with (
        FakeProvider(default=Reset()) as bad,
        gateway(tmp_path, provider("bad", bad), retry={"max_attempts": 1}) as router,
    ):
        told = await asyncio.gather(*await opened(router, 10))
        assert [one.answer.status for one in told] == [503] * 10
        assert len(bad.requests) == 2


async def test_a_refusal_is_everybodys(tmp_path: Path) -> None:
    bad = Status(400, {"error": {"message": "no such thing", "type": "invalid_request_error"}})
    async with FakeProvider(default=bad) as good, gateway(tmp_path, provider("good", good)) as router:
        told = await asyncio.gather(*await opened(router, 5))
        assert [one.answer.status for one in told] == [400] * 5
        assert len(good.requests) == 1


async def test_a_stream_that_breaks_breaks_for_those_who_saw_its_beginning_alone(tmp_path: Path) -> None:
    script = StreamSteps([ROLE, sse_chunk("half"), PAUSE, CUT])
    async with (
        FakeProvider(script, default=Answer("whole")) as good,
        gateway(tmp_path, provider("good", good)) as router,
    ):
        first, second = [await router.open(temperature=0, stream=True) for _ in range(2)]
        assert second.frames is not None
        began = await anext(second.frames)
        (waiting,) = await opened(router, 1)
        await asyncio.wait_for(script.reached.wait(), 5)
        script.resume.set()
        for broken in (await read(first.frames), began + await read(second.frames)):
            assert b"half" in broken
            assert b"stream_broken" in broken
            assert b"[DONE]" not in broken
        assert (await waiting).json["choices"][0]["message"]["content"] == "whole"
        assert len(good.requests) == 2
        assert sorted(decision.result for decision in router.decisions) == ["answered", "broken", "broken"]


# Settings


async def test_replies_can_be_paced(tmp_path: Path) -> None:
    cache = {"replay_tokens_per_second": 1000}
    async with (
        FakeProvider(Answer("word " * 100)) as good,
        gateway(tmp_path, provider("good", good), cache=cache) as router,
    ):
        await router.ask(temperature=0)
        answer = await router.open(temperature=0, stream=True)
        assert answer.frames is not None
        loop = asyncio.get_running_loop()
        began = loop.time()
        pieces = [frame async for frame in answer.frames]
        assert len(pieces) > 5
        assert loop.time() - began > 0.08


@pytest.mark.parametrize("compress", [False, True])
async def test_a_file_keeps_answers_over_a_restart(
    compress: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cache = {"backend": "sqlite", "url": f"sqlite:///{tmp_path}/cache.db", "compress": compress}
    async with FakeProvider(Answer("word " * 500)) as good:
        for expected in ("miss", "hit"):
            async with gateway(tmp_path, provider("good", good), cache=cache) as router:
                told = await router.ask(temperature=0)
                assert cache_header(told) == expected
                assert told.json["choices"][0]["message"]["content"] == "word " * 500
    secret = tmp_path / "state" / "cache-secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert b"key-of-the-app" not in (tmp_path / "cache.db").read_bytes()


async def test_a_name_that_stands_for_another_server_has_no_answers_of_the_earlier_one(tmp_path: Path) -> None:
    async with (
        FakeProvider(default=Answer("one")) as first,
        FakeProvider(default=Answer("two")) as second,
        gateway(tmp_path, provider("good", first)) as router,
    ):
        await router.ask(temperature=0)
        file = tmp_path / "providers.yaml"
        file.write_text(file.read_text().replace(first.base_url, second.base_url))
        assert router.runtime.reload_if_changed() is True
        told = await router.ask(temperature=0)
        assert (cache_header(told), told.json["choices"][0]["message"]["content"]) == ("miss", "two")


async def test_the_cache_can_be_turned_off_and_on_while_it_runs(tmp_path: Path) -> None:
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good)) as router:
        await router.ask(temperature=0)
        file = tmp_path / "providers.yaml"
        for change, expected in (("backend: off", "bypass"), ("backend: memory", "miss"), ("ttl_seconds: 60", "hit")):
            text = file.read_text()
            text = text[: text.index("cache:")] if "cache:" in text else text
            file.write_text(f"{text}cache: {{{change}}}\n")
            assert router.runtime.reload_if_changed() is True
            assert cache_header(await router.ask(temperature=0)) == expected


async def test_a_cache_without_a_place_is_off_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = {"backend": "redis", "url_env": "CACHE_ADDRESS"}
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good), cache=cache) as router:
        assert cache_header(await router.ask(temperature=0)) == "bypass"
    assert "The response cache is off: CACHE_ADDRESS must hold the address of Redis" in caplog.text


async def test_a_redis_that_is_not_there_costs_no_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = {"backend": "redis", "url": "redis://127.0.0.1:1/0"}
    environ = {"LLMROUTER_CACHE_SECRET": "shared by all workers"}
    async with (
        FakeProvider() as good,
        gateway(tmp_path, provider("good", good), environ=environ, cache=cache) as router,
    ):
        for _ in range(5):
            assert (await router.ask(temperature=0)).answer.status == 200
    assert caplog.text.count("Answers cannot be read from the cache in Redis") == 1


async def test_decisions_of_hits_are_whole_records(tmp_path: Path) -> None:
    async with FakeProvider() as good, gateway(tmp_path, provider("good", good)) as router:
        for _ in range(2):
            await router.ask(temperature=0)
    record = json.loads(json.dumps(router.decisions[-1].to_record()))
    assert (record["cache"], record["plan"], record["attempts"]) == ("hit", {}, [])
    assert record["age_s"] >= 0
