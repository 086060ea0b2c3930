"""Each provider's listing gives prices per million tokens, and what it does not tell stays unknown."""

from typing import Any

import pytest

from llmrouter.discovery.listings import LISTERS
from llmrouter.routing.price_sheets import Hours, Override, PriceSheet

NOW = 1_795_000_000.0


def read(brand: str, document: Any) -> dict[str, PriceSheet]:
    """The sheets of a listing of this brand."""
    return LISTERS[brand].read(document, NOW)


def openrouter(id: str = "a/m", architecture: Any = None, **pricing: Any) -> PriceSheet | None:
    """The sheet of one model that OpenRouter lists at $0.15 and $0.60, unless `pricing` says otherwise."""
    prices = {"prompt": "0.00000015", "completion": "0.0000006"} | pricing
    row = {"id": id, "pricing": prices, "architecture": architecture}
    return read("openrouter", {"data": [row]}).get(id)


def test_openrouter() -> None:
    """Strings per token become dollars per million, exactly."""
    sheet = openrouter(input_cache_read="0.000000075", input_cache_write="0.0000002", request="0.01", image="0.002")
    assert sheet == PriceSheet(
        input=0.15,
        output=0.6,
        cached_input=0.075,
        cache_write=0.2,
        per_request_usd=0.01,
        source="listed by openrouter",
        read_at=NOW,
    )


def test_openrouter_overrides() -> None:
    """A long prompt, hours, and both; prices that an entry does not have stay as they are."""
    sheet = openrouter(
        overrides=[
            {"min_prompt_tokens": 200_000, "prompt": "0.0000003", "completion": "0.0000009"},
            {"utc_start": "1630", "utc_end": "0030", "prompt": "0.00000007", "min_prompt_tokens": None},
            {"utc_start": 0, "utc_end": 2400, "min_prompt_tokens": 10, "input_cache_read": "0.00000001"},
        ]
    )
    assert sheet is not None
    assert sheet.overrides == (
        Override(from_tokens=200_000, input=0.3, output=0.9),
        Override(hours=Hours(59_400, 1800), input=0.07),
        Override(from_tokens=10, hours=Hours(0, 86_400), cached_input=0.01),
    )


@pytest.mark.parametrize(
    "entry",
    [
        {"prompt": "1"},
        "odd",
        {"min_prompt_tokens": "many", "prompt": "0.1"},
        {"min_prompt_tokens": True, "prompt": "0.1"},
        {"utc_start": "1630", "prompt": "0.1"},
        {"utc_start": "1660", "utc_end": "1800"},
        {"utc_start": "2401", "utc_end": "0100"},
        {"utc_start": "4:30", "utc_end": "0100"},
        {"utc_start": "0100", "utc_end": "0200", "utc_days": ["mon"]},
        {"min_prompt_tokens": 1, "max_prompt_tokens": 5},
    ],
)
def test_a_condition_that_is_not_understood_makes_the_price_unknown(entry: Any) -> None:
    """The base price alone could be the wrong one at any time."""
    assert openrouter(overrides=[entry]) is None


@pytest.mark.parametrize(("discount", "expected"), [(0.25, 0.1125), (0, 0.15), (None, 0.15)])
def test_openrouter_discount(discount: float | None, expected: float) -> None:
    """It lowers every price."""
    sheet = openrouter(discount=discount, input_cache_read="0.00000015")
    assert sheet is not None
    assert (sheet.input, sheet.cached_input) == (expected, expected)
    assert sheet.output == pytest.approx(expected * 4)


@pytest.mark.parametrize(
    "odd", [None, "", "-1", "free", "NaN", "inf", "1e999999", "9" * 50, True, [], {}, 1.0, "0", "0.0"]
)
def test_an_odd_price_is_not_known(odd: Any) -> None:
    """Neither is a dollar for a token, nor 0 without a mark; -1 stands at models that are routers."""
    assert openrouter(prompt=odd) is None
    assert openrouter(completion=odd) is None


@pytest.mark.parametrize(("id", "is_free"), [("a/m:free", True), ("a/m", False), ("a/free", False)])
def test_openrouter_free(id: str, is_free: bool) -> None:
    """Free is what is marked and costs 0."""
    sheet = openrouter(id, prompt="0", completion="0.000")
    assert (sheet is not None and sheet.is_free) is is_free
    assert openrouter("a/m:free", prompt=None) is None
    assert (dear := openrouter("a/m:free")) is not None
    assert not dear.is_free


def test_an_odd_price_per_request_makes_the_price_unknown() -> None:
    """A part that is not understood could be the dearest one."""
    assert openrouter(request="-1") is None
    assert openrouter(request=None) == openrouter(request="0")


def test_embeddings_have_no_output_to_pay() -> None:
    """Their output price is 0 or missing."""
    for made in ("0", None):
        sheet = openrouter(architecture={"output_modalities": ["embeddings"]}, completion=made)
        assert sheet is not None
        assert (sheet.input, sheet.output) == (0.15, 0.0)
    assert openrouter(architecture={"output_modalities": ["embeddings"]}, prompt="0", completion="0") is None


