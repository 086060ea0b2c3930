"""Two parts of a text put together: nothing twice, nothing lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrouter.seams import Seam


def joined(said: str, pieces: list[str], *, is_exact: bool = False) -> str:
    seam = Seam(said, is_exact=is_exact)
    return said + "".join([seam.feed(piece) for piece in pieces]) + seam.finish()


@pytest.mark.parametrize(
    ("said", "rest", "whole"),
    [
        ("The cat", " sat", "The cat sat"),
        ("The cat ", "The cat sat", "The cat sat"),
        ("The cat ", " sat", "The cat sat"),
        ("The c", "cat sat", "The cat sat"),
        ("The c", "at sat", "The cat sat"),
        ("the bal", "loon", "the balloon"),
        ("a book", "keeper", "a bookkeeper"),
        ("One.\n\n", "One.\nTwo.", "One.\n\nTwo."),
        ("One.", "\n\nTwo.", "One.\n\nTwo."),
        ("One two", "  \nOne two three", "One two three"),
        ("f(", "(x)", "f((x)"),
        ("好きな猫が", "好きな猫がいる", "好きな猫がいる"),
    ],
)
def test_what_is_repeated_is_cut(said: str, rest: str, whole: str) -> None:
    assert joined(said, [rest]) == whole
    assert joined(said, list(rest)) == whole


def test_a_target_that_was_given_the_beginning_says_the_same_words_again_where_it_means_them() -> None:
    assert joined("no, no", [", no"], is_exact=True) == "no, no, no"
    assert joined("very ", [" very"], is_exact=True) == "very very"


def test_a_text_that_is_told_again_and_differently_is_known() -> None:
    seam = Seam("It was a bright cold day in April, and the clocks were striking thirteen. Winston")
    assert seam.feed("It was a bright cold day in April, and the clocks were not striking.") == ""
    assert seam.began_anew


@settings(max_examples=150, deadline=None)
@given(
    words=st.lists(st.integers(1, 999_999), min_size=4, max_size=30, unique=True),
    data=st.data(),
)
def test_the_whole_comes_together_wherever_it_was_cut_and_however_much_is_repeated(
    words: list[int], data: st.DataObject
) -> None:
    whole = " ".join(f"word{number}" for number in words)
    cut = data.draw(st.integers(1, len(whole) - 1))
    starts = [0, *(at + 1 for at in range(cut) if whole[at] == " "), cut]
    start = data.draw(st.sampled_from(starts))
    rest = whole[start:]
    sizes = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=8))
    pieces: list[str] = []
    at = 0
    while at < len(rest):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(rest[at : at + size])
        at += size
    assert joined(whole[:cut], pieces) == whole
