"""Embeddings through the gateway: vectors of one model only, in the form that was asked for, and never twice paid."""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from llmrouter.calls import Caller, Preferences
from llmrouter.endpoints import embeddings
from llmrouter.errors import Outcome
from tests.fakes.embeddings import Embeddings, vector_of
from tests.fakes.provider import FakeProvider, Status
from tests.gateways import GatewayUnderTest, Told, gateway, provider

MODEL = "text-embedding-3-small"


def serving(name: str, fake: FakeProvider, model: str = MODEL, **settings: Any) -> dict[str, Any]:
    """A provider that has an embedding model."""
    return provider(
        name, fake, models=[{"id": model, "serves": [MODEL], "price": {"input": 2, "output": 0}}], **settings
    )


async def ask(
    router: GatewayUnderTest, given: Any = "text", preferences: Preferences | None = None, **more: Any
) -> Told:
    body = json.dumps({"model": MODEL, "input": given} | more).encode()
    call = embeddings.parse(
        body, "", id="req-1", caller=Caller(SecretStr("Bearer app")), preferences=preferences or Preferences()
    )
    return await router.tell(call)


def vectors(told: Told) -> list[Any]:
    assert [row["index"] for row in told.json["data"]] == list(range(len(told.json["data"])))
    return [row["embedding"] for row in told.json["data"]]


def unpacked(text: str) -> list[float]:
    return list(struct.unpack("<4f", base64.b64decode(text)))


@pytest.mark.parametrize("given", ["text", ["one", "two", "three"], [1, 2, 3], [[1, 2], [3]]], ids=str)
@pytest.mark.parametrize("form", [None, "float", "base64"])
@pytest.mark.parametrize("fake", [Embeddings(MODEL), Embeddings(MODEL, knows_base64=True, is_reversed=True)])
async def test_vectors_come_in_order_and_in_the_form_that_was_asked_for(
    given: Any, form: str | None, fake: Embeddings, tmp_path: Path
) -> None:
    inputs = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    async with FakeProvider(default=fake) as good, gateway(tmp_path, serving("good", good)) as router:
        more: dict[str, Any] = {} if form is None else {"encoding_format": form}
        told = await ask(router, given, **more)
        assert told.answer.status == 200, told.body
        found = vectors(told)
        assert [unpacked(one) if form == "base64" else one for one in found] == [
            vector_of(one, MODEL) for one in inputs
        ]
        assert told.json["model"] == MODEL
        assert told.json["usage"] == {"prompt_tokens": 5 * len(inputs), "total_tokens": 5 * len(inputs)}
        assert good.requests[0].path == "/v1/embeddings"
        assert good.requests[0].json()["input"] == given
    decision = router.decisions[0]
    assert decision.cost_usd == pytest.approx(5 * len(inputs) * 2 / 1e6)
    assert decision.endpoint == "embeddings"


async def test_openai_is_asked_for_base64(tmp_path: Path) -> None:
    async with FakeProvider(default=Embeddings(MODEL, knows_base64=True)) as good:
        openai = {"type": "openai", "name": "openai", "base_url": good.base_url, "models": [{"id": MODEL}]}
        async with gateway(tmp_path, openai, environ={"OPENAI_API_KEY": "key"}) as router:
            told = [await ask(router, encoding_format=form, user="u") for form in ("base64", "float")]
        assert [seen.json()["encoding_format"] for seen in good.requests] == ["base64", "float"]
        assert good.requests[0].json()["user"] == "u"
    assert unpacked(vectors(told[0])[0]) == vectors(told[1])[0] == vector_of("text", MODEL)


async def test_the_next_provider_of_the_same_model_answers_when_one_fails(tmp_path: Path) -> None:
    async with (
        FakeProvider(default=Status(500)) as bad,
        FakeProvider(default=Embeddings("same")) as good,
        gateway(tmp_path, serving("bad", bad), serving("good", good, f"openai/{MODEL}")) as router,
    ):
        assert vectors(await ask(router)) == [vector_of("text", "same")]
        assert router.outcomes == [("bad", Outcome.SERVER_ERROR), ("good", Outcome.SUCCESS)]


