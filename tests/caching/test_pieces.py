"""Texts in pieces: nothing lost, words and characters whole."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrouter.caching.pieces import pieces_of, with_logprobs

SIZES = st.integers(1, 20)


@given(st.text() | st.text("ab \n\r\u0301\u200d👩🇩🇪🏽日", max_size=200), SIZES)
def test_the_pieces_are_the_text(text: str, size: int) -> None:
    pieces = pieces_of(text, size)
    assert "".join(pieces) == text
    assert all(len(piece) >= size for piece in pieces[:-1])


@given(st.lists(st.text("abcdef", min_size=1, max_size=20), min_size=1), SIZES)
def test_words_are_not_cut(words: list[str], size: int) -> None:
    pieces = pieces_of(" ".join(words), size)
    assert all(piece.endswith(" ") for piece in pieces[:-1])


@pytest.mark.parametrize(
    "character", ["e\u0301", "👍🏽", "👩\u200d👩\u200d👧", "🇩🇪", "❤\ufe0f", "\r\n", "क\u093f", "か\u3099"]
)
@pytest.mark.parametrize("size", range(1, 9))
def test_characters_of_several_code_points_stay_whole(character: str, size: int) -> None:
    # So long that no white space and no end of a word helps.
    pieces = pieces_of(f"日{character}" * 50, size)
    assert len(pieces) > 1
    for piece in pieces[1:]:
        assert piece[0] in (character[0], "日")
        assert not unicodedata.combining(piece[0])


def test_long_texts_without_white_space_are_cut_all_the_same() -> None:
    assert max(map(len, pieces_of("日" * 10_000, 80))) <= 112


@given(st.text(max_size=60), SIZES, st.integers(1, 4), st.booleans())
def test_each_piece_comes_with_its_own_tokens(text: str, size: int, length: int, has_bytes: bool) -> None:
    data = text.encode()
    if has_bytes:
        parts = [data[start : start + length] for start in range(0, len(data), length)]
        tokens = [{"token": part.decode(errors="replace"), "bytes": list(part)} for part in parts]
    else:
        tokens = [{"token": text[start : start + length]} for start in range(0, len(text), length)]
    split = with_logprobs(text, tokens, size)
    if not text:
        assert split is None
        return
    assert split is not None
    assert "".join(piece for piece, _ in split) == text
    assert [token for _, some in split for token in some] == tokens
    for piece, some in split:
        whole = b"".join(bytes(token["bytes"]) if has_bytes else str(token["token"]).encode() for token in some)
        assert whole == piece.encode()


@pytest.mark.parametrize(
    "tokens",
    [
        [{"token": "pon"}],
        [{"token": "pong"}, {"token": "!"}],
        [{"token": "ping"}],
        [{"token": 7}],
        [7],
        [{"token": "pong", "bytes": [300]}],
        [{"token": "pong", "bytes": ["p"]}],
    ],
)
def test_tokens_that_are_not_the_text_are_not_split(tokens: list[object]) -> None:
    assert with_logprobs("pong", tokens, 1) is None
