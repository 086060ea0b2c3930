"""Which targets must not or cannot serve a call, and the words for it."""

from typing import Any

import pytest

from llmrouter.brands.dialect import Detour, Dialect
from llmrouter.calls import Call, Need, Preferences
from llmrouter.routing.estimates import EstimateBook
from llmrouter.routing.gates import Gate, Refusal, refuse, refuse_dear, refuse_long, refuse_refused
from llmrouter.routing.price_book import configured_sheet
from llmrouter.settings.model import DataSettings, PriceSettings, RouteSettings
from llmrouter.targets import Target
from tests.routing.samples import brand_of, call_of, target_of

WALL = 1_795_000_000.0
TEN_DOLLARS = PriceSettings(input=10, output=10)


def judged(
    target: Target, call: Call, route: RouteSettings | None = None, unsupported: frozenset[str] = frozenset()
) -> Refusal | None:
    """The refusal of a call at a target that nothing was learned of but what it does not support."""
    expected = EstimateBook().expect(call, 0.0).at(target)
    sheet = None if target.price is None else configured_sheet(target.price)
    cost_usd = None if sheet is None else sheet.estimate_usd(*expected[:3], WALL)
    return (
        refuse(target, call, route)
        or refuse_refused(call, unsupported)
        or refuse_long(target, expected.least_input_tokens)
        or refuse_dear(call.preferences.max_cost_usd, cost_usd)
    )


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
    refusal = judged(made, asking, rule)
    assert (None if refusal is None else str(refusal.why)) == reason


def test_what_the_dialect_refuses_or_lacks_leaves_the_target_out() -> None:
    target = target_of(brand=brand_of("b", refuses=frozenset({"logit_bias"}), lacks=frozenset({Need.VISION})))
    assert judged(target, call_of()) is None
    asking = call_of(members=frozenset({"logit_bias", "stop"}), needs=frozenset({Need.VISION, Need.TOOLS}))
    assert judged(target, asking) == ("it does not take: logit_bias, vision", Gate.REQUEST)


def test_the_owner_knows_better_than_the_table_what_a_model_can_do() -> None:
    brand = brand_of("b", lacks=frozenset({Need.VISION}))
    target = target_of(brand=brand, capabilities=frozenset({Need.VISION}))
    assert judged(target, call_of(needs=frozenset({Need.VISION}))) is None


def test_a_detour_may_take_what_the_straight_way_refuses() -> None:
    detour = Detour(frozenset({"tools"}), Dialect(wire_format="openai_responses"))
    target = target_of(brand=brand_of("b", refuses=frozenset({"tools"}), detours=(detour,)))
    assert judged(target, call_of(members=frozenset({"tools"}))) is None


def test_what_was_learned_leaves_the_target_out_unless_it_can_be_done_without() -> None:
    call = call_of(members=frozenset({"temperature", "logprobs"}))
    assert judged(target_of(), call, None, frozenset({"temperature"})) is None
    assert judged(target_of(), call, None, frozenset({"temperature", "logprobs", "n"})) == (
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
    refusal = judged(target, call_of(), RouteSettings(model="*", data=DataSettings(**wanted)))
    assert refusal == (None if reason is None else (reason, Gate.DEMAND))
