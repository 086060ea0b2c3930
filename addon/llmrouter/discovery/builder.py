"""A model index made of what providers advertise; pure: what was asked comes in, an index goes out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from llmrouter.calls import Need
from llmrouter.discovery.advertised import Advertised
from llmrouter.discovery.canonical import canonical_name
from llmrouter.discovery.curation import Curation
from llmrouter.discovery.model_index import IndexedModel, ModelIndex, ModelOffer
from llmrouter.discovery.quality import quality_of


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider advertises; `error` says why it did not answer, then `models` is empty."""

    provider: str
    models: tuple[Advertised, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """What is taken into an index: what is curated, and with `include_paid` every paid model."""

    curation: Curation
    include_paid: bool = False


def build_index(answers: Sequence[Answer], earlier: ModelIndex | None, choice: Choice, now: datetime) -> ModelIndex:
    """The index of these providers, best models first; one that did not answer keeps its offers of `earlier`."""
    offers: dict[str, list[ModelOffer]] = {}
    for answer in answers:
        found = chosen_offers(answer, choice) if answer.error is None else kept_offers(answer.provider, earlier)
        for name, offer in found.items():
            offers.setdefault(name, []).append(offer)
    taken = {name.lower() for name in offers}
    models = [_model(name, offers[name], choice.curation, taken) for name in sorted(offers)]
    models.sort(key=lambda model: -(model.quality or 0.0))
    asked = ", ".join(answer.provider for answer in answers)
    return ModelIndex(version=1, generated_at=now, source=f"GET /models of {asked}", models=tuple(models))


def chosen_offers(answer: Answer, choice: Choice) -> dict[str, ModelOffer]:
    """One offer for each canonical name: a free one, else a paid one where that is allowed; of several the plainest."""
    by_name: dict[str, list[Advertised]] = {}
    for model in answer.models:
        if name := canonical_name(answer.provider, model.id):
            by_name.setdefault(name, []).append(model)
    chosen = {}
    for name, models in by_name.items():
        allows_paid = choice.include_paid or choice.curation.of(name).allow_paid
        fit = [model for model in models if model.is_free] or (models if allows_paid else [])
        if fit:
            plainest = min(fit, key=lambda model: (len(model.id), model.id))
            chosen[name] = _offer(answer.provider, plainest)
    return chosen


def kept_offers(provider: str, earlier: ModelIndex | None) -> dict[str, ModelOffer]:
    """The offers that a provider had in an earlier index, by canonical name."""
    models = earlier.models if earlier is not None else ()
    return {model.name: offer for model in models if (offer := model.offer_of(provider)) is not None}


def _offer(provider: str, model: Advertised) -> ModelOffer:
    return ModelOffer(
        provider=provider,
        id=model.id,
        free=model.is_free,
        context_window=model.context_window,
        max_output_tokens=model.max_output_tokens,
        capabilities=_in_order(model.capabilities),
    )


def _model(name: str, offers: Sequence[ModelOffer], curation: Curation, taken: set[str]) -> IndexedModel:
    """`taken` are the names that models answer to; the new aliases are added."""
    curated = curation.of(name)
    aliases = [alias for alias in _aliases(offers, curated.aliases) if alias.lower() not in taken]
    taken.update(alias.lower() for alias in aliases)
    told = [offer.capabilities for offer in offers if offer.capabilities is not None]
    union = frozenset(need for needs in told for need in needs) if told else None
    return IndexedModel(
        name=name,
        aliases=tuple(aliases),
        context_window=max((offer.context_window for offer in offers if offer.context_window), default=None),
        capabilities=_in_order(union) if curated.capabilities is None else curated.capabilities,
        quality=quality_of(name, curated.parameters_billion) if curated.quality is None else curated.quality,
        offers=tuple(offers),
    )


def _aliases(offers: Iterable[ModelOffer], curated: Iterable[str]) -> Iterable[str]:
    """Every way to write it, each once whatever its case: the providers' ids, whole and without vendor and variant."""
    ids = [offer.id for offer in offers]
    bare = [id.partition(":")[0].rpartition("/")[2] for id in ids]
    seen: Mapping[str, str] = {name.lower(): name for name in (*curated, *bare, *ids) if name}
    return seen.values()


def _in_order(needs: frozenset[Need] | None) -> tuple[Need, ...] | None:
    return None if needs is None else tuple(need for need in Need if need in needs)
