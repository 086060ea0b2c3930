"""A bar on the terminal while providers are asked."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from llmrouter.discovery.builder import Answer


@contextmanager
def progress(total: int) -> Iterator[Callable[[Answer], None]]:
    """What is to be called with each provider's answer; shown on standard error, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda answer: None
        return
    with click.progressbar(
        length=total, label="Asking providers", file=sys.stderr, item_show_func=lambda name: name or ""
    ) as bar:

        def step(answer: Answer) -> None:
            bar.update(1, answer.provider)

        yield step
