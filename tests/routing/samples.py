"""Targets, calls and settings for the tests of routing, built as the router itself builds them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from llmrouter.brands.brand import Brand
from llmrouter.brands.dialect import Dialect
from llmrouter.calls import Call, Endpoint, JsonObject
from llmrouter.replies import Usage
from llmrouter.routing.catalog import Catalogue, build_targets
from llmrouter.routing.health import HealthBook
from llmrouter.routing.plan import Plan, Router
from llmrouter.routing.policies import Policy
from llmrouter.routing.price_book import PriceBook
from llmrouter.settings.model import Settings
from llmrouter.targets import Target


def brand_of(name: str, base_url: str | None = None, key_env: str | None = None, **dialect: Any) -> Brand:
    """A row of an imaginary brand table; `dialect` are fields of its dialect."""
    return Brand(
        name=name,
        base_url=base_url,
        key_env=key_env,
        dialect=Dialect(**{"wire_format": "openai_compatible", **dialect}),
        source="tests",
        key_required=key_env is not None,
    )


BRANDS = {
    brand.name: brand
    for brand in (
        brand_of("echo", wire_format="echo"),
        brand_of("openai", "https://openai.test/v1", "OPENAI_API_KEY"),
        brand_of("groq", "https://groq.test/v1", "GROQ_API_KEY"),
        brand_of("placed", "https://{PLACE_A}.test/{PLACE_B}/v1", "PLACED_API_KEY"),
        brand_of("openai_compatible"),
    )
}


def target_of(key: str = "one/m", **fields: Any) -> Target:
    """A target by its key; every other field may be given."""
    provider, model = key.split("/", 1)
    defaults: dict[str, Any] = {"brand": BRANDS["openai_compatible"], "base_url": "https://one.test/v1"}
    return Target(provider=provider, model=model, **(defaults | fields))


def call_of(model: str = "gpt-4o", **fields: Any) -> Call:
    """A chat call for a model; every other field may be given."""
    return Call(id="call-1", endpoint=Endpoint.CHAT_COMPLETIONS, body=JsonObject(b"{}"), model=model, **fields)


def settings_of(*providers: Mapping[str, Any], **keys: Any) -> Settings:
    """Settings as YAML would give them."""
    return Settings.model_validate({"providers": list(providers)} | keys)


def catalogue_of(*providers: Mapping[str, Any], environ: Mapping[str, str] | None = None, **keys: Any) -> Catalogue:
    """The targets of such settings."""
    return build_targets(settings_of(*providers, **keys), BRANDS, environ or {})


def router_of(
    *providers: Mapping[str, Any],
    health: HealthBook | None = None,
    custom: Mapping[str, Policy] = MappingProxyType({}),
    **keys: Any,
) -> Router:
    """A router over such settings, and with such policies of its owner's own."""
    settings = settings_of(*providers, **keys)
    catalogue = build_targets(settings, BRANDS, {})
    book = HealthBook() if health is None else health
    return Router(settings, catalogue, book, PriceBook(catalogue.targets), custom=custom)


def echo(name: str, **keys: Any) -> dict[str, Any]:
    """A provider of type echo that stands in for every model, unless `models` are given."""
    return {"type": "echo", "name": name} | keys


def keys_of(plan: Plan) -> list[str]:
    """The planned targets by key, in order."""
    return [target.key for target in plan.targets]


def reasons_of(plan: Plan) -> dict[str, str]:
    """Why each other target was left out."""
    return {left.target.key: left.reason for left in plan.left_out}


def usage_of(given: int, made: int, cached: int = 0) -> Usage:
    """A usage of so many input, output and cached tokens."""
    return Usage(given, made, cached)
