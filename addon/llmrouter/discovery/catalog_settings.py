"""The settings where there is no configuration file: made of the model index and the environment alone (design 6.1).

A model is enabled when every provider of LLMROUTER_PROVIDERS advertises it: when one fails, the others have the very
same model. Its targets are those of them whose key is set. Each name of an enabled model (canonical, alias, id,
provider/id) is answered by that model alone; every other requested name by all enabled models, since an app that asks
for a model of OpenAI has no name for them. Models are declared best first, and free offers cost 0, so that `least_cost`
takes free ones before paid ones, whose price is not known here, and the better model before the worse until it knows
which is faster.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from glob import escape

from llmrouter.brands.brand import Brand
from llmrouter.calls import Need
from llmrouter.discovery.advertised import FREE_TIERS
from llmrouter.discovery.model_index import IndexedModel, ModelIndex, ModelOffer
from llmrouter.discovery.places import base_url_of, base_url_variable, key_of
from llmrouter.settings.model import AdvertisedPrice, ModelSettings, ProviderSettings, RouteSettings, Settings

_FREE = AdvertisedPrice(input=0.0, output=0.0)
# What a model takes in is its own; what a server does beside that is tried, and what it refuses is learned.
_INPUTS = frozenset({Need.VISION, Need.AUDIO, Need.FILES})
_SERVER_SIDE = frozenset(Need) - _INPUTS


@dataclass(frozen=True, slots=True)
class CatalogSettings:
    """The settings and how they came about, for people.

    `providers` must all advertise a model; `keyed` are those of them whose key is set, `key_variables` are the
    variables of the others; `enabled` are canonical names, best first; `partial` are the models that only some
    advertise, with those that do not.
    """

    settings: Settings
    providers: tuple[str, ...]
    keyed: tuple[str, ...]
    key_variables: tuple[str, ...]
    enabled: tuple[str, ...]
    partial: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody should do something about; empty where all is well."""
        named = ", ".join(self.providers)
        if not self.keyed:
            return (f"No key of {named} is set ({', '.join(self.key_variables)}): everything goes to OpenAI.",)
        if not self.enabled:
            return (f"No model is advertised by all of {named}: everything goes to OpenAI. Name fewer of them in"
                    " LLMROUTER_PROVIDERS, or write a configuration.",)  # fmt: skip
        return tuple(f"{variable} is not set: its provider is left out." for variable in self.key_variables)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is good to know, in the words of `llmrouter serve`."""
        if not self.keyed or not self.enabled:
            return ()
        notes = [f"No configuration: {', '.join(self.keyed)} answer with {', '.join(self.enabled)}."]
        if tiers := [name for name in self.keyed if name in FREE_TIERS]:
            notes.append(
                f"What {', '.join(tiers)} take is counted as nothing, which is right for their free tiers. If your"
                " account pays there, write a configuration with prices."
            )
        paid = [f"{p.name}/{model.id}" for p in self.settings.providers for model in p.models if model.price is None]
        if paid:
            notes.append(f"Not free, and taken when the free ones cannot answer: {', '.join(paid)}.")
        return tuple(notes)


def catalog_settings(
    index: ModelIndex,
    providers: Iterable[str],
    brands: Mapping[str, Brand],
    environ: Mapping[str, str],
    policy: str = "least_cost",
) -> CatalogSettings:
    """The settings that serve the index's models at `providers` (brands, see `chosen_providers`).

    Where nothing can be served there are no providers and no routes, so that everything passes through.
    """
    named = tuple(providers)
    models = sorted(index.models, key=lambda model: -(model.quality or 0.0))
    enabled = [model for model in models if not _missing(model, named)]
    keyed = tuple(name for name in named if key_of(brands[name], environ) or not brands[name].key_required)
    is_served = bool(enabled and keyed)
    settings = Settings(
        providers=tuple(_provider(brands[name], enabled, environ) for name in keyed) if is_served else (),
        routes=tuple(_routes(enabled, keyed)) if is_served else (),
        policy=policy,
    )
    return CatalogSettings(
        settings=settings,
        providers=named,
        keyed=keyed,
        key_variables=tuple(brands[name].key_env or name for name in named if name not in keyed),
        enabled=tuple(model.name for model in enabled),
        partial=tuple((model.name, missing) for model in models if (missing := _missing(model, named))),
    )


def _missing(model: IndexedModel, named: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in named if model.offer_of(name) is None)


def _provider(brand: Brand, enabled: Iterable[IndexedModel], environ: Mapping[str, str]) -> ProviderSettings:
    models = tuple(
        _model_settings(model, offer, brand) for model in enabled if (offer := model.offer_of(brand.name)) is not None
    )
    if environ.get(base_url_variable(brand.name), "").strip():
        return ProviderSettings(type=brand.name, base_url=base_url_of(brand, environ), models=models)
    return ProviderSettings(type=brand.name, models=models)


def _model_settings(model: IndexedModel, offer: ModelOffer, brand: Brand) -> ModelSettings:
    return ModelSettings(
        id=offer.id,
        serves=("*",),
        price=_FREE if offer.free else None,
        context_window=offer.context_window or model.context_window,
        capabilities=_capabilities(model, offer, brand),
        quality=model.quality,
    )


def _capabilities(model: IndexedModel, offer: ModelOffer, brand: Brand) -> tuple[Need, ...] | None:
    """What the provider says; where it says nothing, the inputs that the model takes elsewhere, and all the rest."""
    able: frozenset[Need]
    if offer.capabilities is not None:
        able = frozenset(offer.capabilities)
    elif model.capabilities is not None:
        able = (frozenset(model.capabilities) & _INPUTS) | _SERVER_SIDE
    else:
        return None
    able -= brand.dialect_for(offer.id).lacks
    return tuple(need for need in Need if need in able)


def _routes(enabled: Iterable[IndexedModel], keyed: Iterable[str]) -> Iterable[RouteSettings]:
    """A route for each name, so that it means that model alone; globs in names are taken literally."""
    seen: set[str] = set()
    for model in enabled:
        offers = [offer for name in keyed if (offer := model.offer_of(name)) is not None]
        keys = {f"{offer.provider}/{offer.id}": (escape(f"{offer.provider}/{offer.id}"),) for offer in offers}
        everywhere = tuple(key for own in keys.values() for key in own)
        names = {name: everywhere for name in (model.name, *model.aliases, *(offer.id for offer in model.offers))}
        for name, use in (names | keys).items():
            if name not in seen:
                seen.add(name)
                yield RouteSettings(model=escape(name), use=use)
