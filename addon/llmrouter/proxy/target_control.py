"""What the owner asks of the targets as they are now: their states, a plan in words, and to rest or to go on."""

from collections.abc import Sequence

from llmrouter.calls import Call
from llmrouter.gateway import Gateway
from llmrouter.routing.claims import Claim
from llmrouter.viewing.plan_view import PlanView
from llmrouter.viewing.states import state_lines


def providers(gateway: Gateway) -> Sequence[str]:
    """The names of all providers, in order."""
    return sorted({target.provider for target in gateway.router.catalogue.targets})


def status(gateway: Gateway) -> list[str]:
    """Each target's state, a line each."""
    return list(state_lines(gateway.router.catalogue.targets, gateway.health, gateway.clock.monotonic()))


def explain(gateway: Gateway, call: Call) -> list[str]:
    """The plan for a call as it would be made now; nothing is sent, and no limit is touched."""
    router, now, wall = gateway.router, gateway.clock.monotonic(), gateway.clock.wall()
    expectation = router.estimates.expect(call, now)
    claim = Claim(gateway.quotas, lambda target: router.ask(expectation, target, wall), wall - now)
    plan = router.plan(call, now, wall, claim, expectation)
    ending = None if plan.targets else "Nobody would answer."
    return PlanView(call, plan, router, lambda target: claim.left(target, now)).lines(ending)


def reset_health(gateway: Gateway, provider: str | None) -> int:
    """Lets all targets, or those of a provider, be asked again; returns how many they are."""
    targets = [one for one in gateway.router.catalogue.targets if provider in (None, one.provider)]
    gateway.health.reset(targets)
    return len(targets)
