"""Which providers the catalog is made of, where they are, and with which key: from the environment alone.

LLMROUTER_PROVIDERS lists brands, separated by commas. LLMROUTER_<PROVIDER>_BASE_URL, such as LLMROUTER_GROQ_BASE_URL,
stands in for a brand's address, up to and without /chat/completions; keys are in the brands' usual variables.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches

from llmrouter.brands.brand import Brand

PROVIDERS_VARIABLE = "LLMROUTER_PROVIDERS"
DEFAULT_PROVIDERS = ("groq", "openrouter", "nvidia_nim")
"""The providers that must all advertise a model, where LLMROUTER_PROVIDERS does not name others."""


class UnknownProvider(ValueError):
    """A name that is no brand with a list of models; the message names those that are."""


def chosen_providers(text: str | None, brands: Mapping[str, Brand]) -> tuple[str, ...]:
    """The brands that a comma-separated list names, each once; the default ones where it is empty.

    Raises `UnknownProvider`.
    """
    names = dict.fromkeys(name.strip().lower().replace("-", "_") for name in (text or "").split(",") if name.strip())
    for name in names:
        if name not in brands or brands[name].base_url is None:
            known = sorted(brand.name for brand in brands.values() if brand.base_url is not None)
            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}? There are" if close else "there are"
            raise UnknownProvider(f"no provider is called {name!r}; {hint}: {', '.join(known)}")
    return tuple(names) or DEFAULT_PROVIDERS


def base_url_variable(provider: str) -> str:
    """The environment variable that stands in for a provider's address."""
    return f"LLMROUTER_{provider.upper()}_BASE_URL"


def base_url_of(brand: Brand, environ: Mapping[str, str]) -> str:
    """Where a brand's API is; raises `ValueError` where a variable that is a part of its address is not set."""
    own = environ.get(base_url_variable(brand.name), "").strip().rstrip("/")
    address = own or brand.base_url or ""
    for name in re.findall(r"\{([A-Z0-9_]+)\}", address):
        value = environ.get(name, "").strip()
        if not value:
            raise ValueError(f"{name}, a part of its address, is not set")
        address = address.replace("{" + name + "}", value)
    return address


def key_of(brand: Brand, environ: Mapping[str, str]) -> str:
    """A brand's key; empty where it is not set."""
    return environ.get(brand.key_env, "").strip() if brand.key_env else ""
