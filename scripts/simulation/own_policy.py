"""The policy of `config/policy_example.py` under simulated time, where its patience, which is real time, has no say."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmrouter.routing.policies import CallFacts, Candidate, LeastCost

OWN_POLICY = "policy_example.py:CheapestInTime"
_FOLDER = Path(__file__).resolve().parents[2] / "config"


class OwnPolicy:
    """A class of the owner's own, and least_cost for whom it leaves out."""

    def __init__(self) -> None:
        file, _, name = OWN_POLICY.partition(":")
        spec = importlib.util.spec_from_file_location("policy_example", _FOLDER / file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self._own: Any = getattr(module, name)()
        self._rest = LeastCost()

    def order(self, candidates: Sequence[Candidate], facts: CallFacts) -> Sequence[Candidate]:
        """All candidates, best first."""
        first = list(self._own.order(facts, candidates))
        left = [candidate for candidate in candidates if candidate not in first]
        return [*first, *self._rest.order(left, facts)]
