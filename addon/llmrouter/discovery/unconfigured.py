"""What the router runs where there is no configuration file."""

from collections.abc import Mapping
from pathlib import Path

from llmrouter.brands import BRANDS
from llmrouter.discovery.catalog_settings import CatalogSettings, catalog_settings
from llmrouter.discovery.index_source import IndexSource, LoadedIndex
from llmrouter.discovery.places import PROVIDERS_VARIABLE, UnknownProvider, chosen_providers
from llmrouter.settings.problems import Problem, SettingsError

STATE = Path("state")
"""The folder of what must last, beside which the process runs."""


def settings_at_start(environ: Mapping[str, str]) -> tuple[CatalogSettings, LoadedIndex]:
    """The settings from the index that is at hand, and that index; asks nobody. Raises `SettingsError`."""
    loaded = IndexSource.of_environment(environ, STATE).at_start()
    return settings_from(loaded, environ), loaded


def settings_from(loaded: LoadedIndex, environ: Mapping[str, str]) -> CatalogSettings:
    """The settings from an index and the environment; raises `SettingsError` where LLMROUTER_PROVIDERS is wrong."""
    try:
        names = chosen_providers(environ.get(PROVIDERS_VARIABLE), BRANDS)
    except UnknownProvider as error:
        raise SettingsError((Problem("environment", 1, 1, PROVIDERS_VARIABLE, str(error)),)) from error
    return catalog_settings(loaded.index, names, BRANDS, environ)
