"""Probes: who is asked, with which key, and what follows."""

import logging

import httpx
import pytest
from pydantic import SecretStr

from llmrouter.brands import BRANDS
from llmrouter.discovery.probes import probe, probe_client
from llmrouter.errors import Outcome
from llmrouter.routing.breaker import BreakerState
from llmrouter.routing.health import HealthBook
from llmrouter.settings.model import BreakerSettings
from llmrouter.targets import Target
from tests.fakes.provider import FakeProvider, Reset, Status
from tests.routing.samples import target_of

QUICK = BreakerSettings(failure_threshold=2, recovery_seconds=30)


def at(fake: FakeProvider, key: str = "one/m", **fields: object) -> Target:
    """A target at a fake provider."""
    return target_of(key, base_url=fake.base_url, breaker=QUICK, **fields)


async def probe_once(health: HealthBook, *targets: Target, now: float = 1.0) -> None:
    async with probe_client() as client:
        await probe(client, targets, health, lambda: now)


async def test_a_provider_that_is_back_is_tried_sooner() -> None:
    """The breaker does not wait for its time, and the next call is the probe that decides."""
    async with FakeProvider(Status(200, {"data": []})) as fake:
        health, target = HealthBook(), at(fake, credential=SecretStr("key-of-one"))
        for _ in range(2):
            health.record(target, Outcome.UNREACHABLE, None, None, 0)
        await probe_once(health, target)

        assert health.breaker(target).state(1) is BreakerState.HALF_OPEN
        assert [(seen.method, seen.path) for seen in fake.requests] == [("GET", "/v1/models")]
        assert fake.requests[0].headers["authorization"] == "Bearer key-of-one"


@pytest.mark.parametrize("behaviour", [Reset(), Status(500)], ids=["reset", "500"])
async def test_a_provider_that_is_gone_is_found_out_before_a_call_has_to(behaviour: Reset | Status) -> None:
    """Each failed probe counts as a failure of all its models."""
    async with FakeProvider(default=behaviour) as fake:
        health, targets = HealthBook(), (at(fake), at(fake, "one/other"))
        for _ in range(2):
            await probe_once(health, *targets)

        assert [health.breaker(target).state(1) for target in targets] == [BreakerState.OPEN] * 2
        assert len(fake.requests) == 2, "one request for each provider"


async def test_a_refused_probe_proves_that_somebody_is_there() -> None:
    async with FakeProvider(Status(401)) as fake:
        health, target = HealthBook(), at(fake)
        await probe_once(health, target)
        assert health.figures(target, 1).error_rate is None


async def test_the_callers_keys_and_mocks_are_not_used_for_probes() -> None:
    async with FakeProvider() as fake:
        await probe_once(HealthBook(), at(fake, uses_caller_key=True), at(fake, "mock/echo", brand=BRANDS["echo"]))
        assert not fake.requests


async def test_anthropic_gets_its_key_where_it_looks_for_it() -> None:
    async with FakeProvider(Status(200, {"data": []})) as fake:
        await probe_once(HealthBook(), at(fake, brand=BRANDS["anthropic"], credential=SecretStr("key-of-anthropic")))
        assert fake.requests[0].headers["x-api-key"] == "key-of-anthropic"
        assert "authorization" not in fake.requests[0].headers


async def test_a_key_that_cannot_be_sent_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    health, target = HealthBook(), target_of(base_url="http://127.0.0.1:1", credential=SecretStr("secret\nkey"))
    async with httpx.AsyncClient(trust_env=False) as client:
        await probe(client, [target], health, lambda: 1.0)
    assert "secret" not in caplog.text
    assert health.figures(target, 1).error_rate == 1.0


async def test_a_provider_that_has_no_list_of_models_is_there() -> None:
    async with FakeProvider(default=Status(501)) as fake:
        health, target = HealthBook(), at(fake)
        for _ in range(5):
            await probe_once(health, target)
        assert health.breaker(target).state(1) is BreakerState.CLOSED
