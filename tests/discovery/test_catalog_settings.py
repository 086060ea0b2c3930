"""Without a configuration file the index and the environment make the settings."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from llmrouter.brands import BRANDS
from llmrouter.calls import Need
from llmrouter.discovery.catalog_settings import CatalogSettings, catalog_settings
from llmrouter.discovery.model_index import IndexedModel, ModelIndex, ModelOffer
from llmrouter.discovery.places import DEFAULT_PROVIDERS, UnknownProvider, chosen_providers
from llmrouter.routing.catalog import build_targets
from llmrouter.settings.model import Settings

KEYS = {"GROQ_API_KEY": "key-of-groq", "OPENROUTER_API_KEY": "key-of-openrouter", "NVIDIA_NIM_KEY": "key-of-nvidia"}


def model(name: str, quality: float | None, *providers: str, **more: Any) -> IndexedModel:
    """A model that these providers offer for free, or not where a name ends in `$`."""
    offers = [{"provider": p.rstrip("$"), "id": f"{p[0]}/{name}", "free": not p.endswith("$")} for p in providers]
    return IndexedModel.model_validate({"name": name, "quality": quality, "offers": offers} | more)


def made(
    *models: IndexedModel, environ: Mapping[str, str] = KEYS, providers: tuple[str, ...] = DEFAULT_PROVIDERS
) -> CatalogSettings:
    index = ModelIndex(version=1, generated_at=datetime(2026, 11, 23, tzinfo=UTC), models=models)
    return catalog_settings(index, providers, BRANDS, environ)


def answering(found: CatalogSettings, requested: str, environ: Mapping[str, str] = KEYS) -> list[str]:
    targets = build_targets(found.settings, BRANDS, environ).candidates(requested).targets
    return [target.key for target in targets]


BIG = model("big", 0.8, "groq", "openrouter$", "nvidia_nim", aliases=["the-big-one"])
SMALL = model("small", 0.4, "groq", "openrouter", "nvidia_nim")
PARTIAL = model("partial", 0.9, "groq", "openrouter")


def test_a_model_is_enabled_when_every_named_provider_advertises_it() -> None:
    found = made(SMALL, PARTIAL, BIG)
    assert found.enabled == ("big", "small")
    assert found.partial == (("partial", ("nvidia_nim",)),)
    assert made(SMALL, PARTIAL, BIG, providers=("groq", "openrouter")).enabled == ("partial", "big", "small")


def test_targets_are_the_named_providers_whose_key_is_set() -> None:
    environ = {"GROQ_API_KEY": "key-of-groq", "NVIDIA_NIM_KEY": "  ", "HUGGINGFACE_API_TOKEN": "key-of-hf"}
    found = made(BIG, environ=environ)
    assert answering(found, "big", environ) == ["groq/g/big"]
    assert found.warnings == (
        "OPENROUTER_API_KEY is not set: its provider is left out.",
        "NVIDIA_NIM_KEY is not set: its provider is left out.",
    )


@pytest.mark.parametrize("requested", ["big", "the-big-one"])
def test_a_name_of_a_model_means_that_model_alone(requested: str) -> None:
    assert answering(made(SMALL, BIG), requested) == ["groq/g/big", "openrouter/o/big", "nvidia_nim/n/big"]


def test_a_key_of_a_target_means_that_target_alone() -> None:
    assert answering(made(SMALL, BIG), "nvidia_nim/n/small") == ["nvidia_nim/n/small"]


def test_any_other_name_is_answered_by_all_models_the_better_first() -> None:
    assert answering(made(SMALL, BIG), "gpt-4o") == [
        f"{provider}/{provider[0]}/{name}" for provider in DEFAULT_PROVIDERS for name in ("big", "small")
    ]


def test_names_with_globs_in_them_are_taken_literally() -> None:
    odd = model("od[d]*", 0.5, *DEFAULT_PROVIDERS)
    assert answering(made(odd, SMALL), "od[d]*") == [f"{p}/{p[0]}/od[d]*" for p in DEFAULT_PROVIDERS]
    assert len(answering(made(odd, SMALL), "oddity")) == 6


def test_free_costs_nothing_and_what_is_paid_has_no_price_here() -> None:
    prices = {t.key: t.price for t in build_targets(made(BIG).settings, BRANDS, KEYS).targets}
    free = prices["groq/g/big"]
    assert free is not None and (free.input, free.output) == (0, 0)
    assert prices["openrouter/o/big"] is None
    assert any("openrouter/o/big" in note and "Not free" in note for note in made(BIG).notes)
    assert any("groq, nvidia_nim" in note and "free tier" in note for note in made(BIG).notes)


def test_a_provider_that_says_what_it_can_do_is_believed_and_the_inputs_of_a_model_hold_everywhere() -> None:
    told = ModelOffer(provider="openrouter", id="o/m", free=True, capabilities=(Need.TOOLS,), context_window=100)
    silent = ModelOffer(provider="nvidia_nim", id="n/m", free=True)
    sees = IndexedModel(name="m", capabilities=(Need.TOOLS, Need.VISION), context_window=900, offers=(told, silent))
    found = made(sees, providers=("openrouter", "nvidia_nim"))
    openrouter, nvidia = build_targets(found.settings, BRANDS, KEYS).targets
    assert openrouter.capabilities == frozenset({Need.TOOLS}) and openrouter.context_window == 100
    assert nvidia.capabilities == frozenset(Need) - {Need.AUDIO, Need.FILES} and nvidia.context_window == 900


def test_what_a_brand_cannot_take_is_not_claimed_for_it() -> None:
    hears = model("m", 0.5, "groq", capabilities=["audio", "vision"])
    (target,) = build_targets(made(hears, providers=("groq",)).settings, BRANDS, KEYS).targets
    assert target.capabilities is not None and Need.AUDIO not in target.capabilities


def test_what_nobody_tells_is_not_known() -> None:
    (target,) = build_targets(made(model("m", None, "groq"), providers=("groq",)).settings, BRANDS, KEYS).targets
    assert (target.capabilities, target.context_window, target.quality) == (None, None, None)


@pytest.mark.parametrize(
    ("models", "environ", "told"),
    [
        (
            (BIG,),
            {},
            "No key of groq, openrouter, nvidia_nim is set (GROQ_API_KEY, OPENROUTER_API_KEY, NVIDIA_NIM_KEY)",
        ),
        ((PARTIAL,), KEYS, "No model is advertised by all of groq, openrouter, nvidia_nim"),
        ((), KEYS, "No model is advertised"),
    ],
)
def test_with_nothing_to_serve_everything_passes_through_and_that_is_told(
    models: tuple[IndexedModel, ...], environ: Mapping[str, str], told: str
) -> None:
    found = made(*models, environ=environ)
    assert (found.settings, found.notes) == (Settings(policy="least_cost"), ())
    assert len(found.warnings) == 1 and found.warnings[0].startswith(told)


def test_an_address_of_the_environment_is_used() -> None:
    environ = KEYS | {"LLMROUTER_GROQ_BASE_URL": "http://127.0.0.1:9/v1/"}
    addresses = {
        t.provider: t.base_url for t in build_targets(made(BIG, environ=environ).settings, BRANDS, environ).targets
    }
    assert addresses["groq"] == "http://127.0.0.1:9/v1"
    assert addresses["openrouter"] == BRANDS["openrouter"].base_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, DEFAULT_PROVIDERS), (" , ", DEFAULT_PROVIDERS), (" Groq, nvidia-nim ,groq", ("groq", "nvidia_nim"))],
)
def test_the_list_of_providers_is_read_kindly(text: str | None, expected: tuple[str, ...]) -> None:
    assert chosen_providers(text, BRANDS) == expected


@pytest.mark.parametrize("name", ["grok", "openai_compatible", "echo"])
def test_a_name_that_is_no_provider_with_a_list_is_told(name: str) -> None:
    with pytest.raises(UnknownProvider, match=r"[Tt]here are"):
        chosen_providers(f"openrouter,{name}", BRANDS)
