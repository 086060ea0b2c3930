"""The table of provider brands: what differs between companies, as data.

A new brand is a new row in `companies.py` or `local_servers.py`, and a contract case in `tests/contract/`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from llmrouter.brands.brand import Brand
from llmrouter.brands.companies import COMPANIES
from llmrouter.brands.local_servers import LOCAL_SERVERS

BRANDS: Mapping[str, Brand] = MappingProxyType({brand.name: brand for brand in (*COMPANIES, *LOCAL_SERVERS)})
"""Every brand by its name, the word that stands as `type` in the settings."""
