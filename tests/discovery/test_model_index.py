"""The index file: what is right is read and written back, what is wrong is told by its place."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from llmrouter.brands import BRANDS
from llmrouter.calls import Need
from llmrouter.discovery.canonical import canonical_name
from llmrouter.discovery.index_source import shipped_index
from llmrouter.discovery.model_index import MAX_BYTES, MOST_MODELS, ModelIndexError, encode_index, parse_index
from llmrouter.discovery.places import DEFAULT_PROVIDERS

OFFER = {"provider": "groq", "id": "a/m", "free": True}
INDEX = {
    "version": 1,
    "generated_at": "2026-11-23T00:00:00Z",
    "models": [
        {
            "name": "m",
            "aliases": ["a/m"],
            "context_window": 10,
            "capabilities": ["tools"],
            "quality": 0.5,
            "offers": [OFFER],
        }
    ],
}


def with_model(**changes: Any) -> bytes:
    return orjson.dumps(INDEX | {"models": [{"name": "m", "offers": [OFFER]} | changes]})


def test_what_is_written_is_read() -> None:
    index = parse_index(orjson.dumps(INDEX | {"later": "key"}))
    assert index.generated_at == datetime(2026, 11, 23, tzinfo=UTC)
    assert index.models[0].capabilities == (Need.TOOLS,)
    assert parse_index(encode_index(index)) == parse_index(encode_index(index, pretty=True)) == index


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"{", "no JSON"),
        (b"[]", "object"),
        (b"\xff", "no JSON"),
        (b" " * (MAX_BYTES + 1), "bytes"),
        (orjson.dumps(INDEX | {"models": [{}] * (MOST_MODELS + 1)}), "has 10001 models, and 10000 are the most"),
        (orjson.dumps(INDEX | {"version": 2}), "version"),
        (orjson.dumps(INDEX | {"generated_at": "2026-11-23T00:00:00"}), "generated_at"),
        (orjson.dumps(INDEX | {"generated_at": 1}), "generated_at"),
        (with_model(offers=[]), "models[0].offers"),
        (with_model(offers=[OFFER | {"free": "yes"}]), "models[0].offers[0].free"),
        (with_model(offers=[OFFER, OFFER]), "more than one offer of groq"),
        (with_model(quality=2), "models[0].quality"),
        (with_model(context_window=0), "models[0].context_window"),
        (with_model(capabilities=["flying"]), "models[0].capabilities[0]"),
        (with_model(name="two words"), "models[0].name"),
        (with_model(name="x" * 257), "models[0].name"),
        (orjson.dumps(INDEX | {"models": INDEX["models"] * 2}), "more than one model answers to a/m, m"),  # type: ignore[operator]  # the value of a literal above
    ],
)
def test_what_is_wrong_is_told_by_its_place(text: bytes, told: str) -> None:
    with pytest.raises(ModelIndexError) as error:
        parse_index(text)
    assert told in str(error.value)


def test_many_mistakes_are_not_all_told_nor_any_value() -> None:
    broken = [{"name": f"secret {n}", "offers": [OFFER]} for n in range(1000)]
    with pytest.raises(ModelIndexError) as error:
        parse_index(orjson.dumps(INDEX | {"models": broken}))
    assert "and 990 more" in str(error.value) and "secret" not in str(error.value)


def test_the_shipped_index_enables_models_for_the_default_providers() -> None:
    index = shipped_index()
    enabled = [m.name for m in index.models if all(m.offer_of(name) for name in DEFAULT_PROVIDERS)]
    assert len(enabled) >= 2
    assert "not from the providers' own lists" in index.source


def test_the_shipped_index_follows_the_rules_of_the_builder() -> None:
    for model in shipped_index().models:
        for offer in model.offers:
            assert offer.provider in BRANDS
            assert canonical_name(offer.provider, offer.id) == model.name
            assert offer.free is not (offer.provider == "openrouter" and not offer.id.endswith(":free"))
