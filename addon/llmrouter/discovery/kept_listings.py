"""The last good listings, kept in a file, so that prices are known after a start without a network."""

import logging
import os
from pathlib import Path

import msgspec

from llmrouter.routing.price_sheets import PriceSheet

logger = logging.getLogger(__name__)

KEPT_LISTINGS = Path("state") / "price_listings.json"
"""Where they are kept, beside what else must last."""

type KeptListings = dict[str, dict[str, PriceSheet]]
"""Sheets by the address of the listing and the provider's id of the model."""

_decoder = msgspec.json.Decoder(dict[str, dict[str, PriceSheet]])


def load_listings(file: Path) -> KeptListings:
    """The kept listings; none where there is no such file, or, with a warning, where it cannot be read."""
    try:
        return _decoder.decode(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        logger.warning("The kept price listings in %s cannot be read: %s", file, error)
        return {}


def save_listings(file: Path, listings: KeptListings) -> None:
    """Replaces the file at once, so that a reader never sees half of it; a failure is a warning."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(msgspec.json.encode(listings))
        draft.replace(file)
    except OSError as error:
        logger.warning("The price listings cannot be kept in %s: %s", file, error)