@pytest.mark.parametrize(
    "answer",
    [
        {"object": "list", "data": []},
        {"object": "list", "data": [{"index": 0, "embedding": []}]},
        {"object": "list", "data": [{"index": 0, "embedding": [0.5, None]}]},
        {"object": "list", "data": [{"index": 0, "embedding": [True]}]},
        {"object": "list", "data": [{"index": 0, "embedding": "no base64"}]},
        {"object": "list", "data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1]}]},
        {"object": "list", "data": None},
        {"error": {"message": "overloaded"}},
        [],
    ],
    ids=str,
)
async def test_answers_that_are_none_are_failures(answer: Any, tmp_path: Path) -> None:
    async with (
        FakeProvider(default=Status(200, json.dumps(answer).encode(), {"content-type": "application/json"})) as bad,
        FakeProvider(default=Embeddings("same")) as good,
        gateway(tmp_path, serving("bad", bad), serving("good", good)) as router,
    ):
        assert vectors(await ask(router)) == [vector_of("text", "same")]
        assert router.outcomes[0][0] == "bad"


async def test_another_model_never_answers(tmp_path: Path) -> None:
    """Neither one that stands in for everything, nor one that says to serve it, even where nobody else is left."""
    async with (
        FakeProvider(default=Embeddings("other")) as other,
        FakeProvider(default=Status(500)) as same,
        gateway(
            tmp_path, serving("named", other, "nomic-embed-text"), provider("all", other), serving("same", same)
        ) as router,
    ):
        told = await ask(router)
        assert told.answer.status == 503
        assert other.requests == []
        told = await ask(router, preferences=Preferences(provider="named"))
        assert (told.answer.status, other.requests) == (404, [])
        assert f"its vectors are others than those of {MODEL}, and must not be mixed" in told.json["error"]["message"]


async def test_a_route_may_name_a_stand_in_and_it_is_always_the_same(tmp_path: Path) -> None:
    """The other model of the route never answers, not even while the first one fails."""
    routes = [{"model": MODEL, "use": ["first/*", "second/*"]}]
    async with (
        FakeProvider(Embeddings("nomic"), default=Status(500)) as first,
        FakeProvider(default=Embeddings("bge")) as second,
        gateway(
            tmp_path,
            provider("first", first, models=[{"id": "nomic-embed-text"}]),
            provider("second", second, models=[{"id": "bge-m3"}]),
            routes=routes,
            retry={"max_attempts": 2, "max_wait_seconds": 0},
        ) as router,
    ):
        assert vectors(await ask(router)) == [vector_of("text", "nomic")]
        assert (await ask(router, "another text")).answer.status == 503
        assert second.requests == []


async def test_a_brand_without_embeddings_is_left_out(tmp_path: Path) -> None:
    settings = {"type": "groq", "name": "groq", "models": [{"id": MODEL}]}
    async with gateway(tmp_path, settings, environ={"GROQ_API_KEY": "key"}) as router:
        told = await ask(router)
    assert told.answer.status == 400
    assert "groq/text-embedding-3-small: it has no embeddings" in told.json["error"]["message"]


async def test_equal_texts_are_answered_from_the_cache(tmp_path: Path) -> None:
    async with FakeProvider(default=Embeddings(MODEL)) as good, gateway(tmp_path, serving("good", good)) as router:
        told = [await ask(router, ["a", "b"]) for _ in range(2)]
        assert [one.answer.headers["x-llmrouter-cache"] for one in told] == ["miss", "hit"]
        assert told[0].json == told[1].json
        for different in ({"dimensions": 3}, {"encoding_format": "base64"}):
            assert (await ask(router, ["a", "b"], **different)).answer.headers["x-llmrouter-cache"] == "miss"
        assert len(good.requests) == 3


async def test_a_batch_may_be_longer_than_the_window_of_each_text(tmp_path: Path) -> None:
    settings = serving("good", FakeProvider())
    async with FakeProvider(default=Embeddings(MODEL)) as good:
        settings["base_url"] = good.base_url
        settings["models"][0]["context_window"] = 100
        async with gateway(tmp_path, settings) as router:
            assert (await ask(router, ["word " * 60] * 50)).answer.status == 200


async def test_dimensions_that_a_target_refuses_are_never_left_out(tmp_path: Path) -> None:
    """Vectors of another length would be others."""
    message = "Unsupported parameter: 'dimensions' is not supported with this model."
    refusal = Status(400, {"error": {"message": message, "type": "invalid_request_error", "param": "dimensions"}})
    async with (
        FakeProvider(refusal, default=Embeddings("x")) as first,
        gateway(tmp_path, serving("first", first)) as router,
    ):
        assert (await ask(router, dimensions=256)).answer.status == 400
        assert (await ask(router, dimensions=256)).answer.status == 400
        assert all(seen.json()["dimensions"] == 256 for seen in first.requests)