def test_together() -> None:
    """A bare array in dollars per million."""
    rows = [
        {"id": "a/one", "type": "chat", "pricing": {"input": 0.88, "output": 1.2, "hourly": 0, "base": 0}},
        {"id": "a/two-Free", "type": "chat", "pricing": {"input": 0, "output": 0}},
        {"id": "a/dedicated", "type": "chat", "pricing": {"input": 0, "output": 0, "hourly": 5}},
        {"id": "a/embed", "type": "embedding", "pricing": {"input": 0.02, "output": 0}},
        {"id": "a/image", "type": "image"},
    ]
    sheets = read("together", rows)
    assert {id: (sheet.input, sheet.output) for id, sheet in sheets.items()} == {
        "a/one": (0.88, 1.2),
        "a/two-Free": (0, 0),
        "a/embed": (0.02, 0),
    }
    assert {(sheet.source, sheet.read_at) for sheet in sheets.values()} == {("listed by together", NOW)}


def test_deepinfra() -> None:
    """Prices stand in the metadata, which may be missing."""
    told = {"input_tokens": 0.1, "output_tokens": 0.4, "cache_read_tokens": 0.02}
    rows = [
        {"id": "a/one", "metadata": {"context_length": 8192, "pricing": told}},
        {"id": "a/two", "metadata": {"pricing": {"input_tokens": 0.1, "output_tokens": 0.4}}},
        {"id": "a/zero", "metadata": {"pricing": {"input_tokens": 0, "output_tokens": 0}}},
        {"id": "a/none", "metadata": None},
    ]
    assert read("deepinfra", {"data": rows}) == {
        "a/one": PriceSheet(input=0.1, output=0.4, cached_input=0.02, source="listed by deepinfra", read_at=NOW),
        "a/two": PriceSheet(input=0.1, output=0.4, source="listed by deepinfra", read_at=NOW),
    }


def huggingface(*providers: Any) -> dict[str, tuple[float, float]]:
    """Input and output price by model id, for one model that these companies serve."""
    sheets = read("huggingface", {"data": [{"id": "a/m", "providers": list(providers)}]})
    return {id: (sheet.input, sheet.output) for id, sheet in sheets.items()}


def offer(provider: str, given: float | None, made: float | None, **keys: Any) -> dict[str, Any]:
    """One company's offer."""
    return {"provider": provider, "status": "live", "pricing": {"input": given, "output": made}} | keys


def test_huggingface_companies() -> None:
    """Each company has its own price, the cheapest is told by its output; which is the fastest is not known."""
    dear, cheap = offer("groq", 0.1, 0.8), offer("together", 0.2, 0.6)
    down, odd = offer("novita", 0.01, 0.01, status="error"), {"provider": 5}
    assert huggingface(dear, cheap, down, odd, "odd") == {
        "a/m:groq": (0.1, 0.8),
        "a/m:together": (0.2, 0.6),
        "a/m:cheapest": (0.2, 0.6),
    }


def test_huggingface_with_one_price() -> None:
    """Where all take the same, the model's own name has that price, too."""
    same = offer("groq", 0.1, 0.8), offer("together", 0.1, 0.8)
    expected = ["a/m", "a/m:cheapest", "a/m:fastest", "a/m:groq", "a/m:together"]
    assert sorted(huggingface(*same)) == expected
    assert set(huggingface(*same).values()) == {(0.1, 0.8)}


def test_huggingface_with_a_missing_price() -> None:
    """Of which nobody knows whether it is the cheapest."""
    assert huggingface(offer("groq", 0.1, 0.8), offer("x", None, None), offer("y", 0, 0)) == {"a/m:groq": (0.1, 0.8)}
    assert huggingface(offer("y", 0, 0, is_free=True))["a/m"] == (0, 0)
    assert huggingface() == {}


def test_xai() -> None:
    """30000 cents for 100 million tokens are $3 for a million."""
    row = {
        "id": "grok-x",
        "aliases": ["grok-x-latest", 5],
        "prompt_text_token_price": 30_000,
        "cached_prompt_text_token_price": 7_500,
        "completion_text_token_price": 150_000,
    }
    sheet = PriceSheet(input=3.0, output=15.0, cached_input=0.75, source="listed by xai", read_at=NOW)
    unpriced = {"id": "grok-y", "prompt_text_token_price": 0, "completion_text_token_price": 0}
    assert read("xai", {"models": [row, unpriced]}) == {"grok-x": sheet, "grok-x-latest": sheet}


@pytest.mark.parametrize("brand", list(LISTERS))
@pytest.mark.parametrize("document", [None, "text", 5, {}, {"data": {}}, {"models": None}, {"error": "no"}])
def test_what_is_no_listing_is_refused(brand: str, document: Any) -> None:
    """An error page must not be taken for an empty listing."""
    with pytest.raises(ValueError, match="no list of models"):
        read(brand, document)


@pytest.mark.parametrize("brand", list(LISTERS))
@pytest.mark.parametrize(
    "row",
    [
        *(None, 5, "x", {}, {"id": 5}, {"id": ""}, {"id": "a", "pricing": 5}, {"id": "a", "pricing": []}),
        {"id": "a", "metadata": [], "providers": {}, "aliases": 3, "architecture": 4, "pricing": {"overrides": 7}},
    ],
)
def test_odd_rows_are_passed_over(brand: str, row: Any) -> None:
    """They have no price, and break nothing."""
    key = "models" if brand == "xai" else "data"
    assert read(brand, [row] if brand == "together" else {key: [row]}) == {}
