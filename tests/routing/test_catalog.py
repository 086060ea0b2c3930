"""Which targets the settings make, and which of them answer for a requested model."""

from fnmatch import fnmatchcase
from typing import Any

import pytest

from llmrouter.calls import Need
from llmrouter.settings.model import BreakerSettings, PriceSettings, TimeoutSettings
from tests.routing.samples import BRANDS, catalogue_of, echo

GROQ = {"type": "groq", "model": "llama"}
KEYS = {"GROQ_API_KEY": "key-of-groq", "OPENAI_API_KEY": "key-of-openai", "MINE": "key-of-mine"}


def found(requested: str, *providers: dict[str, Any], **keys: Any) -> list[str]:
    """The candidates for a requested model, by key."""
    return [target.key for target in catalogue_of(*providers, **keys).candidates(requested).targets]


def test_a_target_carries_everything_that_the_settings_say() -> None:
    provider = {
        "type": "groq",
        "name": "fast",
        "base_url": "https://elsewhere.test/v1",
        "priority": 3,
        "weight": 2,
        "extra_headers": {"X-Title": "app"},
        "circuit_breaker": {"failure_threshold": 7},
        "timeouts": {"connect": 1},
        "models": [
            {
                "id": "llama",
                "serves": ["gpt-*"],
                "price": {"input": 1, "output": 2},
                "context_window": 1000,
                "capabilities": ["tools"],
                "quality": 0.5,
                "weight": 3,
            }
        ],
    }
    (target,) = catalogue_of(provider, environ=KEYS, breaker={"recovery_seconds": 9}).targets
    assert (target.key, target.brand, target.base_url) == ("fast/llama", BRANDS["groq"], "https://elsewhere.test/v1")
    assert target.credential is not None
    assert target.credential.get_secret_value() == "key-of-groq"
    assert (target.priority, target.weight, target.quality, target.context_window) == (3, 6, 0.5, 1000)
    assert (target.extra_headers, target.serves) == ({"X-Title": "app"}, ("gpt-*",))
    assert (target.price, target.capabilities) == (PriceSettings(input=1, output=2), frozenset({Need.TOOLS}))
    assert target.breaker == BreakerSettings(failure_threshold=7, recovery_seconds=9)
    assert target.timeouts == TimeoutSettings(connect=1)


def test_without_a_base_url_the_brands_own_is_used() -> None:
    assert catalogue_of(GROQ, environ=KEYS).targets[0].base_url == "https://groq.test/v1"


@pytest.mark.parametrize("key", [None, "", "  \n"])
def test_a_provider_whose_key_is_not_set_is_left_out_with_a_warning_that_names_the_variable(key: str | None) -> None:
    catalogue = catalogue_of(GROQ, echo("e"), environ={} if key is None else {"GROQ_API_KEY": key})
    assert [target.key for target in catalogue.targets] == ["e/echo"]
    assert catalogue.warnings == ("Provider groq is left out: GROQ_API_KEY is not set.",)


def test_a_variable_that_the_settings_name_must_be_set_even_where_the_type_needs_no_key() -> None:
    server = {"type": "openai_compatible", "base_url": "https://one.test/v1", "model": "m", "api_key_env": "MINE"}
    assert catalogue_of(server).warnings == ("Provider openai_compatible is left out: MINE is not set.",)
    (target,) = catalogue_of(server, environ=KEYS).targets
    assert target.credential is not None
    assert target.credential.get_secret_value() == "key-of-mine"


def test_line_ends_around_a_key_are_not_part_of_it() -> None:
    (target,) = catalogue_of(GROQ, environ={"GROQ_API_KEY": " key-of-groq\n"}).targets
    assert target.credential is not None
    assert target.credential.get_secret_value() == "key-of-groq"


def test_with_the_callers_key_none_of_the_routers_is_needed_or_kept() -> None:
    openai = {"type": "openai", "model": "gpt-4o", "api_key": "caller"}
    for environ in ({}, KEYS):
        (target,) = catalogue_of(openai, environ=environ).targets
        assert (target.uses_caller_key, target.credential) == (True, None)


@pytest.mark.parametrize("requested", ["gpt-4o", "anything/at-all", "[odd", ""])
def test_a_provider_with_one_model_stands_in_for_every_requested_model(requested: str) -> None:
    assert found(requested, echo("e")) == ["e/echo"]


@pytest.mark.parametrize(
    ("requested", "is_found"),
    [("m-1", True), ("e/m-1", True), ("m-10", False), ("M-1", False), ("other/m-1", False), ("", False)],
)
def test_a_model_without_serves_answers_for_its_own_name_alone(requested: str, is_found: bool) -> None:
    assert bool(found(requested, echo("e", models=[{"id": "m-1"}]))) is is_found


