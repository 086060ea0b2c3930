"""CPU of one plan over many targets, in microseconds: the best of several rounds, so that a busy machine matters less.

scripts/bench_plan.py [--targets 200] [--plans 300]
"""

import argparse
import json
import random
import time

from llmrouter.brands import BRANDS
from llmrouter.calls import Call, Caller, Preferences
from llmrouter.endpoints import chat
from llmrouter.errors import Outcome
from llmrouter.replies import Usage
from llmrouter.routing.catalog import Catalogue, build_targets
from llmrouter.routing.estimates import EstimateBook
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Router
from llmrouter.routing.price_book import PriceBook
from llmrouter.routing.vitals import Answered
from llmrouter.settings.model import Settings

SEED = 20261123
ROUNDS = 20


def catalogue_of(count: int, chance: random.Random) -> Catalogue:
    """Targets with prices, windows and abilities, ten to a provider."""
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
        for number in range(count // 10)
    ]
    return build_targets(Settings.model_validate({"providers": providers}), BRANDS, {})


def call_of(words: int) -> Call:
    """A call with tools in a conversation of some turns."""
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
    turns = [{"role": ("user", "assistant")[turn % 2], "content": "word " * words} for turn in range(9)]
    body = json.dumps({"model": "gpt-4o-mini", "messages": turns, "tools": [tool]}).encode()
    return chat.parse(body, "gpt-4o-mini", id="bench", caller=Caller(), preferences=Preferences())


def main() -> None:
    """Prints how long a plan takes for a short and a long prompt, with everything learned."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=200)
    parser.add_argument("--plans", type=int, default=300)
    options = parser.parse_args()
    catalogue = catalogue_of(options.targets, random.Random(SEED))
    health, estimates = HealthBook(), EstimateBook()
    router = Router(Settings(), catalogue, health, PriceBook(catalogue.targets), estimates)
    for words in (10, 1000):
        for target in catalogue.targets:
            estimates.learn(target, call_of(words), Usage(words * 9, 200, cached_tokens=words), 0.0)
            health.record(target, Outcome.SUCCESS, None, Answered(0.4, 2.0, 200, is_stream=True), 0.0)
        call = call_of(words)
        best_s = min(seconds_of(router, call, options.plans) for _ in range(ROUNDS))
        print(f"{len(catalogue.targets)} targets, {call.input_characters} characters: {best_s * 1e6:.0f} µs per plan")


def seconds_of(router: Router, call: Call, plans: int) -> float:
    """CPU seconds of one plan, the mean of one round."""
    began = time.process_time()
    for number in range(plans):
        router.plan(call, 1.0 + number / 1000, 1_800_000_000.0)
    return (time.process_time() - began) / plans


if __name__ == "__main__":
    main()
