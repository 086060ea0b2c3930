"""A configuration file becomes frozen settings, or a list of everything that is wrong with it, by line and column."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from llmrouter.brands.brand import Brand
from llmrouter.settings import model, policies
from llmrouter.settings.caching import CacheSettings, check_cache
from llmrouter.settings.checks import Finding, check_policies, check_providers, check_routes
from llmrouter.settings.document import Document, read_document
from llmrouter.settings.model import ProviderSettings, Settings
from llmrouter.settings.operating import OverloadSettings, ShutdownSettings
from llmrouter.settings.problems import Problem, SettingsError
from llmrouter.settings.storage import StorageSettings, check_storage
from llmrouter.settings.telemetry import OtelSettings, TelemetrySettings

_UNUSED: tuple[str, ...] = ()
_UNUSED_BY_PROVIDER: tuple[str, ...] = ()
_PLAIN = {
    "missing": "this key is required",
    "string_type": "text is needed (in quotes, where YAML would read something else)",
    "int_type": "a whole number is needed",
    "int_parsing": "a whole number is needed",
    "int_from_float": "a whole number is needed",
    "float_type": "a number is needed",
    "float_parsing": "a number is needed",
    "finite_number": "a finite number is needed",
    "bool_type": "true or false is needed",
    "bool_parsing": "true or false is needed",
    "tuple_type": "a list is needed: write [one, two], or one `- item` per line",
    "dict_type": "a mapping is needed: `key: value` lines",
    "mapping_type": "a mapping is needed: `key: value` lines",
    "model_type": "a mapping is needed: `key: value` lines",
    "model_attributes_type": "a mapping is needed: `key: value` lines",
}
_BOUNDS = {
    "greater_than_equal": "{ge:.12g} or more is needed",
    "greater_than": "more than {gt:.12g} is needed",
    "less_than_equal": "{le:.12g} or less is needed",
    "too_short": "at least {min_length} of them is needed",
    "string_too_short": "text that is not empty is needed",
    "string_pattern_mismatch": "letters, digits, dots, hyphens and underscores are possible, a letter or digit first",
}


type Check = Callable[[Settings], Iterable[Finding]]
"""Finds what is wrong beyond the file itself, such as in another file that it names."""


def _no_check(_: Settings) -> Iterable[Finding]:
    return ()


def load_settings(path: Path, brands: Mapping[str, Brand], check: Check = _no_check) -> Settings:
    """The settings in a file; raises `SettingsError`, also for what `check` finds."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        message = "there is no such file; copy config/providers.example.yaml to it to begin with"
    except UnicodeDecodeError:
        message = "the file is not UTF-8 text; save it as UTF-8"
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
    else:
        return parse_settings(text, str(path), brands, check)
    raise SettingsError((Problem(str(path), 1, 1, "file", message),))


def parse_settings(text: str, file: str, brands: Mapping[str, Brand], check: Check = _no_check) -> Settings:
    """The settings in YAML text; raises `SettingsError` with every problem, in the order of the lines."""
    document = read_document(text)
    problems = [
        Problem(file, bad.position.line, bad.position.column, bad.key, bad.message) for bad in document.problems
    ]
    settings = None
    if not any(problem.key == "syntax" for problem in problems):
        settings, found = _validate(document, brands, check)
        problems += (_problem(file, document, place, message) for place, message in found)
    if problems or settings is None:
        in_order = sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, problem.column))
        raise SettingsError(tuple(in_order))
    return settings


def unused_keys(settings: Settings) -> tuple[str, ...]:
    """The keys that somebody set and that this version reads without acting on them."""
    keys = [key for key in _UNUSED if key in settings.model_fields_set]
    for key in _UNUSED_BY_PROVIDER:
        keys += (f"providers.{p.name}.{key}" for p in settings.providers if key in p.model_fields_set)
    return tuple(keys)


def _validate(document: Document, brands: Mapping[str, Brand], check: Check) -> tuple[Settings | None, list[Finding]]:
    value = document.value
    if value is None:
        return None, [((), "the file is empty; it needs at least `providers`, see config/providers.example.yaml")]
    if not isinstance(value, dict):
        kind = "list" if isinstance(value, list) else "single value"
        return None, [((), f"the file holds a {kind}; a mapping with keys such as `providers` is needed")]
    try:
        settings = Settings.model_validate(value)
    except ValidationError as error:
        return None, [*_misfits(error, value), *check_providers(_sound_providers(value), document, brands)]
    providers = dict(enumerate(settings.providers))
    found = [
        *check_providers(providers, document, brands),
        *check_routes(settings),
        *check_policies(settings),
        *check_cache(settings.cache),
        *check_storage(settings.storage),
    ]
    return settings, [*found, *check(settings)]


