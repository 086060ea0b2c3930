"""Which names are listed, and who stands behind them."""

from llmrouter.errors import Outcome
from llmrouter.routing.health import HealthBook
from llmrouter.routing.served_models import served_model, served_models
from tests.routing.samples import catalogue_of, echo

CATALOGUE = catalogue_of(
    echo("one", models=[{"id": "small", "serves": ["gpt-4o-mini", "gpt-5*", "odd[*]name"]}, {"id": "own"}]),
    echo("two", models=[{"id": "small", "serves": ["gpt-4o-mini"]}]),
    echo("all", model="big"),
    routes=[{"model": "gpt-5-nano", "use": ["two/*"]}, {"model": "o*", "use": ["one/own"]}],
)


def told(health: HealthBook) -> dict[str, list[str]]:
    models = served_models(CATALOGUE, health, 0.0)
    return {model.name: [target.key for target in model.available] for model in models}


def test_every_name_that_is_written_out_is_listed_once_with_all_behind_it() -> None:
    assert told(HealthBook()) == {
        "gpt-4o-mini": ["one/small", "two/small", "all/big"],
        "odd*name": ["one/own"],
        "small": ["all/big"],
        "one/small": ["one/own"],
        "own": ["one/own"],
        "one/own": ["one/own"],
        "two/small": ["all/big"],
        "big": ["all/big"],
        "all/big": ["all/big"],
        "gpt-5-nano": ["two/small"],
    }


def test_who_rests_is_told_apart_and_a_name_that_nobody_answers_is_not_listed() -> None:
    health = HealthBook()
    for target in CATALOGUE.targets:
        if target.provider == "two":
            health.record(target, Outcome.RATE_LIMITED, 60.0, None, 0.0)
    model = served_model(CATALOGUE, health, "gpt-4o-mini", 1.0)
    assert model is not None
    assert [target.key for target in model.resting] == ["two/small"]
    assert "gpt-5-nano" not in told(health)
    assert served_model(CATALOGUE, health, "gpt-5-nano", 1.0) is None
    assert served_model(CATALOGUE, health, "gpt-5-nano", 61.0) is not None
