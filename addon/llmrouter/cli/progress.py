"""A bar on the terminal while something takes long."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from llmrouter.discovery.builder import Answer

_STEPS = 1000


@contextmanager
def progress(total: int) -> Iterator[Callable[[Answer], None]]:
    """What is to be called with each provider's answer; shown on standard error, on a terminal only."""
    with steps(total, "Asking providers") as step:
        yield lambda answer: step(answer.provider)


@contextmanager
def steps(total: int, label: str) -> Iterator[Callable[[str], None]]:
    """What is to be called with the name of each thing that is done; shown on standard error, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda name: None
        return
    with click.progressbar(length=total, label=label, file=sys.stderr, item_show_func=lambda name: name or "") as bar:

        def step(name: str) -> None:
            bar.update(1, name)

        yield step


@contextmanager
def share_done(label: str) -> Iterator[Callable[[float], None]]:
    """What is to be told how much is done, from 0 to 1; shown on standard error, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda share: None
        return
    with click.progressbar(length=_STEPS, label=label, file=sys.stderr) as bar:
        yield lambda share: bar.update(int(share * _STEPS) - bar.pos)
