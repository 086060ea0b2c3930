"""The table of what follows from an attempt, row by row of design 6.2."""

import math

import pytest

from llmrouter.errors import Outcome
from llmrouter.routing.consequences import CONSEQUENCES, Consequence, Next, Rest, Verdict

SUCCESS, FAILURE, NOTHING = Verdict.SUCCESS, Verdict.FAILURE, Verdict.NOTHING


def test_every_outcome_has_a_row() -> None:
    assert set(CONSEQUENCES) == set(Outcome)


@pytest.mark.parametrize(
    ("outcome", "row"),
    [
        (Outcome.SUCCESS, Consequence(SUCCESS, Next.NOBODY)),
        (Outcome.UNREACHABLE, Consequence(FAILURE, Next.TARGET, retry_same=True)),
        (Outcome.DISCONNECTED, Consequence(FAILURE, Next.TARGET, retry_same=True)),
        (Outcome.TIMED_OUT, Consequence(FAILURE, Next.TARGET)),
        (Outcome.SERVER_ERROR, Consequence(FAILURE, Next.TARGET, retry_same=True)),
        (Outcome.BAD_REPLY, Consequence(FAILURE, Next.TARGET, retry_same=True)),
        (Outcome.RATE_LIMITED, Consequence(NOTHING, Next.TARGET, Rest.TARGET)),
        (Outcome.OUT_OF_CREDIT, Consequence(NOTHING, Next.TARGET, Rest.PROVIDER, 3600, loud=True)),
        (Outcome.UNAUTHORIZED, Consequence(NOTHING, Next.TARGET, Rest.PROVIDER, math.inf, loud=True)),
        (Outcome.MODEL_GONE, Consequence(NOTHING, Next.TARGET, Rest.TARGET, 600)),
        (Outcome.CONTEXT_EXCEEDED, Consequence(NOTHING, Next.LARGER_WINDOW)),
        (Outcome.REFUSED, Consequence(NOTHING, Next.ONE_OTHER)),
        (Outcome.BROKEN_STREAM, Consequence(FAILURE, Next.NOBODY)),
        (Outcome.CLIENT_GONE, Consequence(NOTHING, Next.NOBODY)),
    ],
)
def test_the_row_of_each_outcome(outcome: Outcome, row: Consequence) -> None:
    assert CONSEQUENCES[outcome] == row
