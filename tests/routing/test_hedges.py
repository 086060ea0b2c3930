"""What is late for a target, and how often a call may be hedged."""

import random

import pytest

from llmrouter.routing.hedges import HedgeBook


def test_nothing_is_late_before_enough_is_known() -> None:
    book = HedgeBook()
    for number in range(19):
        book.note_content("a/m", number, is_stream=True)
    assert book.late_after_s("a/m", 0.95, is_stream=True) is None
    book.note_content("a/m", 19, is_stream=True)
    assert book.late_after_s("a/m", 0.95, is_stream=True) == 18
    assert book.late_after_s("a/m", 0.95, is_stream=False) is None
    assert book.late_after_s("b/m", 0.95, is_stream=True) is None


def test_what_was_long_ago_is_forgotten() -> None:
    book = HedgeBook()
    for seconds in [9.0] * 100 + [1.0] * 200:
        book.note_content("a/m", seconds, is_stream=False)
    assert book.late_after_s("a/m", 0.99, is_stream=False) == 1.0


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5, 1.0])
def test_never_more_than_the_share(share: float) -> None:
    """Whichever calls are late, at no time more of them were hedged than the share of all."""
    book, chance = HedgeBook(), random.Random(1)
    calls = hedged = 0
    for _ in range(5000):
        book.note_call()
        calls += 1
        if chance.random() < 0.7 and book.has_room(share):
            book.note_hedged()
            hedged += 1
        assert hedged <= share * calls
    assert hedged >= min(0.65, share * 0.9) * calls
