"""A short soak of the cache: whatever goes wrong, no answer is another question's or another caller's."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.soaking.cache_soak import BACKENDS, Soak


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Failures are the point."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_no_answer_is_wrong(backend: str, tmp_path: Path) -> None:
    soak = Soak(backend, tmp_path, seed=3)
    await soak.run(4000)
    assert soak.wrong == []
    for kind in ("hit", "miss", "left", "failed", "cut or filtered"):
        assert soak.counts[kind] > 0, soak.told()


async def test_the_soak_sees_answers_that_are_wrong(tmp_path: Path) -> None:
    soak = Soak("memory", tmp_path, seed=3, scope="shared")
    await soak.run(1000)
    assert len(soak.wrong) > 10