def _misfits(error: ValidationError, value: Any) -> Iterator[Finding]:
    for details in error.errors(include_url=False):
        # A list whose items are all wrong is reported as empty, too.
        if details["type"] != "too_short" or not details["input"]:
            yield _real_path(details["loc"], value), _describe(details)


def _sound_providers(value: Mapping[str, Any]) -> dict[int, ProviderSettings]:
    """The providers that are right by themselves: what is wrong elsewhere must not hide what they contradict."""
    listed = value.get("providers")
    sound = {}
    for number, item in enumerate(listed if isinstance(listed, list) else ()):
        with suppress(ValidationError):
            sound[number] = ProviderSettings.model_validate(item)
    return sound


def _real_path(loc: tuple[str | int, ...], value: Any) -> tuple[str | int, ...]:
    """pydantic's location without the marks that it adds itself, such as `[key]`."""
    path: list[str | int] = []
    for step in loc:
        if _is_in(value, step):
            value = value[step]
        elif step == "[key]" or not isinstance(step, str) or step != loc[-1]:
            continue
        path.append(step)
    return tuple(path)


def _is_in(value: Any, step: str | int) -> bool:
    if isinstance(value, dict):
        return step in value
    return isinstance(value, list) and isinstance(step, int) and step < len(value)


def _describe(details: ErrorDetails) -> str:
    """What is wrong and would be right; the value is not repeated, since it may be a key in a wrong place."""
    kind, context = details["type"], details.get("ctx") or {}
    if kind == "extra_forbidden":
        return _unknown_key(details)
    if kind == "literal_error" and details["loc"][-1] == "api_key":
        return "only `caller` is possible here; put the key into an environment variable and name it in `api_key_env`"
    if kind == "string_pattern_mismatch" and details["loc"][-1] == "hours":
        return "two times of the day are needed, such as 08:00-18:00"
    if kind == "value_error":
        return str(context["error"])
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**context)
    if kind in ("literal_error", "enum"):
        return f"one of these is needed: {context['expected']}"
    return _PLAIN.get(kind) or details["msg"][:1].lower() + details["msg"][1:]


def _unknown_key(details: ErrorDetails) -> str:
    *around, key = details["loc"]
    known = sorted(_known_keys(tuple(around)))
    close = get_close_matches(str(key), known, 1)
    hint = f"did you mean {close[0]}? Known here" if close else "known here"
    return f"unknown key; {hint}: {', '.join(known)}"


def _known_keys(path: tuple[str | int, ...]) -> set[str]:
    """The keys of the mapping at a path, found by its last key's name."""
    names = [step for step in path if isinstance(step, str)]
    owner: type[BaseModel] = _MAPPINGS.get(names[-1], Settings) if names else Settings
    return set(owner.model_fields)


_MAPPINGS: Mapping[str, type[BaseModel]] = {
    "providers": model.ProviderSettings,
    "models": model.ModelSettings,
    "routes": model.RouteSettings,
    "price": model.PriceSettings,
    "overrides": model.PriceOverrideSettings,
    "breaker": model.BreakerSettings,
    "circuit_breaker": model.BreakerSettings,
    "timeouts": model.TimeoutSettings,
    "limits": model.LimitSettings,
    "data": model.DataSettings,
    "retry": model.RetrySettings,
    "cache": CacheSettings,
    "storage": StorageSettings,
    "policies": policies.PoliciesSettings,
    "weighted": policies.WeightedSettings,
    "quality": policies.QualitySettings,
    "schedule": policies.ScheduleSettings,
    "windows": policies.WindowSettings,
    "custom": policies.CustomSettings,
    "metrics": model.MetricsSettings,
    "telemetry": TelemetrySettings,
    "otel": OtelSettings,
    "logging": model.LoggingSettings,
    "inspection": model.InspectionSettings,
    "overload": OverloadSettings,
    "shutdown": ShutdownSettings,
}


def _problem(file: str, document: Document, path: tuple[str | int, ...], message: str) -> Problem:
    position = document.position(path)
    key = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".") or "file"
    return Problem(file, position.line, position.column, key, message)
