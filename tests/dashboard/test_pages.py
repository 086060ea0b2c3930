"""The pages over a gateway on loopback: what they tell, and how a question that makes no sense is answered."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from llmrouter.dashboard.page import Page
from llmrouter.dashboard.status import quantile
from tests.fakes.provider import FakeProvider
from tests.gateways import GatewayUnderTest, gateway, provider


@pytest.fixture
async def asked(fake: FakeProvider, tmp_path: Path) -> AsyncIterator[GatewayUnderTest]:
    """A gateway with limits that answered two calls, and could not answer a third."""
    limits = {"rpm": 10, "tpd": 1_000_000, "usd_per_month": 5, "concurrency": 4}
    price = {"input": 1, "output": 2}
    able: list[dict[str, Any]] = [
        {"id": "one"},
        {"id": "two", "capabilities": ["tools"]},
        {"id": "three", "serves": ["nobody"], "capabilities": []},
    ]
    models = [model | {"price": price} for model in able]
    async with gateway(tmp_path, provider("first", fake, limits=limits, models=models)) as router:
        for model in ("one", "two"):
            await router.ask(model=model)
        await router.ask(model="nobody", logprobs=True)
        yield router


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as one:
        yield one


def _get(router: GatewayUnderTest, path: str, query: str = "", method: str = "GET") -> Page:
    return router.runtime.pages.answer(method, path, query)


def _json(page: Page) -> Any:
    return orjson.loads(page.body)


async def test_the_status_tells_totals_and_every_target(asked: GatewayUnderTest) -> None:
    """Limits by their names in the settings, what is not known as null, and what failed."""
    page = _get(asked, "/api/status")
    status = _json(page)
    one, two, _ = status["targets"]

    assert page.status == 200
    assert status["totals"]["requests"] == 3
    assert status["totals"]["failed"] == 1
    assert status["totals"]["results"] == {"answered": 2, "failed": 1}
    assert status["totals"]["attempts_by_outcome"] == {"success": 2}
    assert sum(status["totals"]["failures_by_status"].values()) == 1
    assert status["totals"]["failures_by_kind"] == {"relayed": 1}
    assert status["totals"]["by_provider"]["first"]["failures"] == {}
    assert status["totals"]["by_model"]["first/one"]["answered"] == 1
    assert one["limits_left"]["rpm"] == 8
    assert one["limits_left"].keys() == {"rpm", "tpd", "usd_per_month", "concurrency"}
    assert 4.9 < one["limits_left"]["usd_per_month"] < 5
    assert (one["capabilities"], two["capabilities"]) == (None, ["tools"])
    assert two["breaker"] == "closed"


async def test_an_attempt_under_way_is_seen(asked: GatewayUnderTest) -> None:
    """A stream counts until it has ended."""
    result = await asked.open(model="one", stream=True)
    assert _json(_get(asked, "/api/status"))["targets"][0]["in_flight"] == 1
    assert result.frames is not None
    async for _ in result.frames:
        pass
    assert _json(_get(asked, "/api/status"))["targets"][0]["in_flight"] == 0


@pytest.mark.parametrize(
    ("query", "models"),
    [
        ("", ["nobody", "two", "one"]),
        ("limit=1", ["nobody"]),
        ("model=one", ["one"]),
        ("provider=first", ["two", "one"]),
        ("target=first/two", ["two"]),
        ("result=failed", ["nobody"]),
        ("cache=hit", []),
        ("endpoint=chat.completions&limit=2", ["nobody", "two"]),
        ("since=9999999999", []),
    ],
)
async def test_decisions_are_narrowed_down(asked: GatewayUnderTest, query: str, models: list[str]) -> None:
    found = _json(_get(asked, "/api/decisions", query))
    assert [one["model"] for one in found["data"]] == models
    assert found["has_more"] is ("limit" in query)


async def test_one_decision_has_the_whole_plan(asked: GatewayUnderTest) -> None:
    """With what was left out and why, which the list does not repeat."""
    listed = _json(_get(asked, "/api/decisions", "model=nobody"))["data"][0]
    whole = _json(_get(asked, f"/api/decisions/{listed['id']}"))
    assert "left_out" not in listed["plan"]
    assert {one["target"] for one in whole["plan"]["left_out"]} == {"first/three"}
    assert all(one["reason"] for one in whole["plan"]["left_out"])


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("/nothing", "", 404, "not_found"),
        ("", "", 404, "not_found"),
        ("/api/decisions/", "", 404, "not_found"),
        ("/api/decisions", "limit=x", 400, None),
        ("/api/decisions", "limit=201", 400, None),
        ("/api/decisions", "since=yesterday", 400, None),
        ("/api/decisions", "colour=red", 400, None),
    ],
)
async def test_what_makes_no_sense_is_told_in_openais_shape(
    asked: GatewayUnderTest, path: str, query: str, status: int, code: str | None
) -> None:
    page = _get(asked, path, query)
    assert (page.status, _json(page)["error"]["code"]) == (status, code)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_pages_are_only_read(asked: GatewayUnderTest, method: str) -> None:
    page = _get(asked, "/health", method=method)
    assert (page.status, page.headers["allow"]) == (405, "GET, HEAD")


def test_a_quantile_is_a_value_that_was_seen() -> None:
    """By the nearest-rank method."""
    values = [0.5, 0.1, 0.4, 0.2, 0.3]
    assert [quantile(values, share) for share in (0.2, 0.5, 0.95, 1.0)] == [0.1, 0.3, 0.5, 0.5]
    assert quantile([], 0.5) is None
