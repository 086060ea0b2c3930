"""A conversation as it is shown: who said what, and about it what was asked for and what it took."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_MOST_CHARACTERS = 20_000
_MOST_TURNS, _FIRST_TURNS = 200, 5
_RULE_WIDTH = 72


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said; `pieces` are its texts, tool calls and attachments, in words."""

    role: str
    pieces: Sequence[str]


@dataclass(slots=True)
class Conversation:
    """One body; `facts` stand above the turns, `footer` below them, `notes` say what is missing and why."""

    title: str
    facts: list[str] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    footer: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_text(self) -> str:
        """All of it; of long texts the beginning and of long conversations the first and the last turns."""
        lines = [self.title, *self.facts, *(f"⚠ {note}" for note in self.notes)]
        for turn in self._shown():
            lines += ["", *_turn_lines(turn)]
        if self.footer:
            lines += ["", "─" * _RULE_WIDTH, *self.footer]
        return "\n".join(lines) + "\n"

    def _shown(self) -> Iterator[Turn]:
        if len(self.turns) <= _MOST_TURNS:
            yield from self.turns
            return
        left_out = len(self.turns) - _MOST_TURNS
        yield from self.turns[:_FIRST_TURNS]
        yield Turn(f"… {left_out:,} messages are not shown …", ())
        yield from self.turns[_FIRST_TURNS + left_out :]


def _turn_lines(turn: Turn) -> Iterator[str]:
    yield f"── {turn.role} ".ljust(_RULE_WIDTH, "─")
    shown = 0
    for piece in turn.pieces:
        left = _MOST_CHARACTERS - shown
        if left <= 0:
            yield "… more is not shown …"
            return
        shown += len(piece)
        yield piece if len(piece) <= left else f"{piece[:left]}… {len(piece) - left:,} more characters are not shown …"
