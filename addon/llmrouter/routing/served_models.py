"""Which models the router answers for now, by the names that clients use."""

from llmrouter.routing.catalog import Catalogue, literal_name
from llmrouter.routing.health import HealthBook
from llmrouter.targets import ServedModel


def served_models(catalogue: Catalogue, health: HealthBook, now: float) -> list[ServedModel]:
    """All names that somebody answers for now (monotonic seconds), each once, in the order of declaration.

    Names are those that settings write out, in `serves` and in routes, and the targets' own ids. Patterns stand for
    names that nobody can list.
    """
    found = (served_model(catalogue, health, name, now) for name in _names(catalogue))
    return [model for model in found if model is not None]


def served_model(catalogue: Catalogue, health: HealthBook, name: str, now: float) -> ServedModel | None:
    """One name, None where nobody answers for it now."""
    targets = catalogue.candidates(name).targets
    available = tuple(target for target in targets if health.available_at(target, now) <= now)
    if not available:
        return None
    return ServedModel(name, available, tuple(target for target in targets if target not in available))


def _names(catalogue: Catalogue) -> dict[str, None]:
    names: dict[str, None] = {}
    for target in catalogue.targets:
        names |= {name: None for name in map(literal_name, target.serves) if name is not None}
        names |= {target.model: None, target.key: None}
    return names | {name: None for name in map(literal_name, catalogue.routed_models) if name is not None}
