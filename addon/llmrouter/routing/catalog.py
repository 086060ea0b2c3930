"""Which targets there are, and which of them are meant for a requested model (design 6.1)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from cachetools import LRUCache
from pydantic import SecretStr

from llmrouter.brands.brand import Brand
from llmrouter.settings.model import ModelSettings, ProviderSettings, RouteSettings, Settings
from llmrouter.targets import Target

_REMEMBERED_NAMES = 1024
# Clients choose the names, so that longer ones are not kept: no model is called so, and a body may have 64 MiB.
LONGEST_NAME = 256
_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a requested model may be answered by, in the order of declaration, and the route that says so."""

    targets: tuple[Target, ...]
    route: RouteSettings | None = None


class Catalogue:
    """The targets of one configuration; `routed_models` are the patterns of its routes."""

    def __init__(self, targets: Iterable[Target], routes: Iterable[RouteSettings], warnings: Iterable[str]) -> None:
        self.targets = tuple(targets)
        self.warnings = tuple(warnings)
        self.providers = frozenset(target.provider for target in self.targets)
        self._routes = tuple(routes)
        self.routed_models = tuple(route.model for route in self._routes)
        self._by_key: dict[str, list[tuple[int, Target]]] = {}
        for position, target in enumerate(self.targets):
            self._by_key.setdefault(target.key, []).append((position, target))
        # A catalog of models has a route for each name of each: a look-up finds those, and not a comparison with all.
        self._literal_routes: dict[str, int] = {}
        self._glob_routes: list[int] = []
        for number, route in enumerate(self._routes):
            if (name := literal_name(route.model.lower())) is None:
                self._glob_routes.append(number)
            else:
                self._literal_routes.setdefault(name, number)
        self._known: LRUCache[str, Candidates] = LRUCache(_REMEMBERED_NAMES)

    def candidates(self, requested: str) -> Candidates:
        """What may answer for a requested model name."""
        found = self._known.get(requested)
        if found is None:
            found = self._find(requested)
            if len(requested) <= LONGEST_NAME:
                self._known[requested] = found
        return found

    def _find(self, requested: str) -> Candidates:
        route = self._route(requested)
        if route is not None and route.use:
            return Candidates(self._used(route.use), route)
        return Candidates(tuple(t for t in self.targets if _matches(requested, t.serves)), route)

    def _route(self, requested: str) -> RouteSettings | None:
        """The first route whose model matches."""
        # A demand of a route must not depend on how a client spells the name.
        name = requested.lower()
        literal = self._literal_routes.get(name, len(self._routes))
        globs = (number for number in self._glob_routes if fnmatchcase(name, self._routes[number].model.lower()))
        first = min(literal, next(globs, literal))
        return self._routes[first] if first < len(self._routes) else None

    def _used(self, globs: Iterable[str]) -> tuple[Target, ...]:
        """The targets whose keys match, in the order of declaration."""
        names = [(glob, literal_name(glob)) for glob in globs]
        found = dict(pair for _, name in names if name is not None for pair in self._by_key.get(name, ()))
        if wild := [glob for glob, name in names if name is None]:
            found |= {number: t for number, t in enumerate(self.targets) if _matches(t.key, wild)}
        return tuple(found[position] for position in sorted(found))


def _matches(name: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def build_targets(settings: Settings, brands: Mapping[str, Brand], environ: Mapping[str, str]) -> Catalogue:
    """The targets of all providers whose key is at hand; the others are named in the warnings."""
    targets: list[Target] = []
    warnings: list[str] = []
    for provider in settings.providers:
        brand = brands[provider.type]
        variable = provider.api_key_env or brand.key_env
        key = environ.get(variable, "").strip() if variable else ""
        is_needed = brand.key_required or provider.api_key_env is not None
        if not key and is_needed and provider.api_key != "caller":
            warnings.append(f"Provider {provider.name} is left out: {variable or 'its key variable'} is not set.")
            continue
        base_url, missing = _address(provider.base_url or brand.base_url or "", environ)
        if missing:
            warnings.append(f"Provider {provider.name} is left out: {missing}, part of its address, is not set.")
            continue
        credential = SecretStr(key) if key and provider.api_key != "caller" else None
        place = _Place(brand, base_url, credential)
        targets += (_target(settings, provider, model, place) for model in _models(provider))
    return Catalogue(targets, settings.routes, warnings)


@dataclass(frozen=True, slots=True)
class _Place:
    brand: Brand
    base_url: str
    credential: SecretStr | None


def _address(template: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """The address with the environment's values in place of `{NAME}`, and the first name that has none."""
    for name in re.findall(r"\{([A-Z0-9_]+)\}", template):
        value = environ.get(name, "").strip()
        if not value:
            return template, name
        template = template.replace("{" + name + "}", value)
    return template, None


def _models(provider: ProviderSettings) -> Iterable[ModelSettings]:
    if provider.model is not None:
        return (ModelSettings(id=provider.model, serves=("*",)),)
    return provider.models


def _target(settings: Settings, provider: ProviderSettings, model: ModelSettings, place: _Place) -> Target:
    return Target(
        provider=provider.name,
        model=model.id,
        brand=place.brand,
        base_url=place.base_url,
        credential=place.credential,
        uses_caller_key=provider.api_key == "caller",
        extra_headers=provider.extra_headers,
        priority=provider.priority,
        serves=model.serves or (_literal(model.id), _literal(f"{provider.name}/{model.id}")),
        price=model.price,
        context_window=model.context_window,
        capabilities=None if model.capabilities is None else frozenset(model.capabilities),
        quality=model.quality,
        weight=provider.weight * model.weight,
        breaker=settings.breaker_for(provider),
        timeouts=provider.timeouts,
        data=provider.data,
        mock_failure_rate=provider.mock_failure_rate,
        mock_latency_seconds=provider.mock_latency_seconds,
    )


def _literal(name: str) -> str:
    """A glob that matches the name alone; model ids may hold a `[`."""
    return re.sub(r"([*?[])", r"[\1]", name)


def literal_name(glob: str) -> str | None:
    """The one name that a pattern matches, None where there are more; `[*]` is a literal asterisk."""
    for wild in _WILD:
        glob = glob.replace(f"[{wild}]", f"\0{ord(wild):04x}")
    if _WILD & set(glob):
        return None
    for wild in _WILD:
        glob = glob.replace(f"\0{ord(wild):04x}", wild)
    return glob
