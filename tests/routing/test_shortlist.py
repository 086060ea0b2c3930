"""Shortlists: made once for all calls of a kind, and never used for calls of another kind."""

import pytest

from llmrouter.calls import Call, Need, Preferences
from llmrouter.routing.shortlist import Shortlist, Shortlists
from tests.routing.samples import call_of, catalogue_of, echo

CATALOGUE = catalogue_of(
    echo("late", priority=20, models=[{"id": "m", "serves": ["*"]}]),
    echo("plain", models=[{"id": "m", "serves": ["*"], "capabilities": []}]),
    echo("able", models=[{"id": "m", "serves": ["*"]}, {"id": "picky", "serves": ["gpt-4o"], "quality": 0.5}]),
    routes=[{"model": "strict", "min_quality": 0.9}],
)


def keys(found: Shortlist) -> list[str]:
    """Those that are able, in order."""
    return [target.key for _, target in found.able]


@pytest.mark.parametrize(
    ("call", "able"),
    [
        (call_of("gpt-4o"), ["plain/m", "able/m", "able/picky", "late/m"]),
        (call_of("gpt-4o-mini"), ["plain/m", "able/m", "late/m"]),
        (call_of("gpt-4o", needs=frozenset({Need.TOOLS})), ["able/m", "able/picky", "late/m"]),
        (call_of("gpt-4o", preferences=Preferences(provider="late")), ["late/m"]),
        (call_of("strict"), []),
    ],
)
def test_each_kind_of_call_has_its_own_list(call: Call, able: list[str]) -> None:
    shortlists = Shortlists(CATALOGUE)
    for other in (call_of("gpt-4o"), call_of("gpt-4o", needs=frozenset({Need.TOOLS})), call_of("strict")):
        shortlists.of(other)
    found = shortlists.of(call)
    assert keys(found) == able
    assert len(found.able) + len(found.left_out) == len(CATALOGUE.candidates(call.model).targets)


def test_a_list_is_made_once_for_all_calls_of_a_kind() -> None:
    shortlists = Shortlists(CATALOGUE)
    assert shortlists.of(call_of("gpt-4o", input_characters=10)) is shortlists.of(call_of("gpt-4o", stream=True))


@pytest.mark.parametrize("call", [call_of("g" * 300), call_of("gpt-5", members=frozenset({"x" * 1100}))])
def test_names_that_a_client_made_up_are_not_kept(call: Call) -> None:
    shortlists = Shortlists(CATALOGUE)
    assert shortlists.of(call) is not shortlists.of(call)
    assert keys(shortlists.of(call)) == ["plain/m", "able/m", "late/m"]
