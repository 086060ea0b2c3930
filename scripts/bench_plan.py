"""CPU of one plan over many targets, in microseconds: the best of several rounds, so that a busy machine matters less.

scripts/bench_plan.py [--targets 200] [--plans 100]
"""

import argparse
import json
import random
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Self

from llmrouter.brands import BRANDS
from llmrouter.calls import Call, Caller, Preferences
from llmrouter.endpoints import chat
from llmrouter.errors import Outcome
from llmrouter.replies import Usage
from llmrouter.routing.allowances import limits_of
from llmrouter.routing.catalog import build_targets
from llmrouter.routing.claims import Claim
from llmrouter.routing.estimates import EstimateBook
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Plan, Router
from llmrouter.routing.price_book import PriceBook
from llmrouter.routing.quotas import Ask, QuotaBook
from llmrouter.routing.vitals import Answered
from llmrouter.settings.model import Settings

SEED = 20261123
ROUNDS = 20
NOW, WALL = 100.0, 1_800_000_000.0


def settings_of(count: int, chance: random.Random, **keys: Any) -> Settings:
    """Targets with prices, windows and abilities, ten to a provider; `keys` are more keys of each provider."""
    providers = [
        {
            "type": "openai_compatible",
            "name": f"provider-{number}",
            "base_url": "https://provider.test/v1",
            "priority": chance.choice((10, 20, 30)),
            "models": [
                {
                    "id": f"model-{model}",
                    "serves": ["*"],
                    "price": {"input": chance.random(), "output": chance.random() * 4, "cached_input": 0.05},
                    "context_window": chance.choice((8_192, 131_072, 1_000_000)),
                    "capabilities": ["tools", "json_schema", "json_object"],
                    "quality": chance.random(),
                }
                for model in range(10)
            ],
        }
        | keys
        for number in range(count // 10)
    ]
    return Settings.model_validate({"providers": providers})


def call_of(words: int, policy: str | None = None) -> Call:
    """A call with tools in a conversation of some turns."""
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
    turns = [{"role": ("user", "assistant")[turn % 2], "content": "word " * words} for turn in range(9)]
    body = json.dumps({"model": "gpt-4o-mini", "messages": turns, "tools": [tool]}).encode()
    return chat.parse(body, "gpt-4o-mini", id="bench", caller=Caller(), preferences=Preferences(policy=policy))


class Scene:
    """A router that has learned from a call to each target, and the quotas of its providers."""

    def __init__(self, targets: int, words: int, limits: Mapping[str, float] = MappingProxyType({})) -> None:
        self._settings = settings_of(targets, random.Random(SEED), limits=dict(limits))
        catalogue = build_targets(self._settings, BRANDS, {})
        self.targets, self._words = catalogue.targets, words
        self._policy: str | None = None
        self.health, self.estimates, self.quotas = HealthBook(), EstimateBook(), QuotaBook()
        self.quotas.reload(self.targets, limits_of(self._settings))
        self.router = Router(self._settings, catalogue, self.health, PriceBook(self.targets), self.estimates)
        for number, target in enumerate(self.targets):
            # No two models count tokens alike.
            self.estimates.learn(target, call_of(words), Usage(words * 9 + number, 200, cached_tokens=words), 0.0)
            self.health.record(target, Outcome.SUCCESS, None, Answered(0.4, 2.0, 200, is_stream=True), 0.0)

    def by_policy(self, name: str) -> Self:
        """Plans by a policy from now on."""
        self._policy = name
        return self

    def broken(self) -> Self:
        """All breakers are open."""
        for _ in range(10):
            for target in self.targets:
                self.health.record(target, Outcome.SERVER_ERROR, None, None, NOW)
        return self

    def used_up(self) -> Self:
        """Nothing is left of any limit, after a minute of many requests."""
        ask = Ask(10_000, 0.1)
        for second in range(60):
            for target in self.targets:
                self.quotas.reserve(target, ask, NOW - 60 + second, WALL)
        return self

    def next_call(self) -> Call:
        """A call whose prompt nobody has looked at yet."""
        return call_of(self._words, self._policy)

    def plan(self, call: Call, number: int = 0) -> Plan:
        """The plan of a call, the first or a later one."""
        now = NOW + number / 1000
        expectation = self.router.estimates.expect(call, now)
        claim = Claim(self.quotas, lambda target: self.router.ask(expectation, target, WALL), WALL - now)
        return self.router.plan(call, now, WALL, claim, expectation)

    def seconds(self, plans: int) -> float:
        """CPU seconds of one plan, the mean of one round, whose calls come one after another."""
        calls = [self.next_call() for _ in range(plans)]
        began = time.process_time()
        for number, call in enumerate(calls):
            self.plan(call, number)
        return (time.process_time() - began) / plans


AMPLE = {"rpm": 100_000, "tpm": 500_000_000, "rpd": 1_000_000, "usd_per_day": 10_000}
SCARCE = {"rpm": 100, "tpm": 1_000_000, "rpd": 500, "usd_per_day": 10}
ROWS: Mapping[str, Callable[[int], Scene]] = {
    "nothing special": lambda targets: Scene(targets, 10),
    "a prompt of 45 kB": lambda targets: Scene(targets, 1000),
    "a prompt of 450 kB": lambda targets: Scene(targets, 10_000),
    "limits on all providers": lambda targets: Scene(targets, 10, AMPLE),
    "all limits used up": lambda targets: Scene(targets, 10, SCARCE).used_up(),
    "all breakers open": lambda targets: Scene(targets, 10).broken(),
    "policy least_latency": lambda targets: Scene(targets, 10).by_policy("least_latency"),
    "policy round_robin": lambda targets: Scene(targets, 10).by_policy("round_robin"),
    "policy weighted": lambda targets: Scene(targets, 10).by_policy("weighted"),
    "policy quality": lambda targets: Scene(targets, 10).by_policy("quality"),
}


def main() -> None:
    """Prints how long a plan takes in each row, with everything learned."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=200)
    parser.add_argument("--plans", type=int, default=100)
    options = parser.parse_args()
    for name, make in ROWS.items():
        scene = make(options.targets)
        best_s = min(scene.seconds(options.plans) for _ in range(ROUNDS))
        plan = scene.plan(scene.next_call())
        told = f"{len(plan.candidates)} in, {len(plan.left_out)} left out"
        print(f"{name:25} {best_s * 1e6:5.0f} µs per plan ({told})")


if __name__ == "__main__":
    main()
