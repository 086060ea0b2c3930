"""Cuts a text into the pieces in which a stream tells it."""

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

_LONGEST_WORD = 32
"""Characters by which a piece may grow so that a word stays whole; text without white space is cut all the same."""

_GOES_ON = (
    "(?:"
    # Combining marks, variation selectors, the joiner and what it joins, skin tones, tags of flags.
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u3099\u309a\ufe00-\ufe0f\ufe20-\ufe2f\u200d"
    "\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
    "|(?<=\u200d)."
    # The two letters of a flag; of a row of flags, all.
    "|(?<=[\U0001f1e6-\U0001f1ff])[\U0001f1e6-\U0001f1ff]"
    r"|(?<=\r)\n"
    ")*"
)
"""What belongs to the character before it: the cases of Unicode's rules (annex 29) that are common in answers."""


@cache
def _pattern(size: int) -> re.Pattern[str]:
    return re.compile(rf"(?s:.){{1,{size}}}\S{{0,{_LONGEST_WORD}}}[ \n]?(?s:{_GOES_ON})")


def pieces_of(text: str, size: int) -> list[str]:
    """The text in pieces of at least `size` characters, that end after a word where words are not long."""
    return [text] if len(text) <= size else _pattern(size).findall(text)


def with_logprobs(text: str, tokens: Sequence[Any], size: int) -> list[tuple[str, Sequence[Any]]] | None:
    """The text in pieces of at least `size` bytes, each with the log probabilities of its own tokens.

    Tokens may be parts of characters, and then say so by `bytes` (OpenAI's API reference, chat completions). None
    where the tokens together are not the text.
    """
    data, ends, place = text.encode(), [0], 0
    cuts = [0]
    for token in tokens:
        piece = _bytes_of(token)
        if piece is None or not data.startswith(piece, place):
            return None
        place += len(piece)
        ends.append(place)
        is_whole = place == len(data) or data[place] & 0xC0 != 0x80
        if is_whole and place - ends[cuts[-1]] >= size:
            cuts.append(len(ends) - 1)
    if place != len(data) or not data:
        return None
    if cuts[-1] != len(tokens):
        cuts.append(len(tokens))
    return [(data[ends[a] : ends[b]].decode(), tokens[a:b]) for a, b in pairwise(cuts)]


def _bytes_of(token: Any) -> bytes | None:
    if not isinstance(token, dict):
        return None
    values, text = token.get("bytes"), token.get("token")
    if isinstance(values, list):
        is_bytes = all(isinstance(value, int) and 0 <= value < 256 for value in values)
        return bytes(values) if is_bytes else None
    return text.encode() if isinstance(text, str) else None
