"""The files of the dashboard, as they lie in `static/`: read once, at load."""

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

from llmrouter.dashboard.page import HTML, Page

_TYPES = {
    "html": HTML,
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def _pages() -> dict[str, Page]:
    pages = {}
    for file in files("llmrouter.dashboard").joinpath("static").iterdir():
        kind = _TYPES.get(file.name.rpartition(".")[2])
        if kind is not None:
            pages[f"/{file.name}"] = Page(200, file.read_bytes(), kind)
    return pages | {"/": pages["/index.html"]}


FILES: Mapping[str, Page] = MappingProxyType(_pages())
"""Each file by its path below the pages' own root; the dashboard itself is the root."""
