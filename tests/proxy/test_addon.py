"""The addon's hooks by themselves: what must hold whatever order mitmproxy calls them in."""

from mitmproxy.test import tflow

from llmrouter.proxy.addon import LLMRouter
from llmrouter.proxy.exchange import Exchange


async def test_a_request_that_lost_its_exchange_goes_nowhere() -> None:
    """A client that left before its `request` hook: mitmproxy would forward what has no response."""
    router = LLMRouter()
    flow = tflow.tflow()
    await router.request(flow)

    assert flow.response is not None
    assert flow.response.status_code == 499


async def test_a_flow_that_is_killed_ends_its_call() -> None:
    """The error hook of a killed flow, or of a broken connection, leaves no provider's stream open."""
    router = LLMRouter()
    flow = tflow.tflow()
    exchange = router._exchanges[flow.id] = Exchange(flow.client_conn.id, is_routed=True)
    router.error(flow)

    assert exchange._is_abandoned is True
    assert router._exchanges == {}
