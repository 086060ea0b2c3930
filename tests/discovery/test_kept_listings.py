"""Listings outlast the process, and a broken file is none."""

import logging
from pathlib import Path

import pytest

from llmrouter.discovery.kept_listings import load_listings, save_listings
from llmrouter.routing.price_sheets import Hours, Override, PriceSheet

LISTINGS = {
    "https://one.test/v1/models": {
        "a/m": PriceSheet(
            input=0.1,
            output=0.2,
            cached_input=0.05,
            per_request_usd=0.01,
            overrides=(
                Override(from_tokens=5, input=1.0),
                Override(hours=Hours(60, 120, frozenset({0, 6})), output=2.0),
            ),
            source="listed by one",
            read_at=1_795_000_000.5,
        )
    },
    "https://two.test/v1/models": {},
}


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    """Every part of a sheet; the folder is made, an earlier file replaced, and no draft is left."""
    file = tmp_path / "state" / "listings.json"
    assert load_listings(file) == {}
    save_listings(file, {"https://old.test": {}})
    save_listings(file, LISTINGS)
    assert load_listings(file) == LISTINGS
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b'{"u": {"m": {"input": "1", "output": 2, "source": "x"}}}', b'{"u": {"m": {}}}', b"\xff"],
)
def test_a_broken_file(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: bytes) -> None:
    """It is told, and there is nothing kept."""
    file = tmp_path / "listings.json"
    file.write_bytes(text)
    with caplog.at_level(logging.WARNING):
        assert load_listings(file) == {}
    assert str(file) in caplog.text


def test_a_place_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is told, and nothing else happens."""
    (tmp_path / "state").write_text("a file, not a folder")
    with caplog.at_level(logging.WARNING):
        save_listings(tmp_path / "state" / "listings.json", LISTINGS)
    assert "cannot be kept" in caplog.text