@pytest.mark.parametrize(("model", "other"), [("m[1]", "m1"), ("m*", "mm"), ("m?", "mm")])
def test_pattern_characters_in_a_models_own_name_stand_for_themselves(model: str, other: str) -> None:
    provider = echo("e", models=[{"id": model}])
    assert (found(model, provider), found(other, provider)) == ([f"e/{model}"], [])


def test_serves_are_patterns_of_requested_names() -> None:
    providers = (
        echo("a", models=[{"id": "m", "serves": ["gpt-4o", "gpt-4o-mini*"]}]),
        echo("b", models=[{"id": "m", "serves": ["gpt-4*"]}]),
    )
    assert found("gpt-4o", *providers) == ["a/m", "b/m"]
    assert found("gpt-4o-mini-2024", *providers) == ["a/m", "b/m"]
    assert found("gpt-4.1", *providers) == ["b/m"]
    assert found("m", *providers) == []


def test_the_first_route_that_matches_says_what_may_answer_in_the_order_of_declaration() -> None:
    routes = [
        {"model": "gpt-4o*", "use": ["c/*", "a/echo"]},
        {"model": "gpt-*", "use": ["b/*"]},
    ]
    providers = (echo("a"), echo("b"), echo("c"))
    assert found("gpt-4o-mini", *providers, routes=routes) == ["a/echo", "c/echo"]
    assert found("gpt-5", *providers, routes=routes) == ["b/echo"]
    assert found("o3", *providers, routes=routes) == ["a/echo", "b/echo", "c/echo"]


def test_a_route_without_use_refines_what_serves_gives() -> None:
    catalogue = catalogue_of(
        echo("a", models=[{"id": "m", "serves": ["gpt-*"]}]),
        echo("b", models=[{"id": "m"}]),
        routes=[{"model": "gpt-*", "min_quality": 0.5}],
    )
    candidates = catalogue.candidates("gpt-4o")
    assert [target.key for target in candidates.targets] == ["a/m"]
    assert candidates.route is not None
    assert candidates.route.min_quality == 0.5
    assert catalogue.candidates("m").route is None


def test_what_is_remembered_of_requested_names_is_bounded_in_number_and_length() -> None:
    catalogue = catalogue_of(echo("e"))
    for at in range(1500):
        assert catalogue.candidates(f"model-{at}").targets == catalogue.targets
    assert catalogue.candidates("x" * 1_000_000).targets == catalogue.targets
    assert len(catalogue._known) <= 1024
    assert max(map(len, catalogue._known)) <= 256


def test_an_address_takes_its_parts_from_the_environment() -> None:
    provider = {"type": "placed", "name": "p", "model": "m"}
    environ = {"PLACED_API_KEY": "key-of-p", "PLACE_A": "here", "PLACE_B": "there"}
    assert catalogue_of(provider, environ=environ).targets[0].base_url == "https://here.test/there/v1"
    without = catalogue_of(provider, environ={"PLACED_API_KEY": "key-of-p", "PLACE_A": "here"})
    assert without.targets == ()
    assert without.warnings == ("Provider p is left out: PLACE_B, part of its address, is not set.",)


def test_a_route_matches_however_a_client_spells_the_name() -> None:
    """A demand on prompts would be avoided else."""
    catalogue = catalogue_of(echo("e"), routes=[{"model": "gpt-4o*", "min_quality": 0.9}])
    assert catalogue.candidates("GPT-4o-mini").route is catalogue.candidates("gpt-4o-mini").route is not None


def test_the_first_route_that_matches_counts_whether_it_is_a_name_or_a_pattern() -> None:
    routes = [{"model": "gpt-4[*]", "use": ["a/*"]}, {"model": "gpt-*", "use": ["b/echo", "a/echo"]}]
    routes += [{"model": "GPT-5", "use": ["c/*"]}, {"model": "o3", "use": ["c/echo"]}, {"model": "o3", "use": ["a/*"]}]
    providers = [echo(name) for name in "abc"]
    names = ("gpt-4*", "gpt-4x", "gpt-5", "O3", "o4")
    assert [found(name, *providers, routes=routes) for name in names] == [
        ["a/echo"],
        ["a/echo", "b/echo"],
        ["a/echo", "b/echo"],
        ["c/echo"],
        ["a/echo", "b/echo", "c/echo"],
    ]


def test_a_name_among_thousands_of_routes_is_looked_up_and_not_compared_with_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[str] = []

    def compare(name: str, glob: str) -> bool:
        compared.append(glob)
        return fnmatchcase(name, glob)

    models = [{"id": f"m{number}"} for number in range(2000)]
    routes = [{"model": f"m{number}", "use": [f"e/m{number}"]} for number in range(2000)]
    catalogue = catalogue_of(echo("e", models=models), routes=[*routes, {"model": "gpt-*", "use": ["e/m1"]}])
    monkeypatch.setattr("llmrouter.routing.catalog.fnmatchcase", compare)
    assert [target.key for target in catalogue.candidates("M1999").targets] == ["e/m1999"]
    assert compared == ["gpt-*"]
