"""What more than one value must be looked at for: each check yields the path, and what is wrong and would be right."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from llmrouter.brands.brand import Brand
from llmrouter.settings.document import Document, Path
from llmrouter.settings.model import ProviderSettings, Settings

_RETIRED = ("models.github.ai", "models.inference.ai.azure.com")
"""Hosts that are gone for good (provider reference, section 3.19)."""

type Finding = tuple[Path, str]


def check_providers(
    providers: Mapping[int, ProviderSettings], document: Document, brands: Mapping[str, Brand]
) -> Iterator[Finding]:
    """What is wrong within and between providers, each given with its place in the list."""
    seen: dict[str, int] = {}
    for number, provider in providers.items():
        path: Path = ("providers", number)
        if provider.name in seen:
            first = document.position(("providers", seen[provider.name], "name"))
            text = f"another provider has the name {provider.name!r} (line {first.line}); give each one its own `name`"
            yield (*path, "name"), text
        seen.setdefault(provider.name, number)
        yield from _check_provider(provider, path, brands)


def _check_provider(provider: ProviderSettings, path: Path, brands: Mapping[str, Brand]) -> Iterator[Finding]:
    brand = brands.get(provider.type)
    if brand is None:
        close = get_close_matches(provider.type, brands, 1)
        hint = f"did you mean {close[0]}? There are" if close else "there are"
        yield (*path, "type"), f"unknown type {provider.type!r}; {hint}: {', '.join(sorted(brands))}"
        return
    yield from _check_models(provider, path)
    yield from _check_key(provider, path)
    if brand.dialect.wire_format != "echo" and brand.base_url is None and provider.base_url is None:
        yield path, f"type {provider.type} needs a `base_url`, such as https://api.example.com/v1"
    if (urlsplit(provider.base_url or "").hostname or "") in _RETIRED:
        yield (*path, "base_url"), "GitHub Models was retired on 2026-07-30 and answers no more; remove this provider"
    if provider.type != "echo":
        for key in ("mock_failure_rate", "mock_latency_seconds"):
            if key in provider.model_fields_set:
                yield (*path, key), "only type echo can be told to fail or to wait"


def _check_models(provider: ProviderSettings, path: Path) -> Iterator[Finding]:
    if provider.model is not None and provider.models:
        yield (*path, "model"), "give either `model` (one for everything) or `models`, not both"
    if provider.model is None and not provider.models:
        yield path, "give `model` (one that stands in for every requested model) or a list of `models`"
    ids = [model.id for model in provider.models]
    for number, id in enumerate(ids):
        if id in ids[:number]:
            yield (*path, "models", number, "id"), f"the model {id!r} stands here twice; remove one of the two"


def _check_key(provider: ProviderSettings, path: Path) -> Iterator[Finding]:
    if provider.api_key == "caller" and provider.type != "openai":
        yield (*path, "api_key"), "`caller` is possible on type openai only: the app's key is for OpenAI alone"
    if provider.api_key == "caller" and provider.base_url and not _is_openai(provider.base_url):
        yield (*path, "base_url"), "with `api_key: caller` only openai.com (or this machine) is possible"
    if provider.api_key is not None and provider.api_key_env is not None:
        yield (*path, "api_key"), "give either `api_key: caller` or `api_key_env`, not both"


def _is_openai(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "api.openai.com" or host.endswith(".api.openai.com") or host in ("localhost", "127.0.0.1", "::1")


def check_routes(settings: Settings) -> Iterator[Finding]:
    """The patterns of routes that match no target of any provider."""
    for number, route in enumerate(settings.routes):
        yield from _check_globs(settings, ("routes", number, "use"), route.use)


def check_policies(settings: Settings) -> Iterator[Finding]:
    """What the policies that are named need and do not have, and preferences that match no target."""
    schedule = settings.policies.schedule
    if schedule is None:
        for path, policy in named_policies(settings):
            if policy == "schedule":
                yield path, "the policy schedule needs its windows; write them under `policies: {schedule: ...}`"
        return
    for number, window in enumerate(schedule.windows):
        yield from _check_globs(settings, ("policies", "schedule", "windows", number, "prefer"), window.prefer)


def named_policies(settings: Settings) -> Iterator[tuple[Path, str]]:
    """The policy of the file and those of routes, each with its place."""
    yield ("policy",), settings.policy
    for number, route in enumerate(settings.routes):
        if route.policy is not None:
            yield ("routes", number, "policy"), route.policy


def _check_globs(settings: Settings, path: Path, globs: Iterable[str]) -> Iterator[Finding]:
    keys = [
        f"{provider.name}/{model}"
        for provider in settings.providers
        for model in ([provider.model] if provider.model is not None else [model.id for model in provider.models])
    ]
    for place, glob in enumerate(globs):
        if not any(fnmatchcase(key, glob) for key in keys):
            text = f"{glob!r} matches no target; targets are written provider/model: {', '.join(keys) or 'none'}"
            yield (*path, place), text
