"""The configuration: which file, right or wrong, and which keys are set."""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from llmrouter.brands import BRANDS
from llmrouter.cli.checks.finding import Finding, ok, problem, warning
from llmrouter.cli.own_configuration import DEMO, Choice, choose_configuration, settings_of
from llmrouter.custom_policies.loading import CustomPolicies
from llmrouter.routing.catalog import build_targets
from llmrouter.settings.loader import load_settings, unused_keys
from llmrouter.settings.model import Settings
from llmrouter.settings.problems import SettingsError
from llmrouter.targets import Target

_ABOUT = "configuration"


@dataclass(frozen=True, slots=True)
class Configured:
    """What was found, and what later checks need of it: defaults where the configuration is wrong."""

    findings: tuple[Finding, ...]
    settings: Settings = field(default_factory=Settings)
    targets: tuple[Target, ...] = ()


def check_configuration(choice: Choice | None, environ: Mapping[str, str] = os.environ) -> Configured:
    """Looks at the chosen configuration, or at the one that a start would take."""
    try:
        chosen = choice or choose_configuration(None, environ)
        settings = _load(chosen, environ)
    except SettingsError as error:
        remedy = "Correct it; `llmrouter config schema` is for editors that complete keys."
        return Configured(tuple(problem(_ABOUT, str(one), remedy) for one in error.problems))
    catalogue = build_targets(settings, BRANDS, environ)
    findings = [_of_file(chosen, settings)]
    findings += [warning(_ABOUT, text, "Set the variable where the router starts.") for text in catalogue.warnings]
    if unused := unused_keys(settings):
        findings.append(warning(_ABOUT, f"Read, but without effect in this version: {', '.join(unused)}."))
    if not catalogue.targets:
        text = "There is no target, so nothing is answered by the router itself."
        findings.append(problem(_ABOUT, text, "Set a provider's key, or begin with: llmrouter config init"))
    return Configured(tuple(findings), settings, catalogue.targets)


def _load(choice: Choice, environ: Mapping[str, str]) -> Settings:
    if choice.file is None:
        return settings_of(choice, environ)
    return load_settings(choice.file, BRANDS, CustomPolicies(choice.file.parent, Counter()).load)


def _of_file(choice: Choice, settings: Settings) -> Finding:
    if choice.file == DEMO:
        text = "There is none, and no provider's key is set: the router would only echo."
        return warning(_ABOUT, text, "Set a key such as GROQ_API_KEY, or begin with: llmrouter config init")
    where = "The built-in catalog" if choice.file is None else str(choice.file)
    return ok(_ABOUT, f"{where} is right: {len(settings.providers)} providers.")
