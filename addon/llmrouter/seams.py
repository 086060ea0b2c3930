"""Where two parts of a text are put together: what the second repeats of the first is cut off.

Text is held back while it may still turn out to be a repetition, so never more of it than the first part has.
"""

import re

_WORD = re.compile(r"\w")
# A repetition that begins within a word is taken for one from this length on, else "bal" and "loon" would lose an l.
_LEAST_WITHIN_WORD = 8
# Where the beginning was given, nothing should be repeated: less than this is the text's own.
_LEAST_WHERE_EXACT = 24
# So many characters from the first part's beginning tell that all of it is being said again.
_TOLD_AGAIN = 40
_LONGEST = 128 * 1024


class Seam:
    """Cuts a continuation, piece by piece. White space at the end of the first part is not told twice, either.

    `is_exact` is for a target that was given the beginning as its own. `began_anew` tells that the first part is being
    told again and differently, so that nothing of it can be used.
    """

    __slots__ = ("_base", "_held", "_is_exact", "_is_open", "_space", "_start", "began_anew")

    def __init__(self, said: str, *, is_exact: bool = False) -> None:
        whole = said.rstrip()
        self._space = said[len(whole) :]
        self._base = whole[-_LONGEST:]
        self._start = whole[:_TOLD_AGAIN]
        self._is_exact = is_exact
        self._held = ""
        self._is_open = False
        self.began_anew = False

    def feed(self, text: str) -> str:
        """What of the text so far can be told, and was not told yet."""
        if self._is_open:
            return text
        self._held += text
        return "" if self._is_undecided() else self._decide()

    def finish(self) -> str:
        """The rest, at the end of the text."""
        return "" if self._is_open else self._decide()

    def _is_undecided(self) -> bool:
        """Whether more text may make a longer repetition of what is held, or tell which white space follows it."""
        held = self._held.lstrip()
        if not held:
            return True
        place = self._base.find(held)
        while 0 <= place < len(self._base) - len(held):
            if self._is_repetition(len(self._base) - place):
                return True
            place = self._base.find(held, place + 1)
        after = held[self._overlap(held) :]
        return bool(self._space) and not after.strip()

    def _overlap(self, held: str) -> int:
        """The length of the longest end of the first part with which the text begins."""
        base = self._base
        for length in range(min(len(held), len(base)), 0, -1):
            is_likely = base[-length] == held[0] and base[-1] == held[length - 1]
            if is_likely and held.startswith(base[-length:]) and self._is_repetition(length):
                return length
        return 0

    def _is_repetition(self, length: int) -> bool:
        start = len(self._base) - length
        if self._is_exact:
            return length >= _LEAST_WHERE_EXACT
        if length >= _LEAST_WITHIN_WORD:
            return True
        is_within = start > 0 and _WORD.match(self._base[start - 1]) and _WORD.match(self._base[start])
        return not is_within and _WORD.search(self._base[start:]) is not None

    def _decide(self) -> str:
        self._is_open = True
        text = self._held
        if length := self._overlap(text.lstrip()):
            text = text.lstrip()[length:]
        elif len(self._start) == _TOLD_AGAIN and text.lstrip().startswith(self._start):
            self.began_anew = True
            return ""
        rest = text.lstrip()
        space = text[: len(text) - len(rest)]
        if self._space and space:
            space = space.removeprefix(self._space) if space.startswith(self._space) else ""
        return space + rest
