"""Which page is where: below `http://llmrouter.local/`, and below `/llmrouter/` at the port of the API (design 5.4)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import parse_qsl

from llmrouter.dashboard.decision_pages import one_decision, several_decisions
from llmrouter.dashboard.files import FILES
from llmrouter.dashboard.page import HTML, Page, json_page
from llmrouter.dashboard.usage import DEFAULT_RANGE, range_of
from llmrouter.errors import NoPage, RouterError, WrongMethod
from llmrouter.telemetry.recent_decisions import RecentDecisions

_DECISIONS = "/api/decisions"


class Sources(Protocol):
    """Where the pages take what they show from."""

    @property
    def recent(self) -> RecentDecisions:
        """The last decisions."""
        ...

    def health(self) -> dict[str, Any]:
        """That it runs, and since when."""
        ...

    def status(self) -> dict[str, Any]:
        """How it is, and what it did since its start."""
        ...

    def usage(self, range: str) -> dict[str, Any]:
        """What was used in a range of time, as the ledger has it."""
        ...

    def metrics(self) -> Page | None:
        """The figures for Prometheus; None where they are not offered."""
        ...


@dataclass(frozen=True, slots=True)
class Pages:
    """Answers for all local paths; knows neither mitmproxy nor a connection."""

    sources: Sources

    def answer(self, method: str, path: str, query: str) -> Page:
        """The page at a path that begins with a slash and counts from the pages' own root.

        What is wrong is a page, too, in OpenAI's shape: 400, 404, or 405 for everything but GET and HEAD.
        """
        try:
            if method not in ("GET", "HEAD"):
                raise WrongMethod(f"Pages are read by GET or HEAD, not by {method[:20]}.")
            page = self._page(path, dict(parse_qsl(query, keep_blank_values=True)))
        except RouterError as error:
            page = error_page(error)
        return replace(page, is_head=method == "HEAD")

    def _page(self, path: str, query: Mapping[str, str]) -> Page:
        plain: dict[str, Callable[[], Page | None]] = {
            "/api/usage": lambda: json_page(self.sources.usage(range_of(query.get("range", DEFAULT_RANGE)))),
            "/health": lambda: json_page(self.sources.health()),
            "/api/status": lambda: json_page(self.sources.status()),
            _DECISIONS: lambda: json_page(several_decisions(self.sources.recent, query)),
            "/metrics": self.sources.metrics,
        }
        page: Page | None = FILES.get(path)
        if path in plain:
            page = plain[path]()
        elif path.startswith(f"{_DECISIONS}/"):
            page = json_page(one_decision(self.sources.recent, path.removeprefix(f"{_DECISIONS}/")))
        if page is None:
            raise NoPage(f"There is no page at {path[:200]}.")
        return page


def error_page(error: RouterError) -> Page:
    """An error in OpenAI's shape."""
    allow = {"allow": "GET, HEAD"} if isinstance(error, WrongMethod) else {}
    return Page(error.status, error.to_json(), more_headers=allow)


def moved(to: str) -> Page:
    """The page is at another path (RFC 9110, section 15.4.9)."""
    return Page(308, b"", HTML, {"location": to})
