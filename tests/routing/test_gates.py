"""Which targets must not or cannot serve a call, and the words for it."""

from typing import Any

import pytest

from llmrouter.brands.dialect import Detour, Dialect
from llmrouter.calls import Need, Preferences
from llmrouter.routing.gates import Gate, expected_usd, refuse
from llmrouter.routing.price_book import configured_sheet
from llmrouter.settings.model import DataSettings, PriceSettings, RouteSettings
from tests.routing.samples import brand_of, call_of, target_of

WALL = 1_795_000_000.0
TEN_DOLLARS = PriceSettings(input=10, output=10)


@pytest.mark.parametrize(
    ("target", "call", "route", "reason"),
    [
        ({}, {}, {}, None),
        ({}, {"preferences": Preferences(provider="one")}, {}, None),
        ({}, {"preferences": Preferences(provider="two")}, {}, "the client asked for provider two"),
        ({"capabilities": frozenset({Need.TOOLS})}, {"needs": frozenset({Need.TOOLS})}, {}, None),
        (
            {"capabilities": frozenset({Need.TOOLS})},
            {"needs": frozenset({Need.TOOLS, Need.VISION, Need.AUDIO})},
            {},
            "it cannot do: audio, vision",
        ),
        ({"capabilities": None}, {"needs": frozenset({Need.VISION})}, {}, None),
        ({"context_window": 100}, {"input_characters": 600}, {}, None),
        (
            {"context_window": 100},
            {"input_characters": 606},
            {},
            "the prompt has at least 101 tokens, and its window is 100",
        ),
        ({"context_window": None}, {"input_characters": 10**9}, {}, None),
        ({"quality": 0.6}, {}, {"min_quality": 0.6}, None),
        ({"quality": 0.5}, {}, {"min_quality": 0.6}, "its quality is 0.5, and the route wants 0.6"),
        ({"quality": None}, {}, {"min_quality": 0.6}, "its quality is not known, and the route wants 0.6"),
        ({"quality": None}, {}, {"min_quality": None}, None),
        ({"price": TEN_DOLLARS}, {"preferences": Preferences(max_cost_usd=0.0051)}, {}, None),
        (
            {"price": TEN_DOLLARS},
            {"preferences": Preferences(max_cost_usd=0.0049)},
            {},
            "it would cost about $0.005000, and the client allows $0.0049",
        ),
        (
            {"price": None},
            {"preferences": Preferences(max_cost_usd=1)},
            {},
            "its price is not known, and the client allows $1",
        ),
    ],
)
def test_what_is_refused_and_why(
    target: dict[str, Any], call: dict[str, Any], route: dict[str, Any], reason: str | None
) -> None:
    rule = RouteSettings(model="*", **route) if route else None
    made, asking = target_of("one/m", **target), call_of(**call)
    sheet = None if made.price is None else configured_sheet(made.price)
    refusal = refuse(made, asking, rule, expected_usd=expected_usd(sheet, asking, WALL))
    assert (None if refusal is None else refusal.reason) == reason


@pytest.mark.parametrize(("limit", "output_tokens"), [(None, 500), (20, 20), (100_000, 500)])
def test_the_expected_cost_takes_the_clients_limit_where_it_is_lower_than_the_usual_output(
    limit: int | None, output_tokens: int
) -> None:
    sheet = configured_sheet(PriceSettings(input=4, output=10))
    call = call_of(input_characters=4000, max_output_tokens=limit)
    assert expected_usd(sheet, call, WALL) == pytest.approx((4 * 1000 + 10 * output_tokens) / 1_000_000)


def test_what_the_dialect_refuses_or_lacks_leaves_the_target_out() -> None:
    target = target_of(brand=brand_of("b", refuses=frozenset({"logit_bias"}), lacks=frozenset({Need.VISION})))
    assert refuse(target, call_of(), None) is None
    asking = call_of(members=frozenset({"logit_bias", "stop"}), needs=frozenset({Need.VISION, Need.TOOLS}))
    assert refuse(target, asking, None) == ("it does not take: logit_bias, vision", Gate.REQUEST)


def test_the_owner_knows_better_than_the_table_what_a_model_can_do() -> None:
    brand = brand_of("b", lacks=frozenset({Need.VISION}))
    target = target_of(brand=brand, capabilities=frozenset({Need.VISION}))
    assert refuse(target, call_of(needs=frozenset({Need.VISION})), None) is None


def test_a_detour_may_take_what_the_straight_way_refuses() -> None:
    detour = Detour(frozenset({"tools"}), Dialect(wire_format="openai_responses"))
    target = target_of(brand=brand_of("b", refuses=frozenset({"tools"}), detours=(detour,)))
    assert refuse(target, call_of(members=frozenset({"tools"})), None) is None


def test_what_was_learned_leaves_the_target_out_unless_it_can_be_done_without() -> None:
    call = call_of(members=frozenset({"temperature", "logprobs"}))
    assert refuse(target_of(), call, None, frozenset({"temperature"})) is None
    assert refuse(target_of(), call, None, frozenset({"temperature", "logprobs", "n"})) == (
        "it does not take: logprobs",
        Gate.REQUEST,
    )


PRIVACY: list[tuple[dict[str, Any], dict[str, Any], str | None]] = [
    ({}, {"trains_on_prompts": True}, None),
    ({"trains_on_prompts": False}, {"trains_on_prompts": False}, None),
    ({"trains_on_prompts": True}, {"trains_on_prompts": False}, "it trains on prompts, and the route forbids that"),
    ({}, {"trains_on_prompts": False}, "it may train on prompts, and the route forbids that"),
    ({"region": "eu"}, {"region": "eu"}, None),
    ({"region": "us"}, {"region": "eu"}, "its region is us, and the route wants eu"),
    ({}, {"region": "eu"}, "its region is not known, and the route wants eu"),
]


@pytest.mark.parametrize(("known", "wanted", "reason"), PRIVACY)
def test_prompts_go_only_where_the_route_lets_them(
    known: dict[str, Any], wanted: dict[str, Any], reason: str | None
) -> None:
    target = target_of(data=DataSettings(**known))
    refusal = refuse(target, call_of(), RouteSettings(model="*", data=DataSettings(**wanted)))
    assert refusal == (None if reason is None else (reason, Gate.DEMAND))
