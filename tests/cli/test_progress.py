"""Bars of long work: at a terminal they are drawn on standard error, and elsewhere nothing is printed."""

import io
from collections.abc import Callable

import pytest

from llmrouter.cli.progress import share_done, steps


class Errors(io.StringIO):
    """Standard error, at a terminal or not."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def by_steps() -> None:
    with steps(2, "Asking") as step:
        step("groq")
        step("openrouter")


def by_share() -> None:
    with share_done("Asking") as progress:
        progress(0.5)
        progress(1.0)


@pytest.mark.parametrize("work", [by_steps, by_share])
def test_a_bar_is_drawn_at_a_terminal_only(
    work: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for is_terminal in (True, False):
        errors = Errors(is_terminal=is_terminal)
        monkeypatch.setattr("sys.stderr", errors)
        work()
        told = errors.getvalue()
        assert ("Asking" in told, "100%" in told, bool(told)) == (is_terminal, is_terminal, is_terminal)
    assert capsys.readouterr().out == ""
