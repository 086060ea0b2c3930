"""A policy of the owner's own as the router sees it: an order in time, or the reason why there is none."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from llmrouter.custom_policies.own_class import OwnPolicy, describe
from llmrouter.custom_policies.worker import Occupied, OutOfTime, Worker
from llmrouter.routing.policies import CallFacts, Candidate, PolicyFailed, in_cost_order

logger = logging.getLogger(__name__)

_LOGGED_EVERY_S = 60.0

type Failures = Counter[tuple[str, str]]
"""How often a policy failed, by its name and `exception`, `wrong_result`, `timeout` or `occupied`."""


type Ask = Callable[[CallFacts, tuple[Candidate, ...]], tuple[Candidate, ...] | str]
"""Asks the owner's policy: its order, or the exception in words."""


class CustomPolicy:
    """Asks the owner's policy on its worker, for `patience_s` seconds, and checks what it returns.

    All tiers of a plan share the patience, since the router stands still meanwhile: they come with the same facts.
    `failures` is counted up; one line a minute is logged. `now` is monotonic seconds.
    """

    def __init__(
        self, name: str, ask: Ask, worker: Worker, patience_s: float, failures: Failures, now: Callable[[], float]
    ) -> None:
        self._name = name
        self._ask = ask
        self._worker = worker
        self._patience_s = patience_s
        self._failures = failures
        self._now = now
        self._asked_of: CallFacts | None = None
        self._left_s = patience_s
        self._next_line_at = float("-inf")
        self._unlogged = 0

    def order(self, candidates: Sequence[Candidate], facts: CallFacts) -> list[Candidate]:
        """The owner's order, then in the order of cost what it left out; raises `PolicyFailed`."""
        if facts is not self._asked_of:
            self._asked_of, self._left_s = facts, self._patience_s
        began = self._now()
        try:
            answer = self._worker.run(partial(self._ask, facts, tuple(candidates)), self._left_s)
        except OutOfTime:
            raise self._failed("timeout", f"it took longer than {self._patience_s:g} s") from None
        except Occupied:
            raise self._failed("occupied", "an earlier call of it has not returned") from None
        finally:
            self._left_s -= self._now() - began
        if isinstance(answer, str):
            raise self._failed("exception", answer)
        rest = {id(candidate): candidate for candidate in candidates}
        for candidate in answer:
            if rest.pop(id(candidate), None) is None:
                raise self._failed("wrong_result", "it returned something other than the candidates, each once at most")
        return [*answer, *in_cost_order(rest.values())]

    def _failed(self, kind: str, reason: str) -> PolicyFailed:
        self._failures[self._name, kind] += 1
        now = self._now()
        if now < self._next_line_at:
            self._unlogged += 1
        else:
            more = f" ({self._unlogged} more times since the last such line)" if self._unlogged else ""
            logger.warning("The policy %s failed, and least_cost ordered: %s.%s", self._name, reason, more)
            self._next_line_at, self._unlogged = now + _LOGGED_EVERY_S, 0
        return PolicyFailed(reason)


def ask_own(
    own: OwnPolicy, file: Path, facts: CallFacts, candidates: tuple[Candidate, ...]
) -> tuple[Candidate, ...] | str:
    """The order, or the exception in words; all that runs code of the owner's happens here, on the worker."""
    try:
        # One more than there are shows that something is there twice, without an end to wait for.
        return tuple(islice(own.order(facts, candidates), len(candidates) + 1))
    except BaseException as error:  # noqa: BLE001 - whatever the owner's code raises is its fault, and told
        return describe(error, file)
